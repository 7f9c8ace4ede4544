"""Find the 13 joints among the keypoints of another skeleton, by name.

A keypoint is recognised by side and body part, however they are written: ``right_ankle``,
``Right-ankle``, ``RAnkle``, ``ankle.R`` and ``r ankle`` are all the right ankle. The decisions that
are not a matter of spelling:

- ``head`` is the head top. A name that says so (``head_top``, ``top_head``, ``top of head``) is
  preferred to a bare ``head``, which CrowdPose, Halpe and Human3.6M use for the head top too.
  ``head_bottom``, ``forehead`` and ``face`` are never taken.
- JHMDB (recognised by its ``belly``) puts ``head`` in the middle of the face: it is not taken.
- ``foot`` is the ankle where no keypoint is called ankle, as in Human3.6M in COCO form.
- Files without names are understood by their number of keypoints; see ``UNNAMED``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from posebank.annotations.mapping import COCO_NAMES, MPII_NAMES
from posebank.errors import SettingsError, SourceError
from posebank.files import read_toml
from posebank.skeleton import JOINT_NAMES, J

OPENPOSE_18_NAMES: tuple[str, ...] = (
    "nose",
    "neck",
    "r_shoulder",
    "r_elbow",
    "r_wrist",
    "l_shoulder",
    "l_elbow",
    "l_wrist",
    "r_hip",
    "r_knee",
    "r_ankle",
    "l_hip",
    "l_knee",
    "l_ankle",
    "r_eye",
    "l_eye",
    "r_ear",
    "l_ear",
)

BODY_25_NAMES: tuple[str, ...] = (
    "nose",
    "neck",
    "r_shoulder",
    "r_elbow",
    "r_wrist",
    "l_shoulder",
    "l_elbow",
    "l_wrist",
    "mid_hip",
    "r_hip",
    "r_knee",
    "r_ankle",
    "l_hip",
    "l_knee",
    "l_ankle",
    "r_eye",
    "l_eye",
    "r_ear",
    "l_ear",
    "l_big_toe",
    "l_small_toe",
    "l_heel",
    "r_big_toe",
    "r_small_toe",
    "r_heel",
)

HALPE_26_NAMES: tuple[str, ...] = (
    *COCO_NAMES,
    "head_top",
    "neck",
    "mid_hip",
    "l_big_toe",
    "r_big_toe",
    "l_small_toe",
    "r_small_toe",
    "l_heel",
    "r_heel",
)

UNNAMED: Mapping[int, tuple[str, tuple[str, ...]]] = {
    16: ("MPII", MPII_NAMES),
    17: ("COCO", COCO_NAMES),
    18: ("OpenPose COCO-18", OPENPOSE_18_NAMES),
    25: ("OpenPose BODY_25", BODY_25_NAMES),
    26: ("Halpe", HALPE_26_NAMES),
    133: ("COCO-WholeBody", COCO_NAMES),
    136: ("Halpe full body", HALPE_26_NAMES),
}
"""Number of keypoints -> the skeleton that is assumed where a file names none, and the names of
its first keypoints. 14 is not here: CrowdPose, AIC and LSP have 14 in different orders."""

_PARTS = {
    "ankle": "ankle",
    "ank": "ankle",
    "knee": "knee",
    "kne": "knee",
    "hip": "hip",
    "wrist": "wrist",
    "wri": "wrist",
    "elbow": "elbow",
    "elb": "elbow",
    "shoulder": "shoulder",
    "sho": "shoulder",
    "shldr": "shoulder",
    "shoulde": "shoulder",
    "eye": "eye",
    "ear": "ear",
    "foot": "foot",
}
_SIDE = "left|right|l|r"
_SIDED = re.compile(
    rf"(?:(?P<before>{_SIDE})(?P<part>{'|'.join(_PARTS)})"
    rf"|(?P<part_first>{'|'.join(_PARTS)})(?P<after>{_SIDE}))(?:joint)?"
)
_HEAD_TOP = ("headtop", "tophead", "topofhead", "headtopend", "headend", "vertex", "head")
"""Names of the head top, the most certain first."""
_ANIMAL = re.compile(r"tail|paw|hoof|withers|snout|wing|beak|throat|muzzle|fin$|antler")


@dataclass(frozen=True)
class Layout:
    """Which keypoint of a source is which joint.

    names : the source's own names, in its order.
    position : ``lcrnet13`` joint -> place in ``names``, of the joints that the source has.
    face : places of nose, eyes and ears.
    assumed : the skeleton that was assumed because the source names no keypoints; "" otherwise.
    """

    names: tuple[str, ...]
    position: Mapping[str, int]
    face: tuple[int, ...] = ()
    assumed: str = ""

    @property
    def missing(self) -> list[str]:
        """The joints that the source does not have."""
        return [name for name in JOINT_NAMES if name not in self.position]


def _letters(name: str) -> str:
    """The letters of a name in lower case, without a leading number."""
    return re.sub(r"[^a-z]", "", re.sub(r"^\d+", "", name.strip().lower()))


def _part(name: str) -> str:
    """``r_ankle``, ``l_eye``, ``r_foot``, ... of a keypoint's name, "" if it is none of these."""
    match = _SIDED.fullmatch(_letters(name))
    if match is None or name.rstrip()[-1:].isdigit():  # left_shoulder2 is some other point
        return ""
    side = match["before"] or match["after"]
    return f"{side[0]}_{_PARTS[match['part'] or match['part_first']]}"


