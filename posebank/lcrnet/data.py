"""Which images make which batch, and samples as the network's input and targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from posebank.lcrnet.images import resized
from posebank.lcrnet.settings import TrainSettings
from posebank.lcrnet.targets import AnchorTensors, ImageTargets, image_targets
from posebank.shards import PoseShards, flip_sample
from posebank.shards.augment import Sample
from posebank.skeleton import JointState

Place = tuple[int, bool]
"""Row of an image in the data set, and whether to mirror it."""


@dataclass(frozen=True)
class Example:
    """An image (3, H, W) float 0-255 at the network's size, and its targets."""

    image: Tensor
    targets: ImageTargets
    image_id: str


def prepare(
    sample: Sample, anchors: AnchorTensors, settings: TrainSettings, *, flip: bool
) -> Example:
    """A sample of ``PoseShards`` as an example, mirrored if asked."""
    sample = flip_sample(sample) if flip else sample
    image, x_factor, y_factor = resized(sample["image"], settings)
    scale = torch.tensor([x_factor, y_factor])
    person_weight = torch.ones(len(sample["trust"]))
    if settings.trust_weighting:
        person_weight = sample["trust"].clamp(0, 1)
    targets = image_targets(
        sample["joints_2d"] * scale,
        sample["joints_3d"],
        sample["state"],
        _joint_weights(sample["state"], settings) * person_weight[:, None],
        person_weight,
        anchors,
        (int(image.shape[-2]), int(image.shape[-1])),
        sample["ignored_box"] * scale.repeat(2),
    )
    return Example(image, targets, sample["image_id"])


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
        row, flip = place
        return prepare(self.shards[row], self.anchors, self.settings, flip=flip)


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
        flips = np.random.default_rng([self.settings.seed, 2, iteration]).random(size) < 0.5
        return [
            (self._row(iteration * size + i), bool(flip and self.settings.mirror))
            for i, flip in enumerate(flips)
        ]

    def _row(self, position: int) -> int:
        epoch, place = divmod(position, self.n_images)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.settings.seed, 1, epoch])
            self._epoch, self._order = epoch, rng.permutation(self.n_images)
        return int(self._order[place])
