"""Feature extractors: what each looks like is here, so that the model needs no ``if``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import VGG16_Weights, vgg16
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from posebank.errors import SettingsError, SourceError


@dataclass(frozen=True)
class Backbone:
    """features : images (n, 3, H, W) -> named maps of ``channels``; levels of the maps' names."""

    features: nn.Module
    channels: int
    levels: tuple[str, ...]


class _SingleMap(nn.Module):
    """Wrap a sequence of layers so that it returns one named map."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return OrderedDict([("0", self.layers(images))])


def _vgg16(weights: str) -> Backbone:
    """conv1-conv5 of VGG-16 without the last pooling: stride 16 (paper, section 3.4)."""
    network = vgg16(weights=VGG16_Weights.IMAGENET1K_V1 if weights == "imagenet" else None)
    layers = network.features[:-1]
    if weights not in ("", "imagenet"):
        _load(layers, Path(weights))
    return Backbone(_SingleMap(layers), 512, ("0",))


def _resnet50_fpn(weights: str) -> Backbone:
    network = resnet_fpn_backbone(
        backbone_name="resnet50",
        weights="IMAGENET1K_V2" if weights == "imagenet" else None,
        trainable_layers=5,
        norm_layer=lambda n: nn.GroupNorm(32, n) if weights == "" else nn.BatchNorm2d(n),
    )
    if weights not in ("", "imagenet"):
        _load(network.body, Path(weights))
    return Backbone(network, 256, ("0", "1", "2", "3", "pool"))


def _small(weights: str) -> Backbone:
    """Six convolutions, stride 8, group normalisation: trains from scratch on a CPU."""

    def block(inside: int, outside: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.GroupNorm(8, outside),
            nn.ReLU(inplace=True),
        )

    layers = nn.Sequential(
        block(3, 24, 2), block(24, 48, 2), block(48, 64, 2),
        block(64, 64, 1), block(64, 96, 1), block(96, 96, 1),
    )  # fmt: skip
    if weights:
        _load(layers, Path(weights))
    return Backbone(_SingleMap(layers), 96, ("0",))


_BUILDERS: dict[str, Callable[[str], Backbone]] = {
    "vgg16": _vgg16,
    "resnet50_fpn": _resnet50_fpn,
    "small": _small,
}


def build_backbone(name: str, weights: str = "") -> Backbone:
    """The named backbone.

    Parameters
    ----------
    weights : "" for random ones, "imagenet" for torchvision's, else a file: a torch state dict, or
        an ``.npz`` of the convolutions in order (kernels OIHW or HWIO, then bias).

    Raises
    ------
    SourceError
        If the file does not hold the weights of this backbone.
    """
    if name not in _BUILDERS:
        raise SettingsError(f"backbone: expected one of {', '.join(_BUILDERS)}, got {name!r}")
    return _BUILDERS[name](weights)


def _load(layers: nn.Module, path: Path) -> None:
    if not path.exists():
        raise SourceError(path, "expected a file of weights, found nothing")
    try:
        if path.suffix == ".npz":
            _load_convolutions(layers, path)
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = {k.removeprefix("features."): v for k, v in state.items()}
        wanted = layers.state_dict()
        layers.load_state_dict({k: state[k] for k in wanted})
    except (KeyError, RuntimeError, ValueError, OSError) as error:
        raise SourceError(path, f"expected weights of this backbone: {error}") from error


def _load_convolutions(layers: nn.Module, path: Path) -> None:
    """Arrays of the convolutions in order; HWIO kernels (Keras) are turned to OIHW."""
    arrays = np.load(path)
    pending = [torch.from_numpy(arrays[name]) for name in arrays.files]
    for layer in layers.modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        kernel, bias = pending.pop(0), pending.pop(0)
        if kernel.shape != layer.weight.shape:
            kernel = kernel.permute(3, 2, 0, 1)
        with torch.no_grad():
            layer.weight.copy_(kernel)
            if layer.bias is not None:
                layer.bias.copy_(bias)
