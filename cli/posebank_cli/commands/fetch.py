"""``posebank fetch``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.fetch import DOWNLOADS
from posebank.fetch import fetch as fetch_dataset
from posebank_cli import options


@click.command()
@click.argument("dataset", type=click.Choice(list(DOWNLOADS)))
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder to download to.",
)
@options.as_json
def fetch(dataset: str, output: Path, as_json: bool) -> None:
    """Download DATASET where its terms allow it, or say how to get it.

    A download that broke off is resumed; files already there are checked, not fetched again.

    Example: posebank fetch cmu -o data/cmu
    """
    known = DOWNLOADS[dataset]
    files = fetch_dataset(dataset, output, progress=options.progress()) if known.urls else []
    if as_json:
        options.echo_json(
            {"files": [str(f) for f in files], "terms": known.terms, "by_hand": known.by_hand}
        )
        return
    for file in files:
        click.echo(str(file))
    click.echo(f"Terms: {known.terms}")
    if known.by_hand:
        click.echo(known.by_hand)
