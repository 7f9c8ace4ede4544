"""Artefact folders: Parquet parts and a manifest, replaced whole or not at all.

A writer holds the artefact's lock, fills a staging folder beside it, writes ``_manifest.json`` into
it last, and exchanges the folders by two renames; if it is killed between them, the next reader
puts the old folder back. A folder without a manifest is unfinished and is never read. Readers hold
no lock: they look at the manifest after they have read, and read again if it has changed.

The staging folder is named after what is being made. One that has a journal of finished partitions
stays when its writer is cut off, for the next writer of the same; any other is removed by the next
writer.

An artefact has one or more *sections* (the bank has one per MoCap data set); each remembers the
fingerprint of what made it, so that a section whose fingerprint matches is not made again.
"""

from __future__ import annotations

import ctypes
import glob
import hashlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from posebank import __version__
from posebank.artefact_kinds import KINDS
from posebank.errors import ArtefactError, Rejected, SourceError
from posebank.files import check_regular, read_json
from posebank.locks import writer_lock
from posebank.parquet import damage_in, read_slice
from posebank.schemas import SCHEMAS

T = TypeVar("T")

MANIFEST = "_manifest.json"

JOURNAL = "_finished"
"""Folder, inside a staging folder, with a record of each finished partition."""

_HEX = "[0-9a-f]"
_RENAME_EXCHANGE = 2  # renameat2(2)
_MAX_ROWS = 1 << 27  # of a part; posebank writes some thousands
_READS = 5  # of an artefact that is made again and again while it is read


@dataclass(frozen=True)
class Part:
    """One file of an artefact.

    Parameters
    ----------
    name : path of the file inside the artefact.
    rows : rows of a Parquet file, 0 for other files.
    sha256 : hash of the file's bytes.
    section : section that it belongs to.
    made_from : first and last row (excluded) of the input that the part was made from, where each
        part is made from its own rows.
    """

    name: str
    rows: int
    sha256: str
    section: str = ""
    made_from: tuple[int, int] | None = None


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

    @cached_property
    def content(self) -> str:
        """Hash of the parts: what a stage that reads this artefact depends on."""
        return digest([[p.name, p.sha256] for p in self.parts])

    @property
    def tables(self) -> list[Part]:
        """The Parquet parts: the artefact's rows, in their order."""
        return [part for part in self.parts if part.name.endswith(".parquet")]


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of ``value``.

    Examples
    --------
    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
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
        temporary.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def staging_folder(artefact: Path, section: str = "", key: str = "") -> Iterator[Path]:
    """Yield the folder in which a new version of ``artefact`` is made, under the writer's lock.

    Parameters
    ----------
    artefact : Path
        Folder of the artefact.
    section : str
        Section of the artefact.
    key : str
        Fingerprint of what is made. A folder of the same section and key with a journal of
        finished partitions is taken up where it was left.

    Raises
    ------
    ArtefactError
        If another process is writing the artefact.
    """
    artefact.parent.mkdir(parents=True, exist_ok=True)
    staging = artefact.parent / f".{artefact.name}.{digest(section)[:4]}{digest(key)[:12]}.tmp"
    with writer_lock(artefact):
        _remove_staging(artefact, section, but=staging)
        staging.mkdir(exist_ok=True)
        try:
            yield staging
        finally:
            if staging.exists() and not is_resumable(staging):
                shutil.rmtree(staging, ignore_errors=True)


def is_resumable(staging: Path) -> bool:
    """Whether a staging folder has finished partitions."""
    journal = staging / JOURNAL
    return journal.is_dir() and any(journal.iterdir())


def forget_finished(staging: Path) -> None:
    """Remove the journal of a staging folder, so that nobody goes on with it."""
    shutil.rmtree(staging / JOURNAL, ignore_errors=True)


def _staging_folders(artefact: Path) -> list[Path]:
    return sorted(artefact.parent.glob(f".{glob.escape(artefact.name)}.{_HEX * 16}.tmp"))


def _remove_staging(artefact: Path, section: str | None, but: Path | None = None) -> None:
    """Remove staging folders that nobody will go on with; the lock must be held.

    These are the ones without finished partitions, and those of ``section``, which is being made
    or is up to date; ``but`` stays where it has finished partitions.
    """
    for left in _staging_folders(artefact):
        same = section is not None and left.name.split(".")[-2][:4] == digest(section)[:4]
        if not is_resumable(left) or (same and left != but):
            shutil.rmtree(left, ignore_errors=True)


