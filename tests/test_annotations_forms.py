"""Forms of annotation files that people have: keypoints by name, folders, names, splits."""

import json
from collections import Counter
from pathlib import Path

import annotation_files as af
import coco_forms
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.io import savemat

from posebank.annotations import read_annotations, read_joint_map
from posebank.annotations.keypoints import BODY_25_NAMES, layout_of
from posebank.annotations.sources import default_name, split_of
from posebank.errors import SettingsError, SourceError
from posebank.skeleton import JOINT_NAMES, J, JointState
from posebank.workspace import load_people
from posebank_cli.main import main

MISSING, VISIBLE, OCCLUDED = JointState.MISSING, JointState.VISIBLE, JointState.OCCLUDED


def picture(path: Path, size: tuple[int, int] = (200, 300), orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, "grey")
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    return path


@pytest.mark.parametrize("form", coco_forms.FORMS)
def test_keypoints_are_found_by_their_names(tmp_path, form):
    people = [coco_forms.person(form, 7, 1), coco_forms.person(form, 9, 2, v=1)]
    path = coco_forms.write(tmp_path / "some.json", form, people, ["a.jpg", "b.jpg"])
    result = read_annotations("coco", path)
    places, known = coco_forms.expected(form)
    np.testing.assert_array_equal(result.people.joints_2d, [places, places])
    np.testing.assert_array_equal(result.people.state[0] == VISIBLE, known)
    np.testing.assert_array_equal(result.people.state[1] == OCCLUDED, known)
    missing = [joint for joint, has in zip(JOINT_NAMES, known, strict=True) if not has]
    told = [note for note in result.notes if "which stay missing" in note]
    assert [note.rpartition(": ")[2] for note in told] == ([", ".join(missing)] if missing else [])


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_keypoints(tmp_path, seed):
    names = ["Right-ankle", "LKnee", "knee.R", "left_hip", "hip r", "wristL", "R_WRIST", "tail?"]
    order = np.random.default_rng(seed).permutation(len(names))
    shuffled = [names[i] for i in order]
    layout = layout_of(shuffled)
    expected = {
        "r_ankle": 0,
        "l_knee": 1,
        "r_knee": 2,
        "l_hip": 3,
        "r_hip": 4,
        "l_wrist": 5,
        "r_wrist": 6,
    }
    assert {joint: names.index(shuffled[at]) for joint, at in layout.position.items()} == expected


def test_a_file_without_names_is_read_by_number_and_says_so(tmp_path):
    people = [coco_forms.person("COCO-WholeBody 133", 1, 1)]
    content = {"categories": []}
    path = coco_forms.write(tmp_path / "x.json", "COCO 17", people, ["a.jpg"], **content)
    result = read_annotations("coco", path)
    places, _ = coco_forms.expected("COCO 17")
    np.testing.assert_array_equal(result.people.joints_2d[0], places)
    assert any("order of COCO-WholeBody" in note for note in result.notes)
    fourteen = [coco_forms.person("AIC 14", 1, 1)]
    path = coco_forms.write(tmp_path / "y.json", "COCO 17", fourteen, ["a.jpg"], **content)
    result = read_annotations("coco", path)
    assert not len(result.people)
    assert "names of the 14 keypoints" in result.rejected[0].reason


def test_unknown_names_need_a_map(tmp_path):
    names = [f"kp{i}" for i in range(14)]
    category = {"id": 1, "name": "person", "keypoints": names}
    person = coco_forms.person("AIC 14", 1, 1)
    path = coco_forms.write(
        tmp_path / "x.json", "AIC 14", [person], ["a.jpg"], categories=[category]
    )
    with pytest.raises(SourceError, match=r"14 keypoints is known as a joint: kp0, kp1.*--joints"):
        read_annotations("coco", path)
    order = [layout_of(coco_forms.FORMS["AIC 14"][0]).position[j] for j in JOINT_NAMES]
    lines = [
        f"{j} = {at if j == 'head' else repr(f'kp{at}')}\n"
        for j, at in zip(JOINT_NAMES, order, strict=True)
    ]
    (tmp_path / "map.toml").write_text("[joints]\n" + "".join(lines))
    joints = read_joint_map(tmp_path / "map.toml")
    people = read_annotations("coco", path, joints=joints).people
    np.testing.assert_array_equal(people.joints_2d[0], coco_forms.expected("AIC 14")[0])
    with pytest.raises(SourceError, match="expected one of the 14 keypoints"):
        read_annotations("coco", path, joints={"head": "top"})
    (tmp_path / "map.toml").write_text("tail = 'x'")
    with pytest.raises(SettingsError, match="'tail'"):
        read_joint_map(tmp_path / "map.toml")


