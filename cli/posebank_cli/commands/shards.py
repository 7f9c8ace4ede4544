"""``posebank shards``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.shards import ShardSettings
from posebank_cli import options


@click.command()
@options.workspace
@click.option(
    "--embed/--reference",
    default=ShardSettings.embed,
    show_default=True,
    help="Store the images' bytes, or only their paths.",
)
@click.option(
    "--images-per-shard",
    type=click.IntRange(min=1),
    default=ShardSettings.images_per_shard,
    show_default=True,
    help="Images in one Parquet file.",
)
@click.option(
    "--images-per-row-group",
    type=click.IntRange(min=1),
    default=ShardSettings.images_per_row_group,
    show_default=True,
    help="Images that are read at a time; few suit random access.",
)
@click.option(
    "--max-side",
    type=click.IntRange(min=0),
    metavar="PIXELS",
    default=ShardSettings.max_side,
    show_default=True,
    help="Shrink images whose longer side is longer, and their labels; 0 keeps every file as is.",
)
@options.cluster
@options.as_json
def shards(
    workspace: Path,
    embed: bool,
    images_per_shard: int,
    images_per_row_group: int,
    max_side: int,
    workers: int,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Write the labels with their images as Parquet shards.

    Example: posebank shards -w workspace
    """
    from posebank_pipelines.stages.shards import shards as shards_stage

    settings = ShardSettings(
        embed=embed,
        images_per_shard=images_per_shard,
        images_per_row_group=images_per_row_group,
        max_side=max_side,
    )
    with options.runner(workers, scheduler) as runner:
        options.show([shards_stage(workspace, settings, runner)], as_json)
