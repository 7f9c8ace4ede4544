"""Annotate: 2D annotations of one data set into people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from posebank import artefacts
from posebank.annotations import image_folder, read_annotations
from posebank.errors import SourceError
from posebank.schemas import ANNOTATIONS
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import Stage, StageResult, images_stamp

_PART_ROWS = 1 << 14


def _stamped_files(source: Path) -> list[Path]:
    """The annotation files whose change must be noticed (not the images)."""
    if not source.exists():
        raise SourceError(source, "expected an annotation file or folder, found nothing")
    if source.is_file():
        return [source]
    kinds = {".mat", ".json", ".h5", ".hdf5", ".csv", ".npz", ".cdf", ".xml"}
    return [p for p in sorted(source.rglob("*")) if p.suffix.lower() in kinds]


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

    Other data sets in the annotations stay as they are.

    Parameters
    ----------
    kind : one of ``posebank.annotations.SOURCES``.
    images : folder of the images; by default the usual place beside the source.
    options : passed on to ``read_annotations``.
    """
    source = source.resolve()
    inputs = {"source": artefacts.source_stamp(_stamped_files(source))}
    # The sizes of images are read from them, so a folder that comes later makes a difference.
    if (shown := images or image_folder(kind, source)) is not None:
        inputs["images"] = images_stamp(shown)
    asked = {
        "source": str(source),
        "images_asked": str(images.resolve()) if images else None,
        "options": options,
    }
    stage = Stage(workspace, "annotations", asked, inputs, find_section=True)
    if stage.is_current:
        return stage.result()

    (result,) = runner.map(
        f"annotate {kind}",
        lambda path: read_annotations(path[0], path[1], images=shown, **options),
        [(kind, source)],
    )
    if strict and result.rejected:
        raise SourceError(result.rejected[0].where, result.rejected[0].reason)
    if not len(result.people):
        reason = result.rejected[0].reason if result.rejected else "found nobody"
        raise SourceError(source, f"expected at least one annotated person: {reason}")
    datasets = sorted(set(result.people.dataset))
    with stage.build() as build:
        # A source may hold several data sets: own files name theirs themselves.
        build.section = "+".join(datasets)
        build.settings["images"] = str(result.images) if result.images else None
        build.settings["datasets"] = datasets
        build.write_records(result.people, ANNOTATIONS, _PART_ROWS)
        build.rejected, build.stats = result.rejected, result.stats
    return stage.result()
