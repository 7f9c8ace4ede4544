"""Compile the search ahead of its first use: ``python -m posebank.warm_up``.

Numba keeps what it compiles beside the sources (or in the user's cache folder where it may not
write there), for every later process. Without this, the first match of an installation waits for
it, one to two minutes.
"""

from __future__ import annotations

import numpy as np

from posebank.matching.matcher import match
from posebank.matching.settings import MatchSettings
from posebank.matching.viewfree.compiled import is_cached
from posebank.matching.viewfree.search import _search_chunk
from posebank.skeleton import N_JOINTS, centred
from posebank.types import People, PoseBank

NOTICE = "compiling the search, once for this installation: one to two minutes"


def is_warm() -> bool:
    """Whether the search was compiled before."""
    return is_cached(_search_chunk)


def warm_up() -> None:
    """Match a few random poses, seen from the front."""
    n_poses = 5
    joints = centred(np.random.default_rng(0).normal(0, 0.3, (n_poses, N_JOINTS, 3)))
    people = People.from_joints(100 * joints[..., :2])
    match(PoseBank.from_joints(joints), people, MatchSettings())


if __name__ == "__main__":
    if not is_warm():
        print(NOTICE, flush=True)
    warm_up()
