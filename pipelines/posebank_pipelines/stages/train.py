"""Train: LCR-Net on the shards, into a run folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from posebank import lcrnet
from posebank.artefacts import write_text_atomic
from posebank.deciding import deciding
from posebank.files import read_json
from posebank.lcrnet import TrainSettings
from posebank.workspace import load_anchors
from posebank_pipelines.runner import Progress, silent
from posebank_pipelines.stage import Stage, StageResult, run_name

_STARTED = "started.json"


def run_folder(workspace: Path, name: str) -> Path:
    """Folder of a training run."""
    return workspace / "runs" / run_name(name)


def check_training() -> None:
    """Say at once, not after the stages before it, that a network cannot be trained here.

    Raises
    ------
    ModuleNotFoundError
        If PyTorch is not installed.
    """
    if find_spec("torch") is None:
        raise ModuleNotFoundError("training needs torch", name="torch")


def train_network(
    workspace: Path, name: str, settings: TrainSettings, progress: Progress = silent
) -> StageResult:
    """Train, or go on with a run of the same settings and shards that was cut off.

    Under ``torchrun`` every process comes here; the first one keeps the folder.
    """
    check_training()
    folder = run_folder(workspace, name)
    stage = Stage(
        workspace,
        "runs",
        deciding(settings),
        reads=["shards", "anchors"],
        seed=settings.seed,
        section=name,
        folder=folder,
    )
    if stage.is_current:
        return stage.result()
    with lcrnet.processes(settings.device) as group:
        group.wait()  # until all have seen that there is something to do
        if group.is_first:
            _prepare(folder, stage.fingerprint, settings)
        group.wait()
        result = lcrnet.train(
            workspace / "shards",
            load_anchors(workspace),
            folder,
            settings,
            resume=True,
            progress=lambda done, total: progress(f"train {name}", done, total, "iterations"),
        )
        if group.is_first:
            stage.finish_in_place(asdict(result))
        group.wait()
    return stage.result()


def _prepare(folder: Path, stamp: str, settings: TrainSettings) -> None:
    """Keep what a run of the same settings and inputs left, and nothing else."""
    started = folder / _STARTED
    if started.exists() and read_json(started)["fingerprint"] == stamp:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = json.dumps({"fingerprint": stamp, "settings": asdict(settings)}, default=str)
    write_text_atomic(started, text)
