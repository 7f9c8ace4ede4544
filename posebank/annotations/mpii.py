"""MPII Human Pose from its original MATLAB structs: everyone with any joint.

Three forms have these structs: the release ``mpii_human_pose_v1_u12_1.mat``; an ``annolist`` by
itself, with image names; and ``tompson_valid_detections.mat`` (a validation set; it has numbers in
place of image names). ``gt_valid.mat``, the arrays that others score that validation set with, is
read with the names of the ``valid.json`` beside it.
Coordinates are 1-based. ``is_visible`` is 1, 0, the text of either, or empty; it is empty for head
top and upper neck, which come from the annotated head, and an empty one counts as visible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from posebank.annotations.groups import GroupMember, group_people
from posebank.annotations.h5_arrays import read_h5_array
from posebank.annotations.mapping import MPII_NAMES, positions
from posebank.annotations.matfile import load_mat, number, numbers, record, records
from posebank.annotations.people import MAX_PIXELS, AnnotationResult, make_people
from posebank.errors import Rejected, SourceError
from posebank.files import read_json
from posebank.skeleton import JointState

_N = len(MPII_NAMES)
_PICK = positions(MPII_NAMES)


@dataclass
class MpiiImage:
    """One element of ``annolist``: the image and its people, joints still in MPII's order."""

    name: str
    people: list[tuple[int, dict[str, Any]]]
    """0-based number and ``annorect`` element of each person."""
    in_train: bool = True
    single: frozenset[int] | None = None
    """0-based numbers of the sufficiently separated people; None if the source does not say."""
    video: str = ""
    activity: str = ""


@dataclass
class _Columns:
    """What ``make_people`` takes, one element per person."""

    image: list[str] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    joints: list[NDArray[np.float64]] = field(default_factory=list)
    state: list[NDArray[np.uint8]] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    head_box: list[list[float]] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)
    single: list[int] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    video: list[str] = field(default_factory=list)
    objpos: list[tuple[float, float]] = field(default_factory=list)
    activity: list[str] = field(default_factory=list)


def read_points(
    points: Sequence[Mapping[str, Any]],
) -> tuple[NDArray[np.float64], NDArray[np.uint8], int]:
    """Return the joints (16, 2), their states (16,), and how many visibilities are empty.

    A point whose id is no MPII joint, or whose coordinates are no numbers, is left missing. Of two
    points with one id the first is taken.
    """
    xy = [[0.0, 0.0] for _ in range(_N)]
    state = [int(JointState.MISSING)] * _N
    unstated = 0
    for point in points:
        joint = number(point.get("id"))
        if not (joint.is_integer() and 0 <= joint < _N) or state[int(joint)]:
            continue
        x, y = number(point.get("x")), number(point.get("y"))
        if not (abs(x) <= MAX_PIXELS and abs(y) <= MAX_PIXELS):
            continue
        seen = number(point.get("is_visible"))
        unstated += seen not in (0, 1)
        xy[int(joint)] = [x, y]
        state[int(joint)] = JointState.OCCLUDED if seen == 0 else JointState.VISIBLE
    return np.array(xy), np.array(state, dtype=np.uint8), unstated


def _place(value: Any) -> tuple[float, float]:
    place = record(value)
    return number(place.get("x")), number(place.get("y"))


def _read_image(image: MpiiImage, out: _Columns, bad: list[Rejected], where: str) -> int:
    """Add the people of one image to the columns; returns the number of empty visibilities."""
    members = []
    rows: dict[int, int] = {}  # number in members -> row of the columns
    unstated = 0
    for i, (person, rectangle) in enumerate(image.people):
        points = records(record(rectangle.get("annopoints")).get("point"))
        xy, state, empty = read_points(points)
        box = [number(rectangle.get(name)) for name in ("x1", "y1", "x2", "y2")]
        scale, objpos = number(rectangle.get("scale")), _place(rectangle.get("objpos"))
        members.append(GroupMember.from_person(xy, state > 0, box, scale, objpos))
        if not state.any():
            side = "" if image.in_train else " (a test image: MPII publishes no joints of these)"
            has = "a head box" if np.isfinite(box).all() else "no head box either"
            reason = f"expected at least one annotated joint, found none{side}, {has}"
            bad.append(Rejected(f"{where}: mpii/{image.name}/{person}", reason))
            continue
        unstated += empty
        rows[i] = len(out.image)
        out.image.append(image.name)
        out.index.append(person)
        out.joints.append(xy[_PICK] - 1)
        out.state.append(state[_PICK])
        out.split.append("" if image.in_train else "test")
        out.head_box.append([side - 1 for side in box])
        out.scale.append(scale)
        out.single.append(-1 if image.single is None else int(person in image.single))
        out.video.append(image.video)
        out.objpos.append((objpos[0] - 1, objpos[1] - 1))
        out.activity.append(image.activity)
    groups = group_people(members)
    out.group += [f"mpii/{image.name}/g{image.people[groups[i]][0]}" for i in rows]
    return unstated


