"""How well a set of anchor-poses covers poses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.anchors.poses import assign
from posebank.types import Anchors

_QUANTILES = (0.5, 0.9, 0.95, 0.99)


def coverage(anchors: Anchors, poses: NDArray[Any], dataset: NDArray[Any]) -> pd.DataFrame:
    """Distance of poses to their closest full-body anchor-pose, for each data set.

    Parameters
    ----------
    poses : (n, 13, 3) metres, camera axes, relative to the body centre.
    dataset : (n,) the data set of each pose.

    Returns
    -------
    One row per data set and one, ``all``, for them together. Columns: ``n``; ``mean_mm``,
    ``p50_mm``, ``p90_mm``, ``p95_mm``, ``p99_mm`` and ``max_mm`` of the mean joint distance; and
    ``anchors_used``, how many anchor-poses are the closest of some pose.
    """
    ids, distance = assign(anchors.pose_3d[anchors.kind == "full"], poses)
    millimetres = distance.astype(np.float64) * 1000
    groups = {name: dataset == name for name in sorted(set(dataset))}
    groups["all"] = np.ones(len(poses), dtype=bool)
    rows = {}
    for name, chosen in groups.items():
        if not chosen.any():
            continue
        mm = millimetres[chosen]
        quantiles = {
            f"p{q * 100:.0f}_mm": v
            for q, v in zip(_QUANTILES, np.quantile(mm, _QUANTILES), strict=True)
        }
        rows[name] = {
            "n": int(chosen.sum()),
            "mean_mm": mm.mean(),
            **quantiles,
            "max_mm": mm.max(),
            "anchors_used": len(np.unique(ids[chosen])),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")


def poses_per_anchor(anchors: Anchors, poses: NDArray[Any]) -> pd.DataFrame:
    """How many poses (n, 13, 3) each full-body anchor-pose is the closest to, and how far.

    Returns
    -------
    One row per anchor-pose, indexed by ``anchor_id``: ``n``, and ``mean_mm``, null where n is 0.
    """
    full = anchors.kind == "full"
    ids, distance = assign(anchors.pose_3d[full], poses)
    n = np.bincount(ids, minlength=int(full.sum()))
    total = np.bincount(ids, weights=distance.astype(np.float64) * 1000, minlength=len(n))
    mean = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    index = pd.Index(anchors.anchor_id[full], name="anchor_id")
    return pd.DataFrame({"n": n, "mean_mm": mean}, index=index)


def rarest(anchors: Anchors, poses: NDArray[Any], n: int) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """The ``n`` poses (rows) farthest from every full-body anchor-pose, and their distance in mm.

    The farthest first. Rarity as the paper means it (figure 6).
    """
    _, distance = assign(anchors.pose_3d[anchors.kind == "full"], poses)
    rows = np.argsort(-distance, kind="stable")[:n]
    return rows, distance[rows].astype(np.float64) * 1000
