"""Speed of the MoCap readers and of the way from clips to the bank.

    python benchmarks/bench_mocap.py

Needs the real clips. The baseline is the ordinary reader of the tests: Python, line by line, one
matrix product per bone and frame; both are timed on one core in this process.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from _common import SHARED_DATA, report, seconds
from mocap_oracle import bone_ends, read_frames, read_skeleton

from posebank.artefacts import read_manifest
from posebank.geometry.kinematics import Chain
from posebank.mocap.amc import parse_amc
from posebank.mocap.asf import read_asf
from posebank.mocap.bank import (
    BankSettings,
    DistinctPoses,
    drop_near_duplicates,
    poses_from_clip,
)
from posebank.mocap.bvh import parse_bvh
from posebank.mocap.joints import acclaim_points
from posebank.mocap.options import ReadOptions
from posebank.mocap.sources import ClipSource, discover, read_clip, read_data
from posebank.types import PoseBank
from posebank_pipelines.runner import Runner
from posebank_pipelines.stages.ingest import ingest

SUBJECT = SHARED_DATA / "cmu" / "subjects" / "02"
ORDINARY_FRAMES = 200


def cpu_seconds(work: Callable[[], Any], repeats: int = 7) -> float:
    """Least processor time of ``work``: what a core of its own takes, on a busy machine too."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def text_to_joints() -> dict[str, Any]:
    """AMC text in memory -> 13 joints in metres, against the ordinary reader; processor time."""
    skeleton = read_asf(SUBJECT / "02.asf")
    nodes, points, needed = acclaim_points(skeleton)
    chain = Chain(nodes, points)
    texts = {p: p.read_bytes() for p in sorted(SUBJECT.glob("*.amc"))}
    motions = [parse_amc(t, p, skeleton, needed) for p, t in texts.items()]
    n_frames = sum(len(m.frames) for m in motions)

    def parse() -> None:
        for path, text in texts.items():
            parse_amc(text, path, skeleton, needed)

    def kinematics() -> None:
        for motion in motions:
            chain.positions(motion.values, radians_per_unit=np.pi / 180)

    def both() -> None:
        for path, text in texts.items():
            motion = parse_amc(text, path, skeleton, needed)
            joints = chain.positions(motion.values, radians_per_unit=np.pi / 180)
            joints *= skeleton.metres_per_unit

    slow_skeleton = read_skeleton(SUBJECT / "02.asf")
    path = SUBJECT / "02_01.amc"
    frames = read_frames(path)
    read = cpu_seconds(lambda: read_frames(path), 3) / len(frames)
    some = frames[:ORDINARY_FRAMES]
    moved = cpu_seconds(lambda: [bone_ends(slow_skeleton, f) for f in some], 3) / len(some)
    ours = n_frames / cpu_seconds(both)
    parsing = cpu_seconds(parse)
    return {
        "frames": n_frames,
        "bytes": sum(map(len, texts.values())),
        "frames_per_s": round(ours),
        "parse_frames_per_s": round(n_frames / parsing),
        "parse_mb_per_s": round(sum(map(len, texts.values())) / parsing / 1e6),
        "kinematics_frames_per_s": round(n_frames / cpu_seconds(kinematics)),
        "ordinary_frames_per_s": round(1 / (read + moved)),
        "ordinary_parse_frames_per_s": round(1 / read),
        "times_faster": round(ours * (read + moved), 1),
    }


def bvh_to_joints() -> dict[str, Any]:
    """BVH text in memory -> 13 joints in metres: a clip at hand, and its frames thirty times."""
    path = SHARED_DATA / "cmu" / "bvh_cgspeed" / "49_01.bvh"
    lines = path.read_bytes().split(b"\n")
    first = next(i for i, line in enumerate(lines) if line.startswith(b"Frame Time")) + 1
    frames = [line for line in lines[first:] if line.strip()]
    texts = {
        "clip": path.read_bytes(),
        "thirty_times": b"\n".join([*lines[:first], frames[0], *(30 * frames[1:])]),
    }
    source = ClipSource("bvh", path, None, "49", "49_01")
    result = {}
    for name, text in texts.items():
        n_frames = len(read_data(source, text).joints)
        result |= {
            f"{name}_frames": n_frames,
            f"{name}_parse_frames_per_s": round(
                n_frames / cpu_seconds(lambda text=text: parse_bvh(text, path))
            ),
            f"{name}_frames_per_s": round(
                n_frames / cpu_seconds(lambda text=text: read_data(source, text))
            ),
        }
    return result


def all_sources() -> list[ClipSource]:
    """The 263 AMC clips at hand."""
    return [
        source
        for dataset, folder in (("cmu", "cmu/subjects"), ("hdm05", "hdm05"))
        for source in discover(dataset, [SHARED_DATA / folder])[0]
    ]


def clip_to_bank(source: ClipSource, fps: float = 10.0) -> PoseBank:
    """What a worker does with a clip."""
    return poses_from_clip(read_clip(source), BankSettings(fps=fps))[0]


def _stage(workspace: Path, folders: dict[str, Path], workers: int) -> float:
    """Wall time of the ingest stage, the start of its workers included."""
    start = time.perf_counter()
    with Runner(workers) as runner:
        for dataset, folder in folders.items():
            ingest(workspace, dataset, {folder: ReadOptions()}, BankSettings(), runner)
    return time.perf_counter() - start


