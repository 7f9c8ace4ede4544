from dataclasses import fields, replace

import numpy as np
import pytest
from matching_oracle import (
    best_over_cameras,
    best_over_views,
    error_norm,
    people_from,
    random_bank,
    random_people,
)

from posebank.errors import ArtefactError, SettingsError
from posebank.geometry.cameras import CameraLimits, camera_rotation, within_limits
from posebank.matching import (
    MatchSettings,
    build_index,
    load_index,
    match,
    matching_error,
)
from posebank.matching.candidates import distinct
from posebank.matching.views import view_rotations
from posebank.skeleton import is_annotated
from posebank.types import Matches

N_POSES, N_PEOPLE = 23, 11


@pytest.fixture(scope="module")
def bank():
    return random_bank(N_POSES)


@pytest.fixture(scope="module")
def people():
    return random_people(N_PEOPLE)


def same(a: Matches, b: Matches) -> None:
    for f in fields(a):
        np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name), err_msg=f.name)


def test_views_agrees_with_brute_force_over_the_same_views(bank, people):
    settings = MatchSettings(matcher="views", k=3, n_views=29, min_distance_mm=0)
    matches, rejected = match(bank, people, settings)
    oracle = best_over_views(bank, people, view_rotations(settings))
    assert rejected == []
    np.testing.assert_allclose(matches.error_norm, np.sort(oracle, axis=1)[:, :3], atol=1e-9)
    np.testing.assert_array_equal(matches.pose_row[:, 0], oracle.argmin(axis=1))


@pytest.mark.parametrize("limits", [CameraLimits(), CameraLimits.free()], ids=["limits", "free"])
def test_viewfree_agrees_with_brute_force_over_every_camera(bank, people, limits):
    people = people.take(slice(0, N_PEOPLE, 2))
    matches, _ = match(bank, people, MatchSettings(matcher="viewfree", k=2, limits=limits))
    oracle = best_over_cameras(bank, people, limits)
    np.testing.assert_allclose(matches.error_norm[:, 0], oracle.min(axis=1), atol=1e-5)
    np.testing.assert_array_equal(matches.pose_row[:, 0], oracle.argmin(axis=1))
    assert (matches.gap == 0).all()
    assert within_limits(matches.rotation, limits, 1e-6).all()


def test_reported_camera_gives_the_reported_error(bank, people):
    for matcher in ("views", "refined", "viewfree"):
        matches, _ = match(bank, people, MatchSettings(matcher=matcher, k=3, n_views=17))
        for i in range(N_PEOPLE):
            seen = is_annotated(people.state[i])
            for r in range(3):
                x = bank.joints_3d[matches.pose_row[i, r]].astype(float)
                image = matches.scale[i, r] * (x @ matches.rotation[i, r].T)[:, :2]
                residual = (image + matches.translation[i, r] - people.joints_2d[i])[seen]
                q = people.joints_2d[i, seen].astype(float)
                rms = np.sqrt((residual**2).sum() / seen.sum())
                size = np.sqrt(((q - q.mean(axis=0)) ** 2).sum() / seen.sum())
                assert matches.error_norm[i, r] == pytest.approx(rms / size, abs=1e-6)
                assert matches.error_mm[i, r] == pytest.approx(
                    1000 * rms / matches.scale[i, r], rel=1e-5
                )


def test_matchers_only_improve(bank, people):
    errors = {
        m: match(bank, people, MatchSettings(matcher=m, n_views=32))[0].error_norm[:, 0]
        for m in ("views", "refined", "viewfree")
    }
    assert (errors["refined"] <= errors["views"] + 1e-9).all()
    assert (errors["viewfree"] <= errors["refined"] + 1e-9).all()


def test_pose_seen_from_the_front_is_found_exactly(bank):
    # Camera (0, 0, 0) sees world (x, y) as (x, -y); at 50 px per metre and shifted by (7, 9).
    joints = bank.joints_3d[5:6, :, :2] * np.array([50.0, -50.0]) + np.array([7.0, 9.0])
    person = people_from(joints, np.ones((1, 13)))
    matches, _ = match(bank, person, MatchSettings(matcher="viewfree", k=1))
    assert matches.pose_row[0, 0] == 5
    assert matches.error_norm[0, 0] < 1e-5
    assert matches.scale[0, 0] == pytest.approx(50, rel=1e-4)
    np.testing.assert_allclose(matches.translation[0, 0], [7, 9], atol=1e-2)
    np.testing.assert_allclose(matches.rotation[0, 0], np.diag([1, -1, -1]), atol=2e-3)


