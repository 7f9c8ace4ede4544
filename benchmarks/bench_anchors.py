"""K-means on a million poses: posebank, FAISS and scikit-learn, all points, in one run.

Times are CPU seconds of one thread each, so that other work on the machine counts less; memory is
what the process holds at most. The fair comparison is at equal inertia, so FAISS runs with more
iterations too.

Usage: python benchmarks/bench_anchors.py [--poses 1000000] [-k 100] [--only posebank,faiss]
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

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}

METHODS = (
    "posebank tolerance 1e-3", "posebank tolerance 1e-4", "posebank", "posebank tolerance 1e-6",
    "faiss 25", "faiss 100",
    "scikit-learn",
)  # fmt: skip


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
        blocks._n_cores = lambda: 1
        kmeans(points[:2000], 3)  # compile
        tolerance = float(method.rsplit(maxsplit=1)[-1]) if " " in method else 1e-5
        started = time.process_time()
        centers = kmeans(points, k, seed=0, tolerance=tolerance).centers
    elif method.startswith("faiss"):
        started = time.process_time()
        found = faiss.Kmeans(
            points.shape[1], k, niter=int(method.split()[1]), seed=1,
            max_points_per_centroid=len(points),
        )  # fmt: skip
        found.train(points)
        centers = found.centroids
    else:
        started = time.process_time()
        centers = KMeans(k, n_init=1, random_state=0).fit(points).cluster_centers_
    cluster.seconds = time.process_time() - started  # type: ignore[attr-defined]
    return np.asarray(centers, np.float64)


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


def one(method: str, file: str, k: int) -> dict[str, Any]:
    points = np.load(file)
    before = peak_kb()
    centers = cluster(method, points, k)
    peak = peak_kb()
    return {
        "cpu_seconds": round(cluster.seconds, 2),  # type: ignore[attr-defined]
        "peak_mb_over_the_points": round((peak - before) / 1024),
        "inertia": round(inertia(points, centers), 1),
    }


def times_faster(results: dict[str, Any]) -> dict[str, float]:
    """For each other method: its time over that of ours which first reaches its inertia or less.

    0 where none of ours reaches it.
    """
    ours = [r for name, r in results.items() if name.startswith("posebank")]
    ratios = {}
    for name in METHODS:
        if name.startswith("posebank") or name not in results:
            continue
        theirs = results[name]
        enough = [r["cpu_seconds"] for r in ours if r["inertia"] <= theirs["inertia"]]
        ratios[name] = round(theirs["cpu_seconds"] / min(enough), 2) if enough else 0.0
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--poses", type=int, default=1_000_000)
    parser.add_argument("-k", type=int, default=100)
    parser.add_argument("--only", default="", help="names that begin like this, comma-separated")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(one(chosen.one, chosen.file, chosen.k)))
        return
    wanted = tuple(chosen.only.split(","))
    results: dict[str, Any] = {"poses": chosen.poses, "k": chosen.k}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "poses.npy"
        np.save(file, make_poses(chosen.poses))
        for method in (m for m in METHODS if m.startswith(wanted)):
            # A process each, so that the peak memory is its own.
            command = [sys.executable, __file__, "--one", method, "--file", str(file)]
            done = subprocess.run(
                [*command, "-k", str(chosen.k)],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, **ONE_THREAD},
            )
            results[method] = json.loads(done.stdout.strip().splitlines()[-1])
            print(method, results[method], file=sys.stderr)
    results["times_faster_at_equal_inertia"] = times_faster(results)
    report("anchors", results)


if __name__ == "__main__":
    main()
