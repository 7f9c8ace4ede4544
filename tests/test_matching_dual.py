"""The dual bound of the view-free search: never above what any camera reaches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_oracle import error_norm, random_bank, random_people

from posebank.geometry.cameras import camera_rotation
from posebank.matching.queries import make_queries
from posebank.matching.viewfree.dual import N_MULTIPLIERS, ascend, bound_cell, direction_of, scratch
from posebank.matching.viewfree.dual_free import free_dual
from posebank.matching.viewfree.refine import moments

EVERYWHERE = (-np.pi / 2, np.pi / 2, -np.pi, np.pi, -np.pi, np.pi)


def random_pair(seed, n_annotated=9):
    """A unit query (13, 2), its mask (13,), and a pose (13, 3) that is not the query's."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(13, bool)
    mask[rng.choice(13, n_annotated, replace=False)] = True
    query = np.where(mask[:, None], rng.normal(size=(13, 2)), 0)
    query[mask] -= query[mask].mean(axis=0)
    return query / np.linalg.norm(query), mask, rng.normal(0, 0.4, (13, 3))


def sums_of(query, mask, pose):
    a, g = np.zeros(6), np.zeros(6)
    moments(query, mask, pose[None].astype(np.float32), 0, a, g)
    return a, g


def bound_of(a, g, part, low=-np.pi / 2, high=np.pi / 2):
    """The dual's bound of error_norm over a part of the cameras, and the camera it ends at."""
    cell, used, work = np.empty(10), np.zeros(N_MULTIPLIERS, bool), scratch()
    bound_cell(np.array([*part, 0.0]), low, high, cell, used)
    found = ascend(a, g, cell, used, 2.0, 1e-2, np.zeros(N_MULTIPLIERS), work)
    x, y, z = direction_of(work[1])
    return np.sqrt(found), (np.arctan2(x, -z), np.arctan2(-y, np.hypot(x, z)))


def errors(query, mask, pose, azimuth, elevation, roll):
    """error_norm from its definition, for cameras given by their angles."""
    flat = np.einsum("jd,ncd->njc", pose[mask], camera_rotation(azimuth, elevation, roll)[:, :2])
    flat -= flat.mean(axis=1, keepdims=True)
    scale = (flat * query[mask]).sum((1, 2)) / (flat**2).sum((1, 2))
    residual = query[mask] - np.maximum(scale, 0)[:, None, None] * flat
    return np.sqrt((residual**2).sum((1, 2)))


@given(
    seed=st.integers(0, 10_000),
    n_annotated=st.integers(4, 13),
    elevation=st.tuples(st.floats(-1.5, 1.4), st.floats(0.02, 3.0)),
    azimuth=st.tuples(st.floats(-3.1, 3.1), st.floats(0.02, 6.2)),
    roll=st.tuples(st.floats(-3.1, 3.1), st.floats(0.02, 6.2)),
)
@settings(max_examples=60, deadline=None)
def test_no_camera_of_a_part_is_better_than_its_bound(seed, n_annotated, elevation, azimuth, roll):
    query, mask, pose = random_pair(seed, n_annotated)
    low, high = elevation[0], min(sum(elevation), np.pi / 2)
    part = (low, high, azimuth[0], sum(azimuth), roll[0], sum(roll))
    bound, _ = bound_of(*sums_of(query, mask, pose), part, low, high)
    rng = np.random.default_rng(seed)
    e, a, r = (rng.uniform(part[i], part[i + 1], 4000) for i in (0, 2, 4))
    assert bound <= errors(query, mask, pose.astype(np.float32), a, e, r).min() + 1e-6


def test_a_part_of_one_camera_is_bounded_by_that_cameras_error():
    query, mask, pose = random_pair(3)
    a, g = sums_of(query, mask, pose)
    met = 0
    for azimuth in np.linspace(-3, 3, 9):
        for elevation in (-1.2, -0.3, 0.5):
            rolls = np.linspace(-np.pi, np.pi, 3601)
            angles = np.full_like(rolls, azimuth), np.full_like(rolls, elevation)
            best = errors(query, mask, pose, *angles, rolls).min()
            half = 1e-4
            part = (elevation - half, elevation + half, azimuth - half, azimuth + half)
            bound, _ = bound_of(a, g, (*part, -np.pi, np.pi))
            assert bound <= best + 1e-6
            met += bound > best - 1e-3
    assert met == 27


def test_a_pose_in_its_own_camera_has_bound_zero_and_that_camera():
    _, mask, pose = random_pair(5, 13)
    rotation = camera_rotation(np.array([0.7]), np.array([-0.4]), np.array([0.2]))[0]
    flat = (pose @ rotation.T)[:, :2]
    flat -= flat.mean(axis=0)
    a, g = sums_of(flat / np.linalg.norm(flat), mask, pose)
    bound, camera = bound_of(a, g, EVERYWHERE)
    assert bound < 1e-3
    assert camera == pytest.approx((0.7, -0.4), abs=1e-3)


def test_free_dual_is_the_top_of_the_dual():
    poses, queries = random_bank(40).joints_3d, make_queries(random_people(9), 4)[0]
    cell, used, m, work = np.empty(10), np.zeros(N_MULTIPLIERS, bool), np.zeros(6), scratch()
    every = np.array([-np.pi / 2, np.pi / 2, -np.pi, np.pi, -np.pi, np.pi])
    bound_cell(every, every[0], every[1], cell, used)
    a, g = np.empty(6), np.empty(6)
    cameras = camera_rotation(
        *np.random.default_rng(2).uniform(every[::2], every[1::2], (5000, 3)).T
    )
    for p, i in ((p, i) for p in range(9) for i in range(40)):
        query, mask = queries.unit[p], queries.mask[p]
        moments(query, mask, poses, i, a, g)
        m[:] = 0
        bound, _ = free_dual(a, g, 2.0)
        # Its steps end later than those of the dual with limits.
        assert ascend(a, g, cell, used, 2.0, 0.0, m, work) <= bound + 1e-8
        best = error_norm(query[mask], poses[i, mask].astype(float), cameras).min() ** 2
        assert bound <= best + 1e-9
        # It stops where it is high enough.
        assert (free_dual(a, g, 0.3)[0] >= 0.3) == (bound >= 0.3)
