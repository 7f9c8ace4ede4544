"""Damaged and crafted artefacts: a clear error or the values as they were, nothing else.

``python benchmarks/fuzz_artefacts.py --flips 400 --mutations 300`` flips single bits in the
Parquet parts of a bank, of labels and of shards, and replaces values in manifests. What ends the
process ends this program, with the case in its last line.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from posebank import artefacts
from posebank.errors import PosebankError
from posebank.schemas import BANK, LABELS, to_table
from posebank.shards import (
    ShardFiles,
    ShardFilter,
    ShardSettings,
    describe_shards,
    plan_shards,
    shard_table,
    write_shard,
)
from posebank.skeleton import N_JOINTS, centred
from posebank.types import Labels, People, PoseBank

N = 30
OUTCOMES = ("clear error", "equal values", "other values", "traceback")
CRAFTED: tuple[Any, ...] = (
    None,
    -1,
    10**30,
    float("inf"),
    float("nan"),
    True,
    "",
    "x" * 5000,
    [],
    {},
    [[]],
    {"a": None},
    "/etc/passwd",
    "../bank/own.parquet",
    "a/../../b.parquet",
    "\0",
)


def make_workspace(folder: Path) -> None:
    """Write a bank, labels and shards of a few random people."""
    rng = np.random.default_rng(0)
    poses = centred(rng.normal(0, 0.3, (N, N_JOINTS, 3))).astype(np.float32)
    images = [f"{i:02d}.jpg" for i in range(N)]
    roots = {"own": folder / "images"}
    roots["own"].mkdir(parents=True)
    for name in images:
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(buffer, "JPEG")
        (roots["own"] / name).write_bytes(buffer.getvalue())
    people = People.from_joints(
        rng.uniform(0, 24, (N, N_JOINTS, 2)), image=images, image_width=32, image_height=24
    )
    labels = Labels.from_people(people, poses, trust=rng.uniform(0, 1, N))
    settings = ShardSettings(images_per_row_group=10)
    tables = {
        "bank": {"own.parquet": to_table(PoseBank.from_joints(poses), BANK)},
        "labels": {"labels-00000.parquet": to_table(labels, LABELS)},
        "shards": {
            plan.name: shard_table(labels.take(plan.rows), None, roots, settings)[0]
            for plan in plan_shards(labels, settings)
        },
    }
    for kind, parts in tables.items():
        with artefacts.staging_folder(folder / kind) as staging:
            written = [
                write_shard(staging, name, table, settings)
                if kind == "shards"
                else artefacts.write_part(staging, name, table, row_group_rows=10)
                for name, table in parts.items()
            ]
            sections = {"": artefacts.Section("x", {"k": 1}, {"source": "y"})}
            artefacts.commit(staging, folder / kind, kind, written, sections)


def values(workspace: Path, kind: str) -> Any:
    """Return everything that is read from an artefact, to be compared."""
    if kind != "shards":
        return artefacts.read_table(workspace / kind, kind)
    files = ShardFiles(workspace / kind, ["person_id", "box", "trust", "n_annotated", "joints_3d"])
    keep = ShardFilter(split="train", min_trust=0.2)
    index = files.index(keep)
    found: list[Any] = [repr(index), describe_shards(workspace / kind)]
    for part in range(len(files.names)):
        labels = files.labels(part, keep)
        found += [
            repr(labels.columns),
            {k: np.asarray(v).tolist() for k, v in labels.people.items()},
        ]
    for part, group in sorted(set(zip(index.part.tolist(), index.group.tolist(), strict=True))):
        images = files.images(part, group)
        found.append((images.data.to_pylist(), images.start, images.path))
    return found


def outcome(read: Callable[[], Any], sound: Any) -> str:
    """Return which of ``OUTCOMES`` reading has."""
    try:
        return "equal values" if read() == sound else "other values"
    except PosebankError as error:
        one_line = len(str(error).splitlines()) == 1 and len(str(error)) < 1000
        return "clear error" if one_line else "traceback"
    except Exception as error:
        return f"traceback: {type(error).__name__}"


def flip_bits(workspace: Path, kind: str, n: int, *, hashed: bool = True) -> Counter[str]:
    """Count the outcomes of reading an artefact with one bit flipped, ``n`` times.

    hashed : check the parts' hashes first, once, as every stage does with what it reads.
    """

    def read() -> Any:
        if hashed:
            artefacts._checked.cache_clear()
            artefacts.check_hashes(workspace / kind, kind)
        return values(workspace, kind)

    rng, sound = random.Random(kind), values(workspace, kind)
    paths = sorted((workspace / kind).glob("*.parquet"))
    counts: Counter[str] = Counter()
    for case in range(n):
        path = rng.choice(paths)
        data = bytearray(before := path.read_bytes())
        place = rng.randrange(8 * len(data))
        data[place // 8] ^= 1 << place % 8
        print(f"\r{kind} {case} bit {place}", end="", flush=True)
        path.write_bytes(data)
        counts[outcome(read, sound)] += 1
        path.write_bytes(before)
    print("\r", end="")
    return counts


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every container of a JSON document, with each of its keys or positions."""
    keys = (
        node.keys() if isinstance(node, dict) else range(len(node) if isinstance(node, list) else 0)
    )
    found = [(node, key) for key in keys]
    return found + [place for key in keys for place in _places(node[key])]


def change_manifests(workspace: Path, kind: str, n: int) -> Counter[str]:
    """Count the outcomes of reading an artefact whose manifest was changed, ``n`` times."""
    rng, sound = random.Random(kind), values(workspace, kind)
    path = workspace / kind / artefacts.MANIFEST
    before = path.read_text()
    counts: Counter[str] = Counter()
    for _ in range(n):
        raw = json.loads(before)
        node, key = rng.choice(_places(raw))
        if rng.random() < 0.2:
            del node[key]
        else:
            node[key] = rng.choice(CRAFTED)
        text = json.dumps(raw)
        if rng.random() < 0.1:
            text = rng.choice([text[: rng.randrange(len(text))], "[" * 100_000, '{"a":' * 50_000])
        path.write_text(text)
        counts[outcome(lambda: values(workspace, kind), sound)] += 1
    path.write_text(before)
    return counts


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=400, help="bit flips in each kind")
    parser.add_argument("--mutations", type=int, default=300, help="changed manifests of each kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_workspace(Path(folder))
        for kind in ("bank", "labels", "shards"):
            for hashed in (True, False):
                counts = flip_bits(Path(folder), kind, arguments.flips, hashed=hashed)
                checked = "hashes checked" if hashed else "hashes not checked by the caller"
                print(f"{kind}, bit flips, {checked}: {dict(counts)}")
            counts = change_manifests(Path(folder), kind, arguments.mutations)
            print(f"{kind}, manifests: {dict(counts)}")


if __name__ == "__main__":
    main()
