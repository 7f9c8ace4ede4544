"""Read the artefacts of a workspace folder as records."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from posebank.artefacts import find_manifest, read_manifest, read_rows, read_table, settings_of
from posebank.schemas import from_table, matches_from_table
from posebank.types import Anchors, LabelKeys, Labels, Matches, People, PoseBank, Records

_R = TypeVar("_R", bound=Records)


def content(workspace: Path, kind: str) -> str:
    """Hash of a finished artefact's parts."""
    return read_manifest(workspace / kind, kind).content


# Worker processes run many partitions over one bank; read it once. The content hash is part of the
# key, so a bank that was made again is read again.
@lru_cache(maxsize=2)
def _bank(folder: Path, _bank_content: str) -> PoseBank:
    return from_table(PoseBank, read_table(folder, "bank"))


@lru_cache(maxsize=2)
def _people(folder: Path, _people_content: str) -> People:
    return from_table(People, read_table(folder, "annotations"))


@lru_cache(maxsize=1)
def _matches(folder: Path, _matches_content: str) -> Matches:
    return matches_from_table(read_table(folder, "matches"))


@lru_cache(maxsize=2)
def _labels(folder: Path, _labels_content: str) -> Labels:
    return from_table(Labels, read_table(folder, "labels"))


def load_bank(workspace: Path | str) -> PoseBank:
    """Read all poses of the workspace's bank."""
    return _bank(Path(workspace) / "bank", content(Path(workspace), "bank"))


def load_people(workspace: Path | str) -> People:
    """Read all annotated people of the workspace."""
    return _people(Path(workspace) / "annotations", content(Path(workspace), "annotations"))


def load_matches(workspace: Path | str) -> Matches:
    """Read all matches of the workspace."""
    return _matches(Path(workspace) / "matches", content(Path(workspace), "matches"))


def load_labels(workspace: Path | str) -> Labels:
    """Read all labels of the workspace."""
    return _labels(Path(workspace) / "labels", content(Path(workspace), "labels"))


def people_rows(workspace: Path, start: int, stop: int) -> People:
    """Read some of the annotated people, by their rows; the rest is not loaded."""
    return from_table(People, read_rows(workspace / "annotations", "annotations", start, stop))


def match_rows(workspace: Path, start: int, stop: int) -> Matches:
    """Read some rows of the matches: one for each matched person."""
    return matches_from_table(read_rows(workspace / "matches", "matches", start, stop))


def label_keys(workspace: Path) -> LabelKeys:
    """Read which person is in which image, of all labels, and nothing else of them."""
    names = [one.name for one in fields(LabelKeys)]
    return from_table(LabelKeys, read_table(workspace / "labels", "labels", names))


def label_rows(workspace: Path, rows: NDArray[np.integer]) -> Labels:
    """Read the labels in these rows, in this order; one part is held in memory at a time."""
    return _scattered_rows(Labels, workspace / "labels", "labels", rows)


def scattered_people(workspace: Path, rows: NDArray[np.integer]) -> People:
    """Read the people in these rows, in this order; one part is held in memory at a time."""
    return _scattered_rows(People, workspace / "annotations", "annotations", rows)


def _scattered_rows(cls: type[_R], folder: Path, kind: str, rows: NDArray[np.integer]) -> _R:
    ascending = np.sort(rows)
    found, first = [from_table(cls, read_rows(folder, kind, 0, 0))], 0
    for part in read_manifest(folder, kind).tables:
        low, high = np.searchsorted(ascending, [first, first + part.rows])
        if low < high:
            table = read_rows(folder, kind, first, first + part.rows)
            found.append(from_table(cls, table.take(ascending[low:high] - first)))
        first += part.rows
    return cls.concat(found).take(np.searchsorted(ascending, rows))


def count_datasets(workspace: Path, kind: str) -> dict[str, int]:
    """Count the rows of each data set in the people or the labels."""
    column = read_table(workspace / kind, kind, ["dataset"]).column(0)
    counts = column.value_counts()
    return dict(sorted((c["values"].as_py(), c["counts"].as_py()) for c in counts))


def load_anchors(workspace: Path | str) -> Anchors:
    """Read the anchor-poses of the workspace."""
    return from_table(Anchors, read_table(Path(workspace) / "anchors", "anchors"))


@dataclass(frozen=True)
class AnnotationSource:
    """What the manifest of the annotations says of where one section was read from.

    Parameters
    ----------
    kind : one of ``posebank.annotations.SOURCES``, "" where it was not read from a file.
    source : the file or folder.
    images : folder of the images; None where they were not found.
    images_asked : folder of the images that was asked for.
    datasets : data sets in the section.
    terms : data set -> the published data set whose terms it is under; None in old annotations.
    options : options of ``read_annotations``.
    stamp : state of the source's files when they were read.
    """

    kind: str = ""
    source: str = ""
    images: str | None = None
    images_asked: str | None = None
    datasets: list[str] = field(default_factory=list)
    terms: dict[str, str] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    stamp: str = ""


def annotation_sources(workspace: Path) -> list[AnnotationSource]:
    """Return where each section of the annotations was read from; nothing without annotations.

    Raises
    ------
    ArtefactError
        If the manifest does not say it as posebank does.
    """
    folder = workspace / "annotations"
    manifest = find_manifest(folder)
    if manifest is None:
        return []
    found = []
    for name, section in manifest.sections.items():
        with settings_of(folder, manifest, name) as settings:
            stamp = section.inputs.get("source", "")
            values = {"datasets": [name], **settings, "stamp": stamp}
            found.append(msgspec.convert(values, AnnotationSource))
    return found


def image_roots(workspace: Path) -> dict[str, Path]:
    """Image folder of each annotation data set, as given when it was annotated.

    Empty where the workspace has labels but no annotations.
    """
    return {
        dataset: Path(source.images)
        for source in annotation_sources(workspace)
        if source.images
        for dataset in source.datasets
    }


def annotation_terms(workspace: Path) -> dict[str, str] | None:
    """Annotation data set -> the published data set whose terms it is under.

    None where the workspace does not say: it has no annotations, or old ones.
    """
    sources = annotation_sources(workspace)
    if not sources or any(source.terms is None for source in sources):
        return None
    return {name: terms for source in sources for name, terms in (source.terms or {}).items()}


def coco_files(workspace: Path) -> list[Path]:
    """The COCO-form files that the workspace's annotations were read from and that still exist."""
    # Imported here: the readers load h5py, which every other use of this module does without.
    from posebank.annotations.sources import find_files  # noqa: PLC0415

    sources = [Path(one.source) for one in annotation_sources(workspace) if one.kind == "coco"]
    return [file for source in sources if source.exists() for file in find_files("coco", source)]
