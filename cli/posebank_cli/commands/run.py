"""``posebank run``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from posebank.artefact_kinds import STAGES
from posebank_cli import options


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@options.workspace
@click.option(
    "--from", "from_stage", type=click.Choice(STAGES), help="Do this stage and all after."
)
@click.option("--until", type=click.Choice(STAGES), help="Stop after this stage.")
@click.option(
    "--sweep-k",
    type=options.NUMBERS,
    metavar="K,K,...",
    help="Train and score once for each number of anchor-poses (the paper's Table 1).",
)
@options.strict
@options.cluster
@options.as_json
def run(
    config: Path,
    workspace: Path,
    from_stage: str | None,
    until: str | None,
    sweep_k: list[int] | None,
    strict: bool,
    workers: int,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Do every stage of CONFIG (TOML) that is out of date.

    With --sweep-k, WORKSPACE/sweep holds anchor-poses, a run and its scores for each K, and
    table1.json, .csv, .md and .tex with the paper's rows beside these.

    \b
    Example: posebank run configs/dev.toml -w workspace
             posebank run configs/dev.toml -w workspace --sweep-k 1,50,100,200,500
    """
    from posebank.evaluation.tables import to_markdown
    from posebank_pipelines.config import load_config
    from posebank_pipelines.run import run as run_stages
    from posebank_pipelines.sweep import sweep, write_table1

    if sweep_k and (from_stage or until):
        raise click.UsageError("--sweep-k: expected neither --from nor --until beside it")
    with options.runner(workers, scheduler) as runner:
        settings = load_config(config)
        if sweep_k:
            done = options.shown(
                sweep(settings, workspace, sweep_k, runner, strict=strict), as_json
            )
            table, paths = write_table1(workspace, settings.run, sweep_k)
        else:
            results = run_stages(
                settings, workspace, runner, from_stage=from_stage, until=until, strict=strict
            )
            options.show(results, as_json)
            return
    if as_json:
        rows = json.loads(table.to_json(orient="records"))
        options.echo_json({"stages": done, "table1": rows, "files": [str(p) for p in paths]})
    else:
        click.echo(f"\n{to_markdown(table)}\n{workspace / 'sweep'}/table1.(json, csv, md, tex)")
