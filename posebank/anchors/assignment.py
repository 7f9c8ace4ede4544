"""Which anchor-pose a pose belongs to, and how well the anchors cover the poses."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.types import Texts

_BLOCK = 4096  # poses at a time: 4096 x 100 anchors x 13 distances stay within 40 MB


def assign(
    anchors_3d: NDArray[np.floating], joints_3d: NDArray[np.floating]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Closest anchor of each pose by D, the mean distance over the joints (paper, section 3.1).

    Parameters
    ----------
    anchors_3d : (K, 13, 3) metres, camera axes, body-centred.
    joints_3d : (n, 13, 3) in the same frame.

    Returns
    -------
    ids : (n,) int32; the lowest id wins a tie.
    distance : (n,) float64, metres.
    """
    anchors = np.asarray(anchors_3d, np.float64)
    ids = np.empty(len(joints_3d), np.int32)
    distance = np.empty(len(joints_3d), np.float64)
    for start in range(0, len(joints_3d), _BLOCK):
        block = np.asarray(joints_3d[start : start + _BLOCK], np.float64)
        d = np.zeros((len(block), len(anchors)))
        for joint in range(anchors.shape[1]):
            difference = block[:, None, joint] - anchors[None, :, joint]
            d += np.sqrt(np.einsum("nkc,nkc->nk", difference, difference))
        d /= anchors.shape[1]
        ids[start : start + len(block)] = d.argmin(axis=1)
        distance[start : start + len(block)] = d.min(axis=1)
    return ids, distance


def coverage(
    anchors_3d: NDArray[np.floating], joints_3d: NDArray[np.floating], dataset: Texts
) -> pd.DataFrame:
    """Distance to the closest anchor in millimetres, per data set and over all.

    Parameters
    ----------
    anchors_3d : (K, 13, 3); joints_3d : (n, 13, 3); dataset : (n,) name of each pose's data set.

    Returns
    -------
    Columns dataset, poses, anchors_used, mean_mm, median_mm, p90_mm, max_mm.
    """
    ids, distance = assign(anchors_3d, joints_3d)
    millimetres = 1000 * distance
    names = dataset.astype(str)
    rows = []
    for name in [*sorted(set(names)), "all"]:
        of = np.ones(len(names), bool) if name == "all" else names == name
        if not of.any():
            continue
        d = millimetres[of]
        rows.append(
            {
                "dataset": name,
                "poses": int(of.sum()),
                "anchors_used": len(set(ids[of].tolist())),
                "mean_mm": float(d.mean()),
                "median_mm": float(np.median(d)),
                "p90_mm": float(np.quantile(d, 0.9)),
                "max_mm": float(d.max()),
            }
        )
    return pd.DataFrame(rows)
