"""What a network sees, for TensorBoard: boxes, region proposals, final poses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, draw_keypoints

from posebank.lcrnet.data import Example
from posebank.lcrnet.model import LCRNet
from posebank.lcrnet.predictor import integrated
from posebank.lcrnet.settings import IntegrationSettings
from posebank.skeleton import LIMBS, J

_LIMBS = [(J[a], J[b]) for a, b in LIMBS]
_N_PROPOSALS = 10
_N_POSES = 3


@torch.no_grad()
def training_pictures(model: LCRNet, examples: Sequence[Example]) -> list[Tensor]:
    """Return a picture (3, H, 3W) uint8 of each example, three panels side by side.

    The panels show the true boxes with the labels' joints, the best region proposals, and the
    best poses after integration. The network is left in the mode that it was in.
    """
    was_training = model.training
    model.eval()
    images = [example.image for example in examples]
    regions = model.regions(images)
    proposed = model.propose(images, IntegrationSettings())
    model.train(was_training)
    pictures = []
    for example, boxes, proposals in zip(examples, regions, proposed, strict=True):
        image = example.image.cpu()
        poses = integrated(["ppi"], proposals, IntegrationSettings(max_poses=_N_POSES))["ppi"]
        panels = [
            _with_poses(
                _with_boxes(image, example.targets.boxes.cpu()), example.targets.joints_2d.cpu()
            ),
            _with_boxes(image, boxes[:_N_PROPOSALS].cpu()),
            _with_poses(image, torch.from_numpy(poses.joints_2d)),
        ]
        pictures.append(torch.cat(panels, dim=2))
    return pictures


def _with_boxes(image: Tensor, boxes: Tensor) -> Tensor:
    # A pixel at least each way, which the drawing demands.
    drawn = torch.cat([boxes[:, :2], torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)], dim=1)
    if not len(boxes):
        return image
    with_boxes: Tensor = draw_bounding_boxes(image, drawn, colors="yellow")
    return with_boxes


def _with_poses(image: Tensor, joints_2d: Tensor) -> Tensor:
    if not len(joints_2d):
        return image
    with_poses: Tensor = draw_keypoints(
        image, joints_2d, connectivity=_LIMBS, colors="red", radius=1, width=1
    )
    return with_poses
