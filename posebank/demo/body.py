"""A generated body: proportions, anatomical angles with limits, the 30 bones of CMU's skeletons.

A pose is a row of anatomical angles (``ANGLES``), which are what a motion is written in. From them
follow the channels of an Acclaim skeleton (ASF/AMC, as CMU and HDM05 have it), and from those
channels, by forward kinematics, every point of the body: what is rendered and called the truth is
exactly what the files say.

Convention
----------
The body at rest faces +z, its left is +x, y is up. Anatomical angles are zero in a person who
stands upright with arms hanging. Positive: ``*_flex`` bends forward (the knee: heel to buttock, the
elbow: hand to shoulder), ``*_abd`` moves a limb outwards, ``*_rot`` turns it inwards about its own
length; ``*_side`` leans and ``*_twist`` turns to the body's own left. An arm or a leg turns by
``Rx(-flex) Rz(+-abd) Ry(+-rot)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from posebank.geometry.rotations import axis_rotation, fixed_axes_rotation
from posebank.mocap.joints import ACCLAIM_BONE, HEAD_TOP_IN_BONE_LENGTHS
from posebank.skeleton import JOINT_NAMES

Floats = NDArray[np.float64]

_LIMB_ANGLES = {
    "hip_flex": (-35, 140), "hip_abd": (-30, 85), "hip_rot": (-50, 50),
    "knee_flex": (0, 150), "ankle_flex": (-45, 30),
    "clavicle_up": (-8, 30),
    "shoulder_flex": (-65, 190), "shoulder_abd": (-45, 150), "shoulder_rot": (-90, 90),
    "elbow_flex": (0, 150), "wrist_turn": (-80, 80), "wrist_flex": (-70, 70),
}  # fmt: skip
_TRUNK_ANGLES = {
    "spine_flex": (-55, 85), "spine_side": (-45, 45), "spine_twist": (-55, 55),
    "neck_flex": (-60, 60), "neck_side": (-45, 45), "neck_twist": (-75, 75),
}  # fmt: skip
_ROOT_ANGLES = {"yaw": (-1e4, 1e4), "pitch": (-1e4, 1e4), "roll": (-1e4, 1e4)}

LIMITS_DEG: Mapping[str, tuple[float, float]] = {
    **_ROOT_ANGLES,
    **_TRUNK_ANGLES,
    **{f"{s}_{name}": limits for name, limits in _LIMB_ANGLES.items() for s in "rl"},
}
"""Anatomical angle -> its limits in degrees. The pelvis (yaw, pitch, roll) turns freely."""

ANGLES: tuple[str, ...] = tuple(LIMITS_DEG)
_ANGLE_COLUMN = {name: column for column, name in enumerate(ANGLES)}

METRES_PER_UNIT = 0.0254 / 0.45
"""ASF lengths are inches times 0.45."""


@dataclass(frozen=True)
class BoneForm:
    """What every subject's ASF has in common: a bone's axis, degrees of freedom and limits."""

    parent: str
    axis_deg: tuple[float, float, float]
    dof: tuple[str, ...]
    limits_deg: tuple[tuple[float, float], ...]


def _mirrored_form(form: BoneForm) -> BoneForm:
    """The right side's bone: reflected in x = 0, angles about y and z change their sign."""
    limits = tuple(
        (low, high) if d == "rx" else (-high, -low)
        for d, (low, high) in zip(form.dof, form.limits_deg, strict=True)
    )
    x, y, z = form.axis_deg
    parent = "r" + form.parent[1:] if form.parent not in ("root", "thorax") else form.parent
    return BoneForm(parent, (x, -y, -z), form.dof, limits)


