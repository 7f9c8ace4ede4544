"""Shards as a torch map-style data set."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset
from torch.utils.dlpack import from_dlpack

from posebank.errors import ArtefactError, SourceError
from posebank.images import decode_image, read_image
from posebank.shards.augment import Sample
from posebank.shards.read import GroupImages, PartLabels, ShardFiles, ShardFilter

_ARRAYS = (
    "joints_2d",
    "joints_3d",
    "state",
    "trust",
    "error_mm",
    "box",
    "head_box",
    "single_person",
    "n_annotated",
)
_ANCHORS = ("anchor_id", "anchor_id_flipped")
_TEXTS = ("person_id", "group_id")
_LABEL_CACHE_BYTES = 256 << 20
_IMAGE_CACHE_BYTES = 64 << 20

Groups = OrderedDict[tuple[int, int], "_Group"]
"""Image files in memory: (part, row group) -> its images."""


class PoseShards(Dataset[Sample]):
    """Images with their labelled people, by number, in the order of the shards.

    Parameters
    ----------
    folder : a finished ``shards`` artefact.
    split : ``train``, ``val``, ``test``, or None for all.
    datasets : annotation data sets to read; None is all.
    min_trust : people with a lower trust are left out.
    min_annotated : people with fewer annotated joints are left out.
    image_roots : where images live that are referenced, not embedded: a folder for each data set.
        Without it the paths written at the time are used.
    decode : False leaves the images out, for work on labels alone.
    transform : a function from sample to sample, see ``posebank.shards.augment``.

    Each sample is a dict of

    ========================  ================================================================
    image                     uint8 (3, height, width), RGB; absent without ``decode``
    image_id                  ``dataset/image``
    width, height             of the image, px
    joints_2d                 float32 (n, 13, 2), px
    joints_3d                 float32 (n, 13, 3), m, camera axes, body-centred
    state                     uint8 (n, 13), see ``posebank.skeleton.JointState``
    trust, error_mm           float32 (n,)
    anchor_id                 int64 (n,), closest full-body anchor-pose
    anchor_id_flipped         int64 (n,), the same for the mirrored pose
    box, head_box             float32 (n, 4), x1 y1 x2 y2 px; head_box is NaN where unknown
    single_person             int8 (n,), 1, 0, or -1 where unknown
    n_annotated               int32 (n,)
    person_id, group_id       list of n texts; group_id is "" where there is none
    ignored_box               float32 (m, 4): people who were left out, so that a detector need
                              not learn that they are background
    ========================  ================================================================

    Raises
    ------
    ArtefactError
        If the artefact is missing, unfinished, damaged, or of another version.
    """

    def __init__(
        self,
        folder: Path | str,
        split: str | None = None,
        min_trust: float = 0.0,
        *,
        datasets: Sequence[str] | None = None,
        min_annotated: int = 0,
        image_roots: Mapping[str, Path] | None = None,
        decode: bool = True,
        transform: Callable[[Sample], Sample] | None = None,
    ) -> None:
        self.filter = ShardFilter(
            split, None if datasets is None else tuple(datasets), min_trust, min_annotated
        )
        self.files = ShardFiles(Path(folder), (*_ARRAYS, *_ANCHORS, *_TEXTS))
        self.places = self.files.index(self.filter)
        self.image_roots = image_roots
        self.decode = decode
        self.transform = transform
        self._parts: OrderedDict[int, _Part] = OrderedDict()
        self._images: Groups = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_parts": OrderedDict(), "_images": OrderedDict()}

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Sample]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Sample:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[Sample]:
        """Several samples, as a ``DataLoader`` asks for a batch."""
        for number in numbers:
            if not -len(self) <= number < len(self):
                raise IndexError(f"expected a number below {len(self)}, found {number}")
        samples = self.read(numbers, self._images)
        _forget_oldest(self._images, _IMAGE_CACHE_BYTES)
        return samples if self.transform is None else [self.transform(s) for s in samples]

    def read(self, numbers: Sequence[int], groups: Groups) -> list[Sample]:
        """Return samples without ``transform``, their images taken from or added to ``groups``."""
        return decoded(self.undecoded(numbers, groups))

    def undecoded(self, numbers: Sequence[int], groups: Groups) -> list[Sample]:
        """Return the samples as ``read`` gives them, but ``image`` is the file, for ``decoded``."""
        samples = []
        for number in numbers:
            part, row = int(self.places.part[number]), int(self.places.row_in_part[number])
            sample = self._part(part).sample(row)
            if self.decode:
                key = (part, int(self.places.group[number]))
                sample["image"] = self._image_file(key, int(self.places.row[number]), row, groups)
            samples.append(sample)
        return samples

    def image_files(self, numbers: NDArray[np.int64]) -> Groups:
        """Return the image files of these samples in memory, and no others, to ``read`` from."""
        groups: Groups = OrderedDict()
        if not self.decode:
            return groups
        rows: dict[tuple[int, int], list[int]] = {}
        for number in np.sort(numbers):
            key = (int(self.places.part[number]), int(self.places.group[number]))
            rows.setdefault(key, []).append(int(self.places.row[number]))
        for key, wanted in rows.items():
            groups[key] = _Group(self.files.images(*key, wanted), wanted)
        return groups

    def _part(self, part: int) -> _Part:
        if part not in self._parts:
            self._parts[part] = _Part(self.files.labels(part, self.filter))
            _forget_oldest(self._parts, _LABEL_CACHE_BYTES)
        self._parts.move_to_end(part)
        return self._parts[part]

    def _image_file(
        self, key: tuple[int, int], row: int, row_in_part: int, groups: Groups
    ) -> torch.Tensor | str:
        """The image file: its bytes (n_bytes,), or the path of a referenced one."""
        if key not in groups:
            groups[key] = _Group(self.files.images(*key))
        groups.move_to_end(key)
        group = groups[key]
        place = row if group.place is None else group.place[row]
        path = None if group.path is None else group.path[place]
        if path is None:
            return group.data[group.start[place] : group.start[place + 1]]
        if self.image_roots is None:
            return path
        columns = self._part(key[0]).columns
        root = self.image_roots[columns["dataset"][row_in_part]]
        return str(Path(root) / columns["image"][row_in_part])


class _Part:
    """The labels of one part, cut into samples."""

    def __init__(self, labels: PartLabels) -> None:
        self.columns = labels.columns
        self.nbytes = labels.nbytes
        self._arrays = {name: labels.people[name] for name in _ARRAYS}
        self._arrays |= {name: labels.people[name].astype(np.int64) for name in _ANCHORS}
        self._texts = {name: labels.people[name] for name in _TEXTS}
        self._start = (labels.start - labels.start[0]).tolist()
        self._ignored = labels.ignored_box
        self._ignored_start = labels.ignored_start.tolist()

    def sample(self, row: int) -> Sample:
        """Return the labels of one image in arrays of their own."""
        columns, everyone = self.columns, slice(self._start[row], self._start[row + 1])
        ignored = self._ignored[self._ignored_start[row] : self._ignored_start[row + 1]]
        # numpy cuts and copies small arrays in half of torch's time.
        return {
            "image_id": columns["image_id"][row],
            "width": columns["image_width"][row],
            "height": columns["image_height"][row],
            **{n: torch.from_numpy(values[everyone].copy()) for n, values in self._arrays.items()},
            "ignored_box": torch.from_numpy(ignored.copy()),
            **{n: values[everyone] for n, values in self._texts.items()},
        }


class _Group:
    """The image files of a row group, with their bytes as a tensor.

    rows : the rows of the group that ``images`` holds; None is all.
    """

    def __init__(self, images: GroupImages, rows: Sequence[int] | None = None) -> None:
        self.place = None if rows is None else {row: place for place, row in enumerate(rows)}
        self.data = from_dlpack(images.data)  # shares the memory of Arrow
        self.start = images.start
        self.path = images.path
        self.nbytes = images.nbytes


def _forget_oldest(held: OrderedDict[Any, Any], most_bytes: int) -> None:
    total = sum(entry.nbytes for entry in held.values())
    while len(held) > 1 and total > most_bytes:
        total -= held.popitem(last=False)[1].nbytes


def decoded(samples: list[Sample]) -> list[Sample]:
    """Put pixels, uint8 (3, height, width), RGB, in the place of the samples' image files.

    Leaves Python's lock while it decodes, and touches nothing but the samples: it may run in
    threads.

    Raises
    ------
    ArtefactError
        If a file is missing or does not decode.
    """
    for sample in samples:
        if "image" in sample:
            sample["image"] = _pixels(sample["image"], sample["image_id"])
    return samples


def _pixels(file: torch.Tensor | str, image_id: str) -> torch.Tensor:
    try:
        if isinstance(file, str):
            pixels = read_image(Path(file))
        else:
            pixels = decode_image(file.numpy(), image_id)
    except SourceError as error:
        raise ArtefactError(f"{image_id}: {error}") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)
