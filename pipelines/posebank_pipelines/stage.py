"""What every stage does around its work: find out what is up to date, stage, write, describe.

A stage function reads

.. code-block:: python

    stage = Stage(workspace, "matches", deciding(settings), contents(workspace, "bank"), seed=0)
    if stage.is_current:
        return stage.result()
    with stage.build() as build:
        build.write("matches-00000.parquet", table)
        build.stats = {"people": 3}
    return stage.result()
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from posebank import artefacts
from posebank.artefact_kinds import KINDS
from posebank.errors import Rejected, SettingsError
from posebank.schemas import to_table
from posebank.types import Records
from posebank.workspace import content


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
    staging : folder to write the files into.
    section : name of the section.
    settings : settings that the manifest repeats; the stage may add what it found out.
    parts : files written so far.
    rejected : what was set aside, with the reason.
    stats : what was counted.
    """

    staging: Path
    section: str
    settings: dict[str, Any]
    parts: list[artefacts.Part] = field(default_factory=list)
    rejected: Sequence[Rejected] = ()
    stats: Mapping[str, Any] = field(default_factory=dict)

    def write(self, name: str, table: pa.Table) -> None:
        """Write one Parquet part."""
        self.parts.append(artefacts.write_part(self.staging, name, table, section=self.section))

    def write_records(self, records: Records, schema: pa.Schema, part_rows: int) -> None:
        """Write records as parts named after the section, ``part_rows`` rows each."""
        for number, start in enumerate(range(0, len(records), part_rows)):
            rows = records.take(slice(start, start + part_rows))
            self.write(f"{self.section}-{number:05d}.parquet", to_table(rows, schema))

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
    inputs : name -> hash of everything that the stage reads.
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
        inputs: Mapping[str, str],
        *,
        seed: int = 0,
        section: str = "",
        find_section: bool = False,
        folder: Path | None = None,
    ) -> None:
        self.folder = folder or workspace / kind
        self.kind = kind
        self.settings = dict(settings)
        self.inputs = dict(inputs)
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
        if current:
            self.section = current[0]

    @contextmanager
    def build(self) -> Iterator[Build]:
        """Yield the section to be filled; put it in the artefact's place if the body succeeds.

        The artefact's other sections stay as they are.
        """
        with artefacts.staging_folder(self.folder) as staging:
            build = Build(staging, self.section, dict(self.settings))
            yield build
            self.section = build.section
            artefacts.commit_section(
                staging, self.folder, self.kind, build.parts, self.section, self._describe(build)
            )
        self._made = True

    def finish_in_place(self, stats: Mapping[str, Any]) -> None:
        """Declare the files in the artefact's folder finished (a training run grows in place)."""
        build = Build(self.folder, self.section, self.settings, stats=stats)
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


def contents(workspace: Path, kinds: Sequence[str]) -> dict[str, str]:
    """Return the inputs of a stage that reads these artefacts: kind -> hash of its parts."""
    return {kind: content(workspace, kind) for kind in kinds}


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
