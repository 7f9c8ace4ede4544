"""The difference of two sets of predictions over the same people, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.evaluation.groups import protocol_groups
from posebank.evaluation.multi_person import average_precision
from posebank.evaluation.pck import mean_of_known, right_or_not
from posebank.evaluation.predictions import match_image_ids
from posebank.evaluation.scoring import (
    Scored,
    group_detections,
    mean_ap_interval,
    mean_intervals,
    protocol_people,
    score_people,
    scored_enough,
)
from posebank.evaluation.settings import EvaluationSettings
from posebank.evaluation.truth import GroundTruth
from posebank.types import Predictions


def paired_difference(
    first: Predictions,
    second: Predictions,
    truth: GroundTruth,
    settings: EvaluationSettings | None = None,
) -> pd.DataFrame:
    """Score the first predictions less the second, joint by joint over the same people.

    What is difficult is difficult for both, so the interval of the difference is much narrower
    than the intervals of the two scores: whether it holds 0 says whether one is better.

    Parameters
    ----------
    first, second : Predictions
        Predictions of the same images.
    truth : GroundTruth
        The people, as for ``evaluate``.
    settings : EvaluationSettings
        As for ``evaluate``.

    Returns
    -------
    pandas.DataFrame
        One row for each metric: ``metric``, ``difference`` with ``difference_low`` and
        ``difference_high``, the bootstrap interval over images, and ``people`` who count. Shares
        and mAP are in percentage points, 3D errors in millimetres over the people found in both.
    """
    settings = settings or EvaluationSettings()
    matched = [
        match_image_ids(scored_enough(found, settings), truth.image_id)[0]
        for found in (first, second)
    ]
    scores = [score_people(found, truth, settings) for found in matched]
    single = protocol_people(truth)[:, None]

    def share(distances: list[NDArray[np.float64]], threshold: float) -> NDArray[np.float64]:
        ours, theirs = (right_or_not(d, threshold, strict=settings.strict) for d in distances)
        return np.where(single, 100 * (ours - theirs), np.nan)

    heads, torsos = [s.distance for s in scores], [s.torso_distance for s in scores]
    measures = {
        f"PCKh@{settings.threshold:g} (%)": share(heads, settings.threshold),
        "PCKh@1 (%)": share(heads, 1.0),
        f"PCK@{settings.torso_threshold:g}, torso (%)": share(torsos, settings.torso_threshold),
        "MPJPE (mm)": scores[0].absolute - scores[1].absolute,
        "MPJPE, rigid alignment (mm)": scores[0].rigid - scores[1].rigid,
    }
    bounds = np.array(mean_intervals(truth, settings).of(list(measures.values())))
    known = [~np.isnan(values) for values in measures.values()]
    table = pd.DataFrame(
        {
            "metric": list(measures),
            "difference": [
                float(values[counts].mean()) if counts.any() else float("nan")
                for values, counts in zip(measures.values(), known, strict=True)
            ],
            "difference_low": bounds[:, 0],
            "difference_high": bounds[:, 1],
            "people": [int(counts.any(axis=1).sum()) for counts in known],
        }
    )
    return pd.concat([table, _of_groups(matched, scores, truth, settings)], ignore_index=True)


def _of_groups(
    matched: Sequence[Predictions],
    scores: Sequence[Scored],
    truth: GroundTruth,
    settings: EvaluationSettings,
) -> pd.DataFrame:
    """The difference in mAP over the groups of people, in the columns of ``paired_difference``."""
    both = [
        protocol_groups(found, truth, scored.head_size, scored.annotated, settings.group_margin)
        for found, scored in zip(matched, scores, strict=True)
    ]
    images = both[0][1]
    people = sum(len(group.true_2d) for group in both[0][0])

    def row(threshold: float) -> dict[str, str | float]:
        ours, theirs = (group_detections(groups, threshold, settings) for groups, _ in both)

        def difference(weight: NDArray[np.float64]) -> float:
            # The annotated joints are the same, so what is NaN is NaN in both.
            return mean_of_known(
                average_precision(ours, weight) - average_precision(theirs, weight)
            )

        low, high = mean_ap_interval(difference, images, settings)
        return {
            "metric": f"mAP@{threshold:g} (%)",
            "difference": difference(np.ones(len(images))),
            "difference_low": low,
            "difference_high": high,
            "people": people,
        }

    return pd.DataFrame([row(threshold) for threshold in (settings.threshold, 1.0) if people])
