"""Small labels, anchors, images and shards for the tests of shards and anchors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from posebank import artefacts
from posebank.anchors import AnchorSettings, fit_anchors
from posebank.shards import (
    ShardSettings,
    dataset_card,
    plan_shards,
    shard_table,
    write_anchors,
    write_shard,
)
from posebank.skeleton import N_JOINTS, J, centred
from posebank.types import Anchors, Labels, People


def random_poses(n: int, seed: int = 0) -> np.ndarray:
    """Body-centred random 3D poses (n, 13, 3), some 1.7 m tall, float32."""
    rng = np.random.default_rng(seed)
    stand = np.zeros((N_JOINTS, 3))
    heights = {"ankle": 0.9, "knee": 0.5, "hip": 0.0, "wrist": 0.1, "elbow": -0.2, "shoulder": -0.5}
    for name, y in heights.items():
        stand[J[f"r_{name}"]], stand[J[f"l_{name}"]] = [-0.2, y, 0], [0.2, y, 0]
    stand[J["head"]] = [0, -0.8, 0]
    return centred(stand + rng.normal(0, 0.12, (n, N_JOINTS, 3))).astype(np.float32)


def make_labels(people_in_image: dict[str, int], seed: int = 0) -> Labels:
    """Labels; the keys are ``split/dataset/image``, the values the number of people in it."""
    rng = np.random.default_rng(seed)
    keys = [key.split("/", 2) for key, n in people_in_image.items() for _ in range(n)]
    n = len(keys)
    joints_3d = random_poses(n, seed)
    state = rng.integers(0, 4, (n, N_JOINTS)).astype(np.uint8)
    state[:, J["head"]] = 1
    scale = rng.uniform(20, 40, n).astype(np.float32)
    shift = rng.uniform(40, 60, (n, 2)).astype(np.float32)
    head_box = np.tile(np.float32([10, 11, 22, 24]), (n, 1))
    head_box[::3] = np.nan
    joints_2d = scale[:, None, None] * joints_3d[..., :2] + shift[:, None]
    people = People.from_joints(
        joints_2d,
        state,
        dataset=[k[1] for k in keys],
        split=[k[0] for k in keys],
        image=[k[2] for k in keys],
        image_width=120,
        image_height=96,
        head_box=head_box,
        scale=np.where(np.arange(n) % 2, 0.4, np.nan),
        single_person=np.arange(n) % 3 - 1,
        group_id=("" if k % 2 else f"g{k}" for k in range(n)),
    )
    return Labels.from_people(
        people,
        joints_3d,
        joints_2d=joints_2d,  # of every joint, as a label has them
        camera_scale=scale,
        camera_translation=shift,
        error_norm=rng.uniform(0, 1, n),
        error_mm=rng.uniform(0, 200, n),
        trust=rng.uniform(0, 1, n),
        ambiguity_mm=rng.uniform(0, 100, n),
        pose_id=(f"cmu/01_01:{k}" for k in range(n)),
        provenance="views nearest",
    )


def make_anchors(k: int = 5, seed: int = 1) -> Anchors:
    """``k`` full-body and ``k`` upper-body anchor-poses."""
    return fit_anchors(random_poses(40, seed), AnchorSettings(k=k, restarts=1))


def make_images(labels: Labels, folder: Path, seed: int = 0) -> dict[str, Path]:
    """A noisy JPEG for every image of the labels; returns the folder of each data set."""
    rng = np.random.default_rng(seed)
    for dataset, name in sorted(set(zip(labels.dataset, labels.image, strict=True))):
        path = folder / dataset / name
        path.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (12, 15, 3), dtype=np.uint8))
        small.resize((120, 96), Image.Resampling.BICUBIC).save(path, quality=90)
    return {d: folder / d for d in sorted(set(labels.dataset))}


def write_shards(
    folder: Path, labels: Labels, anchors: Anchors, roots: dict[str, Path], settings: ShardSettings
) -> artefacts.Manifest:
    """What the stage does, in this process."""
    parts, rejected = [], []
    with artefacts.staging_folder(folder) as staging:
        for plan in plan_shards(labels, settings):
            table, some = shard_table(labels.take(plan.rows), anchors, roots, settings)
            rejected += some
            if table.num_rows:
                parts.append(write_shard(staging, plan.name, table, settings))
        card = staging / "dataset_card.md"
        card.write_text(dataset_card(labels, anchors, rejected=rejected), encoding="utf-8")
        beside = (card, write_anchors(staging, anchors))
        files = [*parts, *(artefacts.adopt_part(staging, file) for file in beside)]
        section = artefacts.Section("test", rejected=rejected)
        return artefacts.commit(staging, folder, "shards", files, {"shards": section})
