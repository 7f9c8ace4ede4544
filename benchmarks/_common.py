"""What benchmarks share: timing, a large bank, the JSON report with commit and versions."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from posebank.types import PoseBank, texts

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
PACKAGES = ("numpy", "scipy", "faiss-gpu", "scikit-learn", "pyarrow", "numba", "torch")


def seconds(work: Callable[[], Any], repeats: int = 3, warm_up: int = 1) -> float:
    """Median wall time of ``work``."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


def million(bank: PoseBank, n: int) -> PoseBank:
    """A bank of n poses: real ones with joints moved by about a centimetre."""
    rng = np.random.default_rng(0)
    rows = np.arange(n) % len(bank)
    noise = rng.standard_normal((n, 13, 3), dtype=np.float32) * np.float32(0.01)
    big = bank.take(rows)
    return replace(big, pose_id=texts(map(str, range(n))), joints_3d=big.joints_3d + noise)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def report(name: str, results: dict[str, Any]) -> None:
    """Print one JSON object and keep it in ``benchmarks/results/NAME.json``."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    record = {
        "name": name,
        "commit": commit,
        "machine": {"cores": psutil.cpu_count(), "cpu": platform.processor() or platform.machine()},
        "versions": {p: _version(p) for p in PACKAGES},
        "results": results,
    }
    text = json.dumps(record, indent=1)
    folder = ROOT / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(text + "\n")
    print(text)
