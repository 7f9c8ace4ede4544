"""From a BVH file to 13 joints in metres, y up.

A BVH names its joints as it likes and states neither its unit nor its upward axis. Each of these is
given by the user or found here, and what was found is in the facts of the clip:

- the joints by their names (``naming``);
- the head top from the end of the head, or from the body's proportions (``head_top``);
- the unit from the naming scheme (``cgspeed``) or the length of the legs;
- the upward axis from the rest pose and the motion (``up_axis``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.geometry.kinematics import Point
from posebank.mocap import cgspeed
from posebank.mocap.bvh import BvhMotion, parse_bvh
from posebank.mocap.clips import ReadClip, chosen_rate
from posebank.mocap.head_top import COMPLETED, completed_end, is_head_end
from posebank.mocap.joints import check_size
from posebank.mocap.limbs import leg_length
from posebank.mocap.naming import (
    AT_THE_TOP,
    JointMatch,
    best_guess,
    is_end_site,
    match_joints,
    plain_name,
)
from posebank.mocap.options import UNITS, JointMap, ReadOptions, metres_per_unit
from posebank.mocap.rates import rate_of_frame_time, unusual_rate
from posebank.mocap.sizes import ADULT_LEG_M, unusual_sizes
from posebank.mocap.suggestion import not_found
from posebank.mocap.up_axis import decide_up, rest_up, turned_to_y_up
from posebank.skeleton import JOINT_NAMES, J

_KNOWN_UNITS = {**UNITS, "1/0.45 inch": cgspeed.METRES_PER_UNIT}
_ORIGIN = np.zeros(3)
_SAMPLE = 300


def read_bvh_clip(data: bytes, path: Path, dataset: str, options: ReadOptions) -> ReadClip:
    """Read a BVH clip.

    Parameters
    ----------
    data : bytes
        The whole file.
    path : Path
        The file, for messages.
    dataset : str
        ``poseprior``, whose unit and upward axis are known, or any other.
    options : ReadOptions
        What the user says about the file.

    Raises
    ------
    SourceError
        If the file is damaged, its joints have unknown names, or its rate or unit is not known.
    """
    motion = parse_bvh(data, path)
    rate, evidence = _rate(motion, options.fps)
    convention = None if dataset == "poseprior" or options.joints else cgspeed.convention(motion)
    if convention is not None:
        motion = cgspeed.restored(motion, convention)
    match = _match(motion, options.joints)
    body = _body(motion, match)
    joints = body.positions(motion)
    metres, unit = _unit(motion.path, joints, dataset, convention, options.unit)
    joints *= metres
    check_size(joints, path, unit)
    notes = list(body.notes)
    if options.up != "auto" or dataset == "poseprior":
        axis = "y" if options.up == "auto" else options.up
        axes = f"{axis} up ({'Pose Prior' if options.up == 'auto' else 'given by the user'})"
    else:
        decision = decide_up(body.rest, _sample(joints))
        axis, axes = decision.axis, f"{decision.axis} up ({decision.reason})"
        notes += [decision.doubt] if decision.doubt else []
    joints = turned_to_y_up(joints, axis)
    notes += [*unusual_sizes(_sample(joints)), *unusual_rate(rate)]
    facts: dict[str, Any] = {
        "format": "BVH",
        "naming": match.scheme if convention is None else f"cgspeed, {match.scheme}",
        "unit": unit,
        "metres_per_unit": metres,
        "angles": "degrees",
        "rate_evidence": evidence,
        "axes": axes,
        "mapping": {j: " + ".join(motion.names[n] for n in match.nodes[j]) for j in JOINT_NAMES}
        | {"head": body.head},
        "frames_declared": motion.declared_frames,
        "frames_lost": motion.n_lost,
        "lengths_put_back": "thorax, wrist" if convention == "motionbuilder" else "none",
    }
    return ReadClip(joints, motion.frames, rate, motion.lost, facts, notes=tuple(notes))


def _sample(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return about ``_SAMPLE`` frames evenly over the clip: enough for shares and medians."""
    return joints[:: max(1, len(joints) // _SAMPLE)]


def _rate(motion: BvhMotion, chosen: float | None) -> tuple[float, str]:
    if chosen is not None:
        return chosen_rate(motion.path, chosen, None)
    seconds = motion.seconds_per_frame()
    return rate_of_frame_time(seconds), f"Frame Time: {seconds:g}"


def _match(motion: BvhMotion, chosen: JointMap | None) -> JointMatch:
    skeleton = motion.skeleton
    try:
        match = match_joints(skeleton, chosen)
    except KeyError as error:
        raise SourceError(
            motion.path,
            f"--joints: expected names of joints in the file, found {error.args[0]!r}; "
            f"the file's joints are {', '.join(skeleton.joints()[:80])[:2000]}",
        ) from error
    if match is None:
        raise SourceError(
            motion.path, not_found("joint", skeleton.joints(), best_guess(skeleton, chosen))
        )
    return match


@dataclass(frozen=True)
class _Body:
    """The points that the 13 joints are means of, and the 13 joints at rest, in the file's unit."""

    points: Mapping[str, tuple[Point, ...]]
    rest: NDArray[np.float64]
    head: str
    notes: tuple[str, ...]

    def positions(self, motion: BvhMotion) -> NDArray[np.float64]:
        """Return the joints (n_frames, 13, 3) in the file's unit and axes."""
        each = [self.points[name] for name in JOINT_NAMES]
        places = motion.positions([point for points in each for point in points])
        if all(len(points) == 1 for points in each):
            return places
        ends = np.cumsum([len(points) for points in each])[:-1]
        return np.stack([p.mean(axis=1) for p in np.split(places, ends, axis=1)], axis=1)


def _body(motion: BvhMotion, match: JointMatch) -> _Body:
    at_rest = motion.rest()
    points = {j: tuple(Point(n, _ORIGIN) for n in nodes) for j, nodes in match.nodes.items()}
    rest = np.stack([at_rest[list(match.nodes[j])].mean(axis=0) for j in JOINT_NAMES])
    if match.head_is_top:
        head = " + ".join(motion.names[n] for n in match.nodes["head"])
        return _Body(points, rest, head, ())
    (node,) = match.nodes["head"]
    up, legs = rest_up(rest), leg_length(rest[None])
    for end in _head_ends(motion, node):
        if is_head_end(at_rest[end] - at_rest[node], legs, up):
            points["head"] = (Point(end, _ORIGIN),)
            rest[J["head"]] = at_rest[end]
            return _Body(points, rest, motion.names[end], ())
    below = []
    above = motion.nodes[node].parent
    while above >= 0:
        below.append(at_rest[node] - at_rest[above])
        above = motion.nodes[above].parent
    reach = completed_end(below, legs, up)
    points["head"] = (Point(node, reach),)
    rest[J["head"]] = at_rest[node] + reach
    return _Body(points, rest, f"{motion.names[node]}, extended to the head top", (COMPLETED,))


def _head_ends(motion: BvhMotion, head: int) -> list[int]:
    """Return the nodes that may be the head top: the head's End Sites, then ends named after it.

    Eyes, jaw, hair and whatever else hangs from a head are not among them.
    """
    ends, below = [], {head}
    for index, (name, node) in enumerate(zip(motion.names, motion.nodes, strict=True)):
        if node.parent in below:  # parents come first
            plain = plain_name(name)
            if is_end_site(name) or "head" in plain or plain in AT_THE_TOP:
                ends.append(index)
                below.add(index)
    return sorted(ends, key=lambda i: (motion.nodes[i].parent != head, i))


def _unit(
    path: Path,
    joints: NDArray[np.float64],
    dataset: str,
    convention: str | None,
    chosen: str | None,
) -> tuple[float, str]:
    """Return the metres in a unit of the file and what it is known from."""
    if chosen is not None:
        return metres_per_unit(chosen), f"{chosen} (given by the user)"
    if dataset == "poseprior":
        return UNITS["in"], "in (Pose Prior)"
    leg = leg_length(joints)
    fits = [u for u, m in _KNOWN_UNITS.items() if ADULT_LEG_M[0] <= leg * m <= ADULT_LEG_M[1]]
    if len(fits) != 1:
        raise SourceError(
            path,
            f"expected a length unit that makes an adult's legs, found legs of {leg:.4g} units; "
            "say the unit (--unit)",
        )
    (unit,) = fits
    known = (
        "cgspeed conversion of CMU"
        if convention and unit == "1/0.45 inch"
        else ("from the length of the legs")
    )
    return _KNOWN_UNITS[unit], f"{unit} ({known})"
