"""``posebank query``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank_cli import options
from posebank_pipelines.query import (
    QUERY_BY,
    query_banks,
    query_pose,
    query_truth,
    query_workspace,
)


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
@click.option("--pose", help="One 2D pose: 13 x,y pairs as JSON (null for a missing joint).")
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
    """
    combinations = [b.split(",") for b in banks]
    with options.runner(workers, scheduler) as runner:
        if pose is not None:
            table = query_pose(workspace, pose, k, picture)
        elif truth is not None:
            table = query_truth(workspace, truth.split(","), combinations, people)
        elif banks:
            table = query_banks(workspace, combinations, by, runner)
        else:
            table = query_workspace(workspace, by)
    if as_json:
        rows = table.astype(object).where(table.notna(), None).to_dict(orient="records")
        options.echo_json({"by": by, "rows": rows})
    else:
        click.echo(table.to_string(index=False, float_format=lambda v: f"{v:.4g}"))
