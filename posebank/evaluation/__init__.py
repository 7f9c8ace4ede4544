"""The paper's metrics, protocols and tables (section 4)."""

from posebank.evaluation.breakdown import rarity_mm
from posebank.evaluation.coco_ap import coco_ap, coco_ap_of_file
from posebank.evaluation.h36m import (
    ProtocolScore,
    h36m_frames,
    h36m_numbers,
    h36m_protocol,
    h36m_scores,
    with_protocols,
)
from posebank.evaluation.headsize import head_sizes, torso_sizes
from posebank.evaluation.multi_person import Group, average_precision, detect, mpii_map
from posebank.evaluation.paper_tables import section42, table1, table2, table3, table4
from posebank.evaluation.pck import (
    PckScore,
    area_under_curve,
    pck_curve,
    pckh,
    relative_distances,
    share_within,
)
from posebank.evaluation.predictions import (
    CocoReference,
    match_image_ids,
    predictions_to_json,
    read_predictions,
    write_npz,
)
from posebank.evaluation.result import EvaluationResult
from posebank.evaluation.scoring import Scored, evaluate, protocol_people, score_people
from posebank.evaluation.selection import select
from posebank.evaluation.settings import EvaluationSettings
from posebank.evaluation.truth import (
    GroundTruth,
    ground_truth_from_labels,
    ground_truth_from_people,
    ground_truth_from_shards,
)
from posebank.geometry.joint_errors import (
    aligned_errors_mm,
    joint_errors_mm,
    mpjpe,
    pixel_errors,
)

__all__ = [
    "CocoReference",
    "EvaluationResult",
    "EvaluationSettings",
    "GroundTruth",
    "Group",
    "PckScore",
    "ProtocolScore",
    "Scored",
    "aligned_errors_mm",
    "area_under_curve",
    "average_precision",
    "coco_ap",
    "coco_ap_of_file",
    "detect",
    "evaluate",
    "ground_truth_from_labels",
    "ground_truth_from_people",
    "ground_truth_from_shards",
    "h36m_frames",
    "h36m_numbers",
    "h36m_protocol",
    "h36m_scores",
    "head_sizes",
    "joint_errors_mm",
    "match_image_ids",
    "mpii_map",
    "mpjpe",
    "pck_curve",
    "pckh",
    "pixel_errors",
    "predictions_to_json",
    "protocol_people",
    "rarity_mm",
    "read_predictions",
    "relative_distances",
    "score_people",
    "section42",
    "select",
    "share_within",
    "table1",
    "table2",
    "table3",
    "table4",
    "torso_sizes",
    "with_protocols",
    "write_npz",
]
