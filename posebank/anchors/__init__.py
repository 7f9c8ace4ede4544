"""Anchor-poses: K-means over oriented, body-centred 3D poses."""

from posebank.anchors.coverage import Coverage, coverage
from posebank.anchors.fit import fit_anchors, pose_in_box
from posebank.anchors.poses import anchor_poses, assign, drawn_rows
from posebank.anchors.settings import AnchorSettings

__all__ = [
    "AnchorSettings",
    "Coverage",
    "anchor_poses",
    "assign",
    "coverage",
    "drawn_rows",
    "fit_anchors",
    "pose_in_box",
]
