"""C3D clips: whose markers they are, their unit, axes and rate, and from markers to 13 joints.

The container is read by ``c3d_file``, labels are understood by ``c3d_markers``, and joint centres
computed by ``c3d_joints``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.mocap.c3d_file import (
    PARAMETER_BYTES,
    C3DFile,
    Value,
    labels_of,
    number_of,
    parse_c3d,
    parse_c3d_parameters,
    texts_of,
)
from posebank.mocap.c3d_joints import MarkedBody, missing_text, roles_of
from posebank.mocap.c3d_markers import MarkedPerson, people_in
from posebank.mocap.clips import ReadClip, chosen_rate
from posebank.mocap.files import read_bytes
from posebank.mocap.joints import check_size
from posebank.mocap.limbs import leg_length
from posebank.mocap.options import UNITS, JointMap, ReadOptions, metres_per_unit
from posebank.mocap.rates import unusual_rate
from posebank.mocap.sizes import ADULT_LEG_M, unusual_sizes
from posebank.mocap.up_axis import shifted_to_y_up
from posebank.skeleton import JOINT_NAMES, J

NEEDED_MARKERS = tuple(
    side + name
    for side in "LR"
    for name in ("FWT", "BWT", "KNE", "ANK", "HEE", "TOE", "SHO", "ELB", "WRA", "WRB", "FHD", "BHD")
)
"""The markers of the 41-marker set of CMU and HDM05 from which the 13 joints are computed."""

_LEAST_SEEN = 0.5  # of the frames; a marker that may be absent is ignored where it is rarer
_NEAR_ORIGIN_M, _SHORT_PASSAGE = 0.05, 3
_UPRIGHT = 0.8
_FLOOR_M, _RISE_M, _SLIDE_M, _SAME_WAY = 0.1, 0.3, 0.4, 0.9
_SAMPLE = 1000  # frames from which unit, axes and rarely seen markers are told

Vectors = NDArray[np.float64]


@dataclass(frozen=True)
class MarkerMotion:
    """Markers of one person in a C3D file.

    Parameters
    ----------
    path : the file.
    subject : prefix of the labels.
    labels : without the prefix, in capitals.
    markers : (n_frames, n_markers, 3) metres, y up, NaN where a marker was not seen.
    fps : frames per second.
    first_frame : number of the first frame.
    unit : the file's unit of length, and where it is known from.
    up : the file's own upward axis, such as ``+Z``.
    lost : what was set aside while reading.
    notes : what was contradictory or guessed.
    """

    path: Path
    subject: str
    labels: tuple[str, ...]
    markers: Vectors
    fps: float
    first_frame: int
    unit: str
    up: str
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_c3d(path: Path, options: ReadOptions | None = None) -> MarkerMotion:
    """Read the markers of a C3D file. Parameters and errors as ``parse_markers``."""
    return parse_markers(read_bytes(path), path, options)


def parse_markers(
    data: bytes, path: Path, options: ReadOptions | None = None, prefix: str | None = None
) -> MarkerMotion:
    """Read all markers of one person from the bytes of a C3D file.

    Parameters
    ----------
    data : bytes
        The whole file.
    path : Path
        The file, for messages.
    options : ReadOptions or None
        What the user says about unit, axes and rate.
    prefix : str or None
        Prefix of the person's labels; by default of the person with most of the needed
        markers.

    Raises
    ------
    SourceError
        If the bytes are not a readable C3D file, or its rate, unit or vertical axis is neither
        stated nor can be told from the body.
    """
    options = options or ReadOptions()
    content = parse_c3d(data, path)
    people = _people(content.parameters, content.labels())
    person = _chosen(people, path, prefix, options.joints)
    try:
        used: _Marked | None = _marked(content, path, person, options)
    except SourceError:  # not a whole body: what the file states must do
        used = None
    columns = list(person.columns.values())
    metres, unit = _unit(content, path, options, used)
    up, up_notes = _up(content, path, options, None if used is None else used.joints(metres))
    markers = shifted_to_y_up(
        metres * np.moveaxis(content.points_of(columns)[0], 0, 1), up.lower().lstrip("+")
    )
    rate, _ = chosen_rate(path, options.fps, _stated_rate(content, path, options))
    return MarkerMotion(
        path=path,
        subject=person.prefix,
        labels=tuple(name.lstrip("*").upper() for name in person.columns),
        markers=markers,
        fps=rate,
        first_frame=content.first_frame,
        unit=unit,
        up=up,
        lost=_lost_frames(content),
        notes=(*_settled(content), *up_notes),
    )


def joint_centres(motion: MarkerMotion) -> Vectors:
    """Return the 13 joints (n_frames, 13, 3) in metres; NaN in frames where a marker was not seen.

    Raises
    ------
    SourceError
        If the file has not all the markers that a joint needs, naming those it lacks.
    """
    columns = {label: column for column, label in reversed(list(enumerate(motion.labels)))}
    person = MarkedPerson(motion.subject, columns)
    rules = _rules(motion.path, person, None, columns)
    return _joints({name: motion.markers[:, at] for name, at in columns.items()}, rules)


def c3d_people(path: Path, joints: JointMap | None = None) -> tuple[list[str], dict[str, str]]:
    """Find the people in a C3D file, from its labels alone.

    Parameters
    ----------
    path : Path
        The file.
    joints : JointMap or None
        Markers of the joints that the user names.

    Returns
    -------
    Prefixes of the labels of those with all the markers that the 13 joints need, and prefix ->
    what is missing of the others. A prefix with less than half of a body (a ball, a board) is
    nobody, unless it is the only one.

    Raises
    ------
    SourceError
        If it is not a C3D file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(PARAMETER_BYTES)
    except OSError as error:
        raise SourceError(path, f"expected a readable file, found {error.strerror}") from error
    parameters = parse_c3d_parameters(start, path)
    return _whole_and_partial(_people(parameters, labels_of(parameters)), path, joints)


