"""What was understood of a clip, for ``posebank inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from posebank.errors import SourceError
from posebank.mocap.asf import ROOT, read_asf
from posebank.mocap.bank import BankSettings, poses_from_clip
from posebank.mocap.bvh import read_bvh
from posebank.mocap.joints import ACCLAIM_BONE, acclaim_mapping, acclaim_points
from posebank.mocap.naming import best_guess
from posebank.mocap.sources import ClipSource, as_motion_clip, read_source
from posebank.mocap.suggestion import suggested_toml


def describe_clip(source: ClipSource, *, settings: BankSettings | None = None) -> dict[str, Any]:
    """Return the units, rate, axes, mapping, frames kept and lost, and sizes; ready for JSON.

    Raises
    ------
    SourceError
        As ``read_clip``.
    """
    read = read_source(source)
    clip = as_motion_clip(source, read)
    bank, stats = poses_from_clip(clip, settings or BankSettings())
    low, high = clip.joints.min(axis=(0, 1)), clip.joints.max(axis=(0, 1))
    return {
        "file": str(source.path),
        "dataset": source.dataset,
        "subject": source.subject,
        "name": source.name,
        **read.facts,
        "fps": clip.fps,
        "frames": len(clip.frames),
        "first_frame": int(clip.frames[0]),
        "last_frame": int(clip.frames[-1]),
        "seconds": round(len(clip.frames) / clip.fps, 3),
        "lost": list(clip.lost),
        "notes": list(clip.notes),
        "set_aside": {
            "a joint jumped": stats.jumped,
            "a limb changed its length": stats.stretched,
            "nothing moved": stats.still,
        },
        "poses": len(bank),
        "extent_m": np.round(high - low, 3).tolist(),
        "limbs_mm": {name: round(value, 1) for name, value in stats.limbs_mm.items()},
    }


def suggest_joints(path: Path) -> str:
    """Return the text of a ``--joints`` file for a BVH or ASF file, with a guess to be completed.

    Raises
    ------
    SourceError
        If the file cannot be read, or is of a format whose joints have fixed names.
    """
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        skeleton = read_bvh(path).skeleton
        names = [
            "  " * len(skeleton.between(node, -1)) + name
            for node, name in enumerate(skeleton.names)
        ]
        return suggested_toml("joint", names, best_guess(skeleton))
    if suffix == ".asf":
        bones = [name for name in read_asf(path).bones if name != ROOT]
        guess = {joint: bone for joint, bone in ACCLAIM_BONE.items() if bone in bones}
        return suggested_toml("bone", bones, guess)
    raise SourceError(path, "expected a file ending in .bvh or .asf, whose joints can be named")


def describe_skeleton(path: Path) -> dict[str, Any]:
    """Return the units, orders, bones and mapping of an ASF file; ready for JSON.

    Raises
    ------
    SourceError
        If it cannot be read or lacks a bone of the 13 joints.
    """
    skeleton = read_asf(path)
    _, _, needed = acclaim_points(skeleton)
    scale = 1000 * skeleton.metres_per_unit
    return {
        "file": str(path),
        "format": "ASF",
        "unit": skeleton.unit,
        "metres_per_unit": skeleton.metres_per_unit,
        "angles": "degrees" if skeleton.degrees else "radians",
        "axes": "y up (as in the file)",
        "root_order": " ".join(skeleton.bones["root"].dof),
        "values_per_frame": skeleton.n_channels,
        "bones_needed": ", ".join(needed),
        "mapping": acclaim_mapping(),
        "bones": {
            name: {
                "mm": round(scale * float(np.linalg.norm(bone.offset)), 1),
                "parent": skeleton.parent[name],
                "dof": " ".join(bone.dof) or "none",
            }
            for name, bone in skeleton.bones.items()
            if name in skeleton.parent
        },
    }
