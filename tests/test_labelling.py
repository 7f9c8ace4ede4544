from dataclasses import replace

import numpy as np
import pytest
from matching_oracle import people_from, random_bank, random_people
from scipy.spatial.transform import Rotation

from posebank.errors import ArtefactError, SettingsError
from posebank.geometry.camera_prior import SIGMA
from posebank.geometry.cameras import elevation_roll
from posebank.labelling import ESTIMATORS, LabelSettings, estimators, label
from posebank.labelling.completion import complete, fit_camera, project
from posebank.labelling.estimators import (
    INFLATION,
    LIFTED,
    REACH,
    candidate_weights,
    modes,
    posterior,
)
from posebank.labelling.labels import ambiguity_mm
from posebank.labelling.lifter import LifterSettings, lift, train_lifter
from posebank.labelling.limbs import keep_limb_lengths, limb_lengths, with_limb_lengths
from posebank.labelling.perspective import (
    FREE,
    NOISE_M,
    SPREAD_M,
    TURN,
    candidate_poses,
    perspective_error,
    turned,
)
from posebank.labelling.trust import RESIDUAL_MM, fit_trust, trust_features
from posebank.labelling.truth import pose_errors_mm
from posebank.matching import MatchSettings, match
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


@pytest.fixture(scope="module")
def lifter(matched):
    return train_lifter(matched[0], LifterSettings(width=16, steps=3, batch=8, threads=1))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_labels(matched, lifter, estimator):
    bank, people, matches = matched
    more = people.take(np.arange(7)[::-1])  # any order
    labels = label(bank, more, matches, LabelSettings(estimator=estimator), lifter)
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


def test_mixture_is_the_weighted_mean_of_posterior_and_lifter(matched, lifter):
    bank, people, matches = matched
    seen = is_annotated(people.state)
    ours = posterior(bank, matches, people.joints_2d, seen).pose
    lifted = lift(lifter, people.joints_2d, seen)
    made = label(bank, people, matches, LabelSettings("mixture"), lifter)
    np.testing.assert_allclose(made.joints_3d, (1 - LIFTED) * ours + LIFTED * lifted, atol=1e-6)
    # Completed from the mixture, not from one of the two.
    expected = complete(people.joints_2d, people.state, made.joints_3d)[0]
    np.testing.assert_allclose(made.joints_2d, expected, atol=1e-3)
    alone = label(bank, people, matches.take(slice(3, 4)), LabelSettings("mixture"), lifter)
    assert (alone.joints_3d[0] == made.joints_3d[3]).all()
    with pytest.raises(SettingsError, match="mixture: expected a network"):
        label(bank, people, matches, LabelSettings("mixture"))


def test_posterior_honours_the_annotated_joints():
    bank = random_bank(5)
    pose = bank.joints_3d[2:3].astype(float) * [1, -1, -1]  # from the front, y down
    person = people_from(90 * project(pose) + 200, np.ones((1, 13)))
    matches, _ = match(bank, person, MatchSettings(k=1))
    estimate = posterior(bank, matches, person.joints_2d, np.ones((1, 13), bool))
    assert estimate.reach_mm[0] == 0
    seen = candidate_poses(bank, matches)[0][0, 0]
    # Matching is orthographic: its camera is off, and the annotated joints take it back.
    errors = [pose_errors_mm(p, pose)[0][0] for p in (estimate.pose, seen[None])]
    assert errors[0] < 0.7 * errors[1]
    everyone = np.ones((1, 13), bool)
    off = [perspective_error(p, person.joints_2d, everyone)[0] for p in (estimate.pose, seen[None])]
    assert off[0] < 0.5 * off[1]
    assert perspective_error(pose, person.joints_2d, everyone)[0] < 1e-6
    np.testing.assert_allclose(limb_lengths(estimate.pose), limb_lengths(pose), rtol=1e-6)


def numerical_slope(function, at):
    """Derivatives (m, n) of a function of n numbers."""
    steps = 1e-5 * np.eye(len(at))
    return np.stack([(function(at + s) - function(at - s)) / 2e-5 for s in steps], axis=-1)


