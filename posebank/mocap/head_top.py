"""The top of the head, where a skeleton ends at the head joint.

Most skeletons have a joint at the base of the skull and an End Site or a further joint at the head
top. Many files give that end no length (LAFAN1, Bandai-Namco and every file that was written from
joint positions alone). The top is then put beyond the head joint, in the direction from the neck,
at the length that a head has for the length of the legs.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

HEAD_IN_STATURES = 0.117
"""From the angle of the jaw to the top of the head, in body heights: 203 mm of 1.741 m in men, 200
of 1.735 in women (de Leva 1996, table 4). The joint at the base of the skull lies at that level."""

LEGS_IN_STATURES = 0.491
"""Thigh and shank together, in body heights (Drillis and Contini; Winter 2009, figure 4.1)."""

_PLAUSIBLE_IN_STATURES = (0.055, 0.22)
_LEAST_NECK_IN_STATURES = 0.02
_LEAST_COSINE_TO_UP = 0.5

COMPLETED = (
    "the head has no end of a head's length: its top is put 0.117 body heights beyond the head "
    "joint, the body height taken from the legs"
)


def is_head_end(end: NDArray[np.float64], legs: float, up: NDArray[np.float64] | None) -> bool:
    """Whether the vector from the head joint to an end can reach the top of the head.

    Parameters
    ----------
    end : array (3,)
        End of the head at rest, in the unit of ``legs``.
    legs : float
        Length of thigh and shank.
    up : array (3,) or None
        Upward at rest, None where the rest pose does not stand.
    """
    length = float(np.linalg.norm(end))
    shortest, longest = (part * legs / LEGS_IN_STATURES for part in _PLAUSIBLE_IN_STATURES)
    if not shortest <= length <= longest:
        return False
    return up is None or float(end @ up) >= _LEAST_COSINE_TO_UP * length


def completed_end(
    necks: Iterable[NDArray[np.float64]], legs: float, up: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the vector (3,) from the head joint to the top that a body of these legs has.

    Parameters
    ----------
    necks : iterable of array (3,)
        Vectors to the head joint from the joints below it at rest, the nearest first; the
        first that is long enough gives the direction.
    legs : float
        Length of thigh and shank.
    up : array (3,) or None
        Upward at rest, None where the rest pose does not stand; it is the direction where
        no joint below the head gives one, or that one is not upward.
    """
    stature = legs / LEGS_IN_STATURES
    direction = np.array([0.0, 1.0, 0.0]) if up is None else up
    for neck in necks:
        length = float(np.linalg.norm(neck))
        if length >= _LEAST_NECK_IN_STATURES * stature:
            if up is None or float(neck @ up) >= _LEAST_COSINE_TO_UP * length:
                direction = neck / length
            break
    return HEAD_IN_STATURES * stature * direction
