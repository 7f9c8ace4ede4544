"""Predictions from anywhere: Parquet, JSON, npz, COCO results and MPII's ``.mat``.

A joint that a format does not have (COCO has no head top), that was not detected ((0, 0, 0) in COCO
results), or a 3D pose where there is none is NaN in memory. Image ids are taken as they stand;
``match_image_ids`` relates them to the ground truth. In COCO results they are the numbers
``images[].id`` of an annotation file, whose names ``CocoReference`` has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from posebank.annotations.coco_file import read_coco_file
from posebank.annotations.keypoints import UNNAMED, Layout, unnamed_layout
from posebank.errors import SourceError
from posebank.evaluation.mpii_mat import mpii_poses
from posebank.schemas import from_table
from posebank.skeleton import JOINT_NAMES, N_JOINTS, SKELETON_NAME, J
from posebank.types import Predictions, Texts, texts

KINDS = ("parquet", "json", "npz", "coco", "mpii")

_SUFFIXES = {".parquet": "parquet", ".npz": "npz", ".mat": "mpii"}


@dataclass(frozen=True)
class CocoReference:
    """What the numbers in COCO results mean, according to annotation files.

    images : ``images[].id`` as text -> the names of the images that have it.
    layouts : number of keypoints -> which of them is which joint.
    """

    images: Mapping[str, Sequence[str]]
    layouts: Mapping[int, Layout]

    @classmethod
    def from_files(cls, files: Sequence[Path]) -> CocoReference:
        """Return the reference of these annotation files together.

        Where two of them name equally many keypoints differently, COCO's usual order counts.

        Raises
        ------
        SourceError
            If a file is not COCO annotations.
        """
        images: dict[str, list[str]] = {}
        layouts: dict[int, Layout | None] = {}
        for file in map(read_coco_file, files):
            for number, image in file.images.items():
                names = images.setdefault(str(number), [])
                if image["file_name"] not in names:
                    names.append(image["file_name"])
            for category in file.categories.values():
                if category.layout is not None and category.layout.position:
                    count = len(category.layout.names)
                    same = layouts.setdefault(count, category.layout) == category.layout
                    layouts[count] = category.layout if same else None
        return cls(images, {n: layout for n, layout in layouts.items() if layout is not None})


def read_predictions(
    path: Path,
    kind: str | None = None,
    images: Mapping[str, str] | None = None,
    *,
    reference: CocoReference | None = None,
    known: Texts | None = None,
) -> Predictions:
    """Read predictions.

    Parameters
    ----------
    path : Path
        The file.
    kind : str or None
        One of ``KINDS``; by default the file's suffix and content decide.
    images : mapping or None
        The file's image ids -> the ground truth's, where they differ.
    reference : CocoReference or None
        Of COCO results, what their numbers mean; by default an ``image_id`` is a name, and
        the number of keypoints decides which is which joint.
    known : array (n,) or None
        Image ids of the ground truth, which decide between images of one number.

    Raises
    ------
    SourceError
        If the file is missing, damaged, or not in the form.
    """
    if not path.is_file():
        raise SourceError(path, "expected a file of predictions, found none")
    kind = kind or _SUFFIXES.get(path.suffix.lower())
    try:
        if kind == "parquet":
            found = from_table(Predictions, pq.read_table(path))
        elif kind == "npz":
            found = _from_npz(path)
        elif kind == "mpii":
            found = _from_mpii(path)
        elif kind in (None, "json", "coco"):
            raw = json.loads(path.read_text(encoding="utf-8-sig"))
            listed = isinstance(raw, list)
            found = _from_coco(path, raw, reference, known) if listed else _from_json(raw)
        else:
            raise SourceError(path, f"expected a kind among {', '.join(KINDS)}, found {kind!r}")
    except SourceError:
        raise
    except Exception as error:  # damaged bytes lead the readers into errors of any kind
        raise SourceError(path, f"expected predictions: {error}") from error
    if not np.isfinite(found.score).all():
        raise SourceError(path, "expected a finite score for every pose")
    if images is not None:
        named = [images.get(i, i) for i in found.image_id]
        found = replace(found, image_id=texts(named))
    return found


def predictions_to_json(predictions: Predictions) -> str:
    """Return the predictions as JSON that ``read_predictions`` reads back.

    ``{"skeleton", "joints", "units", "poses": [{"image_id", "score", "joints_2d", "joints_3d"}]}``;
    a joint that is not known is null.
    """

    def rows(points: NDArray[np.floating]) -> list[list[float] | None]:
        # float() of a float32 prints digits that the number does not have
        return [[float(str(v)) for v in p] if np.isfinite(p).all() else None for p in points]

    poses = [
        {
            "image_id": predictions.image_id[i],
            "score": float(str(predictions.score[i])),
            "joints_2d": rows(predictions.joints_2d[i]),
            "joints_3d": rows(predictions.joints_3d[i]),
        }
        for i in range(len(predictions))
    ]
    return json.dumps(
        {
            "skeleton": SKELETON_NAME,
            "joints": list(JOINT_NAMES),
            "units": {"joints_2d": "px", "joints_3d": "m, camera axes, body-centred"},
            "poses": poses,
        }
    )


def write_npz(predictions: Predictions, path: Path) -> None:
    """Write the predictions as an npz file that ``read_predictions`` reads back."""
    np.savez_compressed(
        path,
        image_id=predictions.image_id.astype(str),
        joints_2d=predictions.joints_2d,
        joints_3d=predictions.joints_3d,
        score=predictions.score,
        joints=np.array(JOINT_NAMES),
    )


def _points(rows: Sequence[Any] | None, order: Sequence[int], size: int) -> NDArray[np.float32]:
    """Joints (13, size) from rows of which each may be null; all NaN where there are no rows."""
    result = np.full((N_JOINTS, size), np.nan, np.float32)
    if rows is None:
        return result
    for joint, source in enumerate(order):
        point = rows[source]
        if point is not None:
            values = [math.nan if v is None else float(v) for v in point]
            if len(values) != size:
                raise ValueError(f"expected {size} numbers a joint, found {len(values)}")
            result[joint] = values
    return result


def _order(names: Sequence[str] | None) -> list[int]:
    """Where each of the 13 joints is in the source's own order."""
    if names is None:
        return list(range(N_JOINTS))
    missing = [name for name in JOINT_NAMES if name not in names]
    if missing:
        raise ValueError(f"expected the joints {', '.join(JOINT_NAMES)}, found no {missing[0]}")
    return [list(names).index(name) for name in JOINT_NAMES]


