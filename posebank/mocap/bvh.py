"""BVH files: any hierarchy, any channel order per joint.

Position channels are added to the joint's OFFSET, as Biovision's format has it; where a joint other
than the root repeats its OFFSET in the channels, they replace it.

A BVH states its frame time, but neither its length unit, nor its upward axis, nor which joint is
which: ``bvh_clip`` finds these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.geometry.kinematics import Node, Point, forward
from posebank.mocap.files import read_bytes
from posebank.mocap.naming import END_SITE, Skeleton, is_end_site
from posebank.mocap.numbers import MAX_VALUE, parse_number

MAX_JOINTS = 1000
_EYE = np.eye(3)
_MAX_CHANNELS = 6
_FRAME_TIME_S = (1e-4, 10.0)


@dataclass(frozen=True)
class BvhMotion:
    """A BVH file.

    names : of the nodes; an End Site is ``"<parent>/end site"``.
    values : (n_frames, n_channels) as in the file, degrees and length units.
    frames : (n_frames,) 0-based position of each frame in the file.
    frame_time : what follows ``Frame Time:``, as text; frame_time_line : where.
    """

    path: Path
    names: tuple[str, ...]
    nodes: tuple[Node, ...]
    values: NDArray[np.float64]
    frames: NDArray[np.int64]
    frame_time: str
    frame_time_line: int
    declared_frames: int
    lost: tuple[str, ...]
    n_lost: int = 0

    @property
    def skeleton(self) -> Skeleton:
        """Names and hierarchy."""
        return Skeleton(self.names, tuple(node.parent for node in self.nodes))

    def seconds_per_frame(self) -> float:
        """Return the frame time.

        Raises
        ------
        SourceError
            If the file states none, or one that is no time between frames.
        """
        try:
            seconds = float(self.frame_time)
        except ValueError:
            seconds = math.nan
        if _FRAME_TIME_S[0] <= seconds <= _FRAME_TIME_S[1]:
            return seconds
        found = repr(self.frame_time[:40]) if self.frame_time else "none"
        meant = " (frames per second?)" if 10 < seconds <= 1000 else ""
        raise SourceError(
            self.path,
            f"expected a frame time in seconds, found {found}{meant}; give --fps",
            self.frame_time_line,
        )

    def bones(self) -> NDArray[np.float64]:
        """Return the vector (n_nodes, 3) from each node's parent to it, in the parent's axes."""
        bones = np.array([node.offset for node in self.nodes])
        for index, node in enumerate(self.nodes):
            if node.parent >= 0:
                for axis, channel in node.translations:
                    bones[index, "xyz".index(axis)] += self.values[:, channel].mean()
        return bones

    def rest(self) -> NDArray[np.float64]:
        """Return the places (n_nodes, 3) of the nodes when nothing turns, the root at 0."""
        places = self.bones()
        places[0] = 0.0
        for index, node in enumerate(self.nodes):
            if node.parent >= 0:
                places[index] += places[node.parent]
        return places

    def positions(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """Return the places (n_frames, n_points, 3) of points, in the file's unit."""
        return forward(self.nodes, points, self.values, radians_per_unit=math.pi / 180)


def read_bvh(path: Path) -> BvhMotion:
    """Read a BVH file.

    Raises
    ------
    SourceError
        If the file is not readable, the hierarchy is broken or no frame fits its channels.
    """
    data = read_bytes(path)
    return parse_bvh(data, path)


def parse_bvh(data: bytes, path: Path) -> BvhMotion:
    """Parse the bytes of a BVH file; ``path`` is used in messages. Errors as ``read_bvh``."""
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    lines = _HeaderLines(path, data)
    names, nodes, n_channels = _read_hierarchy(lines)
    declared = lines.labelled_number("Frames:")
    frame_time = lines.frame_time()
    frame_time_line = lines.number
    values, rows, bad_lines, n_lines = _read_rows(
        np.frombuffer(data, np.uint8), lines.at, n_channels, len(data) // (2 * n_channels) + 1
    )
    lost = []
    if n_lines != len(values):
        first = lines.number + 1 + int(bad_lines)
        lost.append(
            f"{n_lines - len(values)} of {n_lines} frames set aside; the first, line {first}, "
            f"has not {n_channels} sound numbers"
        )
    if declared != n_lines:
        lost.append(f"the header declares {declared:g} frames, the file holds {n_lines}")
    if len(values) == 0:
        line = lines.number + 1 + max(int(bad_lines), 0)
        raise SourceError(path, f"expected frames of {n_channels} numbers, found none", line)
    motion = BvhMotion(
        path,
        tuple(names),
        tuple(nodes),
        values,
        rows,
        frame_time,
        frame_time_line,
        int(declared),
        tuple(lost),
        n_lines - len(values),
    )
    return _with_absolute_positions(motion)


