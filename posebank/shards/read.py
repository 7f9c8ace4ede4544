"""Reading shards with pyarrow: filters pushed down, images one row group at a time.

A filter drops row groups by what their file's footer says of them, then images by the few small
columns that it needs; image bytes are read only for what is left.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from posebank.artefacts import check_present, part_path, read_manifest
from posebank.errors import ArtefactError, SettingsError
from posebank.parquet import damage_in, open_parquet
from posebank.schemas import SHARD_PERSON, column_array
from posebank.shards.groups import RowGroup, read_row_groups

_LABEL_COLUMNS = ("image_id", "image", "dataset", "image_width", "image_height")
_PERSON = "people.list.element."
_MAX_OPEN_FILES = 64


@dataclass(frozen=True)
class ShardFilter:
    """What to read. The defaults keep everything.

    split : ``train``, ``val`` or ``test``; None is all of them.
    datasets : annotation data sets; None is all of them.
    min_trust, min_annotated : people below either are left out, and images with nobody left.
    """

    split: str | None = None
    datasets: tuple[str, ...] | None = None
    min_trust: float = 0.0
    min_annotated: int = 0

    @property
    def of_people(self) -> bool:
        """Whether people are filtered, not only images."""
        return self.min_trust > 0 or self.min_annotated > 0

    def may_keep(self, group: RowGroup) -> bool:
        """Return whether a row group may have images that are kept."""
        return (
            (self.split is None or self.split in group.splits)
            and (self.datasets is None or not group.datasets.isdisjoint(self.datasets))
            and group.max_trust >= float(np.float32(self.min_trust))
            and group.max_annotated >= self.min_annotated
        )

    def keeps(self, trust: NDArray[Any], n_annotated: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which people are kept."""
        # A float32 0.7 is below the float64 0.7, so the bound is compared in the column's type.
        result: NDArray[np.bool_] = (trust >= trust.dtype.type(self.min_trust)) & (
            n_annotated >= self.min_annotated
        )
        return result


@dataclass(frozen=True)
class ImageIndex:
    """Where the chosen images are, (n,) each.

    part, group : number of the file, and of the row group in it.
    row, row_in_part : row in the row group, and in the file.
    """

    part: NDArray[np.int32]
    group: NDArray[np.int32]
    row: NDArray[np.int32]
    row_in_part: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.part)


@dataclass(frozen=True)
class PartLabels:
    """The labels of one part in memory: everything but the images.

    columns : the images' columns, as lists.
    start : (n_images + 1,) where each image's people begin.
    people : the columns of the people that the filter keeps: arrays, and lists of texts, "" for
        none.
    ignored_start, ignored_box : the same for the boxes of the people whom it leaves out.
    nbytes : memory held, about.
    """

    columns: Mapping[str, list[Any]]
    start: NDArray[np.int64]
    people: Mapping[str, Any]
    ignored_start: NDArray[np.int64]
    ignored_box: NDArray[np.float32]
    nbytes: int

    @property
    def n_people(self) -> int:
        """People that the filter keeps."""
        return int(self.start[-1] - self.start[0])


@dataclass(frozen=True)
class GroupImages:
    """The image files of one row group, or of some of its rows.

    data : (n_bytes,) uint8, the embedded files, one after the other.
    start : where each begins, n_images + 1 numbers; a referenced image has no bytes.
    path : of referenced images; None where all are embedded.
    """

    data: pa.UInt8Array
    start: list[int]
    path: list[str | None] | None

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return len(self.data)


