"""Where a source's files and images are, and what its data set and splits are called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from posebank.annotations.coco_file import official_name
from posebank.artefacts import MANIFEST
from posebank.errors import SettingsError, SourceError

KINDS = ("mpii", "lspe", "lsp", "coco", "h36m", "json", "csv")
OWN_KINDS = ("coco", "json", "csv")
"""Kinds of file in which anybody's data set may be; the others are one data set each."""

_USUAL_FILES: dict[str, tuple[tuple[str, ...], ...]] = {
    "mpii": (
        ("mpii_human_pose_v1_u12_1.mat",),
        ("mpii_human_pose*.mat",),
        ("tompson_valid_detections.mat",),
        ("train.h5",),
        ("valid.h5",),
        ("train.json", "valid.json", "test.json"),
        ("trainval.json",),
        ("*.json",),
        ("*.csv",),
    ),
    "lspe": (("joints.mat",),),
    "lsp": (("joints.mat",),),
    "coco": (
        ("person_keypoints_*.json",),
        ("_annotations.coco.json",),
        ("*.coco.json",),
        ("*.json",),
    ),
    "json": (("*.json",),),
    "csv": (("*.csv",),),
}
"""Patterns of a kind's files in a folder; the first group of which some are there is read."""

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_GENERIC_WORDS = {
    *_SPLIT_WORDS,
    "annotation",
    "annotations",
    "coco",
    "person",
    "keypoint",
    "keypoints",
    "instances",
    "default",
    "result",
    "results",
    "label",
    "labels",
    "export",
    "data",
    "dataset",
    "json",
    "csv",
    "images",
    "set",
    "annot",
    "annots",
}
_IMAGE_FOLDERS = ("images", "JPEGImages", "img", "imgs")
_SAMPLE = 40  # images looked for to decide between folders


def words(name: str) -> list[str]:
    """Return the words of a file's or folder's name in lower case, without numbers.

    Examples
    --------
    >>> words("person_keypoints_train2017"), words("latest"), words("myTestSet")
    (['person', 'keypoints', 'train'], ['latest'], ['my', 'test', 'set'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def find_files(kind: str, source: Path) -> list[Path]:
    """Return the annotation files that ``source`` means.

    Raises
    ------
    SourceError
        If there are none.
    """
    if source.is_file() or (kind == "h36m" and source.exists()):
        return [source]
    if not source.is_dir():
        raise SourceError(source, "expected an annotation file or folder, found nothing")
    for patterns in _USUAL_FILES[kind]:
        # A file of the data set's own name is one wherever an archive was unpacked to.
        anywhere = kind == "coco" or not patterns[0].startswith("*.")
        for place in ("", "annotations/", "annot/", *(("**/",) if anywhere else ())):
            if kind == "coco" and place != "**/":
                continue
            found = {
                path
                for pattern in patterns
                for path in source.glob(place + pattern)
                if path.is_file() and not _is_ours(path)
            }
            if found:
                several = kind in OWN_KINDS or len(patterns) > 1
                return sorted(found) if several else sorted(found)[:1]
    names = ", ".join(name for group in _USUAL_FILES[kind] for name in group)
    raise SourceError(source, f"expected one of {names} in it, found none")


def _is_ours(path: Path) -> bool:
    """Whether a file was written by posebank: into a workspace, or beside a download."""
    return path.name == "checksums.json" or (path.parent / MANIFEST).exists()


def stamped_files(kind: str, source: Path) -> list[Path]:
    """Return the annotation files whose changes count, and the files read beside them.

    Raises
    ------
    SourceError
        If there are none.
    """
    files = find_files(kind, source)
    if kind == "h36m":
        suffixes, where = {".h5", ".npz", ".cdf", ".xml"}, source
    elif kind == "mpii":
        suffixes, where = {".h5", ".mat", ".json"}, files[0].parent
    else:
        return files
    folder = where if where.is_dir() else where.parent
    found = folder.rglob("*") if kind == "h36m" and where.is_dir() else folder.glob("*")
    return sorted({*files, *(p for p in found if p.suffix.lower() in suffixes)} - {source} or files)


def split_of(file: Path, source: Path) -> str:
    """Return the split of an annotation file: ``train``, ``val``, ``test``, or "" if unknown.

    The name of a folder decides (``train``, ``valid``, ``val2017``: of the file's own folder, or of
    one between it and the source); then a whole word of the file's name. ``latest`` is not a test
    set, and neither is ``train_val``.
    """
    file, source = Path(os.path.abspath(file)), Path(os.path.abspath(source))
    between = file.parents[: len(file.relative_to(source).parts) - 1] if source.is_dir() else ()
    for folder in dict.fromkeys((file.parent, *between)):
        if folder.name and len(words(folder.name)) == 1:
            split = _SPLIT_WORDS.get(words(folder.name)[0], "")
            if split:
                return split
    return _only(_SPLIT_WORDS[word] for word in words(file.stem) if word in _SPLIT_WORDS)


def _only(splits: Iterable[str]) -> str:
    found = set(splits)
    return found.pop() if len(found) == 1 else ""


def checked_name(name: str) -> str:
    """Return the name of a data set, if it can be one.

    Raises
    ------
    SettingsError
        If it holds anything but letters, digits, '-', '_' and '.'.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise SettingsError(f"name: expected letters, digits, '-', '_' and '.', found {name!r:.40}")
    return name


