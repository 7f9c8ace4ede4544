"""What the generated people do: each motion is a function of time giving anatomical angles.

A motion is written for one side (it kicks, throws and waves with the right); ``perform`` reflects
half of the performances, and gives each its own tempo, size, habits (constant offsets of the
angles) and small irregular movements, so that no two are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from posebank.demo.body import ANGLES, Floats, within_limits

Angles = Mapping[str, Floats | float]
Motion = Callable[[Floats, np.random.Generator], Angles]

NEUTRAL: Angles = {
    **{f"{s}_shoulder_abd": 9.0 for s in "rl"},
    **{f"{s}_shoulder_flex": 3.0 for s in "rl"},
    **{f"{s}_elbow_flex": 18.0 for s in "rl"},
    **{f"{s}_knee_flex": 4.0 for s in "rl"},
    **{f"{s}_hip_abd": 3.0 for s in "rl"},
    **{f"{s}_wrist_turn": -30.0 for s in "rl"},
}

UP, FORWARD = "up", "forward"
"""Besides angles a motion may give how far (metres) the body is off the ground and has moved."""

_TURNING = ("yaw", "roll", "spine_side", "spine_twist", "neck_side", "neck_twist")


def both(**angles: float) -> dict[str, float]:
    """Return the same angles for the right and the left limb."""
    return {f"{s}_{name}": value for name, value in angles.items() for s in "rl"}


def _keyframes(
    t: Floats,
    keys: Sequence[tuple[float, Mapping[str, float]]],
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Go through key poses and back again, for ever, at a tempo of this performance's own.

    keys : (seconds spent from this key to the next, angles that differ from neutral).
    Targets vary by some 10% from one round to the next.
    """
    tempo = rng.uniform(0.8, 1.25)
    durations = np.array([duration for duration, _ in keys]) * tempo
    names = sorted({name for _, angles in keys for name in angles})
    start = rng.uniform(0, durations.sum())
    rounds = int(np.ceil((t[-1] + start) / durations.sum())) + 2
    when = np.concatenate([[0.0], np.cumsum(np.tile(durations, rounds))])[:-1]
    table = np.array([[angles.get(n, NEUTRAL.get(n, 0.0)) for n in names] for _, angles in keys])
    table = np.tile(table, (rounds, 1)) * rng.normal(1.0, 0.08, (rounds * len(keys), len(names)))
    curve = PchipInterpolator(when, table, axis=0)(t + start)
    return dict(zip(names, curve.T, strict=True))


def _phase(t: Floats, rng: np.random.Generator, hertz: float) -> Floats:
    return 2 * np.pi * (hertz * rng.uniform(0.85, 1.15) * t + rng.uniform())


def _gait(
    t: Floats,
    rng: np.random.Generator,
    *,
    hertz: float,
    speed: float,
    hip: tuple[float, float],
    knee: tuple[float, float],
    arm: float,
    elbow: float,
    lean: float,
    hop: float = 0.0,
) -> dict[str, Floats | float]:
    """Alternate steps. hip, knee: (mean, amplitude)."""
    phase = _phase(t, rng, hertz)
    size = rng.uniform(0.8, 1.2)
    out: dict[str, Floats | float] = {
        "pitch": lean * 0.5,
        "spine_flex": lean * 0.5,
        "spine_twist": -0.35 * arm * np.sin(phase),
        "roll": 3 * np.sin(phase),
        FORWARD: speed * t * size,
        UP: hop * np.abs(np.sin(phase)),
    }
    for side, shift in (("r", 0.0), ("l", np.pi)):
        p = phase + shift
        swing = np.maximum(0.0, np.sin(p + 0.3 * np.pi)) ** 2
        out[f"{side}_hip_flex"] = hip[0] + lean * 0.5 + size * hip[1] * np.sin(p)
        out[f"{side}_knee_flex"] = knee[0] + size * knee[1] * swing
        out[f"{side}_ankle_flex"] = 8 * np.sin(p) - 12 * swing
        out[f"{side}_shoulder_flex"] = -size * arm * np.sin(p)
        out[f"{side}_elbow_flex"] = elbow + 0.35 * arm * np.sin(p + np.pi)
    return out


def walk(t: Floats, rng: np.random.Generator) -> Angles:
    """Walk."""
    return _gait(t, rng, hertz=0.95, speed=1.3, hip=(5, 26), knee=(6, 58), arm=26, elbow=22,
                 lean=4)  # fmt: skip


def run(t: Floats, rng: np.random.Generator) -> Angles:
    """Run."""
    return _gait(t, rng, hertz=1.45, speed=3.4, hip=(14, 44), knee=(18, 92), arm=46, elbow=88,
                 lean=14, hop=0.10)  # fmt: skip


