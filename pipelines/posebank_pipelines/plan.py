"""A plan before the work: what a run would make, and about how long, from rates measured here.

Every stage that ``posebank run`` makes is timed; what it took for each unit of work is kept in
``rates.json`` in the user's cache folder, for this machine. A plan multiplies these rates by the
work that the configuration asks for. Before a first run there is nothing to go by, and the plan
says so.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from posebank.artefacts import find_manifest, write_text_atomic
from posebank.errors import PosebankError
from posebank_pipelines.config import RunConfig
from posebank_pipelines.stage import OutOfDate, planning

try:
    import resource
except ImportError:  # Windows does not tell
    resource = None  # type: ignore[assignment]

_BY_WORKERS = ("ingest", "label", "shards")
"""Stages whose work is shared by the workers; match uses all cores with any number of them."""

_SMALLER = 0.1  # a stage of less than this part of the work measured before says little


@dataclass(frozen=True)
class Rate:
    """What a stage took on this machine.

    Parameters
    ----------
    amount : units of work, see ``amounts``.
    core_seconds : time, multiplied by the workers that shared the work.
    rows : rows that were made.
    disk_bytes : size of what was made.
    peak_mb : peak memory of the process, or of the largest worker where there were some; None
        where the system does not tell it.
    """

    amount: float
    core_seconds: float
    rows: int
    disk_bytes: int
    peak_mb: float | None


@dataclass(frozen=True)
class PlannedStage:
    """One line of a plan; None is not known."""

    stage: str
    status: str
    rows: int | None
    seconds: float | None
    memory_mb: float | None
    disk_mb: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the line as plain JSON values."""
        return asdict(self)


def plan(
    config: RunConfig, workspace: Path, steps: Iterable[tuple[str, Any]], workers: int
) -> list[PlannedStage]:
    """Tell what a run would make, with rows, time, memory of a worker and disk of each stage.

    Nothing is made.

    Parameters
    ----------
    config : RunConfig
        The run's configuration.
    workspace : Path
        Folder of the artefacts; what is up to date there is not made again.
    steps : iterable of (str, callable)
        The stages with the calls that do them, as ``run.steps`` gives them.
    workers : int
        Worker processes that will share the work.
    """
    rates = read_rates()
    rows = {
        kind: manifest.rows
        for kind in ("bank", "annotations", "labels", "shards")
        if (manifest := _manifest(workspace / kind)) is not None
    }
    planned, stale = [], False
    for stage, some in groupby(steps, key=lambda step: step[0]):
        current = not stale and all([_is_current(step) for _, step in some])
        if stage not in ("ingest", "annotate"):
            stale = stale or not current  # whatever comes after depends on it
        elif not current:
            rows.pop({"ingest": "bank", "annotate": "annotations"}[stage], None)
        if current:
            planned.append(PlannedStage(stage, "up to date", rows.get(stage), 0.0, None, 0.0))
            continue
        amount = amounts(config, rows).get(stage)
        rate = rates.get(stage)
        if amount is None or rate is None:
            planned.append(PlannedStage(stage, "to make", None, None, None, None))
            continue
        factor = amount / rate.amount
        share = workers if stage in _BY_WORKERS else 1
        made = round(rate.rows * factor)
        if stage in _MADE_ROWS:
            rows[_MADE_ROWS[stage]] = made
        planned.append(
            PlannedStage(
                stage,
                "to make",
                made,
                round(rate.core_seconds * factor / share, 3),
                None if rate.peak_mb is None else round(rate.peak_mb),
                round(rate.disk_bytes * factor / 1e6, 3),
            )
        )
        if stage in ("ingest", "annotate"):
            stale = True
    return planned


_MADE_ROWS = {"ingest": "bank", "annotate": "annotations", "label": "labels", "shards": "shards"}


def _manifest(artefact: Path) -> Any:
    try:
        return find_manifest(artefact)
    except PosebankError:  # damaged: it will be made again
        return None


def _is_current(step: Any) -> bool:
    try:
        with planning():
            step()
    except OutOfDate:
        return False
    except PosebankError:  # an input is not made yet, or cannot be read
        return False
    return True


def amounts(config: RunConfig, rows: Mapping[str, int]) -> dict[str, float]:
    """Return the units of work of each stage; those that depend on unknown rows are left out.

    Parameters
    ----------
    config : RunConfig
        The run's configuration.
    rows : mapping
        Rows of the artefacts that are known or estimated.
    """
    found: dict[str, float] = {
        "ingest": sum(_size(path) for mocap in config.mocap for path in mocap.sources),
        "annotate": sum(_size(source.source) for source in config.annotations),
    }
    poses, people = rows.get("bank"), rows.get("annotations")
    labels, images = rows.get("labels", people), rows.get("shards")
    if poses is not None:
        found["index"] = poses * config.matching.n_views
        if people is not None:
            found["match"] = poses * people
    if people is not None:
        found["label"] = people
    clustered = poses if config.anchors.source == "bank" else labels
    if clustered is not None:
        found["anchors"] = clustered * config.anchors.k * config.anchors.restarts
    if labels is not None:
        found["shards"] = labels
    if config.train is not None:
        found["train"] = config.train.iterations * config.train.images_per_batch
    if images is not None:
        found["evaluate"] = images
    return {stage: amount for stage, amount in found.items() if amount > 0}


def _size(path: Path) -> int:
    """Bytes of a file, or of the files in a folder that are no images."""
    images = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file() and f.suffix.lower() not in images)


def _rates_file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "posebank" / f"rates-{socket.gethostname()}.json"


def read_rates() -> dict[str, Rate]:
    """Return what each stage took on this machine; a file that cannot be read holds nothing."""
    try:
        raw = json.loads(_rates_file().read_text(encoding="utf-8"))
        return {stage: Rate(**values) for stage, values in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def keep_rate(stage: str, rate: Rate) -> None:
    """Keep what a stage took, unless far more work was measured before."""
    rates = read_rates()
    if stage in rates and rate.amount < _SMALLER * rates[stage].amount:
        return
    rates[stage] = rate
    text = json.dumps({name: asdict(one) for name, one in sorted(rates.items())}, indent=1)
    try:
        write_text_atomic(_rates_file(), text)
    except OSError:  # a home that cannot be written to: no plan later, but the run goes on
        return


def measured(
    amount: float, seconds: float, workers: int, stage: str, rows: int, folder: Path
) -> Rate:
    """Return the rate of a stage that has just been made.

    Parameters
    ----------
    amount : float
        Units of work.
    seconds : float
        Wall-clock time.
    workers : int
        Worker processes of the run.
    stage : str
        Name of the stage.
    rows : int
        Rows that were made.
    folder : Path
        The artefact.
    """
    share = workers if stage in _BY_WORKERS else 1
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Rate(amount, seconds * share, rows, size, _peak_mb())


def _peak_mb() -> float | None:
    """Peak memory of this process or of the largest that it waited for; None on Windows."""
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there
    processes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(process).ru_maxrss for process in processes)
    return round(peak * unit / 1e6, 1)
