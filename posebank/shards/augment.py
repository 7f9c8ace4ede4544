"""Changes to samples that keep image, 2D and 3D consistent."""

from __future__ import annotations

from typing import Any

import torch

from posebank.skeleton import MIRROR

Sample = dict[str, Any]

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
    for name in ("box", "head_box", "ignored_box"):
        x1, y1, x2, y2 = sample[name].unbind(-1)
        flipped[name] = torch.stack([width - x2, y1, width - x1, y2], -1)
    flipped["anchor_id"] = sample["anchor_id_flipped"]
    flipped["anchor_id_flipped"] = sample["anchor_id"]
    return flipped
