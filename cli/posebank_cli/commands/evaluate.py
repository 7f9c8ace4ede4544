"""``posebank evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from posebank.evaluation import EvaluationSettings
from posebank.evaluation.distances import ROOTS
from posebank.evaluation.selection import SELECTIONS
from posebank_cli import options
from posebank_pipelines.stages.evaluate import evaluate_network, evaluate_predictions


@click.command()
@options.workspace
@click.option("--run", "name", default="default", show_default=True, help="Training run to score.")
@click.option("--split", default="val", show_default=True, help="train, val or test.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="Score these predictions instead of a run's.",
)
@click.option(
    "--truth",
    type=click.Choice(["shards", "annotations"]),
    default="shards",
    show_default=True,
    help="Of --predictions: the people of the shards, or everyone annotated.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Of --predictions: folder for numbers, tables and figures.",
)
@click.option(
    "--threshold",
    type=float,
    default=EvaluationSettings.threshold,
    show_default=True,
    help="Of PCKh and mAP, in head sizes.",
)
@click.option("--strict", is_flag=True, help="A joint at the threshold is wrong.")
@click.option("--visible-only", is_flag=True, help="Score only joints marked as visible.")
@click.option(
    "--root",
    type=click.Choice(ROOTS),
    default=EvaluationSettings.root,
    show_default=True,
    help="Subtracted before the 3D error.",
)
@click.option(
    "--selection",
    type=click.Choice(SELECTIONS),
    default=EvaluationSettings.selection,
    show_default=True,
    help="Which prediction is a person's.",
)
@click.option(
    "--min-iou",
    type=float,
    default=EvaluationSettings.min_iou,
    show_default=True,
    help="Of --selection overlap.",
)
@click.option("--exclusive", is_flag=True, help="A prediction serves one person at most.")
@click.option(
    "--ignore-unannotated", is_flag=True, help="Leave joints without annotation out of mAP."
)
@click.option("--min-score", type=float, help="Leave out predictions of a lower score.")
@click.option(
    "--bootstrap",
    type=click.IntRange(min=0),
    default=EvaluationSettings.bootstrap,
    show_default=True,
    help="Replicates for the intervals.",
)
@options.as_json
def evaluate(
    workspace: Path,
    name: str,
    split: str,
    predictions: Path | None,
    truth: str,
    output: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Score a run's network, before and after training, or predictions from anywhere.

    \b
    Example: posebank evaluate -w workspace --split val
             posebank evaluate -w workspace --predictions found.json --truth annotations
    """
    settings = EvaluationSettings(**chosen)
    if predictions is None:
        if output is not None or truth != "shards":
            raise click.UsageError("--truth, --output: expected --predictions beside them")
        options.show([evaluate_network(workspace, name, settings, split=split)], as_json)
        return
    result = evaluate_predictions(
        workspace, predictions, settings, split=split, truth=truth, output=output
    )
    click.echo(result.to_json() if as_json else result.to_markdown())
