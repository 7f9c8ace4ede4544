"""Labels as one npz that needs no pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from posebank.artefacts import atomic_path
from posebank.schemas import LABELS
from posebank.skeleton import JOINT_NAMES
from posebank.types import Labels


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
