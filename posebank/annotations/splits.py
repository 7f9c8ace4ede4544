"""Which people train, validate and test: deterministic, and never across one video."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SettingsError
from posebank.types import People, texts

MPII_VAL_IMAGES = 1000
"""Images of MPII that the paper validates on (section 5.2)."""


def _unit_hash(text: str) -> float:
    """A number in [0, 1) that only the text decides, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def split_key(people: People) -> NDArray[np.object_]:
    """Return what must stay on one side: the video, or the image where no video is known."""
    return texts(
        f"{dataset}/{video or image}"
        for dataset, video, image in zip(people.dataset, people.video_id, people.image, strict=True)
    )


def hashed_split(key: str, val_fraction: float, seed: int) -> str:
    """Return ``val`` for a fraction of the keys, chosen by hash, ``train`` for the others.

    Examples
    --------
    >>> [hashed_split(f"image {i}", 0.5, seed=0) for i in range(4)]
    ['val', 'val', 'val', 'train']
    """
    return "val" if _unit_hash(f"{seed}/{key}") < val_fraction else "train"


def assign_splits(people: People, val_fraction: float = 0.1, seed: int = 0) -> People:
    """Give every person without a split one, ``train`` or ``val``, by hash of video or image.

    A person's split depends on nothing but the seed and the person's own video or image.

    Raises
    ------
    SettingsError
        If ``val_fraction`` is not in [0, 1].
    """
    if not 0 <= val_fraction <= 1:
        raise SettingsError(f"val_fraction: expected a number in [0, 1], got {val_fraction}")
    split = people.split.copy()
    keys = split_key(people)
    for row in np.flatnonzero(split == ""):
        split[row] = hashed_split(keys[row], val_fraction, seed)
    return replace(people, split=split)


def assign_mpii_splits(
    people: People, val_images: int = MPII_VAL_IMAGES, val_fraction: float = 0.1, seed: int = 0
) -> People:
    """Take ``val_images`` images out of the people without a split, whole videos at a time.

    Videos are visited in the order of a seeded hash and taken while they fit, so the number is
    reached exactly if there are videos of one image (MPII has thousands). Of a source with fewer
    images than ``val_images / val_fraction`` only ``val_fraction`` of them are taken; where no
    video is as small as that, the smallest, so that there is something to validate on.
    """
    if val_images < 0 or not 0 <= val_fraction <= 1:
        raise SettingsError(
            "expected val_images >= 0 and val_fraction in [0, 1], "
            f"got {val_images} and {val_fraction}"
        )
    free = people.split == ""
    keys = split_key(people)
    images: dict[str, set[str]] = {}
    for row in np.flatnonzero(free):
        images.setdefault(keys[row], set()).add(people.image[row])
    total = sum(map(len, images.values()))
    wanted = min(val_images, round(val_fraction * total))
    taken, chosen = 0, set()
    order = sorted(images, key=lambda k: (_unit_hash(f"{seed}/{k}"), k))
    for key in order:
        if taken + len(images[key]) <= wanted:
            chosen.add(key)
            taken += len(images[key])
    if wanted and not chosen and len(order) > 1:
        chosen.add(min(order, key=lambda k: len(images[k])))
    split = people.split.copy()
    split[free] = ["val" if key in chosen else "train" for key in keys[free]]
    return replace(people, split=split)
