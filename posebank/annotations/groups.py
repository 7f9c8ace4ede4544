"""Groups of people who stand close together in one image, for MPII's multi-person protocol.

The release lists, per image, the people who are "sufficiently separated from the others"
(``single_person``) but no groups. Here people whose boxes meet belong to one group. The box of a
person is around joints and head box, or, with no joint, a square of side 200 px times ``scale``
around ``objpos`` (``scale`` is the person's height / 200 px).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MARGIN = 0.1  # of the box on each side, as for the boxes of poses


@dataclass(frozen=True)
class GroupMember:
    """A person as a box x1 y1 x2 y2 in pixels, None if the source gives no place."""

    box: tuple[float, float, float, float] | None

    @staticmethod
    def from_person(
        joints: NDArray[np.float64],
        known: NDArray[np.bool_],
        head_box: Sequence[float],
        scale: float,
        objpos: tuple[float, float],
    ) -> GroupMember:
        """Box of a person: joints (n, 2) with the known ones marked, else place and scale."""
        if known.any():
            corners = joints[known]
            if np.isfinite(head_box).all():
                corners = np.concatenate([corners, np.reshape(head_box, (2, 2))])
            (x1, y1), (x2, y2) = corners.min(0), corners.max(0)
            dx, dy = _MARGIN * (x2 - x1), _MARGIN * (y2 - y1)
            return GroupMember((x1 - dx, y1 - dy, x2 + dx, y2 + dy))
        if np.isfinite(objpos).all() and scale > 0:
            half = 100 * scale
            x, y = objpos
            return GroupMember((x - half, y - half, x + half, y + half))
        return GroupMember(None)


def _meet(a: GroupMember, b: GroupMember) -> bool:
    if a.box is None or b.box is None:
        return False
    return (
        a.box[0] <= b.box[2] and b.box[0] <= a.box[2]
        and a.box[1] <= b.box[3] and b.box[1] <= a.box[3]
    )  # fmt: skip


def group_people(members: Sequence[GroupMember]) -> list[int]:
    """Return the number of each person's group: the smallest number of a person in it."""
    group = list(range(len(members)))
    for i in range(len(members)):
        for j in range(i):
            if group[i] != group[j] and _meet(members[i], members[j]):
                old, new = max(group[i], group[j]), min(group[i], group[j])
                group = [new if g == old else g for g in group]
    return group