def test_animals_and_other_categories_are_set_aside(tmp_path):
    dog = {
        "id": 2,
        "name": "dog",
        "supercategory": "animal",
        "keypoints": ["left_hip", "right_hip", "nose"],
    }
    car = {"id": 3, "name": "car", "keypoints": ["wheel", "left_hip"]}
    form = "COCO 17"
    people = [coco_forms.person(form, 1, 1),
              coco_forms.person(form, 2, 1, category_id=2, keypoints=[5, 5, 2] * 3),
              coco_forms.person(form, 3, 1, category_id=3, keypoints=[5, 5, 2] * 2),
              coco_forms.person(form, 4, 1, category_id=8)]  # fmt: skip
    path = coco_forms.write(
        tmp_path / "x.json",
        form,
        people,
        ["a.jpg"],
        categories=[coco_forms.category(form), dog, car],
    )
    result = read_annotations("coco", path)
    assert result.people.person_id.tolist() == ["x/a.jpg/1"]
    reasons = [r.reason for r in result.rejected]
    assert "not people" in reasons[0]
    assert "not people" in reasons[1]
    assert "expected a listed category, found 8" in reasons[2]
    only = coco_forms.write(tmp_path / "y.json", form, people[1:2], ["a.jpg"], categories=[dog])
    with pytest.raises(SourceError, match="category 'dog': not people"):
        read_annotations("coco", only)


def test_visibility_of_only_0_and_1(tmp_path):
    form = "PoseTrack18"
    person = coco_forms.person(form, 1, 1, v=1)
    person["keypoints"][3 * 16 : 3 * 16 + 3] = [0, 0, 0]  # right_ankle is the 17th
    path = coco_forms.write(tmp_path / "x.json", form, [person], ["a.jpg"])
    result = read_annotations("coco", path)
    expected = np.full(13, VISIBLE)
    expected[J["r_ankle"]] = MISSING
    np.testing.assert_array_equal(result.people.state[0], expected)
    assert any("v is 0 or 1" in note for note in result.notes)
    assert result.stats["visibility_not_stated"] == 12


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("latest.json", ""),
        ("contest.json", ""),
        ("trainer.json", ""),
        ("train_val.json", ""),
        ("person_keypoints_train2017.json", "train"),
        ("valid.json", "val"),
        ("my-test-set.json", "test"),
        ("Validation.json", "val"),
        ("instances_Train.json", "train"),
        ("train/x_test.json", "train"),
        ("valid/_annotations.coco.json", "val"),
        ("val2017/x.json", "val"),
        ("test_results/x.json", ""),
        ("greatest/x.json", ""),
    ],
)
def test_split_is_a_whole_word(tmp_path, name, split):
    assert split_of(tmp_path / name, tmp_path) == split
    assert split_of(tmp_path / name, tmp_path / name) == split


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("crowdpose_val.json", "crowdpose_val"),
        ("a.json", "a"),
        ("mpii.json", "own_mpii"),
        ("person_keypoints_val2017.json", "coco_val2017"),
        ("pets/train/_annotations.coco.json", "pets_train"),
        ("pets/result.json", "pets"),
        ("pets/annotations/person_keypoints_default.json", "pets"),
    ],
)
def test_data_sets_are_named_after_their_files(tmp_path, name, called):
    assert default_name("coco", [tmp_path / name], tmp_path / name) == called


def test_a_name_of_ones_own(tmp_path):
    path = coco_forms.write(
        tmp_path / "x.json", "COCO 17", [coco_forms.person("COCO 17", 4, 1)], ["a.jpg"]
    )
    people = read_annotations("coco", path, name="mine").people
    assert (people.dataset[0], people.person_id[0]) == ("mine", "mine/a.jpg/4")
    own = af.write_own_json(tmp_path / "own.json", 2)
    assert read_annotations("json", own, name="other").people.dataset.tolist() == ["other"] * 2
    with pytest.raises(SettingsError, match="name: expected letters"):
        read_annotations("coco", path, name="a/b")
    with pytest.raises(SettingsError, match=r"Human3\.6M"):
        read_annotations("h36m", tmp_path, name="a")


