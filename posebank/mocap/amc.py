"""AMC motions (Acclaim): the values of every bone in every frame, parsed from bytes.

The text is parsed by one compiled loop, because a line-by-line reader in Python is forty times
slower. Numbers with at most 19 digits and a power of ten within 10^22 (every one a real file holds)
are rounded as ``float()`` rounds them; others differ in the last digit at most.

A frame is kept only if every bone that is needed was read in full. A frame that is damaged is set
aside and the loss is told in words; a file whose first frame does not fit the skeleton is refused,
because then it is the wrong skeleton.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.mocap.asf import Skeleton
from posebank.mocap.files import read_bytes
from posebank.mocap.numbers import MAX_VALUE, parse_number

_MAX_EVENTS = 32
_NEAR_ZERO = 1e-3  # degrees or radians: what a fit leaves for a bone that cannot turn
_WRONG_COUNT, _UNKNOWN_BONE, _DOUBLE_BONE, _CUT_LINE, _MISSING_BONE, _BAD_NUMBER = range(1, 7)
_FIRST_FRAME = re.compile(rb"^[ \t]*\d+[ \t\r]*$", re.MULTILINE)


@dataclass(frozen=True)
class AmcMotion:
    """The frames of an AMC file that were read in full.

    frames : (n_frames,) frame numbers, strictly increasing.
    values : (n_frames, n_channels) in the order of ``Skeleton.first_channel``; a bone that is not
        needed and absent has zeros.
    degrees : unit of the angles.
    lost : what was set aside, in words; n_lost : how many frames.
    ignored : number of values near 0 given for bones without degrees of freedom.
    """

    frames: NDArray[np.int64]
    values: NDArray[np.float64]
    degrees: bool
    lost: tuple[str, ...]
    n_lost: int
    ignored: int = 0


def read_amc(path: Path, skeleton: Skeleton, needed: Collection[str] | None = None) -> AmcMotion:
    """Read an AMC file made for ``skeleton``.

    Parameters
    ----------
    path : Path
        The file.
    skeleton : Skeleton
        Skeleton of its ASF.
    needed : collection of str or None
        Bones without which a frame is left out; by default all that have values.

    Raises
    ------
    SourceError
        If the file is not readable, holds no complete frame, or does not belong to the skeleton.
    """
    data = read_bytes(path)
    return parse_amc(data, path, skeleton, needed)


def _header(data: bytes, path: Path, skeleton: Skeleton) -> tuple[int, bool]:
    """Offset of the first frame number, and whether angles are in degrees."""
    first = _FIRST_FRAME.search(data)
    if first is None:
        found = data[:24].decode("latin-1")
        raise SourceError(path, f"expected a frame number alone on a line, found none ({found!r})")
    keywords = {
        line.strip().upper()
        for line in data[: first.start()].split(b"\n")
        if line.lstrip().startswith(b":")
    }
    if {b":DEGREES", b":RADIANS"} <= keywords:
        raise SourceError(path, "expected :DEGREES or :RADIANS, found both")
    degrees = skeleton.degrees
    if keywords & {b":DEGREES", b":RADIANS"}:
        degrees = b":DEGREES" in keywords
    return first.start(), degrees


def parse_amc(
    data: bytes, path: Path, skeleton: Skeleton, needed: Collection[str] | None = None
) -> AmcMotion:
    """Parse the bytes of an AMC file; ``path`` is used in messages. See ``read_amc``."""
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    start, degrees = _header(data, path, skeleton)
    layout = _layout(skeleton, None if needed is None else frozenset(needed))
    frames, frame_lines, values, events, counters = _parse(
        np.frombuffer(data, np.uint8),
        start,
        1 + data.count(b"\n", 0, start),
        layout.names,
        layout.name_lengths,
        layout.counts,
        layout.columns,
        layout.required,
        skeleton.n_channels,
        len(data) // layout.frame_bytes + 1,
    )
    seen_frames, bad_first = int(counters[1]), bool(counters[2])
    reasons = [_describe(e, data, skeleton, layout.bones) for e in events]
    if bad_first:
        line, reason = reasons[0]
        raise SourceError(path, reason, line)
    kept = _increasing(frames)
    if len(kept) < len(frames):
        first = int(np.setdiff1d(np.arange(len(frames)), kept)[0])
        reasons.append(
            (
                int(frame_lines[first]),
                f"{len(frames) - len(kept)} frames whose numbers do not increase, the first here",
            )
        )
        frames, values = frames[kept], values[kept]
    if len(frames) == 0:
        raise SourceError(path, f"expected complete frames, found none in {seen_frames}")
    n_lost = seen_frames - len(frames)
    lost = []
    if n_lost:
        lost.append(f"{n_lost} of {seen_frames} frames set aside")
        lost += [f"line {line}: {reason}" for line, reason in reasons]
    return AmcMotion(frames, values, degrees, tuple(lost), n_lost, int(counters[3]))


@dataclass(frozen=True)
class _Layout:
    """What the compiled loop knows of a skeleton, one element for each bone.

    Bones without values come last: files that give some for them exist.

    names : (n, longest) bytes in lower case. columns : of its first value in a frame's values.
    frame_bytes : the shortest possible frame; it bounds the memory whatever a file holds.
    """

    bones: tuple[str, ...]
    names: NDArray[np.uint8]
    name_lengths: NDArray[np.int64]
    counts: NDArray[np.int64]
    columns: NDArray[np.int64]
    required: NDArray[np.bool_]
    frame_bytes: int


@lru_cache(maxsize=64)
def _layout(skeleton: Skeleton, needed: frozenset[str] | None) -> _Layout:
    bones = sorted(skeleton.bones.values(), key=lambda bone: not bone.dof)
    encoded = [bone.name.encode("latin-1") for bone in bones]
    names = np.zeros((len(bones), max(map(len, encoded))), np.uint8)
    for row, name in zip(names, encoded, strict=True):
        row[: len(name)] = list(name)
    columns = skeleton.first_channel()
    required = [bool(b.dof) and (needed is None or b.name in needed) for b in bones]
    lines = [len(n) + 2 * len(b.dof) + 1 for n, b in zip(encoded, bones, strict=True)]
    return _Layout(
        tuple(bone.name for bone in bones),
        names,
        np.array([len(n) for n in encoded], np.int64),
        np.array([len(bone.dof) for bone in bones], np.int64),
        np.array([columns[bone.name] for bone in bones], np.int64),
        np.array(required, np.bool_),
        2 + sum(compress(lines, required)),
    )


def _describe(
    event: NDArray[np.int64], data: bytes, skeleton: Skeleton, bones: Sequence[str]
) -> tuple[int, str]:
    code, line, bone, found = (int(v) for v in event)
    name = bones[bone] if bone >= 0 else ""
    if code == _UNKNOWN_BONE:
        word = data.split(b"\n", line)[line - 1].split(None, 1)[0][:40].decode("latin-1")
        return line, f"expected a bone of {skeleton.path.name}, found {word!r}"
    if code == _DOUBLE_BONE:
        return line, f"bone {name!r} is given twice in a frame"
    if code == _CUT_LINE:
        return line, f"bone {name!r}: the file ends within its line"
    if code == _BAD_NUMBER:
        return line, f"bone {name!r}: expected numbers within {MAX_VALUE:g}, found another"
    declared = skeleton.bones[name]
    if code == _WRONG_COUNT:
        place = declared.dof_line if declared.dof else declared.line
        where = f"declared at {skeleton.path.name}:{place}"
        dof = f"{' '.join(declared.dof)}, {where}" if declared.dof else f"no dof is {where}"
        return line, f"bone {name!r} has {found} values, expected {len(declared.dof)} ({dof})"
    return line, f"bone {name!r} is absent from the frame that begins here"


def _increasing(frames: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows of a longest strictly increasing run of frame numbers (all of them, in sound files)."""
    if np.all(np.diff(frames) > 0):
        return np.arange(len(frames))
    tails: list[int] = []
    tail_rows: list[int] = []
    before = np.full(len(frames), -1)
    for row, number in enumerate(frames.tolist()):
        place = bisect_left(tails, number)
        if place == len(tails):
            tails.append(number)
            tail_rows.append(row)
        else:
            tails[place], tail_rows[place] = number, row
        before[row] = tail_rows[place - 1] if place else -1
    rows = []
    row = tail_rows[-1]
    while row >= 0:
        rows.append(row)
        row = int(before[row])
    return np.array(rows[::-1])


