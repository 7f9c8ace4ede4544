"""Images: from files, and at the network's size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from posebank.errors import SourceError
from posebank.lcrnet.settings import TrainSettings

_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def read_image(path: Path) -> NDArray[np.uint8]:
    """Image file as (H, W, 3) uint8 RGB: grey, palette, CMYK, transparent or 16-bit ones too.

    The orientation that a camera noted in the file is applied.

    Raises
    ------
    SourceError
        If the file is missing or does not decode.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode in _WIDE_MODES:
                # Pillow would clip 16 bits at 255, which turns most of such an image white.
                grey = (np.asarray(upright).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
                return np.repeat(grey[..., None], 3, axis=2)
            return np.array(upright.convert("RGB"))
    # Pillow raises many kinds of error on damaged files, SyntaxError and struct.error among them.
    except Exception as error:
        raise SourceError(path, f"expected an image that decodes: {error}") from error


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
