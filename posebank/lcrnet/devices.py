"""The device to work on, and the other processes of a run under ``torchrun``."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from posebank.errors import SettingsError


@dataclass(frozen=True)
class Processes:
    """This process and the group that trains together; process 0 writes the files."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when every process has come here."""
        if self.world_size > 1:
            dist.barrier()


def pick_device(name: str) -> torch.device:
    """Return the named device; ``auto`` is a GPU where there is one.

    Raises
    ------
    SettingsError
        If there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"device: expected a usable device, got {name!r}: {reason}") from error
    return device


def keep_freed_memory() -> None:
    """Keep the memory of freed tensors for the next ones, where the C library is glibc.

    glibc returns large blocks to the system at once and asks for them again, so that an iteration
    on a CPU spent a tenth to a quarter of its time on new pages. Has no effect on other systems.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for threshold in (-3, -1):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
            mallopt(threshold, 2**31 - 1)


@contextmanager
def processes(device_name: str) -> Iterator[Processes]:
    """Join the other processes of ``torchrun``, if there are any, and leave them at the end.

    More processes than GPUs share them. Within another such context nothing is joined or left.
    """
    device = pick_device(device_name)
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        yield Processes(0, 1, device)
        return
    backend = "gloo"
    if device.type == "cuda":
        n_devices = torch.cuda.device_count()
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % n_devices)
        torch.cuda.set_device(device)
        if int(os.environ.get("LOCAL_WORLD_SIZE", world_size)) <= n_devices:
            backend = "nccl"  # it refuses two processes on one GPU
    if dist.is_initialized():
        yield Processes(dist.get_rank(), world_size, device)
        return
    dist.init_process_group(backend)
    try:
        yield Processes(dist.get_rank(), world_size, device)
    finally:
        dist.destroy_process_group()


def mean_over(values: dict[str, float], group: Processes) -> dict[str, float]:
    """Return each value's mean over the processes."""
    if group.world_size == 1:
        return values
    tensor = torch.tensor(list(values.values()), dtype=torch.float64, device=group.device)
    dist.all_reduce(tensor)
    return dict(zip(values, (tensor / group.world_size).tolist(), strict=True))
