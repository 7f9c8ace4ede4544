"""Joint centres from the markers on a person's skin.

Every rule is anatomical and taken from the literature or from adult anthropometry; none is fitted
to a clip:

==========  =====================================================================================
joint       rule
==========  =====================================================================================
hip         Bell, Pedersen & Brand (1990): from the middle of the front waist markers, 36% of their
            distance to the side, 19% backwards, 30% down, in pelvic axes; the back of the pelvis
            is the middle of the back waist markers, or the sacrum marker
knee        middle of the outer and the inner marker; without an inner one, the outer marker moved
            inwards along the knee axis by half a knee (52 mm) + marker radius
ankle       as the knee, by half an ankle (36 mm) + radius
shoulder    Rab et al. (2002): from the acromion marker, 17% of the shoulder width down the trunk
elbow       middle of the outer and the inner marker; without an inner one, the outer marker moved
            inwards along the elbow's axis by half an elbow (40 mm) + radius
wrist       middle of the two wrist markers; with one marker, that marker
head (top)  middle of the four head-band markers, 100 mm up, at a right angle to the band; or the
            same from markers at both sides and the forehead; or the marker on the top of the head
==========  =====================================================================================

The knee axis is at a right angle to the shank and to the foot (heel or ankle to toe); without a
toe marker, it is the pelvis's axis to the right, turned to a right angle to the shank. The elbow
axis is at a right angle to the upper arm and the forearm, and where the arm is nearly straight the
elbow's shift fades out.

The rules hold in any right-handed axes: nothing here knows which way is up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from posebank.mocap.c3d_markers import usual_name

_HALF_KNEE, _HALF_ANKLE, _HALF_ELBOW, _MARKER_RADIUS = 0.052, 0.036, 0.040, 0.007
_HEAD_TOP_ABOVE_BAND = 0.100

Vectors = NDArray[np.float64]
Markers = Mapping[str, Vectors]
"""Role such as ``L knee`` -> positions (n_frames, 3) in metres."""

_NEEDED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "hip": (
        ("L waist front", "R waist front", "L waist back", "R waist back"),
        ("L waist front", "R waist front", "sacrum"),
    ),
    "knee": (("S knee", "S ankle", "S toe"), ("S knee", "S ankle", "pelvis")),
    "ankle": (("S knee", "S ankle", "S toe"), ("S knee", "S ankle", "pelvis")),
    "shoulder": (("L shoulder", "R shoulder", "pelvis"),),
    "elbow": (("S elbow", "shoulder", "wrist"),),
    "wrist": (("S wrist, thumb side", "S wrist, other side"), ("S wrist",)),
    "head": (
        ("L head front", "R head front", "L head back", "R head back"),
        ("head top",),
        ("L head side", "R head side", "forehead"),
    ),
}
"""Joint -> alternatives of what it needs, best first: roles (``S`` is the joint's own side) and
other joints; ``pelvis`` are the markers of the hip."""

_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "knee": ("S knee inside", "S heel"),
    "ankle": ("S ankle inside", "S heel"),
    "elbow": ("S elbow inside",),
}


def roles_of(joint: str, roles: Collection[str]) -> tuple[list[str], list[str]]:
    """The roles among those at hand that a joint is computed from, and those it lacks.

    Parameters
    ----------
    joint : an ``lcrnet13`` name.
    roles : at hand.
    """
    side, _, name = joint.rpartition("_")
    alternatives = [[_sided(role, side) for role in one] for one in _alternatives(name)]
    found = next((one for one in alternatives if set(one) <= set(roles)), None)
    if found is None:
        closest = min(alternatives, key=lambda one: len(set(one) - set(roles)) / len(one))
        return [], [role for role in closest if role not in roles]
    extra = [_sided(role, side) for role in _OPTIONAL.get(name, ())]
    return found + [role for role in extra if role in roles], []


@cache
def _alternatives(name: str) -> list[tuple[str, ...]]:
    """The alternatives of a joint in roles alone."""
    whole: list[tuple[str, ...]] = []
    for needs in _NEEDED["hip" if name == "pelvis" else name]:
        choices = [
            _alternatives(need) if need in _NEEDED or need == "pelvis" else [(need,)]
            for need in needs
        ]
        whole += [tuple(role for part in chosen for role in part) for chosen in product(*choices)]
    return whole


def _sided(role: str, side: str) -> str:
    return side.upper() + role[1:] if role.startswith("S ") else role


def missing_text(roles: Collection[str]) -> str:
    """The roles by their usual names, such as ``LKNE (L knee)``."""
    return ", ".join(f"{usual_name(role)} ({role})" for role in roles)


def joint_from_markers(joint: str, m: Markers) -> Vectors:
    """One joint's centre (n_frames, 3), NaN where a marker that it needs was not seen.

    Parameters
    ----------
    joint : an ``lcrnet13`` name.
    m : the roles that ``roles_of`` names for it.
    """
    if joint == "head":
        return _head(m)
    side, _, name = joint.partition("_")
    return _RULES[name](m, side.upper(), 1.0 if side == "r" else -1.0)


def _unit(v: Vectors) -> Vectors:
    unit: Vectors = v / np.maximum(_length(v), 1e-9)
    return unit


def _length(v: Vectors) -> Vectors:
    """Lengths (n_frames, 1) of vectors (n_frames, 3)."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", v, v))[:, None])