def test_mixture_is_the_bayes_estimate(matched):
    """Against the same linear model solved in information form, candidate by candidate."""
    bank, people, matches = matched
    seen = is_annotated(people.state)
    estimate = posterior(bank, matches, people.joints_2d, seen)
    poses, valid = candidate_poses(bank, matches)
    poses = turned(poses, people.joints_2d, seen)
    apart = {(J["r_ankle"], J["r_hip"]): 2, (J["r_wrist"], J["l_shoulder"]): 3, (0, 0): 0}
    apart |= {(J["head"], J["r_hip"]): 2, (J["r_ankle"], J["l_wrist"]): 6}
    for i in range(len(matches)):
        error = perspective_error(poses[i], people.joints_2d[i][None], seen[i][None])
        weight = np.where(valid[i], np.exp(-(error**2) / (2 * SIGMA**2)), 0)
        weight /= weight.sum()
        np.testing.assert_allclose(estimate.weight[i], weight, atol=1e-12)
        mean = np.tensordot(weight, poses[i], 1)
        away = (poses[i] - mean).reshape(len(weight), -1)
        # The limbs between two joints are checked above for some; here they are the library's.
        local = estimators._LOCAL
        for (a, b), limbs in apart.items():
            assert local[3 * a, 3 * b + 1] == pytest.approx(np.exp(-limbs / REACH))
        turn = numerical_slope(
            lambda v, m=mean: (m @ Rotation.from_rotvec(v).as_matrix().T).ravel(), np.zeros(3)
        )
        covariance = INFLATION * local * ((away.T * weight) @ away)
        covariance += SPREAD_M**2 * np.eye(39) + TURN**2 * turn @ turn.T
        # The state: 39 coordinates, the shift and the log scale of the image.
        prior = np.linalg.inv(covariance)
        information = np.zeros((42, 42))
        information[:39, :39] = prior
        information[39:, 39:] = np.eye(3) / FREE**2
        at = project(mean)[seen[i]]
        slope = numerical_slope(
            lambda v, s=seen[i]: project(v.reshape(13, 3))[s].ravel(), mean.ravel()
        )
        shift = np.tile(np.eye(2), (len(at), 1))
        slope = np.hstack([slope, shift, at.reshape(-1, 1)])
        information += slope.T @ slope / NOISE_M**2
        for c in np.flatnonzero(valid[i]):
            image = project(poses[i, c])
            scale, move = fit_camera(people.joints_2d[i], seen[i], image)
            off = ((people.joints_2d[i] - move) / scale - image)[seen[i]].ravel()
            step = np.linalg.solve(information, slope.T @ off / NOISE_M**2)
            expected = poses[i, c] + step[:39].reshape(13, 3)
            np.testing.assert_allclose(estimate.poses[i, c], centred(expected), atol=1e-5)


def test_turning_finds_the_camera_of_a_perspective_image():
    pose = random_bank(4).joints_3d.astype(float)
    everyone = np.ones((4, 13), bool)
    image = 70 * project(pose) + 30
    small = Rotation.from_rotvec([0.02, -0.03, 0.01]).as_matrix()
    off = (pose @ small.T)[:, None]
    found = turned(off, image, everyone)
    before, after = (np.linalg.norm(p[:, 0] - pose, axis=-1).mean() for p in (off, found))
    assert after < 0.7 * before
    np.testing.assert_allclose(limb_lengths(found), limb_lengths(off))


def test_limb_lengths_are_given():
    poses = random_bank(8).joints_3d.astype(float)
    wanted = limb_lengths(poses) * np.random.default_rng(1).uniform(0.9, 1.2, (8, 12))
    variance = np.full((8, 13), 0.1)
    variance[:, J["r_ankle"]] = 1e-6
    kept = with_limb_lengths(poses, wanted, variance)
    np.testing.assert_allclose(limb_lengths(kept), wanted, rtol=1e-6)
    np.testing.assert_allclose(body_centre(kept), 0, atol=1e-12)
    moved = np.linalg.norm((kept - poses)[:, [J["r_ankle"], J["l_ankle"]]], axis=-1).mean(axis=0)
    assert moved[0] < moved[1]


def test_a_limb_whose_direction_is_unknown_is_left_as_it_is():
    one = random_bank(1).joints_3d.astype(float)[0]
    knee, ankle = J["r_knee"], J["r_ankle"]
    poses = np.stack([one, one])
    poses[1, ankle] = 2 * one[knee] - one[ankle]  # the lower leg the other way
    weight = np.full((1, 2), 0.5)
    middle = poses.mean(axis=0)[None]  # of length 0
    kept = keep_limb_lengths(middle, poses[None], poses[None], weight)
    np.testing.assert_allclose(kept, middle, atol=1e-6)
    alike = keep_limb_lengths(0.9 * one[None], np.stack([one, one])[None], one[None, None], weight)
    np.testing.assert_allclose(limb_lengths(alike), limb_lengths(one)[None], rtol=1e-6)