def march(t: Floats, rng: np.random.Generator) -> Angles:
    """Walk with knees lifted high."""
    return _gait(t, rng, hertz=0.8, speed=0.9, hip=(32, 46), knee=(8, 98), arm=52, elbow=35,
                 lean=0)  # fmt: skip


def sneak(t: Floats, rng: np.random.Generator) -> Angles:
    """Walk in a crouch."""
    return _gait(t, rng, hertz=0.55, speed=0.6, hip=(48, 24), knee=(58, 38), arm=18, elbow=75,
                 lean=46)  # fmt: skip


def climb(t: Floats, rng: np.random.Generator) -> Angles:
    """Climb a ladder."""
    phase = _phase(t, rng, 0.5)
    out: dict[str, Floats | float] = {"pitch": 6.0, UP: 0.3, "neck_flex": -15.0}
    for side, shift in (("r", 0.0), ("l", np.pi)):
        s = np.sin(phase + shift)
        out[f"{side}_hip_flex"] = 42 + 38 * s
        out[f"{side}_knee_flex"] = 50 + 42 * s
        out[f"{side}_shoulder_flex"] = 125 + 35 * s
        out[f"{side}_elbow_flex"] = 48 - 30 * s
    return out


def side_step(t: Floats, rng: np.random.Generator) -> Angles:
    """Shuffle sideways like a defender."""
    phase = _phase(t, rng, 1.1)
    return {
        **both(knee_flex=50, hip_flex=55, shoulder_flex=30, shoulder_abd=45, elbow_flex=60),
        "pitch": 18.0,
        "r_hip_abd": 18 + 14 * np.sin(phase),
        "l_hip_abd": 18 - 14 * np.sin(phase),
    }


def dance(t: Floats, rng: np.random.Generator) -> Angles:
    """Dance on the spot."""
    phase, slow = _phase(t, rng, 0.9), _phase(t, rng, 0.35)
    s, c = np.sin(phase), np.cos(slow)
    return {
        "yaw": 60 * np.sin(slow),
        "spine_side": 14 * s,
        "spine_twist": 18 * c,
        "roll": -6 * s,
        "r_hip_flex": 18 + 16 * s,
        "l_hip_flex": 18 - 16 * s,
        "r_knee_flex": 28 + 24 * s,
        "l_knee_flex": 28 - 24 * s,
        "r_shoulder_abd": 55 + 45 * c,
        "l_shoulder_abd": 55 - 45 * np.sin(slow + 0.8),
        "r_shoulder_flex": 35 * s,
        "l_shoulder_flex": -35 * s,
        "r_elbow_flex": 55 + 35 * c,
        "l_elbow_flex": 55 - 35 * s,
    }


def box(t: Floats, rng: np.random.Generator) -> Angles:
    """Punch with alternate fists."""
    phase = _phase(t, rng, 0.9)
    r, left = np.maximum(0, np.sin(phase)) ** 3, np.maximum(0, -np.sin(phase)) ** 3
    return {
        **both(hip_flex=16, hip_abd=10, knee_flex=26),
        "r_hip_flex": -8.0, "l_hip_flex": 26.0, "spine_flex": 8.0,
        "spine_twist": 32 * r - 28 * left,
        "r_shoulder_flex": 38 + 52 * r, "l_shoulder_flex": 38 + 52 * left,
        "r_elbow_flex": 128 - 118 * r, "l_elbow_flex": 128 - 118 * left,
        **both(shoulder_rot=20.0),
    }  # fmt: skip


def jump(t: Floats, rng: np.random.Generator) -> Angles:
    """Jump up, arms swinging."""
    crouch = both(hip_flex=72, knee_flex=88, ankle_flex=22, shoulder_flex=-45, elbow_flex=15)
    flight = both(hip_flex=-4, knee_flex=8, ankle_flex=-38, shoulder_flex=165, elbow_flex=12)
    tuck = both(hip_flex=48, knee_flex=74, shoulder_flex=110, shoulder_abd=30)
    return _keyframes(
        t,
        [
            (0.5, {}),
            (0.35, {**crouch, "pitch": 38}),
            (0.2, {**flight, UP: 0.1}),
            (0.25, {**tuck, "pitch": 12, UP: 0.45}),
            (0.3, {**flight, UP: 0.05}),
            (0.4, {**crouch, "pitch": 32}),
        ],
        rng,
    )


def hop(t: Floats, rng: np.random.Generator) -> Angles:
    """Hop on the left leg."""
    bounce = np.abs(np.sin(_phase(t, rng, 1.0)))
    return {
        "r_hip_flex": 34 + 10 * bounce,
        "r_knee_flex": 84 + 8 * bounce,
        "l_knee_flex": 34 - 26 * bounce,
        "l_hip_flex": 20 - 14 * bounce,
        UP: 0.16 * bounce,
        **both(shoulder_abd=38, elbow_flex=62),
        "r_shoulder_flex": 22 * bounce,
        "pitch": 6.0,
    }


