"""``posebank match``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.matching import MATCHERS, MatchSettings
from posebank_cli import options
from posebank_pipelines.stages.match import match_people, match_settings


@click.command()
@options.workspace
@click.option(
    "--matcher",
    type=click.Choice(MATCHERS),
    default=MatchSettings.matcher,
    show_default=True,
    help="How the best pose and camera are found.",
)
@click.option(
    "-k",
    type=click.IntRange(min=1),
    default=MatchSettings.k,
    show_default=True,
    help="Matches kept per person.",
)
@options.camera
@options.cluster
@options.as_json
def match(
    workspace: Path,
    matcher: str,
    k: int,
    workers: int,
    scheduler: str | None,
    as_json: bool,
    **camera: object,
) -> None:
    """Match every annotated person of the workspace with its bank.

    The views are those of the workspace's index; where there is none, one is built.

    Example: posebank match -w workspace --matcher viewfree -k 10
    """
    settings = match_settings(workspace, matcher, k, **camera)
    with options.runner(workers, scheduler) as runner:
        options.show([match_people(workspace, settings, runner)], as_json)
