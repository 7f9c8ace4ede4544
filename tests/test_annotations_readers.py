"""Every source form: small files made by hand, with the values worked out."""

import json
from pathlib import Path

import annotation_files as af
import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from posebank.annotations import outside_image, read_annotations
from posebank.annotations.matfile import load_mat
from posebank.annotations.people import is_safe_name
from posebank.errors import PosebankError, SettingsError, SourceError
from posebank.skeleton import JOINT_NAMES, J, JointState, is_annotated

EMPTY = np.empty((0, 0))
MISSING, VISIBLE, OCCLUDED = JointState.MISSING, JointState.VISIBLE, JointState.OCCLUDED


def release(tmp_path: Path, **more) -> Path:
    """Four images: one with three people, one without people, one test image, one more."""
    whole = {j: (100.5 + j, 200 + 2 * j, [1, 0, "1", "0", EMPTY][j % 5]) for j in range(16)}
    backwards = dict(reversed(list(whole.items())))
    images = [
        ("a.jpg", [af.mpii_person(backwards), af.mpii_person({2: (31, 41, 1)}, None),
                   af.mpii_person({})]),
        ("b.jpg", []),
        ("c.jpg", [af.mpii_person({}, None)]),
        ("d.jpg", [af.mpii_person({9: (7, 8, EMPTY), 77: (1, 1, 1), 3: (np.nan, 1, 1)})]),
    ]  # fmt: skip
    return af.write_mpii_release(
        tmp_path / "mpii_human_pose_v1_u12_1.mat", images,
        in_train=[1, 1, 0, 1], single=[[2], [], [1], [1]], video=[3, 1, 2, 3], **more,
    )  # fmt: skip


@pytest.mark.parametrize("compress", [True, False])
def test_mpii_release(tmp_path, compress):
    result = read_annotations("mpii", release(tmp_path, compress=compress).parent)
    people = result.people
    assert people.person_id.tolist() == ["mpii/a.jpg/0", "mpii/a.jpg/1", "mpii/d.jpg/0"]
    assert result.stats["people_in_file"] == 5
    assert [r.where.split(": ")[1] for r in result.rejected] == ["mpii/a.jpg/2", "mpii/c.jpg/0"]
    assert "head box" in result.rejected[0].reason
    assert "test image" in result.rejected[1].reason

    # id 10 is the right wrist: (100.5 + 10, 200 + 20) in MATLAB's 1-based pixels
    np.testing.assert_allclose(people.joints_2d[0, J["r_wrist"]], [109.5, 219])
    np.testing.assert_allclose(people.joints_2d[0, J["head"]], [108.5, 217])  # id 9
    # is_visible by id: 0 -> 1, 1 -> 0, 2 -> "1", 3 -> "0", 4 -> empty
    expected = {
        "r_ankle": VISIBLE,
        "r_knee": OCCLUDED,
        "r_hip": VISIBLE,
        "l_hip": OCCLUDED,
        "l_knee": VISIBLE,
    }
    assert {name: people.state[0, J[name]] for name in expected} == expected

    assert is_annotated(people.state).sum(axis=1).tolist() == [13, 1, 1]
    np.testing.assert_array_equal(people.head_box[0], [9, 19, 39, 59])
    assert np.isnan(people.head_box[1]).all()
    assert people.scale.tolist() == [2.5, 2.5, 2.5]
    assert people.single_person.tolist() == [0, 1, 1]
    assert people.video_id.tolist() == ["video2", "video2", "video2"]
    assert len(set(people.split)) == 1, "one video, one side"
    assert result.extras["activity"].tolist() == ["curling0", "curling0", "curling3"]
    np.testing.assert_array_equal(result.extras["objpos"][0], [99, 119])


def test_mpii_groups_join_people_whose_boxes_meet(tmp_path):
    def at(x: float) -> dict:
        return af.mpii_person({0: (x, 10, 1), 9: (x + 50, 110, 1)}, None)

    # Boxes with 10 % on each side: [95, 155], [150, 210] meet; [295, 355] stands alone; the last
    # person has no joint but a place and scale, [0, 200] around (100, 120), which meets the first.
    lonely = af.mpii_person({}, None, scale=1.0)
    path = af.write_mpii_release(
        tmp_path / "m.mat", [("a.jpg", [at(300), at(100), at(155), lonely]), ("b.jpg", [at(100)])]
    )
    people = read_annotations("mpii", path).people
    assert people.group_id.tolist() == [
        "mpii/a.jpg/g0",
        "mpii/a.jpg/g1",
        "mpii/a.jpg/g1",
        "mpii/b.jpg/g0",
    ]


