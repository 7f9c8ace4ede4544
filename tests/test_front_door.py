"""``import posebank as pb``: what the README promises in five lines, and what it costs."""

import subprocess
import sys

import numpy as np
import pytest

import posebank as pb
from posebank.errors import SettingsError
from posebank.skeleton import N_JOINTS, J, JointState


def test_import_is_light():
    code = (
        "import sys, posebank; dir(posebank); "
        "print([m for m in ('torch', 'faiss', 'numba', 'pandas') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="attribute labels"):
        pb.labels  # noqa: B018


def test_sample_is_made_once_and_equal_for_equal_seeds(tmp_path):
    first = pb.sample_data(tmp_path / "a", n_images=3, seed=5)
    times = {p: p.stat().st_mtime_ns for p in sorted(first.folder.rglob("*")) if p.is_file()}
    again = pb.sample_data(tmp_path / "a", n_images=3, seed=5)
    assert {
        p: p.stat().st_mtime_ns for p in sorted(again.folder.rglob("*")) if p.is_file()
    } == times
    other = pb.sample_data(tmp_path / "b", n_images=3, seed=5)
    np.testing.assert_array_equal(first.bank.joints_3d, other.bank.joints_3d)
    np.testing.assert_array_equal(first.people.joints_2d, other.people.joints_2d)
    assert len(first.people) == 3
    assert first.image(2).shape == (200, 240, 3)


def test_label_and_plot_in_five_lines(tmp_path):
    data = pb.sample_data(n_images=6)
    labels = pb.label(data.bank, data.people)
    assert repr(labels).startswith("<Labels: 6 people, mean trust 0.")
    figure = pb.plot_label(labels, 2, image=data.folder / "images" / data.people.image[2])
    figure.savefig(tmp_path / "label.png")
    assert (tmp_path / "label.png").stat().st_size > 10_000


def test_match_warns_of_people_that_cannot_be_matched():
    data = pb.sample_data(n_images=6)
    joints = np.full((2, N_JOINTS, 2), np.nan)
    joints[:, :3] = [[1, 2], [3, 9], [5, 4]]
    joints[0] = data.people.joints_2d[0]
    state = np.where(np.isfinite(joints[..., 0]), JointState.VISIBLE, JointState.MISSING)
    state[0] = data.people.state[0]
    people = pb.People.from_joints(np.nan_to_num(joints), state, person_id=["good", "few"])
    with pytest.warns(UserWarning, match="few is not matched"):
        matches = pb.match(data.bank, people, k=4)
    assert matches.person_id.tolist() == ["good"]
    assert repr(matches).startswith("<Matches: 1 people, 4 candidates each, mean error 0.")


def test_keypoints_by_name_and_by_number():
    names = ["LWrist", "nose", "head_top", "RAnkle"]
    xy = np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]])
    people = pb.People.from_keypoints(xy, names, visible=[0.4, 1, 0, 1], image="a.jpg")
    assert len(people) == 1
    known = {name: people.joints_2d[0, j].tolist() for name, j in J.items() if people.state[0, j]}
    assert known == {"l_wrist": [1, 2], "r_ankle": [7, 8]}
    body_25 = pb.People.from_keypoints(np.arange(100.0).reshape(2, 25, 2))
    assert body_25.joints_2d[1, J["r_ankle"]].tolist() == [72, 73]
    assert repr(body_25) == "<People: 2 people in 1 images, 12.0 of 13 joints annotated, pixels>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 14, 2)),), "expected names with 14 keypoints"),
        ((np.zeros((2, 17)),), "found (2, 17)"),
        ((np.zeros((2, 3, 2)), ["tail", "paw", "fin"]), "expected joints of the body"),
        ((np.zeros((2, 3, 2)), ["LHip"]), "expected 3, one for each keypoint, found 1"),
        ((np.zeros((2, 17, 2)), None, np.ones(17)), "visible: expected (2, 17), found (1, 17)"),
    ],
)
def test_keypoints_that_are_not_understood_say_why(arguments, message):
    with pytest.raises(SettingsError) as error:
        pb.People.from_keypoints(*arguments)
    assert message in str(error.value)


def test_to_pandas():
    data = pb.sample_data(n_images=6)
    table = data.people.to_pandas()
    assert table.shape[0] == 6
    assert table.loc[3, "joints_2d"].shape == (N_JOINTS, 2)
    assert repr(data.bank).endswith("metres, y up>")
