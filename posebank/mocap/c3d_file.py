"""The C3D container: header, parameters and 3D points, from bytes.

Own code although libraries exist: of 600 files damaged at random, ezc3d 1.7.2 ended the process at
three (segmentation fault) and hung at one, which no caller can catch; here every length is checked
against the file before it is used. The tests compare the two on a sound file.

Supported: Intel, DEC and MIPS number formats; integer and float points. Analog data is skipped.
Format: the C3D user guide (c3d.org), sections "header", "parameters" and "3D data".

Header and parameters state the layout of the data section twice, and real files contradict
themselves (a header that counts analog channels where it should count samples, 16-bit frame counts
of longer recordings). ``_choose_layout`` takes the statement that explains the length of the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError

_BLOCK = 512
_INTEL, _DEC, _MIPS = 84, 85, 86
PARAMETER_BYTES = 510 * _BLOCK
"""Within so many bytes from the start the parameter section of every C3D file ends: its first block
and its number of blocks are one byte each."""
_MAX_POINTS = 4096
_MAX_ANALOG = 1 << 16
_FULL_16_BITS = 0xFFFF
_MAX_COORDINATE = 1e7  # in the file's unit; a point further out was not measured
Value = str | list[str] | NDArray[np.float64]


@dataclass(frozen=True)
class C3DFile:
    """Content of a C3D file.

    Parameters
    ----------
    parameters : ``GROUP:NAME`` -> text, texts or a flat array of numbers.
    quads : (n_frames, n_points, 4), x, y, z and residual as the file stores them.
    factor : multiply x, y, z by it for the file's unit of length (1 for float points).
    first_frame : number of the first frame.
    rate : frames per second in the header; may be nonsense.
    declared_frames : number of frames that the file states; more than it holds if it was cut.
    notes : contradictions in the file and how they were settled, and parameters left out.
    """

    parameters: Mapping[str, Value]
    quads: NDArray[Any]
    factor: float
    first_frame: int
    rate: float
    declared_frames: int
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> NDArray[np.float64]:
        """All points (n_frames, n_points, 3) in the file's unit, NaN where one was not seen."""
        points, _ = self.points_of(range(self.quads.shape[1]))
        return np.ascontiguousarray(np.moveaxis(points, 0, 1))

    def points_of(
        self, columns: Sequence[int], step: int = 1
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The points of some columns, and where they are exactly (0, 0, 0) with residual 0.

        Parameters
        ----------
        columns : sequence of int
            Columns of the points to read.
        step : int
            Take one of this many frames.

        Returns
        -------
        (n_columns, n_frames, 3) in the file's unit, NaN where a point was not seen, and
        (n_columns, n_frames).
        """
        n_frames = -(-len(self.quads) // step)
        points = np.empty((len(columns), n_frames, 3))
        at_origin = np.empty((len(columns), n_frames), np.bool_)
        native = self.quads.dtype.newbyteorder("=")
        with np.errstate(all="ignore"):  # damaged files hold signalling NaN and huge numbers
            for row, column in enumerate(columns):
                x, y, z, residual = np.array(self.quads[::step, column].T, native, order="C")
                at_origin[row] = (x == 0) & (y == 0) & (z == 0) & (residual == 0)
                seen = residual >= 0
                for axis, values in enumerate((x, y, z)):
                    place = points[row, :, axis]
                    np.multiply(values, self.factor, out=place)
                    seen &= (place > -_MAX_COORDINATE) & (place < _MAX_COORDINATE)
                points[row, ~seen] = np.nan
        return points, at_origin

    def labels(self) -> list[str]:
        """Labels of the points; an empty one for a point without."""
        n_points = self.quads.shape[1]
        every = labels_of(self.parameters)[:n_points]
        return every + [""] * (n_points - len(every))


def texts_of(parameters: Mapping[str, Value], name: str) -> list[str]:
    """Return the texts of a parameter; an empty list if it is absent or holds numbers."""
    value = parameters.get(name, [])
    if isinstance(value, str):
        return [value]
    return value if isinstance(value, list) else []


def labels_of(parameters: Mapping[str, Value]) -> list[str]:
    """Return the labels of the points: POINT:LABELS, then LABELS2, LABELS3, ... of long lists.

    A parameter holds at most 255 texts.
    """
    labels = list(texts_of(parameters, "POINT:LABELS"))
    number = 2
    while further := texts_of(parameters, f"POINT:LABELS{number}"):
        labels += further
        number += 1
    return labels


class _Reader:
    """Numbers of one processor's format at checked places."""

    def __init__(self, data: bytes, path: Path, processor: int) -> None:
        self.data, self.path = data, path
        order = ">" if processor == _MIPS else "<"
        self.byte_order: Literal["big", "little"] = "big" if processor == _MIPS else "little"
        self.word = np.dtype(order + "i2")
        self.float = np.dtype(order + "f4")
        self.dec = processor == _DEC

    def check(self, at: int, size: int) -> None:
        """Raise an error where the file ends before ``size`` bytes at ``at`` do."""
        if at < 0 or size < 0 or at + size > len(self.data):
            raise SourceError(
                self.path, f"C3D: expected {size} bytes at {at}, found the end at {len(self.data)}"
            )

    def take(self, at: int, size: int) -> bytes:
        """``size`` bytes at ``at``."""
        self.check(at, size)
        return self.data[at : at + size]

    def words(self, at: int, count: int = 1) -> NDArray[Any]:
        """Signed 16-bit integers."""
        self.check(at, 2 * count)
        return np.frombuffer(self.data, self.word, count, at)

    def unsigned(self, at: int) -> int:
        """One unsigned 16-bit integer."""
        return int.from_bytes(self.take(at, 2), self.byte_order)

    def signed_bytes(self, at: int) -> tuple[int, int]:
        """Two signed 8-bit integers."""
        first, second = self.take(at, 2)
        return (first ^ 0x80) - 0x80, (second ^ 0x80) - 0x80

    def floats(self, at: int, count: int = 1) -> NDArray[Any]:
        """32-bit floating-point numbers."""
        self.check(at, 4 * count)
        if self.dec:
            # DEC stores the two words the other way round, with an exponent larger by two.
            swapped = np.frombuffer(self.data, "<u2", 2 * count, at).reshape(-1, 2)[:, ::-1].copy()
            with np.errstate(invalid="ignore"):
                return swapped.view("<f4").reshape(-1) / np.float32(4.0)
        return np.frombuffer(self.data, self.float, count, at)


def parse_c3d(data: bytes, path: Path) -> C3DFile:
    """Parse the bytes of a C3D file.

    Parameters
    ----------
    data : bytes
        The whole file.
    path : Path
        The file, for messages.

    Raises
    ------
    SourceError
        If the bytes are not a C3D file with 3D points, or its header and parameters contradict
        each other and neither explains the length of the file.
    """
    reader, parameters, notes = _start(data, path)
    header = [int(v) & 0xFFFF for v in reader.words(0, 12)]
    rate = float(reader.floats(20)[0])
    layout, more = _choose_layout(reader, header, parameters)
    is_float = layout.is_float
    size = layout.words_per_frame
    count = layout.n_frames * size
    values = reader.floats(layout.at, count) if is_float else reader.words(layout.at, count)
    quads = values.reshape(layout.n_frames, size)[:, : 4 * layout.n_points]
    return C3DFile(
        parameters,
        quads.reshape(layout.n_frames, layout.n_points, 4),
        1.0 if is_float else _scale(reader, parameters),
        layout.first_frame,
        rate,
        layout.declared,
        (*notes, *more),
    )


def parse_c3d_parameters(data: bytes, path: Path) -> Mapping[str, Value]:
    """Return the parameters alone; ``data`` may end where the data section begins.

    Raises
    ------
    SourceError
        If the bytes are not the beginning of a C3D file.
    """
    return _start(data, path)[1]


def _start(data: bytes, path: Path) -> tuple[_Reader, dict[str, Value], list[str]]:
    if len(data) < 2 * _BLOCK or data[1] != 0x50:
        raise SourceError(
            path, f"expected a C3D file, found {bytes(data[:4])!r} and {len(data)} bytes"
        )
    start = (data[0] - 1) * _BLOCK
    processor = data[start + 3] if 0 <= start < len(data) - 4 else 0
    if processor not in (_INTEL, _DEC, _MIPS):
        raise SourceError(path, f"C3D: expected processor 84, 85 or 86, found {processor}")
    reader = _Reader(data, path, processor)
    parameters, notes = _parameters(reader, start)
    return reader, parameters, notes


def _parameters(reader: _Reader, start: int) -> tuple[dict[str, Value], list[str]]:
    """Parameters by ``GROUP:NAME``, and notes on those that could not be read.

    A parameter that is damaged costs itself; where the chain of records breaks, the rest of the
    section is left out. The first of several parameters of one name counts.
    """
    groups: dict[int, str] = {}
    found: list[tuple[int, str, Value]] = []
    notes: list[str] = []
    at = start + 4
    end = max(start + reader.data[start + 2] * _BLOCK, (reader.unsigned(16) - 1) * _BLOCK)
    try:
        while at + 2 <= min(end, len(reader.data)):
            length, group = reader.signed_bytes(at)
            if length == 0 or group == 0:
                break
            name = _text(reader.take(at + 2, abs(length))).upper()
            pointer = at + 2 + abs(length)
            step = reader.unsigned(pointer)
            after = pointer + 2
            if group < 0:
                groups.setdefault(-group, name)
            else:
                try:
                    value, after = _value(reader, after)
                    found.append((group, name, value))
                except SourceError as error:
                    notes.append(f"parameter {name} left out: {error.reason}")
            if step == 0:
                break
            at = _next_record(reader, pointer + step, after)
    except SourceError as error:
        notes.append(f"rest of the parameter section left out: {error.reason}")
    parameters: dict[str, Value] = {}
    for group, name, value in found:
        parameters.setdefault(f"{groups.get(group, group)}:{name}", value)
    return parameters, notes


def _next_record(reader: _Reader, pointed: int, after: int) -> int:
    """Where the next record begins.

    That is where the pointer says; some writers count it wrongly, and then it is the place after
    the description at ``after``.
    """
    if _begins_record(reader, pointed):
        return pointed
    described = after + 1 + reader.take(after, 1)[0]
    return described if _begins_record(reader, described) else pointed


def _begins_record(reader: _Reader, at: int) -> bool:
    """Whether a record may begin at a place: a printable name, or the end of the section."""
    if not 0 <= at <= len(reader.data) - 2:
        return False
    length, group = reader.signed_bytes(at)
    name = reader.data[at + 2 : at + 2 + abs(length)]
    printable = len(name) == abs(length) and name.isascii() and name.decode("ascii").isprintable()
    return length == 0 or (group != 0 and printable)


def _text(raw: bytes) -> str:
    """Text without its padding: blanks, or NUL and whatever follows it."""
    return raw.decode("latin-1").strip(" \0\t\r\n").partition("\0")[0].strip()


def _value(reader: _Reader, at: int) -> tuple[Value, int]:
    """A parameter's value and the place after it."""
    kind, n_dims = reader.signed_bytes(at)
    n_dims = max(0, n_dims)
    shape = list(reader.take(at + 2, n_dims))
    count = math.prod(shape)
    at += 2 + n_dims
    if kind == -1:
        raw = reader.take(at, count)
        if n_dims < 2:
            return _text(raw), at + count
        width = shape[0]
        texts = [_text(raw[i : i + width]) for i in range(0, count, width)] if width else []
        return texts, at + count
    if kind == 4:
        with np.errstate(invalid="ignore"):
            return reader.floats(at, count).astype(np.float64), at + 4 * count
    if kind == 2:
        return reader.words(at, count).astype(np.float64), at + 2 * count
    if kind == 1:
        return np.frombuffer(reader.take(at, count), np.int8).astype(np.float64), at + count
    raise SourceError(reader.path, f"C3D: expected a parameter type -1, 1, 2 or 4, found {kind}")


def number_of(parameters: Mapping[str, Value], name: str, place: int = 0) -> float:
    """Return a number of a parameter, NaN if it is absent or text."""
    value = parameters.get(name)
    return float(value[place]) if isinstance(value, np.ndarray) and value.size > place else math.nan


def _count(parameters: Mapping[str, Value], name: str) -> int | None:
    """A number of things: an unsigned 16-bit integer, or a float that holds more."""
    value = number_of(parameters, name)
    if not math.isfinite(value) or abs(value) > 1e9:
        return None
    return int(value) + 0x10000 if -0x8000 <= value < 0 else int(value)


@dataclass(frozen=True)
class _Layout:
    """Where the points are: ``n_frames`` of ``words_per_frame`` words from byte ``at`` on."""

    n_points: int
    n_analog: int
    is_float: bool
    at: int
    first_frame: int = 1
    n_frames: int = 0
    declared: int = 0

    @property
    def words_per_frame(self) -> int:
        return 4 * self.n_points + self.n_analog

    @property
    def frame_bytes(self) -> int:
        return self.words_per_frame * (4 if self.is_float else 2)

    def described(self) -> str:
        numbers = "float" if self.is_float else "integer"
        return (
            f"{self.n_points} points and {self.n_analog} analog samples a frame, {numbers}, "
            f"from byte {self.at}"
        )


def _choose_layout(
    reader: _Reader, header: Sequence[int], parameters: Mapping[str, Value]
) -> tuple[_Layout, list[str]]:
    """The layout that explains the length of the file, the header's where several do."""
    stated = list(_stated_layouts(reader, header, parameters))
    if not stated:
        used = _count(parameters, "POINT:USED")
        raise SourceError(
            reader.path,
            f"C3D: expected 3D points, found {header[1]} in the header, POINT:USED {used}",
        )
    counts = _stated_counts(header, parameters)
    total = len(reader.data)
    for guess in (False, True):
        for layout, is_guess in stated:
            if is_guess == guess and (fit := _fitting_count(layout, counts, total)):
                notes = []
                if fit != counts.get("header", fit):
                    notes.append(
                        f"the header states {counts['header']} frames, the length of the file says "
                        f"{fit}"
                    )
                if layout != stated[0][0]:
                    notes.append(
                        "header and parameters contradict each other; the length of the file says "
                        f"{layout.described()}"
                    )
                return _with_count(layout, fit, fit, counts, header, parameters), notes
    layout, notes = stated[0][0], []
    disagreeing = {one for one, is_guess in stated if not is_guess}
    if len(disagreeing) > 1:
        raise SourceError(
            reader.path,
            "C3D: header and parameters contradict each other, and neither fits the length of "
            "the file: " + "; ".join(sorted(one.described() for one in disagreeing)),
        )
    held = max(0, total - layout.at) // layout.frame_bytes
    if held == 0:
        raise SourceError(reader.path, "C3D: expected frames of points, found none")
    declared = max(counts.values(), default=0)
    usual = counts.get("header", declared)
    if _FULL_16_BITS in counts.values() and declared <= _FULL_16_BITS < held:
        declared = held = _without_padding(reader, layout, held)
        notes.append(
            f"frames: {held} by the length of the file; the header can state 65535 at most"
        )
    elif usual <= held:
        declared = usual
    if declared <= 0:
        raise SourceError(reader.path, "C3D: expected a number of frames, found none stated")
    return _with_count(layout, min(declared, held), declared, counts, header, parameters), notes


def _stated_layouts(
    reader: _Reader, header: Sequence[int], parameters: Mapping[str, Value]
) -> Iterator[tuple[_Layout, bool]]:
    """Every layout that header and parameters state, the header's first, and some near misses.

    Yields
    ------
    layout, and whether it is a guess at a known mistake rather than a statement of the file.
    """
    points = [header[1], _count(parameters, "POINT:USED")]
    channels, per_frame = _count(parameters, "ANALOG:USED"), header[9]
    ratio = number_of(parameters, "ANALOG:RATE") / (number_of(parameters, "POINT:RATE") or math.nan)
    analog: list[tuple[int, bool]] = [(header[2], False)]
    if channels is not None and math.isfinite(ratio) and 0.5 <= ratio < _MAX_ANALOG:
        analog.append((channels * round(ratio), False))
    if analog[-1][0] != header[2] or len(analog) == 1:
        analog += [(n * per_frame, True) for n in (channels or 0, header[2])]
        analog += [(channels or 0, True), (0, True)]
    scales = [float(reader.floats(12)[0]), number_of(parameters, "POINT:SCALE")]
    floats = [scale < 0 for scale in scales if math.isfinite(scale) and scale != 0]
    starts = [header[8], _count(parameters, "POINT:DATA_START")]
    seen = set()
    for at, is_float, n_points, (n_analog, guess) in product(starts, floats, points, analog):
        if not at or at < 2 or not n_points or not 0 < n_points <= _MAX_POINTS:
            continue
        if n_analog > _MAX_ANALOG:
            continue
        layout = _Layout(n_points, n_analog, is_float, (at - 1) * _BLOCK)
        if layout not in seen:
            seen.add(layout)
            yield layout, guess


def _scale(reader: _Reader, parameters: Mapping[str, Value]) -> float:
    """Unit of length of integer points: the header's, else POINT:SCALE."""
    stated = (float(reader.floats(12)[0]), number_of(parameters, "POINT:SCALE"))
    return next((scale for scale in stated if math.isfinite(scale) and scale > 0), 1.0)


def _stated_counts(header: Sequence[int], parameters: Mapping[str, Value]) -> dict[str, int]:
    """Numbers of frames by where they are stated; those above 65,535 need the parameters."""
    counts = {"header": header[4] - header[3] + 1}
    for name in ("POINT:LONG_FRAMES", "POINT:FRAMES"):
        if (count := _count(parameters, name)) is not None:
            counts[name] = count
    first = _field(parameters, "TRIAL:ACTUAL_START_FIELD")
    last = _field(parameters, "TRIAL:ACTUAL_END_FIELD")
    if last is not None:
        counts["TRIAL:ACTUAL_END_FIELD"] = last - (first or 1) + 1
    if header[4] == _FULL_16_BITS:  # the header's last frame is only the largest it can say
        counts["header"] = _FULL_16_BITS
    return {name: count for name, count in counts.items() if count > 0}


def _field(parameters: Mapping[str, Value], name: str) -> int | None:
    """A frame number in two 16-bit words, the low one first."""
    low, high = (number_of(parameters, name, place) for place in (0, 1))
    if not 0 <= abs(low) < 1e9:
        return None
    if low > _FULL_16_BITS:  # one larger number instead of two words
        return int(low)
    return (int(low) & 0xFFFF) | ((int(high) & 0xFFFF) << 16 if abs(high) < 1e9 else 0)


def _fitting_count(layout: _Layout, counts: Mapping[str, int], total: int) -> int:
    """The stated number of frames that takes the data section to the end of the file, or 0.

    The data section may be padded to whole blocks. A 16-bit count may have wrapped around.
    """
    held = (total - layout.at) // layout.frame_bytes
    every = list(counts.values())
    every += [c + (held - c) // 0x10000 * 0x10000 for c in every if 0 < c <= _FULL_16_BITS < held]
    for count in every:
        left = total - layout.at - count * layout.frame_bytes
        if left == 0 or (0 < left < _BLOCK and total % _BLOCK == 0):
            return count
    return 0


def _without_padding(reader: _Reader, layout: _Layout, held: int) -> int:
    """``held`` without the frames of zeros that fill up the last block."""
    size = layout.frame_bytes
    while held > 1 and len(reader.data) - (layout.at + (held - 1) * size) < _BLOCK:
        if any(reader.take(layout.at + (held - 1) * size, size)):
            break
        held -= 1
    return held


def _with_count(
    layout: _Layout,
    n_frames: int,
    declared: int,
    counts: Mapping[str, int],
    header: Sequence[int],
    parameters: Mapping[str, Value],
) -> _Layout:
    """The layout with its frames, numbered from where the matching statement begins."""
    first = header[3]
    start = _field(parameters, "TRIAL:ACTUAL_START_FIELD")
    by_trial = counts.get("TRIAL:ACTUAL_END_FIELD") == declared != counts.get("header")
    if by_trial and start:
        first = start
    return _Layout(
        layout.n_points, layout.n_analog, layout.is_float, layout.at, first, n_frames, declared
    )
