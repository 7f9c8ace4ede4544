"""Where each data set puts its hips, against MoCap's hip joint centres.

Annotators click the hip where they see the thigh begin; MoCap has the centre of the joint. The
difference is systematic, so it can be measured and taken out. It cannot be read off the hips alone,
which differ with every pose; what can be compared are lengths along the body that projection
shrinks alike. For people seen upright, from the front or the back:

- ``width``: hip distance / shoulder distance;
- ``height``: hip centre's place on the way from shoulder centre to knee centre (0 shoulders,
  1 knees), along the torso.

MoCap poses projected by random cameras and chosen by the same rule are the reference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SettingsError
from posebank.geometry.cameras import CameraLimits, project, sample_rotations
from posebank.skeleton import J, indices, is_annotated
from posebank.types import People, PoseBank

_NEEDED = ("r_hip", "l_hip", "r_shoulder", "l_shoulder", "r_knee", "l_knee")
_MIN_PEOPLE = 20
_MIN_SHOULDERS = 0.5  # shoulder distance / torso length: seen from the front or the back
_STRAIGHT = np.cos(np.radians(25))  # thighs go on in the direction of the torso


@dataclass(frozen=True)
class HipOffset:
    """Measured hips: medians and their spread (half the distance of the quartiles).

    width : hip distance / shoulder distance.
    height : place of the hip centre between shoulder centre (0) and knee centre (1).
    n : people (or projected poses) it was measured on.
    """

    width: float
    height: float
    width_spread: float
    height_spread: float
    n: int


@dataclass(frozen=True)
class HipCorrection:
    """What brings a data set's hips to MoCap's; ``HipCorrection()`` changes nothing.

    width : factor on the hips' distance from their centre.
    down : shift of both hips from the shoulder centre towards the knees, as a fraction of the
        distance from shoulder centre to hip centre.
    """

    width: float = 1.0
    down: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.width < 10 and abs(self.down) < 1):
            raise SettingsError(
                "hip correction: expected width in (0, 10) and down in (-1, 1), "
                f"got {self.width} and {self.down}"
            )


def _measure(joints: NDArray[np.float64]) -> HipOffset:
    """Of joints (n, 13, 2), all of the needed ones known."""

    def centre(part: str) -> NDArray[np.float64]:
        result: NDArray[np.float64] = joints[:, indices([f"r_{part}", f"l_{part}"])].mean(axis=1)
        return result

    def apart(part: str) -> NDArray[np.float64]:
        result: NDArray[np.float64] = np.linalg.norm(
            joints[:, J[f"r_{part}"]] - joints[:, J[f"l_{part}"]], axis=-1
        )
        return result

    torso, thigh = centre("hip") - centre("shoulder"), centre("knee") - centre("hip")
    length, thigh_length = np.linalg.norm(torso, axis=-1), np.linalg.norm(thigh, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        straight = (torso * thigh).sum(-1) / (length * thigh_length)
        front = apart("shoulder") / length
    chosen = (straight > _STRAIGHT) & (front > _MIN_SHOULDERS) & (thigh_length > 0.5 * length)
    n = int(chosen.sum())
    if n < _MIN_PEOPLE:
        raise SettingsError(
            f"hip offset: expected at least {_MIN_PEOPLE} upright people seen from the front or "
            f"back, found {n}"
        )
    width = apart("hip")[chosen] / apart("shoulder")[chosen]
    whole = centre("knee") - centre("shoulder")
    height = ((torso * whole).sum(-1) / (whole**2).sum(-1))[chosen]
    low_w, mid_w, high_w = np.percentile(width, [25, 50, 75])
    low_h, mid_h, high_h = np.percentile(height, [25, 50, 75])
    return HipOffset(
        float(mid_w), float(mid_h), float(high_w - low_w) / 2, float(high_h - low_h) / 2, n
    )


def measure_people(people: People) -> HipOffset:
    """Measure the hips of annotated people who have hips, shoulders and knees.

    Raises
    ------
    SettingsError
        If fewer than 20 of them stand upright, seen from the front or the back.
    """
    complete = is_annotated(people.state)[:, indices(_NEEDED)].all(axis=1)
    return _measure(people.joints_2d[complete].astype(np.float64))


def measure_bank(bank: PoseBank, limits: CameraLimits, rng: np.random.Generator) -> HipOffset:
    """Measure the hips of MoCap poses, each projected by one random camera.

    Raises
    ------
    SettingsError
        If fewer than 20 of them stand upright, seen from the front or the back.
    """
    n = len(bank)
    cameras = sample_rotations(n, limits, rng)
    return _measure(project(bank.joints_3d.astype(np.float64), cameras, np.ones(n), np.zeros(2)))


def correction(annotated: HipOffset, mocap: HipOffset) -> HipCorrection:
    """Return the correction that brings annotated hips to where MoCap has them, on average.

    The place ``h`` of the hips between shoulders and knees becomes MoCap's if the hip centre moves
    by ``h_mocap / h - 1`` of its distance from the shoulders.
    """
    return HipCorrection(mocap.width / annotated.width, mocap.height / annotated.height - 1)


def corrected(people: People, by: HipCorrection) -> People:
    """Return the people with hips moved; those with a hip or shoulder missing are left as they are.

    The state of the joints does not change. Missing joints stay at (0, 0).
    """
    needed = indices(["r_hip", "l_hip", "r_shoulder", "l_shoulder"])
    rows = np.flatnonzero(is_annotated(people.state)[:, needed].all(axis=1))
    joints = people.joints_2d.astype(np.float64)
    hips = joints[rows][:, needed[:2]]
    hip_centre = hips.mean(axis=1, keepdims=True)
    torso = hip_centre - joints[rows][:, needed[2:]].mean(axis=1, keepdims=True)
    moved = hip_centre + by.width * (hips - hip_centre) + by.down * torso
    joints[rows[:, None], needed[:2]] = moved
    return replace(people, joints_2d=joints.astype(np.float32))
