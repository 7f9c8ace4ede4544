"""Lifter: the lifting network that the estimator ``mixture`` needs, trained on the bank."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from posebank.artefacts import read_part
from posebank.deciding import deciding
from posebank.labelling.lifter import LifterSettings, load_lifter, save_lifter, train_lifter
from posebank.workspace import content, load_bank
from posebank_pipelines.runner import Progress
from posebank_pipelines.stage import Stage

if TYPE_CHECKING:
    import torch

_WEIGHTS = "weights.npz"


def lifter(workspace: Path, settings: LifterSettings, progress: Progress) -> None:
    """Train the workspace's network where it is out of date."""
    stage = Stage(workspace, "lifter", deciding(settings), reads=["bank"], seed=settings.seed)
    if not stage.is_current:
        with stage.build() as build:
            net = train_lifter(
                load_bank(workspace),
                settings,
                lambda done, total: progress("train lifter", done, total, "steps"),
            )
            save_lifter(net, build.staging / _WEIGHTS)
            build.adopt([build.staging / _WEIGHTS])


@lru_cache(maxsize=1)
def _lifter(folder: Path, _lifter_content: str) -> torch.nn.Module:
    return read_part(folder, "lifter", _WEIGHTS, load_lifter)


def read_lifter(workspace: Path) -> torch.nn.Module:
    """The workspace's network."""
    return _lifter(workspace / "lifter", content(workspace, "lifter"))
