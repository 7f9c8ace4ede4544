"""Parquet files of artefacts: pages checked as they are read, damage as one clear error.

The statistics in a file's footer are not read: where their bytes are damaged, pyarrow ends the
process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from posebank.errors import ArtefactError, SourceError
from posebank.files import check_regular

# What pyarrow raises for damaged bytes, and Python for the impossible sizes that they state.
_ERRORS = (OSError, ValueError, OverflowError, MemoryError, pa.ArrowException)


@contextmanager
def damage_in(path: Path) -> Iterator[None]:
    """Turn what reading a damaged Parquet file in the body raises into an ArtefactError."""
    try:
        yield
    except SourceError as error:
        raise ArtefactError(f"{path}: damaged part: {error.reason}") from error
    except _ERRORS as error:
        reason = " ".join(str(error).split())  # pyarrow's may have several lines
        raise ArtefactError(f"{path}: damaged part: {reason:.200}") from error


def open_parquet(path: Path, *, memory_map: bool = False) -> pq.ParquetFile:
    """Open a Parquet file; read from it within ``damage_in``.

    Raises
    ------
    ArtefactError
        If it is missing, is not a regular file, or has a damaged footer.
    """
    with damage_in(path):
        check_regular(path)
        return pq.ParquetFile(path, memory_map=memory_map, page_checksum_verification=True)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return columns of a Parquet file, by default all.

    Raises
    ------
    ArtefactError
        If it is missing, damaged, or has no such column.
    """
    with damage_in(path), open_parquet(path) as file:
        table = file.read(None if columns is None else list(columns))
        table.validate(full=True)
        return table


def read_slice(
    path: Path, start: int, stop: int, columns: Sequence[str], expected_rows: int
) -> pa.Table:
    """Return some rows of a Parquet file, of which only their row groups are read.

    Parameters
    ----------
    path : Path
        The file.
    start, stop : int
        First row, and the row after the last.
    columns : sequence of str
        Names of the columns to read.
    expected_rows : int
        Number of rows that the whole file should have.

    Raises
    ------
    ArtefactError
        If the file is missing or damaged, has no such column or another number of rows.
    """
    with damage_in(path), open_parquet(path) as file:
        if file.metadata.num_rows != expected_rows:
            raise ValueError(f"expected {expected_rows} rows, found {file.metadata.num_rows}")
        rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        ends = list(accumulate(rows))
        needed = [g for g, end in enumerate(ends) if start < end and end - rows[g] < stop]
        table = file.read_row_groups(needed, list(columns))
        table.validate(full=True)
        first = ends[needed[0]] - rows[needed[0]] if needed else start
        if table.num_rows < stop - first:
            raise ValueError(f"expected {stop - first} rows, found {table.num_rows}")
        return table.slice(start - first, stop - start)


def read_row(path: Path, row: int, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """Return one row of a Parquet file, of which only its row group is read.

    Raises
    ------
    ArtefactError
        If the file is missing, damaged, or has no such row.
    """
    with damage_in(path), open_parquet(path) as file:
        left = row
        for group in range(file.num_row_groups):
            n_rows = file.metadata.row_group(group).num_rows
            if left < n_rows:
                table = file.read_row_group(group, None if columns is None else list(columns))
                found: dict[str, Any] = table.slice(left, 1).to_pylist()[0]
                return found
            left -= n_rows
    raise ArtefactError(f"{path}: expected more than {row} rows, as the manifest says")
