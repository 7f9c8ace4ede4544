"""Checkpoints: written by rename, read with a clear error."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from posebank.artefacts import atomic_path
from posebank.errors import ArtefactError
from posebank.lcrnet.model import LCRNet
from posebank.lcrnet.settings import TrainSettings
from posebank.lcrnet.targets import AnchorTensors

FORMAT = 4
CHECKPOINT = "checkpoint.pt"
INITIAL = "checkpoint_initial.pt"

State = dict[str, Any]


def save_checkpoint(path: Path, model: LCRNet, iteration: int, **more: Any) -> None:
    """Write the network, its settings and whatever else is given (tensors and plain values)."""
    state = {
        "format": FORMAT,
        "settings": asdict(model.settings),
        "n_full": model.n_full,
        "model": model.state_dict(),
        "iteration": iteration,
        **more,
    }
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def read_checkpoint(path: Path) -> State:
    """Return the content of a checkpoint, on the CPU.

    Raises
    ------
    ArtefactError
        If the file is not one of ``save_checkpoint``.
    """
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ArtefactError(f"{path}: expected a checkpoint, found nothing") from error
    except Exception as error:  # files of another kind or cut short lead torch into any error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtefactError(f"{path}: expected a posebank checkpoint: {reason}") from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise ArtefactError(
            f"{path}: expected a posebank checkpoint of format {FORMAT}, found {found}"
        )
    return state


def network_of(state: State, path: Path) -> LCRNet:
    """Return the network that a checkpoint holds.

    Raises
    ------
    ArtefactError
        If settings and weights do not belong together.
    """
    try:
        settings = TrainSettings(**state["settings"])
        weights = state["model"]
        anchors = AnchorTensors(weights["anchor_2d"], weights["anchor_3d"], state["n_full"])
        # The backbone's first weights are overwritten at once, so their file need not be there.
        model = LCRNet(anchors, settings, load_weights=False)
    except (KeyError, TypeError) as error:
        raise ArtefactError(f"{path}: the checkpoint lacks {error}") from error
    load_weights(model, state, path)
    return model


def load_weights(model: nn.Module, state: State, path: Path) -> None:
    """Put a checkpoint's weights into a network.

    Raises
    ------
    ArtefactError
        If they are of another network, for example of another number of anchor-poses.
    """
    expected = model.state_dict()
    found = state["model"]
    for name, value in expected.items():
        if name not in found or found[name].shape != value.shape:
            shape = tuple(found[name].shape) if name in found else "nothing"
            raise ArtefactError(
                f"{path}: expected weights of this network, with {name} {tuple(value.shape)} "
                f"({len(expected['anchor_3d'])} anchor-poses); found {shape}"
            )
    model.load_state_dict(found)
