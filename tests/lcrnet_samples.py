"""Small shards, anchors and settings for the tests of LCR-Net."""

import io
from pathlib import Path

import numpy as np
from builders import write_artefact
from PIL import Image, ImageDraw

from posebank.anchors import pose_in_box
from posebank.lcrnet import TrainSettings, preset
from posebank.shards import ShardSettings, shard_table
from posebank.skeleton import LIMBS, J, centred
from posebank.types import Anchors, Labels, People, texts

STANDING = {
    "r_ankle": (-0.10, 0.80, 0.00), "l_ankle": (0.12, 0.80, 0.05),
    "r_knee": (-0.12, 0.45, -0.05), "l_knee": (0.11, 0.45, 0.00),
    "r_hip": (-0.10, 0.05, 0.00), "l_hip": (0.10, 0.05, 0.02),
    "r_wrist": (-0.35, 0.00, -0.10), "l_wrist": (0.33, 0.02, -0.12),
    "r_elbow": (-0.28, -0.25, 0.00), "l_elbow": (0.27, -0.24, 0.01),
    "r_shoulder": (-0.18, -0.45, 0.00), "l_shoulder": (0.18, -0.45, 0.03),
    "head": (0.01, -0.75, -0.04),
}  # fmt: skip


def standing() -> np.ndarray:
    """A body-centred pose (13, 3) float32 in camera axes, metres."""
    pose = np.array([STANDING[name] for name in J], np.float32)
    return centred(pose)


def poses(n: int, seed: int = 0, spread: float = 0.12) -> np.ndarray:
    """Variations (n, 13, 3) of the standing pose."""
    noise = np.random.default_rng(seed).normal(0, spread, (n, 13, 3))
    return centred((standing() + noise).astype(np.float32))


def make_anchors(pose_3d: np.ndarray, upper: bool = True) -> Anchors:
    kinds = ["full", "upper"] if upper else ["full"]
    k = len(pose_3d)
    return Anchors(
        anchor_id=np.arange(k * len(kinds), dtype=np.int32),
        kind=texts([kind for kind in kinds for _ in range(k)]),
        pose_2d=np.concatenate([pose_in_box(pose_3d, kind) for kind in kinds]).astype(np.float32),
        pose_3d=np.concatenate([pose_3d] * len(kinds)).astype(np.float32),
        count=np.ones(k * len(kinds), np.int64),
    )


def make_labels(
    image: list[str],
    joints_2d: np.ndarray,
    joints_3d: np.ndarray,
    *,
    size: tuple[int, int] = (0, 0),
    split: str = "train",
    trust: float = 1.0,
) -> Labels:
    width, height = size
    people = People.from_joints(
        joints_2d, image=image, image_width=width, image_height=height, split=split
    )
    return Labels.from_people(people, joints_3d, camera_scale=100, trust=trust)


def write_shards(folder: Path, labels: Labels, anchors: Anchors, images: Path) -> Path:
    table, rejected = shard_table(labels, anchors, {"own": images}, ShardSettings())
    assert not rejected
    write_artefact(folder, "shards", table, part="train-00000.parquet", row_group_rows=16)
    return folder


def stick_figures(folder: Path, n: int) -> tuple[Path, Anchors]:
    """Shards of ``n`` drawn images of different sizes, and anchors for them."""
    pose_3d = poses(n)
    images = folder / "images"
    images.mkdir(parents=True)
    joints_2d = np.zeros((n, 13, 2))
    names = []
    for i in range(n):
        width, height = 96 + 8 * (i % 3), 120
        joints_2d[i] = pose_3d[i, :, :2] * 55 + [width / 2, height / 2]
        picture = Image.new("RGB", (width, height), (30, 60 + 10 * i, 90))
        draw = ImageDraw.Draw(picture)
        for a, b in LIMBS:
            draw.line([*joints_2d[i, J[a]], *joints_2d[i, J[b]]], fill=(250, 240, 200), width=4)
        names.append(f"{i:03d}.png")
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        (images / names[-1]).write_bytes(buffer.getvalue())
    anchors = make_anchors(poses(5, seed=1))
    labels = make_labels(names, joints_2d, pose_3d)
    return write_shards(folder / "shards", labels, anchors, images), anchors


def tiny(**changes: object) -> TrainSettings:
    """Settings of a network that takes a few hundredths of a second per iteration."""
    from dataclasses import replace

    base = replace(
        preset("small"),
        iterations=6,
        images_per_batch=4,
        boxes_per_image=16,
        short_side=64,
        long_side=96,
        anchor_sizes=(16, 32, 64),
        fc_channels=64,
        warm_up=2,
        upper_body=True,
        checkpoint_every=3,
        device="cpu",
    )
    return replace(base, **changes)
