"""``posebank inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank_cli import options
from posebank_pipelines.inspect import inspect as inspect_path


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--fps", type=float, help="Frame rate of a clip that does not tell.")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw what was understood.")
@options.as_json
def inspect(path: Path, fps: float | None, picture: Path | None, as_json: bool) -> None:
    """Show what PATH (an artefact's folder or a MoCap file) holds; check an artefact's hashes.

    Example: posebank inspect workspace/shards
    """
    facts = inspect_path(path, fps=fps, picture=picture)
    if as_json:
        options.echo_json(facts)
        return
    for key, value in facts.items():
        click.echo(f"{key}: {value}")
