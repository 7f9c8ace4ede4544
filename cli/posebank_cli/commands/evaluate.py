"""``posebank evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from posebank.evaluation import EvaluationSettings
from posebank.evaluation.settings import SELECTIONS
from posebank.geometry.joint_errors import ROOTS
from posebank.types import SPLITS
from posebank_cli import options
from posebank_cli.progress import progress


@click.command()
@options.workspace
@click.option("--run", "name", default="default", show_default=True, help="Training run to score.")
@click.option(
    "--split",
    "splits",
    type=click.Choice(SPLITS),
    multiple=True,
    default=["val"],
    show_default=True,
    help="Split to score; repeat to score several together.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Score this network instead of a run's.",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Score these predictions instead of a run's; repeat to compare several.",
)
@click.option(
    "--truth",
    type=click.Choice(["shards", "annotations"]),
    default="shards",
    show_default=True,
    help="Ground truth of --predictions: the people of the shards, or all annotated people.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Of --checkpoint and --predictions: folder for numbers, tables and figures.",
)
@click.option(
    "--coco",
    type=click.Path(path_type=Path),
    help="Of --checkpoint and --predictions: a COCO annotation file; AP of keypoints is scored "
    "against it instead of against areas guessed from the joints, and the image_id of COCO "
    "results are its images[].id [default of these: the files that were annotated].",
)
@click.option(
    "--threshold",
    type=float,
    default=EvaluationSettings.threshold,
    show_default=True,
    help="Distance threshold of PCKh and mAP, in head sizes.",
)
@click.option(
    "--torso-threshold",
    type=float,
    default=EvaluationSettings.torso_threshold,
    show_default=True,
    help="Distance threshold of PCK, in torso sizes.",
)
@click.option("--strict", is_flag=True, help="A joint at the threshold is wrong.")
@click.option("--visible-only", is_flag=True, help="Score only joints marked as visible.")
@click.option(
    "--root",
    type=click.Choice(ROOTS),
    default=EvaluationSettings.root,
    show_default=True,
    help="Point that is subtracted before the 3D error is computed.",
)
@click.option(
    "--selection",
    type=click.Choice(SELECTIONS),
    default=EvaluationSettings.selection,
    show_default=True,
    help="Rule that selects a person's prediction.",
)
@click.option(
    "--min-iou",
    type=float,
    default=EvaluationSettings.min_iou,
    show_default=True,
    help="Smallest IoU of --selection overlap.",
)
@click.option("--exclusive", is_flag=True, help="A prediction serves one person at most.")
@click.option(
    "--ignore-unannotated", is_flag=True, help="Leave joints without annotation out of mAP."
)
@click.option(
    "--head-fallback/--head-box-only",
    default=EvaluationSettings.head_fallback,
    show_default=True,
    help="Whether who has no head box gets a head size from the joints.",
)
@click.option(
    "--group-margin",
    type=float,
    default=EvaluationSettings.group_margin,
    show_default=True,
    help="Margin of a group's box within which mAP assigns predictions to the group, in box sides.",
)
@options.ppi
@click.option("--min-score", type=float, help="Leave out predictions of a lower score.")
@click.option(
    "--bootstrap",
    type=click.IntRange(min=0),
    default=EvaluationSettings.bootstrap,
    show_default=True,
    help="Bootstrap replicates of the intervals.",
)
@click.option(
    "--confidence",
    type=float,
    default=EvaluationSettings.confidence,
    show_default=True,
    help="Confidence level of the intervals.",
)
@options.seed
@options.as_json
def evaluate(
    workspace: Path,
    name: str,
    splits: tuple[str, ...],
    checkpoint: Path | None,
    predictions: tuple[Path, ...],
    truth: str,
    output: Path | None,
    coco: Path | None,
    ppi_iou: float,
    ppi_distance_mm: float,
    all_modes: bool,
    mirrored: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Score a run's network, before and after training, or a checkpoint, or predictions.

    A run's numbers, tables and figures are in WORKSPACE/evaluation/RUN; --output says where
    others go. Predictions are posebank's own, JSON, npz, COCO results or MPII's .mat.

    \b
    Example: posebank evaluate -w workspace --split val
             posebank evaluate -w workspace --checkpoint workspace/runs/default/checkpoint.pt
             posebank evaluate -w workspace --predictions found.json --truth annotations
    """
    from posebank_pipelines.stages.evaluate import (
        evaluate_checkpoint,
        evaluate_network,
        evaluate_predictions,
    )

    settings = EvaluationSettings(**chosen)
    integration = options.integration_settings(ppi_iou, ppi_distance_mm, all_modes, mirrored)
    if checkpoint is not None and predictions:
        raise click.UsageError("expected --checkpoint or --predictions, found both")
    if not predictions and truth != "shards":
        raise click.UsageError("--truth: expected --predictions beside it")
    if checkpoint is not None:
        results = evaluate_checkpoint(
            workspace,
            checkpoint,
            settings,
            integration,
            splits=splits,
            output=output,
            coco=coco,
            progress=progress(),
        )
    elif predictions:
        results = evaluate_predictions(
            workspace, predictions, settings, splits=splits, truth=truth, output=output, coco=coco
        )
    else:
        if output is not None or coco is not None:
            raise click.UsageError(
                "--output, --coco: expected --checkpoint or --predictions beside them"
            )
        made = evaluate_network(
            workspace, name, settings, integration, splits=splits, progress=progress()
        )
        options.show([made], as_json)
        return
    if as_json:
        options.echo_json({"methods": {key: result.as_json() for key, result in results.items()}})
    else:
        click.echo("\n".join(f"{key}\n\n{r.to_markdown()}" for key, r in results.items()))
    for key, result in results.items():
        for warning in result.warnings:
            click.echo(f"warning: {key}: {warning}", err=True)
    if any(result.nothing_scored for result in results.values()):
        raise click.exceptions.Exit(1)
