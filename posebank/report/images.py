"""Find the images of a report, and save its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from posebank.artefacts import atomic_path, one_version, part_path, read_manifest
from posebank.errors import SourceError
from posebank.images import decode_image, read_image
from posebank.parquet import read_parquet, read_row

ImageOf = Callable[[str], NDArray[np.uint8] | None]
"""Gives the RGB image (height, width, 3) of an ``image_id``, None where it is not at hand."""


def no_image(image_id: str) -> None:
    """Return None: no image is at hand."""


def find_image(roots: Mapping[str, Path], dataset: str, name: str) -> NDArray[np.uint8] | None:
    """Return an image of a data set; None without its folder or if it cannot be read."""
    if dataset not in roots:
        return None
    try:
        return read_image(Path(roots[dataset]) / name)
    except SourceError:
        return None


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of its own (inches), apart from any window or notebook."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path, dpi: int = 110) -> Path:
    """Write a PNG, whole or not at all; equal figures give equal bytes."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": None})
    return path


def images_in_folders(roots: Mapping[str, Path]) -> ImageOf:
    """Return images from the folders of data sets; ``image_id`` is ``dataset/image``."""

    def image_of(image_id: str) -> NDArray[np.uint8] | None:
        dataset, _, name = image_id.partition("/")
        return find_image(roots, dataset, name)

    return image_of


def images_in_shards(folder: Path) -> ImageOf:
    """Return images in the shards: their bytes, or the file that stands in for them.

    Raises
    ------
    ArtefactError
        If the shards are missing or unfinished, or are made again before an image is read.
    """
    manifest = read_manifest(folder, "shards")
    with one_version(folder, manifest):
        place = {
            image_id: (path, row)
            for path in (part_path(folder, part) for part in manifest.tables)
            for row, image_id in enumerate(read_parquet(path, ["image_id"]).column(0).to_pylist())
        }

    def image_of(image_id: str) -> NDArray[np.uint8] | None:
        if image_id not in place:
            return None
        path, row = place[image_id]
        with one_version(folder, manifest):
            found = read_row(path, row, ["image_file"])
        try:
            if found["image_file"]["bytes"]:
                return decode_image(found["image_file"]["bytes"], image_id)
            return read_image(Path(found["image_file"]["path"]))
        except SourceError:
            return None

    return image_of
