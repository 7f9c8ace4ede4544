"""All anchor-poses in one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from posebank.artefacts import atomic_path
from posebank.skeleton import LIMBS, J
from posebank.types import Anchors

_COLOURS = {"r": "#d1495b", "l": "#00798c"}
_PER_ROW = 12


def anchor_sheet(anchors: Anchors, path: Path, *, kind: str = "full") -> None:
    """Draw every anchor-pose of a kind in its box, with the number of its poses, as a PNG.

    The person's right side is red, the left side blue, the rest grey. A limb is the darker the
    nearer it is to the camera.
    """
    chosen = anchors.take(anchors.kind == kind)
    columns = min(_PER_ROW, max(len(chosen), 1))
    rows = -(-len(chosen) // columns) or 1
    figure = Figure(figsize=(1.1 * columns, 1.5 * rows))
    FigureCanvasAgg(figure)
    for place in range(len(chosen)):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.set_title(f"{chosen.anchor_id[place]}: {chosen.count[place]:,}", fontsize=6, pad=2)
        _draw(axes, chosen.pose_2d[place], chosen.pose_3d[place])
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.96, wspace=0.05, hspace=0.25)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png", metadata={"Software": None})


def _draw(axes, pose_2d: np.ndarray, pose_3d: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    lines = [pose_2d[[J[a], J[b]]] for a, b in LIMBS]
    neck = pose_2d[[J["r_shoulder"], J["l_shoulder"]]].mean(axis=0)
    lines.append(np.stack([neck, pose_2d[J["head"]]]))
    depth = [pose_3d[[J[a], J[b]], 2].mean() for a, b in LIMBS] + [pose_3d[J["head"], 2]]
    near = 1 - 0.6 * (np.array(depth) - min(depth)) / max(np.ptp(depth), 1e-6)
    sides = [a[0] if a[:2] == b[:2] else "" for a, b in LIMBS] + [""]
    colours = [_COLOURS.get(side, "#555555") for side in sides]
    axes.add_collection(LineCollection(lines, colors=colours, alpha=list(near), linewidths=1.6))
    # The box is drawn in the shape that the pose has, not as a square.
    width, height = np.ptp(pose_3d[:, 0]), np.ptp(pose_3d[:, 1])
    span = np.ptp(pose_2d, axis=0)
    axes.set_aspect((height / max(span[1], 1e-6)) / max(width / max(span[0], 1e-6), 1e-6))
    axes.set_xlim(min(0, pose_2d[:, 0].min()), max(1, pose_2d[:, 0].max()))
    axes.set_ylim(max(1, pose_2d[:, 1].max()), min(0, pose_2d[:, 1].min()))
    axes.set_xticks([])
    axes.set_yticks([])
