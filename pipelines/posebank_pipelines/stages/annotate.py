"""Annotate: 2D annotations of one data set into people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from posebank import artefacts
from posebank.annotations import image_folder, read_annotations
from posebank.errors import SourceError
from posebank.schemas import ANNOTATIONS, to_table
from posebank_pipelines.runner import Runner
from posebank_pipelines.workspace import StageResult, current, images_stamp, stage_result

_PART_ROWS = 1 << 14


def _stamped_files(source: Path) -> list[Path]:
    """The annotation files whose change must be noticed (not the images)."""
    if not source.exists():
        raise SourceError(source, "expected an annotation file or folder, found nothing")
    if source.is_file():
        return [source]
    kinds = {".mat", ".json", ".h5", ".hdf5", ".csv", ".npz", ".cdf", ".xml"}
    return [p for p in sorted(source.rglob("*")) if p.suffix.lower() in kinds]


def _made(folder: Path, fingerprint: str) -> tuple[artefacts.Manifest, str] | None:
    """The manifest and the section that was made with this fingerprint, if there is one."""
    manifest = artefacts.find_manifest(folder)
    for name in manifest.sections if manifest is not None else ():
        if (made := current(folder, "annotations", name, fingerprint)) is not None:
            return made, name
    return None


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
    folder = workspace / "annotations"
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
    stamp = artefacts.fingerprint("annotations", asked, inputs)
    if (found := _made(folder, stamp)) is not None:
        return stage_result("annotate", folder, *found, made=False)

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
    # One's own files name their data set themselves, and a folder may hold several of them.
    datasets = sorted(set(result.people.dataset))
    name = "+".join(datasets)
    images_used = str(result.images) if result.images else None
    used = {**asked, "images": images_used, "datasets": datasets}
    with artefacts.staging_folder(folder) as staging:
        parts = [
            artefacts.write_part(
                staging,
                f"{name}-{number:05d}.parquet",
                to_table(result.people.take(slice(start, start + _PART_ROWS)), ANNOTATIONS),
                section=name,
            )
            for number, start in enumerate(range(0, len(result.people), _PART_ROWS))
        ]
        section = artefacts.Section(stamp, used, inputs, 0, result.rejected, result.stats)
        manifest = artefacts.commit_section(staging, folder, "annotations", parts, name, section)
    return stage_result("annotate", folder, manifest, name, made=True)
