"""Compile the search ahead of its first use: ``python -m posebank.warm_up``.

Numba keeps what it compiles beside the sources, for every later process. Without this, the first
match of an installation waits for it, one to two minutes.
"""

from __future__ import annotations

import numpy as np

from posebank.labelling.known_people import TruthSettings, simulate_people
from posebank.matching.matcher import match
from posebank.matching.settings import MatchSettings
from posebank.skeleton import N_JOINTS, centred
from posebank.types import PoseBank


def warm_up() -> None:
    """Match a few random poses with themselves."""
    n_poses = 5
    joints = np.random.default_rng(0).normal(0, 0.3, (n_poses, N_JOINTS, 3))
    bank = PoseBank.from_joints(centred(joints))
    match(bank, simulate_people(bank, 0, TruthSettings()).people, MatchSettings())


if __name__ == "__main__":
    warm_up()
