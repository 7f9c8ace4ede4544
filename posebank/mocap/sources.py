"""Find the clips of a data set and read each as a ``MotionClip``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posebank.errors import Rejected, SettingsError, SourceError
from posebank.mocap import human36m
from posebank.mocap.clips import (
    ReadClip,
    read_acclaim_clip,
    read_bvh_clip,
    read_c3d_clip,
    skeleton_at,
    skeleton_of,
)
from posebank.mocap.files import read_bytes
from posebank.types import MotionClip

_SUFFIXES = {
    "cmu": (".amc",), "hdm05": (".amc",), "poseprior": (".bvh",), "bvh": (".bvh",),
    "c3d": (".c3d",), "h36m": human36m.SUFFIXES,
}  # fmt: skip
DATASETS = tuple(_SUFFIXES)


@dataclass(frozen=True)
class ClipSource:
    """Where a clip is, and who moves in it.

    skeleton : the ASF of an AMC, None for other formats.
    name : unique among the clips found together.
    """

    dataset: str
    path: Path
    skeleton: Path | None
    subject: str
    name: str


def discover(dataset: str, sources: Sequence[Path]) -> tuple[list[ClipSource], list[Rejected]]:
    """Find the clips of a data set in files and folders.

    Parameters
    ----------
    dataset : one of ``DATASETS``.
    sources : files, or folders that are searched to any depth.

    Returns
    -------
    The clips, sorted by name, and what was set aside (an AMC without an ASF, a second file of the
    same name, a copy of a file under another name).

    Raises
    ------
    SettingsError
        If the data set is not known.
    SourceError
        If a source does not exist, or there is no file of the data set in any of them.
    """
    if dataset not in DATASETS:
        raise SettingsError(f"dataset: expected one of {', '.join(DATASETS)}, found {dataset!r}")
    files = _find_files(dataset, sources)
    found: list[ClipSource] = []
    rejected: list[Rejected] = []
    skeletons: dict[Path, list[Path]] = {}
    for path, root in sorted(files.items()):
        try:
            found += _clips_in(dataset, path, root, skeletons)
        except SourceError as error:
            rejected.append(Rejected(str(path), error.reason))
    named, doubled = _unique_names(found, files)
    kept, copies = _without_copies(sorted(named, key=lambda c: (c.name, str(c.path))))
    return kept, rejected + doubled + copies


def _find_files(dataset: str, sources: Sequence[Path]) -> dict[Path, Path]:
    """File -> the source it was found in."""
    suffixes = _SUFFIXES[dataset]
    files: dict[Path, Path] = {}
    for source in map(Path, sources):
        if not source.exists():
            raise SourceError(source, "expected a file or a folder, found none")
        if source.is_file():
            files.setdefault(source, source.parent)
            continue
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in suffixes and path.is_file():
                files.setdefault(path, source)
    if dataset == "h36m":
        files = {p: root for p, root in files.items() if human36m.holds_world_poses(p)}
    if not files:
        where = ", ".join(map(str, sources)) or "no source"
        raise SourceError(where, f"expected {dataset} clips (*{', *'.join(suffixes)}), found none")
    return files


def _clips_in(
    dataset: str, path: Path, root: Path, skeletons: dict[Path, list[Path]]
) -> list[ClipSource]:
    if dataset == "h36m":
        clips = human36m.clips_in(path)
        return [ClipSource(dataset, path, None, subject, name) for subject, name in clips]
    skeleton = None
    if _SUFFIXES[dataset] == (".amc",):
        skeleton = _skeleton_of(path, root, skeletons)
        if skeleton is None:
            raise SourceError(path, "expected an ASF of its name or alone beside it, found none")
    return [ClipSource(dataset, path, skeleton, _SUBJECT[dataset](path, root), path.stem)]


def _skeleton_of(path: Path, root: Path, skeletons: dict[Path, list[Path]]) -> Path | None:
    """The ASF whose name begins the clip's, beside it or above; else one that is alone beside it.

    ``skeletons`` remembers the ASF files of each folder: HDM05 has thousands of clips in one.
    """
    folder = path.parent
    while True:
        if folder not in skeletons:
            skeletons[folder] = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".asf")
        here = skeletons[folder]
        named = [p for p in here if _begins(path.stem, p.stem)]
        if named:
            return max(named, key=lambda p: len(p.stem))
        if len(here) == 1 and folder == path.parent:
            return here[0]
        if folder in (root, folder.parent):
            return None
        folder = folder.parent


def _begins(clip: str, skeleton: str) -> bool:
    clip, skeleton = clip.lower(), skeleton.lower()
    return clip == skeleton or clip.startswith((skeleton + "_", skeleton + "."))


def _unique_names(
    found: Sequence[ClipSource], roots: dict[Path, Path]
) -> tuple[list[ClipSource], list[Rejected]]:
    """Clips of the same name get their folder's; of one and the same, the first is kept."""
    count: dict[str, int] = {}
    for clip in found:
        count[clip.name] = count.get(clip.name, 0) + 1
    kept: dict[str, ClipSource] = {}
    rejected = []
    for clip in found:
        name = clip.name
        if count[name] > 1 and clip.dataset != "h36m":  # whose names hold the subject
            name = clip.path.relative_to(roots[clip.path]).with_suffix("").as_posix()
        if name in kept:
            reason = f"expected one clip named {name!r}, found {kept[name].path} as well"
            rejected.append(Rejected(str(clip.path), reason))
        else:
            kept[name] = replace(clip, name=name)
    return list(kept.values()), rejected