FORM = "COCO 17"


@pytest.mark.parametrize(
    ("file", "named", "at"),
    [
        ("train/_annotations.coco.json", "p.jpg", "train/p.jpg"),  # Roboflow
        ("annotations/person_keypoints_default.json", "p.jpg", "images/p.jpg"),  # CVAT
        ("annotations/person_keypoints_Train.json", "p.jpg", "images/Train/p.jpg"),  # CVAT
        ("result.json", "images/p.jpg", "images/p.jpg"),  # Label Studio
        ("result.json", "images\\p.jpg", "images/p.jpg"),  # the same, written on Windows
        ("result.json", "../../data/upload/1/p.jpg", "images/p.jpg"),  # an old one
        ("annotations.json", "JPEGImages/p.jpg", "JPEGImages/p.jpg"),  # labelme2coco
        ("annotations/val/v1.json", "images/val/v1/p.jpg", "images/val/v1/p.jpg"),  # PoseTrack
        ("labels.json", "p.jpg", "p.jpg"),
    ],
)
@pytest.mark.parametrize("folder", [True, False])
def test_images_are_found_where_tools_put_them(tmp_path, file, named, at, folder):
    people = [coco_forms.person(FORM, 1, 1), coco_forms.person(FORM, 2, 2)]
    named_too = named.replace("p.jpg", "q.jpg")
    path = coco_forms.write(tmp_path / file, FORM, people, [named, named_too])
    content = json.loads(path.read_text())
    for image in content["images"]:
        del image["width"], image["height"]
    path.write_text(json.dumps(content))
    picture(tmp_path / at, (31, 17))
    result = read_annotations("coco", tmp_path if folder else path)
    assert result.people.image_width.tolist() == [31, 0]
    assert result.people.image_height.tolist() == [17, 0]
    assert result.images is not None
    assert (result.images / result.people.image[0]).is_file()
    (told,) = [note for note in result.notes if "images are not there" in note]
    assert told.startswith("1 of 2 images")
    assert "q.jpg" in told


def test_folders_of_splits(tmp_path):
    for folder, n in (("train", 4), ("valid", 2), ("test", 1)):
        names = [f"{i}_jpg.rf.json.jpg" for i in range(n)]  # equal names in all folders
        people = [coco_forms.person(FORM, i, i) for i in range(1, n + 1)]
        coco_forms.write(tmp_path / folder / "_annotations.coco.json", FORM, people, names)
        for name in names:
            picture(tmp_path / folder / name)
    result = read_annotations("coco", tmp_path, name="pets")
    assert result.stats["people_by_split"] == {"train": 4, "val": 2, "test": 1}
    assert all((result.images / name).is_file() for name in result.people.image)
    assert set(result.people.dataset) == {"pets"}
    assert not [note for note in result.notes if "not there" in note]
    assert result.terms == {}


def test_a_bad_file_among_several_is_set_aside(tmp_path):
    coco_forms.write(
        tmp_path / "train" / "x.json", FORM, [coco_forms.person(FORM, 1, 1)], ["a.jpg"]
    )
    (tmp_path / "captions.json").write_text('{"annotations": [{"caption": "a man"}]}')
    result = read_annotations("coco", tmp_path)
    assert len(result.people) == 1
    assert "expected a list 'images'" in result.rejected[0].reason


def test_what_posebank_wrote_is_no_annotation_file(tmp_path):
    coco_forms.write(tmp_path / "a" / "x.json", FORM, [coco_forms.person(FORM, 1, 1)], ["a.jpg"])
    (tmp_path / "ws" / "annotations").mkdir(parents=True)
    (tmp_path / "ws" / "annotations" / "_manifest.json").write_text("{}")
    assert not read_annotations("coco", tmp_path).rejected


def test_terms_of_coco_only_for_its_own_files(tmp_path):
    people = [coco_forms.person(FORM, 1, 1)]
    for name, terms in (("person_keypoints_val2017", {"coco_val2017": "coco"}), ("mine", {})):
        path = coco_forms.write(tmp_path / f"{name}.json", FORM, people, ["a.jpg"])
        assert read_annotations("coco", path).terms == terms