def _copies(folder: Path, copies: int) -> None:
    """CMU's clips at hand as ``copies`` sets of other subjects; no two files are equally long."""
    for clip in (s for s in all_sources() if s.dataset == "cmu"):
        for copy in range(copies):
            subject = f"{int(clip.subject) + 150 * copy:02d}"
            home = folder / subject
            home.mkdir(parents=True, exist_ok=True)
            if clip.skeleton and not (home / f"{subject}.asf").exists():
                (home / f"{subject}.asf").symlink_to(clip.skeleton)
            text = clip.path.read_bytes() + b"# copy\n" * copy
            (home / f"{subject}_{clip.name.split('_')[1]}.amc").write_bytes(text)


def two_workers(pairs: int = 7) -> dict[str, Any]:
    """The ingest stage with 1 and 2 workers, in turn: the clips at hand, and CMU's six times."""
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        _copies(scratch / "copies", 6)
        cases = {
            "at_hand": {"cmu": SHARED_DATA / "cmu" / "subjects", "hdm05": SHARED_DATA / "hdm05"},
            "cmu_six_times": {"cmu": scratch / "copies"},
        }
        for case, folders in cases.items():
            _stage(scratch / "warm", {"cmu": SUBJECT}, 1)
            times: dict[int, list[float]] = {1: [], 2: []}
            for pair in range(pairs):
                for workers in (1, 2):
                    workspace = scratch / f"{case}-{workers}-{pair}"
                    times[workers].append(_stage(workspace, folders, workers))
            sections = read_manifest(workspace / "bank", "bank").sections.values()
            n_frames = sum(section.stats["frames"] for section in sections)
            ratios = [one / two for one, two in zip(times[1], times[2], strict=True)]
            result[case] = {
                "frames": n_frames,
                "seconds_1": round(median(times[1]), 2),
                "seconds_2": round(median(times[2]), 2),
                "ratio": round(median(ratios), 2),
                "frames_per_s_1": round(n_frames / median(times[1])),
                "frames_per_s_2": round(n_frames / median(times[2])),
            }
    return result | {
        "load_average": round(os.getloadavg()[0], 1),
        "all_of_cmu_minutes_2": round(4e6 / result["cmu_six_times"]["frames_per_s_2"] / 60, 2),
    }


def _ingest(folder: Path, workspace: Path) -> dict[str, float]:
    with Runner() as runner:
        ingest(workspace, "cmu", {folder: ReadOptions()}, BankSettings(), runner)
    return {"peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}


def _stream(folder: Path, _workspace: Path) -> dict[str, float]:
    stream = DistinctPoses(50.0)
    kept = sum(len(stream.keep(clip_to_bank(s))) for s in discover("cmu", [folder])[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak_mb": round(peak, 1), "kept": kept}


def peak_memory(work: Callable[[Path, Path], dict[str, float]]) -> dict[str, Any]:
    """Peak memory of bringing N and 4N clips into the bank, each in a new process.

    The 4N are the N of four subjects each; the bank that comes out is as large.
    """
    n_clips = sum(s.dataset == "cmu" for s in all_sources())
    result = {}
    for name, copies in (("n", 1), ("4n", 4)):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "subjects"
            _copies(folder, copies)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found = pool.submit(work, folder, Path(scratch) / "ws").result()
        result[f"clips_{name}"] = n_clips * copies
        result |= {f"{key}_{name}": value for key, value in found.items()}
    return result


def near_duplicates() -> dict[str, Any]:
    """All frames of all clips (nothing resampled) down to poses 50 mm apart."""
    bank = PoseBank.concat([clip_to_bank(s, fps=120.0) for s in all_sources()])
    drop_near_duplicates(bank.take(slice(2)), 50.0)  # compiles
    start = time.perf_counter()
    kept = drop_near_duplicates(bank, 50.0)
    taken = time.perf_counter() - start
    some = bank.take(slice(None, None, 4))
    start = time.perf_counter()
    exhaustive = _exhaustive(some.joints_3d.astype(np.float64), 0.05)
    slow = time.perf_counter() - start
    fast = seconds(lambda: drop_near_duplicates(some, 50.0))
    return {
        "poses": len(bank),
        "kept": len(kept),
        "seconds": round(taken, 2),
        "subset": len(some),
        "subset_kept": len(drop_near_duplicates(some, 50.0)),
        "subset_kept_exhaustive": exhaustive,
        "times_faster_than_exhaustive": round(slow / fast, 1),
    }


def _exhaustive(poses: np.ndarray, limit: float) -> int:
    """Poses kept by comparing each with all kept ones, a numpy row at a time."""
    order = np.arange(len(poses))
    z = poses[..., 0] + 1j * poses[..., 2]
    norms = (poses**2).sum(axis=(1, 2))
    kept: list[int] = []
    for row in order:
        if kept:
            rows = np.array(kept)
            turned = np.abs(z[rows].conj() @ z[row])
            height = poses[rows, :, 1] @ poses[row, :, 1]
            apart = (norms[rows] + norms[row] - 2 * height - 2 * turned) / poses.shape[1]
            if apart.min() < limit**2:
                continue
        kept.append(int(row))
    return len(kept)


def main() -> None:
    """Measure everything."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if not SHARED_DATA.is_dir():
        sys.exit(f"expected real clips in {SHARED_DATA}, found none")
    report(
        "mocap",
        {
            "text_to_joints": text_to_joints(),
            "bvh_to_joints": bvh_to_joints(),
            "two_workers": two_workers(),
            "peak_memory_clips_to_poses": peak_memory(_stream),
            "peak_memory_ingest_stage": peak_memory(_ingest),
            "near_duplicates": near_duplicates(),
        },
    )


if __name__ == "__main__":
    main()
