"""Train: LCR-Net on the shards, into a run folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from posebank import artefacts
from posebank.lcrnet import TrainSettings, processes, train
from posebank.workspace import content, load_anchors
from posebank_pipelines.runner import Progress, silent
from posebank_pipelines.workspace import StageResult, current, run_name, settings_dict, stage_result

_STARTED = "started.json"


def run_folder(workspace: Path, name: str) -> Path:
    """Folder of a training run."""
    return workspace / "runs" / run_name(name)


def train_network(
    workspace: Path, name: str, settings: TrainSettings, progress: Progress = silent
) -> StageResult:
    """Train, or go on with a run of the same settings and shards that was cut off.

    Under ``torchrun`` every process comes here; the first one keeps the folder.
    """
    folder = run_folder(workspace, name)
    inputs = {kind: content(workspace, kind) for kind in ("shards", "anchors")}
    decided = settings_dict(settings)
    stamp = artefacts.fingerprint("runs", decided, inputs, settings.seed)
    if (manifest := current(folder, "runs", name, stamp)) is not None:
        return stage_result("train", folder, manifest, name, made=False)
    with processes(settings.device) as among:
        among.wait()  # until all have seen that there is something to do
        if among.is_first:
            _prepare(folder, stamp, settings)
        among.wait()
        result = train(
            workspace / "shards",
            load_anchors(workspace),
            folder,
            settings,
            resume=True,
            progress=lambda done, total: progress("train", done, total),
        )
        if among.is_first:
            parts = [
                artefacts.adopt_part(folder, path, section=name)
                for path in sorted(folder.rglob("*"))
                if path.is_file() and path.name != artefacts.MANIFEST
            ]
            section = artefacts.Section(stamp, decided, inputs, settings.seed, stats=asdict(result))
            artefacts.write_manifest(folder, "runs", parts, {name: section})
        among.wait()
    return stage_result("train", folder, artefacts.read_manifest(folder, "runs"), name, made=True)


def _prepare(folder: Path, stamp: str, settings: TrainSettings) -> None:
    """Keep what a run of the same settings and inputs left, and nothing else."""
    started = folder / _STARTED
    if started.exists() and json.loads(started.read_text())["fingerprint"] == stamp:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = json.dumps({"fingerprint": stamp, "settings": asdict(settings)}, default=str)
    artefacts.write_text_atomic(started, text)
