"""Motion capture: ASF/AMC, BVH and C3D readers, the data sets' quirks, clips into the bank."""

from posebank.mocap.bank import (
    BankSettings,
    ClipStats,
    DistinctPoses,
    add_mirrored,
    drop_near_duplicates,
    poses_from_clip,
)
from posebank.mocap.inspection import describe_clip, describe_skeleton, suggest_joints
from posebank.mocap.options import ReadOptions, read_joint_map
from posebank.mocap.sources import DATASETS, ClipSource, discover, read_clip
from posebank.mocap.statistics import limbs_by_subject

__all__ = [
    "DATASETS",
    "BankSettings",
    "ClipSource",
    "ClipStats",
    "DistinctPoses",
    "ReadOptions",
    "add_mirrored",
    "describe_clip",
    "describe_skeleton",
    "discover",
    "drop_near_duplicates",
    "limbs_by_subject",
    "poses_from_clip",
    "read_clip",
    "read_joint_map",
    "suggest_joints",
]
