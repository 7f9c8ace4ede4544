"""Artefacts that several tests build."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from posebank import artefacts, schemas
from posebank.types import Records


def write_artefact(
    folder: Path,
    kind: str,
    content: Records | pa.Table,
    *,
    part: str = "part-00000.parquet",
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> artefacts.Manifest:
    """Write a finished artefact of one part; ``options`` are those of ``write_part``."""
    if isinstance(content, Records):
        content = schemas.to_table(content, schemas.SCHEMAS[kind])
    with artefacts.staging_folder(folder) as staging:
        written = artefacts.write_part(staging, part, content, section=kind, **options)
        section = artefacts.Section("made by a test", settings or {})
        return artefacts.commit(staging, folder, kind, [written], {kind: section})
