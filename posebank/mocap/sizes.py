"""Sizes that a body does not have: a wrong unit, mapping or skeleton shows in them first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.mocap.limbs import RIGID_LIMBS, leg_length, limb_lengths
from posebank.skeleton import J

ADULT_LEG_M = (0.60, 1.05)

_PARTS_OF_A_LEG = {
    "arms": (0.45, 0.95), "trunk": (0.35, 1.00), "head top above the shoulders": (0.18, 0.75),
    "distance of the hips": (0.05, 0.50), "distance of the shoulders": (0.20, 0.95),
}  # fmt: skip
"""Lengths in legs (thigh and shank) that are no reason for doubt. By Drillis and Contini's
proportions (Winter 2009, figure 4.1) they are 0.68, 0.59, 0.37, 0.35 and 0.53."""

_SIDES = 0.10


def unusual_sizes(joints: NDArray[np.float64]) -> tuple[str, ...]:
    """Return in words what of a clip's sizes a body does not have.

    Parameters
    ----------
    joints : array (n_frames, 13, 3), metres
        Poses of the clip.
    """
    leg = leg_length(joints)
    notes = []
    if not ADULT_LEG_M[0] <= leg <= ADULT_LEG_M[1]:
        than = "shorter" if leg < ADULT_LEG_M[0] else "longer"
        notes.append(
            f"the legs are {than} than an adult's ({ADULT_LEG_M[0]:.2f} to {ADULT_LEG_M[1]:.2f} m):"
            " is the unit right (--unit)?"
        )
    usual = dict(zip(RIGID_LIMBS, np.median(limb_lengths(joints), axis=0), strict=True))
    arms = sum(v for (a, b), v in usual.items() if "elbow" in a + b) / 2
    middle = {p: joints[:, [J[f"r_{p}"], J[f"l_{p}"]]].mean(axis=1) for p in ("hip", "shoulder")}
    found = {
        "arms": arms,
        "trunk": _distance(middle["hip"], middle["shoulder"]),
        "head top above the shoulders": _distance(joints[:, J["head"]], middle["shoulder"]),
        "distance of the hips": usual["r_hip", "l_hip"],
        "distance of the shoulders": _distance(
            joints[:, J["r_shoulder"]], joints[:, J["l_shoulder"]]
        ),
    }
    for part, length in found.items():
        low, high = _PARTS_OF_A_LEG[part]
        if not low <= length / leg <= high:
            notes.append(
                f"unusual proportions: {part}, expected {low:g} to {high:g} of the legs' length; "
                "are the joints right (--joints)?"
            )
    for (outer, inner), length in usual.items():
        twin = usual.get((outer.replace("r_", "l_"), inner.replace("r_", "l_")))
        if outer.startswith("r_") and twin and abs(length - twin) > _SIDES * max(length, twin):
            limb = f"{outer[2:]} to {inner[2:]}"
            notes.append(f"left and right differ by more than {_SIDES:.0%}: {limb}")
    return tuple(notes)


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.median(np.linalg.norm(a - b, axis=-1)))
