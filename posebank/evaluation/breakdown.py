"""Scores by data set, action, number of annotated joints, rarity of the pose."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.evaluation.bootstrap import Interval, MeanIntervals
from posebank.evaluation.pck import mean_of_known
from posebank.skeleton import JOINT_NAMES, N_JOINTS
from posebank.types import Anchors

Floats = NDArray[np.float64]

RARITY_EDGES_MM = np.array([0, 50, 75, 100, 125, 150, 200, 250, np.inf])
_BLOCK = 4096


@dataclass(frozen=True)
class Measures:
    """What is averaged over joints, (n, 13) each, NaN where a joint does not count.

    pckh, pck_torso : 100 for a right joint, 0 for a wrong one. pixels : px. The others : mm.
    """

    pckh: Floats
    pck_torso: Floats
    pixels: Floats
    absolute_mm: Floats
    rigid_mm: Floats
    similarity_mm: Floats


_WITH_INTERVAL = ("pckh", "absolute_mm", "rigid_mm")


def breakdown(
    name: str,
    keys: NDArray[Any],
    found: NDArray[np.bool_],
    measures: Measures,
    draw: MeanIntervals,
) -> pd.DataFrame:
    """Return one row per value of ``keys`` (n,), sorted: people, found, means and intervals.

    Parameters
    ----------
    name : str
        Name of the column of keys.
    keys : array
        Key of each person; the empty string is an unknown key.
    found : array (n,)
        Whether a prediction was selected for the person.
    measures : Measures
        Measures of each person, NaN where there is none.
    draw : MeanIntervals
        Bootstrap draws that give the intervals.
    """
    values = sorted({k for k in keys.tolist() if k != ""})  # "" is an unknown key
    place = {value: row for row, value in enumerate(values)}
    group = np.array([place.get(key, -1) for key in keys.tolist()], np.int64)
    masks = [group == row for row in range(len(values))]
    table = pd.DataFrame(
        {
            name: values,
            "people": [int(mask.sum()) for mask in masks],
            "found": [int(found[mask].sum()) for mask in masks],
        }
    )
    for measure in fields(Measures):
        numbers = getattr(measures, measure.name)
        table[measure.name] = np.array([mean_of_known(numbers[mask]) for mask in masks], np.float64)
        if measure.name in _WITH_INTERVAL:
            _add_intervals(table, measure.name, draw.of_groups(numbers, group, len(values)))
    return table


def by_joint(measures: Measures, draw: MeanIntervals) -> pd.DataFrame:
    """Return one row per joint: how often it is annotated, means and intervals."""
    table = pd.DataFrame(
        {"joint": JOINT_NAMES, "annotated": (~np.isnan(measures.pckh)).sum(axis=0)}
    )
    for measure in fields(Measures):
        columns = list(np.split(getattr(measures, measure.name), N_JOINTS, axis=1))
        table[measure.name] = [mean_of_known(column) for column in columns]
        if measure.name in _WITH_INTERVAL:
            _add_intervals(table, measure.name, draw.of(columns))
    return table


def _add_intervals(table: pd.DataFrame, name: str, bounds: list[Interval]) -> None:
    """Columns ``NAME_low`` and ``NAME_high``."""
    pairs = np.array(bounds, np.float64).reshape(-1, 2)
    table[f"{name}_low"], table[f"{name}_high"] = pairs[:, 0], pairs[:, 1]


def rarity_mm(anchors: Anchors, joints_3d: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the mean joint distance (n,) of each pose to its closest full-body anchor-pose, mm.

    The paper's pose rarity (section 4.2, Figure 6 right). NaN for a pose that is not known.
    """
    full = np.asarray(anchors.pose_3d[anchors.kind == "full"], np.float64)
    poses = np.asarray(joints_3d, np.float64)
    nearest = np.full(len(poses), np.inf)
    for start in range(0, len(poses), _BLOCK):
        block = poses[start : start + _BLOCK]
        for anchor in full:  # one anchor at a time keeps the temporaries small
            difference = block - anchor
            distance = np.sqrt(np.einsum("njd,njd->nj", difference, difference)).mean(axis=1)
            best = nearest[start : start + _BLOCK]
            nearest[start : start + _BLOCK] = np.where(distance < best, distance, best)
    known = np.isfinite(poses).all(axis=(1, 2)) & (len(full) > 0)
    return np.where(known, 1000 * nearest, np.nan)


def rarity_bins(anchors: Anchors, joints_3d: NDArray[np.floating]) -> NDArray[np.object_]:
    """Return the bin of each rarity as text, such as ``075-100`` mm; "" if it is unknown."""
    rarity = rarity_mm(anchors, joints_3d)
    edges = RARITY_EDGES_MM
    names = [
        f"{int(a):03d}-{int(b):03d}" if np.isfinite(b) else f"{int(a):03d}-"
        for a, b in pairwise(edges)
    ]
    bins = np.searchsorted(edges, np.nan_to_num(rarity), side="right") - 1
    labels = np.array([*names, ""], dtype=object)
    return labels[np.where(np.isnan(rarity), len(names), bins)]
