"""Training: one plain loop, checkpoints by rename, exact resume."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from posebank.artefacts import atomic_path
from posebank.errors import ArtefactError, PosebankError, PosebankWarning, SettingsError
from posebank.lcrnet.checkpoints import (
    CHECKPOINT,
    INITIAL,
    load_weights,
    read_checkpoint,
    save_checkpoint,
)
from posebank.lcrnet.data import Batch, Batches, Example, TrainingImages
from posebank.lcrnet.devices import Processes, keep_freed_memory, mean_over, processes
from posebank.lcrnet.model import LCRNet
from posebank.lcrnet.optimisation import (
    average_of,
    learning_rate,
    make_optimizer,
    set_learning_rate,
)
from posebank.lcrnet.pictures import training_pictures
from posebank.lcrnet.settings import TrainSettings
from posebank.lcrnet.targets import AnchorTensors
from posebank.lcrnet.validation import Validation
from posebank.shards import PoseShards
from posebank.types import Anchors

BAD_BATCH = "bad_batch.pt"
PEOPLE_PER_ANCHOR = 50
_N_PICTURES = 4


@dataclass(frozen=True)
class TrainResult:
    """What a training run did; losses are means over the last tenth of it."""

    iterations: int
    images: int
    seconds: float
    loss: float
    losses: dict[str, float]


@dataclass
class _Training:
    """What changes while training."""

    model: LCRNet
    network: nn.Module  # the model, or what wraps it to train on several processes
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: AveragedModel | None  # of the weights, which is what predicts
    history: list[dict[str, float]]
    validation: list[dict[str, float]]
    iteration: int = 0

    @property
    def predicts(self) -> LCRNet:
        """The network to predict with."""
        return self.model if self.average is None else cast(LCRNet, self.average.module)


def anchor_tensors(anchors: Anchors, upper_body: bool) -> AnchorTensors:
    """Return the anchor-poses as tensors; the upper-body ones only on request.

    Raises
    ------
    ArtefactError
        If there are no anchors, or upper-body ones are wanted and there are none.
    """
    full = anchors.kind == "full"
    if not full.any():
        raise ArtefactError("anchors: expected full-body anchor-poses, found none")
    if upper_body and full.all():
        raise ArtefactError("anchors: expected upper-body anchor-poses (upper_body), found none")
    chosen = anchors if upper_body else anchors.take(full)
    return AnchorTensors(
        torch.from_numpy(np.array(chosen.pose_2d)),
        torch.from_numpy(np.array(chosen.pose_3d)),
        int(full.sum()),
    )


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

    Under ``torchrun`` the processes share each batch, and the first one writes the files.

    Parameters
    ----------
    shards : Path
        Folder of the shards.
    anchors : Anchors
        The anchor-poses.
    run : Path
        Folder for ``checkpoint_initial.pt``, ``checkpoint.pt``, ``metrics.parquet`` and
        TensorBoard's logs (scalars, and pictures at each checkpoint); with
        ``validation_images`` also ``validation.parquet``, the scores at each checkpoint
        against images and CPU seconds.
    settings : TrainSettings
        Settings of the training.
    resume : bool
        Go on from ``checkpoint.pt`` if it is there; the losses are those of a run that was
        not interrupted.
    progress : callable or None
        Called with iterations done and in all.

    Raises
    ------
    PosebankError
        If a loss is not finite; the batch is saved as ``bad_batch.pt`` in the run folder.
    ArtefactError
        If the shards or the checkpoint cannot be used.
    SettingsError
        If the settings contradict each other or the machine.
    """
    start_time = time.perf_counter()
    with processes(settings.device) as group:
        if group.device.type == "cpu":
            keep_freed_memory()
        parts = settings.accumulate * group.world_size * settings.tiles**2
        if settings.images_per_batch % parts:
            raise SettingsError(
                f"images_per_batch: expected a multiple of accumulate x processes x tiles x tiles "
                f"= {parts}, got {settings.images_per_batch}"
            )
        data = PoseShards(shards, "train", settings.min_trust)
        if len(data) == 0:
            raise ArtefactError(
                f"{shards}: expected images of split train with a label of trust >= "
                f"{settings.min_trust}, found none"
            )
        _warn_of_small_classes(data, anchors)
        images = TrainingImages(data, anchor_tensors(anchors, settings.upper_body), settings)
        validation = None
        if settings.validation_images and group.is_first:
            validation = Validation.of(shards, settings.validation_images)
        training = _started(images.anchors, run, settings, group, resume)
        _loop(training, images, run, group, validation, progress)
    table = pd.DataFrame(training.history)
    last = table.tail(max(1, len(table) // 10)).drop(columns=["iteration", "learning_rate"]).mean()
    return TrainResult(
        iterations=settings.iterations,
        images=len(data),
        seconds=round(time.perf_counter() - start_time, 1),
        loss=float(last["total"]),
        losses={str(name): round(float(value), 5) for name, value in last.items()},
    )


def _warn_of_small_classes(data: PoseShards, anchors: Anchors) -> None:
    """Warn where there are too few people for each anchor-pose."""
    parts = np.unique(data.places.part).tolist()
    n_people = sum(data.files.labels(part, data.filter).n_people for part in parts)
    n_anchors = int((anchors.kind == "full").sum())
    suitable = max(n_people // PEOPLE_PER_ANCHOR, 1)
    if n_anchors > suitable:
        warnings.warn(
            f"{n_people:,} people to train {n_anchors} anchor-poses on: expected at least "
            f"{PEOPLE_PER_ANCHOR} for each, or their classes and regressors are learnt poorly; "
            f"{suitable:,} would suit them (posebank anchors -k {suitable})",
            PosebankWarning,
            stacklevel=3,
        )


def _loop(
    training: _Training,
    images: TrainingImages,
    run: Path,
    group: Processes,
    validation: Validation | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    settings = images.settings
    cpu_seconds = training.validation[-1]["cpu_seconds"] if training.validation else 0.0
    started = time.process_time()
    loader = DataLoader(
        images,
        batch_sampler=Batches(
            len(images), settings, training.iteration, group.rank, group.world_size
        ),
        collate_fn=partial(Batch.of, tiles=settings.tiles),
        num_workers=settings.num_workers,
        pin_memory=False,
    )
    writer = SummaryWriter(str(run / "tensorboard"), purge_step=training.iteration)
    training.network.train()
    if progress and group.is_first:
        progress(training.iteration, settings.iterations)
    for batch in loader:
        examples = batch.examples(group.device)
        rate = learning_rate(training.iteration, settings)
        set_learning_rate(training.optimizer, rate)
        losses = mean_over(_update(training, examples, run, group), group)
        row = {"iteration": training.iteration, "learning_rate": rate, **losses}
        training.history.append(row)
        training.iteration += 1
        if group.is_first:
            for name, value in row.items():
                if name != "iteration":
                    writer.add_scalar(name, value, row["iteration"])
            if (
                training.iteration % settings.checkpoint_every == 0
                or training.iteration == settings.iterations
            ):
                if validation is not None:
                    # The processes work alike, but only this one predicts.
                    cpu_seconds += (time.process_time() - started) * group.world_size
                    row = {
                        "iteration": training.iteration,
                        "images": training.iteration * settings.images_per_batch,
                        "cpu_seconds": round(cpu_seconds, 1),
                        **validation.score(training.predicts),
                    }
                    started = time.process_time()
                    training.validation.append(row)
                    for name in ("pckh", "pckh_at_1", "mpjpe_mm"):
                        writer.add_scalar(f"validation/{name}", row[name], training.iteration)
                _save(training, run)
                shown = training_pictures(training.predicts, examples[:_N_PICTURES])
                for number, picture in enumerate(shown):
                    writer.add_image(f"training/{number}", picture, training.iteration)
        if progress and group.is_first:
            progress(training.iteration, settings.iterations)
    writer.close()


def _update(
    training: _Training, examples: Sequence[Example], run: Path, group: Processes
) -> dict[str, float]:
    """One step of the optimizer on a batch, in ``accumulate`` passes; the mean losses."""
    settings, device = training.model.settings, group.device
    # Sampling and dropout draw from here. A seed for each iteration makes a resumed run exact.
    seed = np.random.SeedSequence([settings.seed, 3, training.iteration, group.rank])
    torch.manual_seed(int(seed.generate_state(1)[0]))
    training.optimizer.zero_grad(set_to_none=True)
    sums: dict[str, float] = {}
    size = len(examples) // settings.accumulate
    for first in range(0, len(examples), size):
        part = examples[first : first + size]
        last_part = first + size >= len(examples)
        with _synchronised(training.network, last_part):
            with _autocast(settings, device):
                losses = training.network(
                    [example.image for example in part],
                    [example.targets for example in part],
                )
            total: Tensor = torch.stack(list(losses.values())).sum() / settings.accumulate
            # One transfer from the device for all of them, and the check for NaN with it.
            values = torch.stack([*losses.values(), total]).detach().cpu().tolist()
            if not math.isfinite(values[-1]):
                _abort(training, examples, run, values[-1], group)
            torch.autograd.backward(training.scaler.scale(total))
        for name, value in zip(losses, values[:-1], strict=True):
            sums[name] = sums.get(name, 0.0) + value / settings.accumulate
    training.scaler.unscale_(training.optimizer)
    nn.utils.clip_grad_norm_(training.model.parameters(), settings.gradient_clip)
    training.scaler.step(training.optimizer)
    training.scaler.update()
    if training.average is not None:
        training.average.update_parameters(training.model)
    return {**sums, "total": sum(sums.values())}


def _autocast(settings: TrainSettings, device: torch.device) -> AbstractContextManager[Any]:
    if settings.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, settings.precision))


def _synchronised(network: nn.Module, now: bool) -> AbstractContextManager[None]:
    """Exchange gradients with the other processes only in the last pass of a batch."""
    if isinstance(network, DistributedDataParallel) and not now:
        return network.no_sync()
    return nullcontext()


def _abort(
    training: _Training, examples: Sequence[Example], run: Path, loss: float, group: Processes
) -> None:
    path = run / BAD_BATCH
    with atomic_path(path) as temporary:
        batch = [
            {
                "image_id": example.image_id,
                "image": example.image,
                "targets": example.targets.__dict__,
            }
            for example in examples
        ]
        state = {"iteration": training.iteration, "batch": batch}
        torch.save({**state, "model": training.model.state_dict()}, temporary)
    names = ", ".join(example.image_id for example in examples)
    raise PosebankError(
        f"iteration {training.iteration}, process {group.rank}: expected a finite loss, found "
        f"{loss}; the batch is in {path}: {names}"
    )


def _started(
    anchors: AnchorTensors, run: Path, settings: TrainSettings, group: Processes, resume: bool
) -> _Training:
    """A new network, or the one of the run's checkpoint."""
    torch.manual_seed(settings.seed)
    model = LCRNet(anchors, settings).to(group.device)
    if settings.start_from:
        path = Path(settings.start_from)
        load_weights(model, read_checkpoint(path), path)
    optimizer = make_optimizer(model, settings)
    scaler = torch.amp.GradScaler(group.device.type, enabled=settings.precision == "float16")
    training = _Training(model, model, optimizer, scaler, average_of(model, settings), [], [])
    path = run / CHECKPOINT
    run.mkdir(parents=True, exist_ok=True)
    if resume and path.exists():
        state = read_checkpoint(path)
        if "optimizer" not in state:
            raise ArtefactError(f"{path}: expected a checkpoint to resume from, found none in it")
        load_weights(model, {**state, "model": state["trained"]}, path)
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
        if training.average is not None:
            load_weights(training.predicts, state, path)
            training.average.n_averaged.fill_(state["iteration"])
        training.iteration, training.history = state["iteration"], state["history"]
        training.validation = state["validation"]
    elif group.is_first:
        save_checkpoint(run / INITIAL, model, 0)
    if group.world_size > 1:
        devices = [group.device] if group.device.type == "cuda" else None
        # Every anchor-pose's regressor has gradients, zero ones if no box is of its class: the
        # outputs of all are computed. So no parameter goes unused.
        training.network = DistributedDataParallel(model, device_ids=devices)
    return training


def _save(training: _Training, run: Path) -> None:
    save_checkpoint(
        run / CHECKPOINT,
        training.predicts,
        training.iteration,
        trained=training.model.state_dict(),
        optimizer=training.optimizer.state_dict(),
        scaler=training.scaler.state_dict(),
        history=training.history,
        validation=training.validation,
    )
    for name, rows in (("metrics", training.history), ("validation", training.validation)):
        if rows:
            with atomic_path(run / f"{name}.parquet") as temporary:
                pd.DataFrame(rows).to_parquet(temporary, index=False)
