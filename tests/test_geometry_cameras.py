import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posebank.geometry.cameras import (
    CameraLimits,
    camera_rotation,
    elevation_roll,
    project,
    sample_rotations,
    within_limits,
)

angle = st.floats(-3.1, 3.1)
tilt = st.floats(-1.5, 1.5)


def test_front_view_by_hand():
    # At angles 0 the camera looks along world -z: x stays, y turns down, z away.
    np.testing.assert_allclose(camera_rotation(0.0, 0.0) @ [1, 2, 3], [1, -2, -3])


def test_positive_elevation_looks_down():
    # From above, the up axis points towards the camera (z negative).
    assert (camera_rotation(0.0, np.pi / 4) @ [0, 1, 0])[2] == pytest.approx(-np.sqrt(0.5))


@given(angle, tilt, angle)
def test_angles_make_rotations_and_come_back(azimuth, elevation, roll):
    rotation = camera_rotation(azimuth, elevation, roll)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    found_elevation, found_roll = elevation_roll(rotation)
    assert found_elevation == pytest.approx(elevation, abs=1e-6)
    assert found_roll == pytest.approx(roll, abs=1e-6)


def test_samples_keep_the_limits_and_are_uniform():
    limits = CameraLimits(-0.2, 0.9, 0.3)
    rotations = sample_rotations(4000, limits, np.random.default_rng(0))
    assert within_limits(rotations, limits).all()
    assert not within_limits(rotations, CameraLimits(0.0, 0.9, 0.3)).all()
    elevation, roll = elevation_roll(rotations)
    assert np.sin(elevation).mean() == pytest.approx((np.sin(-0.2) + np.sin(0.9)) / 2, abs=0.02)
    assert roll.std() == pytest.approx(0.3 / np.sqrt(3), rel=0.05)


def test_limits():
    assert CameraLimits.free().is_free
    assert not CameraLimits().is_free
    for wrong in ((0.5, 0.1, 0.1), (-2.0, 0.0, 0.1), (0.0, 0.1, -0.1), (0.0, 0.1, 4.0)):
        with pytest.raises(ValueError, match="expected"):
            CameraLimits(*wrong)


def test_project_by_hand():
    joints = np.array([[[1.0, 2.0, 3.0], [0.0, 0.0, 9.0]]])
    image = project(joints, np.eye(3)[None], np.array([10.0]), np.array([[5.0, 7.0]]))
    np.testing.assert_allclose(image, [[[15, 27], [5, 7]]])