def _without_copies(
    clips: Sequence[ClipSource],
) -> tuple[list[ClipSource], list[Rejected]]:
    """The clips without files that have the bytes of an earlier one (and its skeleton's)."""
    same_size: dict[int, list[ClipSource]] = {}
    for clip in clips:
        same_size.setdefault(clip.path.stat().st_size, []).append(clip)
    copies: dict[ClipSource, ClipSource] = {}
    for size, group in same_size.items():
        first: dict[str, ClipSource] = {}
        for clip in group if size and len({c.path for c in group}) > 1 else ():
            original = first.setdefault(_content(clip), clip)
            if original.path != clip.path:
                copies[clip] = original
    reasons = [
        Rejected(str(clip.path), f"expected another clip, found a copy of {original.path}")
        for clip, original in copies.items()
    ]
    return [clip for clip in clips if clip not in copies], reasons


def _content(clip: ClipSource) -> str:
    """Hash of a clip's bytes and its skeleton's; a file that cannot be read equals none."""
    try:
        files = [clip.path] if clip.skeleton is None else [clip.path, clip.skeleton]
        return "".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    except OSError:
        return str(clip.path)


def _cmu_subject(path: Path, root: Path) -> str:
    return path.stem.split("_")[0]


def _hdm05_subject(path: Path, root: Path) -> str:
    found = re.match(r"HDM_([A-Za-z0-9]+)", path.stem, re.IGNORECASE)
    return found[1].lower() if found else path.stem.split("_")[0]


def _folder_subject(path: Path, root: Path) -> str:
    return path.parent.name if path.parent != root else path.stem


def _bvh_subject(path: Path, root: Path) -> str:
    found = re.fullmatch(r"(\d{2,3})_\d{2,3}(_.*)?", path.stem)  # CMU's names, converted
    return found[1] if found else _folder_subject(path, root)


_SUBJECT: dict[str, Callable[[Path, Path], str]] = {
    "cmu": _cmu_subject,
    "hdm05": _hdm05_subject,
    "poseprior": _folder_subject,
    "bvh": _bvh_subject,
    "c3d": _bvh_subject,
}


def read_clip(
    source: ClipSource, fps: float | None = None, *, unit: str | None = None
) -> MotionClip:
    """Read a clip as 13 joints in metres, y up.

    Parameters
    ----------
    source : from ``discover``.
    fps : frame rate; overrides what the file or the table of the data set says.
    unit : length unit of a BVH (m, cm, mm, in), where it is known.

    Raises
    ------
    SourceError
        If the file cannot be read, does not fit its skeleton, or its rate is stated nowhere.
    SettingsError
        If ``fps`` is no rate, or ``unit`` no unit or given for a format that states its own.
    """
    return as_motion_clip(source, read_source(source, fps, unit))


def as_motion_clip(source: ClipSource, clip: ReadClip) -> MotionClip:
    """The clip without the facts."""
    return MotionClip(
        dataset=source.dataset,
        subject=source.subject,
        name=source.name,
        joints=clip.joints,
        frames=clip.frames,
        fps=clip.fps,
        source_sha256=clip.sha256,
        lost=clip.lost,
    )


def read_source(source: ClipSource, fps: float | None = None, unit: str | None = None) -> ReadClip:
    """As ``read_clip``, with the facts that were understood."""
    if unit is not None and ".bvh" not in _SUFFIXES[source.dataset]:
        raise SettingsError(f"unit: expected none for {source.dataset}, whose files state it")
    if source.dataset == "h36m":
        return human36m.read_h36m_clip(source.path, source.name, fps)
    return read_data(source, read_bytes(source.path), fps, unit)


def read_data(
    source: ClipSource,
    data: bytes,
    fps: float | None = None,
    unit: str | None = None,
    *,
    asf: bytes | None = None,
) -> ReadClip:
    """As ``read_source``, from the bytes of a text or C3D clip (and, if given, of its ASF)."""
    suffix, *others = _SUFFIXES.get(source.dataset, ("", ""))
    if others:
        raise SettingsError(f"dataset: expected one read from bytes, found {source.dataset!r}")
    if suffix == ".amc":
        if source.skeleton is None:
            raise SourceError(source.path, "expected an ASF skeleton, found none")
        body = skeleton_at(source.skeleton) if asf is None else skeleton_of(asf, source.skeleton)
        clip = read_acclaim_clip(data, source.path, body, source.dataset, fps)
    elif suffix == ".bvh":
        clip = read_bvh_clip(data, source.path, source.dataset, fps, unit)
    else:
        clip = read_c3d_clip(data, source.path, fps)
    return replace(clip, sha256=hashlib.sha256(data).hexdigest())
