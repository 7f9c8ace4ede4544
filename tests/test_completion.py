from dataclasses import replace

import numpy as np
import pytest
from matching_oracle import people_from, random_bank, random_people

from posebank.completion import complete, fit_camera, project
from posebank.errors import ArtefactError, SettingsError
from posebank.matching import ESTIMATORS, LabelSettings, MatchSettings, label, match
from posebank.matching.estimators import (
    SIGMA,
    candidate_poses,
    candidate_weights,
    perspective_error,
    posterior,
)
from posebank.matching.labels import ambiguity_mm
from posebank.matching.trust import fit_trust, trust_features
from posebank.matching.truth import (
    TruthSettings,
    pose_errors_mm,
    see_people,
    truth_benchmark,
    without_subjects,
)
from posebank.skeleton import J, body_centre, centred, is_annotated


def test_camera_is_recovered_from_the_annotated_joints():
    joints = random_bank(3).joints_3d.astype(float)
    image = 40 * joints[..., :2] + np.array([5.0, -6.0])
    annotated = np.ones((3, 13), bool)
    annotated[0, :6] = False
    image[0, :6] = 1e5  # never read
    scale, shift = fit_camera(image, annotated, joints[..., :2])
    np.testing.assert_allclose(scale, 40)
    np.testing.assert_allclose(shift, [[5, -6]] * 3, atol=1e-9)


def test_projection_by_hand():
    joint = np.array([[[0.3, -0.6, 0.0], [0.3, -0.6, 1.0], [0.3, -0.6, -1.0]]])
    expected = [[0.3, -0.6], [0.3 / 1.2, -0.6 / 1.2], [0.3 / 0.8, -0.6 / 0.8]]
    np.testing.assert_allclose(project(joint)[0], expected)


def test_completion_fills_only_what_is_missing():
    joints = random_bank(2).joints_3d.astype(float)
    state = np.array([[1, 2] + [1] * 11, [0] * 3 + [1] * 10], np.uint8)
    image = (20 * project(joints) + [3, 4]).astype(np.float32)
    image[0] += np.random.default_rng(0).normal(0, 3, (13, 2))  # a full annotation is kept
    annotated = np.where(state[..., None] > 0, image, np.float32(1e6))
    filled, new = complete(annotated, state, joints)
    assert (filled[state > 0] == image[state > 0]).all()
    assert new.tolist() == [[1, 2] + [1] * 11, [3] * 3 + [1] * 10]
    np.testing.assert_allclose(filled[1, :3], image[1, :3], rtol=1e-4)


@pytest.fixture(scope="module")
def matched():
    bank, people = random_bank(19), random_people(7)
    return bank, people, match(bank, people, MatchSettings(k=5))[0]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_labels(matched, estimator):
    bank, people, matches = matched
    more = people.take(np.arange(7)[::-1])  # any order
    labels = label(bank, more, matches, LabelSettings(estimator=estimator))
    assert labels.person_id.tolist() == matches.person_id.tolist()
    seen = is_annotated(people.state)
    assert (labels.joints_2d[seen] == people.joints_2d[seen]).all()
    assert (labels.state == np.where(seen, people.state, 3)).all()
    for name in ("joints_2d", "joints_3d", "trust", "ambiguity_mm", "error_mm"):
        assert np.isfinite(getattr(labels, name)).all()
    assert ((labels.trust >= 0) & (labels.trust <= 1)).all()
    np.testing.assert_allclose(body_centre(labels.joints_3d), 0, atol=1e-6)
    assert labels.pose_id.tolist() == bank.pose_id[matches.pose_row[:, 0]].tolist()


def test_nearest_is_the_best_match_in_its_camera(matched):
    bank, people, matches = matched
    labels = label(bank, people, matches, LabelSettings(estimator="nearest"))
    expected = np.einsum(
        "njd,ncd->njc", bank.joints_3d[matches.pose_row[:, 0]], matches.rotation[:, 0]
    )
    np.testing.assert_allclose(labels.joints_3d, expected, atol=1e-6)


