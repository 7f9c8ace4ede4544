"""Keypoint AP as COCO defines it, through pycocotools.

The 12 limb joints are scored. COCO's five face points have no counterpart among ours (and it has no
head top), so in the ground truth they count as not labelled.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from posebank.annotations.coco_file import CocoFile, keypoints_of, read_coco_file
from posebank.annotations.mapping import COCO_NAMES
from posebank.evaluation.predictions import match_image_ids
from posebank.evaluation.truth import GroundTruth
from posebank.skeleton import JOINT_NAMES, JointState, is_annotated
from posebank.types import Predictions, texts

AREA_OF_BOX = 0.84
"""Area of a person's COCO mask over the area of the box around the 12 joints.

The median of 9 people of val2017 with all 12 joints labelled (quartiles 0.69 and 1.03). It stands
in for the area where there is no mask, so AP from other ground truth than COCO's is approximate.
"""

STATS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")

_OURS = [joint for joint, name in enumerate(JOINT_NAMES) if name in COCO_NAMES]
_THEIRS = [COCO_NAMES.index(JOINT_NAMES[joint]) for joint in _OURS]
_FACE = [place for place in range(len(COCO_NAMES)) if place not in _THEIRS]


def coco_ap_of_file(predictions: Predictions, annotations: Path) -> dict[str, float]:
    """Return AP and AR (percent) against a COCO annotation file; images match by file name.

    Raises
    ------
    SourceError
        If the file is not COCO's.
    """
    file = read_coco_file(annotations)
    ids = {str(image["file_name"]): number for number, image in file.images.items()}
    people = [_person(file, entry) for entry in file.entries if isinstance(entry, dict)]
    found, _ = match_image_ids(predictions, texts(ids))
    known = np.array([i in ids for i in found.image_id], bool)
    return _evaluate(ids, people, found.take(known))


def _person(file: CocoFile, entry: dict[str, Any]) -> dict[str, Any]:
    """An annotation of the file with COCO's 17 keypoints, of which only the limb joints count."""
    points = np.zeros((len(COCO_NAMES), 3))
    given = keypoints_of(entry)
    if given is not None and len(given):
        try:
            position = file.layout_of(entry, len(given)).position
        except ValueError:  # not people
            position = {}
        for joint, place in zip(_OURS, _THEIRS, strict=True):
            if JOINT_NAMES[joint] in position:
                points[place] = given[position[JOINT_NAMES[joint]]]
    points[points[:, 2] == 0] = 0
    box = entry.get("bbox") or _box(points[points[:, 2] > 0, :2])
    return {
        "area": AREA_OF_BOX * box[2] * box[3],
        "iscrowd": 0,
        **entry,
        "bbox": box,
        "category_id": 1,
        "keypoints": points.ravel().tolist(),
        "num_keypoints": int((points[:, 2] > 0).sum()),
    }


def coco_ap(predictions: Predictions, truth: GroundTruth) -> dict[str, float]:
    """Return AP and AR (percent) against any ground truth, with guessed areas (``AREA_OF_BOX``).

    NaN where nobody has an annotated limb joint.
    """
    if not is_annotated(truth.state)[:, _OURS].any():
        return dict.fromkeys(STATS, float("nan"))
    ids = {image: number for number, image in enumerate(dict.fromkeys(truth.image_id), 1)}
    annotated = is_annotated(truth.state)
    people = []
    for row in range(len(truth)):
        points = np.zeros((len(COCO_NAMES), 3))
        points[_THEIRS, :2] = truth.joints_2d[row, _OURS]
        points[_THEIRS, 2] = np.where(
            annotated[row, _OURS], np.where(truth.state[row, _OURS] == JointState.VISIBLE, 2, 1), 0
        )
        points[points[:, 2] == 0] = 0
        box = _box(truth.joints_2d[row, truth.state[row] != JointState.MISSING])
        people.append(
            {
                "id": row + 1,
                "image_id": ids[truth.image_id[row]],
                "category_id": 1,
                "iscrowd": 0,
                "keypoints": points.ravel().tolist(),
                "num_keypoints": int((points[:, 2] > 0).sum()),
                "bbox": box,
                "area": AREA_OF_BOX * box[2] * box[3],
            }
        )
    found, _ = match_image_ids(predictions, truth.image_id)
    known = np.array([i in ids for i in found.image_id], bool)
    return _evaluate(ids, people, found.take(known))


def to_coco_results(predictions: Predictions, ids: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the predictions in the form of COCO results.

    Keypoints that we do not predict (the face) are put in the middle of the pose: COCO takes a
    result's size from its keypoints, and zeros would enlarge it.
    """
    results = []
    for row in range(len(predictions)):
        joints = predictions.joints_2d[row].astype(np.float64)
        x, y, width, height = _box(joints[np.isfinite(joints).all(axis=-1)])
        points = np.tile([x + width / 2, y + height / 2, 1.0], (len(COCO_NAMES), 1))
        ours = joints[_OURS]
        points[_THEIRS, :2] = np.where(np.isfinite(ours), ours, points[_THEIRS, :2])
        results.append(
            {
                "image_id": ids[predictions.image_id[row]],
                "category_id": 1,
                "keypoints": points.ravel().tolist(),
                "score": float(predictions.score[row]),
            }
        )
    return results


def _box(points: NDArray[np.floating]) -> list[float]:
    if not len(points):
        return [0.0, 0.0, 0.0, 0.0]
    low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
    return [*low.tolist(), *(high - low).tolist()]


def _evaluate(
    ids: Mapping[str, Any], people: list[dict[str, Any]], predictions: Predictions
) -> dict[str, float]:
    if not len(predictions):
        return dict.fromkeys(STATS, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": number, "file_name": name} for name, number in ids.items()],
            "annotations": people,
            "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_NAMES)}],
        }
        truth.createIndex()
        found = truth.loadRes(to_coco_results(predictions, ids))
        evaluator = COCOeval(truth, found, "keypoints")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    # pycocotools says -1 where there is nobody of that size
    return {
        name: 100 * float(value) if value >= 0 else float("nan")
        for name, value in zip(STATS, evaluator.stats, strict=True)
    }
