"""Match: the k best bank poses and cameras of every annotated person."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from posebank import artefacts
from posebank.deciding import deciding
from posebank.errors import Rejected
from posebank.geometry.camera_prior import CameraPrior
from posebank.geometry.cameras import CameraLimits
from posebank.matching import MatchSettings, ViewIndex, load_index, match
from posebank.matching.devices import device_name
from posebank.schemas import matches_to_table
from posebank.workspace import content, load_bank, load_people
from posebank_pipelines.camera_degrees import limits_of_matcher
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import Stage, StageResult, contents
from posebank_pipelines.stages.index import index

_PARTITION = 1024  # people per task


@lru_cache(maxsize=1)
def _index(folder: Path, bank_content: str) -> ViewIndex:
    return load_index(folder, bank_content)


def _match_partition(
    item: tuple[int, int], workspace: Path, staging: Path, settings: MatchSettings
) -> tuple[artefacts.Part, list[Rejected], list[float], str]:
    number, start = item
    bank = load_bank(workspace)
    people = load_people(workspace).take(slice(start, start + _PARTITION))
    views = (
        _index(workspace / "index", content(workspace, "bank")) if uses_index(settings) else None
    )
    matches, rejected = match(bank, people, settings, views)
    table = matches_to_table(matches, bank.pose_id)
    part = artefacts.write_part(staging, f"matches-{number:05d}.parquet", table, section="matches")
    return part, rejected, matches.error_norm[:, 0].tolist(), device_name(settings.device)


def uses_index(settings: MatchSettings) -> bool:
    """Whether the matcher searches sampled views."""
    return settings.matcher in ("views", "refined")


def match_settings(
    workspace: Path,
    matcher: str,
    k: int,
    device: str = MatchSettings.device,
    prior: CameraPrior | None = None,
    **camera: Any,
) -> MatchSettings:
    """Settings of a matcher; ``views`` and ``refined`` search the views of the workspace's index.

    Where there is no index, or camera limits in degrees are given, those or the defaults hold.
    """
    base = MatchSettings(matcher=matcher, k=k, device=device, prior=prior)
    manifest = artefacts.find_manifest(workspace / "index")
    if manifest is not None and uses_index(base):
        decided = manifest.sections["index"].settings
        base = replace(
            base,
            n_views=decided["n_views"],
            probes=decided["probes"],
            seed=decided["seed"],
            limits=CameraLimits(**decided["limits"]),
        )
    if any(v for v in camera.values() if v is not None):
        base = replace(base, limits=limits_of_matcher(matcher, **camera))
    return base


def settings_of_matches(workspace: Path) -> MatchSettings:
    """The settings the workspace was matched with; the defaults where it was not."""
    manifest = artefacts.find_manifest(workspace / "matches")
    if manifest is None:
        return MatchSettings()
    decided = dict(manifest.sections["matches"].settings)
    decided["limits"] = CameraLimits(**decided["limits"])
    if decided.get("prior") is not None:
        decided["prior"] = CameraPrior(**decided["prior"])
    return MatchSettings(**decided)


def match_people(workspace: Path, settings: MatchSettings, runner: Runner) -> StageResult:
    """Match the workspace's people against its bank, building the index first where needed."""
    inputs = contents(workspace, ["bank", "annotations"])
    stage = Stage(workspace, "matches", deciding(settings), inputs, seed=settings.seed)
    if stage.is_current:
        return stage.result()
    if uses_index(settings):
        index(workspace, settings)
    starts = range(0, len(load_people(workspace)), _PARTITION)
    with stage.build() as build:
        done = runner.map(
            "match", _match_partition, list(enumerate(starts)), workspace, build.staging, settings
        )
        build.parts = [part for part, *_ in done]
        build.rejected = [r for _, some, _, _ in done for r in some]
        errors = np.array([e for _, _, some, _ in done for e in some])
        build.stats = {
            "people": len(errors) + len(build.rejected),
            "matched": len(errors),
            "error_norm_mean": float(errors.mean()) if len(errors) else None,
            "device": ", ".join(sorted({device for *_, device in done})),
        }
    return stage.result()
