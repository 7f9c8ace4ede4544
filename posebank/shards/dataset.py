"""Shards as a torch map-style data set."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset
from torchvision.io import ImageReadMode, decode_jpeg

from posebank.errors import ArtefactError
from posebank.shards.augment import Sample
from posebank.shards.read import GroupImages, PartLabels, ShardFiles, ShardFilter

_ARRAYS = (
    "joints_2d", "joints_3d", "state", "trust", "error_mm", "box", "head_box", "single_person",
    "n_annotated",
)  # fmt: skip
_ANCHORS = ("anchor_id", "anchor_id_flipped")
_TEXTS = ("person_id", "group_id")
_JPEG_MAGIC = b"\xff\xd8\xff"
_LABEL_CACHE_BYTES = 256 << 20
_IMAGE_CACHE_BYTES = 64 << 20

Groups = OrderedDict[tuple[int, int], GroupImages]


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
        folder: Path,
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
        self.files = ShardFiles(folder, (*_ARRAYS, *_ANCHORS, *_TEXTS))
        self.places = self.files.index(self.filter)
        self.image_roots = image_roots
        self.decode = decode
        self.transform = transform
        self._labels: OrderedDict[int, PartLabels] = OrderedDict()
        self._images: Groups = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_labels": OrderedDict(), "_images": OrderedDict()}

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Sample]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Sample:
        if not -len(self) <= number < len(self):
            raise IndexError(f"expected a number below {len(self)}, found {number}")
        sample = self.read(number, self._images)
        _forget_oldest(self._images, _IMAGE_CACHE_BYTES)
        return sample if self.transform is None else self.transform(sample)

    def read(self, number: int, groups: Groups) -> Sample:
        """The sample without ``transform``, its images taken from or added to ``groups``."""
        part, row = int(self.places.part[number]), int(self.places.row_in_part[number])
        if part not in self._labels:
            self._labels[part] = self.files.labels(part)
            _forget_oldest(self._labels, _LABEL_CACHE_BYTES)
        self._labels.move_to_end(part)
        labels = self._labels[part]
        sample = self._sample(labels, row)
        if self.decode:
            key = (part, int(self.places.group[number]))
            if key not in groups:
                groups[key] = self.files.images(*key)
            groups.move_to_end(key)
            data = self._image_bytes(groups[key], int(self.places.row[number]), labels, row)
            sample["image"] = decode_image(data, sample["image_id"])
        return sample

    def _sample(self, labels: PartLabels, row: int) -> Sample:
        everyone = slice(labels.start[row], labels.start[row + 1])
        people, columns = labels.people, labels.columns
        kept = self.filter.keeps(people["trust"][everyone], people["n_annotated"][everyone])
        flags = kept.tolist()
        return {
            "image_id": columns["image_id"][row],
            "width": columns["image_width"][row],
            "height": columns["image_height"][row],
            # A mask copies, so what the caller changes is the caller's own.
            **{name: torch.from_numpy(people[name][everyone][kept]) for name in _ARRAYS},
            **{
                name: torch.from_numpy(people[name][everyone][kept].astype(np.int64))
                for name in _ANCHORS
            },
            **{name: list(compress(people[name][everyone], flags)) for name in _TEXTS},
            "ignored_box": torch.from_numpy(people["box"][everyone][~kept]),
        }

    def _image_bytes(
        self, images: GroupImages, row: int, labels: PartLabels, row_in_part: int
    ) -> NDArray[np.uint8]:
        """The image file's bytes, embedded or from its own file."""
        embedded = images.data[row]
        if embedded.is_valid:
            return np.frombuffer(embedded.as_buffer(), np.uint8)
        path = Path(images.path[row].as_py())
        if self.image_roots is not None:
            root = self.image_roots[labels.columns["dataset"][row_in_part]]
            path = Path(root) / labels.columns["image"][row_in_part]
        try:
            return np.frombuffer(path.read_bytes(), np.uint8)
        except OSError as error:
            raise ArtefactError(
                f"{path}: expected the image that {self.files.folder} refers to: {error.strerror}"
            ) from error


def _forget_oldest(held: OrderedDict[Any, Any], most_bytes: int) -> None:
    while len(held) > 1 and sum(entry.nbytes for entry in held.values()) > most_bytes:
        held.popitem(last=False)


def decode_image(data: NDArray[np.uint8], where: str) -> torch.Tensor:
    """Decode an image file's bytes to uint8 (3, height, width), RGB.

    Raises
    ------
    ArtefactError
        If the bytes do not decode; ``where`` names them.
    """
    try:
        if data[:3].tobytes() == _JPEG_MAGIC:
            # The copy also makes the bytes writable, which torch wants of what it wraps.
            return decode_jpeg(torch.from_numpy(data.copy()), mode=ImageReadMode.RGB)
        with Image.open(io.BytesIO(data.tobytes())) as image:
            pixels = np.array(image.convert("RGB"))
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    except Exception as error:  # both decoders raise many kinds
        raise ArtefactError(f"{where}: expected an image that decodes: {error}") from error


class SampleBatch(list[Sample]):
    """A list of samples that is cheap to send from a loader's worker.

    torch sends every tensor through a shared-memory file of its own, which costs more than copying
    for the dozen small ones of a sample. So only the images go that way; the labels travel inside
    the message.
    """

    def __reduce__(self) -> tuple[Callable[..., SampleBatch], tuple[list[Sample]]]:
        return _unpacked, ([_packed(sample) for sample in self],)


def _packed(sample: Sample) -> Sample:
    return {
        name: value.numpy() if isinstance(value, torch.Tensor) and name != "image" else value
        for name, value in sample.items()
    }


def _unpacked(samples: list[Sample]) -> SampleBatch:
    return SampleBatch(
        {
            name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for name, value in sample.items()
        }
        for sample in samples
    )


def collate_samples(samples: Sequence[Sample]) -> SampleBatch:
    """The samples as they are, in a list: images differ in size and people in number.

    Give it to the ``DataLoader`` as its ``collate_fn``.
    """
    return SampleBatch(samples)
