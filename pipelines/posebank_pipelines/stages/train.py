"""Train: LCR-Net on the shards, into a run folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from posebank import artefacts
from posebank.lcrnet import TrainSettings, train
from posebank_pipelines.runner import Progress, silent
from posebank_pipelines.workspace import (
    StageResult,
    content,
    current,
    load_anchors,
    settings_dict,
    stage_result,
)

_STARTED = "started.json"


def run_folder(workspace: Path, name: str) -> Path:
    """Folder of a training run."""
    return workspace / "runs" / name


def train_network(
    workspace: Path, name: str, settings: TrainSettings, progress: Progress = silent
) -> StageResult:
    """Train, or go on with a run of the same settings and shards that was cut off."""
    folder = run_folder(workspace, name)
    inputs = {kind: content(workspace, kind) for kind in ("shards", "anchors")}
    decided = settings_dict(settings)
    stamp = artefacts.fingerprint("runs", decided, inputs, settings.seed)
    if (manifest := current(folder, "runs", name, stamp)) is not None:
        return stage_result("train", folder, manifest, name, made=False)
    started = folder / _STARTED
    resume = started.exists() and json.loads(started.read_text())["fingerprint"] == stamp
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        text = json.dumps({"fingerprint": stamp, "settings": asdict(settings)}, default=str)
        artefacts.write_text_atomic(started, text)
    result = train(
        workspace / "shards",
        load_anchors(workspace),
        folder,
        settings,
        resume=resume,
        progress=lambda done, total: progress("train", done, total),
    )
    parts = [
        artefacts.adopt_part(folder, path, section=name)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != artefacts.MANIFEST
    ]
    section = artefacts.Section(stamp, decided, inputs, settings.seed, stats=asdict(result))
    manifest = artefacts.write_manifest(folder, "runs", parts, {name: section})
    return stage_result("train", folder, manifest, name, made=True)
