"""Labels, anchors and image files into the rows of one shard."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow.feather import write_feather

from posebank.anchors import assign
from posebank.artefacts import Part, write_part
from posebank.errors import PosebankError, Rejected, SourceError
from posebank.geometry.boxes import boxes_around
from posebank.images import (
    decode_image,
    encode_jpeg,
    read_image_file,
    resize_pixels,
    upright_file,
)
from posebank.schemas import ANCHORS, SHARD_PERSON, SHARDS, column_from, to_table
from posebank.shards.groups import with_row_groups
from posebank.shards.plan import ShardSettings, group_by_image, image_id
from posebank.skeleton import is_annotated, mirrored_3d
from posebank.types import Anchors, Labels, Records, Texts

_POSE_ID = re.compile(r"(?P<dataset>[^/]+)/(?P<clip>.+):(?P<frame>\d+)(?P<mirrored>m?)")

_IMAGE_COLUMNS = ("image_file.bytes",)  # hold files that are compressed already
_ANCHORS_FILE = "anchors.feather"


@dataclass(frozen=True)
class _ImageFile:
    """An image file that decodes: its bytes, and its size in pixels."""

    data: bytes
    width: int
    height: int


def shard_table(
    labels: Labels,
    anchors: Anchors | None,
    image_roots: Mapping[str, Path],
    settings: ShardSettings,
) -> tuple[pa.Table, list[Rejected]]:
    """Return the rows of one shard, or of a part of one.

    Parameters
    ----------
    labels : Labels
        The people of the shard's images, in any order.
    anchors : Anchors or None
        Every person gets the closest full-body one; None leaves ``anchor_id`` null.
    image_roots : mapping
        The image folder of each annotation data set.
    settings : ShardSettings
        See ``ShardSettings``.

    Returns
    -------
    (table, rejected) : a table with the schema ``SHARDS``, sorted by data set and image name, and
        the images that were left out because they are missing, do not decode, or do not have the
        size that their annotations were made at.
    """
    order = np.lexsort((labels.person_id, labels.image, labels.dataset))
    kept: list[NDArray[np.int64]] = []
    files: list[_ImageFile] = []
    paths: list[str] = []
    rejected = []
    for rows in group_by_image(labels, order):
        first = rows[0]
        try:
            root = image_roots.get(labels.dataset[first])
            if root is None:
                raise SourceError(
                    image_id(labels, first),
                    f"expected an image folder for {labels.dataset[first]}, found none",
                )
            path = Path(root) / labels.image[first]
            file = _read_image(path)
            _check_size(path, file, labels.image_width[first], labels.image_height[first])
        except SourceError as error:
            rejected.append(Rejected(error.where, error.reason))
            continue
        kept.append(rows)
        files.append(file)
        paths.append(path.as_posix())
    if not kept:
        return SHARDS.empty_table(), rejected
    n_people = np.array([len(rows) for rows in kept])
    people = labels.take(np.concatenate(kept))
    if settings.max_side:
        files, people = _shrunk(files, people, n_people, settings.max_side)
    first = np.cumsum(n_people) - n_people
    columns = {
        "image_id": [image_id(people, row) for row in first],
        "dataset": people.dataset[first],
        "split": people.split[first],
        "image": people.image[first],
        "image_width": [file.width for file in files],
        "image_height": [file.height for file in files],
        "image_file": [
            {"bytes": file.data, "path": None} if settings.embed else {"bytes": None, "path": path}
            for file, path in zip(files, paths, strict=True)
        ],
        "n_people": n_people,
    }
    arrays = [
        pa.array(columns[f.name], type=f.type)
        if f.name in columns
        else _people_column(people, anchors, n_people, f.type)
        for f in SHARDS
    ]
    return pa.Table.from_arrays(arrays, schema=SHARDS), rejected


def write_shard(
    staging: Path, name: str, table: pa.Table, settings: ShardSettings, section: str = ""
) -> Part:
    """Write the rows of one shard as a part of an artefact.

    Parameters
    ----------
    staging : Path
        Folder that ``posebank.artefacts.staging_folder`` gave.
    name : str
        File name of the shard.
    table : pa.Table
        Its rows, from ``shard_table``.
    settings : ShardSettings
        How many rows are read at a time.
    section : str
        Section of the artefact that it belongs to.
    """
    rows = settings.images_per_row_group
    return write_part(
        staging,
        name,
        with_row_groups(table, rows),
        section=section,
        row_group_rows=rows,
        as_is=_IMAGE_COLUMNS,
    )


def write_anchors(folder: Path, anchors: Anchors) -> Path:
    """Write the anchor-poses that ``anchor_id`` refers to beside the shards.

    Feather, not Parquet, so that no reader of the folder takes them for a shard.
    """
    path = folder / _ANCHORS_FILE
    write_feather(to_table(anchors, ANCHORS), path)
    return path


def _read_image(path: Path) -> _ImageFile:
    """Read and decode an image file.

    Raises
    ------
    SourceError
        If the file is missing or does not decode to its end.
    """
    data = upright_file(read_image_file(path), path)
    height, width, _ = decode_image(data, path).shape
    return _ImageFile(data, width, height)


def _check_size(path: Path, file: _ImageFile, width: int, height: int) -> None:
    if width > 0 and height > 0 and (file.width, file.height) != (width, height):
        raise SourceError(
            path,
            f"expected {width}x{height} px, the size at annotation; "
            f"found {file.width}x{file.height}",
        )


def _shrunk(
    files: list[_ImageFile], people: Labels, n_people: NDArray[Any], max_side: int
) -> tuple[list[_ImageFile], Labels]:
    """Images no longer than ``max_side``, and the labels in the new pixels."""
    new = [_shrunk_file(file, max_side) for file in files]
    ratio = np.array(
        [[n.width / o.width, n.height / o.height] for n, o in zip(new, files, strict=True)]
    )
    factor = np.repeat(ratio, n_people, axis=0).astype(np.float32)  # (n_people, 2)
    mean = factor.mean(axis=1)
    return new, replace(
        people,
        joints_2d=people.joints_2d * factor[:, None],
        head_box=people.head_box * np.tile(factor, 2),
        scale=people.scale * mean,
        camera_scale=people.camera_scale * mean,
        camera_translation=people.camera_translation * factor,
        image_width=np.repeat([f.width for f in new], n_people).astype(np.int32),
        image_height=np.repeat([f.height for f in new], n_people).astype(np.int32),
    )


def _shrunk_file(file: _ImageFile, max_side: int) -> _ImageFile:
    longest = max(file.width, file.height)
    if longest <= max_side:
        return file
    size = (
        max(1, round(file.width * max_side / longest)),
        max(1, round(file.height * max_side / longest)),
    )
    small = resize_pixels(decode_image(file.data, "image"), *size)
    return _ImageFile(encode_jpeg(small), *size)


@dataclass(frozen=True)
class _Added(Records):
    """What a shard adds to each label."""

    box: NDArray[np.float32]
    n_annotated: NDArray[np.int32]
    anchor_id: NDArray[np.int32]
    anchor_id_flipped: NDArray[np.int32]


def _people_column(
    people: Labels, anchors: Anchors | None, n_people: NDArray[Any], kind: pa.ListType
) -> pa.Array:
    added = _Added(
        box=boxes_around(people.joints_2d),
        n_annotated=is_annotated(people.state).sum(axis=1).astype(np.int32),
        anchor_id=_closest(anchors, people.joints_3d),
        anchor_id_flipped=_closest(anchors, mirrored_3d(people.joints_3d)),
    )
    columns = {f.name: getattr(added, f.name) for f in fields(_Added)}
    columns |= {f.name: getattr(people, f.name) for f in SHARD_PERSON if hasattr(people, f.name)}
    columns |= _mocap_columns(people.pose_id)
    values = [
        pa.array(columns[f.name], type=f.type)
        if isinstance(columns[f.name], list)
        else column_from(columns[f.name], f)
        for f in SHARD_PERSON
    ]
    persons = pa.StructArray.from_arrays(values, fields=list(SHARD_PERSON))
    offsets = pa.array(np.concatenate([[0], np.cumsum(n_people)]), type=pa.int32())
    return pa.ListArray.from_arrays(offsets, persons, type=kind)


def _closest(anchors: Anchors | None, joints_3d: NDArray[np.float32]) -> NDArray[np.int32]:
    """Id of the closest full-body anchor-pose of each pose (n, 13, 3); -1 without anchor-poses."""
    if anchors is None:
        return np.full(len(joints_3d), -1, np.int32)
    full = anchors.take(anchors.kind == "full")
    if len(full) == 0:
        raise PosebankError("anchors: expected at least one full-body anchor-pose, found none")
    ids: NDArray[np.int32] = full.anchor_id[assign(full.pose_3d, joints_3d)[0]]
    return ids


def _mocap_columns(pose_id: Texts) -> dict[str, list[Any]]:
    """Data set, clip and frame of the bank's poses, and whether they are mirrored.

    All are null for a pose that was not named by the bank (``dataset/clip:frame``).
    """
    found = [_POSE_ID.fullmatch(text) for text in pose_id]
    return {
        "mocap_dataset": [m and m["dataset"] for m in found],
        "mocap_clip": [m and m["clip"] for m in found],
        "mocap_frame": [m and int(m["frame"]) for m in found],
        "mocap_mirrored": [m and m["mirrored"] == "m" for m in found],
    }