def _whole_and_partial(
    people: Sequence[MarkedPerson], path: Path, joints: JointMap | None
) -> tuple[list[str], dict[str, str]]:
    """Those with all needed markers, and what the others lack; see ``c3d_people``."""
    whole: list[str] = []
    partial: dict[str, str] = {}
    for person in people:
        try:
            _rules(path, person, joints, person.columns)
            whole.append(person.prefix)
        except SourceError as error:
            if _body_share(person, joints) >= 0.5:
                partial[person.prefix] = error.reason
    return whole, partial


def read_c3d_clip(
    data: bytes, path: Path, options: ReadOptions | None = None, prefix: str | None = None
) -> ReadClip:
    """Read the 13 joints of one person from the bytes of a C3D file.

    Frames in which a needed marker is not seen are set aside. Parameters as ``parse_markers``.

    Raises
    ------
    SourceError
        As ``parse_markers``, or if a needed marker is absent or never seen, naming it.
    """
    options = options or ReadOptions()
    content = parse_c3d(data, path)
    people = _people(content.parameters, content.labels())
    person = _chosen(people, path, prefix, options.joints)
    used = _marked(content, path, person, options)
    rate, evidence = chosen_rate(path, options.fps, _stated_rate(content, path, options))
    metres, unit = _unit(content, path, options, used)
    joints = used.joints(metres)
    seen = np.abs(joints).max(axis=(1, 2)) < 1e3  # False for NaN
    if not seen.any():
        hidden = _never_seen(used, metres)
        raise SourceError(
            path,
            "expected a frame with all needed markers, found none"
            + (f"; never seen: {', '.join(hidden)}" if hidden else ""),
        )
    if not seen.all():
        joints = joints[seen]
    sample = joints[:: max(1, len(joints) // _SAMPLE)]
    check_size(sample, path, unit)
    up, up_notes = _up(content, path, options, sample)
    lost = list(_lost_frames(content))
    if not seen.all():
        lost.append(
            f"{int((~seen).sum())} of {len(seen)} frames set aside: a needed marker is not seen"
        )
    frames = content.first_frame + np.arange(len(seen), dtype=np.int64)
    facts = {
        "format": "C3D",
        "unit": unit,
        "metres_per_unit": metres,
        "rate_evidence": evidence,
        "axes": f"{up} up in the file, turned to y up",
        "markers": len(person.columns),
        "person": person.prefix or "labels without a prefix",
        "mapping": used.mapping(),
        "contradictions": list(content.notes),
        "frames_lost": int((~seen).sum()),
    }
    if others := _other_people(people, person, path, options.joints):
        facts["other_people"] = others
    return ReadClip(
        joints=shifted_to_y_up(joints, up.lower().lstrip("+")),
        frames=frames[seen],
        fps=rate,
        lost=tuple(lost),
        facts=facts,
        notes=(*_settled(content), *up_notes, *unusual_sizes(sample), *unusual_rate(rate)),
    )


def _other_people(
    people: Sequence[MarkedPerson], person: MarkedPerson, path: Path, joints: JointMap | None
) -> dict[str, str]:
    """The others in a file by prefix: those with a clip of their own, and what the rest lacks."""
    whole, partial = _whole_and_partial([p for p in people if p is not person], path, joints)
    return {other: "another clip" for other in whole} | partial


def _settled(content: C3DFile) -> tuple[str, ...]:
    return ("the file contradicts itself or is damaged, see posebank inspect",) * bool(
        content.notes
    )


def _lost_frames(content: C3DFile) -> tuple[str, ...]:
    held = len(content.quads)
    if held >= content.declared_frames:
        return ()
    return (f"the header declares {content.declared_frames} frames, found {held}",)


def _stated_rate(content: C3DFile, path: Path, options: ReadOptions) -> tuple[float, str] | None:
    """The first sound rate of those that the file states."""
    stated = {
        "POINT:RATE": number_of(content.parameters, "POINT:RATE"),
        "header": content.rate,
        "TRIAL:CAMERA_RATE": number_of(content.parameters, "TRIAL:CAMERA_RATE"),
    }
    for name, rate in stated.items():
        if 1.0 <= rate <= 10_000.0:
            return rate, name
    if options.fps is None:
        found = ", ".join(f"{rate:g}" for rate in stated.values())
        raise SourceError(
            path, f"POINT:RATE: expected frames per second, found {found}; give --fps"
        )
    return None


# --- whose markers they are, and which of them are used


@dataclass(frozen=True)
class _Rule:
    """How a joint is computed: role -> marker's name, or the markers whose mean it is."""

    joint: str
    roles: Mapping[str, str] | None
    mean_of: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        return self.mean_of if self.roles is None else tuple(self.roles.values())

    def position(self, markers: Mapping[str, Vectors], body: MarkedBody) -> Vectors:
        if self.roles is not None:
            return body.joint(self.joint)
        total: Vectors = sum((markers[name] for name in self.mean_of), np.zeros(3))
        return total / len(self.mean_of)

    def described(self) -> str:
        return ", ".join(dict.fromkeys(self.names())) + (" (mean)" if self.mean_of[1:] else "")


@dataclass(frozen=True)
class _Marked:
    """The markers that a person's joints need, in the file's axes and unit."""

    rules: Sequence[_Rule]
    points: Mapping[str, Vectors]
    at_origin: Mapping[str, NDArray[np.bool_]]

    def markers(self, metres: float) -> dict[str, Vectors]:
        """Marker's name -> positions (n_frames, 3) in metres, NaN where it was not seen."""
        markers = {}
        for name, points in self.points.items():
            position = metres * points
            zero = self.at_origin[name]
            if zero.any():
                position[_not_captured(position, zero)] = np.nan
            markers[name] = position
        return markers

    def joints(self, metres: float) -> Vectors:
        return _joints(self.markers(metres), self.rules)

    def mapping(self) -> dict[str, str]:
        return {rule.joint: rule.described() for rule in self.rules}

    def sampled(self) -> _Marked:
        """The same with fewer frames."""
        step = max(1, len(next(iter(self.points.values()))) // _SAMPLE)
        return replace(
            self,
            points={name: v[::step] for name, v in self.points.items()},
            at_origin={name: v[::step] for name, v in self.at_origin.items()},
        )


def _joints(markers: Mapping[str, Vectors], rules: Sequence[_Rule]) -> Vectors:
    names = {role: name for rule in rules for role, name in (rule.roles or {}).items()}
    body = MarkedBody({role: markers[name] for role, name in names.items()})
    joints = np.empty((len(next(iter(markers.values()))), len(rules), 3))
    with np.errstate(all="ignore"):  # of markers that are not seen, or not where people are
        for at, rule in enumerate(rules):
            joints[:, at] = rule.position(markers, body)
    return joints


def _not_captured(position: Vectors, zero: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Frames in which a marker at exactly (0, 0, 0) was not seen.

    Some programs write zeros for a marker that was not seen. A marker that really passes the
    origin is near it just before and after.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], zero, [False]]).astype(np.int8)))
    hidden = zero.copy()
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        around = [position[at] for at in (start - 1, end) if 0 <= at < len(position)]
        near = [bool(np.linalg.norm(place) < _NEAR_ORIGIN_M) for place in around]
        if end - start <= _SHORT_PASSAGE and near and all(near):
            hidden[start:end] = False
    return hidden


