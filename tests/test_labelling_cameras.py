"""Camera priors: presets, the fit to a data set, and what matching and labels make of them."""

from dataclasses import replace

import numpy as np
import pytest
from matching_oracle import people_from, random_bank, random_people

from posebank import artefacts
from posebank.errors import SettingsError
from posebank.geometry.camera_prior import SIGMA, CameraPrior
from posebank.geometry.cameras import CameraLimits, camera_rotation, elevation_roll
from posebank.labelling import CAMERAS, LabelSettings, label
from posebank.labelling.camera_prior import (
    CALIBRATION_JOINTS,
    PLATEAU,
    SHRINKAGE,
    UNIFORM,
    calibration_people,
    camera_penalties,
    describe_prior,
    fit_camera_prior,
    fit_cameras,
    match_datasets,
    preset_prior,
    sample_cameras,
)
from posebank.labelling.completion import project
from posebank.labelling.known_people import TruthSettings, simulate_people
from posebank.matching import MatchSettings, match
from posebank.schemas import ANNOTATIONS, to_table
from posebank.skeleton import is_annotated
from posebank.types import texts

FREE = MatchSettings(k=10, limits=CameraLimits.free())


def density(prior, elevation_deg, roll_deg):
    """Density relative to the largest."""
    penalty = prior.at(np.radians(elevation_deg), np.radians(roll_deg))
    return np.exp(-penalty / (2 * SIGMA**2))


def test_presets():
    photographs, level = preset_prior("photographs"), preset_prior("level")
    assert preset_prior("any") is None
    # The spline smooths the table by a few degrees.
    assert density(photographs, 10, 0) == pytest.approx(1, abs=0.02)
    assert density(photographs, 10, 180) == pytest.approx(0.05, abs=0.005)
    assert density(photographs, 10, 30) == pytest.approx(0.95 * np.exp(-2) + 0.05, abs=0.03)
    assert density(level, 5, 90) == pytest.approx(0.02, rel=0.2)
    assert density(level, 5, 15) == pytest.approx(0.98 * np.exp(-4.5) + 0.02, abs=0.03)
    assert density(level, 5, -15) == pytest.approx(density(level, 5, 15))
    with pytest.raises(SettingsError, match=f"one of {', '.join(CAMERAS)}, found 'oblique'"):
        preset_prior("oblique")


@pytest.fixture(scope="module")
def bank():
    return random_bank(60)


def test_fitted_prior_finds_the_cameras(bank):
    found = {}
    for name in ("level", "any-roll"):
        settings = TruthSettings(n_people=60, noise_px=2.0, seen_by=name)
        people = simulate_people(bank, 0, settings).people
        fitted = fit_cameras(bank, people, FREE)
        assert fitted.n_people == 60
        found[name] = describe_prior(fitted.prior)
    assert found["level"]["roll_p50_deg"] < 12
    assert found["level"]["roll_above_30_deg"] < 0.25
    assert found["any-roll"]["roll_p50_deg"] > 45
    assert found["any-roll"]["roll_above_30_deg"] > 0.6


def test_fitted_prior_keeps_a_uniform_share(bank):
    people = simulate_people(bank, 0, TruthSettings(n_people=40, seen_by="level")).people
    prior = fit_cameras(bank, people, FREE).prior
    table = np.array(prior.table)
    densities = np.exp(-table / (2 * SIGMA**2))
    # Relative to uniform rotations, the density is at least UNIFORM and 1 on average.
    area = np.cos(np.radians(np.arange(-90, 91, 5)))[:, None]
    mean = (densities * area).sum() / (72 * area.sum())
    assert densities.min() / mean == pytest.approx(UNIFORM, rel=0.25)
    np.testing.assert_allclose(table[:, 1:], table[:, :0:-1])  # symmetric in roll


def test_one_step_of_the_fit_by_hand(bank, monkeypatch):
    """With one candidate each, the fit is the kernel density of the cameras."""
    from posebank.labelling import camera_prior

    people = simulate_people(bank, 0, TruthSettings(n_people=25, seen_by="limits")).people
    matches, _ = match(bank, people, replace(FREE, k=1))
    prior = fit_camera_prior(bank, people, matches)
    monkeypatch.setattr(camera_prior, "_ITERATIONS", 1)
    assert fit_camera_prior(bank, people, matches) == prior
    monkeypatch.setattr(camera_prior, "UNIFORM", 1.0)
    monkeypatch.setattr(camera_prior, "SHRINKAGE", 0.0)
    uniform = fit_camera_prior(bank, people, matches)
    assert np.abs(uniform.table).max() == 0
    assert UNIFORM == 0.1


