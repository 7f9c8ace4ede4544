"""``posebank run``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from posebank.artefact_kinds import STAGES
from posebank_cli import options
from posebank_cli.run_log import run_log
from posebank_pipelines.templates import template, template_names


def _print_template(ctx: click.Context, _: click.Parameter, name: str | None) -> None:
    if name is not None:
        click.echo(template(name), nl=False)
        ctx.exit()


if TYPE_CHECKING:
    from posebank_pipelines.plan import PlannedStage


@click.command()
@click.option(
    "--template",
    type=click.Choice(template_names()),
    is_eager=True,
    expose_value=False,
    callback=_print_template,
    help="Print this configuration, to be edited, and exit.",
)
@click.argument("config", type=click.Path(path_type=Path))
@options.workspace
@click.option(
    "--from", "from_stage", type=click.Choice(STAGES), help="Do this stage and all after."
)
@click.option("--until", type=click.Choice(STAGES), help="Stop after this stage.")
@click.option(
    "--sweep-k",
    type=options.numbers,
    metavar="K,K,...",
    help="Train and score once for each number of anchor-poses (the paper's Table 1).",
)
@click.option(
    "--plan",
    "plan_only",
    is_flag=True,
    help="Make nothing; show the stages with rows, time, memory and disk, from rates measured by "
    "earlier runs on this machine.",
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
    plan_only: bool,
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
             posebank run --template paper > paper.toml
    """
    from posebank.evaluation.tables import to_markdown
    from posebank_pipelines.config import load_config
    from posebank_pipelines.plan import plan
    from posebank_pipelines.run import run as run_stages
    from posebank_pipelines.run import steps
    from posebank_pipelines.sweep import sweep, write_table1

    if plan_only and (sweep_k or from_stage or until):
        raise click.UsageError("--plan: expected neither --sweep-k, --from nor --until beside it")
    if sweep_k and (from_stage or until):
        raise click.UsageError("--sweep-k: expected neither --from nor --until beside it")
    settings = load_config(config)
    if plan_only:
        with options.runner(workers, scheduler) as runner:
            stages = steps(settings, workspace, runner, strict=strict)
            _show_plan(plan(settings, workspace, stages, workers), as_json)
        return
    with run_log(workspace, "run") as log, options.runner(workers, scheduler) as runner:
        if sweep_k:
            done = options.shown(
                map(log.stage, sweep(settings, workspace, sweep_k, runner, strict=strict)), as_json
            )
            table, paths = write_table1(workspace, settings.run, sweep_k)
        else:
            results = run_stages(
                settings, workspace, runner, from_stage=from_stage, until=until, strict=strict
            )
            options.show(map(log.stage, results), as_json)
            return
    if as_json:
        rows = json.loads(table.to_json(orient="records"))
        options.echo_json({"stages": done, "table1": rows, "files": [str(p) for p in paths]})
    else:
        click.echo(f"\n{to_markdown(table)}\n{workspace / 'sweep'}/table1.(json, csv, md, tex)")


def _show_plan(planned: Sequence[PlannedStage], as_json: bool) -> None:
    if as_json:
        options.echo_json({"plan": [stage.as_json() for stage in planned]})
        return
    options.echo_table(
        [
            {
                "stage": stage.stage,
                "status": stage.status,
                "rows": _or_unknown(stage.rows),
                "seconds": _or_unknown(stage.seconds),
                "memory MB": _or_unknown(stage.memory_mb),
                "disk MB": _or_unknown(stage.disk_mb),
            }
            for stage in planned
        ]
    )
    if any(stage.seconds is None for stage in planned):
        click.echo("-: not known before a run on this machine has made the stage", err=True)


def _or_unknown(value: float | None) -> float | str:
    return "-" if value is None else value
