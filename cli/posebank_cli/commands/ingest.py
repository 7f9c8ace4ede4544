"""``posebank ingest``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.mocap import DATASETS, BankSettings
from posebank_cli import options
from posebank_pipelines.stages.ingest import ingest as ingest_stage
from posebank_pipelines.stages.ingest import known_sources


@click.command()
@click.argument("dataset", type=click.Choice(DATASETS))
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.workspace
@click.option("--bank-fps", default=BankSettings.fps, show_default=True, help="Poses per second.")
@click.option(
    "--min-distance-mm",
    default=BankSettings.min_distance_mm,
    show_default=True,
    help="Poses closer than this to a kept one are dropped.",
)
@click.option("--mirror/--no-mirror", default=BankSettings.mirror, help="Add mirrored poses.")
@click.option(
    "--retarget/--no-retarget",
    default=BankSettings.retarget,
    help="Put all poses on the limbs of one adult 1.70 m tall.",
)
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True),
    help="Frame rate of the clips, over what is known of them.",
)
@options.unit
@options.strict
@options.cluster
@options.as_json
def ingest(
    dataset: str,
    sources: tuple[Path, ...],
    workspace: Path,
    bank_fps: float,
    min_distance_mm: float,
    mirror: bool,
    retarget: bool,
    fps: float | None,
    unit: str | None,
    strict: bool,
    workers: int,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Read MoCap clips of DATASET from SOURCES (files or folders) into the bank.

    Data sets accumulate, and so do the sources of one data set; the same source again changes
    nothing.

    Example: posebank ingest cmu /data/cmu/subjects -w workspace
    """
    settings = BankSettings(
        fps=bank_fps, min_distance_mm=min_distance_mm, mirror=mirror, retarget=retarget
    )
    with options.runner(workers, scheduler) as runner:
        every = [*known_sources(workspace, dataset), *sources]
        result = ingest_stage(
            workspace, dataset, every, settings, runner, fps=fps, unit=unit, strict=strict
        )
        options.show([result], as_json)
