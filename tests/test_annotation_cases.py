"""The handed cases of annotation files, each by the command of its CASE.md."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from posebank.skeleton import J
from posebank.workspace import load_people
from posebank_cli.main import main

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases" / "annotations"
BODY = {
    "r_ankle": (82, 280), "l_ankle": (118, 280), "r_knee": (83, 220), "l_knee": (117, 220),
    "r_hip": (85, 160), "l_hip": (115, 160), "r_wrist": (60, 150), "l_wrist": (140, 150),
    "r_elbow": (65, 110), "l_elbow": (135, 110), "r_shoulder": (75, 70), "l_shoulder": (125, 70),
    "head": (100, 15),
}  # fmt: skip


@pytest.fixture
def case(request, tmp_path):
    """A copy of a case's folder, which stays as it is."""
    folder = CASES / request.param
    if not folder.is_dir():
        pytest.skip(f"case not at hand: {folder}")
    shutil.copytree(folder, tmp_path / "case")
    return tmp_path / "case"


def of(name):
    return pytest.mark.parametrize("case", [name], indirect=True)


def run(case, *arguments, status=0):
    given = [str(case / a) if (case / a).exists() else a for a in arguments]
    if arguments[0] == "annotate":
        given += ["--workers", "1"]
    result = CliRunner().invoke(main, [*given, "-w", str(case / "WS")])
    assert result.exit_code == status, result.output
    return result


def people(case, *arguments):
    run(case, "annotate", *arguments)
    return load_people(case / "WS")


def scores(case, *more, status=0):
    result = run(
        case,
        "evaluate",
        "--predictions",
        "results.json",
        "--truth",
        "annotations",
        *more,
        "--json",
        status=status,
    )
    return json.loads(result.stdout)["methods"]["results"]


@pytest.mark.parametrize("case", ["coco_names_16_mpii", "coco_names_17_other_order"], indirect=True)
def test_names(case):
    found = people(case, "coco", "a.json")
    for joint, place in BODY.items():
        np.testing.assert_array_equal(found.joints_2d[0, J[joint]], place)


@of("coco_results_image_ids")
@pytest.mark.parametrize("more", [("--coco", "truth_val.json"), ()])
def test_image_ids(case, more):
    people(case, "coco", "truth_val.json")
    numbers = scores(case, *more)
    assert (numbers["found"], numbers["unknown_images"]) == (3, 0)
    if more:
        assert numbers["oks"]["AP"] == pytest.approx(100)


@of("exif_own_json")
def test_exif(case):
    found = people(case, "json", "phone.json")
    assert (found.image_width[0], found.image_height[0]) == (120, 240)


@of("h36m_fetch_layout")
def test_h36m_fetch(case):
    assert len(people(case, "h36m", "extracted")) == 8


@of("image_name_with_folder")
def test_image_name(case):
    found = people(case, "json", "rel.json")
    assert (found.image_width[0], found.image_height[0]) == (120, 240)


@of("mat_v73_message")
def test_mat(case):
    assert "-v7" in run(case, "annotate", "mpii", "mpii.mat", status=1).output


@of("no_prediction_matches")
def test_nothing_matches(case):
    people(case, "json", "truth.json")
    numbers = scores(case, status=1)
    assert "none of the 1 predictions is of an image" in numbers["warnings"][0]
    text = run(
        case, "evaluate", "--predictions", "results.json", "--truth", "annotations", status=1
    ).stdout
    assert text.index("Warning") < text.index("| metric")


@of("results_133_keypoints")
def test_133(case):
    people(case, "json", "truth.json")
    assert scores(case)["pckh"]["limbs_weighted"] == pytest.approx(100)


@of("roboflow_folders")
def test_roboflow(case):
    found = people(case, "coco", ".")
    assert sorted(found.split) == ["train"] * 4 + ["val"] * 2


@of("second_coco_file_replaces_first")
def test_second(case):
    people(case, "coco", "person_keypoints_train2017.json")
    found = people(case, "coco", "person_keypoints_val2017.json")
    assert sorted(found.split) == ["train"] * 6 + ["val"] * 2


@of("split_from_file_name")
def test_latest(case):
    assert people(case, "coco", "latest.json").split.tolist() == ["train"]


@of("undetected_joint_is_zero")
def test_undetected(case):
    people(case, "json", "truth.json")
    pckh = scores(case)["pckh"]
    assert pckh["weighted"] == pytest.approx(100 * 11 / 13)
    assert pckh["limbs_weighted"] == pytest.approx(100 * 11 / 12)
