"""Every metric against the slow transcription of its definition in ``evaluation_oracle``."""

import math

import evaluation_oracle as oracle
import numpy as np
import pytest

from posebank.evaluation import (
    Group,
    area_under_curve,
    mpii_map,
    pck_curve,
    pckh,
    relative_distances,
    select,
    share_within,
)
from posebank.geometry.joint_errors import joint_errors_mm, mpjpe
from posebank.skeleton import N_JOINTS, J
from posebank.types import texts


def people(rng, n, spread=12.0):
    """Predictions and truth on a coarse grid, so that ties at the threshold do occur."""
    true = rng.integers(0, 60, (n, N_JOINTS, 2)).astype(float)
    pred = true + rng.integers(-spread, spread + 1, true.shape)
    annotated = rng.random((n, N_JOINTS)) < 0.7
    size = rng.choice([10.0, 16.0, 20.0], n)
    return pred, true, annotated, size


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("threshold", [0.25, 0.5, 1.0])
def test_pckh(strict, threshold):
    rng = np.random.default_rng(0)
    pred, true, annotated, size = people(rng, 40)
    size[3] = np.nan
    expected = oracle.pckh(pred, true, size, annotated, threshold, strict)
    found = pckh(pred, true, size, annotated, threshold, strict=strict)
    shares = [100 * right / count for right, count in expected]
    np.testing.assert_allclose(found.per_joint, shares, rtol=1e-12)
    np.testing.assert_array_equal(found.count, [count for _, count in expected])
    right, count = (sum(column) for column in zip(*expected, strict=True))
    assert found.weighted == pytest.approx(100 * right / count, rel=1e-12)
    assert found.unweighted == pytest.approx(sum(shares) / N_JOINTS, rel=1e-12)
    limbs = [row for joint, row in enumerate(expected) if joint != J["head"]]
    right, count = (sum(column) for column in zip(*limbs, strict=True))
    assert found.limbs_weighted == pytest.approx(100 * right / count, rel=1e-12)
    assert found.limbs_unweighted == pytest.approx(
        sum(100 * r / c for r, c in limbs) / 12, rel=1e-12
    )


def test_ties_occur_and_strictness_decides_them():
    rng = np.random.default_rng(1)
    pred, true, annotated, size = people(rng, 200)
    loose = pckh(pred, true, size, annotated, 0.5)
    strict = pckh(pred, true, size, annotated, 0.5, strict=True)
    assert loose.weighted > strict.weighted


def test_tie_by_hand():
    """5 px at a head size of 10 px is exactly 0.5: right, and wrong if strict."""
    true = np.zeros((1, N_JOINTS, 2))
    pred = true.copy()
    pred[0, J["head"]] = [3, 4]
    annotated = np.ones((1, N_JOINTS), bool)
    assert pckh(pred, true, np.array([10.0]), annotated).weighted == 100
    found = pckh(pred, true, np.array([10.0]), annotated, strict=True)
    assert found.per_joint[J["head"]] == 0
    assert found.weighted == pytest.approx(100 * 12 / 13)
    assert found.limbs_weighted == 100


def test_one_joint_annotated():
    true = np.zeros((2, N_JOINTS, 2))
    annotated = np.zeros((2, N_JOINTS), bool)
    annotated[1, J["l_wrist"]] = True
    found = pckh(true, true, np.array([10.0, 10.0]), annotated)
    assert found.weighted == found.unweighted == found.per_joint[J["l_wrist"]] == 100
    assert found.count.sum() == 1
    assert np.isnan(np.delete(found.per_joint, J["l_wrist"])).all()


def test_nobody_annotated_is_unknown():
    true = np.zeros((2, N_JOINTS, 2))
    found = pckh(true, true, np.array([9.0, 9.0]), np.zeros((2, N_JOINTS), bool))
    assert math.isnan(found.weighted)
    assert math.isnan(found.unweighted)