def remove_leftovers(artefact: Path, section: str | None = None) -> None:
    """Remove what writers that were cut off have left beside an artefact, unless one is writing.

    Finished partitions stay, except those of ``section``, which is up to date.
    """
    if _staging_folders(artefact) or _moved_aside(artefact):
        with suppress(ArtefactError), writer_lock(artefact):
            _remove_old(artefact)
            _remove_staging(artefact, section)


def write_part(
    staging: Path,
    name: str,
    table: pa.Table,
    *,
    section: str = "",
    row_group_rows: int = 1 << 16,
    as_is: Sequence[str] = (),
) -> Part:
    """Write one Parquet part (zstd, with checksums of its pages) into a staging folder.

    Parameters
    ----------
    staging : Path
        Folder that ``staging_folder`` gave.
    name : str
        File name of the part.
    table : pa.Table
        Its rows.
    section : str
        Section that it belongs to.
    row_group_rows : int
        Rows that are read at a time.
    as_is : sequence of str
        Columns to store neither compressed nor through a dictionary: files that are
        compressed already, and are read faster this way.
    """
    path = staging / name
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    leaves = _leaves(table.schema) if as_is else []
    pq.write_table(
        table,
        temporary,
        compression={leaf: "NONE" if leaf in as_is else "ZSTD" for leaf in leaves} or "zstd",
        use_dictionary=[leaf for leaf in leaves if leaf not in as_is] or True,
        row_group_size=row_group_rows,
        write_page_checksum=True,
    )
    part = Part(name, table.num_rows, file_sha256(temporary), section)
    # Whole or not at all: two workers may write the same part when one was thought to be lost.
    os.replace(temporary, path)
    return part


def _leaves(schema: pa.Schema) -> list[str]:
    """Paths of a schema's Parquet columns."""
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    columns = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    return [columns.column(i).path for i in range(len(columns.names))]


def adopt_part(staging: Path, path: Path, *, rows: int = 0, section: str = "") -> Part:
    """Describe a file already written into the staging folder (an index, a card)."""
    return Part(path.relative_to(staging).as_posix(), rows, file_sha256(path), section)


