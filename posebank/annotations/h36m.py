"""Human3.6M: 2D and 3D joints of every view, and the paper's three protocols (section 5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebank.annotations.h36m_files import (
    CAMERAS,
    EXPECTED_FILES,
    MONO,
    PoseFiles,
    find_cameras,
    find_pose_files,
    read_cameras,
    read_cdf,
    read_h5_positions,
    read_npz_positions,
)
from posebank.annotations.mapping import H36M_NAMES, positions
from posebank.annotations.people import AnnotationResult, make_people
from posebank.errors import Rejected, SettingsError, SourceError
from posebank.geometry.perspective import PerspectiveCamera
from posebank.skeleton import JointState, centred

_PICK = positions(H36M_NAMES)
_IMAGE_HEIGHT = dict(zip(CAMERAS, (1002, 1000, 1000, 1002), strict=True))
_IMAGE_WIDTH = 1000
_CLIP = re.compile(r"(?P<action>[A-Za-z]+)(?:[ _](?P<number>\d+))?(?:\.(?P<camera>\d+))?")


@dataclass(frozen=True)
class Protocol:
    """Who trains, who tests, and on which frames; ``camera`` and ``trial`` are of the test."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    test_step: int
    camera: str | None = None
    trial: int | None = None


PROTOCOLS: dict[str, Protocol] = {
    "p1": Protocol(("S1", "S5", "S6", "S7", "S8", "S9"), ("S11",), 64, CAMERAS[1]),
    "p2": Protocol(("S1", "S5", "S6", "S7", "S8"), ("S9", "S11"), 5),
    "p3": Protocol(("S1", "S5", "S6", "S7", "S8"), ("S9", "S11"), 5, CAMERAS[2], 1),
}


@dataclass(frozen=True)
class View:
    """One clip seen by one camera: joints_2d (n, 32, 2) pixels, joints_3d (n, 32, 3) metres."""

    subject: str
    clip: str
    action: str
    trial: int
    camera: str
    joints_2d: NDArray[np.float64]
    joints_3d: NDArray[np.float64]


def _clip_key(name: str) -> tuple[str, int]:
    """Action and number of a clip's name, ``Walking 1`` -> (``Walking``, 1)."""
    match = _CLIP.fullmatch(name)
    return (match["action"], int(match["number"] or 0)) if match else (name, 0)


def _trials(clips: set[str]) -> dict[str, int]:
    """1 for the clip of an action with the lowest number, 2 for the next, of one subject."""
    trial = {}
    counted: dict[str, int] = {}
    for clip in sorted(clips, key=_clip_key):
        action = _clip_key(clip)[0]
        trial[clip] = counted[action] = counted.get(action, 0) + 1
    return trial


def _views_from_cdf(files: PoseFiles, bad: list[Rejected]) -> Iterator[View]:
    """2D and 3D in camera axes, from the release's CDF files."""
    subjects: dict[str, list[Path]] = {}
    for (subject, _), path in files.flat.items():
        subjects.setdefault(subject, []).append(path)
    for subject, paths in sorted(subjects.items()):
        paths.sort(key=lambda path: (*_clip_key(path.stem.rpartition(".")[0]), path.name))
        named = {path: _CLIP.fullmatch(path.stem) for path in paths}
        trial = _trials({m.string.rpartition(".")[0] for m in named.values() if m})
        for path, match in named.items():
            if match is None or match["camera"] not in CAMERAS:
                bad.append(Rejected(str(path), "expected a name like 'Walking 1.54138969.cdf'"))
                continue
            beside = files.solid.get((subject, path.name))
            try:
                if beside is None:
                    raise SourceError(path, f"expected its 3D in {MONO}/{path.name}, found none")
                flat, solid = read_cdf(path, 2), read_cdf(beside, 3) / 1000
                if len(flat) != len(solid):
                    raise SourceError(
                        path, f"expected {len(solid)} frames as in 3D, found {len(flat)}"
                    )
            except SourceError as error:
                bad.append(Rejected(error.where, error.reason))
                continue
            clip = path.stem.rpartition(".")[0]
            yield View(subject, clip, match["action"], trial[clip], match["camera"], flat, solid)


def _views_from_world(
    subject: str,
    clips: dict[str, NDArray[np.float64]],
    cameras: dict[tuple[str, str], PerspectiveCamera],
) -> Iterator[View]:
    trial = _trials(set(clips))
    for clip in sorted(clips, key=_clip_key):
        for name in CAMERAS:
            camera = cameras.get((subject, name))
            if camera is not None:
                # Points at the camera, or of a damaged file, have no pixel; ``make_people`` drops
                # them.
                with np.errstate(all="ignore"):
                    solid = camera.to_camera(clips[clip])
                    pixels = camera.project(solid)
                yield View(subject, clip, _clip_key(clip)[0], trial[clip], name, pixels, solid)


def _views_from_positions(files: PoseFiles, folder: Path, bad: list[Rejected]) -> Iterator[View]:
    """Poses in world axes, one file a clip (HDF5 or CDF), seen by the cameras beside them."""
    cameras = _cameras_near(folder)
    subjects: dict[str, dict[str, NDArray[np.float64]]] = {}
    for (subject, _), path in sorted(files.world.items()):
        try:
            cdf = path.suffix.lower() == ".cdf"
            poses = read_cdf(path, 3) / 1000 if cdf else read_h5_positions(path)
        except SourceError as error:
            bad.append(Rejected(error.where, error.reason))
            continue
        subjects.setdefault(subject, {})[path.stem] = poses
    for subject, clips in subjects.items():
        yield from _views_from_world(subject, clips, cameras)