def _body_share(person: MarkedPerson, joints: JointMap | None) -> float:
    """Which part of the 13 joints a person's labels give."""
    roles = person.roles
    given = [j for j in JOINT_NAMES if joints and j in joints and _named(person, joints[j])]
    return len({*given, *(j for j in JOINT_NAMES if roles_of(j, roles)[0])}) / len(JOINT_NAMES)


def _named(person: MarkedPerson, names: Sequence[str]) -> tuple[str, ...]:
    """A person's own names of markers that the user names; empty if one is absent."""
    own = {column: name for name, column in person.columns.items()}
    found = [person.column(name) for name in names]
    return () if None in found else tuple(own[at] for at in found if at is not None)


def _chosen(
    people: Sequence[MarkedPerson], path: Path, prefix: str | None, joints: JointMap | None
) -> MarkedPerson:
    """The person of that prefix, or the one whose labels give most joints."""
    if prefix is not None:
        people = [person for person in people if person.prefix == prefix]
    if not people:
        expected = "labels of the points" if prefix is None else f"labels of {prefix!r}"
        raise SourceError(path, f"POINT:LABELS: expected {expected}, found none")
    if len(people) == 1:
        return people[0]
    return max(people, key=lambda person: _body_share(person, joints))


def _people(parameters: Mapping[str, Value], labels: Sequence[str]) -> list[MarkedPerson]:
    """The people whose labels are in a file."""
    return people_in(labels, texts_of(parameters, "SUBJECTS:LABEL_PREFIXES"))


