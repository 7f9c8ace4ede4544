"""Resize images to the size that the network takes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from posebank.lcrnet.settings import TrainSettings

STRIDE = 32
"""Images are padded to a multiple of this."""


def resize_factor(height: int, width: int, settings: TrainSettings) -> float:
    """Return the factor by which an image is resized for the network.

    By Faster R-CNN's rule the shorter side becomes ``short_side``, with ``size = "native"`` the
    image is scaled by ``native_scale``; the longer side becomes ``long_side`` at most.
    """
    wanted = settings.native_scale
    if settings.size == "short_side":
        wanted = settings.short_side / min(height, width)
    return min(wanted, settings.long_side / max(height, width))


def network_size(height: int, width: int, settings: TrainSettings) -> tuple[int, int]:
    """Return the height and width of an image for the network."""
    factor = resize_factor(height, width, settings)
    return max(1, round(height * factor)), max(1, round(width * factor))


def padded_size(height: int, width: int, settings: TrainSettings) -> tuple[int, int]:
    """Return the height and width of an image padded to multiples of ``STRIDE``."""
    sizes = network_size(height, width, settings)
    return -(-sizes[0] // STRIDE) * STRIDE, -(-sizes[1] // STRIDE) * STRIDE


def resized(image: Tensor, settings: TrainSettings) -> tuple[Tensor, float, float]:
    """Resize an image (3, H, W) uint8 for the network: float 0-255, and its x and y factors."""
    height, width = image.shape[-2:]
    size = network_size(height, width, settings)
    pixels = F.resize(image, list(size), antialias=True)
    return pixels.to(torch.float32), size[1] / width, size[0] / height
