"""What the network is to answer: ground-truth boxes, box labels, regression targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou

from posebank.anchors import assign
from posebank.geometry.boxes import boxes_around
from posebank.lcrnet.settings import FOREGROUND_IOU
from posebank.skeleton import LOWER_LIMBS, UPPER_BODY, indices, is_annotated

IGNORED = -1
"""Label of a box that is neither a person nor background."""


@dataclass(frozen=True)
class AnchorTensors:
    """The anchor-poses as the network uses them.

    pose_2d : (C, 13, 2) relative to the box; pose_3d : (C, 13, 3) metres; C is K, or 2K with
    upper-body ones, the full-body ones first. n_full : K.
    """

    pose_2d: Tensor
    pose_3d: Tensor
    n_full: int

    @property
    def has_upper(self) -> bool:
        """Whether there are upper-body anchor-poses."""
        return len(self.pose_3d) > self.n_full

    def to(self, device: torch.device) -> AnchorTensors:
        """The same on a device."""
        return AnchorTensors(self.pose_2d.to(device), self.pose_3d.to(device), self.n_full)


@dataclass(frozen=True)
class ImageTargets:
    """Ground truth of one image: m boxes of n people.

    boxes : (m, 4) px. classes : (m,) in 1..C. person : (m,) row of the person.
    joints_2d : (n, 13, 2) px; joints_3d : (n, 13, 3) m. joint_weight : (n, 13) of each joint's
    regression; person_weight : (n,) of each person's classification. ignored : (i, 4) boxes of
    people who are not labelled well enough; what is on them is neither person nor background.
    """

    boxes: Tensor
    classes: Tensor
    person: Tensor
    joints_2d: Tensor
    joints_3d: Tensor
    joint_weight: Tensor
    person_weight: Tensor
    ignored: Tensor

    @classmethod
    def concat(cls, targets: Sequence[ImageTargets]) -> ImageTargets:
        """Join each field, row after row; ``person`` still counts within each of them."""
        names = cls.__dataclass_fields__
        return cls(*(torch.cat([getattr(t, name) for t in targets]) for name in names))

    def to(self, device: torch.device) -> ImageTargets:
        """The same on a device."""
        return ImageTargets(*(getattr(self, f).to(device) for f in self.__dataclass_fields__))


def image_targets(
    joints_2d: Tensor,
    joints_3d: Tensor,
    state: Tensor,
    joint_weight: Tensor,
    person_weight: Tensor,
    anchors: AnchorTensors,
    size: tuple[int, int],
    ignored: Tensor,
) -> ImageTargets:
    """Return boxes and classes of an image's people (sections 3.1, 4.2).

    A person has a full-body box, and with upper-body anchors an upper-body box too; the full-body
    one then only if a lower-limb joint is annotated. Boxes reach beyond the image where the person
    does, but those without any overlap with it are left out: nothing there can be seen.

    Parameters
    ----------
    joints_2d : Tensor (n, 13, 2), pixels
        2D poses of the image's people.
    joints_3d : Tensor (n, 13, 3), metres
        3D poses, camera axes.
    state : Tensor (n, 13)
        Joint states, uint8.
    joint_weight : Tensor (n, 13)
        Weight of each joint in the regression loss.
    person_weight : Tensor (n,)
        Weight of each person in the losses.
    anchors : AnchorTensors
        The anchor-poses.
    size : (int, int)
        Height and width of the image, pixels.
    ignored : Tensor (i, 4)
        Boxes x1 y1 x2 y2, pixels, that count neither as people nor as background.
    """
    points = joints_2d.numpy()
    closest, _ = assign(anchors.pose_3d[: anchors.n_full].numpy(), joints_3d.numpy())
    people = np.arange(len(points))
    if anchors.has_upper:
        seen = is_annotated(state.numpy())[:, indices(LOWER_LIMBS)].any(axis=1)
        full = people[seen]
        upper = boxes_around(points[:, indices(UPPER_BODY)])
        boxes = np.concatenate([boxes_around(points[full]), upper])
        classes = np.concatenate([closest[full] + 1, closest + 1 + anchors.n_full])
        person = np.concatenate([full, people])
    else:
        boxes, classes, person = boxes_around(points), closest + 1, people
    kept = _in_image(boxes, size)
    return ImageTargets(
        boxes=torch.from_numpy(boxes[kept]).float(),
        classes=torch.from_numpy(classes[kept]).long(),
        person=torch.from_numpy(person[kept]).long(),
        joints_2d=joints_2d.float(),
        joints_3d=joints_3d.float(),
        joint_weight=joint_weight.float(),
        person_weight=person_weight.float(),
        ignored=ignored.float(),
    )


def _in_image(boxes: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which of the boxes (m, 4) show at least a pixel each way of an image (height, width)."""
    low = np.maximum(boxes[:, :2], 0)
    high = np.minimum(boxes[:, 2:], [size[1], size[0]])
    seen: NDArray[np.bool_] = (high - low >= 1).all(axis=1)
    return seen


