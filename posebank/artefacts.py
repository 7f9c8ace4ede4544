"""Artefact folders: Parquet parts and a manifest, replaced whole or not at all.

A writer fills a staging folder beside the artefact, writes ``_manifest.json`` into it last, and
exchanges the folders by two renames; if it is killed between them, the next reader puts the old
folder back. A folder without a manifest is unfinished and is never read; what a killed writer left
beside the artefact is removed by the next one, which tells it from a living writer's folder by the
lock that the latter holds. An artefact has one or
more *sections* (the bank has one per MoCap data set); each remembers the fingerprint of what made
it, so that a section whose fingerprint matches is not made again.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from posebank import __version__
from posebank.artefact_kinds import KINDS
from posebank.errors import ArtefactError, Rejected
from posebank.schemas import SCHEMAS

try:
    import fcntl
except ImportError:  # Windows: killed writers' folders stay
    fcntl = None  # type: ignore[assignment]

MANIFEST = "_manifest.json"

_RANDOM_NAME = "[0-9a-f]" * 8
_YOUNG_S = 60.0  # a writer may not have locked its new folder yet


@dataclass(frozen=True)
class Part:
    """One file of an artefact."""

    name: str
    rows: int
    sha256: str
    section: str = ""


@dataclass(frozen=True)
class Section:
    """What made one section of an artefact, and what it counted on the way."""

    fingerprint: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    rejected: Sequence[Rejected] = ()
    stats: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """The content of ``_manifest.json``."""

    kind: str
    schema_version: int
    code_version: str
    rows: int
    parts: Sequence[Part]
    sections: Mapping[str, Section]

    @property
    def content(self) -> str:
        """Hash of the parts: what a stage that reads this artefact depends on."""
        return digest([[p.name, p.sha256] for p in self.parts])

    @property
    def tables(self) -> list[Part]:
        """The Parquet parts: the artefact's rows, in their order."""
        return [part for part in self.parts if part.name.endswith(".parquet")]


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of ``value``."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(
    kind: str, settings: Mapping[str, Any], inputs: Mapping[str, str], seed: int = 0
) -> str:
    """Fingerprint of what determines a section: kind, versions, settings, inputs and seed."""
    return digest([kind, KINDS[kind].version, __version__, dict(settings), dict(inputs), seed])


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_stamp(paths: Iterable[Path]) -> str:
    """Hash of the names, sizes and times of source files: changes when one of them does."""
    rows = []
    for path in sorted(paths):
        stat = path.stat()
        rows.append([str(path), stat.st_size, stat.st_mtime_ns])
    return digest(rows)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` if the body succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomic(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old content or the new, never a part."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def staging_folder(artefact: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``artefact``; it is removed unless ``commit`` took it."""
    artefact.parent.mkdir(parents=True, exist_ok=True)
    for left in artefact.parent.glob(f".{glob.escape(artefact.name)}.{_RANDOM_NAME}.tmp"):
        if _is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
    staging = artefact.parent / f".{artefact.name}.{uuid.uuid4().hex[:8]}.tmp"
    staging.mkdir()
    with _lock_on(staging):
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _lock_on(folder: Path) -> Iterator[bool]:
    """Hold the lock on a folder, if it is free; the system frees it when this process ends."""
    if fcntl is None:
        yield False
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            got = True
        except OSError:  # another process has it, or the file system knows no locks
            got = False
        yield got
    finally:
        os.close(number)


def _is_abandoned(staging: Path) -> bool:
    try:
        if time.time() - staging.stat().st_mtime < _YOUNG_S:
            return False
        with _lock_on(staging) as free:
            return free
    except OSError:  # gone by now
        return False


def write_part(
    staging: Path,
    name: str,
    table: pa.Table,
    *,
    section: str = "",
    row_group_rows: int = 1 << 16,
    as_is: Sequence[str] = (),
) -> Part:
    """Write one Parquet part (zstd) into a staging folder.

    as_is : columns to store neither compressed nor through a dictionary: files that are
        compressed already, and are read faster this way.
    """
    path = staging / name
    leaves = _leaves(table.schema) if as_is else []
    pq.write_table(
        table,
        path,
        compression={leaf: "NONE" if leaf in as_is else "ZSTD" for leaf in leaves} or "zstd",
        use_dictionary=[leaf for leaf in leaves if leaf not in as_is] or True,
        row_group_size=row_group_rows,
    )
    return Part(name, table.num_rows, file_sha256(path), section)


def _leaves(schema: pa.Schema) -> list[str]:
    """Paths of a schema's Parquet columns."""
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    columns = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    return [columns.column(i).path for i in range(len(columns.names))]


def adopt_part(staging: Path, path: Path, *, rows: int = 0, section: str = "") -> Part:
    """Describe a file already written into the staging folder (an index, a card)."""
    return Part(str(path.relative_to(staging)), rows, file_sha256(path), section)


def keep_parts(artefact: Path, staging: Path, manifest: Manifest, sections: set[str]) -> list[Part]:
    """Carry the parts of the given sections over from the present artefact, unchanged."""
    kept = [p for p in manifest.parts if p.section in sections]
    for part in kept:
        target = staging / part.name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(artefact / part.name, target)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(artefact / part.name, target)
    return kept


def write_manifest(
    folder: Path, kind: str, parts: Sequence[Part], sections: Mapping[str, Section]
) -> Manifest:
    """Write the manifest that makes a folder a finished artefact; the last thing to write."""
    manifest = Manifest(
        kind=kind,
        schema_version=KINDS[kind].version,
        code_version=__version__,
        rows=sum(p.rows for p in parts),
        parts=sorted(parts, key=lambda p: p.name),
        sections=dict(sorted(sections.items())),
    )
    write_text_atomic(folder / MANIFEST, json.dumps(asdict(manifest), indent=1, default=str))
    return manifest


def commit(
    staging: Path, artefact: Path, kind: str, parts: Sequence[Part], sections: Mapping[str, Section]
) -> Manifest:
    """Write the manifest into the staging folder and put the folder in the artefact's place."""
    manifest = write_manifest(staging, kind, parts, sections)
    _remove_old(artefact)
    old = artefact.parent / f".{artefact.name}.{uuid.uuid4().hex[:8]}.old"
    while True:
        with suppress(FileNotFoundError):
            os.replace(artefact, old)
        try:
            os.replace(staging, artefact)
            break
        except OSError:
            # Between the two renames a reader may have put the old artefact back (_recover).
            if not artefact.exists():
                raise
    _remove_old(artefact)
    return manifest


def remove(artefact: Path) -> None:
    """Take an artefact away; if this is cut short, what is left counts as unfinished."""
    _remove_old(artefact)
    _remove_folder(artefact)


def _remove_folder(folder: Path) -> None:
    if folder.is_symlink():  # what it points to belongs to somebody else
        folder.unlink()
        return
    (folder / MANIFEST).unlink(missing_ok=True)  # first, so that a part of a folder never counts
    shutil.rmtree(folder, ignore_errors=True)


def _moved_aside(artefact: Path) -> list[Path]:
    return sorted(artefact.parent.glob(f".{glob.escape(artefact.name)}.{_RANDOM_NAME}.old"))


def _remove_old(artefact: Path) -> None:
    """Remove what a writer moved aside, now or before it was killed; not the only copy."""
    _recover(artefact)
    for old in _moved_aside(artefact):
        _remove_folder(old)


def _recover(artefact: Path) -> None:
    """Put the old artefact back, if a writer was killed after it had moved it aside."""
    if artefact.exists():
        return
    for old in _moved_aside(artefact):
        if (old / MANIFEST).exists():
            with suppress(OSError):  # another process was quicker
                os.replace(old, artefact)
            return


def commit_section(
    staging: Path, artefact: Path, kind: str, parts: Sequence[Part], name: str, section: Section
) -> Manifest:
    """Commit one section, carrying the artefact's other sections over unchanged.

    Sections that another schema version wrote are dropped: their parts could not be read.
    """
    old = find_manifest(artefact)
    if old is None or (old.kind, old.schema_version) != (kind, KINDS[kind].version):
        return commit(staging, artefact, kind, parts, {name: section})
    others = {n: s for n, s in old.sections.items() if n != name}
    kept = keep_parts(artefact, staging, old, set(others))
    return commit(staging, artefact, kind, [*kept, *parts], {**others, name: section})


def keep_sections(artefact: Path, kind: str, names: set[str]) -> None:
    """Take every section that is not named out of an artefact, if there is any such."""
    manifest = find_manifest(artefact)
    if manifest is None or set(manifest.sections) <= names:
        return
    with staging_folder(artefact) as staging:
        parts = keep_parts(artefact, staging, manifest, names)
        sections = {n: s for n, s in manifest.sections.items() if n in names}
        commit(staging, artefact, kind, parts, sections)


def find_manifest(artefact: Path) -> Manifest | None:
    """The manifest of a finished artefact, None where there is none.

    Raises
    ------
    ArtefactError
        If the manifest is not readable.
    """
    path = artefact / MANIFEST
    _recover(artefact)
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Manifest(
            kind=raw["kind"],
            schema_version=raw["schema_version"],
            code_version=raw["code_version"],
            rows=raw["rows"],
            parts=[Part(**p) for p in raw["parts"]],
            sections={
                name: Section(**{**s, "rejected": [Rejected(**r) for r in s["rejected"]]})
                for name, s in raw["sections"].items()
            },
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{path}: expected a posebank manifest, found {error!r}") from error


def read_manifest(artefact: Path, kind: str) -> Manifest:
    """The manifest of a finished artefact of the given kind and of this version.

    Raises
    ------
    ArtefactError
        If the artefact is missing, unfinished, or of another kind or version.
    """
    manifest = find_manifest(artefact)
    if manifest is None:
        state = "unfinished (no manifest)" if artefact.exists() else "missing"
        raise ArtefactError(
            f"{artefact}: expected a {kind} artefact, found it {state}; "
            f"`posebank {KINDS[kind].stage}` makes it"
        )
    if manifest.kind != kind or manifest.schema_version != KINDS[kind].version:
        raise ArtefactError(
            f"{artefact}: expected {kind} version {KINDS[kind].version}, "
            f"found {manifest.kind} version {manifest.schema_version}; make it again"
        )
    return manifest


def read_table(artefact: Path, kind: str, columns: Sequence[str] | None = None) -> pa.Table:
    """All Parquet parts of a finished artefact as one table, in the order of the part names."""
    manifest = read_manifest(artefact, kind)
    schema = SCHEMAS[kind]
    if columns is not None:
        schema = pa.schema([schema.field(c) for c in columns], metadata=schema.metadata)
    tables = []
    for part in manifest.tables:
        try:
            table = pq.read_table(artefact / part.name, columns=columns)
            tables.append(table.cast(schema))
        except (OSError, ValueError, pa.ArrowInvalid) as error:
            raise ArtefactError(f"{artefact / part.name}: damaged part: {error}") from error
    return pa.concat_tables(tables) if tables else schema.empty_table()


def verify(artefact: Path, kind: str) -> list[Rejected]:
    """Check every part against its hash; what differs is returned with the reason."""
    damaged = []
    for part in read_manifest(artefact, kind).parts:
        path = artefact / part.name
        if not path.exists():
            damaged.append(Rejected(str(path), "listed in the manifest but missing"))
            continue
        found = file_sha256(path)
        if found != part.sha256:
            damaged.append(
                Rejected(str(path), f"expected sha256 {part.sha256[:12]}, found {found[:12]}")
            )
    return damaged
