"""``posebank evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.evaluation import EvaluationSettings
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
@options.as_json
def evaluate(
    workspace: Path, name: str, split: str, predictions: Path | None, as_json: bool
) -> None:
    """Score a run's network, before and after training, or predictions from anywhere.

    Example: posebank evaluate -w workspace --split val
    """
    settings = EvaluationSettings()
    if predictions is None:
        options.show([evaluate_network(workspace, name, settings, split=split)], as_json)
        return
    result = evaluate_predictions(workspace, predictions, settings, split=split)
    click.echo(result.to_json() if as_json else result.to_markdown())