_SPINE_LIMITS = ((-20.0, 45.0), (-30.0, 30.0), (-30.0, 30.0))
_XYZ = ("rx", "ry", "rz")
_LEFT_LEG = {
    "lhipjoint": BoneForm("root", (0, 0, 0), (), ()),
    "lfemur": BoneForm("lhipjoint", (0, 0, 20), _XYZ, ((-160, 20), (-70, 70), (-60, 70))),
    "ltibia": BoneForm("lfemur", (0, 0, 20), ("rx",), ((-10, 170),)),
    "lfoot": BoneForm("ltibia", (-90, 0, 20), ("rx", "rz"), ((-45, 90), (-70, 20))),
    "ltoes": BoneForm("lfoot", (-90, 0, 20), ("rx",), ((-90, 20),)),
}
_TRUNK = {
    name: BoneForm(parent, (0, 0, 0), _XYZ, _SPINE_LIMITS)
    for name, parent in (
        ("lowerback", "root"),
        ("upperback", "lowerback"),
        ("thorax", "upperback"),
        ("lowerneck", "thorax"),
        ("upperneck", "lowerneck"),
        ("head", "upperneck"),
    )
}
_LEFT_ARM = {
    "lclavicle": BoneForm("thorax", (0, 0, 0), ("ry", "rz"), ((-20, 10), (0, 20))),
    "lhumerus": BoneForm("lclavicle", (180, -30, -90), _XYZ, ((-60, 90), (-90, 90), (-90, 90))),
    "lradius": BoneForm("lhumerus", (180, -30, -90), ("rx",), ((-10, 170),)),
    "lwrist": BoneForm("lradius", (0, 90, 90), ("ry",), ((-180, 0),)),
    "lhand": BoneForm("lwrist", (0, 90, 90), ("rx", "rz"), ((-90, 90), (-45, 45))),
    "lfingers": BoneForm("lhand", (0, 90, 90), ("rx",), ((0, 90),)),
    "lthumb": BoneForm("lwrist", (-90, 45, 0), ("rx", "rz"), ((-45, 45), (-45, 45))),
}


def _right(forms: Mapping[str, BoneForm]) -> dict[str, BoneForm]:
    return {"r" + name[1:]: _mirrored_form(form) for name, form in forms.items()}


BONES: Mapping[str, BoneForm] = {
    **_LEFT_LEG,
    **_right(_LEFT_LEG),
    **_TRUNK,
    **_LEFT_ARM,
    **_right(_LEFT_ARM),
}
"""The 30 bones in the order of an ASF file, parents before children."""

AXES: Mapping[str, Floats] = {
    name: fixed_axes_rotation("xyz", np.deg2rad(form.axis_deg)) for name, form in BONES.items()
}

# Standing, the elbow's axis points to the body's right: the forearm flexes forward.
_ARM_NEUTRAL = axis_rotation("y", np.pi)

HEAD_TOP = 1 + HEAD_TOP_IN_BONE_LENGTHS
"""The head top lies this many lengths of the bone ``head`` from its start, as in real ASF files."""


@dataclass(frozen=True)
class Subject:
    """A body of its own proportions.

    offsets : bone -> (3,) from its start to its end at rest, metres.
    girth : thickness of the limbs relative to a slim adult's (rendering only).
    """

    name: str
    offsets: Mapping[str, Floats]
    girth: float

    @property
    def height(self) -> float:
        """Ankle to head top when standing, metres."""
        trunk = ("lowerback", "upperback", "thorax", "lowerneck", "upperneck", "head")
        leg = sum(float(np.linalg.norm(self.offsets[b])) for b in ("lfemur", "ltibia"))
        back = sum(float(self.offsets[b][1]) for b in trunk)
        above = HEAD_TOP_IN_BONE_LENGTHS * float(self.offsets["head"][1])
        return leg - float(self.offsets["lhipjoint"][1]) + back + above


