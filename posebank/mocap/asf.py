"""ASF skeletons (Acclaim): units, root, bones, hierarchy; nothing is assumed that is not written.

Conventions (Acclaim definition 1.10; Vicon's notes on it)
    ``direction`` is in the global rest axes. ``axis`` names fixed axes in the order of turning:
    ``XYZ`` is ``C = Rz Ry Rx``. ``dof`` and the root's ``order`` give both the order of the values
    in the AMC and the order of turning: ``rx ry rz`` is ``M = Rz Ry Rx``.
    A length of ``v`` in the file is ``v / length`` inches, ``length`` being the file's own unit
    (0.45 at CMU and in HDM05).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.geometry.kinematics import Node, Point
from posebank.geometry.rotations import fixed_axes_rotation
from posebank.mocap.files import read_bytes
from posebank.mocap.options import METRES_PER_INCH

ROOT = "root"
MAX_BONES = 1000
_ROTATIONS = ("rx", "ry", "rz")
_TRANSLATIONS = ("tx", "ty", "tz")


@dataclass(frozen=True)
class Bone:
    """One bone: ``end = start + G @ offset``, ``G = G_parent C M C^-1``.

    offset : (3,) direction times length, global rest axes, file units.
    axis : (3, 3) the rotation C.
    dof : tokens such as ``rx``, in the order of the AMC values.
    line : where it begins in the ASF; dof_line : where its dof are.
    """

    name: str
    offset: NDArray[np.float64]
    axis: NDArray[np.float64]
    dof: tuple[str, ...]
    line: int
    dof_line: int


@dataclass(frozen=True, eq=False)
class Skeleton:
    """An ASF file. ``bones`` begins with the root; ``parent`` maps every other bone to its own."""

    path: Path
    length_unit: float
    degrees: bool
    bones: Mapping[str, Bone]
    parent: Mapping[str, str]

    @property
    def metres_per_unit(self) -> float:
        """Metres in one length unit of the file."""
        return METRES_PER_INCH / self.length_unit

    @property
    def unit(self) -> str:
        """The length unit in words."""
        return f"1/{self.length_unit:g} inch (ASF :units length {self.length_unit:g})"

    def first_channel(self) -> dict[str, int]:
        """Column of each bone's first value in the (n_frames, n_channels) array of a motion."""
        first, columns = 0, {}
        for bone in self.bones.values():
            columns[bone.name] = first
            first += len(bone.dof)
        return columns

    @property
    def n_channels(self) -> int:
        """Number of values in a frame."""
        return sum(len(b.dof) for b in self.bones.values())

    def chain(self, ends: Sequence[str]) -> tuple[list[Node], list[Point]]:
        """Nodes of all bones, and one point at the end of each bone in ``ends``."""
        columns = self.first_channel()
        position = {name: index for index, name in enumerate(self.bones)}
        nodes = []
        for bone in self.bones.values():
            column = columns[bone.name]
            turns = [(d[1], column + i) for i, d in enumerate(bone.dof) if d in _ROTATIONS]
            shifts = [(d[1], column + i) for i, d in enumerate(bone.dof) if d in _TRANSLATIONS]
            if bone.name == ROOT:
                parent, offset, rest = -1, bone.offset, bone.axis
            else:
                above = self.bones[self.parent[bone.name]]
                parent = position[above.name]
                start = np.zeros(3) if above.name == ROOT else above.offset
                offset, rest = above.axis.T @ start, above.axis.T @ bone.axis
            nodes.append(Node(parent, offset, rest, tuple(reversed(turns)), tuple(shifts)))
        points = []
        for name in ends:
            bone = self.bones[name]
            reach = np.zeros(3) if name == ROOT else bone.axis.T @ bone.offset
            points.append(Point(position[name], reach))
        return nodes, points

    def bones_towards(self, ends: Sequence[str]) -> list[str]:
        """Every bone whose values move the end of one of ``ends``, root first."""
        needed: set[str] = set()
        for end in ends:
            name = end
            while name != ROOT and name not in needed:
                needed.add(name)
                name = self.parent[name]
        needed.add(ROOT)
        return [bone for bone in self.bones if bone in needed]