class ShardFiles:
    """The Parquet parts of a finished ``shards`` artefact.

    Parameters
    ----------
    folder : the artefact.
    person_columns : fields of a person to read.

    Raises
    ------
    ArtefactError
        If the artefact is missing, unfinished or of another version.
    """

    def __init__(self, folder: Path, person_columns: Sequence[str]) -> None:
        self.folder = Path(folder)
        manifest = read_manifest(self.folder, "shards")
        self._parts = manifest.tables
        self.names = [part.name for part in self._parts]
        self.content = manifest.content
        self.columns = [*_LABEL_COLUMNS, *(_PERSON + name for name in person_columns)]
        self._described: dict[int, list[RowGroup] | None] = {}
        self._close()

    def __getstate__(self) -> dict[str, Any]:
        return {n: v for n, v in self.__dict__.items() if n not in ("_open", "_lock", "_pid")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._close()

    def _close(self) -> None:
        self._open: OrderedDict[int, pq.ParquetFile] = OrderedDict()
        self._lock = threading.RLock()
        self._pid = os.getpid()

    def _alone(self) -> threading.RLock:
        """To hold while an open file is used: one serves a single thread at a time."""
        if self._pid != os.getpid():  # a forked worker must not share open files
            self._close()
        return self._lock

    def _file(self, part: int) -> pq.ParquetFile:
        with self._alone():
            file = self._open.get(part)
            if file is None:
                file = self._open[part] = self._opened(part)
                if len(self._open) > _MAX_OPEN_FILES:
                    self._open.popitem(last=False)[1].close()
            self._open.move_to_end(part)
            return file

    def _opened(self, part: int) -> pq.ParquetFile:
        try:
            file = open_parquet(part_path(self.folder, self._parts[part]), memory_map=True)
        except ArtefactError:
            check_present(self.folder, self.content)  # it says more than that a file is missing
            raise
        # After the file was opened: if the manifest is still the same, so is the file.
        check_present(self.folder, self.content)
        return file

    def index(self, keep: ShardFilter) -> ImageIndex:
        """Find the images that the filter keeps, in the order of the parts.

        Raises
        ------
        SettingsError
            If the shards hold no image of the split or of one of the data sets.
        """
        self._check_names(keep)
        found: list[tuple[int, int, int, NDArray[np.int64]]] = []
        for part in range(len(self.names)):
            file, described = self._file(part), self._row_groups(part)
            after = 0
            for group in range(file.num_row_groups):
                before, after = after, after + file.metadata.row_group(group).num_rows
                if described is not None and not keep.may_keep(described[group]):
                    continue
                rows = self._matching_rows(part, group, keep)
                if len(rows):
                    found.append((part, group, before, rows))
        sizes = [len(rows) for *_, rows in found]
        rows = np.concatenate([np.zeros(0, np.int64), *(some for *_, some in found)])
        parts, groups, befores = (
            np.repeat(np.array([f[place] for f in found], np.int32), sizes) for place in range(3)
        )
        return ImageIndex(parts, groups, rows.astype(np.int32), (befores + rows).astype(np.int32))

    def _check_names(self, keep: ShardFilter) -> None:
        """Whether the split and the data sets of a filter are in the shards."""
        wanted = {
            "split": set() if keep.split is None else {keep.split},
            "dataset": set(keep.datasets or ()),
        }
        for column, names in wanted.items():
            if not names:
                continue
            present: set[str] = set()
            for part in range(len(self.names)):
                if names <= present:
                    break
                present |= self._names(part, column)
            if not names <= present:
                raise SettingsError(
                    f"{self.folder}: expected a {column} among {', '.join(sorted(present))}, found "
                    f"{', '.join(sorted(names - present))}"
                )

    def _names(self, part: int, column: str) -> set[str]:
        """Return the splits or the data sets of a part."""
        described = self._row_groups(part)
        if described is None:
            groups = range(self._file(part).num_row_groups)
            return set(self._read(part, groups, [column]).column(column).to_pylist())
        of_groups = ((g.splits if column == "split" else g.datasets) for g in described)
        return set().union(*of_groups)

    def _row_groups(self, part: int) -> list[RowGroup] | None:
        if part not in self._described:
            with damage_in(self.folder / self.names[part]), self._alone():
                self._described[part] = read_row_groups(self._file(part).metadata)
        return self._described[part]

    def _matching_rows(self, part: int, group: int, keep: ShardFilter) -> NDArray[np.int64]:
        file = self._file(part)
        chosen = np.ones(file.metadata.row_group(group).num_rows, dtype=bool)
        columns = [
            name
            for name, wanted in (("split", keep.split), ("dataset", keep.datasets))
            if wanted is not None
        ]
        if keep.of_people:
            columns += [_PERSON + "trust", _PERSON + "n_annotated"]
        if not columns:
            return np.flatnonzero(chosen)
        table = self._read(part, [group], columns)
        if keep.split is not None:
            chosen &= _as_texts(table, "split") == keep.split
        if keep.datasets is not None:
            chosen &= np.isin(_as_texts(table, "dataset"), keep.datasets)
        if keep.of_people:
            start, people = _people(table)
            kept = keep.keeps(people["trust"], people["n_annotated"])
            count = np.concatenate([[0], np.cumsum(kept)])
            chosen &= (count[start[1:]] - count[start[:-1]]) > 0
        return np.flatnonzero(chosen)

    def labels(self, part: int, keep: ShardFilter) -> PartLabels:
        """Read the labels of one part: the images' small columns and the wanted ones of people.

        The columns of people must have the box and what the filter needs among them.
        """
        groups = list(range(self._file(part).num_row_groups))
        table = self._read(part, groups, self.columns)
        start, people = _people(table)
        images = {name: table.column(name).to_pylist() for name in _LABEL_COLUMNS}
        kept = keep.keeps(people["trust"], people["n_annotated"])
        box = people["box"]
        for name, values in people.items():
            if isinstance(values, pa.Array):
                people[name] = [text or "" for text in values.filter(pa.array(kept)).to_pylist()]
            else:
                people[name] = values[kept]
        before = np.concatenate([[0], np.cumsum(kept)])[start]  # people kept before each image
        return PartLabels(
            columns=images,
            start=before,
            people=people,
            ignored_start=(start - start[0]) - (before - before[0]),
            ignored_box=box[~kept],
            nbytes=2 * table.nbytes,
        )

    def images(self, part: int, group: int, rows: Sequence[int] | None = None) -> GroupImages:
        """Read the image files of one row group, or of some of its rows (ascending)."""
        column = self._image_field(part, group, "bytes")
        if rows is not None:
            column = column.take(pa.array(rows))  # a copy: what the others take up is freed
        start = np.frombuffer(column.buffers()[1], np.int32)[column.offset :][: len(column) + 1]
        data = pa.Array.from_buffers(pa.uint8(), int(start[-1]), [None, column.buffers()[2]])
        path = None
        if column.null_count:
            paths = self._image_field(part, group, "path").to_pylist()
            path = paths if rows is None else [paths[row] for row in rows]
        return GroupImages(data, start.tolist(), path)

    def _image_field(self, part: int, group: int, name: str) -> pa.Array:
        """One field of the image files of a row group; the other is not read."""
        table = self._read(part, [group], [f"image_file.{name}"])
        return _chunk(table, "image_file").field(name)

    def _read(self, part: int, groups: Sequence[int], columns: Sequence[str]) -> pa.Table:
        with damage_in(self.folder / self.names[part]), self._alone():
            return self._file(part).read_row_groups(
                list(groups), columns=list(columns), use_threads=False
            )


def _chunk(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _as_texts(table: pa.Table, name: str) -> NDArray[Any]:
    return np.array(table.column(name).to_pylist(), dtype=np.object_)


def _people(table: pa.Table) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """Where each image's people begin, and the people's columns as numpy arrays."""
    lists = _chunk(table, "people")
    start = lists.offsets.to_numpy().astype(np.int64)
    persons = lists.values  # not .flatten(): the offsets count from the array's own first value
    columns: dict[str, Any] = {}
    for position, field in enumerate(persons.type):
        kind = SHARD_PERSON.field(field.name)
        values = persons.field(position)
        if pa.types.is_string(kind.type):
            columns[field.name] = values
        else:
            one = pa.Table.from_arrays([values.cast(kind.type)], schema=pa.schema([kind]))
            columns[field.name] = column_array(one, field.name)
    return start, columns
