"""Anchors: K-means anchor-poses of the bank's views or of the labels, and what they cover."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.anchors import (
    AnchorSettings,
    Coverage,
    anchor_poses,
    coverage,
    drawn_rows,
    fit_anchors,
    trained_poses,
)
from posebank.artefacts import read_part
from posebank.deciding import deciding
from posebank.errors import ArtefactError
from posebank.files import read_json
from posebank.report import anchors_picture, poses_picture
from posebank.schemas import ANCHORS, to_table
from posebank.types import Anchors
from posebank.workspace import load_bank, load_labels
from posebank_pipelines.stage import Stage, StageResult

COVERAGE = "coverage.json"


def anchors(workspace: Path, settings: AnchorSettings) -> StageResult:
    """Fit the anchor-poses of the workspace, measure their coverage and draw them."""
    reads = ["bank" if settings.source == "bank" else "labels"]
    stage = Stage(workspace, "anchors", deciding(settings), reads=reads, seed=settings.seed)
    if stage.is_current:
        return stage.result()
    poses, dataset, names = _poses(workspace, settings)
    fitted = fit_anchors(poses, settings)
    covered = coverage(fitted, poses, dataset, names)
    with stage.build() as build:
        build.write("anchors-00000.parquet", to_table(fitted, ANCHORS))
        build.adopt(_write_report(build.staging, fitted, covered, poses))
        build.stats = {"poses": len(poses), **_in_short(covered)}
    return stage.result()


def coverage_report(workspace: Path) -> dict[str, Any]:
    """The coverage report of the workspace's anchor-poses.

    Returns
    -------
    ``by_dataset``, ``by_anchor`` and ``rarest``: lists of rows as in
    ``posebank.anchors.Coverage``, distances in millimetres. A pose of the bank is named by its
    ``pose_id``, one of the labels by its ``person_id``.
    """
    report: dict[str, Any] = read_part(workspace / "anchors", "anchors", COVERAGE, read_json)
    return report


def _poses(
    workspace: Path, settings: AnchorSettings
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The poses to cluster, their data sets, and their names."""
    if settings.source == "bank":
        bank = load_bank(workspace)
        poses = anchor_poses(bank, settings)
        rows = drawn_rows(len(bank), settings)
        return poses, bank.dataset[rows], bank.pose_id[rows]
    labels = load_labels(workspace)
    training = labels.split == "train"
    if not training.any():
        raise ArtefactError(f"{workspace / 'labels'}: expected people to train on, found none")
    labels = labels.take(training)
    poses = trained_poses(labels.joints_3d, settings)
    copies = len(poses) // len(labels)
    return poses, np.tile(labels.dataset, copies), np.tile(labels.person_id, copies)


def _write_report(
    staging: Path, fitted: Anchors, covered: Coverage, poses: NDArray[Any]
) -> list[Path]:
    rare = covered.rarest
    tables = {
        "by_dataset": covered.by_dataset.reset_index(),
        "by_anchor": covered.by_anchor.reset_index(),
        "rarest": rare.drop(columns="row"),
    }
    rows = {
        n: json.loads(t.to_json(orient="records", double_precision=2)) for n, t in tables.items()
    }
    file = staging / COVERAGE
    file.write_text(json.dumps(rows, indent=1), encoding="utf-8", newline="\n")
    titles = [
        f"{name}\n{mm:.0f} mm" for name, mm in zip(rare["id"], rare["distance_mm"], strict=True)
    ]
    return [
        file,
        anchors_picture(fitted, staging / "anchors.png"),
        poses_picture(poses[rare["row"]], titles, staging / "rarest.png"),
    ]


def _in_short(covered: Coverage) -> dict[str, Any]:
    everything = covered.by_dataset.loc["all"].to_dict()
    mm = {name: round(everything[name], 1) for name in ("mean_mm", "p50_mm", "p95_mm")}
    return {**mm, "anchors_used": int(everything["anchors_used"])}