@pytest.mark.parametrize("elevation", [-1.57, 1.45, 1.5, 1.53, 1.57])
def test_cameras_near_the_poles_are_found(bank, elevation):
    # Near a pole, azimuth and roll are nearly the same turn: a climb over angles can get stuck.
    azimuth = np.linspace(-3, 3, 9)
    rotation = camera_rotation(azimuth, elevation, 2.0)
    joints = np.einsum("jd,ncd->njc", bank.joints_3d[7].astype(float), rotation)[..., :2]
    overhead = people_from(100 * joints, np.ones((9, 13)))
    settings = MatchSettings(matcher="viewfree", k=1, limits=CameraLimits.free())
    matches, _ = match(bank, overhead, settings)
    assert (matches.pose_row[:, 0] == 7).all()
    assert matches.error_norm[:, 0].max() < 1e-5


@pytest.mark.parametrize("matcher", ["views", "refined", "viewfree"])
def test_a_person_does_not_depend_on_the_others(bank, people, matcher):
    settings = MatchSettings(matcher=matcher, k=4, n_views=19)
    whole, _ = match(bank, people, settings)
    parts = [match(bank, people.take(s), settings)[0] for s in (slice(0, 4), slice(4, None))]
    same(whole, Matches.concat(parts))
    same(whole, match(bank, people, settings)[0])


def test_image_similarity_changes_nothing(bank, people):
    settings = MatchSettings(matcher="viewfree", k=2)
    moved = replace(people, joints_2d=(people.joints_2d * 3 + 40).astype(np.float32))
    a, b = match(bank, people, settings)[0], match(bank, moved, settings)[0]
    np.testing.assert_array_equal(a.pose_row, b.pose_row)
    np.testing.assert_allclose(a.error_norm, b.error_norm, atol=1e-5)
    np.testing.assert_allclose(3 * a.scale, b.scale, rtol=1e-4)


def test_values_of_missing_joints_are_never_read(bank, people):
    settings = MatchSettings(matcher="viewfree", k=2)
    junk = people.joints_2d.copy()
    junk[people.state == 0] = np.nan
    same(
        match(bank, people, settings)[0], match(bank, replace(people, joints_2d=junk), settings)[0]
    )


def test_index_gives_what_no_index_gives(bank, tmp_path):
    people = random_people(5)
    full = replace(people, state=np.ones_like(people.state))
    for matcher in ("views", "refined"):
        settings = MatchSettings(matcher=matcher, k=3, n_views=31)
        folder = tmp_path / matcher
        folder.mkdir()
        build_index(bank, folder, settings, "bank-1")
        index = load_index(folder, "bank-1")
        same(match(bank, full, settings, index)[0], match(bank, full, settings)[0])


def test_inverted_file_finds_what_its_recall_says(bank, tmp_path):
    full = replace(random_people(40), state=np.ones((40, 13), np.uint8))
    settings = MatchSettings(matcher="views", k=1, n_views=200)
    exact = match(bank, full, settings)[0]
    recalls, same_pose = [], []
    for probes in (1, 4, 100):
        folder = tmp_path / str(probes)
        folder.mkdir()
        asked = replace(settings, probes=probes)
        recalls.append(build_index(bank, folder, asked, "bank-1"))
        index = load_index(folder)
        assert index.recall == recalls[-1]
        found = match(bank, full, asked, index)[0]
        assert (found.error_norm >= exact.error_norm - 1e-12).all()
        same_pose.append((found.pose_row == exact.pose_row).mean())
        with pytest.raises(ArtefactError, match="probes"):
            match(bank, full, settings, index)
    assert 0.2 < recalls[0] < recalls[1] < recalls[2] == 1  # all lists are searched
    assert same_pose[2] == 1
    with pytest.raises(SettingsError, match="probes"):
        MatchSettings(probes=-1)


def test_index_is_refused(bank, people, tmp_path):
    settings = MatchSettings(matcher="views", n_views=3)
    build_index(bank, tmp_path, settings, "bank-1")
    with pytest.raises(ArtefactError, match=r"bank-2.*bank-1"):
        load_index(tmp_path, "bank-2")
    with pytest.raises(ArtefactError, match="n_views"):
        match(bank, people, replace(settings, n_views=4), load_index(tmp_path))
    with pytest.raises(SettingsError, match="at most 2048"):
        load_index(tmp_path).search(np.zeros((1, 26), np.float32), 2049)
    with pytest.raises(ArtefactError, match="expected an index"):
        load_index(tmp_path / "nowhere")


def test_people_that_cannot_be_matched_are_set_aside(bank):
    people = random_people(7)
    joints, state = people.joints_2d.copy(), np.ones((7, 13), np.uint8)
    state[0, 3:] = 0  # three joints
    joints[1] = 5.0  # one point
    joints[2] = np.outer(np.arange(13), [2.0, 1.0])  # one line
    joints[3, 4] = np.nan
    joints[4, 4] = 1e30
    state[5] = 3  # completed joints are not annotations
    bad = replace(people, joints_2d=joints, state=state)
    matches, rejected = match(bank, bad, MatchSettings(n_views=5))
    assert matches.person_id.tolist() == ["a6"]
    assert [r.where for r in rejected] == [f"a{i}" for i in range(6)]
    assert "found 3" in rejected[0].reason
    assert "line" in rejected[1].reason
    assert "line" in rejected[2].reason
    assert "finite" in rejected[3].reason
    assert "px" in rejected[4].reason
    assert "found 0" in rejected[5].reason


