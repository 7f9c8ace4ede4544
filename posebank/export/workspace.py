"""The labels of a workspace as COCO files, one for each data set and split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posebank.annotations import read_annotations, stamped_files
from posebank.annotations.coco_file import CocoFile, read_coco_file
from posebank.annotations.sources import split_of
from posebank.annotations.splits import hashed_split
from posebank.artefacts import source_stamp
from posebank.errors import ArtefactError
from posebank.export.coco import (
    coco_of_people,
    coco_of_source,
    of_images,
    people_of,
    write_coco,
)
from posebank.types import Labels, People
from posebank.workspace import AnnotationSource, annotation_sources, load_labels, load_people


@dataclass(frozen=True)
class _Piece:
    """COCO content to be written: the images of one split of one file of a data set."""

    dataset: str
    file: str
    split: str
    content: dict[str, Any]


def export_coco(workspace: Path, output: Path) -> list[Path]:
    """Write the workspace's labels as COCO files, one for each split.

    What was read from COCO-form files comes back as it was, image and annotation ids and people
    without a label included, with the labels added (``posebank.export.coco.coco_of_source``); other
    data sets are put in that form. The name of the file gets ``_SPLIT`` where there are several
    splits, and ``_DATASET`` before it where there are several data sets.

    Parameters
    ----------
    workspace : Path
        Folder with ``annotations`` and ``labels``.
    output : Path
        The file to write, or a folder.

    Returns
    -------
    The files written.

    Raises
    ------
    ArtefactError
        If there are no labels, or a COCO-form file has changed since it was annotated.
    """
    labels = load_labels(workspace)
    sources = annotation_sources(workspace)
    people = load_people(workspace) if sources else people_of(labels)
    pieces: list[_Piece] = []
    from_source: set[str] = set()
    for one in sources:
        if one.kind == "coco":
            pieces += _from_source(one, people, labels)
            from_source |= set(one.datasets)
    for dataset in sorted(set(people.dataset) - from_source):
        own = people.take(people.dataset == dataset)
        content = coco_of_people(own, labels)
        number = {image["file_name"]: image["id"] for image in content["images"]}
        for split in sorted(set(own.split)):
            images = {number[name] for name in own.image[own.split == split]}
            pieces.append(_Piece(dataset, "", split, of_images(content, images)))
    paths = _paths(output, pieces)
    for path, piece in zip(paths, pieces, strict=True):
        write_coco(piece.content, path)
    return paths


def _from_source(read: AnnotationSource, people: People, labels: Labels) -> Iterator[_Piece]:
    """The pieces of one source in COCO form, which is read again to find each annotation."""
    source = Path(read.source)
    found = source.exists() and source_stamp(stamped_files("coco", source))
    if found != read.stamp:
        state = "changed since" if source.exists() else "gone"
        raise ArtefactError(
            f"{source}: expected the file as it was annotated, found it {state}; "
            "`posebank annotate coco` reads it again"
        )
    images = Path(read.images_asked) if read.images_asked else None
    dataset, options = read.datasets[0], read.options
    again = read_annotations("coco", source, images=images, **options)
    split = dict(zip(people.person_id, people.split, strict=True))
    label = {person: row for row, person in enumerate(labels.person_id)}
    for number, path in enumerate(again.files):
        file = read_coco_file(path, options.get("joints"))
        rows_of_file = np.flatnonzero(again.extras["file"] == number)
        entries = again.extras["entry"][rows_of_file].tolist()
        persons = again.people.person_id[rows_of_file].tolist()
        rows = {e: label[p] for e, p in zip(entries, persons, strict=True) if p in label}
        splits = _image_splits(file, source, dataset, options)
        for entry, person in zip(entries, persons, strict=True):
            splits[file.entries[entry]["image_id"]] = split[person]
        content = coco_of_source(file, rows, labels, again.people.take(rows_of_file))
        for name in sorted(set(splits.values())):
            chosen = {image for image, of in splits.items() if of == name}
            title = f"{path.parent.name}_{path.stem}".strip("_")
            yield _Piece(dataset, title, name, of_images(content, chosen))


def _image_splits(
    file: CocoFile, source: Path, dataset: str, options: dict[str, Any]
) -> dict[Any, str]:
    """The split of every image, as if somebody in it were annotated."""
    given = options.get("split") or split_of(file.path, source)
    fraction, seed = options.get("val_fraction", 0.1), options.get("seed", 0)
    return {
        number: given
        or hashed_split(f"{dataset}/{image.get('vid_id') or image['file_name']}", fraction, seed)
        for number, image in file.images.items()
    }


def _paths(output: Path, pieces: Sequence[_Piece]) -> list[Path]:
    """Where each piece goes; names tell apart what has to be."""
    several_sets = len({piece.dataset for piece in pieces}) > 1
    several_splits = len({piece.split for piece in pieces}) > 1
    several_files = len({(p.dataset, p.split) for p in pieces}) < len(pieces)
    paths = []
    for piece in pieces:
        words = [piece.dataset] * several_sets + [piece.file] * (several_files and piece.file != "")
        words += [piece.split] * several_splits
        words = [re.sub(r"[^\w.-]+", "_", word) for word in words]
        if output.suffix.lower() == ".json":
            paths.append(output.with_name("_".join([output.stem, *words]) + output.suffix))
        else:
            paths.append(output / ("_".join(words or [piece.split]) + ".json"))
    return paths
