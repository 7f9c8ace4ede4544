"""The difference of two sets of predictions over the same people, with its interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.evaluation.pck import right_or_not
from posebank.evaluation.predictions import match_image_ids
from posebank.evaluation.scoring import (
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
        are in percentage points, 3D errors in millimetres over the people found in both.
    """
    settings = settings or EvaluationSettings()
    scores = [
        score_people(
            match_image_ids(scored_enough(found, settings), truth.image_id)[0], truth, settings
        )
        for found in (first, second)
    ]
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
    return pd.DataFrame(
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
