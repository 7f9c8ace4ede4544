"""MATLAB 5 files: nested structs, cells, numbers and texts, read within bounds.

``scipy.io.loadmat`` reads these files too, but its compiled reader trusts the sizes written in
them: among a hundred files with a changed byte one ended the process and others asked for gigabytes
(``benchmarks/bench_annotations.py``). Here every size is checked against the bytes that are there,
so that a damaged file is an error like any other; decoding takes no longer than scipy's.
Values come as plain Python:

================  ============================================================
in the file       here
================  ============================================================
number (1 x 1)    int or float
other numbers     ndarray of the dimensions in the file
text              str
cell array        list, column after column
struct array      ``list`` of ``dict``, column after column
anything else     None (sparse matrices, objects, functions)
================  ============================================================
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from posebank.errors import SourceError
from posebank.files import check_regular, most_unpacked

_HEADER_BYTES = 128
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _FIRST_NUMBER, _LAST_NUMBER = 1, 2, 4, 6, 15
_COMPLEX = 0x800
_DTYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
    16: "u1", 17: "u2", 18: "u4",
}  # fmt: skip
_ENCODINGS = {16: "utf-8", 17: "utf-16", 18: "utf-32", 1: "latin-1", 2: "latin-1", 4: "utf-16"}
_SCALARS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d"}
_MAX_DEPTH = 32
_NAME_BYTES = 1 << 10  # hold a variable's name, at the beginning of its matrix


class _Damaged(Exception):
    """What is wrong with the bytes; becomes a SourceError."""


class _Reader:
    """Decodes the elements of one block of bytes."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data = data
        self.order = order
        self._tag = struct.Struct(order + "II")
        # A 2-D matrix without a name as MATLAB writes it: flags, dimensions, name, each with its
        # tag; and a 1 x 1 number, which is such a matrix with the tags of the whole and the data.
        self._plain = struct.Struct(order + "10I")
        self._short = struct.Struct(order + "13I")
        self._scalars = {kind: struct.Struct(order + letter) for kind, letter in _SCALARS.items()}

    def element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Kind, first byte, byte after the last, and where the next element begins."""
        if at + 8 > end:
            raise _Damaged(f"expected an element at byte {at}, found the end")
        kind, size = self._tag.unpack_from(self.data, at)
        if kind >> 16:  # up to four bytes, kept within the tag
            size = kind >> 16
            if size > 4:
                raise _Damaged(f"expected at most 4 bytes in a short element, found {size}")
            return kind & 0xFFFF, at + 4, at + 4 + size, at + 8
        start = at + 8
        if size > end - start:
            raise _Damaged(f"expected {size} bytes at byte {start}, found {end - start}")
        padded = size if kind == _COMPRESSED else -(-size // 8) * 8
        return kind, start, start + size, min(start + padded, end)

    def numbers(self, at: int, end: int) -> tuple[np.ndarray, int]:
        """A plain array and where the next element begins."""
        kind, start, stop, following = self.element(at, end)
        if kind not in _DTYPES:
            raise _Damaged(f"expected numbers at byte {at}, found element type {kind}")
        dtype = np.dtype(self.order + _DTYPES[kind])
        if (stop - start) % dtype.itemsize:
            raise _Damaged(f"expected whole {dtype} numbers at byte {start}")
        count = (stop - start) // dtype.itemsize
        return np.frombuffer(self.data, dtype, count, start), following

    def matrix(self, at: int, end: int, depth: int = 0) -> Any:
        """Value of the matrix whose content lies in bytes ``at`` to ``end``."""
        if at == end:
            return np.empty((0, 0))
        if depth > _MAX_DEPTH:
            raise _Damaged(f"expected at most {_MAX_DEPTH} nested levels")
        if at + 40 <= end:
            words = self._plain.unpack_from(self.data, at)
            if words[:2] == (6, 8) and words[4:6] == (5, 8) and words[8:] == (1, 0):
                rows, columns = words[6:8]
                if rows < 1 << 31 and columns < 1 << 31:
                    return self._content(words[2], [rows, columns], at + 40, end, depth)
        flags, at = self.numbers(at, end)
        size, at = self.numbers(at, end)
        _, _, _, at = self.element(at, end)  # its name
        if len(flags) < 1 or not 2 <= len(size) <= 8 or (size < 0).any():
            raise _Damaged(f"expected the flags and dimensions of a matrix before byte {at}")
        return self._content(int(flags[0]), [int(n) for n in size], at, end, depth)

    def _content(self, flags: int, size: list[int], at: int, end: int, depth: int) -> Any:
        kind, count = flags & 0xFF, math.prod(size)
        if kind == _CELL:
            return self._values(count, at, end, depth)
        if kind == _STRUCT:
            return self._struct(count, at, end, depth)
        if kind == _CHAR:
            return self._text(at, end)
        if _FIRST_NUMBER <= kind <= _LAST_NUMBER and not flags & _COMPLEX:
            array, _ = self.numbers(at, end)
            if len(array) != count:
                raise _Damaged(f"expected {count} numbers at byte {at}, found {len(array)}")
            return array[0].item() if count == 1 else array.reshape(size, order="F")
        return None

    def _values(self, count: int, at: int, end: int, depth: int) -> list[Any]:
        if count > (end - at) // 8:  # each takes a tag at least
            raise _Damaged(f"expected {count} values, found {end - at} bytes")
        values = []
        data, short, matrix = self.data, self._short, self.matrix
        for _ in range(count):
            if at + 56 <= end:
                # Nine of ten arrays of MPII are single numbers, all written alike; deciding this
                # with one comparison makes reading four times as fast.
                words = short.unpack_from(data, at)
                if words[2] == 6 and words[6:12] == (5, 8, 1, 1, 1, 0) and words[0] == _MATRIX:
                    found = self._scalar(words, at, end)
                    if found is not None:
                        value, at = found
                        values.append(value)
                        continue
            kind, start, stop, at = self.element(at, end)
            if kind != _MATRIX:
                raise _Damaged(f"expected a matrix at byte {start}, found element type {kind}")
            values.append(matrix(start, stop, depth + 1))
        return values

    def _scalar(self, words: tuple[int, ...], at: int, end: int) -> tuple[Any, int] | None:
        """Value of a 1 x 1 number and where the next element begins, None if it is no such."""
        flags, tag = words[4], words[12]
        following = at + 8 + words[1]
        if not _FIRST_NUMBER <= flags & 0xFF <= _LAST_NUMBER or flags & _COMPLEX:
            return None
        reader = self._scalars.get(tag & 0xFFFF)
        if reader is None or following > end:
            return None
        if tag >> 16 == reader.size and words[1] == 48:
            return reader.unpack_from(self.data, at + 52)[0], following
        if tag >> 16 == 0 and words[1] == 56 and reader.size == 8:
            return reader.unpack_from(self.data, at + 56)[0], following
        return None

    def _struct(self, count: int, at: int, end: int, depth: int) -> list[dict[str, Any]]:
        lengths, at = self.numbers(at, end)
        _, start, stop, at = self.element(at, end)
        length = int(lengths[0]) if len(lengths) == 1 else 0
        if length < 1:
            raise _Damaged(f"expected the length of field names, found {lengths[:4]}")
        names = _field_names(self.data[start:stop], length)
        if not names:
            return []
        values = self._values(count * len(names), at, end, depth)
        n = len(names)
        return [dict(zip(names, values[i : i + n], strict=True)) for i in range(0, len(values), n)]

    def _text(self, at: int, end: int) -> str:
        if at >= end:
            return ""
        kind, start, stop, _ = self.element(at, end)
        encoding = _ENCODINGS.get(kind)
        if encoding is None:
            raise _Damaged(f"expected text at byte {start}, found element type {kind}")
        if encoding in ("utf-16", "utf-32"):
            encoding += "-le" if self.order == "<" else "-be"
        return self.data[start:stop].decode(encoding, errors="replace")


@lru_cache(maxsize=64)  # thousands of structs have the same fields
def _field_names(raw: bytes, length: int) -> list[str]:
    return [
        raw[i : i + length].split(b"\0")[0].decode("latin-1") for i in range(0, len(raw), length)
    ]


def load_mat(path: Path, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the named variables of a MATLAB 5 file that it has, or all of them.

    Raises
    ------
    SourceError
        If the file is not there or is not a whole MATLAB 5 file.
    """
    check_regular(path, "a MATLAB file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(path, f"expected a MATLAB file, found {error!s:.200}") from error
    # A 7.3 file has the same header, with the same two letters, before its HDF5 content.
    if _HDF5 in (data[:8], data[512:520]):
        raise SourceError(
            path,
            "expected a MATLAB 5 file, found MATLAB 7.3 (HDF5); in MATLAB, load it and "
            "save it again with save(..., '-v7')",
        )
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise SourceError(path, f"expected a MATLAB 5 file, found it to begin with {data[:16]!r}")
    found: dict[str, Any] = {}
    try:
        outer, at = _Reader(data, order), _HEADER_BYTES
        left = most_unpacked(len(data))
        while at < len(data):
            kind, start, stop, at = outer.element(at, len(data))
            reader = outer
            if kind == _COMPRESSED:
                packed = data[start:stop]
                if names is not None and _packed_name(packed, order) not in names:
                    continue
                reader = _Reader(_unpacked(packed, order, left), order)
                left -= len(reader.data)
                kind, start, stop, _ = reader.element(0, len(reader.data))
            if kind != _MATRIX:
                raise _Damaged(f"expected a matrix, found element type {kind}")
            variable = _name(reader, start, stop)
            if names is None or variable in names:
                found[variable] = reader.matrix(start, stop)
    except (_Damaged, zlib.error, MemoryError, struct.error, ValueError) as error:
        raise SourceError(path, f"expected a whole MATLAB 5 file: {error!s:.200}") from error
    return found


def _name(reader: _Reader, at: int, end: int) -> str:
    """Name of a variable, without decoding it."""
    for _ in range(2):
        *_, at = reader.element(at, end)
    _, start, stop, _ = reader.element(at, end)
    return reader.data[start:stop].decode("latin-1")


def _packed_name(packed: bytes, order: str) -> str:
    """Name of a compressed variable, of which only the beginning is unpacked."""
    beginning = zlib.decompressobj().decompress(packed, _NAME_BYTES)
    return _name(_Reader(beginning, order), 8, len(beginning))


def _unpacked(packed: bytes, order: str, most: int) -> bytes:
    """A compressed element with its tag: no more bytes than the tag says, and at most ``most``."""
    stream = zlib.decompressobj()
    tag = stream.decompress(packed, 8)
    if len(tag) < 8:
        raise _Damaged("expected an element in the compressed bytes, found the end")
    size = struct.unpack(order + "II", tag)[1]
    if size > most:
        raise _Damaged(f"expected at most {most:,} bytes unpacked, found {size:,} stated")
    content = stream.decompress(stream.unconsumed_tail, size + 1)
    if not stream.eof:
        raise _Damaged(f"expected {size:,} bytes with their checksum in a compressed element")
    return tag + content


def records(value: Any) -> list[dict[str, Any]]:
    """Return the elements of a struct array, [] for anything else, such as an empty one."""
    return [r for r in value if isinstance(r, dict)] if isinstance(value, list) else []


def record(value: Any) -> dict[str, Any]:
    """Return the first element of a struct array, {} if there is none."""
    return next(iter(records(value)), {})


def number(value: Any) -> float:
    """Return a number that is stored as number, 1 x 1 array or text; NaN if it is none."""
    if isinstance(value, np.ndarray):
        if value.size == 0:
            return np.nan
        value = value.flat[0]
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def numbers(value: Any) -> list[float]:
    """Return the numbers of an array of any shape, [] if it is none."""
    if isinstance(value, np.ndarray):
        return [float(v) for v in value.ravel(order="F")]
    return [float(value)] if isinstance(value, int | float) else []
