"""A small Human3.6M: people alone in a laboratory, four calibrated cameras, measured 3D.

In the form of the common conversion (``S9/MyPoses/3D_positions/Walking.h5``, ``cameras.h5``), with
images named after the frames. A clip has one frame: what the paper's protocols take of a short one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from posebank.annotations.h36m_files import CAMERAS, N_H36M_JOINTS
from posebank.annotations.mapping import H36M_NAMES, TO_13
from posebank.demo import motions, render
from posebank.demo.body import make_subject
from posebank.demo.motions import Motion
from posebank.demo.scene import Actor, cast, shoot
from posebank.skeleton import J

ACTIONS: Mapping[str, Motion] = {
    "Directions": motions.wave,
    "Discussion": motions.arms_behind,
    "Eating": motions.sit_chair,
    "Greeting": motions.reach_up,
    "Phoning": motions.side_bend,
    "Posing": motions.stand_on_leg,
    "Purchases": motions.deposit,
    "Sitting": motions.sit_chair,
    "SittingDown": motions.sit_floor,
    "Smoking": motions.lunge_twist,
    "Photo": motions.squat,
    "Waiting": motions.side_step,
    "Walking": motions.walk,
    "WalkDog": motions.sneak,
    "WalkTogether": motions.march,
}
"""The clips of a subject, and what our people do in them."""

SUBJECTS = ("S11", "S9", "S1")
"""The testing subjects of P2 first, then one who trains."""

_SIZES = ((1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002))
_FOCAL = 1145.0
_RENDERED = 0.5  # of the size; enlarged, because only the network's small input is ever looked at
_TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def write_h36m(folder: Path, n_clips: int, rng: np.random.Generator, *, quality: int) -> Path:
    """Write ``n_clips`` clips: every action of the subjects in turn, in all four cameras."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    cameras = [_camera(number, rng) for number in range(len(CAMERAS))]
    sceneries = [render.background(camera.size, rng) for camera in cameras]
    people = {name: (make_subject(name, rng), render.random_clothes(rng)) for name in SUBJECTS}
    for number in range(n_clips):
        name = SUBJECTS[number % len(SUBJECTS)]
        # More clips than actions: second trials.
        trial, action = divmod(number // len(SUBJECTS), len(ACTIONS))
        clip = list(ACTIONS)[action] + (f" {trial}" if trial else "")
        at = np.array([rng.uniform(-0.5, 0.5), 0.0, rng.uniform(-0.5, 0.5)])
        actor = cast(*people[name], ACTIONS[list(ACTIONS)[action]], at, rng)
        _write_positions(folder / name / "MyPoses" / "3D_positions" / f"{clip}.h5", actor)
        for camera, scenery, title, size in zip(cameras, sceneries, CAMERAS, _SIZES, strict=True):
            image = shoot([actor], camera, scenery, rng).image.resize(
                size, Image.Resampling.BICUBIC
            )
            image.save(folder / "images" / f"{name}_{clip}.{title}_000001.jpg", quality=quality)
    _write_cameras(folder / "cameras.h5", cameras)
    return folder


def _camera(number: int, rng: np.random.Generator) -> render.Camera:
    """One of four cameras in a circle about the origin, in the size that is rendered."""
    angle = np.deg2rad(45 + 90 * number + rng.uniform(-10, 10))
    towards = np.array([-np.sin(angle), -0.1, -np.cos(angle)])
    forward = towards / np.linalg.norm(towards)
    right = np.cross(np.array([0.0, -1.0, 0.0]), forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    position = np.array([0.0, 0.9, 0.0]) - 4.5 * forward
    w, h = (int(_RENDERED * side) for side in _SIZES[number])
    return render.Camera(
        _RENDERED * _FOCAL, (w / 2, h / 2), rotation=rotation, position=position, size=(w, h)
    )


def _write_positions(path: Path, actor: Actor) -> None:
    """The 32 points of one frame, 96 x 1 millimetres, z up."""
    ends = actor.posed.ends
    middle = 0.5 * (actor.joints[J["r_hip"]] + actor.joints[J["l_hip"]])
    points = np.tile(middle, (N_H36M_JOINTS, 1))  # points that have no counterpart in our bodies
    for name, bone in (("spine", "lowerback"), ("neck", "thorax"), ("nose", "upperneck")):
        points[H36M_NAMES.index(name)] = ends[bone][0]
    for joint, row in J.items():
        points[H36M_NAMES.index(TO_13[joint])] = actor.joints[row]
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["3D_positions"] = 1000 * (points @ _TO_Z_UP.T).reshape(-1, 1)


def _write_cameras(path: Path, cameras: Sequence[render.Camera]) -> None:
    """Cameras as a MATLAB program writes them: column after column, one group a subject."""
    with h5py.File(path, "w") as file:
        for subject in SUBJECTS:
            for number, camera in enumerate(cameras, 1):
                full = _full_size(camera, _SIZES[number - 1])
                values = {
                    "R": (full.rotation @ _TO_Z_UP.T).T,
                    "T": 1000 * (_TO_Z_UP @ full.position)[:, None],
                    "f": np.full((2, 1), full.focal),
                    "c": np.array(full.centre)[:, None],
                    "k": np.zeros((3, 1)),
                    "p": np.zeros((2, 1)),
                }
                for name, value in values.items():
                    file[f"subject{subject[1:]}/camera{number}/{name}"] = value


def _full_size(camera: render.Camera, size: tuple[int, int]) -> render.Camera:
    return replace(camera, focal=_FOCAL, centre=(size[0] / 2, size[1] / 2), size=size)