def throw_overhand(t: Floats, rng: np.random.Generator) -> Angles:
    """Throw a ball as a pitcher does."""
    return _keyframes(t, [
        (0.5, both(shoulder_flex=35, elbow_flex=85)),
        (0.45, {"l_hip_flex": 84, "l_knee_flex": 92, "spine_twist": -34, "yaw": -40,
                **both(shoulder_flex=48, elbow_flex=105)}),
        (0.25, {"r_shoulder_abd": 98, "r_shoulder_rot": -82, "r_elbow_flex": 92,
                "r_shoulder_flex": 0, "l_shoulder_flex": 78, "l_shoulder_abd": 24,
                "l_elbow_flex": 12, "l_hip_flex": 46, "l_hip_abd": 16, "l_knee_flex": 22,
                "r_hip_flex": -22, "spine_twist": -38, "spine_flex": -14, "yaw": -24}),
        (0.3, {"r_shoulder_flex": 96, "r_shoulder_abd": 10, "r_elbow_flex": 16,
               "l_hip_flex": 68, "l_knee_flex": 44, "r_hip_flex": -20, "r_knee_flex": 38,
               "spine_twist": 36, "spine_flex": 34, "pitch": 24, "l_elbow_flex": 92}),
        (0.5, {"r_shoulder_flex": 42, "r_shoulder_abd": -30, "r_elbow_flex": 24,
               "l_hip_flex": 84, "l_knee_flex": 38, "spine_flex": 46, "spine_twist": 44,
               "pitch": 30, "r_hip_flex": 8, "r_knee_flex": 58}),
    ], rng)  # fmt: skip


def golf(t: Floats, rng: np.random.Generator) -> Angles:
    """Swing a golf club."""
    stance = {"pitch": 26, "spine_flex": 16, **both(hip_flex=32, knee_flex=22, hip_abd=12)}
    return _keyframes(t, [
        (0.8, {**stance, **both(shoulder_flex=48, shoulder_abd=-14, elbow_flex=6)}),
        (0.35, {**stance, "spine_twist": -52, "yaw": -32, "r_shoulder_flex": 74,
                "r_elbow_flex": 98, "r_shoulder_abd": 34, "l_shoulder_flex": 96,
                "l_shoulder_abd": -42, "l_elbow_flex": 12}),
        (0.25, {**stance, **both(shoulder_flex=44, shoulder_abd=-14, elbow_flex=4)}),
        (0.9, {"spine_twist": 52, "yaw": 58, "spine_flex": -12, "l_shoulder_flex": 92,
               "l_elbow_flex": 112, "l_shoulder_abd": 44, "r_shoulder_flex": 122,
               "r_shoulder_abd": -38, "r_elbow_flex": 42, "r_knee_flex": 38, "r_hip_flex": 8}),
    ], rng)  # fmt: skip


def shoot_hoops(t: Floats, rng: np.random.Generator) -> Angles:
    """Dribble low, then shoot a basketball."""
    low = {
        "pitch": 24,
        **both(hip_flex=52, knee_flex=58),
        "l_shoulder_flex": 30,
        "l_elbow_flex": 72,
    }
    return _keyframes(t, [
        (0.25, {**low, "r_shoulder_flex": 32, "r_elbow_flex": 82}),
        (0.25, {**low, "r_shoulder_flex": 18, "r_elbow_flex": 28}),
        (0.3, {**low, "r_shoulder_flex": 34, "r_elbow_flex": 86}),
        (0.3, {**both(shoulder_flex=104, elbow_flex=118, knee_flex=42, hip_flex=32)}),
        (0.5, {**both(shoulder_flex=158, elbow_flex=8), "l_elbow_flex": 44, UP: 0.2,
               "r_wrist_flex": 50, "neck_flex": -18}),
    ], rng)  # fmt: skip


def serve(t: Floats, rng: np.random.Generator) -> Angles:
    """Serve at tennis."""
    return _keyframes(t, [
        (0.5, both(shoulder_flex=32, elbow_flex=40)),
        (0.5, {"l_shoulder_flex": 168, "l_elbow_flex": 4, "r_shoulder_abd": 92,
               "r_elbow_flex": 104, "r_shoulder_rot": -72, "spine_flex": -26, "spine_side": -12,
               "yaw": -48, **both(knee_flex=46, hip_flex=20), "neck_flex": -42}),
        (0.25, {"r_shoulder_flex": 172, "r_elbow_flex": 6, "r_shoulder_abd": 20, UP: 0.18,
                "l_shoulder_flex": 60, "l_elbow_flex": 92, "spine_side": 20, "neck_flex": -34}),
        (0.6, {"r_shoulder_flex": 46, "r_shoulder_abd": -32, "r_elbow_flex": 32, "pitch": 32,
               "spine_flex": 30, "l_hip_flex": 58, "l_knee_flex": 34, "r_hip_flex": -22,
               "r_knee_flex": 62, "spine_twist": 34}),
    ], rng)  # fmt: skip