def layout_of(
    names: Sequence[str], chosen: Mapping[str, str | int] | None = None, assumed: str = ""
) -> Layout:
    """Find the joints among named keypoints.

    Parameters
    ----------
    names : sequence of str
        The source's keypoints, in its order.
    chosen : mapping or None
        ``lcrnet13`` joint -> name or 0-based place of a keypoint; decides for these joints.
    assumed : str
        What was assumed of the names, see ``Layout``.

    Raises
    ------
    SettingsError
        If ``chosen`` names a keypoint that is not there.

    Examples
    --------
    >>> layout_of(["Head-top", "RAnkle", "left wrist", "tail"]).position
    {'head': 0, 'r_ankle': 1, 'l_wrist': 2}
    """
    letters = [_letters(name) for name in names]
    position: dict[str, int] = {}
    for head in _HEAD_TOP:
        if head in letters and not (head == "head" and "belly" in letters):
            position["head"] = letters.index(head)
            break
    parts = [_part(name) for name in names]
    for place, part in enumerate(parts):
        if part in J:
            position.setdefault(part, place)
    for side in "lr":
        if not {"l_ankle", "r_ankle"} & set(parts) and f"{side}_foot" in parts:
            position[f"{side}_ankle"] = parts.index(f"{side}_foot")
    for joint, keypoint in (chosen or {}).items():
        position[joint] = _place(keypoint, names, joint)
    face = [i for i, part in enumerate(parts) if part[2:] in ("eye", "ear")]
    face += [i for i, name in enumerate(letters) if name == "nose"]
    return Layout(tuple(names), position, tuple(sorted(face)), assumed)


def _place(keypoint: str | int, names: Sequence[str], joint: str) -> int:
    if isinstance(keypoint, str) and keypoint in names:
        return list(names).index(keypoint)
    if isinstance(keypoint, int) and 0 <= keypoint < len(names):
        return keypoint
    raise SettingsError(
        f"joints: {joint}: expected one of the {len(names)} keypoints {', '.join(names)} "
        f"or its 0-based place, found {keypoint!r}"
    )


def unnamed_layout(count: int, chosen: Mapping[str, str | int] | None = None) -> Layout | None:
    """Return the layout of ``count`` keypoints without names; None if that number says nothing.

    Numbers in ``chosen`` are places in the ``count`` keypoints.
    """
    title, names = UNNAMED.get(count, ("", ()))
    if not title and not chosen:
        return None
    every = [*names, *(f"keypoint {place}" for place in range(len(names), count))]
    return layout_of(every, chosen, title or f"{count} keypoints")


def unlike_people(names: Sequence[str]) -> str:
    """Say why keypoints of these names are not a person's; "" if they may be."""
    animal = [name for name in names if _ANIMAL.search(_letters(name))]
    if animal:
        return f"not people: its keypoints include {', '.join(animal[:3])}"
    return ""


def read_joint_map(path: Path) -> dict[str, str | int]:
    """Return ``lcrnet13`` joint -> keypoint of a source, from a TOML file.

    The keys are names of the 13 joints, at the top level or in a table ``[joints]``; the values are
    the source's names or 0-based places.

    Raises
    ------
    SettingsError
        If the file cannot be read or names no such joint.
    """
    try:
        raw = read_toml(path)
    except SourceError as error:
        raise SettingsError(str(error)) from error
    return checked_joint_map(raw.get("joints", raw), str(path))


def checked_joint_map(raw: object, where: str) -> dict[str, str | int]:
    """Return the map, if it is one.

    Raises
    ------
    SettingsError
        If it is not, with the key.
    """
    if not isinstance(raw, Mapping) or not raw:
        raise SettingsError(f"{where}: expected lines such as head = 'crown', found {raw!r:.80}")
    for joint, keypoint in raw.items():
        if joint not in J:
            raise SettingsError(
                f"{where}: expected joints among {', '.join(JOINT_NAMES)}, found {joint!r}"
            )
        if not isinstance(keypoint, str | int) or isinstance(keypoint, bool):
            raise SettingsError(
                f"{where}: {joint}: expected the name or place of a keypoint, found {keypoint!r}"
            )
    return dict(raw)
