"""AMASS clips: the npz files in which the motions of many data sets are distributed.

==========  =====================================================================================
release     arrays
==========  =====================================================================================
SMPL+H      ``*_poses.npz``: ``poses`` (n, 156), ``trans`` (n, 3), ``betas`` (16,), ``gender``,
            ``mocap_framerate``
SMPL-X      ``*_stageii.npz``: ``poses`` (n, 165), or ``root_orient`` (n, 3) and ``pose_body``
            (n, 63); ``trans``, ``betas``, ``gender``, ``mocap_frame_rate``
==========  =====================================================================================

Metres, z up. The joints come from forward kinematics (``smpl_kinematics``) of the person's rest
joints: from a body model (``smpl_models``) and the clip's shape coefficients, else an average
adult's (``smpl_average``).

Source: N. Mahmood, N. Ghorbani, N. F. Troje, G. Pons-Moll, M. J. Black. AMASS: Archive of Motion
Capture as Surface Shapes. ICCV 2019.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.mocap.clips import ReadClip, chosen_rate
from posebank.mocap.joints import check_size
from posebank.mocap.npz_arrays import NpzArrays
from posebank.mocap.options import ReadOptions
from posebank.mocap.rates import unusual_rate
from posebank.mocap.smpl_average import average_adult
from posebank.mocap.smpl_kinematics import N_BODY_JOINTS, joint_mapping, posed_joints
from posebank.mocap.smpl_models import FAMILIES, model_for
from posebank.mocap.up_axis import shifted_to_y_up

FOLDERS: Mapping[str, tuple[str, ...]] = {
    "cmu": ("cmu",),
    "hdm05": ("mpi_hdm05", "hdm05"),
    "poseprior": ("mpi_limits", "poseprior"),
}
"""Data set -> names of its folder in AMASS, in small letters."""

AVERAGE_NOTE = (
    "no --body-model: the limbs have an average adult's lengths, not those of the subject"
)
_NO_CLIP = re.compile(r"(^shape|_stagei)\.npz$", re.IGNORECASE)
_ENDING = re.compile(r"_(poses|stageii)$", re.IGNORECASE)
_N_VALUES = 3 * N_BODY_JOINTS
_MAX_TURN = 1e3  # radians; a larger number is none


def holds_clip(path: Path, dataset: str) -> bool:
    """Whether an npz file belongs to a data set, by its name and folders.

    Files of a person's shape (``shape.npz``, ``*_stagei.npz``) hold no clip. Data sets other than
    ``amass`` take the files in their own folder of the archive.
    """
    if _NO_CLIP.search(path.name):
        return False
    folders = FOLDERS.get(dataset)
    return folders is None or any(part.lower() in folders for part in path.parts[:-1])


def is_amass_file(path: Path) -> bool:
    """Whether an npz file has the arrays of an AMASS clip; False if it cannot be read."""
    try:
        with NpzArrays(path, path) as arrays:
            return "poses" in arrays.names or "pose_body" in arrays.names
    except SourceError:
        return False


def clip_name(path: Path) -> str:
    """Return the name of a clip without the releases' suffix: ``01_01_poses`` is 01_01."""
    return _ENDING.sub("", path.stem)


def subject_and_name(path: Path, root: Path) -> tuple[str, str]:
    """Return subject and name of a clip of the whole archive: ``CMU/01`` and ``CMU/01/01_01``.

    Parameters
    ----------
    path : Path
        Path of the clip.
    root : Path
        The folder that was searched; its own name is used where it is the archive's subset.
    """
    inside = path.parent.relative_to(root).parts
    folders = [*([] if len(inside) > 1 or root.name == "" else [root.name]), *inside][-2:]
    subject = "/".join(folders)
    return subject, f"{subject}/{clip_name(path)}"


