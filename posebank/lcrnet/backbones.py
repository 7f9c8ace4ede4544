"""Feature extractors: what each looks like is here, so that the model needs no ``if``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import VGG16_Weights
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.vgg import cfgs, make_layers
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, RoIPool, roi_align
from torchvision.ops.poolers import initLevelMapper

from posebank.errors import SettingsError, SourceError
from posebank.lcrnet.settings import BACKBONES, TIMM, TrainSettings
from posebank.lcrnet.timm_backbones import CHANNELS, IMAGENET_MEAN, IMAGENET_STD, summed_features

State = dict[str, Tensor]
Dense = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Weight and bias of two fully connected layers."""


@dataclass(frozen=True)
class Backbone:
    """A feature extractor.

    features : images (n, 3, H, W) -> named maps of ``channels``; levels : the maps' names.
    pool : maps, boxes of each image, sizes of the images -> (b, channels, pooled, pooled).
    stages : parts of ``features`` in the order in which an image passes them.
    dense : the two trained layers behind the features, if they come with the weights.
    mean, std : colours (0 to 1) are normalised by them.
    channels_last : whether the features are faster with the channels innermost in memory.
    """

    features: nn.Module
    channels: int
    levels: tuple[str, ...]
    pool: nn.Module
    stages: list[nn.Module]
    dense: Dense | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    channels_last: bool = False


