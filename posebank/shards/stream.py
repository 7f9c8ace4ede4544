"""Shards as a torch iterable data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from posebank.errors import SettingsError
from posebank.shards.ahead import ahead
from posebank.shards.augment import Sample
from posebank.shards.dataset import Groups, PoseShards, decoded
from posebank.shards.order import epoch_order, of_rank, of_worker

_AT_A_TIME = 4  # images of one task of a thread, which costs a few percent of decoding one
_TASKS_AHEAD = 4  # of each thread


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
    window : images that are shuffled together (see ``posebank.shards.order``). The next window is
        read while one is in use, so the workers of a loader hold twice as many image files in
        memory between them.
    threads : threads that decode and transform ahead of the reader, in each process; 0 does it
        when a sample is asked for. With a loader of ``num_workers=0`` this is the fastest way to
        read: pixels need not travel between processes. Workers serve a slow ``transform`` in
        Python better.
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
        threads: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("window", window, 1),
            ("threads", threads, 0),
        ):
            if value < least:
                raise SettingsError(f"{name}: expected at least {least}, found {value}")
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
        self.threads = threads
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
        """Return what is needed to go on after ``seen`` samples of this rank in this epoch.

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

        def finished(few: tuple[list[int], list[Sample]]) -> list[Sample]:
            numbers, samples = few
            samples = decoded(samples)
            if self.transform is None:
                return samples
            rngs = (np.random.default_rng([self.seed, epoch, number]) for number in numbers)
            return [self.transform(s, rng) for s, rng in zip(samples, rngs, strict=True)]

        most = _TASKS_AHEAD * self.threads
        for some in ahead(finished, self._undecoded(), threads=self.threads, most=most):
            yield from some

    def _undecoded(self) -> Iterator[tuple[list[int], list[Sample]]]:
        """A few samples at a time, with their numbers; their images are still files."""

        def read(window: NDArray[np.int64]) -> tuple[list[int], Groups]:
            return window.tolist(), self.shards.image_files(window)

        for numbers, files in ahead(read, self._windows(), threads=1):
            for first in range(0, len(numbers), _AT_A_TIME):
                few = numbers[first : first + _AT_A_TIME]
                yield few, self.shards.undecoded(few, files)

    def _windows(self) -> list[NDArray[np.int64]]:
        """The numbers that this worker of this rank reads in this epoch, window by window."""
        order, ends = epoch_order(
            self.shards.places,
            seed=self.seed,
            epoch=self.epoch,
            window=self.window,
            shuffle=self.shuffle,
        )
        first, after = of_rank(len(order), self.rank, self.world_size)
        info = get_worker_info()
        worker, n_workers = (0, 1) if info is None else (info.id, info.num_workers)
        mine = of_worker(first + self.start, after, worker, n_workers, self.batch_size)
        return np.split(order[mine], np.searchsorted(mine, ends[:-1]))