def test_mpii_empty_visibility_is_counted(tmp_path):
    stats = read_annotations("mpii", release(tmp_path)).stats
    assert stats["visibility_not_stated"] == 4  # ids 4, 9, 14 of the first person, 9 of the last


@pytest.mark.parametrize("form", ["h5", "csv", "json", "older json"])
def test_mpii_derived_forms_give_back_the_release(tmp_path, form):
    rng = np.random.default_rng(3)
    joints = rng.integers(5, 400, (4, 16, 2)).astype(float)
    visible = rng.integers(0, 2, (4, 16)).astype(float)
    joints[1, 0] = -1 if form == "csv" else 0
    visible[1, 0] = 0
    joints[2, 9] = [50, -3]  # a head top above the image is not a missing one
    if form == "h5":
        path = af.write_mpii_h5(tmp_path / "valid.h5", joints, visible, 2.5)
    elif form == "csv":
        path = af.write_mpii_csv(tmp_path / "m.csv", [f"{i}.jpg" for i in range(4)], joints)
    else:
        path = af.write_mpii_json(tmp_path / "m.json", joints, visible, form == "older json")
    result = read_annotations("mpii", path)
    people = result.people
    assert len(people) == 4
    assert people.state[1, J["r_ankle"]] == MISSING
    np.testing.assert_array_equal(people.joints_2d[1, J["r_ankle"]], [0, 0])
    np.testing.assert_array_equal(people.joints_2d[2, J["head"]], [49, -4])
    np.testing.assert_array_equal(people.joints_2d[3, J["l_wrist"]], joints[3, 15] - 1)
    flag = 1 if form == "csv" else visible[3, 15]
    assert people.state[3, J["l_wrist"]] == (VISIBLE if flag else OCCLUDED)
    np.testing.assert_allclose(people.scale, 2.5, rtol=1e-6)
    if form != "csv":
        np.testing.assert_allclose(result.extras["objpos"], [[99, 119]] * 4)


@pytest.mark.parametrize(("kind", "name"), [("lspe", "im00003.jpg"), ("lsp", "im0003.jpg")])
def test_lsp_and_lspe_have_opposite_flags(tmp_path, kind, name):
    joints = np.random.default_rng(1).uniform(1, 90, (5, 14, 3))
    joints[..., 2] = 1 if kind == "lspe" else 0
    joints[2, 6] = [-53.27, 0, 0 if kind == "lspe" else 1]  # right wrist
    af.write_lsp(tmp_path / "joints.mat", joints, extended=kind == "lspe")
    people = read_annotations(kind, tmp_path).people
    assert people.image[2] == name
    expected = np.full((5, 13), VISIBLE)
    expected[2, J["r_wrist"]] = MISSING if kind == "lspe" else OCCLUDED
    np.testing.assert_array_equal(people.state, expected)
    where = [0, 0] if kind == "lspe" else [-54.27, -1]
    np.testing.assert_allclose(people.joints_2d[2, J["r_wrist"]], where, rtol=1e-6)
    np.testing.assert_allclose(people.joints_2d[4, J["head"]], joints[4, 13, :2] - 1, rtol=1e-6)
    np.testing.assert_allclose(people.joints_2d[4, J["l_hip"]], joints[4, 3, :2] - 1, rtol=1e-6)
    assert set(people.split) <= ({"train", "val"} if kind == "lspe" else {"train"})


def test_the_other_lsp_file_is_refused(tmp_path):
    af.write_lsp(tmp_path / "joints.mat", np.ones((5, 14, 3)), extended=False)
    with pytest.raises(SourceError, match=r"joints.mat: expected 'joints' of 14 x 3 x n .*LSPE"):
        read_annotations("lspe", tmp_path)


