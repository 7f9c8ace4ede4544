"""Which of the poses predicted in an image is scored against which person.

Section 4.2 of the paper: "we detect the poses over the whole image and use the localization
information only for evaluation, i.e., to select the pose that corresponds to each ground-truth".
The localisation is the box around the person's joints. How it selects is not said; the rules:

- ``overlap`` (default): the highest-scored pose among those with an IoU of ``min_iou`` at least;
  if there is none, as ``iou``. A detector is judged by what it is surest of. Of two people who
  overlap, both may get the better scored one's pose, so that even a perfect prediction is below
  100% without ``exclusive``.
- ``iou``: the pose whose box (around its 2D joints) has the largest IoU, above 0, with the
  person's box, whatever its score. It prefers the unlikely pose whose box happens to fit.
- ``centre``: the pose whose body centre is nearest to the person's.
- ``score``: the highest-scored pose in the image (one person per image: Human3.6M).

Nobody but the box (or the centre) is looked at, so the choice says nothing of the joints. One pose
may be selected for two people unless ``exclusive``: then the pairs are fixed from the best down.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.evaluation.settings import SELECTIONS, Selection
from posebank.geometry.overlap import pairwise_iou
from posebank.skeleton import body_centre


def boxes_of(
    joints_2d: NDArray[np.floating], use: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return boxes (n, 4), x1 y1 x2 y2, around the joints (n, 13, 2) where ``use`` (n, 13) is true.

    NaN where no joint may be used.
    """
    joints = np.asarray(joints_2d, np.float64)
    use = np.ones(joints.shape[:-1], bool) if use is None else use
    low = np.where(use[..., None], joints, np.inf).min(axis=1)
    high = np.where(use[..., None], joints, -np.inf).max(axis=1)
    box = np.concatenate([low, high], axis=1)
    return np.where(np.isfinite(box).all(axis=1, keepdims=True), box, np.nan)


def _preferences(
    rule: Selection,
    pred_2d: NDArray[np.floating],
    score: NDArray[np.floating],
    true_2d: NDArray[np.floating],
    known: NDArray[np.bool_],
    min_iou: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two sort keys (n_true, n_pred), larger is better; -inf in the first forbids the pair."""
    by_score = np.broadcast_to(score, (len(true_2d), len(pred_2d)))
    if rule == "score":
        return np.zeros(by_score.shape), by_score
    if rule == "centre":
        boxes = boxes_of(true_2d, known)
        centre = np.where(
            known.all(axis=1, keepdims=True),
            body_centre(true_2d),
            (boxes[:, :2] + boxes[:, 2:]) / 2,
        )
        offset = centre[:, None] - body_centre(pred_2d)[None]
        near = -np.hypot(offset[..., 0], offset[..., 1])
        return np.where(np.isnan(near), -np.inf, near), by_score
    predicted = np.asarray(
        np.isfinite(pred_2d).all(axis=-1)
    )  # other people's files may lack joints
    iou = pairwise_iou(boxes_of(true_2d, known), boxes_of(pred_2d, predicted))
    allowed = np.where(iou > 0, iou, -np.inf)
    if rule == "iou":
        return allowed, by_score
    # Poses that overlap enough come first, by score; the others after them, by overlap.
    return np.where(iou >= min_iou, 2.0, allowed), np.where(iou >= min_iou, by_score, 0.0)


def select(
    pred_image: NDArray[np.object_],
    pred_2d: NDArray[np.floating],
    score: NDArray[np.floating],
    true_image: NDArray[np.object_],
    true_2d: NDArray[np.floating],
    known: NDArray[np.bool_],
    *,
    rule: Selection = "overlap",
    min_iou: float = 0.5,
    exclusive: bool = False,
) -> NDArray[np.int64]:
    """Return the row of the prediction selected for each person, -1 for none.

    Parameters
    ----------
    pred_image : array (n_pred,)
        Image id of each prediction.
    pred_2d : array (n_pred, 13, 2), pixels
        Predicted joints.
    score : array (n_pred,)
        Score of each prediction.
    true_image : array (n_true,)
        Image id of each person.
    true_2d : array (n_true, 13, 2), pixels
        True joints.
    known : array (n_true, 13)
        Which true joints may be used for the person's box.
    rule : Selection
        One of ``SELECTIONS``.
    min_iou : float
        Smallest overlap (IoU) of a selected prediction.
    exclusive : bool
        Select each prediction for one person at most.

    Returns
    -------
    (n_true,) int64. Ties go to the earlier prediction.
    """
    if rule not in SELECTIONS:
        raise ValueError(f"expected a selection among {', '.join(SELECTIONS)}, got {rule!r}")
    pred_2d = np.asarray(pred_2d, np.float64)
    true_2d = np.asarray(true_2d, np.float64)
    score = np.asarray(score, np.float64)
    if rule == "score" and not exclusive:
        return _best_of_image(pred_image, score, true_image)
    rows = _rows_of(pred_image)
    chosen = np.full(len(true_image), -1, np.int64)
    choose = _pair_up if exclusive else _best_of_each
    for image, people in _rows_of(true_image).items():
        candidates = rows.get(image)
        if candidates is None:
            continue
        first, second = _preferences(
            rule, pred_2d[candidates], score[candidates], true_2d[people], known[people], min_iou
        )
        which = choose(first, second)
        chosen[people] = np.where(which >= 0, candidates[which], -1)
    return chosen


def _rows_of(images: NDArray[np.object_]) -> dict[str, NDArray[np.int64]]:
    """Rows of each image."""
    rows: dict[str, list[int]] = {}
    for row, image in enumerate(images):
        rows.setdefault(image, []).append(row)
    return {image: np.array(members, np.int64) for image, members in rows.items()}


def _best_of_image(
    pred_image: NDArray[np.object_], score: NDArray[np.floating], true_image: NDArray[np.object_]
) -> NDArray[np.int64]:
    """Row of the highest-scored prediction of each person's image."""
    best: dict[str, int] = {}
    # Written from the last in the order to the first, so that the first stays.
    for row in np.argsort(-score, kind="stable")[::-1].tolist():
        best[pred_image[row]] = row
    return np.array([best.get(image, -1) for image in true_image], np.int64)


def _best_of_each(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.int64]:
    """Best allowed column of each row of the preferences, or -1."""
    top = first.max(axis=1, keepdims=True)
    best = np.where(first == top, second, -np.inf).argmax(axis=1)
    return np.where(top[:, 0] > -np.inf, best, -1)


def _pair_up(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.int64]:
    """As ``_best_of_each``, no column twice: pairs are fixed from the best down."""
    n_true, n_pred = first.shape
    order = np.lexsort((np.tile(np.arange(n_pred), n_true), -second.ravel(), -first.ravel()))
    chosen = np.full(n_true, -1, np.int64)
    used = np.zeros(n_pred, bool)
    for pair in order:
        person, pose = divmod(int(pair), n_pred)
        if chosen[person] < 0 and not used[pose] and first[person, pose] > -np.inf:
            chosen[person] = pose
            used[pose] = True
    return chosen