class _HeaderLines:
    """Lines of the header, one at a time, with their number and the offset after them."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.at, self.number = path, data, 0, 0

    def next(self) -> list[str]:
        """Return the tokens of the next line that is not blank."""
        while self.at < len(self.data):
            end = self.data.find(b"\n", self.at)
            end = len(self.data) if end < 0 else end
            raw, self.at = self.data[self.at : end], end + 1
            self.number += 1
            if len(raw) > 100_000:
                break
            tokens = _decoded(raw).replace("{", " { ").replace("}", " } ").split()
            if tokens:
                return tokens
        raise SourceError(self.path, "expected more of the header, found the end", self.number)

    def frame_time(self) -> str:
        """Return the text after ``Frame Time:``; empty where the frames begin without one."""
        at, number = self.at, self.number
        text = " ".join(self.next())
        label, colon, value = text.partition(":")
        if colon and "".join(label.lower().split()) == "frametime":
            return value.strip()
        if not text[0].isalpha():
            self.at, self.number = at, number
            return ""
        raise self.fail("'Frame Time:'", text[:60])

    def fail(self, expected: str, found: object) -> SourceError:
        """Return an error at the present line."""
        return SourceError(self.path, f"expected {expected}, found {found!r}", self.number)

    def labelled_number(self, label: str) -> float:
        """Return the number after ``label`` on the next line."""
        tokens = self.next()
        text = " ".join(tokens)
        if not text.lower().startswith(label.lower()):
            raise self.fail(f"'{label}'", text[:60])
        try:
            value = float(text[len(label) :])
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and 0 <= value < 1e9):
            raise self.fail(f"a number after '{label}'", text[:60])
        return value


def _decoded(line: bytes) -> str:
    """Return a line as UTF-8, or as Latin-1, which older programs wrote, where it is none."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _read_hierarchy(  # noqa: C901, PLR0912, PLR0915 (one state machine)
    lines: _HeaderLines,
) -> tuple[list[str], list[Node], int]:
    names: list[str] = []
    nodes: list[Node] = []
    stack: list[int] = []
    n_channels = 0
    pending: str | None = None
    tokens = lines.next()
    tokens[0] = tokens[0].removeprefix("\ufeff")  # a byte-order mark
    if tokens[0].upper() != "HIERARCHY":
        raise lines.fail("HIERARCHY", tokens[0][:40])
    tokens = tokens[1:]
    offset: dict[int, NDArray[np.float64]] = {}
    has_channels: set[int] = set()
    while True:
        if not tokens:
            tokens = lines.next()
        word = tokens[0].upper()
        if word == "MOTION":
            break
        if word in ("ROOT", "JOINT", "END", "ENDSITE"):
            named = len(tokens) > 1 or word == "ENDSITE"
            if pending is not None or not named or (word == "ROOT") != (not stack):
                raise lines.fail("one ROOT and JOINTs inside it", " ".join(tokens)[:60])
            if word == "ROOT" and names:
                raise lines.fail("one ROOT", "two")
            upto = tokens.index("{") if "{" in tokens else len(tokens)
            ends = word in ("END", "ENDSITE")
            pending = f"{names[stack[-1]]}/{END_SITE}" if ends else " ".join(tokens[1:upto])
            tokens = tokens[upto:]
        elif word == "{":
            if pending is None or len(names) >= MAX_JOINTS:
                raise lines.fail("a joint before '{'", "none")
            names.append(pending)
            nodes.append(Node(stack[-1] if stack else -1, np.zeros(3), _EYE))
            stack.append(len(names) - 1)
            pending = None
            tokens = tokens[1:]
        elif word == "}":
            if not stack:
                raise lines.fail("'{' before '}'", "none")
            stack.pop()
            tokens = tokens[1:]
        elif word == "OFFSET" and stack:
            offset[stack[-1]] = _offset(lines, tokens[1:4])
            tokens = tokens[4:]
        elif word == "CHANNELS" and stack:
            node = nodes[stack[-1]]
            if stack[-1] in has_channels:
                raise lines.fail("one CHANNELS line for each joint", "two")
            has_channels.add(stack[-1])
            nodes[stack[-1]], used = _channels(lines, tokens, node.parent, n_channels)
            n_channels += used
            tokens = tokens[2 + used :]
        else:
            raise lines.fail("JOINT, OFFSET, CHANNELS or End Site", " ".join(tokens)[:60])
    if stack or not n_channels or pending is not None:
        raise lines.fail("a closed hierarchy with channels before MOTION", f"{len(stack)} open")
    placed = []
    for index, node in enumerate(nodes):
        if index not in offset and is_end_site(names[index]):
            offset[index] = np.zeros(3)
        if index not in offset:
            raise SourceError(lines.path, f"joint {names[index]!r}: expected an OFFSET, found none")
        placed.append(Node(node.parent, offset[index], _EYE, node.rotations, node.translations))
    return names, placed, n_channels


