"""``posebank fetch``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.errors import SourceError
from posebank.fetch import DOWNLOADS, Download, FetchPlan, check_layout, plan
from posebank_cli import options
from posebank_cli.progress import progress


@click.command()
@click.argument("dataset", type=click.Choice(list(DOWNLOADS)))
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder to download to.",
)
@click.option("--annotations-only", is_flag=True, help="Leave out archives that hold images only.")
@click.option("--keep-archives", is_flag=True, help="Keep each archive after it has been unpacked.")
@options.as_json
def fetch(
    dataset: str, output: Path, annotations_only: bool, keep_archives: bool, as_json: bool
) -> None:
    """Download DATASET where its terms allow it, or say how to get it.

    Terms, sizes and the disk space needed are printed before the download starts. A download that
    broke off is resumed, and files already in the folder are checked instead of fetched. For data
    sets that need a registration, the steps are printed and the folder is checked.

    Example: posebank fetch cmu -o data/cmu
    """
    from posebank.fetch import fetch as fetch_dataset

    known = DOWNLOADS[dataset]
    say = (lambda _: None) if as_json else click.echo
    say(f"Terms: {known.terms}")
    files: list[Path] = []
    planned = None
    if known.urls:
        planned = plan(known, output, annotations_only=annotations_only)
        say(_describe(planned))
        if planned.disk is not None and planned.disk > planned.free:
            raise SourceError(
                output, f"needs about {_size(planned.disk)} of disk, found {_size(planned.free)}"
            )
        files = fetch_dataset(
            known,
            output,
            annotations_only=annotations_only,
            keep_archives=keep_archives,
            progress=progress(),
        )
    found, missing = check_layout(known, output)
    if as_json:
        options.echo_json(
            {
                "files": [str(f) for f in files],
                "bytes": planned.size if planned else None,
                "terms": known.terms,
                "by_hand": list(known.by_hand),
                "found": found,
                "missing": missing,
                "next": _next(known, output),
            }
        )
        return
    for file in files:
        click.echo(str(file))
    _echo_layout(known, output, found, missing)


def _describe(planned: FetchPlan) -> str:
    if not planned.urls:
        return "Nothing to download: every file is there."
    if planned.size is None:
        return f"{len(planned.urls)} files to download, of a size that the server does not state."
    return (
        f"{len(planned.urls)} files to download, {_size(planned.size)}; needs about "
        f"{_size(planned.disk or 0)} of disk, {_size(planned.free)} are free."
    )


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _echo_layout(known: Download, output: Path, found: list[str], missing: list[str]) -> None:
    """Print what the folder holds, the steps that are left, and the next command."""
    if missing and known.by_hand:
        click.echo(f"This data set needs a registration. Folder: {output}")
        for number, step in enumerate(known.by_hand, 1):
            click.echo(f"  {number}. {step}")
    for line in found:
        click.echo(f"found {line}")
    for line in missing:
        click.echo(f"missing {line}")
    if not missing:
        click.echo(f"Next: {_next(known, output)}")


def _next(known: Download, output: Path) -> str:
    return f"{known.then} {output} -w workspace"
