"""AMASS and C3D: distance of joints to optical markers, and speed of reading.

    python benchmarks/bench_markers.py

AMASS: the sample clip holds the markers of the same frames; without a body model its joints are an
average adult's. Speeds are frames per second of processor time, the fastest of five.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from _common import SHARED_DATA, report
from c3d_files import MARKERS, c3d_with, walker

from posebank.mocap.amass import read_amass_clip
from posebank.mocap.c3d import read_c3d_clip
from posebank.mocap.smpl_average import average_adult
from posebank.mocap.smpl_kinematics import posed_joints
from posebank.skeleton import J

SAMPLE = SHARED_DATA / "amass" / "amass_sample.npz"
WALK = SHARED_DATA / "cmu" / "c3d" / "02_01.c3d"
_NEAREST = {"ankle": "ANK", "knee": "KNE", "shoulder": "SHO", "elbow": "ELB", "wrist": "IWR"}


def distances() -> dict[str, Any]:
    """Millimetres from each joint of the sample to the marker on it: mean and worst."""
    clip = read_amass_clip(SAMPLE.read_bytes(), SAMPLE)
    with np.load(SAMPLE, allow_pickle=False) as arrays:
        markers = arrays["markers"][..., [1, 2, 0]]  # z up to y up, as the reader turns it
        at = {str(label): markers[:, i] for i, label in enumerate(arrays["labels"])}
    found = {
        f"{side}_{joint}": clip.joints[:, J[f"{side}_{joint}"]] - at[side.upper() + marker]
        for joint, marker in _NEAREST.items()
        for side in "rl"
    }
    band = sum(at[name] for name in ("LFHD", "RFHD", "LBHD", "RBHD")) / 4
    mm = {name: 1000 * np.linalg.norm(apart, axis=-1) for name, apart in found.items()}
    each = {
        name: {"mean": round(v.mean(), 1), "worst": round(v.max(), 1)} for name, v in mm.items()
    }
    top = 1000 * np.linalg.norm(clip.joints[:, J["head"]] - band, axis=-1)
    return {
        "joints_to_their_markers_mm": each,
        "mean_mm": round(float(np.mean(list(mm.values()))), 1),
        "worst_mm": round(float(np.max(list(mm.values()))), 1),
        "head_top_to_the_middle_of_the_band_mm": round(top.mean(), 1),
    }


def _speed(frames: int, work: Callable[[], object]) -> int:
    taken = []
    for _ in range(5):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return round(frames / min(taken))


def _repeated(times: int) -> tuple[bytes, NDArray[np.float64], NDArray[np.float64]]:
    """The sample several times over: as a file, its rotations and its translations."""
    with np.load(SAMPLE, allow_pickle=False) as arrays:
        n = len(arrays["poses"])
        long = {
            k: np.concatenate([v] * times) if v.ndim and len(v) == n else v
            for k, v in arrays.items()
        }
    stream = io.BytesIO()
    np.savez(stream, **long)
    return stream.getvalue(), long["poses"][:, :66], long["trans"]


def main() -> None:
    data, turns, translation = _repeated(100)
    body, n_frames = average_adult(), len(turns)
    walk, long_walk = (
        WALK.read_bytes(),
        c3d_with(walker(70_000), MARKERS, trial=(1, 70_000), header_last=65535),
    )
    report(
        "bench_markers",
        {
            **distances(),
            "amass_kinematics_frames_per_s": _speed(
                n_frames, lambda: posed_joints(turns, translation, body)
            ),
            "amass_reading_frames_per_s": _speed(n_frames, lambda: read_amass_clip(data, SAMPLE)),
            "c3d_02_01_frames_per_s": _speed(343, lambda: read_c3d_clip(walk, WALK)),
            "c3d_70000_frames_per_s": _speed(70_000, lambda: read_c3d_clip(long_walk, WALK)),
        },
    )


if __name__ == "__main__":
    main()
