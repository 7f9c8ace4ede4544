"""Write annotations in the original formats: MPII's nested structs, LSPE's ``joints.mat``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from posebank.demo.body import Floats
from posebank.demo.scene import EXTRA_POINTS, Person
from posebank.skeleton import J

_MPII_ORDER = (
    "r_ankle",
    "r_knee",
    "r_hip",
    "l_hip",
    "l_knee",
    "l_ankle",
    "pelvis",
    "thorax",
    "neck",
    "head",
    "r_wrist",
    "r_elbow",
    "r_shoulder",
    "l_shoulder",
    "l_elbow",
    "l_wrist",
)
_LSP_ORDER = (
    "r_ankle",
    "r_knee",
    "r_hip",
    "l_hip",
    "l_knee",
    "l_ankle",
    "r_wrist",
    "r_elbow",
    "r_shoulder",
    "l_shoulder",
    "l_elbow",
    "l_wrist",
    "neck",
    "head",
)

ONE_BASED = 1.0
"""MATLAB's first pixel is 1; ours begins at 0."""

_MAT_TEXT_BYTES = 116

_ANNOTATOR_NOISE = 0.008
"""Standard deviation of an annotated joint, as a fraction of the person's height in pixels."""


_LEFT_OUT_IF_HIDDEN = 0.2
"""Share of the hidden joints that MPII's annotators do not mark at all."""


@dataclass(frozen=True)
class _Points:
    """What an annotator could mark: named points (n, 2) with what is visible and in the image."""

    names: tuple[str, ...]
    places: Floats
    visible: NDArray[np.bool_]
    inside: NDArray[np.bool_]


def _points(person: Person, order: tuple[str, ...], rng: np.random.Generator) -> _Points:
    noise = _ANNOTATOR_NOISE * person.pixels_per_metre * person.stature
    all_2d = np.concatenate([person.joints_2d, person.extra_2d])
    where = {**J, **{name: len(J) + i for i, name in enumerate(EXTRA_POINTS)}}
    # The points between other joints can be told when those can.
    leans_on = {
        "pelvis": ("r_hip", "l_hip"),
        "thorax": ("r_shoulder", "l_shoulder"),
        "neck": ("r_shoulder", "l_shoulder"),
    }

    def known(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.array([all(flags[J[j]] for j in leans_on.get(name, (name,))) for name in order])

    places = all_2d[[where[name] for name in order]] + rng.normal(0, noise, (len(order), 2))
    return _Points(order, places, known(person.visible), known(person.inside))


def _struct(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> NDArray[Any]:
    """A MATLAB 1 x n struct array."""
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in names])
    for index, row in enumerate(rows):
        for name in names:
            array[name][0, index] = row.get(name, np.zeros((0, 0)))
    return array


def _cells(values: Sequence[Any], *, column: bool = False) -> NDArray[Any]:
    array = np.empty((len(values), 1) if column else (1, len(values)), dtype=object)
    for index, value in enumerate(values):
        array.flat[index] = value
    return array


def _mpii_person(person: Person, with_joints: bool, rng: np.random.Generator) -> dict[str, Any]:
    around = person.joints_2d
    middle = 0.5 * (around.min(0) + around.max(0)) + ONE_BASED
    record: dict[str, Any] = {
        "scale": person.pixels_per_metre * person.stature / 200,
        "objpos": _struct(
            [{"x": float(np.round(middle[0])), "y": float(np.round(middle[1]))}], ("x", "y")
        ),
    }
    if not with_joints:
        return record
    box = np.round(person.head_box + ONE_BASED + rng.normal(0, 0.5, 4))
    record.update(zip(("x1", "y1", "x2", "y2"), map(float, box), strict=True))
    points = _points(person, _MPII_ORDER, rng)
    rows = []
    for joint in rng.permutation(len(_MPII_ORDER)):
        if not points.inside[joint]:
            continue
        visible = bool(points.visible[joint])
        if not visible and rng.random() < _LEFT_OUT_IF_HIDDEN:
            continue
        state: Any = float(visible)
        if points.names[joint] in ("head", "neck"):
            state = np.zeros((0, 0))
        elif rng.random() < 0.2:
            state = str(int(visible))
        x, y = points.places[joint] + ONE_BASED
        rows.append({"x": float(x), "y": float(y), "id": float(joint), "is_visible": state})
    if rows:
        record["annopoints"] = _struct(
            [{"point": _struct(rows, ("x", "y", "id", "is_visible"))}], ("point",)
        )
    return record


