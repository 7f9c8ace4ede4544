"""The paper's Figures 5, 6 and 7."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from posebank.evaluation import (
    EvaluationSettings,
    GroundTruth,
    Scored,
    pck_curve,
    score_people,
)
from posebank.evaluation.pck import right_or_not
from posebank.geometry.procrustes import align
from posebank.report.curves import draw_pckh_curves
from posebank.report.drawing import SIDE, bones, frame_axes, view_axes
from posebank.report.images import ImageOf, new_figure, no_image, save_figure
from posebank.report.scene import draw_detections
from posebank.report.sheets import show_person
from posebank.skeleton import N_JOINTS, JointState
from posebank.types import Predictions

_PPI, _NMS, _ALIGNED, _TRUTH = "#1f77b4", "#2ca02c", "#d62728", "#999999"


@dataclass(frozen=True)
class SelectedPoses:
    """One method's pose of each person, and what it scores.

    joints_2d, joints_3d : (n, 13, 2) pixels and (n, 13, 3) metres, camera axes; NaN for nobody.
    """

    joints_2d: NDArray[np.float64]
    joints_3d: NDArray[np.float64]
    scored: Scored


def select_poses(
    predictions: Predictions, people: GroundTruth, settings: EvaluationSettings
) -> SelectedPoses:
    """Return the pose that is selected for each person."""
    scored = score_people(predictions, people, settings)
    found = scored.selected >= 0
    flat = np.full((len(people), N_JOINTS, 2), np.nan)
    solid = np.full((len(people), N_JOINTS, 3), np.nan)
    flat[found] = predictions.joints_2d[scored.selected[found]]
    solid[found] = predictions.joints_3d[scored.selected[found]]
    return SelectedPoses(flat, solid, scored)


def figure5(
    ppi: SelectedPoses,
    nms: SelectedPoses,
    people: GroundTruth,
    path: Path,
    *,
    whose: str = "person",
    image_of: ImageOf = no_image,
) -> Path:
    """Return a PNG of every person's 3D error, sorted by PPI's, and four of the poses.

    Blue: PPI, rising. Green: NMS for the same person. Red: PPI after rigid alignment. The people
    shown are those that the paper picks: NMS is right already, PPI helps most, alignment helps
    most, and the largest error left; each as the PPI's 2D pose on the image and as 3D poses over
    each other, from a side.

    Parameters
    ----------
    ppi : SelectedPoses
        Poses selected from the predictions of PPI.
    nms : SelectedPoses
        Poses selected from the predictions of NMS.
    people : GroundTruth
        The people.
    path : Path
        File to write.
    whose : str
        Noun for one of the people, such as ``person``.
    image_of : ImageOf
        Returns the image of an ``image_id``.
    """
    errors = np.stack(
        [e.mean(axis=1) for e in (ppi.scored.absolute, nms.scored.absolute, ppi.scored.rigid)],
        axis=1,
    )
    known = np.flatnonzero(np.isfinite(errors).all(axis=1))
    order = known[np.argsort(errors[known, 0], kind="stable")]
    figure = new_figure(11, 9)
    grid = figure.add_gridspec(3, 4, height_ratios=[1.3, 1, 1])
    ax = figure.add_subplot(grid[0, :])
    places = np.arange(len(order))
    # Two half-transparent layers of thin lines: few people need wider ones.
    wide = float(np.clip(400 / max(len(order), 1), 0.5, 4))
    ax.vlines(places, errors[order, 0], errors[order, 1], color=_NMS, linewidth=wide, alpha=0.7)
    ax.vlines(places, errors[order, 2], errors[order, 0], color=_ALIGNED, linewidth=wide, alpha=0.7)
    ax.plot(places, errors[order, 0], color=_PPI, linewidth=1.5)
    for colour, name, column in ((_NMS, "NMS", 1), (_PPI, "PPI", 0), (_ALIGNED, "PPI aligned", 2)):
        mean = float(errors[order, column].mean()) if len(order) else float("nan")
        ax.plot([], [], color=colour, label=f"{name}: mean {mean:.1f} mm")
    ax.set_xlabel(f"{whose}, in the order of PPI's error")
    ax.set_ylabel("3D error (mm)")
    ax.set_xlim(-0.02 * max(len(order), 1), 1.02 * max(len(order), 1))
    ax.set_ylim(0, 1.15 * float(errors[order].max(initial=1.0)))  # room for the numbers
    ax.legend(fontsize=9)
    for place, (row, name) in enumerate(_examples(errors, order)):
        panel = figure.add_subplot(grid[1, place])
        # 2D errors are not what is shown: every joint is drawn alike.
        visible = np.full(N_JOINTS, JointState.VISIBLE, np.uint8)
        show_person(panel, image_of(people.image_id[row]), ppi.joints_2d[row], visible)
        panel.set_title(f"{place + 1}: {name}", fontsize=9)
        panel.set_xlabel("PPI in 2D", fontsize=8)
        panel = figure.add_subplot(grid[2, place])
        true = np.asarray(people.joints_3d[row], np.float64)
        _overlay(panel, true, ppi.joints_3d[row], nms.joints_3d[row])
        panel.set_title(
            f"NMS {errors[row, 1]:.0f}, PPI {errors[row, 0]:.0f}, aligned {errors[row, 2]:.0f} mm",
            fontsize=9,
        )
        at = int(np.flatnonzero(order == row)[0])
        ax.annotate(
            f"{place + 1}",
            (at, errors[row, :2].max()),
            xytext=(0, 10),
            textcoords="offset points",
            ha="center",
            weight="bold",
            arrowprops={"arrowstyle": "-", "linewidth": 0.8},
        )
    handles = [
        Line2D([], [], color=colour, linewidth=width, label=name)
        for colour, width, name in (
            (_TRUTH, 4, "truth"),
            (_NMS, 1.5, "NMS"),
            (_PPI, 1.5, "PPI"),
            (_ALIGNED, 1.5, "PPI aligned"),
        )
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
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
        (true, _TRUTH, 4.0),
        (nms, _NMS, 1.5),
        (ppi, _PPI, 1.5),
        (moved, _ALIGNED, 1.5),
    ):
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
    """Return a PNG of PCKh over the threshold, and per-pose PCKh over the rarity of the pose.

    Right: people are ordered by the distance to the closest anchor-pose, and their own PCKh is
    averaged over a window of a tenth of them.

    Parameters
    ----------
    scored : mapping
        Method -> scores, all on the same people.
    rarity_mm : array (n,)
        Distance to the closest anchor-pose, NaN where unknown.
    single : array (n,)
        People of the single-person protocol, whom PCKh counts.
    path : Path
        File to write.
    threshold : float
        Distance below which a joint is right, in head sizes.
    """
    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    thresholds = np.linspace(0, 1, 101)
    curves = {}
    for name, scores in scored.items():
        distance = np.where(single[:, None], scores.distance, np.nan)
        curves[name] = pd.DataFrame(
            {"threshold": thresholds, "pckh": pck_curve(distance, thresholds)}
        )
        own = np.full(len(distance), np.nan)
        counted = ~np.isnan(distance)
        known = counted.any(axis=1) & np.isfinite(rarity_mm)
        own[known] = 100 * (distance[known] <= threshold).sum(axis=1) / counted[known].sum(axis=1)
        rows = np.flatnonzero(known)
        rows = rows[np.argsort(rarity_mm[rows], kind="stable")]
        window = max(len(rows) // 10, 1)
        half = max(window // 2, 1)
        smooth = pd.Series(own[rows]).rolling(window, center=True, min_periods=half).mean()
        right.plot(rarity_mm[rows], smooth, label=name)
    draw_pckh_curves(left, curves)
    right.set_xlabel("pose rarity: distance to the closest anchor-pose (mm)")
    right.set_ylabel(f"per-pose PCKh@{threshold:g}, %")
    right.set_ylim(0, 100)
    right.grid(alpha=0.3)
    right.legend(fontsize=8)
    return save_figure(figure, path)


def figure7(
    predictions: Predictions,
    scored: Scored,
    people: GroundTruth,
    path: Path,
    *,
    image_of: ImageOf = no_image,
    threshold: float = 0.5,
    n: int = 8,
) -> Path:
    """Return a PNG of detections: the image with every 2D pose, and all 3D poses in one scene.

    Half of the images have several people, half have one. They are not picked by eye: of each half
    the images at equal steps from the best to the worst PCKh are shown, with that number. Of the
    poses found in an image the best scored are drawn, as many as people are annotated.

    Parameters
    ----------
    predictions : Predictions
        Predictions of these and of other images.
    scored : Scored
        The scores of the people's selected predictions.
    people : GroundTruth
        People of the images to choose from.
    path : Path
        File to write.
    image_of : ImageOf
        Returns the image of an ``image_id``.
    threshold : float
        Distance below which a joint is right, in head sizes.
    n : int
        Number of images.
    """
    chosen = _spread(scored, people, threshold, n)
    lines = max(-(-len(chosen) // 4), 1)
    figure = new_figure(14, 5.6 * lines)
    grid = figure.subplots(2 * lines, 4, squeeze=False)
    for ax in grid.flat:
        ax.axis("off")
    for place, (image_id, share) in enumerate(chosen):
        line, column = divmod(place, 4)
        present = people.image_id == image_id
        mine = np.flatnonzero(predictions.image_id == image_id)
        best = mine[np.argsort(-predictions.score[mine], kind="stable")][: int(present.sum())]
        draw_detections(
            grid[2 * line, column],
            grid[2 * line + 1, column],
            image_of(image_id),
            predictions.take(best),
            people.joints_2d[present],
        )
        grid[2 * line, column].set_title(
            f"{Path(image_id).name}: PCKh@{threshold:g} {share:.0f}%", fontsize=9
        )
    return save_figure(figure, path)


def _spread(
    scored: Scored, people: GroundTruth, threshold: float, n: int
) -> list[tuple[str, float]]:
    """Up to n images and their PCKh (percent), half with several people, from best to worst."""
    right = right_or_not(scored.distance, threshold)
    table = pd.DataFrame(
        {
            "image": people.image_id,
            "right": np.nansum(right, axis=1),
            "joints": (~np.isnan(right)).sum(axis=1),
            "people": 1,
        }
    )
    images = table.groupby("image").sum()
    images = images[images["joints"] > 0]
    share = (100 * images["right"] / images["joints"]).sort_values(ascending=False, kind="stable")
    chosen: list[tuple[str, float]] = []
    for several in (True, False):
        ranked = share[(images["people"].loc[share.index] > 1) == several]
        steps = np.linspace(0, len(ranked) - 1, min(n // 2, len(ranked))).round().astype(int)
        chosen += [(str(image), float(ranked[image])) for image in ranked.index[np.unique(steps)]]
    return chosen