def keep_parts(artefact: Path, staging: Path, manifest: Manifest, sections: set[str]) -> list[Part]:
    """Carry the parts of the given sections over from the present artefact, unchanged."""
    kept = [p for p in manifest.parts if p.section in sections]
    for part in kept:
        target = staging / part.name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(part_path(artefact, part), target)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(part_path(artefact, part), target)
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
    forget_finished(staging)
    for unlisted in set(staging.rglob("*")) - {staging / part.name for part in parts}:
        if not unlisted.is_dir():  # written by a partition whose result was not taken
            unlisted.unlink()
    manifest = write_manifest(staging, kind, parts, sections)
    _remove_old(artefact)
    old = artefact.parent / f".{artefact.name}.{uuid.uuid4().hex[:8]}.old"
    if _exchange(staging, artefact):
        os.replace(staging, old)
    else:
        _replace_in_two_steps(staging, artefact, old)
    _remove_old(artefact)
    return manifest


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, so that readers find one or the other at any moment.

    Linux and most of its file systems can; returns whether it was done.
    """
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    paths = os.fsencode(one.absolute()), os.fsencode(other.absolute())
    return renameat2 is not None and not renameat2(0, paths[0], 0, paths[1], _RENAME_EXCHANGE)


def _replace_in_two_steps(staging: Path, artefact: Path, old: Path) -> None:
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


def remove(artefact: Path) -> None:
    """Remove an artefact and what writers left of it.

    If this is cut short, what is left counts as unfinished.

    Raises
    ------
    ArtefactError
        If another process is writing the artefact.
    """
    if not artefact.parent.is_dir():
        return
    with writer_lock(artefact):
        _remove_old(artefact)
        _remove_folder(artefact)
        for left in _staging_folders(artefact):
            shutil.rmtree(left, ignore_errors=True)


def _remove_folder(folder: Path) -> None:
    if folder.is_symlink():  # what it points to belongs to somebody else
        folder.unlink()
        return
    (folder / MANIFEST).unlink(missing_ok=True)  # first, so that a part of a folder never counts
    shutil.rmtree(folder, ignore_errors=True)


def _moved_aside(artefact: Path) -> list[Path]:
    return sorted(artefact.parent.glob(f".{glob.escape(artefact.name)}.{_HEX * 8}.old"))


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
        manifest = read_manifest(artefact, kind)  # nobody else changes it now
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
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    return _parsed_manifest(path, stat.st_ino, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=32)
def _parsed_manifest(path: Path, *_state: int) -> Manifest:
    try:
        manifest = msgspec.convert(read_json(path), Manifest)
        if manifest.kind not in KINDS:
            raise ValueError(f"kind {manifest.kind!r:.40}")
        for part in manifest.parts:
            check_part(part)
        if manifest.rows != sum(part.rows for part in manifest.parts):
            raise ValueError(f"{manifest.rows} rows, which the parts have not")
    except SourceError as error:
        raise ArtefactError(f"{path}: expected a posebank manifest: {error.reason}") from error
    except ValueError as error:
        raise ArtefactError(
            f"{path}: expected a posebank manifest, found {error!s:.200}"
        ) from error
    return manifest


def part_from_json(values: Mapping[str, Any]) -> Part:
    """Return the part that a journal describes.

    Raises
    ------
    ValueError
        If it describes none, or the part's name leads out of the artefact's folder.
    """
    part = msgspec.convert(values, Part)
    check_part(part)
    return part


def check_part(part: Part) -> None:
    """Check that a part lies in its artefact's folder and has a possible number of rows.

    Raises
    ------
    ValueError
        If it does not.
    """
    names = PurePosixPath(part.name).parts
    if not names or names[0] == "/" or ".." in names or "\\" in part.name or "\0" in part.name:
        raise ValueError(f"a part outside the folder: {part.name!r:.100}")
    if not 0 <= part.rows < _MAX_ROWS:
        raise ValueError(f"a part of {part.rows} rows: {part.name!r:.100}")


def part_path(artefact: Path, part: Part) -> Path:
    """Return the file of a part.

    Raises
    ------
    ArtefactError
        If it is missing, is not a regular file, or is a link to a file outside the artefact.
    """
    path = artefact / part.name
    try:
        check_regular(path)
    except SourceError as error:
        raise ArtefactError(f"{path}: damaged part: {error.reason}") from error
    if not path.resolve().is_relative_to(artefact.resolve()):
        raise ArtefactError(f"{path}: expected a file of the artefact, found a link out of it")
    return path


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
            f"{artefact}: expected the {kind} artefact, found it {state}; "
            f"`posebank {KINDS[kind].stage}` makes it"
        )
    if manifest.kind != kind or manifest.schema_version != KINDS[kind].version:
        raise ArtefactError(
            f"{artefact}: expected {kind} version {KINDS[kind].version}, "
            f"found {manifest.kind} version {manifest.schema_version}; make it again"
        )
    return manifest


def read_table(artefact: Path, kind: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read all Parquet parts of a finished artefact as one table, in the order of their names."""
    return read_rows(artefact, kind, 0, None, columns)


