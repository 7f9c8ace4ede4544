"""The whole way on a tiny generated data set, through the same stages and commands a user runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from posebank import artefacts
from posebank.demo import DemoSize, demo_sources
from posebank.evaluation import evaluate, ground_truth_from_shards
from posebank.mocap import BankSettings, ReadOptions
from posebank.schemas import from_table
from posebank.skeleton import JointState, centred, is_annotated
from posebank.types import Labels, People, Predictions
from posebank_cli.main import main
from posebank_pipelines.config import load_config
from posebank_pipelines.run import run
from posebank_pipelines.runner import Runner
from posebank_pipelines.stages import ingest as ingest_stage

CONFIG = """
seed = 3
[[mocap]]
dataset = "cmu"
sources = ["sources/cmu"]
[[mocap]]
dataset = "hdm05"
sources = ["sources/hdm05"]
[[mocap]]
dataset = "poseprior"
sources = ["sources/poseprior"]
[[annotations]]
kind = "mpii"
source = "sources/mpii"
[[annotations]]
kind = "lspe"
source = "sources/lspe"
[bank]
fps = 5
[matching]
matcher = "views"
n_views = 12
k = 4
[labels]
estimator = "{estimator}"
[anchors]
k = 6
[shards]
images_per_shard = 7
[train]
backbone = "small"
iterations = 3
images_per_batch = 2
fc_channels = 32
checkpoint_every = 2
[evaluate]
"""


def configure(folder, estimator="posterior"):
    path = folder / "run.toml"
    path.write_text(CONFIG.format(estimator=estimator))
    return load_config(path)


def parts_of(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.suffix == ".parquet"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace in which every stage up to the shards was done with one worker."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))  # the rates of stages are kept there
        yield from _made(folder)


def _made(folder):
    demo_sources(folder / "sources", 1, DemoSize.tiny())
    with Runner(1) as runner:
        results = list(run(configure(folder), folder / "ws", runner, until="shards"))
    assert {r.status for r in results} == {"made"}
    shutil.copytree(folder / "cache", folder / "rates")  # what was measured before any training
    yield folder


@pytest.fixture(scope="module")
def trained(made, tmp_path_factory):
    """A copy of the workspace, with a network trained for a few steps and scored."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(made / "ws", folder / "ws")
    (folder / "sources").symlink_to(made / "sources")
    with Runner(1) as runner:
        results = list(run(configure(made), folder / "ws", runner))
    assert [r.stage for r in results if r.status == "made"] == ["train", "evaluate"]
    return folder


def test_every_artefact_is_whole(made):
    for kind in ("bank", "annotations", "index", "matches", "labels", "anchors", "shards"):
        assert artefacts.verify(made / "ws" / kind, kind) == []
    leftovers = [p for p in (made / "ws").iterdir() if p.name.startswith(".")]
    assert leftovers == []


def test_second_run_does_nothing(made, trained):
    before = {k: artefacts.read_manifest(trained / "ws" / k, k).content for k in ("bank", "labels")}
    with Runner(1) as runner:
        results = list(run(configure(made), trained / "ws", runner))
    assert {r.status for r in results} == {"up to date"}
    after = {k: artefacts.read_manifest(trained / "ws" / k, k).content for k in ("bank", "labels")}
    assert before == after


def test_changed_setting_redoes_only_what_depends_on_it(made, tmp_path):
    shutil.copytree(made / "ws", tmp_path / "ws")
    (tmp_path / "sources").symlink_to(made / "sources")
    with Runner(1) as runner:
        config = configure(made, estimator="nearest")
        results = list(run(config, tmp_path / "ws", runner, until="shards"))
    status = [(r.stage, r.status) for r in results]
    assert [s for s, done in status if done == "made"] == ["label", "anchors", "shards"]
    assert {s for s, done in status if done == "up to date"} == {
        "ingest",
        "annotate",
        "index",
        "match",
    }


