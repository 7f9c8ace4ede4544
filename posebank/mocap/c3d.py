"""C3D marker files: markers, units, axes and rate from the file; joint centres by regression.

Joint centres from the 41-marker set of CMU and HDM05 (Vicon names). Every rule is anatomical and
taken from the literature or from adult anthropometry; none is fitted to a clip:

==========  =====================================================================================
joint       rule
==========  =====================================================================================
hip         Bell, Pedersen & Brand (1990): from the middle of the front waist markers, 36% of their
            distance to the side, 19% backwards, 30% down, in pelvic axes
knee        lateral marker, moved inwards along the knee axis by half a knee (52 mm) + marker radius
ankle       lateral marker, moved inwards along the same axis by half an ankle (36 mm) + radius
shoulder    Rab et al. (2002): from the acromion marker, 17% of the shoulder width down the trunk
elbow       lateral marker, moved inwards along the elbow's axis by half an elbow (40 mm) + radius
wrist       middle of the two wrist markers
head (top)  middle of the four head-band markers, 100 mm up, at a right angle to the band
==========  =====================================================================================

The knee axis is at a right angle to the shank and the foot; the elbow axis to the upper arm and the
forearm, and where the arm is nearly straight the elbow's shift fades out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.mocap.c3d_file import C3DFile, parse_c3d
from posebank.mocap.files import read_bytes
from posebank.skeleton import JOINT_NAMES

_METRES = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}
_HALF_KNEE, _HALF_ANKLE, _HALF_ELBOW, _MARKER_RADIUS = 0.052, 0.036, 0.040, 0.007
_HEAD_TOP_ABOVE_BAND = 0.100
_SIDE_MARKERS = (
    "FWT", "BWT", "KNE", "ANK", "HEE", "TOE", "SHO", "ELB", "WRA", "WRB", "FHD", "BHD",
)  # fmt: skip
NEEDED_MARKERS = tuple(side + name for side in "LR" for name in _SIDE_MARKERS)

Vectors = NDArray[np.float64]


@dataclass(frozen=True)
class MarkerMotion:
    """Markers of a C3D file.

    markers : (n_frames, n_markers, 3) metres, y up, NaN where a marker was not seen.
    labels : without the subject's prefix.
    up : the file's own upward axis, such as ``+Z``.
    """

    path: Path
    subject: str
    labels: tuple[str, ...]
    markers: Vectors
    fps: float
    first_frame: int
    unit: str
    up: str
    lost: tuple[str, ...] = ()


def read_c3d(path: Path) -> MarkerMotion:
    """Read the markers of a C3D file.

    Raises
    ------
    SourceError
        If the file is not a readable C3D, or does not state its rate, unit or vertical axis.
    """
    return parse_markers(read_bytes(path), path)


def parse_markers(data: bytes, path: Path) -> MarkerMotion:
    """Markers from the bytes of a C3D file; ``path`` is used in messages. See ``read_c3d``."""
    content = parse_c3d(data, path)
    labels = content.parameters.get("POINT:LABELS")
    if not isinstance(labels, list) or len(labels) < content.points.shape[1]:
        raise SourceError(path, "POINT:LABELS: expected a label for each point, found fewer")
    labels = labels[: content.points.shape[1]]
    unit = _text(content, "POINT:UNITS").lower()
    if unit not in _METRES:
        raise SourceError(path, f"POINT:UNITS: expected mm, cm or m, found {unit!r}")
    rate = content.rate
    stated = content.parameters.get("POINT:RATE")
    if isinstance(stated, np.ndarray) and stated.size == 1:
        rate = float(stated[0])
    if not 1.0 <= rate <= 10_000.0:
        raise SourceError(path, f"POINT:RATE: expected frames per second, found {rate}")
    up = _text(content, "POINT:Y_SCREEN").upper()
    markers = _y_up(path, _METRES[unit] * content.points, up)
    prefix = labels[0].split(":")[0] if ":" in labels[0] else ""
    plain = tuple(label.split(":")[-1].strip().lstrip("*").upper() for label in labels)
    lost: tuple[str, ...] = ()
    if len(markers) < content.declared_frames:
        lost = (f"the header declares {content.declared_frames} frames, found {len(markers)}",)
    return MarkerMotion(path, prefix, plain, markers, rate, content.first_frame, unit, up, lost)


def _text(content: C3DFile, name: str) -> str:
    value = content.parameters.get(name, "")
    if isinstance(value, list):
        value = value[0] if value else ""
    return value.strip() if isinstance(value, str) else ""


def _y_up(path: Path, points: Vectors, up: str) -> Vectors:
    if up == "+Z":
        return points[..., [1, 2, 0]]
    if up == "+Y":
        return points
    if up == "+X":
        return points[..., [2, 0, 1]]
    raise SourceError(
        path, f"POINT:Y_SCREEN: expected the vertical axis (+X, +Y or +Z), found {up!r}"
    )


def _unit(v: Vectors) -> Vectors:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def joint_centres(motion: MarkerMotion) -> Vectors:
    """The 13 joints (n_frames, 13, 3) in metres; NaN in frames where a marker was not seen.

    Raises
    ------
    SourceError
        If the file has not all the markers of the set, naming those it lacks.
    """
    missing = [m for m in NEEDED_MARKERS if m not in motion.labels]
    if missing:
        raise SourceError(
            motion.path,
            f"expected the 41-marker set, found {len(motion.labels)} markers without "
            f"{', '.join(missing)}",
        )
    m = {label: motion.markers[:, i] for i, label in reversed(list(enumerate(motion.labels)))}
    joints = _legs(m) | _arms(m)
    band = [m[k] for k in ("LFHD", "RFHD", "LBHD", "RBHD")]
    across = (band[1] + band[3]) - (band[0] + band[2])
    ahead = (band[0] + band[1]) - (band[2] + band[3])
    joints["head"] = sum(band) / 4 + _HEAD_TOP_ABOVE_BAND * _unit(np.cross(across, ahead))
    return np.stack([joints[name] for name in JOINT_NAMES], axis=1)


def _legs(m: Mapping[str, Vectors]) -> dict[str, Vectors]:
    front, back = (m["LFWT"] + m["RFWT"]) / 2, (m["LBWT"] + m["RBWT"]) / 2
    across = m["RFWT"] - m["LFWT"]
    width = np.linalg.norm(across, axis=-1, keepdims=True)
    right = _unit(across)
    ahead = front - back
    ahead = _unit(ahead - (ahead * right).sum(-1, keepdims=True) * right)
    up = np.cross(right, ahead)
    joints = {}
    for side, sign in (("R", 1.0), ("L", -1.0)):
        shift = sign * 0.36 * right - 0.19 * ahead - 0.30 * up
        joints[f"{side.lower()}_hip"] = front + width * shift
        shank = m[side + "KNE"] - m[side + "ANK"]
        foot = m[side + "TOE"] - m[side + "HEE"]
        inwards = -sign * _unit(np.cross(foot, shank))  # foot x shank points to the right
        joints[f"{side.lower()}_knee"] = m[side + "KNE"] + (_HALF_KNEE + _MARKER_RADIUS) * inwards
        joints[f"{side.lower()}_ankle"] = m[side + "ANK"] + (_HALF_ANKLE + _MARKER_RADIUS) * inwards
    return joints


def _arms(m: Mapping[str, Vectors]) -> dict[str, Vectors]:
    hips = (m["LFWT"] + m["RFWT"] + m["LBWT"] + m["RBWT"]) / 4
    width = np.linalg.norm(m["RSHO"] - m["LSHO"], axis=-1, keepdims=True)
    down = _unit(hips - (m["RSHO"] + m["LSHO"]) / 2)
    joints = {}
    for side, sign in (("R", 1.0), ("L", -1.0)):
        shoulder = m[side + "SHO"] + 0.17 * width * down
        wrist = (m[side + "WRA"] + m[side + "WRB"]) / 2
        upper, lower = _unit(shoulder - m[side + "ELB"]), _unit(wrist - m[side + "ELB"])
        axis = np.cross(upper, lower)  # to the left when the forearm is bent forwards
        bend = np.linalg.norm(axis, axis=-1, keepdims=True)
        inwards = sign * _unit(axis) * np.minimum(1.0, bend / 0.3)
        joints[f"{side.lower()}_shoulder"] = shoulder
        joints[f"{side.lower()}_elbow"] = m[side + "ELB"] + (_HALF_ELBOW + _MARKER_RADIUS) * inwards
        joints[f"{side.lower()}_wrist"] = wrist
    return joints
