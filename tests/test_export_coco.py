"""COCO files through annotate, labels and export: nothing lost, labels added."""

import json
from dataclasses import replace
from pathlib import Path

import coco_forms
import numpy as np
import pytest
from builders import write_artefact
from click.testing import CliRunner
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from test_annotations_forms import picture
from test_annotations_splits import some_labels

from posebank.annotations import read_annotations
from posebank.export import coco_of_people, people_of, write_coco
from posebank.skeleton import JOINT_NAMES, J, JointState
from posebank.types import Labels, People, texts
from posebank.workspace import load_people
from posebank_cli.main import main

FORM = "CrowdPose 14"


def invoke(*args: object) -> str:
    result = CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def label(workspace: Path, people: People) -> Labels:
    """Labels of these people, all joints known, as the label stage writes them."""
    n = len(people)
    rng = np.random.default_rng(1)
    missing = people.state == JointState.MISSING
    labels = Labels.from_people(
        people,
        rng.normal(size=(n, 13, 3)),
        joints_2d=np.where(missing[..., None], 33.5, people.joints_2d),
        state=np.where(missing, JointState.COMPLETED, people.state),
        camera_rotation=np.eye(3),
        camera_translation=rng.normal(size=(n, 2)),
        **{
            name: rng.random(n)
            for name in ("camera_scale", "error_norm", "error_mm", "trust", "ambiguity_mm")
        },
        pose_id="cmu/x:1",
        provenance="nearest",
    )
    write_artefact(workspace / "labels", "labels", labels)
    return labels


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Train and valid with equal names and ids; a crowd, a box, a dog, a polygon, a half person."""
    for folder, first in (("train", 100), ("valid", 100)):
        people = [coco_forms.person(FORM, first + i, 1 + i % 3, score=i) for i in range(4)]
        people[0]["segmentation"] = [[60.5, 15, 140, 15, 140, 281]]
        half = people[1]["keypoints"]
        half[0:6] = [0, 0, 0, 0, 0, 0]  # no shoulders
        more = [
            coco_forms.person(FORM, 200, 1, iscrowd=1, keypoints=[0] * 42, num_keypoints=0,
                              segmentation={"counts": [100, 200, 59700], "size": [300, 200]}),
            coco_forms.person(FORM, 201, 4, keypoints=[0] * 42, num_keypoints=0),
            coco_forms.person(FORM, 202, 2, category_id=9, keypoints=[]),
        ]  # fmt: skip
        dog = {"id": 9, "name": "dog", "supercategory": "animal"}
        coco_forms.write(
            tmp_path / "pets" / folder / "_annotations.coco.json",
            FORM,
            people + more,
            ["a.jpg", "b.jpg", "c.jpg", "empty.jpg"],
            categories=[coco_forms.category(FORM), dog],
            licenses=[{"id": 3}],
        )
        picture(tmp_path / "pets" / folder / "a.jpg")
    return tmp_path / "pets"


def test_round_trip(tmp_path, source, capsys):
    ws = tmp_path / "ws"
    invoke("annotate", "coco", source, "-w", ws, "--workers", 1)
    people = load_people(ws)
    labels = label(ws, people.take(np.arange(len(people)) != 2))  # one person has no match
    out = json.loads(invoke("export", "coco", "-w", ws, "-o", tmp_path / "x.json", "--json"))
    assert [Path(f).name for f in out["files"]] == ["x_train.json", "x_val.json"]
    n_labelled = 0
    for path, folder in zip(map(Path, out["files"]), ("train", "valid"), strict=True):
        before = json.loads((source / folder / "_annotations.coco.json").read_text())
        after = json.loads(path.read_text())
        assert after["images"] == before["images"]
        assert after["licenses"] == before["licenses"]
        assert len(after["annotations"]) == len(before["annotations"])
        for old, new in zip(before["annotations"], after["annotations"], strict=True):
            assert {name: new[name] for name in old} == old  # every field as it was
            if old.get("iscrowd") or old["id"] >= 200:
                assert "trust" not in new
        labelled = [a for a in after["annotations"] if "trust" in a]
        n_labelled += len(labelled)
        for annotation in labelled:
            row = labels.person_id.tolist().index(annotation["person_id"])
            assert annotation["trust"] == labels.trust[row]
            at = coco_forms.FORMS[FORM][0].index("left_shoulder")
            completed = np.reshape(annotation["completed"], (14, 3))
            np.testing.assert_array_equal(
                completed[at, :2], labels.joints_2d[row, J["l_shoulder"]].astype(float)
            )
            assert completed[at, 2] == (1 if annotation["keypoints"][2] == 0 else 2)
            np.testing.assert_array_equal(
                annotation["keypoints_3d"][at], labels.joints_3d[row, J["l_shoulder"]]
            )
            neck = coco_forms.FORMS[FORM][0].index("neck")
            assert annotation["keypoints_3d"][neck] is None
            assert annotation["camera"]["scale"] == labels.camera_scale[row]
        coco = COCO(str(path))
        for annotation in coco.loadAnns(coco.getAnnIds()):
            assert coco.annToMask(annotation).shape == (300, 200)
        assert average_precision(coco, after) == pytest.approx(1)
    assert n_labelled == len(labels)


def average_precision(coco: COCO, content: dict) -> float:
    """AP of a file's own keypoints as results."""
    results = [
        {"image_id": a["image_id"], "category_id": 1, "keypoints": a["keypoints"], "score": 0.9}
        for a in content["annotations"]
        if a["num_keypoints"] and a["category_id"] == 1
    ]
    evaluator = COCOeval(coco, coco.loadRes(results), "keypoints")
    evaluator.params.kpt_oks_sigmas = np.full(14, 0.05)
    evaluator.params.catIds = [1]
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return float(evaluator.stats[0])