def _gather(rows: list[tuple[str, NDArray[Any], NDArray[Any], float]]) -> Predictions:
    n = len(rows)
    return Predictions(
        image_id=texts([r[0] for r in rows]),
        joints_2d=np.array([r[1] for r in rows], np.float32).reshape(n, N_JOINTS, 2),
        joints_3d=np.array([r[2] for r in rows], np.float32).reshape(n, N_JOINTS, 3),
        score=np.array([r[3] for r in rows], np.float32),
    )


def _from_json(raw: Mapping[str, Any]) -> Predictions:
    order = _order(raw.get("joints"))
    return _gather(
        [
            (
                str(pose["image_id"]),
                _points(pose["joints_2d"], order, 2),
                _points(pose.get("joints_3d"), order, 3),
                float(pose.get("score", 1.0)),
            )
            for pose in raw["poses"]
        ]
    )


def _from_npz(path: Path) -> Predictions:
    with np.load(path, allow_pickle=False) as file:
        order = _order([str(n) for n in file["joints"]] if "joints" in file else None)
        joints_2d = np.asarray(file["joints_2d"], np.float32)[:, order]
        n = len(joints_2d)
        joints_3d = (
            np.asarray(file["joints_3d"], np.float32)[:, order]
            if "joints_3d" in file
            else np.full((n, N_JOINTS, 3), np.nan, np.float32)
        )
        score = np.asarray(file["score"], np.float32) if "score" in file else np.ones(n, np.float32)
        return Predictions(texts([str(i) for i in file["image_id"]]), joints_2d, joints_3d, score)


