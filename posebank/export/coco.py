"""Labels in COCO form: added to the annotations they came from, of which nothing is changed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from posebank.annotations.coco_file import CocoFile, keypoints_of
from posebank.annotations.keypoints import Layout
from posebank.annotations.mapping import COCO_NAMES
from posebank.artefacts import write_text_atomic
from posebank.skeleton import JOINT_NAMES, LIMBS, J, JointState
from posebank.types import Labels, People

_V = np.array([0, 2, 1, 1], dtype=np.int64)  # missing, visible, occluded, completed
_INFO = "posebank labels: 2D keypoints completed and 3D poses from motion capture"
_COCO_LAYOUT = Layout(COCO_NAMES, {n: COCO_NAMES.index(n) for n in JOINT_NAMES if n in COCO_NAMES})
_LABEL_FIELDS = (
    "person_id",
    "joints_2d",
    "state",
    "joints_3d",
    "trust",
    "error_norm",
    "error_mm",
    "ambiguity_mm",
    "pose_id",
    "provenance",
)
_PERSON_FIELDS = ("head_box", "scale", "group_id", "video_id")


def coco_of_source(
    file: CocoFile, rows: Mapping[int, int], labels: Labels, people: People
) -> dict[str, Any]:
    """Return the content of a COCO-form file with the labels of its people added.

    Images, annotations and categories stay, each with all that the file says of it; people without
    a label, crowds and other categories too. Fields that COCO's own code needs are added where the
    file lacks them: ``id``, ``iscrowd``, ``num_keypoints``, ``bbox``, ``area``, a ``segmentation``
    (the box), and the sizes of images. What ``label_fields`` adds is the label's.

    Parameters
    ----------
    file : CocoFile
        The annotation file.
    rows : mapping
        Number of an annotation in the file -> row of its label.
    labels : Labels
        The labels.
    people : People
        All annotated people, for the sizes of the images.
    """
    content = dict(file.raw)
    annotations = []
    used = {e["id"] for e in file.entries if isinstance(e, dict) and _is_id(e.get("id"))}
    free = max((number for number in used if isinstance(number, int)), default=0)
    names: dict[Any, Layout] = {}
    for number, entry in enumerate(file.entries):
        if not isinstance(entry, dict):
            continue
        points = keypoints_of(entry)
        points = np.zeros((0, 3)) if points is None else points
        try:
            layout = file.layout_of(entry, len(points))
        except ValueError:  # not people
            layout = Layout((), {})
        annotation = dict(entry)
        if not _is_id(entry.get("id")):
            free += 1
            annotation["id"] = free
        _add_standard_fields(annotation, points)
        if number in rows:
            names.setdefault(entry.get("category_id"), layout)
            annotation |= label_fields(labels, rows[number], layout, points)
        annotations.append(annotation)
    sizes = _sizes(people)
    content["annotations"] = annotations
    content["images"] = [
        _with_size(image, sizes) if isinstance(image, dict) else image
        for image in file.raw["images"]
    ]
    content["categories"] = _categories(file, names)
    return content


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _categories(file: CocoFile, layouts: Mapping[Any, Layout]) -> list[Any]:
    raw = file.raw.get("categories")
    if not file.categories:
        return [
            _category(1 if number is None else number, layout) for number, layout in layouts.items()
        ]
    people = {number for number, category in file.categories.items() if category.layout}
    return [
        {**c, "posebank_keypoints": list(JOINT_NAMES)}
        if isinstance(c, dict) and _is_id(c.get("id")) and c["id"] in people
        else c
        for c in (raw if isinstance(raw, list) else ())
    ]


def _category(number: int | str, layout: Layout) -> dict[str, Any]:
    at = layout.position
    limbs = [[at[a] + 1, at[b] + 1] for a, b in LIMBS if a in at and b in at]
    return {
        "id": number,
        "name": "person",
        "supercategory": "person",
        "keypoints": [_coco_name(name) for name in layout.names],
        "skeleton": limbs,
        "posebank_keypoints": list(JOINT_NAMES),
    }


def _coco_name(name: str) -> str:
    sides = {"l_": "left_", "r_": "right_"}
    return sides[name[:2]] + name[2:] if name[:2] in sides else name


def _sizes(people: People) -> dict[str, tuple[int, int]]:
    return {
        Path(name).name: (int(width), int(height))
        for name, width, height in zip(
            people.image, people.image_width, people.image_height, strict=True
        )
    }


def _with_size(image: dict[str, Any], sizes: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    if image.get("width") and image.get("height"):
        return image
    width, height = sizes.get(Path(str(image.get("file_name"))).name, (0, 0))
    return {**image, "width": width, "height": height}


def _add_standard_fields(annotation: dict[str, Any], points: np.ndarray) -> None:
    """Add what COCO's own code needs and the annotation lacks; in place."""
    labelled = points[points[:, 2] > 0]
    annotation.setdefault("iscrowd", 0)
    annotation.setdefault("category_id", 1)
    annotation.setdefault("num_keypoints", len(labelled))
    try:
        x, y, width, height = map(float, annotation["bbox"])
    except (KeyError, TypeError, ValueError):
        annotation["bbox"] = x, y, width, height = _box(labelled[:, :2])
    annotation.setdefault("area", width * height)
    if not annotation.get("segmentation"):
        corners = [x, y, x + width, y, x + width, y + height, x, y + height]
        annotation["segmentation"] = [corners]


