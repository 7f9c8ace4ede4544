"""Where the bounds of ``viewfree`` and the scores of ``views`` are computed."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

from posebank.errors import SettingsError

if TYPE_CHECKING:
    import torch

_DRIVER = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}


def gpu(name: str) -> torch.device | None:
    """The GPU to work on; None for the compiled loops on the CPU.

    Parameters
    ----------
    name : str
        ``cpu``, ``cuda``, or ``auto``: a GPU where there is one.

    Raises
    ------
    SettingsError
        If ``cuda`` is asked for and torch can use none.
    """
    if name == "cpu" or (name == "auto" and not _has_driver()):
        return None
    import torch  # noqa: PLC0415 - it takes seconds, and is of no use without the driver

    if torch.cuda.is_available():
        return torch.device("cuda")
    if name == "auto":
        return None
    raise SettingsError("device: expected a GPU that torch can use, found none; use cpu or auto")


def device_name(name: str) -> str:
    """What ``gpu`` chooses, in words."""
    device = gpu(name)
    if device is None:
        return "cpu"
    import torch  # noqa: PLC0415

    return f"cuda ({torch.cuda.get_device_name(device)})"


def _has_driver() -> bool:
    """Whether the CUDA driver is installed."""
    try:
        ctypes.CDLL(_DRIVER[sys.platform])
    except (OSError, KeyError):
        return False
    return True
