"""``posebank label``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.labelling import CAMERAS, ESTIMATORS, LabelSettings
from posebank_cli import options


@click.command()
@options.workspace
@click.option(
    "--estimator",
    type=click.Choice(ESTIMATORS),
    default=LabelSettings.estimator,
    show_default=True,
    help="Estimator of the 3D pose from the matches.",
)
@click.option(
    "--lifter-steps",
    type=click.IntRange(min=2),
    default=LabelSettings.lifter_steps,
    show_default=True,
    help="Training steps of the lifting network of mixture, which is trained once for a bank.",
)
@click.option(
    "--camera",
    type=click.Choice(CAMERAS),
    help="Camera prior that weighs the candidates, by default that of matching.",
)
@options.cluster
@options.as_json
def label(
    workspace: Path,
    estimator: str,
    lifter_steps: int,
    camera: str | None,
    workers: int,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Make a full-body 2D + 3D label for every matched person.

    Example: posebank label -w workspace --estimator posterior
    """
    from posebank_pipelines.stages.label import label_people

    with options.runner(workers, scheduler) as runner:
        settings = LabelSettings(estimator=estimator, lifter_steps=lifter_steps)
        options.show([label_people(workspace, settings, runner, camera)], as_json)
