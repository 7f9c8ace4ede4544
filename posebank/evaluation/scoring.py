"""Score predictions against ground truth with the paper's metrics (section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.evaluation.bootstrap import Interval, MeanIntervals, interval
from posebank.evaluation.breakdown import Measures, breakdown, by_joint, rarity_bins
from posebank.evaluation.coco_keypoints import coco_ap, coco_ap_of_file
from posebank.evaluation.groups import protocol_groups
from posebank.evaluation.headsize import HEAD_SIZE_SOURCES, head_sizes, torso_sizes
from posebank.evaluation.multi_person import Detections, Group, average_precision, detect
from posebank.evaluation.pck import (
    PckScore,
    area_of_joints,
    area_under_curve,
    mean_of_known,
    pck_curve,
    relative_distances,
    right_or_not,
    share_within,
)
from posebank.evaluation.predictions import match_image_ids
from posebank.evaluation.result import EvaluationResult
from posebank.evaluation.selection import select
from posebank.evaluation.settings import EvaluationSettings
from posebank.evaluation.truth import GroundTruth, sampling_units
from posebank.geometry.joint_errors import aligned_errors_mm, joint_errors_mm, pixel_errors
from posebank.skeleton import MIRROR, N_JOINTS, JointState, is_annotated
from posebank.types import Anchors, Predictions

CURVE = np.round(np.linspace(0, 1, 101), 2)
"""Thresholds of the PCKh curve (Figure 6 left)."""


@dataclass(frozen=True)
class Scored:
    """What each person's selected prediction scores; what pictures and breakdowns are made from.

    selected : (n,) row of the prediction, -1 for none.
    distance : (n, 13) 2D distance in head sizes, NaN where the joint does not count.
    torso_distance : the same in torso sizes. pixels : the same in pixels, NaN where not found.
    exchanged : (n,) 1 where the prediction is nearer in 2D with left and right exchanged, else 0;
    NaN where nothing was found.
    absolute, rigid, similarity : (n, 13) 3D errors, mm, NaN where there is no prediction or truth.
    head_size : (n,) pixels, head_source : (n,) position in ``HEAD_SIZE_SOURCES``.
    annotated : (n, 13) joints that are scored in 2D.
    """

    selected: NDArray[np.int64]
    distance: NDArray[np.float64]
    torso_distance: NDArray[np.float64]
    pixels: NDArray[np.float64]
    exchanged: NDArray[np.float64]
    absolute: NDArray[np.float64]
    rigid: NDArray[np.float64]
    similarity: NDArray[np.float64]
    head_size: NDArray[np.float64]
    head_source: NDArray[np.uint8]
    annotated: NDArray[np.bool_]


def protocol_people(truth: GroundTruth) -> NDArray[np.bool_]:
    """Return the people (n,) of the single-person protocol: those marked so, all of a data set
    without marks.

    MPII marks them; LSP and COCO do not.
    """
    marked = truth.single_person == 1
    with_marks = list(set(truth.dataset[marked]))
    result: NDArray[np.bool_] = marked | ~np.isin(truth.dataset.astype(str), with_marks)
    return result


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
        predictions.image_id,
        predictions.joints_2d,
        predictions.score,
        truth.image_id,
        truth.joints_2d,
        truth.state != JointState.MISSING,
        rule=settings.selection_rule,
        min_iou=settings.min_iou,
        exclusive=settings.exclusive,
    )
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
        exchanged=_exchanged(pixels, pixel_errors(pred_2d[:, MIRROR], truth.joints_2d, annotated)),
        absolute=errors["no"],
        rigid=errors["rigid"],
        similarity=errors["sim"],
        head_size=head_size,
        head_source=head_source,
        annotated=annotated,
    )


def _exchanged(pixels: NDArray[np.float64], mirrored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whether the errors (n, 13) are smaller in sum after left and right were exchanged."""
    both = ~np.isnan(pixels)
    smaller = np.where(both, mirrored - pixels, 0).sum(axis=1) < 0
    return np.where(both.any(axis=1), smaller, np.nan)


def scored_enough(predictions: Predictions, settings: EvaluationSettings) -> Predictions:
    """Return the predictions that ``min_score`` lets through."""
    if settings.min_score is None:
        return predictions
    return predictions.take(predictions.score >= settings.min_score)


