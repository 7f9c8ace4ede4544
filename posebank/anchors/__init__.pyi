"""Names of ``posebank.anchors`` and the modules that they are in."""

from .coverage_statistics import Coverage as Coverage
from .coverage_statistics import coverage as coverage
from .fit import fit_anchors as fit_anchors
from .fit import pose_in_box as pose_in_box
from .poses import anchor_poses as anchor_poses
from .poses import assign as assign
from .poses import drawn_rows as drawn_rows
from .poses import trained_poses as trained_poses
from .settings import AnchorSettings as AnchorSettings
