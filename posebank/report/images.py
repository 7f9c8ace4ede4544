"""Opening images and saving figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from posebank.artefacts import atomic_path
from posebank.errors import SourceError


def open_image(path: Path) -> NDArray[np.uint8]:
    """RGB image (height, width, 3).

    Raises
    ------
    SourceError
        If it is missing or damaged.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises SyntaxError on bad chunks
        raise SourceError(path, f"expected an image: {error}") from error


def find_image(roots: Mapping[str, Path], dataset: str, name: str) -> NDArray[np.uint8] | None:
    """Image of a data set, None where its folder is not given or the image cannot be read."""
    if dataset not in roots:
        return None
    try:
        return open_image(Path(roots[dataset]) / name)
    except SourceError:
        return None


def new_figure(width: float, height: float) -> Figure:
    """A figure of its own (inches), apart from any window or notebook."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path, dpi: int = 110) -> Path:
    """Write a PNG, whole or not at all; equal figures give equal bytes."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": None})
    return path