def test_same_bytes_with_two_workers(made, tmp_path):
    with Runner(2) as runner:
        list(run(configure(made), tmp_path / "ws", runner, until="shards"))
    for kind in ("bank", "annotations", "matches", "labels", "anchors", "shards"):
        assert parts_of(tmp_path / "ws" / kind) == parts_of(made / "ws" / kind), kind


def test_mixture_trains_its_network_once(made, tmp_path):
    shutil.copytree(made / "ws", tmp_path / "ws")
    lifter = tmp_path / "ws" / "lifter"

    def label(steps, *more):
        asked = ["label", "-w", str(tmp_path / "ws"), "--estimator", "mixture"]
        asked += ["--lifter-steps", str(steps), "--workers", "1", "--json", *more]
        done = CliRunner().invoke(main, asked)
        assert done.exit_code == 0, done.output
        written = (lifter / artefacts.MANIFEST).stat().st_mtime_ns
        content = artefacts.read_manifest(lifter, "lifter").content
        return json.loads(done.stdout)["stages"][0]["status"], written, content

    status, written, content = label(3)
    assert status == "made"
    labels = from_table(Labels, artefacts.read_table(tmp_path / "ws/labels", "labels"))
    assert {p for p in labels.provenance if p != "measured"} == {"views mixture"}
    assert label(3) == ("up to date", written, content)
    artefacts.remove(tmp_path / "ws" / "labels")
    assert label(3) == ("made", written, content)  # labelled again by the same network
    assert artefacts.verify(lifter, "lifter") == []
    artefacts.remove(lifter)
    status, _, again = label(3)
    assert (status, again) == ("up to date", content)  # the seed makes the same network
    assert label(4)[2] != content