class _SingleMap(nn.Module):
    """Wrap a sequence of layers so that it returns one named map."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return OrderedDict([("0", self.layers(images))])


class _SinglePool(nn.Module):
    """RoI pooling on the one map of ``stride``, as the paper has it."""

    def __init__(self, stride: int, pooled: int) -> None:
        super().__init__()
        self.pool = RoIPool(pooled, 1 / stride)

    def forward(
        self,
        maps: dict[str, Tensor],
        boxes: list[Tensor],
        sizes: list[tuple[int, int]],  # noqa: ARG002 (as MultiScaleRoIAlign is called)
    ) -> Tensor:
        (features,) = maps.values()
        pooled: Tensor = self.pool(features, boxes)
        return pooled


class _SingleAlign(nn.Module):
    """RoI align on the one map of ``stride``, with one sample a bin.

    RoI pooling rounds boxes to whole cells, which is half a head of the people in small images. A
    bin is about a cell, so one sample in it will do; four cost a tenth of the training time.
    """

    def __init__(self, stride: int, pooled: int) -> None:
        super().__init__()
        self.stride, self.pooled = stride, pooled

    def forward(
        self,
        maps: dict[str, Tensor],
        boxes: list[Tensor],
        sizes: list[tuple[int, int]],  # noqa: ARG002 (as MultiScaleRoIAlign is called)
    ) -> Tensor:
        (features,) = maps.values()
        pooled: Tensor = roi_align(features, boxes, self.pooled, 1 / self.stride, 1)
        return pooled


class _PyramidAlign(nn.Module):
    """RoI align on maps of the given strides, each box on the map that suits its size.

    torchvision's infers the scale of the maps from the first images that it sees and keeps it. A
    map's size is rounded, so after a small or narrow image boxes of later ones would be pooled
    from the wrong places.
    """

    def __init__(self, levels: list[str], strides: tuple[int, ...], pooled: int) -> None:
        super().__init__()
        self.align = MultiScaleRoIAlign(levels, pooled, 2)
        self.align.scales = [1 / stride for stride in strides]
        first, last = (round(np.log2(stride)) for stride in (strides[0], strides[-1]))
        self.align.map_levels = initLevelMapper(first, last)

    def forward(
        self, maps: dict[str, Tensor], boxes: list[Tensor], sizes: list[tuple[int, int]]
    ) -> Tensor:
        pooled: Tensor = self.align(maps, boxes, sizes)
        return pooled


def _vgg16(weights: str, settings: TrainSettings) -> Backbone:
    """conv1-conv5 of VGG-16 without the last pooling: stride 16 (paper, section 3.4)."""
    layers = make_layers(cfgs["D"])
    dense = None
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    if weights.endswith(".npz"):
        _load_convolutions(layers, Path(weights))
    elif weights:
        state = (
            VGG16_Weights.IMAGENET1K_V1.get_state_dict()
            if weights == "imagenet"
            else _read_state(Path(weights))
        )
        _load_state(layers, state, weights, "features.")
        dense = _dense_of(state)
    stages: list[nn.Module] = [nn.ModuleList()]
    for layer in layers[:-1]:
        stages[-1].append(layer)  # type: ignore[operator]
        if isinstance(layer, nn.MaxPool2d):
            stages.append(nn.ModuleList())
    pool = _SinglePool(16, settings.pooled)
    return Backbone(_SingleMap(layers[:-1]), 512, ("0",), pool, stages, dense)


def _dense_of(state: State) -> Dense | None:
    """fc6 and fc7 of VGG-16, if its classifier came with the weights."""
    names = [f"classifier.{layer}.{part}" for layer in (0, 3) for part in ("weight", "bias")]
    if any(name not in state for name in names):
        return None
    values = [state[name] for name in names]
    return (values[0], values[1]), (values[2], values[3])


def _resnet50_fpn(weights: str, settings: TrainSettings) -> Backbone:
    def norm(channels: int) -> nn.Module:
        if settings.weights == "":  # batches of a few images are too small for batch normalisation
            return nn.GroupNorm(32, channels)
        kind = FrozenBatchNorm2d if settings.frozen_norm else nn.BatchNorm2d
        return kind(channels)

    network = resnet_fpn_backbone(
        backbone_name="resnet50",
        weights="IMAGENET1K_V2" if weights == "imagenet" else None,
        trainable_layers=5,
        norm_layer=norm,
    )
    if weights not in ("", "imagenet"):
        _load_state(network.body, _read_state(Path(weights)), weights)
    levels = ("0", "1", "2", "3", "pool")
    body = network.body
    stages = [nn.ModuleList([body.conv1, body.bn1]), *(body[f"layer{n}"] for n in range(1, 5))]
    pool = _PyramidAlign(list(levels[:-1]), (4, 8, 16, 32), settings.pooled)
    return Backbone(network, 256, levels, pool, stages)


def _small(weights: str, settings: TrainSettings) -> Backbone:
    """Six convolutions, stride 8, batch normalisation: trains from scratch on a CPU."""

    def block(inside: int, outside: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
        )

    layers = nn.Sequential(
        block(3, 24, 2), block(24, 48, 2), block(48, 64, 2),
        block(64, 64, 1), block(64, 96, 1), block(96, 96, 1),
    )  # fmt: skip
    if weights:
        _load_state(layers, _read_state(Path(weights)), weights)
    pool = _SingleAlign(8, settings.pooled)
    return Backbone(_SingleMap(layers), 96, ("0",), pool, list(layers))


def _timm(weights: str, settings: TrainSettings) -> Backbone:
    features, mean, std, stages = summed_features(
        settings.backbone.removeprefix(TIMM),
        weights if weights == "imagenet" else "",
        frozen_norm=settings.frozen_norm,
    )
    if weights not in ("", "imagenet"):
        _load_state(features.network, _read_state(Path(weights)), weights)
    pool = _SingleAlign(8, settings.pooled)
    return Backbone(
        features, CHANNELS, ("0",), pool, stages, mean=mean, std=std, channels_last=True
    )


_BUILDERS: dict[str, Callable[[str, TrainSettings], Backbone]] = {
    "vgg16": _vgg16,
    "resnet50_fpn": _resnet50_fpn,
    "small": _small,
    "lite0": _timm,
    "lite2": _timm,
}
assert set(_BUILDERS) == set(BACKBONES)


def build_backbone(settings: TrainSettings, *, load_weights: bool = True) -> Backbone:
    """Return the backbone of the settings, its first ``frozen_stages`` stages not to be trained.

    Parameters
    ----------
    settings : TrainSettings
        ``backbone``; ``weights``: "" for random ones, "imagenet" (not for small), else a
        file: a torch state dict with the names of torchvision's or timm's network, or for
        vgg16 an ``.npz`` of its convolutions in order (kernel OIHW or HWIO, then bias, of
        each; for RGB input); ``frozen_stages``, ``frozen_norm`` and ``pooled``.
    load_weights : bool
        False builds the same network without reading its first weights.

    Raises
    ------
    SourceError
        If the file does not hold the weights of this backbone.
    SettingsError
        If there are no such weights, or fewer stages than are to be frozen.
    """
    if settings.backbone == "small" and settings.weights == "imagenet":
        raise SettingsError("weights: expected a file or nothing for backbone small, got imagenet")
    build = _timm if settings.backbone.startswith(TIMM) else _BUILDERS[settings.backbone]
    backbone = build(settings.weights if load_weights else "", settings)
    if settings.frozen_stages > len(backbone.stages):
        raise SettingsError(
            f"frozen_stages: expected at most {len(backbone.stages)} for {settings.backbone}, "
            f"got {settings.frozen_stages}"
        )
    for stage in backbone.stages[: settings.frozen_stages]:
        stage.requires_grad_(False)
    return backbone


def _read_state(path: Path) -> State:
    if not path.exists():
        raise SourceError(path, "expected a file of weights, found nothing")
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    # On files of another kind or cut short torch raises whatever their bytes lead to.
    except Exception as error:
        raise SourceError(path, f"expected weights of this backbone: {error!r}") from error
    return state


def _load_state(layers: nn.Module, state: State, where: str, prefix: str = "") -> None:
    """Load the entries that the layers have; others (a classifier) are left out."""
    try:
        layers.load_state_dict({name: state[prefix + name] for name in layers.state_dict()})
    except (KeyError, TypeError, RuntimeError) as error:
        raise SourceError(where, f"expected weights of this backbone: {error!r}") from error


def _load_convolutions(layers: nn.Module, path: Path) -> None:
    """Arrays of the convolutions in order; HWIO kernels (Keras) are turned to OIHW."""
    convolutions = [layer for layer in layers.modules() if isinstance(layer, nn.Conv2d)]
    try:
        with np.load(path) as file:
            arrays = [torch.from_numpy(file[name]) for name in file.files]
    except (OSError, ValueError, BadZipFile) as error:
        raise SourceError(path, f"expected weights of this backbone: {error}") from error
    if len(arrays) != 2 * len(convolutions):
        raise SourceError(path, f"expected {2 * len(convolutions)} arrays, found {len(arrays)}")
    for layer, kernel, bias in zip(convolutions, arrays[::2], arrays[1::2], strict=True):
        oihw = kernel if kernel.shape == layer.weight.shape else kernel.permute(3, 2, 0, 1)
        if oihw.shape != layer.weight.shape or layer.bias is None or bias.shape != layer.bias.shape:
            raise SourceError(
                path,
                f"expected a kernel of shape {tuple(layer.weight.shape)} and its bias, found "
                f"{tuple(kernel.shape)} and {tuple(bias.shape)}",
            )
        with torch.no_grad():
            layer.weight.copy_(oihw)
            layer.bias.copy_(bias)
