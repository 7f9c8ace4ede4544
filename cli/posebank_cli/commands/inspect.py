"""``posebank inspect``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from posebank_cli import options
from posebank_pipelines.inspect import inspect as inspect_path


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@options.reading
@click.option("--picture", type=click.Path(path_type=Path), help="Draw what was understood.")
@options.as_json
def inspect(
    path: Path,
    fps: float | None,
    unit: str | None,
    up: str,
    joints: Path | None,
    skeleton: Path | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Show what PATH (an artefact's folder or a MoCap file) holds; check an artefact's hashes.

    Exit status 1 if a file of the artefact is damaged; the damaged ones are listed.

    Example: posebank inspect workspace/shards
    """
    facts = inspect_path(
        path, options=options.read_options(fps, unit, up, joints, skeleton), picture=picture
    )
    if as_json:
        options.echo_json(facts)
    else:
        _show(facts)
    if facts.get("damaged"):
        raise click.ClickException(f"{path}: {len(facts['damaged'])} damaged files")


def _show(facts: Mapping[str, Any], indent: str = "") -> None:
    """Print facts, one a line; what a fact consists of comes below it."""
    for key, value in facts.items():
        if isinstance(value, Mapping) and any(isinstance(v, Mapping) for v in value.values()):
            click.echo(f"{indent}{key}:")
            _show(value, indent + "  ")
        elif isinstance(value, Mapping):
            parts = ", ".join(f"{name} {_text(part)}" for name, part in value.items())
            click.echo(f"{indent}{key}: {parts}")
        else:
            click.echo(f"{indent}{key}: {_text(value)}")


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
