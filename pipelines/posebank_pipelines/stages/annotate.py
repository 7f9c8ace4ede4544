"""Annotate: 2D annotations of one data set into people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from posebank import artefacts
from posebank.annotations import read_annotations, stamped_files
from posebank.annotations.sources import find_files, locate_images
from posebank.errors import SourceError
from posebank.parquet import read_parquet
from posebank.schemas import ANNOTATIONS
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import Stage, StageResult, images_stamp

_PART_ROWS = 1 << 14
_READ_ROWS = 1024  # matching and labelling read that many people at a time


def annotate(
    workspace: Path,
    kind: str,
    source: Path,
    runner: Runner,
    *,
    images: Path | None = None,
    strict: bool = False,
    **options: Any,
) -> StageResult:
    """Make a section of the annotations from this source; it bears the name of the data set.

    Other data sets in the annotations stay as they are; one of the same name is replaced.

    Parameters
    ----------
    workspace : Path
        Folder of the artefacts.
    kind : str
        One of ``posebank.annotations.SOURCES``.
    source : Path
        The annotation file, or a folder around it.
    runner : Runner
        Where the work is done.
    images : Path or None
        Folder of the images; by default they are looked for beside the source.
    strict : bool
        Stop at the first person that is set aside.
    options : Any
        Passed on to ``read_annotations``.
    """
    source = source.resolve()
    decided = {
        "kind": kind,
        "source": str(source),
        "images_asked": str(images.resolve()) if images else None,
        "options": options,
    }
    stage = Stage(
        workspace,
        "annotations",
        decided,
        find_section=True,
        sources=lambda: {"source": artefacts.source_stamp(stamped_files(kind, source))},
    )
    if stage.is_current and _same_images(stage, kind, source):
        return stage.result()

    (result,) = runner.imap(
        f"annotate {kind}",
        lambda path: read_annotations(path[0], path[1], images=images, **options),
        [(kind, source)],
        unit="sources",
    )
    if strict and result.rejected:
        raise SourceError(result.rejected[0].where, result.rejected[0].reason)
    if not len(result.people):
        reason = result.rejected[0].reason if result.rejected else "found nobody"
        raise SourceError(source, f"expected at least one annotated person: {reason}")
    datasets = sorted(set(result.people.dataset))
    notes = [*_replaced(stage, "+".join(datasets)), *result.notes]
    with stage.build() as build:
        # A source may hold several data sets: own files name theirs themselves.
        build.section = "+".join(datasets)
        build.settings["datasets"] = datasets
        build.settings["terms"] = dict(result.terms)
        build.settings["images"] = str(result.images.resolve()) if result.images else None
        if result.images:  # which images a source has is known after it was read
            build.settings["images_stamp"] = images_stamp(
                result.images.resolve(), result.people.image
            )
        build.write_records(result.people, ANNOTATIONS, _PART_ROWS, row_group_rows=_READ_ROWS)
        build.rejected, build.stats = result.rejected, {**result.stats, "notes": notes}
    return stage.result()


def _same_images(stage: Stage, kind: str, source: Path) -> bool:
    """Whether the images of a section, whose sizes are in it, are as they were."""
    manifest = artefacts.read_manifest(stage.folder, stage.kind)
    parts = [part for part in manifest.tables if part.section == stage.section]
    paths = [artefacts.part_path(stage.folder, part) for part in parts]
    names = [name for path in paths for name in read_parquet(path, ["image"])["image"].to_pylist()]
    with artefacts.settings_of(stage.folder, manifest, stage.section) as settings:
        images, stamp = settings.get("images"), settings.get("images_stamp")
        if images is None:  # they may have been put in their place since
            return not any(locate_images(names, f, source)[0] for f in find_files(kind, source))
        return bool(stamp == images_stamp(Path(images), names))


def _replaced(stage: Stage, name: str) -> list[str]:
    """A sentence about the data set of this name that was read from another source before."""
    manifest = artefacts.find_manifest(stage.folder)
    old = None if manifest is None else manifest.sections.get(name)
    if manifest is None or old is None or old.settings.get("source") == stage.settings["source"]:
        return []
    people = sum(part.rows for part in manifest.tables if part.section == name)
    return [
        f"this replaces the {people:,} people called {name!r} that were read from "
        f"{old.settings.get('source')}; --name gives a data set another name"
    ]
