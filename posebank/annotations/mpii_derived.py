"""Forms of MPII that others derived from the release, converted back where they can be.

==========  =======================================================================================
form        what it changed, and what comes of it here
==========  =======================================================================================
HDF5        ``valid.h5``: scale x 1.25 and centre y + 15 scale (undone); head top and upper neck
            cut to whole pixels (stays so, up to 1 px); missing joints at (0, 0); ``visible`` 0 of
            a joint with coordinates is occluded; no head box (``head_size`` from ``normalize``)
CSV         missing joints at -1; the first person of each image only; no visibility (annotated
            joints count as visible); no head box
JSON        a list of people with ``joints``, ``joints_vis``, ``center``, ``scale`` (scale as in
            the release), or with ``joint_self``, ``objpos``, ``scale_provided``; no head box,
            unless ``gt_valid.mat`` lies beside ``valid.json``
==========  =======================================================================================
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from posebank.annotations.h5_arrays import read_h5_array
from posebank.annotations.mapping import MPII_NAMES, positions
from posebank.annotations.matfile import load_mat
from posebank.annotations.mpii import gt_head_boxes
from posebank.annotations.people import AnnotationResult, make_people
from posebank.errors import Rejected, SourceError
from posebank.files import read_json
from posebank.skeleton import JointState

_PICK = positions(MPII_NAMES)
_N = len(MPII_NAMES)
H5_SCALE = 1.25
H5_CENTRE_SHIFT = 15.0


def _states(joints: NDArray[Any], visible: NDArray[Any], *missing_at: float) -> NDArray[np.uint8]:
    """States (n, 16): missing where both coordinates are the form's mark, else by the flag.

    A coordinate below 0 alone is a joint outside the image, which some head tops are.
    """
    state = np.where(visible > 0, JointState.VISIBLE, JointState.OCCLUDED).astype(np.uint8)
    for mark in missing_at:
        state[(joints == mark).all(axis=-1)] = JointState.MISSING
    return state


def _dataset(file: h5py.File, path: Path, name: str, n: int | None, *tail: int) -> NDArray[Any]:
    found = read_h5_array(file, name)
    if found.ndim < 1 or found.shape[1:] != tail or (n is not None and len(found) != n):
        expected = ("n" if n is None else n, *tail)
        raise SourceError(path, f"{name}: expected shape {expected}, found {found.shape}")
    return found


def read_mpii_h5(path: Path) -> AnnotationResult:
    """Read everyone in a ``valid.h5`` (or ``train.h5``) of the derived HDF5 form.

    Raises
    ------
    SourceError
        If the file is damaged or of another form.
    """
    try:
        with h5py.File(path, "r") as file:
            joints = _dataset(file, path, "part", None, _N, 2).astype(np.float64)
            n = len(joints)
            visible = _dataset(file, path, "visible", n, _N).astype(np.float64)
            names = [bytes(s).decode() for s in _dataset(file, path, "imgname", n)]
            person = _dataset(file, path, "person", n).astype(np.int64)
            scale = _dataset(file, path, "scale", n).astype(np.float64) / H5_SCALE
            centre = _dataset(file, path, "center", n, 2).astype(np.float64)
            head = 1.0 * _dataset(file, path, "normalize", n) if "normalize" in file else None
    except SourceError:
        raise
    except Exception as error:  # HDF5 raises many kinds of errors for damaged bytes
        raise SourceError(path, f"expected MPII in HDF5, found {error!s:.200}") from error
    centre[:, 1] -= H5_CENTRE_SHIFT * scale
    state = _states(joints, visible, 0)
    return make_people(
        "mpii",
        names,
        person.tolist(),
        joints[:, _PICK] - 1,
        state[:, _PICK],
        where=path.name,
        scale=scale,
        extras={"objpos": centre - 1, "head_size": np.full(n, np.nan) if head is None else head},
    )


_CSV_NAMES = tuple(
    name.replace("r_", "r ").replace("l_", "l ").replace("_", " ") for name in MPII_NAMES
)


def read_mpii_csv(path: Path) -> AnnotationResult:
    """Read everyone in the derived CSV: ``NAME``, ``r ankle_X``, ``r ankle_Y``, ..., ``Scale``.

    Raises
    ------
    SourceError
        If the file is no such CSV.
    """
    rows, bad = read_csv_rows(path, ["NAME", *(f"{n}_{a}" for n in _CSV_NAMES for a in "XY")])
    names, joints, scale, activity = [], [], [], []
    for line, row in rows:
        try:
            place = [[float(row[f"{n}_{a}"]) for a in "XY"] for n in _CSV_NAMES]
            size = float(row.get("Scale") or "nan")
        except ValueError as error:
            bad.append(Rejected(f"{path.name}:{line}", f"expected numbers: {error!s:.100}"))
            continue
        names.append(row["NAME"])
        joints.append(place)
        scale.append(size)
        activity.append(row.get("Activity") or "")
    xy = np.array(joints, dtype=np.float64).reshape(-1, _N, 2)
    state = _states(xy, np.ones(xy.shape[:2]), -1)
    return make_people(
        "mpii",
        names,
        [0] * len(names),
        xy[:, _PICK] - 1,
        state[:, _PICK],
        where=path.name,
        in_file=len(names) + len(bad),
        rejected=bad,
        scale=scale,
        extras={"activity": np.array(activity, dtype=np.str_)},
        stats={"visibility_not_stated": int((state > 0).sum())},
    )


def read_csv_rows(
    path: Path, needed: list[str]
) -> tuple[list[tuple[int, dict[str, str]]], list[Rejected]]:
    """Return the line number and columns of each row; rows of another length are set aside.

    Raises
    ------
    SourceError
        If the file cannot be read or lacks a needed column.
    """
    rows, bad = [], []
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            reader = csv.DictReader(file)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise SourceError(
                    path, f"expected a column {missing[0]!r}, found none of that name", line=1
                )
            for row in reader:
                if None in row or None in row.values():
                    where = f"{path.name}:{reader.line_num}"
                    bad.append(Rejected(where, "expected as many values as the header has names"))
                    continue
                rows.append((reader.line_num, row))
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(path, f"expected CSV text, found {error!s:.200}") from error
    return rows, bad


def read_mpii_json(path: Path) -> AnnotationResult:
    """Read everyone in either of the derived JSON forms.

    Raises
    ------
    SourceError
        If the file is neither.
    """
    raw = read_json(path)
    boxes = _head_boxes_beside(path)
    if isinstance(raw, dict) and isinstance(raw.get("root"), list):
        raw = raw["root"]
    if not isinstance(raw, list):
        raise SourceError(path, f"expected a list of people, found {type(raw).__name__}")
    names: list[str] = []
    joints, visible, scale, centre, split, bad = [], [], [], [], [], []
    kept = []
    for i, entry in enumerate(raw):
        if isinstance(entry, dict) and not {"joints", "joint_self"} & set(entry):
            reason = "no joints (MPII publishes none of its test images)"
            bad.append(Rejected(f"{path.name}: person {i}", reason))
            continue
        try:
            name, xy, flag, size, place, side = _json_person(entry)
        except (KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
            bad.append(Rejected(f"{path.name}: person {i}", f"expected joints: {error!r:.100}"))
            continue
        kept.append(i)
        names.append(name)
        joints.append(xy)
        visible.append(flag)
        scale.append(size)
        centre.append(place)
        split.append(side)
    xy = np.array(joints, dtype=np.float64).reshape(-1, _N, 2)
    state = _states(xy, np.array(visible, dtype=np.float64).reshape(-1, _N), 0, -1)
    counted: dict[str, int] = {}
    index = []
    for name in names:
        index.append(counted.get(name, 0))
        counted[name] = index[-1] + 1
    return make_people(
        "mpii",
        names,
        index,
        xy[:, _PICK] - 1,
        state[:, _PICK],
        where=path.name,
        in_file=len(raw),
        rejected=bad,
        scale=scale,
        split=split,
        head_box=boxes[kept] if boxes is not None and len(boxes) == len(raw) else None,
        extras={"objpos": np.array(centre, dtype=np.float64).reshape(-1, 2) - 1},
    )


def _head_boxes_beside(path: Path) -> NDArray[np.float64] | None:
    """Head boxes of ``valid.json``, from ``gt_valid.mat`` in the same folder; None without it."""
    beside = path.with_name("gt_valid.mat")
    if path.stem != "valid" or not beside.is_file():
        return None
    return gt_head_boxes(beside, load_mat(beside, ["headboxes_src"]))


def _json_person(
    entry: Any,
) -> tuple[str, NDArray[np.float64], NDArray[np.float64], float, list[float], str]:
    if not isinstance(entry, dict):
        raise TypeError(f"expected an object, found {type(entry).__name__}")
    if "joint_self" in entry:
        points = np.array(entry["joint_self"], dtype=np.float64)
        xy, flag = points[:, :2], points[:, 2]
        name, size, place = entry["img_paths"], entry["scale_provided"], entry["objpos"]
    else:
        xy = np.array(entry["joints"], dtype=np.float64)
        flag = np.array(entry["joints_vis"], dtype=np.float64)
        name, size, place = entry["image"], entry["scale"], entry["center"]
    if xy.shape != (_N, 2) or flag.shape != (_N,):
        raise ValueError(f"{_N} joints, found shapes {xy.shape} and {flag.shape}")
    if not isinstance(name, str):
        raise TypeError(f"an image name, found {type(name).__name__}")
    x, y = place
    side = {True: "val", False: "train"}.get(bool(entry.get("isValidation")), "")
    return (
        name,
        xy,
        flag,
        float(size),
        [float(x), float(y)],
        (side if "isValidation" in entry else ""),
    )