def make_subject(name: str, rng: np.random.Generator) -> Subject:
    """Draw a subject: stature about 1.5 to 1.95 m; legs, arms, trunk, shoulders, hips vary."""
    stature = np.clip(rng.normal(1.0, 0.055), 0.87, 1.12)

    def vary(spread: float) -> float:
        return float(stature * np.clip(rng.normal(1.0, spread), 1 - 2.5 * spread, 1 + 2.5 * spread))

    leg, arm, trunk = vary(0.03), vary(0.035), vary(0.03)
    shoulders, hips, neck = vary(0.05), vary(0.07), vary(0.05)
    thigh_share = rng.normal(1.0, 0.02)
    outwards = np.array([np.sin(np.deg2rad(20)), -np.cos(np.deg2rad(20)), 0.0])
    forwards = np.array([0.0, -0.26, 0.966])
    foot = axis_rotation("z", np.deg2rad(20)) @ forwards
    left = {
        "lhipjoint": np.array([0.088 * hips, -0.098 * trunk, 0.03 * trunk]),
        "lfemur": 0.425 * leg * thigh_share * outwards,
        "ltibia": 0.408 * leg / thigh_share * outwards,
        "lfoot": 0.132 * leg * foot,
        "ltoes": 0.064 * leg * np.array([0.0, 0.0, 1.0]),
        "lclavicle": np.array([0.182 * shoulders, 0.042 * trunk, -0.01 * trunk]),
        "lhumerus": 0.288 * arm * np.array([1.0, 0.0, 0.0]),
        "lradius": 0.172 * arm * np.array([1.0, 0.0, 0.0]),
        "lwrist": 0.086 * arm * np.array([1.0, 0.0, 0.0]),
        "lhand": 0.062 * arm * np.array([1.0, 0.0, 0.0]),
        "lfingers": 0.05 * arm * np.array([1.0, 0.0, 0.0]),
        "lthumb": 0.05 * arm * np.array([0.7071, 0.0, 0.7071]),
    }
    offsets = {
        "lowerback": 0.113 * trunk * np.array([0.0, 0.998, -0.06]),
        "upperback": 0.117 * trunk * np.array([0.0, 1.0, -0.025]),
        "thorax": 0.118 * trunk * np.array([0.0, 1.0, 0.01]),
        "lowerneck": 0.083 * neck * np.array([0.0, 0.99, 0.12]),
        "upperneck": 0.084 * neck * np.array([0.0, 0.998, 0.05]),
        "head": 0.089 * neck * np.array([0.0, 0.999, -0.02]),
        **left,
        **{"r" + bone[1:]: v * np.array([-1.0, 1.0, 1.0]) for bone, v in left.items()},
    }
    girth = float(np.clip(rng.normal(1.0, 0.12), 0.78, 1.35))
    return Subject(name, {bone: offsets[bone] for bone in BONES}, girth)


def within_limits(angles_deg: Floats) -> Floats:
    """Return the angles (..., len(ANGLES)) clipped to ``LIMITS_DEG``."""
    low, high = np.array([LIMITS_DEG[a] for a in ANGLES]).T
    return np.clip(angles_deg, low, high)


class Anatomy:
    """Rotations of body parts for anatomical angles (n, len(ANGLES)) in degrees."""

    def __init__(self, angles_deg: Floats) -> None:
        self._radians = np.deg2rad(angles_deg)

    def angle(self, name: str) -> Floats:
        """Return one angle, (n,) radians."""
        return self._radians[:, _ANGLE_COLUMN[name]]

    def pelvis(self) -> Floats:
        """Return the rotation from pelvis to world, (n, 3, 3)."""
        return (
            axis_rotation("y", self.angle("yaw"))
            @ axis_rotation("z", self.angle("roll"))
            @ axis_rotation("x", self.angle("pitch"))
        )

    def trunk(self, part: str, share: float) -> Floats:
        """Return a share of the bend of ``spine`` or ``neck``, (n, 3, 3)."""
        return (
            axis_rotation("y", share * self.angle(f"{part}_twist"))
            @ axis_rotation("z", -share * self.angle(f"{part}_side"))
            @ axis_rotation("x", share * self.angle(f"{part}_flex"))
        )

    def clavicle(self, side: str) -> Floats:
        """Return the rotation of the clavicle relative to the thorax, (n, 3, 3)."""
        return axis_rotation("z", (1 if side == "l" else -1) * self.angle(f"{side}_clavicle_up"))

    def limb(self, side: str, joint: str) -> Floats:
        """Return the rotation (n, 3, 3) of a thigh (``hip``) or upper arm relative to its parent.

        In its own frame the limb points along -y and its hinge turns about +x.
        """
        sign = 1 if side == "l" else -1
        turn = (
            axis_rotation("x", -self.angle(f"{side}_{joint}_flex"))
            @ axis_rotation("z", sign * self.angle(f"{side}_{joint}_abd"))
            @ axis_rotation("y", -sign * self.angle(f"{side}_{joint}_rot"))
        )
        return turn @ _ARM_NEUTRAL if joint == "shoulder" else turn


def euler_deg(rotations: Floats, order: str) -> Floats:
    """Return angles (n, 3), degrees, ``R = R_order[0] R_order[1] R_order[2]``, without jumps."""
    # scipy warns at a gimbal lock, where one of many equal answers is as good as another.
    flat = Rotation.from_matrix(rotations).as_euler(order.upper(), suppress_warnings=True)
    result: Floats = np.rad2deg(np.unwrap(flat, axis=0))
    return result


