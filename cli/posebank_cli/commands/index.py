"""``posebank index``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.matching import MatchSettings
from posebank_cli import options
from posebank_pipelines.camera_degrees import limits_from_degrees


@click.command()
@options.workspace
@click.option(
    "--views",
    type=click.IntRange(min=1),
    default=MatchSettings.n_views,
    show_default=True,
    help="Random views of every pose.",
)
@click.option(
    "--probes",
    type=click.IntRange(min=0),
    default=MatchSettings.probes,
    show_default=True,
    help="Lists to search of an inverted file (IVF), whose recall is measured; 0 is exact.",
)
@options.camera
@options.seed
@options.cluster
@options.as_json
def index(
    workspace: Path,
    views: int,
    probes: int,
    seed: int,
    workers: int,
    scheduler: str | None,
    as_json: bool,
    **camera: object,
) -> None:
    """Index random orthographic views of the workspace's bank (FAISS).

    Example: posebank index -w workspace --views 128
    """
    from posebank_pipelines.stages.index import index as index_stage

    limits = limits_from_degrees(**camera)  # type: ignore[arg-type]
    settings = MatchSettings(n_views=views, probes=probes, limits=limits, seed=seed)
    with options.runner(workers, scheduler) as runner:
        options.show([index_stage(workspace, settings, runner)], as_json)
