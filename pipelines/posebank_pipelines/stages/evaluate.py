"""Evaluate: a run's network before and after training, a checkpoint, predictions from anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from posebank import artefacts, lcrnet, report
from posebank.deciding import deciding
from posebank.errors import SettingsError
from posebank.evaluation import (
    CocoReference,
    EvaluationResult,
    EvaluationSettings,
    GroundTruth,
    ground_truth_from_people,
    ground_truth_from_shards,
    mean_pose,
    nearest_anchor,
    read_predictions,
)
from posebank.lcrnet import IntegrationSettings
from posebank.lcrnet.settings import INTEGRATIONS
from posebank.parquet import read_parquet
from posebank.schemas import PREDICTIONS, from_table, to_table
from posebank.types import Anchors, Predictions
from posebank.workspace import coco_files, image_roots, load_anchors, load_people
from posebank_pipelines.runner import Progress, silent
from posebank_pipelines.stage import Stage, StageResult
from posebank_pipelines.stages.train import run_folder

if TYPE_CHECKING:
    from posebank.report.images import ImageOf

CHECKPOINTS = {"before": "checkpoint_initial.pt", "after": "checkpoint.pt"}
"""The network before and after training."""


def evaluation_folder(workspace: Path, name: str) -> Path:
    """Folder with the scores of a training run."""
    return workspace / "evaluation" / name


def evaluate_network(
    workspace: Path,
    name: str,
    settings: EvaluationSettings,
    integration: IntegrationSettings,
    *,
    splits: Sequence[str] = ("val",),
    progress: Progress = silent,
) -> StageResult:
    """Predict the splits before and after training, with PPI and with NMS, and score them.

    The mean pose and the nearest anchor-pose in the true boxes are scored beside the network.
    """
    decided = {
        **deciding(settings),
        "integration": deciding(integration),
        "run": name,
        "splits": list(splits),
    }
    stage = Stage(
        workspace,
        "evaluation",
        decided,
        reads=["shards", "anchors"],
        section=name,
        sources=lambda: {
            "run": artefacts.read_manifest(run_folder(workspace, name), "runs").content
        },
    )
    if stage.is_current:
        return stage.result()
    truth = _shards_truth(workspace, splits)
    methods = _references(truth, load_anchors(workspace))
    for moment, file in CHECKPOINTS.items():
        # Untrained, one integration is enough: there is nothing yet to integrate.
        integrations = INTEGRATIONS if moment == "after" else INTEGRATIONS[:1]
        checkpoint = run_folder(workspace, name) / file
        found = _predict(workspace, checkpoint, splits, integrations, integration, progress)
        methods |= {f"{moment}-{key}": poses for key, poses in found.items()}
    with stage.build() as build:
        own = build.staging / name
        own.mkdir()
        for key, poses in methods.items():
            build.write(f"{name}/{key}.parquet", to_table(poses, PREDICTIONS))
        results, files = report.write_evaluation(
            own,
            methods,
            truth,
            settings,
            load_anchors(workspace),
            image_of=report.images_in_shards(workspace / "shards"),
        )
        build.adopt(files)
        build.stats = {key: result.headline() for key, result in results.items()}
    return stage.result()


def evaluate_checkpoint(
    workspace: Path,
    checkpoint: Path,
    settings: EvaluationSettings,
    integration: IntegrationSettings,
    *,
    splits: Sequence[str] = ("val",),
    output: Path | None = None,
    coco: Path | None = None,
    progress: Progress = silent,
) -> dict[str, EvaluationResult]:
    """Score any checkpoint on the workspace's shards, with PPI and with NMS.

    The mean pose and the nearest anchor-pose in the true boxes are scored beside it.

    Parameters
    ----------
    workspace : Path
        Workspace folder.
    checkpoint : Path
        Checkpoint of a trained network.
    settings : EvaluationSettings
        Metrics and thresholds.
    integration : IntegrationSettings
        Settings of the pose proposal integration.
    splits : sequence of str
        Splits whose people are scored.
    output : Path or None
        Folder for the numbers, the tables and the figures.
    coco : Path or None
        As for ``evaluate``.
    progress : callable
        Called with the work done and the total.
    """
    truth = _shards_truth(workspace, splits)
    found = _predict(workspace, checkpoint, splits, INTEGRATIONS, integration, progress)
    methods = _references(truth, load_anchors(workspace))
    methods |= {f"{checkpoint.stem}-{key}": poses for key, poses in found.items()}
    image_of = report.images_in_shards(workspace / "shards")
    return _score(workspace, methods, truth, settings, output, coco, image_of)


def evaluate_predictions(
    workspace: Path,
    files: Sequence[Path],
    settings: EvaluationSettings,
    *,
    splits: Sequence[str] = ("val",),
    truth: str = "shards",
    output: Path | None = None,
    coco: Path | None = None,
) -> dict[str, EvaluationResult]:
    """Score predictions from files (JSON, npz, Parquet, ...), each a method by its file's name.

    Parameters
    ----------
    workspace : Path
        Workspace folder.
    files : sequence of Path
        Files with predictions; each is a method, named after its file.
    settings : EvaluationSettings
        Metrics and thresholds.
    splits : sequence of str
        Splits whose people are scored.
    truth : str
        ``shards``, or ``annotations``: all annotated people, with or without an image; 3D
        only where it was measured.
    output : Path or None
        Folder for the numbers, the tables and the figures.
    coco : Path or None
        As for ``evaluate``.
    """
    twice = [name for name, count in Counter(f.stem for f in files).items() if count > 1]
    if twice:
        raise SettingsError(f"--predictions: expected different names, found two called {twice[0]}")
    if truth == "shards":
        known = _shards_truth(workspace, splits)
        image_of = report.images_in_shards(workspace / "shards")
    else:
        people = load_people(workspace)
        known = ground_truth_from_people(people.take([s in splits for s in people.split]))
        image_of = report.images_in_folders(image_roots(workspace))
    reference = CocoReference.from_files([coco] if coco is not None else coco_files(workspace))
    methods = {
        file.stem: read_predictions(file, reference=reference, known=known.image_id)
        for file in files
    }
    return _score(workspace, methods, known, settings, output, coco, image_of)


def _references(truth: GroundTruth, anchors: Anchors) -> dict[str, Predictions]:
    """What needs no network, by name."""
    return {
        "mean-pose": mean_pose(truth, anchors),
        "nearest-anchor": nearest_anchor(truth, anchors),
    }


def _score(
    workspace: Path,
    methods: Mapping[str, Predictions],
    truth: GroundTruth,
    settings: EvaluationSettings,
    output: Path | None,
    coco: Path | None,
    image_of: ImageOf,
) -> dict[str, EvaluationResult]:
    has_anchors = artefacts.find_manifest(workspace / "anchors") is not None
    anchors = load_anchors(workspace) if has_anchors else None
    results, _ = report.write_evaluation(
        output, methods, truth, settings, anchors, image_of=image_of, coco=coco
    )
    return results


def _predict(
    workspace: Path,
    checkpoint: Path,
    splits: Sequence[str],
    integrations: Sequence[str],
    settings: IntegrationSettings,
    progress: Progress,
) -> dict[str, Predictions]:
    """Integration -> the checkpoint's poses in the images of the splits."""
    predictor = lcrnet.Predictor.from_checkpoint(checkpoint)

    def found(split: str) -> dict[str, Predictions]:
        def show(done: int, total: int) -> None:
            progress(f"predict {split}", done, total, "images")

        return lcrnet.predict_shards(
            predictor,
            workspace / "shards",
            split,
            integrations=integrations,
            settings=settings,
            progress=show,
        )

    parts = [found(split) for split in splits]
    return {name: Predictions.concat([part[name] for part in parts]) for name in integrations}


def _shards_truth(workspace: Path, splits: Sequence[str]) -> GroundTruth:
    folder = workspace / "shards"
    return GroundTruth.concat([ground_truth_from_shards(folder, split) for split in splits])


def load_predictions(workspace: Path, name: str, key: str) -> Predictions:
    """Predictions of a run kept by ``evaluate_network``; ``key`` is like ``after-ppi``."""
    table = artefacts.read_part(
        workspace / "evaluation", "evaluation", f"{name}/{key}.parquet", read_parquet
    )
    return from_table(Predictions, table)