def wave(t: Floats, rng: np.random.Generator) -> Angles:
    """Stand and wave."""
    phase = _phase(t, rng, 1.3)
    return {
        "r_shoulder_abd": rng.uniform(70, 150),
        "r_shoulder_flex": rng.uniform(0, 20),
        "r_shoulder_rot": -75 + 12 * np.sin(phase),
        "r_elbow_flex": 62 + 32 * np.sin(phase),
        "l_elbow_flex": rng.uniform(5, 90),
        "yaw": 10 * np.sin(phase / 7),
    }


def reach_up(t: Floats, rng: np.random.Generator) -> Angles:
    """Take something from a high shelf and put it on a table."""
    return _keyframes(t, [
        (0.8, {}),
        (0.7, {"r_shoulder_flex": 160, "r_elbow_flex": 6, "r_clavicle_up": 22, "spine_side": -10,
               "neck_flex": -30, **both(ankle_flex=-30)}),
        (0.8, {**both(shoulder_flex=62, elbow_flex=76), "spine_flex": 8}),
        (0.7, {**both(shoulder_flex=72, elbow_flex=14), "spine_flex": 30, "pitch": 16,
               **both(hip_flex=18)}),
    ], rng)  # fmt: skip


def squat(t: Floats, rng: np.random.Generator) -> Angles:
    """Squat down and up, arms ahead."""
    arms = both(shoulder_flex=84, elbow_flex=8, shoulder_abd=0)
    return _keyframes(t, [
        (0.7, arms),
        (0.6, {**arms, **both(hip_flex=122, knee_flex=132, hip_abd=22, ankle_flex=28),
               "pitch": 30, "spine_flex": 12}),
    ], rng)  # fmt: skip


def kick_front(t: Floats, rng: np.random.Generator) -> Angles:
    """Kick forward."""
    guard = both(shoulder_flex=38, elbow_flex=112)
    return _keyframes(
        t,
        [
            (0.5, {**guard, "r_hip_flex": -14, "l_knee_flex": 16}),
            (0.25, {**guard, "r_hip_flex": 96, "r_knee_flex": 112, "pitch": -10}),
            (
                0.3,
                {
                    "r_hip_flex": 104,
                    "r_knee_flex": 6,
                    "pitch": -24,
                    "spine_flex": 8,
                    "l_hip_flex": -20,
                    "r_shoulder_flex": -38,
                    "l_shoulder_flex": 52,
                    **both(elbow_flex=42),
                },
            ),
            (0.35, {**guard, "r_hip_flex": 82, "r_knee_flex": 104}),
        ],
        rng,
    )


def kick_side(t: Floats, rng: np.random.Generator) -> Angles:
    """Kick to the side."""
    guard = both(shoulder_flex=36, elbow_flex=116)
    return _keyframes(
        t,
        [
            (0.5, {**guard, "l_knee_flex": 18, "r_knee_flex": 18}),
            (0.3, {**guard, "r_hip_flex": 82, "r_hip_abd": 34, "r_knee_flex": 118, "roll": 14}),
            (
                0.35,
                {
                    **guard,
                    "r_hip_abd": 82,
                    "r_hip_flex": 14,
                    "r_knee_flex": 6,
                    "roll": 38,
                    "l_hip_abd": 28,
                    "spine_side": -12,
                },
            ),
            (0.4, {**guard, "r_hip_flex": 74, "r_hip_abd": 26, "r_knee_flex": 108}),
        ],
        rng,
    )


def throw_sitting(t: Floats, rng: np.random.Generator) -> Angles:
    """Sit on the floor and throw with both hands."""
    seat = {"pitch": -12, **both(hip_flex=82, knee_flex=18, hip_abd=18)}
    return _keyframes(t, [
        (0.6, {**seat, **both(shoulder_flex=52, elbow_flex=82)}),
        (0.4, {**seat, **both(shoulder_flex=176, elbow_flex=98), "spine_flex": -16}),
        (0.4, {**seat, **both(shoulder_flex=98, elbow_flex=8), "spine_flex": 34}),
    ], rng)  # fmt: skip


