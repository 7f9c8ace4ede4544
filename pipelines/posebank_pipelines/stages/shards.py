"""Shards: labels, anchors and images into Parquet shards with a data-set card."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from posebank import artefacts
from posebank.deciding import deciding
from posebank.errors import ArtefactError
from posebank.shards import (
    ShardPlan,
    ShardSettings,
    plan_shards,
    shard_table,
    write_anchors,
    write_shard,
)
from posebank.shards.card import dataset_card, hub_readme
from posebank.shards.plan import image_id
from posebank.types import LabelKeys
from posebank.workspace import (
    annotation_terms,
    image_roots,
    label_keys,
    label_rows,
    load_anchors,
)
from posebank_pipelines.partitions import Partition
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import Build, Stage, StageResult, images_stamp

_DESCRIBED = 200_000
"""People whose labels the data-set card is computed from, so that its memory is bounded."""


def _has_anchors(workspace: Path) -> bool:
    return artefacts.find_manifest(workspace / "anchors") is not None


def _write_shard(
    plan: ShardPlan, _number: int, workspace: Path, staging: Path, settings: ShardSettings
) -> Partition:
    labels = label_rows(workspace, plan.rows)
    anchors = load_anchors(workspace) if _has_anchors(workspace) else None
    table, rejected = shard_table(labels, anchors, image_roots(workspace), settings)
    if table.num_rows == 0:
        return Partition(rejected=rejected)
    return Partition([write_shard(staging, plan.name, table, settings, "shards")], rejected)


def shards(workspace: Path, settings: ShardSettings, runner: Runner) -> StageResult:
    """Write the shards of the workspace's labels."""
    roots = dict(sorted(image_roots(workspace).items()))
    decided = {
        **deciding(settings),
        "image_roots": {name: str(root) for name, root in roots.items()},
    }
    keys = label_keys(workspace)

    def stamps() -> dict[str, str]:
        return {
            f"images of {name}": images_stamp(root, keys.image[keys.dataset == name])
            for name, root in roots.items()
        }

    reads = ["labels", *(["anchors"] if _has_anchors(workspace) else [])]
    stage = Stage(workspace, "shards", decided, reads=reads, sources=stamps)
    if stage.is_current:
        return stage.result()
    with stage.build() as build:
        plans = plan_shards(keys, settings)
        sizes = [len(plan.rows) for plan in plans]
        build.partitions(runner, _write_shard, plans, settings, sizes=sizes, unit="people")
        if not build.parts:
            first = build.rejected[0] if build.rejected else None
            reason = f"{first.where}: {first.reason}" if first else "there are no labels"
            raise ArtefactError(f"{stage.folder}: expected at least one image to write: {reason}")
        build.stats = {
            "images": sum(part.rows for part in build.parts),
            "images_set_aside": len(build.rejected),
        }
        build.adopt(_write_beside(build, workspace, keys, roots, settings))
    return stage.result()


def _write_beside(
    build: Build,
    workspace: Path,
    keys: LabelKeys,
    roots: Mapping[str, Path],
    settings: ShardSettings,
) -> list[Path]:
    """Write the card, the hub's README and the anchor-poses beside the shards."""
    written = [
        pq.read_table(build.staging / part.name, columns=["image_id"])["image_id"].to_pylist()
        for part in build.parts
    ]
    ids = {image_id for part in written for image_id in part}
    inside = np.flatnonzero([image_id(keys, row) in ids for row in range(len(keys))])
    sample = np.linspace(0, len(inside) - 1, min(len(inside), _DESCRIBED)).astype(np.int64)
    everyone = keys.take(inside)
    anchors = load_anchors(workspace) if _has_anchors(workspace) else None
    bank = artefacts.find_manifest(workspace / "bank")
    card = dataset_card(
        label_rows(workspace, inside[sample]),
        anchors,
        everyone=everyone,
        mocap={name: dict(s.stats) for name, s in bank.sections.items()} if bank else {},
        rejected=[replace(r, where=_below_root(r.where, roots)) for r in build.rejected],
        settings=asdict(settings),
        terms=annotation_terms(workspace),
    )
    files = [build.staging / "dataset_card.md", build.staging / "README.md"]
    for path, text in zip(files, (card, hub_readme(card, everyone)), strict=True):
        path.write_text(text, encoding="utf-8", newline="\n")
    return files + ([write_anchors(build.staging, anchors)] if anchors is not None else [])


def _below_root(where: str, roots: Mapping[str, Path]) -> str:
    """The place of an image without the folders of this machine."""
    for dataset, root in roots.items():
        if where.startswith(f"{root}{os.sep}"):
            return f"{dataset}/{where.removeprefix(f'{root}{os.sep}')}"
    return where
