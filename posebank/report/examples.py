"""Labelled people that the HTML report shows: chosen, cropped, and described as JSON values."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from posebank.geometry.camera_prior import CameraPrior
from posebank.geometry.cameras import elevation_roll
from posebank.labelling.camera_prior import camera_penalties
from posebank.labelling.estimators import modes, posterior
from posebank.report.images import find_image
from posebank.skeleton import JOINT_NAMES, JointState, is_annotated
from posebank.types import Labels, Matches, People, PoseBank

Values = dict[str, Any]

_CROP = 280  # pixels of an embedded picture's longer side
_QUALITY = 72  # of its JPEG
_BEYOND = (201, 206, 214)  # colour of what the image does not show
_MARGIN = 0.2  # of the person's size, around the person
_SHORT_LIST = 6  # people of each strip: best, median and worst of a data set
_LEAST_MODE = 0.02  # weight of a mode that is shown
_LEVEL_DEG, _UPSIDE_DEG = 20.0, 90.0
CAMERAS = ("level (roll up to 20°)", "tilted (20° to 90°)", "upside down (more than 90°)")


def choose_examples(
    labels: Labels, n: int, seed: int = 0
) -> tuple[NDArray[np.int64], Mapping[str, Mapping[str, NDArray[np.int64]]]]:
    """Choose up to ``n`` labels to show, as many of each data set as possible.

    Parameters
    ----------
    labels : Labels
        All labels of a workspace.
    n : int
        Largest number to choose.
    seed : int
        Seed of the random choice.

    Returns
    -------
    rows : (m,) rows of the labels, ascending.
    strips : for each data set the rows with the highest trust (``best``), around the median
        (``median``) and with the lowest (``worst``); all of them are among ``rows``.
    """
    rng = np.random.default_rng(seed)
    names = sorted(set(labels.dataset))
    strips: dict[str, dict[str, NDArray[np.int64]]] = {}
    chosen: set[int] = set()
    share = max(n // max(len(names), 1), 3)
    for name in names:
        rows = np.flatnonzero(labels.dataset == name)
        ranked = rows[np.argsort(-labels.trust[rows], kind="stable")]
        length = min(_SHORT_LIST, max(share // 3, 1), -(-len(ranked) // 3))
        middle = (len(ranked) - length) // 2
        strips[name] = {
            "best": ranked[:length],
            "median": ranked[middle : middle + length],
            "worst": ranked[::-1][:length],
        }
        own = {int(row) for strip in strips[name].values() for row in strip}
        rest = rng.permutation([row for row in rows.tolist() if row not in own])
        chosen |= own | set(rest[: max(share - len(own), 0)].tolist())
    return np.array(sorted(chosen), np.int64), strips


def describe_examples(
    labels: Labels,
    bank: PoseBank,
    roots: Mapping[str, Path],
    matches: Matches | None = None,
    people: People | None = None,
    priors: Mapping[str, CameraPrior] | None = None,
) -> list[Values]:
    """Describe labels as JSON values for the report's script.

    Parameters
    ----------
    labels : Labels
        Labels to show.
    bank : PoseBank
        Bank with their matched poses.
    roots : mapping
        Image folder of each data set; a person without an image has no picture.
    matches, people : Matches or None
        Matches of at least these people, for the modes of their posterior; without them
        there are no modes.
    priors : dict of str to CameraPrior, optional
        By data set, the camera priors that weighed the candidates of the labels.

    Returns
    -------
    One object a label: see the keys below. Lengths of 3D joints are whole millimetres in camera
    axes; 2D joints are pixels of the embedded picture, whose side is ``size``.
    """
    row_of = {pose_id: row for row, pose_id in enumerate(bank.pose_id)}
    found_modes = _modes(labels, bank, matches, people, priors or {})
    elevation, roll = elevation_roll(labels.camera_rotation.astype(np.float64))
    return [
        {
            **_picture(labels, row, roots),
            "person_id": labels.person_id[row],
            "dataset": labels.dataset[row],
            "name": Path(labels.image[row]).name,
            "state": labels.state[row].tolist(),
            "pose": _millimetres(labels.joints_3d[row]),
            "trust": round(float(labels.trust[row]), 4),
            "error_mm": round(float(labels.error_mm[row]), 2),
            "error_norm": round(float(labels.error_norm[row]), 4),
            "ambiguity_mm": round(float(labels.ambiguity_mm[row]), 1),
            # A completed joint was not annotated, and the label has no other joints.
            "annotated": int(is_annotated(labels.state[row]).sum()),
            "completed": int((labels.state[row] == JointState.COMPLETED).sum()),
            "completed_names": [
                name.replace("r_", "right ").replace("l_", "left ")
                for name, state in zip(JOINT_NAMES, labels.state[row], strict=True)
                if state == JointState.COMPLETED
            ],
            "elevation": round(float(np.degrees(elevation[row])), 1),
            "roll": round(float(np.degrees(roll[row])), 1),
            "camera": _camera_kind(float(np.degrees(roll[row]))),
            "modes": found_modes[row],
            **_matched(labels, row, bank, row_of),
        }
        for row in range(len(labels))
    ]


def _millimetres(pose: NDArray[Any]) -> list[list[int]]:
    rounded: list[list[int]] = np.round(1000 * np.asarray(pose, np.float64)).astype(int).tolist()
    return rounded


def _camera_kind(roll_deg: float) -> str:
    steeper = int(abs(roll_deg) > _LEVEL_DEG) + int(abs(roll_deg) > _UPSIDE_DEG)
    return CAMERAS[steeper]


def _matched(labels: Labels, row: int, bank: PoseBank, row_of: Mapping[str, int]) -> dict[str, Any]:
    """The bank's pose of the best match, and where it comes from."""
    pose_row = row_of[labels.pose_id[row]]
    seen = bank.joints_3d[pose_row].astype(np.float64) @ labels.camera_rotation[row].T
    return {
        "match": _millimetres(seen),
        "matched": {
            "dataset": bank.dataset[pose_row],
            "clip": bank.clip[pose_row],
            "frame": int(bank.frame[pose_row]),
            "mirrored": bool(bank.mirrored[pose_row]),
        },
    }


