"""The optimizer, the learning rate of each iteration, and the average of the weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from posebank.lcrnet.model import LCRNet
from posebank.lcrnet.settings import TrainSettings

RELATIVE_RATE = "relative_rate"
"""Key of a parameter group: its learning rate, relative to that of the iteration."""


def learning_rate(iteration: int, settings: TrainSettings) -> float:
    """Return the learning rate of an iteration: linear warm-up, then the schedule."""
    rate = settings.learning_rate
    if iteration < settings.warm_up:
        return rate * (iteration + 1) / settings.warm_up
    if settings.schedule == "cosine":
        done = (iteration - settings.warm_up) / max(settings.iterations - settings.warm_up, 1)
        return rate * 0.5 * (1 + math.cos(math.pi * done))
    return rate * (0.1 if iteration >= settings.step_at * settings.iterations else 1.0)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give each parameter group its part of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[RELATIVE_RATE]


def make_optimizer(model: LCRNet, settings: TrainSettings) -> torch.optim.Optimizer:
    """Return the optimizer over what is trained, in two groups: the backbone and the rest."""
    backbone = {id(parameter) for parameter in model.backbone.parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    inner = [p for p in trained if id(p) in backbone]
    outer = [p for p in trained if id(p) not in backbone]
    groups = [
        {"params": inner, RELATIVE_RATE: settings.backbone_rate},
        {"params": outer, RELATIVE_RATE: 1.0},
    ]
    # Fused: one pass over the weights, six times as fast as the default on a CPU.
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(
            groups, settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
    return torch.optim.SGD(
        groups,
        settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def average_of(model: LCRNet, settings: TrainSettings) -> AveragedModel | None:
    """Return an exponential moving average of the weights, if the settings ask for one.

    Its decay rises to ``settings.average`` (see ``average_decay``). The statistics of batch
    normalisation are averaged like the weights.
    """
    if not settings.average:
        return None

    def update(averaged: Any, current: Any, n_averaged: Any) -> None:
        average: Any = get_ema_multi_avg_fn  # it has no hints
        average(average_decay(settings.average, int(n_averaged)))(averaged, current, n_averaged)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)


def average_decay(decay: float, iteration: int) -> float:
    """Return the decay of the moving average of the weights after some iterations.

    With a decay of 0.999 from the start, an average after 500 iterations would still be three
    fifths the random network that training began with. So the average is over the last tenth of
    the iterations at first, ``(1 + n) / (10 + n)``, until that is as long as ``decay`` says.
    """
    return min(decay, (1 + iteration) / (10 + iteration))
