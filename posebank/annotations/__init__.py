"""Readers of 2D (and 3D) annotations: source files to ``People``, nobody lost without a line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from posebank.annotations.coco import read_coco
from posebank.annotations.h36m import read_h36m
from posebank.annotations.hips import HipCorrection, corrected
from posebank.annotations.images import with_image_sizes
from posebank.annotations.lsp import read_lsp
from posebank.annotations.mpii import read_mpii_mat
from posebank.annotations.mpii_derived import read_mpii_csv, read_mpii_h5, read_mpii_json
from posebank.annotations.own import read_own_csv, read_own_json
from posebank.annotations.people import (
    READ_BEFORE,
    AnnotationResult,
    outside_image,
    reasons,
    summary,
)
from posebank.annotations.splits import MPII_VAL_IMAGES, assign_mpii_splits, assign_splits
from posebank.errors import Rejected, SettingsError, SourceError
from posebank.types import People, texts

__all__ = [
    "SOURCES",
    "AnnotationResult",
    "HipCorrection",
    "assign_mpii_splits",
    "assign_splits",
    "image_folder",
    "outside_image",
    "read_annotations",
    "summary",
]

SOURCES = ("mpii", "lspe", "lsp", "coco", "h36m", "json", "csv")
SPLITS = ("train", "val", "test")

_USUAL_FILES: dict[str, tuple[str, ...]] = {
    "mpii": (
        "mpii_human_pose_v1_u12_1.mat", "mpii_human_pose*.mat", "tompson_valid_detections.mat",
        "train.h5", "valid.h5", "*.json", "*.csv",
    ),
    "lspe": ("joints.mat",),
    "lsp": ("joints.mat",),
    "coco": ("person_keypoints_*.json", "*.json"),
    "json": ("*.json",),
    "csv": ("*.csv",),
}  # fmt: skip
_ALL_FILES = ("coco", "json", "csv")  # kinds of which a folder may hold several files


def _find(kind: str, source: Path) -> list[Path]:
    """The annotation files that ``source`` means."""
    if kind == "h36m" and source.exists():  # a tree of many files
        return [source]
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise SourceError(source, "expected an annotation file or folder, found nothing")
    for pattern in _USUAL_FILES[kind]:
        # A file of the data set's own name is one wherever an archive was unpacked to.
        deeper = () if pattern.startswith("*") else (f"**/{pattern}",)
        for place in (pattern, f"annotations/{pattern}", *deeper):
            found = sorted(p for p in source.glob(place) if p.is_file())
            if found:
                return found if kind in _ALL_FILES else found[:1]
    names = ", ".join(_USUAL_FILES[kind])
    raise SourceError(source, f"expected one of {names} in it, found none")


def _read_mpii(path: Path) -> AnnotationResult:
    readers: dict[str, Callable[[Path], AnnotationResult]] = {
        ".mat": read_mpii_mat,
        ".h5": read_mpii_h5,
        ".hdf5": read_mpii_h5,
        ".csv": read_mpii_csv,
        ".json": read_mpii_json,
    }
    if path.suffix.lower() not in readers:
        raise SourceError(path, f"expected one of {', '.join(readers)}, found {path.suffix!r}")
    return readers[path.suffix.lower()](path)


def _usual_images(file: Path, source: Path) -> Path | None:
    """Where the images of a file usually are: ``images``, or COCO's ``val2017``, near it."""
    names = ["images"]
    if file.stem.startswith("person_keypoints_"):
        names.insert(0, file.stem.removeprefix("person_keypoints_"))
    for name in names:
        below = sorted(source.glob(f"**/{name}")) if source.is_dir() else []
        for folder in (file.parent / name, file.parent.parent / name, *below):
            if folder.is_dir() and any(p.is_file() for p in folder.iterdir()):
                return folder
    return None


def _image_folders(files: Sequence[Path], source: Path) -> tuple[Path | None, list[str]]:
    """The folder that holds all images of the files, and where in it those of each file are."""
    folders = [_usual_images(file, source) for file in files]
    known = [folder for folder in folders if folder is not None]
    if len(set(folders)) <= 1 or len(known) < len(folders):
        return folders[0], ["."] * len(folders)
    root = Path(os.path.commonpath(known))
    return root, [folder.relative_to(root).as_posix() for folder in known]


def image_folder(kind: str, source: Path) -> Path | None:
    """Where the images of a source usually are; None where there is no such folder.

    Raises
    ------
    SourceError
        If the source is missing or holds no annotation file of this kind.
    """
    source = Path(source)
    return _image_folders(_find(kind, source), source)[0]


