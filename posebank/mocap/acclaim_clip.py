"""From an AMC file and its ASF skeleton to 13 joints in metres, y up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from posebank.errors import SourceError
from posebank.geometry.kinematics import Chain
from posebank.mocap.amc import parse_amc
from posebank.mocap.asf import Skeleton, parse_asf
from posebank.mocap.clips import ReadClip, chosen_rate
from posebank.mocap.files import read_bytes
from posebank.mocap.joints import acclaim_mapping, acclaim_points, check_size
from posebank.mocap.options import JointMap, ReadOptions
from posebank.mocap.rates import cmu_rate, companion_rate, hdm05_rate
from posebank.mocap.up_axis import turned_to_y_up


@dataclass(frozen=True)
class AcclaimBody:
    """An ASF skeleton ready for the forward kinematics of the 13 joints.

    needed : bones without which a frame is of no use.
    """

    skeleton: Skeleton
    chain: Chain
    needed: list[str]


def skeleton_of(data: bytes, path: Path, joints: JointMap | None = None) -> AcclaimBody:
    """Return the skeleton in the bytes of an ASF file.

    Parameters
    ----------
    data : bytes
        The whole ASF file.
    path : Path
        The file, for messages.
    joints : JointMap or None
        Names of the bones at whose ends joints are, where they are not CMU's.
    """
    skeleton = parse_asf(data.decode("latin-1"), path)
    nodes, points, needed = acclaim_points(skeleton, joints)
    return AcclaimBody(skeleton, Chain(nodes, points), needed)


@lru_cache(maxsize=64)
def _skeleton_at(
    path: Path, _stamp: tuple[int, int], joints: tuple[tuple[str, tuple[str, ...]], ...]
) -> AcclaimBody:
    return skeleton_of(read_bytes(path), path, dict(joints))


def skeleton_at(path: Path, joints: JointMap | None = None) -> AcclaimBody:
    """Return the skeleton in an ASF file, read once while the file does not change."""
    try:
        stat = path.stat()
    except OSError as error:
        raise SourceError(path, f"expected an ASF skeleton, found {error.strerror}") from error
    named = tuple(sorted((joints or {}).items()))
    return _skeleton_at(path, (stat.st_size, stat.st_mtime_ns), named)


def read_acclaim_clip(
    data: bytes, path: Path, body: AcclaimBody, dataset: str, options: ReadOptions
) -> ReadClip:
    """Read an AMC clip.

    Parameters
    ----------
    data : bytes
        The whole AMC file.
    path : Path
        The file, for messages; its name and a companion file may state the rate.
    body : AcclaimBody
        The skeleton.
    dataset : str
        ``cmu`` or ``hdm05``, whose rates are known in different ways.
    options : ReadOptions
        What the user says about the file.

    Raises
    ------
    SourceError
        If the file does not fit the skeleton, or its rate is stated nowhere.
    """
    known = cmu_rate(path.stem) if dataset == "cmu" else hdm05_rate(path.stem)
    if options.fps is None:
        known = known or companion_rate(path)
    rate, evidence = chosen_rate(path, options.fps, known)
    skeleton = body.skeleton
    motion = parse_amc(data, path, skeleton, body.needed)
    radians = np.pi / 180 if motion.degrees else 1.0
    joints = body.chain.positions(motion.values, radians_per_unit=radians)
    joints *= skeleton.metres_per_unit
    check_size(joints, path, skeleton.unit)
    up = "y" if options.up == "auto" else options.up
    notes = (_IGNORED,) if motion.ignored else ()
    facts = {
        "format": "ASF/AMC",
        "skeleton": str(skeleton.path),
        "unit": skeleton.unit,
        "metres_per_unit": skeleton.metres_per_unit,
        "angles": "degrees" if motion.degrees else "radians",
        "rate_evidence": evidence,
        "axes": f"{up} up ({'as in the file' if options.up == 'auto' else 'given by the user'})",
        "mapping": acclaim_mapping(options.joints),
        "frames_lost": motion.n_lost,
    }
    joints = turned_to_y_up(joints, up)
    return ReadClip(joints, motion.frames, rate, motion.lost, facts, notes=notes)


_IGNORED = "values near 0 of bones without degrees of freedom are ignored"
