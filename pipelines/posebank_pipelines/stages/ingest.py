"""Ingest: MoCap clips of one data set into the bank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec

from posebank import artefacts
from posebank.deciding import deciding
from posebank.errors import Rejected, SourceError
from posebank.mocap import (
    BankSettings,
    ClipSource,
    ClipStats,
    DistinctPoses,
    ReadOptions,
    add_mirrored,
    discover,
    limbs_by_subject,
    poses_from_clip,
    read_clip,
)
from posebank.mocap.smpl_models import model_files
from posebank.parquet import read_parquet
from posebank.schemas import BANK, from_table, to_table
from posebank.types import PoseBank
from posebank_pipelines.partitions import Partition
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import Stage, StageResult

_BATCH_BYTES = 4 << 20  # of clip text per task: a tenth of a second of work
_PART_ROWS = 1 << 16
_MOST_NOTES = 20


def _read_batch(
    sources: list[ClipSource],
    number: int,
    _workspace: Path,
    staging: Path,
    settings: BankSettings,
    strict: bool,
) -> Partition:
    """Write the poses of some clips into an intermediate file."""
    poses: list[PoseBank] = []
    rejected: list[Rejected] = []
    clips: list[ClipStats] = []
    for source in sources:
        try:
            clip = read_clip(source)
            of_clip, stats = poses_from_clip(clip, settings)
        except SourceError as error:
            if strict:
                raise
            rejected.append(Rejected(str(source.path), str(error)))
            continue
        rejected.extend(Rejected(str(source.path), text) for text in clip.lost)
        poses.append(of_clip)
        clips.append(stats)
    parts = []
    if poses:
        table = to_table(PoseBank.concat(poses), BANK)
        parts.append(artefacts.write_part(staging, f"batch-{number:05d}.parquet", table))
    return Partition(parts, rejected, {"clips": [asdict(one) for one in clips]})


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


def _notes(clips: Sequence[ClipStats]) -> dict[str, dict[str, int]]:
    """Count the clips of each note; nothing where there is none."""
    counts = Counter(note for clip in clips for note in clip.notes)
    return {"notes": dict(counts.most_common(_MOST_NOTES))} if counts else {}


def known_sources(workspace: Path, dataset: str) -> dict[Path, ReadOptions]:
    """Return the sources that the data set's section of the bank was made from, and how."""
    manifest = artefacts.find_manifest(workspace / "bank")
    if manifest is None or dataset not in manifest.sections:
        return {}
    with artefacts.settings_of(workspace / "bank", manifest, dataset) as settings:
        options = settings.get("options", {})
        return {Path(p): ReadOptions.from_json(options.get(p, {})) for p in settings["sources"]}


def ingest(
    workspace: Path,
    dataset: str,
    sources: Mapping[Path, ReadOptions],
    settings: BankSettings,
    runner: Runner,
    *,
    strict: bool = False,
) -> StageResult:
    """Make the data set's section of the bank from exactly these sources.

    Other data sets in the bank stay as they are.

    Parameters
    ----------
    workspace : Path
        Folder of the artefacts.
    dataset : str
        One of ``posebank.mocap.DATASETS``.
    sources : mapping
        Files and folders of clips, and how to read the clips of each.
    settings : BankSettings
        How clips become poses.
    runner : Runner
        Where tasks run.
    strict : bool
        Stop at the first bad file instead of setting it aside.

    Raises
    ------
    SourceError
        If a source does not exist or none of its clips can be used.
    """
    read_as = {path.resolve(): options for path, options in sources.items()}
    resolved = sorted(read_as)
    clips, set_aside = discover(dataset, resolved, read_as)
    if strict and set_aside:
        raise SourceError(set_aside[0].where, set_aside[0].reason)
    files = {c.path for c in clips} | {c.skeleton for c in clips if c.skeleton}
    files |= set(model_files({o.body_model for o in read_as.values() if o.body_model}))
    decided = {
        **deciding(settings),
        "sources": [str(path) for path in resolved],
        "options": {str(p): options for p in resolved if (options := read_as[p].as_json())},
    }
    stage = Stage(
        workspace,
        "bank",
        decided,
        section=dataset,
        sources=lambda: {"sources": artefacts.source_stamp(files)},
    )
    if stage.is_current:
        return stage.result()

    with stage.build() as build:
        # Clips, and so batches, come in canonical order: what is dropped does not depend on the
        # order of the files, and only what is kept is held in memory.
        distinct = DistinctPoses(settings.min_distance_mm)
        rejected, stats, kept = list(set_aside), [], []
        batches = _batches(clips)
        for batch in build.each_partition(
            runner,
            _read_batch,
            batches,
            settings,
            strict,
            sizes=[len(sources) for sources in batches],
            unit="clips",
            light=True,
            strict=strict,
        ):
            rejected += batch.rejected
            stats += msgspec.convert(batch.stats.get("clips", []), list[ClipStats])
            for part in batch.parts:
                poses = from_table(PoseBank, read_parquet(build.staging / part.name))
                kept.append(distinct.keep(poses))
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
        build.write_records(bank, BANK, _PART_ROWS)
        limbs = limbs_by_subject(stats)
        build.rejected = rejected
        build.stats = {**counts, "subjects": len(limbs), "limbs_mm": limbs, **_notes(stats)}
    return stage.result()