def _offset(lines: _HeaderLines, tokens: list[str]) -> NDArray[np.float64]:
    try:
        values = np.array([float(t) for t in tokens])
    except ValueError:
        values = np.empty(0)
    if values.shape != (3,) or not np.all(np.abs(values) < MAX_VALUE):
        raise lines.fail("OFFSET and three numbers", " ".join(tokens)[:60])
    return values


def _channels(lines: _HeaderLines, tokens: list[str], parent: int, first: int) -> tuple[Node, int]:
    count = int(tokens[1][:3]) if len(tokens) > 1 and tokens[1].isdecimal() else -1
    kinds = [t.lower() for t in tokens[2 : 2 + max(count, 0)]]
    if not 0 <= count <= _MAX_CHANNELS or len(kinds) != count or len(set(kinds)) != count:
        raise lines.fail("CHANNELS, a count and that many names", " ".join(tokens)[:60])
    turns: list[tuple[str, int]] = []
    shifts: list[tuple[str, int]] = []
    for position, kind in enumerate(kinds):
        axis, what = kind[:1], kind[1:]
        if axis not in "xyz" or what not in ("rotation", "position"):
            raise lines.fail("a channel such as Xrotation or Yposition", kind[:40])
        (turns if what == "rotation" else shifts).append((axis, first + position))
    return Node(parent, np.zeros(3), _EYE, tuple(turns), tuple(shifts)), count


def _with_absolute_positions(motion: BvhMotion) -> BvhMotion:
    """Drop the OFFSET of joints (not the root) whose position channels repeat it."""
    nodes = list(motion.nodes)
    for index, node in enumerate(nodes):
        if node.parent < 0 or not node.translations:
            continue
        mean = np.zeros(3)
        for axis, channel in node.translations:
            mean["xyz".index(axis)] = motion.values[:, channel].mean()
        if np.linalg.norm(mean - node.offset) < np.linalg.norm(mean):
            covered = ["xyz".index(axis) for axis, _ in node.translations]
            rest_of_it = node.offset.copy()
            rest_of_it[covered] = 0.0
            nodes[index] = Node(node.parent, rest_of_it, _EYE, node.rotations, node.translations)
    return replace(motion, nodes=tuple(nodes))


@njit(cache=True, nogil=True)
def _read_rows(
    text: NDArray[np.uint8], at: int, n_channels: int, capacity: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], int, int]:
    """Rows of exactly n_channels numbers; also their positions, the first bad line, the count."""
    size = text.shape[0]
    values = np.empty((capacity, n_channels))
    rows = np.empty(capacity, np.int64)
    kept, seen, first_bad, line = 0, 0, -1, -1
    while at < size:
        line += 1
        found = 0
        sound = True
        while at < size and text[at] != 10:
            c = text[at]
            if c == 32 or c == 9 or c == 13:  # noqa: PLR1714
                at += 1
                continue
            value, stop = parse_number(text, at, size)
            bad = stop < 0 or (stop < size and text[stop] > 32)
            if bad or not -MAX_VALUE <= value <= MAX_VALUE:
                sound = False
            elif kept < capacity and found < n_channels:
                values[kept, found] = value
            found += 1
            if not sound:
                while at < size and text[at] != 10:
                    at += 1
            else:
                at = stop
        at += 1
        if found:
            if sound and found == n_channels and kept < capacity:
                rows[kept] = seen
                kept += 1
            elif first_bad < 0:
                first_bad = line
            seen += 1
    return values[:kept], rows[:kept], first_bad, seen
