"""Pictures and the HTML report."""

from posebank.report.anchors import anchors_picture, poses_picture
from posebank.report.chapters import DEMO_FACTS, label_statistics
from posebank.report.curves import training_picture
from posebank.report.drawing import FRONT, SIDE, View, draw_pose_2d, draw_pose_3d, view_axes
from posebank.report.evaluation import paper_tables, write_evaluation
from posebank.report.figures import SelectedPoses, figure5, figure6, figure7, select_poses
from posebank.report.html import html_report
from posebank.report.scene import displacements, prediction_picture
from posebank.report.sheets import clip_picture, label_sheet, match_picture, shard_sheet

__all__ = [
    "DEMO_FACTS",
    "FRONT",
    "SIDE",
    "SelectedPoses",
    "View",
    "anchors_picture",
    "clip_picture",
    "displacements",
    "draw_pose_2d",
    "draw_pose_3d",
    "figure5",
    "figure6",
    "figure7",
    "html_report",
    "label_sheet",
    "label_statistics",
    "match_picture",
    "paper_tables",
    "poses_picture",
    "prediction_picture",
    "select_poses",
    "shard_sheet",
    "training_picture",
    "view_axes",
    "write_evaluation",
]
