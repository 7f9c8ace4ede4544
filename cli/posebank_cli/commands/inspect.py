"""``posebank inspect``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from posebank_cli import options


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@options.reading
@click.option(
    "--suggest-joints",
    is_flag=False,
    flag_value="-",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="[MAP.toml]",
    help="Begin a --joints file for a BVH or ASF file: a guess, and the names in the file. "
    "Without a path after it, print it.",
)
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the clip as it was read.")
@options.as_json
def inspect(
    path: Path,
    suggest_joints: Path | None,
    picture: Path | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Show what PATH (an artefact's folder or a MoCap file) holds; check an artefact's hashes.

    Exit status 1 if a file of the artefact is damaged; the damaged ones are listed.

    Example: posebank inspect workspace/shards
    """
    from posebank_pipelines.inspect import inspect as inspect_path

    if suggest_joints is not None:
        _suggest(path, suggest_joints)
        return
    facts = inspect_path(
        path,
        options=options.read_options(**reading),
        picture=picture,
    )
    if as_json:
        options.echo_json(facts)
    else:
        _show(facts)
    if facts.get("damaged"):
        raise click.ClickException(f"{path}: {len(facts['damaged'])} damaged files")


def _suggest(path: Path, target: Path) -> None:
    """Write or print the beginning of a --joints file; never over a file that is there."""
    from posebank.mocap import suggest_joints

    text = suggest_joints(path)
    if target == Path("-"):
        click.echo(text, nl=False)
        return
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.ClickException(f"{target}: expected no file yet, found one") from None
    except OSError as error:
        raise click.ClickException(f"{target}: expected to write it, {error.strerror}") from error
    click.echo(f"{target}: complete it, then give it with --joints {target}")


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