def test_fitted_prior_is_shrunk_towards_photographs(bank, monkeypatch):
    """Logarithms of densities are averaged, and so are penalties, but for what is the least."""
    from posebank.labelling import camera_prior

    people = simulate_people(bank, 0, TruthSettings(n_people=25, seen_by="any-roll")).people
    matches, _ = match(bank, people, FREE)
    tables = {}
    for shrinkage in (0.0, SHRINKAGE, 1.0):
        monkeypatch.setattr(camera_prior, "SHRINKAGE", shrinkage)
        tables[shrinkage] = np.array(fit_camera_prior(bank, people, matches).table)
    np.testing.assert_allclose(tables[1.0], preset_prior("photographs").table, atol=1.01e-6)
    mean = (1 - SHRINKAGE) * tables[0.0] + SHRINKAGE * tables[1.0]
    np.testing.assert_allclose(tables[SHRINKAGE], mean - mean.min(), atol=3e-6)


def test_kernel_density_by_hand():
    """Uniform cameras have the density 1; a single one has that of its kernel."""
    from posebank.labelling.camera_prior import _cell_areas, _kernel_density

    area = _cell_areas()
    np.testing.assert_allclose(_kernel_density(area, area, 2.0), 1.0)
    share = np.zeros_like(area)
    share[18, 18] = 1.0  # elevation 0, roll 90 degrees: far from every edge
    density = _kernel_density(share, area, 0.7)
    kernel = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 0.7**2))
    kernel /= kernel.sum()
    smooth_area = (area[13:24, 13:24] * kernel[:, None] * kernel).sum()
    assert density[18, 18] == pytest.approx(kernel[5] ** 2 / smooth_area, rel=1e-3)
    assert density[19, 17] < density[18, 18]


def test_likely_cameras_are_alike(bank):
    """Of level cameras and some of any roll, only the level ones are likely."""
    from posebank.labelling.camera_prior import _cell_areas

    assert (PLATEAU, SHRINKAGE) == (0.5, 0.2)
    likely = {}
    for name in ("limits", "mixed"):
        people = simulate_people(bank, 0, TruthSettings(n_people=80, seen_by=name)).people
        penalty = np.array(fit_cameras(bank, people, FREE).prior.table)[:, 36:]  # roll from 0
        area = _cell_areas()[:, :36]
        half = 2 * SIGMA**2 * np.log(2)
        likely[name] = ((penalty < half) * area).sum() / area.sum()
        assert penalty[20, 0] < half  # elevation 10, roll 0
        assert penalty[20, 24] > 2 * SIGMA**2 * np.log(3)  # roll 120
    # The limits are 0.076 of all cameras, the level ones 0.007, before smoothing.
    assert 0.005 < likely["mixed"] < likely["limits"] < 0.2


def test_nobody_to_fit_to(bank):
    people = random_people(40)
    few = people.take(is_annotated(people.state).sum(axis=1) < CALIBRATION_JOINTS)
    assert len(few)
    chosen = calibration_people(few, "lspe")
    assert len(chosen) == 0
    fitted = fit_cameras(bank, chosen, FREE)
    assert fitted.n_people == 0
    assert fitted.prior == preset_prior("photographs")


def test_people_of_the_fit_are_the_best_annotated(monkeypatch):
    from posebank.labelling import camera_prior

    monkeypatch.setattr(camera_prior, "CALIBRATION_PEOPLE", 3)
    people = random_people(17)
    count = is_annotated(people.state).sum(axis=1)
    chosen = calibration_people(people, "lspe")
    assert sorted(is_annotated(chosen.state).sum(axis=1)) == sorted(np.sort(count)[-3:])
    assert len(calibration_people(people, "mpii")) == 0


