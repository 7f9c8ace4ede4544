"""``posebank query``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from posebank.labelling.truth import HIDING, TruthSettings
from posebank_cli import options
from posebank_pipelines.query import (
    QUERY_BY,
    query_banks,
    query_pose,
    query_truth,
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
    metavar="SUBJECTS",
    help="3D error of labels of MoCap people who are left out of the bank: DATASET/SUBJECT,...",
)
@click.option(
    "--people",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="People of --truth for each number of hidden joints.",
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
             posebank query -w workspace --truth hdm05/bd,hdm05/dg
             posebank query -w workspace --pose person.json --picture match.png
    """
    label: dict[str, Any] | None = None
    combinations = [b.split(",") for b in banks]
    with options.runner(workers, scheduler) as runner:
        if pose is not None:
            given = Path(pose).read_text() if pose.endswith(".json") else pose
            table, label = query_pose(workspace, given, k, picture)
        elif truth is not None:
            subjects = truth.split(",")
            steps = lifter_steps or 0
            table = query_truth(workspace, subjects, combinations, people, hiding, steps)
        elif banks:
            table = query_banks(workspace, combinations, by, runner)
        else:
            table = query_workspace(workspace, by)
    if as_json:
        rows = table.astype(object).where(table.notna(), None).to_dict(orient="records")
        options.echo_json(
            {"by": by, "rows": rows} if label is None else {"rows": rows, "label": label}
        )
        return
    click.echo(_text(table))
    if label is not None:
        click.echo(_label_text(label))


def _text(table: pd.DataFrame) -> str:
    """A table whose errors stand under one heading each."""
    shown = table.copy()
    for column in [c for c in table.columns if table[c].dtype.kind == "f"]:
        digits = 3 if column.startswith("error_norm") else 1
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