class _Lines:
    """The lines of an ASF without comments: (number, tokens), with one line of look-ahead."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.items: list[tuple[int, list[str]]] = []
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.split("#", 1)[0].replace(",", " ").replace("(", " ").replace(")", " ")
            tokens = line.split()
            if tokens:
                self.items.append((number, tokens))

    def sections(self) -> dict[str, list[tuple[int, list[str]]]]:
        """Lines of each ``:keyword`` section; the keyword's own line is the first."""
        sections: dict[str, list[tuple[int, list[str]]]] = {}
        current: list[tuple[int, list[str]]] = []
        for number, tokens in self.items:
            if tokens[0].startswith(":"):
                keyword = tokens[0].lower()
                if keyword in sections:
                    raise SourceError(self.path, f"expected one {keyword} section, found 2", number)
                current = sections.setdefault(keyword, [])
            current.append((number, tokens))
        return sections


def _numbers(path: Path, line: int, what: str, tokens: Sequence[str], count: int) -> list[float]:
    try:
        values = [float(t) for t in tokens]
    except ValueError:
        values = []
    if len(values) != count or not all(math.isfinite(v) and abs(v) < 1e9 for v in values):
        raise SourceError(path, f"{what}: expected {count} numbers, found {tokens[:9]}", line)
    return values


def _axis_order(path: Path, line: int, token: str) -> str:
    order = token.lower()
    if sorted(order) != ["x", "y", "z"]:
        raise SourceError(path, f"axis: expected an order such as XYZ, found {token!r}", line)
    return order


def _dof(path: Path, line: int, tokens: Sequence[str]) -> tuple[str, ...]:
    dof = tuple(t.lower() for t in tokens)
    unknown = [d for d in dof if d not in (*_ROTATIONS, *_TRANSLATIONS)]
    if unknown or len(set(dof)) != len(dof):
        raise SourceError(
            path, f"dof: expected different ones of rx ry rz tx ty tz, found {tokens[:9]}", line
        )
    return dof


def _read_units(path: Path, lines: list[tuple[int, list[str]]]) -> tuple[float, bool]:
    found = {}
    for number, tokens in lines[1:]:
        if len(tokens) < 2:
            raise SourceError(path, f":units: expected a name and a value, found {tokens}", number)
        found[tokens[0].lower()] = tokens[1]
    where = lines[0][0]
    if "length" not in found or "angle" not in found:
        raise SourceError(
            path, f":units: expected length and angle, found {sorted(found) or 'nothing'}", where
        )
    (length,) = _numbers(path, where, "length unit", [found["length"]], 1)
    if not 1e-6 < length < 1e6:
        raise SourceError(path, f"length unit: expected a positive number, found {length}", where)
    angle = found["angle"].lower()
    if not angle.startswith(("deg", "rad")):
        raise SourceError(path, f"angle unit: expected deg or rad, found {angle!r}", where)
    return length, angle.startswith("deg")


def _read_root(path: Path, lines: list[tuple[int, list[str]]], unit: float) -> Bone:
    order: tuple[str, ...] = ()
    axis, position, orientation = "xyz", [0.0] * 3, [0.0] * 3
    order_line = lines[0][0]
    for number, tokens in lines[1:]:
        keyword = tokens[0].lower()
        if keyword == "order":
            order, order_line = _dof(path, number, tokens[1:]), number
        elif keyword == "axis":
            axis = _axis_order(path, number, "".join(tokens[1:]))
        elif keyword == "position":
            position = _numbers(path, number, "position", tokens[1:], 3)
        elif keyword == "orientation":
            orientation = _numbers(path, number, "orientation", tokens[1:], 3)
    if not order:
        raise SourceError(path, ":root: expected an order line, found none", order_line)
    angles = dict(zip("xyz", orientation, strict=True))
    c = fixed_axes_rotation(axis, np.array([angles[a] for a in axis]) * unit)
    return Bone(ROOT, np.array(position), c, order, lines[0][0], order_line)


def _read_bone(path: Path, lines: list[tuple[int, list[str]]], unit: float) -> Bone:
    start = lines[0][0]
    values: dict[str, tuple[int, list[str]]] = {}
    for number, tokens in lines[1:]:
        # The limits of further dof follow as lines that begin with a number.
        if tokens[0][0].isalpha() and tokens[0].lower() not in ("inf", "nan"):
            values[tokens[0].lower()] = (number, tokens[1:])
    missing = [k for k in ("name", "direction", "length", "axis") if not values.get(k, (0, []))[1]]
    if missing:
        raise SourceError(path, f"bone: expected {', '.join(missing)}, found none", start)
    name = values["name"][1][0].lower()
    number, tokens = values["direction"]
    direction = np.array(_numbers(path, number, f"direction of {name!r}", tokens, 3))
    number, tokens = values["length"]
    (length,) = _numbers(path, number, f"length of {name!r}", tokens, 1)
    number, tokens = values["axis"]
    if len(tokens) < 4:
        raise SourceError(
            path, f"axis of {name!r}: expected 3 angles and an order, found {tokens}", number
        )
    angles = _numbers(path, number, f"axis of {name!r}", tokens[:3], 3)
    order = _axis_order(path, number, "".join(tokens[3:]))
    by_axis = dict(zip("xyz", angles, strict=True))
    dof_line, dof_tokens = values.get("dof", (start, []))
    norm = float(np.linalg.norm(direction))
    if length != 0.0 and not 0.98 < norm < 1.02:
        raise SourceError(
            path, f"direction of {name!r}: expected a unit vector, found length {norm:.4g}", start
        )
    return Bone(
        name,
        direction * length,
        fixed_axes_rotation(order, np.array([by_axis[a] for a in order]) * unit),
        _dof(path, dof_line, dof_tokens),
        start,
        dof_line,
    )