def test_not_found_is_wrong():
    true = np.zeros((2, N_JOINTS, 2))
    pred = true.copy()
    pred[0] = np.nan
    found = pckh(pred, true, np.array([9.0, 9.0]), np.ones((2, N_JOINTS), bool))
    assert found.weighted == 50


def test_curve_is_read_at_its_own_threshold():
    rng = np.random.default_rng(2)
    pred, true, annotated, size = people(rng, 30)
    thresholds = np.linspace(0, 1, 101)
    distance = relative_distances(pred, true, size, annotated)
    for strict in (False, True):
        curve = pck_curve(distance, thresholds, strict=strict)
        for place in (0, 10, 11, 50, 51, 100):
            score = share_within(distance, thresholds[place], strict=strict)
            assert curve[place] == pytest.approx(score.weighted, rel=1e-12)


@pytest.mark.parametrize("upper", [0.5, 1.0])
def test_area_under_curve(upper):
    rng = np.random.default_rng(3)
    pred, true, annotated, size = people(rng, 20)
    found = area_under_curve(relative_distances(pred, true, size, annotated), upper)
    expected = oracle.area_under_curve(pred, true, size, annotated, upper)
    assert found == pytest.approx(expected, abs=0.01)


def random_group(rng, n_pred, n_true):
    pred, true, annotated, size = people(rng, max(n_pred, n_true), spread=9)
    # Predictions near some person, not always the one in the same row; equal scores occur.
    pred = true[rng.integers(0, max(n_true, 1), n_pred)] if n_true else pred[:n_pred]
    pred = pred + rng.integers(-9, 10, pred.shape)
    return Group(
        pred, rng.integers(0, 6, n_pred) / 5, true[:n_true], annotated[:n_true], size[:n_true]
    )


def as_lists(group):
    return {
        "pred": group.pred_2d.tolist(),
        "score": group.score.tolist(),
        "true": group.true_2d.tolist(),
        "annotated": group.annotated.tolist(),
        "size": group.head_size.tolist(),
    }


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("unannotated", ["false_positive", "ignore"])
@pytest.mark.parametrize("seed", range(4))
def test_multi_person_ap(seed, unannotated, strict):
    rng = np.random.default_rng(seed)
    # Groups without predictions, with fewer and with more of them than people.
    sizes = [(0, 2), (1, 3), (5, 2), (4, 4), (3, 5), (7, 3), (2, 2)]
    groups = [random_group(rng, *size) for size in sizes]
    for threshold in (0.5, 1.0):
        expected = oracle.mpii_ap(
            list(map(as_lists, groups)), threshold, strict, unannotated == "ignore"
        )
        mean, ap = mpii_map(groups, threshold, strict=strict, unannotated=unannotated)
        np.testing.assert_allclose(ap, expected, rtol=1e-12)
        assert mean == pytest.approx(np.nanmean(expected), rel=1e-12)
        assert 0 < mean < 100


def test_multi_person_by_hand():
    """Two people and three poses: one right, one on nobody with a better score, one duplicate."""
    true = np.stack([np.full((N_JOINTS, 2), 100.0), np.full((N_JOINTS, 2), 200.0)])
    pred = np.stack([true[0], true[0] + 500, true[0] + 1])
    group = Group(
        pred, np.array([0.8, 0.9, 0.1]), true, np.ones((2, N_JOINTS), bool), np.array([20.0, 20.0])
    )
    # By score: wrong, right, wrong. Recall 0, 1/2, 1/2; precision 0, 1/2, 1/3. AP = 1/2 * 1/2.
    mean, ap = mpii_map([group])
    np.testing.assert_allclose(ap, 25)
    assert mean == pytest.approx(25)


def test_multi_person_nothing_at_all():
    mean, ap = mpii_map([])
    assert math.isnan(mean)
    assert np.isnan(ap).all()


