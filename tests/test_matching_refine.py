"""Newton's method on cameras: costs by their definition, and no better camera nearby."""

import numpy as np
import pytest
from matching_oracle import error_norm, random_bank
from scipy.optimize import minimize

from posebank.geometry.camera_prior import CameraPrior
from posebank.geometry.cameras import CameraLimits, camera_rotation, elevation_roll, within_limits
from posebank.matching.viewfree.cameras import cameras_to_search
from posebank.matching.viewfree.refine import (
    affine_start,
    measure,
    moments,
    new_view,
    refine,
    set_camera,
)

PRIOR = CameraPrior.normal(0.2, 0.4, 0.3)
CASES = {
    "any": (CameraLimits.free(), None),
    "limits": (CameraLimits(-0.3, 0.5, 0.2), None),
    "prior": (CameraLimits.free(), PRIOR),
    "both": (CameraLimits(-0.3, 0.5, 1.0), PRIOR),
}


def random_query(seed, n_annotated):
    """A unit query (13, 2) and its mask (13,)."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(13, bool)
    mask[rng.choice(13, n_annotated, replace=False)] = True
    query = np.where(mask[:, None], rng.normal(size=(13, 2)), 0)
    query[mask] -= query[mask].mean(axis=0)
    return query / np.linalg.norm(query), mask


def cost_of(angles, query, mask, pose, prior):
    """Cost squared from its definition, written for (azimuth, elevation, roll)."""
    squared = error_norm(query[mask], pose[mask].astype(float), camera_rotation(*angles)) ** 2
    return squared + (0.0 if prior is None else prior.at(angles[1], angles[2]))


@pytest.mark.parametrize(("limits", "prior"), CASES.values(), ids=CASES)
def test_no_better_camera_is_near(limits, prior):
    poses = random_bank(12).joints_3d
    cameras = cameras_to_search(limits, prior)
    low = [-10.0, limits.min_elevation, -limits.max_roll]
    high = [10.0, limits.max_elevation, limits.max_roll]
    a, g, inverse, view = np.empty(6), np.empty(6), np.empty(6), new_view()
    seen = 0
    for i in range(12):
        query, mask = random_query(i, 6 + i % 8)
        moments(query, mask, poses, i, a, g)
        assert affine_start(a, g, inverse, view)
        squared = refine(a, g, cameras, view, 60, 1e-16)
        rotation = view.r.reshape(3, 3)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) > 0
        assert within_limits(rotation, limits, 1e-9)
        elevation, roll = elevation_roll(rotation)
        angles = np.array([np.arctan2(rotation[2, 0], -rotation[2, 2]), elevation, roll])
        args = (query, mask, poses[i], prior)
        if view.w[0] + view.w[4] <= 0:  # no positive scale is near
            assert squared >= cost_of(angles, *args) - 1e-9
            continue
        seen += 1
        assert squared == pytest.approx(cost_of(angles, *args), abs=1e-9)
        start = np.clip(angles, low, high)
        found = minimize(cost_of, start, args, bounds=list(zip(low, high, strict=True)))
        assert found.fun > squared - 1e-6
    assert seen >= 8


def test_cost_of_a_camera_by_its_definition():
    poses = random_bank(3).joints_3d
    cameras = cameras_to_search(CameraLimits.free(), PRIOR)
    query, mask = random_query(5, 9)
    a, g, view = np.empty(6), np.empty(6), new_view()
    moments(query, mask, poses, 1, a, g)
    seen = 0
    for angles in np.random.default_rng(0).uniform([-3, -1.5, -3], [3, 1.5, 3], (40, 3)):
        set_camera(view, *angles)
        np.testing.assert_allclose(view.r.reshape(3, 3), camera_rotation(*angles), atol=1e-12)
        squared = measure(a, g, cameras, view)
        expected = cost_of(angles, query, mask, poses[1], PRIOR)
        if view.w[0] + view.w[4] > 0:  # a positive scale
            assert squared == pytest.approx(expected, abs=1e-9)
            seen += 1
        else:
            assert squared >= expected - 1e-9
    assert seen > 10
