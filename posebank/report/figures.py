"""The paper's Figures 5 and 6 (Figure 7 is ``scene``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from posebank.evaluation.pck import share_within
from posebank.evaluation.scoring import Scored
from posebank.geometry.procrustes import align
from posebank.report.curves import draw_pckh_curves
from posebank.report.drawing import SIDE, bones, frame_axes, view_axes
from posebank.report.images import new_figure, save_figure

_PPI, _NMS, _ALIGNED, _TRUTH = "#1f77b4", "#2ca02c", "#d62728", "#999999"


def figure5(
    ppi: Scored,
    nms: Scored,
    poses: tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]],
    path: Path,
) -> Path:
    """PNG of every person's 3D error, in the order of the PPI's error, and four of the poses.

    Blue: PPI, rising. Green: NMS for the same person. Red: PPI after rigid alignment. The poses are
    the ones that the paper picks: NMS is right already, PPI helps most, alignment helps most, and
    the largest error left.

    Parameters
    ----------
    ppi, nms : the scores of both on the same people.
    poses : true, PPI's and NMS's 3D pose of each person, (n, 13, 3) metres, camera axes; NaN where
        nobody was found.
    """
    errors = np.stack([s.mean(axis=1) for s in (ppi.absolute, nms.absolute, ppi.rigid)], axis=1)
    known = np.flatnonzero(np.isfinite(errors).all(axis=1))
    order = known[np.argsort(errors[known, 0], kind="stable")]
    figure = new_figure(11, 6)
    grid = figure.add_gridspec(2, 4, height_ratios=[1.3, 1])
    ax = figure.add_subplot(grid[0, :])
    places = np.arange(len(order))
    ax.vlines(places, errors[order, 0], errors[order, 1], color=_NMS, linewidth=0.8, alpha=0.7)
    ax.vlines(places, errors[order, 2], errors[order, 0], color=_ALIGNED, linewidth=0.8, alpha=0.7)
    ax.plot(places, errors[order, 0], color=_PPI, linewidth=1.5)
    for colour, name, column in ((_NMS, "NMS", 1), (_PPI, "PPI", 0), (_ALIGNED, "PPI aligned", 2)):
        mean = float(errors[order, column].mean()) if len(order) else float("nan")
        ax.plot([], [], color=colour, label=f"{name}: mean {mean:.1f} mm")
    ax.set_xlabel("person, by error of PPI")
    ax.set_ylabel("3D error (mm)")
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=8)
    for place, (row, name) in enumerate(_examples(errors, order)):
        panel = figure.add_subplot(grid[1, place])
        _overlay(panel, *(np.asarray(p[row], np.float64) for p in poses))
        panel.set_title(
            f"{name}: NMS {errors[row, 1]:.0f}, PPI {errors[row, 0]:.0f}, "
            f"aligned {errors[row, 2]:.0f}",
            fontsize=7,
        )
    return save_figure(figure, path)


def _examples(errors: NDArray[np.float64], order: NDArray[np.int64]) -> list[tuple[int, str]]:
    if not len(order):
        return []
    ppi, nms, aligned = errors[order].T
    picks = [
        (np.maximum(nms, ppi).argmin(), "NMS right"),
        ((nms - ppi).argmax(), "PPI helps"),
        ((ppi - aligned).argmax(), "alignment helps"),
        (aligned.argmax(), "failure"),
    ]
    return [(int(order[place]), name) for place, name in picks]


def _overlay(
    ax: Axes, true: NDArray[np.float64], ppi: NDArray[np.float64], nms: NDArray[np.float64]
) -> None:
    """Truth, PPI, NMS and aligned PPI over each other, from a side."""
    axes = view_axes(SIDE)
    moved = align(ppi, true, scale=False)
    for pose, colour, width in (
        (true, _TRUTH, 4.0), (nms, _NMS, 1.5), (ppi, _PPI, 1.5), (moved, _ALIGNED, 1.5)
    ):  # fmt: skip
        lines = bones(pose)[0] @ axes.T
        ax.add_collection(LineCollection(list(lines[..., :2]), colors=colour, linewidths=width))
    frame_axes(ax, true @ axes.T, square=1.1)


def figure6(
    scored: Mapping[str, Scored],
    rarity_mm: NDArray[np.floating],
    single: NDArray[np.bool_],
    path: Path,
    *,
    threshold: float = 0.5,
) -> Path:
    """PNG: PCKh over the threshold, and per-pose PCKh over the rarity of the pose.

    Right: people are ordered by the distance to the closest anchor-pose, and their own PCKh is
    averaged over a window of a tenth of them.

    Parameters
    ----------
    scored : method -> scores, all on the same people.
    rarity_mm : (n,) distance to the closest anchor-pose, NaN where unknown.
    single : (n,) the people that PCKh is for.
    """
    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    thresholds = np.linspace(0, 1, 101)
    curves = {}
    for name, scores in scored.items():
        distance = np.where(single[:, None], scores.distance, np.nan)
        shares = [share_within(distance, float(t)).weighted for t in thresholds]
        curves[name] = pd.DataFrame({"threshold": thresholds, "pckh": shares})
        counted = ~np.isnan(distance)
        rows = np.flatnonzero(counted.any(axis=1) & np.isfinite(rarity_mm))
        rows = rows[np.argsort(rarity_mm[rows], kind="stable")]
        own = 100 * (distance[rows] <= threshold).sum(axis=1) / counted[rows].sum(axis=1)
        window = max(len(rows) // 10, 1)
        smooth = pd.Series(own).rolling(window, center=True, min_periods=max(window // 2, 1)).mean()
        right.plot(rarity_mm[rows], smooth, label=name)
    draw_pckh_curves(left, curves)
    right.set_xlabel("pose rarity: distance to the closest anchor-pose (mm)")
    right.set_ylabel(f"per-pose PCKh@{threshold:g}, %")
    right.set_ylim(0, 100)
    right.grid(alpha=0.3)
    right.legend(fontsize=8)
    return save_figure(figure, path)
