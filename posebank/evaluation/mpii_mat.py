"""Predictions in the form of MPII's evaluation toolkit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.annotations.mapping import MPII_NAMES, TO_13
from posebank.annotations.matfile import load_mat, number, record
from posebank.skeleton import JOINT_NAMES, N_JOINTS

_JOINT_OF_ID = {MPII_NAMES.index(TO_13[name]): j for j, name in enumerate(JOINT_NAMES)}


def mpii_poses(path: Path) -> Iterator[tuple[str, NDArray[np.float64], float]]:
    """Yield image name, joints (13, 2) in pixels and score of every pose in a MATLAB 5 file.

    The form is ``list(i).image.name``, ``list(i).annorect(j).annopoints.point(k).{x, y, id}`` with,
    for the multi-person protocol, ``.score``; the list may have any name. Coordinates are 1-based.
    A joint that has no point is NaN. A pose's score is the mean of its points', 1 without them; an
    image without a name is called by its 0-based place in the list, in six digits.

    Raises
    ------
    SourceError
        If the file is not a whole MATLAB 5 file.
    ValueError
        If the file has no such list.
    """
    for place, image in enumerate(_images(load_mat(path))):
        name = record(image.get("image")).get("name")
        for rect in _structs(image["annorect"]):
            points = _structs(record(rect.get("annopoints")).get("point"))
            if points:
                joints, score = _pose(points)
                yield name if isinstance(name, str) and name else f"{place:06d}", joints, score


def _images(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the elements of the first array of images."""
    for value in variables.values():
        items = _structs(value)
        if items and all("annorect" in item for item in items):
            return items
    raise ValueError("expected a list with annorect.annopoints.point, found none")


def _structs(value: Any) -> list[dict[str, Any]]:
    """Return the elements of a struct array, or of a cell array of structs."""
    if not isinstance(value, list):
        return []
    items = [record(item) if isinstance(item, list) else item for item in value]
    return [item for item in items if isinstance(item, dict) and item]


def _pose(points: list[dict[str, Any]]) -> tuple[NDArray[np.float64], float]:
    joints = np.full((N_JOINTS, 2), np.nan)
    scores = []
    for point in points:
        joint = _JOINT_OF_ID.get(number(point.get("id")))  # type: ignore[call-overload]
        if joint is not None:
            joints[joint] = number(point.get("x")) - 1, number(point.get("y")) - 1
            scores.append(number(point.get("score", 1.0)))
    known = [s for s in scores if not math.isnan(s)]
    return joints, float(np.mean(known)) if known else 1.0
