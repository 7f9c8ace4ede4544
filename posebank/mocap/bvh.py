"""BVH files: any hierarchy, any channel order per joint, several naming schemes.

A BVH states its frame time but neither its length unit nor which joint is which. The joints are
found by name among the schemes below; the unit is the caller's to say, or follows from the naming
scheme (see ``cgspeed``), or from the size of the body, which is then reported.

Position channels are added to the joint's OFFSET, as Biovision's format has it; where a joint other
than the root repeats its OFFSET in the channels, they replace it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.geometry.kinematics import Node, Point, forward
from posebank.mocap.files import read_bytes
from posebank.mocap.numbers import MAX_VALUE, parse_number
from posebank.skeleton import JOINT_NAMES

MAX_JOINTS = 1000
END_SITE = "end site"
_EYE = np.eye(3)

_SCHEMES: dict[str, dict[str, str]] = {
    # cgspeed's MotionBuilder release, Pose Prior, Mixamo, most others.
    "UpLeg-Leg-Foot": {
        "hip": "{side}upleg", "knee": "{side}leg", "ankle": "{side}foot",
        "shoulder": "{side}arm", "elbow": "{side}forearm", "wrist": "{side}hand",
    },
    # cgspeed's 3ds Max release and Biovision's own names.
    "Hip-Knee-Ankle": {
        "hip": "{side}hip", "knee": "{side}knee", "ankle": "{side}ankle",
        "shoulder": "{side}shoulder", "elbow": "{side}elbow", "wrist": "{side}wrist",
    },
    # Poser and its descendants.
    "Thigh-Shin-Foot": {
        "hip": "{s}thigh", "knee": "{s}shin", "ankle": "{s}foot",
        "shoulder": "{s}shldr", "elbow": "{s}forearm", "wrist": "{s}hand",
    },
}  # fmt: skip


@dataclass(frozen=True)
class BvhMotion:
    """A BVH file.

    names : of the nodes; an End Site is ``"<parent>/end site"``.
    values : (n_frames, n_channels) as in the file, degrees and length units.
    frames : (n_frames,) 0-based position of each frame in the file.
    """

    path: Path
    names: tuple[str, ...]
    nodes: tuple[Node, ...]
    values: NDArray[np.float64]
    frames: NDArray[np.int64]
    frame_time: float
    declared_frames: int
    lost: tuple[str, ...]
    n_lost: int = 0

    def find(self, name: str) -> int | None:
        """The node of a plain name (lower case, no namespace, no separators)."""
        for index, found in enumerate(self.names):
            if plain_name(found) == name:
                return index
        return None

    def positions(self, wanted: Mapping[str, int]) -> NDArray[np.float64]:
        """Origins (n_frames, 13, 3) of the nodes wanted for the 13 joints, in the file's unit."""
        points = [Point(wanted[name], np.zeros(3)) for name in JOINT_NAMES]
        return forward(self.nodes, points, self.values, radians_per_unit=math.pi / 180)


def plain_name(name: str) -> str:
    """A joint name without namespace, case and separators."""
    head, slash, tail = name.partition("/")
    head = head.rsplit(":", 1)[-1].lower().replace("_", "").replace("-", "").replace(" ", "")
    return head + slash + tail


def match_joints(motion: BvhMotion) -> tuple[str, dict[str, int]]:
    """Find the 13 joints by name: the scheme and ``lcrnet13`` name -> node.

    The head top is the End Site of the head (or of the nub that ends it).

    Raises
    ------
    SourceError
        If no scheme fits, naming what the closest one lacks.
    """
    best: list[str] | None = None
    for scheme, parts in _SCHEMES.items():
        wanted = {}
        missing = []
        for side in ("right", "left"):
            for joint, pattern in parts.items():
                name = pattern.format(side=side, s=side[0])
                node = motion.find(name)
                if node is None:
                    missing.append(name)
                else:
                    wanted[f"{side[0]}_{joint}"] = node
        top = _head_top(motion)
        if top is None:
            missing.append("head with an End Site")
        else:
            wanted["head"] = top
        if not missing:
            return scheme, wanted
        if best is None or len(missing) < len(best):
            best = missing
    raise SourceError(
        motion.path,
        f"expected joint names of a known scheme, found none of {', '.join((best or [])[:13])} "
        f"among {', '.join(motion.names[:8])}, ...",
    )


