"""COCO person keypoints.

v = 0 is missing, 1 annotated but not visible, 2 visible. COCO has no head top: ``head`` is missing,
unless a proxy is asked for. Crowd regions and people without keypoints are set aside, each with its
line. Keypoints are 0-based pixel indices and are taken as they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.annotations.mapping import COCO_NAMES
from posebank.annotations.people import AnnotationResult, make_people
from posebank.errors import Rejected, SourceError
from posebank.skeleton import JOINT_NAMES, N_JOINTS, J, JointState

_STATES = np.array([JointState.MISSING, JointState.OCCLUDED, JointState.VISIBLE], np.uint8)
_FACE = ("nose", "l_eye", "r_eye", "l_ear", "r_ear")
_HEAD_TOP_FROM_FACE = 0.5
"""Face to head top as a fraction of shoulder centre to face: adults have about 13 and 26 cm."""


def load_json(path: Path) -> Any:
    """Parsed JSON.

    Raises
    ------
    SourceError
        If the file is not there or not JSON, with the line.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            return json.load(file)
    except json.JSONDecodeError as error:
        raise SourceError(path, f"expected JSON: {error.msg}", line=error.lineno) from error
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(path, f"expected JSON, found {error!s:.200}") from error


def _listed(raw: Any, path: Path, name: str) -> list[Any]:
    value = raw.get(name) if isinstance(raw, dict) else None
    if not isinstance(value, list):
        raise SourceError(path, f"expected a list {name!r}, found {type(value).__name__}")
    return value


def _keypoints(entry: dict[str, Any]) -> NDArray[np.float64] | None:
    try:
        values = np.array(entry.get("keypoints"), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if values.shape != (3 * len(COCO_NAMES),) or not np.isin(values[2::3], (0, 1, 2)).all():
        return None
    return values.reshape(-1, 3)


def _why_not(entry: Any, images: dict[Any, Any]) -> str:
    if not isinstance(entry, dict):
        return f"expected an object, found {type(entry).__name__}"
    if entry.get("iscrowd"):
        return "a crowd region, not a person"
    try:
        known = entry.get("image_id") in images
    except TypeError:
        known = False
    if not known:
        return f"expected the id of a listed image, found {entry.get('image_id')!r:.80}"
    points = _keypoints(entry)
    if points is None:
        found = repr(entry.get("keypoints"))
        return f"expected 17 keypoints (x, y, v) with v 0, 1 or 2, found {found:.80}"
    return "" if (points[:, 2] > 0).any() else "no keypoint is annotated (a box only)"


def head_proxy(
    points: NDArray[np.float64], joints_2d: NDArray[np.float64], state: NDArray[np.uint8]
) -> None:
    """Put a guess of the head top into people that have a face point and both shoulders.

    The head top is taken half as far above the face as the face is from the shoulders' middle; it
    is marked occluded, as nobody saw it.

    Parameters
    ----------
    points : (n, 17, 3) COCO keypoints.
    joints_2d, state : (n, 13, 2), (n, 13); changed in place.
    """
    face = points[:, [COCO_NAMES.index(name) for name in _FACE]]
    seen = face[..., 2] > 0
    shoulders = [J["r_shoulder"], J["l_shoulder"]]
    can = seen.any(axis=1) & (state[:, shoulders] > 0).all(axis=1)
    middle = (face[..., :2] * seen[..., None]).sum(1) / np.maximum(seen.sum(1), 1)[:, None]
    shoulder_centre = joints_2d[:, shoulders].mean(axis=1)
    top = middle + _HEAD_TOP_FROM_FACE * (middle - shoulder_centre)
    joints_2d[can, J["head"]] = top[can]
    state[can, J["head"]] = JointState.OCCLUDED


def _split_of(path: Path) -> str:
    return next((s for s in ("train", "val", "test") if s in path.stem.lower()), "")


def read_coco(path: Path, *, proxy_head: bool = False) -> AnnotationResult:
    """Everyone with a keypoint in a COCO ``person_keypoints_*.json``.

    The split is taken from the file's name (train2017, val2017).

    Parameters
    ----------
    proxy_head : guess the head top, see ``head_proxy``.

    Raises
    ------
    SourceError
        If the file is not COCO annotations.
    """
    raw = load_json(path)
    entries = _listed(raw, path, "annotations")
    images = {
        image["id"]: image
        for image in _listed(raw, path, "images")
        if isinstance(image, dict)
        and isinstance(image.get("id"), int | str)
        and isinstance(image.get("file_name"), str)
    }
    bad, kept = [], []
    for number, entry in enumerate(entries):
        reason = _why_not(entry, images)
        if reason:
            named = entry.get("id", "?") if isinstance(entry, dict) else "?"
            bad.append(Rejected(f"{path.name}: annotation {number} (id {named!s:.40})", reason))
        else:
            kept.append(entry)

    points = np.array([_keypoints(e) for e in kept], dtype=np.float64).reshape(-1, 17, 3)
    joints_2d = np.zeros((len(kept), N_JOINTS, 2))
    state = np.zeros((len(kept), N_JOINTS), dtype=np.uint8)
    for joint, name in enumerate(JOINT_NAMES):
        if name in COCO_NAMES:
            source = COCO_NAMES.index(name)
            joints_2d[:, joint] = points[:, source, :2]
            state[:, joint] = _STATES[points[:, source, 2].astype(int)]
    if proxy_head:
        head_proxy(points, joints_2d, state)

    of = [images[e["image_id"]] for e in kept]
    return make_people(
        "coco",
        [image["file_name"] for image in of],
        [_person_number(e, i) for i, e in enumerate(kept)],
        joints_2d,
        state,
        where=path.name,
        in_file=len(entries),
        rejected=bad,
        split=[_split_of(path)] * len(kept),
        image_width=[_size(image.get("width")) for image in of],
        image_height=[_size(image.get("height")) for image in of],
        extras={"bbox": np.array([_box(e) for e in kept]).reshape(-1, 4)},
        stats={"crowds": sum(r.reason.startswith("a crowd") for r in bad)},
    )


def _person_number(entry: dict[str, Any], position: int) -> int:
    """COCO's own annotation id, which stays the same whatever else is in the file."""
    number = entry.get("id")
    return number if isinstance(number, int) else position


def _size(value: Any) -> float:
    return value if isinstance(value, int | float) and 0 < value < 1e9 else 0


def _box(entry: dict[str, Any]) -> list[float]:
    try:
        x, y, width, height = (float(v) for v in entry.get("bbox", ()))
    except (TypeError, ValueError, OverflowError):
        return [np.nan] * 4
    return [x, y, width, height]