def test_declared_size_may_be_the_upright_one(tmp_path):
    """A phone stores 300 x 200 and a quarter turn; the file declares the upright 200 x 300."""
    people = [coco_forms.person(FORM, 1, 1)]
    path = coco_forms.write(tmp_path / "x.json", FORM, people, ["a.jpg"])
    picture(tmp_path / "a.jpg", (300, 200), orientation=6)
    result = read_annotations("coco", path)
    assert (result.people.image_width[0], result.people.image_height[0]) == (200, 300)
    assert result.stats["joints"]["outside_image"] == 0
    own = {"people": [{"image": "a.jpg", "joints": {"head": [100, 280]}}]}
    (tmp_path / "own.json").write_text(json.dumps(own))
    people = read_annotations("json", tmp_path / "own.json").people
    assert (people.image_width[0], people.image_height[0]) == (200, 300)


# --- own JSON


def own(tmp_path: Path, *people: object, **more: object):
    (tmp_path / "own.json").write_text(json.dumps({"people": people, **more}))
    return read_annotations("json", tmp_path / "own.json")


def test_own_json_with_keypoints_of_others(tmp_path):
    joints = {"nose": [1, 1, 2], "left_eye": None, "right_ankle": [5, 6, 1], "l_wrist": [7, 8, 2],
              "r_wrist": [0, 0, 0], "head": None, "l_hip": [None, None, None],
              "LBigToe": [3, 3, 2]}  # fmt: skip
    result = own(tmp_path, {"image": "a.jpg", "joints": joints})
    state = result.people.state[0]
    expected = np.zeros(13)
    expected[[J["r_ankle"], J["l_wrist"]]] = OCCLUDED, VISIBLE
    np.testing.assert_array_equal(state, expected)
    np.testing.assert_array_equal(result.people.joints_2d[0, J["r_ankle"]], [5, 6])
    (note,) = [n for n in result.notes if "left out" in n]
    assert "nose (1)" in note
    assert "LBigToe (1)" in note


def test_own_json_with_confidences(tmp_path):
    joints = {"head": [5, 6, 0.87], "l_hip": [7, 8, 1], "r_hip": [0, 0, 0.0]}
    result = own(tmp_path, {"image": "a.jpg", "joints": joints})
    assert result.people.state[0, [J["head"], J["l_hip"], J["r_hip"]]].tolist() == [1, 1, 0]
    assert any("never 2" in note for note in result.notes)


def test_own_json_with_flat_keypoints(tmp_path):
    flat = [v for i in range(25) for v in (10 + i, 20 + i, 0.5)]
    result = own(tmp_path, {"image": "a.jpg", "pose_keypoints_2d": flat})
    at = BODY_25_NAMES.index("l_ankle")
    np.testing.assert_array_equal(result.people.joints_2d[0, J["l_ankle"]], [10 + at, 20 + at])
    assert any("BODY_25" in note for note in result.notes)
    named = own(
        tmp_path, {"image": "a.jpg", "keypoints": [1, 2, 2, 3, 4, 1]}, keypoints=["tail", "head"]
    )
    np.testing.assert_array_equal(named.people.joints_2d[0, J["head"]], [3, 4])
    assert named.people.state[0, J["head"]] == OCCLUDED


def test_csv_with_other_names(tmp_path):
    (tmp_path / "x.csv").write_text(
        "image,RAnkle_x,RAnkle_y,RAnkle_state,nose_x,nose_y,head_x,head_y,head_state\n"
        "a.jpg,1,2,2,9,9,3,4,1\n"
    )
    result = read_annotations("csv", tmp_path / "x.csv")
    np.testing.assert_array_equal(result.people.joints_2d[0, J["r_ankle"]], [1, 2])
    assert result.people.state[0, [J["r_ankle"], J["head"]]].tolist() == [VISIBLE, OCCLUDED]
    assert any("joints without columns" in note for note in result.notes)


# --- MPII and LSP as others have them


