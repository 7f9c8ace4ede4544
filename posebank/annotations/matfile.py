"""Reading MATLAB files that may be damaged, and taking their nested structs apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from posebank.errors import SourceError


def load_mat(path: Path, names: list[str] | None = None) -> dict[str, Any]:
    """The variables of a MATLAB 5 file (all of them, or those named).

    Raises
    ------
    SourceError
        If the file is not there or is not a whole MATLAB file.
    """
    try:
        return dict(loadmat(path, variable_names=names))
    except Exception as error:  # scipy raises whatever the damaged bytes lead it into
        raise SourceError(path, f"expected a MATLAB 5 file, found {_brief(error)}") from error


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def member(record: Any, name: str) -> Any:
    """Field ``name`` of one record or of a 1 x 1 struct, None if there is no such field."""
    if not isinstance(record, np.ndarray | np.void):
        return None
    if record.dtype.names is None or name not in record.dtype.names:
        return None
    value = record[name]
    if isinstance(record, np.void):
        return value
    return value.flat[0] if value.size else None


def column(struct: Any, name: str) -> NDArray[np.object_] | None:
    """Field ``name`` of every element of a struct array, None if there is no such field."""
    if not isinstance(struct, np.ndarray) or struct.dtype.names is None:
        return None
    if name not in struct.dtype.names:
        return None
    values: NDArray[np.object_] = struct[name].ravel()
    return values


def cells(value: Any) -> list[Any]:
    """Elements of a cell array, [] for anything else."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return list(value.ravel())
    return []


def number(value: Any) -> float:
    """A number however MATLAB code left it: number, 1 x 1 array, text; NaN if there is none."""
    if isinstance(value, np.ndarray):
        if value.size == 0:
            return np.nan
        value = value.flat[0]
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def text(value: Any) -> str:
    """A text, "" if there is none."""
    if isinstance(value, np.ndarray):
        value = value.flat[0] if value.size else ""
    return value if isinstance(value, str) else ""
