"""The difference of two methods over the same people."""

from dataclasses import replace

import numpy as np
import pytest
from test_evaluation_evaluate import QUICK, perfect, scene

from posebank.evaluation import evaluate, paired_difference
from posebank.skeleton import J


def nearly_alike(truth, rng, missed, every, joint):
    """Both miss the same joints by far; the second misses a joint of some people more."""
    first = perfect(truth, rng)
    far = rng.random(first.joints_2d.shape[:2]) < missed
    first = replace(first, joints_2d=first.joints_2d + 60 * far[..., None])
    joints = first.joints_2d.copy()
    joints[::every, joint] += 60
    return first, replace(first, joints_2d=joints)


def test_difference_is_that_of_the_scores_and_its_interval_is_narrower():
    rng = np.random.default_rng(0)
    truth = scene(rng, people_in=(1, 2) * 20)
    first, second = nearly_alike(truth, rng, missed=0.5, every=6, joint=J["l_knee"])
    deeper = first.joints_3d + np.linspace(0, 0.1, len(first))[:, None, None]
    second = replace(second, joints_3d=deeper)
    settings = replace(QUICK, bootstrap=300, selection="iou", root="none")
    table = paired_difference(first, second, truth, settings).set_index("metric")
    scores = [evaluate(found, truth, settings).numbers for found in (first, second)]
    row = table.loc["PCKh@0.5 (%)"]
    expected = scores[0]["pckh"]["weighted"] - scores[1]["pckh"]["weighted"]
    assert row["difference"] == pytest.approx(expected)
    assert expected > 0
    assert 0 < row["difference_low"] < expected < row["difference_high"]
    low, high = scores[0]["pckh"]["interval"]
    assert row["difference_high"] - row["difference_low"] < 0.5 * (high - low)
    mpjpe = table.loc["MPJPE (mm)"]
    assert mpjpe["difference"] == pytest.approx(-50 * np.sqrt(3), rel=1e-3)
    assert mpjpe["people"] == len(truth)


def test_a_person_missing_from_one_counts_in_2d_and_not_in_3d():
    rng = np.random.default_rng(1)
    truth = scene(rng, people_in=(1, 1, 1, 1))
    first = perfect(truth, rng)
    second = first.take(np.arange(3))
    table = paired_difference(first, second, truth, QUICK).set_index("metric")
    assert table.loc["PCKh@0.5 (%)", "difference"] == pytest.approx(25)
    assert table.loc["PCKh@0.5 (%)", "people"] == 4
    assert table.loc["MPJPE (mm)", "difference"] == 0
    assert table.loc["MPJPE (mm)", "people"] == 3


def test_map_is_compared_over_groups_with_a_narrower_interval():
    rng = np.random.default_rng(3)
    truth = scene(rng, people_in=(2, 3) * 12)
    first, second = nearly_alike(truth, rng, missed=0.4, every=5, joint=J["r_ankle"])
    settings = replace(QUICK, bootstrap=200)
    table = paired_difference(first, second, truth, settings).set_index("metric")
    scores = [evaluate(found, truth, settings).numbers["map"] for found in (first, second)]
    for name, value in (("mAP@0.5 (%)", "value"), ("mAP@1 (%)", "at_1")):
        row = table.loc[name]
        expected = scores[0][value] - scores[1][value]
        assert row["difference"] == pytest.approx(expected)
        assert 0 < row["difference_low"] < expected < row["difference_high"]
        assert row["people"] == len(truth)
    low, high = scores[0]["interval"]
    row = table.loc["mAP@0.5 (%)"]
    assert row["difference_high"] - row["difference_low"] < 0.5 * (high - low)


def test_without_groups_there_is_no_map():
    rng = np.random.default_rng(4)
    truth = scene(rng, people_in=(1, 1, 1))
    found = perfect(truth, rng)
    metrics = paired_difference(found, found, truth, QUICK)["metric"]
    assert len(metrics) == 5
    assert not metrics.str.startswith("mAP").any()


def test_equal_predictions_do_not_differ():
    rng = np.random.default_rng(2)
    truth = scene(rng)
    found = perfect(truth, rng)
    table = paired_difference(found, found, truth, QUICK)
    assert (table[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)