def test_plan_says_what_would_be_made_and_makes_nothing(made, tmp_path, monkeypatch):
    """With rates of the run that made the workspace."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(made / "rates"))
    ws, config = made / "ws", made / "run.toml"
    configure(made)

    def planned(workspace):
        out = json.loads(invoke("run", config, "-w", workspace, "--plan", "--workers", 2, "--json"))
        return {stage["stage"]: stage for stage in out["plan"]}

    def rows(kind):
        return artefacts.read_manifest(ws / kind, kind).rows

    before = {path: path.stat().st_mtime_ns for path in ws.rglob("*")}
    finished = planned(ws)
    assert {path: path.stat().st_mtime_ns for path in ws.rglob("*")} == before
    stages = ("ingest", "annotate", "index", "match", "label", "anchors", "shards")
    assert {finished[stage]["status"] for stage in stages} == {"up to date"}
    assert finished["train"]["status"] == "to make"
    assert finished["train"]["seconds"] is None  # no training was measured

    new = planned(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert {stage["status"] for stage in new.values()} == {"to make"}
    made_rows = {"ingest": "bank", "annotate": "annotations", "label": "labels", "shards": "shards"}
    assert {stage: new[stage]["rows"] for stage in made_rows} == {
        stage: rows(kind) for stage, kind in made_rows.items()
    }
    assert all(new[stage]["seconds"] > 0 for stage in stages)
    assert all(new[stage]["disk_mb"] > 0 and new[stage]["memory_mb"] > 50 for stage in stages)


def test_labels_keep_what_was_annotated_and_complete_the_rest(made):
    people = from_table(People, artefacts.read_table(made / "ws/annotations", "annotations"))
    labels = from_table(Labels, artefacts.read_table(made / "ws/labels", "labels"))
    assert len(labels) > 0.9 * len(people)
    row = {p: i for i, p in enumerate(people.person_id)}
    rows = np.array([row[p] for p in labels.person_id])
    known = is_annotated(people.state[rows])
    np.testing.assert_array_equal(labels.joints_2d[known], people.joints_2d[rows][known])
    np.testing.assert_array_equal(labels.state[known], people.state[rows][known])
    assert (labels.state[~known] == JointState.COMPLETED).all()
    np.testing.assert_allclose(labels.joints_3d, centred(labels.joints_3d), atol=1e-5)
    assert ((labels.trust >= 0) & (labels.trust <= 1)).all()
    assert np.isfinite(labels.joints_2d).all()
    assert set(labels.provenance) <= {"views posterior", "measured"}


def test_run_folder_and_evaluation(trained):
    losses = pd.read_parquet(trained / "ws/runs/default/metrics.parquet")
    assert losses["iteration"].tolist() == [0, 1, 2]
    # The objectness of a network that has seen nothing is a toss of a coin.
    assert losses["rpn_objectness"][0] == pytest.approx(np.log(2), rel=0.01)
    parts = ["rpn_objectness", "rpn_boxes", "classification", "regression"]
    np.testing.assert_allclose(losses[parts].sum(axis=1), losses["total"], rtol=1e-6)
    assert (losses[parts] > 0).all(axis=None)

    folder = trained / "ws/evaluation/default"
    scores = json.loads((folder / "after-ppi.json").read_text())
    predictions = from_table(Predictions, pq.read_table(folder / "after-ppi.parquet"))
    truth = ground_truth_from_shards(trained / "ws/shards", "val")
    assert scores["people"] == len(truth.state) > 0
    assert scores["predictions"] == len(predictions) > 0
    again = evaluate(predictions, truth).headline()
    assert again["mpjpe_mm"] == pytest.approx(scores["mpjpe"]["absolute"])
    assert again["pckh_percent"] == pytest.approx(scores["pckh"]["weighted"])
    assert scores["mpjpe"]["rigid"] < scores["mpjpe"]["absolute"]
    others = {path.stem for path in folder.glob("*.json")}
    assert others == {"before-ppi", "after-nms", "after-ppi", "mean-pose", "nearest-anchor"}


def invoke(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_two_processes_train_one_run(made, tmp_path):
    workspace = tmp_path / "ws"
    workspace.mkdir()
    for kind in ("shards", "anchors"):
        shutil.copytree(made / "ws" / kind, workspace / kind)
    posebank = Path(sys.executable).with_name("posebank")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        posebank,
        "train",
        made / "run.toml",
        "-w",
        workspace,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=400)
    folder = workspace / "runs" / "default"
    manifest = artefacts.read_manifest(folder, "runs")
    assert manifest.sections["default"].stats["iterations"] == 3
    assert len(pd.read_parquet(folder / "metrics.parquet")) == 3


def test_commands_do_what_the_run_does(made, tmp_path):
    """The same stages by hand, data sets accumulating, give the same bank."""
    sources, ws = made / "sources", tmp_path / "ws"
    for dataset in ("poseprior", "hdm05", "cmu"):
        out = invoke(
            "ingest",
            dataset,
            sources / dataset,
            "-w",
            ws,
            "--bank-fps",
            5,
            "--workers",
            1,
            "--json",
        )
        assert json.loads(out)["stages"][0]["status"] == "made"
    assert parts_of(ws / "bank") == parts_of(made / "ws/bank")
    again = invoke(
        "ingest", "cmu", sources / "cmu", "-w", ws, "--bank-fps", 5, "--workers", 1, "--json"
    )
    assert json.loads(again)["stages"][0]["status"] == "up to date"


def test_query_tells_what_each_data_set_adds(made):
    out = invoke(
        "query",
        "-w",
        made / "ws",
        "--banks",
        "cmu",
        "--banks",
        "cmu,hdm05,poseprior",
        "--by",
        "dataset",
        "--workers",
        1,
        "--json",
    )
    rows = pd.DataFrame(json.loads(out)["rows"])
    assert set(rows["banks"]) == {"cmu", "cmu,hdm05,poseprior"}
    for _, pair in rows.groupby("dataset"):
        few, many = pair["error_norm_mean"]
        assert many <= few + 1e-9  # a larger bank can only match better
        assert pair["reduction_percent"].iloc[1] == pytest.approx(100 * (1 - many / few))
    for by in ("joint", "annotated", "rarity"):
        assert json.loads(invoke("query", "-w", made / "ws", "--by", by, "--json"))["rows"]


def test_query_of_people_whose_truth_is_known(made):
    bank = artefacts.read_table(made / "ws" / "bank", "bank").to_pandas()
    subject = bank["dataset"][0] + "/" + bank["subject"][0]
    asked = ["query", "-w", str(made / "ws"), "--truth", subject, "--people", "3"]
    shown = CliRunner().invoke(main, [*asked, "--banks", "hdm05", "--json"])
    assert shown.exit_code == 0, shown.output
    rows = json.loads(shown.stdout)["rows"]
    assert [r["hidden"] for r in rows] == [h for h in (0, 2, 4, 6, 8) for _ in range(3)]
    assert {r["banks"] for r in rows} == {"hdm05"}
    assert {r["people"] for r in rows} == {3}
    assert rows[0]["completion_px"] is None
    assert rows[3]["completion_px"] > 0
    refused = CliRunner().invoke(main, ["query", "-w", str(made / "ws"), "--truth", "cmu/nobody"])
    assert refused.exit_code == 1
    assert "found cmu/nobody" in refused.output


def test_query_of_one_pose_finds_the_pose_itself(made, tmp_path):
    labels = from_table(Labels, artefacts.read_table(made / "ws/labels", "labels"))
    pose = json.dumps(labels.joints_2d[0].tolist())
    picture = tmp_path / "match.png"
    out = invoke(
        "query", "-w", made / "ws", "--pose", pose, "-k", 3, "--picture", picture, "--json"
    )
    rows = json.loads(out)["rows"]
    assert [r["rank"] for r in rows] == [0, 1, 2]
    errors = [r["error_norm"] for r in rows]
    assert errors == sorted(errors)
    assert 0 < errors[0] < 1
    assert picture.stat().st_size > 1000


def test_predict_inspect_and_report(trained, tmp_path):
    ws = trained / "ws"
    image = sorted((trained / "sources/lspe/images").iterdir())[0]
    out = invoke(
        "predict",
        image,
        "--checkpoint",
        ws / "runs/default/checkpoint.pt",
        "-o",
        tmp_path / "p",
        "--json",
    )
    found = json.loads(out)
    assert found["images"] == 1
    assert all(Path(f).exists() for f in found["files"])
    assert 0 <= found["shown"] <= found["poses"]
    facts = json.loads(invoke("inspect", ws / "shards", "--json"))
    assert facts["damaged"] == []
    assert facts["kind"] == "shards"
    clip = next((trained / "sources/cmu").rglob("*.amc"))
    assert json.loads(invoke("inspect", clip, "--json"))["fps"] == 120
    page = json.loads(invoke("report", "-w", ws, "--json"))["report"]
    assert "<html" in Path(page).read_text()


def test_predict_with_nothing_to_read(trained, tmp_path):
    checkpoint = trained / "ws/runs/default/checkpoint.pt"
    (tmp_path / "empty").mkdir()
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    for source, reason in ((tmp_path / "empty", "found none"), (bad, "an image that decodes")):
        asked = ("predict", source, "--checkpoint", checkpoint, "-o", tmp_path / "p")
        result = CliRunner().invoke(main, [str(a) for a in asked])
        assert result.exit_code == 1
        assert str(source) in result.output
        assert reason in result.output


def test_bad_files_are_set_aside_and_the_rest_goes_on(made, tmp_path):
    sources = tmp_path / "cmu"
    shutil.copytree(made / "sources/cmu", sources)
    clips = sorted(sources.rglob("*.amc"))
    clips[0].write_bytes(b"")
    text = clips[1].read_bytes()
    clips[1].write_bytes(text[: len(text) * 2 // 3])
    result = CliRunner().invoke(
        main, ["ingest", "cmu", str(sources), "-w", str(tmp_path / "ws"), "--workers", "1"]
    )
    assert result.exit_code == 0, result.output
    assert f"set aside: {clips[0]}" in result.stderr or clips[0].name in result.stderr
    manifest = artefacts.read_manifest(tmp_path / "ws/bank", "bank")
    named = {Path(r.where.rsplit(":", 1)[0]).name for r in manifest.sections["cmu"].rejected}
    assert clips[0].name in named
    assert manifest.rows > 0
    strict = CliRunner().invoke(
        main,
        ["ingest", "cmu", str(sources), "-w", str(tmp_path / "ws2"), "--workers", "1", "--strict"],
    )
    assert strict.exit_code == 1
    assert clips[0].name in strict.output
    assert not (tmp_path / "ws2/bank").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_ingest_goes_on_with_what_it_has_read(made, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(ingest_stage, "_BATCH_BYTES", 1)  # a clip in each partition

    def ingest(workspace, **options):
        with Runner(workers, **options) as runner:
            sources = {made / "sources/cmu": ReadOptions()}
            return ingest_stage.ingest(workspace, "cmu", sources, BankSettings(fps=5), runner)

    def stop_after_two(_label, done, _total, _unit):
        if done == 2:
            raise KeyboardInterrupt

    whole = ingest(tmp_path / "whole")
    n_clips = whole.stats["clips"]
    assert n_clips > 3
    with pytest.raises(KeyboardInterrupt):
        ingest(tmp_path / "ws", progress=stop_after_two)
    assert not (tmp_path / "ws/bank").exists()
    told, count = [], []
    result = ingest(
        tmp_path / "ws", notify=told.append, progress=lambda _, done, *rest: count.append(done)
    )
    kept = count[0] if count else n_clips
    assert kept >= 2
    assert count[1:] == list(range(kept + 1, n_clips + 1))
    assert told == [f"ingest cmu: {kept} of {n_clips} partitions were finished before"] * (
        kept < n_clips
    )
    assert result.stats == whole.stats
    contents = [
        artefacts.read_manifest(tmp_path / w / "bank", "bank").content for w in ("ws", "whole")
    ]
    assert contents[0] == contents[1]
    assert [path.name for path in (tmp_path / "ws").iterdir()] == ["bank"]


def test_export_gives_back_the_labels(made, tmp_path):
    labels = from_table(Labels, artefacts.read_table(made / "ws/labels", "labels"))
    coco, npz, tars = tmp_path / "labels.json", tmp_path / "labels.npz", tmp_path / "tars"
    invoke("export", "coco", "-w", made / "ws", "-o", coco)
    written = {path.name: json.loads(path.read_text()) for path in tmp_path.glob("labels_*.json")}
    expected = {f"labels_{d}_{s}.json" for d, s in zip(labels.dataset, labels.split, strict=True)}
    assert set(written) == expected
    labelled = [a["person_id"] for c in written.values() for a in c["annotations"] if "trust" in a]
    assert sorted(labelled) == sorted(labels.person_id)
    invoke("export", "npz", "-w", made / "ws", "-o", npz)
    np.testing.assert_array_equal(np.load(npz)["joints_3d"], labels.joints_3d)
    files = json.loads(invoke("export", "webdataset", "-w", made / "ws", "-o", tars, "--json"))
    assert {Path(f).name.split("-")[0] for f in files["files"]} == set(labels.split)


def test_run_keeps_the_data_sets_of_its_configuration_alone(made, tmp_path):
    """Also where the data set has another name than its kind."""
    (tmp_path / "sources").symlink_to(made / "sources")
    people = [{"image": "1.png", "width": 9, "height": 9, "joints": {"head": [3, 4]}}]
    own = {"dataset": "mine", "people": people}
    (tmp_path / "own.json").write_text(json.dumps(own))
    first = CONFIG.format(estimator="posterior")
    second = first.replace(
        'kind = "mpii"\nsource = "sources/mpii"', 'kind = "json"\nsource = "own.json"'
    )
    for text, names, status in (
        (first, {"mpii", "lspe"}, {"made"}),
        (second, {"mine", "lspe"}, {"made", "up to date"}),
        (second, {"mine", "lspe"}, {"up to date"}),
    ):
        (tmp_path / "run.toml").write_text(text)
        with Runner(1) as runner:
            config = load_config(tmp_path / "run.toml")
            results = list(run(config, tmp_path / "ws", runner, until="annotate"))
        assert {r.status for r in results} == status
        sections = artefacts.read_manifest(tmp_path / "ws/annotations", "annotations").sections
        assert set(sections) == names
