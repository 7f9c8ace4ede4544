"""One Arrow schema per artefact, and the conversion of records to tables and back.

Arrays are stored as flat fixed-size lists (a (13, 2) array as 26 floats, joint after joint), which
pyarrow, pandas, DuckDB and Hugging Face ``datasets`` all read. The field metadata holds the shape,
the unit, the frame and a sentence of documentation; the schema metadata holds the artefact's kind,
its version, the skeleton and what the frames are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
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
        # Lists of fixed size that may be null are not read by pyarrow before version 26.
        kind = pa.list_(kind) if nullable else pa.list_(kind, math.prod(shape))
    if unit:
        meta["unit"] = unit
    if frame:
        meta["frame"] = frame
    return pa.field(name, kind, nullable=nullable, metadata=meta)


def _schema(kind: str, columns: list[pa.Field], more: Mapping[str, str] | None = None) -> pa.Schema:
    return pa.schema(
        columns,
        metadata={
            "posebank.kind": kind,
            "posebank.version": str(KINDS[kind].version),
            "posebank.skeleton": json.dumps(_SKELETON),
            "posebank.frames": json.dumps(_FRAMES),
            **(more or {}),
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
    _field(
        "joints_2d", _F32, "2D joints; (0, 0) where state is 0", shape=_2D, unit="px", frame="image"
    ),
    _field("state", pa.uint8(), "0 missing, 1 visible, 2 occluded, 3 completed", shape=(N_JOINTS,)),
    _field("head_box", _F32, "x1 y1 x2 y2", shape=(4,), unit="px", frame="image", nullable=True),
    _field("scale", _F32, "person height / 200 px", nullable=True),
    _field("single_person", pa.bool_(), "member of MPII's single-person protocol", nullable=True),
    _field("group_id", _STR, "group of people", nullable=True),
    _field("video_id", _STR, "video the image is from", nullable=True),
]

BANK = _schema(
    "bank",
    [
        _field("pose_id", _STR, "unique pose: dataset/clip:frame, m for mirrored"),
        _field("dataset", _STR, "MoCap data set"),
        _field("subject", _STR, "actor"),
        _field("clip", _STR, "clip"),
        _field("frame", pa.int32(), "frame number in the source"),
        _field("time_s", _F32, "time in the clip", unit="s"),
        _field("mirrored", pa.bool_(), "left and right exchanged"),
        _field("joints_3d", _F32, "3D joints, body-centred", shape=_3D, unit="m", frame="world"),
        _field("source_sha256", _STR, "hash of the source file"),
    ],
)

ANNOTATIONS = _schema(
    "annotations",
    [
        *_PERSON,
        _field(
            "joints_3d",
            _F32,
            "measured 3D joints, body-centred",
            shape=_3D,
            unit="m",
            frame="camera",
            nullable=True,
        ),
    ],
)

_PER_RANK = "one value a rank, best first"

MATCHES = _schema(
    "matches",
    [
        _field("person_id", _STR, "unique person"),
        _field("n_annotated", pa.int32(), "annotated joints"),
        _field("gap", pa.float64(), "certificate of the best cost; null is unknown", nullable=True),
        _field("pose_id", _STR, "best match in the bank: dataset/clip:frame, m for mirrored"),
        _field("scale", pa.float64(), "camera scale of the best match", unit="px/m"),
        _field(
            "translation",
            pa.float64(),
            "camera translation of the best match",
            shape=(2,),
            unit="px",
        ),
        _field("error_mm", pa.float64(), "RMS residual / scale of the best match", unit="mm"),
        _field("pose_row", pa.list_(pa.int32()), f"rows in the bank; {_PER_RANK}"),
        _field(
            "rotation",
            pa.list_(_F32),
            "unit quaternions x y z w, world to camera axes; four values a rank, best first",
        ),
        _field("error_norm", pa.list_(_F32), f"RMS residual / RMS size of the query; {_PER_RANK}"),
    ],
)

LABELS = _schema(
    "labels",
    [
        *_PERSON,
        _field("joints_3d", _F32, "3D joints, body-centred", shape=_3D, unit="m", frame="camera"),
        _field("camera_rotation", _F32, "world to camera axes, of the matched pose", shape=(3, 3)),
        _field(
            "camera_scale",
            _F32,
            "scale s of the camera: x_image = s * x_camera + translation",
            unit="px/m",
        ),
        _field(
            "camera_translation",
            _F32,
            "translation of the camera",
            shape=(2,),
            unit="px",
            frame="image",
        ),
        _field("error_norm", _F32, "RMS residual of the match / RMS size of the annotated joints"),
        _field("error_mm", _F32, "RMS residual of the match / camera scale", unit="mm"),
        _field(
            "trust",
            _F32,
            "probability that the mean 3D joint error is below 150 mm; 1 where it was measured",
        ),
        _field("ambiguity_mm", _F32, "spread of 3D among near-equal hypotheses", unit="mm"),
        _field("pose_id", _STR, "best match in the bank: dataset/clip:frame, m for mirrored"),
        _field("provenance", _STR, "matcher and estimator; measured where the 3D was measured"),
    ],
)

ANCHORS = _schema(
    "anchors",
    [
        _field("anchor_id", pa.int32(), "row number"),
        _field("kind", _STR, "full or upper"),
        _field("pose_2d", _F32, "2D anchor-pose relative to its box", shape=_2D, frame="box"),
        _field(
            "pose_3d", _F32, "3D anchor-pose, body-centred", shape=_3D, unit="m", frame="camera"
        ),
        _field("count", pa.int64(), "poses in the cluster"),
    ],
)

PREDICTIONS = _schema(
    "predictions",
    [
        _field("image_id", _STR, "image the pose was found in"),
        _field("joints_2d", _F32, "2D joints", shape=_2D, unit="px", frame="image"),
        _field("joints_3d", _F32, "3D joints, body-centred", shape=_3D, unit="m", frame="camera"),
        _field("score", _F32, "score of the pose"),
    ],
)

SHARD_PERSON = pa.struct(
    [
        _field("person_id", _STR, "unique person"),
        _field(
            "box",
            _F32,
            "x1 y1 x2 y2 around all joints, margin included",
            shape=(4,),
            unit="px",
            frame="image",
        ),
        *[
            f
            for f in LABELS
            if f.name
            not in ("person_id", "dataset", "split", "image", "image_width", "image_height")
        ],
        _field("mocap_dataset", _STR, "MoCap data set of the best match", nullable=True),
        _field("mocap_clip", _STR, "its clip", nullable=True),
        _field("mocap_frame", pa.int32(), "its frame in the clip's file", nullable=True),
        _field(
            "mocap_mirrored",
            pa.bool_(),
            "whether left and right were exchanged in it",
            nullable=True,
        ),
        _field("n_annotated", pa.int32(), "joints in state 1 or 2"),
        _field(
            "anchor_id",
            pa.int32(),
            "closest full-body anchor-pose (anchors.feather), by mean "
            "joint distance; null where there are no anchor-poses",
            nullable=True,
        ),
        _field("anchor_id_flipped", pa.int32(), "the same for the mirrored pose", nullable=True),
    ]
)

_HUGGINGFACE = {"info": {"features": {"image_file": {"_type": "Image"}}}}
"""What makes Hugging Face ``datasets`` show the images as images."""

SHARDS = _schema(
    "shards",
    [
        _field("image_id", _STR, "dataset/image"),
        _field("dataset", _STR, "annotation data set"),
        _field("split", _STR, "train, val or test"),
        _field("image", _STR, "image file as named by the source"),
        _field("image_width", pa.int32(), "width", unit="px"),
        _field("image_height", pa.int32(), "height", unit="px"),
        _field(
            "image_file",
            pa.struct([("bytes", pa.binary()), ("path", _STR)]),
            "the original file's bytes, or its path where it is not embedded",
            nullable=True,
        ),
        _field("n_people", pa.int32(), "labelled people in the image"),
        pa.field(
            "people", pa.list_(pa.field("item", SHARD_PERSON, nullable=False)), nullable=False
        ),
    ],
    {"huggingface": json.dumps(_HUGGINGFACE)},
)

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
        size = math.prod(shape)
        known = np.isfinite(values.reshape(len(values), size)).all(axis=1)
        starts = np.concatenate([[0], np.cumsum(size * known)]).astype(np.int32)
        kept = items.filter(pa.array(np.repeat(known, size)))
        return pa.ListArray.from_arrays(
            pa.array(starts), kept, type=field.type, mask=pa.array(~known)
        )
    mask = None
    if field.nullable:
        if pa.types.is_string(field.type):
            mask = np.array([v == "" for v in values], dtype=bool)
        elif pa.types.is_boolean(field.type):
            mask, values = values < 0, values > 0
        elif pa.types.is_integer(field.type):
            mask = values < 0
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
    if pa.types.is_integer(field.type) and column.null_count:
        column = column.fill_null(-1)
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
    """Table of the matches, one row per person, with what labels use.

    Scale, translation and error_mm are kept of the best match alone.

    Parameters
    ----------
    matches : Matches
        At least one pose of each person.
    pose_id : ndarray
        The bank's pose_id column.
    """
    from scipy.spatial.transform import Rotation  # noqa: PLC0415 - half a second

    found = matches.pose_row >= 0
    lengths = found.sum(axis=1)
    quaternions = Rotation.from_matrix(matches.rotation[found]).as_quat()
    per_rank = {
        "pose_row": (matches.pose_row[found], lengths),
        "rotation": (quaternions.reshape(-1), 4 * lengths),
        "error_norm": (matches.error_norm[found], lengths),
    }
    columns: dict[str, Any] = {
        "person_id": matches.person_id,
        "n_annotated": matches.n_annotated,
        "gap": matches.gap,
        "pose_id": pose_id[matches.pose_row[:, 0]],
    }
    for name in ("scale", "translation", "error_mm"):
        columns[name] = getattr(matches, name)[:, 0]
    arrays = [
        _lists(*per_rank[f.name], f) if f.name in per_rank else column_from(columns[f.name], f)
        for f in MATCHES
    ]
    return pa.Table.from_arrays(arrays, schema=MATCHES)


def _lists(values: np.ndarray, lengths: np.ndarray, field: pa.Field) -> pa.Array:
    """Arrow array of lists of these lengths from their values, one list after the other."""
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    flat = pa.array(values, type=field.type.value_type)
    return pa.ListArray.from_arrays(pa.array(ends), flat, type=field.type)


def matches_from_table(table: pa.Table) -> Matches:
    """Matches of a table of ``matches_to_table``.

    Scale, translation and error_mm of ranks after the first are NaN: they are not kept.
    """
    from scipy.spatial.transform import Rotation  # noqa: PLC0415 - half a second

    table = table.combine_chunks()
    rows = [table.column(n).combine_chunks() for n in ("pose_row", "rotation", "error_norm")]
    first, rotation, error = (
        column.flatten().to_numpy() if len(column) else np.zeros(0) for column in rows
    )
    lengths = rows[0].value_lengths().to_numpy() if len(table) else np.zeros(0, np.int64)
    n, k = len(table), int(lengths.max(initial=1))
    found = np.arange(k) < lengths[:, None]

    def spread(values: np.ndarray, empty: float, *tail: int) -> np.ndarray:
        wide = np.full((n, k, *tail), empty, dtype=values.dtype)
        wide[found] = values
        return wide

    def of_best(name: str, empty: float, *tail: int) -> np.ndarray:
        wide = np.where(found.reshape(n, k, *(1 for _ in tail)), np.nan, empty)
        wide = np.broadcast_to(wide, (n, k, *tail)).copy()
        wide[:, 0] = column_array(table, name)
        return wide

    matrices = np.zeros((0, 3, 3))
    if len(rotation):
        matrices = Rotation.from_quat(rotation.astype(np.float64).reshape(-1, 4)).as_matrix()
    gap = column_array(table, "gap")
    return Matches(
        person_id=column_array(table, "person_id"),
        pose_row=spread(first.astype(np.int64), -1),
        rotation=spread(matrices, 0, 3, 3),
        scale=of_best("scale", 0.0),
        translation=of_best("translation", 0.0, 2),
        error_norm=spread(error.astype(np.float64), np.inf),
        error_mm=of_best("error_mm", np.inf),
        n_annotated=column_array(table, "n_annotated"),
        gap=np.where(np.isnan(gap), np.inf, gap),
    )