def test_lspe_person_without_joints_has_a_line(tmp_path):
    joints = np.ones((3, 14, 3))
    joints[1, :, 2] = 0
    joints[1, 12, 2] = 1  # the neck alone is no joint of the skeleton
    af.write_lsp(tmp_path / "joints.mat", joints, extended=True)
    result = read_annotations("lspe", tmp_path)
    assert result.people.image.tolist() == ["im00001.jpg", "im00003.jpg"]
    assert [r.where for r in result.rejected] == ["joints.mat: lspe/im00002.jpg/0"]


def test_coco(tmp_path):
    folder = tmp_path / "annotations"
    folder.mkdir()
    people = [
        af.coco_person(11, 5, {"l_wrist": (3, 4, 1), "r_wrist": (5.5, 6, 2), "nose": (1, 1, 2)}),
        af.coco_person(12, 5, {"nose": (1, 1, 2)}),
        af.coco_person(13, 6, {}),
        af.coco_person(14, 6, {"l_hip": (3, 4, 1)}, iscrowd=1),
        af.coco_person(15, 6, {"l_hip": (3, 4, 2)}, image_id=6) | {"keypoints": [1, 2, 3]},
    ]
    af.write_coco(folder / "person_keypoints_val2017.json", people)
    result = read_annotations("coco", tmp_path)
    found = result.people
    assert found.person_id.tolist() == ["coco/000000000005.jpg/11"]
    expected = np.zeros(13)
    expected[[J["l_wrist"], J["r_wrist"]]] = OCCLUDED, VISIBLE
    np.testing.assert_array_equal(found.state[0], expected)
    np.testing.assert_array_equal(found.joints_2d[0, J["r_wrist"]], [5.5, 6])
    assert found.split.tolist() == ["val"]
    assert (found.image_width[0], found.image_height[0]) == (640, 427)
    reasons = {r.where: r.reason for r in result.rejected}
    assert len(reasons) == 4
    assert result.stats["crowds"] == 1
    assert sum(result.stats["set_aside"].values()) == len(result.rejected)
    assert result.stats["set_aside"]["no keypoint is annotated (a box only)"] == 1
    assert result.stats["people_in_file"] == 5
    assert any("keypoints" in r for r in reasons.values())


def test_coco_head_proxy_only_when_asked(tmp_path):
    points = {"l_shoulder": (10, 40, 2), "r_shoulder": (30, 40, 2), "nose": (20, 20, 2)}
    path = af.write_coco(tmp_path / "train.json", [af.coco_person(1, 1, points)])
    assert read_annotations("coco", path).people.state[0, J["head"]] == MISSING
    people = read_annotations("coco", path, proxy_head=True).people
    assert people.state[0, J["head"]] == OCCLUDED
    # shoulder centre (20, 40), face (20, 20): half as far again
    np.testing.assert_allclose(people.joints_2d[0, J["head"]], [20, 10])


def test_own_json_and_csv(tmp_path):
    people = read_annotations("json", af.write_own_json(tmp_path / "own.json", 3)).people
    assert people.dataset.tolist() == ["mine"] * 3
    assert is_annotated(people.state).sum(axis=1).tolist() == [5, 6, 7]
    assert people.state[1, 1] == OCCLUDED
    np.testing.assert_allclose(people.joints_2d[2, 3], [15, 82])
    np.testing.assert_allclose(people.head_box, [[1, 2, 3, 4]] * 3)
    people = read_annotations("csv", af.write_own_csv(tmp_path / "own.csv", 4)).people
    assert is_annotated(people.state).sum(axis=1).tolist() == [5, 6, 7, 8]
    np.testing.assert_allclose(people.joints_2d[3, 2], [15, 41])


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ({"image": "a.jpg", "joints": {"tail": [1, 2]}}, "found 'tail'"),
        ({"image": "a.jpg", "joints": {"head": [1]}}, "head: expected 2 numbers"),
        ({"image": "a.jpg", "joints": {"head": [1, 2, "seen"]}}, "found 'seen'"),
        ({"image": "a.jpg", "joints": {}}, "at least one annotated joint"),
        ({"image": "../a.jpg", "joints": {"head": [1, 2]}}, "inside the image folder"),
        ({"image": "/etc/passwd", "joints": {"head": [1, 2]}}, "inside the image folder"),
        ({"image": "a.jpg", "joints": {"head": [1e9, 2]}}, "at least one annotated joint"),
        ({"image": "a.jpg", "split": "dev", "joints": {"head": [1, 2]}}, "found 'dev'"),
        (7, "expected an object"),
    ],
)
def test_bad_person_is_set_aside_with_its_reason(tmp_path, person, reason):
    good = {"image": "g.jpg", "joints": {"head": [1, 2]}}
    (tmp_path / "own.json").write_text(json.dumps({"people": [person, good]}))
    result = read_annotations("json", tmp_path)
    assert result.people.image.tolist() == ["g.jpg"]
    assert any(reason in r.reason for r in result.rejected)
    assert result.stats["people_in_file"] == 2


