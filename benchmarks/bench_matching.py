"""The matchers on real people: exactness, error by number of views, time, a million poses.

python benchmarks/bench_matching.py [exact] [curve] [time] [million] [gpu]    # all by default
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from functools import partial
from typing import Any

import faiss
import numpy as np
from _common import ROOT, SHARED_DATA, million, report
from numpy.typing import NDArray

from posebank.annotations import read_annotations
from posebank.geometry.camera_prior import CameraPrior
from posebank.geometry.cameras import CameraLimits
from posebank.labelling.camera_prior import fit_priors, match_datasets
from posebank.matching import MatchSettings, match
from posebank.matching.devices import device_name
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


def real_bank(fps: float = 10.0, distance_mm: float = 50.0) -> PoseBank:
    """CMU + HDM05, so many poses a second, so far apart at least, mirrored."""
    parts = []
    for dataset, folder in (("cmu", "cmu/subjects"), ("hdm05", "hdm05")):
        for clip in discover(dataset, [SHARED_DATA / folder])[0]:
            clip_fps = 120.0 if dataset == "cmu" else None
            settings = BankSettings(fps=fps)
            parts.append(poses_from_clip(read_clip(clip, clip_fps), settings)[0])
    return add_mirrored(drop_near_duplicates(PoseBank.concat(parts), distance_mm))


def lspe_people() -> People:
    """Every LSPE person on disk."""
    return read_annotations("lspe", SHARED_DATA / "lspet").people


def mpii_people() -> People:
    """The MPII people on disk."""
    return read_annotations("mpii", SHARED_DATA / "mpii" / "tompson_valid_detections.mat").people


def faiss_straight(bank: PoseBank, people: People, settings: MatchSettings, every: int) -> Any:
    """Nearest views with one FAISS flat index per pattern of annotated joints.

    Only every ``every``-th pattern (by size) is run; returns CPU seconds of building and searching,
    people and patterns of those.
    """
    queries, _ = make_queries(people, settings.min_annotated)
    groups = sorted(queries.groups(), key=len, reverse=True)[::every]
    rotations = view_rotations(settings)[:, :2].astype(np.float32)
    build = search = 0.0
    for group in groups:
        start = time.process_time()
        mask = queries.mask[group[0]]
        joints = bank.joints_3d[:, mask]
        joints = joints - joints.mean(axis=1, keepdims=True)
        flat = np.einsum("njd,vcd->nvjc", joints, rotations, optimize=True)
        flat = flat.reshape(len(bank) * settings.n_views, -1)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        index = faiss.IndexFlatIP(flat.shape[1])
        index.add(np.ascontiguousarray(flat))
        build += time.process_time() - start
        start = time.process_time()
        index.search(
            queries.unit[group][:, mask].reshape(len(group), -1).astype(np.float32), settings.k
        )
        search += time.process_time() - start
    return build, search, sum(map(len, groups)), len(groups)


def timed(bank: PoseBank, people: People, settings: MatchSettings) -> tuple[float, float]:
    """Seconds and mean error_norm."""
    start = time.perf_counter()
    matches, _ = match(bank, people, settings)
    return time.perf_counter() - start, float(matches.error_norm[:, 0].mean())


def all_kinds(people: People, n: int) -> People:
    """n people, as many of each number of annotated joints as there are."""
    count = is_annotated(people.state).sum(axis=1)
    rng = np.random.default_rng(0)
    place = np.zeros(len(people))
    for c in np.unique(count):
        rows = np.flatnonzero(count == c)
        place[rows] = rng.permutation(len(rows))
    usable = np.flatnonzero(count >= MatchSettings.min_annotated)
    return people.take(np.sort(usable[np.argsort(place[usable], kind="stable")][:n]))


def oracle(people: People, bank: PoseBank, limits: CameraLimits) -> NDArray[np.float64]:
    """``best_over_cameras`` of tests/matching_oracle.py, in a process of its own."""
    sys.path.insert(0, str(ROOT / "tests"))
    from matching_oracle import best_over_cameras  # noqa: PLC0415

    # Without limits there are more cameras to miss.
    n_cameras, n_starts = (2000, 3) if limits == CameraLimits() else (10_000, 8)
    result: NDArray[np.float64] = best_over_cameras(bank, people, limits, n_cameras, n_starts)
    return result


def exact(n_people: int = 320, n_poses: int = 200) -> dict[str, Any]:
    """Matchers against slow float64 oracles, on part of the bank."""
    sys.path.insert(0, str(ROOT / "tests"))
    from matching_oracle import best_over_views  # noqa: PLC0415

    bank = real_bank()
    bank = bank.take(np.arange(0, len(bank), len(bank) // n_poses)[:n_poses])
    half = [all_kinds(people, n_people // 2) for people in (lspe_people(), mpii_people())]
    people = People.concat(half)
    views = MatchSettings(matcher="views", k=1)
    cases = [("views", views, best_over_views(bank, people, view_rotations(views)))]
    for name, limits in (("viewfree", CameraLimits()), ("viewfree, free", CameraLimits.free())):
        parts = [people.take(slice(i, i + 10)) for i in range(0, len(people), 10)]
        with ProcessPoolExecutor(2) as pool:
            truth = np.concatenate(list(pool.map(partial(oracle, bank=bank, limits=limits), parts)))
        cases.append((name, MatchSettings(k=1, limits=limits), truth))
    found = {}
    for name, settings, truth in cases:
        matches, rejected = match(bank, people, settings)
        kept = ~np.isin(people.person_id.astype(str), [r.where for r in rejected] or [""])
        best = truth[kept].min(axis=1)
        chosen = truth[kept][np.arange(kept.sum()), matches.pose_row[:, 0]]
        found[name] = {
            "people": int(kept.sum()),
            "poses": len(bank),
            "worse_than_oracle_by_at_most": float((matches.error_norm[:, 0] - best).max()),
            "better_than_oracle_by_at_most": float((best - matches.error_norm[:, 0]).max()),
            "same_pose_up_to_ties_of_1e-5": int((chosen <= best + 1e-5).sum()),
            "proved": int((matches.gap == 0).sum()),
        }
        print(name, found[name], file=sys.stderr, flush=True)
    return found


def curve(n_people: int = 600) -> dict[str, Any]:
    """Mean error_norm of fully annotated LSPE people by number of views, for two banks."""
    people = lspe_people()
    full = people.take(is_annotated(people.state).all(axis=1)).take(slice(0, n_people))
    found: dict[str, Any] = {"people": len(full)}
    for fps, distance in ((10.0, 50.0), (30.0, 20.0)):
        bank = real_bank(fps, distance)
        errors: dict[str, float] = {"poses": len(bank)}
        for label, limits in (("limits", CameraLimits()), ("free", CameraLimits.free())):
            views = MatchSettings(matcher="views", limits=limits, k=1)
            for n_views in (16, 64, 256, 1024):
                errors[f"{label}/views_{n_views}"] = timed(
                    bank, full, replace(views, n_views=n_views)
                )[1]
            for matcher in ("refined", "viewfree"):
                asked = replace(views, matcher=matcher, n_views=64)
                errors[f"{label}/{matcher}"] = timed(bank, full, asked)[1]
            ratio = errors[f"{label}/viewfree"] / errors[f"{label}/views_64"]
            errors[f"{label}/viewfree over views_64"] = ratio
        found[f"{fps:.0f} a second, {distance:.0f} mm apart"] = errors
        print(errors, file=sys.stderr, flush=True)
    return found


SIZES = {0: 5000, 100_000: 1000, 400_000: 400}
"""People matched with each bank; 0 is the real bank, the others are made of it by ``million``."""
FAISS_POSES = 8192  # whose 128 views are one flat index of a million; larger banks are scaled


def cpu_ms(
    bank: PoseBank,
    people: People,
    settings: MatchSettings,
    priors: Mapping[str, CameraPrior],
) -> tuple[float, float]:
    """CPU milliseconds a person, over all threads, and the mean error_norm."""
    start = time.process_time()
    matches, _ = match_datasets(bank, people, settings, priors)
    spent = time.process_time() - start
    return 1000 * spent / len(people), float(matches.error_norm[:, 0].mean())


def times(n_people: int = 5000, every: int = 48) -> dict[str, Any]:
    """CPU time a person, default and k = 1, for banks of three sizes, against FAISS at the same k.

    LSPE people with all their patterns of missing joints; the default has the camera prior fitted
    to them (the time of fitting it is separate), ``any`` has none. FAISS is a flat index of 128
    views per pattern: every 48th pattern is run, over 8,192 poses at most, and scaled by patterns,
    people and poses.
    """
    real, people = real_bank(), lspe_people()
    default, best = MatchSettings(device="cpu"), MatchSettings(k=1, device="cpu")
    match(real.take(slice(0, 500)), people.take(slice(0, 4)), default)
    start = time.process_time()
    priors = fit_priors(real, people, default)
    found: dict[str, Any] = {"fit of the prior, s": time.process_time() - start}
    ways = {
        "default": (default, priors),
        "k=1": (best, priors),
        "any": (default, {}),
        "any, k=1": (best, {}),
    }
    for size, most in SIZES.items():
        bank = million(real, size) if size else real
        some = people.take(slice(0, min(n_people, most)))
        row: dict[str, Any] = {"people": len(some)}
        for name, way in ways.items():
            row[f"{name}, ms"], row[f"{name}, error_norm"] = cpu_ms(bank, some, *way)
        for settings in (default, best):
            part = bank.take(slice(0, FAISS_POSES))
            views = MatchSettings(matcher="views", k=settings.k)
            build, search, done, patterns = faiss_straight(part, some, views, every)
            n_patterns = len(np.unique(is_annotated(some.state), axis=0))
            total = build * n_patterns / patterns + search * len(some) / done
            row[f"FAISS, k={settings.k}, ms"] = 1000 * total / len(some) * len(bank) / len(part)
        row["default / k=1"] = row["default, ms"] / row["k=1, ms"]
        row["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        found[f"{len(bank)} poses"] = row
        print(len(bank), row, file=sys.stderr, flush=True)
    return found


def many_people(n: int) -> People:
    """LSPE's and MPII's people, then the same again with every joint moved by some pixels."""
    real = People.concat([lspe_people(), mpii_people()])
    some = real.take(np.arange(n) % len(real))
    again = np.arange(n) >= len(real)
    noise = np.random.default_rng(0).normal(0, 2, some.joints_2d.shape) * again[:, None, None]
    return replace(
        some,
        person_id=texts(map(str, range(n))),
        joints_2d=some.joints_2d + noise.astype(np.float32),
    )


def a_million(n_people: int = 2000) -> dict[str, Any]:
    """A million poses with the default: time, projected to 50,000 people, and the largest memory.

    The more people share a pattern of missing joints, the less each costs: with fewer people than
    50,000 the projection is high.
    """
    big, some = million(real_bank(), 1_000_000), many_people(n_people)
    settings = MatchSettings(device="cpu")
    priors = fit_priors(big.take(slice(0, 8192)), some, settings)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    ms, _ = cpu_ms(big, some, settings, priors)
    return {
        "people": len(some),
        "k": settings.k,
        "s": time.perf_counter() - start,
        "cpu_ms_per_person": ms,
        "projected_50000_s_on_2_cores": 50_000 * ms / 1000 / 2,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "peak_before_gb": before / 1e6,
    }


def float32_rate() -> float:
    """Multiplications and additions a second that the GPU reaches in a large float32 product."""
    import torch  # noqa: PLC0415

    a = torch.randn(8192, 8192, device="cuda")
    a @ a
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(5):
        a @ a
    torch.cuda.synchronize()
    return 5 * 2 * 8192**3 / (time.perf_counter() - start)


def on_gpu(n_people: int = 50_000) -> dict[str, Any]:
    """A million poses on a GPU: time, the part of its arithmetic used, equality with the CPU."""
    device = device_name("auto")
    if device == "cpu":
        print("gpu: there is none here; nothing was run", file=sys.stderr)
        return {"device": device}
    big, some = million(real_bank(), 1_000_000), many_people(n_people)
    settings = MatchSettings(device="cuda")
    match(big.take(slice(0, 5000)), some.take(slice(0, 64)), settings)
    start = time.perf_counter()
    found, _ = match(big, some, settings)
    s = time.perf_counter() - start
    few = some.take(slice(0, 500))
    a, b = (match(big, few, replace(settings, device=d))[0] for d in ("cuda", "cpu"))
    # Six products over 13 joints for each pair, once for the first limits and once below them.
    operations = 2 * 2 * 6 * 13 * len(big) * len(some)
    return {
        "device": device,
        "people": len(some),
        "s": s,
        "part_of_float32_rate": operations / s / float32_rate(),
        "error_norm_mean": float(found.error_norm[:, 0].mean()),
        "same_as_cpu": all(
            np.array_equal(getattr(a, x.name), getattr(b, x.name)) for x in fields(a)
        ),
    }


MODES = {"exact": exact, "curve": curve, "time": times, "million": a_million, "gpu": on_gpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modes", nargs="*", choices=[[], *MODES])
    parser.add_argument("--people", type=int, help="how many, in each mode")
    chosen = parser.parse_args()
    faiss.omp_set_num_threads(2)
    sized = {} if chosen.people is None else {"n_people": chosen.people}
    for name in chosen.modes or MODES:
        report(f"matching_{name}", MODES[name](**sized))


if __name__ == "__main__":
    main()