def read_annotations(
    kind: str,
    source: Path,
    *,
    images: Path | None = None,
    split: str | None = None,
    val_fraction: float = 0.1,
    val_images: int = MPII_VAL_IMAGES,
    seed: int = 0,
    proxy_head: bool = False,
    protocol: str = "p2",
    train_step: int = 5,
    hip_width: float = 1.0,
    hip_down: float = 0.0,
) -> AnnotationResult:
    """Read the annotations of one source, with image sizes and splits.

    Parameters
    ----------
    kind : one of ``SOURCES``.
    source : the annotation file, or a folder that holds it under its usual name.
    images : folder of the images; by default the usual place beside the source.
    split : put everyone in this split. By default the source's own split counts; where it has
        none, ``val_fraction`` of the images (of MPII ``val_images`` images, the paper's 1,000)
        become ``val``, whole videos at a time.
    seed : of the validation split.
    proxy_head : of COCO, guess the head top, which it does not annotate.
    protocol, train_step : of Human3.6M, see ``posebank.annotations.h36m.read_h36m``.
    hip_width, hip_down : move the hips to where MoCap has them, see
        ``posebank.annotations.hips.HipCorrection``; the default leaves them as annotated.

    Returns
    -------
    AnnotationResult
        Every person of the source is in ``people`` or has a line in ``rejected``.

    Raises
    ------
    SourceError
        If the source is missing, damaged, or not of this kind.
    SettingsError
        If ``kind`` or ``split`` is not known.
    """
    if kind not in SOURCES:
        raise SettingsError(f"expected one of {', '.join(SOURCES)}, got {kind!r}")
    if split is not None and split not in SPLITS:
        raise SettingsError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    if images is not None and not images.is_dir():
        raise SourceError(images, "expected the folder of the images, found none")
    readers: dict[str, Callable[[Path], AnnotationResult]] = {
        "mpii": _read_mpii,
        "lspe": lambda path: read_lsp(path, extended=True),
        "lsp": lambda path: read_lsp(path, extended=False),
        "coco": lambda path: read_coco(path, proxy_head=proxy_head),
        "h36m": lambda path: read_h36m(path, protocol=protocol, train_step=train_step),
        "json": read_own_json,
        "csv": read_own_csv,
    }
    source = Path(source)
    files = _find(kind, source)
    folder, places = _image_folders(files, source)
    if images is not None:
        folder, places = images, ["."] * len(files)
    result = _joined(
        _placed(readers[kind](path), place) for path, place in zip(files, places, strict=True)
    )
    hips = HipCorrection(hip_width, hip_down)
    people, unreadable = with_image_sizes(result.people, folder)
    if split is not None:
        people = replace(people, split=texts([split] * len(people)))
    elif kind == "mpii":
        people = assign_mpii_splits(people, val_images, val_fraction, seed)
    else:
        people = assign_splits(people, val_fraction, seed)
    if hips != HipCorrection():
        people = corrected(people, hips)
    rejected = [*result.rejected, *unreadable]
    stats = {**result.stats, **summary(people)}
    if rejected:
        stats["set_aside"] = reasons(rejected)
    return replace(result, people=people, rejected=rejected, stats=stats, images=folder)


def _placed(result: AnnotationResult, place: str) -> AnnotationResult:
    """The result with its images in a folder of the common one."""
    if place == ".":
        return result
    images = texts(f"{place}/{name}" for name in result.people.image)
    return replace(result, people=replace(result.people, image=images))


def _joined(parts: Iterable[AnnotationResult]) -> AnnotationResult:
    """Several files of one source as one result; counts add up."""
    results = list(parts)
    if len(results) == 1:
        return results[0]
    stats: dict[str, int] = {}
    for result in results:
        for name, count in result.stats.items():
            stats[name] = stats.get(name, 0) + count
    names = set.intersection(*(set(r.extras) for r in results))
    people = People.concat([r.people for r in results])
    _, first = np.unique(people.person_id.astype(str), return_index=True)
    again = np.setdiff1d(np.arange(len(people)), first)
    rows = np.sort(first)
    return AnnotationResult(
        people=people.take(rows),
        rejected=[line for r in results for line in r.rejected]
        + [Rejected(person, READ_BEFORE) for person in people.person_id[again]],
        stats=stats,
        extras={n: np.concatenate([r.extras[n] for r in results])[rows] for n in sorted(names)},
    )
