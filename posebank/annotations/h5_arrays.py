"""Arrays of an HDF5 file, read within bounds and from that file alone.

An HDF5 file can state any size, compress zeros a thousandfold, name one long text many times, and
refer to other files, among them devices. Nothing that posebank reads does.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.files import most_unpacked

_ROWS_AT_ONCE = 256


def h5_item(group: h5py.Group, name: str) -> Any:
    """Return what a file or group holds under a path of names, None where it holds nothing.

    Raises
    ------
    SourceError
        If it lies in another file.
    """
    item: Any = group
    for step in name.split("/"):
        if not isinstance(item, h5py.Group) or step not in item:
            return None
        if not isinstance(item.get(step, getlink=True), h5py.HardLink):
            raise SourceError(group.file.filename, f"{name}: expected it in the file, found a link")
        item = item[step]
    return item


def read_h5_array(group: h5py.Group, name: str) -> NDArray[Any]:
    """Return a data set of a file or of a group.

    Raises
    ------
    SourceError
        If there is none, it lies in another file, or it is larger than the file can mean.
    """
    path = Path(group.file.filename)
    found = h5_item(group, name)
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise SourceError(path, f"expected the data set {name!r}, found none")
    if found.external is not None or found.is_virtual:
        raise SourceError(path, f"{name}: expected it in the file, found it stored in another")
    most = most_unpacked(path.stat().st_size)
    chunk = math.prod(found.chunks or (1,)) * found.dtype.itemsize
    if max(found.nbytes, chunk) > most:
        size = max(found.nbytes, chunk)
        raise SourceError(path, f"{name}: expected at most {most:,} bytes, found {size:,} stated")
    if not found.dtype.hasobject or found.ndim == 0:
        return np.asarray(found[()])
    rows: list[NDArray[Any]] = []  # of texts of any length: several may be the same in the file
    size = 0
    for start in range(0, len(found), _ROWS_AT_ONCE):
        rows.append(np.asarray(found[start : start + _ROWS_AT_ONCE]))
        size += sum(len(text) for text in rows[-1].flat)
        if size > most:
            raise SourceError(path, f"{name}: expected at most {most:,} bytes, found more")
    return np.concatenate(rows) if rows else np.empty(found.shape, found.dtype)
