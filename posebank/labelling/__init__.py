"""Labels from matches: estimators of the 3D pose, completion of joints, and trust."""

from posebank.labelling.labels import label
from posebank.labelling.settings import ESTIMATORS, LabelSettings

__all__ = ["ESTIMATORS", "LabelSettings", "label"]
