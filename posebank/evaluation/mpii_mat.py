"""Predictions in the form of MPII's evaluation toolkit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from posebank.annotations.mapping import MPII_NAMES, TO_13
from posebank.skeleton import JOINT_NAMES, N_JOINTS

_JOINT_OF_ID = {MPII_NAMES.index(TO_13[name]): j for j, name in enumerate(JOINT_NAMES)}


def mpii_poses(path: Path) -> Iterator[tuple[str, NDArray[np.float64], float]]:
    """Image name, joints (13, 2) in pixels and score of every pose in a MATLAB 5 file.

    The form is ``list(i).image.name``, ``list(i).annorect(j).annopoints.point(k).{x, y, id}`` with,
    for the multi-person protocol, ``.score``; the list may have any name. Coordinates are 1-based.
    A joint that has no point is NaN. A pose's score is the mean of its points', 1 without them; an
    image without a name is called by its 0-based place in the list, in six digits.

    Raises
    ------
    ValueError
        If the file has no such list.
    """
    variables = loadmat(path, squeeze_me=True, struct_as_record=False)
    for place, image in enumerate(_images(variables)):
        name = getattr(getattr(image, "image", None), "name", None)
        for rect in _elements(image.annorect):
            points = _elements(getattr(getattr(rect, "annopoints", None), "point", None))
            if points:
                joints, score = _pose(points)
                yield str(name) if isinstance(name, str) else f"{place:06d}", joints, score


def _elements(value: Any) -> list[Any]:
    """Elements of a struct array, of which scipy unpacks one of one and gives [] for none."""
    if value is None:
        return []
    return list(value.ravel()) if isinstance(value, np.ndarray) else [value]


def _images(variables: Mapping[str, Any]) -> list[Any]:
    for name, value in variables.items():
        items = [] if name.startswith("__") else _elements(value)
        if items and all(hasattr(item, "annorect") for item in items):
            return items
    raise ValueError("expected a list with annorect.annopoints.point, found none")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _pose(points: list[Any]) -> tuple[NDArray[np.float64], float]:
    joints = np.full((N_JOINTS, 2), np.nan)
    scores = []
    for point in points:
        joint = _JOINT_OF_ID.get(_number(getattr(point, "id", None)))  # type: ignore[call-overload]
        if joint is not None:
            joints[joint] = _number(point.x) - 1, _number(point.y) - 1
            scores.append(_number(getattr(point, "score", 1.0)))
    known = [s for s in scores if not math.isnan(s)]
    return joints, float(np.mean(known)) if known else 1.0
