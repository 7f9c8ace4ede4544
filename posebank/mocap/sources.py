"""Find the clips of a data set and read each as a ``MotionClip``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from posebank.errors import Rejected, SettingsError, SourceError
from posebank.mocap import amass, human36m
from posebank.mocap.acclaim_clip import read_acclaim_clip, skeleton_at, skeleton_of
from posebank.mocap.bvh_clip import read_bvh_clip
from posebank.mocap.c3d import c3d_people, read_c3d_clip
from posebank.mocap.clips import ReadClip
from posebank.mocap.files import read_bytes
from posebank.mocap.options import JointMap, ReadOptions
from posebank.mocap.skeleton_files import SkeletonFiles
from posebank.mocap.smpl_models import find_models
from posebank.types import MotionClip

_SUFFIXES = {
    "cmu": (".amc", ".npz"),
    "hdm05": (".amc", ".npz"),
    "poseprior": (".bvh", ".npz"),
    "amass": (".npz",),
    "bvh": (".bvh",),
    "c3d": (".c3d",),
    "h36m": human36m.SUFFIXES,
}
DATASETS = tuple(_SUFFIXES)


@dataclass(frozen=True)
class ClipSource:
    """Where a clip is, and who moves in it.

    skeleton : the ASF of an AMC, None for other formats.
    name : unique among the clips found together.
    options : what the user says about the file.
    person : which of several people in a C3D file, by the prefix of their labels.
    """

    dataset: str
    path: Path
    skeleton: Path | None
    subject: str
    name: str
    options: ReadOptions = field(default_factory=ReadOptions, hash=False)
    person: str | None = None


def discover(
    dataset: str,
    sources: Sequence[Path],
    options: ReadOptions | Mapping[Path, ReadOptions] | None = None,
) -> tuple[list[ClipSource], list[Rejected]]:
    """Find the clips of a data set in files and folders.

    Parameters
    ----------
    dataset : str
        One of ``DATASETS``.
    sources : sequence of Path
        Files, or folders that are searched to any depth.
    options : ReadOptions or mapping or None
        How to read the clips of all sources, or of each source.

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
    files = _find_files(dataset, sources, options)
    for folder in {place.options.body_model for place in files.values()} - {None}:
        find_models(folder)  # a wrong folder is one error, not one of every clip
    found: list[ClipSource] = []
    rejected: list[Rejected] = []
    skeletons = {place.root: SkeletonFiles(place.root) for place in files.values()}
    for path, place in sorted(files.items()):
        try:
            if path.suffix.lower() == ".c3d":
                people, incomplete = _people_in(dataset, path, place)
                found += people
                rejected += incomplete
            else:
                found += _clips_in(dataset, path, place, skeletons[place.root])
        except SourceError as error:
            rejected.append(Rejected(str(path), error.reason))
    named, doubled = _unique_names(found, {path: place.root for path, place in files.items()})
    kept, copies = _without_copies(sorted(named, key=lambda c: (c.name, str(c.path))))
    return kept, rejected + doubled + copies


@dataclass(frozen=True)
class _Place:
    """The folder in which a file was looked for, and how to read it."""

    root: Path
    options: ReadOptions


def _find_files(
    dataset: str,
    sources: Sequence[Path],
    options: ReadOptions | Mapping[Path, ReadOptions] | None,
) -> dict[Path, _Place]:
    """Return where each file of the data set was found, by its path.

    Of two sources that hold a file, the first is its root and the inner one gives its options.
    """
    suffixes = _SUFFIXES[dataset]
    each = options if isinstance(options, Mapping) else {}
    for_all = ReadOptions() if options is None or isinstance(options, Mapping) else options
    roots: dict[Path, Path] = {}
    innermost: dict[Path, Path] = {}
    for source in map(Path, sources):
        if not source.exists():
            raise SourceError(source, "expected a file or a folder, found none")
        if source.is_file():
            found = [source]
        else:
            every = sorted(source.rglob("*"))
            found = [p for p in every if p.suffix.lower() in suffixes and p.is_file()]
        for path in found:
            roots.setdefault(path, source.parent if source.is_file() else source)
            if len(source.parts) >= len(innermost.setdefault(path, source).parts):
                innermost[path] = source
    if dataset == "h36m":
        roots = {p: root for p, root in roots.items() if human36m.holds_world_poses(p)}
    else:  # a file that is named itself may lie anywhere
        named = set(map(Path, sources))
        roots = {
            p: root
            for p, root in roots.items()
            if p.suffix.lower() != ".npz" or p in named or amass.holds_clip(p, dataset)
        }
    if not roots:
        where = ", ".join(map(str, sources)) or "no source"
        raise SourceError(where, f"expected {dataset} clips (*{', *'.join(suffixes)}), found none")
    return {p: _Place(root, each.get(innermost[p], for_all)) for p, root in roots.items()}


def _clips_in(
    dataset: str, path: Path, place: _Place, skeletons: SkeletonFiles
) -> list[ClipSource]:
    if dataset == "h36m":
        clips = human36m.clips_in(path)
        return [ClipSource(dataset, path, None, who, name, place.options) for who, name in clips]
    if path.suffix.lower() == ".npz":
        return [_amass_source(dataset, path, place)]
    skeleton = None
    if path.suffix.lower() == ".amc":
        skeleton = place.options.skeleton or skeletons.of(path)
    subject = _SUBJECT[dataset](path, place.root)
    return [ClipSource(dataset, path, skeleton, subject, path.stem, place.options)]


