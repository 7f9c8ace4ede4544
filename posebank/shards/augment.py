"""Changes to samples that keep image, 2D and 3D consistent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample
from torchvision.transforms.v2 import functional as F

from posebank.anchors import assign
from posebank.errors import SettingsError
from posebank.geometry.boxes import boxes_around
from posebank.skeleton import MIRROR, mirrored_3d

Sample = dict[str, Any]

UNASSIGNED = -1
"""``anchor_id`` of a person whose closest anchor-pose is not known after a rotation."""

_BOXES = ("box", "head_box", "ignored_box")
_FILL = 128.0  # grey level outside the image, about what networks take for 0
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
    return _without_people_cut_off(cropped)


def _without_people_cut_off(sample: Sample) -> Sample:
    """Turn people of whom fewer than half of the joints are in the image into ignored boxes."""
    size = torch.tensor([float(sample["width"]), float(sample["height"])])
    inside = ((sample["joints_2d"] >= 0) & (sample["joints_2d"] < size)).all(-1)
    kept = inside.float().mean(-1) >= 0.5
    if bool(kept.all()):
        return sample
    left_out = sample["box"][~kept]
    for name, value in sample.items():
        if isinstance(value, torch.Tensor) and name not in ("image", "ignored_box"):
            sample[name] = value[kept]
        elif isinstance(value, list):
            sample[name] = [v for v, k in zip(value, kept.tolist(), strict=True) if k]
    sample["ignored_box"] = torch.cat([sample["ignored_box"], left_out])
    return sample


def turn_sample(
    sample: Sample,
    centre: tuple[float, float],
    angle: float,
    factor: float,
    width: int,
    height: int,
) -> Sample:
    """Rotate and scale about a point of the image, which comes to the middle of a new image.

    The camera is taken to roll about its axis: 2D joints turn with the image, and the x and y of
    3D joints by the same angle. Boxes around people are made again from their joints; head boxes
    and ignored boxes are those around their turned corners. ``anchor_id`` and
    ``anchor_id_flipped`` become ``UNASSIGNED`` where the angle is not 0. People of whom fewer than
    half of the joints stay in the image are taken out, as in ``crop_sample``. Outside the old
    image the new one is grey.

    Parameters
    ----------
    sample : Sample
        Sample of ``PoseShards``.
    centre : (float, float)
        Point of the image that comes to the middle of the new one: x and y, pixels.
    angle : float
        Radians, positive from x towards y, so clockwise as one looks.
    factor : float
        Change of size. An image should be shrunk by ``resize_sample`` before if this is far below
        1, since no filter is applied here.
    width, height : int
        Size of the new image, pixels.
    """
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = torch.tensor([[cos, -sin], [sin, cos]])
    old = torch.tensor(centre)
    new = torch.tensor([width / 2, height / 2])

    def moved(points: Tensor) -> Tensor:
        return (points - old) @ (factor * rotation.T) + new

    turned = {
        **sample,
        "image": _resampled(sample["image"], old, rotation.T / factor, width, height),
        "joints_2d": moved(sample["joints_2d"]),
        "width": width,
        "height": height,
    }
    for name in ("head_box", "ignored_box"):
        corners = sample[name][:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
        corners = moved(corners)
        turned[name] = torch.cat([corners.amin(1), corners.amax(1)], dim=1)
    turned["box"] = sample["box"]
    if len(sample["box"]):
        turned["box"] = torch.from_numpy(boxes_around(turned["joints_2d"].numpy()))
    if angle != 0:
        turned["joints_3d"] = sample["joints_3d"].clone()
        turned["joints_3d"][..., :2] = sample["joints_3d"][..., :2] @ rotation.T
        for name in ("anchor_id", "anchor_id_flipped"):
            turned[name] = torch.full_like(sample[name], UNASSIGNED)
    return _without_people_cut_off(turned)


def _resampled(image: Tensor, centre: Tensor, back: Tensor, width: int, height: int) -> Tensor:
    """The image (3, H, W) uint8 resampled; ``back`` (2, 2) leads from the new to the old one."""
    x = torch.arange(width) + 0.5 - width / 2
    y = torch.arange(height) + 0.5 - height / 2
    new = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (height, width, 2)
    old = new @ back.T + centre
    size = torch.tensor([image.shape[-1], image.shape[-2]])
    grid = 2 * old / size - 1  # -1 and 1 are the outer edges of the first and last pixels
    pixels = image.float() - _FILL
    sampled = grid_sample(pixels[None], grid[None], align_corners=False)[0] + _FILL
    return sampled.round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Augmentation:
    """Random changes to samples, all of them optional. The defaults are mild.

    Parameters
    ----------
    flip : probability of mirroring.
    scale : the image is resized by a factor between ``1 / scale`` and ``scale``.
    crop : up to this part of the width and of the height is cut off.
    brightness, contrast, saturation : factors between ``1 - v`` and ``1 + v``.
    hue : shift by up to this part of the colour circle.
    rotation_deg : the image is rotated by up to this angle either way, and the people's x and y
        in 3D with it.
    shift : the image is shifted by up to this fraction of its width and height.
    window : side in pixels of a square cut out around a person chosen at random, after the change
        of size; images without people are cut around their middle. 0 keeps whole images.
    anchors_3d : full-body anchor-poses (K, 13, 3) by which rotated people are assigned again;
        without them their ``anchor_id`` is ``UNASSIGNED``.
    """

    flip: float = 0.5
    scale: float = 1.25
    crop: float = 0.1
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.02
    rotation_deg: float = 0.0
    shift: float = 0.0
    window: int = 0
    anchors_3d: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1:
            raise SettingsError(f"flip: expected a probability, found {self.flip}")
        if not self.scale >= 1:
            raise SettingsError(f"scale: expected at least 1, found {self.scale}")
        if self.window < 0:
            raise SettingsError(f"window: expected 0 or more pixels, found {self.window}")
        for name, most in (
            ("crop", 0.9),
            ("rotation_deg", 180),
            ("shift", 0.5),
            ("brightness", 1),
            ("contrast", 1),
            ("saturation", 1),
            ("hue", 0.5),
        ):
            if not 0 <= getattr(self, name) <= most:
                raise SettingsError(
                    f"{name}: expected a value in [0, {most}], found {getattr(self, name)}"
                )

    def __call__(
        self, sample: Sample, rng: np.random.Generator | None = None, *, zoom: float = 1.0
    ) -> Sample:
        """Change a sample at random.

        Parameters
        ----------
        sample : Sample
            Sample of ``PoseShards``.
        rng : Generator or None
            Source of random numbers; by default it is seeded from torch's.
        zoom : float
            Factor of the size, on top of ``scale``, that is the same for every image.
        """
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
        factor = self.scale ** rng.uniform(-1, 1) if self.scale > 1 else 1.0
        if self.rotation_deg > 0 or self.shift > 0 or self.window > 0:
            sample = self._turned(sample, rng, factor, zoom)
        elif factor * zoom != 1:
            sample = _zoomed(sample, factor * zoom)
        return self._recoloured(sample, rng)

    def _turned(
        self, sample: Sample, rng: np.random.Generator, factor: float, zoom: float
    ) -> Sample:
        """Rotation, shift and window, with the change of size, in one resampling."""
        if zoom < 1:  # with a filter, unlike the resampling
            sample, zoom = _zoomed(sample, zoom), 1.0
        height, width = sample["image"].shape[-2:]
        angle = math.radians(self.rotation_deg) * rng.uniform(-1, 1)
        centre = np.array([width / 2, height / 2])
        seen = np.array([width, height]) * zoom
        if self.window:
            seen = np.array([self.window, self.window])
            if n_people := len(sample["box"]):
                x1, y1, x2, y2 = sample["box"][rng.integers(n_people)].tolist()
                centre = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
        centre = centre + rng.uniform(-1, 1, 2) * self.shift * seen / (zoom * factor)
        new_w, new_h = (max(1, round(v)) for v in seen)
        x, y = centre.tolist()
        turned = turn_sample(sample, (x, y), angle, factor * zoom, new_w, new_h)
        if self.anchors_3d is not None and angle != 0 and len(turned["joints_3d"]):
            poses = turned["joints_3d"].numpy()
            both = (("anchor_id", poses), ("anchor_id_flipped", mirrored_3d(poses)))
            for name, some in both:
                turned[name] = torch.from_numpy(assign(self.anchors_3d, some)[0]).long()
        return turned

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


def _zoomed(sample: Sample, factor: float) -> Sample:
    """The sample with the size of its image changed by ``factor``."""
    height, width = sample["image"].shape[-2:]
    return resize_sample(sample, max(1, round(width * factor)), max(1, round(height * factor)))
