"""The candidates after the best match: the distinct poses of least cost, without proofs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matching_oracle import random_bank, random_people

from posebank.geometry.camera_prior import CameraPrior
from posebank.geometry.cameras import CameraLimits, camera_rotation, within_limits
from posebank.matching import MatchSettings, match, matcher
from posebank.matching.viewfree.candidates import empty_shortlist, most_poses, shortlist_block

N_POSES, N_PEOPLE = 41, 9


def level_with_tails(elevation, roll):
    """Mild in elevation; nearly level, or, less likely, of any roll."""
    by_roll = 0.95 * np.exp(-((roll / np.radians(10)) ** 2) / 2) + 0.05
    return -0.02 * np.log(by_roll) + 0.01 * (elevation / np.radians(40)) ** 2


PRIOR = CameraPrior.from_function(level_with_tails)
SETTINGS = {
    "any": MatchSettings(k=1),
    "limits": MatchSettings(k=1, limits=CameraLimits()),
    "prior": MatchSettings(k=1, prior=PRIOR),
    "prior and limits": MatchSettings(k=1, prior=PRIOR, limits=CameraLimits(-0.5, 0.7, 2.0)),
}


def costs_of(matches, settings):
    squared = matches.error_norm**2
    if settings.prior is not None:
        squared = squared + settings.prior.penalty(matches.rotation)
    return np.sqrt(squared)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_candidates_are_the_poses_of_least_cost(settings):
    bank, people = random_bank(N_POSES), random_people(N_PEOPLE, seed=3)
    # The best camera of each pose by itself, proved.
    alone = [match(bank.take([i]), people, settings)[0] for i in range(N_POSES)]
    exact = np.stack([costs_of(m, settings)[:, 0] for m in alone], axis=1)
    matches, _ = match(bank, people, replace(settings, k=7, min_distance_mm=0.0))
    costs = costs_of(matches, settings)
    np.testing.assert_allclose(costs[:, 0], exact.min(axis=1), atol=2e-5)
    assert (np.diff(costs, axis=1) >= -1e-9).all()
    assert within_limits(matches.rotation, settings.limits, 1e-6).all()
    # No candidate is better than its best camera, most have nearly that, and they are the best.
    of_rows = np.take_along_axis(exact, matches.pose_row, axis=1)
    assert (costs >= of_rows - 2e-5 - matches.gap.max()).all()
    assert np.median(costs - of_rows) < 1e-3
    assert np.abs(costs - np.sort(exact, axis=1)[:, :7]).mean() < 4e-3
    for row in matches.pose_row:
        assert len(set(row)) == 7


def test_candidates_are_apart():
    bank, people = random_bank(N_POSES), random_people(N_PEOPLE, seed=5)
    # Every pose again, two centimetres away: only one of two is kept at three.
    near = replace(bank, joints_3d=bank.joints_3d + np.float32(0.02 / np.sqrt(3)))
    both = type(bank).concat([bank, near])
    matches, _ = match(both, people, MatchSettings(k=6, min_distance_mm=30.0))
    for i in range(N_PEOPLE):
        joints = both.joints_3d[matches.pose_row[i]]
        seen = np.einsum("kjd,kcd->kjc", joints, matches.rotation[i])
        apart = np.sqrt(((seen[:, None] - seen) ** 2).sum(axis=-1).mean(axis=-1))
        assert apart[~np.eye(6, dtype=bool)].min() >= 0.03


def test_looking_at_fewer_poses_loses_no_candidate():
    bank, people = random_bank(300), random_people(N_PEOPLE)
    assert most_poses(13, 3) < 300 < most_poses(13, 90)
    few, _ = match(bank, people, MatchSettings(k=3, min_distance_mm=0.0))
    every, _ = match(bank, people, MatchSettings(k=90, min_distance_mm=0.0))
    assert (few.pose_row == every.pose_row[:, :3]).mean() > 0.95
    np.testing.assert_array_equal(few.pose_row[:, 0], every.pose_row[:, 0])


def test_shortlist_keeps_the_lowest_bounds():
    rng = np.random.default_rng(0)
    bounds = rng.permutation(np.repeat(rng.random(3000), 3)).astype(np.float32)  # with ties
    short = empty_shortlist(13, 2, 100_000)
    keep = len(short.rows) // 2
    for start in range(0, len(bounds), 128):
        shortlist_block(short, start, bounds[start : start + 128])
    n = short.number[0]
    assert keep <= n < 2 * keep
    np.testing.assert_array_equal(bounds[short.rows[:n]], short.bounds[:n])
    np.testing.assert_array_equal(np.sort(short.bounds[:n])[:keep], np.sort(bounds)[:keep])


def test_a_large_bank_is_searched_to_its_last_pose(monkeypatch):
    """More than one group of blocks: no pose is left out, and each keeps its row."""
    n_poses = 2 * 65_536 + 77  # three groups, and a last block that is not full
    bank, people = random_bank(n_poses, seed=3), random_people(5, seed=6)
    rows = np.random.default_rng(0).permutation(n_poses)
    found, _ = match(bank, people, MatchSettings(k=7, prior=PRIOR))
    shuffled, _ = match(bank.take(rows), people, MatchSettings(k=7, prior=PRIOR))
    np.testing.assert_array_equal(rows[shuffled.pose_row], found.pose_row)
    np.testing.assert_array_equal(shuffled.rotation, found.rotation)
    # The last poses of the bank, seen by a camera, are their own best match.
    last = n_poses - 1 - np.arange(5) * 64
    joints = bank.joints_3d[last] @ camera_rotation(0.3, 0.2, 0.1).T
    seen = replace(people, joints_2d=100 * joints[..., :2], state=np.ones_like(people.state))
    again, _ = match(bank, seen, MatchSettings(k=1))
    np.testing.assert_array_equal(again.pose_row[:, 0], last)
    assert again.error_norm.max() < 1e-5
    # The search on a device looks at the poses in another order.
    monkeypatch.setattr(matcher, "gpu", lambda _name: torch.device("cpu"))
    on_device, _ = match(bank, people, MatchSettings(k=7, prior=PRIOR))
    np.testing.assert_array_equal(on_device.pose_row, found.pose_row)
    np.testing.assert_array_equal(on_device.rotation, found.rotation)
