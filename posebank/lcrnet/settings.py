"""Settings of the network and of its training; a preset for each backbone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from posebank.deciding import SPEED_ONLY
from posebank.errors import SettingsError

BACKBONES = ("vgg16", "resnet50_fpn", "small", "lite0", "lite2")
TIMM = "timm:"
"""A backbone ``timm:NAME`` is the model ``NAME`` of the library timm."""
SCHEDULES = ("step", "cosine")
SIZES = ("short_side", "native")
OPTIMIZERS = ("sgd", "adamw")
PRECISIONS = ("float32", "bfloat16", "float16")
INTEGRATIONS = ("ppi", "nms")
"""How pose proposals become poses; the first is the default."""
FOREGROUND_IOU = 0.5
"""Overlap with a person's box from which on a box is foreground (section 3.1)."""


_POSITIVE = (
    "iterations",
    "images_per_batch",
    "boxes_per_image",
    "accumulate",
    "short_side",
    "long_side",
    "tiles",
    "pooled",
    "fc_channels",
    "checkpoint_every",
)


@dataclass(frozen=True)
class TrainSettings:
    """The paper's network and training (section 3.4); what it leaves open is Faster R-CNN's.

    Parameters
    ----------
    backbone : one of ``BACKBONES``, or ``timm:NAME`` for a model of the library timm.
    weights : weights of the backbone: a file (state dict or npz), "imagenet" for ImageNet weights
        (of ``lite0`` and ``lite2`` those of an installed package, of the others a download),
        "" for random ones.
    start_from : a checkpoint of posebank whose network the training starts from; "" for none.
    frozen_stages : stages of the backbone, counted from the image, that are not trained.
    frozen_norm : batch normalisation of a pretrained backbone keeps its statistics and weights.
    iterations, images_per_batch, boxes_per_image, people_fraction : the batch is 8 images of 32
        boxes, a quarter of them on people.
    accumulate : forward passes a batch is divided into, for small GPUs.
    optimizer, learning_rate, momentum, weight_decay : sgd or adamw.
    backbone_rate : learning rate of the backbone's convolutions, relative to ``learning_rate``.
    schedule, warm_up, step_at : after ``warm_up`` iterations of linear warm-up the rate falls
        tenfold at ``step_at`` of the run (step), or to 0 along half a cosine (cosine).
    average : decay of the exponential moving average of the weights, which is what a checkpoint
        predicts with; 0 for no average.
    size : how images are resized. ``short_side``: the shorter side to ``short_side`` pixels, the
        longer to ``long_side`` at most (Faster R-CNN's rule). ``native``: by ``native_scale``,
        the longer side to ``long_side`` at most, so that the size of people is kept.
    window : side in pixels, at the network's size, of square windows around people that training
        uses instead of whole images; 0 for whole images.
    tiles : windows each way that training joins to one image. Region proposals, and the boxes to
        learn from, are found image by image, which keeps a GPU waiting; joined windows are one
        image with as many boxes as they would have alone. ``images_per_batch`` counts windows.
    mirror, rotation_deg, scale, shift, colour : random changes of training images, see
        ``posebank.shards.Augmentation``. Whether half of them are mirrored; largest rotation;
        largest factor of the size; largest shift as a fraction of the image or window; strength
        of changes of brightness, contrast and saturation.
    anchor_sizes, anchor_ratios : of the region proposals, pixels of the resized image.
    train_proposals, test_proposals : boxes before and after the proposals' own suppression.
    pooled : cells each way to which a box's features are pooled.
    fc_channels, fc_norm, dropout : width of fc6 and fc7, batch normalisation in them, dropout.
    upper_body : whether there are upper-body boxes and classes.
    upper_leg_weight : weight of the regression of knees and ankles in upper-body boxes.
    regression_weight : of L_reg in the sum of equation 1, where it is 1.
    regression_beta : error at which the smooth L1 loss of equation 5 turns from a parabola into a
        line; the paper's 1 is larger than nearly all errors, which makes the loss a squared one.
    regression_unit : what the regressor's outputs are multiplied by. Differences from an
        anchor-pose are some tenths; where steps have the size of the rate whatever the loss
        (adamw), they need a small unit.
    trust_weighting : weigh a person's classification and regression by the label's trust.
    min_trust : labels of less trust are not used; boxes on such people are not background either.
    occluded_joints, completed_joints : supervise joints that are hidden, or were filled in.
    gradient_clip : largest norm of the gradient.
    checkpoint_every : iterations. validation_images : images of the validation split, the same
        ones each time, that are predicted and scored at each checkpoint; 0 for none.
    precision : float32, or autocast to bfloat16 or float16.
    device : ``auto``, ``cpu``, ``cuda``. num_workers : processes that decode images.
    seed : of everything random here.
    """

    backbone: str = "vgg16"
    weights: str = ""
    start_from: str = ""
    frozen_stages: int = 0
    frozen_norm: bool = False
    iterations: int = 100_000
    images_per_batch: int = 8
    boxes_per_image: int = 32
    people_fraction: float = 0.25
    accumulate: int = 1
    optimizer: str = "sgd"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    backbone_rate: float = 1.0
    schedule: str = "step"
    warm_up: int = 500
    step_at: float = 5 / 7
    average: float = 0.0
    size: str = "short_side"
    native_scale: float = 1.0
    short_side: int = 600
    long_side: int = 1000
    window: int = 0
    tiles: int = 1
    mirror: bool = True
    rotation_deg: float = 0.0
    scale: float = 1.0
    shift: float = 0.0
    colour: float = 0.0
    anchor_sizes: tuple[int, ...] = (128, 256, 512)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    train_proposals: tuple[int, int] = (12000, 2000)
    test_proposals: tuple[int, int] = (6000, 300)
    pooled: int = 7
    fc_channels: int = 4096
    fc_norm: bool = False
    dropout: float = 0.5
    upper_body: bool = True
    upper_leg_weight: float = 0.1
    regression_weight: float = 1.0
    regression_beta: float = 1.0
    regression_unit: float = 1.0
    trust_weighting: bool = False
    min_trust: float = 0.0
    occluded_joints: bool = True
    completed_joints: bool = True
    gradient_clip: float = 10.0
    checkpoint_every: int = 1000
    validation_images: int = 0
    precision: str = "float32"
    device: str = field(default="auto", metadata=SPEED_ONLY)
    num_workers: int = field(default=0, metadata=SPEED_ONLY)
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.backbone in BACKBONES or self.backbone.startswith(TIMM)):
            raise SettingsError(
                f"backbone: expected one of {', '.join(BACKBONES)} or {TIMM}NAME, "
                f"got {self.backbone!r}"
            )
        for name, known in (
            ("optimizer", OPTIMIZERS),
            ("precision", PRECISIONS),
            ("schedule", SCHEDULES),
            ("size", SIZES),
        ):
            if getattr(self, name) not in known:
                raise SettingsError(
                    f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        for names, least in (
            (_POSITIVE, 1),
            (
                (
                    "frozen_stages",
                    "window",
                    "validation_images",
                    "shift",
                    "colour",
                    "rotation_deg",
                    "average",
                    "backbone_rate",
                ),
                0,
            ),
            (("scale",), 1),
        ):
            for name in names:
                if not getattr(self, name) >= least:
                    raise SettingsError(
                        f"{name}: expected at least {least}, got {getattr(self, name)}"
                    )
        for name in ("native_scale", "regression_beta", "regression_unit", "learning_rate"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name}: expected more than 0, got {getattr(self, name)}")
        if self.average >= 1:
            raise SettingsError(f"average: expected a decay below 1, got {self.average}")
        if not 0 < self.people_fraction <= 1:
            raise SettingsError(
                f"people_fraction: expected a fraction in (0, 1], got {self.people_fraction}"
            )
        self._check_batch()

    def _check_batch(self) -> None:
        """Check that the batch can be divided as the settings ask."""
        if self.tiles > 1 and not self.window:
            raise SettingsError(f"tiles: expected 1 without a window, got {self.tiles}")
        if self.images_per_batch % self.tiles**2:
            raise SettingsError(
                f"images_per_batch: expected a multiple of tiles x tiles = {self.tiles**2}, "
                f"got {self.images_per_batch}"
            )
        if self.images_per_batch % self.accumulate:
            raise SettingsError(
                f"accumulate: expected a divisor of images_per_batch={self.images_per_batch}, "
                f"got {self.accumulate}"
            )


def preset(backbone: str) -> TrainSettings:
    """Return the settings that suit a backbone; for vgg16 they are the paper's.

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
        return replace(base, frozen_norm=True, fc_channels=1024, dropout=0.0)
    if backbone.startswith(TIMM) or backbone in ("lite0", "lite2"):
        # For some thousand photographs and a few CPU cores: see docs/lcrnet.md.
        return replace(
            base,
            weights="imagenet",
            frozen_stages=2,
            frozen_norm=True,
            iterations=4000,
            images_per_batch=16,
            boxes_per_image=16,
            people_fraction=0.5,
            optimizer="adamw",
            learning_rate=1e-3,
            weight_decay=1e-2,
            backbone_rate=0.3,
            schedule="cosine",
            warm_up=200,
            average=0.998,
            size="native",
            long_side=640,
            native_scale=0.85,
            window=160,
            rotation_deg=40.0,
            scale=1.3,
            shift=0.1,
            colour=0.3,
            anchor_sizes=(48, 80, 128),
            train_proposals=(500, 100),
            test_proposals=(500, 100),
            fc_channels=512,
            fc_norm=True,
            dropout=0.2,
            upper_body=False,
            regression_weight=1.0,
            regression_beta=0.05,
            regression_unit=0.1,
            checkpoint_every=250,
        )
    return base


@dataclass(frozen=True)
class IntegrationSettings:
    """From pose proposals to poses (section 3.5).

    Parameters
    ----------
    min_score : proposals of a lower score are dropped first. max_per_box : classes kept of a box.
    iou : overlap of the boxes around 2D joints that makes a group (the paper's value for MPII).
    distance_m : T_3D, largest mean joint distance within a mode (100 mm for MPII, 200 mm for
        Human3.6M in the paper; 300 mm is better for the network of configs/lspe.toml).
    all_modes : return every mode of a group, as the paper's text has it; else one pose of each
        group, which is a person (see ``integrate``).
    nms_iou : overlap at which NMS suppresses. max_poses : poses of an image.
    mirrored : add the proposals of the mirrored image, mirrored back.
    """

    min_score: float = 0.01
    max_per_box: int = 10
    iou: float = 0.08
    distance_m: float = 0.100
    all_modes: bool = False
    nms_iou: float = 0.30
    max_poses: int = 100
    mirrored: bool = False
