"""The affine bound: never above the float64 one, and hardly below it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_oracle import error_norm, random_bank, random_people
from numba import njit

from posebank.geometry.camera_prior import CameraPrior
from posebank.geometry.cameras import CameraLimits, camera_rotation
from posebank.matching.queries import make_queries
from posebank.matching.viewfree import search_torch
from posebank.matching.viewfree.affine import (
    BLOCK,
    affine_bounds,
    factor,
    in_blocks,
    load,
    new_block,
)
from posebank.matching.viewfree.cameras import cameras_to_search
from posebank.mocap import BankSettings, discover, poses_from_clip, read_clip

NORMAL = CameraPrior.normal(0.2, 0.4, 0.3)
ANY = cameras_to_search(CameraLimits(), None)
ROLL = cameras_to_search(CameraLimits(-0.5, 0.5, 0.3), None)
PRIOR = cameras_to_search(CameraLimits(), NORMAL)
CAMERAS = {"any": ANY, "roll": ROLL, "prior": PRIOR}


@njit
def _all_bounds(units, mask, bank, n_poses, cones, bounds, lowest):
    block = new_block(1)
    for b in range(lowest.shape[1]):
        load(bank[b], block)
        factor(mask, min(BLOCK, n_poses - b * BLOCK), block, 0)
        affine_bounds(units, block, 0, cones, b, bounds, lowest)


def compiled_bounds(unit, mask, poses, cameras):
    """Bounds (n_poses,) by the compiled loops; 8 beyond the bank."""
    n_blocks = -(-len(poses) // BLOCK)
    bounds = np.empty((1, n_blocks * BLOCK), np.float32)
    lowest = np.empty((1, n_blocks), np.float32)
    units = np.ascontiguousarray(unit.T[None], np.float32)
    cones = cameras.cones.astype(np.float32)
    _all_bounds(units, mask, in_blocks(poses), len(poses), cones, bounds, lowest)
    np.testing.assert_array_equal(lowest[0], bounds.reshape(n_blocks, BLOCK).min(axis=1))
    assert (bounds[0, len(poses) :] >= 8).all()
    return bounds[0, : len(poses)].astype(np.float64)


def exact_bounds(unit, mask, poses, cameras):
    """The same in float64, from a QR decomposition of each pose."""
    x = poses[:, mask][:, :, [0, 2, 1]].astype(np.float64)
    x -= x.mean(axis=1, keepdims=True)
    products = np.linalg.qr(x)[0].transpose(0, 2, 1) @ unit[mask]
    bounds = 1 - (products**2).sum(axis=(1, 2))
    # The sign of the last column of Q is that of y in it.
    sign = np.sign(np.linalg.qr(x)[1][:, 2, 2])
    across, up = np.abs(products[:, 2, 0]), -sign * products[:, 2, 1]
    length, angle = np.hypot(across, up), np.arctan2(across, up)
    least = np.full(len(poses), cameras.cones[2, 2])
    for cos, sin, penalty in cameras.cones[:2]:
        if cos <= 1:
            beyond = np.clip(angle - np.arctan2(sin, cos), 0, np.pi / 2)
            least = np.minimum(least, (length * np.sin(beyond)) ** 2 + penalty)
    return bounds + least


def random_queries(n=20):
    queries, _ = make_queries(random_people(n), 4)
    return zip(queries.unit, queries.mask, strict=True)


@pytest.mark.parametrize("cameras", CAMERAS.values(), ids=CAMERAS)
def test_bound_is_that_of_float64_less_a_little(cameras):
    poses = random_bank(300).joints_3d
    for unit, mask in random_queries():
        exact = exact_bounds(unit, mask, poses, cameras)
        short = exact - compiled_bounds(unit, mask, poses, cameras)
        assert short.min() > 0
        if mask.sum() >= 7:
            assert np.median(short) < 2e-5


def test_bound_of_real_poses(shared_data):
    clip = discover("cmu", [shared_data / "cmu" / "subjects" / "02"])[0][0]
    poses = poses_from_clip(read_clip(clip, 120.0), BankSettings(fps=10.0))[0].joints_3d
    for unit, mask in random_queries():
        short = exact_bounds(unit, mask, poses, PRIOR)
        short -= compiled_bounds(unit, mask, poses, PRIOR)
        assert short.min() > 0
        if mask.sum() >= 9:
            assert np.quantile(short, 0.9) < 2e-5


@pytest.mark.parametrize("cameras", CAMERAS.values(), ids=CAMERAS)
def test_no_camera_is_better_than_the_bound(cameras):
    rng, poses = np.random.default_rng(5), random_bank(30).joints_3d
    low = [-np.pi, cameras.min_elevation, -cameras.max_roll]
    rotations = camera_rotation(*rng.uniform(low, -np.array(low), (5000, 3)).T)
    penalty = NORMAL.penalty(rotations) if cameras.has_prior else 0.0
    for unit, mask in random_queries(6):
        bounds = compiled_bounds(unit, mask, poses, cameras)
        for pose, bound in zip(poses, bounds, strict=True):
            errors = error_norm(unit[mask], pose[mask].astype(float), rotations)
            assert bound <= (errors**2 + penalty).min()


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 10_000),
    flat=st.floats(-5, 0),
    thin=st.floats(-5, 0),
    offset=st.floats(-2, 4),
    size=st.floats(-3, 3),
    cameras=st.sampled_from(list(CAMERAS.values())),
)
def test_bound_of_nearly_flat_and_far_poses_is_not_above_float64(
    seed, flat, thin, offset, size, cameras
):
    rng = np.random.default_rng(seed)
    mask = np.zeros(13, bool)
    mask[rng.permutation(13)[: rng.integers(5, 14)]] = True
    unit = rng.normal(size=(13, 2)) * mask[:, None]
    unit[mask] -= unit[mask].mean(axis=0)
    unit /= np.linalg.norm(unit)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0] * [1, 10.0**flat, 10.0**thin]
    poses = rng.normal(size=(17, 13, 3)) @ axes.T
    # As close to the query as an affine camera allows, in some.
    poses[:5] += unit @ np.array([[3.0, 0, 0], [0, -3.0, 0]])
    poses = 10.0**size * (poses + 10.0**offset * rng.normal(size=3))
    poses = poses.astype(np.float32)
    bounds = compiled_bounds(unit, mask, poses, cameras)
    exact = exact_bounds(unit, mask, poses, cameras)
    assert (bounds <= exact + 1e-9).all()


def test_flat_poses_have_no_bound():
    poses = random_bank(40).joints_3d.copy()
    poses[:10, :, 2] = 3.0
    poses[10:20, :, 1] = 2 * poses[10:20, :, 0] - poses[10:20, :, 2]
    poses[20:30] = poses[20:30, :1]
    for unit, mask in random_queries():
        bounds = compiled_bounds(unit, mask, poses, ANY)
        assert (bounds[:30] == -1).all()
        assert (bounds[30:] > -0.1).all()


@pytest.mark.parametrize("cameras", CAMERAS.values(), ids=CAMERAS)
def test_torch_has_the_same_bounds(cameras):
    poses = random_bank(300).joints_3d.copy()
    poses[5:9, :, 2] = 0.0
    poses[9:40, :, 2] *= 1e-2
    bank = search_torch._to_device(poses, torch.device("cpu"))
    queries, _ = make_queries(random_people(20), 4)
    for start, found in search_torch._bounds(bank, queries.unit, queries.mask, cameras):
        for i, bounds in enumerate(found.numpy().astype(np.float64), start):
            unit, mask = queries.unit[i], queries.mask[i]
            exact = exact_bounds(unit, mask, poses, cameras)
            assert (bounds[:300] <= exact).all()
            assert (bounds[300:] >= 8).all()
            expected = compiled_bounds(unit, mask, poses, cameras)
            np.testing.assert_allclose(
                bounds[:300], expected, atol=1e-3 if mask.sum() < 7 else 5e-6
            )
