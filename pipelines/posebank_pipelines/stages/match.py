"""Match: the k best bank poses and cameras of every annotated person."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from posebank.artefacts import find_manifest, read_manifest, settings_of, write_part
from posebank.deciding import deciding
from posebank.geometry.camera_prior import CameraPrior
from posebank.geometry.cameras import CameraLimits
from posebank.labelling.camera_prior import match_datasets
from posebank.matching import MatchSettings
from posebank.matching.devices import device_name
from posebank.schemas import matches_to_table
from posebank.warm_up import NOTICE, is_warm, warm_up
from posebank.workspace import load_bank, people_rows
from posebank_pipelines.camera_degrees import limits_of_matcher
from posebank_pipelines.cameras import (
    Priors,
    camera_name,
    dataset_priors,
    deciding_camera,
    priors_to_manifest,
)
from posebank_pipelines.partitions import Partition, row_ranges
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import Stage, StageResult
from posebank_pipelines.stages.index import index, read_index

_PARTITION = 1024  # people per task


def _match_partition(
    rows: tuple[int, int],
    number: int,
    workspace: Path,
    staging: Path,
    settings: MatchSettings,
    priors: Priors,
) -> Partition:
    bank = load_bank(workspace)
    views = read_index(workspace) if uses_index(settings) else None
    people = people_rows(workspace, *rows)
    matches, rejected = match_datasets(bank, people, settings, priors, views)
    table = matches_to_table(matches, bank.pose_id)
    part = write_part(staging, f"matches-{number:05d}.parquet", table, section="matches")
    stats = {
        "matched": len(matches),
        "error_norm_sum": float(matches.error_norm[:, 0].sum()),
        "device": device_name(settings.device),
    }
    return Partition([replace(part, made_from=rows)], rejected, stats)


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
    manifest = find_manifest(workspace / "index")
    if manifest is not None and uses_index(base):
        with settings_of(workspace / "index", manifest, "index") as decided:
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
    manifest = find_manifest(workspace / "matches")
    if manifest is None:
        return MatchSettings()
    known = {field.name for field in fields(MatchSettings)}
    with settings_of(workspace / "matches", manifest, "matches") as kept:
        decided = {name: value for name, value in kept.items() if name in known}
        decided["limits"] = CameraLimits(**decided["limits"])
        if decided.get("prior") is not None:
            decided["prior"] = CameraPrior(**decided["prior"])
        return MatchSettings(**decided)


def match_people(
    workspace: Path, settings: MatchSettings, runner: Runner, camera: str | None = None
) -> StageResult:
    """Match the workspace's people with its bank.

    The index is built and the camera priors are fitted first, where the settings need them.

    Parameters
    ----------
    workspace : Path
        Workspace folder.
    settings : MatchSettings
        The settings.
    runner : Runner
        Where the partitions run.
    camera : str, optional
        As of ``camera_name``.
    """
    camera = camera_name(settings, camera)
    decided = deciding(settings) | deciding_camera(camera)
    stage = Stage(workspace, "matches", decided, reads=["bank", "annotations"], seed=settings.seed)
    if stage.is_current:
        return stage.result()
    if uses_index(settings):
        index(workspace, settings, runner)
    if settings.matcher == "viewfree" and runner.scheduler is None and not is_warm():
        runner.notify(NOTICE)
        warm_up()  # here, so that not every worker compiles it
    priors, cameras = dataset_priors(workspace, settings, camera, runner)
    with stage.build() as build:
        build.settings["priors"] = priors_to_manifest(priors)
        rows = row_ranges(read_manifest(workspace / "annotations", "annotations").rows, _PARTITION)
        sizes = [last - first for first, last in rows]
        done = build.partitions(
            runner, _match_partition, rows, settings, priors, sizes=sizes, unit="people"
        )
        whole = [partition.stats for partition in done if partition.parts]
        matched = sum(stats["matched"] for stats in whole)
        build.stats = {
            "people": rows[-1][1] if rows else 0,
            "matched": matched,
            "error_norm_mean": (
                sum(stats["error_norm_sum"] for stats in whole) / matched if matched else None
            ),
            "device": ", ".join(sorted({stats["device"] for stats in whole})),
            "camera": camera,
            "cameras": cameras,
        }
    return stage.result()
