"""Names of ``posebank.labelling`` and the modules that they are in."""

from .labels import label as label
from .settings import CAMERAS as CAMERAS
from .settings import ESTIMATORS as ESTIMATORS
from .settings import LabelSettings as LabelSettings