def sit_chair(t: Floats, rng: np.random.Generator) -> Angles:
    """Sit down on a chair, stay, stand up."""
    seat = both(hip_flex=88, knee_flex=92, hip_abd=10)
    return _keyframes(t, [
        (0.5, {}),
        (0.4, {**both(hip_flex=92, knee_flex=72), "pitch": 38, "spine_flex": 16}),
        (0.9, {**seat, "pitch": -6, **both(shoulder_flex=24, elbow_flex=58)}),
        (0.8, {**seat, "spine_flex": 18, "spine_twist": 24, "r_shoulder_flex": 66,
               "r_elbow_flex": 42}),
        (0.8, {**seat, "pitch": -12, "r_hip_rot": -34, "r_hip_flex": 108, "r_knee_flex": 84,
               **both(shoulder_flex=30, elbow_flex=74)}),
        (0.5, {**both(hip_flex=98, knee_flex=78), "pitch": 42, "spine_flex": 12}),
    ], rng)  # fmt: skip


def sit_floor(t: Floats, rng: np.random.Generator) -> Angles:
    """Sit cross-legged on the floor and lean about."""
    seat = both(hip_flex=92, knee_flex=126, hip_abd=48, hip_rot=-44)
    return _keyframes(t, [
        (0.9, {**seat, **both(shoulder_flex=30, elbow_flex=48)}),
        (0.9, {**seat, "spine_flex": 42, **both(shoulder_flex=58, elbow_flex=38)}),
        (0.9, {**seat, "spine_twist": 38, "r_shoulder_flex": 74, "l_shoulder_flex": -32}),
        (0.9, {"pitch": -22, **both(hip_flex=68, knee_flex=10, shoulder_flex=-42)}),
    ], rng)  # fmt: skip


def lie_back(t: Floats, rng: np.random.Generator) -> Angles:
    """Lie on the back, pull up the knees, sit up."""
    flat = {"pitch": -90, **both(shoulder_abd=28)}
    return _keyframes(t, [
        (0.9, flat),
        (0.8, {**flat, **both(hip_flex=68, knee_flex=104)}),
        (0.8, {**flat, "r_hip_flex": 96, "r_knee_flex": 92, **both(shoulder_flex=168)}),
        (0.8, {"pitch": -58, "spine_flex": 52, **both(hip_flex=58, knee_flex=84,
               shoulder_flex=62)}),
    ], rng)  # fmt: skip


def lie_front(t: Floats, rng: np.random.Generator) -> Angles:
    """Lie face down, push up, rest on the elbows."""
    return _keyframes(t, [
        (0.9, {"pitch": 90, "neck_twist": 54, **both(shoulder_abd=58, elbow_flex=88)}),
        (0.8, {"pitch": 66, **both(shoulder_flex=78, elbow_flex=4, ankle_flex=-30)}),
        (0.8, {"pitch": 82, **both(shoulder_flex=68, elbow_flex=82, shoulder_abd=28)}),
        (0.8, {"pitch": 80, "spine_flex": -34, "neck_flex": -34, "r_knee_flex": 92,
               **both(shoulder_flex=88, elbow_flex=92)}),
    ], rng)  # fmt: skip


def crawl(t: Floats, rng: np.random.Generator) -> Angles:
    """Crawl on hands and knees."""
    s = np.sin(_phase(t, rng, 0.6))
    return {
        "pitch": 82.0, "neck_flex": -34.0, FORWARD: 0.5 * t, "spine_side": 8 * s,
        "r_hip_flex": 84 + 22 * s, "l_hip_flex": 84 - 22 * s,
        "r_knee_flex": 92 + 8 * s, "l_knee_flex": 92 - 8 * s,
        "r_shoulder_flex": 84 - 22 * s, "l_shoulder_flex": 84 + 22 * s,
        **both(elbow_flex=10, shoulder_abd=6, ankle_flex=-40),
    }  # fmt: skip


def deposit(t: Floats, rng: np.random.Generator) -> Angles:
    """Bend down and put something on the floor."""
    return _keyframes(t, [
        (0.7, both(shoulder_flex=42, elbow_flex=72)),
        (0.7, {"pitch": 52, "spine_flex": 42, **both(hip_flex=88, knee_flex=62, shoulder_flex=52,
               elbow_flex=8), "l_shoulder_flex": -8}),
        (0.7, {"pitch": 34, "spine_flex": 28, **both(hip_flex=118, knee_flex=122, shoulder_flex=66),
               "r_hip_flex": 72, "r_ankle_flex": 28}),
    ], rng)  # fmt: skip


