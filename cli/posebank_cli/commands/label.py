"""``posebank label``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.matching import ESTIMATORS, LabelSettings
from posebank_cli import options
from posebank_pipelines.stages.label import label_people


@click.command()
@options.workspace
@click.option(
    "--estimator",
    type=click.Choice(ESTIMATORS),
    default=LabelSettings.estimator,
    show_default=True,
    help="How the 3D pose is made of the matches.",
)
@options.cluster
@options.as_json
def label(
    workspace: Path, estimator: str, workers: int, scheduler: str | None, as_json: bool
) -> None:
    """Make a full-body 2D + 3D label for every matched person.

    Example: posebank label -w workspace --estimator posterior
    """
    with options.runner(workers, scheduler) as runner:
        options.show([label_people(workspace, LabelSettings(estimator=estimator), runner)], as_json)
