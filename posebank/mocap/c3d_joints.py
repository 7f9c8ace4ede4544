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

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from posebank.mocap.c3d_markers import usual_name

_HALF_KNEE, _HALF_ANKLE, _HALF_ELBOW, _MARKER_RADIUS = 0.052, 0.036, 0.040, 0.007
_HEAD_TOP_ABOVE_BAND = 0.100

Vectors = NDArray[np.float64]

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
    """Return the roles among those at hand that a joint is computed from, and those it lacks.

    Parameters
    ----------
    joint : str
        An ``lcrnet13`` name.
    roles : collection of str
        Roles that the file has markers for.
    """
    alternatives, extra = _wanted(joint)
    found = next((one for one in alternatives if all(role in roles for role in one)), None)
    if found is None:
        lacking = [[role for role in one if role not in roles] for one in alternatives]
        return [], min(zip(lacking, alternatives, strict=True), key=_share)[0]
    return [*found, *(role for role in extra if role in roles)], []


def _share(part_and_whole: tuple[Sequence[str], Sequence[str]]) -> float:
    part, whole = part_and_whole
    return len(part) / len(whole)


@cache
def _wanted(joint: str) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """The alternatives of a joint, and the roles that improve it, all with their side."""
    side, _, name = joint.rpartition("_")
    alternatives = [tuple(_sided(role, side) for role in one) for one in _alternatives(name)]
    return alternatives, tuple(_sided(role, side) for role in _OPTIONAL.get(name, ()))


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
    """Return the roles by their usual names, such as ``LKNE (L knee)``."""
    return ", ".join(f"{usual_name(role)} ({role})" for role in roles)


class MarkedBody:
    """Joint centres of one person.

    Parameters
    ----------
    markers : role such as ``L knee`` -> positions (n_frames, 3) in metres, NaN where it was not
        seen; those that ``roles_of`` names for the joints that are asked for.
    """

    def __init__(self, markers: Mapping[str, Vectors]) -> None:
        self._m = markers

    def joint(self, name: str) -> Vectors:
        """One ``lcrnet13`` joint's centre (n_frames, 3), NaN where a marker was not seen."""
        if name == "head":
            return self._head()
        side, _, kind = name.partition("_")
        rules: Mapping[str, Callable[[str, float], Vectors]] = {
            "hip": self._hip,
            "knee": self._knee,
            "ankle": self._ankle,
            "shoulder": self._shoulder,
            "elbow": self._elbow,
            "wrist": self._wrist,
        }
        return rules[kind](side.upper(), 1.0 if side == "r" else -1.0)

    @cached_property
    def _pelvis(self) -> tuple[Vectors, Vectors, Vectors, Vectors]:
        """Middle of the front waist markers and of the back ones, axis to the right, width."""
        m = self._m
        front = (m["L waist front"] + m["R waist front"]) / 2
        if "L waist back" in m and "R waist back" in m:
            back = (m["L waist back"] + m["R waist back"]) / 2
        else:
            back = m["sacrum"]
        across = m["R waist front"] - m["L waist front"]
        return front, back, _unit(across), _length(across)

    @cached_property
    def _pelvis_axes(self) -> tuple[Vectors, Vectors]:
        """Axes ahead and up of the pelvis."""
        front, back, right, _ = self._pelvis
        ahead = front - back
        ahead = _unit(ahead - _dot(ahead, right) * right)
        return ahead, _cross(right, ahead)

    def _hip(self, _side: str, sign: float) -> Vectors:
        front, _, right, width = self._pelvis
        ahead, up = self._pelvis_axes
        hip: Vectors = front + width * (sign * 0.36 * right - 0.19 * ahead - 0.30 * up)
        return hip

    def _knee(self, side: str, sign: float) -> Vectors:
        return self._between(side, sign, "knee", _HALF_KNEE)

    def _ankle(self, side: str, sign: float) -> Vectors:
        return self._between(side, sign, "ankle", _HALF_ANKLE)

    def _between(self, side: str, sign: float, joint: str, half_width: float) -> Vectors:
        outer, inner = self._m[f"{side} {joint}"], self._m.get(f"{side} {joint} inside")
        if inner is not None:
            return (outer + inner) / 2
        return outer - (half_width + _MARKER_RADIUS) * sign * self._knee_axes[side]

    @cached_property
    def _knee_axes(self) -> dict[str, Vectors]:
        """The knees' axes towards the person's right, by side."""
        m, axes = self._m, {}
        for side in "LR":
            if f"{side} knee" not in m or f"{side} ankle" not in m:
                continue
            shank = m[f"{side} knee"] - m[f"{side} ankle"]
            toe = m.get(f"{side} toe")
            if toe is not None:
                foot = toe - m.get(f"{side} heel", m[f"{side} ankle"])
                axes[side] = _unit(_cross(foot, shank))
            else:
                right, along = self._pelvis[2], _unit(shank)
                axes[side] = _unit(right - _dot(right, along) * along)
        return axes

    @cached_property
    def _below_acromia(self) -> Vectors:
        """From an acromion marker to the shoulder."""
        front, back, _, _ = self._pelvis
        right, left = self._m["R shoulder"], self._m["L shoulder"]
        down = _unit((front + back) / 2 - (right + left) / 2)
        below: Vectors = 0.17 * _length(right - left) * down
        return below

    def _shoulder(self, side: str, _sign: float) -> Vectors:
        return self._m[f"{side} shoulder"] + self._below_acromia

    def _wrist(self, side: str, _sign: float) -> Vectors:
        m = self._m
        if f"{side} wrist, thumb side" in m and f"{side} wrist, other side" in m:
            return (m[f"{side} wrist, thumb side"] + m[f"{side} wrist, other side"]) / 2
        return m[f"{side} wrist"]

    def _elbow(self, side: str, sign: float) -> Vectors:
        outer, inner = self._m[f"{side} elbow"], self._m.get(f"{side} elbow inside")
        if inner is not None:
            return (outer + inner) / 2
        upper = _unit(self._shoulder(side, sign) - outer)
        lower = _unit(self._wrist(side, sign) - outer)
        axis = _cross(upper, lower)  # to the left when the forearm is bent forwards
        bend = _length(axis)
        inwards = sign * axis / np.maximum(bend, 1e-9) * np.minimum(1.0, bend / 0.3)
        elbow: Vectors = outer + (_HALF_ELBOW + _MARKER_RADIUS) * inwards
        return elbow

    def _head(self) -> Vectors:
        m = self._m
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
        return middle + _HEAD_TOP_ABOVE_BAND * _unit(_cross(across, ahead))


def _unit(v: Vectors) -> Vectors:
    unit: Vectors = v / np.maximum(_length(v), 1e-9)
    return unit


def _length(v: Vectors) -> Vectors:
    """Lengths (n_frames, 1) of vectors (n_frames, 3)."""
    return np.asarray(np.sqrt(_dot(v, v)))


def _dot(a: Vectors, b: Vectors) -> Vectors:
    """Products (n_frames, 1) of vectors (n_frames, 3)."""
    return np.asarray(np.einsum("ij,ij->i", a, b)[:, None])


def _cross(a: Vectors, b: Vectors) -> Vectors:
    """Cross products of vectors (n_frames, 3); ``numpy.cross`` takes longer to begin."""
    product = np.empty_like(a)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        product[:, i] = a[:, j] * b[:, k] - a[:, k] * b[:, j]
    return product
