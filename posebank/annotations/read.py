"""Read one source of annotations: its files, images, splits and the name of its data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from posebank.annotations.coco import read_coco
from posebank.annotations.coco_file import official_name
from posebank.annotations.h36m import read_h36m
from posebank.annotations.hips import HipCorrection, corrected
from posebank.annotations.images import with_image_sizes
from posebank.annotations.lsp import read_lsp
from posebank.annotations.mpii import read_mpii_mat
from posebank.annotations.mpii_derived import read_mpii_csv, read_mpii_h5, read_mpii_json
from posebank.annotations.own import read_own_csv, read_own_json
from posebank.annotations.people import READ_BEFORE, AnnotationResult, reasons, summary
from posebank.annotations.sources import (
    KINDS,
    OWN_KINDS,
    checked_name,
    common_root,
    default_name,
    find_files,
    locate_images,
    split_of,
)
from posebank.annotations.splits import MPII_VAL_IMAGES, assign_mpii_splits, assign_splits
from posebank.errors import Rejected, SettingsError, SourceError
from posebank.types import SPLITS, People, Texts, texts


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


def read_annotations(
    kind: str,
    source: Path,
    *,
    images: Path | None = None,
    name: str | None = None,
    joints: Mapping[str, str | int] | None = None,
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
    kind : str
        One of ``KINDS``.
    source : Path
        The annotation file, or a folder that holds it under its usual name.
    images : Path or None
        Folder of the images; by default they are looked for beside the source.
    name : str or None
        Name of the data set; by default the file's (of COCO form and own files), or the
        kind.
    joints : mapping or None
        Of COCO form and own files: ``lcrnet13`` joint -> keypoint's name or 0-based place, for
        names that are not known.
    split : str or None
        Put everyone in this split. By default the source's own split counts, then the one
        that the file's folder or name says (``posebank.annotations.sources.split_of``);
        where there is none, ``val_fraction`` of the images (of MPII ``val_images`` images,
        the paper's 1,000) become ``val``, whole videos at a time.
    val_fraction : float
        Fraction of the images that becomes ``val`` where the source has no splits.
    val_images : int
        Number of MPII's images that becomes ``val``.
    seed : int
        Seed of the validation split.
    proxy_head : bool
        Of COCO form, guess the head top where it is not annotated.
    protocol, train_step : str
        Of Human3.6M, see ``posebank.annotations.h36m.read_h36m``.
    hip_width, hip_down : float
        Move the hips to where MoCap has them, see
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
        If ``kind``, ``split``, ``name`` or ``joints`` cannot be used.
    """
    _check_options(kind, images, name, joints, split)
    source = Path(source)
    files = find_files(kind, source)
    called = default_name(kind, files, source) if name is None else checked_name(name)

    def read(path: Path) -> AnnotationResult:
        if kind == "coco":
            return read_coco(path, called, joints=joints, proxy_head=proxy_head)
        if kind == "h36m":
            return read_h36m(path, protocol=protocol, train_step=train_step)
        if kind in OWN_KINDS:
            read_own = read_own_json if kind == "json" else read_own_csv
            return read_own(path, default_name(kind, [path], path), joints)
        return _read_mpii(path) if kind == "mpii" else read_lsp(path, kind == "lspe", images)

    parts, set_aside = _each(read, files)
    if name is not None:
        parts = {path: _renamed(part, name) for path, part in parts.items()}
    for path, part in parts.items():
        if kind in OWN_KINDS or path.suffix == ".json":
            parts[path] = _with_split(part, split_of(path, source))
    folder, looked_in, parts = _with_images(parts, images, source)
    result = _joined(parts)
    people, unreadable = with_image_sizes(result.people, folder)
    if split is not None:
        people = replace(people, split=texts([split] * len(people)))
    elif kind == "mpii":
        people = assign_mpii_splits(people, val_images, val_fraction, seed)
    else:
        people = assign_splits(people, val_fraction, seed)
    if (hips := HipCorrection(hip_width, hip_down)) != HipCorrection():
        people = corrected(people, hips)
    rejected = [*set_aside, *result.rejected, *unreadable]
    stats = {**result.stats, **summary(people)}
    if rejected:
        stats["set_aside"] = reasons(rejected)
    notes = [*_missing_images(people, folder, looked_in), *dict.fromkeys(result.notes)]
    return replace(
        result,
        people=people,
        rejected=rejected,
        stats=stats,
        images=folder,
        notes=notes,
        terms=_terms(kind, files, people),
        files=list(parts),
    )


