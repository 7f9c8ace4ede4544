"""One Arrow schema per artefact, and the conversion of records to tables and back.

Arrays are stored as flat fixed-size lists (a (13, 2) array as 26 floats, joint after joint), which
pyarrow, pandas, DuckDB and Hugging Face ``datasets`` all read. The field metadata holds the shape,
the unit, the frame and a sentence of documentation; the schema metadata holds the artefact's kind,
its version, the skeleton and what the frames are.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from posebank.artefact_kinds import KINDS
from posebank.errors import ArtefactError
from posebank.skeleton import JOINT_NAMES, LIMBS, MIRROR, N_JOINTS, SKELETON_NAME
from posebank.types import Matches, Records, texts

R = TypeVar("R", bound=Records)

_SKELETON = {
    "name": SKELETON_NAME,
    "joints": JOINT_NAMES,
    "mirror": MIRROR.tolist(),
    "limbs": LIMBS,
    "sides": "left and right are the person's own",
}
_FRAMES = {
    "world": "right-handed, y up",
    "camera": "x right, y down, z away from the camera",
    "image": "x right, y down, from the top-left corner of the top-left pixel",
    "box": "(0, 0) is the top-left corner of the box, (1, 1) the bottom-right one",
    "body-centred": "relative to the mean of both hips and both shoulders",
}


def _field(
    name: str,
    kind: pa.DataType,
    doc: str,
    *,
    shape: tuple[int, ...] = (),
    unit: str = "",
    frame: str = "",
    nullable: bool = False,
) -> pa.Field:
    meta = {"doc": doc}
    if shape:
        meta["shape"] = ",".join(map(str, shape))
        kind = pa.list_(kind, math.prod(shape))
    if unit:
        meta["unit"] = unit
    if frame:
        meta["frame"] = frame
    return pa.field(name, kind, nullable=nullable, metadata=meta)


def _schema(kind: str, columns: list[pa.Field]) -> pa.Schema:
    return pa.schema(
        columns,
        metadata={
            "posebank.kind": kind,
            "posebank.version": str(KINDS[kind].version),
            "posebank.skeleton": json.dumps(_SKELETON),
            "posebank.frames": json.dumps(_FRAMES),
        },
    )


_F32, _STR = pa.float32(), pa.string()
_2D, _3D = (N_JOINTS, 2), (N_JOINTS, 3)

_PERSON = [
    _field("person_id", _STR, "unique person"),
    _field("dataset", _STR, "annotation data set"),
    _field("split", _STR, "train, val or test"),
    _field("image", _STR, "image file as named by the source"),
    _field("image_width", pa.int32(), "0 where the image is not at hand", unit="px"),
    _field("image_height", pa.int32(), "0 where the image is not at hand", unit="px"),
    _field("joints_2d", _F32, "2D joints; (0, 0) where state is 0", shape=_2D, unit="px",
           frame="image"),
    _field("state", pa.uint8(), "0 missing, 1 visible, 2 occluded, 3 completed",
           shape=(N_JOINTS,)),
    _field("head_box", _F32, "x1 y1 x2 y2", shape=(4,), unit="px", frame="image", nullable=True),
    _field("scale", _F32, "person height / 200 px", nullable=True),
    _field("single_person", pa.bool_(), "member of MPII's single-person protocol", nullable=True),
    _field("group_id", _STR, "group of people", nullable=True),
    _field("video_id", _STR, "video the image is from", nullable=True),
]  # fmt: skip

BANK = _schema("bank", [
    _field("pose_id", _STR, "unique pose: dataset/clip:frame, m for mirrored"),
    _field("dataset", _STR, "MoCap data set"),
    _field("subject", _STR, "actor"),
    _field("clip", _STR, "clip"),
    _field("frame", pa.int32(), "frame number in the source"),
    _field("time_s", _F32, "time in the clip", unit="s"),
    _field("mirrored", pa.bool_(), "left and right exchanged"),
    _field("joints_3d", _F32, "3D joints, body-centred", shape=_3D, unit="m", frame="world"),
    _field("source_sha256", _STR, "hash of the source file"),
])  # fmt: skip

ANNOTATIONS = _schema("annotations", [
    *_PERSON,
    _field("joints_3d", _F32, "measured 3D joints, body-centred", shape=_3D, unit="m",
           frame="camera", nullable=True),
])  # fmt: skip

MATCHES = _schema("matches", [
    _field("person_id", _STR, "unique person"),
    _field("rank", pa.int32(), "0 is the best"),
    _field("pose_row", pa.int64(), "row in the bank"),
    _field("pose_id", _STR, "pose in the bank"),
    _field("rotation", pa.float64(), "world to camera axes", shape=(3, 3)),
    _field("scale", pa.float64(), "camera scale", unit="px/m"),
    _field("translation", pa.float64(), "camera translation", shape=(2,), unit="px"),
    _field("error_norm", pa.float64(), "RMS residual / RMS size of the query"),
    _field("error_mm", pa.float64(), "RMS residual / scale", unit="mm"),
    _field("n_annotated", pa.int32(), "annotated joints"),
    _field("gap", pa.float64(), "certificate of the best error; null is unknown", nullable=True),
])  # fmt: skip

LABELS = _schema("labels", [
    *_PERSON,
    _field("joints_3d", _F32, "3D joints, body-centred", shape=_3D, unit="m", frame="camera"),
    _field("camera_rotation", _F32, "world to camera axes, of the matched pose", shape=(3, 3)),
    _field("camera_scale", _F32, "scale s of the camera: x_image = s * x_camera + translation",
           unit="px/m"),
    _field("camera_translation", _F32, "translation of the camera", shape=(2,), unit="px",
           frame="image"),
    _field("error_norm", _F32, "RMS residual of the match / RMS size of the annotated joints"),
    _field("error_mm", _F32, "RMS residual of the match / camera scale", unit="mm"),
    _field("trust", _F32, "probability that the mean 3D joint error is below 150 mm; 1 where it "
           "was measured"),
    _field("ambiguity_mm", _F32, "spread of 3D among near-equal hypotheses", unit="mm"),
    _field("pose_id", _STR, "best match in the bank: dataset/clip:frame, m for mirrored"),
    _field("provenance", _STR, "matcher and estimator; measured where the 3D was measured"),
])  # fmt: skip

ANCHORS = _schema("anchors", [
    _field("anchor_id", pa.int32(), "row number"),
    _field("kind", _STR, "full or upper"),
    _field("pose_2d", _F32, "2D anchor-pose relative to its box", shape=_2D, frame="box"),
    _field("pose_3d", _F32, "3D anchor-pose, body-centred", shape=_3D, unit="m", frame="camera"),
    _field("count", pa.int64(), "poses in the cluster"),
])  # fmt: skip

PREDICTIONS = _schema("predictions", [
    _field("image_id", _STR, "image the pose was found in"),
    _field("joints_2d", _F32, "2D joints", shape=_2D, unit="px", frame="image"),
    _field("joints_3d", _F32, "3D joints, body-centred", shape=_3D, unit="m", frame="camera"),
    _field("score", _F32, "score of the pose"),
])  # fmt: skip

SHARD_PERSON = pa.struct([
    _field("person_id", _STR, "unique person"),
    _field("box", _F32, "x1 y1 x2 y2 around all joints, margin included", shape=(4,), unit="px",
           frame="image"),
    *[f for f in LABELS if f.name not in
      ("person_id", "dataset", "split", "image", "image_width", "image_height")],
    _field("mocap_dataset", _STR, "MoCap data set of the best match", nullable=True),
    _field("mocap_clip", _STR, "its clip", nullable=True),
    _field("mocap_frame", pa.int32(), "its frame in the clip's file", nullable=True),
    _field("mocap_mirrored", pa.bool_(), "whether left and right were exchanged in it",
           nullable=True),
    _field("n_annotated", pa.int32(), "joints in state 1 or 2"),
    _field("anchor_id", pa.int32(), "closest full-body anchor-pose (anchors.feather), by mean "
           "joint distance"),
    _field("anchor_id_flipped", pa.int32(), "the same for the mirrored pose"),
])  # fmt: skip

SHARDS = _schema("shards", [
    _field("image_id", _STR, "dataset/image"),
    _field("dataset", _STR, "annotation data set"),
    _field("split", _STR, "train, val or test"),
    _field("image", _STR, "image file as named by the source"),
    _field("image_width", pa.int32(), "width", unit="px"),
    _field("image_height", pa.int32(), "height", unit="px"),
    _field("image_bytes", pa.binary(), "the original file; null where referenced", nullable=True),
    _field("image_path", _STR, "path of the file; null where embedded", nullable=True),
    _field("n_people", pa.int32(), "labelled people in the image"),
    pa.field("people", pa.list_(pa.field("item", SHARD_PERSON, nullable=False)), nullable=False),
])  # fmt: skip

SCHEMAS = {
    schema.metadata[b"posebank.kind"].decode(): schema
    for schema in (BANK, ANNOTATIONS, MATCHES, LABELS, ANCHORS, SHARDS, PREDICTIONS)
}
"""The schema of each kind of artefact whose parts are tables."""


def field_shape(field: pa.Field) -> tuple[int, ...]:
    """Shape of one value of an array field, () for a scalar."""
    text = (field.metadata or {}).get(b"shape", b"")
    return tuple(int(n) for n in text.split(b",")) if text else ()


def column_from(values: np.ndarray, field: pa.Field) -> pa.Array:
    """Arrow array of a record's column; what ``types`` calls unknown becomes null."""
    shape = field_shape(field)
    if shape:
        flat = np.ascontiguousarray(values).reshape(-1)
        items = pa.array(flat, type=field.type.value_type)
        if not field.nullable:
            return pa.FixedSizeListArray.from_arrays(items, type=field.type)
        unknown = ~np.isfinite(values.reshape(len(values), math.prod(shape))).all(axis=1)
        return pa.FixedSizeListArray.from_arrays(
            pa.array(np.where(np.isfinite(flat), flat, 0), type=field.type.value_type),
            type=field.type,
            mask=pa.array(unknown),
        )
    mask = None
    if field.nullable:
        if pa.types.is_string(field.type):
            mask = np.array([v == "" for v in values], dtype=bool)
        elif pa.types.is_boolean(field.type):
            mask, values = values < 0, values > 0
        else:
            mask = ~np.isfinite(values)
    return pa.array(values, type=field.type, mask=mask)


