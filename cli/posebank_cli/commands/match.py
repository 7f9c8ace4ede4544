"""``posebank match``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.labelling import CAMERAS
from posebank.matching import DEVICES, MATCHERS, MatchSettings
from posebank_cli import options
from posebank_pipelines.camera_degrees import prior_from_degrees


@click.command()
@options.workspace
@click.option(
    "--matcher",
    type=click.Choice(MATCHERS),
    default=MatchSettings.matcher,
    show_default=True,
    help="Search for the best pose and camera.",
)
@click.option(
    "-k",
    type=click.IntRange(min=1),
    default=MatchSettings.k,
    show_default=True,
    help="Matches kept per person.",
)
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default=MatchSettings.device,
    show_default=True,
    help="Device that computes bounds; auto takes a GPU if there is one. The matches are the same.",
)
@click.option(
    "--camera",
    type=click.Choice(CAMERAS),
    help="Camera prior: fitted to each data set (the default of viewfree), photographs, level, or "
    "any (every camera alike).",
)
@options.camera
@options.camera_prior
@options.cluster
@options.as_json
def match(
    workspace: Path,
    matcher: str,
    k: int,
    device: str,
    workers: int,
    scheduler: str | None,
    as_json: bool,
    camera: str | None,
    prior_elevation_deg: float | None,
    prior_elevation_spread_deg: float | None,
    prior_roll_spread_deg: float | None,
    **limits: object,
) -> None:
    """Match every annotated person of the workspace with its bank.

    The views are those of the workspace's index; where there is none, one is built.

    Example: posebank match -w workspace --matcher viewfree -k 10
    """
    from posebank_pipelines.stages.match import match_people, match_settings

    prior = prior_from_degrees(
        prior_elevation_deg, prior_elevation_spread_deg, prior_roll_spread_deg
    )
    settings = match_settings(workspace, matcher, k, device, prior, **limits)
    with options.runner(workers, scheduler) as runner:
        options.show([match_people(workspace, settings, runner, camera)], as_json)