def _box(points: np.ndarray) -> list[float]:
    if not len(points):
        return [0.0, 0.0, 0.0, 0.0]
    low, high = points.min(axis=0), points.max(axis=0)
    return [*low.tolist(), *(high - low).tolist()]


def label_fields(labels: Labels, row: int, layout: Layout, points: np.ndarray) -> dict[str, Any]:
    """Return the fields that a label adds to its annotation.

    ``completed`` are the keypoints (x, y, v) with the joints filled in that were not labelled, at v
    = 1; ``keypoints_3d`` has (x, y, z) for each keypoint, in metres, camera axes, relative to the
    body centre, null for what is none of the 13 joints. ``joints_2d``, ``state`` and ``joints_3d``
    are the 13 joints of ``posebank_keypoints``, which some categories lack keypoints of.

    Parameters
    ----------
    labels : Labels
        The labels.
    row : int
        Row of the label.
    layout : Layout
        Which keypoint is which joint.
    points : array (n, 3)
        The annotation's own keypoints.
    """
    completed = np.array(points, dtype=np.float64).reshape(-1, 3)
    solid: list[list[float] | None] = [None] * len(completed)
    for joint, place in layout.position.items():
        state = labels.state[row, J[joint]]
        if state != JointState.MISSING and not completed[place, 2] > 0:
            completed[place] = [*labels.joints_2d[row, J[joint]].tolist(), _V[state]]
        solid[place] = labels.joints_3d[row, J[joint]].tolist()
    fields = {name: _plain(getattr(labels, name)[row]) for name in _LABEL_FIELDS}
    camera = {
        "rotation": labels.camera_rotation[row].tolist(),
        "scale": _plain(labels.camera_scale[row]),
        "translation": labels.camera_translation[row].tolist(),
    }
    return {
        **fields,
        "completed": completed.ravel().tolist(),
        "keypoints_3d": solid,
        "camera": camera,
    }


def _plain(value: Any) -> Any:
    """A plain JSON value; None for what is not known."""
    if isinstance(value, str):
        return value or None
    return value.tolist() if np.isfinite(value).all() else None


def coco_of_people(people: People, labels: Labels) -> dict[str, Any]:
    """Return people of any source in COCO form with their labels, if they have one.

    Keypoints are COCO's 17, of which face points are never known (v = 0): v = 2 visible, 1
    occluded. What ``label_fields`` adds is the label's; ``head_box`` (x1 y1 x2 y2), ``scale``,
    ``single_person``, ``group_id`` and ``video_id`` are there where known. ``bbox`` is around the
    annotated joints, ``area`` and ``segmentation`` are the box's.
    """
    row_of = {person: row for row, person in enumerate(labels.person_id)}
    numbers: dict[str, int] = {}
    images = []
    annotations = []
    for row in range(len(people)):
        key = f"{people.dataset[row]}/{people.image[row]}"
        if key not in numbers:
            numbers[key] = len(numbers) + 1
            images.append(
                {
                    "id": numbers[key],
                    "file_name": people.image[row],
                    "width": int(people.image_width[row]),
                    "height": int(people.image_height[row]),
                    "dataset": people.dataset[row],
                }
            )
        points = np.zeros((len(COCO_NAMES), 3))
        for joint, place in _COCO_LAYOUT.position.items():
            if (state := people.state[row, J[joint]]) != JointState.MISSING:
                points[place] = [*people.joints_2d[row, J[joint]].tolist(), _V[state]]
        known = people.joints_2d[row][people.state[row] != JointState.MISSING]
        annotation: dict[str, Any] = {
            "id": row + 1,
            "image_id": numbers[key],
            "category_id": 1,
            "keypoints": points.ravel().tolist(),
            "bbox": _box(known),
            "person_id": people.person_id[row],
            **{name: _plain(getattr(people, name)[row]) for name in _PERSON_FIELDS},
            "single_person": bool(people.single_person[row])
            if people.single_person[row] >= 0
            else None,
        }
        _add_standard_fields(annotation, points)
        label = row_of.get(people.person_id[row])
        if label is not None:
            annotation |= label_fields(labels, label, _COCO_LAYOUT, points)
        annotations.append(annotation)
    return {
        "info": {"description": _INFO},
        "images": images,
        "annotations": annotations,
        "categories": [_category(1, _COCO_LAYOUT)],
    }


def people_of(labels: Labels) -> People:
    """Return the annotated people behind labels, where the annotations are not at hand."""
    state = np.where(labels.state == JointState.COMPLETED, JointState.MISSING, labels.state)
    columns = {field.name: getattr(labels, field.name) for field in fields(People)}
    return People(**{**columns, "state": state.astype(np.uint8)})


def of_images(content: Mapping[str, Any], chosen: set[Any]) -> dict[str, Any]:
    """Return the content with the images of these ids and their annotations alone."""
    return {
        **content,
        "images": [i for i in content["images"] if isinstance(i, dict) and i.get("id") in chosen],
        "annotations": [a for a in content["annotations"] if a.get("image_id") in chosen],
    }


def write_coco(content: Mapping[str, Any], path: Path) -> None:
    """Write COCO content as JSON; numbers that are not finite become null."""
    try:
        text = json.dumps(content, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(content), allow_nan=False)
    write_text_atomic(path, text)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