@njit(cache=True, nogil=True)
def _matches(
    text: NDArray[np.uint8], at: int, length: int, name: NDArray[np.uint8], name_length: int
) -> bool:
    if length != name_length:
        return False
    for i in range(length):
        c = text[at + i]
        if 65 <= c <= 90:
            c += 32
        if c != name[i]:
            return False
    return True


@njit(cache=True, nogil=True)
def _parse(  # noqa: PLR0912, PLR0915
    text: NDArray[np.uint8],
    at: int,
    line: int,
    names: NDArray[np.uint8],
    name_length: NDArray[np.int64],
    counts: NDArray[np.int64],
    columns: NDArray[np.int64],
    required: NDArray[np.bool_],
    n_channels: int,
    capacity: int,
) -> tuple[
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.int64],
]:
    """Read the text in one pass; return frames, their lines, values, events and counters.

    events : (n, 4) code, line, bone, count found; the first few.
    counters : kept frames, frames seen, whether the first frame was bad, values ignored.
    """
    size, n_bones = text.shape[0], counts.shape[0]
    frames = np.empty(capacity, np.int64)
    frame_lines = np.empty(capacity, np.int64)
    values = np.zeros((capacity, n_channels))
    events = np.empty((_MAX_EVENTS, 4), np.int64)
    counters = np.zeros(4, np.int64)
    n_events = 0
    seen = np.full(n_bones, -1, np.int64)
    follows = np.zeros(n_bones + 1, np.int64)  # which bone came after which, in the last frame
    previous = n_bones
    n_required = required.sum()
    n_first = 0  # bones of the first frame
    n_read, n_read_required = 0, 0
    kept, number, ordinal = 0, np.int64(0), -1
    frame_line = line
    bad = False
    in_frame = False
    while True:
        # Find the extent of the line, without trailing blanks.
        while at < size and (text[at] == 32 or text[at] == 9 or text[at] == 13):
            at += 1
        finished = at >= size
        starts_frame = not finished and (48 <= text[at] < 58)
        if in_frame and (finished or starts_frame):
            if ordinal == 0:
                n_first = n_read
            # The last frame of a cut file lacks bones that the first one has.
            short = n_read_required < n_required or (finished and n_read < n_first)
            if short and not bad:
                absent = -1
                for b in range(n_bones):
                    if seen[b] != ordinal and (required[b] or (finished and absent < 0)):
                        absent = b
                        if required[b]:
                            break
                if n_events < _MAX_EVENTS:
                    events[n_events, 0] = _MISSING_BONE
                    events[n_events, 1] = frame_line
                    events[n_events, 2] = absent
                    events[n_events, 3] = 0
                    n_events += 1
                bad = True
            if not bad:
                frames[kept] = number
                frame_lines[kept] = frame_line
                kept += 1
            elif ordinal == 0:
                counters[2] = 1
                break
            else:
                values[kept] = 0.0
            in_frame = False
        if finished:
            break
        c = text[at]
        if starts_frame:
            number = np.int64(0)
            while at < size and 48 <= text[at] < 58:
                if number < 1 << 40:
                    number = number * 10 + np.int64(text[at] - 48)
                at += 1
            ordinal += 1
            in_frame = True
            bad = False
            n_read, n_read_required = 0, 0
            previous = n_bones
            frame_line = line
        elif c == 10:
            pass
        elif bad or not in_frame or c == 35 or c == 58:  # noqa: PLR1714
            pass  # a comment, a keyword, or the rest of a frame that is lost already
        else:
            begin = at
            while at < size and text[at] > 32:
                at += 1
            length = at - begin
            bone = int(follows[previous])
            if not _matches(text, begin, length, names[bone], int(name_length[bone])):
                bone = -1
                for b in range(n_bones):
                    if _matches(text, begin, length, names[b], int(name_length[b])):
                        bone = b
                        break
                if bone >= 0:
                    follows[previous] = bone
            code = 0
            found = 0
            if bone < 0:
                code = _UNKNOWN_BONE
            elif seen[bone] == ordinal:
                code = _DOUBLE_BONE
            else:
                previous = bone
                column = columns[bone]
                expected = counts[bone]
                while True:
                    while at < size and (text[at] == 32 or text[at] == 9 or text[at] == 13):
                        at += 1
                    if at >= size or text[at] == 10:
                        break
                    value, stop = parse_number(text, at, size)
                    if stop < 0 or (stop < size and text[stop] > 32):
                        code = _BAD_NUMBER
                        break
                    if not -MAX_VALUE <= value <= MAX_VALUE:
                        code = _BAD_NUMBER
                        break
                    at = stop
                    if found < expected:
                        values[kept, column + found] = value
                    elif expected == 0 and not -_NEAR_ZERO <= value <= _NEAR_ZERO:
                        code = _WRONG_COUNT
                    found += 1
                if code == 0 and expected == 0:
                    counters[3] += found
                elif code == 0 and found != expected:
                    code = _WRONG_COUNT
                if at >= size and ordinal > 0 and code != _BAD_NUMBER:
                    # No line end after it: the last number itself may have lost digits.
                    code = _CUT_LINE if required[bone] or code != 0 else 0
                if code == 0:
                    seen[bone] = ordinal
                    n_read += 1
                    n_read_required += int(required[bone])
            if code != 0:
                bad = True
                if n_events < _MAX_EVENTS:
                    events[n_events, 0] = code
                    events[n_events, 1] = line
                    events[n_events, 2] = bone
                    events[n_events, 3] = found
                    n_events += 1
        while at < size and text[at] != 10:
            at += 1
        at += 1
        line += 1
    counters[0] = kept
    counters[1] = ordinal + 1
    return frames[:kept], frame_lines[:kept], values[:kept], events[:n_events], counters
