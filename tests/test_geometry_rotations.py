import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from posebank.geometry.kinematics import Node, Point, forward, needed_nodes
from posebank.geometry.rotations import axis_rotation, fixed_axes_rotation, heading_angle

ANGLE = st.floats(-10.0, 10.0)


def test_quarter_turns_by_hand():
    np.testing.assert_allclose(axis_rotation("y", np.pi / 2) @ [0, 0, 1], [1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(axis_rotation("x", np.pi / 2) @ [0, 1, 0], [0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(axis_rotation("z", np.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-15)


@given(order=st.permutations("xyz"), angles=st.tuples(ANGLE, ANGLE, ANGLE))
def test_fixed_axes_agree_with_scipy(order, angles):
    name = "".join(order)
    expected = Rotation.from_euler(name, angles).as_matrix()  # lower case: fixed axes
    np.testing.assert_allclose(fixed_axes_rotation(name, np.array(angles)), expected, atol=1e-12)


def test_fixed_axes_keep_leading_shapes():
    angles = np.random.default_rng(1).normal(size=(4, 5, 2))
    assert fixed_axes_rotation("zx", angles).shape == (4, 5, 3, 3)


def test_heading_grows_with_a_turn_about_the_vertical():
    joints = np.array([[[1.0, 0.3, 0.0], [-1.0, 0.3, 0.0]]])
    assert heading_angle(joints, 0, 1) == pytest.approx(0.0)
    turned = joints @ axis_rotation("y", 0.7).T
    assert heading_angle(turned, 0, 1) == pytest.approx(0.7)


def _slow(nodes, points, row):
    frames = []
    for node in nodes:
        local = node.offset.copy()
        for axis, channel in node.translations:
            local["xyz".index(axis)] += row[channel]
        turn = node.rest.copy()
        for axis, channel in node.rotations:
            turn = turn @ Rotation.from_euler(axis, row[channel]).as_matrix()
        if node.parent < 0:
            frames.append((local, turn))
        else:
            origin, above = frames[node.parent]
            frames.append((origin + above @ local, above @ turn))
    return np.array([frames[p.node][0] + frames[p.node][1] @ p.offset for p in points])


def test_forward_kinematics_against_matrix_products():
    rng = np.random.default_rng(2)
    nodes, channel = [], 0
    for index in range(9):
        turns = tuple((a, channel + i) for i, a in enumerate(rng.permutation(list("xyz"))))
        channel += 3
        shifts = ((("z", channel), ("x", channel + 1))) if index % 4 == 0 else ()
        channel += len(shifts)
        rest = Rotation.random(rng=rng).as_matrix() if index % 2 else np.eye(3)
        parent = int(rng.integers(0, index)) if index else -1
        nodes.append(Node(parent, rng.normal(size=3), rest, turns, shifts))
    points = [Point(int(rng.integers(9)), rng.normal(size=3)) for _ in range(4)]
    channels = rng.normal(size=(6, channel))
    got = forward(nodes, points, channels)
    assert got.shape == (6, 4, 3)
    np.testing.assert_allclose(got, [_slow(nodes, points, row) for row in channels], atol=1e-12)
    degrees = forward(nodes, points, np.rad2deg(channels), radians_per_unit=np.pi / 180)
    assert not np.allclose(degrees, got)  # translations are scaled too


def test_only_needed_nodes_are_visited():
    nodes = [Node(-1, np.zeros(3), np.eye(3)) for _ in range(1)]
    nodes += [Node(0, np.ones(3), np.eye(3)), Node(1, np.ones(3), np.eye(3))]
    nodes += [Node(0, np.ones(3), np.eye(3))]
    assert needed_nodes(nodes, [Point(2, np.zeros(3))]) == [0, 1, 2]
