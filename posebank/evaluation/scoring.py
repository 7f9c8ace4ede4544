"""Score predictions against ground truth with the paper's metrics (section 4)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.evaluation.bootstrap import Interval, interval, ratio_interval
from posebank.evaluation.breakdown import breakdown, rarity_bins
from posebank.evaluation.distances import aligned_errors_mm, joint_errors_mm, pixel_errors
from posebank.evaluation.groups import protocol_groups
from posebank.evaluation.headsize import HEAD_SIZE_SOURCES, head_sizes, torso_sizes
from posebank.evaluation.multi_person import Detections, average_precision, detect
from posebank.evaluation.pck import (
    PckScore,
    area_under_curve,
    pck_curve,
    relative_distances,
    share_within,
)
from posebank.evaluation.predictions import match_image_ids
from posebank.evaluation.result import EvaluationResult
from posebank.evaluation.selection import select
from posebank.evaluation.settings import EvaluationSettings
from posebank.evaluation.truth import GroundTruth
from posebank.skeleton import JOINT_NAMES, N_JOINTS, JointState, is_annotated
from posebank.types import Anchors, Predictions

CURVE = np.round(np.linspace(0, 1, 101), 2)
"""Thresholds of the PCKh curve (Figure 6 left)."""


@dataclass(frozen=True)
class Scored:
    """What each person's selected prediction scores; what pictures and breakdowns are made from.

    selected : (n,) row of the prediction, -1 for none.
    distance : (n, 13) 2D distance in head sizes, NaN where the joint does not count.
    torso_distance : the same in torso sizes. pixels : the same in pixels, NaN where not found.
    absolute, rigid, similarity : (n, 13) 3D errors, mm, NaN where there is no prediction or truth.
    head_size : (n,) pixels, head_source : (n,) position in ``HEAD_SIZE_SOURCES``.
    annotated : (n, 13) joints that are scored in 2D.
    """

    selected: NDArray[np.int64]
    distance: NDArray[np.float64]
    torso_distance: NDArray[np.float64]
    pixels: NDArray[np.float64]
    absolute: NDArray[np.float64]
    rigid: NDArray[np.float64]
    similarity: NDArray[np.float64]
    head_size: NDArray[np.float64]
    head_source: NDArray[np.uint8]
    annotated: NDArray[np.bool_]


def protocol_people(truth: GroundTruth) -> NDArray[np.bool_]:
    """People (n,) of the single-person protocol: those marked so, all where nobody is marked."""
    marked = truth.single_person == 1
    return marked if marked.any() else np.ones(len(truth), bool)


def score_people(
    predictions: Predictions, truth: GroundTruth, settings: EvaluationSettings
) -> Scored:
    """Select a prediction for each person and measure every joint."""
    annotated = is_annotated(truth.state)
    if settings.visible_only:
        annotated = truth.state == JointState.VISIBLE
    head_size, head_source = head_sizes(
        truth.head_box, truth.joints_2d, truth.state, fallback=settings.head_fallback
    )
    selected = select(
        predictions.image_id, predictions.joints_2d, predictions.score,
        truth.image_id, truth.joints_2d, truth.state != JointState.MISSING,
        rule=settings.selection_rule, min_iou=settings.min_iou, exclusive=settings.exclusive,
    )  # fmt: skip
    found = selected >= 0
    pred_2d = np.full((len(truth), N_JOINTS, 2), np.nan)
    pred_2d[found] = predictions.joints_2d[selected[found]]
    pixels = pixel_errors(pred_2d, truth.joints_2d, annotated)
    torso = torso_sizes(truth.joints_2d, truth.state)
    errors = {name: np.full((len(truth), N_JOINTS), np.nan) for name in ("no", "rigid", "sim")}
    has_3d = np.isfinite(truth.joints_3d).all(axis=(1, 2)) & found
    rows = np.flatnonzero(has_3d)
    rows = rows[np.isfinite(predictions.joints_3d[selected[rows]]).all(axis=(1, 2))]
    pred_3d, true_3d = predictions.joints_3d[selected[rows]], truth.joints_3d[rows]
    errors["no"][rows] = joint_errors_mm(pred_3d, true_3d, root=settings.root_name)
    errors["rigid"][rows], errors["sim"][rows] = aligned_errors_mm(pred_3d, true_3d)
    return Scored(
        selected=selected,
        distance=relative_distances(pred_2d, truth.joints_2d, head_size, annotated),
        torso_distance=relative_distances(pred_2d, truth.joints_2d, torso, annotated),
        pixels=pixels,
        absolute=errors["no"],
        rigid=errors["rigid"],
        similarity=errors["sim"],
        head_size=head_size,
        head_source=head_source,
        annotated=annotated,
    )


def scored_enough(predictions: Predictions, settings: EvaluationSettings) -> Predictions:
    """The predictions that ``min_score`` lets through."""
    if settings.min_score is None:
        return predictions
    return predictions.take(predictions.score >= settings.min_score)


def evaluate(
    predictions: Predictions,
    truth: GroundTruth,
    settings: EvaluationSettings | None = None,
    *,
    anchors: Anchors | None = None,
) -> EvaluationResult:
    """Score predictions made on whole images.

    Parameters
    ----------
    anchors : the anchor-poses, for scores by rarity of the pose (Figure 6 right).

    Returns
    -------
    Numbers
        ``pckh`` and ``pck`` over the people of the single-person protocol; ``map`` over the groups
        of the multi-person protocol; ``mpjpe`` and ``pixels`` over everybody who has the truth and
        was found. ``unknown_images`` counts predictions of images that are not in the truth.
    Tables
        ``joints``, ``datasets``, ``annotated`` (by number of annotated joints), ``actions`` (where
        known), ``rarity`` (with ``anchors``), ``curve``.
    """
    settings = settings or EvaluationSettings()
    predictions = scored_enough(predictions, settings)
    predictions, unknown = match_image_ids(predictions, truth.image_id)
    scored = score_people(predictions, truth, settings)
    single = protocol_people(truth)
    draw = _Draws(truth, settings)
    ap, map_numbers = _multi_person(predictions, truth, scored, settings)
    numbers = {
        "images": len(set(truth.image_id)),
        "people": len(truth),
        "found": int((scored.selected >= 0).sum()),
        "predictions": len(predictions),
        "unknown_images": unknown,
        "pckh": _pckh(scored, single, settings, draw),
        "pck": _torso(scored, single, settings, draw),
        "map": map_numbers,
        "mpjpe": _mpjpe(scored, truth, settings, draw),
        "pixels": {
            "mean": _mean(scored.pixels),
            "interval": draw.mean_interval(scored.pixels),
        },
        "settings": asdict(settings),
    }
    return EvaluationResult(numbers, _tables(scored, truth, single, settings, ap, anchors))


class _Draws:
    """Bootstrap intervals of means over people, drawn by image."""

    def __init__(self, truth: GroundTruth, settings: EvaluationSettings) -> None:
        names, self._image = np.unique(truth.image_id.astype(str), return_inverse=True)
        self._n_images = len(names)
        self._settings = settings

    def mean_interval(self, values: NDArray[np.float64], factor: float = 1.0) -> Interval:
        """Interval of ``factor`` x the mean of what is finite or inf, not NaN, in (n, 13)."""
        counted = ~np.isnan(values)
        part = np.bincount(
            self._image, np.where(counted, values, 0).sum(axis=1), minlength=self._n_images
        )
        whole = np.bincount(self._image, counted.sum(axis=1), minlength=self._n_images)
        low, high = ratio_interval(
            factor * part, whole, replicates=self._settings.bootstrap,
            confidence=self._settings.confidence, rng=np.random.default_rng(self._settings.seed),
        )  # fmt: skip
        return low, high

    def share_interval(
        self, distance: NDArray[np.float64], threshold: float, strict: bool
    ) -> Interval:
        """Interval of the weighted share within the threshold, percent."""
        right = distance < threshold if strict else distance <= threshold
        return self.mean_interval(np.where(np.isnan(distance), np.nan, right), 100)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _share(score: PckScore) -> dict[str, float]:
    return {
        "weighted": score.weighted,
        "unweighted": score.unweighted,
        "limbs_weighted": score.limbs_weighted,
        "limbs_unweighted": score.limbs_unweighted,
    }


def _pckh(
    scored: Scored, single: NDArray[np.bool_], settings: EvaluationSettings, draw: _Draws
) -> dict[str, object]:
    distance = np.where(single[:, None], scored.distance, np.nan)
    sources = np.bincount(scored.head_source[single], minlength=len(HEAD_SIZE_SOURCES))
    score = share_within(distance, settings.threshold, strict=settings.strict)
    wide = share_within(distance, 1.0, strict=settings.strict)
    return {
        "threshold": settings.threshold,
        **_share(score),
        "interval": draw.share_interval(distance, settings.threshold, settings.strict),
        "at_1": wide.weighted,
        "auc_0_to_0.5": area_under_curve(distance, 0.5),
        "auc_0_to_1": area_under_curve(distance, 1.0),
        "people": int((~np.isnan(distance)).any(axis=1).sum()),
        "joints": int((~np.isnan(distance)).sum()),
        "head_size_source": dict(zip(HEAD_SIZE_SOURCES, sources.tolist(), strict=True)),
    }


def _torso(
    scored: Scored, single: NDArray[np.bool_], settings: EvaluationSettings, draw: _Draws
) -> dict[str, object]:
    distance = np.where(single[:, None], scored.torso_distance, np.nan)
    score = share_within(distance, settings.torso_threshold, strict=settings.strict)
    return {
        "threshold": settings.torso_threshold,
        **_share(score),
        "interval": draw.share_interval(distance, settings.torso_threshold, settings.strict),
        "people": int((~np.isnan(distance)).any(axis=1).sum()),
    }


def _mpjpe(
    scored: Scored, truth: GroundTruth, settings: EvaluationSettings, draw: _Draws
) -> dict[str, object]:
    result: dict[str, object] = {"root": settings.root}
    for name in ("absolute", "rigid", "similarity"):
        errors = getattr(scored, name)
        result[name] = _mean(errors)
        result[f"{name}_interval"] = draw.mean_interval(errors)
    has_truth = np.isfinite(truth.joints_3d).all(axis=(1, 2))
    measured = ~np.isnan(scored.absolute[:, 0])
    result["people"] = int(measured.sum())
    result["not_found"] = int((has_truth & ~measured).sum())
    result["truth"] = sorted(set(truth.provenance[has_truth]))
    return result


def _multi_person(
    predictions: Predictions, truth: GroundTruth, scored: Scored, settings: EvaluationSettings
) -> tuple[NDArray[np.float64], dict[str, object]]:
    groups, images = protocol_groups(
        predictions, truth, scored.head_size, scored.annotated, settings.group_margin
    )

    def at(threshold: float) -> Detections:
        return detect(groups, threshold, strict=settings.strict, unannotated=settings.unannotated)

    detections = at(settings.threshold)
    ap = average_precision(detections)
    image_of = np.unique(np.array(images, dtype=str), return_inverse=True)[1]
    bounds = interval(
        lambda weight: _mean(average_precision(detections, weight[image_of])),
        len(set(images)),
        # Each replicate sorts nothing but sums 13 joints; a fifth of the replicates will do.
        replicates=min(settings.bootstrap, 200),
        confidence=settings.confidence,
        rng=np.random.default_rng(settings.seed),
    )
    return ap, {
        "threshold": settings.threshold,
        "value": _mean(ap),
        "interval": bounds,
        "at_1": _mean(average_precision(at(1.0))),
        "groups": len(groups),
        "images": len(set(images)),
        "people": int(sum(len(g.true_2d) for g in groups)),
    }


def _tables(
    scored: Scored,
    truth: GroundTruth,
    single: NDArray[np.bool_],
    settings: EvaluationSettings,
    ap: NDArray[np.float64],
    anchors: Anchors | None,
) -> dict[str, pd.DataFrame]:
    distance = np.where(single[:, None], scored.distance, np.nan)
    pck = share_within(distance, settings.threshold, strict=settings.strict)
    torso = np.where(single[:, None], scored.torso_distance, np.nan)
    joints = pd.DataFrame(
        {
            "joint": JOINT_NAMES,
            "annotated": pck.count,
            "pckh": pck.per_joint,
            "pck_torso": share_within(
                torso, settings.torso_threshold, strict=settings.strict
            ).per_joint,
            "ap": ap,
            "pixels": [_mean(column) for column in scored.pixels.T],
            "absolute_mm": [_mean(column) for column in scored.absolute.T],
            "rigid_mm": [_mean(column) for column in scored.rigid.T],
            "similarity_mm": [_mean(column) for column in scored.similarity.T],
        }
    )

    def by(name: str, keys: NDArray) -> pd.DataFrame:
        return breakdown(name, keys, scored, distance, settings)

    tables = {
        "joints": joints,
        "datasets": by("dataset", truth.dataset),
        "annotated": by("annotated", scored.annotated.sum(axis=1)),
    }
    if any(a != "" for a in truth.action):
        tables["actions"] = by("action", truth.action)
    if anchors is not None:
        tables["rarity"] = by("rarity_mm", rarity_bins(anchors, truth.joints_3d))
    tables["curve"] = pd.DataFrame(
        {"threshold": CURVE, "pckh": pck_curve(distance, CURVE, strict=settings.strict)}
    )
    return tables
