"""Perspective, overlap and centring: worked numbers and agreement with libraries."""

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou as torchvision_iou

from posebank.geometry.centring import centre_on
from posebank.geometry.overlap import box_iou, pairwise_iou
from posebank.geometry.perspective import PerspectiveCamera, depth_ratio, see_from
from posebank.geometry.rotations import axis_rotation


def test_a_camera_in_the_world():
    # The camera stands at z = -3 and looks along +z; x is right, y is down.
    camera = PerspectiveCamera((600.0, 500.0), (320.0, 240.0), position=np.array([0.0, 0.0, -3.0]))
    seen = camera.project(camera.to_camera(np.array([[0.5, -1.0, 1.0], [0.0, 0.0, 7.0]])))
    np.testing.assert_allclose(seen, [[320 + 600 * 0.5 / 4, 240 - 500 / 4], [320, 240]])
    turned = PerspectiveCamera(600.0, (0.0, 0.0), rotation=axis_rotation("z", np.pi / 2))
    np.testing.assert_allclose(turned.to_camera(np.array([1.0, 0, 2])), [0, 1, 2], atol=1e-12)


def test_lens_distortion_by_hand():
    camera = PerspectiveCamera(
        100.0, (0.0, 0.0), radial=np.array([0.1, 0.01, 0.0]), tangential=np.array([0.02, 0.03])
    )
    x, y = 0.5, -0.25
    r2 = x * x + y * y
    bend = 1 + 0.1 * r2 + 0.01 * r2**2 + 0.02 * y + 0.03 * x
    expected = [100 * (x * bend + 0.03 * r2), 100 * (y * bend + 0.02 * r2)]
    np.testing.assert_allclose(camera.project(np.array([2 * x, 2 * y, 2.0])), expected)


@pytest.mark.parametrize("distance", [3.0, 5.0])
def test_seen_from_a_distance_is_a_camera_there(distance):
    joints = np.random.default_rng(0).normal(0, 0.4, (7, 13, 3))
    camera = PerspectiveCamera(distance, 0.0, position=np.array([0.0, 0.0, -distance]))
    expected = camera.project(camera.to_camera(joints))
    np.testing.assert_allclose(see_from(joints, distance), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(depth_ratio(joints, distance)[..., 0], 1 + joints[..., 2] / distance)


def test_overlap_of_boxes_by_hand_and_as_torchvision_has_it():
    assert box_iou(np.array([0.0, 0, 2, 2]), np.array([1.0, 0, 3, 2])) == pytest.approx(1 / 3)
    assert box_iou(np.array([0.0, 0, 1, 1]), np.array([1.0, 0, 2, 1])) == 0
    assert box_iou(np.array([1.0, 1, 1, 1]), np.array([1.0, 1, 1, 1])) == 0  # no area
    assert box_iou(np.array([np.nan, 0, 1, 1]), np.array([0.0, 0, 1, 1])) == 0
    corner = np.random.default_rng(1).uniform(0, 5, (11, 2))
    boxes = np.concatenate([corner, corner + 4], axis=1)
    expected = torchvision_iou(torch.from_numpy(boxes[:4]), torch.from_numpy(boxes)).numpy()
    np.testing.assert_allclose(pairwise_iou(boxes[:4], boxes), expected)


def test_centred_over_the_known_points():
    points = np.random.default_rng(2).normal(size=(5, 13, 2))
    mask = np.random.default_rng(3).random((5, 13)) < 0.6
    mask[4] = False
    points[~mask] = np.nan
    centred, mean = centre_on(points, mask)
    for row in range(4):
        np.testing.assert_allclose(mean[row], points[row, mask[row]].mean(axis=0))
        np.testing.assert_allclose(centred[row, mask[row]].mean(axis=0), 0, atol=1e-12)
    assert (centred[~mask] == 0).all()
    assert (mean[4] == 0).all()
