"""What every annotation reader shares: the result type and the making of ``People``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from posebank.errors import Rejected
from posebank.skeleton import JOINT_NAMES, N_JOINTS, JointState, is_annotated
from posebank.types import People, texts

MAX_PIXELS = 1e6
"""A coordinate further out than this is no pixel position, whatever the file says."""

READ_BEFORE = "a person of this image and index was read before"


@dataclass(frozen=True)
class AnnotationResult:
    """What a reader found.

    people : the people kept; ``split`` is ``""`` where the source has no splits.
    rejected : every person (or joint, or image) set aside, with its reason.
    stats : counts; see ``summary``.
    images : the folder the images are in, None if it is not at hand.
    extras : further columns of the source, one row per person kept (for example ``objpos``).
    notes : sentences about what was assumed or is missing, for the user to read.
    terms : data set -> key of its terms of use (``posebank.shards.card.TERMS``), where known.
    files : the annotation files that were read; ``extras["file"]`` counts in them.
    """

    people: People
    rejected: list[Rejected]
    stats: dict[str, Any]
    images: Path | None = None
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    terms: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[Path] = ()


def _numbers(values: ArrayLike | None, n: int, tail: tuple[int, ...], fill: float) -> NDArray[Any]:
    if values is None:
        return np.full((n, *tail), fill, dtype=np.float64)
    return np.asarray(values, dtype=np.float64).reshape(n, *tail)


def _words(values: Sequence[str] | None, n: int) -> NDArray[np.object_]:
    return texts(values if values is not None else [""] * n)


def make_people(
    dataset: str,
    image: Sequence[str],
    index: Sequence[int | str],
    joints_2d: ArrayLike,
    state: ArrayLike,
    *,
    where: str,
    in_file: int | None = None,
    rejected: Sequence[Rejected] = (),
    split: Sequence[str] | None = None,
    image_width: ArrayLike | None = None,
    image_height: ArrayLike | None = None,
    head_box: ArrayLike | None = None,
    scale: ArrayLike | None = None,
    single_person: ArrayLike | None = None,
    group_id: Sequence[str] | None = None,
    video_id: Sequence[str] | None = None,
    joints_3d: ArrayLike | None = None,
    extras: Mapping[str, ArrayLike] | None = None,
    stats: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> AnnotationResult:
    """Return the people from the columns a reader filled, with what cannot be used set aside.

    A joint whose coordinates are no pixel position becomes missing, with a line in ``rejected``; a
    person is set aside if no joint is left, if its image name leaves the image folder, or if its
    id was taken before.

    Parameters
    ----------
    dataset : str
        Name of the data set.
    image, index : sequence of str (n,)
        Image name and number of the person in the image; with the data set they make the
        ``person_id``.
    joints_2d : ArrayLike (n, 13, 2), pixels
        0-based; anything where ``state`` is 0.
    state : ArrayLike (n, 13)
        Joint states.
    where : str
        The source, for the messages.
    in_file : int or None
        People in the file, if the reader has set some aside already.
    rejected : sequence of Rejected
        What the reader has set aside.
    split : sequence of str or None
        Split of each person.
    image_width : ArrayLike or None
        Width of the image, pixels; 0 where unknown.
    image_height : ArrayLike or None
        Height of the image, pixels; 0 where unknown.
    head_box : ArrayLike or None
        Head box, x1 y1 x2 y2 in pixels; NaN where unknown.
    scale : ArrayLike or None
        Size of the person as the source states it; NaN where unknown.
    single_person : ArrayLike or None
        1 if the source marks the person for the single-person protocol, 0 if not, -1 unknown.
    group_id : sequence of str or None
        Group of each person, for the multi-person protocol.
    video_id : sequence of str or None
        Video that the image is from.
    joints_3d : ArrayLike or None
        Measured 3D joints (n, 13, 3), metres.
    extras : mapping or None
        Further columns (n, ...).
    stats : mapping or None
        Counts by name.
    notes : sequence of str
        What was assumed, in sentences.
    """
    n = len(image)
    bad = list(rejected)
    xy = np.array(joints_2d, dtype=np.float64).reshape(n, N_JOINTS, 2)
    states = np.array(state, dtype=np.uint8).reshape(n, N_JOINTS)
    ids = [f"{dataset}/{name}/{i}" for name, i in zip(image, index, strict=True)]

    with np.errstate(invalid="ignore"):
        usable = (np.abs(xy) <= MAX_PIXELS).all(axis=-1)
    for person, joint in np.argwhere(is_annotated(states) & ~usable):
        bad.append(
            Rejected(
                f"{where}: {ids[person]}",
                f"joint {JOINT_NAMES[joint]}: expected pixel coordinates within "
                f"+-{MAX_PIXELS:g}, found {xy[person, joint].tolist()}; left missing",
            )
        )
    states[~usable] = JointState.MISSING
    xy[states == JointState.MISSING] = 0.0

    keep, seen = [], set()
    for row in range(n):
        reason = _unusable(image[row], states[row], ids[row] in seen)
        if reason:
            bad.append(Rejected(f"{where}: {ids[row]}", reason))
            continue
        seen.add(ids[row])
        keep.append(row)

    boxes = _numbers(head_box, n, (4,), np.nan)
    with np.errstate(invalid="ignore"):
        boxes[~(np.abs(boxes) <= MAX_PIXELS).all(axis=-1)] = np.nan
    boxes = np.concatenate(  # some sources give the corners in another order
        [np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1
    )
    scales = _numbers(scale, n, (), np.nan)
    with np.errstate(invalid="ignore"):
        scales[~((scales > 0) & (scales <= MAX_PIXELS))] = np.nan
    measured = _numbers(joints_3d, n, (N_JOINTS, 3), np.nan)
    with np.errstate(invalid="ignore"):
        measured[~(np.abs(measured) <= MAX_PIXELS).all(axis=(-1, -2))] = np.nan
    everyone = People.from_joints(
        xy,
        states,
        person_id=ids,
        dataset=dataset,
        split=_words(split, n),
        image=image,
        image_width=_sizes(image_width, n),
        image_height=_sizes(image_height, n),
        head_box=boxes,
        scale=scales,
        single_person=_numbers(single_person, n, (), -1),
        group_id=_words(group_id, n),
        video_id=_words(video_id, n),
        joints_3d=measured,
    )
    rows = np.array(keep, dtype=np.intp)
    return AnnotationResult(
        people=everyone.take(rows),
        rejected=bad,
        stats={"people_in_file": n if in_file is None else in_file, **(stats or {})},
        extras={name: np.asarray(values)[rows] for name, values in (extras or {}).items()},
        notes=list(notes),
    )


def _sizes(values: ArrayLike | None, n: int) -> NDArray[np.int32]:
    sizes = _numbers(values, n, (), 0)
    with np.errstate(invalid="ignore"):
        return np.where((sizes > 0) & (sizes <= MAX_PIXELS), sizes, 0).astype(np.int32)


def _unusable(image: str, state: NDArray[np.uint8], taken: bool) -> str:
    if not is_safe_name(image):
        return f"expected an image name inside the image folder, found {image!r}"
    if not is_annotated(state).any():
        return "expected at least one annotated joint, found none"
    if taken:
        return READ_BEFORE
    return ""


def is_safe_name(image: str) -> bool:
    """Whether an image name stays inside the image folder.

    Images are read and copied into shards by this name, so an annotation file must not be able to
    name any other file of the machine.
    """
    path = PurePosixPath(image.replace("\\", "/"))
    return (
        image.isprintable()
        and bool(path.name)
        and not path.is_absolute()
        and ":" not in path.parts[0]
        and ".." not in path.parts
    )


def summary(people: People) -> dict[str, Any]:
    """Return the counts for the manifest and the report: people by split, joints by state."""
    splits, counts = np.unique(people.split.astype(str), return_counts=True)
    state = people.state
    return {
        "people_kept": len(people),
        "people_by_split": {str(s): int(c) for s, c in zip(splits, counts, strict=True)},
        "people_with_all_joints": int(is_annotated(state).all(axis=1).sum()),
        "joints": {
            "visible": int((state == JointState.VISIBLE).sum()),
            "occluded": int((state == JointState.OCCLUDED).sum()),
            "missing": int((state == JointState.MISSING).sum()),
            "outside_image": int(outside_image(people).sum()),
        },
        "images": len(set(people.image)),
        "people_without_image_size": int((people.image_width == 0).sum()),
    }


def reasons(rejected: Sequence[Rejected]) -> dict[str, int]:
    """Count how often each reason was given; what was found in the single case is left out."""
    return dict(Counter(re.sub(r"\[.*\]|'[^']*'", "...", line.reason) for line in rejected))


def outside_image(people: People) -> NDArray[np.bool_]:
    """Return the annotated joints that lie outside their image (truncated people), shape (n, 13).

    False where the size of the image is not known.
    """
    size = np.stack([people.image_width, people.image_height], axis=1)[:, None]
    outside = ((people.joints_2d < 0) | (people.joints_2d > size)).any(axis=-1)
    return outside & is_annotated(people.state) & (size > 0).all(axis=-1)
