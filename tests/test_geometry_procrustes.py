import evaluation_oracle as oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from posebank.geometry.procrustes import align, align_both


def poses(rng, n=5, points=13):
    return rng.normal(size=(n, points, 3)) * [0.3, 0.6, 0.2]


@pytest.mark.parametrize("scale", [False, True])
def test_moved_copy_is_moved_back(scale):
    rng = np.random.default_rng(0)
    target = poses(rng)
    turn = Rotation.random(len(target), rng=rng).as_matrix()
    source = target @ turn.transpose(0, 2, 1) + rng.normal(size=(len(target), 1, 3))
    if scale:
        source *= rng.uniform(0.5, 2, (len(target), 1, 1))
    np.testing.assert_allclose(align(source, target, scale=scale), target, atol=1e-12)


def test_rigid_keeps_the_size_and_similarity_does_not():
    target = poses(np.random.default_rng(1))
    rigid, similarity = align_both(2 * target, target)
    np.testing.assert_allclose(similarity, target, atol=1e-12)
    centre = target.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(rigid, 2 * (target - centre) + centre, atol=1e-12)


@pytest.mark.parametrize("scale", [False, True])
def test_agrees_with_a_numerical_search(scale):
    rng = np.random.default_rng(2)
    source, target = poses(rng, 3), poses(rng, 3)
    found = align(source, target, scale=scale)
    for row in range(len(target)):
        expected = oracle.aligned(source[row], target[row], scale)
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def test_no_reflection():
    target = poses(np.random.default_rng(3), 6)
    mirrored = target * [-1, 1, 1]
    assert (np.abs(align(mirrored, target, scale=False) - target).max(axis=(1, 2)) > 0.01).all()


def test_flat_and_straight_poses():
    rng = np.random.default_rng(4)
    for zero in ([2], [1, 2]):
        target = poses(rng, 3)
        target[..., zero] = 0
        source = target @ Rotation.from_euler("xyz", [1, 2, 3]).as_matrix().T
        np.testing.assert_allclose(align(source, target, scale=True), target, atol=1e-12)


def test_one_point_and_all_points_equal():
    point = np.array([[[1.0, 2.0, 3.0]]])
    np.testing.assert_array_equal(align(point + 5, point, scale=True), point)
    same = np.ones((2, 13, 3))
    np.testing.assert_allclose(align(same * 3, same, scale=True), same)


def test_weights_leave_points_out():
    rng = np.random.default_rng(5)
    target = poses(rng, 3)
    turn = Rotation.random(rng=rng).as_matrix()
    source = target @ turn.T
    source[:, 4] += 10
    weights = np.ones((3, 13))
    weights[:, 4] = 0
    moved = align(source, target, scale=False, weights=weights)
    np.testing.assert_allclose(
        np.delete(moved, 4, axis=1), np.delete(target, 4, axis=1), atol=1e-12
    )
    assert np.linalg.norm(moved[:, 4] - target[:, 4], axis=-1) == pytest.approx(np.sqrt(300))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_no_motion_is_better(seed, scale):
    rng = np.random.default_rng(seed)
    source, target = poses(rng, 1), poses(rng, 1)
    best = ((align(source, target, scale=scale) - target) ** 2).sum()
    centred = source - source.mean(axis=1, keepdims=True)
    for turn in Rotation.random(20, rng=rng).as_matrix():
        factor = rng.uniform(0.5, 1.5) if scale else 1.0
        other = centred @ turn.T * factor + target.mean(axis=1, keepdims=True)
        assert ((other - target) ** 2).sum() >= best - 1e-9