def evaluate(
    predictions: Predictions,
    truth: GroundTruth,
    settings: EvaluationSettings | None = None,
    *,
    anchors: Anchors | None = None,
    coco: Path | None = None,
) -> EvaluationResult:
    """Score predictions made on whole images.

    Parameters
    ----------
    predictions : Predictions
        Predictions of the images.
    truth : GroundTruth
        The people and their true joints.
    settings : EvaluationSettings or None
        Metrics and thresholds; the defaults are the paper's.
    anchors : Anchors or None
        The anchor-poses, for scores by rarity of the pose (Figure 6 right).
    coco : Path or None
        A COCO annotation file; ``oks`` is then scored against it, with its own areas and
        crowds, instead of against ``truth``.

    Returns
    -------
    Numbers
        ``pckh`` and ``pck`` over the people of the single-person protocol; ``map`` over the groups
        of the multi-person protocol; ``oks``: AP of keypoints; ``mpjpe`` and ``pixels`` over
        everybody who has the truth and was found; ``exchanged``: share of those found whose
        prediction is nearer in 2D with left and right exchanged. ``unknown_images`` counts
        predictions of images that are not in the truth, ``warnings`` says so in a sentence.
    Tables
        ``joints``, ``datasets``, ``annotated`` (by number of annotated joints), ``actions`` (where
        known), ``rarity`` (with ``anchors``), ``curve``.
    """
    settings = settings or EvaluationSettings()
    predictions = scored_enough(predictions, settings)
    predictions, unknown = match_image_ids(predictions, truth.image_id)
    scored = score_people(predictions, truth, settings)
    single = protocol_people(truth)
    draw = mean_intervals(truth, settings)
    ap, map_numbers = _multi_person(predictions, truth, scored, settings)
    numbers = {
        "images": len(set(truth.image_id)),
        "people": len(truth),
        "found": int((scored.selected >= 0).sum()),
        "predictions": len(predictions),
        "unknown_images": unknown,
        "warnings": _warnings(predictions, truth, unknown),
        "pckh": _pckh(scored, single, settings, draw),
        "pck": _torso(scored, single, settings, draw),
        "map": map_numbers,
        "mpjpe": _mpjpe(scored, truth, settings, draw),
        "pixels": {"mean": mean_of_known(scored.pixels), "interval": draw.of([scored.pixels])[0]},
        "exchanged": {
            "share": 100 * mean_of_known(scored.exchanged),
            "interval": draw.of([100 * scored.exchanged[:, None]])[0],
        },
        "oks": _oks(predictions, truth, coco),
        "settings": asdict(settings),
    }
    return EvaluationResult(numbers, _tables(scored, truth, single, settings, draw, ap, anchors))


def _warnings(predictions: Predictions, truth: GroundTruth, unknown: int) -> list[str]:
    """Return sentences for above the tables: predictions that no ground truth scores."""
    n = len(predictions)
    if not n:
        return ["there are no predictions"]
    if not unknown:
        return []
    images = set(truth.image_id)
    example = next(i for i in predictions.image_id if i not in images)
    some = f"none of the {n:,} predictions is" if unknown == n else f"{unknown:,} of {n:,} are not"
    return [
        f"{some} of an image in the ground truth; for example {example!r}, where the ground truth "
        f"has {truth.image_id[0]!r}. COCO results need the annotation file of their image ids: "
        "--coco FILE"
    ]


def _oks(predictions: Predictions, truth: GroundTruth, coco: Path | None) -> dict[str, Any]:
    """AP of keypoints over the people who are not Human3.6M's.

    One person alone in a laboratory is not what AP is for, and pycocotools would take minutes over
    the many frames.
    """
    if coco is not None:
        return {"truth": coco.name, **coco_ap_of_file(predictions, coco)}
    return {"truth": "areas guessed", **coco_ap(predictions, truth.take(truth.dataset != "h36m"))}


def mean_intervals(truth: GroundTruth, settings: EvaluationSettings) -> MeanIntervals:
    """Return the intervals of means over the people of the ground truth."""
    return MeanIntervals(
        sampling_units(truth),
        replicates=settings.bootstrap,
        confidence=settings.confidence,
        seed=settings.seed,
    )


def _share(score: PckScore) -> dict[str, float]:
    return {
        "weighted": score.weighted,
        "unweighted": score.unweighted,
        "limbs_weighted": score.limbs_weighted,
        "limbs_unweighted": score.limbs_unweighted,
    }


