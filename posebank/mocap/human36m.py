"""Human3.6M's 3D poses as a MoCap source: CDF, HDF5 or npz, 50 Hz, millimetres, z up.

The world poses are taken (``D3_Positions``, ``3D_positions``); those in camera axes have lost the
vertical. The files are read by ``posebank.annotations.h36m_files``.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebank.annotations.h36m_files import read_cdf, read_h5_positions, read_npz_positions
from posebank.annotations.mapping import H36M_NAMES, positions
from posebank.artefacts import file_sha256
from posebank.errors import SourceError
from posebank.mocap.clips import ReadClip, chosen_rate
from posebank.mocap.joints import check_size
from posebank.skeleton import JOINT_NAMES

H36M_FPS = 50.0
SUFFIXES: tuple[str, ...] = (".cdf", ".h5", ".npz")
_FOLDERS = {".cdf": "d3_positions", ".h5": "3d_positions"}
_PICK = positions(H36M_NAMES)


def holds_world_poses(path: Path) -> bool:
    """Whether a file is one of those read here: the release's folders tell world from camera."""
    folder = _FOLDERS.get(path.suffix.lower())
    return folder is None or path.parent.name.lower() == folder


def clips_in(path: Path) -> list[tuple[str, str]]:
    """Return (subject, clip name) of every clip in a file.

    Raises
    ------
    SourceError
        If an npz cannot be read.
    """
    if path.suffix.lower() == ".npz":
        return [(s, f"{s}/{action}") for s, action in sorted(_npz(path, _stamp(path)))]
    subject = next((p.name for p in path.parents if p.name[:1] == "S" and p.name[1:].isdigit()), "")
    return [(subject, f"{subject}/{path.stem}" if subject else path.stem)]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise SourceError(path, f"expected a readable file, found {error.strerror}") from error
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=1)
def _npz(path: Path, _stamp: tuple[int, int]) -> dict[tuple[str, str], NDArray[np.float64]]:
    return read_npz_positions(path)


@lru_cache(maxsize=4)
def _sha256(path: Path, _stamp: tuple[int, int]) -> str:
    return file_sha256(path)


def read_h36m_clip(path: Path, name: str, fps: float | None) -> ReadClip:
    """Return one clip of a file.

    Raises
    ------
    SourceError
        If the file cannot be read or has no clip of that name.
    """
    rate, evidence = chosen_rate(path, fps, (H36M_FPS, "table: Human3.6M records at 50 Hz"))
    suffix = path.suffix.lower()
    stamp = _stamp(path)
    if suffix == ".npz":
        subject, _, action = name.partition("/")
        every = _npz(path, stamp)
        if (subject, action) not in every:
            raise SourceError(path, f"expected a clip {name!r}, found {len(every)} others")
        world, unit = every[subject, action], "m"
    elif suffix == ".cdf":
        world, unit = read_cdf(path, 3) / 1000, "mm"
    else:
        world, unit = read_h5_positions(path), "mm"
    joints = world[:, _PICK][..., [1, 2, 0]]  # z up to y up
    sound = np.all(np.abs(joints) < 1e3, axis=(1, 2))
    if not sound.any():
        raise SourceError(path, f"expected poses of {name!r}, found none that is finite")
    check_size(joints[sound], path, unit)
    n_bad = int((~sound).sum())
    lost = (f"{n_bad} of {len(sound)} frames set aside: not finite",) if n_bad else ()
    facts = {
        "format": {".cdf": "CDF", ".h5": "HDF5", ".npz": "npz"}[suffix],
        "unit": unit,
        "rate_evidence": evidence,
        "axes": "+Z up in the file, turned to y up",
        "mapping": {j: H36M_NAMES[i] for j, i in zip(JOINT_NAMES, _PICK, strict=True)},
        "frames_lost": n_bad,
    }
    frames = np.flatnonzero(sound).astype(np.int64)
    return ReadClip(joints[sound], frames, rate, lost, facts, _sha256(path, stamp))
