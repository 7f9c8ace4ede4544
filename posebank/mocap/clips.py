"""Read a clip of any format as 13 joints in metres, with the facts that were understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.mocap.c3d import NEEDED_MARKERS, joint_centres, parse_markers
from posebank.mocap.joints import check_size
from posebank.mocap.options import ReadOptions

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
