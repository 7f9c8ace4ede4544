"""Changes to samples that keep image, 2D and 3D consistent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

from posebank.errors import SettingsError
from posebank.skeleton import MIRROR

Sample = dict[str, Any]

_BOXES = ("box", "head_box", "ignored_box")
_MIRROR = torch.from_numpy(MIRROR.copy())


def flip_sample(sample: Sample) -> Sample:
    """Mirror a sample of ``PoseShards``: the image, and left and right in its labels.

    An image of width W maps x to W - x (coordinates start at the left edge of the first pixel);
    in 3D x changes its sign. Joints, and their states, change places with their twins.
    ``anchor_id`` is exchanged for ``anchor_id_flipped``, the closest anchor-pose to the mirrored
    pose. Flipping twice gives the sample back.
    """
    width = float(sample["image"].shape[-1])
    joints_2d = sample["joints_2d"][:, _MIRROR].clone()
    joints_2d[..., 0] = width - joints_2d[..., 0]
    joints_3d = sample["joints_3d"][:, _MIRROR].clone()
    joints_3d[..., 0] = -joints_3d[..., 0]
    flipped = {
        **sample,
        "image": sample["image"].flip(-1),
        "joints_2d": joints_2d,
        "joints_3d": joints_3d,
        "state": sample["state"][:, _MIRROR],
    }
    for name in _BOXES:
        x1, y1, x2, y2 = sample[name].unbind(-1)
        flipped[name] = torch.stack([width - x2, y1, width - x1, y2], -1)
    flipped["anchor_id"] = sample["anchor_id_flipped"]
    flipped["anchor_id_flipped"] = sample["anchor_id"]
    return flipped


def resize_sample(sample: Sample, width: int, height: int) -> Sample:
    """Resize the image; 2D joints and boxes follow it, 3D stays."""
    old_height, old_width = sample["image"].shape[-2:]
    factor = torch.tensor([width / old_width, height / old_height])
    resized = {
        **sample,
        "image": F.resize(sample["image"], [height, width], antialias=True),
        "joints_2d": sample["joints_2d"] * factor,
        "width": width,
        "height": height,
    }
    for name in _BOXES:
        resized[name] = sample[name] * factor.repeat(2)
    return resized


def crop_sample(sample: Sample, x: int, y: int, width: int, height: int) -> Sample:
    """Cut the image to ``width`` x ``height`` px from (x, y); 2D joints and boxes follow it.

    People of whom fewer than half of the joints stay in the image are taken out, and their boxes
    added to ``ignored_box``. Joints of the others may lie outside the image. Outside the old image
    the new one is black.
    """
    shift = torch.tensor([float(x), float(y)])
    cropped = {
        **sample,
        "image": F.crop(sample["image"], y, x, height, width),
        "joints_2d": sample["joints_2d"] - shift,
        "width": width,
        "height": height,
    }
    for name in _BOXES:
        cropped[name] = sample[name] - shift.repeat(2)
    size = torch.tensor([float(width), float(height)])
    inside = ((cropped["joints_2d"] >= 0) & (cropped["joints_2d"] < size)).all(-1)
    kept = inside.float().mean(-1) >= 0.5
    if bool(kept.all()):
        return cropped
    left_out = cropped["box"][~kept]
    for name, value in cropped.items():
        if isinstance(value, torch.Tensor) and name not in ("image", "ignored_box"):
            cropped[name] = value[kept]
        elif isinstance(value, list):
            cropped[name] = [v for v, k in zip(value, kept.tolist(), strict=True) if k]
    cropped["ignored_box"] = torch.cat([cropped["ignored_box"], left_out])
    return cropped


@dataclass(frozen=True)
class Augmentation:
    """Random changes to samples, all of them optional. The defaults are mild.

    flip : probability of mirroring.
    scale : the image is resized by a factor between ``1 / scale`` and ``scale``.
    crop : up to this part of the width and of the height is cut off.
    brightness, contrast, saturation : factors between ``1 - v`` and ``1 + v``.
    hue : shift by up to this part of the colour circle.
    """

    flip: float = 0.5
    scale: float = 1.25
    crop: float = 0.1
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1:
            raise SettingsError(f"flip: expected a probability, found {self.flip}")
        if self.scale < 1:
            raise SettingsError(f"scale: expected at least 1, found {self.scale}")
        for name, most in (
            ("crop", 0.9), ("brightness", 1), ("contrast", 1), ("saturation", 1), ("hue", 0.5),
        ):  # fmt: skip
            if not 0 <= getattr(self, name) <= most:
                raise SettingsError(
                    f"{name}: expected a value in [0, {most}], found {getattr(self, name)}"
                )

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None) -> Sample:
        """Change a sample at random; without ``rng``, by torch's random numbers."""
        if rng is None:
            rng = np.random.default_rng(int(torch.randint(2**62, (1,))))
        if rng.random() < self.flip:
            sample = flip_sample(sample)
        if self.crop > 0:
            height, width = sample["image"].shape[-2:]
            cut = rng.random(2) * self.crop
            new_w, new_h = max(1, round(width * (1 - cut[0]))), max(1, round(height * (1 - cut[1])))
            x, y = rng.integers(width - new_w + 1), rng.integers(height - new_h + 1)
            sample = crop_sample(sample, int(x), int(y), new_w, new_h)
        if self.scale > 1:
            height, width = sample["image"].shape[-2:]
            factor = self.scale ** rng.uniform(-1, 1)
            sample = resize_sample(
                sample, max(1, round(width * factor)), max(1, round(height * factor))
            )
        return self._recoloured(sample, rng)

    def _recoloured(self, sample: Sample, rng: np.random.Generator) -> Sample:
        image = sample["image"]
        for strength, change in (
            (self.brightness, F.adjust_brightness),
            (self.contrast, F.adjust_contrast),
            (self.saturation, F.adjust_saturation),
        ):
            if strength > 0:
                image = change(image, 1 + rng.uniform(-strength, strength))
        if self.hue > 0:
            image = F.adjust_hue(image, rng.uniform(-self.hue, self.hue))
        return {**sample, "image": image}
