"""The benchmark of labels: 3D error by camera, estimator and hidden joints, and how good trust is.

    python benchmarks/bench_labels.py [truth] [people] [views] [trust] [--people N] [--fit]

All of them by default. ``truth``: HDM05 actors bd and dg with the bank CMU, and CMU subjects 16
and 49 with the other CMU subjects; seen by every kind of camera and labelled in the paper's way,
with the former default limits and with the fitted camera prior. ``people``: joints hidden as they
are missing in LSPE and MPII people. ``views``: people whose 3D joints were measured. ``trust``:
each group of actors is left out of the bank and of the fit in turn, across CMU and HDM05, and trust
is tested on them; with ``--fit`` the models of all actors are written into the package.
``reliability.png`` is drawn beside the results.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from _common import ROOT, SHARED_DATA, report
from bench_matching import lspe_people, mpii_people, real_bank
from numpy.typing import NDArray
from scipy.stats import spearmanr

from posebank.labelling import ESTIMATORS
from posebank.labelling.camera_prior import camera_penalties, match_datasets
from posebank.labelling.estimators import mixture, nearest, posterior
from posebank.labelling.known_people import (
    SEEN_BY,
    TruthSettings,
    read_views,
    simulate_people,
    without_subjects,
)
from posebank.labelling.lifter import LifterSettings, lift, train_lifter
from posebank.labelling.trust import (
    FEATURES,
    TRUSTED_MM,
    fit_trust,
    save_models,
    trust_features,
)
from posebank.labelling.truth import (
    PAPER,
    benchmark_ways,
    compare_ways,
    pose_errors_mm,
    priors_of,
    truth_benchmark,
    view_benchmark,
    way_of_camera,
)
from posebank.matching import MatchSettings
from posebank.skeleton import is_annotated
from posebank.types import PoseBank

Array = NDArray[np.float64]

PARTS = ("truth", "people", "views", "trust")
TESTS = {"hdm05": ("hdm05/bd", "hdm05/dg"), "cmu": ("cmu/16", "cmu/49")}
GROUPS = (("cmu/16", "cmu/49", "cmu/09"), ("cmu/127", "cmu/02"), ("hdm05/bd", "hdm05/dg"))
"""Actors who are left out together."""
TRUST_HIDDEN = (0, 2, 4, 6, 8)
PICTURE = ROOT / "benchmarks" / "results" / "reliability.png"


def without_mixture(cameras: Sequence[str]) -> list[Any]:
    """The paper's way and the posterior with each camera prior."""
    return [PAPER, *(way_of_camera(c, MatchSettings(), ["posterior"]) for c in cameras)]


def truth(bank: PoseBank, n_people: int) -> list[dict[str, Any]]:
    """Errors by kind of camera, hidden joints and way, of actors who are not in the bank."""
    tables = []
    for name, subjects in TESTS.items():
        rest, held_out = without_subjects(bank, subjects)
        rest = rest.take(rest.dataset == "cmu")
        for seen_by in SEEN_BY:
            settings = TruthSettings(n_people, seen_by=seen_by)
            ways = without_mixture(["limits", "fitted", "photographs", "any"])
            table = truth_benchmark(rest, held_out, ways, settings)
            table.insert(0, "actors", name)
            tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    print(compare_ways(table).to_string(index=False, float_format="%.3g"), flush=True)
    return show(table)


def as_missing_in_people(bank: PoseBank, n_people: int) -> list[dict[str, Any]]:
    """Errors with joints hidden as they are missing in LSPE and MPII people."""
    rest, held_out = without_subjects(bank, TESTS["hdm05"])
    tables = []
    for name, people in (("lspe", lspe_people()), ("mpii", mpii_people())):
        settings = TruthSettings(n_people, hidden=(1, 2, 4, 6), hiding="people")
        patterns = is_annotated(people.state)
        ways = without_mixture(["limits", "fitted"])
        table = truth_benchmark(rest, held_out, ways, settings, patterns)
        tables.append(table.assign(hidden_as_in=name))
    return show(pd.concat(tables, ignore_index=True))


def views(bank: PoseBank) -> list[dict[str, Any]]:
    """Errors of people in real views."""
    known, _ = read_views(SHARED_DATA / "real3d" / "views.json")
    ways = benchmark_ways(["limits", "fitted"], MatchSettings(), with_lifter=False)
    return show(view_benchmark(bank, known, ways))


