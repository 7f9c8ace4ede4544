"""K-means on a million poses: posebank, FAISS and scikit-learn, all points, in one run.

Each runs in a process of its own with as many threads. Seconds are of the clock, CPU seconds those
of all threads, which other work on the machine changes less; memory is the most that the process
holds over what it held with the points loaded. The fair comparison is at equal inertia, so FAISS
runs with more iterations too.

Usage: python benchmarks/bench_anchors.py [--poses 1000000] [-k 100] [--threads 2] [--only faiss]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from _common import SHARED_DATA, report
from sklearn.cluster import KMeans

from posebank.anchors import AnchorSettings, anchor_poses, blocks
from posebank.anchors.kmeans import kmeans
from posebank.mocap import discover, read_clip
from posebank.mocap.bank import BankSettings, poses_from_clip
from posebank.types import PoseBank

METHODS = (
    "posebank tolerance 1e-3",
    "posebank tolerance 1e-4",
    "posebank",
    "posebank tolerance 1e-6",
    "faiss 25",
    "faiss 100",
    "faiss 300",
    "scikit-learn",
)


def make_poses(n: int) -> np.ndarray:
    """The real bank's poses in random views, (n, 39)."""
    banks = []
    for dataset, folder in (("cmu", "cmu/subjects"), ("hdm05", "hdm05")):
        for source in discover(dataset, [SHARED_DATA / folder])[0]:
            banks.append(poses_from_clip(read_clip(source), BankSettings(fps=30))[0])
    bank = PoseBank.concat(banks)
    return anchor_poses(bank, AnchorSettings(n_poses=n, source="bank")).reshape(n, -1)


def cluster(method: str, points: np.ndarray, k: int) -> np.ndarray:
    if method.startswith("posebank"):
        tolerance = {"tolerance": float(method.split()[2])} if " " in method else {}
        return kmeans(points, k, seed=0, **tolerance).centers
    if method.startswith("faiss"):
        found = faiss.Kmeans(
            points.shape[1],
            k,
            niter=int(method.split()[1]),
            seed=1,
            max_points_per_centroid=len(points),
        )
        found.train(points)
        return found.centroids
    return KMeans(k, n_init=1, random_state=0).fit(points).cluster_centers_


def inertia(points: np.ndarray, centers: np.ndarray) -> float:
    total = 0.0
    for start in range(0, len(points), 1 << 15):
        block = points[start : start + (1 << 15)].astype(np.float64)
        square = (block**2).sum(1)[:, None] - 2 * block @ centers.T + (centers**2).sum(1)
        total += float(square.min(1).sum())
    return total


def peak_kb() -> int:
    """Most memory held so far (Linux), in kB; getrusage would count the parent's too."""
    status = Path("/proc/self/status").read_text()
    return next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM"))


def one(method: str, file: str, k: int, threads: int) -> dict[str, Any]:
    blocks._n_cores = lambda: threads
    points = np.load(file)
    kmeans(points[:2000], 3)  # compile
    before = peak_kb()
    started, cpu = time.perf_counter(), time.process_time()
    centers = cluster(method, points, k)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_mb_over_the_points": round((peak_kb() - before) / 1024),
        "inertia": round(inertia(points, centers.astype(np.float64)), 1),
    }


def times_faster(results: dict[str, Any]) -> dict[str, dict[str, float]]:
    """For each other method: its time over that of our fastest that reaches its inertia or less.

    By the clock and in CPU seconds; 0 where none of ours reaches it.
    """
    ours = [r for name, r in results.items() if name.startswith("posebank")]
    ratios = {}
    for name in METHODS:
        if name.startswith("posebank") or name not in results:
            continue
        theirs = results[name]
        enough = [r for r in ours if r["inertia"] <= theirs["inertia"]]
        ratios[name] = {
            clock: round(theirs[clock] / min(r[clock] for r in enough), 2) if enough else 0.0
            for clock in ("seconds", "cpu_seconds")
        }
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--poses", type=int, default=1_000_000)
    parser.add_argument("-k", type=int, default=100)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="names that begin like this, comma-separated")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(one(chosen.one, chosen.file, chosen.k, chosen.threads)))
        return
    wanted = tuple(chosen.only.split(","))
    results: dict[str, Any] = {"poses": chosen.poses, "k": chosen.k, "threads": chosen.threads}
    threads = {f"{name}_NUM_THREADS": str(chosen.threads) for name in ("OMP", "OPENBLAS", "MKL")}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "poses.npy"
        np.save(file, make_poses(chosen.poses))
        for method in (m for m in METHODS if m.startswith(wanted)):
            # A process each, so that the peak memory is its own.
            command = [sys.executable, __file__, "--one", method, "--file", str(file)]
            done = subprocess.run(
                [*command, "-k", str(chosen.k), "--threads", str(chosen.threads)],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, **threads},
            )
            results[method] = json.loads(done.stdout.strip().splitlines()[-1])
            print(method, results[method], file=sys.stderr)
    results["times_faster_at_equal_inertia"] = times_faster(results)
    report("anchors", results)


if __name__ == "__main__":
    main()
