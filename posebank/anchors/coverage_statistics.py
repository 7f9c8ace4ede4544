"""How well a set of anchor-poses covers poses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.anchors.poses import assign
from posebank.types import Anchors

_QUANTILES = (0.5, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Coverage:
    """Mean joint distance of poses to their closest full-body anchor-pose.

    by_dataset : a row per data set and one, ``all``, for them together. Columns: ``n``;
        ``mean_mm``, ``p50_mm``, ``p90_mm``, ``p95_mm``, ``p99_mm`` and ``max_mm``; and
        ``anchors_used``, how many anchor-poses are the closest of some pose.
    by_anchor : a row per anchor-pose, indexed by ``anchor_id``: ``n``, the poses that it is the
        closest to, and ``mean_mm``, null where n is 0.
    rarest : the poses farthest from every anchor-pose (rarity as in the paper's figure 6), the
        farthest first. Columns: ``row``, their number; ``id``, their name; ``dataset``;
        ``anchor_id``; ``distance_mm``.
    """

    by_dataset: pd.DataFrame
    by_anchor: pd.DataFrame
    rarest: pd.DataFrame


def coverage(
    anchors: Anchors,
    poses: NDArray[Any],
    dataset: NDArray[Any],
    names: NDArray[Any],
    *,
    n_rarest: int = 20,
) -> Coverage:
    """Measure how well the full-body anchor-poses cover poses.

    Parameters
    ----------
    anchors : Anchors
        Anchor-poses that the distances are measured to.
    poses : array (n, 13, 3), metres
        Poses in camera axes, relative to the body centre.
    dataset : array (n,)
        Data set of each pose.
    names : array (n,)
        What each pose is called, such as ``pose_id`` or ``person_id``.
    n_rarest : int
        Poses to list as the rarest; of several with one name, such as views of one pose of
        the bank, the farthest.
    """
    full = anchors.take(anchors.kind == "full")
    ids, distance = assign(full.pose_3d, poses)
    mm = distance.astype(np.float64) * 1000
    farthest_first = np.argsort(-mm, kind="stable")
    rows = farthest_first[~pd.Series(names[farthest_first]).duplicated().to_numpy()][:n_rarest]
    return Coverage(
        by_dataset=_by_dataset(ids, mm, dataset),
        by_anchor=_by_anchor(ids, mm, full.anchor_id),
        rarest=pd.DataFrame(
            {
                "row": rows,
                "id": names[rows],
                "dataset": dataset[rows],
                "anchor_id": full.anchor_id[ids[rows]],
                "distance_mm": mm[rows],
            }
        ),
    )


def _by_dataset(
    ids: NDArray[np.int32], mm: NDArray[np.float64], dataset: NDArray[Any]
) -> pd.DataFrame:
    codes, names = pd.factorize(dataset, sort=True)
    groups = {str(name): codes == code for code, name in enumerate(names)}
    groups["all"] = np.ones(len(mm), dtype=bool)
    rows = {}
    for name, chosen in groups.items():
        if not chosen.any():
            continue
        quantiles = np.quantile(mm[chosen], _QUANTILES)
        rows[name] = {
            "n": int(chosen.sum()),
            "mean_mm": mm[chosen].mean(),
            **{f"p{q * 100:.0f}_mm": v for q, v in zip(_QUANTILES, quantiles, strict=True)},
            "max_mm": mm[chosen].max(),
            "anchors_used": len(np.unique(ids[chosen])),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("dataset")


def _by_anchor(
    ids: NDArray[np.int32], mm: NDArray[np.float64], anchor_id: NDArray[np.int32]
) -> pd.DataFrame:
    n = np.bincount(ids, minlength=len(anchor_id))
    total = np.bincount(ids, weights=mm, minlength=len(n))
    mean = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    return pd.DataFrame({"n": n, "mean_mm": mean}, index=pd.Index(anchor_id, name="anchor_id"))
