"""``posebank export``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank_cli import options
from posebank_pipelines.export import FORMATS


@click.command()
@click.argument("form", type=click.Choice(FORMATS))
@options.workspace
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write (coco: the split is added to its name where there are several; npz), or "
    "folder (coco, webdataset).",
)
@options.as_json
def export(form: str, workspace: Path, output: Path, as_json: bool) -> None:
    """Write the labels (coco, npz) or the shards (webdataset) for other training code.

    Example: posebank export coco -w workspace -o labels.json
    """
    from posebank_pipelines.export import export as export_labels

    files = export_labels(workspace, form, output)
    if as_json:
        options.echo_json({"files": [str(f) for f in files]})
    else:
        for file in files:
            click.echo(str(file))
