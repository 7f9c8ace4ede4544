"""``posebank run``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank_cli import options
from posebank_pipelines.config import load_config
from posebank_pipelines.run import STAGES
from posebank_pipelines.run import run as run_stages


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@options.workspace
@click.option(
    "--from", "from_stage", type=click.Choice(STAGES), help="Do this stage and all after."
)
@click.option("--until", type=click.Choice(STAGES), help="Stop after this stage.")
@options.strict
@options.cluster
@options.as_json
def run(
    config: Path,
    workspace: Path,
    from_stage: str | None,
    until: str | None,
    strict: bool,
    workers: int,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Do every stage of CONFIG (TOML) that is out of date.

    Example: posebank run configs/dev.toml -w workspace
    """
    with options.runner(workers, scheduler) as runner:
        settings = load_config(config)
        results = run_stages(
            settings, workspace, runner, from_stage=from_stage, until=until, strict=strict
        )
        options.show(results, as_json)