def _amass_source(dataset: str, path: Path, place: _Place) -> ClipSource:
    """An AMASS clip, named as the data set names its own clips, or by its place in the archive."""
    if dataset == "amass":
        subject, name = amass.subject_and_name(path, place.root)
    else:
        subject, name = path.parent.name, amass.clip_name(path)
    return ClipSource(dataset, path, None, subject, name, place.options)


def _people_in(dataset: str, path: Path, place: _Place) -> tuple[list[ClipSource], list[Rejected]]:
    """The people in a C3D file, a clip each, and those who lack markers.

    Where there is nobody to choose from, the file is one clip, and reading it says what is wrong.
    """
    subject = _SUBJECT[dataset](path, place.root)
    alone = ClipSource(dataset, path, None, subject, path.stem, place.options)
    try:
        whole, partial = c3d_people(path, place.options.joints)
    except SourceError:
        return [alone], []
    if not whole or len(whole) + len(partial) == 1:
        return [replace(alone, person=whole[0] if whole else None)], []
    people = [
        replace(
            alone,
            subject=f"{subject}/{prefix or 'unnamed'}",
            name=f"{path.stem}/{prefix or 'unnamed'}",
            person=prefix,
        )
        for prefix in whole
    ]
    return people, [Rejected(str(path), reason) for reason in partial.values()]


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
            if clip.path.suffix.lower() == ".c3d":  # which of several people
                name += clip.name.removeprefix(clip.path.stem)
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


def _cmu_subject(path: Path, _root: Path) -> str:
    return path.stem.split("_")[0]


def _hdm05_subject(path: Path, _root: Path) -> str:
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
    source: ClipSource,
    fps: float | None = None,
    *,
    unit: str | None = None,
    up: str | None = None,
    joints: JointMap | None = None,
) -> MotionClip:
    """Read a clip as 13 joints in metres, y up.

    What is given here replaces the same of ``source.options``.

    Parameters
    ----------
    source : ClipSource
        From ``discover``.
    fps : float or None
        Frame rate; overrides what the file or the table of the data set says.
    unit : str or None
        Length unit (m, cm, mm, in, or metres per unit), where the file does not state it.
    up : str or None
        Upward axis of the file: y, z, x, with a minus sign if it points down, or auto.
    joints : JointMap or None
        Names in the file of joints that no naming scheme finds.

    Raises
    ------
    SourceError
        If the file cannot be read, does not fit its skeleton, or its rate is stated nowhere.
    SettingsError
        If an option is none, or is given for a format that states it itself.
    """
    options = source.options.but(fps=fps, unit=unit, up=up, joints=joints)
    return as_motion_clip(source, read_source(replace(source, options=options)))


def as_motion_clip(source: ClipSource, clip: ReadClip) -> MotionClip:
    """Return the clip without the facts."""
    return MotionClip(
        dataset=source.dataset,
        subject=source.subject,
        name=source.name,
        joints=clip.joints,
        frames=clip.frames,
        fps=clip.fps,
        source_sha256=clip.sha256,
        lost=clip.lost,
        notes=clip.notes,
    )


def read_source(source: ClipSource) -> ReadClip:
    """Read a clip with the facts that were understood. Errors as ``read_clip``."""
    if source.dataset == "h36m":
        _refuse_options(source, ("unit", "up", "joints"))
        return human36m.read_h36m_clip(source.path, source.name, source.options.fps)
    return read_data(source, read_bytes(source.path))


def read_data(source: ClipSource, data: bytes, *, asf: bytes | None = None) -> ReadClip:
    """Read a clip from its bytes (and, if given, those of its ASF). Errors as ``read_clip``."""
    suffix = source.path.suffix.lower()
    options = source.options
    if suffix == ".amc":
        _refuse_options(source, ("unit",))
        if source.skeleton is None:
            raise SourceError(source.path, "expected an ASF skeleton, found none")
        if asf is None:
            body = skeleton_at(source.skeleton, options.joints)
        else:
            body = skeleton_of(asf, source.skeleton, options.joints)
        clip = read_acclaim_clip(data, source.path, body, source.dataset, options)
    elif suffix == ".npz":
        _refuse_options(source, ("unit", "joints"))
        clip = amass.read_amass_clip(data, source.path, options)
    elif suffix == ".bvh":
        clip = read_bvh_clip(data, source.path, source.dataset, options)
    elif suffix == ".c3d":
        clip = read_c3d_clip(data, source.path, options, source.person)
    else:
        raise SettingsError(f"expected a file read from bytes, found {source.path.name!r}")
    return replace(clip, sha256=hashlib.sha256(data).hexdigest())


def _refuse_options(source: ClipSource, names: Sequence[str]) -> None:
    """Raise a SettingsError if one of the options that the format states itself is given."""
    given = source.options.as_json()
    for name in names:
        if name in given:
            raise SettingsError(f"{name}: expected none for {source.dataset}, whose files state it")
