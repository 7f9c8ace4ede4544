"""``posebank report``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank_cli import options
from posebank_cli.progress import progress


@click.command()
@options.workspace
@options.as_json
def report(workspace: Path, as_json: bool) -> None:
    """Write an HTML report of what the workspace holds, with pictures.

    Example: posebank report -w workspace
    """
    from posebank_pipelines.stages.report import report as report_stage

    path = report_stage(workspace, progress())
    options.echo_json({"report": str(path)}) if as_json else click.echo(str(path))
