"""What filters need to know of the row groups of a shard, in the footer of its file.

The statistics that Parquet itself has in a footer have no checksum, and damaged ones end the
process in pyarrow; these have one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_KEY = b"posebank.row_groups"


@dataclass(frozen=True)
class RowGroup:
    """What one row group holds.

    rows : images. splits, datasets : names of those that it has images of.
    max_trust, max_annotated : highest trust, and most annotated joints, of its people.
    """

    rows: int
    splits: frozenset[str]
    datasets: frozenset[str]
    max_trust: float
    max_annotated: int


def with_row_groups(table: pa.Table, row_group_rows: int) -> pa.Table:
    """Return the rows of a shard with a description of their row groups in the metadata."""
    groups = [
        _described(table.slice(start, row_group_rows))
        for start in range(0, table.num_rows, row_group_rows)
    ]
    text = msgspec.json.encode(groups, order="sorted")
    value = hashlib.sha256(text).hexdigest().encode() + text
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: value})


def _described(rows: pa.Table) -> RowGroup:
    people = rows.column("people").combine_chunks().flatten()
    trust, n_annotated = (
        people.field(name).to_numpy(zero_copy_only=False) for name in ("trust", "n_annotated")
    )
    return RowGroup(
        rows.num_rows,
        frozenset(rows.column("split").unique().to_pylist()),
        frozenset(rows.column("dataset").unique().to_pylist()),
        float(np.fmax.reduce(trust, initial=0.0)),
        int(np.max(n_annotated, initial=0)),
    )


def read_row_groups(footer: pq.FileMetaData) -> list[RowGroup] | None:
    """Return the description of each row group; None where the file has none.

    Raises
    ------
    ValueError
        If it is damaged or not that of the file's row groups.
    """
    value = (footer.metadata or {}).get(_KEY)
    if value is None:
        return None
    digest, text = value[:64], value[64:]
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise ValueError("expected the row groups of its footer as they were written")
    groups = msgspec.json.decode(text, type=list[RowGroup])
    rows = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
    if [group.rows for group in groups] != rows:
        raise ValueError(f"expected row groups of {[g.rows for g in groups]} rows, found {rows}")
    return groups