def elbow_to_knee(t: Floats, rng: np.random.Generator) -> Angles:
    """Bring elbow and opposite knee together."""
    hands = both(shoulder_abd=84, elbow_flex=138, shoulder_rot=-70)
    return _keyframes(
        t,
        [
            (0.4, hands),
            (
                0.4,
                {
                    **hands,
                    "r_hip_flex": 104,
                    "r_knee_flex": 102,
                    "spine_flex": 36,
                    "spine_twist": -34,
                    "l_shoulder_flex": 48,
                },
            ),
            (0.4, hands),
            (
                0.4,
                {
                    **hands,
                    "l_hip_flex": 104,
                    "l_knee_flex": 102,
                    "spine_flex": 36,
                    "spine_twist": 34,
                    "r_shoulder_flex": 48,
                },
            ),
        ],
        rng,
    )


def jumping_jack(t: Floats, rng: np.random.Generator) -> Angles:
    """Jumping jacks."""
    s = 0.5 - 0.5 * np.cos(_phase(t, rng, 1.0))
    return {
        **{f"{side}_shoulder_abd": 12 + 132 * s for side in "rl"},
        **{f"{side}_hip_abd": 3 + 27 * s for side in "rl"},
        **both(elbow_flex=10),
        UP: 0.35 * s * (1 - s),
    }


def cartwheel(t: Floats, rng: np.random.Generator) -> Angles:
    """Cartwheels to the right, one after another."""
    turn = 360 * (rng.uniform(0.32, 0.45) * t + rng.uniform())
    over = 0.5 - 0.5 * np.cos(np.deg2rad(turn))
    return {
        "roll": -turn,
        FORWARD: 0.0,
        **{f"{s}_shoulder_abd": 100 + 45 * over for s in "rl"},
        **{f"{s}_hip_abd": 22 + 38 * over for s in "rl"},
        **{f"{s}_clavicle_up": 22 * over for s in "rl"},
        **both(elbow_flex=6, knee_flex=6),
        "r_hip_flex": 12 * over,
        "neck_flex": -22.0,
    }


def kneel(t: Floats, rng: np.random.Generator) -> Angles:
    """Go down on one knee, then on both."""
    return _keyframes(t, [
        (0.6, {"l_hip_flex": 92, "l_knee_flex": 92, "r_hip_flex": -4, "r_knee_flex": 92,
               "r_ankle_flex": -30, "l_shoulder_flex": 48, "l_elbow_flex": 52}),
        (0.8, {**both(hip_flex=2, knee_flex=92, ankle_flex=-40), "spine_flex": 8}),
        (0.8, {"pitch": 32, **both(hip_flex=112, knee_flex=142, ankle_flex=-40, shoulder_flex=96),
               "spine_flex": 38}),
        (0.6, {"l_hip_flex": 88, "l_knee_flex": 88, "r_hip_flex": 4, "r_knee_flex": 88,
               "spine_flex": 28, "pitch": 12, **both(shoulder_flex=66, elbow_flex=12)}),
    ], rng)  # fmt: skip


def toe_touch(t: Floats, rng: np.random.Generator) -> Angles:
    """Bend forward with straight legs until the hands are on the floor."""
    return _keyframes(t, [
        (0.9, {**both(shoulder_flex=172, elbow_flex=4), "spine_flex": -18}),
        (0.9, {"pitch": 66, "spine_flex": 66, **both(hip_flex=66, knee_flex=2, shoulder_flex=118,
               elbow_flex=4), "neck_flex": 32}),
    ], rng)  # fmt: skip


def back_bend(t: Floats, rng: np.random.Generator) -> Angles:
    """Bend backward into a bridge."""
    return _keyframes(t, [
        (0.8, both(shoulder_flex=170, elbow_flex=6)),
        (0.9, {"pitch": -28, "spine_flex": -50, "neck_flex": -50, **both(hip_flex=-32,
               knee_flex=36, shoulder_flex=184, elbow_flex=10)}),
        (1.0, {"pitch": -98, "spine_flex": -55, "neck_flex": -52, **both(hip_flex=-26, knee_flex=92,
               shoulder_flex=186, elbow_flex=12)}),
    ], rng)  # fmt: skip


def side_bend(t: Floats, rng: np.random.Generator) -> Angles:
    """Bend far to each side, an arm overhead."""
    return _keyframes(
        t,
        [
            (
                0.9,
                {
                    "spine_side": 44,
                    "roll": -12,
                    "r_shoulder_abd": 148,
                    "r_clavicle_up": 24,
                    "l_shoulder_abd": -10,
                    **both(hip_abd=24),
                    "neck_side": 32,
                },
            ),
            (
                0.9,
                {
                    "spine_side": -44,
                    "roll": 12,
                    "l_shoulder_abd": 148,
                    "l_clavicle_up": 24,
                    "r_shoulder_abd": -10,
                    **both(hip_abd=24),
                    "neck_side": -32,
                },
            ),
        ],
        rng,
    )