def test_posterior_honours_the_annotated_joints():
    bank = random_bank(5)
    pose = bank.joints_3d[2:3].astype(float) * [1, -1, -1]  # from the front, y down
    person = people_from(90 * project(pose) + 200, np.ones((1, 13)))
    matches, _ = match(bank, person, MatchSettings(k=1))
    found = posterior(bank, matches, person.joints_2d, np.ones((1, 13), bool))
    assert found.spread_mm[0] == found.reach_mm[0] == 0
    seen = candidate_poses(bank, matches)[0][0, 0]
    # Matching is orthographic: its camera is off, and the annotated joints take it back.
    errors = [pose_errors_mm(p, pose)[0][0] for p in (found.mean, seen[None])]
    assert errors[0] < errors[1]
    everyone = np.ones((1, 13), bool)
    off = [perspective_error(p, person.joints_2d, everyone)[0] for p in (found.mean, seen[None])]
    assert off[0] < 0.7 * off[1]
    assert perspective_error(pose, person.joints_2d, everyone)[0] < 1e-6


def test_posterior_is_the_bayes_estimate(matched):
    """Against the same linear model solved in information form, person by person."""
    bank, people, matches = matched
    seen = is_annotated(people.state)
    found = posterior(bank, matches, people.joints_2d, seen)
    poses, there = candidate_poses(bank, matches)
    for i in range(len(matches)):
        error = perspective_error(poses[i], people.joints_2d[i][None], seen[i][None])
        weight = np.where(there[i], np.exp(-(error**2) / (2 * SIGMA**2)), 0)
        weight /= weight.sum()
        prior = np.tensordot(weight, poses[i], 1)
        away = (poses[i] - prior).reshape(len(weight), -1)
        covariance = (away.T * weight) @ away + 0.04**2 * np.eye(39)
        scale, shift = fit_camera(people.joints_2d[i], seen[i], project(prior))
        information, right = np.linalg.inv(covariance), np.zeros(39)
        for j in np.flatnonzero(seen[i]):
            slope = np.zeros((2, 39))
            for axis in range(3):
                step = np.zeros(3)
                step[axis] = 1e-5
                change = project((prior[j] + step)[None]) - project((prior[j] - step)[None])
                slope[:, 3 * j + axis] = change[0] / 2e-5
            off = (people.joints_2d[i, j] - shift) / scale - project(prior[j][None])[0]
            information += slope.T @ slope / 0.05**2
            right += slope.T @ off / 0.05**2
        expected = prior + np.linalg.solve(information, right).reshape(13, 3)
        np.testing.assert_allclose(found.mean[i], centred(expected), atol=1e-5)


def test_what_is_not_annotated_has_no_say(matched):
    bank, people, matches = matched
    seen = is_annotated(people.state)
    assert not seen.all()
    moved = np.where(seen[..., None], people.joints_2d, np.float32(1e7))
    one = posterior(bank, matches, people.joints_2d, seen)
    other = posterior(bank, matches, moved, seen)
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.error_norm, other.error_norm)


def test_labels_of_one_person_do_not_depend_on_the_others(matched):
    bank, people, matches = matched
    whole = label(bank, people, matches, LabelSettings())
    one = label(bank, people, matches.take(slice(3, 4)), LabelSettings())
    assert (whole.joints_3d[3] == one.joints_3d[0]).all()
    assert (whole.trust[3] == one.trust[0]).all()


def test_measured_3d_wins(matched):
    bank, people, matches = matched
    measured = people.joints_3d.copy()
    measured[2] = bank.joints_3d[4]
    labels = label(bank, replace(people, joints_3d=measured), matches, LabelSettings())
    assert (labels.joints_3d[2] == bank.joints_3d[4]).all()
    assert labels.trust[2] == 1
    assert labels.provenance[2] == "measured"


def test_weights_fall_with_the_error():
    error = np.array([[0.3, 0.1, np.inf], [0.2, 0.2, 0.4]])
    weight = candidate_weights(error)
    np.testing.assert_allclose(weight.sum(axis=1), 1)
    assert weight[0, 2] == 0
    assert weight[0, 0] / weight[0, 1] == pytest.approx(np.exp((0.01 - 0.09) / 0.02))
    assert weight[1, 0] == weight[1, 1]


def test_ambiguity_of_one_hypothesis_is_zero(matched):
    bank, _, matches = matched
    assert (ambiguity_mm(bank, matches, 0.0) == 0).all()
    assert (ambiguity_mm(bank, matches, 1.0) > 0).all()


