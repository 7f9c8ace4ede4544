"""``posebank annotate``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.annotations import SOURCES
from posebank_cli import options
from posebank_pipelines.stages.annotate import annotate as annotate_stage


@click.command()
@click.argument("kind", type=click.Choice(SOURCES))
@click.argument("source", type=click.Path(path_type=Path))
@options.workspace
@click.option("--images", type=click.Path(path_type=Path), help="Folder of the images.")
@options.strict
@options.cluster
@options.as_json
def annotate(
    kind: str,
    source: Path,
    workspace: Path,
    images: Path | None,
    strict: bool,
    workers: int,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Read the 2D annotations SOURCE (a file or folder) of the given KIND.

    Example: posebank annotate lspe /data/lspet -w workspace
    """
    with options.runner(workers, scheduler) as runner:
        result = annotate_stage(workspace, kind, source, runner, images=images, strict=strict)
        options.show([result], as_json)
