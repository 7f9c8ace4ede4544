"""Annotations of one's own: a small JSON and a small CSV form, documented in docs/annotations.md.

Both are 0-based pixels from the top-left corner of the image, joints by name, and need nothing but
an image name and one joint per person. People as OpenPose and COCO write them are understood: other
spellings of the joints' names, further keypoints (which are left out), null for a joint that is not
known, and numbers for its visibility.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.annotations.keypoints import Layout, layout_of, unnamed_layout
from posebank.annotations.mpii_derived import read_csv_rows
from posebank.annotations.people import AnnotationResult, make_people
from posebank.errors import Rejected, SettingsError, SourceError
from posebank.files import read_json
from posebank.skeleton import JOINT_NAMES, N_JOINTS, J, JointState

STATE_NAMES = {"visible": JointState.VISIBLE, "occluded": JointState.OCCLUDED}
SPLITS = ("", "train", "val", "test")
_NOT_NUMERIC = -1.0  # in an array of visibilities: said in words


class _Rows:
    """People gathered one by one; numbers each within its image."""

    def __init__(self, where: str, joints: Mapping[str, str | int] | None) -> None:
        self.where = where
        self.people: list[dict[str, Any]] = []
        self.rejected: list[Rejected] = []
        self.left_out: Counter[str] = Counter()
        self.assumed: set[str] = set()
        self.has_twos = False  # whether a keypoint, of any name, has 2 as its visibility
        self._chosen = joints or {}
        self._counted: Counter[str] = Counter()
        self._layouts: dict[Any, Layout | None] = {}

    def add(self, where: str, person: dict[str, Any]) -> None:
        image = person["image"]
        person["index"] = self._counted[image]
        self._counted[image] += 1
        if person["split"] not in SPLITS:
            found = person["split"]
            self.reject(where, f"split: expected train, val or test, found {found!r:.40}")
            return
        self.people.append(person)

    def reject(self, where: str, reason: str) -> None:
        self.rejected.append(Rejected(f"{self.where}{where}", reason))

    def layout(self, names: Sequence[str]) -> Layout:
        """The joints among named keypoints; what is not a joint is counted as left out."""
        key = tuple(names)
        if key not in self._layouts:
            present = {j: k for j, k in self._chosen.items() if k in names}
            exact: dict[str, str | int] = {name: name for name in names if name in J}
            self._layouts[key] = layout_of(names, exact | present)
        layout = self._layouts[key]
        assert layout is not None
        if not layout.position:
            raise ValueError(
                f"joints: expected names such as {', '.join(JOINT_NAMES)}, found "
                f"{', '.join(map(repr, names))!s:.200}"
            )
        used = set(layout.position.values())
        self.left_out.update(name for i, name in enumerate(names) if i not in used)
        return layout

    def unnamed(self, count: int) -> Layout:
        """The joints among keypoints that have no names."""
        if count not in self._layouts:
            try:
                self._layouts[count] = unnamed_layout(count, self._chosen)
            except SettingsError as error:
                raise ValueError(str(error)) from error
        layout = self._layouts[count]
        if layout is None:
            raise ValueError(f"expected named joints, found {count} keypoints without names")
        self.assumed.add(f"{count} keypoints without names are read as {layout.assumed}")
        return layout

    def result(self, dataset: str) -> AnnotationResult:
        def column(name: str, empty: Any) -> list[Any]:
            return [person.get(name, empty) for person in self.people]

        flags = np.array(column("flags", None), dtype=np.float64).reshape(-1, N_JOINTS)
        words = np.array(column("state", None), dtype=np.uint8)
        states, note = _states(flags, words, self.has_twos)
        return make_people(
            dataset,
            column("image", ""),
            column("index", 0),
            np.array(column("joints", None), dtype=np.float64),
            states,
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
            notes=[f"{self.where}: {text}" for text in (*self._notes(), *note)],
        )

    def _notes(self) -> list[str]:
        notes = sorted(self.assumed)
        if self.left_out:
            most = ", ".join(f"{name} ({n:,})" for name, n in self.left_out.most_common(12))
            more = ", ..." if len(self.left_out) > 12 else ""
            notes.append(f"keypoints that are none of the 13 joints are left out: {most}{more}")
        return notes


def _states(
    flags: NDArray[np.float64], states: NDArray[np.uint8], has_twos: bool
) -> tuple[NDArray[np.uint8], list[str]]:
    """States (n, 13) from visibilities given as numbers, and what was assumed of these.

    Numbers as COCO has them: 0 missing, 1 occluded, 2 visible. Where no number of the file is 2,
    they are flags or confidences: above 0 is visible.
    """
    states = states.reshape(-1, N_JOINTS)
    numeric = flags != _NOT_NUMERIC
    if not numeric.any():
        return states, []
    values = flags[numeric]
    if has_twos and np.isin(values, (0, 1, 2)).all():
        given = np.array([JointState.MISSING, JointState.OCCLUDED, JointState.VISIBLE], np.uint8)
        read = given[np.where(numeric, flags, 0).astype(int)]
        return np.where(numeric, read, states), []
    read = np.where(flags > 0, JointState.VISIBLE, JointState.MISSING).astype(np.uint8)
    note = "the numbers beside the joints are never 2, so each above 0 is read as visible"
    return np.where(numeric, read, states), [note]


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name) or ""
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected a text, found {value!r:.40}")
    return value.replace("\\", "/") if name == "image" else value


def _floats(value: Any, name: str, count: int) -> NDArray[np.float64]:
    try:
        numbers = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty(0)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(f"{name}: expected {count} numbers, found {value!r:.60}")
    return numbers


def _visibility(value: Any, joint: str) -> tuple[int, float]:
    """State said in words, and the number if it was said with one."""
    if isinstance(value, bool):
        value = "visible" if value else "occluded"
    if value is None:
        return JointState.VISIBLE, _NOT_NUMERIC
    if isinstance(value, int | float) and 0 <= value <= 2 and (value <= 1 or value == 2):
        return JointState.VISIBLE, float(value)
    if not isinstance(value, str) or value not in STATE_NAMES:
        raise ValueError(
            f"{joint}: expected visible, occluded, or a number up to 2, found {value!r:.40}"
        )
    return STATE_NAMES[value], _NOT_NUMERIC


class _Joints:
    """The 2D joints of one person: places, states and numeric visibilities."""

    def __init__(self) -> None:
        self.joints = np.zeros((N_JOINTS, 2))
        self.state = np.zeros(N_JOINTS, dtype=np.uint8)
        self.flags = np.full(N_JOINTS, _NOT_NUMERIC)

    def put(self, joint: str, place: Any, visibility: Any) -> None:
        """Set one joint; a place of nulls leaves it missing."""
        if all(value is None for value in place) and len(place) == 2:
            return
        self.joints[J[joint]] = _floats(place, joint, 2)
        self.state[J[joint]], self.flags[J[joint]] = _visibility(visibility, joint)

    def columns(self) -> dict[str, Any]:
        return {"joints": self.joints, "state": self.state, "flags": self.flags}


def _joints(entry: Mapping[str, Any], rows: _Rows, names: Sequence[str] | None) -> dict[str, Any]:
    """The joints of a person in JSON: an object of named joints, or a list of keypoints."""
    raw = entry.get("joints", entry.get("keypoints", entry.get("pose_keypoints_2d")))
    made = _Joints()
    if isinstance(raw, dict):
        if not raw:
            return made.columns()
        listed = list(raw)
        layout, points = rows.layout(listed), list(raw.values())
    elif isinstance(raw, list) and raw:
        points = _keypoints(raw)
        if names is not None and len(names) != len(points):
            raise ValueError(f"joints: expected {len(names)} keypoints, found {len(points)}")
        layout = rows.unnamed(len(points)) if names is None else rows.layout(names)
    else:
        raise ValueError(f"joints: expected an object of named joints, found {raw!r:.60}")
    rows.has_twos |= any(isinstance(p, list) and len(p) > 2 and p[2] == 2 for p in points)
    for joint, place in layout.position.items():
        value = points[place]
        if value is None:
            continue
        listed = value if isinstance(value, list) else []
        made.put(joint, listed[:2], listed[2] if len(listed) > 2 else None)
    return made.columns()


def _keypoints(raw: list[Any]) -> list[Any]:
    """Keypoints one by one, of a flat list of x, y, v or of a list of lists."""
    if any(isinstance(value, list) for value in raw):
        return raw
    if len(raw) % 3:
        raise ValueError(
            f"expected keypoints x, y, v one after the other, found {len(raw)} numbers"
        )
    return [raw[i : i + 3] for i in range(0, len(raw), 3)]


def _json_person(entry: Any, rows: _Rows, names: Sequence[str] | None) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object, found {type(entry).__name__}")
    person: dict[str, Any] = {
        name: _text(entry, name) for name in ("image", "split", "group", "video")
    }
    person |= _joints(entry, rows, names)
    if entry.get("joints_3d") is not None:
        measured = entry["joints_3d"]
        position = rows.layout(list(measured)).position if isinstance(measured, dict) else {}
        if set(position) != set(J):
            raise ValueError("joints_3d: expected all 13 joints by name")
        values = list(measured.values())
        person["joints_3d"] = [_floats(values[position[name]], name, 3) for name in JOINT_NAMES]
    for name in ("scale", "width", "height"):
        if entry.get(name) is not None:
            person[name] = float(_floats([entry[name]], name, 1)[0])
    if entry.get("head_box") is not None:
        person["head_box"] = _floats(entry["head_box"], "head_box", 4)
    return person


def read_own_json(
    path: Path, dataset: str = "own", joints: Mapping[str, str | int] | None = None
) -> AnnotationResult:
    """Read everyone in a JSON file ``{"dataset": ..., "people": [...]}``.

    Parameters
    ----------
    path : Path
        The file.
    dataset : str
        Name of the data set where the file has none.
    joints : mapping or None
        ``lcrnet13`` joint -> keypoint, for names that are not known.

    Raises
    ------
    SourceError
        If it is not such a file.
    """
    raw = read_json(path)
    people = raw.get("people") if isinstance(raw, dict) else None
    if not isinstance(people, list):
        raise SourceError(path, 'expected an object with a list "people", found none')
    names = raw.get("joints", raw.get("keypoints"))
    if names is not None and not (
        isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    ):
        raise SourceError(path, f"joints: expected a list of names, found {names!r:.60}")
    rows = _Rows(path.name, joints)
    for i, entry in enumerate(people):
        try:
            rows.add(f": people[{i}]", _json_person(entry, rows, names))
        except ValueError as error:
            rows.reject(f": people[{i}]", str(error))
    return rows.result(_dataset_name(raw.get("dataset"), dataset, path))


def _dataset_name(value: Any, otherwise: str, path: Path) -> str:
    if value is None:
        return otherwise
    if not isinstance(value, str) or not value.replace("-", "").replace("_", "").isalnum():
        raise SourceError(path, f"dataset: expected letters, digits, - and _, found {value!r:.40}")
    return value


def read_own_csv(
    path: Path, dataset: str = "own", joints: Mapping[str, str | int] | None = None
) -> AnnotationResult:
    """Read everyone in a CSV file with the columns ``image``, ``r_ankle_x``, ``r_ankle_y``, ...

    A joint with no values is missing. ``r_ankle_state`` (visible, occluded, or a number),
    ``split``, ``scale``, ``group`` and ``video`` may be there.

    Parameters
    ----------
    path : Path
        The file.
    dataset : str
        Name of the data set.
    joints : mapping or None
        ``lcrnet13`` joint -> the part of its columns' names before ``_x`` and ``_y``.

    Raises
    ------
    SourceError
        If it is not such a file.
    """
    lines, bad = read_csv_rows(path, ["image"])
    rows = _Rows(path.name, joints)
    rows.rejected += bad
    columns = list(lines[0][1]) if lines else []
    names = [name[:-2] for name in columns if name.endswith("_x") and f"{name[:-2]}_y" in columns]
    try:
        layout = rows.layout(names) if lines else Layout((), {})
    except ValueError as error:
        raise SourceError(path, f"expected columns r_ankle_x, r_ankle_y, ...: {error}") from error
    for line, row in lines:
        try:
            rows.has_twos |= any(row.get(f"{name}_state") in ("2", "2.0") for name in names)
            rows.add(f":{line}", _csv_person(row, layout))
        except ValueError as error:
            rows.reject(f":{line}", str(error))
    result = rows.result(dataset)
    if layout.missing and lines:
        lacking = f"{path.name}: joints without columns stay missing: {', '.join(layout.missing)}"
        result.notes.append(lacking)
    return result


def _csv_person(row: dict[str, str], layout: Layout) -> dict[str, Any]:
    person: dict[str, Any] = {
        name: _text(row, name) for name in ("image", "split", "group", "video")
    }
    made = _Joints()
    for joint, at in layout.position.items():
        name = layout.names[at]
        place = [row[f"{name}_{axis}"].strip() for axis in "xy"]
        if place == ["", ""]:
            continue
        made.put(joint, place, _csv_visibility(row.get(f"{name}_state") or ""))
    person |= made.columns()
    if row.get("scale"):
        person["scale"] = float(_floats([row["scale"]], "scale", 1)[0])
    return person


def _csv_visibility(text: str) -> str | float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return text.strip()
