"""The C3D container: header, parameters and 3D points, from bytes.

Own code although libraries exist: of 600 files damaged at random, ezc3d 1.7.2 ended the process at
three (segmentation fault) and hung at one, which no caller can catch; here every length is checked
against the file before it is used. The tests compare the two on a sound file.

Supported: Intel, DEC and MIPS number formats; integer and float points. Analog data is skipped.
Format: the C3D user guide (c3d.org), sections "header", "parameters" and "3D data".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError

_BLOCK = 512
_INTEL, _DEC, _MIPS = 84, 85, 86
_MAX_POINTS = 4096
Value = str | list[str] | NDArray[np.float64]


@dataclass(frozen=True)
class C3DFile:
    """Content of a C3D file.

    parameters : ``GROUP:NAME`` -> text, texts or a flat array of numbers.
    points : (n_frames, n_points, 3) in the file's unit, NaN where a point was not seen.
    first_frame : number of the first frame; declared_frames : what the header promises.
    """

    parameters: Mapping[str, Value]
    points: NDArray[np.float64]
    first_frame: int
    rate: float
    declared_frames: int


class _Reader:
    """Numbers of one processor's format at checked places."""

    def __init__(self, data: bytes, path: Path, processor: int) -> None:
        self.data, self.path = data, path
        order = ">" if processor == _MIPS else "<"
        self.word = np.dtype(order + "i2")
        self.float = np.dtype(order + "f4")
        self.dec = processor == _DEC

    def take(self, at: int, size: int) -> bytes:
        """``size`` bytes at ``at``, or an error where the file ends before."""
        if at < 0 or size < 0 or at + size > len(self.data):
            raise SourceError(
                self.path, f"C3D: expected {size} bytes at {at}, found the end at {len(self.data)}"
            )
        return self.data[at : at + size]

    def words(self, at: int, count: int = 1) -> NDArray[np.int64]:
        return np.frombuffer(self.take(at, 2 * count), self.word).astype(np.int64)

    def floats(self, at: int, count: int = 1) -> NDArray[np.float64]:
        raw = self.take(at, 4 * count)
        with np.errstate(invalid="ignore", over="ignore"):
            if self.dec:
                # DEC stores the two words the other way round, with an exponent larger by two.
                swapped = np.frombuffer(raw, "<u2").reshape(-1, 2)[:, ::-1].copy()
                return swapped.view("<f4").reshape(-1).astype(np.float64) / 4.0
            return np.frombuffer(raw, self.float).astype(np.float64)


def parse_c3d(data: bytes, path: Path) -> C3DFile:
    """Parse the bytes of a C3D file; ``path`` is used in messages.

    Raises
    ------
    SourceError
        If the bytes are not a C3D file with 3D points, or its parts contradict each other.
    """
    if len(data) < 2 * _BLOCK or data[1] != 0x50:
        raise SourceError(path, f"expected a C3D file, found {data[:4]!r} and {len(data)} bytes")
    start = (data[0] - 1) * _BLOCK
    processor = data[start + 3] if 0 <= start < len(data) - 4 else 0
    if processor not in (_INTEL, _DEC, _MIPS):
        raise SourceError(path, f"C3D: expected processor 84, 85 or 86, found {processor}")
    reader = _Reader(data, path, processor)
    parameters = _parameters(reader, start)
    header = reader.words(0, 12) & 0xFFFF
    n_points, n_analog, first, last = (int(v) for v in header[1:5])
    scale, rate = float(reader.floats(12)[0]), float(reader.floats(20)[0])
    data_at = (int(header[8]) - 1) * _BLOCK
    declared = last - first + 1
    stated = parameters.get("POINT:FRAMES")
    if isinstance(stated, np.ndarray) and stated.size == 1 and last == 0xFFFF:
        declared = int(stated[0]) & 0xFFFF  # the header's 16 bits are not enough
    if not 0 < n_points <= _MAX_POINTS or declared <= 0 or not math.isfinite(scale) or scale == 0:
        raise SourceError(
            path, f"C3D: expected points, frames and a scale, found {n_points}, {declared}, {scale}"
        )
    points = _points(reader, data_at, n_points, n_analog, declared, scale)
    return C3DFile(parameters, points, first, rate, declared)


def _parameters(reader: _Reader, start: int) -> dict[str, Value]:
    groups: dict[int, str] = {}
    found: list[tuple[int, str, Value]] = []
    at = start + 4
    for _ in range(10_000):
        if at + 2 > len(reader.data):
            break
        length, group = np.frombuffer(reader.take(at, 2), np.int8).tolist()
        if length == 0 or group == 0:
            break
        name = reader.take(at + 2, abs(length)).decode("latin-1").upper()
        pointer = at + 2 + abs(length)
        step = int(reader.words(pointer)[0])
        if group < 0:
            groups[-group] = name
        else:
            found.append((group, name, _value(reader, pointer + 2)))
        if step <= 0:
            break
        at = pointer + step
    return {f"{groups.get(group, group)}:{name}": value for group, name, value in found}


def _value(reader: _Reader, at: int) -> Value:
    kind, n_dims = np.frombuffer(reader.take(at, 2), np.int8).tolist()
    n_dims = max(0, n_dims)
    shape = [int(d) for d in reader.take(at + 2, n_dims)]
    count = math.prod(shape)
    at += 2 + n_dims
    if kind == -1:
        raw = reader.take(at, count).decode("latin-1")
        if n_dims < 2:
            return raw.strip()
        width = shape[0]
        return [raw[i : i + width].strip() for i in range(0, count, width)] if width else []
    if kind == 4:
        return reader.floats(at, count)
    if kind == 2:
        return reader.words(at, count).astype(np.float64)
    if kind == 1:
        return np.frombuffer(reader.take(at, count), np.int8).astype(np.float64)
    raise SourceError(reader.path, f"C3D: expected a parameter type -1, 1, 2 or 4, found {kind}")


def _points(
    reader: _Reader, at: int, n_points: int, n_analog: int, declared: int, scale: float
) -> NDArray[np.float64]:
    """(n_frames, n_points, 3), of as many declared frames as the file holds."""
    is_float = scale < 0
    width = 4 if is_float else 2
    per_frame = 4 * n_points + n_analog
    held = max(0, len(reader.data) - at) // (per_frame * width) if at >= 0 else 0
    n_frames = min(declared, held)
    if n_frames == 0:
        raise SourceError(reader.path, "C3D: expected frames of points, found none")
    count = n_frames * per_frame
    values = reader.floats(at, count) if is_float else reader.words(at, count).astype(np.float64)
    quads = values.reshape(n_frames, per_frame)[:, : 4 * n_points].reshape(n_frames, n_points, 4)
    points = quads[..., :3] if is_float else quads[..., :3] * scale
    with np.errstate(invalid="ignore"):
        hidden = ~(quads[..., 3] >= 0) | ~(np.abs(points) < 1e7).all(axis=-1)
    return np.where(hidden[..., None], np.nan, points)
