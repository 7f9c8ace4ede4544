"""PPI and NMS: by hand, against a slow reading of section 3.5, and in the limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lcrnet_samples import standing

from posebank.lcrnet import IntegrationSettings, integrate, nms

SETTINGS = IntegrationSettings(all_modes=True)


def proposal(x=0.0, deep=0.0):
    """The standing pose, 100 px a metre, moved by x pixels, and by ``deep`` metres in depth."""
    pose = standing().astype(np.float64)
    return pose[:, :2] * 100 + [200 + x, 200], pose + np.array([0, 0, deep])


def stacked(*proposals):
    flat, deep = zip(*proposals, strict=True)
    return np.stack(flat), np.stack(deep)


def test_one_person_two_modes_by_hand():
    flat, deep = stacked(proposal(0), proposal(10, 0.05), proposal(4, 0.5), proposal(8, 0.56))
    score = np.array([0.6, 0.2, 0.3, 0.5])
    found = integrate(flat, deep, score, SETTINGS)
    assert found.score == pytest.approx([0.8, 0.8])
    # First mode: 0.6 and 0.2; second: 0.5 (its top) and 0.3.
    np.testing.assert_allclose(found.joints_2d[0], proposal(0.2 / 0.8 * 10)[0])
    np.testing.assert_allclose(found.joints_3d[0], proposal(0, 0.2 / 0.8 * 0.05)[1])
    np.testing.assert_allclose(found.joints_2d[1], proposal((0.5 * 8 + 0.3 * 4) / 0.8)[0])
    np.testing.assert_allclose(found.joints_3d[1], proposal(0, (0.5 * 0.56 + 0.3 * 0.5) / 0.8)[1])


def test_modes_do_not_chain():
    # 0, 0.08, 0.16 m: neighbours are within 0.1 m, but only distances from the top one count.
    flat, deep = stacked(proposal(0), proposal(0, 0.08), proposal(0, 0.16))
    found = integrate(flat, deep, np.array([0.5, 0.3, 0.2]), SETTINGS)
    assert found.score == pytest.approx([0.8, 0.2])
    # From the middle one all are within reach.
    found = integrate(flat, deep, np.array([0.3, 0.5, 0.2]), SETTINGS)
    assert found.score == pytest.approx([1.0])


def test_the_best_mode_of_each_person_is_the_default():
    flat, deep = stacked(
        proposal(0), proposal(10, 0.5), proposal(6, 0.52), proposal(900), proposal(901, 0.4)
    )
    score = np.array([0.6, 0.4, 0.3, 0.2, 0.1])
    found = integrate(flat, deep, score, IntegrationSettings())
    assert found.score == pytest.approx([0.7, 0.2])  # the second mode has more than the top one
    np.testing.assert_allclose(found.joints_2d[0], proposal((0.4 * 10 + 0.3 * 6) / 0.7)[0])
    np.testing.assert_allclose(found.joints_3d[1], proposal()[1])
    every = integrate(flat, deep, score, SETTINGS)
    assert every.score == pytest.approx([0.7, 0.6, 0.2, 0.1])


def test_the_mean_leaves_out_a_neighbour_of_the_same_pose():
    width = np.ptp(proposal()[0][:, 0])
    near, far = 0.2 * width, 0.6 * width  # IoU of the boxes 0.8 / 1.2 and 0.4 / 1.6
    flat, deep = stacked(proposal(0), proposal(near), proposal(far, 0.05))
    score = np.array([0.5, 0.2, 0.3])
    found = integrate(flat, deep, score, IntegrationSettings())
    np.testing.assert_allclose(found.joints_2d, [proposal(0.2 / 0.7 * near)[0]])
    np.testing.assert_allclose(found.joints_3d, [proposal()[1]])
    assert found.score == pytest.approx([1.0])  # the mode's, without numbers of boxes
    # As the paper has it, the neighbour is averaged in.
    every = integrate(flat, deep, score, SETTINGS)
    np.testing.assert_allclose(every.joints_2d, [proposal(0.2 * near + 0.3 * far)[0]])
    np.testing.assert_allclose(every.joints_3d, [proposal(0, 0.3 * 0.05)[1]])


def test_a_person_has_the_score_of_the_box_that_is_surest_of_one():
    # Three boxes on a person, of two modes 0.5 m apart; one box on another; numbers in any order.
    flat, deep = stacked(
        proposal(0), proposal(2, 0.5), proposal(1), proposal(3, 0.5), proposal(4), proposal(900)
    )
    score = np.array([0.4, 0.35, 0.3, 0.1, 0.2, 0.8])
    box = np.array([7, 7, 2, 2, -1, 5])
    found = integrate(flat, deep, score, IntegrationSettings(), box)
    # Box 7 says 0.75, over both modes; box 2 0.4, box -1 0.2. All first modes together: 0.9.
    assert found.score == pytest.approx([0.8, 0.75])
    np.testing.assert_allclose(found.joints_2d[0], proposal(900)[0])
    np.testing.assert_allclose(found.joints_2d[1], proposal((0.3 + 0.2 * 4) / 0.9)[0])
    every = integrate(flat, deep, score, SETTINGS, box)
    assert every.score == pytest.approx([0.9, 0.8, 0.45])


def test_a_box_on_two_people_counts_for_each_by_its_own_proposals():
    flat, deep = stacked(proposal(0), proposal(900))
    found = integrate(flat, deep, np.array([0.6, 0.3]), IntegrationSettings(), np.array([1, 1]))
    assert found.score == pytest.approx([0.6, 0.3])


def test_sum_of_scores_reorders():
    flat, deep = stacked(proposal(0), proposal(900), proposal(901), proposal(902))
    found = integrate(flat, deep, np.array([0.9, 0.4, 0.4, 0.4]), SETTINGS)
    assert found.score == pytest.approx([1.2, 0.9])
    assert found.joints_2d[0, 0, 0] > 900


def test_two_people_apart_are_two_groups_and_nms_keeps_the_top_of_each():
    flat, deep = stacked(proposal(0), proposal(500), proposal(3), proposal(498))
    score = np.array([0.5, 0.7, 0.6, 0.1])
    found = integrate(flat, deep, score, SETTINGS)
    assert found.score == pytest.approx([1.1, 0.8])
    kept = nms(flat, deep, score, SETTINGS)
    np.testing.assert_array_equal(kept.score, [0.7, 0.6])
    np.testing.assert_array_equal(kept.joints_2d, flat[[1, 2]])
    np.testing.assert_array_equal(kept.joints_3d, deep[[1, 2]])


@pytest.mark.parametrize("work", [integrate, nms])
def test_nothing_and_one(work):
    empty = work(np.zeros((0, 13, 2)), np.zeros((0, 13, 3)), np.zeros(0), SETTINGS)
    assert empty.joints_2d.shape == (0, 13, 2)
    assert empty.joints_3d.shape == (0, 13, 3)
    point = work(np.ones((1, 13, 2)), np.ones((1, 13, 3)), np.array([0.3]), SETTINGS)
    np.testing.assert_allclose(point.joints_2d, np.ones((1, 13, 2)))
    assert point.score == pytest.approx([0.3])


def slow_ppi(flat, deep, score, number, settings):
    """Section 3.5 word for word, one proposal at a time, and what we make of it."""

    def box(p):
        return (*p.min(axis=0), *p.max(axis=0))

    def iou(p, q):
        a, b = box(p), box(q)
        w = min(a[2], b[2]) - max(a[0], b[0])
        h = min(a[3], b[3]) - max(a[1], b[1])
        if w <= 0 or h <= 0:
            return 0.0
        area = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
        return w * h / (sum(area) - w * h)

    def mean(rows):
        total = sum(score[i] for i in rows)
        return tuple(sum(score[i] * p[i] for i in rows) / total for p in (flat, deep))

    left = sorted(range(len(score)), key=lambda i: -score[i])
    poses = []
    while left:
        top = left[0]
        group = [i for i in left if i == top or iou(flat[i], flat[top]) > settings.iou]
        left = [i for i in left if i not in group]
        boxes = {number[i] for i in group}
        surest = max(sum(score[i] for i in group if number[i] == b) for b in boxes)
        person = []
        while group:
            best = group[0]
            mode = [
                i
                for i in group
                if np.mean([np.linalg.norm(deep[i][j] - deep[best][j]) for j in range(13)])
                < settings.distance_m
            ]
            group = [i for i in group if i not in mode]
            person.append((sum(score[i] for i in mode), mode))
        if settings.all_modes:
            poses += [(total, *mean(mode)) for total, mode in person]
        else:
            _, mode = max(person, key=lambda p: p[0])
            near = [i for i in mode if i == mode[0] or iou(flat[i], flat[mode[0]]) >= 0.5]
            poses.append((surest, *mean(near)))
    return sorted(poses, key=lambda p: -p[0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.booleans())
def test_ppi_equals_the_slow_reading(seed, n, all_modes):
    chosen = IntegrationSettings(all_modes=all_modes)
    rng = np.random.default_rng(seed)
    flat, deep = stacked(*(proposal(x) for x in rng.uniform(-150, 150, n)))
    flat = flat + rng.normal(0, 3, flat.shape)
    deep = deep + rng.choice([0, 0.3], (n, 1, 1)) + rng.normal(0, 0.03, deep.shape)
    score = rng.uniform(0.01, 1, n)
    box = rng.integers(-3, 4, n)
    found = integrate(flat, deep, score, chosen, box)
    expected = slow_ppi(flat, deep, score, box, chosen)
    np.testing.assert_allclose(found.score, [e[0] for e in expected])
    np.testing.assert_allclose(found.joints_2d, [e[1] for e in expected])
    np.testing.assert_allclose(found.joints_3d, [e[2] for e in expected], atol=1e-12)
    # The order in which proposals come does not matter.
    shuffled = rng.permutation(n)
    again = integrate(flat[shuffled], deep[shuffled], score[shuffled], chosen, box[shuffled])
    np.testing.assert_allclose(again.score, found.score)
    np.testing.assert_allclose(again.joints_2d, found.joints_2d)
