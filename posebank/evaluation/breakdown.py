"""Scores by data set, action, number of annotated joints, rarity of the pose."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.evaluation.pck import share_within
from posebank.evaluation.settings import EvaluationSettings
from posebank.types import Anchors

if TYPE_CHECKING:
    from posebank.evaluation.scoring import Scored

RARITY_EDGES_MM = np.array([0, 50, 75, 100, 125, 150, 200, 250, np.inf])
_BLOCK = 4096


def breakdown(
    name: str,
    keys: NDArray,
    scored: Scored,
    distance: NDArray[np.float64],
    settings: EvaluationSettings,
) -> pd.DataFrame:
    """One row per value of ``keys`` (n,), sorted: people, found, PCKh, 2D and 3D errors.

    distance : (n, 13) 2D distances in head sizes of the people that PCKh is for.
    """
    rows = []
    # "" is an unknown key: such people are in no row
    for key in sorted({k for k in keys.tolist() if k != ""}):
        mine = keys == key
        rows.append(
            {
                name: key,
                "people": int(mine.sum()),
                "found": int((scored.selected[mine] >= 0).sum()),
                "pckh": share_within(
                    distance[mine], settings.threshold, strict=settings.strict
                ).weighted,
                "pixels": _mean(scored.pixels[mine]),
                "absolute_mm": _mean(scored.absolute[mine]),
                "rigid_mm": _mean(scored.rigid[mine]),
                "similarity_mm": _mean(scored.similarity[mine]),
            }
        )
    columns = [name, "people", "found", "pckh", "pixels", "absolute_mm", "rigid_mm",
               "similarity_mm"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def rarity_mm(anchors: Anchors, joints_3d: NDArray[np.floating]) -> NDArray[np.float64]:
    """Distance (n,) of each pose to the closest full-body anchor-pose: mean over the joints, mm.

    The paper's pose rarity (section 4.2, Figure 6 right). NaN for a pose that is not known.
    """
    full = np.asarray(anchors.pose_3d[anchors.kind == "full"], np.float64)
    poses = np.asarray(joints_3d, np.float64)
    nearest = np.full(len(poses), np.inf)
    for start in range(0, len(poses), _BLOCK):
        block = poses[start : start + _BLOCK]
        for anchor in full:  # one anchor at a time keeps the temporaries small
            difference = block - anchor
            away = np.sqrt(np.einsum("njd,njd->nj", difference, difference)).mean(axis=1)
            best = nearest[start : start + _BLOCK]
            nearest[start : start + _BLOCK] = np.where(away < best, away, best)
    known = np.isfinite(poses).all(axis=(1, 2)) & (len(full) > 0)
    return np.where(known, 1000 * nearest, np.nan)


def rarity_bins(anchors: Anchors, joints_3d: NDArray[np.floating]) -> NDArray[np.object_]:
    """Rarity as the text of its bin, such as ``075-100`` mm; "" where it is not known."""
    rarity = rarity_mm(anchors, joints_3d)
    edges = RARITY_EDGES_MM
    names = [f"{int(a):03d}-{int(b):03d}" if np.isfinite(b) else f"{int(a):03d}-"
             for a, b in pairwise(edges)]  # fmt: skip
    bins = np.searchsorted(edges, np.nan_to_num(rarity), side="right") - 1
    labels = np.array([*names, ""], dtype=object)
    return labels[np.where(np.isnan(rarity), len(names), bins)]


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