def front_split(t: Floats, rng: np.random.Generator) -> Angles:
    """Slide from a deep lunge into a split."""
    return _keyframes(t, [
        (0.8, {"r_hip_flex": 102, "r_knee_flex": 96, "l_hip_flex": -32, "l_knee_flex": 26,
               **both(shoulder_flex=172)}),
        (1.0, {"pitch": 10, "r_hip_flex": 98, "r_knee_flex": 2, "l_hip_flex": -35, "l_knee_flex": 8,
               **both(shoulder_abd=92, elbow_flex=2)}),
        (0.9, {"pitch": 42, "spine_flex": 54, "r_hip_flex": 128, "r_knee_flex": 2,
               "l_hip_flex": -30, "l_knee_flex": 8, **both(shoulder_flex=132, elbow_flex=4)}),
    ], rng)  # fmt: skip


def side_split(t: Floats, rng: np.random.Generator) -> Angles:
    """Sit with legs wide apart and bend to the floor."""
    seat = both(hip_abd=78, hip_flex=88, knee_flex=2, hip_rot=-30)
    return _keyframes(
        t,
        [
            (0.9, {**seat, **both(shoulder_abd=86, elbow_flex=4)}),
            (0.9, {**seat, "pitch": 28, "spine_flex": 72, **both(shoulder_flex=142, hip_flex=118)}),
            (
                0.9,
                {
                    **seat,
                    "spine_side": 44,
                    "r_shoulder_abd": 148,
                    "l_shoulder_abd": -20,
                    "l_elbow_flex": 62,
                },
            ),
        ],
        rng,
    )


def stand_on_leg(t: Floats, rng: np.random.Generator) -> Angles:
    """Balance on one leg, the other lifted behind, ahead or aside."""
    return _keyframes(t, [
        (0.9, {"r_knee_flex": 142, "r_hip_flex": -28, "r_shoulder_flex": -60, "r_elbow_flex": 26,
               "l_shoulder_flex": 150}),
        (0.9, {"pitch": 74, "l_hip_flex": 74, "r_hip_flex": -18, "r_knee_flex": 2,
               **both(shoulder_abd=94, elbow_flex=2), "neck_flex": -40}),
        (0.9, {"r_hip_flex": 134, "r_knee_flex": 6, **both(shoulder_flex=118, elbow_flex=16)}),
        (0.9, {"r_hip_abd": 85, "r_hip_flex": 34, "r_knee_flex": 4, "r_shoulder_abd": 92,
               "l_shoulder_abd": 148, "roll": 12}),
    ], rng)  # fmt: skip


def seated_stretch(t: Floats, rng: np.random.Generator) -> Angles:
    """Sit with straight legs, reach the toes, roll back with the legs overhead."""
    return _keyframes(t, [
        (0.8, both(hip_flex=88, knee_flex=2, shoulder_flex=168)),
        (0.9, {"pitch": 22, "spine_flex": 74, **both(hip_flex=112, knee_flex=2, shoulder_flex=128,
               elbow_flex=4)}),
        (1.0, {"pitch": -132, "spine_flex": 72, "neck_flex": 56, **both(hip_flex=134, knee_flex=4,
               shoulder_flex=-20, elbow_flex=4)}),
    ], rng)  # fmt: skip


def arms_behind(t: Floats, rng: np.random.Generator) -> Angles:
    """Take the arms to their limits: behind the back, crossed before the chest, overhead."""
    return _keyframes(t, [
        (0.8, {**both(shoulder_flex=-62, elbow_flex=4, shoulder_abd=-8), "spine_flex": 32,
               "pitch": 32, **both(hip_flex=32)}),
        (0.8, {"r_shoulder_flex": 84, "r_shoulder_abd": -44, "r_elbow_flex": 8,
               "l_shoulder_flex": 60, "l_elbow_flex": 118}),
        (0.8, {"r_shoulder_flex": 178, "r_elbow_flex": 142, "r_clavicle_up": 26,
               "l_shoulder_flex": -48, "l_elbow_flex": 128, "l_shoulder_rot": 82}),
        (0.8, {**both(shoulder_abd=146, clavicle_up=28, elbow_flex=2), "neck_flex": -46}),
    ], rng)  # fmt: skip


def lunge_twist(t: Floats, rng: np.random.Generator) -> Angles:
    """Lunge deeply and twist with the arms spread."""
    lunge = {"r_hip_flex": 104, "r_knee_flex": 98, "l_hip_flex": -30, "l_knee_flex": 14}
    return _keyframes(
        t,
        [
            (0.9, {**lunge, "pitch": 24, "spine_twist": 54, **both(shoulder_abd=96, elbow_flex=2)}),
            (
                0.9,
                {
                    **lunge,
                    "pitch": 36,
                    "spine_flex": 28,
                    "spine_twist": -52,
                    **both(shoulder_abd=96, elbow_flex=2),
                },
            ),
            (0.9, {**lunge, "spine_flex": -40, **both(shoulder_flex=182), "neck_flex": -40}),
        ],
        rng,
    )


