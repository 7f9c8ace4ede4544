"""Shards: labels, anchors and images into Parquet shards with a data-set card."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from posebank import artefacts
from posebank.deciding import deciding
from posebank.errors import ArtefactError, Rejected
from posebank.shards import (
    IMAGE_COLUMNS,
    ShardPlan,
    ShardSettings,
    plan_shards,
    shard_table,
    write_anchors,
)
from posebank.shards.card import dataset_card
from posebank.workspace import image_roots, load_anchors, load_labels
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import Stage, StageResult, contents, images_stamp


def _write_shard(
    plan: ShardPlan, workspace: Path, staging: Path, settings: ShardSettings
) -> tuple[artefacts.Part | None, list[Rejected]]:
    labels = load_labels(workspace).take(plan.rows)
    table, rejected = shard_table(labels, load_anchors(workspace), image_roots(workspace), settings)
    if table.num_rows == 0:
        return None, rejected
    part = artefacts.write_part(
        staging,
        plan.name,
        table,
        section="shards",
        row_group_rows=settings.images_per_row_group,
        as_is=IMAGE_COLUMNS,
    )
    return part, rejected


def shards(workspace: Path, settings: ShardSettings, runner: Runner) -> StageResult:
    """Write the shards of the workspace's labels."""
    inputs = contents(workspace, ["labels", "anchors"])
    roots = dict(sorted(image_roots(workspace).items()))
    labels = load_labels(workspace)
    for name, root in roots.items():
        inputs[f"images of {name}"] = images_stamp(root, labels.image[labels.dataset == name])
    decided = {
        **deciding(settings),
        "image_roots": {name: str(root) for name, root in roots.items()},
    }
    stage = Stage(workspace, "shards", decided, inputs)
    if stage.is_current:
        return stage.result()
    plans = plan_shards(labels, settings)
    with stage.build() as build:
        done = runner.map("shards", _write_shard, plans, workspace, build.staging, settings)
        build.parts = [part for part, _ in done if part is not None]
        build.rejected = [r for _, some in done for r in some]
        if not build.parts:
            reason = build.rejected[0].reason if build.rejected else "there are no labels"
            raise ArtefactError(f"{stage.folder}: expected at least one image to write: {reason}")
        build.stats = {
            "images": sum(part.rows for part in build.parts),
            "images_set_aside": len(build.rejected),
        }
        anchors = load_anchors(workspace)
        bank = artefacts.read_manifest(workspace / "bank", "bank")
        card = build.staging / "dataset_card.md"
        text = dataset_card(
            labels,
            anchors,
            mocap={name: dict(section.stats) for name, section in bank.sections.items()},
            rejected=build.rejected,
            settings=asdict(settings),
        )
        card.write_text(text, encoding="utf-8")
        build.adopt([card, write_anchors(build.staging, anchors)])
    return stage.result()