def _check_options(
    kind: str,
    images: Path | None,
    name: str | None,
    joints: Mapping[str, str | int] | None,
    split: str | None,
) -> None:
    if kind not in KINDS:
        raise SettingsError(f"expected one of {', '.join(KINDS)}, got {kind!r}")
    if split is not None and split not in SPLITS:
        raise SettingsError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    if joints is not None and kind not in OWN_KINDS:
        raise SettingsError(f"joints: expected one of the kinds {', '.join(OWN_KINDS)}, got {kind}")
    if name is not None and kind == "h36m":
        raise SettingsError("name: Human3.6M keeps its own, by which its protocols are recognised")
    if images is not None and not images.is_dir():
        raise SourceError(images, "expected the folder of the images, found none")


def _each(
    read: Callable[[Path], AnnotationResult], files: Sequence[Path]
) -> tuple[dict[Path, AnnotationResult], list[Rejected]]:
    """The result of each file; of several files those that cannot be read are set aside."""
    parts: dict[Path, AnnotationResult] = {}
    bad: list[Rejected] = []
    for path in files:
        try:
            part = read(path)
        except SourceError as error:
            if len(files) == 1:
                raise
            bad.append(Rejected(error.where, error.reason))
            continue
        number = np.full(len(part.people), len(parts), dtype=np.int64)
        parts[path] = replace(part, extras={**part.extras, "file": number})
    if not parts:
        raise SourceError(bad[0].where, bad[0].reason)
    return parts, bad


def _renamed(result: AnnotationResult, name: str) -> AnnotationResult:
    """The result with the data set called ``name``, which ids of people begin with."""

    def begun(ids: Texts) -> list[str]:
        return [
            name + text[len(dataset) :] if text.startswith(f"{dataset}/") else text
            for text, dataset in zip(ids, people.dataset, strict=True)
        ]

    people = result.people
    renamed = replace(
        people,
        person_id=texts(begun(people.person_id)),
        group_id=texts(begun(people.group_id)),
        dataset=texts([name] * len(people)),
    )
    return replace(result, people=renamed)


def _with_split(result: AnnotationResult, split: str) -> AnnotationResult:
    """The result with the split of its file for people whom the file puts in none."""
    own = result.people.split
    return replace(result, people=replace(result.people, split=texts(s or split for s in own)))


def _with_images(
    parts: Mapping[Path, AnnotationResult], images: Path | None, source: Path
) -> tuple[Path | None, list[Path], dict[Path, AnnotationResult]]:
    """The image folder, the folders looked in for it, and the parts with image names in it."""
    if images is not None:
        return images, [images], dict(parts)
    found = {p: locate_images(list(part.people.image), p, source) for p, part in parts.items()}
    looked_in = list(dict.fromkeys(folder for _, some in found.values() for folder in some))
    known = {path: folder for path, (folder, _) in found.items() if folder is not None}
    # Without images too: files of several folders may name equally what are different images.
    root, places = common_root([known.get(path, path.parent) for path in parts])
    placed = {
        path: _placed(part, place)
        for (path, part), place in zip(parts.items(), places, strict=True)
    }
    return root if known else None, looked_in, placed


def _placed(result: AnnotationResult, place: str) -> AnnotationResult:
    """The result with its images in a folder of the common one."""
    if place == ".":
        return result
    people = result.people
    placed = replace(
        people,
        image=texts(f"{place}/{name}" for name in people.image),
        person_id=texts(
            f"{dataset}/{place}/{person.removeprefix(f'{dataset}/')}"
            for dataset, person in zip(people.dataset, people.person_id, strict=True)
        ),
    )
    return replace(result, people=placed)


def _missing_images(people: People, folder: Path | None, looked_in: Sequence[Path]) -> list[str]:
    """A sentence about the images that are not there, with a path that was looked for."""
    names = list(dict.fromkeys(people.image))
    missing = [name for name in names if folder is None or not (folder / name).is_file()]
    if not missing:
        return []
    places = [folder] if folder is not None else list(looked_in)
    looked_for = ", ".join(str(place / missing[0]) for place in places[:3])
    return [
        f"{len(missing):,} of {len(names):,} images are not there; looked for {looked_for}. "
        "Their people are kept, but `posebank shards` leaves them out; --images names the folder"
    ]


def _terms(kind: str, files: Sequence[Path], people: People) -> dict[str, str]:
    """Whose terms the data sets are under; nothing of one's own files."""
    if kind in ("json", "csv") or (kind == "coco" and not all(map(official_name, files))):
        return {}
    return dict.fromkeys(sorted(set(people.dataset)), kind)


def _joined(parts: Mapping[Path, AnnotationResult]) -> AnnotationResult:
    """Several files of one source as one result; counts add up."""
    results = list(parts.values())
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
        notes=[note for r in results for note in r.notes],
    )
