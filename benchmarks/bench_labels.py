"""The benchmark of labels: 3D error by estimator and hidden joints, and how good trust is.

    python benchmarks/bench_labels.py

Trust is fitted on the CMU subjects, each left out of a bank of the others in turn, and tested on
both HDM05 actors (bank: CMU), who are what every other number here is of too. The lifting network
is trained on the same bank. ``reliability.png`` is drawn beside the results.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _common import ROOT, report
from bench_matching import real_bank
from scipy.stats import spearmanr

from posebank.completion import complete
from posebank.matching import ESTIMATORS, MatchSettings, match
from posebank.matching.estimators import nearest, posterior
from posebank.matching.lifter import LifterSettings, lift, train_lifter
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

TEST_SUBJECTS = ("hdm05/bd", "hdm05/dg")
PAPER = MatchSettings(matcher="views", k=1)
PICTURE = ROOT / "benchmarks" / "results" / "reliability.png"


def trust_data(
    bank: PoseBank, held_out: PoseBank, estimator: str, settings: TruthSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, true errors and hidden counts of labelled people whose pose is known."""
    features, errors, hidden = [], [], []
    for count in settings.hidden:
        seen = see_people(held_out, count, settings)
        matches, rejected = match(bank, seen.people, MatchSettings())
        assert not rejected
        found = posterior(bank, matches, seen.people.joints_2d, is_annotated(seen.people.state))
        pose = found.mean if estimator == "posterior" else nearest(bank, matches)
        features.append(trust_features(matches, found))
        errors.append(pose_errors_mm(pose, seen.joints_3d)[0])
        hidden.append(np.full(len(pose), count))
    return np.concatenate(features), np.concatenate(errors), np.concatenate(hidden)


def fitted_on(bank: PoseBank, estimator: str, settings: TruthSettings) -> TrustModel:
    """The trust model of a bank's own subjects, each left out in turn."""
    subjects = sorted({f"{d}/{s}" for d, s in zip(bank.dataset, bank.subject, strict=True)})
    parts = [
        trust_data(*without_subjects(bank, [subject]), estimator, settings)[:2]
        for subject in subjects
    ]
    features, errors = (np.concatenate(part) for part in zip(*parts, strict=True))
    return fit_trust(features, errors)


def lifter_rows(
    bank: PoseBank, held_out: PoseBank, settings: TruthSettings, training: LifterSettings
) -> pd.DataFrame:
    """Errors of the lifting network on the people of ``truth_benchmark``."""
    net = train_lifter(bank, training)
    rows = []
    for count in settings.hidden:
        seen = see_people(held_out, count, settings)
        annotated = is_annotated(seen.people.state)
        pose = lift(net, seen.people.joints_2d, annotated)
        filled, _ = complete(seen.people.joints_2d, seen.people.state, pose)
        miss = np.linalg.norm(filled - seen.joints_2d, axis=-1)[~annotated]
        plain, aligned = pose_errors_mm(pose, seen.joints_3d)
        rows.append(
            {
                "hidden": count,
                "matcher": "-",
                "estimator": f"lifter, width {training.width}, {training.steps} steps",
                "people": len(pose),
                "error_mm": float(plain.mean()),
                "aligned_mm": float(aligned.mean()),
                "completion_px": float(miss.mean()) if len(miss) else None,
            }
        )
    return pd.DataFrame(rows)


def draw(diagrams: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Trust against the fraction of labels that are right."""
    figure, axes = plt.subplots(figsize=(5, 5))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for name, bins in diagrams.items():
        right = [b[f"within_{TRUSTED_MM:.0f}_mm"] for b in bins]
        axes.plot([b["trust"] for b in bins], right, marker="o", label=name)
    axes.set(xlabel="trust", ylabel=f"labels within {TRUSTED_MM:.0f} mm", aspect="equal")
    axes.legend()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


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


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows without NaN, which JSON does not have."""
    rows: list[dict[str, Any]] = table.astype(object).where(table.notna(), None).to_dict("records")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=250)
    parser.add_argument("--lifter-steps", type=int, default=LifterSettings.steps)
    parser.add_argument("--lifter-width", type=int, default=LifterSettings.width)
    chosen = parser.parse_args()
    bank = real_bank()
    settings = TruthSettings(n_people=chosen.people)
    test_bank, test_people = without_subjects(bank, TEST_SUBJECTS)
    results: dict[str, Any] = {"features": FEATURES, "trust": {}}
    for estimator in ESTIMATORS:
        model = fitted_on(test_bank, estimator, settings)
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
    draw({n: t["reliability"] for n, t in results["trust"].items()}, PICTURE)
    training = LifterSettings(width=chosen.lifter_width, steps=chosen.lifter_steps)
    cut = TruthSettings(n_people=chosen.people, hiding="truncated", hidden=(2, 4, 6))
    for name, way in (("truth", settings), ("truncated", cut)):
        parts = [
            truth_benchmark(test_bank, test_people, [PAPER], ["nearest"], way),
            truth_benchmark(test_bank, test_people, [MatchSettings()], ESTIMATORS, way),
        ]
        if name == "truth":
            parts.append(lifter_rows(test_bank, test_people, way, training))
        table = pd.concat(parts).sort_values("hidden", kind="stable")
        paper = table[table["matcher"] == "views k=1"].set_index("hidden")["error_mm"]
        table["less_than_paper_percent"] = 100 * (
            1 - table["error_mm"] / table["hidden"].map(paper)
        )
        print(table.to_string(index=False, float_format="%.1f"))
        results[name] = records(table)
    report("labels", results)


if __name__ == "__main__":
    main()
