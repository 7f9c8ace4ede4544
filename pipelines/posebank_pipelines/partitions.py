"""Partitions of a stage: each is done by one task, and recorded in the staging folder when done.

A task writes its parts, then a record of them into the staging folder's journal, so whatever ends
the process, the scheduler or the machine, the next run takes up all partitions that were finished.
"""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from posebank.artefacts import JOURNAL, Part, file_sha256, part_from_json, write_text_atomic
from posebank.errors import ArtefactError, PosebankError, Rejected, SourceError
from posebank.workspace import content
from posebank_pipelines.runner import Runner

_TRANSIENT = {
    errno.EIO,
    errno.ESTALE,
    errno.EAGAIN,
    errno.EINTR,
    errno.ETIMEDOUT,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENETRESET,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.EHOSTUNREACH,
}
"""Errors of a network file system that may pass."""

_PAUSES_S = (0.5, 2.0, 8.0)


@dataclass(frozen=True)
class Partition:
    """What one partition produced.

    Parameters
    ----------
    parts : files written into the staging folder.
    rejected : what was set aside.
    stats : what was counted, as plain JSON values.
    """

    parts: Sequence[Part] = field(default_factory=list)
    rejected: Sequence[Rejected] = field(default_factory=list)
    stats: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Task:
    """What every task of a stage shares; it travels to the workers."""

    label: str
    function: Callable[..., Partition]
    common: Sequence[Any]
    workspace: Path
    staging: Path
    inputs: Mapping[str, str]  # kind -> content of the artefacts that tasks read
    strict: bool

    def __call__(self, numbered: tuple[int, Any]) -> Partition:
        number, item = numbered
        if not self.staging.is_dir():
            raise ArtefactError(
                f"{socket.gethostname()}: expected the folder {self.staging}, found nothing; "
                "workers must see the workspace under the same path"
            )
        try:
            done = self._with_patience(number, item)
        except (ArtefactError, OSError, MemoryError):
            raise  # the fault of the input, the machine or the file system: stop here
        except PosebankError as error:
            if self.strict or not isinstance(error, SourceError):
                raise
            return self._set_aside(number, item, str(error))
        except Exception as error:
            if self.strict:
                raise
            return self._set_aside(number, item, f"{type(error).__name__}: {error}")
        self._check_inputs()
        _record(self.staging, number, done)
        return done

    def _with_patience(self, number: int, item: Any) -> Partition:
        for pause in _PAUSES_S:
            try:
                return self.function(item, number, self.workspace, self.staging, *self.common)
            except OSError as error:
                if error.errno not in _TRANSIENT:
                    raise
                time.sleep(pause)
        return self.function(item, number, self.workspace, self.staging, *self.common)

    def _set_aside(self, number: int, item: Any, reason: str) -> Partition:
        where = f"{self.label} partition {number}"
        if isinstance(item, tuple) and all(isinstance(bound, int) for bound in item):
            where += f" (rows {item[0]} to {item[1] - 1})"
        return Partition(rejected=[Rejected(where, reason)], stats={"failed": True})

    def _check_inputs(self) -> None:
        """Keep nothing that was made from another version of the inputs."""
        for kind, expected in self.inputs.items():
            if content(self.workspace, kind) != expected:
                raise ArtefactError(
                    f"{self.workspace / kind}: made again during {self.label}; run it again"
                )


def row_ranges(rows: int, size: int) -> list[tuple[int, int]]:
    """Cut ``rows`` rows into ranges (first, last + 1) of ``size`` rows.

    Examples
    --------
    >>> row_ranges(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(start, min(start + size, rows)) for start in range(0, rows, size)]


def each_partition(
    runner: Runner,
    label: str,
    function: Callable[..., Partition],
    items: Sequence[Any],
    *common: Any,
    workspace: Path,
    staging: Path,
    inputs: Mapping[str, str],
    sizes: Sequence[int],
    unit: str,
    light: bool = False,
    strict: bool = False,
) -> Iterator[Partition]:
    """Do every partition that an earlier run has not finished.

    Parameters
    ----------
    runner : Runner
        Where the tasks run.
    label : str
        Name of the tasks, for progress and errors.
    function : callable
        Called as ``function(item, number, workspace, staging, *common)`` for each item.
    items : sequence of Any
        What each partition works on: (first row, row after the last), or another value.
    common : Any
        Further arguments, the same for every partition.
    workspace, staging : Path
        Folder of the artefacts, and folder to write parts into.
    inputs : mapping
        Kind -> content of the artefacts that the tasks read.
    sizes, unit : sequence of int
        How many people (or other units) each item has, for progress.
    light : bool
        See ``Runner.imap``.
    strict : bool
        Stop at the first partition that fails on its own data.

    Yields
    ------
    What each partition produced, in the order of the items, while later ones are being done. A
    partition that fails on its own data is set aside: it has no parts, and says why in
    ``rejected``.

    Raises
    ------
    PosebankError
        If every partition fails.
    """
    done = {number: found for number in range(len(items)) if (found := _recorded(staging, number))}
    missing = [number for number in range(len(items)) if number not in done]
    if done and missing:
        runner.notify(f"{label}: {len(done)} of {len(items)} partitions were finished before")
    (staging / JOURNAL).mkdir(exist_ok=True)
    # Workers have other working directories.
    task = _Task(label, function, common, workspace.absolute(), staging.absolute(), inputs, strict)
    results = runner.imap(
        label,
        task,
        [(n, items[n]) for n in missing],
        light=light,
        sizes=[sizes[n] for n in missing],
        unit=unit,
        finished=sum(sizes[n] for n in done),
    )
    failed: list[Rejected] = []
    for number in range(len(items)):
        partition = done[number] if number in done else next(results)
        if partition.stats.get("failed"):
            failed += partition.rejected
        yield partition
    if failed and len(failed) == len(items):
        raise PosebankError(
            f"{failed[0].where}: {failed[0].reason}; no partition of {len(items)} succeeded"
        )


def _record_file(staging: Path, number: int) -> Path:
    return staging / JOURNAL / f"{number:06d}.json"


def _record(staging: Path, number: int, done: Partition) -> None:
    write_text_atomic(_record_file(staging, number), json.dumps(asdict(done)))


def _recorded(staging: Path, number: int) -> Partition | None:
    """Read what a finished partition produced, if its files are still whole."""
    try:
        values = json.loads(_record_file(staging, number).read_text(encoding="utf-8"))
        done = Partition(
            [part_from_json(part) for part in values["parts"]],
            [Rejected(**rejected) for rejected in values["rejected"]],
            values["stats"],
        )
        whole = all(file_sha256(staging / part.name) == part.sha256 for part in done.parts)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return done if whole else None