def to_table(records: Records, schema: pa.Schema) -> pa.Table:
    """Arrow table of records whose columns have the schema's names; other columns are left out."""
    columns = [column_from(getattr(records, f.name), f) for f in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def column_array(table: pa.Table, name: str) -> np.ndarray:
    """A column as a numpy array of shape (n, *field shape), with nulls as ``types`` says."""
    field = table.schema.field(name)
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # pyarrow keeps a chunked array of no chunk
        column = pa.concat_arrays(column.chunks) if column.num_chunks else column.type
    if isinstance(column, pa.DataType):
        column = pa.array([], type=field.type)
    shape = field_shape(field)
    if shape:
        if column.null_count:
            rows = np.full(
                (len(column), *shape), np.nan, dtype=field.type.value_type.to_pandas_dtype()
            )
            known = ~column.is_null().to_numpy(zero_copy_only=False)
            rows[known] = column.drop_null().flatten().to_numpy().reshape(-1, *shape)
            return rows
        result: np.ndarray = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, *shape)
        return result
    if pa.types.is_string(field.type):
        return texts(["" if v is None else v for v in column.to_pylist()])
    if pa.types.is_boolean(field.type) and field.nullable:
        flags = [-1 if v is None else int(v) for v in column.to_pylist()]
        return np.array(flags, dtype=np.int8)
    values = column.to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=field.type.to_pandas_dtype())


