"""The benchmark of labels: 3D error by estimator and hidden joints, and how good trust is.

    python benchmarks/bench_labels.py [truth] [people] [banks] [lifter] [trust]

All of them by default. ``truth``: HDM05 actors, bank CMU, joints hidden at random and cut off by
the image's border. ``people``: joints hidden as they are missing in LSPE and MPII people.
``banks``: CMU subjects left out of banks of the other CMU subjects, HDM05, and both, without
``mixture``. ``lifter``: the lifting network of ``mixture`` alone. ``trust``: fitted on the CMU
subjects, each left out of a bank of the others in turn, and tested on the HDM05 actors, whom
nothing was chosen on; in both, a fifth as many people each are seen by any camera or matched with a
bank of three clips. ``reliability.png`` is drawn beside the results. A network is trained for the
test, and for ``trust`` one more for each bank: minutes each.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from _common import ROOT, report
from bench_matching import lspe_people, mpii_people, real_bank
from numpy.typing import NDArray
from scipy.stats import spearmanr

from posebank.geometry.cameras import CameraLimits
from posebank.labelling import ESTIMATORS
from posebank.labelling.completion import complete
from posebank.labelling.estimators import Posterior, mixture, nearest, posterior
from posebank.labelling.lifter import LifterSettings, lift, train_lifter
from posebank.labelling.trust import FEATURES, TRUSTED_MM, TrustModel, fit_trust, trust_features
from posebank.labelling.truth import (
    SeenPeople,
    TruthSettings,
    pose_errors_mm,
    see_people,
    truth_benchmark,
    without_subjects,
)
from posebank.matching import MatchSettings, match
from posebank.skeleton import is_annotated
from posebank.types import Matches, PoseBank

PARTS = ("truth", "people", "banks", "lifter", "trust")
TEST_SUBJECTS = ("hdm05/bd", "hdm05/dg")
BANK_SUBJECTS = ("cmu/16", "cmu/49")
PAPER = MatchSettings(matcher="views", k=1)
PICTURE = ROOT / "benchmarks" / "results" / "reliability.png"


def labelled(
    bank: PoseBank, seen: SeenPeople, net: torch.nn.Module
) -> tuple[Matches, Posterior, dict[str, NDArray[np.float64]]]:
    """Matches, what the estimators made of them, and each one's poses."""
    matches, rejected = match(bank, seen.people, MatchSettings())
    assert not rejected
    given = seen.people.joints_2d, is_annotated(seen.people.state)
    found = posterior(bank, matches, *given)
    poses = {
        "nearest": nearest(bank, matches),
        "posterior": found.pose,
        "mixture": mixture(found, lift(net, *given)),
    }
    return matches, found, poses


