"""From people and predictions to the groups of MPII's multi-person protocol."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.evaluation.multi_person import Group
from posebank.evaluation.selection import boxes_of
from posebank.evaluation.truth import GroundTruth
from posebank.types import Predictions


def group_rows(truth: GroundTruth) -> list[NDArray[np.int64]]:
    """Return the rows of the people of each group that the multi-person protocol scores.

    A group is the people of one image with one ``group_id`` (people without one are no group),
    two at least, of whom nobody is known to belong to the single-person protocol. Where the source
    has no groups at all, the people of an image are one group.
    """
    grouped = any(g != "" for g in truth.group_id)
    members: dict[tuple[str, str], list[int]] = {}
    for row, (image, group) in enumerate(zip(truth.image_id, truth.group_id, strict=True)):
        if group != "" or not grouped:
            members.setdefault((image, group), []).append(row)
    rows = [np.array(m, np.int64) for m in members.values() if len(m) > 1]
    return [m for m in rows if not (truth.single_person[m] == 1).any()]


def protocol_groups(
    predictions: Predictions,
    truth: GroundTruth,
    head_size: NDArray[np.float64],
    annotated: NDArray[np.bool_],
    margin: float,
) -> tuple[list[Group], list[str]]:
    """Return the groups with the predictions that belong to them, and the image of each group.

    Predictions are made on whole images, but only people in groups are scored: a prediction
    belongs to the group whose box (around its people's annotated joints, enlarged by ``margin``
    times its longer side) holds the prediction's box centre; of several groups, to the one whose
    centre is nearest. A prediction of nobody's group is not scored: it is not a false positive
    either. People whose head size is not known are left out of their group.
    """
    sets_of_rows = group_rows(truth)
    if not sets_of_rows:
        return [], []
    rows_of: dict[str, list[int]] = {}
    for row, image in enumerate(predictions.image_id):
        rows_of.setdefault(image, []).append(row)
    by_image: dict[str, list[NDArray[np.int64]]] = {}
    for members in sets_of_rows:
        by_image.setdefault(truth.image_id[members[0]], []).append(members)
    finite = np.asarray(np.isfinite(predictions.joints_2d).all(axis=-1))
    boxes = boxes_of(predictions.joints_2d, finite)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    groups, images = [], []
    for image, sets in by_image.items():
        candidates = np.array(rows_of.get(image, []), np.int64)
        owner = _owners(centres[candidates], truth, annotated, sets, margin)
        for which, members in enumerate(sets):
            kept = members[np.isfinite(head_size[members])]
            of_group = candidates[owner == which]
            groups.append(
                Group(
                    np.asarray(predictions.joints_2d[of_group], np.float64),
                    np.asarray(predictions.score[of_group], np.float64),
                    np.asarray(truth.joints_2d[kept], np.float64),
                    annotated[kept],
                    head_size[kept],
                )
            )
            images.append(image)
    return groups, images


def _owners(
    centres: NDArray[np.float64],
    truth: GroundTruth,
    annotated: NDArray[np.bool_],
    sets: list[NDArray[np.int64]],
    margin: float,
) -> NDArray[np.int64]:
    """Position in ``sets`` of the group that each centre (n, 2) belongs to, -1 for none."""
    boxes = np.empty((len(sets), 4))
    for which, members in enumerate(sets):
        joints = truth.joints_2d[members][annotated[members]][None]
        boxes[which] = boxes_of(joints)[0] if joints.shape[1] else np.nan
    size = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    low, high = boxes[:, :2] - margin * size, boxes[:, 2:] + margin * size
    inside = ((centres[:, None] >= low) & (centres[:, None] <= high)).all(axis=-1)
    distance = np.linalg.norm(centres[:, None] - (boxes[:, :2] + boxes[:, 2:]) / 2, axis=-1)
    distance = np.where(inside, distance, np.inf)
    nearest = distance.argmin(axis=1) if len(sets) else np.zeros(len(centres), np.int64)
    return np.where(inside.any(axis=1), nearest, -1)