def default_name(kind: str, files: Sequence[Path], source: Path) -> str:
    """Return the name of the data set in these files, where nobody gave one.

    The kind, of MPII, LSP, LSPE and Human3.6M; ``coco`` of a folder of COCO's own files, and
    ``coco_val2017`` of one of them; the stem of a file; of a stem that says nothing (Roboflow's
    ``_annotations.coco.json``) and of several files the folder's name.
    """
    if kind not in OWN_KINDS:
        return kind
    if kind == "coco" and all(official_name(file) for file in files):
        return "coco" if source.is_dir() else f"coco_{official_name(files[0])}"
    stem = files[0].stem
    if len(files) == 1 and not set(words(stem)) <= _GENERIC_WORDS:
        return _own(stem)
    folder = source.resolve() if source.is_dir() else source.resolve().parent
    while set(words(folder.name)) <= _GENERIC_WORDS and folder.name and folder.parent != folder:
        folder = folder.parent
    if source.is_dir():
        return _own(folder.name or stem)
    parts = [folder.name or stem, split_of(files[0], source)]
    return _own("_".join(part for part in parts if part))


def _own(text: str) -> str:
    """A name made of this text that is not that of a published data set."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", text).lstrip("-") or "own"
    return f"own_{name}" if name in KINDS else name


def locate_images(names: Sequence[str], file: Path, source: Path) -> tuple[Path | None, list[Path]]:
    """Return the folder in which images of these names are.

    Parameters
    ----------
    names : sequence of str
        Image names as an annotation file has them.
    file : Path
        The annotation file.
    source : Path
        What the user named: the file, or a folder around it.

    Returns
    -------
    (folder, looked_in) : the folder that holds most of a sample of the names, None if there is
        none, and the folders that were looked in, the usual one first. Where no image is found but
        a folder of images is in its usual place, that folder is returned.
    """
    candidates = [folder for folder in _image_candidates(file, source) if folder.is_dir()]
    looked_in = list(dict.fromkeys((file.parent / _IMAGE_FOLDERS[0], *candidates)))
    step = max(1, len(names) // _SAMPLE)
    sample = list(dict.fromkeys(names[::step]))
    best, most = None, 0
    for folder in candidates:
        found = sum((folder / name).is_file() for name in sample)
        if found > most:
            best, most = folder, found
        if found == len(sample):
            break
    if best is None:
        usual = (f for f in candidates if f.name in _IMAGE_FOLDERS)
        best = next((f for f in usual if any(map(Path.is_file, f.iterdir()))), None)
    return best, looked_in


def _image_candidates(file: Path, source: Path) -> Iterator[Path]:
    """Folders that may hold the images of an annotation file, the likeliest first."""
    stem = re.sub(r"^(person_keypoints|instances)_", "", file.stem)
    subsets = [stem, f"images/{stem}"] if stem != file.stem else []
    names = [*subsets, *_IMAGE_FOLDERS]
    bases = [file.parent, *list(file.resolve().parents)[1:3]]
    seen: set[Path] = set()
    below = (
        [path for name in names for path in sorted(source.glob(f"**/{name}"))]
        if source.is_dir()
        else []
    )
    for folder in (
        *(base / name for name in names for base in bases[:2]),
        *below,
        *bases,
        *(base / name for name in names for base in bases[2:]),
    ):
        if folder not in seen:
            seen.add(folder)
            yield folder


def common_root(folders: Sequence[Path]) -> tuple[Path, list[str]]:
    """Return the folder that holds all of these, and each one's path in it ("." for itself)."""
    known = [Path(os.path.abspath(folder)) for folder in folders]
    if len(set(known)) == 1:
        return folders[0], ["."] * len(folders)
    root = Path(os.path.commonpath(known))
    return root, [folder.relative_to(root).as_posix() for folder in known]