def _people(images: list[MpiiImage], where: str) -> AnnotationResult:
    out = _Columns()
    bad: list[Rejected] = []
    unstated = sum([_read_image(image, out, bad, where) for image in images])
    return make_people(
        "mpii",
        out.image,
        out.index,
        np.array(out.joints),
        np.array(out.state),
        where=where,
        in_file=len(out.image) + len(bad),
        rejected=bad,
        split=out.split,
        head_box=np.array(out.head_box),
        scale=out.scale,
        single_person=out.single,
        group_id=out.group,
        video_id=out.video,
        extras={"objpos": np.array(out.objpos).reshape(-1, 2), "activity": np.array(out.activity)},
        stats={"visibility_not_stated": unstated},
    )


def read_mpii_mat(path: Path) -> AnnotationResult:
    """Read everyone with a joint in any of the MATLAB files.

    Raises
    ------
    SourceError
        If the file is damaged or is none of them.
    """
    mat = load_mat(path, None)
    if "RELEASE" in mat:
        return _people(_release(path, record(mat["RELEASE"])), path.name)
    if {"pos_gt_src", "jnt_missing"} <= set(mat):
        return read_gt_valid(path, mat)
    if "RELEASE_img_index" in mat:
        return _people(_numbered(path, mat), path.name)
    for value in mat.values():
        entries = records(value)
        if entries and all("annorect" in entry for entry in entries):
            return _people(_named(path, entries), path.name)
    raise SourceError(path, "expected RELEASE or a struct array with annorect, found neither")


def _named(path: Path, annolist: list[dict[str, Any]]) -> list[MpiiImage]:
    """The images of an ``annolist`` that stands by itself, by their names in it."""
    names = [record(entry.get("image")).get("name") for entry in annolist]
    if not any(isinstance(name, str) for name in names):
        raise SourceError(path, "expected annolist.image.name or RELEASE_img_index, found neither")
    together: dict[str, list[dict[str, Any]]] = {}
    for name, entry in zip(names, annolist, strict=True):
        people = together.setdefault(name if isinstance(name, str) else "", [])
        people += records(entry.get("annorect"))
    return [MpiiImage(name, list(enumerate(people))) for name, people in together.items()]


def read_gt_valid(path: Path, mat: dict[str, Any]) -> AnnotationResult:
    """Return the people of ``gt_valid.mat``, with the image names of ``valid.json`` beside it.

    Raises
    ------
    SourceError
        If there is no such file beside it, or the two hold different numbers of people.
    """
    beside = path.with_name("valid.json")
    if not beside.is_file():
        raise SourceError(
            path, f"expected the names of its images in {beside.name} beside it, found no such file"
        )
    entries = read_json(beside)
    names = [e.get("image") for e in entries if isinstance(e, dict)]
    joints, missing = gt_arrays(path, mat)
    if not isinstance(entries, list) or len(names) != joints.shape[2]:
        raise SourceError(
            path, f"expected the {joints.shape[2]} people of {beside.name}, found {len(names)}"
        )
    counted: Counter[str] = Counter()
    index = []
    for name in names:
        index.append(counted[str(name)])
        counted[str(name)] += 1
    state = np.where(missing == 0, JointState.VISIBLE, JointState.MISSING).T
    return make_people(
        "mpii",
        [str(name) for name in names],
        index,
        joints.transpose(2, 0, 1)[:, _PICK] - 1,
        state[:, _PICK],
        where=path.name,
        split=["val"] * len(names),
        head_box=gt_head_boxes(path, mat),
        stats={"visibility_not_stated": int((state > 0).sum())},
    )