def from_table(cls: type[R], table: pa.Table) -> R:
    """Records of type ``cls`` from a table that has its columns.

    Raises
    ------
    ArtefactError
        If a column is missing.
    """
    names = [f.name for f in fields(cls)]
    missing = [n for n in names if n not in table.column_names]
    if missing:
        raise ArtefactError(f"expected columns {names}, found no {', '.join(missing)}")
    return cls(**{n: column_array(table, n) for n in names})


def matches_to_table(matches: Matches, pose_id: np.ndarray) -> pa.Table:
    """Long form of the matches: one row per person and rank; empty ranks are left out.

    Parameters
    ----------
    pose_id : the bank's pose_id column.
    """
    person, rank = np.nonzero(matches.pose_row >= 0)
    row = matches.pose_row[person, rank]
    columns: dict[str, Any] = {
        "person_id": matches.person_id[person],
        "rank": rank,
        "pose_row": row,
        "pose_id": pose_id[row],
        "n_annotated": matches.n_annotated[person],
        "gap": matches.gap[person],
    }
    for name in ("rotation", "scale", "translation", "error_norm", "error_mm"):
        columns[name] = getattr(matches, name)[person, rank]
    return pa.Table.from_arrays([column_from(columns[f.name], f) for f in MATCHES], schema=MATCHES)


def matches_from_table(table: pa.Table) -> Matches:
    """Inverse of ``matches_to_table``; people in the order of their first row."""
    person_ids = column_array(table, "person_id")
    rank = column_array(table, "rank").astype(np.int64)
    first: dict[str, int] = {}
    for i, p in enumerate(person_ids):
        first.setdefault(p, i)
    order = {p: i for i, p in enumerate(first)}
    person = np.array([order[p] for p in person_ids], dtype=np.int64)
    n, k = len(order), int(rank.max()) + 1 if len(rank) else 1

    def spread(name: str, empty: float, *tail: int) -> np.ndarray:
        values = column_array(table, name)
        wide = np.full((n, k, *tail), empty, dtype=values.dtype)
        wide[person, rank] = values
        return wide

    rows = np.array(list(first.values()), dtype=np.int64)
    gap = column_array(table, "gap")[rows]
    return Matches(
        person_id=texts(list(order)),
        pose_row=spread("pose_row", -1),
        rotation=spread("rotation", 0, 3, 3),
        scale=spread("scale", 0),
        translation=spread("translation", 0, 2),
        error_norm=spread("error_norm", np.inf),
        error_mm=spread("error_mm", np.inf),
        n_annotated=column_array(table, "n_annotated")[rows],
        gap=np.where(np.isnan(gap), np.inf, gap),
    )
