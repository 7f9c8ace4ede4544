"""Read a clip of any format as 13 joints in metres, with the facts that were understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.geometry.kinematics import Chain
from posebank.mocap.amc import parse_amc
from posebank.mocap.asf import METRES_PER_INCH, Skeleton, parse_asf
from posebank.mocap.bvh import BvhMotion, match_joints, parse_bvh
from posebank.mocap.c3d import NEEDED_MARKERS, joint_centres, parse_markers
from posebank.mocap.cgspeed import METRES_PER_UNIT as CGSPEED_METRES
from posebank.mocap.cgspeed import is_cgspeed, restored
from posebank.mocap.files import read_bytes
from posebank.mocap.joints import acclaim_mapping, acclaim_points, check_size
from posebank.mocap.limbs import leg_length
from posebank.mocap.options import UNITS, ReadOptions, metres_per_unit
from posebank.mocap.rates import cmu_rate, companion_rate, hdm05_rate, rate_of_frame_time
from posebank.mocap.up_axis import turned_to_y_up

_ADULT_LEG_M = (0.60, 1.05)


@dataclass(frozen=True)
class ReadClip:
    """Joints of a clip and what was understood on the way.

    joints : (n_frames, 13, 3) metres, y up, absolute; frames : (n_frames,) numbers.
    lost : what was set aside, in words; notes : what was guessed or completed, in words.
    facts : unit, rate, axes, mapping and so on, ready for JSON.
    """

    joints: NDArray[np.float64]
    frames: NDArray[np.int64]
    fps: float
    lost: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    notes: tuple[str, ...] = ()


def chosen_rate(
    path: Path, asked: float | None, known: tuple[float, str] | None
) -> tuple[float, str]:
    """The rate asked for, else the known one, with where it comes from.

    Raises
    ------
    SourceError
        If neither is given.
    """
    if asked is not None:
        return float(asked), "given by the user"
    if known is None:
        raise SourceError(path, "expected a known frame rate, found none stated; give --fps")
    return known


@dataclass(frozen=True)
class AcclaimBody:
    """An ASF skeleton ready for the forward kinematics of the 13 joints.

    needed : bones without which a frame is of no use.
    """

    skeleton: Skeleton
    chain: Chain
    needed: list[str]


def skeleton_of(data: bytes, path: Path) -> AcclaimBody:
    """The skeleton in the bytes of an ASF file."""
    skeleton = parse_asf(data.decode("latin-1"), path)
    nodes, points, needed = acclaim_points(skeleton)
    return AcclaimBody(skeleton, Chain(nodes, points), needed)


@lru_cache(maxsize=64)
def _skeleton_at(path: Path, stamp: tuple[int, int]) -> AcclaimBody:
    return skeleton_of(read_bytes(path), path)


def skeleton_at(path: Path) -> AcclaimBody:
    """The skeleton in an ASF file, read once while the file does not change."""
    try:
        stat = path.stat()
    except OSError as error:
        raise SourceError(path, f"expected an ASF skeleton, found {error.strerror}") from error
    return _skeleton_at(path, (stat.st_size, stat.st_mtime_ns))


def read_acclaim_clip(
    data: bytes, path: Path, body: AcclaimBody, dataset: str, options: ReadOptions
) -> ReadClip:
    """An AMC clip with the skeleton of its ASF."""
    known = cmu_rate(path.stem) if dataset == "cmu" else hdm05_rate(path.stem)
    rate, evidence = chosen_rate(path, options.fps, known or companion_rate(path))
    skeleton = body.skeleton
    motion = parse_amc(data, path, skeleton, body.needed)
    radians = np.pi / 180 if motion.degrees else 1.0
    joints = body.chain.positions(motion.values, radians_per_unit=radians)
    joints *= skeleton.metres_per_unit
    check_size(joints, path, skeleton.unit)
    up = "y" if options.up == "auto" else options.up
    joints = turned_to_y_up(joints, up)
    facts = {
        "format": "ASF/AMC", "skeleton": str(skeleton.path), "unit": skeleton.unit,
        "metres_per_unit": skeleton.metres_per_unit,
        "angles": "degrees" if motion.degrees else "radians",
        "rate_evidence": evidence, "axes": f"{up} up in the file",
        "mapping": acclaim_mapping(),
        "frames_lost": motion.n_lost,
    }  # fmt: skip
    return ReadClip(joints, motion.frames, rate, motion.lost, facts)


def read_bvh_clip(data: bytes, path: Path, dataset: str, options: ReadOptions) -> ReadClip:
    """A BVH clip."""
    motion = parse_bvh(data, path)
    rate, evidence = chosen_rate(
        path,
        options.fps,
        (rate_of_frame_time(motion.frame_time), f"Frame Time: {motion.frame_time:g}"),
    )
    cgspeed = dataset == "bvh" and is_cgspeed(motion)
    put_back = False
    if cgspeed:
        motion, put_back = restored(motion)
    scheme, wanted = match_joints(motion)
    joints = motion.positions(wanted)
    metres, reason = _bvh_unit(motion, joints, dataset, cgspeed, options.unit)
    joints *= metres
    check_size(joints, path, reason)
    up = "y" if options.up == "auto" else options.up
    joints = turned_to_y_up(joints, up)
    facts = {
        "format": "BVH", "naming": f"cgspeed, {scheme}" if cgspeed else scheme,
        "unit": reason, "metres_per_unit": metres, "angles": "degrees",
        "rate_evidence": evidence, "axes": f"{up} up in the file",
        "mapping": {j: motion.names[n] for j, n in wanted.items()},
        "frames_declared": motion.declared_frames, "frames_lost": motion.n_lost,
        "lengths_put_back": "thorax, wrist" if put_back else "none",
    }  # fmt: skip
    return ReadClip(joints, motion.frames, rate, motion.lost, facts)


def _bvh_unit(
    motion: BvhMotion, joints: NDArray[np.float64], dataset: str, cgspeed: bool, unit: str | None
) -> tuple[float, str]:
    if unit is not None:
        return metres_per_unit(unit), f"{unit} (given by the user)"
    if dataset == "poseprior":
        return METRES_PER_INCH, "in (Pose Prior)"
    if cgspeed:
        return CGSPEED_METRES, "1/0.45 inch (cgspeed conversion of CMU)"
    leg = leg_length(joints)
    fits = [u for u, m in UNITS.items() if _ADULT_LEG_M[0] <= leg * m <= _ADULT_LEG_M[1]]
    if len(fits) != 1:
        raise SourceError(
            motion.path,
            f"expected a length unit that makes an adult's legs, found legs of {leg:.4g} units; "
            "say the unit",
        )
    return UNITS[fits[0]], f"{fits[0]} (from the length of the legs)"


def read_c3d_clip(data: bytes, path: Path, options: ReadOptions) -> ReadClip:
    """A C3D clip with the 41-marker set; frames in which a needed marker is hidden are lost."""
    motion = parse_markers(data, path)
    rate, evidence = chosen_rate(path, options.fps, (motion.fps, "POINT:RATE"))
    joints = joint_centres(motion)
    seen = np.all(np.abs(joints) < 1e3, axis=(1, 2))  # False for NaN
    if not seen.any():
        raise SourceError(path, "expected a frame with all needed markers, found none")
    frames = motion.first_frame + np.arange(len(joints), dtype=np.int64)
    lost = list(motion.lost)
    if not seen.all():
        n_hidden = int((~seen).sum())
        lost.append(f"{n_hidden} of {len(seen)} frames set aside: a needed marker is not seen")
    check_size(joints[seen], path, motion.unit)
    facts = {
        "format": "C3D", "unit": motion.unit, "rate_evidence": evidence,
        "axes": f"{motion.up} up in the file, turned to y up", "markers": len(motion.labels),
        "mapping": {"markers used": ", ".join(NEEDED_MARKERS)},
        "frames_lost": int((~seen).sum()),
    }  # fmt: skip
    return ReadClip(joints[seen], frames[seen], rate, tuple(lost), facts)
