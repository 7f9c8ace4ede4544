"""People as queries: which can be matched, centred and scaled over their annotated joints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebank.errors import Rejected
from posebank.geometry.centring import centre_on
from posebank.skeleton import N_JOINTS, is_annotated
from posebank.types import People

_HUGE_PX = 1e6
_FLAT = 1e-4  # ratio of the two extents of a set of joints below which it is a line


@dataclass(frozen=True)
class Queries:
    """The people that can be matched.

    rows : (n,) rows in the people they come from.
    mask : (n, 13) bool, annotated joints.
    unit : (n, 13, 2) float64, centred on the annotated joints, Frobenius norm 1, 0 elsewhere.
    centre : (n, 2) pixels; size : (n,) Frobenius norm in pixels.
    """

    rows: NDArray[np.intp]
    mask: NDArray[np.bool_]
    unit: NDArray[np.float64]
    centre: NDArray[np.float64]
    size: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    def groups(self) -> Iterator[NDArray[np.intp]]:
        """Rows of the queries that share a pattern of annotated joints, pattern after pattern."""
        code = self.mask @ (1 << np.arange(N_JOINTS))
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.diff(code[order], prepend=-1))
        yield from np.split(order, starts[1:]) if len(order) else ()


def make_queries(people: People, min_annotated: int) -> tuple[Queries, list[Rejected]]:
    """Centre and scale people over their annotated joints alone.

    Set aside: people with fewer than ``min_annotated`` annotated joints, with coordinates that are
    not finite or beyond a million pixels, and those whose joints lie on one point or line.
    """
    mask = is_annotated(people.state)
    joints = people.joints_2d.astype(np.float64)
    count = mask.sum(axis=1)
    with np.errstate(invalid="ignore"):
        bad_value = np.asarray(np.any(mask[..., None] & ~(np.abs(joints) <= _HUGE_PX), axis=(1, 2)))
    centred, centre = centre_on(joints, mask & ~bad_value[:, None])
    spread = np.linalg.svd(centred, compute_uv=False)
    size = np.sqrt((spread**2).sum(axis=1))
    too_few = count < min_annotated
    flat = ~(spread[:, 1] > _FLAT * spread[:, 0]) | ~(size > 1e-3)
    rejected = []
    for row in np.flatnonzero(too_few | bad_value | flat):
        if too_few[row]:
            reason = f"expected at least {min_annotated} annotated joints, found {count[row]}"
        elif bad_value[row]:
            reason = f"expected finite coordinates within {_HUGE_PX:.0f} px, found others"
        else:
            reason = "expected joints spread over the image, found them on one point or line"
        rejected.append(Rejected(str(people.person_id[row]), reason))
    rows = np.flatnonzero(~(too_few | bad_value | flat))
    unit = centred[rows] / size[rows, None, None]
    return Queries(rows, mask[rows], unit, centre[rows], size[rows]), rejected