def _pckh(
    scored: Scored, single: NDArray[np.bool_], settings: EvaluationSettings, draw: MeanIntervals
) -> dict[str, object]:
    distance = np.where(single[:, None], scored.distance, np.nan)
    sources = np.bincount(scored.head_source[single], minlength=len(HEAD_SIZE_SOURCES))
    score = share_within(distance, settings.threshold, strict=settings.strict)
    shares = {
        "interval": right_or_not(distance, settings.threshold, strict=settings.strict),
        "at_1_interval": right_or_not(distance, 1.0, strict=settings.strict),
        "auc_0_to_0.5_interval": area_of_joints(distance, 0.5),
        "auc_0_to_1_interval": area_of_joints(distance, 1.0),
    }
    return {
        "threshold": settings.threshold,
        **_share(score),
        "at_1": share_within(distance, 1.0, strict=settings.strict).weighted,
        "auc_0_to_0.5": area_under_curve(distance, 0.5),
        "auc_0_to_1": area_under_curve(distance, 1.0),
        **dict(zip(shares, draw.of([100 * share for share in shares.values()]), strict=True)),
        "people": int((~np.isnan(distance)).any(axis=1).sum()),
        "joints": int((~np.isnan(distance)).sum()),
        "head_size_source": dict(zip(HEAD_SIZE_SOURCES, sources.tolist(), strict=True)),
    }


def _torso(
    scored: Scored, single: NDArray[np.bool_], settings: EvaluationSettings, draw: MeanIntervals
) -> dict[str, object]:
    distance = np.where(single[:, None], scored.torso_distance, np.nan)
    score = share_within(distance, settings.torso_threshold, strict=settings.strict)
    right = right_or_not(distance, settings.torso_threshold, strict=settings.strict)
    return {
        "threshold": settings.torso_threshold,
        **_share(score),
        "interval": draw.of([100 * right])[0],
        "people": int((~np.isnan(distance)).any(axis=1).sum()),
    }


def _mpjpe(
    scored: Scored, truth: GroundTruth, settings: EvaluationSettings, draw: MeanIntervals
) -> dict[str, object]:
    result: dict[str, object] = {"root": settings.root}
    errors = {name: getattr(scored, name) for name in ("absolute", "rigid", "similarity")}
    bounds = draw.of(list(errors.values()))
    for (name, values), (low, high) in zip(errors.items(), bounds, strict=True):
        result[name] = mean_of_known(values)
        result[f"{name}_interval"] = (low, high)
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
    near, wide = (group_detections(groups, t, settings) for t in (settings.threshold, 1.0))

    def bounds(detections: Detections) -> Interval:
        low, high = mean_ap_interval(
            lambda weight: mean_of_known(average_precision(detections, weight)), images, settings
        )
        return (float(np.clip(low, 0, 100)), float(np.clip(high, 0, 100)))

    ap = average_precision(near)
    return ap, {
        "threshold": settings.threshold,
        "value": mean_of_known(ap),
        "interval": bounds(near),
        "at_1": mean_of_known(average_precision(wide)),
        "at_1_interval": bounds(wide),
        "groups": len(groups),
        "images": len(set(images)),
        "people": int(sum(len(g.true_2d) for g in groups)),
    }


def group_detections(
    groups: Sequence[Group], threshold: float, settings: EvaluationSettings
) -> Detections:
    """Return the joints of the groups' predictions that are right within ``threshold``."""
    return detect(groups, threshold, strict=settings.strict, unannotated=settings.unannotated)


def mean_ap_interval(
    statistic: Callable[[NDArray[np.float64]], float],
    images: Sequence[str],
    settings: EvaluationSettings,
) -> Interval:
    """Return the interval of a statistic of the groups' weights; ``images`` are the groups'."""
    names, image_of = np.unique(np.array(images, dtype=str), return_inverse=True)
    return interval(
        lambda weight: statistic(weight[image_of]),
        len(names),
        # Each replicate sums all detections of 13 joints; a fifth of the replicates will do.
        replicates=min(settings.bootstrap, 200),
        confidence=settings.confidence,
        rng=np.random.default_rng(settings.seed),
    )


def _tables(
    scored: Scored,
    truth: GroundTruth,
    single: NDArray[np.bool_],
    settings: EvaluationSettings,
    draw: MeanIntervals,
    ap: NDArray[np.float64],
    anchors: Anchors | None,
) -> dict[str, pd.DataFrame]:
    distance = np.where(single[:, None], scored.distance, np.nan)
    torso = np.where(single[:, None], scored.torso_distance, np.nan)
    measures = Measures(
        pckh=100 * right_or_not(distance, settings.threshold, strict=settings.strict),
        pck_torso=100 * right_or_not(torso, settings.torso_threshold, strict=settings.strict),
        pixels=scored.pixels,
        absolute_mm=scored.absolute,
        rigid_mm=scored.rigid,
        similarity_mm=scored.similarity,
    )

    def by(name: str, keys: NDArray[Any]) -> pd.DataFrame:
        return breakdown(name, keys, scored.selected >= 0, measures, draw)

    joints = by_joint(measures, draw)
    joints.insert(list(joints.columns).index("pixels"), "ap", ap)
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
