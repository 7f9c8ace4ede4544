import numpy as np
import pytest

from posebank.skeleton import (
    JOINT_NAMES,
    LIMBS,
    MIRROR,
    N_JOINTS,
    J,
    body_centre,
    centred,
    indices,
    is_annotated,
    mirrored_3d,
    remap,
)


def test_order_is_the_designs():
    assert JOINT_NAMES[0] == "r_ankle"
    assert JOINT_NAMES[J["head"]] == "head"
    assert [JOINT_NAMES[i] for i in indices(["l_hip", "r_wrist"])] == ["l_hip", "r_wrist"]
    assert len(set(JOINT_NAMES)) == N_JOINTS == 13
    assert all(a in J and b in J for a, b in LIMBS)


def test_mirror_swaps_sides_and_undoes_itself():
    assert JOINT_NAMES[MIRROR[J["r_knee"]]] == "l_knee"
    assert MIRROR[J["head"]] == J["head"]
    poses = np.random.default_rng(0).normal(size=(5, N_JOINTS, 3))
    np.testing.assert_array_equal(mirrored_3d(mirrored_3d(poses)), poses)
    assert mirrored_3d(poses)[2, J["l_wrist"], 0] == -poses[2, J["r_wrist"], 0]
    assert mirrored_3d(poses)[2, J["l_wrist"], 1] == poses[2, J["r_wrist"], 1]


def test_body_centre_by_hand():
    joints = np.zeros((1, N_JOINTS, 2))
    for name, x in (("r_hip", 1.0), ("l_hip", 3.0), ("r_shoulder", 5.0), ("l_shoulder", 11.0)):
        joints[0, J[name]] = (x, 2 * x)
    np.testing.assert_allclose(body_centre(joints), [[5.0, 10.0]])
    np.testing.assert_allclose(body_centre(centred(joints)), 0.0)


def test_annotated_is_visible_or_occluded():
    states = np.array([[0, 1, 2, 3]], np.uint8)
    np.testing.assert_array_equal(is_annotated(states), [[False, True, True, False]])


def test_remap_by_name():
    source = [f"s{i}" for i in range(20)]
    mapping = {name: f"s{19 - i}" for i, name in enumerate(JOINT_NAMES)}
    points = np.arange(2 * 20 * 3.0).reshape(2, 20, 3)
    np.testing.assert_array_equal(remap(points, source, mapping), points[:, 19:6:-1])
    with pytest.raises(KeyError):
        remap(points, source[:10], mapping)
