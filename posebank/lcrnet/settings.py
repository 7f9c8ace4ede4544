"""Settings of the network and of its training; a preset for each backbone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from posebank.deciding import SPEED_ONLY
from posebank.errors import SettingsError

BACKBONES = ("vgg16", "resnet50_fpn", "small")
OPTIMIZERS = ("sgd", "adamw")
PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class TrainSettings:
    """The paper's network and training (section 3.4); what it leaves open is Faster R-CNN's.

    backbone : one of ``BACKBONES``; ``weights`` is a file with its weights (state dict or npz),
        "imagenet" for torchvision's download, "" for none.
    iterations, images_per_batch, boxes_per_image, people_fraction : the batch is 8 images of 32
        boxes, a quarter of them on people.
    accumulate : forward passes a batch is divided into, for small GPUs.
    learning_rate, momentum, weight_decay, warm_up : warm-up iterations; the rate falls tenfold at
        ``step_at`` of the run. optimizer : sgd or adamw.
    short_side, long_side : image size in pixels.
    anchor_sizes, anchor_ratios : of the region proposals, pixels of the resized image.
    train_proposals, test_proposals : boxes before and after the proposals' own suppression.
    fc_channels, fc_norm, dropout : width of fc6 and fc7, batch normalisation in them, dropout.
    regression_weight : of L_reg in the sum of equation 1, where it is 1. regression_unit : what
        the regressor's outputs are multiplied by. Differences from an anchor-pose are some tenths;
        where steps have the size of the rate whatever the loss (adamw), they need a small unit.
    trust_weighting : weigh a person's classification and regression by the label's trust.
    min_trust : labels of less trust are not used; boxes on such people are not background either.
    occluded_joints, completed_joints : supervise joints that are hidden, or were filled in.
    checkpoint_every : iterations. precision : float32, or autocast to bfloat16 or float16.
    num_workers : processes that decode images.
    """

    backbone: str = "vgg16"
    weights: str = ""
    iterations: int = 100_000
    images_per_batch: int = 8
    boxes_per_image: int = 32
    people_fraction: float = 0.25
    accumulate: int = 1
    optimizer: str = "sgd"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warm_up: int = 500
    step_at: float = 5 / 7
    short_side: int = 600
    long_side: int = 1000
    anchor_sizes: tuple[int, ...] = (128, 256, 512)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    train_proposals: tuple[int, int] = (12000, 2000)
    test_proposals: tuple[int, int] = (6000, 300)
    fc_channels: int = 4096
    fc_norm: bool = False
    dropout: float = 0.5
    upper_body: bool = True
    mirror: bool = True
    regression_weight: float = 1.0
    regression_unit: float = 1.0
    trust_weighting: bool = False
    min_trust: float = 0.0
    occluded_joints: bool = True
    completed_joints: bool = True
    gradient_clip: float = 10.0
    checkpoint_every: int = 1000
    precision: str = "float32"
    device: str = field(default="auto", metadata=SPEED_ONLY)
    num_workers: int = field(default=0, metadata=SPEED_ONLY)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (
            ("backbone", BACKBONES),
            ("optimizer", OPTIMIZERS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in known:
                raise SettingsError(
                    f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        for name in (
            "iterations", "images_per_batch", "boxes_per_image", "accumulate", "short_side",
            "long_side", "fc_channels", "checkpoint_every",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 < self.people_fraction <= 1:
            raise SettingsError(
                f"people_fraction: expected a fraction in (0, 1], got {self.people_fraction}"
            )
        if self.images_per_batch % self.accumulate:
            raise SettingsError(
                f"accumulate: expected a divisor of images_per_batch={self.images_per_batch}, "
                f"got {self.accumulate}"
            )


def preset(backbone: str) -> TrainSettings:
    """Settings that suit a backbone; for vgg16 they are the paper's.

    Raises
    ------
    SettingsError
        If the backbone is not known.
    """
    base = TrainSettings(backbone=backbone)
    if backbone == "small":
        # Trains on two CPU cores in minutes: small images, and Adam because the run is short. Few
        # people are in an image, and each regressor sees the few of its class: many boxes of them.
        return replace(
            base,
            iterations=900,
            images_per_batch=12,
            boxes_per_image=10,
            people_fraction=0.8,
            learning_rate=1e-3,
            optimizer="adamw",
            weight_decay=1e-4,
            warm_up=100,
            short_side=96,
            long_side=128,
            anchor_sizes=(20, 40, 80),
            train_proposals=(300, 60),
            test_proposals=(300, 60),
            fc_channels=384,
            # The pooled features are all positive: without it their mean drowns what differs from
            # box to box, and after the first steps nearly every unit is 0 for good.
            fc_norm=True,
            dropout=0.0,
            upper_body=False,
            regression_weight=5.0,
            regression_unit=0.1,
            checkpoint_every=200,
        )
    if backbone == "resnet50_fpn":
        return replace(base, fc_channels=1024, dropout=0.0)
    return base


@dataclass(frozen=True)
class IntegrationSettings:
    """From pose proposals to poses (section 3.5).

    min_score : proposals of a lower score are dropped first. max_per_box : classes kept of a box.
    iou : overlap of the boxes around 2D joints that makes a group (the paper's value for MPII).
    distance_m : T_3D, largest mean joint distance within a mode (100 mm for MPII, 200 mm for
        Human3.6M). nms_iou : overlap at which NMS suppresses.
    """

    min_score: float = 0.01
    max_per_box: int = 10
    iou: float = 0.08
    distance_m: float = 0.100
    nms_iou: float = 0.30
    max_poses: int = 100