def test_joints_of_an_assigned_pose_without_annotation():
    """The official evaluator counts them as false positives; ``ignore`` does not."""
    true = np.full((2, N_JOINTS, 2), 50.0)
    true[1] += 100
    annotated = np.ones((2, N_JOINTS), bool)
    annotated[0, J["head"]] = False
    group = Group(true, np.array([0.9, 0.8]), true, annotated, np.array([20.0, 20.0]))
    official = mpii_map([group])[1]
    lenient = mpii_map([group], unannotated="ignore")[1]
    assert official[J["head"]] == pytest.approx(50)  # a false positive before the right one
    assert lenient[J["head"]] == 100
    np.testing.assert_allclose(np.delete(official, J["head"]), 100)


@pytest.mark.parametrize("root", ["body_centre", "mid_hip", "none"])
def test_mpjpe(root):
    rng = np.random.default_rng(5)
    pred, true = rng.normal(size=(2, 9, N_JOINTS, 3))
    roots = {
        "body_centre": [J["r_hip"], J["l_hip"], J["r_shoulder"], J["l_shoulder"]],
        "mid_hip": [J["r_hip"], J["l_hip"]],
    }
    expected = [
        oracle.mean_joint_distance_mm(p, t)
        if root == "none"
        else oracle.mean_joint_distance_mm(
            oracle.rooted(p, roots[root]), oracle.rooted(t, roots[root])
        )
        for p, t in zip(pred, true, strict=True)
    ]
    np.testing.assert_allclose(mpjpe(pred, true, root=root), expected, rtol=1e-12)


@pytest.mark.parametrize("align", ["rigid", "similarity"])
def test_mpjpe_aligned(align):
    rng = np.random.default_rng(6)
    pred, true = rng.normal(size=(2, 3, N_JOINTS, 3)) * 0.4
    expected = [
        oracle.mean_joint_distance_mm(oracle.aligned(p, t, align == "similarity"), t)
        for p, t in zip(pred, true, strict=True)
    ]
    np.testing.assert_allclose(mpjpe(pred, true, align=align), expected, rtol=1e-5)


def test_mpjpe_by_hand():
    """The right wrist 130 mm off, nothing else: 10 mm on average over 13 joints."""
    true = np.random.default_rng(7).normal(size=(1, N_JOINTS, 3))
    pred = true.copy()
    pred[0, J["r_wrist"], 2] += 0.130
    assert mpjpe(pred, true)[0] == pytest.approx(10)
    errors = joint_errors_mm(pred, true)[0]
    assert errors[J["r_wrist"]] == pytest.approx(130)
    assert np.delete(errors, J["r_wrist"]) == pytest.approx(0)


def test_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(8)
    pred, true = rng.normal(size=(2, 11, N_JOINTS, 3))
    whole = mpjpe(pred, true, align="rigid")
    monkeypatch.setattr("posebank.geometry.joint_errors._BLOCK", 4)
    np.testing.assert_allclose(mpjpe(pred, true, align="rigid"), whole, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_selection_by_overlap(seed):
    rng = np.random.default_rng(seed)
    n_true, n_pred = 17, 29
    true_image = texts([f"im{i}" for i in rng.integers(0, 6, n_true)])
    pred_image = texts([f"im{i}" for i in rng.integers(1, 8, n_pred)])
    true = rng.integers(0, 50, (n_true, N_JOINTS, 2)) + rng.integers(0, 90, (n_true, 1, 2))
    pred = rng.integers(0, 50, (n_pred, N_JOINTS, 2)) + rng.integers(0, 90, (n_pred, 1, 2))
    known = rng.random((n_true, N_JOINTS)) < 0.8
    score = rng.integers(0, 4, n_pred) / 4
    expected = oracle.select_by_iou(pred_image, pred, score, true_image, true, known)
    found = select(pred_image, pred, score, true_image, true, known, rule="iou")
    np.testing.assert_array_equal(found, expected)
    assert (found < 0).any()
    assert (found >= 0).any()
