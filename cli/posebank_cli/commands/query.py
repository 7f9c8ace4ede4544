"""``posebank query``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from posebank.labelling.known_people import HIDING, SEEN_BY, TRUTH_CAMERAS, TruthSettings
from posebank.labelling.truth import compare_ways
from posebank.skeleton import N_JOINTS
from posebank_cli import options
from posebank_pipelines.query import (
    QUERY_BY,
    query_banks,
    query_pose,
    query_truth,
    query_views,
    query_workspace,
)

_MEASURES = ("error_norm", "error_mm")


@click.command()
@options.workspace
@click.option("--by", type=click.Choice(QUERY_BY), default="dataset", show_default=True)
@click.option(
    "--banks",
    multiple=True,
    metavar="A,B",
    help="Match with only these MoCap sets; repeat to compare what each adds.",
)
@click.option(
    "--truth",
    metavar="SUBJECTS|FILE",
    help="3D error of labels of MoCap people who are left out of the bank, DATASET/SUBJECT,..., "
    "or of people whose 3D joints were measured in views, a JSON file (see docs/matching.md).",
)
@click.option(
    "--people",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="People of --truth for each number of hidden joints.",
)
@click.option(
    "--seen-by",
    type=click.Choice(list(SEEN_BY)),
    multiple=True,
    default=(TruthSettings.seen_by,),
    show_default=True,
    help="Cameras that see the MoCap people of --truth: elevation -30 to 60 and roll within 20 "
    "degrees; level; any roll; any; or 70 % level and 30 % any roll. Repeat for several.",
)
@click.option(
    "--camera",
    type=click.Choice(TRUTH_CAMERAS),
    multiple=True,
    help="Camera prior of the labels of --truth, by default that of the workspace; limits: none, "
    "elevation -30 to 60 and roll within 20 degrees. Repeat to compare several.",
)
@click.option(
    "--hidden",
    type=click.IntRange(0, N_JOINTS - 4),
    multiple=True,
    default=TruthSettings.hidden,
    show_default=True,
    help="Joints that the people of --truth lack. Repeat for several.",
)
@click.option(
    "--hiding",
    type=click.Choice(HIDING),
    default=TruthSettings.hiding,
    show_default=True,
    help="Joints hidden by --truth: any, the lowest, or those that the workspace's people lack.",
)
@click.option(
    "--lifter-steps",
    type=click.IntRange(min=2),
    help="Measure the estimator mixture in --truth too, its lifting network trained in so many "
    "steps (label takes 3000: minutes) for each bank.",
)
@click.option(
    "--pose",
    metavar="JSON",
    help="One 2D pose, as JSON or a JSON file: 13 x,y pairs (null for a missing joint), or an "
    "object of x,y pairs by name of joint.",
)
@click.option("-k", type=click.IntRange(min=1), default=5, show_default=True, help="Matches.")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the matches of --pose.")
@options.cluster
@options.as_json
def query(
    workspace: Path,
    by: str,
    banks: tuple[str, ...],
    truth: str | None,
    people: int,
    seen_by: tuple[str, ...],
    camera: tuple[str, ...],
    hidden: tuple[int, ...],
    hiding: str,
    lifter_steps: int | None,
    pose: str | None,
    k: int,
    picture: Path | None,
    workers: int,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Tell how large the matching error is, and what each MoCap set adds.

    \b
    Example: posebank query -w workspace --banks cmu --banks cmu,hdm05 --by dataset
             posebank query -w workspace --truth hdm05/bd,hdm05/dg --seen-by level
             posebank query -w workspace --truth views.json
             posebank query -w workspace --pose person.json --picture match.png
    """
    label: dict[str, Any] | None = None
    compared: pd.DataFrame | None = None
    combinations = [b.split(",") for b in banks]
    with options.runner(workers, scheduler) as runner:
        if pose is not None:
            given = Path(pose).read_text("utf-8") if pose.endswith(".json") else pose
            table, label = query_pose(workspace, given, k, picture)
        elif truth is not None:
            steps = lifter_steps or 0
            if truth.endswith(".json"):
                views = Path(truth)
                table, set_aside = query_views(workspace, views, combinations, steps, camera)
                options.show_rejected(set_aside)
            else:
                table = query_truth(
                    workspace,
                    truth.split(","),
                    combinations,
                    people,
                    hidden,
                    hiding,
                    steps,
                    seen_by,
                    camera,
                )
            compared = compare_ways(table)
        elif banks:
            table = query_banks(workspace, combinations, by, runner)
        else:
            table = query_workspace(workspace, by)
    if as_json:
        result: dict[str, Any] = {"by": by} if label is None else {"label": label}
        result["rows"] = _records(table)
        if compared is not None:
            result["compared"] = _records(compared)
        options.echo_json(result)
        return
    click.echo(_text(table))
    if compared is not None:
        click.echo(f"\nerror_mm of the posterior by way\n{_text(compared)}")
    if label is not None:
        click.echo(_label_text(label))


def _records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Return the rows of a table, None where a number is not known, for JSON."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _text(table: pd.DataFrame) -> str:
    """A table whose errors stand under one heading each."""
    shown = table.copy()
    for column in [c for c in table.columns if table[c].dtype.kind == "f"]:
        digits = 3 if column.startswith("error_norm") else 2 if " / " in column else 1
        shown[column] = [f"{v:.{digits}f}" if np.isfinite(v) else "-" for v in table[column]]
    heads = []
    for column in table.columns:
        measure = next((m for m in _MEASURES if column.startswith(f"{m}_")), None)
        heads.append(("", column) if measure is None else (measure, column[len(measure) + 1 :]))
    if any(head for head, _ in heads):
        shown.columns = pd.MultiIndex.from_tuples(heads)
    return shown.to_string(index=False)


def _label_text(label: Mapping[str, Any]) -> str:
    completed = [
        f"{name} ({x:.1f}, {y:.1f})"
        for name, (x, y) in label["joints_2d"].items()
        if name in label["completed"]
    ]
    weights = ", ".join(f"{mode['weight']:.2f}" for mode in label["modes"])
    return (
        f"label: trust {label['trust']:.2f}, ambiguity {label['ambiguity_mm']:.0f} mm, "
        f"modes {len(label['modes'])} (weights {weights})\n"
        f"completed: {', '.join(completed) or 'none'}"
    )
