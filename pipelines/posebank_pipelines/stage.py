"""What every stage does around its work: find out what is up to date, stage, write, describe.

A stage function reads

.. code-block:: python

    stage = Stage(workspace, "labels", deciding(settings), reads=["bank", "matches"])
    if stage.is_current:
        return stage.result()
    with stage.build() as build:
        done = build.partitions(runner, _match_partition, rows, settings, sizes=n, unit="people")
        build.stats = {"people": sum(partition.stats["people"] for partition in done)}
    return stage.result()
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from posebank import artefacts
from posebank.artefact_kinds import KINDS
from posebank.errors import ArtefactError, Rejected, SettingsError
from posebank.schemas import to_table
from posebank.types import Records
from posebank.workspace import content
from posebank_pipelines.partitions import Partition, each_partition
from posebank_pipelines.runner import Runner

_planning: ContextVar[bool] = ContextVar("planning", default=False)


class OutOfDate(Exception):
    """Raised instead of making a section while ``planning``."""


@contextmanager
def planning() -> Iterator[None]:
    """Make nothing: a stage that is out of date raises ``OutOfDate`` before its work."""
    token = _planning.set(True)
    try:
        yield
    finally:
        _planning.reset(token)


@dataclass(frozen=True)
class StageResult:
    """What a stage did: ``made`` or ``up to date``, and what it counted."""

    stage: str
    path: Path
    section: str
    status: str
    rows: int
    rejected: tuple[Rejected, ...]
    stats: Mapping[str, Any]
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {**asdict(self), "path": str(self.path)}


@dataclass
class Build:
    """A section that is being made: its staging folder, and what the manifest will say of it.

    Parameters
    ----------
    stage : the stage that it belongs to.
    staging : folder to write the files into.
    section : name of the section.
    settings : settings that the manifest repeats; the stage may add what it found out.
    parts : files written so far.
    rejected : what was set aside, with the reason.
    stats : what was counted.
    """

    stage: Stage
    staging: Path
    section: str
    settings: dict[str, Any]
    parts: list[artefacts.Part] = field(default_factory=list)
    rejected: Sequence[Rejected] = ()
    stats: Mapping[str, Any] = field(default_factory=dict)

    def write(self, name: str, table: pa.Table, **options: Any) -> None:
        """Write one Parquet part; options are those of ``artefacts.write_part``."""
        self.parts.append(
            artefacts.write_part(self.staging, name, table, section=self.section, **options)
        )

    def write_records(
        self, records: Records, schema: pa.Schema, part_rows: int, **options: Any
    ) -> None:
        """Write records as parts named after the section, ``part_rows`` rows each."""
        for number, start in enumerate(range(0, len(records), part_rows)):
            rows = records.take(slice(start, start + part_rows))
            self.write(f"{self.section}-{number:05d}.parquet", to_table(rows, schema), **options)

    def partitions(
        self,
        runner: Runner,
        function: Callable[..., Partition],
        items: Sequence[Any],
        *common: Any,
        sizes: Sequence[int],
        unit: str,
        strict: bool = False,
    ) -> list[Partition]:
        """Do the partitions that an earlier run has not finished; add what they produced.

        Parameters
        ----------
        runner : Runner
            Where the tasks run.
        function : callable
            Called as ``function(item, number, workspace, staging, *common)``.
        items : sequence of Any
            What each partition works on, such as (first row, row after the last).
        common : Any
            Further arguments, the same for every partition.
        sizes, unit : sequence of int
            How many people (or other units) each item has, for progress.
        strict : bool
            Stop at the first partition that fails on its own data.
        """
        done = list(
            self.each_partition(
                runner, function, items, *common, sizes=sizes, unit=unit, strict=strict
            )
        )
        self.parts += [part for partition in done for part in partition.parts]
        self.rejected = [*self.rejected, *(r for partition in done for r in partition.rejected)]
        return done

    def each_partition(
        self,
        runner: Runner,
        function: Callable[..., Partition],
        items: Sequence[Any],
        *common: Any,
        sizes: Sequence[int],
        unit: str,
        light: bool = False,
        strict: bool = False,
    ) -> Iterator[Partition]:
        """Do as ``partitions``, one after the other, but add nothing of them to the section.

        The parts are intermediate files: what is not added is removed before the commit.
        ``light`` and ``strict`` are explained in ``posebank_pipelines.partitions``.
        """
        stage = self.stage
        label = KINDS[stage.kind].stage
        if stage.section != stage.kind:
            label += f" {stage.section}"
        return each_partition(
            runner,
            label,
            function,
            items,
            *common,
            workspace=stage.workspace,
            staging=self.staging,
            sizes=sizes,
            unit=unit,
            light=light,
            strict=strict,
            inputs={kind: stage.inputs[kind] for kind in stage.reads},
        )

    def adopt(self, paths: Iterable[Path]) -> None:
        """Add files that were written into the staging folder: an index, a card, a picture."""
        self.parts += [artefacts.adopt_part(self.staging, p, section=self.section) for p in paths]


class Stage:
    """One section of an artefact: what decides it, and whether it is up to date.

    Parameters
    ----------
    workspace : folder of the artefacts.
    kind : kind of the artefact, see ``posebank.artefact_kinds``.
    settings : settings that decide the result, as plain values.
    reads : kinds of the artefacts that the stage reads from the workspace.
    sources : returns name -> hash of everything else that it reads; called when the stage begins
        and when it ends, to notice changes.
    seed : seed of everything random in the stage.
    section : name of the section, by default that of the kind.
    find_section : take the section with the same fingerprint, whatever its name; the stage names a
        new one while it builds it.
    folder : folder of the artefact, by default ``workspace / kind``.
    """

    def __init__(
        self,
        workspace: Path,
        kind: str,
        settings: Mapping[str, Any],
        *,
        reads: Sequence[str] = (),
        sources: Callable[[], Mapping[str, str]] = dict,
        seed: int = 0,
        section: str = "",
        find_section: bool = False,
        folder: Path | None = None,
    ) -> None:
        self.workspace = workspace
        self.folder = folder or workspace / kind
        self.kind = kind
        self.settings = dict(settings)
        self.reads = tuple(reads)
        self._sources = sources
        self.inputs = self._present_inputs()
        self.seed = seed
        self.section = section or kind
        self.fingerprint = artefacts.fingerprint(kind, self.settings, self.inputs, seed)
        self._made = False
        manifest = artefacts.find_manifest(self.folder)
        current = [
            name
            for name, made in (manifest.sections.items() if manifest is not None else ())
            if made.fingerprint == self.fingerprint and (find_section or name == self.section)
        ]
        self.is_current = bool(current)
        if _planning.get():
            if not current:
                raise OutOfDate(self.folder)
        elif current:
            artefacts.remove_leftovers(self.folder, current[0])
        if current:
            self.section = current[0]

    def _present_inputs(self) -> dict[str, str]:
        contents = {kind: content(self.workspace, kind) for kind in self.reads}
        return contents | dict(self._sources())

    @contextmanager
    def build(self) -> Iterator[Build]:
        """Yield the section to be filled; put it in the artefact's place if the body succeeds.

        The artefact's other sections stay as they are. What commands that were cut off have left
        in the workspace is removed, but finished partitions of what is still to be made stay.

        Raises
        ------
        ArtefactError
            If another process is writing the artefact, or if a part of an artefact that the stage
            reads is damaged, or if an input changes before the end.
        """
        if _planning.get():
            raise OutOfDate(self.folder)
        for kind in KINDS:
            artefacts.remove_leftovers(self.workspace / kind)
        for kind in self.reads:
            artefacts.check_hashes(self.workspace / kind, kind)
        with artefacts.staging_folder(self.folder, self.section, self.fingerprint) as staging:
            build = Build(self, staging, self.section, dict(self.settings))
            yield build
            self._check_inputs(staging)
            self.section = build.section
            artefacts.commit_section(
                staging, self.folder, self.kind, build.parts, self.section, self._describe(build)
            )
        self._made = True

    def _check_inputs(self, staging: Path) -> None:
        present = self._present_inputs()
        changed = [name for name, value in self.inputs.items() if present.get(name) != value]
        if changed or len(present) > len(self.inputs):
            artefacts.forget_finished(staging)
            raise ArtefactError(
                f"{self.folder}: {', '.join(changed) or 'an input'} changed while it was made; "
                "run the command again"
            )

    def finish_in_place(self, stats: Mapping[str, Any]) -> None:
        """Declare the files in the artefact's folder finished (a training run grows in place)."""
        build = Build(self, self.folder, self.section, self.settings, stats=stats)
        files = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        build.adopt(path for path in files if path.name != artefacts.MANIFEST)
        artefacts.write_manifest(
            self.folder, self.kind, build.parts, {build.section: self._describe(build)}
        )
        self._made = True

    def _describe(self, build: Build) -> artefacts.Section:
        return artefacts.Section(
            self.fingerprint, build.settings, self.inputs, self.seed, build.rejected, build.stats
        )

    def result(self) -> StageResult:
        """Describe the finished section."""
        manifest = artefacts.read_manifest(self.folder, self.kind)
        name, section = self.section, manifest.sections[self.section]
        return StageResult(
            stage=KINDS[self.kind].stage,
            path=self.folder,
            section=name,
            status="made" if self._made else "up to date",
            rows=sum(part.rows for part in manifest.parts if part.section == name),
            rejected=tuple(section.rejected),
            stats=dict(section.stats),
        )


def run_name(name: Any) -> str:
    """Return the name of a training run, which is also its folder's, if it can be one.

    Raises
    ------
    SettingsError
        If it cannot.
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
        raise SettingsError(
            f"run: expected a name of letters, digits, '-', '_' and '.', found {name!r}"
        )
    return name


def images_stamp(folder: Path, names: Iterable[str]) -> str:
    """Return a hash that changes when one of the named images appears, changes or goes."""
    rows: list[list[str | int]] = []
    for name in sorted(set(names)):
        try:
            stat = (folder / name).stat()
        except OSError:
            rows.append([name])
        else:
            rows.append([name, stat.st_size, stat.st_mtime_ns])
    return artefacts.digest([str(folder), rows])
