"""Evaluate: the network before and after training on a split of the shards."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from posebank import artefacts
from posebank.evaluation import (
    EvaluationResult,
    EvaluationSettings,
    evaluate,
    ground_truth_from_people,
    ground_truth_from_shards,
    read_predictions,
)
from posebank.lcrnet import Predictor, predict_shards
from posebank.report import write_evaluation
from posebank.schemas import PREDICTIONS, from_table, to_table
from posebank.types import Predictions
from posebank_pipelines.stages.train import run_folder
from posebank_pipelines.workspace import (
    StageResult,
    content,
    current,
    load_anchors,
    load_people,
    settings_dict,
    stage_result,
)

CHECKPOINTS = {"before": "checkpoint_initial.pt", "after": "checkpoint.pt"}
"""The network before and after training."""


def evaluate_network(
    workspace: Path,
    name: str,
    settings: EvaluationSettings,
    *,
    split: str = "val",
    integrations: tuple[str, ...] = ("ppi", "nms"),
) -> StageResult:
    """Predict the split before and after training, with each integration, and score them."""
    folder = workspace / "evaluation"
    run = artefacts.read_manifest(run_folder(workspace, name), "runs")
    inputs = {"run": run.content, "shards": content(workspace, "shards")}
    decided = settings_dict(settings, run=name, split=split, integrations=list(integrations))
    stamp = artefacts.fingerprint("evaluation", decided, inputs)
    if (manifest := current(folder, "evaluation", name, stamp)) is not None:
        return stage_result("evaluate", folder, manifest, name, made=False)
    truth = ground_truth_from_shards(workspace / "shards", split)
    with artefacts.staging_folder(folder) as staging:
        methods = {}
        for moment, file in CHECKPOINTS.items():
            predictor = Predictor.from_checkpoint(run_folder(workspace, name) / file)
            # Untrained, one integration is enough: there is nothing yet to integrate.
            for integration in integrations if moment == "after" else integrations[:1]:
                methods[f"{moment}-{integration}"] = predict_shards(
                    predictor, workspace / "shards", split, integration=integration
                )
        parts = [
            artefacts.write_part(
                staging, f"{key}.parquet", to_table(found, PREDICTIONS), section=name
            )
            for key, found in methods.items()
        ]
        results, files = write_evaluation(
            staging, methods, truth, settings, load_anchors(workspace)
        )
        parts += [artefacts.adopt_part(staging, path, section=name) for path in files]
        stats = {key: result.headline() for key, result in results.items()}
        section = artefacts.Section(stamp, decided, inputs, stats=stats)
        manifest = artefacts.commit(staging, folder, "evaluation", parts, {name: section})
    return stage_result("evaluate", folder, manifest, name, made=True)


def evaluate_predictions(
    workspace: Path,
    predictions: Path,
    settings: EvaluationSettings,
    *,
    split: str = "val",
    truth: str = "shards",
    output: Path | None = None,
) -> EvaluationResult:
    """Score predictions from a file (JSON, npz, Parquet, ...) against a split.

    Parameters
    ----------
    truth : ``shards``, or ``annotations``: everyone annotated, images or not; 3D only where it was
        measured. output : folder for the numbers, the tables and the figures.
    """
    if truth == "shards":
        known = ground_truth_from_shards(workspace / "shards", split)
    else:
        people = load_people(workspace)
        known = ground_truth_from_people(people.take(people.split == split))
    found = read_predictions(predictions)
    if output is None:
        return evaluate(found, known, settings)
    has_anchors = artefacts.find_manifest(workspace / "anchors") is not None
    anchors = load_anchors(workspace) if has_anchors else None
    output.mkdir(parents=True, exist_ok=True)
    results, _ = write_evaluation(output, {predictions.stem: found}, known, settings, anchors)
    return results[predictions.stem]


def load_predictions(workspace: Path, key: str) -> Predictions:
    """Predictions kept by ``evaluate_network``; ``key`` is like ``after-ppi``."""
    artefacts.read_manifest(workspace / "evaluation", "evaluation")
    table = pq.read_table(workspace / "evaluation" / f"{key}.parquet")
    return from_table(Predictions, table)