def read_amass_clip(data: bytes, path: Path, options: ReadOptions | None = None) -> ReadClip:
    """Read the 13 joints of an AMASS clip from its bytes.

    Parameters
    ----------
    data : bytes
        The whole npz file.
    path : Path
        The file, for messages.
    options : ReadOptions or None
        ``fps``, ``up`` and ``body_model`` are used.

    Raises
    ------
    SourceError
        If the file is damaged or holds no clip, or there is no body model of its kind.
    """
    options = options or ReadOptions()
    with NpzArrays(data, path) as arrays:
        turns, n_joints = _rotations(arrays)
        translation = _translation(arrays, len(turns))
        rate, evidence = chosen_rate(path, options.fps, _rate(arrays))
        family = _family(arrays, n_joints)
        gender = _text(arrays, "gender", "neutral").lower()
        betas = _betas(arrays) if options.body_model is not None else np.zeros(0)
    notes: tuple[str, ...] = ()
    if options.body_model is None:
        body, body_name, notes = (
            average_adult(),
            "an average adult (no body model)",
            (AVERAGE_NOTE,),
        )
    else:
        model = model_for(options.body_model, family, gender, path)
        body, body_name = model.rest(betas), f"{model.family} {model.gender}, {model.path}"
        if len(betas) > model.directions.shape[-1]:
            notes = (f"only {model.directions.shape[-1]} shape coefficients are in the body model",)
    sound = _sound(turns, translation)
    if not sound.any():
        raise SourceError(path, "expected a pose of finite numbers, found none")
    if not sound.all():
        turns, translation = turns[sound], translation[sound]
    joints = posed_joints(turns, translation, body)
    check_size(joints, path, "m")
    n_bad = int((~sound).sum())
    lost = (f"{n_bad} of {len(sound)} frames set aside: not finite",) if n_bad else ()
    up = "z" if options.up == "auto" else options.up
    facts: dict[str, Any] = {
        "format": f"AMASS, {family}",
        "unit": "m",
        "rate_evidence": evidence,
        "axes": f"{up} up in the file, turned to y up",
        "gender": gender,
        "body": body_name,
        "mapping": dict(joint_mapping()),
        "frames_lost": n_bad,
    }
    notes += unusual_rate(rate)
    frames = np.flatnonzero(sound).astype(np.int64)
    return ReadClip(shifted_to_y_up(joints, up), frames, rate, lost, facts, notes=notes)


def _rotations(arrays: NpzArrays) -> tuple[NDArray[np.float64], int]:
    """Axis-angle vectors (n, 66) of the body joints, and how many joints the file poses."""
    if "poses" in arrays.names:
        shape = arrays.shape("poses")
        if len(shape) != 2 or shape[1] < _N_VALUES or shape[1] % 3:
            raise SourceError(
                arrays.path,
                f"poses: expected (n, 156) of SMPL+H or (n, 165) of SMPL-X, found {shape}",
            )
        return arrays.numbers("poses", _N_VALUES), shape[1] // 3
    if {"root_orient", "pose_body"} <= arrays.names:
        root, body = arrays.numbers("root_orient"), arrays.numbers("pose_body")
        if root.shape != (len(body), 3) or body.shape != (len(root), _N_VALUES - 3):
            raise SourceError(
                arrays.path,
                "expected root_orient (n, 3) and pose_body (n, 63), found "
                f"{root.shape} and {body.shape}",
            )
        return np.concatenate([root, body], axis=1), 0
    found = ", ".join(sorted(arrays.names)[:12]) or "none"
    raise SourceError(
        arrays.path, f"expected an AMASS clip with poses or pose_body, found {found:.200}"
    )


def _translation(arrays: NpzArrays, n_frames: int) -> NDArray[np.float64]:
    translation = arrays.numbers("trans")
    if translation.shape != (n_frames, 3):
        raise SourceError(
            arrays.path,
            f"trans: expected ({n_frames}, 3) as there are poses, found {translation.shape}",
        )
    return translation


def _rate(arrays: NpzArrays) -> tuple[float, str] | None:
    for name in ("mocap_framerate", "mocap_frame_rate"):
        if name in arrays.names:
            rate = arrays.number(name)
            if not 1.0 <= rate <= 10_000.0:
                raise SourceError(
                    arrays.path, f"{name}: expected frames per second, found {rate:g}"
                )
            return rate, name
    return None


def _family(arrays: NpzArrays, n_joints: int) -> str:
    """The body model that a clip was made with."""
    if n_joints in FAMILIES:
        return FAMILIES[n_joints]
    stated = _text(arrays, "surface_model_type", "smplx").lower()
    return {"smplh": "SMPL+H", "smpl": "SMPL"}.get(stated, "SMPL-X")


def _text(arrays: NpzArrays, name: str, default: str) -> str:
    return arrays.text(name).strip() if name in arrays.names else default


def _betas(arrays: NpzArrays) -> NDArray[np.float64]:
    """Shape coefficients (n,); where a file repeats them for every frame, the first."""
    betas = arrays.numbers("betas")
    if betas.ndim == 2:
        betas = betas[:1].reshape(-1)
    if betas.ndim != 1 or not np.all(np.abs(betas) < 100):
        raise SourceError(
            arrays.path, f"betas: expected a vector of shape coefficients, found {betas.shape}"
        )
    return betas


def _sound(turns: NDArray[np.float64], translation: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Frames (n,) whose numbers are finite and no larger than a person's."""
    with np.errstate(invalid="ignore"):
        furthest = np.maximum(np.abs(turns).max(axis=1), np.abs(translation).max(axis=1))
    return np.asarray(furthest < _MAX_TURN)
