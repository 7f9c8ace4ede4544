"""Boxes, labels, targets and losses against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lcrnet_samples import make_anchors, poses, standing

from posebank.geometry.boxes import boxes_around
from posebank.lcrnet.model import classification_loss, regression_loss
from posebank.lcrnet.targets import (
    IGNORED,
    AnchorTensors,
    ImageTargets,
    image_targets,
    label_boxes,
    poses_from_regression,
    regression_targets,
    sample_boxes,
)
from posebank.lcrnet.trainer import anchor_tensors
from posebank.skeleton import J, JointState


def targets_of(boxes, classes, person, n_people=3, ignored=()):
    return ImageTargets(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        classes=torch.tensor(classes, dtype=torch.long),
        person=torch.tensor(person, dtype=torch.long),
        joints_2d=torch.zeros(n_people, 13, 2),
        joints_3d=torch.zeros(n_people, 13, 3),
        joint_weight=torch.ones(n_people, 13),
        person_weight=torch.ones(n_people),
        ignored=torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4),
    )


def test_box_labels():
    targets = targets_of([[0, 0, 100, 100], [60, 0, 160, 100]], [4, 7], [2, 0])
    boxes = torch.tensor(
        [
            [0, 0, 100, 100],  # IoU 1 with the first
            [0, 0, 100, 50],  # IoU exactly 0.5: not below, so a person
            [0, 0, 100, 49],  # 0.49: background
            [40, 0, 140, 100],  # 60 / 140 = 0.43 and 80 / 120 = 0.67
            [200, 200, 300, 300],
        ],
        dtype=torch.float32,
    )
    classes, person = label_boxes(boxes, targets)
    assert classes.tolist() == [4, 4, 0, 7, 0]
    assert person.tolist() == [2, 2, 0, 0, 0]


def test_box_labels_without_people_and_on_ignored_people():
    boxes = torch.tensor([[0, 0, 10, 10], [50, 50, 70, 80]], dtype=torch.float32)
    classes, _ = label_boxes(boxes, targets_of([], [], []))
    assert classes.tolist() == [0, 0]
    classes, _ = label_boxes(boxes, targets_of([], [], [], ignored=[[50, 50, 70, 78]]))
    assert classes.tolist() == [0, IGNORED]
    # A labelled person on the same place counts more.
    classes, _ = label_boxes(
        boxes, targets_of([[50, 50, 70, 80]], [3], [1], ignored=[[50, 50, 70, 78]])
    )
    assert classes.tolist() == [0, 3]
    assert sample_boxes(torch.tensor([IGNORED] * 9), 4, 0.25).tolist() == []


def test_sampling_takes_a_quarter_from_people():
    classes = torch.tensor([0] * 100 + [5] * 50 + [IGNORED] * 20)
    rows = sample_boxes(classes, 32, 0.25)
    assert len(set(rows.tolist())) == 32
    assert (classes[rows] == 5).sum() == 8
    assert (classes[rows] == 0).sum() == 24
    # Too few people: the rest is background.
    few = torch.tensor([0] * 100 + [5] * 3)
    assert (few[sample_boxes(few, 32, 0.25)] == 5).sum() == 3
    assert len(sample_boxes(few, 32, 0.25)) == 32


def anchors_3() -> AnchorTensors:
    return anchor_tensors(make_anchors(poses(3, seed=4)), upper_body=True)


def people(n=2):
    anchors = anchors_3()
    pose_3d = anchors.pose_3d[[2, 0][:n]]  # exactly the third and the first anchor-pose
    joints_2d = pose_3d[..., :2] * 40 + torch.tensor([50.0, 60.0])
    state = torch.full((n, 13), JointState.VISIBLE, dtype=torch.uint8)
    return anchors, pose_3d, joints_2d, state


def build(anchors, pose_3d, joints_2d, state, size=(120, 100)):
    n = len(pose_3d)
    return image_targets(
        joints_2d,
        pose_3d,
        state,
        torch.ones(n, 13),
        torch.ones(n),
        anchors,
        size,
        torch.zeros(0, 4),
    )


def test_true_boxes_full_and_upper():
    anchors, pose_3d, joints_2d, state = people()
    for name in ("r_ankle", "l_ankle", "r_knee", "l_knee"):
        state[1, J[name]] = JointState.COMPLETED  # nothing of the second one's legs was seen
    found = build(anchors, pose_3d, joints_2d, state)
    # Full boxes first: only the first person's; then an upper-body box of each.
    assert found.person.tolist() == [0, 0, 1]
    assert found.classes.tolist() == [3, 3 + 3, 1 + 3]
    full = boxes_around(joints_2d[0].numpy())
    np.testing.assert_allclose(found.boxes[0], full, rtol=1e-6)
    upper = [J[n] for n in J if "knee" not in n and "ankle" not in n]
    np.testing.assert_allclose(found.boxes[2], boxes_around(joints_2d[1, upper].numpy()), rtol=1e-6)
    # The margin is a tenth on each side: six fifths of the joints' own width.
    width = joints_2d[0, :, 0].max() - joints_2d[0, :, 0].min()
    assert found.boxes[0, 2] - found.boxes[0, 0] == pytest.approx(float(1.2 * width), rel=1e-5)


def test_without_upper_body_anchors_every_person_has_one_box():
    _, pose_3d, joints_2d, state = people()
    anchors = anchor_tensors(make_anchors(poses(3, seed=4), upper=False), upper_body=False)
    state[:] = JointState.COMPLETED
    found = build(anchors, pose_3d, joints_2d, state)
    assert found.classes.tolist() == [3, 1]


def test_people_outside_the_image_and_none_at_all():
    anchors, pose_3d, joints_2d, state = people()
    joints_2d = joints_2d.clone()
    joints_2d[0, :, 0] += 500
    found = build(anchors, pose_3d, joints_2d, state)
    assert set(found.person.tolist()) == {1}
    none = build(anchors, pose_3d[:0], joints_2d[:0], state[:0])
    assert none.boxes.shape == (0, 4)


def test_regression_target_by_hand():
    anchors = AnchorTensors(torch.full((2, 13, 2), 0.25), torch.full((2, 13, 3), 0.5), 2)
    targets = targets_of([[10, 20, 50, 100]], [2], [0], n_people=1)
    targets.joints_2d[0, :] = torch.tensor([30.0, 40.0])
    targets.joints_3d[0, :] = torch.tensor([0.1, 0.5, 1.5])
    found = regression_targets(targets.boxes, targets.classes, targets.person, targets, anchors)
    # x: (30 - 10) / 40 - 0.25; y: (40 - 20) / 80 - 0.25; then metres.
    np.testing.assert_allclose(found[0, 6], [0.25, 0.0, -0.4, 0.0, 1.0], atol=1e-6)
    assert found.shape == (1, 13, 5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_regression_is_undone_exactly(seed):
    rng = np.random.default_rng(seed)
    anchors = anchors_3()
    n = 4
    corner = rng.uniform(-20, 50, (n, 2))
    boxes = torch.tensor(np.concatenate([corner, corner + rng.uniform(5, 90, (n, 2))], 1)).float()
    targets = targets_of(boxes.tolist(), [1] * n, [0] * n, n_people=3)
    targets.joints_2d[:] = torch.tensor(rng.uniform(0, 100, (3, 13, 2)))
    targets.joints_3d[:] = torch.tensor(rng.normal(0, 0.5, (3, 13, 3)))
    classes = torch.tensor(rng.integers(1, 7, n))
    person = torch.tensor(rng.integers(0, 3, n))
    values = regression_targets(boxes, classes, person, targets, anchors)
    flat, deep = poses_from_regression(boxes, classes, values, anchors)
    np.testing.assert_allclose(flat, targets.joints_2d[person], atol=1e-3)
    np.testing.assert_allclose(deep, targets.joints_3d[person], atol=1e-5)


def test_regression_loss_by_hand():
    wanted = torch.zeros(2, 13, 5)
    found = torch.zeros(2, 13, 5)
    found[0, 3, 1] = 0.5  # 0.5 * 0.5^2 = 0.125
    found[1, 7, 4] = -3.0  # 3 - 0.5 = 2.5
    weight = torch.ones(2, 13)
    assert regression_loss(found, wanted, weight, 8).item() == pytest.approx(2.625 / 8)
    weight[1, 7] = 0.2
    assert regression_loss(found, wanted, weight, 8).item() == pytest.approx(0.625 / 8)
    assert regression_loss(found[:0], wanted[:0], weight[:0], 0).item() == 0


def test_classification_loss_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]))
    label = torch.tensor([0, 2])
    expected = -(math.log(0.5) + 0.5 * math.log(0.7)) / 2
    found = classification_loss(logits, label, torch.tensor([1.0, 0.5]))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_upper_body_anchor_covers_its_box_with_the_upper_body():
    anchors = anchor_tensors(make_anchors(standing()[None]), upper_body=True)
    upper = anchors.pose_2d[1]
    seen = [J[n] for n in J if "knee" not in n and "ankle" not in n]
    low, high = upper[seen].min(0).values, upper[seen].max(0).values
    np.testing.assert_allclose(low, [1 / 12, 1 / 12], atol=1e-5)  # the margin, of 1.2 widths
    np.testing.assert_allclose(high, [11 / 12, 11 / 12], atol=1e-5)
    assert (upper[[J["r_ankle"], J["l_ankle"]], 1] > 1).all()
