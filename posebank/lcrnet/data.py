"""Which images make which batch, and samples as the network's input and targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from posebank.lcrnet.images import resize_factor
from posebank.lcrnet.settings import TrainSettings
from posebank.lcrnet.targets import AnchorTensors, ImageTargets, image_targets
from posebank.shards import Augmentation, PoseShards
from posebank.shards.augment import Sample
from posebank.skeleton import JointState

Place = tuple[int, int]
"""Row of an image in the data set, and its number among all images of the run."""


@dataclass(frozen=True)
class Example:
    """An image (3, H, W) uint8 at the network's size, and its targets."""

    image: Tensor
    targets: ImageTargets
    image_id: str


@dataclass(frozen=True)
class Batch:
    """Examples with each field of all of them in one tensor.

    What decodes images hands over a dozen tensors for a batch, and so many go to the device,
    rather than a dozen for each image.

    Parameters
    ----------
    pixels : Tensor
        The images' values one after the other, uint8.
    sizes : list of (int, int)
        Height and width of each image.
    targets : ImageTargets
        The fields of all images' targets, image after image.
    lengths : dict of str to list of int
        For each field of the targets, how many rows are of each image.
    image_ids : list of str
        Identifiers of the images.
    """

    pixels: Tensor
    sizes: list[tuple[int, int]]
    targets: ImageTargets
    lengths: dict[str, list[int]]
    image_ids: list[str]

    @classmethod
    def of(cls, examples: Sequence[Example], tiles: int = 1) -> Batch:
        """Join examples, as images of ``tiles`` x ``tiles`` of them."""
        if tiles > 1:
            starts = range(0, len(examples), tiles**2)
            examples = [tiled(examples[start : start + tiles**2], tiles) for start in starts]
        targets = [example.targets for example in examples]
        names = [field.name for field in fields(ImageTargets)]
        return cls(
            torch.cat([example.image.flatten() for example in examples]),
            [(int(e.image.shape[1]), int(e.image.shape[2])) for e in examples],
            ImageTargets.concat(targets),
            {name: [len(getattr(t, name)) for t in targets] for name in names},
            [example.image_id for example in examples],
        )

    def examples(self, device: torch.device) -> list[Example]:
        """Return the examples, on a device."""
        moved = self.targets.to(device)
        columns = {name: getattr(moved, name).split(n) for name, n in self.lengths.items()}
        pixels = self.pixels.to(device).split([3 * height * width for height, width in self.sizes])
        return [
            Example(
                pixels[row].view(3, height, width),
                ImageTargets(**{name: values[row] for name, values in columns.items()}),
                image_id,
            )
            for row, ((height, width), image_id) in enumerate(
                zip(self.sizes, self.image_ids, strict=True)
            )
        ]


def tiled(examples: Sequence[Example], tiles: int) -> Example:
    """Return square examples of one size as one image, ``tiles`` in a row.

    Parameters
    ----------
    examples : sequence of Example
        At most ``tiles`` x ``tiles`` of them; places without one stay black.
    tiles : int
        Examples in a row and in a column.
    """
    side = examples[0].image.shape[-1]
    image = torch.zeros(3, tiles * side, tiles * side, dtype=torch.uint8)
    moved, n_people = [], 0
    for place, example in enumerate(examples):
        row, column = divmod(place, tiles)
        y, x = row * side, column * side
        image[:, y : y + side, x : x + side] = example.image
        corner, targets = torch.tensor([x, y]), example.targets
        moved.append(
            replace(
                targets,
                boxes=targets.boxes + corner.repeat(2),
                ignored=targets.ignored + corner.repeat(2),
                joints_2d=targets.joints_2d + corner,
                person=targets.person + n_people,
            )
        )
        n_people += len(targets.joints_2d)
    return Example(image, ImageTargets.concat(moved), ", ".join(e.image_id for e in examples))


def augmentation(settings: TrainSettings) -> Augmentation:
    """Return the random changes that the settings ask for."""
    return Augmentation(
        flip=0.5 if settings.mirror else 0.0,
        scale=settings.scale,
        crop=0.0,
        rotation_deg=settings.rotation_deg,
        shift=settings.shift,
        window=settings.window,
        brightness=settings.colour,
        contrast=settings.colour,
        saturation=settings.colour,
        hue=0.0,
    )


def prepare(
    sample: Sample, anchors: AnchorTensors, settings: TrainSettings, rng: np.random.Generator
) -> Example:
    """Return a sample of ``PoseShards`` as an example, changed at random."""
    height, width = sample["image"].shape[-2:]
    zoom = resize_factor(height, width, settings)
    sample = augmentation(settings)(sample, rng, zoom=zoom)
    person_weight = torch.ones(len(sample["trust"]))
    if settings.trust_weighting:
        person_weight = sample["trust"].clamp(0, 1)
    targets = image_targets(
        sample["joints_2d"],
        sample["joints_3d"],
        sample["state"],
        _joint_weights(sample["state"], settings) * person_weight[:, None],
        person_weight,
        anchors,
        (int(sample["height"]), int(sample["width"])),
        sample["ignored_box"],
    )
    return Example(sample["image"], targets, sample["image_id"])


def _joint_weights(state: Tensor, settings: TrainSettings) -> Tensor:
    """Weight (n, 13) of each joint's regression."""
    weight = torch.ones(state.shape)
    weight[state == JointState.MISSING] = 0
    if not settings.occluded_joints:
        weight[state == JointState.OCCLUDED] = 0
    if not settings.completed_joints:
        weight[state == JointState.COMPLETED] = 0
    return weight


class TrainingImages(Dataset[Example]):
    """The shards as examples, indexed by ``Place``."""

    def __init__(self, shards: PoseShards, anchors: AnchorTensors, settings: TrainSettings) -> None:
        self.shards, self.anchors, self.settings = shards, anchors, settings

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, place: Place) -> Example:
        row, number = place
        rng = np.random.default_rng([self.settings.seed, 2, number])
        return prepare(self.shards[row], self.anchors, self.settings, rng)


class Batches(Sampler[list[Place]]):
    """The batches from iteration ``start`` on: every image once an epoch, in a random order.

    A batch depends on the seed and on its number alone, so that a resumed run sees the same ones.
    Of ``world_size`` processes, process ``rank`` gets every ``world_size``-th image of a batch.
    """

    def __init__(
        self, n_images: int, settings: TrainSettings, start: int, rank: int, world_size: int
    ) -> None:
        self.n_images, self.settings, self.start = n_images, settings, start
        self.rank, self.world_size = rank, world_size
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def __len__(self) -> int:
        return self.settings.iterations - self.start

    def __iter__(self) -> Iterator[list[Place]]:
        for iteration in range(self.start, self.settings.iterations):
            yield self.batch(iteration)[self.rank :: self.world_size]

    def batch(self, iteration: int) -> list[Place]:
        """All places of one batch."""
        size = self.settings.images_per_batch
        numbers = range(iteration * size, (iteration + 1) * size)
        return [(self._row(number), number) for number in numbers]

    def _row(self, position: int) -> int:
        epoch, place = divmod(position, self.n_images)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.settings.seed, 1, epoch])
            self._epoch, self._order = epoch, rng.permutation(self.n_images)
        return int(self._order[place])
