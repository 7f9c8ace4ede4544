"""Readers of 2D (and 3D) annotations: source files to ``People``, nobody lost without a line."""

from posebank.annotations.hips import HipCorrection
from posebank.annotations.keypoints import read_joint_map
from posebank.annotations.people import AnnotationResult, outside_image, summary
from posebank.annotations.read import read_annotations
from posebank.annotations.sources import KINDS as SOURCES
from posebank.annotations.sources import stamped_files
from posebank.annotations.splits import assign_mpii_splits, assign_splits
from posebank.types import SPLITS

__all__ = [
    "SOURCES",
    "SPLITS",
    "AnnotationResult",
    "HipCorrection",
    "assign_mpii_splits",
    "assign_splits",
    "outside_image",
    "read_annotations",
    "read_joint_map",
    "stamped_files",
    "summary",
]