def _rules(
    path: Path,
    person: MarkedPerson,
    joints: JointMap | None,
    usual: Collection[str],
) -> list[_Rule]:
    """How each joint is computed: from the markers the user names, else by the usual rules.

    Parameters
    ----------
    path : Path
        The file, for messages.
    person : MarkedPerson
        The person whose markers are used.
    joints : JointMap or None
        The user's markers of joints.
    usual : sequence of str
        Names of markers that are seen in many frames; the others only serve where none of
        these can.

    Raises
    ------
    SourceError
        Naming the markers that are absent.
    """
    every = person.roles
    roles = {role: name for role, name in every.items() if name in usual}
    rules: list[_Rule] = []
    missing: list[str] = []
    for joint in JOINT_NAMES:
        if joints and joint in joints:
            names = _named(person, joints[joint])
            if not names:
                absent = [name for name in joints[joint] if person.column(name) is None]
                raise SourceError(
                    path,
                    f"{joint}: expected the markers of the --joints file, found "
                    f"{len(person.columns)} markers without {', '.join(absent)}",
                )
            rules.append(_Rule(joint, None, names))
            continue
        found, lacking = roles_of(joint, roles)
        if not found:  # a marker that is never seen is told as such, not as absent
            found, lacking = roles_of(joint, every)
        missing += [role for role in lacking if role not in missing]
        rules.append(_Rule(joint, {role: every[role] for role in found}))
    if missing:
        of_person = f" of {person.prefix}" if person.prefix else ""
        raise SourceError(
            path,
            "expected the 41-marker set, or that of Plug-in Gait, Helen Hayes or Qualisys, found "
            f"{len(person.columns)} markers{of_person} without {missing_text(missing)}; "
            "--joints MAP.toml says which markers give a joint",
        )
    return rules