def read_rows(
    artefact: Path,
    kind: str,
    start: int,
    stop: int | None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Read rows of a finished artefact; only the parts that hold them are read.

    If the artefact is made again meanwhile, it is read again: the rows are of one version.

    Parameters
    ----------
    artefact : Path
        Folder of the artefact.
    kind : str
        Its kind.
    start, stop : int
        First row, and the row after the last; None is the end.
    columns : sequence of str or None
        Names of the columns to read; None is all.

    Raises
    ------
    ArtefactError
        If the artefact is missing, unfinished, damaged, or of another kind or version.
    """
    for _ in range(_READS):
        manifest = read_manifest(artefact, kind)
        try:
            table = _rows_of(artefact, kind, manifest, start, stop, columns)
        except ArtefactError:
            if not _is_replaced(artefact, manifest):
                raise
        else:
            if not _is_replaced(artefact, manifest):
                return table
    raise ArtefactError(f"{artefact}: made again {_READS} times while it was read; read it later")


def _is_replaced(artefact: Path, manifest: Manifest) -> bool:
    """Whether there is another version in the artefact's place by now."""
    present = find_manifest(artefact)
    return present is None or present.content != manifest.content


def check_present(artefact: Path, content: str) -> None:
    """Check that an artefact that was opened before is still the same one.

    To be called after a file of it was opened or read: what was read is of that version if the
    manifest still is.

    Raises
    ------
    ArtefactError
        If the artefact was made again, or removed.
    """
    present = find_manifest(artefact)
    if present is None:
        raise ArtefactError(f"{artefact}: removed while it was read")
    if present.content != content:
        raise ArtefactError(
            f"{artefact}: the {present.kind} were made again while they were read; open them again"
        )


@contextmanager
def one_version(artefact: Path, manifest: Manifest) -> Iterator[None]:
    """Read parts of an artefact in the body; all are of the manifest's version.

    Raises
    ------
    ArtefactError
        If the artefact was made again, or removed, meanwhile.
    """
    try:
        yield
    except (ArtefactError, OSError, ValueError):
        check_present(artefact, manifest.content)  # it says more than that a file is missing
        raise
    check_present(artefact, manifest.content)


def read_part(artefact: Path, kind: str, name: str, read: Callable[[Path], T]) -> T:
    """Read one file of a finished artefact, whose hash is checked first.

    Parameters
    ----------
    artefact : Path
        Folder of the artefact.
    kind : str
        Its kind.
    name : str
        Name of the file in it.
    read : callable
        Called with the file's path.

    Raises
    ------
    ArtefactError
        If the artefact is missing, unfinished or of another version, has no such file or a damaged
        one, or is made again meanwhile.
    """
    manifest = read_manifest(artefact, kind)
    with one_version(artefact, manifest):
        for part in manifest.parts:
            if part.name == name:
                path = part_path(artefact, part)
                with damage_in(path):
                    _check_hash(path, part.sha256, check_regular(path).st_mtime_ns)
                return read(path)
    raise ArtefactError(f"{artefact}: expected {name} among its files, found none; make it again")


@contextmanager
def settings_of(artefact: Path, manifest: Manifest, section: str) -> Iterator[Mapping[str, Any]]:
    """Yield the settings of a section, to be used in the body.

    Raises
    ------
    ArtefactError
        If there is no such section, or the body does not find what it expects in the settings.
    """
    try:
        yield manifest.sections[section].settings
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        found = f"no {error}" if isinstance(error, KeyError) else f"{error!s:.200}"
        raise ArtefactError(
            f"{artefact / MANIFEST}: expected the settings of {section!r} as posebank writes them, "
            f"found {found}; make it again"
        ) from error


def _rows_of(
    artefact: Path,
    kind: str,
    manifest: Manifest,
    start: int,
    stop: int | None,
    columns: Sequence[str] | None,
) -> pa.Table:
    schema = SCHEMAS[kind]
    if columns is not None:
        schema = pa.schema([schema.field(c) for c in columns], metadata=schema.metadata)
    stop = manifest.rows if stop is None else min(stop, manifest.rows)
    tables, first = [], 0
    for part in manifest.tables:
        low, high = max(start - first, 0), min(stop - first, part.rows)
        if low < high:
            tables.append(_read_part(artefact, part, schema, low, high))
        first += part.rows
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _read_part(artefact: Path, part: Part, schema: pa.Schema, start: int, stop: int) -> pa.Table:
    path = part_path(artefact, part)
    with damage_in(path):
        _check_hash(path, part.sha256, check_regular(path).st_mtime_ns)
        return read_slice(path, start, stop, schema.names, part.rows).cast(schema)


@lru_cache(maxsize=4096)
def _check_hash(path: Path, expected: str, _time: int) -> None:
    """Check the hash of a part that is read whole, once in a process."""
    found = file_sha256(path)
    if found != expected:
        raise ValueError(f"expected sha256 {expected[:12]}, found {found[:12]}")


def verify(artefact: Path, kind: str) -> list[Rejected]:
    """Check every part against its hash; what differs is returned with the reason."""
    damaged = []
    for part in read_manifest(artefact, kind).parts:
        if not (artefact / part.name).exists():
            where = str(artefact / part.name)
            damaged.append(Rejected(where, "listed in the manifest but missing"))
            continue
        path = part_path(artefact, part)
        found = file_sha256(path)
        if found != part.sha256:
            damaged.append(
                Rejected(str(path), f"expected sha256 {part.sha256[:12]}, found {found[:12]}")
            )
    return damaged


def check_hashes(artefact: Path, kind: str) -> None:
    """Check every part against its hash, once for each version of an artefact in this process.

    Raises
    ------
    ArtefactError
        If a part is missing or differs.
    """
    _checked(artefact, kind, read_manifest(artefact, kind).content)


@lru_cache(maxsize=64)
def _checked(artefact: Path, kind: str, _content: str) -> None:
    damaged = verify(artefact, kind)
    if damaged:
        more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
        raise ArtefactError(
            f"{damaged[0].where}: damaged: {damaged[0].reason}{more}; make {artefact} again"
        )
