"""Annotations of one's own: a small JSON and a small CSV form, documented in docs/annotations.md.

Both are 0-based pixels from the top-left corner of the image, joints by name, and need nothing but
an image name and one joint per person.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.annotations.coco import load_json
from posebank.annotations.mpii_derived import read_csv_rows
from posebank.annotations.people import AnnotationResult, make_people
from posebank.errors import Rejected, SourceError
from posebank.skeleton import JOINT_NAMES, N_JOINTS, J, JointState

STATE_NAMES = {"visible": JointState.VISIBLE, "occluded": JointState.OCCLUDED}
SPLITS = ("", "train", "val", "test")


class _Rows:
    """People gathered one by one; numbers each within its image."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.people: list[dict[str, Any]] = []
        self.rejected: list[Rejected] = []
        self._counted: dict[str, int] = {}

    def add(self, where: str, person: dict[str, Any]) -> None:
        image = person["image"]
        person["index"] = self._counted.get(image, 0)
        self._counted[image] = person["index"] + 1
        if person["split"] not in SPLITS:
            found = person["split"]
            self.reject(where, f"split: expected train, val or test, found {found!r:.40}")
            return
        self.people.append(person)

    def reject(self, where: str, reason: str) -> None:
        self.rejected.append(Rejected(f"{self.where}{where}", reason))

    def result(self, dataset: str) -> AnnotationResult:
        def column(name: str, empty: Any) -> list[Any]:
            return [person.get(name, empty) for person in self.people]

        return make_people(
            dataset,
            column("image", ""),
            column("index", 0),
            np.array(column("joints", None), dtype=np.float64),
            np.array(column("state", None), dtype=np.uint8),
            where=self.where,
            in_file=len(self.people) + len(self.rejected),
            rejected=self.rejected,
            split=column("split", ""),
            image_width=column("width", 0),
            image_height=column("height", 0),
            head_box=column("head_box", [np.nan] * 4),
            scale=column("scale", np.nan),
            group_id=column("group", ""),
            video_id=column("video", ""),
            joints_3d=column("joints_3d", np.full((N_JOINTS, 3), np.nan)),
        )


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name) or ""
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected a text, found {value!r:.40}")
    return value


def _floats(value: Any, name: str, count: int) -> NDArray[np.float64]:
    try:
        numbers = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty(0)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(f"{name}: expected {count} numbers, found {value!r:.60}")
    return numbers


def _state(name: Any, joint: str) -> JointState:
    if not isinstance(name, str) or name not in STATE_NAMES:
        raise ValueError(f"{joint}: expected visible or occluded, found {name!r:.40}")
    return STATE_NAMES[name]


def _json_person(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object, found {type(entry).__name__}")
    person: dict[str, Any] = {
        name: _text(entry, name) for name in ("image", "split", "group", "video")
    }
    raw = entry.get("joints")
    if not isinstance(raw, dict):
        raise ValueError(f"joints: expected an object of named joints, found {raw!r:.60}")
    joints, state = np.zeros((N_JOINTS, 2)), np.zeros(N_JOINTS, dtype=np.uint8)
    for name, value in raw.items():
        if name not in J:
            raise ValueError(f"joints: expected the names {', '.join(JOINT_NAMES)}, found {name!r}")
        listed = value if isinstance(value, list) else []
        joints[J[name]] = _floats(listed[:2], name, 2)
        state[J[name]] = _state(listed[2] if len(listed) > 2 else "visible", name)
    person |= {"joints": joints, "state": state}
    if entry.get("joints_3d") is not None:
        measured = entry["joints_3d"]
        if not isinstance(measured, dict) or set(measured) != set(J):
            raise ValueError("joints_3d: expected all 13 joints by name")
        person["joints_3d"] = [_floats(measured[name], name, 3) for name in JOINT_NAMES]
    for name in ("scale", "width", "height"):
        if entry.get(name) is not None:
            person[name] = float(_floats([entry[name]], name, 1)[0])
    if entry.get("head_box") is not None:
        person["head_box"] = _floats(entry["head_box"], "head_box", 4)
    return person


def read_own_json(path: Path) -> AnnotationResult:
    """Everyone in a JSON file ``{"dataset": ..., "people": [...]}``.

    Raises
    ------
    SourceError
        If it is not such a file.
    """
    raw = load_json(path)
    people = raw.get("people") if isinstance(raw, dict) else None
    if not isinstance(people, list):
        raise SourceError(path, 'expected an object with a list "people", found none')
    rows = _Rows(path.name)
    for i, entry in enumerate(people):
        try:
            rows.add(f": people[{i}]", _json_person(entry))
        except ValueError as error:
            rows.reject(f": people[{i}]", str(error))
    return rows.result(_dataset_name(raw.get("dataset"), path))


def _dataset_name(value: Any, path: Path) -> str:
    if value is None:
        return re.sub(r"[^A-Za-z0-9_-]", "_", path.stem)
    if not isinstance(value, str) or not value.replace("-", "").replace("_", "").isalnum():
        raise SourceError(path, f"dataset: expected letters, digits, - and _, found {value!r:.40}")
    return value


def read_own_csv(path: Path) -> AnnotationResult:
    """Everyone in a CSV file with the columns ``image``, ``r_ankle_x``, ``r_ankle_y``, ...

    A joint with no values is missing. ``r_ankle_state`` (visible, occluded), ``split``, ``scale``,
    ``group`` and ``video`` may be there.

    Raises
    ------
    SourceError
        If it is not such a file.
    """
    lines, bad = read_csv_rows(path, ["image", *(f"{n}_{a}" for n in JOINT_NAMES for a in "xy")])
    rows = _Rows(path.name)
    rows.rejected += bad
    for line, row in lines:
        try:
            rows.add(f":{line}", _csv_person(row))
        except ValueError as error:
            rows.reject(f":{line}", str(error))
    return rows.result(_dataset_name(None, path))


def _csv_person(row: dict[str, str]) -> dict[str, Any]:
    person: dict[str, Any] = {
        name: _text(row, name) for name in ("image", "split", "group", "video")
    }
    joints, state = np.zeros((N_JOINTS, 2)), np.zeros(N_JOINTS, dtype=np.uint8)
    for joint, name in enumerate(JOINT_NAMES):
        place = [row[f"{name}_x"].strip(), row[f"{name}_y"].strip()]
        if place == ["", ""]:
            continue
        joints[joint] = _floats(place, name, 2)
        state[joint] = _state(row.get(f"{name}_state") or "visible", name)
    person |= {"joints": joints, "state": state}
    if row.get("scale"):
        person["scale"] = float(_floats([row["scale"]], "scale", 1)[0])
    return person
