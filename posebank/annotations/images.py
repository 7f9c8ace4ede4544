"""Sizes of images, from their headers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from posebank.errors import Rejected, SourceError
from posebank.images import image_size
from posebank.types import People


def image_sizes(
    folder: Path, names: Iterable[str]
) -> tuple[dict[str, tuple[int, int]], list[Rejected]]:
    """Return the upright width and height of the images that exist, and the unreadable ones."""
    sizes: dict[str, tuple[int, int]] = {}
    bad = []
    for name in sorted(set(names)):
        path = folder / name
        if not path.exists():
            continue
        try:
            sizes[name] = image_size(path)
        except SourceError as error:
            bad.append(Rejected(error.where, error.reason))
    return sizes, bad


def with_image_sizes(people: People, folder: Path | None) -> tuple[People, list[Rejected]]:
    """Fill in the sizes that the source does not give, from the images in ``folder``."""
    unknown = (people.image_width <= 0) | (people.image_height <= 0)
    if folder is None or not unknown.any():
        return people, []
    sizes, bad = image_sizes(folder, people.image[unknown])
    width, height = people.image_width.copy(), people.image_height.copy()
    for row in np.flatnonzero(unknown):
        width[row], height[row] = sizes.get(people.image[row], (0, 0))
    return replace(people, image_width=width, image_height=height), bad