def limits_of_joints(t: Floats, rng: np.random.Generator) -> Angles:
    """Move every limb at once to random places within its range, on the feet or lying."""
    low_high: dict[str, tuple[float, float]] = {
        "spine_flex": (-40, 70), "spine_side": (-40, 40), "spine_twist": (-45, 45),
        "neck_flex": (-45, 45), "neck_twist": (-60, 60),
        "hip_flex": (-25, 125), "hip_abd": (-12, 75), "hip_rot": (-35, 35), "knee_flex": (0, 135),
        "shoulder_flex": (-50, 180), "shoulder_abd": (-25, 130), "shoulder_rot": (-80, 80),
        "elbow_flex": (0, 140),
    }  # fmt: skip
    base = float(rng.choice([0.0, 0.0, 20.0, -90.0, 80.0]))
    keys = []
    for _ in range(6):
        key: dict[str, float] = {"pitch": base + rng.normal(0, 8)}
        for name, (low, high) in low_high.items():
            for full in (
                (name,) if name.startswith(("spine", "neck")) else (f"r_{name}", f"l_{name}")
            ):
                key[full] = float(low + (high - low) * rng.beta(0.8, 0.8))
        keys.append((0.9, key))
    return _keyframes(t, keys, rng)


REPERTOIRE: Mapping[str, tuple[Motion, ...]] = {
    "cmu": (
        walk,
        run,
        march,
        sneak,
        climb,
        side_step,
        dance,
        box,
        jump,
        hop,
        throw_overhand,
        golf,
        shoot_hoops,
        serve,
        wave,
        reach_up,
    ),
    "hdm05": (
        squat,
        kick_front,
        kick_side,
        throw_sitting,
        sit_chair,
        sit_floor,
        lie_back,
        lie_front,
        crawl,
        deposit,
        elbow_to_knee,
        jumping_jack,
        cartwheel,
        kneel,
    ),
    "poseprior": (
        toe_touch,
        back_bend,
        side_bend,
        front_split,
        side_split,
        stand_on_leg,
        seated_stretch,
        arms_behind,
        lunge_twist,
        limits_of_joints,
    ),
}
"""What each MoCap set holds: locomotion and sports; cut actions; stretching and joint limits."""


@dataclass(frozen=True)
class Performance:
    """A motion in time.

    angles_deg : (n, len(ANGLES)), within the joint limits.
    up, forward : (n,) metres off the ground; moved in the direction faced.
    """

    angles_deg: Floats
    up: Floats
    forward: Floats


def perform(motion: Motion, t: Floats, rng: np.random.Generator) -> Performance:
    """Return one performance of a motion at times t (n,) seconds."""
    table = np.zeros((len(t), len(ANGLES)))
    column = {name: index for index, name in enumerate(ANGLES)}
    given = {**NEUTRAL, **motion(t, rng)}
    up = np.broadcast_to(np.asarray(given.pop(UP, 0.0), float), t.shape)
    forward = np.broadcast_to(np.asarray(given.pop(FORWARD, 0.0), float), t.shape)
    for name, value in given.items():
        table[:, column[name]] = value
    if rng.random() < 0.5:
        table = _reflected(table, column)
    table += rng.normal(0.0, 3.5, len(ANGLES)) * (np.arange(len(ANGLES)) != column["yaw"])
    table += _restless(t, len(ANGLES), rng)
    table[:, column["yaw"]] += rng.uniform(-180, 180)
    return Performance(within_limits(table), np.maximum(up, 0.0), forward)


def _reflected(table: Floats, column: Mapping[str, int]) -> Floats:
    swap: NDArray[np.intp] = np.array(
        [column[{"r_": "l_", "l_": "r_"}.get(n[:2], n[:2]) + n[2:]] for n in ANGLES]
    )
    sign = np.array([-1.0 if n in _TURNING else 1.0 for n in ANGLES])
    result: Floats = table[:, swap] * sign
    return result


def _restless(t: Floats, n_angles: int, rng: np.random.Generator) -> Floats:
    """Small irregular movements (len(t), n_angles), degrees."""
    hertz = rng.uniform(0.2, 1.1, (3, n_angles))
    phase = rng.uniform(0, 2 * np.pi, (3, n_angles))
    size = rng.normal(0.0, 1.6, (3, n_angles))
    waves: Floats = size * np.sin(2 * np.pi * t[:, None, None] * hertz + phase)
    result: Floats = waves.sum(axis=1)
    return result