def test_people_of_the_fit_are_found_without_reading_all(tmp_path, monkeypatch):
    from posebank.labelling import camera_prior
    from posebank_pipelines import cameras

    monkeypatch.setattr(camera_prior, "CALIBRATION_PEOPLE", 4)
    monkeypatch.setattr(cameras, "_READ_ROWS", 3)
    people = random_people(23)
    datasets = ["lspe", "mpii", "nobody"]
    people = replace(people, dataset=texts("lspe" if i % 3 else "mpii" for i in range(23)))
    folder = tmp_path / "annotations"
    with artefacts.staging_folder(folder) as staging:
        parts = []
        for start, stop in ((0, 8), (8, 9), (9, 23)):
            table = to_table(people.take(slice(start, stop)), ANNOTATIONS)
            name = f"a-{start:02d}.parquet"
            parts.append(artefacts.write_part(staging, name, table, row_group_rows=5))
        artefacts.commit(staging, folder, "annotations", parts, {"a": artefacts.Section("test")})
    found = cameras._calibration_people(tmp_path, datasets)
    for dataset, some in zip(datasets, found, strict=True):
        expected = calibration_people(people, dataset)
        assert some.person_id.tolist() == expected.person_id.tolist()
        np.testing.assert_array_equal(some.joints_2d, expected.joints_2d)
    assert [len(some) for some in found] == [4, 4, 0]


def test_matching_prefers_likely_cameras(bank):
    """A pose and its rotation by 180 degrees: the prior decides which is the person."""
    upright = bank.joints_3d[3].astype(float)
    rotation = camera_rotation(0.3, 0.1, np.pi)
    image = 90 * project(upright @ rotation.T) + 300
    person = people_from(image[None], np.ones((1, 13)))
    level = {"lspe": preset_prior("level")}
    free, _ = match_datasets(bank, person, FREE, {})
    tilted, _ = match_datasets(bank, person, FREE, level)
    cost = tilted.error_norm**2 + camera_penalties(tilted.rotation, person.dataset, level)
    valid = tilted.pose_row >= 0
    assert (np.diff(cost[valid]) >= -1e-9).all()
    assert abs(elevation_roll(free.rotation[0, 0])[1]) > 3
    assert (tilted.error_norm[:, 0] >= free.error_norm[:, 0]).all()


def test_each_data_set_has_its_prior(bank):
    people = random_people(9)
    people = replace(people, dataset=texts(["a", "b", "a", "c", "b", "a", "c", "a", "b"]))
    priors = {"a": preset_prior("level"), "c": preset_prior("photographs")}
    matches, rejected = match_datasets(bank, people, FREE, priors)
    assert not rejected
    assert matches.person_id.tolist() == people.person_id.tolist()
    alone = match_datasets(bank, people.take([3]), FREE, priors)[0]
    np.testing.assert_array_equal(matches.pose_row[3], alone.pose_row[0])
    plain, _ = match(bank, people, FREE)
    np.testing.assert_array_equal(matches.pose_row[1], plain.pose_row[1])
    penalty = camera_penalties(matches.rotation, people.dataset, priors)
    assert (penalty[[1, 4, 8]] == 0).all()
    np.testing.assert_array_equal(penalty[6], priors["c"].penalty(matches.rotation[6]))


def test_labels_weigh_the_candidates_by_the_prior(bank):
    people = random_people(4)
    matches, _ = match(bank, people, FREE)
    plain = label(bank, people, matches, LabelSettings())
    alike = CameraPrior.from_array(np.full((37, 72), 0.01))
    same = label(bank, people, matches, LabelSettings(), priors={"lspe": alike})
    np.testing.assert_allclose(same.joints_3d, plain.joints_3d, atol=1e-6)
    other = label(bank, people, matches, LabelSettings(), priors={"lspe": preset_prior("level")})
    assert np.abs(other.joints_3d - plain.joints_3d).max() > 0.01


def test_sampled_cameras_have_the_density():
    rotation = sample_cameras(preset_prior("level"), 4000, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.det(rotation), 1)
    elevation, roll = map(np.degrees, elevation_roll(rotation))
    said = describe_prior(preset_prior("level"))
    assert np.median(elevation) == pytest.approx(said["elevation_p50_deg"], abs=2)
    assert (np.abs(roll) > 30).mean() == pytest.approx(said["roll_above_30_deg"], abs=0.03)
    assert np.percentile(np.abs(roll), 50) == pytest.approx(said["roll_p50_deg"], abs=3)