def channels(angles_deg: Floats) -> dict[str, Floats]:
    """Return AMC values, degrees, of each bone that can turn, and of ``root`` (rx ry rz).

    Parameters
    ----------
    angles_deg : array (n, len(ANGLES))
        Anatomical angles, degrees.

    Returns
    -------
    bone -> (n, number of dof), in the order of its ``dof``.
    """
    anatomy = Anatomy(angles_deg)
    n = len(angles_deg)

    def ball(matrix: Floats) -> Floats:
        return euler_deg(matrix, "zyx")[:, ::-1]

    def degrees(name: str) -> Floats:
        return np.rad2deg(anatomy.angle(name))

    out = {"root": ball(anatomy.pelvis())}
    for part, bones in (
        ("spine", ("lowerback", "upperback", "thorax")),
        ("neck", ("lowerneck", "upperneck", "head")),
    ):
        third = ball(anatomy.trunk(part, 1 / 3))
        out.update(dict.fromkeys(bones, third))
    for s, sign in (("l", 1.0), ("r", -1.0)):
        zero = np.zeros(n)
        out[f"{s}femur"] = ball(AXES[f"{s}femur"].T @ anatomy.limb(s, "hip"))
        out[f"{s}tibia"] = degrees(f"{s}_knee_flex")[:, None]
        out[f"{s}foot"] = np.stack([-degrees(f"{s}_ankle_flex"), zero], -1)
        out[f"{s}toes"] = zero[:, None]
        out[f"{s}clavicle"] = np.stack([zero, sign * degrees(f"{s}_clavicle_up")], -1)
        out[f"{s}humerus"] = ball(AXES[f"{s}humerus"].T @ anatomy.limb(s, "shoulder"))
        out[f"{s}radius"] = degrees(f"{s}_elbow_flex")[:, None]
        out[f"{s}wrist"] = degrees(f"{s}_wrist_turn")[:, None]
        out[f"{s}hand"] = np.stack([degrees(f"{s}_wrist_flex"), zero], -1)
        out[f"{s}fingers"] = np.full((n, 1), 7.125)
        out[f"{s}thumb"] = np.stack([zero, zero], -1)
    return {bone: out[bone] for bone in ("root", *BONES) if bone in out}


@dataclass(frozen=True)
class Posed:
    """A subject in n poses.

    ends : bone (and ``root``) -> (n, 3) its end, metres.
    frames : bone (and ``root``) -> (n, 3, 3) its rotation from rest.
    """

    ends: Mapping[str, Floats]
    frames: Mapping[str, Floats]

    def joints(self) -> Floats:
        """Return the 13 joints, (n, 13, 3)."""
        ends = {**self.ends, "head": self.head_top()}
        return np.stack([ends[ACCLAIM_BONE[name]] for name in JOINT_NAMES], axis=1)

    def head_top(self) -> Floats:
        """Return the top of the head, (n, 3)."""
        neck = self.ends["upperneck"]
        return neck + HEAD_TOP * (self.ends["head"] - neck)


def pose(subject: Subject, values: Mapping[str, Floats], root: Floats) -> Posed:
    """Compute forward kinematics of AMC values (as from ``channels``).

    Parameters
    ----------
    subject : Subject
        Limb lengths of the person.
    values : mapping
        Angles by name, degrees.
    root : array (n, 3)
        Position of the root, metres.
    """
    frames = {"root": fixed_axes_rotation("xyz", np.deg2rad(values["root"]))}
    ends = {"root": root}
    for bone, form in BONES.items():
        frame = frames[form.parent]
        if form.dof:
            order = "".join(d[1] for d in form.dof)
            turn = fixed_axes_rotation(order, np.deg2rad(values[bone]))
            frame = frame @ AXES[bone] @ turn @ AXES[bone].T
        frames[bone] = frame
        ends[bone] = ends[form.parent] + frame @ subject.offsets[bone]
    return Posed(ends, frames)


def standing_on_ground(subject: Subject, values: Mapping[str, Floats], above: Floats) -> Floats:
    """Return the root's height (n,) at which the lowest point is ``above`` (n,) the ground.

    The body is taken a few centimetres thick, whatever part rests on the ground.
    """
    posed = pose(subject, values, np.zeros((len(above), 3)))
    lowest = np.min([end[:, 1] for end in posed.ends.values()], axis=0)
    result: Floats = above - lowest + 0.06
    return result
