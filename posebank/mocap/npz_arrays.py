"""Arrays of an npz file, read without pickle and within bounds.

An npz file is a zip archive of npy arrays. ``numpy.load`` takes the sizes that a file states on
trust and returns whole arrays; here the sizes are checked first, and of a long array only the
columns that are asked for are kept.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError

_MAX_MEMBER_BYTES = 2 << 30
_MAX_KEPT_BYTES = 256 << 20
_MAX_TEXT_BYTES = 4096
_BLOCK_BYTES = 4 << 20
_SUFFIX = ".npy"


class NpzArrays:
    """The arrays of one npz file; a context manager.

    Parameters
    ----------
    source : the file's bytes, or the file to read from.
    path : used in messages.

    Raises
    ------
    SourceError
        Here and in every method, if the file or an array is damaged, has other content than asked
        for, or needs pickle.
    """

    def __init__(self, source: bytes | Path, path: Path) -> None:
        self.path = path
        with self._errors("an npz file"):
            self._zip = zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)
        self.names = frozenset(
            name.removesuffix(_SUFFIX) for name in self._zip.namelist() if name.endswith(_SUFFIX)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    @contextmanager
    def _errors(self, expected: str) -> Iterator[None]:
        """Turn whatever damaged bytes lead zipfile and numpy into into one error."""
        try:
            yield
        except SourceError:
            raise
        except Exception as error:
            found = f"{type(error).__name__}: {error!s:.200}"
            raise SourceError(self.path, f"expected {expected}, found {found}") from error

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, without reading it."""
        with self._errors(f"an array {name!r}"), self._open(name) as stream:
            return _header(stream)[0]

    def numbers(self, name: str, columns: int | None = None) -> NDArray[np.float64]:
        """An array of numbers as float64.

        Parameters
        ----------
        name : str
            Name of the array.
        columns : int or None
            Number of values of the last axis to keep; by default all.
        """
        with self._errors(f"an array of numbers {name!r}"), self._open(name) as stream:
            shape, fortran, dtype = _header(stream)
            if dtype.kind not in "fiub":
                what = "Python objects, which need pickle" if dtype.hasobject else str(dtype)
                raise SourceError(self.path, f"{name}: expected numbers, found {what}")
            self._check_size(name, math.prod(shape) * dtype.itemsize, _MAX_MEMBER_BYTES)
            width = shape[-1] if shape else 1
            kept = width if columns is None else min(columns, width)
            self._check_size(name, math.prod(shape[:-1]) * kept * 8, _MAX_KEPT_BYTES)
            if fortran and len(shape) > 1:
                self._check_size(name, math.prod(shape) * 8, _MAX_KEPT_BYTES)
                raw = np.frombuffer(_exactly(stream, math.prod(shape) * dtype.itemsize), dtype)
                whole = raw.reshape(shape, order="F")[..., :kept]
                return np.ascontiguousarray(whole, np.float64)
            return _rows(stream, shape, dtype, kept)

    def number(self, name: str) -> float:
        """An array that holds one number."""
        shape = self.shape(name)
        if math.prod(shape) != 1:
            raise SourceError(self.path, f"{name}: expected one number, found shape {shape}")
        return float(self.numbers(name).reshape(-1)[0])

    def text(self, name: str) -> str:
        """An array that holds one text."""
        with self._errors(f"a text {name!r}"), self._open(name) as stream:
            shape, _, dtype = _header(stream)
            if dtype.kind not in "US" or math.prod(shape) != 1:
                raise SourceError(self.path, f"{name}: expected one text, found {shape} {dtype}")
            self._check_size(name, dtype.itemsize, _MAX_TEXT_BYTES)
            value = np.frombuffer(_exactly(stream, dtype.itemsize), dtype)[0]
            return value.decode("latin-1") if isinstance(value, bytes) else str(value)

    def _open(self, name: str) -> IO[bytes]:
        if name not in self.names:
            found = ", ".join(sorted(self.names)[:12]) or "none"
            raise SourceError(self.path, f"expected an array {name!r}, found {found:.200}")
        return self._zip.open(name + _SUFFIX)

    def _check_size(self, name: str, size: int, most: int) -> None:
        if not 0 <= size <= most:
            raise SourceError(
                self.path, f"{name}: expected at most {most:,} bytes, found {size:,} stated"
            )


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of an npy array."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    return np.lib.format.read_array_header_2_0(stream)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    raw = stream.read(size)
    if len(raw) != size:
        raise EOFError(f"{len(raw):,} bytes of {size:,}")
    return raw


def _rows(
    stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], kept: int
) -> NDArray[np.float64]:
    """The first ``kept`` of the last axis of a C-ordered array, read block by block."""
    width = shape[-1] if shape else 1
    n_rows = math.prod(shape[:-1])
    row_bytes = max(1, width * dtype.itemsize)
    step = max(1, _BLOCK_BYTES // row_bytes)
    blocks = [np.empty((0, kept))]
    for start in range(0, n_rows, step):
        count = min(step, n_rows - start)
        raw = _exactly(stream, count * width * dtype.itemsize)
        with np.errstate(all="ignore"):  # damaged files hold signalling NaN
            rows = np.frombuffer(raw, dtype).reshape(count, width)[:, :kept]
            blocks.append(rows.astype(np.float64))
    return np.concatenate(blocks).reshape((*shape[:-1], kept) if shape else ())
