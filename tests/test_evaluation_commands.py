"""The commands that score: the sweep over K, predictions from anywhere, and pictures."""

import json
from dataclasses import fields

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from posebank import artefacts
from posebank.demo import DemoSize, demo_sources
from posebank.evaluation import EvaluationSettings
from posebank.schemas import from_table
from posebank.skeleton import JOINT_NAMES, is_annotated
from posebank.types import People
from posebank_cli.main import main

CONFIG = """
seed = 3
split = ["val", "test"]
[[mocap]]
dataset = "cmu"
sources = ["sources/cmu"]
[[annotations]]
kind = "mpii"
source = "sources/mpii"
[[annotations]]
kind = "h36m"
source = "sources/h36m"
images = "sources/h36m/images"
[bank]
fps = 5
[matching]
matcher = "views"
n_views = 12
k = 4
[labels]
estimator = "nearest"
[anchors]
k = 6
[train]
backbone = "small"
iterations = 2
images_per_batch = 2
fc_channels = 32
[evaluate]
bootstrap = 20
"""


def invoke(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    demo_sources(folder / "sources", 1, DemoSize(4, 1, 1, (0.6, 1.0), 9, 1, 3))
    (folder / "run.toml").write_text(CONFIG)
    sweep = ("run", folder / "run.toml", "-w", folder / "ws", "--sweep-k", "1,4", "--workers", 1)
    return folder, sweep, json.loads(invoke(*sweep, "--json"))


def test_sweep_over_k_makes_table_1(swept):
    folder, _, made = swept
    own = [s for s in made["stages"] if "/sweep/" in s["path"]]
    assert [(s["stage"], s["status"]) for s in own] == [
        (stage, "made") for _ in (1, 4) for stage in ("anchors", "train", "evaluate")
    ]
    assert [s["rows"] for s in own if s["stage"] == "anchors"] == [2, 8]  # full and upper-body
    assert [s["stage"] for s in made["stages"]].count("shards") == 1
    table = pd.read_csv(folder / "ws/sweep/table1.csv")
    columns = [c for c in table.columns if not c.endswith(("_low", "_high"))]
    assert columns[2:] == ["K=1", "K=4", "K=50", "K=100", "K=200", "K=500"]
    assert table["source"].tolist() == ["paper"] * 2 + ["ours"] * 4
    assert table["K=50"].tolist()[:2] == [71.7, 59.3]
    assert table["K=50"][2:].isna().all()
    for k in (1, 4):
        file = folder / f"ws/sweep/k{k}/evaluation/default/after-nms.json"
        p1 = json.loads(file.read_text())["h36m"]["p1"]
        found = table.loc[2:3, f"K={k}"].tolist()
        assert found == pytest.approx([p1["absolute_frames"], p1["rigid_frames"]], rel=1e-9)
    assert made["table1"][3]["K=4"] == pytest.approx(table["K=4"][3])
    assert {p.name for p in (folder / "ws/sweep").glob("table1.*")} == {
        "table1.json",
        "table1.csv",
        "table1.md",
        "table1.tex",
    }


def test_evaluation_of_a_run_has_every_table_and_figure(swept):
    folder, _, _ = swept
    made = folder / "ws/sweep/k4/evaluation/default"
    for name in ("natural_images", "table2", "table3", "table4"):
        table = pd.read_csv(made / f"tables-{name}.csv")
        assert {"paper", "ours"} == set(table["source"])
        ours = table[table["source"] == "ours"]
        known = ours.dropna(axis=1, how="all").columns
        assert {"natural_images": 6, "table2": 7, "table3": 5, "table4": 4}[name] <= len(known)
    assert {f"figure{n}.png" for n in (5, 6, 7)} <= {p.name for p in made.iterdir()}


def test_a_checkpoint_scores_as_its_run_did(swept):
    folder, _, _ = swept
    ws = folder / "ws/sweep/k4"
    checkpoint = ws / "runs/default/checkpoint.pt"
    asked = ("evaluate", "-w", ws, "--checkpoint", checkpoint, "--bootstrap", 20, "--seed", 3)
    methods = json.loads(invoke(*asked, "--split", "val", "--split", "test", "--json"))["methods"]
    references = {"mean-pose", "nearest-anchor"}
    assert set(methods) == references | {"checkpoint-ppi", "checkpoint-nms"}
    file = ws / "evaluation/default/after-nms.json"
    assert methods["checkpoint-nms"] == json.loads(file.read_text())


def test_every_setting_of_the_evaluation_is_an_option():
    command = main.get_command(click.Context(main), "evaluate")
    names = {parameter.name for parameter in command.params}
    assert {f.name for f in fields(EvaluationSettings)} <= names


def test_sweep_goes_on_where_it_was_cut_off(swept):
    folder, sweep, _ = swept
    (folder / "ws/sweep/k4/evaluation/_manifest.json").unlink()
    again = json.loads(invoke(*sweep, "--json"))["stages"]
    redone = [(s["stage"], s["path"]) for s in again if s["status"] == "made"]
    assert redone == [("evaluate", str(folder / "ws/sweep/k4/evaluation"))]


def test_sweep_refuses_what_is_no_list_of_numbers(swept):
    folder, _, _ = swept
    config = folder / "run.toml"
    assert "1,x" in invoke("run", config, "-w", folder / "x", "--sweep-k", "1,x", code=2)
    assert "from 1" in invoke("run", config, "-w", folder / "x", "--sweep-k", "0,2", code=1)
    assert not (folder / "x").exists()


def test_predictions_are_scored_against_annotations_by_the_settings_asked_for(swept):
    """The annotations themselves, each joint moved by a little more or less than half a head."""
    folder, _, _ = swept
    ws = folder / "ws"
    people = from_table(People, artefacts.read_table(ws / "annotations", "annotations"))
    people = people.take(
        (people.dataset == "mpii") & (people.split == "train") & (people.single_person == 1)
    )
    head = 0.6 * np.linalg.norm(people.head_box[:, 2:] - people.head_box[:, :2], axis=1)
    moved = people.joints_2d.astype(float)
    moved[..., 0] += np.where(np.arange(13) < 4, 0.49, 0.51) * head[:, None]
    annotated = is_annotated(people.state)
    poses = [
        {
            "image_id": f"mpii/{image}",
            "score": 1.0,
            "joints_3d": None,
            "joints_2d": np.where(seen[:, None], joints, joints[seen].mean(axis=0)).tolist(),
        }
        for image, joints, seen in zip(people.image, moved, annotated, strict=True)
    ]
    file = folder / "found.json"
    file.write_text(json.dumps({"joints": list(JOINT_NAMES), "poses": poses}))
    asked = ("evaluate", "-w", ws, "--predictions", file, "--truth", "annotations")
    asked = (*asked, "--split", "train", "--bootstrap", "0", "--json")
    expected = 100 * annotated[:, :4].sum() / annotated.sum()

    def pckh_of_mpii(*more):
        found = json.loads(invoke(*asked, *more))["methods"]["found"]
        (row,) = [r for r in found["tables"]["datasets"] if r["dataset"] == "mpii"]
        return row["pckh"]

    assert pckh_of_mpii() == pytest.approx(expected)
    assert pckh_of_mpii("--threshold", "0.52", "-o", folder / "scores") == 100
    assert (folder / "scores" / "found.json").exists()
    assert "--predictions" in invoke("evaluate", "-w", ws, "--truth", "annotations", code=2)
