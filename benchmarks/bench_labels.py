"""The benchmark of labels: 3D error by estimator and hidden joints, and how good trust is.

    python benchmarks/bench_labels.py

Trust is fitted on CMU subjects 16 and 49 (left out of the bank) and tested on both HDM05 actors
(bank: CMU).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from _common import report
from bench_matching import real_bank
from scipy.stats import spearmanr

from posebank.matching import ESTIMATORS, MatchSettings, match
from posebank.matching.labels import estimate
from posebank.matching.trust import FEATURES, TRUSTED_MM, TrustModel, fit_trust, trust_features
from posebank.matching.truth import (
    TruthSettings,
    pose_errors_mm,
    see_people,
    truth_benchmark,
    without_subjects,
)
from posebank.skeleton import is_annotated
from posebank.types import PoseBank

FIT_SUBJECTS = ("cmu/16", "cmu/49")
TEST_SUBJECTS = ("hdm05/bd", "hdm05/dg")


def trust_data(
    bank: PoseBank, held_out: PoseBank, estimator: str, settings: TruthSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, true errors and hidden counts of labelled people whose pose is known."""
    features, errors, hidden = [], [], []
    for count in settings.hidden:
        seen = see_people(held_out, count, settings)
        matches, rejected = match(bank, seen.people, MatchSettings())
        assert not rejected
        annotated = is_annotated(seen.people.state)
        pose = estimate(bank, matches, seen.people.joints_2d, annotated, estimator)
        features.append(trust_features(bank, matches))
        errors.append(pose_errors_mm(pose, seen.joints_3d)[0])
        hidden.append(np.full(len(pose), count))
    return np.concatenate(features), np.concatenate(errors), np.concatenate(hidden)


def reliability(model: TrustModel, features: np.ndarray, errors: np.ndarray) -> dict[str, Any]:
    """Rank correlation, the better half, and the reliability diagram."""
    trust = model.trust(features)
    better = trust >= np.median(trust)
    bins = np.array_split(np.argsort(trust), 8)
    return {
        "rank_correlation": float(spearmanr(-trust, errors).statistic),
        "rank_correlation_of_2d_residual": float(spearmanr(features[:, 0], errors).statistic),
        "better_half_over_all": float(errors[better].mean() / errors.mean()),
        "reliability": [
            {
                "trust": float(trust[b].mean()),
                f"within_{TRUSTED_MM:.0f}_mm": float((errors[b] < TRUSTED_MM).mean()),
                "people": len(b),
            }
            for b in bins
        ],
    }


def main() -> None:
    bank = real_bank()
    settings = TruthSettings(n_people=250)
    fit_bank, fit_people = without_subjects(bank, FIT_SUBJECTS)
    fit_bank = fit_bank.take(fit_bank.dataset == "cmu")
    test_bank, test_people = without_subjects(bank, TEST_SUBJECTS)
    results: dict[str, Any] = {"features": FEATURES, "trust": {}}
    for estimator in ESTIMATORS:
        model = fit_trust(*trust_data(fit_bank, fit_people, estimator, settings)[:2])
        features, errors, hidden = trust_data(test_bank, test_people, estimator, settings)
        results["trust"][estimator] = {
            "model": asdict(model),
            **reliability(model, features, errors),
            "by_hidden": {
                int(h): reliability(model, features[hidden == h], errors[hidden == h])[
                    "rank_correlation"
                ]
                for h in settings.hidden
            },
        }
    matchers = [MatchSettings(matcher="views"), MatchSettings()]
    table = truth_benchmark(test_bank, test_people, matchers, ESTIMATORS, settings)
    print(table.to_string())
    cut = TruthSettings(n_people=250, hiding="truncated", hidden=(2, 4))
    truncated = truth_benchmark(test_bank, test_people, matchers, ESTIMATORS, cut)
    print(truncated.to_string())
    results["truth"] = table.astype(object).where(table.notna(), None).to_dict(orient="records")
    results["truncated"] = (
        truncated.astype(object).where(truncated.notna(), None).to_dict(orient="records")
    )
    report("labels", results)


if __name__ == "__main__":
    main()
