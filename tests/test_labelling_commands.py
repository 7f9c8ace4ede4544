"""Camera priors and the truth benchmark through the command line."""

import json

import numpy as np
import pytest
from builders import write_artefact
from click.testing import CliRunner
from matching_oracle import random_bank, random_people

from posebank import artefacts
from posebank.errors import SettingsError
from posebank.labelling.camera_prior import preset_prior
from posebank.skeleton import JOINT_NAMES, J
from posebank.workspace import load_labels
from posebank_cli.main import main
from posebank_pipelines.cameras import priors_of_matches
from posebank_pipelines.config import load_config


@pytest.fixture
def workspace(tmp_path):
    write_artefact(tmp_path / "bank", "bank", random_bank(23))
    write_artefact(tmp_path / "annotations", "annotations", random_people(11))
    return tmp_path


def run(*arguments, code=0):
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == code, done.output
    return done


def test_matching_fits_a_prior_and_labels_use_it(workspace):
    common = ("-w", workspace, "--workers", 1, "--json")
    made = json.loads(run("match", "-k", 5, *common).stdout)["stages"][0]
    assert made["stats"]["camera"] == "fitted"
    said = made["stats"]["cameras"]["lspe"]
    assert said["people"] == 8  # with at least 7 annotated joints
    assert said["elevation_p5_deg"] < said["elevation_p50_deg"] < said["elevation_p95_deg"]
    assert list(priors_of_matches(workspace)) == ["lspe"]
    again = json.loads(run("match", "-k", 5, *common).stdout)["stages"][0]
    assert again["status"] == "up to date"
    run("label", *common)
    fitted = load_labels(workspace).joints_3d
    run("label", "--camera", "level", *common)
    assert np.abs(load_labels(workspace).joints_3d - fitted).max() > 1e-3
    run("label", *common)
    np.testing.assert_array_equal(load_labels(workspace).joints_3d, fitted)


def test_matches_of_another_fit_are_out_of_date(workspace, monkeypatch):
    asked = ("match", "-w", workspace, "--workers", 1, "-k", 5, "--json")
    run(*asked)
    before = priors_of_matches(workspace)
    monkeypatch.setattr("posebank.labelling.camera_prior.SHRINKAGE", 0.5)
    assert json.loads(run(*asked).stdout)["stages"][0]["status"] == "made"
    assert priors_of_matches(workspace) != before


def test_presets_are_kept_in_the_manifest(workspace):
    common = ("-w", workspace, "--workers", 1, "-k", 3)
    run("match", "--camera", "level", *common)
    assert priors_of_matches(workspace) == {"lspe": preset_prior("level")}
    run("match", "--camera", "any", *common)
    assert priors_of_matches(workspace) == {}
    run("match", "--matcher", "views", *common)
    section = artefacts.read_manifest(workspace / "matches", "matches").sections["matches"]
    assert section.settings["camera"] == "any"
    assert section.settings["limits"]["max_roll"] == pytest.approx(np.pi / 9)


def test_cameras_that_make_no_sense_are_refused(workspace, tmp_path):
    common = ("-w", workspace, "--workers", 1)
    assert "'oblique' is not one of" in run("match", "--camera", "oblique", *common, code=2).output
    own = ("--prior-elevation-deg", 10, "--prior-elevation-spread-deg", 15)
    none = run("match", *own, "--prior-roll-spread-deg", 0, *common, code=1)
    assert "spread" in none.output
    both = run("match", *own, "--prior-roll-spread-deg", 8, "--camera", "level", *common, code=1)
    assert "either a named prior or the numbers of one" in both.output
    views = run("match", "--matcher", "views", "--camera", "level", *common, code=1)
    assert "camera level: expected the matcher viewfree, found views" in views.output
    config = tmp_path / "run.toml"
    sources = '[[mocap]]\ndataset = "cmu"\nsources = ["a"]\n[[annotations]]\n'
    sources += 'kind = "lspe"\nsource = "b"\n'
    config.write_text(sources + '[camera]\nprior = "oblique"\n')
    with pytest.raises(SettingsError, match=r"\[camera\].prior: expected one of fitted, photogr"):
        load_config(config)
    config.write_text(sources + '[camera]\nprior = "level"\n')
    loaded = load_config(config)
    assert loaded.camera == "level"
    assert loaded.matching.limits.is_free
    config.write_text(sources + "[camera]\nmax_roll_deg = 30\n")
    loaded = load_config(config)
    assert loaded.camera is None
    assert np.degrees(loaded.matching.limits.max_roll) == pytest.approx(30)


def test_truth_by_kind_of_camera(workspace):
    asked = ["query", "-w", workspace, "--workers", 1, "--truth", "cmu/1", "--people", 2, "--json"]
    seen_by = ["--seen-by", "level", "--seen-by", "mixed"]
    rows = json.loads(run(*asked, *seen_by, "--camera", "any", "--camera", "limits").stdout)["rows"]
    assert {(r["seen_by"], r["way"]) for r in rows} == {
        (seen, way) for seen in ("level", "mixed") for way in ("paper", "any", "limits")
    }


def test_truth_of_views(workspace, tmp_path):
    joints = random_bank(3, seed=5).joints_3d.astype(float)
    views = [
        {
            "id": f"view {i}",
            "set": "shelf",
            "joints_2d": {n: (90 * pose[J[n], :2] * [1, -1]).tolist() for n in JOINT_NAMES},
            "joints_3d_m": {n: (pose[J[n]] * [1, -1, -1]).tolist() for n in JOINT_NAMES},
        }
        for i, pose in enumerate(joints)
    ]
    views[0]["joints_2d"]["head"] = None
    del views[1]["joints_3d_m"]["r_hip"]
    path = tmp_path / "views.json"
    path.write_text(json.dumps({"views": views}))
    done = run("query", "-w", workspace, "--workers", 1, "--truth", path, "--json")
    rows = json.loads(done.stdout)["rows"]
    assert [r["way"] for r in rows] == ["paper", "fitted", "fitted"]
    assert {r["people"] for r in rows} == {2}
    assert "views.json: view view 1: joints_3d_m: expected hips and shoulders" in done.stderr
