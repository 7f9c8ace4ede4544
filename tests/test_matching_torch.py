"""The search with torch, on its CPU device: the same matches as the compiled loops, bit for bit."""

from dataclasses import fields, replace

import faiss
import numpy as np
import pytest
import torch
from matching_oracle import error_norm, random_bank, random_people

from posebank.errors import SettingsError
from posebank.geometry.camera_prior import CameraPrior
from posebank.geometry.cameras import CameraLimits, camera_rotation
from posebank.matching import (
    MatchSettings,
    build_index,
    devices,
    load_index,
    match,
    matcher,
)
from posebank.matching.queries import make_queries
from posebank.matching.viewfree import search_torch
from posebank.matching.viewfree.cameras import cameras_to_search
from posebank.matching.viewfree.dual_torch import dual_bounds, limits_of
from posebank.matching.viewfree.refine import moments
from posebank.types import Matches, PoseBank

SIDEWAYS = CameraLimits(-0.2, 0.3, np.pi)
LYING = CameraLimits(-np.pi / 2, np.pi / 2, np.pi / 3)
LIMITS = {"limits": CameraLimits(), "free": CameraLimits.free(), "side": SIDEWAYS, "roll": LYING}


@pytest.fixture(params=["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def on_torch(monkeypatch, request):
    """``match`` as on a GPU, on torch's CPU device, and on a GPU where there is one."""

    def search(bank: PoseBank, people, settings: MatchSettings) -> Matches:
        with monkeypatch.context() as patch:
            patch.setattr(matcher, "gpu", lambda _name: torch.device(request.param))
            return match(bank, people, settings)[0]

    return search


def same(a: Matches, b: Matches) -> None:
    for f in fields(a):
        np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name), err_msg=f.name)


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize(("k", "apart"), [(1, 20.0), (4, 300.0), (5, 0.0)])
def test_same_matches_with_torch(on_torch, limits, k, apart):
    # Chunks of 32 people, blocks of 128 poses: neither number is a multiple.
    bank, people = random_bank(301), random_people(43)
    settings = MatchSettings(k=k, limits=limits, min_distance_mm=apart)
    expected, _ = match(bank, people, settings)
    same(expected, on_torch(bank, people, settings))


def test_same_matches_with_a_prior_and_torch(on_torch):
    bank, people = random_bank(150), random_people(12)
    settings = MatchSettings(k=4, prior=CameraPrior.normal(0.2, 0.4, 0.3))
    same(match(bank, people, settings)[0], on_torch(bank, people, settings))


def test_same_matches_in_small_blocks_and_for_ties(on_torch, monkeypatch):
    bank, people = random_bank(140), random_people(30)
    state = people.state.copy()
    state[7:] = 1  # many people of one pattern
    people = replace(people, state=state)
    # Every pose twice: the one that comes first is the match.
    twice = bank.take(np.concatenate([np.arange(140), np.arange(140)]))
    settings = MatchSettings(k=3, min_distance_mm=0)
    expected, _ = match(twice, people, settings)
    assert (expected.pose_row[:, 0] < 140).all()
    np.testing.assert_array_equal(expected.pose_row[:, 1], expected.pose_row[:, 0] + 140)
    monkeypatch.setattr(search_torch, "_PAIRS", 700)
    monkeypatch.setattr(search_torch, "_DUALS", 11)
    same(expected, on_torch(twice, people, settings))
    same(match(twice, people, MatchSettings())[0], on_torch(twice, people, MatchSettings()))


def test_more_asked_for_than_there_is_with_torch(on_torch):
    bank, people = random_bank(2), random_people(5)
    settings = MatchSettings(k=6, limits=SIDEWAYS)
    same(match(bank, people, settings)[0], on_torch(bank, people, settings))


def test_flat_poses_are_searched_with_torch(on_torch):
    # They have no affine bound.
    bank, people = random_bank(9), random_people(6)
    joints = bank.joints_3d.copy()
    joints[:5, :, 2] = 0
    bank = replace(bank, joints_3d=joints)
    same(match(bank, people, MatchSettings(k=9))[0], on_torch(bank, people, MatchSettings(k=9)))


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_no_camera_is_better_than_the_dual_bound(limits):
    rng, poses = np.random.default_rng(3), random_bank(40).joints_3d
    queries, _ = make_queries(random_people(3), 4)
    query, mask = queries.unit[2], queries.mask[2]
    a, g = np.zeros((40, 6)), np.zeros((40, 6))
    for i in range(40):
        moments(query, mask, poses, i, a[i], g[i])
    low, high = (
        [-np.pi, limits.min_elevation, -limits.max_roll],
        [np.pi, limits.max_elevation, limits.max_roll],
    )
    cameras = camera_rotation(*rng.uniform(low, high, (20_000, 3)).T)
    best = np.array([error_norm(query[mask], x[mask].astype(float), cameras).min() for x in poses])
    terms = torch.from_numpy(a.T), torch.from_numpy(g.T)
    known = limits_of(cameras_to_search(limits, None))
    bound = dual_bounds(*terms, torch.full((40,), 2.0, dtype=torch.float64), known).numpy()
    assert (bound <= best**2 + 1e-9).all()
    assert np.median(best**2 - bound) < 0.02  # nor far below
    # It stops where it is high enough.
    enough = dual_bounds(*terms, torch.full((40,), 0.2, dtype=torch.float64), known).numpy()
    np.testing.assert_array_equal(enough >= 0.2, bound >= 0.2)


def test_device_that_is_not_there(monkeypatch):
    with pytest.raises(SettingsError, match="auto, cpu, cuda"):
        MatchSettings(device="gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="found none; use cpu or auto"):
        match(random_bank(2), random_people(2), MatchSettings(device="cuda"))
    monkeypatch.setattr(devices, "_has_driver", lambda: True)
    assert devices.gpu("auto") is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.gpu("cpu") is None
    assert devices.gpu("auto") == devices.gpu("cuda") == torch.device("cuda")


def test_index_is_searched_on_gpus_where_faiss_sees_them(monkeypatch, tmp_path):
    bank, people, copied = random_bank(20), random_people(4), []
    people = replace(people, state=np.ones_like(people.state))
    settings = MatchSettings(matcher="views", n_views=11, k=2)
    build_index(bank, tmp_path, settings, "bank-1")
    index = load_index(tmp_path)
    expected = match(bank, people, settings, index)[0]
    with pytest.raises(SettingsError, match="FAISS"):
        index.search(np.zeros((1, 26), np.float32), 1, "cuda")
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", lambda i: copied.append(i) or i)
    same(expected, match(bank, people, settings, index)[0])
    assert len(copied) == 1
    same(expected, match(bank, people, replace(settings, device="cpu"), index)[0])
    assert len(copied) == 1
