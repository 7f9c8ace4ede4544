"""Time and error of the matchers on real LSPE people, against FAISS used straight.

python benchmarks/bench_matching.py [people] [million_people]
"""

from __future__ import annotations

import sys
import time
from typing import Any

import faiss
import numpy as np
import psutil
from _common import SHARED_DATA, report

from posebank.annotations.lsp import read_lsp
from posebank.geometry.cameras import CameraLimits
from posebank.matching import MatchSettings, match
from posebank.matching.queries import make_queries
from posebank.matching.views import view_rotations
from posebank.mocap import (
    BankSettings,
    add_mirrored,
    discover,
    drop_near_duplicates,
    poses_from_clip,
    read_clip,
)
from posebank.skeleton import is_annotated
from posebank.types import People, PoseBank, texts


def real_bank() -> PoseBank:
    """CMU + HDM05 at 10 poses a second, 50 mm apart, mirrored."""
    parts = []
    for dataset, folder in (("cmu", "cmu/subjects"), ("hdm05", "hdm05")):
        for clip in discover(dataset, [SHARED_DATA / folder])[0]:
            fps = 120.0 if dataset == "cmu" else None
            parts.append(poses_from_clip(read_clip(clip, fps), BankSettings())[0])
    return add_mirrored(drop_near_duplicates(PoseBank.concat(parts), 50.0))


def lspe_people() -> People:
    """Every LSPE person on disk."""
    return read_lsp(SHARED_DATA / "lspet" / "joints.mat", True).people


def faiss_straight(bank: PoseBank, people: People, settings: MatchSettings, every: int) -> Any:
    """Nearest views with one FAISS flat index per pattern of annotated joints.

    Only every ``every``-th pattern (by size) is run; returns seconds, people and patterns of those.
    """
    queries, _ = make_queries(people, settings.min_annotated)
    groups = sorted(queries.groups(), key=len, reverse=True)[::every]
    rotations = view_rotations(settings)[:, :2].astype(np.float32)
    build = search = 0.0
    for group in groups:
        start = time.perf_counter()
        mask = queries.mask[group[0]]
        joints = bank.joints_3d[:, mask]
        joints = joints - joints.mean(axis=1, keepdims=True)
        flat = np.einsum("njd,vcd->nvjc", joints, rotations, optimize=True)
        flat = flat.reshape(len(bank) * settings.n_views, -1)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        index = faiss.IndexFlatIP(flat.shape[1])
        index.add(np.ascontiguousarray(flat))
        build += time.perf_counter() - start
        start = time.perf_counter()
        index.search(queries.unit[group][:, mask].reshape(len(group), -1).astype(np.float32), 10)
        search += time.perf_counter() - start
    return build, search, sum(map(len, groups)), len(groups)


def million(bank: PoseBank, n: int) -> PoseBank:
    """A bank of n poses: real ones with joints moved by about a centimetre."""
    rng = np.random.default_rng(0)
    rows = np.arange(n) % len(bank)
    noise = rng.standard_normal((n, 13, 3), dtype=np.float32) * np.float32(0.01)
    big = bank.take(rows)
    return PoseBank(
        **{
            name: getattr(big, name)
            for name in ("dataset", "subject", "clip", "frame", "time_s", "mirrored",
                         "source_sha256")
        },
        pose_id=texts(map(str, range(n))),
        joints_3d=big.joints_3d + noise,
    )  # fmt: skip


def timed(bank: PoseBank, people: People, settings: MatchSettings) -> tuple[float, float]:
    """Seconds and mean error_norm."""
    start = time.perf_counter()
    matches, _ = match(bank, people, settings)
    return time.perf_counter() - start, float(matches.error_norm[:, 0].mean())


def main() -> None:
    n_people = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    n_million = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    faiss.omp_set_num_threads(2)
    bank, people = real_bank(), lspe_people()
    people = people.take(slice(0, n_people))
    few = people.take(slice(0, 4))
    for matcher in ("views", "refined", "viewfree"):
        match(bank, few, MatchSettings(matcher=matcher))
    results: dict[str, Any] = {"poses": len(bank), "people": len(people)}
    every = 24
    build, search, done, patterns = faiss_straight(
        bank, people, MatchSettings(matcher="views"), every
    )
    results["faiss_straight_128"] = {
        "patterns_run": patterns, "people_run": done, "build_s": build, "search_s": search,
        "all_patterns_s": build * every + search * len(people) / done,
    }  # fmt: skip
    for name, settings in (
        ("views_128_k10", MatchSettings(matcher="views", k=10)),
        ("viewfree_k1", MatchSettings(matcher="viewfree", k=1)),
        ("viewfree_k10", MatchSettings(matcher="viewfree", k=10)),
        ("viewfree_free_k1", MatchSettings(matcher="viewfree", k=1, limits=CameraLimits.free())),
    ):
        s, error = timed(bank, people, settings)
        results[name] = {"s": s, "error_norm_mean": error}
        print(name, results[name], file=sys.stderr, flush=True)
    full = people.take(is_annotated(people.state).all(axis=1)).take(slice(0, 600))
    curve: dict[str, Any] = {"people": len(full)}
    for label, limits in (("limits", CameraLimits()), ("free", CameraLimits.free())):
        for n_views in (16, 64, 256, 1024):
            asked = MatchSettings(matcher="views", n_views=n_views, limits=limits, k=1)
            curve[f"{label}/views_{n_views}"] = timed(bank, full, asked)[1]
        for matcher in ("refined", "viewfree"):
            asked = MatchSettings(matcher=matcher, n_views=64, limits=limits, k=1)
            curve[f"{label}/{matcher}"] = timed(bank, full, asked)[1]
    curve["free ratio viewfree / views_64"] = curve["free/viewfree"] / curve["free/views_64"]
    curve["limits ratio viewfree / views_64"] = curve["limits/viewfree"] / curve["limits/views_64"]
    results["error_by_views_fully_annotated"] = curve
    if n_million:
        big = million(bank, 1_000_000)
        before = psutil.Process().memory_info().rss
        some = people.take(slice(0, n_million))
        s, _ = timed(big, some, MatchSettings(matcher="viewfree", k=1))
        results["million"] = {
            "people": len(some), "s": s, "ms_per_person": 1000 * s / len(some),
            "projected_50000_s": 50_000 * s / len(some),
            "rss_growth_gb": (psutil.Process().memory_info().rss - before) / 1e9,
        }  # fmt: skip
    report("matching", results)


if __name__ == "__main__":
    main()