def hrnet(folder: Path, joints: np.ndarray) -> None:
    """train.json, valid.json, test.json and gt_valid.mat, as HRNet's MPII has them."""
    folder.mkdir()
    people = [
        {
            "image": f"{i}.jpg",
            "center": [9.0, 9.0],
            "scale": 2.0,
            "joints": xy.tolist(),
            "joints_vis": [1] * 16,
        }
        for i, xy in enumerate(joints)
    ]
    (folder / "train.json").write_text(json.dumps(people[:3]))
    (folder / "valid.json").write_text(json.dumps(people[3:]))
    (folder / "test.json").write_text(
        json.dumps([{"image": "t.jpg", "center": [1, 1], "scale": 1}])
    )
    n = len(joints) - 3
    boxes = np.arange(4 * n, dtype=float).reshape(n, 2, 2).transpose(1, 2, 0)
    savemat(
        folder / "gt_valid.mat",
        {
            "dataset_joints": af.cell(["rank"] * 16),
            "jnt_missing": np.zeros((16, n)),
            "pos_gt_src": joints[3:].transpose(1, 2, 0),
            "headboxes_src": boxes,
        },
    )


def test_hrnets_mpii(tmp_path):
    joints = np.random.default_rng(5).uniform(5, 90, (5, 16, 2)).round()
    hrnet(tmp_path / "annot", joints)
    result = read_annotations("mpii", tmp_path)
    assert result.stats["people_by_split"] == {"train": 3, "val": 2}
    np.testing.assert_array_equal(result.people.joints_2d[4, J["head"]], joints[4, 9] - 1)
    np.testing.assert_array_equal(result.people.head_box[4], [3, 4, 5, 6])
    assert np.isnan(result.people.head_box[0]).all()
    assert ["no joints" in r.reason for r in result.rejected] == [True]
    arrays = read_annotations("mpii", tmp_path / "annot" / "gt_valid.mat").people
    np.testing.assert_array_equal(arrays.joints_2d, result.people.joints_2d[3:])
    assert arrays.image.tolist() == ["3.jpg", "4.jpg"]
    (tmp_path / "annot" / "valid.json").unlink()
    with pytest.raises(SourceError, match=r"valid\.json beside it"):
        read_annotations("mpii", tmp_path / "annot" / "gt_valid.mat")


def test_mpii_annolist_by_itself(tmp_path):
    people = [af.mpii_person({9: (7, 8, 1)}), af.mpii_person({0: (5, 6, 0)})]
    annolist = af.struct_array(
        [
            {"image": {"name": "a.jpg"}, "annorect": af.struct_array(people)},
            {"image": {"name": "b.jpg"}, "annorect": af.struct_array(people[:1])},
        ]
    )
    savemat(tmp_path / "own.mat", {"annolist": annolist, "other": 5.0})
    found = read_annotations("mpii", tmp_path / "own.mat").people
    assert found.person_id.tolist() == ["mpii/a.jpg/0", "mpii/a.jpg/1", "mpii/b.jpg/0"]
    np.testing.assert_array_equal(found.joints_2d[1, J["r_ankle"]], [4, 5])


def test_lsp_saved_the_other_way_round(tmp_path):
    joints = np.random.default_rng(1).uniform(1, 90, (5, 14, 3))
    joints[..., 2] = 0
    joints[2, 6, 2] = 1
    savemat(tmp_path / "joints.mat", {"joints": joints.transpose(1, 2, 0)})
    people = read_annotations("lsp", tmp_path).people
    assert people.state[2, J["r_wrist"]] == OCCLUDED
    np.testing.assert_allclose(people.joints_2d[4, J["l_hip"]], joints[4, 3, :2] - 1, rtol=1e-6)
    joints[..., 2] = 1
    savemat(tmp_path / "joints.mat", {"joints": joints.transpose(1, 2, 0)})
    with pytest.raises(SourceError, match="read it as lspe"):
        read_annotations("lsp", tmp_path)


def test_hr_lspet_has_gaps_in_its_names(tmp_path):
    joints = np.random.default_rng(1).uniform(1, 90, (3, 14, 3))
    joints[..., 2] = 1
    af.write_lsp(tmp_path / "joints.mat", joints, extended=True)
    for number in (1, 4, 9):
        picture(tmp_path / f"im{number:05d}.png", (30 + number, 20))
    result = read_annotations("lspe", tmp_path)
    assert result.people.image.tolist() == ["im00001.png", "im00004.png", "im00009.png"]
    assert result.people.image_width.tolist() == [31, 34, 39]
    assert any("gaps" in note for note in result.notes)