def _from_coco(
    path: Path, raw: Sequence[Any], reference: CocoReference | None, known: Texts | None
) -> Predictions:
    """COCO results: a list of image_id, keypoints (n x (x, y, confidence)) and score.

    COCO's 17 keypoints, or 133, 136, 26, 25 or 18 of which the body's joints are taken.
    """
    layouts = {} if reference is None else reference.layouts
    rows = []
    empty = np.full((N_JOINTS, 3), np.nan)
    for number, pose in enumerate(raw):
        try:
            points = np.asarray(pose["keypoints"], np.float64).reshape(-1, 3)
            image, score = str(pose["image_id"]), float(pose["score"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"result {number}: expected image_id, score and keypoints (x, y, confidence): "
                f"{error!r:.120}"
            ) from error
        layout = layouts.get(len(points)) or unnamed_layout(len(points))
        if layout is None:
            raise ValueError(
                f"result {number}: expected {', '.join(map(str, UNNAMED))} keypoints, or as many "
                f"as --coco FILE names, found {len(points)}"
            )
        points[~points.any(axis=1)] = np.nan  # (0, 0, 0) is not detected
        joints = np.full((N_JOINTS, 2), np.nan)
        # The confidence is not looked at, as COCO's own evaluator does not.
        for joint, place in layout.position.items():
            joints[J[joint]] = points[place, :2]
        rows.append((image, joints, empty, score))
    found = _gather(rows)
    return found if reference is None else _with_names(path, found, reference, known)


def _with_names(
    path: Path, found: Predictions, reference: CocoReference, known: Texts | None
) -> Predictions:
    """The predictions with the names of their images in the place of the numbers."""
    images = ImageNames(known if known is not None else texts([]))
    table = {}
    for number in dict.fromkeys(found.image_id):
        names = reference.images.get(number, [])
        if len(names) > 1:  # of several files; the one whose image is scored is meant
            names = [name for name in names if images.find(name) is not None] or names[:1]
        if len(names) > 1:
            raise SourceError(
                path,
                f"image_id {number}: expected the id of one image, found it to be of "
                f"{', '.join(names[:3])}; --coco FILE says which file the results refer to",
            )
        table[number] = names[0] if names else number
    return replace(found, image_id=texts(table[i] for i in found.image_id))


def _from_mpii(path: Path) -> Predictions:
    empty = np.full((N_JOINTS, 3), np.nan)
    return _gather([(name, joints, empty, score) for name, joints, score in mpii_poses(path)])


class ImageNames:
    """The images of a ground truth, found by whichever of their names a file uses.

    A name is looked up as it stands; then without its data set or folder; then without its suffix;
    then, if it is a number, padded to 12 digits as COCO names its files. A shortened name must be
    of one image only.
    """

    def __init__(self, known: Texts) -> None:
        self._exact = set(known)
        self._short: dict[str, set[str]] = {}
        for image_id in self._exact:
            name = Path(image_id).name
            for form in {image_id.partition("/")[2], name, Path(name).stem}:
                self._short.setdefault(form, set()).add(image_id)

    def find(self, name: str) -> str | None:
        """Return the image id that a name stands for, or None if it stands for none or several."""
        if name in self._exact:
            return name
        last = Path(name).name
        for form in (name, last, Path(last).stem, last.zfill(12)):
            found = self._short.get(form, set())
            if len(found) == 1:
                return next(iter(found))
        return None


def match_image_ids(predictions: Predictions, known: Texts) -> tuple[Predictions, int]:
    """Give predictions the image ids of the ground truth, as ``ImageNames`` finds them.

    Returns
    -------
    The predictions, and how many of them are of images that the ground truth does not have.
    """
    images = ImageNames(known)
    table = {i: images.find(i) for i in dict.fromkeys(predictions.image_id)}
    ids = texts(table[i] or i for i in predictions.image_id)
    return replace(predictions, image_id=ids), sum(table[i] is None for i in predictions.image_id)
