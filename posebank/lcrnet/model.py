"""LCR-Net: localization, classification, regression on shared features (paper, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from posebank.lcrnet.backbones import Backbone, Dense, build_backbone
from posebank.lcrnet.images import STRIDE
from posebank.lcrnet.settings import IntegrationSettings, TrainSettings
from posebank.lcrnet.targets import (
    AnchorTensors,
    ImageTargets,
    label_boxes,
    poses_from_regression,
    regression_targets,
    sample_boxes,
)
from posebank.skeleton import LOWER_LIMBS, N_JOINTS, indices

_LEGS = torch.tensor(indices(LOWER_LIMBS))


@dataclass(frozen=True)
class Proposals:
    """Pose proposals of one image: one row for each box and class kept.

    boxes (n, 4), joints_2d (n, 13, 2): pixels of the network's input. joints_3d (n, 13, 3) m,
    score (n,), classes (n,) in 1..C. box (n,): a number for each box, the same for its proposals.
    """

    boxes: Tensor
    joints_2d: Tensor
    joints_3d: Tensor
    score: Tensor
    classes: Tensor
    box: Tensor


class LCRNet(nn.Module):
    """The network.

    Parameters
    ----------
    anchors : the anchor-poses, C of them; the classifier has C + 1 outputs, the regressor
        (C + 1) x 13 x 5.
    settings : backbone, sizes and sampling.
    load_weights : False leaves the backbone's first weights unread, for a network whose weights
        come from a checkpoint.
    """

    def __init__(
        self, anchors: AnchorTensors, settings: TrainSettings, *, load_weights: bool = True
    ) -> None:
        super().__init__()
        self.settings = settings
        self.n_full = anchors.n_full
        self.register_buffer("anchor_2d", anchors.pose_2d.float())
        self.register_buffer("anchor_3d", anchors.pose_3d.float())
        self.mean: Tensor
        self.std: Tensor
        n_outputs = len(anchors.pose_3d) + 1

        backbone = build_backbone(settings, load_weights=load_weights)
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1) * 255)
        self.backbone = backbone.features
        self._frozen = backbone.stages[: settings.frozen_stages]
        self._memory_format = (
            torch.channels_last if backbone.channels_last else torch.contiguous_format
        )
        self.rpn = _region_proposals(backbone, settings)
        self.pool = backbone.pool
        self.shared = nn.Sequential(
            nn.Flatten(),
            *_dense(backbone.channels * settings.pooled**2, settings),
            *_dense(settings.fc_channels, settings),
        )
        self.classifier = nn.Linear(settings.fc_channels, n_outputs)
        self.regressor = nn.Linear(settings.fc_channels, n_outputs * N_JOINTS * 5)
        for layer, spread in ((self.classifier, 0.01), (self.regressor, 0.001)):
            nn.init.normal_(layer.weight, std=spread)
            nn.init.zeros_(layer.bias)
        if backbone.dense is not None:
            self._load_dense(backbone.dense)
        self.to(memory_format=self._memory_format)

    def train(self, mode: bool = True) -> LCRNet:
        """As of any module, but frozen stages stay as they are in evaluation."""
        super().train(mode)
        for stage in self._frozen:
            stage.eval()
        return self

    @torch.no_grad()
    def _load_dense(self, dense: Dense) -> None:
        """Start fc6 and fc7 from the backbone's own, where they have its sizes."""
        layers = [layer for layer in self.shared if isinstance(layer, nn.Linear)]
        for layer, (weight, bias) in zip(layers, dense, strict=True):
            if layer.weight.shape == weight.shape:
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)

    @property
    def anchors(self) -> AnchorTensors:
        """The anchor-poses, on the network's device."""
        return AnchorTensors(self.anchor_2d, self.anchor_3d, self.n_full)  # type: ignore[arg-type]

    def features(self, images: list[Tensor]) -> tuple[ImageList, dict[str, Tensor]]:
        """Normalise, pad to one size, extract features. images : (3, H, W) uint8 or float 0-255."""
        sizes = [(int(i.shape[-2]), int(i.shape[-1])) for i in images]
        height = -(-max(h for h, _ in sizes) // STRIDE) * STRIDE
        width = -(-max(w for _, w in sizes) // STRIDE) * STRIDE
        # Pad with the mean, which normalises to 0 as in Faster R-CNN.
        batch = self.mean.expand(len(images), 3, height, width).clone()
        for row, image in enumerate(images):
            batch[row, :, : image.shape[-2], : image.shape[-1]] = image
        batch = ((batch - self.mean) / self.std).contiguous(memory_format=self._memory_format)
        return ImageList(batch, sizes), self.backbone(batch)

    def box_features(
        self, maps: dict[str, Tensor], boxes: list[Tensor], sizes: list[tuple[int, int]]
    ) -> Tensor:
        """What both branches share, (b, fc_channels); the boxes are fixed (section 3.4)."""
        # Under autocast the maps are of half precision, which pooling on a CPU does not know.
        maps = {name: features.float() for name, features in maps.items()}
        pooled: Tensor = self.shared(self.pool(maps, [b.detach() for b in boxes], sizes))
        return pooled

    def regress(self, shared: Tensor, rows: Tensor, classes: Tensor) -> Tensor:
        """Regression (p, 13, 5) of boxes ``rows`` of ``shared`` (b, fc_channels) for ``classes``.

        Most boxes are background, and most anchor-poses nobody's: of the 5 x 13 x (C + 1) values
        of every box only those of the rows and classes that occur are computed.
        """
        boxes, row = torch.unique(rows, return_inverse=True)
        present, column = torch.unique(classes, return_inverse=True)
        weight = self.regressor.weight.view(-1, N_JOINTS * 5, shared.shape[1])
        weight = weight.index_select(0, present)
        bias = self.regressor.bias.view(-1, N_JOINTS * 5)[present]
        values = F.linear(shared[boxes], weight.flatten(0, 1), bias.flatten())
        values = values.view(len(boxes), len(present), N_JOINTS, 5)[row, column].float()
        return values * self.settings.regression_unit

    def losses(self, images: list[Tensor], targets: list[ImageTargets]) -> dict[str, Tensor]:
        """L_loc (two parts), L_classif and L_reg of a batch (equations 1-5), by name.

        Their sum is the loss to minimise.
        """
        batch, maps = self.features(images)
        proposals, rpn = self.rpn(batch, maps, [{"boxes": t.boxes} for t in targets])
        boxes, classes, wanted, joint_weights, box_weights = [], [], [], [], []
        for proposed, target in zip(proposals, targets, strict=True):
            # The true boxes are candidates too, or there would be nobody to learn from at first.
            candidates = torch.cat([proposed.detach(), target.boxes])
            label, person = label_boxes(candidates, target)
            n_boxes = self.settings.boxes_per_image * self.settings.tiles**2
            rows = sample_boxes(label, n_boxes, self.settings.people_fraction)
            candidates, label, person = candidates[rows], label[rows], person[rows]
            on_people = label > 0
            owner = person[on_people]
            boxes.append(candidates)
            classes.append(label)
            wanted.append(
                regression_targets(
                    candidates[on_people], label[on_people], owner, target, self.anchors
                )
            )
            joint_weights.append(self._joint_weights(target, owner, label[on_people]))
            box_weight = torch.ones(len(label), device=label.device)
            box_weight[on_people] = target.person_weight[owner]
            box_weights.append(box_weight)
        shared = self.box_features(maps, boxes, batch.image_sizes)
        logits = self.classifier(shared)
        label = torch.cat(classes)
        people = torch.nonzero(label > 0).flatten()
        return {
            "rpn_objectness": rpn["loss_objectness"],
            "rpn_boxes": rpn["loss_rpn_box_reg"],
            "classification": classification_loss(logits.float(), label, torch.cat(box_weights)),
            "regression": self.settings.regression_weight
            * regression_loss(
                self.regress(shared, people, label[people]),
                torch.cat(wanted),
                torch.cat(joint_weights),
                len(label),
                self.settings.regression_beta,
            ),
        }

    def _joint_weights(self, target: ImageTargets, person: Tensor, label: Tensor) -> Tensor:
        """Weight (p, 13) of each joint's regression; an upper-body box says little of the legs."""
        weights = target.joint_weight[person].clone()
        upper = torch.nonzero(label > self.n_full).flatten()
        weights[upper[:, None], _LEGS] *= self.settings.upper_leg_weight
        return weights

    # What DistributedDataParallel calls, and so what the trainer calls.
    forward = losses

    @torch.no_grad()
    def regions(self, images: list[Tensor]) -> list[Tensor]:
        """Region proposals (r, 4) of each image, best first, pixels of the network's input."""
        batch, maps = self.features(images)
        boxes: list[Tensor] = self.rpn(batch, maps)[0]
        return boxes

    @torch.no_grad()
    def propose(self, images: list[Tensor], settings: IntegrationSettings) -> list[Proposals]:
        """Scored pose proposals of each image (equation 3's u, sections 3.2 and 3.3).

        Each box gives a proposal for each of its ``max_per_box`` best classes that are not
        background and have a score of ``min_score`` at least.
        """
        batch, maps = self.features(images)
        boxes, _ = self.rpn(batch, maps)
        shared = self.box_features(maps, boxes, batch.image_sizes)
        scores = self.classifier(shared).float().softmax(dim=1)[:, 1:]
        top, order = scores.topk(min(settings.max_per_box, scores.shape[1]), dim=1)
        kept = top >= settings.min_score
        row, column = torch.nonzero(kept, as_tuple=True)
        classes = order[row, column] + 1
        chosen = self.regress(shared, row, classes)
        box = torch.cat(boxes)[row]
        joints_2d, joints_3d = poses_from_regression(box, classes, chosen, self.anchors)
        last = torch.tensor([len(b) for b in boxes], device=row.device).cumsum(0)
        counts = torch.bincount(torch.bucketize(row, last, right=True), minlength=len(boxes))
        parts = (
            part.split(counts.tolist())
            for part in (box, joints_2d, joints_3d, top[row, column], classes, row)
        )
        return [Proposals(*columns) for columns in zip(*parts, strict=True)]


def classification_loss(logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Return equation 3, the log loss of the true class, averaged over the boxes.

    Parameters
    ----------
    logits : Tensor (b, C + 1)
        Scores of the classes, the background first.
    label : Tensor (b,)
        Class of each box, in 0..C.
    weight : Tensor (b,)
        Weight of each box in the mean.
    """
    loss = F.cross_entropy(logits, label, reduction="none")
    return (loss * weight).sum() / max(len(label), 1)


def regression_loss(
    found: Tensor, wanted: Tensor, weight: Tensor, n_boxes: int, beta: float = 1.0
) -> Tensor:
    """Return the regression loss of boxes on people: a sum of smooth L1 (equations 4, 5).

    The sum is divided by the number of all sampled boxes, as in Fast R-CNN. Equation 4 is taken
    to mean ``c_B >= 1``: as printed, ``c_B > 1``, it would leave the first anchor-pose out.

    Parameters
    ----------
    found, wanted : Tensor (p, 13, 5)
        Regressed and wanted values of the boxes on people.
    weight : Tensor (p, 13)
        Weight of each joint.
    n_boxes : int
        Number of sampled boxes, by which the sum is divided.
    beta : float
        Error at which the loss turns from ``error^2 / (2 beta)`` to ``error - beta / 2``; 1
        in equation 5.
    """
    loss = F.smooth_l1_loss(found, wanted, reduction="none", beta=beta)
    return (loss * weight[..., None]).sum() / max(n_boxes, 1)


def _dense(inside: int, settings: TrainSettings) -> list[nn.Module]:
    """A fully connected layer, with what goes around it."""
    width = settings.fc_channels
    norm: list[nn.Module] = [nn.BatchNorm1d(width)] if settings.fc_norm else []
    return [nn.Linear(inside, width), *norm, nn.ReLU(inplace=True), nn.Dropout(settings.dropout)]


def _region_proposals(backbone: Backbone, settings: TrainSettings) -> RegionProposalNetwork:
    """Faster R-CNN's region proposals with its VGG-16 settings (section 3.4)."""
    levels = len(backbone.levels)
    sizes: tuple[tuple[int, ...], ...] = (
        (tuple(settings.anchor_sizes),)
        if levels == 1
        else tuple((s,) for s in (32, 64, 128, 256, 512))
    )
    generator = AnchorGenerator(sizes, (tuple(settings.anchor_ratios),) * levels)
    return RegionProposalNetwork(
        generator,
        RPNHead(backbone.channels, generator.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256 * settings.tiles**2,
        positive_fraction=0.5,
        pre_nms_top_n={
            "training": settings.train_proposals[0] * settings.tiles**2,
            "testing": settings.test_proposals[0],
        },
        post_nms_top_n={
            "training": settings.train_proposals[1] * settings.tiles**2,
            "testing": settings.test_proposals[1],
        },
        nms_thresh=0.7,
    )
