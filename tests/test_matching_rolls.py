"""Bounds that know the prior's penalty of each roll: never above the cost of any camera."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_oracle import error_norm
from numba import njit
from test_matching_dual import random_pair, sums_of

from posebank.geometry.camera_prior import ELEVATIONS, ROLLS, STEP, CameraPrior
from posebank.geometry.cameras import CameraLimits, camera_rotation
from posebank.matching.viewfree import cameras as viewfree_cameras
from posebank.matching.viewfree.cameras import cameras_to_search
from posebank.matching.viewfree.dual_free import free_dual
from posebank.matching.viewfree.prior import least_over_rolls
from posebank.matching.viewfree.refine import affine_up


@njit
def bound_of(cameras, up):
    return least_over_rolls(cameras, up)


@njit
def affine(a, g):
    return affine_up(a, g, 1e-5, np.empty(6))


def random_prior(rng):
    """A rough prior, or one that only some rolls are likely in."""
    table = rng.uniform(0, 0.1, (37, 72))
    return CameraPrior.from_array(table if rng.random() < 0.5 else 0.1 * (table > 0.05))


@given(
    seed=st.integers(0, 10_000),
    n_annotated=st.integers(5, 13),
    most=st.sampled_from([180.0, 90.0, 33.0, 0.0]),
)
@settings(max_examples=60, deadline=None)
def test_no_camera_costs_less_than_the_bounds(seed, n_annotated, most):
    query, mask, pose = random_pair(seed, n_annotated)
    rng = np.random.default_rng(seed)
    prior = random_prior(rng)
    limits = CameraLimits(
        *np.sort(rng.uniform(-np.pi / 2, np.pi / 2, 2)), max_roll=math.radians(most)
    )
    cameras = cameras_to_search(limits, prior)
    a, g = sums_of(query, mask, pose)
    dual, up = free_dual(a, g, 2.0)
    low = [-np.pi, limits.min_elevation, -limits.max_roll]
    high = [np.pi, limits.max_elevation, limits.max_roll]
    rotations = camera_rotation(*rng.uniform(low, high, (20_000, 3)).T)
    joints = pose.astype(np.float32)[mask].astype(float)
    errors = error_norm(query[mask], joints, rotations) ** 2
    costs = errors + prior.penalty(rotations)
    for start in (up, affine(a, g)):
        assert start[0] <= dual + 1e-9
        assert start[0] <= bound_of(cameras, start) <= costs.min() + 1e-9
    # The form alone: what any camera costs that sees the up axis elsewhere.
    scale = 1 - errors  # squared length of what is seen, as the scale is the best
    seen = rotations[:, :2, 1] * np.sqrt(scale / norm_of(joints, rotations))[:, None]
    for bound, p, q, xx, xy, yy in (up, affine(a, g)):
        away = seen - (p, q)
        form = np.linalg.inv([[xx, xy], [xy, yy]])
        assert (bound + np.einsum("ni,ij,nj->n", away, form, away) <= errors + 1e-9).all()


def norm_of(joints, rotations):
    """Squared length of what each camera (n, 3, 3) sees of a pose (m, 3), at scale 1."""
    flat = np.einsum("jd,ncd->njc", joints - joints.mean(axis=0), rotations[:, :2])
    return (flat**2).sum(axis=(1, 2))


def test_bound_by_hand():
    # No penalty where the roll is within 45 degrees, 0.5 well outside.
    table = np.where(np.abs(ROLLS) <= math.radians(45.1), 0.0, 0.5) * np.ones((37, 1))
    cameras = cameras_to_search(CameraLimits.free(), CameraPrior.from_array(table))
    free = cameras.rolls[:-1, 2] == 0
    assert np.degrees(ROLLS[free][[0, -1]] + [0, STEP]) == pytest.approx([-45, 45])

    def more(p, q):
        """What is added to a bound of 0.1 with a form of I / 4."""
        return bound_of(cameras, (0.1, p, q, 4.0, 0.0, 4.0)) - 0.1

    # The up axis is seen upright, down (to the origin), to the left and at 60 degrees (to the
    # nearest ray of the free cone); where it is long, its own cell's penalty is lower.
    assert more(0.0, -1.0) == pytest.approx(0)
    assert more(0.0, 1.0) == pytest.approx(0.25)
    assert more(-1.0, 0.0) == pytest.approx(0.25 * math.sin(math.radians(45)) ** 2)
    sixty = math.radians(60)
    assert more(math.sin(sixty), -math.cos(sixty)) == pytest.approx(
        0.25 * math.sin(math.radians(15)) ** 2
    )
    assert more(0.0, 9.0) == pytest.approx(0.5)
    # A form that is twice as steep across: the ray at 45 degrees has its foot elsewhere.
    foot = 0.5 * (1 - 0.5 / 0.75)  # p'Sp - (p'Se)^2 / e'Se with S = diag(1/2, 1/4), e = (-1, -1)
    assert bound_of(cameras, (0.1, -1.0, 0.0, 2.0, 0.0, 4.0)) == pytest.approx(0.1 + foot)


def test_cells_of_a_plane_have_their_lowest_corner():
    rows, columns = np.meshgrid(ELEVATIONS, ROLLS, indexing="ij")
    least = viewfree_cameras._cell_minima(rows - 2 * columns)
    # Away from the ends, where the table is continued by its edge and by its other side.
    expected = (rows - 2 * (columns + STEP))[1:-2, 1:-2]
    np.testing.assert_allclose(least[1:-1, 1:-2], expected, atol=1e-12)


def test_cells_are_below_the_spline():
    rng = np.random.default_rng(0)
    prior = CameraPrior.from_array(rng.uniform(0, 0.1, (37, 72)))
    least = viewfree_cameras._cell_minima(np.array(prior.table))
    at = STEP * np.array(np.meshgrid(*2 * [np.linspace(0, 1, 11)])).reshape(2, -1, 1, 1)
    elevation, roll = np.broadcast_arrays(ELEVATIONS[:-1, None] + at[0], ROLLS + at[1])
    values = prior.at(elevation, roll).min(axis=0)
    assert (least <= values + 1e-12).all()
    # Of control values from 0 to 0.1, the least of 16 would be 0.03 below.
    assert (values - least).mean() < 0.004