def test_modes_are_kept_apart():
    one = random_bank(1).joints_3d.astype(float)[0]
    towards = one * [1, 1, -1]
    assert np.linalg.norm(one - towards, axis=-1).mean() > 0.15
    near = one + np.array([0.01, 0, 0])
    found = modes(np.stack([towards, one, near]), np.array([0.4, 0.35, 0.25]))
    assert [w for w, _ in found] == pytest.approx([0.6, 0.4])
    np.testing.assert_allclose(found[0][1], one + np.array([0.01 * 0.25 / 0.6, 0, 0]))
    np.testing.assert_allclose(found[1][1], towards)


def test_label_lies_in_the_heavier_mode_not_between():
    poses = np.zeros((1, 3, 13, 3))
    poses[0, 2, :, 2] = 0.6
    middle = estimators._geometric_median(poses, np.full((1, 3), 1 / 3))
    assert np.abs(middle[..., 2]).max() < 0.05  # the mean is at 0.2


def test_what_is_not_annotated_has_no_say(matched):
    bank, people, matches = matched
    seen = is_annotated(people.state)
    assert not seen.all()
    moved = np.where(seen[..., None], people.joints_2d, np.float32(1e7))
    one = posterior(bank, matches, people.joints_2d, seen)
    other = posterior(bank, matches, moved, seen)
    np.testing.assert_array_equal(one.pose, other.pose)
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
    weight = candidate_weights(error, np.zeros((2, 3)))
    np.testing.assert_allclose(weight.sum(axis=1), 1)
    assert weight[0, 2] == 0
    assert weight[0, 0] / weight[0, 1] == pytest.approx(np.exp((0.01 - 0.09) / 0.02))
    assert weight[1, 0] == weight[1, 1]
    penalty = np.array([[0.0, 0.08, 0.0], [0.0, 0.02, 0.0]])
    weight = candidate_weights(error, penalty)
    np.testing.assert_allclose(weight.sum(axis=1), 1)
    assert weight[0, 0] == pytest.approx(0.5)  # 0.09 and 0.01 + 0.08
    assert weight[1, 0] / weight[1, 1] == pytest.approx(np.e)


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
    estimate = posterior(bank, matches, people.joints_2d, is_annotated(people.state))
    features = trust_features(matches, estimate)
    finite = [row[np.isfinite(row)] for row in estimate.error_norm]
    np.testing.assert_allclose(features[:, 0], [row.min() for row in finite])
    np.testing.assert_allclose(features[:, 1], [np.ptp(row) for row in finite])
    np.testing.assert_array_equal(features[:, 2], 1 + (people.state == 0).sum(axis=1))
    poses, valid = candidate_poses(bank, matches)
    away = 1000 * np.linalg.norm(estimate.poses - estimate.pose[:, None], axis=-1).mean(axis=-1)
    uncertain = (estimate.weight * away).sum(axis=1) ** 2 + (RESIDUAL_MM * features[:, 0]) ** 2
    np.testing.assert_allclose(features[:, 3] ** 2, uncertain)
    away = 1000 * np.linalg.norm(poses - poses[:, :1], axis=-1).mean(axis=-1)
    np.testing.assert_allclose(features[:, 4], np.where(valid, away, 0).max(axis=1))
    assert ((features[:, 5] >= 1) & (features[:, 5] <= 5)).all()
    one = estimate.weight[0][estimate.weight[0] > 0]
    np.testing.assert_allclose(np.log(features[0, 5]), -(one * np.log(one)).sum(), atol=1e-12)
    image = (estimate.poses - estimate.pose[:, None])[..., :2]
    across = 1000 * np.linalg.norm(image, axis=-1).mean(axis=-1)
    np.testing.assert_allclose(features[:, 6], (estimate.weight * across).sum(axis=1))
    elevation, _ = elevation_roll(matches.rotation[:, 0])
    np.testing.assert_allclose(features[:, 7], np.abs(np.sin(elevation)), atol=1e-12)


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
