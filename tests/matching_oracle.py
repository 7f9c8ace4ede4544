"""A slow float64 oracle of matching, written from the definition of error_norm alone."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from posebank.geometry.cameras import CameraLimits, camera_rotation
from posebank.skeleton import is_annotated
from posebank.types import People, PoseBank


def random_bank(n: int, seed: int = 0) -> PoseBank:
    """Random poses, roughly person-shaped: a standing skeleton with every joint moved."""
    rng = np.random.default_rng(seed)
    base = np.array(
        [[-.1, -1.3, 0], [.1, -1.3, 0], [-.1, -.9, 0], [.1, -.9, 0], [-.1, -.4, 0], [.1, -.4, 0],
         [-.4, -.2, .1], [.4, -.2, .1], [-.35, .05, 0], [.35, .05, 0], [-.2, .3, 0], [.2, .3, 0],
         [0, .7, 0]]
    )  # fmt: skip
    joints = base + rng.normal(0, 0.2, (n, 13, 3))
    joints -= joints[:, [4, 5, 10, 11]].mean(axis=1, keepdims=True)
    return PoseBank.from_joints(
        joints,
        pose_id=(f"p{i}" for i in range(n)),
        dataset="cmu",
        subject=(f"{i % 3}" for i in range(n)),
    )


def people_from(joints: np.ndarray, state: np.ndarray, prefix: str = "a") -> People:
    """People with these 2D joints and states."""
    n = len(joints)
    return People.from_joints(
        joints,
        state,
        person_id=(f"{prefix}{i}" for i in range(n)),
        dataset="lspe",
        image=(f"{i}.jpg" for i in range(n)),
        image_width=640,
        image_height=480,
    )


def random_people(n: int, seed: int = 1, noise: float = 12.0) -> People:
    """Poses that are not in the bank, in random views, with 0 to 9 joints missing."""
    rng = np.random.default_rng(seed)
    bank = random_bank(n, seed + 100)
    angles = rng.uniform([-3, -0.5, -0.3], [3, 1.0, 0.3], (n, 3))
    rotation = camera_rotation(angles[:, 0], angles[:, 1], angles[:, 2])
    joints = 100 * np.einsum("njd,ncd->njc", bank.joints_3d.astype(float), rotation)[..., :2]
    joints += rng.normal(0, noise, joints.shape) + 300
    state = np.ones((n, 13), np.uint8)
    for i in range(n):
        state[i, rng.choice(13, i % 10, replace=False)] = 0
        joints[i, state[i] == 0] = 0
    return people_from(joints, state)


def error_norm(query: np.ndarray, joints: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """error_norm of annotated joints (m, 2) and 3D joints (m, 3) for cameras (..., 3, 3).

    The best positive scale and translation are found by linear least squares.
    """
    flat = np.einsum("jd,...cd->...jc", joints, rotation)[..., :2]
    flat = flat - flat.mean(axis=-2, keepdims=True)
    q = query - query.mean(axis=0)
    scale = np.maximum((flat * q).sum((-1, -2)) / (flat**2).sum((-1, -2)), 0)
    residual = q - scale[..., None, None] * flat
    return np.sqrt((residual**2).sum((-1, -2)) / (q**2).sum())


def best_over_cameras(
    bank: PoseBank, people: People, limits: CameraLimits, n_cameras: int = 2000, n_starts: int = 3
):
    """Smallest error_norm (n_people, n_poses) over every camera the limits allow; inf where it is
    clearly not among the person's best.

    ``n_cameras`` random cameras for every pair; then pairs that could win are minimised from their
    ``n_starts`` best cameras.
    """
    rng = np.random.default_rng(0)
    low = [-np.pi, limits.min_elevation, -limits.max_roll]
    high = [np.pi, limits.max_elevation, limits.max_roll]
    angles = rng.uniform(low, high, (n_cameras, 3))
    cameras = camera_rotation(*angles.T)
    annotated = is_annotated(people.state)
    best = np.full((len(people), len(bank)), np.inf)
    for p in range(len(people)):
        query = people.joints_2d[p, annotated[p]].astype(np.float64)
        joints = bank.joints_3d[:, annotated[p]].astype(np.float64)
        coarse = np.stack([error_norm(query, x, cameras) for x in joints])
        for row in np.flatnonzero(coarse.min(axis=1) < coarse.min() + 0.06):
            starts = angles[np.argsort(coarse[row])[:n_starts]]

            def cost(a, q=query, x=joints[row]):
                return error_norm(q, x, camera_rotation(a[0], a[1], a[2])) ** 2

            bounds = [(None, None), (low[1], high[1]), (low[2], high[2])]
            found = [
                minimize(cost, s, bounds=bounds, options={"ftol": 1e-13, "maxiter": 60})
                for s in starts
            ]
            best[p, row] = np.sqrt(max(min(f.fun for f in found), 0))
    return best


def best_over_views(bank: PoseBank, people: People, rotations: np.ndarray) -> np.ndarray:
    """Smallest error_norm (n_people, n_poses) over the given cameras."""
    annotated = is_annotated(people.state)
    return np.stack(
        [
            [
                error_norm(
                    people.joints_2d[p, annotated[p]].astype(float),
                    x[annotated[p]].astype(float),
                    rotations,
                ).min()
                for x in bank.joints_3d
            ]
            for p in range(len(people))
        ]
    )