def _views_from_npz(path: Path) -> Iterator[View]:
    cameras = _cameras_near(path.parent)
    subjects: dict[str, dict[str, NDArray[np.float64]]] = {}
    for (subject, clip), poses in read_npz_positions(path).items():
        subjects.setdefault(subject, {})[clip] = poses
    for subject in sorted(subjects):
        yield from _views_from_world(subject, subjects[subject], cameras)


def _cameras_near(folder: Path) -> dict[tuple[str, str], PerspectiveCamera]:
    path = find_cameras(folder)
    if path is None:
        raise SourceError(
            folder,
            "expected the cameras of poses in world axes: cameras.h5 (of 3d-pose-baseline) or "
            "metadata.xml (of the release) in this folder or the one above it, found neither",
        )
    return read_cameras(path)


def h36m_views(source: Path, bad: list[Rejected]) -> Iterator[View]:
    """Return every clip of every camera, in whichever of the forms ``source`` is.

    Raises
    ------
    SourceError
        If ``source`` is in none of the forms, or its cameras are not there.
    """
    if source.is_file():
        if source.suffix.lower() != ".npz":
            raise SourceError(source, EXPECTED_FILES)
        yield from _views_from_npz(source)
        return
    files = find_pose_files(source)
    archive = next(iter(sorted(source.rglob("data_3d_h36m.npz"))), None)
    if files.flat:
        yield from _views_from_cdf(files, bad)
    elif files.world:
        yield from _views_from_positions(files, source, bad)
    elif archive is not None:
        yield from _views_from_npz(archive)
    else:
        raise SourceError(source, EXPECTED_FILES)


def frames_of(view: View, protocol: Protocol, train_step: int) -> tuple[str, NDArray[np.intp]]:
    """Split and frame numbers (0-based) that a protocol takes of a view."""
    n = len(view.joints_2d)
    if view.subject in protocol.train:
        return "train", np.arange(0, n, train_step)
    wanted = (
        view.subject in protocol.test
        and protocol.camera in (None, view.camera)
        and protocol.trial in (None, view.trial)
    )
    return "test", np.arange(0, n, protocol.test_step) if wanted else np.arange(0)


def read_h36m(source: Path, *, protocol: str = "p2", train_step: int = 5) -> AnnotationResult:
    """Return the people of Human3.6M, with measured 3D, as a protocol of the paper takes them.

    Images are named ``S9_Walking 1.54138969_000001.jpg``, frames from 1. The source does not say
    which joints are hidden: all count as visible. Frames that the protocol leaves out have one line
    in ``rejected`` per clip and camera.

    Parameters
    ----------
    source : Path
        Folder of the data set.
    protocol : str
        ``p1``, ``p2`` or ``p3``.
    train_step : int
        Take one of this many frames of the training subjects (the source has 50 a second).

    Raises
    ------
    SourceError
        If the source is in no known form.
    SettingsError
        If there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise SettingsError(f"protocol: expected one of {', '.join(PROTOCOLS)}, got {protocol!r}")
    if train_step < 1:
        raise SettingsError(f"train_step: expected at least 1, got {train_step}")
    images: list[str] = []
    splits: list[str] = []
    videos: list[str] = []
    heights: list[int] = []
    actions: list[str] = []
    frames: list[NDArray[np.intp]] = []
    flat: list[NDArray[np.float64]] = []
    solid: list[NDArray[np.float64]] = []
    bad: list[Rejected] = []
    in_file = 0
    for view in h36m_views(source, bad):
        split, picked = frames_of(view, PROTOCOLS[protocol], train_step)
        n = len(view.joints_2d)
        in_file += n
        name = f"{view.subject}_{view.clip}.{view.camera}"
        if len(picked) < n:
            reason = f"{n - len(picked)} of {n} frames are not taken by protocol {protocol}"
            bad.append(Rejected(f"h36m/{name}", reason))
        images += [f"{name}_{frame + 1:06d}.jpg" for frame in picked]
        splits += [split] * len(picked)
        videos += [name] * len(picked)
        heights += [_IMAGE_HEIGHT[view.camera]] * len(picked)
        actions += [view.action] * len(picked)
        frames.append(picked)
        flat.append(view.joints_2d[picked][:, _PICK])
        solid.append(centred(view.joints_3d[picked][:, _PICK]))
    n_people = len(images)
    return make_people(
        "h36m",
        images,
        [0] * n_people,
        np.concatenate([np.empty((0, 13, 2)), *flat]),
        np.full((n_people, 13), JointState.VISIBLE),
        where=source.name,
        in_file=in_file,
        rejected=bad,
        split=splits,
        image_width=np.full(n_people, _IMAGE_WIDTH),
        image_height=heights,
        single_person=np.ones(n_people),
        video_id=videos,
        joints_3d=np.concatenate([np.empty((0, 13, 3)), *solid]),
        extras={
            "action": np.array(actions, dtype=np.str_),
            "frame": np.concatenate([np.empty(0, np.intp), *frames]),
        },
        stats={"visibility_not_stated": 13 * n_people},
    )
