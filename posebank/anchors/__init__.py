"""Anchor-poses: K-means over oriented, body-centred 3D poses (paper, sections 3 and 4)."""

from posebank.anchors.assignment import assign, coverage
from posebank.anchors.fit import AnchorSettings, anchor_poses, fit_anchors

__all__ = ["AnchorSettings", "anchor_poses", "assign", "coverage", "fit_anchors"]
