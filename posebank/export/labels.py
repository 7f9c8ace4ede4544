"""Labels in forms that other training code reads: COCO keypoints JSON and npz."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from posebank.annotations.mapping import COCO_NAMES
from posebank.artefacts import atomic_path, write_text_atomic
from posebank.schemas import LABELS
from posebank.skeleton import JOINT_NAMES, LIMBS, J, JointState
from posebank.types import Labels

_COCO_V = np.array([0, 2, 1, 1], dtype=np.int64)  # missing, visible, occluded, completed
_INFO = "posebank labels: 2D keypoints completed and 3D poses from motion capture"


def write_coco(labels: Labels, path: Path) -> None:
    """Write labels as COCO person keypoints, with the rest as extra fields.

    Keypoints are COCO's 17 (face points are never known: v = 0) with v = 2 visible, 1 occluded or
    completed, 0 missing. Every annotation also has, beside the standard fields: ``person_id``,
    ``split``, ``joints_2d`` and ``state`` (13 joints named in the category's
    ``posebank_keypoints``), ``joints_3d`` (metres, camera axes, relative to the body centre),
    ``camera_rotation``, ``camera_scale`` (px/m), ``camera_translation`` (px), ``trust``,
    ``error_norm``, ``error_mm``, ``ambiguity_mm``, ``pose_id``, ``provenance``, and ``head_box``
    (x1 y1 x2 y2), ``scale``, ``single_person``, ``group_id`` and ``video_id`` where known. ``bbox``
    is around all joints; there are no segments, and ``area`` is the box's. An image of unknown size
    has width and height 0.
    """
    image_key = [f"{d}/{i}" for d, i in zip(labels.dataset, labels.image, strict=True)]
    image_number = {key: n for n, key in enumerate(dict.fromkeys(image_key), start=1)}
    images: dict[str, dict[str, Any]] = {}
    annotations = []
    for row, key in enumerate(image_key):
        images.setdefault(
            key,
            {
                "id": image_number[key],
                "file_name": labels.image[row],
                "width": int(labels.image_width[row]),
                "height": int(labels.image_height[row]),
                "dataset": labels.dataset[row],
            },
        )
        annotations.append(_annotation(labels, row, image_number[key]))
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": [_coco_name(name) for name in COCO_NAMES],
        "skeleton": [[COCO_NAMES.index(a) + 1, COCO_NAMES.index(b) + 1] for a, b in LIMBS],
        "posebank_keypoints": list(JOINT_NAMES),
    }
    content = {
        "info": {"description": _INFO},
        "images": list(images.values()),
        "annotations": annotations,
        "categories": [category],
    }
    write_text_atomic(path, json.dumps(content, allow_nan=False))


def _coco_name(name: str) -> str:
    sides = {"l_": "left_", "r_": "right_"}
    return sides[name[:2]] + name[2:] if name[:2] in sides else name


def _annotation(labels: Labels, row: int, image: int) -> dict[str, Any]:
    joints, state = labels.joints_2d[row], labels.state[row]
    known = state != JointState.MISSING
    keypoints: list[float] = []
    for name in COCO_NAMES:
        if name in J and known[J[name]]:
            x, y = joints[J[name]].tolist()
            keypoints += [x, y, int(_COCO_V[state[J[name]]])]
        else:
            keypoints += [0, 0, 0]
    corner, far = joints[known].min(0), joints[known].max(0)
    width, height = (far - corner).tolist()
    annotation: dict[str, Any] = {
        "id": row + 1,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [*corner.tolist(), width, height],
        "area": width * height,
        "num_keypoints": sum(v > 0 for v in keypoints[2::3]),
        "keypoints": keypoints,
        "single_person": None if labels.single_person[row] < 0 else int(labels.single_person[row]),
    }
    for name in (
        "person_id", "split", "joints_2d", "state", "joints_3d", "camera_rotation", "camera_scale",
        "camera_translation", "trust", "error_norm", "error_mm", "ambiguity_mm", "pose_id",
        "provenance", "head_box", "scale", "group_id", "video_id",
    ):  # fmt: skip
        value = getattr(labels, name)[row]
        plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        annotation[name] = plain if _is_known(value) else None
    return annotation


def _is_known(value: Any) -> bool:
    return value != "" if isinstance(value, str) else bool(np.isfinite(value).all())


def write_npz(labels: Labels, path: Path) -> None:
    """Write labels as one compressed npz, readable with ``allow_pickle=False``.

    One array per column of the ``labels`` artefact, under its name and shape, texts as fixed-width
    unicode; plus ``joint_names`` (13,). A number that is not known has its own mask: for a column
    ``x`` of ``head_box`` and ``scale``, ``x_known`` (n,) bool, and 0 where it is False. No array
    holds NaN.
    """
    arrays: dict[str, Any] = {"joint_names": np.array(JOINT_NAMES)}
    for field in LABELS:
        values = getattr(labels, field.name)
        if values.dtype == object:
            arrays[field.name] = values.astype(np.str_)
        elif field.nullable and values.dtype.kind == "f":
            known = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
            arrays[f"{field.name}_known"] = known
            arrays[field.name] = np.where(np.isfinite(values), values, 0).astype(values.dtype)
        else:
            arrays[field.name] = values
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
