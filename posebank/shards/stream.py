"""Shards as a torch iterable data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch.utils.data import IterableDataset, get_worker_info

from posebank.errors import SettingsError
from posebank.shards.augment import Sample
from posebank.shards.dataset import PoseShards
from posebank.shards.order import epoch_order, of_rank, of_worker

_AT_A_TIME = 4  # images decoded in one call, which costs a few percent of decoding one


class PoseStream(IterableDataset[Sample]):
    """The samples of ``PoseShards`` in an order of its own, dealt out to ranks and workers.

    Each image comes exactly once in an epoch, over all ranks and all workers of their loaders.
    Ranks get consecutive parts of the epoch's order, of equal length to within one image. Give
    the loader the same ``batch_size``: its output is then the same sequence for any number of
    workers, and a run can go on in mid-epoch after a restart.

    Parameters
    ----------
    shards : what to read, with its filters; its own ``transform`` is not used here.
    transform : a function of a sample and a ``numpy.random.Generator``, such as
        ``posebank.shards.Augmentation``. The generator depends on the seed, the epoch and the
        sample alone, so a resumed run changes samples as the first one would have.
    batch_size : of the loader; workers take whole batches in turn.
    seed : of the order; equal on all ranks.
    shuffle : False reads in the order of the shards.
    window : images that are shuffled together (see ``posebank.shards.order``). The workers of a
        loader hold this many image files in memory between them.
    rank, world_size : of this process; by default those of ``torch.distributed``, if it is on.

    Examples
    --------
    ::

        stream = PoseStream(PoseShards(folder, "train"), batch_size=8, seed=0)
        loader = DataLoader(stream, batch_size=8, num_workers=2, collate_fn=collate_samples)
        for epoch in range(stream.epoch, n_epochs):
            stream.set_epoch(epoch, start=stream.start if epoch == stream.epoch else 0)
            for batch in loader:
                ...                      # train
                seen += len(batch)
                state = stream.state(seen)   # put it into the checkpoint
        ...
        stream.load_state(state)         # after a restart: the rest of that epoch
    """

    def __init__(
        self,
        shards: PoseShards,
        *,
        transform: Callable[[Sample, np.random.Generator], Sample] | None = None,
        batch_size: int = 1,
        seed: int = 0,
        shuffle: bool = True,
        window: int = 1024,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        if batch_size < 1 or window < 1:
            raise SettingsError(
                f"expected batch_size and window of at least 1, found {batch_size} and {window}"
            )
        on = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.rank = (torch.distributed.get_rank() if on else 0) if rank is None else rank
        if world_size is None:
            world_size = torch.distributed.get_world_size() if on else 1
        self.world_size = world_size
        if not 0 <= self.rank < self.world_size:
            raise SettingsError(f"expected a rank in [0, {self.world_size}), found {self.rank}")
        self.shards = shards
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.window = window
        self.transform = transform
        # Shared memory: workers that persist over epochs see the change.
        self._place = torch.zeros(2, dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The epoch that the next iteration reads."""
        return int(self._place[0])

    @property
    def start(self) -> int:
        """How many of this rank's samples in that epoch are skipped."""
        return int(self._place[1])

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch, and how many of this rank's samples in it to skip."""
        self._place[0], self._place[1] = epoch, start

    def state(self, seen: int) -> dict[str, Any]:
        """What to remember to go on after ``seen`` samples of this rank in this epoch.

        ``seen`` counts from the beginning of the epoch, resumed or not.
        """
        return {**self._identity(), "epoch": self.epoch, "seen": seen}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken.

        Raises
        ------
        SettingsError
            If the shards, the filters, the seed or the number of ranks have changed: the order
            would be another one.
        """
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise SettingsError(
                    f"resume: expected {name} = {state.get(name)} as when the state was taken, "
                    f"found {value}"
                )
        self.set_epoch(int(state["epoch"]), int(state["seen"]))

    def _identity(self) -> dict[str, Any]:
        """What the order depends on."""
        return {
            "content": self.shards.files.content,
            "filter": repr(self.shards.filter),
            "seed": self.seed,
            "shuffle": self.shuffle,
            "window": self.window,
            "rank": self.rank,
            "world_size": self.world_size,
        }

    def __len__(self) -> int:
        first, after = of_rank(len(self.shards), self.rank, self.world_size)
        return max(after - first - self.start, 0)

    def __iter__(self) -> Iterator[Sample]:
        epoch = self.epoch
        order, ends = epoch_order(
            self.shards.places,
            seed=self.seed,
            epoch=epoch,
            window=self.window,
            shuffle=self.shuffle,
        )
        first, after = of_rank(len(order), self.rank, self.world_size)
        info = get_worker_info()
        worker, n_workers = (0, 1) if info is None else (info.id, info.num_workers)
        mine = of_worker(first + self.start, after, worker, n_workers, self.batch_size)
        for window in np.split(mine, np.searchsorted(mine, ends[:-1])):
            groups = self.shards.image_files(order[window])
            numbers = order[window].tolist()
            for first_of_few in range(0, len(numbers), _AT_A_TIME):
                few = numbers[first_of_few : first_of_few + _AT_A_TIME]
                for number, sample in zip(few, self.shards.read(few, groups), strict=True):
                    if self.transform is None:
                        yield sample
                        continue
                    rng = np.random.default_rng([self.seed, epoch, number])
                    yield self.transform(sample, rng)
