"""Training: one plain loop, checkpoints by rename, exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from posebank.artefacts import atomic_path
from posebank.errors import ArtefactError, PosebankError
from posebank.lcrnet.images import resized
from posebank.lcrnet.model import LCRNet
from posebank.lcrnet.settings import TrainSettings
from posebank.lcrnet.targets import AnchorTensors, ImageTargets, image_targets
from posebank.shards import PoseShards, flip_sample
from posebank.shards.augment import Sample
from posebank.skeleton import JointState
from posebank.types import Anchors

CHECKPOINT = "checkpoint.pt"
INITIAL = "checkpoint_initial.pt"


@dataclass(frozen=True)
class TrainResult:
    """Losses are means over the last tenth of the run."""

    iterations: int
    images: int
    seconds: float
    loss: float
    losses: dict[str, float]


def anchor_tensors(anchors: Anchors, upper_body: bool) -> AnchorTensors:
    """Anchor-poses as tensors; the upper-body ones only on request.

    Raises
    ------
    ArtefactError
        If upper-body anchors are wanted and there are none.
    """
    full = anchors.kind == "full"
    if upper_body and full.all():
        raise ArtefactError("anchors: expected upper-body anchor-poses (upper_body), found none")
    chosen = anchors if upper_body else anchors.take(full)
    return AnchorTensors(
        torch.from_numpy(np.array(chosen.pose_2d)),
        torch.from_numpy(np.array(chosen.pose_3d)),
        int(full.sum()),
    )


def pick_device(name: str) -> torch.device:
    """The named device; ``auto`` is a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


class _Batches:
    """Batch number -> rows of the data set: every image once an epoch, in an order by the seed."""

    def __init__(self, n_images: int, settings: TrainSettings, start: int) -> None:
        self.n_images, self.settings, self.start = n_images, settings, start

    def __len__(self) -> int:
        return self.settings.iterations - self.start

    def __iter__(self) -> Iterator[list[int]]:
        size = self.settings.images_per_batch
        for iteration in range(self.start, self.settings.iterations):
            yield [self._row(iteration * size + i) for i in range(size)]

    def _row(self, position: int) -> int:
        epoch, place = divmod(position, self.n_images)
        return int(_order(self.n_images, self.settings.seed, epoch)[place])


_orders: dict[tuple[int, int, int], np.ndarray] = {}


def _order(n_images: int, seed: int, epoch: int) -> np.ndarray:
    key = (n_images, seed, epoch)
    if key not in _orders:
        _orders.clear()
        _orders[key] = np.random.default_rng([seed, 1, epoch]).permutation(n_images)
    return _orders[key]


def _joint_weights(sample: Sample, settings: TrainSettings) -> Tensor:
    weight = torch.ones(sample["state"].shape)
    if not settings.completed_joints:
        weight[sample["state"] == JointState.COMPLETED] = 0
    if settings.trust_weighting:
        weight = weight * sample["trust"][:, None]
    return weight


def prepare(
    sample: Sample, anchors: AnchorTensors, settings: TrainSettings, *, flip: bool
) -> tuple[Tensor, ImageTargets]:
    """A sample as the network's input and targets, mirrored if asked."""
    sample = flip_sample(sample) if flip else sample
    image, x_factor, y_factor = resized(sample["image"], settings)
    scale = torch.tensor([x_factor, y_factor])
    targets = image_targets(
        sample["joints_2d"] * scale,
        sample["joints_3d"],
        sample["state"],
        _joint_weights(sample, settings),
        anchors,
    )
    return image, targets


def _learning_rate(iteration: int, settings: TrainSettings) -> float:
    rate = settings.learning_rate
    if iteration < settings.warm_up:
        rate *= (iteration + 1) / settings.warm_up
    if iteration >= settings.step_at * settings.iterations:
        rate *= 0.1
    return rate


def _optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(
            parameters, settings.learning_rate, weight_decay=settings.weight_decay
        )
    return torch.optim.SGD(
        parameters,
        settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )


