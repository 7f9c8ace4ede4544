"""``posebank anchors``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.anchors import AnchorSettings
from posebank_cli import options
from posebank_pipelines.stages.anchors import anchors as anchors_stage


@click.command()
@options.workspace
@click.option(
    "-k",
    type=click.IntRange(min=1),
    default=AnchorSettings.k,
    show_default=True,
    help="Number of full-body anchor-poses.",
)
@click.option(
    "--upper-body/--full-body-only",
    default=AnchorSettings.upper_body,
    help="Add an upper-body anchor for each.",
)
@click.option(
    "--from",
    "source",
    type=click.Choice(["labels", "bank"]),
    default=AnchorSettings.source,
    show_default=True,
    help="Poses to cluster: the labels, or the bank in random views.",
)
@options.seed
@options.as_json
def anchors(
    workspace: Path, k: int, upper_body: bool, source: str, seed: int, as_json: bool
) -> None:
    """Fit anchor-poses by K-means.

    Example: posebank anchors -w workspace -k 100 --upper-body
    """
    settings = AnchorSettings(k=k, upper_body=upper_body, source=source, seed=seed)
    options.show([anchors_stage(workspace, settings)], as_json)