def _read_bones(path: Path, lines: list[tuple[int, list[str]]], unit: float) -> list[Bone]:
    bones = []
    block: list[tuple[int, list[str]]] | None = None
    for number, tokens in lines[1:]:
        keyword = tokens[0].lower()
        if keyword == "begin":
            if block is not None:
                raise SourceError(path, "expected 'end' before the next 'begin'", number)
            block = [(number, tokens)]
        elif keyword == "end":
            if block is None:
                raise SourceError(path, "expected 'begin' before 'end'", number)
            bones.append(_read_bone(path, block, unit))
            block = None
        elif block is not None:
            block.append((number, tokens))
    if block is not None:
        raise SourceError(path, "expected 'end' of the bone, found none", block[0][0])
    return bones


def _read_hierarchy(
    path: Path, lines: list[tuple[int, list[str]]], known: Sequence[str]
) -> dict[str, str]:
    names = set(known)
    parent: dict[str, str] = {}
    for number, tokens in lines[1:]:
        row = [t.lower() for t in tokens]
        if row in (["begin"], ["end"]):
            continue
        for name in row:
            if name not in names:
                raise SourceError(path, f"hierarchy: expected a bone, found {name!r}", number)
        for child in row[1:]:
            if child in parent or child == ROOT:
                raise SourceError(path, f"hierarchy: {child!r} has two parents", number)
            parent[child] = row[0]
    return parent


def read_asf(path: Path) -> Skeleton:
    """Read an ASF skeleton.

    Raises
    ------
    SourceError
        If the file is not readable or anything needed is missing, doubled or not a number.
    """
    text = read_bytes(path).decode("latin-1")
    return parse_asf(text, path)


def parse_asf(text: str, path: Path) -> Skeleton:
    """Parse the text of an ASF file; ``path`` is used in messages. Errors as ``read_asf``."""
    sections = _Lines(path, text).sections()
    missing = [s for s in (":units", ":root", ":bonedata", ":hierarchy") if s not in sections]
    if missing:
        raise SourceError(path, f"expected an ASF skeleton, found no {', '.join(missing)} section")
    length_unit, degrees = _read_units(path, sections[":units"])
    unit = math.pi / 180 if degrees else 1.0
    read = [
        _read_root(path, sections[":root"], unit),
        *_read_bones(path, sections[":bonedata"], unit),
    ]
    if len(read) > MAX_BONES:
        raise SourceError(path, f"expected at most {MAX_BONES} bones, found {len(read)}")
    by_name: dict[str, Bone] = {}
    for bone in read:
        if bone.name in by_name:
            raise SourceError(path, f"expected one bone {bone.name!r}, found two", bone.line)
        by_name[bone.name] = bone
    parent = _read_hierarchy(path, sections[":hierarchy"], list(by_name))
    ordered = _parents_first(path, by_name, parent)
    return Skeleton(path, length_unit, degrees, ordered, parent)


def _parents_first(
    path: Path, bones: Mapping[str, Bone], parent: Mapping[str, str]
) -> dict[str, Bone]:
    children: dict[str, list[str]] = {}
    for name in bones:
        if name != ROOT:
            if name not in parent:
                raise SourceError(path, f"hierarchy: bone {name!r} has no parent", bones[name].line)
            children.setdefault(parent[name], []).append(name)
    ordered: dict[str, Bone] = {}
    queue = [ROOT]
    while queue:
        name = queue.pop(0)
        ordered[name] = bones[name]
        queue.extend(children.get(name, []))
    if len(ordered) != len(bones):
        lost = sorted(set(bones) - set(ordered))
        raise SourceError(path, f"hierarchy: bones {lost[:5]} do not hang from the root")
    return ordered