def _save(path: Path, state: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def _state(
    model: LCRNet,
    settings: TrainSettings,
    iteration: int,
    optimizer: torch.optim.Optimizer | None = None,
    history: list[dict[str, float]] | None = None,
) -> dict[str, Any]:
    state: dict[str, Any] = {
        "format": 1,
        "settings": asdict(settings),
        "n_full": model.n_full,
        "model": model.state_dict(),
        "iteration": iteration,
    }
    if optimizer is not None:
        state["optimizer"] = optimizer.state_dict()
        state["history"] = history
        state["random"] = torch.get_rng_state()
        if torch.cuda.is_available():
            state["random_cuda"] = torch.cuda.get_rng_state()
    return state


def train(
    shards: Path,
    anchors: Anchors,
    run: Path,
    settings: TrainSettings,
    *,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> TrainResult:
    """Train on the ``train`` split of the shards.

    Parameters
    ----------
    run : folder for ``checkpoint_initial.pt``, ``checkpoint.pt``, TensorBoard logs and
        ``metrics.parquet``.
    resume : go on from ``checkpoint.pt`` if it is there; the losses are those of a run that was
        not interrupted.
    progress : called with iterations done and in all.

    Raises
    ------
    PosebankError
        If a loss is not finite; the batch's images are named.
    """
    start_time = time.perf_counter()
    device = pick_device(settings.device)
    torch.manual_seed(settings.seed)
    host = anchor_tensors(anchors, settings.upper_body)
    model = LCRNet(host, settings).to(device)
    optimizer = _optimizer(model, settings)
    run.mkdir(parents=True, exist_ok=True)
    data = PoseShards(shards, "train", min_trust=settings.min_trust)

    first, history = 0, []
    checkpoint = run / CHECKPOINT
    if resume and checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=False)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, history = state["iteration"], state["history"]
        torch.set_rng_state(state["random"].cpu())
        if "random_cuda" in state and device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"].cpu())
    else:
        _save(run / INITIAL, _state(model, settings, 0))

    loader = DataLoader(
        data,
        batch_sampler=_Batches(len(data), settings, first),
        collate_fn=list,
        num_workers=settings.num_workers,
    )
    writer = SummaryWriter(str(run / "tensorboard"), purge_step=first)
    model.train()
    for iteration, samples in enumerate(loader, first):
        rate = _learning_rate(iteration, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses = _step(model, optimizer, samples, host, iteration, settings)
        history.append({"iteration": iteration, "learning_rate": rate, **losses})
        for name, value in losses.items():
            writer.add_scalar(f"loss/{name}", value, iteration)
        writer.add_scalar("learning_rate", rate, iteration)
        done = iteration + 1
        if done % settings.checkpoint_every == 0 or done == settings.iterations:
            _save(checkpoint, _state(model, settings, done, optimizer, history))
        if progress:
            progress(done, settings.iterations)
    writer.close()
    table = pd.DataFrame(history)
    with atomic_path(run / "metrics.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    last = table.tail(max(1, len(table) // 10)).drop(columns=["iteration", "learning_rate"]).mean()
    return TrainResult(
        iterations=settings.iterations,
        images=len(data),
        seconds=round(time.perf_counter() - start_time, 1),
        loss=float(last["total"]),
        losses={str(k): round(float(v), 5) for k, v in last.items()},
    )


def _step(
    model: LCRNet,
    optimizer: torch.optim.Optimizer,
    samples: list[Sample],
    anchors: AnchorTensors,
    iteration: int,
    settings: TrainSettings,
) -> dict[str, float]:
    """One update from a batch, divided into ``accumulate`` forward passes."""
    device = next(model.parameters()).device
    rng = np.random.default_rng([settings.seed, 2, iteration])
    flips = rng.random(len(samples)) < 0.5
    optimizer.zero_grad(set_to_none=True)
    sums: dict[str, float] = {}
    size = len(samples) // settings.accumulate
    for start in range(0, len(samples), size):
        some = [
            prepare(s, anchors, settings, flip=bool(settings.mirror and f))
            for s, f in zip(samples[start : start + size], flips[start : start + size], strict=True)
        ]
        images = [image.to(device) for image, _ in some]
        targets = [target.to(device) for _, target in some]
        context = (
            torch.autocast(device.type, dtype=torch.bfloat16) if settings.amp else nullcontext()
        )
        with context:
            losses = model.losses(images, targets)
        total = sum(losses.values()) / settings.accumulate
        assert isinstance(total, Tensor)
        if not math.isfinite(total.item()):
            names = ", ".join(s["image_id"] for s in samples)
            raise PosebankError(
                f"iteration {iteration}: the loss is {total.item()}; batch: {names}"
            )
        total.backward()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.item() / settings.accumulate
    nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
    optimizer.step()
    return {**sums, "total": sum(sums.values())}
