"""``posebank demo``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank_cli import options
from posebank_cli.run_log import run_log


@click.command()
@click.option(
    "-w",
    "--workspace",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-workspace"),
    show_default=True,
    help="Folder for the generated data and all artefacts.",
)
@options.seed
@options.cluster
@options.as_json
def demo(workspace: Path, seed: int, workers: int, scheduler: str | None, as_json: bool) -> None:
    """Generate data in the original formats, then do everything with it.

    Needs no download. Because the true 3D is known, it ends with a table of errors.

    Example: posebank demo -w demo-workspace
    """
    from posebank_pipelines.stages.train import check_training

    check_training()  # before pictures, which the same extra brings
    from posebank_pipelines.demo import demo as run_demo

    say = (lambda _: None) if as_json else click.echo
    with run_log(workspace, "demo") as log, options.runner(workers, scheduler) as runner:
        rows, pictures = run_demo(
            workspace, runner, seed=seed, stage_done=lambda r: say(options.describe(log.stage(r)))
        )
        log.write(f"table: {rows}")
    if as_json:
        options.echo_json({"table": rows, "pictures": [str(p) for p in pictures]})
        return
    width = max(len(row["what"]) for row in rows)
    click.echo("")
    for row in rows:
        click.echo(f"{row['what']:<{width}}  {row['value']:>10.4g} {row['unit']}")
    click.echo("\nPictures:")
    for path in pictures:
        click.echo(f"  {path}")