def label_boxes(boxes: Tensor, targets: ImageTargets) -> tuple[Tensor, Tensor]:
    """Return the class and person of each box (section 3.1).

    Parameters
    ----------
    boxes : Tensor (b, 4)
        Boxes x1 y1 x2 y2, pixels.
    targets : ImageTargets
        Boxes and poses of the image's people.

    Returns
    -------
    classes : (b,) 0 where the IoU with every pose's box is below 0.5, else the class of the box
        of highest IoU; -1 where it would be 0 but the box is on an ignored person.
    person : (b,) row of that pose, 0 for background.
    """
    classes = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
    person = torch.zeros_like(classes)
    if len(targets.ignored) and len(boxes):
        on_ignored = box_iou(boxes, targets.ignored).max(dim=1).values >= FOREGROUND_IOU
        classes[on_ignored] = IGNORED
    if len(targets.boxes) and len(boxes):
        overlap, best = box_iou(boxes, targets.boxes).max(dim=1)
        foreground = overlap >= FOREGROUND_IOU
        classes = torch.where(foreground, targets.classes[best], classes)
        person = torch.where(foreground, targets.person[best], person)
    return classes, person


def sample_boxes(classes: Tensor, n_boxes: int, people_fraction: float) -> Tensor:
    """Return the rows of ``n_boxes`` random boxes, at most ``people_fraction`` on people."""
    people = torch.nonzero(classes > 0).flatten()
    background = torch.nonzero(classes == 0).flatten()
    n_people = min(round(n_boxes * people_fraction), len(people))
    n_background = min(n_boxes - n_people, len(background))
    chosen = torch.randperm(len(people), device=classes.device)[:n_people]
    others = torch.randperm(len(background), device=classes.device)[:n_background]
    return torch.cat([people[chosen], background[others]])


def regression_targets(
    boxes: Tensor, classes: Tensor, person: Tensor, targets: ImageTargets, anchors: AnchorTensors
) -> Tensor:
    """Return t = (p~ - a~_c, P - A_c) for boxes on people (section 3.1).

    Parameters
    ----------
    boxes : Tensor (b, 4)
        Boxes.
    classes : Tensor (b,)
        Anchor class of each box, above 0.
    person : Tensor (b,)
        Row of the person of each box.
    targets : ImageTargets
        Boxes and poses of the image's people.
    anchors : AnchorTensors
        The anchor-poses.

    Returns
    -------
    (b, 13, 5): two coordinates relative to the box, three in metres.
    """
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6)[:, None]
    relative = (targets.joints_2d[person] - boxes[:, None, :2]) / size
    flat = relative - anchors.pose_2d[classes - 1]
    deep = targets.joints_3d[person] - anchors.pose_3d[classes - 1]
    return torch.cat([flat, deep], dim=2)


def poses_from_regression(
    boxes: Tensor, classes: Tensor, values: Tensor, anchors: AnchorTensors
) -> tuple[Tensor, Tensor]:
    """Invert ``regression_targets``: poses in pixels and metres.

    Parameters
    ----------
    boxes : Tensor (b, 4)
        Boxes.
    classes : Tensor (b,)
        Anchor class of each box, above 0.
    values : Tensor (b, 13, 5)
        Regressed values.
    anchors : AnchorTensors
        The anchor-poses.

    Returns
    -------
    joints_2d (b, 13, 2) px and joints_3d (b, 13, 3) m.
    """
    size = (boxes[:, 2:] - boxes[:, :2])[:, None]
    relative = values[..., :2] + anchors.pose_2d[classes - 1]
    return relative * size + boxes[:, None, :2], values[..., 2:] + anchors.pose_3d[classes - 1]
