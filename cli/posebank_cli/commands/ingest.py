"""``posebank ingest``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from posebank.mocap import DATASETS, BankSettings
from posebank_cli import options


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
    "--max-speed",
    default=BankSettings.max_speed,
    show_default=True,
    help="Speed of a joint beyond which a frame is set aside, metres per second.",
)
@click.option(
    "--limb-tolerance",
    default=BankSettings.limb_tolerance,
    show_default=True,
    help="Relative change of a limb's length beyond which a frame is set aside.",
)
@click.option(
    "--max-still-s",
    default=BankSettings.max_still_s,
    show_default=True,
    help="Seconds kept of a stretch in which nothing moves.",
)
@options.reading
@options.strict
@options.cluster
@options.as_json
def ingest(
    dataset: str,
    sources: tuple[Path, ...],
    workspace: Path,
    bank_fps: float,
    strict: bool,
    workers: int,
    scheduler: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Read MoCap clips of DATASET from SOURCES (files or folders) into the bank.

    Data sets accumulate, and so do the sources of one data set. Each source is read with the
    --fps, --unit, --up, --joints and --skeleton of the last call that named it; the settings of
    the bank are those of the last call for all of them. The same source again changes nothing.

    Example: posebank ingest cmu /data/cmu/subjects -w workspace
    """
    from posebank_pipelines.stages.ingest import ingest as ingest_stage
    from posebank_pipelines.stages.ingest import known_sources

    read_as = options.read_options(**{name: settings.pop(name) for name in options.READING})
    bank = BankSettings(fps=bank_fps, **settings)
    with options.runner(workers, scheduler) as runner:
        new = {source.resolve(): read_as for source in sources}
        every = known_sources(workspace, dataset) | new
        result = ingest_stage(workspace, dataset, every, bank, runner, strict=strict)
        options.show([result], as_json)
