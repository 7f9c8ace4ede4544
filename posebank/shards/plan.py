"""Which images go into which shard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebank.errors import ArtefactError, SettingsError
from posebank.types import SPLITS, LabelKeys, Labels


@dataclass(frozen=True)
class ShardSettings:
    """How shards are written.

    embed : store the image files' bytes; otherwise their paths.
    images_per_shard : images in one Parquet file. Files of 10 to 100 MB suit copying and
        streaming.
    images_per_row_group : images that are read at a time; a single image costs the reading of its
        row group, so few is better for random access.
    max_side : images whose longer side is longer are shrunk to it (JPEG, quality 95) and their
        2D labels with them; 0 keeps the original bytes of every image that is stored upright.
    """

    embed: bool = True
    images_per_shard: int = 256
    images_per_row_group: int = 16
    max_side: int = 0

    def __post_init__(self) -> None:
        for name in ("images_per_shard", "images_per_row_group"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}: expected at least 1, found {getattr(self, name)}")
        if self.max_side < 0:
            raise SettingsError(f"max_side: expected 0 or more pixels, found {self.max_side}")
        if self.max_side and not self.embed:
            raise SettingsError("max_side: expected 0 when images are not embedded")


@dataclass(frozen=True)
class ShardPlan:
    """One shard: its file name, and its rows in the labels."""

    name: str
    rows: NDArray[np.int64]


def plan_shards(labels: Labels | LabelKeys, settings: ShardSettings) -> list[ShardPlan]:
    """Distribute the labels over shards.

    Images are sorted by data set and name within each split, people by ``person_id`` within each
    image, so the order of the labels' rows does not matter. Nothing is read from disk.

    Returns
    -------
    Plans named ``train-00000.parquet`` and so on, train before val before test.

    Raises
    ------
    ArtefactError
        If the people of one image belong to different splits.
    """
    order = np.lexsort((labels.person_id, labels.image, labels.dataset))
    images = group_by_image(labels, order)
    split_of = {}
    for rows in images:
        splits = set(labels.split[rows])
        if len(splits) > 1:
            raise ArtefactError(
                f"{image_id(labels, rows[0])}: expected one split for all people of an image, "
                f"found {', '.join(sorted(splits))}"
            )
        split_of[int(rows[0])] = splits.pop()
    plans = []
    for split in SPLITS:
        chosen = [rows for rows in images if split_of[int(rows[0])] == split]
        for number, start in enumerate(range(0, len(chosen), settings.images_per_shard)):
            rows = np.concatenate(chosen[start : start + settings.images_per_shard])
            plans.append(ShardPlan(f"{split}-{number:05d}.parquet", rows))
    return plans


def group_by_image(labels: Labels | LabelKeys, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows of each image, images in the order in which ``order`` meets them together."""
    if len(order) == 0:
        return []
    dataset, image = labels.dataset[order], labels.image[order]
    new = np.flatnonzero((dataset[1:] != dataset[:-1]) | (image[1:] != image[:-1])) + 1
    return np.split(order, new)


def image_id(labels: Labels | LabelKeys, row: int | np.integer) -> str:
    """Return ``dataset/image``, which identifies an image from here on."""
    return f"{labels.dataset[row]}/{labels.image[row]}"
