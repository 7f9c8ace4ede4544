"""What a set of shards holds, in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from posebank.artefacts import one_version, part_path, read_manifest
from posebank.parquet import damage_in, open_parquet
from posebank.schemas import SHARD_PERSON
from posebank.skeleton import JointState

_QUANTILES = (0.05, 0.5, 0.95)


def describe_shards(folder: Path) -> dict[str, Any]:
    """Return the counts, joint states, errors and trust of the shards; no image is read.

    Returns
    -------
    ``images``, ``people``, ``bytes``, ``row_groups``; ``by_split``: images and people of each
    split and data set, under ``split/dataset``; ``joints``: the part of the joints in each state;
    ``error_mm``, ``trust``, ``ambiguity_mm``, ``n_annotated``, ``people_per_image``: mean and
    quantiles; ``anchors_used``: how many anchor-poses are the closest of somebody. Hashes are
    checked by ``posebank.artefacts.verify``.

    Raises
    ------
    ArtefactError
        If the artefact is missing, unfinished or damaged.
    """
    folder = Path(folder)
    names = ["trust", "error_mm", "ambiguity_mm", "n_annotated", "state", "anchor_id"]
    columns = ["split", "dataset", "n_people", *(f"people.list.element.{n}" for n in names)]
    tables, size, row_groups = [], 0, 0
    manifest = read_manifest(folder, "shards")
    with one_version(folder, manifest):
        for part in manifest.tables:
            path = part_path(folder, part)
            with damage_in(path), open_parquet(path) as file:
                tables.append(file.read(columns))
                row_groups += file.num_row_groups
            size += path.stat().st_size
    table = pa.concat_tables(tables).combine_chunks()
    images = table.select(["split", "dataset", "n_people"]).to_pandas()
    persons = table.column("people").combine_chunks().flatten()
    values = {
        name: np.asarray(persons.field(name))
        for name in names
        if not pa.types.is_fixed_size_list(SHARD_PERSON.field(name).type)
    }
    state = np.asarray(persons.field("state").flatten())
    groups = images.groupby(["split", "dataset"])["n_people"]
    return {
        "images": len(images),
        "people": len(persons),
        "bytes": size,
        "row_groups": row_groups,
        "by_split": {
            f"{split}/{dataset}": {"images": int(g.size), "people": int(g.sum())}
            for (split, dataset), g in groups
        },
        "joints": {s.name.lower(): round(float((state == s).mean()), 4) for s in JointState},
        "people_per_image": _summary(images["n_people"].to_numpy()),
        **{name: _summary(values[name]) for name in names[:4]},
        "anchors_used": len(np.unique(values["anchor_id"])),
    }


def _summary(values: np.ndarray) -> dict[str, float]:
    found = pd.Series(values).astype(float)
    quantiles = {f"p{q * 100:.0f}": round(float(found.quantile(q)), 4) for q in _QUANTILES}
    return {"mean": round(float(found.mean()), 4), **quantiles}
