"""MPII's multi-person protocol: average precision of joints over groups of people.

The steps (Pishchulin et al., DeepCut; section 4.2 of the paper), in each group:

1. A prediction's PCK to a person is the share of the person's annotated joints that it finds
   within ``threshold`` x the person's head size.
2. Each prediction keeps the person it is best for; each person takes its best prediction, if that
   found at least one joint. Ties go to the first in order.
3. Every joint of an assigned prediction is right or wrong; joints of the others are false
   positives. Joints that the person has no annotation of are false positives too in the official
   evaluator (``unannotated="false_positive"``); ``"ignore"`` leaves them out.
4. Over all groups, predicted joints are sorted by score; recall counts the annotated joints;
   AP is the area under the monotone envelope of precision over recall; mAP the mean over joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebank.evaluation.settings import Unannotated
from posebank.skeleton import N_JOINTS


@dataclass(frozen=True)
class Group:
    """The people of one group and the predictions that are scored against them.

    pred_2d : (n_pred, 13, 2) pixels; score : (n_pred,).
    true_2d : (n_true, 13, 2) pixels; annotated : (n_true, 13); head_size : (n_true,) pixels.
    """

    pred_2d: NDArray[np.float64]
    score: NDArray[np.float64]
    true_2d: NDArray[np.float64]
    annotated: NDArray[np.bool_]
    head_size: NDArray[np.float64]


@dataclass(frozen=True)
class Detections:
    """Predicted joints of all groups, labelled: what average precision is computed from.

    group : (n,) position of the group; score : (n,); right : (n, 13) bool;
    counted : (n, 13) bool, whether the joint is scored at all.
    total : (n_groups, 13) annotated joints.
    """

    group: NDArray[np.int64]
    score: NDArray[np.float64]
    right: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    total: NDArray[np.int64]


def assign_group(
    group: Group, threshold: float, *, strict: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return which prediction each person takes, and which of its joints it finds.

    Returns
    -------
    taken : (n_true,) row of the prediction, -1 for none.
    match : (n_pred, n_true, 13) bool, joints within the threshold.
    """
    n_pred, n_true = len(group.pred_2d), len(group.true_2d)
    if n_pred == 0 or n_true == 0:
        return np.full(n_true, -1, np.int64), np.zeros((n_pred, n_true, N_JOINTS), bool)
    difference = group.pred_2d[:, None] - group.true_2d[None]
    distance = np.hypot(difference[..., 0], difference[..., 1]) / group.head_size[:, None]
    match = (distance < threshold if strict else distance <= threshold) & group.annotated
    annotated = np.maximum(group.annotated.sum(axis=1), 1)
    pck = match.sum(axis=2) / annotated  # (n_pred, n_true)
    best = pck.argmax(axis=1)
    pck[np.arange(n_true) != best[:, None]] = 0
    taken = np.where(pck.max(axis=0) > 0, pck.argmax(axis=0), -1)
    return taken.astype(np.int64), match


def detect(
    groups: Sequence[Group],
    threshold: float = 0.5,
    *,
    strict: bool = False,
    unannotated: Unannotated = "false_positive",
) -> Detections:
    """Label every predicted joint of every group as right or wrong."""
    sizes = [len(g.pred_2d) for g in groups]
    n = sum(sizes)
    right, counted = np.zeros((n, N_JOINTS), bool), np.ones((n, N_JOINTS), bool)
    total = np.zeros((len(groups), N_JOINTS), np.int64)
    start = 0
    for row, group in enumerate(groups):
        taken, match = assign_group(group, threshold, strict=strict)
        total[row] = group.annotated.sum(axis=0)
        for person in np.flatnonzero(taken >= 0):
            right[start + taken[person]] = match[taken[person], person]
            if unannotated == "ignore":
                counted[start + taken[person]] = group.annotated[person]
        counted[start : start + sizes[row]] &= np.isfinite(group.pred_2d).all(axis=-1)
        start += sizes[row]
    score = np.concatenate([g.score for g in groups]) if groups else np.zeros(0)
    return Detections(np.repeat(np.arange(len(groups)), sizes), score, right, counted, total)


def average_precision(
    detections: Detections, group_weight: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Return the AP of each joint (13,), percent; NaN for a joint that nobody has annotated.

    Parameters
    ----------
    detections : Detections
        Detections with their scores and matches.
    group_weight : array (n_groups,) or None
        How often each group counts (the bootstrap's); 1 by default.

    Notes
    -----
    Equal scores keep their order in the input.
    """
    order = np.argsort(-detections.score, kind="stable")
    weight = (
        np.ones(len(detections.total)) if group_weight is None else np.asarray(group_weight, float)
    )
    total = weight @ detections.total
    each = weight[detections.group[order]]
    result = np.full(N_JOINTS, np.nan)
    for joint in range(N_JOINTS):
        if total[joint] <= 0:
            continue
        w = each * detections.counted[order, joint]
        found = np.cumsum(w * detections.right[order, joint])
        seen = np.cumsum(w)
        keep = w > 0
        result[joint] = 100 * area_under_envelope(
            found[keep] / total[joint], found[keep] / np.maximum(seen[keep], 1e-300)
        )
    return result


def area_under_envelope(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """Return the area under the smallest non-increasing curve above precision over recall (n,)."""
    recall = np.concatenate([[0.0], recall])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope))


def mpii_map(
    groups: Sequence[Group],
    threshold: float = 0.5,
    *,
    strict: bool = False,
    unannotated: Unannotated = "false_positive",
) -> tuple[float, NDArray[np.float64]]:
    """Return mAP@threshold and the AP of each joint (13,), percent."""
    ap = average_precision(detect(groups, threshold, strict=strict, unannotated=unannotated))
    known = ap[~np.isnan(ap)]
    return (float(known.mean()) if len(known) else float("nan")), ap
