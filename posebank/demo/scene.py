"""Scenes: people in the act, before a camera, with everything known about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from posebank.demo import render
from posebank.demo.body import Floats, Posed, Subject, channels, pose, standing_on_ground
from posebank.demo.motions import REPERTOIRE, Motion, perform
from posebank.geometry.cameras import camera_rotation
from posebank.skeleton import JOINT_NAMES, J, body_centre

EXTRA_POINTS = ("pelvis", "thorax", "neck")
"""Points beside the 13 joints that MPII and LSP annotate (neck is MPII's upper neck)."""

_FLESH_M = {
    "hip": 0.17,
    "shoulder": 0.14,
    "head": 0.14,
    "knee": 0.10,
    "elbow": 0.08,
    "wrist": 0.07,
    "ankle": 0.09,
}
FLESH: Floats = np.array([_FLESH_M[name.split("_")[-1]] for name in JOINT_NAMES])
"""How deep under the skin each joint may lie and still count as visible, metres (13,)."""


@dataclass(frozen=True)
class Person:
    """One rendered person and the truth.

    joints_2d : (13, 2) pixels; joints_3d : (13, 3) metres, camera axes, body-centred.
    extra_2d : (3, 2) pixels of ``EXTRA_POINTS``.
    visible : (13,) in the image and not behind anything; inside : (13,) in the image.
    head_box : (4,) x1 y1 x2 y2 around the head.
    pixels_per_metre : at the body centre's depth; depth : metres.
    """

    motion: str
    subject: str
    joints_2d: Floats
    joints_3d: Floats
    extra_2d: Floats
    visible: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    head_box: Floats
    pixels_per_metre: float
    depth: float
    stature: float


@dataclass(frozen=True)
class Photo:
    """A rendered image and its people."""

    image: Image.Image
    people: list[Person]


@dataclass(frozen=True)
class Actor:
    """Who is in a scene: a body, its clothes, what it does, where it stands (3,) in the world."""

    subject: Subject
    look: render.Clothes
    motion: Motion
    posed: Posed
    joints: Floats


def any_motion(rng: np.random.Generator) -> Motion:
    """Return a motion from any of the repertoires, standing and sporting ones twice as often."""
    names = list(REPERTOIRE)
    chosen = REPERTOIRE[names[rng.choice(len(names), p=[0.45, 0.35, 0.2])]]
    return chosen[rng.integers(len(chosen))]


def cast(
    subject: Subject, look: render.Clothes, motion: Motion, at: Floats, rng: np.random.Generator
) -> Actor:
    """Return one moment of a performance with the body over the place ``at`` (3,) on the ground."""
    performance = perform(motion, rng.uniform(0, 5, 1), rng)
    values = channels(performance.angles_deg)
    root = at[None] + np.array([0.0, 1.0, 0.0]) * standing_on_ground(
        subject, values, performance.up
    )
    posed = pose(subject, values, root)
    return Actor(subject, look, motion, posed, posed.joints()[0])


def shoot(
    actors: list[Actor],
    camera: render.Camera,
    scenery: render.Pixels,
    rng: np.random.Generator,
    *,
    occluder: bool = False,
) -> Photo:
    """Render the actors and work out what of them can be seen."""
    canvas = render.empty_canvas(scenery)
    towards = rng.normal(0, 1, 3) + np.array([0.0, -1.2, -1.4])
    light = towards / np.linalg.norm(towards)
    ambient = float(rng.uniform(0.35, 0.65))
    points = [camera.to_camera(actor.joints) for actor in actors]
    for number, actor in enumerate(actors):
        parts = render.body_parts(actor.posed, 0, actor.subject, actor.look, camera)
        render.draw_parts(canvas, parts, number, camera, light, ambient)
    if occluder:
        hidden = int(rng.integers(len(actors)))
        centre = body_centre(points[hidden])
        aim = camera.project(points[hidden][rng.integers(len(JOINT_NAMES))])
        render.draw_occluder(canvas, rng, aim, 0.4 * camera.focal / centre[2])
    people = [_person(actor, p, camera, canvas) for actor, p in zip(actors, points, strict=True)]
    return Photo(render.finish(canvas, rng), people)


def _person(actor: Actor, points: Floats, camera: render.Camera, canvas: render.Canvas) -> Person:
    pixels = camera.project(points)
    centre = body_centre(points)
    w, h = camera.size
    ends = actor.posed.ends
    pelvis = 0.5 * (points[J["r_hip"]] + points[J["l_hip"]])
    extra = np.stack(
        [pelvis, *(camera.to_camera(ends[bone][0]) for bone in ("thorax", "upperneck"))]
    )
    neck, crown = extra[-1], points[J["head"]]
    ball = 0.42 * np.linalg.norm(crown - neck)
    middle = neck + 0.55 * (crown - neck)
    corners = camera.project(np.stack([middle, neck, crown]))
    radius = camera.focal * ball / middle[2]
    low = np.minimum(corners[0] - radius, corners[1:].min(0))
    high = np.maximum(corners[0] + radius, corners[1:].max(0))
    return Person(
        motion=actor.motion.__name__,
        subject=actor.subject.name,
        joints_2d=pixels,
        joints_3d=points - centre,
        extra_2d=camera.project(extra),
        visible=render.visible_joints(canvas, points, pixels, FLESH),
        inside=np.all((pixels >= 0) & (pixels < (w, h)), axis=-1),
        head_box=np.concatenate([low, high]),
        pixels_per_metre=camera.focal / float(centre[2]),
        depth=float(centre[2]),
        stature=actor.subject.height,
    )


def aim_camera(
    actors: list[Actor],
    rng: np.random.Generator,
    *,
    size: tuple[int, int],
    tall: float,
    off_centre: float,
) -> render.Camera:
    """Return a camera 3 to 8 m away that looks at the actors.

    Parameters
    ----------
    actors : sequence of Actor
        The people in the picture.
    rng : Generator
        Source of random numbers.
    size : (int, int)
        Width and height of the image, pixels.
    tall : float
        Pixels per metre at the actors' distance.
    off_centre : float
        How far (fraction of the image) the actors' middle may be from the image's.
    """
    target = np.mean([body_centre(actor.joints) for actor in actors], axis=0)
    # Azimuth 0: the actors face anywhere already.
    rotation = camera_rotation(
        0.0, np.deg2rad(rng.uniform(-8, 30)), np.deg2rad(np.clip(rng.normal(0, 4), -12, 12))
    )
    distance = rng.uniform(3.5, 8.0)
    position = target - distance * rotation[2]
    shift = rng.uniform(-off_centre, off_centre, 2) * size
    centre = (size[0] / 2 + float(shift[0]), size[1] / 2 + float(shift[1]))
    return render.Camera(
        float(tall * distance), centre, rotation=rotation, position=position, size=size
    )


def side_by_side(n: int, rng: np.random.Generator) -> Floats:
    """Return places (n, 3) on the ground for n people, near enough to hide one another."""
    gaps = rng.uniform(0.5, 1.3, n)
    across = np.cumsum(gaps) - gaps[0]
    places = np.zeros((n, 3))
    places[:, 0] = across - across.mean()
    places[:, 2] = rng.uniform(-0.9, 0.9, n) if n > 1 else 0.0
    return places
