"""Batches of samples that are cheap to send from one process to another."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing import reduction
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from posebank.shards.augment import Sample

_Joined = tuple[Any, list[Any]]
"""A column of a batch in one memory, and the length or size that each sample has of it."""


class SampleBatch(list[Sample]):
    """A list of samples that is cheap to send from a loader's worker.

    torch sends every tensor through a shared-memory file of its own, and a new file costs more
    than decoding an image. So between processes the images of a batch go through one, and its
    labels, joined column by column, inside the message. What arrives are views of one memory for
    each column.
    """


def _reduce(batch: SampleBatch) -> tuple[Callable[..., SampleBatch], tuple[Any, ...]]:
    columns = {}
    for name in batch[0] if batch else ():
        values = [v for sample in batch if isinstance(v := sample.get(name), torch.Tensor)]
        if len(values) == len(batch):
            joined = _join_images(values) if name == "image" else _join(values)
            if joined is not None:
                columns[name] = joined
    rest = [{n: v for n, v in sample.items() if n not in columns} for sample in batch]
    return _batch, (rest, columns)


reduction.ForkingPickler.register(
    SampleBatch, _reduce
)  # what is sent to another process; not plain pickles


def _batch(rest: Sequence[Sample], columns: Mapping[str, _Joined]) -> SampleBatch:
    batch = SampleBatch(rest)
    for name, (joined, sizes) in columns.items():
        values = _cut_images(joined, sizes) if name == "image" else _cut(joined, sizes)
        for sample, value in zip(batch, values, strict=True):
            sample[name] = value
    return batch


def _join(values: Sequence[torch.Tensor]) -> _Joined | None:
    """Tensors one after the other along their first axis; None where they do not fit."""
    if any(value.ndim == 0 for value in values):
        return None
    if len({(value.dtype, value.shape[1:]) for value in values}) > 1:
        return None
    return np.concatenate([value.numpy() for value in values]), [len(value) for value in values]


def _cut(joined: NDArray[Any], lengths: list[int]) -> Iterable[torch.Tensor]:
    result: Iterable[torch.Tensor] = torch.from_numpy(joined).split(lengths)
    return result


def _join_images(images: Sequence[torch.Tensor]) -> _Joined | None:
    """Images (depth, height, width) in one shared memory; None where they are something else."""
    if any(image.ndim != 3 for image in images) or len({image.dtype for image in images}) > 1:
        return None
    # Decoders give channels last: flattened in this order nothing is copied twice.
    flat = [image.permute(1, 2, 0).reshape(-1) for image in images]
    sizes = [(*image.shape[1:], image.shape[0]) for image in images]
    if not hasattr(os, "memfd_create"):
        shared = flat[0].new_empty(sum(map(len, flat))).share_memory_()
        return torch.cat(flat, out=shared), sizes
    # Writing a file costs half of what touching new shared memory page by page does.
    with os.fdopen(os.memfd_create("images"), "wb") as file:
        for one in flat:
            file.write(one.numpy().data)
        file.flush()
        return _SharedFile(reduction.DupFd(file.fileno()), file.tell(), flat[0].dtype), sizes


class _SharedFile(NamedTuple):
    """A file without a name that another process maps into its memory."""

    descriptor: Any
    n_bytes: int
    dtype: torch.dtype

    def tensor(self) -> torch.Tensor:
        descriptor = self.descriptor.detach()
        try:
            memory = mmap.mmap(descriptor, self.n_bytes)
        finally:
            os.close(descriptor)
        return torch.frombuffer(memory, dtype=self.dtype)


def _cut_images(
    joined: torch.Tensor | _SharedFile, sizes: list[tuple[int, int, int]]
) -> Iterable[torch.Tensor]:
    memory = joined.tensor() if isinstance(joined, _SharedFile) else joined
    flat = memory.split([height * width * depth for height, width, depth in sizes])
    return (one.view(size).permute(2, 0, 1) for one, size in zip(flat, sizes, strict=True))


def collate_samples(samples: Sequence[Sample]) -> SampleBatch:
    """Return the samples in a list as they are: images differ in size and people in number.

    Give it to the ``DataLoader`` as its ``collate_fn``.
    """
    return SampleBatch(samples)