def _head_top(motion: BvhMotion) -> int | None:
    node = motion.find("head")
    while node is not None:
        children = [i for i, n in enumerate(motion.nodes) if n.parent == node]
        ends = [i for i in children if motion.names[i].endswith(END_SITE)]
        if ends:
            return ends[0]
        nubs = [i for i in children if plain_name(motion.names[i]).startswith("head")]
        if not nubs:
            is_nub = plain_name(motion.names[node]) != "head"
            return node if is_nub else None
        node = nubs[0]
    return None


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
    frame_time = lines.labelled_number("Frame Time:")
    if not 1e-4 <= frame_time <= 10.0:
        raise SourceError(
            path, f"expected a frame time in seconds, found {frame_time}", lines.number
        )
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
        raise SourceError(path, f"expected frames of {n_channels} numbers, found none")
    motion = BvhMotion(
        path, tuple(names), tuple(nodes), values, rows, frame_time, int(declared), tuple(lost),
        n_lines - len(values),
    )  # fmt: skip
    return _with_absolute_positions(motion)


class _HeaderLines:
    """Lines of the header, one at a time, with their number and the offset after them."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.at, self.number = path, data, 0, 0

    def next(self) -> list[str]:
        """Tokens of the next line that is not blank."""
        while self.at < len(self.data):
            end = self.data.find(b"\n", self.at)
            end = len(self.data) if end < 0 else end
            raw, self.at = self.data[self.at : end], end + 1
            self.number += 1
            if len(raw) > 100_000:
                break
            tokens = raw.decode("latin-1").replace("{", " { ").replace("}", " } ").split()
            if tokens:
                return tokens
        raise SourceError(self.path, "expected more of the header, found the end", self.number)

    def fail(self, expected: str, found: object) -> SourceError:
        """An error at the present line."""
        return SourceError(self.path, f"expected {expected}, found {found!r}", self.number)

    def labelled_number(self, label: str) -> float:
        """The number after ``label`` on the next line."""
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


def _read_hierarchy(  # noqa: PLR0912, PLR0915 (one state machine)
    lines: _HeaderLines,
) -> tuple[list[str], list[Node], int]:
    names: list[str] = []
    nodes: list[Node] = []
    stack: list[int] = []
    n_channels = 0
    pending: str | None = None
    tokens = lines.next()
    tokens[0] = tokens[0].removeprefix("\xef\xbb\xbf")  # a UTF-8 byte-order mark
    if tokens[0].upper() != "HIERARCHY":
        raise lines.fail("HIERARCHY", tokens[0][:40])
    tokens = tokens[1:]
    offset: dict[int, NDArray[np.float64]] = {}
    while True:
        if not tokens:
            tokens = lines.next()
        word = tokens[0].upper()
        if word == "MOTION":
            break
        if word in ("ROOT", "JOINT", "END"):
            if pending is not None or len(tokens) < 2 or (word == "ROOT") != (not stack):
                raise lines.fail("one ROOT and JOINTs inside it", " ".join(tokens)[:60])
            if word == "ROOT" and names:
                raise lines.fail("one ROOT", "two")
            upto = tokens.index("{") if "{" in tokens else len(tokens)
            pending = (
                f"{names[stack[-1]]}/{END_SITE}" if word == "END" else " ".join(tokens[1:upto])
            )
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
            if node.rotations or node.translations:
                raise lines.fail("one CHANNELS line for each joint", "two")
            nodes[stack[-1]], used = _channels(lines, tokens, node.parent, n_channels)
            n_channels += used
            tokens = tokens[2 + used :]
        else:
            raise lines.fail("JOINT, OFFSET, CHANNELS or End Site", " ".join(tokens)[:60])
    if stack or not n_channels or pending is not None:
        raise lines.fail("a closed hierarchy with channels before MOTION", f"{len(stack)} open")
    placed = []
    for index, node in enumerate(nodes):
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
    count = int(tokens[1]) if len(tokens) > 1 and tokens[1].isascii() and tokens[1].isdigit() else 0
    kinds = [t.lower() for t in tokens[2 : 2 + count]]
    if not 0 < count <= 6 or len(kinds) != count or len(set(kinds)) != count:
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