def gt_arrays(path: Path, mat: dict[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the joints (16, 2, n) and whether each is missing (16, n), of ``gt_valid.mat``."""
    joints, missing = mat.get("pos_gt_src"), mat.get("jnt_missing")
    if not (
        isinstance(joints, np.ndarray)
        and isinstance(missing, np.ndarray)
        and joints.ndim == 3
        and joints.shape[:2] == (_N, 2)
        and missing.shape == (_N, joints.shape[2])
        and joints.dtype.kind in "iuf"
        and missing.dtype.kind in "iuf"
    ):
        found = [getattr(v, "shape", type(v).__name__) for v in (joints, missing)]
        raise SourceError(path, f"expected arrays 16 x 2 x n and 16 x n, found {found}")
    return joints.astype(np.float64), missing.astype(np.float64)


def gt_head_boxes(path: Path, mat: dict[str, Any]) -> NDArray[np.float64]:
    """Return the head boxes (n, 4), x1 y1 x2 y2, 0-based, of ``gt_valid.mat``."""
    boxes = mat.get("headboxes_src")
    if not (
        isinstance(boxes, np.ndarray)
        and boxes.ndim == 3
        and boxes.shape[:2] == (2, 2)
        and boxes.dtype.kind in "iuf"
    ):
        raise SourceError(path, "expected headboxes_src of 2 x 2 x n numbers, found none")
    return boxes.astype(np.float64).transpose(2, 0, 1).reshape(-1, 4) - 1


def _texts(value: Any) -> list[str]:
    return [v if isinstance(v, str) else "" for v in value] if isinstance(value, list) else []


def _release(path: Path, release: dict[str, Any]) -> list[MpiiImage]:
    annolist = records(release.get("annolist"))
    if not annolist:
        raise SourceError(path, "expected RELEASE.annolist, found none")
    in_train = numbers(release.get("img_train", np.ones(len(annolist))))
    if len(in_train) != len(annolist):
        raise SourceError(
            path, f"expected img_train of {len(annolist)} numbers, found {len(in_train)}"
        )
    single, videos = release.get("single_person"), _texts(release.get("video_list"))
    if not isinstance(single, list) or len(single) != len(annolist):
        single = [None] * len(annolist)
    activities = _texts([act.get("act_name") for act in records(release.get("act"))])
    images = []
    for i, entry in enumerate(annolist):
        name, video = record(entry.get("image")).get("name"), number(entry.get("vidx"))
        known = video.is_integer() and 1 <= video <= len(videos)
        images.append(
            MpiiImage(
                name=name if isinstance(name, str) else "",
                people=list(enumerate(records(entry.get("annorect")))),
                in_train=in_train[i] == 1,
                single=_from_one(single[i]),
                video=videos[int(video) - 1] if known else "",
                activity=activities[i] if i < len(activities) else "",
            )
        )
    return images


def _from_one(value: Any) -> frozenset[int] | None:
    """The 1-based numbers of a cell, 0-based; None if it holds no numbers."""
    if value is None or isinstance(value, str | list):
        return None
    return frozenset(int(v) - 1 for v in numbers(value) if v.is_integer())


def _numbered(path: Path, mat: dict[str, Any]) -> list[MpiiImage]:
    annolist = records(mat["annolist"])
    n = len(annolist)
    image_numbers = numbers(mat.get("RELEASE_img_index", np.arange(1, n + 1)))
    person_numbers = numbers(mat.get("RELEASE_person_index", np.ones(n)))
    if not len(image_numbers) == len(person_numbers) == n:
        raise SourceError(
            path,
            f"expected image and person numbers of {n} people, "
            f"found {len(image_numbers)} and {len(person_numbers)}",
        )
    if not all(abs(v) <= MAX_PIXELS for v in (*image_numbers, *person_numbers)):
        raise SourceError(path, "expected image and person numbers, found what are none")
    names = _names_beside(path)
    together: dict[int, list[tuple[int, dict[str, Any]]]] = {}
    for image, person, entry in zip(image_numbers, person_numbers, annolist, strict=True):
        found = records(entry.get("annorect"))
        if len(found) != 1:
            raise SourceError(path, f"annorect: expected one person, found {len(found)}")
        together.setdefault(int(image), []).append((int(person) - 1, found[0]))
    return [
        MpiiImage(name=names.get(image - 1, f"{image:06d}"), people=members)
        for image, members in together.items()
    ]


def _names_beside(path: Path) -> dict[int, str]:
    """Image names by 0-based number in the release, from ``valid.h5`` in the same folder.

    Without it the images of the validation set have only their numbers.
    """
    beside = path.with_name("valid.h5")
    if not beside.is_file():
        return {}
    try:
        with h5py.File(beside, "r") as file:
            numbers, names = read_h5_array(file, "index"), read_h5_array(file, "imgname")
        return {int(n): bytes(s).decode() for n, s in zip(numbers, names, strict=True)}
    except Exception:  # its own reader says what is wrong with it; here it is only a help
        return {}