@dataclass(frozen=True)
class MpiiImage:
    """One image of an MPII-like release. ``train`` is False for those without joints."""

    name: str
    people: list[Person]
    video: str
    second: int
    activity: str
    train: bool


def _apart(people: Sequence[Person]) -> list[float]:
    """1-based numbers of the people whose boxes keep clear of the others'."""
    boxes = [np.concatenate([p.joints_2d.min(0), p.joints_2d.max(0)]) for p in people]

    def meet(a: Floats, b: Floats) -> bool:
        return bool((a[:2] < b[2:]).all() and (b[:2] < a[2:]).all())

    return [
        i + 1.0
        for i, box in enumerate(boxes)
        if not any(meet(box, other) for j, other in enumerate(boxes) if j != i)
    ]


def write_mpii(path: Path, images: Sequence[MpiiImage], rng: np.random.Generator) -> Path:
    """Write ``mpii_human_pose_v1_u12_1.mat``.

    Visible joints are marked, hidden ones mostly (with visibility 0), those outside the image are
    not; test images have only place and scale, as published.
    """
    videos = sorted({image.video for image in images})
    rect_names = ("x1", "y1", "x2", "y2", "annopoints", "scale", "objpos")
    annolist = [
        {
            "image": _struct([{"name": image.name}], ("name",)),
            "annorect": _struct(
                [_mpii_person(p, image.train, rng) for p in image.people], rect_names
            ),
            "frame_sec": float(image.second),
            "vidx": float(videos.index(image.video) + 1),
        }
        for image in images
    ]
    acts = [
        {
            "cat_name": "generated",
            "act_name": image.activity.replace("_", " "),
            "act_id": float(1 + sorted({i.activity for i in images}).index(image.activity)),
        }
        for image in images
    ]
    release = {
        "annolist": _struct(annolist, ("image", "annorect", "frame_sec", "vidx")),
        "img_train": np.array([[float(image.train) for image in images]]),
        "version": "12",
        "single_person": _cells(
            [np.array(_apart(image.people)).reshape(-1, 1) for image in images], column=True
        ),
        "act": _struct(acts, ("cat_name", "act_name", "act_id")).T,
        "video_list": _cells(videos),
    }
    return _write_mat(path, {"RELEASE": _struct([release], tuple(release))})


def _write_mat(path: Path, variables: dict[str, Any]) -> Path:
    """Write a MATLAB 5 file whose bytes depend on its content alone.

    scipy puts the time of writing into the header's free text (its first 116 bytes).
    """
    buffer = BytesIO()
    savemat(buffer, variables, do_compression=True)
    header = b"MATLAB 5.0 MAT-file, generated by posebank demo".ljust(_MAT_TEXT_BYTES)
    path.write_bytes(header + buffer.getvalue()[_MAT_TEXT_BYTES:])
    return path


def lspe_joints(person: Person, rng: np.random.Generator) -> Floats:
    """Return one person's (14, 3) of LSPE: x, y, 1 if annotated; junk coordinates where not.

    Joints outside the image are never annotated, hidden ones seldom, and now and then an annotator
    leaves out a visible one.
    """
    points = _points(person, _LSP_ORDER, rng)
    chance = np.where(points.visible, 0.99, 0.45) * points.inside
    marked = rng.random(len(_LSP_ORDER)) < chance
    if not marked.any():
        marked = points.inside & points.visible
    out = np.zeros((len(_LSP_ORDER), 3))
    out[:, :2] = points.places + ONE_BASED
    junk = np.where(
        rng.random((len(_LSP_ORDER), 2)) < 0.4, 0.0, rng.uniform(-90, 30, (len(_LSP_ORDER), 2))
    )
    out[~marked, :2] = junk[~marked]
    out[:, 2] = marked
    return out


def write_lspe(path: Path, people: Sequence[Floats]) -> Path:
    """Write ``joints.mat`` of people (14, 3) each: 14 x 3 x n."""
    return _write_mat(path, {"joints": np.stack(people, axis=-1)})