@pytest.mark.parametrize("kind", ["mpii", "lspe"])
def test_matlab_7_3_says_what_to_do(tmp_path, kind):
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    data = header.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(40)
    (tmp_path / "joints.mat").write_bytes(data)
    with pytest.raises(SourceError, match=r"MATLAB 7\.3 \(HDF5\).*-v7"):
        read_annotations(kind, tmp_path / "joints.mat")


# --- Human3.6M


@pytest.mark.parametrize("names", ["S9/MyPoseFeatures/{}", "h36m/S9/Poses_{}", "S9/{}"])
def test_h36m_folders_of_tools(tmp_path, names):
    rng = np.random.default_rng(2)
    for clip in ("Walking.54138969.cdf", "Walking_1.54138969.cdf"):
        flat, solid = rng.uniform(0, 900, (6, 64)), rng.normal(0, 300, (6, 96))
        af.write_cdf(tmp_path / names.format("D2_Positions") / clip, flat)
        af.write_cdf(tmp_path / names.format("D3_Positions_mono") / clip, solid)
    result = read_annotations("h36m", tmp_path)
    assert sorted(set(result.people.image)) == [
        "S9_Walking.54138969_000001.jpg",
        "S9_Walking.54138969_000006.jpg",
        "S9_Walking_1.54138969_000001.jpg",
        "S9_Walking_1.54138969_000006.jpg",
    ]
    assert set(result.extras["action"]) == {"Walking"}


def test_h36m_says_where_each_file_belongs(tmp_path):
    (tmp_path / "S1").mkdir()
    with pytest.raises(SourceError, match=r"Poses_D2_Positions.*3D_positions.*data_3d_h36m\.npz"):
        read_annotations("h36m", tmp_path)
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d={"S9": {"Walking": np.ones((5, 32, 3))}})
    with pytest.raises(SourceError, match=r"cameras\.h5 .*or metadata\.xml"):
        read_annotations("h36m", tmp_path)


# --- several files in one workspace


def annotated(*arguments: object) -> tuple[str, dict[str, int]]:
    """What ``posebank annotate`` says, and how many people are in the workspace by data set."""
    given = [str(argument) for argument in arguments]
    result = CliRunner().invoke(main, ["annotate", *given, "--workers", "1"])
    assert result.exit_code == 0, result.output
    people = load_people(Path(given[given.index("-w") + 1]))
    return result.output, dict(
        Counter(f"{d}/{s}" for d, s in zip(people.dataset, people.split, strict=True))
    )


def test_a_second_file_adds_to_the_first(tmp_path):
    ws = tmp_path / "ws"
    for split, n in (("train", 3), ("val", 2)):
        people = [coco_forms.person(FORM, i, i) for i in range(1, n + 1)]
        path = tmp_path / f"person_keypoints_{split}2017.json"
        coco_forms.write(path, FORM, people, [f"{split}{i}.jpg" for i in range(n)])
        said, counts = annotated("coco", path, "-w", ws)
        assert "replaces" not in said
    assert counts == {"coco_train2017/train": 3, "coco_val2017/val": 2}
    said, counts = annotated("coco", path, "-w", ws)
    assert "up to date" in said
    said, counts = annotated("coco", path, "-w", ws, "--name", "coco_train2017")
    assert "replaces the 3 people called 'coco_train2017'" in said
    assert counts == {"coco_train2017/val": 2, "coco_val2017/val": 2}


def test_an_image_that_comes_later_makes_the_annotations_again(tmp_path):
    joints = {"joints": {"head": [1, 2]}}
    content = {"people": [{"image": "a.jpg", **joints}, {"image": "b.jpg", **joints}]}
    (tmp_path / "own.json").write_text(json.dumps(content))
    ws = tmp_path / "ws"  # inside the folder of the images
    for missing, status in (("2 of 2", "made"), ("1 of 2", "made"), ("", "made"), ("", "up to")):
        said, _ = annotated("json", tmp_path / "own.json", "-w", ws)
        assert status in said
        assert f"{missing} images are not there" in said if missing else "not there" not in said
        if missing:
            picture(tmp_path / ("a.jpg" if missing == "2 of 2" else "b.jpg"))
