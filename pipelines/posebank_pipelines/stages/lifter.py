"""Lifter: the lifting network that the estimator ``mixture`` needs, trained on the bank."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from posebank import artefacts
from posebank.labelling.lifter import LifterSettings, load_lifter, save_lifter, train_lifter
from posebank.workspace import content, load_bank
from posebank_pipelines.runner import Progress
from posebank_pipelines.workspace import current, settings_dict

if TYPE_CHECKING:
    import torch

_WEIGHTS = "weights.npz"


def lifter(workspace: Path, settings: LifterSettings, progress: Progress) -> str:
    """Train the workspace's network where it is out of date; the hash of what it is now."""
    folder = workspace / "lifter"
    decided, inputs = settings_dict(settings), {"bank": content(workspace, "bank")}
    stamp = artefacts.fingerprint("lifter", decided, inputs, settings.seed)
    if (manifest := current(folder, "lifter", "lifter", stamp)) is not None:
        return manifest.content
    with artefacts.staging_folder(folder) as staging:
        net = train_lifter(
            load_bank(workspace), settings, lambda done, total: progress("lifter", done, total)
        )
        save_lifter(net, staging / _WEIGHTS)
        part = artefacts.adopt_part(staging, staging / _WEIGHTS, section="lifter")
        section = artefacts.Section(stamp, decided, inputs, settings.seed)
        return artefacts.commit(staging, folder, "lifter", [part], {"lifter": section}).content


@lru_cache(maxsize=1)
def _lifter(folder: Path, lifter_content: str) -> torch.nn.Module:
    return load_lifter(folder / _WEIGHTS)


def read_lifter(workspace: Path) -> torch.nn.Module:
    """The workspace's network."""
    return _lifter(workspace / "lifter", content(workspace, "lifter"))