def test_bad_banks_and_settings(bank, people):
    with pytest.raises(ArtefactError, match="at least one pose"):
        match(bank.take(slice(0, 0)), people, MatchSettings())
    broken = replace(
        bank,
        joints_3d=np.where(np.arange(N_POSES)[:, None, None] == 2, np.nan, bank.joints_3d).astype(
            np.float32
        ),
    )
    with pytest.raises(ArtefactError, match="finite"):
        match(broken, people, MatchSettings())
    for wrong in ({"k": 0}, {"k": 4096}, {"matcher": "best"}, {"n_views": 0}, {"min_annotated": 2}):
        with pytest.raises(SettingsError):
            MatchSettings(**wrong)


def test_nobody_to_match(bank, people):
    for matcher in ("views", "viewfree"):
        matches, rejected = match(
            bank, people.take(slice(0, 0)), MatchSettings(matcher=matcher, n_views=4)
        )
        assert (len(matches), rejected) == (0, [])


def test_more_asked_for_than_there_is(bank, people):
    matches, _ = match(bank.take(slice(0, 2)), people, MatchSettings(k=5, n_views=64))
    assert (matches.pose_row[:, 2:] == -1).all()
    assert np.isinf(matches.error_norm[:, 2:]).all()


@pytest.mark.parametrize("matcher", ["refined", "viewfree"])
def test_equal_poses_are_kept_where_no_distance_is_asked_for(bank, people, matcher):
    twice = bank.take(np.concatenate([np.arange(N_POSES), np.arange(N_POSES)]))
    settings = MatchSettings(matcher=matcher, k=4, min_distance_mm=0)
    matches, _ = match(twice, people, settings)
    np.testing.assert_array_equal(matches.pose_row[:, 1::2], matches.pose_row[:, ::2] + N_POSES)
    one_each, _ = match(twice, people, replace(settings, min_distance_mm=1.0))
    assert (one_each.pose_row < N_POSES).all()


def test_distinct_keeps_poses_apart():
    seen = np.zeros((4, 13, 3))
    seen[1, :, 0], seen[2, :, 0], seen[3, :, 0] = 0.010, 0.030, 0.060
    assert distinct(seen, 4, 20.0).tolist() == [0, 2, 3]
    assert distinct(seen, 2, 20.0).tolist() == [0, 2]
    assert distinct(seen, 3, 0.0).tolist() == [0, 1, 2]


def test_matching_error_by_every_grouping(bank, people):
    matches, _ = match(bank, people, MatchSettings(k=3, n_views=16))
    table = matching_error(matches, people, "dataset")
    assert table["people"].tolist() == [N_PEOPLE]
    assert table["error_norm_mean"][0] == pytest.approx(matches.error_norm[:, 0].mean())
    by_count = matching_error(matches, people, "annotated")
    assert by_count["people"].sum() == N_PEOPLE
    by_joint = matching_error(matches, people, "joint", bank).set_index("joint")
    annotated = is_annotated(people.state)
    assert by_joint["people"]["head"] == annotated[:, 12].sum()
    with pytest.raises(SettingsError, match="bank"):
        matching_error(matches, people, "joint")
    # A person's error is the RMS of the joints' own.
    for i in range(3):
        one = matching_error(matches.take(slice(i, i + 1)), people, "joint", bank)
        for column in ("error_norm", "error_mm"):
            own = one[f"{column}_mean"].dropna().to_numpy(float)
            expected = getattr(matches, column)[i, 0]
            assert np.sqrt((own**2).mean()) == pytest.approx(expected, rel=1e-4)
    assert len(matching_error(matches, people, "rarity")) == 5
    with pytest.raises(SettingsError):
        matching_error(matches, people, "colour")


def test_every_camera_is_considered_by_default_but_for_sampled_views():
    assert MatchSettings().limits.is_free
    for matcher in ("views", "refined"):
        assert MatchSettings(matcher=matcher).limits == CameraLimits()
    assert MatchSettings(limits=CameraLimits()).limits == CameraLimits()


def test_oracle_itself():
    # A square seen as a square of twice the size; the mean and scale are free.
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    solid = np.concatenate([square, np.zeros((4, 1))], axis=1)
    assert error_norm(square * 2 + 5, solid, np.eye(3)) == pytest.approx(0)
    # Upside down, no positive scale helps.
    assert error_norm(-square, solid, np.eye(3)) == pytest.approx(1)
