"""Shards: labels, anchors and images into Parquet shards with a data-set card."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from posebank import artefacts
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
from posebank.workspace import content, image_roots, load_anchors, load_labels
from posebank_pipelines.runner import Runner
from posebank_pipelines.workspace import (
    StageResult,
    current,
    images_stamp,
    settings_dict,
    stage_result,
)


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
    folder = workspace / "shards"
    inputs = {kind: content(workspace, kind) for kind in ("labels", "anchors")}
    roots = dict(sorted(image_roots(workspace).items()))
    inputs |= {f"images of {name}": images_stamp(root) for name, root in roots.items()}
    decided = settings_dict(settings, image_roots={n: str(root) for n, root in roots.items()})
    stamp = artefacts.fingerprint("shards", decided, inputs)
    if (manifest := current(folder, "shards", "shards", stamp)) is not None:
        return stage_result("shards", folder, manifest, "shards", made=False)
    labels = load_labels(workspace)
    plans = plan_shards(labels, settings)
    with artefacts.staging_folder(folder) as staging:
        done = runner.map("shards", _write_shard, plans, workspace, staging, settings)
        parts = [part for part, _ in done if part is not None]
        rejected = [r for _, some in done for r in some]
        if not parts:
            reason = rejected[0].reason if rejected else "there are no labels"
            raise ArtefactError(f"{folder}: expected at least one image to write: {reason}")
        stats = {"images": sum(p.rows for p in parts), "images_set_aside": len(rejected)}
        anchors = load_anchors(workspace)
        card = staging / "dataset_card.md"
        bank = artefacts.read_manifest(workspace / "bank", "bank")
        card.write_text(
            dataset_card(
                labels,
                anchors,
                mocap={name: dict(s.stats) for name, s in bank.sections.items()},
                rejected=rejected,
                settings=asdict(settings),
            ),
            encoding="utf-8",
        )
        beside = (card, write_anchors(staging, anchors))
        files = [*parts, *(artefacts.adopt_part(staging, f, section="shards") for f in beside)]
        section = artefacts.Section(
            stamp, json.loads(json.dumps(decided)), inputs, 0, rejected, stats
        )
        manifest = artefacts.commit(staging, folder, "shards", files, {"shards": section})
    return stage_result("shards", folder, manifest, "shards", made=True)
