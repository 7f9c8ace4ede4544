"""Ingest: MoCap clips of one data set into the bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posebank import artefacts
from posebank.errors import Rejected, SourceError
from posebank.mocap import (
    BankSettings,
    ClipSource,
    ClipStats,
    DistinctPoses,
    add_mirrored,
    discover,
    limbs_by_subject,
    poses_from_clip,
    read_clip,
)
from posebank.schemas import BANK, to_table
from posebank.types import PoseBank
from posebank_pipelines.runner import Runner
from posebank_pipelines.workspace import StageResult, current, settings_dict, stage_result

_BATCH_BYTES = 1 << 20  # of clip text per task: a hundredth of a second of work
_PART_ROWS = 1 << 16


@dataclass(frozen=True)
class _Batch:
    """What one task returns: the poses, what was set aside, and what became of each clip."""

    poses: list[PoseBank]
    rejected: list[Rejected]
    clips: list[ClipStats]


def _read_batch(
    sources: list[ClipSource],
    settings: BankSettings,
    fps: float | None,
    unit: str | None,
    strict: bool,
) -> _Batch:
    batch = _Batch([], [], [])
    for source in sources:
        try:
            clip = read_clip(source, fps, unit=unit)
            poses, stats = poses_from_clip(clip, settings)
        except SourceError as error:
            if strict:
                raise
            batch.rejected.append(Rejected(str(source.path), str(error)))
            continue
        batch.rejected.extend(Rejected(str(source.path), text) for text in clip.lost)
        batch.poses.append(poses)
        batch.clips.append(stats)
    return batch


def _batches(sources: Sequence[ClipSource]) -> list[list[ClipSource]]:
    """Group clips so that a task has about ``_BATCH_BYTES`` to read, whatever the workers."""
    groups: list[list[ClipSource]] = []
    size = _BATCH_BYTES
    for source in sources:
        if size >= _BATCH_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(source)
        size += source.path.stat().st_size
    return groups


def _counts(clips: Sequence[ClipStats], kept: int) -> dict[str, int]:
    names = ("frames", "jumped", "still", "stretched", "poses")
    sums = {name: sum(getattr(clip, name) for clip in clips) for name in names}
    return {"clips": len(clips), **sums, "poses_kept": kept}


def known_sources(workspace: Path, dataset: str) -> list[Path]:
    """The sources that the data set's section of the bank was made from."""
    manifest = artefacts.find_manifest(workspace / "bank")
    if manifest is None or dataset not in manifest.sections:
        return []
    return [Path(p) for p in manifest.sections[dataset].settings["sources"]]


def ingest(
    workspace: Path,
    dataset: str,
    sources: Sequence[Path],
    settings: BankSettings,
    runner: Runner,
    *,
    fps: float | None = None,
    unit: str | None = None,
    strict: bool = False,
) -> StageResult:
    """Make the data set's section of the bank from exactly these sources.

    Other data sets in the bank stay as they are.

    Parameters
    ----------
    fps, unit : frame rate of the clips, and length unit of BVH files; see
        ``posebank.mocap.read_clip``.

    Raises
    ------
    SourceError
        If a source does not exist or none of its clips can be used.
    """
    folder = workspace / "bank"
    resolved = sorted({p.resolve() for p in sources})
    clips, set_aside = discover(dataset, resolved)
    if strict and set_aside:
        raise SourceError(set_aside[0].where, set_aside[0].reason)
    files = {c.path for c in clips} | {c.skeleton for c in clips if c.skeleton}
    inputs = {"sources": artefacts.source_stamp(files)}
    decided = settings_dict(
        settings, sources=[str(p) for p in resolved], fps_override=fps, unit=unit
    )
    stamp = artefacts.fingerprint("bank", decided, inputs)
    if (manifest := current(folder, "bank", dataset, stamp)) is not None:
        return stage_result("ingest", folder, manifest, dataset, made=False)

    with artefacts.staging_folder(folder) as staging:
        # Clips, and so batches, come in canonical order: what is dropped does not depend on the
        # order of the files, and only what is kept is held in memory.
        distinct = DistinctPoses(settings.min_distance_mm)
        rejected, stats, kept = list(set_aside), [], []
        for batch in runner.imap(
            f"ingest {dataset}", _read_batch, _batches(clips), settings, fps, unit, strict,
            light=True,
        ):  # fmt: skip
            rejected += batch.rejected
            stats += batch.clips
            if batch.poses:
                kept.append(distinct.keep(PoseBank.concat(batch.poses)))
        if not kept:
            found = f"{len(rejected)} unusable: {rejected[0].reason}" if rejected else "none"
            raise SourceError(
                ", ".join(map(str, resolved)),
                f"expected at least one {dataset} clip, found {found}",
            )
        bank = PoseBank.concat(kept)
        counts = _counts(stats, len(bank))
        if settings.mirror:
            bank = add_mirrored(bank)
        parts = [
            artefacts.write_part(
                staging,
                f"{dataset}-{number:05d}.parquet",
                to_table(bank.take(slice(start, start + _PART_ROWS)), BANK),
                section=dataset,
            )
            for number, start in enumerate(range(0, len(bank), _PART_ROWS))
        ]
        limbs = limbs_by_subject(stats)
        told = {**counts, "subjects": len(limbs), "limbs_mm": limbs}
        section = artefacts.Section(stamp, decided, inputs, 0, rejected, told)
        manifest = artefacts.commit_section(staging, folder, "bank", parts, dataset, section)
    return stage_result("ingest", folder, manifest, dataset, made=True)