def _modes(
    labels: Labels,
    bank: PoseBank,
    matches: Matches | None,
    people: People | None,
    priors: Mapping[str, CameraPrior],
) -> list[list[Values]]:
    """Modes of each label's posterior, the heaviest first."""
    if matches is None or people is None or len(labels) == 0:
        return [[] for _ in range(len(labels))]
    place = {person: i for i, person in enumerate(matches.person_id)}
    of_labels = matches.take(np.array([place[p] for p in labels.person_id]))
    place = {person: i for i, person in enumerate(people.person_id)}
    annotated = people.take(np.array([place[p] for p in labels.person_id]))
    penalty = camera_penalties(of_labels.rotation, annotated.dataset, priors)
    mixture = posterior(
        bank, of_labels, annotated.joints_2d, is_annotated(annotated.state), penalty
    )
    return [
        [
            {"weight": round(weight, 3), "pose": _millimetres(pose)}
            for weight, pose in modes(mixture.poses[row], mixture.weight[row])
            if weight >= _LEAST_MODE
        ]
        for row in range(len(labels))
    ]


def _picture(labels: Labels, row: int, roots: Mapping[str, Path]) -> dict[str, Any]:
    """The square around a person as a JPEG, and the 2D joints in its pixels."""
    joints = labels.joints_2d[row].astype(np.float64)
    low, high = joints.min(axis=0), joints.max(axis=0)
    side = max(float((high - low).max()) * (1 + 2 * _MARGIN), 16.0)
    corner = (low + high - side) / 2
    scale = _CROP / side
    values: dict[str, Any] = {
        "size": _CROP,
        "xy": np.round((joints - corner) * scale, 1).tolist(),
        "image_data": "",
    }
    image = find_image(roots, labels.dataset[row], labels.image[row])
    if image is not None:
        box = (*corner, *(corner + side))
        crop = Image.fromarray(image).transform(
            (_CROP, _CROP),
            Image.Transform.EXTENT,
            box,
            Image.Resampling.BILINEAR,
            fillcolor=_BEYOND,
        )
        packed = io.BytesIO()
        crop.save(packed, "JPEG", quality=_QUALITY)
        values["image_data"] = base64.b64encode(packed.getvalue()).decode("ascii")
    return values
