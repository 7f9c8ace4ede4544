"""The mean pose and the nearest anchor-pose in the true boxes, as references for a network."""

import numpy as np

from posebank.anchors import AnchorSettings, fit_anchors, pose_in_box
from posebank.evaluation import GroundTruth, mean_pose, nearest_anchor
from posebank.skeleton import N_JOINTS, JointState, centred
from posebank.types import texts


def people_like(poses, scale, offset):
    """Ground truth of people (n, 13, 3) seen by an orthographic camera."""
    n = len(poses)
    return GroundTruth(
        image_id=texts(f"set/im{i}.jpg" for i in range(n)),
        person_id=texts(f"set/im{i}.jpg/0" for i in range(n)),
        dataset=texts(["set"] * n),
        joints_2d=(scale * poses[..., :2] + offset).astype(np.float32),
        state=np.full((n, N_JOINTS), JointState.VISIBLE, np.uint8),
        joints_3d=poses.astype(np.float32),
        head_box=np.full((n, 4), np.nan, np.float32),
        single_person=np.full(n, -1, np.int8),
        group_id=texts([""] * n),
        action=texts([""] * n),
        provenance=texts(["test"] * n),
    )


def some_poses(n, seed=0):
    rng = np.random.default_rng(seed)
    return centred(rng.normal(size=(n, N_JOINTS, 3)) * [0.3, 0.5, 0.2]).astype(np.float32)


def test_people_in_anchor_poses_have_no_error_beside_the_nearest_anchor():
    poses = some_poses(5)
    anchors = fit_anchors(poses, AnchorSettings(k=5, upper_body=True))
    truth = people_like(poses, 90, (200, 150))
    found = nearest_anchor(truth, anchors)
    np.testing.assert_allclose(found.joints_2d, truth.joints_2d, atol=1e-3)
    np.testing.assert_allclose(found.joints_3d, truth.joints_3d, atol=1e-6)
    assert found.image_id.tolist() == truth.image_id.tolist()


def test_mean_pose_is_the_mean_of_the_training_poses_in_each_box():
    training, others = some_poses(40), some_poses(3, seed=1)
    anchors = fit_anchors(training, AnchorSettings(k=6, upper_body=False))
    truth = people_like(others, np.array([[[90]], [[20]], [[45]]]), (200, 150))
    found = mean_pose(truth, anchors)
    mean = training.mean(axis=0)
    np.testing.assert_allclose(found.joints_3d, np.repeat(mean[None], 3, axis=0), atol=1e-5)
    # In the box it is stretched to the person's width and height, whatever the person's pose.
    for pose, person in zip(found.joints_2d, truth.joints_2d, strict=True):
        low, high = person.min(axis=0), person.max(axis=0)
        size = high - low
        expected = low - 0.1 * size + 1.2 * size * pose_in_box(mean[None], "full")[0]
        np.testing.assert_allclose(pose, expected, atol=1e-2)


def test_nearest_anchor_leaves_out_people_without_3d():
    poses = some_poses(4)
    anchors = fit_anchors(poses, AnchorSettings(k=2, upper_body=False))
    unknown = poses.copy()
    unknown[2] = np.nan
    truth = people_like(poses, 90, (200, 150))
    truth = GroundTruth(**{**vars(truth), "joints_3d": unknown})
    kept = ["set/im0.jpg", "set/im1.jpg", "set/im3.jpg"]
    assert nearest_anchor(truth, anchors).image_id.tolist() == kept