def test_matches_of_other_people_or_banks_are_refused(matched):
    bank, people, matches = matched
    with pytest.raises(ArtefactError, match="a0"):
        label(bank, people.take(slice(1, None)), matches, LabelSettings())
    with pytest.raises(ArtefactError, match="bank of 1"):
        label(bank.take(slice(0, 1)), people, matches, LabelSettings())
    with pytest.raises(SettingsError, match="estimator"):
        LabelSettings(estimator="oracle")


def test_trust_model_recovers_its_own_law():
    rng = np.random.default_rng(0)
    features = np.exp(rng.normal(size=(20000, 6)))
    law = np.array([4.0, 0.3, -0.2, 0.1, 0.5, 0.2, -0.3])
    errors = np.exp(law[0] + np.log(features) @ law[1:] + rng.normal(0, 0.2, 20000))
    model = fit_trust(features, errors)
    np.testing.assert_allclose(model.coefficients, law, atol=0.02)
    trust = model.trust(features)
    sure = (trust > 0.4) & (trust < 0.6)
    assert (errors[sure] < 150).mean() == pytest.approx(trust[sure].mean(), abs=0.06)


def test_trust_features_of_a_match(matched):
    bank, people, matches = matched
    found = posterior(bank, matches, people.joints_2d, is_annotated(people.state))
    features = trust_features(matches, found)
    finite = [row[np.isfinite(row)] for row in found.error_norm]
    np.testing.assert_allclose(features[:, 0], [row.min() for row in finite])
    np.testing.assert_allclose(features[:, 1], [np.ptp(row) for row in finite])
    np.testing.assert_array_equal(features[:, 2], 1 + (people.state == 0).sum(axis=1))
    poses, there = candidate_poses(bank, matches)
    away = 1000 * np.linalg.norm(poses - poses[:, :1], axis=-1).mean(axis=-1)
    np.testing.assert_allclose(features[:, 4], np.where(there, away, 0).max(axis=1))
    assert ((features[:, 5] >= 1) & (features[:, 5] <= 5)).all()


def test_seen_people_project_to_their_annotations():
    bank = random_bank(11)
    settings = TruthSettings(n_people=9, noise_px=0.0, distance_m=(400.0, 500.0))
    seen = see_people(bank, 3, settings)
    assert (is_annotated(seen.people.state).sum(axis=1) == 10).all()
    # From afar the camera is orthographic: 200 px for 1.7 m.
    expected = 200 / 1.7 * seen.joints_3d[..., :2] + 500
    np.testing.assert_allclose(seen.joints_2d, expected, atol=1.0)
    cut = see_people(bank, 3, replace(settings, hiding="truncated"))
    low = np.where(cut.people.state == 0, np.inf, cut.joints_2d[..., 1]).min(axis=1)
    assert (np.where(cut.people.state == 0, cut.joints_2d[..., 1], np.inf).min(axis=1) >= low).all()


def test_truth_benchmark_divides_by_subject():
    bank, out = without_subjects(random_bank(20), ["cmu/1"])
    assert set(bank.subject) == {"0", "2"}
    assert set(out.subject) == {"1"}
    settings = TruthSettings(n_people=5, hidden=(0, 3))
    table = truth_benchmark(bank, out, [MatchSettings(k=3)], ESTIMATORS, settings)
    assert len(table) == 2 * len(ESTIMATORS)
    assert (table["aligned_mm"] < table["error_mm"]).all()
    assert table["completion_px"].notna().tolist() == [h > 0 for h in table["hidden"]]


def test_pose_errors_by_hand():
    truth = random_bank(1).joints_3d.astype(float)
    moved = truth.copy()
    moved[0, J["head"], 0] += 0.13
    plain, _ = pose_errors_mm(moved, truth)
    assert plain[0] == pytest.approx(10.0)
    turned = truth @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    assert pose_errors_mm(turned, truth)[1][0] == pytest.approx(0, abs=1e-6)


def test_a_person_with_everything_annotated_keeps_every_pixel():
    bank = random_bank(6)
    joints = 80 * bank.joints_3d[2:3, :, :2] * np.array([1, -1]) + 200
    person = people_from(joints, np.full((1, 13), 2))
    matches, _ = match(bank, person, MatchSettings(k=2))
    labels = label(bank, person, matches, LabelSettings())
    assert (labels.joints_2d == person.joints_2d).all()
    assert (labels.state == 2).all()