def test_one_split_goes_into_the_named_file(tmp_path, source):
    ws = tmp_path / "ws"
    invoke(
        "annotate", "coco", source / "train" / "_annotations.coco.json", "-w", ws, "--workers", 1
    )
    label(ws, load_people(ws))
    invoke("export", "coco", "-w", ws, "-o", tmp_path / "x.json")
    assert len(json.loads((tmp_path / "x.json").read_text())["images"]) == 4
    with (source / "train" / "_annotations.coco.json").open("a") as file:
        file.write(" ")
    result = CliRunner().invoke(main, ["export", "coco", "-w", str(ws), "-o", str(tmp_path / "y")])
    assert result.exit_code == 1
    assert "changed since" in result.output


def test_fields_that_coco_needs_are_added(tmp_path, capsys):
    person = {"image_id": 1, "keypoints": coco_forms.person("COCO 17", 1, 1)["keypoints"]}
    people = [person, {**person, "id": 5, "segmentation": []}]
    path = coco_forms.write(tmp_path / "x.json", "COCO 17", people, ["a.jpg"], categories=[])
    content = json.loads(path.read_text())
    del content["images"][0]["width"], content["images"][0]["height"]
    path.write_text(json.dumps(content))
    picture(tmp_path / "a.jpg")
    ws = tmp_path / "ws"
    invoke("annotate", "coco", path, "-w", ws, "--workers", 1)
    label(ws, load_people(ws))
    invoke("export", "coco", "-w", ws, "-o", tmp_path / "y.json")
    coco = COCO(str(tmp_path / "y.json"))
    assert sorted(coco.getAnnIds()) == [5, 6]
    assert coco.loadImgs(1)[0]["width"] == 200
    for annotation in coco.loadAnns(coco.getAnnIds()):
        assert coco.annToMask(annotation).any()
        assert annotation["bbox"] == [1, 2, 139, 279]  # the face is at (1, 2)
    assert coco.loadCats(1)[0]["keypoints"][0] == "nose"


def test_other_sources_in_coco_form(tmp_path, capsys):
    labels = some_labels()
    people = replace(people_of(labels), state=people_of(labels).state)
    extra = replace(people.take([0]), person_id=texts(["mpii/0.jpg/9"]))
    path = tmp_path / "labels.json"
    write_coco(coco_of_people(People.concat([people, extra]), labels), path)
    coco = COCO(str(path))
    assert len(coco.getImgIds()) == 2
    first = coco.loadAnns(1)[0]
    assert coco.loadImgs(first["image_id"])[0]["file_name"] == "0.jpg"
    np.testing.assert_array_equal(first["joints_3d"], labels.joints_3d[0])
    assert first["single_person"] == 1
    names = coco.loadCats(1)[0]["keypoints"]
    at = 3 * names.index("left_wrist")
    v = {1: 2, 2: 1, 3: 1}[int(labels.state[0, J["l_wrist"]])]
    place = labels.joints_2d[0, J["l_wrist"]].tolist()
    assert first["completed"][at : at + 3] == [*place, v]
    given = labels.state[0, J["l_wrist"]] != JointState.COMPLETED
    assert first["keypoints"][at : at + 3] == ([*place, v] if given else [0, 0, 0])
    second = coco.loadAnns(2)[0]
    assert [second[name] for name in ("head_box", "scale", "single_person")] == [None] * 3
    assert "trust" not in coco.loadAnns(5)[0]

    back = read_annotations("coco", path).people
    common = [J[name] for name in JOINT_NAMES if name != "head"]
    known = people.state[:, common] > 0
    np.testing.assert_array_equal(back.state[:4, common] > 0, known)
    np.testing.assert_array_equal(
        back.joints_2d[:4, common][known], labels.joints_2d[:, common][known]
    )
