"""People in COCO form, keypoints by name.

``categories[].keypoints`` decides which keypoint is which joint, in any number and order (see
``posebank.annotations.keypoints``). v = 0 is missing, 1 annotated but not visible, 2 visible; in a
file where v is never 2 (PoseTrack), 1 means labelled. Crowd regions, people without keypoints,
animals and other categories are set aside, each with its line. Coordinates are 0-based pixels and
are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.annotations.coco_file import CocoFile, keypoints_of, read_coco_file
from posebank.annotations.keypoints import Layout
from posebank.annotations.people import AnnotationResult, is_safe_name, make_people
from posebank.errors import Rejected
from posebank.skeleton import N_JOINTS, J, JointState

_STATES = np.array([JointState.MISSING, JointState.OCCLUDED, JointState.VISIBLE], np.uint8)
_LABELLED = np.array([JointState.MISSING, JointState.VISIBLE, JointState.VISIBLE], np.uint8)
_HEAD_TOP_FROM_FACE = 0.5
"""Face to head top as a fraction of shoulder centre to face: adults have about 13 and 26 cm."""


def _person(file: CocoFile, entry: Any) -> tuple[Layout, NDArray[np.float64]]:
    """Layout and keypoints (n, 3) of an annotation; ValueError says why it is no person."""
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object, found {type(entry).__name__}")
    if entry.get("iscrowd"):
        raise ValueError("a crowd region, not a person")
    image = entry.get("image_id")
    if not isinstance(image, int | str) or image not in file.images:
        raise ValueError(f"expected the id of a listed image, found {image!r:.80}")
    points = keypoints_of(entry)
    if points is None:
        raise ValueError(f"expected keypoints (x, y, v), found {entry.get('keypoints')!r:.80}")
    layout = file.layout_of(entry, len(points))
    odd = points[~np.isin(points[:, 2], (0, 1, 2)), 2]
    if len(odd):
        raise ValueError(f"expected v 0, 1 or 2 for each keypoint, found {odd[0]:g}")
    if not (points[:, 2] > 0).any():
        raise ValueError("no keypoint is annotated (a box only)")
    return layout, points


def head_proxy(
    face: NDArray[np.float64], joints_2d: NDArray[np.float64], state: NDArray[np.uint8]
) -> None:
    """Put a guess of the head top into people that have a face point and both shoulders.

    The head top is taken half as far above the face as the face is from the shoulders' middle; it
    is marked occluded, as nobody saw it. People who have a head top keep it.

    Parameters
    ----------
    face : array (n, 2)
        Middle of the face points, NaN where there is none.
    joints_2d : array (n, 13, 2), pixels
        Joints; the head is changed in place.
    state : array (n, 13)
        Joint states; the head's is changed in place.
    """
    shoulders = [J["r_shoulder"], J["l_shoulder"]]
    can = np.isfinite(face).all(axis=1) & (state[:, shoulders] > 0).all(axis=1)
    can &= state[:, J["head"]] == JointState.MISSING
    shoulder_centre = joints_2d[:, shoulders].mean(axis=1)
    top = face + _HEAD_TOP_FROM_FACE * (face - shoulder_centre)
    joints_2d[can, J["head"]] = top[can]
    state[can, J["head"]] = JointState.OCCLUDED


def read_coco(
    path: Path,
    dataset: str = "coco",
    *,
    joints: Mapping[str, str | int] | None = None,
    proxy_head: bool = False,
) -> AnnotationResult:
    """Read everyone with a keypoint in a COCO-form file.

    Parameters
    ----------
    path : Path
        The JSON file.
    dataset : str
        Name of the data set.
    joints : mapping or None
        ``lcrnet13`` joint -> keypoint, for names that are not known.
    proxy_head : bool
        Guess the head top, see ``head_proxy``.

    Raises
    ------
    SourceError
        If the file is not COCO annotations, or has no category of people with keypoints.
    """
    file = read_coco_file(path, joints)
    bad: list[Rejected] = []
    kept: list[int] = []
    layouts: list[Layout] = []
    points: list[NDArray[np.float64]] = []
    for number, entry in enumerate(file.entries):
        try:
            layout, found = _person(file, entry)
        except ValueError as error:
            named = entry.get("id", "?") if isinstance(entry, dict) else "?"
            where = f"{path.name}: annotation {number} (id {named!s:.40})"
            bad.append(Rejected(where, str(error)))
            continue
        kept.append(number)
        layouts.append(layout)
        points.append(found)
    only_labelled = all((some[:, 2] < 2).all() for some in points)
    states = _LABELLED if only_labelled else _STATES

    joints_2d = np.zeros((len(kept), N_JOINTS, 2))
    state = np.zeros((len(kept), N_JOINTS), dtype=np.uint8)
    face = np.full((len(kept), 2), np.nan)
    for layout, rows in _by_layout(layouts, points):
        found = np.array([points[row] for row in rows])
        ours = [J[joint] for joint in layout.position]
        columns = list(layout.position.values())
        joints_2d[np.ix_(rows, ours)] = found[:, columns, :2]
        state[np.ix_(rows, ours)] = states[found[:, columns, 2].astype(int)]
        seen = found[:, list(layout.face), 2:] > 0
        with np.errstate(invalid="ignore"):
            total = np.where(seen, found[:, list(layout.face), :2], 0).sum(axis=1)
            face[rows] = total / seen.sum(axis=1)
    if proxy_head:
        head_proxy(face, joints_2d, state)

    entries = [file.entries[number] for number in kept]
    of = [file.images[entry["image_id"]] for entry in entries]
    names, shortened = _image_names([image["file_name"] for image in of])
    return make_people(
        dataset,
        names,
        [_person_number(e, i) for e, i in zip(entries, kept, strict=True)],
        joints_2d,
        state,
        where=path.name,
        in_file=len(file.entries),
        rejected=bad,
        image_width=[_size(image.get("width")) for image in of],
        image_height=[_size(image.get("height")) for image in of],
        video_id=[_video(image) for image in of],
        extras={
            "bbox": np.array([_box(e) for e in entries]).reshape(-1, 4),
            "entry": np.array(kept, dtype=np.int64),
        },
        stats={
            "crowds": sum(r.reason.startswith("a crowd") for r in bad),
            **({"visibility_not_stated": int((state > 0).sum())} if only_labelled else {}),
        },
        notes=[
            *(f"{path.name}: {text}" for text in shortened),
            *_notes(path, layouts, only_labelled and bool(kept)),
        ],
    )


def _image_names(names: list[str]) -> tuple[list[str], list[str]]:
    """Image names with forward slashes, and a note if some had to be shortened.

    Label Studio and others write paths of their own machine, which lead out of the image folder:
    of these the last part is the name, if no two images share it.
    """
    names = [name.replace("\\", "/") for name in names]
    outside = {name for name in names if not is_safe_name(name)}
    last = {name: PurePosixPath(name.partition("?")[0]).name for name in outside}
    if not outside or len(set(last.values())) < len(outside):
        return names, []
    example = min(outside)
    note = (
        f"{len(outside):,} image names lead out of the image folder; their last part is taken, "
        f"as {last[example]!r} of {example!r}"
    )
    return [last.get(name, name) for name in names], [note]


def _by_layout(
    layouts: list[Layout], points: list[NDArray[np.float64]]
) -> Iterator[tuple[Layout, list[int]]]:
    """Each layout with the rows of its people; the points of these rows are equally many."""
    rows: dict[tuple[int, int], list[int]] = {}
    for row, (layout, found) in enumerate(zip(layouts, points, strict=True)):
        rows.setdefault((id(layout), len(found)), []).append(row)
    for some in rows.values():
        yield layouts[some[0]], some


def _notes(path: Path, layouts: list[Layout], only_labelled: bool) -> list[str]:
    notes = []
    for layout in {id(layout): layout for layout in layouts}.values():
        if layout.assumed:
            notes.append(
                f"{path.name}: {len(layout.names)} keypoints are read in the order of "
                f"{layout.assumed}, as categories[].keypoints does not name them all"
            )
        if layout.missing:
            notes.append(
                f"{path.name}: joints that its {len(layout.names)} keypoints do not have, which "
                f"stay missing: {', '.join(layout.missing)}"
            )
        if {"l_ankle", "r_ankle"} <= set(layout.position) and any(
            "foot" in layout.names[layout.position[name]].lower() for name in ("l_ankle", "r_ankle")
        ):
            notes.append(f"{path.name}: keypoints called foot are read as the ankles")
    if only_labelled:
        notes.append(
            f"{path.name}: v is 0 or 1 for every keypoint, so 1 is read as labelled and visible"
        )
    return list(dict.fromkeys(notes))


def _person_number(entry: dict[str, Any], position: int) -> int | str:
    """COCO's own annotation id, which stays the same whatever else is in the file."""
    number = entry.get("id")
    return number if isinstance(number, int | str) else position


def _video(image: dict[str, Any]) -> str:
    """PoseTrack's video of an image: its images must stay on one side of a split."""
    video = image.get("vid_id")
    return str(video) if isinstance(video, int | str) else ""


def _size(value: Any) -> float:
    return value if isinstance(value, int | float) and 0 < value < 1e9 else 0


def _box(entry: dict[str, Any]) -> list[float]:
    try:
        x, y, width, height = (float(v) for v in entry.get("bbox", ()))
    except (TypeError, ValueError, OverflowError):
        return [np.nan] * 4
    return [x, y, width, height]
