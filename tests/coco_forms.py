"""Made-up people in each COCO form that is in use: the forms' own names of keypoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from posebank.annotations.keypoints import BODY_25_NAMES
from posebank.skeleton import JOINT_NAMES

BODY = {
    "r_ankle": (82, 280), "l_ankle": (118, 281), "r_knee": (83, 220), "l_knee": (117, 221),
    "r_hip": (85, 160), "l_hip": (115, 161), "r_wrist": (60, 150), "l_wrist": (140, 151),
    "r_elbow": (65, 110), "l_elbow": (135, 111), "r_shoulder": (75, 70), "l_shoulder": (125, 71),
    "head": (100, 15),
}  # fmt: skip
"""Where the joints of the made-up person are."""

_SIDES = ("left", "right")
COCO = ["nose", "left_eye", "right_eye", "left_ear", "right_ear"] + [
    f"{side}_{part}"
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in _SIDES
]
_HALPE_BODY = ["Nose", "LEye", "REye", "LEar", "REar"] + [
    f"{side}{part}"
    for part in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
    for side in "LR"
]

FORMS: dict[str, tuple[list[str], dict[str, str]]] = {
    "COCO 17": (COCO, {}),
    "COCO-WholeBody 133": (
        [
            *COCO,
            *(f"{s}_{p}" for s in _SIDES for p in ("big_toe", "small_toe", "heel")),
            *(f"face-{i}" for i in range(68)),
            *(f"{s}_hand_{i}" for s in _SIDES for i in range(21)),
        ],
        {},
    ),
    "Halpe 26": (
        [
            *_HALPE_BODY,
            "Head",
            "Neck",
            "Hip",
            "LBigToe",
            "RBigToe",
            "LSmallToe",
            "RSmallToe",
            "LHeel",
            "RHeel",
        ],
        {"head": "Head"},
    ),
    "CrowdPose 14": ([*COCO[5:], "head", "neck"], {"head": "head"}),
    "AIC 14": (
        [
            f"{side}_{part}"
            for half in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
            for side in ("right", "left")
            for part in half
        ]
        + ["head_top", "neck"],
        {"head": "head_top"},
    ),
    "MPII 16": (
        [
            "Right-ankle",
            "Right-knee",
            "Right-hip",
            "Left-hip",
            "Left-knee",
            "Left-ankle",
            "Pelvis",
            "Thorax",
            "Upper-neck",
            "Head-top",
            "Right-wrist",
            "Right-elbow",
            "Right-shoulder",
            "Left-shoulder",
            "Left-elbow",
            "Left-wrist",
        ],
        {"head": "Head-top"},
    ),
    "PoseTrack18": (
        ["nose", "head_bottom", "head_top", "left_ear", "right_ear", *COCO[5:]],
        {"head": "head_top"},
    ),
    "JHMDB": (
        [
            "neck",
            "belly",
            "head",
            "right_shoulder",
            "left_shoulder",
            "right_hip",
            "left_hip",
            "right_elbow",
            "left_elbow",
            "right_knee",
            "left_knee",
            "right_wrist",
            "left_wrist",
            "right_ankle",
            "left_ankle",
        ],
        {},
    ),
    "OCHuman": (COCO, {}),
    "MHP 16": (
        [
            "right ankle",
            "right knee",
            "right hip",
            "left hip",
            "left knee",
            "left ankle",
            "pelvis",
            "thorax",
            "upper neck",
            "head top",
            "right wrist",
            "right elbow",
            "right shoulder",
            "left shoulder",
            "left elbow",
            "left wrist",
        ],
        {"head": "head top"},
    ),
    "Human3.6M in COCO form": (
        [
            "root",
            "right_hip",
            "right_knee",
            "right_foot",
            "left_hip",
            "left_knee",
            "left_foot",
            "spine",
            "thorax",
            "neck_base",
            "head",
            "left_shoulder",
            "left_elbow",
            "left_wrist",
            "right_shoulder",
            "right_elbow",
            "right_wrist",
        ],
        {"head": "head", "r_ankle": "right_foot", "l_ankle": "left_foot"},
    ),
    "BODY_25": (list(BODY_25_NAMES), {}),
}
"""Form -> its names, and the names of joints that are not simply side and part."""


def _joint_of(name: str, special: dict[str, str]) -> str:
    for joint, called in special.items():
        if called == name:
            return joint
    letters = "".join(c for c in name.lower() if c.isalpha())
    for joint in JOINT_NAMES[:-1]:
        side, part = joint.split("_")
        if letters in (side + part, {"l": "left", "r": "right"}[side] + part):
            return joint
    return ""


def person(form: str, number: int, image: int, *, v: int = 2, **more: Any) -> dict[str, Any]:
    """An annotation with the body at ``BODY``, and other keypoints at (1, 2) with v."""
    names, special = FORMS[form]
    points: list[float] = []
    for name in names:
        joint = _joint_of(name, special)
        points += [*BODY.get(joint, (1, 2)), v]
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [60, 15, 80, 266],
        "area": 21280,
        "num_keypoints": len(names),
        "keypoints": points,
        **more,
    }


def category(form: str, number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": "person",
        "supercategory": "person",
        "keypoints": FORMS[form][0],
        "skeleton": [],
        **more,
    }


def write(
    path: Path,
    form: str,
    people: list[dict[str, Any]],
    images: list[str],
    **more: Any,
) -> Path:
    """A file in a form; image numbers count from 1."""
    content = {
        "images": [
            {"id": i, "file_name": name, "width": 200, "height": 300}
            for i, name in enumerate(images, 1)
        ],
        "annotations": people,
        "categories": [category(form)],
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def expected(form: str) -> tuple[np.ndarray, np.ndarray]:
    """Places (13, 2) and whether they are known (13,), of a person in this form."""
    names, special = FORMS[form]
    has = {_joint_of(name, special) for name in names}
    known = np.array([joint in has for joint in JOINT_NAMES])
    places = np.array([BODY[joint] for joint in JOINT_NAMES], dtype=float)
    return np.where(known[:, None], places, 0), known
