"""Line pictures: training, histograms, PCKh curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from posebank.errors import ArtefactError
from posebank.report.images import new_figure, save_figure

_STEPS = ("iteration", "step", "epoch")
_BINS = 40


def training_picture(metrics: pd.DataFrame, path: Path) -> Path:
    """Return a PNG with a panel for each number of a training run, over its iterations.

    Parameters
    ----------
    metrics : pd.DataFrame
        ``metrics.parquet`` of a run: either wide (a column each) or long (columns ``name``
        and ``value``), with the column ``iteration`` or ``step``.
    path : Path
        File to write.
    """
    step = next((c for c in _STEPS if c in metrics.columns), None)
    if step is None:
        raise ArtefactError(f"metrics: expected one of the columns {', '.join(_STEPS)}")
    if {"name", "value"} <= set(metrics.columns):
        metrics = metrics.pivot_table(index=step, columns="name", values="value").reset_index()
    names = [
        str(c)
        for c in metrics.columns
        if c != step and pd.api.types.is_numeric_dtype(metrics[c]) and metrics[c].notna().any()
    ]
    columns = min(4, max(len(names), 1))
    lines = max(-(-len(names) // columns), 1)
    figure = new_figure(3.2 * columns, 2.3 * lines)
    grid = figure.subplots(lines, columns, squeeze=False)
    for ax in grid.flat[len(names) :]:
        ax.axis("off")
    for ax, name in zip(grid.flat, names, strict=False):
        known = metrics[[step, name]].dropna()
        ax.plot(known[step], known[name], linewidth=0.8, color="#9ecae1")
        window = max(len(known) // 30, 1)
        smooth = known[name].rolling(window, min_periods=1).mean()
        ax.plot(known[step], smooth, linewidth=1.5, color="#08519c")
        ax.set_title(name, fontsize=9)
        ax.tick_params(labelsize=7)
    return save_figure(figure, path)


def histogram(values: Mapping[str, NDArray[np.floating]], path: Path) -> Path:
    """Return a PNG with a histogram of each named array of numbers."""
    figure = new_figure(4.5 * len(values), 2.6)
    for ax, (name, numbers) in zip(
        figure.subplots(1, len(values), squeeze=False).flat, values.items(), strict=True
    ):
        known = np.asarray(numbers, np.float64)
        known = known[np.isfinite(known)]
        if len(known):
            top = float(np.quantile(known, 0.99))  # a few huge errors would flatten the rest
            ax.hist(np.minimum(known, top), bins=_BINS, color="#4292c6")
        ax.set_xlabel(name)
        ax.set_ylabel("people")
    return save_figure(figure, path)


def draw_pckh_curves(ax: Axes, curves: Mapping[str, pd.DataFrame]) -> None:
    """Draw PCKh (Figure 6 left), a curve for each table (``threshold``, ``pckh``)."""
    for name, curve in curves.items():
        ax.plot(curve["threshold"], curve["pckh"].astype(float), label=name)
    ax.set_xlabel("normalized distance (head sizes)")
    ax.set_ylabel("PCKh, %")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 100)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
