"""Anchor-poses: K-means over oriented, body-centred 3D poses."""

from posebank.anchors.coverage import coverage, poses_per_anchor, rarest
from posebank.anchors.fit import fit_anchors, pose_in_box
from posebank.anchors.picture import anchor_sheet
from posebank.anchors.poses import anchor_poses, assign
from posebank.anchors.settings import AnchorSettings

__all__ = [
    "AnchorSettings",
    "anchor_poses",
    "anchor_sheet",
    "assign",
    "coverage",
    "fit_anchors",
    "pose_in_box",
    "poses_per_anchor",
    "rarest",
]