def test_measured_3d_in_own_json(tmp_path):
    solid = {name: [0.1 * i, 0.2, -0.3] for i, name in enumerate(JOINT_NAMES)}
    person = {"image": "g.jpg", "joints": {"head": [1, 2]}, "joints_3d": solid}
    (tmp_path / "own.json").write_text(json.dumps({"people": [person]}))
    people = read_annotations("json", tmp_path).people
    np.testing.assert_allclose(people.joints_3d[0, J["head"]], [1.2, 0.2, -0.3], rtol=1e-6)


def test_safe_names():
    assert is_safe_name("a/b/im 1.jpg")
    assert not any(map(is_safe_name, ["", "..", "a/../b", "/a", "c:\\a", "..\\a", "a\0b", "."]))


def test_image_sizes_and_joints_outside(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (30, 40)).save(tmp_path / "images" / "g.png")
    (tmp_path / "images" / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    joints = {"head": [29.0, 39.0], "l_hip": [31.0, 5.0], "r_hip": [-2.0, 5.0]}
    people = [{"image": name, "joints": joints} for name in ("g.png", "broken.jpg", "far.jpg")]
    (tmp_path / "own.json").write_text(json.dumps({"people": people}))
    result = read_annotations("json", tmp_path)
    assert result.people.image_width.tolist() == [30, 0, 0]
    assert result.people.image_height.tolist() == [40, 0, 0]
    out = outside_image(result.people)
    assert [JOINT_NAMES[j] for j in np.flatnonzero(out[0])] == ["r_hip", "l_hip"]
    assert not out[1:].any()
    assert [Path(r.where).name for r in result.rejected] == ["broken.jpg"]
    assert result.images == tmp_path / "images"


def test_a_download_is_read_as_it_was_unpacked(tmp_path):
    """COCO's archives: two splits, each with its own folder of images, and fetch's checksums."""
    points = {name: (10 + i, 20, 2) for i, name in enumerate(af.COCO_NAMES)}
    put = tmp_path / "annotations_trainval2017" / "annotations"
    put.mkdir(parents=True)
    (tmp_path / "checksums.json").write_text("{}")
    for split, n in (("train2017", 3), ("val2017", 2)):
        people = [af.coco_person(i + 10 * n, i, points) for i in range(n)]
        path = af.write_coco(put / f"person_keypoints_{split}.json", people)
        folder = tmp_path / split / split
        folder.mkdir(parents=True)
        for image in json.loads(path.read_text())["images"]:
            (folder / image["file_name"]).write_bytes(b"an image")
    result = read_annotations("coco", tmp_path)
    assert result.stats["people_by_split"] == {"train": 3, "val": 2}
    assert all((result.images / name).is_file() for name in result.people.image)
    assert {Path(name).parts[0] for name in result.people.image} == {"train2017", "val2017"}


def test_a_person_of_two_files_is_kept_once(tmp_path):
    for name in "ab":
        af.write_own_json(tmp_path / f"{name}.json", 3)
    result = read_annotations("json", tmp_path)
    assert len(set(result.people.person_id)) == len(result.people)
    assert len(result.people) + len(result.rejected) == result.stats["people_in_file"]
    assert "was read before" in result.rejected[-1].reason


def test_same_person_twice(tmp_path):
    person = af.coco_person(11, 5, {"l_wrist": (3, 4, 1)})
    result = read_annotations("coco", af.write_coco(tmp_path / "x.json", [person, person]))
    assert len(result.people) == 1
    assert "read before" in result.rejected[0].reason


@pytest.mark.parametrize("kind", ["mpii", "lspe", "lsp", "coco", "h36m", "json", "csv"])
def test_missing_source(tmp_path, kind):
    with pytest.raises(SourceError, match="nowhere"):
        read_annotations(kind, tmp_path / "nowhere")
    with pytest.raises(SourceError):
        read_annotations(kind, tmp_path)


def test_wrong_settings(tmp_path):
    with pytest.raises(SettingsError, match="expected one of mpii"):
        read_annotations("mpi", tmp_path)
    with pytest.raises(SettingsError, match="split"):
        read_annotations("mpii", tmp_path, split="dev")


def test_matfile_agrees_with_scipy(tmp_path):
    values = {
        "cells": af.cell(["text", 5.5, np.arange(6.0).reshape(2, 3), EMPTY, af.cell([1, "ü"])]),
        "nested": af.struct_array([{"a": 1, "b": "x"}, {"a": [1.5, 2], "b": EMPTY}]),
        "small": np.array([[3]], dtype=np.uint8),
        "big": np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    }
    for compress in (True, False):
        path = tmp_path / "m.mat"
        savemat(path, values, do_compression=compress)
        mine, other = load_mat(path, list(values)), loadmat(path)
        np.testing.assert_array_equal(mine["big"], other["big"])
        assert mine["small"] == 3
        text, number, array, empty, inner = mine["cells"]
        assert (text, number, empty.size, inner) == ("text", 5.5, 0, [1, "ü"])
        np.testing.assert_array_equal(array, [[0, 1, 2], [3, 4, 5]])
        assert mine["nested"][0] == {"a": 1, "b": "x"}
        np.testing.assert_array_equal(mine["nested"][1]["a"], [[1.5, 2]])


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0", b"\0" * 600, b"{}", b"[" * 100_000])
@pytest.mark.parametrize("name", ["joints.mat", "x.json", "x.csv", "x.h5"])
def test_no_annotation_file_at_all(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    kinds = {
        ".mat": ("lspe", "lsp", "mpii"),
        ".json": ("coco", "json", "mpii"),
        ".csv": ("csv", "mpii"),
        ".h5": ("mpii",),
    }
    for kind in kinds[Path(name).suffix]:
        with pytest.raises(PosebankError, match=name):
            read_annotations(kind, tmp_path / name)


def test_mutated_files_are_clear_errors_or_fewer_people(tmp_path):
    # The 20,000 of benchmarks/bench_annotations.py in small.
    rng = np.random.default_rng(8)
    joints = rng.uniform(1, 90, (5, 14, 3)).round()
    joints[..., 2] = 1
    files = [
        ("mpii", release(tmp_path, compress=False)),
        ("lspe", af.write_lsp(tmp_path / "joints.mat", joints, True, compress=False)),
        (
            "mpii",
            af.write_mpii_h5(
                tmp_path / "v.h5", joints[[0] * 3, :1].repeat(16, 1)[..., :2], np.ones((3, 16)), 2.5
            ),
        ),
        ("json", af.write_own_json(tmp_path / "own.json", 3)),
        ("csv", af.write_own_csv(tmp_path / "own.csv", 3)),
        (
            "coco",
            af.write_coco(tmp_path / "val.json", [af.coco_person(1, 1, {"l_hip": (1, 2, 2)})]),
        ),
    ]
    whole = [path.read_bytes() for _, path in files]
    read = 0
    for i in range(40 * len(files)):
        kind, path = files[i % len(files)]
        path.write_bytes(af.mutated(whole[i % len(files)], rng))
        try:
            people = read_annotations(kind, path).people
        except PosebankError:
            continue
        read += 1
        assert np.isfinite(people.joints_2d).all()
        assert len(set(people.person_id)) == len(people)
    assert read > 20


def test_sizes_larger_than_the_file_are_errors(tmp_path):
    path = tmp_path / "m.mat"
    savemat(path, {"RELEASE": af.cell([1.0, 2.0, 3.0])}, do_compression=False)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x05\0\0\0\x08\0\0\0") + 8  # the dimensions, 1 x 3
    data[at : at + 8] = (1 << 15).to_bytes(4, "little") * 2
    path.write_bytes(data)
    with pytest.raises(SourceError, match="expected 1073741824 values"):
        load_mat(path, ["RELEASE"])
