"""Anchors: K-means anchor-poses of the bank's views or of the labels."""

from __future__ import annotations

from pathlib import Path

from posebank import artefacts
from posebank.anchors import AnchorSettings, anchor_poses, fit_anchors
from posebank.schemas import ANCHORS, to_table
from posebank_pipelines.workspace import (
    StageResult,
    content,
    current,
    load_bank,
    load_labels,
    settings_dict,
    stage_result,
)


def anchors(workspace: Path, settings: AnchorSettings) -> StageResult:
    """Fit the anchor-poses of the workspace."""
    folder = workspace / "anchors"
    kind = "bank" if settings.source == "bank" else "labels"
    inputs = {kind: content(workspace, kind)}
    decided = settings_dict(settings)
    stamp = artefacts.fingerprint("anchors", decided, inputs, settings.seed)
    if (manifest := current(folder, "anchors", "anchors", stamp)) is not None:
        return stage_result("anchors", folder, manifest, "anchors", made=False)
    poses = (
        anchor_poses(load_bank(workspace), settings)
        if kind == "bank"
        else load_labels(workspace).joints_3d
    )
    fitted = fit_anchors(poses, settings)
    with artefacts.staging_folder(folder) as staging:
        table = to_table(fitted, ANCHORS)
        part = artefacts.write_part(staging, "anchors-00000.parquet", table, section="anchors")
        stats = {"poses": len(poses)}
        section = artefacts.Section(stamp, decided, inputs, settings.seed, stats=stats)
        manifest = artefacts.commit(staging, folder, "anchors", [part], {"anchors": section})
    return stage_result("anchors", folder, manifest, "anchors", made=True)
