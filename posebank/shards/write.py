"""Labels and images into shard tables."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from posebank.anchors import assign
from posebank.errors import Rejected, SettingsError
from posebank.geometry.boxes import boxes_around
from posebank.schemas import LABELS, SHARD_PERSON, SHARDS, to_table
from posebank.types import Anchors, Labels


@dataclass(frozen=True)
class ShardSettings:
    """Shape of the shards.

    embed : store the images' bytes; otherwise their paths.
    images_per_shard : rows of a file. images_per_row_group : what a random access reads at least.
    """

    embed: bool = True
    images_per_shard: int = 256
    images_per_row_group: int = 16

    def __post_init__(self) -> None:
        for name in ("images_per_shard", "images_per_row_group"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}: expected at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class ShardPlan:
    """One shard to write: its file name and the rows of the labels in it."""

    name: str
    rows: NDArray[np.int64]


def plan_shards(labels: Labels, settings: ShardSettings) -> list[ShardPlan]:
    """Divide the labelled images into shards, split by split, images in order of their names."""
    plans = []
    keys = np.array(
        [f"{d}/{i}" for d, i in zip(labels.dataset, labels.image, strict=True)], dtype=object
    )
    people = labels.person_id.astype(str)
    for split in sorted(set(labels.split)):
        rows = np.flatnonzero(labels.split == split)
        rows = rows[np.lexsort((people[rows], keys[rows].astype(str)))]
        images, first = np.unique(keys[rows].astype(str), return_index=True)
        ends = [*first[1:].tolist(), len(rows)]
        for number, start in enumerate(range(0, len(images), settings.images_per_shard)):
            last = min(start + settings.images_per_shard, len(images)) - 1
            plans.append(
                ShardPlan(f"{split}-{number:05d}.parquet", rows[first[start] : ends[last]])
            )
    return plans


def shard_table(
    labels: Labels, anchors: Anchors, image_roots: Mapping[str, Path], settings: ShardSettings
) -> tuple[pa.Table, list[Rejected]]:
    """One shard's table: a row per image with its people.

    Parameters
    ----------
    labels : the rows of one plan, people of an image together.
    image_roots : image folder of each data set.

    Returns
    -------
    The table (schema ``SHARDS``), and the images that are missing or cannot be decoded.
    """
    full = anchors.take(anchors.kind == "full")
    anchor_id, _ = assign(full.pose_3d, labels.joints_3d)
    person_columns = to_table(labels, LABELS)
    struct = _people_struct(person_columns, boxes_around(labels.joints_2d), anchor_id)

    rows: dict[str, list[object]] = {name: [] for name in SHARDS.names if name != "people"}
    rejected: list[Rejected] = []
    taken: list[NDArray[np.int64]] = []
    for group in _images(labels):
        first = int(group[0])
        dataset, image = labels.dataset[first], labels.image[first]
        path = image_roots.get(dataset, Path(dataset)) / image
        try:
            data = path.read_bytes()
            with Image.open(io.BytesIO(data)) as picture:
                picture.load()
                width, height = picture.size
        except FileNotFoundError:
            rejected.append(Rejected(str(path), "expected an image, found nothing"))
            continue
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
            rejected.append(Rejected(str(path), f"expected an image that can be decoded: {error}"))
            continue
        taken.append(group)
        values = {
            "image_id": f"{dataset}/{image}",
            "dataset": dataset,
            "split": labels.split[first],
            "image": image,
            "image_width": width,
            "image_height": height,
            "image_bytes": data if settings.embed else None,
            "image_path": None if settings.embed else str(path),
            "n_people": len(group),
        }
        for name, value in values.items():
            rows[name].append(value)

    order = np.concatenate(taken) if taken else np.zeros(0, np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(g) for g in taken])]).astype(np.int32)
    people = pa.ListArray.from_arrays(
        pa.array(offsets), struct.take(pa.array(order)), type=SHARDS.field("people").type
    )
    columns = [
        people if f.name == "people" else pa.array(rows[f.name], type=f.type) for f in SHARDS
    ]
    return pa.Table.from_arrays(columns, schema=SHARDS), rejected


def _people_struct(
    columns: pa.Table, boxes: NDArray[np.float32], anchor_id: NDArray[np.int32]
) -> pa.StructArray:
    arrays = []
    for field in SHARD_PERSON:
        if field.name == "box":
            flat = pa.array(np.ascontiguousarray(boxes, np.float32).reshape(-1))
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=field.type))
        elif field.name == "anchor_id":
            arrays.append(pa.array(anchor_id, type=field.type))
        else:
            arrays.append(columns.column(field.name).combine_chunks())
    return pa.StructArray.from_arrays(arrays, fields=list(SHARD_PERSON))


def _images(labels: Labels) -> list[NDArray[np.int64]]:
    """Row numbers of each image's people; the people of an image stand together."""
    if not len(labels):
        return []
    keys = list(zip(labels.dataset, labels.image, strict=True))
    breaks = [i for i in range(1, len(keys)) if keys[i] != keys[i - 1]]
    return [np.asarray(g) for g in np.split(np.arange(len(keys)), breaks)]
