"""``posebank query`` on a small workspace made of random poses and people."""

import json

import numpy as np
import pytest
from builders import write_artefact
from click.testing import CliRunner
from matching_oracle import random_bank, random_people

from posebank.deciding import deciding
from posebank.matching import MatchSettings, match
from posebank.schemas import matches_to_table
from posebank.skeleton import JOINT_NAMES, J, is_annotated
from posebank_cli.main import main

SETTINGS = MatchSettings(k=4)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("ws")
    bank, people = random_bank(23), random_people(11)
    matches, rejected = match(bank, people, SETTINGS)
    assert not rejected
    write_artefact(workspace / "bank", "bank", bank)
    write_artefact(workspace / "annotations", "annotations", people)
    table = matches_to_table(matches, bank.pose_id)
    write_artefact(workspace / "matches", "matches", table, settings=deciding(SETTINGS))
    return workspace, bank, people, matches


def query(*arguments):
    done = CliRunner().invoke(main, ["query", "--workers", "1", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("by", ["dataset", "annotated", "rarity", "joint"])
def test_tables_hold_the_errors_of_the_matches(made, by):
    workspace, _, people, matches = made
    rows = json.loads(query("-w", workspace, "--by", by, "--json"))["rows"]
    measures = {f"error_{m}_{s}" for m in ("norm", "mm") for s in ("mean", "median", "p10", "p90")}
    assert all(measures <= set(row) for row in rows)
    if by == "joint":
        assert [row["joint"] for row in rows] == list(JOINT_NAMES)
        assert [r["people"] for r in rows] == is_annotated(people.state).sum(axis=0).tolist()
    else:
        total = sum(row["people"] * row["error_norm_mean"] for row in rows)
        assert total == pytest.approx(matches.error_norm[:, 0].sum())


def test_the_terminal_shows_one_heading_per_measure(made):
    lines = query("-w", made[0], "--by", "dataset").splitlines()
    assert lines[0].split() == ["error_norm", "error_mm"]
    assert lines[1].split() == [
        "dataset",
        "people",
        *["mean", "median", "p10", "p25", "p75", "p90"] * 2,
    ]
    assert lines[2].split()[:2] == ["lspe", "11"]


def test_one_pose_from_a_file_by_name(made, tmp_path):
    workspace, _, people, matches = made
    one = int(np.flatnonzero(~is_annotated(people.state).all(axis=1))[0])
    seen = is_annotated(people.state[one])
    given = {n: people.joints_2d[one, J[n]].tolist() for n in JOINT_NAMES if seen[J[n]]}
    (tmp_path / "person.json").write_text(json.dumps(given))
    picture = tmp_path / "match.png"
    asked = ["-w", workspace, "--pose", tmp_path / "person.json", "-k", 3]
    found = json.loads(query(*asked, "--picture", picture, "--json"))
    assert [r["rank"] for r in found["rows"]] == [0, 1, 2]
    expected = matches.error_norm[one, :3]
    assert [r["error_norm"] for r in found["rows"]] == pytest.approx(expected, abs=1e-6)
    assert picture.read_bytes().startswith(b"\x89PNG")
    label = found["label"]
    assert label["completed"] == [n for n in JOINT_NAMES if n not in given]
    for name, at in given.items():
        assert label["joints_2d"][name] == pytest.approx(at, abs=1e-3)
    assert 0 <= label["trust"] <= 1
    assert sum(mode["weight"] for mode in label["modes"]) == pytest.approx(1, abs=2e-3)
    text = query(*asked)
    assert "trust" in text
    assert all(name in text for name in label["completed"])


@pytest.mark.parametrize("pose", ['{"nose": [1, 2]}', "[[1, 2]]", "nonsense", "{}"])
def test_what_is_no_pose_is_refused(made, pose):
    done = CliRunner().invoke(main, ["query", "-w", str(made[0]), "--pose", pose])
    assert done.exit_code == 1
    assert done.output.startswith("error") or "--pose" in done.output


def test_truth_hides_what_the_people_lack(made):
    workspace, _, people, _ = made
    asked = ["-w", workspace, "--truth", "cmu/1", "--people", 3, "--hiding", "people", "--json"]
    rows = json.loads(query(*asked))["rows"]
    lacking = set((~is_annotated(people.state)).sum(axis=1).tolist())
    assert {r["hidden"] for r in rows} == lacking & {0, 2, 4, 6, 8}


def test_truth_of_mixture_is_measured_when_asked(made):
    asked = ["-w", made[0], "--truth", "cmu/1", "--people", 3, "--json"]
    rows = json.loads(query(*asked, "--lifter-steps", 2))["rows"]
    without = json.loads(query(*asked))["rows"]
    assert [r for r in rows if r["estimator"] != "mixture"] == without
    assert {r["hidden"] for r in rows if r["estimator"] == "mixture"} == {0, 2, 4, 6, 8}


def test_truth_compares_the_camera_priors(made):
    asked = ["-w", made[0], "--truth", "cmu/1", "--people", 3, "--hidden", 4, "--hidden", 1]
    asked += ["--camera", "limits", "--camera", "any", "--seen-by", "level", "--seen-by", "any"]
    found = json.loads(query(*asked, "--json"))
    errors = {
        (r["seen_by"], r["hidden"], r["way"]): r["error_mm"]
        for r in found["rows"]
        if r["estimator"] == "posterior" or r["way"] == "paper"
    }
    compared = found["compared"]
    keys = [(r["seen_by"], r["hidden"]) for r in compared]
    assert keys == [("level", 4), ("level", 1), ("any", 4), ("any", 1)]
    for row, key in zip(compared, keys, strict=True):
        assert {w: row[w] for w in ("paper", "limits", "any")} == pytest.approx(
            {w: errors[*key, w] for w in ("paper", "limits", "any")}
        )
        assert row["any / limits"] == pytest.approx(errors[*key, "any"] / errors[*key, "limits"])
    heading = query(*asked).splitlines()[-6:-4]
    assert heading[0] == "error_mm of the posterior by way"
    assert " ".join(heading[1].split()) == "banks seen_by hidden paper limits any any / limits"