def trust_data(
    bank: PoseBank, held_out: PoseBank, settings: TruthSettings, training: LifterSettings
) -> pd.DataFrame:
    """``trust_rows`` of people like those of the bank, and of two kinds that it does not explain.

    The kinds: ``within``, ``any camera`` (most are beyond the limits of matching), ``few clips``.
    """
    net = train_lifter(bank, training)
    fewer = replace(settings, n_people=max(settings.n_people // 5, 1))
    clips = np.random.default_rng(settings.seed).choice(np.unique(bank.clip.astype(str)), 3)
    few = bank.take(np.isin(bank.clip.astype(str), clips))
    tables = {
        "within": trust_rows(bank, held_out, settings, net),
        "any camera": trust_rows(bank, held_out, replace(fewer, limits=CameraLimits.free()), net),
        "few clips": trust_rows(few, held_out, fewer, train_lifter(few, training)),
    }
    return pd.concat([table.assign(kind=kind) for kind, table in tables.items()], ignore_index=True)


def trust_rows(
    bank: PoseBank, held_out: PoseBank, settings: TruthSettings, net: torch.nn.Module
) -> pd.DataFrame:
    """Features, hidden count and true errors of labelled people whose pose is known."""
    tables = []
    for count in settings.hidden:
        seen = see_people(held_out, count, settings)
        matches, found, poses = labelled(bank, seen, net)
        table = pd.DataFrame(trust_features(matches, found), columns=list(FEATURES))
        table["hidden"] = count
        for name, pose in poses.items():
            table[name] = pose_errors_mm(pose, seen.joints_3d)[0]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def left_out_in_turn(
    bank: PoseBank, settings: TruthSettings, training: LifterSettings
) -> pd.DataFrame:
    """``trust_data`` of a bank's own subjects."""
    tables = []
    for subject in sorted({f"{d}/{s}" for d, s in zip(bank.dataset, bank.subject, strict=True)}):
        tables.append(trust_data(*without_subjects(bank, [subject]), settings, training))
    return pd.concat(tables, ignore_index=True)


def lifter_alone(held_out: PoseBank, settings: TruthSettings, net: torch.nn.Module) -> pd.DataFrame:
    """Errors of the lifting network."""
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


def reliability(model: TrustModel, people: pd.DataFrame, estimator: str) -> dict[str, Any]:
    """Rank correlation, the better half, and the reliability diagram."""
    features, errors = people[list(FEATURES)].to_numpy(), people[estimator].to_numpy()
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


def truth(
    bank: PoseBank,
    held_out: PoseBank,
    settings: TruthSettings,
    net: torch.nn.Module | None,
    patterns: Any = None,
) -> list[dict[str, Any]]:
    """Every estimator on the best cameras, beside the paper's way; mixture if there is a net."""
    names = [name for name in ESTIMATORS if net is not None or name != "mixture"]
    table = pd.concat(
        [
            truth_benchmark(bank, held_out, [PAPER], ["nearest"], settings, patterns),
            truth_benchmark(bank, held_out, [MatchSettings()], names, settings, patterns, net),
        ]
    ).sort_values("hidden", kind="stable")
    paper = table[table["matcher"] == "views k=1"].set_index("hidden")["error_mm"]
    table["less_than_paper_percent"] = 100 * (1 - table["error_mm"] / table["hidden"].map(paper))
    return show(table)


def show(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Print a table; its rows."""
    print(table.to_string(index=False, float_format="%.1f"), flush=True)
    return records(table)


def trust(
    bank: PoseBank,
    held_out: PoseBank,
    settings: TruthSettings,
    training: LifterSettings,
) -> dict[str, Any]:
    """Fit the trust of each estimator, and test it."""
    known = left_out_in_turn(bank, settings, training)
    tested = trust_data(bank, held_out, settings, training)
    within = tested[tested["kind"] == "within"]
    results: dict[str, Any] = {}
    for name in ESTIMATORS:
        model = fit_trust(known[list(FEATURES)].to_numpy(), known[name].to_numpy())
        results[name] = {"model": asdict(model)}
        for kind, people in tested.groupby("kind"):
            results[name][kind] = reliability(model, people, name)
        results[name]["rank_correlation_by_hidden"] = {
            count: reliability(model, within[within["hidden"] == count], name)["rank_correlation"]
            for count in settings.hidden
        }
    draw({name: r["within"]["reliability"] for name, r in results.items()}, PICTURE)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--people", type=int, default=250)
    parser.add_argument("--lifter-steps", type=int, default=LifterSettings.steps)
    parser.add_argument("--lifter-width", type=int, default=LifterSettings.width)
    chosen = parser.parse_args()
    parts = chosen.parts or PARTS
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"expected parts among {', '.join(PARTS)}, found {unknown[0]}")
    bank = real_bank()
    settings = TruthSettings(n_people=chosen.people)
    test = without_subjects(bank, TEST_SUBJECTS)
    training = LifterSettings(width=chosen.lifter_width, steps=chosen.lifter_steps)
    net = train_lifter(test[0], training) if set(parts) & {"truth", "people", "lifter"} else None
    results: dict[str, Any] = {}
    if "truth" in parts:
        results["random"] = truth(*test, settings, net)
        cut = replace(settings, hiding="truncated", hidden=(2, 4, 6))
        results["truncated"] = truth(*test, cut, net)
    if "people" in parts:
        real = replace(settings, hiding="people", hidden=(1, 2, 4, 6))
        for name, people in (("lspe", lspe_people()), ("mpii", mpii_people())):
            results[f"hidden as in {name}"] = truth(*test, real, net, is_annotated(people.state))
    if "banks" in parts:
        rest, held_out = without_subjects(bank, BANK_SUBJECTS)
        for names in (("cmu",), ("hdm05",), ("cmu", "hdm05")):
            print(f"bank {'+'.join(names)}")
            some = rest.take(np.isin(rest.dataset.astype(str), names))
            results[f"bank {'+'.join(names)}"] = truth(some, held_out, settings, None)
    if net is not None and "lifter" in parts:
        results["lifter"] = show(lifter_alone(test[1], settings, net))
    if "trust" in parts:
        results["trust"] = {"features": FEATURES, **trust(*test, settings, training)}
    report("labels", results)


if __name__ == "__main__":
    main()