def _pelvis(m: Markers) -> tuple[Vectors, Vectors, Vectors, Vectors]:
    """Middle of the front waist markers and of the back ones, axis to the right, width (n, 1)."""
    front = (m["L waist front"] + m["R waist front"]) / 2
    if "L waist back" in m and "R waist back" in m:
        back = (m["L waist back"] + m["R waist back"]) / 2
    else:
        back = m["sacrum"]
    across = m["R waist front"] - m["L waist front"]
    return front, back, _unit(across), _length(across)


def _hip(m: Markers, side: str, sign: float) -> Vectors:
    front, back, right, width = _pelvis(m)
    ahead = front - back
    ahead = _unit(ahead - (ahead * right).sum(-1, keepdims=True) * right)
    up = np.cross(right, ahead)
    hip: Vectors = front + width * (sign * 0.36 * right - 0.19 * ahead - 0.30 * up)
    return hip


def _knee(m: Markers, side: str, sign: float) -> Vectors:
    return _across(m, side, sign, "knee", _HALF_KNEE)


def _ankle(m: Markers, side: str, sign: float) -> Vectors:
    return _across(m, side, sign, "ankle", _HALF_ANKLE)


def _across(m: Markers, side: str, sign: float, joint: str, half_width: float) -> Vectors:
    outer, inner = m[f"{side} {joint}"], m.get(f"{side} {joint} inside")
    if inner is not None:
        return (outer + inner) / 2
    return outer + (half_width + _MARKER_RADIUS) * -sign * _knee_axis(m, side)


def _knee_axis(m: Markers, side: str) -> Vectors:
    """The knee's axis towards the person's right."""
    shank = m[f"{side} knee"] - m[f"{side} ankle"]
    toe = m.get(f"{side} toe")
    if toe is not None:
        return _unit(np.cross(toe - m.get(f"{side} heel", m[f"{side} ankle"]), shank))
    right, along = _pelvis(m)[2], _unit(shank)
    return _unit(right - (right * along).sum(-1, keepdims=True) * along)


def _shoulder(m: Markers, side: str, sign: float) -> Vectors:
    front, back, _, _ = _pelvis(m)
    right, left = m["R shoulder"], m["L shoulder"]
    down = _unit((front + back) / 2 - (right + left) / 2)
    return m[f"{side} shoulder"] + 0.17 * _length(right - left) * down


def _wrist(m: Markers, side: str, sign: float) -> Vectors:
    if f"{side} wrist, thumb side" in m and f"{side} wrist, other side" in m:
        return (m[f"{side} wrist, thumb side"] + m[f"{side} wrist, other side"]) / 2
    return m[f"{side} wrist"]


def _elbow(m: Markers, side: str, sign: float) -> Vectors:
    outer, inner = m[f"{side} elbow"], m.get(f"{side} elbow inside")
    if inner is not None:
        return (outer + inner) / 2
    upper = _unit(_shoulder(m, side, sign) - outer)
    lower = _unit(_wrist(m, side, sign) - outer)
    axis = np.cross(upper, lower)  # to the left when the forearm is bent forwards
    inwards = sign * _unit(axis) * np.minimum(1.0, _length(axis) / 0.3)
    elbow: Vectors = outer + (_HALF_ELBOW + _MARKER_RADIUS) * inwards
    return elbow


def _head(m: Markers) -> Vectors:
    if "L head front" in m and "L head back" in m:
        band = [m[f"{side} head {end}"] for end in ("front", "back") for side in "LR"]
        across = (band[1] + band[3]) - (band[0] + band[2])
        ahead = (band[0] + band[1]) - (band[2] + band[3])
        middle: Vectors = (band[0] + band[1] + band[2] + band[3]) / 4
    elif "head top" in m:
        return m["head top"]
    else:
        left, right = m["L head side"], m["R head side"]
        middle, across = (left + right) / 2, right - left
        ahead = m["forehead"] - middle
    return middle + _HEAD_TOP_ABOVE_BAND * _unit(np.cross(across, ahead))


_RULES: Mapping[str, Callable[[Markers, str, float], Vectors]] = {
    "hip": _hip, "knee": _knee, "ankle": _ankle,
    "shoulder": _shoulder, "elbow": _elbow, "wrist": _wrist,
}  # fmt: skip