def trust_data(
    bank: PoseBank, held_out: PoseBank, n_people: int, net: torch.nn.Module | None
) -> pd.DataFrame:
    """Features of trust and true errors of each estimator, of people seen by every camera."""
    tables = []
    way = way_of_camera("fitted", MatchSettings(), [])
    for seen_by in SEEN_BY:
        settings = TruthSettings(n_people, TRUST_HIDDEN, seen_by=seen_by)
        priors = priors_of(way, bank, simulate_people(held_out, 0, settings).people)
        for hidden in TRUST_HIDDEN:
            known = simulate_people(held_out, hidden, settings)
            matches, rejected = match_datasets(bank, known.people, way.settings, priors)
            assert not rejected
            given = known.people.joints_2d, is_annotated(known.people.state)
            penalty = camera_penalties(matches.rotation, known.people.dataset, priors)
            estimate = posterior(bank, matches, *given, penalty)
            table = pd.DataFrame(trust_features(matches, estimate), columns=list(FEATURES))
            poses = {"nearest": nearest(bank, matches), "posterior": estimate.pose}
            if net is not None:
                poses["mixture"] = mixture(estimate, lift(net, *given))
            for name, pose in poses.items():
                table[name] = pose_errors_mm(pose, known.joints_3d)[0]
            tables.append(table.assign(seen_by=seen_by, hidden=hidden))
    return pd.concat(tables, ignore_index=True)


def reliability(trust: Array, errors: Array) -> dict[str, Any]:
    """Rank correlation, the better half, labels of high trust, and the reliability diagram."""
    better, high = trust >= np.median(trust), trust >= 0.85
    within = errors < TRUSTED_MM
    eighths = np.array_split(np.argsort(trust, kind="stable"), 8)
    return {
        "people": len(errors),
        "rank_correlation": float(spearmanr(-trust, errors).statistic),
        "better_half_over_all": float(errors[better].mean() / errors.mean()),
        "high_trust": int(high.sum()),
        "high_trust_within": float(within[high].mean()) if high.any() else None,
        "trust_within": [
            (round(float(trust[b].mean()), 2), round(float(within[b].mean()), 2)) for b in eighths
        ],
    }


def trust(bank: PoseBank, n_people: int, training: LifterSettings, fit: bool) -> dict[str, Any]:
    """Test trust on actors left out of bank and fit, and fit it to all."""
    tables = []
    for group in GROUPS:
        rest, held_out = without_subjects(bank, group)
        net = train_lifter(rest, training)
        tables.append(trust_data(rest, held_out, n_people, net).assign(group=group[0]))
    known = pd.concat(tables, ignore_index=True)
    PICTURE.parent.mkdir(exist_ok=True)
    known.to_parquet(PICTURE.with_name("trust.parquet"))
    results: dict[str, Any] = {}
    models, diagrams = {}, {}
    group, seen_by = known["group"].to_numpy(), known["seen_by"].to_numpy()
    features = known[list(FEATURES)].to_numpy()
    for name in ESTIMATORS:
        errors = known[name].to_numpy()
        trust = np.empty(len(known))
        for one in set(group):
            out = group == one
            trust[out] = fit_trust(features[~out], errors[~out]).trust(features[out])
        results[name] = {
            rows: reliability(trust[some], errors[some])
            for rows, some in [
                ("all", group != ""),
                *((kind, seen_by == kind) for kind in SEEN_BY),
                *((f"without {one}", group == one) for one in sorted(set(group))),
            ]
        }
        diagrams[name] = results[name]["all"]["trust_within"]
        models[name] = fit_trust(features, errors)
        print(name, results[name], flush=True)
    draw(diagrams)
    if fit:
        save_models(models)
    return results


def draw(diagrams: dict[str, list[tuple[float, float]]]) -> None:
    """Trust against the fraction of labels that are right."""
    figure, axes = plt.subplots(figsize=(5, 5))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for name, bins in diagrams.items():
        axes.plot(*zip(*bins, strict=True), marker="o", label=name)
    axes.set(xlabel="trust", ylabel=f"labels within {TRUSTED_MM:.0f} mm", aspect="equal")
    axes.legend()
    figure.savefig(PICTURE, dpi=120)


def show(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Print a table; its rows, without NaN, which JSON does not have."""
    print(table.to_string(index=False, float_format="%.3g"), flush=True)
    rows: list[dict[str, Any]] = table.astype(object).where(table.notna(), None).to_dict("records")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--people", type=int, default=250)
    parser.add_argument("--lifter-steps", type=int, default=LifterSettings.steps)
    parser.add_argument("--fit", action="store_true", help="write the trust models")
    chosen = parser.parse_args()
    parts = chosen.parts or PARTS
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"expected parts among {', '.join(PARTS)}, found {unknown[0]}")
    bank = real_bank()
    results: dict[str, Any] = {}
    if "truth" in parts:
        results["truth"] = truth(bank, chosen.people)
    if "people" in parts:
        results["people"] = as_missing_in_people(bank, chosen.people)
    if "views" in parts:
        results["views"] = views(bank)
    if "trust" in parts:
        training = LifterSettings(steps=chosen.lifter_steps)
        results["trust"] = trust(bank, chosen.people, training, chosen.fit)
    report("labels", results)


if __name__ == "__main__":
    main()
