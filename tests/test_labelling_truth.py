"""People whose 3D pose is known, and the errors of their labels."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matching_oracle import random_bank

from posebank.errors import SettingsError, SourceError
from posebank.geometry.cameras import CameraLimits, elevation_roll
from posebank.labelling import ESTIMATORS, truth
from posebank.labelling.known_people import (
    SEEN_BY,
    KnownPeople,
    TruthSettings,
    read_views,
    sample_seen_by,
    simulate_people,
    without_subjects,
)
from posebank.labelling.lifter import LifterSettings, train_lifter
from posebank.labelling.truth import (
    PAPER,
    benchmark_ways,
    compare_ways,
    pose_errors_mm,
    truth_benchmark,
    view_benchmark,
)
from posebank.matching import MatchSettings
from posebank.skeleton import JOINT_NAMES, J, is_annotated


def test_simulated_people_project_to_their_annotations():
    bank = random_bank(11)
    settings = TruthSettings(n_people=9, noise_px=0.0, distance_m=(400.0, 500.0))
    seen = simulate_people(bank, 3, settings)
    assert (is_annotated(seen.people.state).sum(axis=1) == 10).all()
    # From afar the camera is orthographic: 200 px for 1.7 m.
    expected = 200 / 1.7 * seen.joints_3d[..., :2] + 500
    np.testing.assert_allclose(seen.joints_2d, expected, atol=1.0)
    cut = simulate_people(bank, 3, replace(settings, hiding="truncated"))
    low = np.where(cut.people.state == 0, np.inf, cut.joints_2d[..., 1]).min(axis=1)
    assert (np.where(cut.people.state == 0, cut.joints_2d[..., 1], np.inf).min(axis=1) >= low).all()


def test_joints_are_hidden_as_in_people():
    bank = random_bank(11)
    patterns = np.ones((3, 13), bool)
    patterns[0, [2, 5]] = patterns[1, [7, 8]] = patterns[2, 4] = False
    settings = TruthSettings(n_people=9, hiding="people")
    seen = simulate_people(bank, 2, settings, patterns)
    got = {tuple(np.flatnonzero(row)) for row in seen.people.state == 0}
    assert got == {(2, 5), (7, 8)}
    with pytest.raises(SettingsError, match="lack 3 of 13"):
        simulate_people(bank, 3, settings, patterns)


def test_truth_benchmark_by_way_and_hidden_joints():
    bank, out = without_subjects(random_bank(20), ["cmu/1"])
    assert set(bank.subject) == {"0", "2"}
    assert set(out.subject) == {"1"}
    lifter = train_lifter(bank, LifterSettings(width=16, steps=3, batch=8, threads=1))
    settings = TruthSettings(n_people=5, hidden=(0, 3), seen_by="mixed")
    ways = benchmark_ways(["fitted", "limits"], MatchSettings(k=3), with_lifter=True)
    assert [way.name for way in ways] == ["paper", "fitted", "limits"]
    assert ways[1].settings.limits.is_free
    assert ways[2].settings.limits == CameraLimits()
    table = truth_benchmark(bank, out, ways, settings, lifter=lifter)
    assert len(table) == 2 * (1 + 2 * len(ESTIMATORS))
    assert (table["aligned_mm"] < table["error_mm"]).all()
    assert table["completion_px"].notna().tolist() == [h > 0 for h in table["hidden"]]
    assert set(table["seen_by"]) == {"mixed"}


def test_ways_side_by_side_by_hand():
    rows = [
        ("level", 4, "paper", "nearest", 300.0),
        ("level", 4, "limits", "nearest", 250.0),
        ("level", 4, "limits", "posterior", 200.0),
        ("level", 4, "fitted", "posterior", 150.0),
        ("any", 0, "paper", "nearest", 100.0),
        ("any", 0, "limits", "nearest", 90.0),
        ("any", 0, "limits", "posterior", 80.0),
        ("any", 0, "fitted", "posterior", 88.0),
    ]
    table = pd.DataFrame(rows, columns=["seen_by", "hidden", "way", "estimator", "error_mm"])
    compared = compare_ways(table)
    assert compared.columns.tolist() == [
        *["seen_by", "hidden", "paper", "limits", "fitted", "fitted / limits"]
    ]
    assert compared.iloc[0].tolist() == ["level", 4, 300.0, 200.0, 150.0, 0.75]
    assert compared.iloc[1].tolist() == ["any", 0, 100.0, 80.0, 88.0, 1.1]


def test_the_prior_is_fitted_to_people_with_every_number_of_hidden_joints(monkeypatch):
    bank, out = without_subjects(random_bank(20), ["cmu/1"])
    fitted = []

    def fit_priors(_, people, __):
        fitted.append(is_annotated(people.state).sum(axis=1).tolist())
        return {}

    monkeypatch.setattr(truth, "fit_priors", fit_priors)
    ways = benchmark_ways(["fitted"], MatchSettings(k=3), with_lifter=False)
    truth_benchmark(bank, out, ways, TruthSettings(n_people=4, hidden=(0, 3)))
    assert fitted == [[13] * 4 + [10] * 4]


@pytest.mark.parametrize("name", SEEN_BY)
def test_simulated_cameras_are_within_their_limits(name):
    rotation = sample_seen_by(name, 200, np.random.default_rng(0))
    elevation, roll = map(np.degrees, elevation_roll(rotation))
    within = {
        "limits": (-30, 60, 20),
        "level": (-10, 20, 5),
        "any-roll": (-30, 60, 180),
        "any": (-90, 90, 180),
        "mixed": (-30, 60, 180),
    }[name]
    assert within[0] - 1e-6 <= elevation.min()
    assert elevation.max() <= within[1] + 1e-6
    assert np.abs(roll).max() <= within[2] + 1e-6
    level = (np.abs(roll) <= 5) & (elevation >= -10) & (elevation <= 20)
    if name == "mixed":
        assert 140 <= level.sum() <= 150  # 70 %, and few of the others by chance
        assert 0 < level[:20].sum() < 20  # in random order
    if name in ("any-roll", "any"):
        assert (np.abs(roll) > 90).mean() == pytest.approx(0.5, abs=0.1)


def a_view(seed=0, **changes):
    joints = random_bank(1, seed).joints_3d[0].astype(float)
    view = {
        "id": f"v{seed}",
        "set": "shelf",
        "joints_2d": {n: (90 * joints[J[n], :2] * [1, -1] + 300).tolist() for n in JOINT_NAMES},
        "joints_3d_m": {n: (joints[J[n]] * [1, -1, -1] + 5).tolist() for n in JOINT_NAMES},
    }
    return view | changes


def write(path, *views):
    path.write_text(json.dumps({"views": views}))
    return path


def test_views_are_read_and_centred(tmp_path):
    known, rejected = read_views(write(tmp_path / "v.json", a_view(), a_view(1, set="campus")))
    assert not rejected
    assert known.people.person_id.tolist() == ["v0", "v1"]
    assert known.people.dataset.tolist() == ["shelf", "campus"]
    expected = random_bank(1).joints_3d[0] * [1, -1, -1]
    np.testing.assert_allclose(known.joints_3d[0], expected, atol=1e-6)
    assert is_annotated(known.people.state).all()


def test_missing_joints_of_views(tmp_path):
    few = a_view(2)
    few["joints_2d"]["head"] = None
    del few["joints_2d"]["l_knee"], few["joints_3d_m"]["r_wrist"]
    no_hip = a_view(3)
    no_hip["joints_3d_m"]["l_hip"] = None
    broken = a_view(4)
    broken["joints_2d"]["head"] = [1.0]
    path = write(tmp_path / "v.json", few, no_hip, broken, a_view(5, joints_2d=None), a_view(2))
    known, rejected = read_views(path)
    assert known.people.person_id.tolist() == ["v2"]
    missing = np.flatnonzero(~is_annotated(known.people.state[0]))
    assert {JOINT_NAMES[i] for i in missing} == {"head", "l_knee"}
    assert np.isnan(known.joints_3d[0]).any(axis=1).tolist() == [
        n == "r_wrist" for n in JOINT_NAMES
    ]
    assert [r.where for r in rejected] == [f"v.json: view v{i}" for i in (3, 4, 5, 2)]
    reasons = ["none for l_hip", "joints_2d.head: expected 2", "joints_2d: expected", "used before"]
    assert all(part in r.reason for part, r in zip(reasons, rejected, strict=True))


def test_views_that_cannot_be_matched_are_set_aside(tmp_path):
    few, line = a_view(2), a_view(3)
    for name in JOINT_NAMES[3:]:
        few["joints_2d"][name] = None
    line["joints_2d"] = {name: [3.0 * i, 2.0 * i] for i, name in enumerate(JOINT_NAMES)}
    known, rejected = read_views(write(tmp_path / "v.json", few, a_view(4), line))
    assert known.people.person_id.tolist() == ["v4"]
    expected = random_bank(1, 4).joints_3d[0] * [1, -1, -1]
    np.testing.assert_allclose(known.joints_3d[0], expected, atol=1e-6)
    assert [r.where for r in rejected] == ["v.json: view v2", "v.json: view v3"]
    assert rejected[0].reason == "joints_2d: expected at least 4 annotated joints, found 3"
    assert "one point or line" in rejected[1].reason
    with pytest.raises(SourceError, match=r"no good one: v\.json: view v2: joints_2d"):
        read_views(write(tmp_path / "v.json", few))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "expected a JSON file of views"),
        ("[1]", "a list 'views'"),
        ('{"views": []}', "at least one view"),
        ('{"views": [{"id": "a", "joints_2d": {"nose": [1, 2]}}]}', "view a: joints_2d: .*'nose'"),
    ],
)
def test_a_file_that_holds_no_views_is_refused(tmp_path, text, found):
    path = tmp_path / "v.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=found):
        read_views(path)
    with pytest.raises(SourceError, match="expected a JSON file"):
        read_views(tmp_path / "none.json")


def test_view_benchmark_counts_measured_joints_alone(tmp_path):
    known, _ = read_views(write(tmp_path / "v.json", a_view(), a_view(1)))
    bank = random_bank(7)
    partly = known.joints_3d.copy()
    partly[:, J["head"]] = np.nan
    wrong = partly.copy()
    wrong[:, J["head"]] = 100.0
    ways = benchmark_ways(["any"], MatchSettings(k=3), with_lifter=False)
    tables = [
        view_benchmark(bank, KnownPeople(known.people, joints, known.joints_2d), ways)
        for joints in (known.joints_3d, partly, wrong)
    ]
    assert tables[0]["way"].tolist() == ["paper", "any", "any"]
    assert (tables[2]["error_mm"] > 1000).all()
    assert (tables[1]["error_mm"] < 400).all()
    assert tables[1]["people"].tolist() == [2, 2, 2]


def test_real_views(shared_data):
    known, rejected = read_views(shared_data / "real3d" / "views.json")
    assert len(known.people) == 36
    assert not rejected
    assert np.isfinite(known.joints_3d).all()
    lengths = np.linalg.norm(
        known.joints_3d[:, J["r_hip"]] - known.joints_3d[:, J["r_knee"]], axis=1
    )
    assert ((lengths > 0.3) & (lengths < 0.6)).all()  # metres


def test_errors_of_unmeasured_joints_do_not_count():
    truth = random_bank(3).joints_3d.astype(float)
    estimate = truth + np.array([0.03, 0.04, 0.0])
    partly = truth.copy()
    partly[1, :4] = np.nan
    estimate[1, :4] += 7.0
    plain, aligned = pose_errors_mm(estimate, partly)
    np.testing.assert_allclose(plain, 50.0)
    np.testing.assert_allclose(aligned, 0.0, atol=1e-6)


def test_settings_of_the_benchmark():
    with pytest.raises(SettingsError, match="seen_by: expected one of limits, level"):
        TruthSettings(seen_by="upside-down")
    assert PAPER.settings.limits == CameraLimits()