def _marked(content: C3DFile, path: Path, person: MarkedPerson, options: ReadOptions) -> _Marked:
    """The markers that the person's joints need. Errors as ``_rules``."""
    names = list(person.roles.values())
    step = max(1, len(content.quads) // _SAMPLE)
    points, zero = content.points_of([person.columns[name] for name in names], step)
    share = np.mean(np.isfinite(points[..., 0]) & ~zero, axis=1)
    usual = {name for name, part in zip(names, share, strict=True) if part >= _LEAST_SEEN}
    rules = _rules(path, person, options.joints, usual)
    used = list(dict.fromkeys(name for rule in rules for name in rule.names()))
    if step > 1 or not set(used) <= set(names):
        names = used
        points, zero = content.points_of([person.columns[name] for name in names])
    return _Marked(
        rules, dict(zip(names, points, strict=True)), dict(zip(names, zero, strict=True))
    )


def _never_seen(used: _Marked, metres: float) -> list[str]:
    markers = used.markers(metres)
    names = dict.fromkeys(name for rule in used.rules for name in rule.names())
    return [name for name in names if np.isnan(markers[name]).any(axis=1).all()]


# --- unit and axes


def _stated_unit(text: str) -> str:
    """Unit of length that a text such as ``mm``, ``METERS`` or ``mete`` names, or an empty one."""
    letters = re.sub(r"[^a-z]", "", text.lower())
    if letters == "m":
        return "m"
    for beginning, unit in (
        ("mm", "mm"),
        ("mil", "mm"),
        ("cm", "cm"),
        ("cent", "cm"),
        ("met", "m"),
        ("in", "in"),
    ):
        if letters.startswith(beginning):
            return unit
    return ""


def _unit(
    content: C3DFile, path: Path, options: ReadOptions, used: _Marked | None
) -> tuple[float, str]:
    """Metres per unit of the file, and the unit in words."""
    if options.unit is not None:
        return metres_per_unit(options.unit), f"{options.unit} (given by the user)"
    text = next(iter(texts_of(content.parameters, "POINT:UNITS")), "")
    if unit := _stated_unit(text):
        return UNITS[unit], unit
    if text or used is None:
        raise SourceError(
            path, f"POINT:UNITS: expected mm, cm, m or in, found {text!r}; give --unit"
        )
    sample = used.sampled()
    fits = [u for u in UNITS if ADULT_LEG_M[0] <= _leg(sample, UNITS[u]) <= ADULT_LEG_M[1]]
    if len(fits) != 1:
        raise SourceError(
            path,
            "POINT:UNITS: expected a unit, found none, and no unit makes an adult's legs of the "
            "markers; give --unit",
        )
    return UNITS[fits[0]], f"{fits[0]} (from the length of the legs)"


def _leg(used: _Marked, metres: float) -> float:
    joints = used.joints(metres)
    seen = np.isfinite(joints).all(axis=(1, 2))
    return leg_length(joints[seen]) if seen.any() else math.nan


def _up(
    content: C3DFile, path: Path, options: ReadOptions, joints: Vectors | None
) -> tuple[str, tuple[str, ...]]:
    """The file's upward axis, such as ``+Z``, and what was decided against the file.

    Parameters
    ----------
    content : C3DFile
        The file.
    path : Path
        The file, for messages.
    options : ReadOptions
        What the user says about the file.
    joints : array (n_frames, 13, 3), metres, or None
        Joints in the file's axes; None where it holds no whole body.
    """
    if options.up != "auto":
        up = options.up.upper()
        return (up if up.startswith("-") else f"+{up}"), ()
    text = next(iter(texts_of(content.parameters, "POINT:Y_SCREEN")), "").upper()
    across = next(iter(texts_of(content.parameters, "POINT:X_SCREEN")), "").upper()
    stated = text if re.fullmatch(r"[+-][XYZ]", text) and text[1:] != across[-1:] else ""
    if joints is None:
        if not stated:
            raise SourceError(
                path,
                f"POINT:Y_SCREEN: expected the vertical axis (+X, +Y or +Z), found {text!r}; "
                "give --up",
            )
        return stated, ()
    sample = joints[:: max(1, len(joints) // _SAMPLE)]
    return _decided_up(path, text, stated, sample[np.isfinite(sample).all(axis=(1, 2))])


def _decided_up(path: Path, text: str, stated: str, joints: Vectors) -> tuple[str, tuple[str, ...]]:
    """The upward axis by what the file states and by the body.

    Parameters
    ----------
    path : Path
        The file, for messages.
    text : str
        Value of POINT:Y_SCREEN.
    stated : str
        The same if it is an axis, else empty.
    joints : array (n_frames, 13, 3), metres
        Joints in the file's axes.
    """
    if not len(joints):
        return stated or "+Z", ()
    ankles = joints[:, [J["r_ankle"], J["l_ankle"]]].mean(axis=1)
    along = joints[:, J["head"]] - ankles
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    mean = along.mean(axis=0)
    axis = int(np.abs(mean).argmax())
    body = "+-"[int(mean[axis] < 0)] + "XYZ"[axis]
    clear = abs(mean[axis]) >= _UPRIGHT
    if not stated:
        others = np.sort(np.abs(mean))[-2]
        if abs(mean[axis]) < 0.5 or abs(mean[axis]) < 1.5 * others:
            raise SourceError(
                path,
                f"POINT:Y_SCREEN: expected the vertical axis (+X, +Y or +Z), found {text!r}, and "
                "the body keeps upright along none; give --up",
            )
        found = f"POINT:Y_SCREEN is {text!r}" if text else "POINT:Y_SCREEN is absent"
        return body, (f"{found}; heads are above heels along {body}, which is taken as up",)
    if body[1] == stated[1]:
        if clear and body != stated and stated.startswith("-"):  # nothing says that up is down
            return body, (f"POINT:Y_SCREEN says {stated}, heads are above heels along {body}",)
        return stated, ()
    if clear and _stands(joints, axis, "XYZ".index(stated[1])):
        return body, (
            f"POINT:Y_SCREEN says {stated}, but the person stands along {body} and moves over a "
            "floor at a right angle to it",
        )
    return stated, ()


def _stands(joints: Vectors, body: int, stated: int) -> bool:
    """Whether a person upright along the axis ``body`` stands, and does not lie.

    The lower foot of one who stands keeps its height along ``body``. Besides, the hips travel along
    the stated vertical, further than those of one who lies can rise; or the feet reach to both
    sides of the hips along it, which the floor does not let those of one who lies; or the hips
    travel across the body without its turning, and nobody lying slides like that.
    """
    feet = joints[:, [J["r_ankle"], J["l_ankle"]]]
    hips = joints[:, [J["r_hip"], J["l_hip"]]].mean(axis=1)
    lower = np.percentile(feet[..., body].min(axis=1), [10, 90])
    if lower[1] - lower[0] >= _FLOOR_M:
        return False
    travel = np.ptp(hips, axis=0)
    beside = feet[..., stated] - hips[:, None, stated]
    right = joints[:, J["r_hip"]] - joints[:, J["l_hip"]]
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)
    across = max(travel[axis] for axis in range(3) if axis != body)
    return bool(
        travel[stated] > _RISE_M
        or (beside.min() < -_FLOOR_M and beside.max() > _FLOOR_M)
        or (across > _SLIDE_M and np.linalg.norm(right.mean(axis=0)) > _SAME_WAY)
    )
