"""``posebank train``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from posebank_cli import options
from posebank_cli.progress import progress


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@options.workspace
@click.option("--run", "name", default="default", show_default=True, help="Name of the run.")
@click.option(
    "--backbone", help="vgg16, resnet50_fpn, small, lite0, or timm:NAME; each brings its settings."
)
@click.option("--iterations", type=click.IntRange(min=1), help="Training iterations.")
@click.option(
    "--weights", type=click.Path(path_type=Path), help="Weights of the backbone, in a file."
)
@options.as_json
def train(
    config: Path | None,
    workspace: Path,
    name: str,
    backbone: str | None,
    iterations: int | None,
    weights: Path | None,
    as_json: bool,
) -> None:
    """Train LCR-Net on the workspace's shards, with the [train] table of CONFIG if given.

    A run that was cut off goes on from its last checkpoint. On several GPUs: torchrun
    --nproc-per-node N -- posebank train ...

    Example: posebank train -w workspace --backbone small --iterations 500
    """
    from posebank_pipelines.config import load_train_settings
    from posebank_pipelines.stages.train import train_network

    given = {
        "backbone": backbone,
        "iterations": iterations,
        "weights": str(weights) if weights else None,
    }
    settings = load_train_settings(config, {k: v for k, v in given.items() if v is not None})
    result = train_network(workspace, name, settings, progress())
    if os.environ.get("RANK", "0") == "0":  # of torchrun's processes the first one speaks
        options.show([result], as_json)
