import numpy as np
import torch
from matching_oracle import random_bank

from posebank.labelling.known_people import TruthSettings, simulate_people
from posebank.labelling.lifter import (
    LifterSettings,
    lift,
    lifter_input,
    load_lifter,
    save_lifter,
    train_lifter,
)
from posebank.labelling.truth import pose_errors_mm
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
    seen = simulate_people(bank, 2, TruthSettings(n_people=40))
    annotated = is_annotated(seen.people.state)
    net = train_lifter(bank, settings)
    error = pose_errors_mm(lift(net, seen.people.joints_2d, annotated), seen.joints_3d)[0].mean()
    mean_pose = np.broadcast_to(seen.joints_3d.mean(axis=0), seen.joints_3d.shape)
    assert error < 0.9 * pose_errors_mm(mean_pose, seen.joints_3d)[0].mean()
    again = train_lifter(bank, settings)
    np.testing.assert_array_equal(
        lift(net, seen.people.joints_2d, annotated), lift(again, seen.people.joints_2d, annotated)
    )


def test_saved_network_is_the_same(tmp_path):
    bank = random_bank(9)
    net = train_lifter(bank, LifterSettings(width=16, steps=4, batch=8, threads=1))
    save_lifter(net, tmp_path / "weights.npz")
    seen = simulate_people(bank, 3, TruthSettings(n_people=9))
    asked = seen.people.joints_2d, is_annotated(seen.people.state)
    lifted = lift(net, *asked)
    np.testing.assert_array_equal(lift(load_lifter(tmp_path / "weights.npz"), *asked), lifted)


def test_training_leaves_torch_as_it_was():
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    train_lifter(random_bank(5), LifterSettings(width=16, steps=2, batch=8, threads=threads + 1))
    assert torch.get_num_threads() == threads
    assert (torch.random.get_rng_state() == state).all()
