import numpy as np
from matching_oracle import random_bank

from posebank.matching.lifter import LifterSettings, lift, lifter_input, train_lifter
from posebank.matching.truth import TruthSettings, pose_errors_mm, see_people
from posebank.skeleton import is_annotated


def test_input_ignores_place_size_and_missing_joints():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(3, 13, 2))
    annotated = np.ones((3, 13), bool)
    annotated[1, 2:5] = False
    moved = 7 * image + 100
    moved[1, 2:5] = np.nan
    a, b = lifter_input(image, annotated), lifter_input(moved, annotated)
    np.testing.assert_allclose(a, b, atol=1e-5)
    assert a.shape == (3, 39)


def test_training_learns_and_repeats():
    bank = random_bank(60)
    settings = LifterSettings(width=64, steps=200, batch=128, learning_rate=5e-3, threads=1)
    seen = see_people(bank, 2, TruthSettings(n_people=40))
    annotated = is_annotated(seen.people.state)
    net = train_lifter(bank, settings)
    error = pose_errors_mm(lift(net, seen.people.joints_2d, annotated), seen.joints_3d)[0].mean()
    mean_pose = np.broadcast_to(seen.joints_3d.mean(axis=0), seen.joints_3d.shape)
    assert error < 0.9 * pose_errors_mm(mean_pose, seen.joints_3d)[0].mean()
    again = train_lifter(bank, settings)
    np.testing.assert_array_equal(
        lift(net, seen.people.joints_2d, annotated), lift(again, seen.people.joints_2d, annotated)
    )
