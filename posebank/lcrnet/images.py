"""Resize images to the size that the network takes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from posebank.lcrnet.settings import TrainSettings


def resize_factor(height: int, width: int, settings: TrainSettings) -> float:
    """Factor that makes the shorter side ``short_side``, the longer at most ``long_side``."""
    return min(settings.short_side / min(height, width), settings.long_side / max(height, width))


def resized(image: Tensor, settings: TrainSettings) -> tuple[Tensor, float, float]:
    """Image (3, H, W) uint8 at the network's size, float 0-255, and its x and y factors."""
    height, width = image.shape[-2:]
    factor = resize_factor(height, width, settings)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    pixels = F.interpolate(
        image[None].to(torch.float32),
        size=size,
        mode="bilinear",
        align_corners=False,
        # Costs as much as the rest of the resizing, and changes nothing when enlarging.
        antialias=factor < 1,
    )
    return pixels[0], size[1] / width, size[0] / height
