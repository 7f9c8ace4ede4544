"""The real files: counts worked out from the files themselves, and forms against each other."""

import csv
import json

import h5py
import numpy as np
import pytest
from scipy.io import loadmat

from posebank.annotations import read_annotations
from posebank.annotations.mapping import LSP_NAMES, MPII_NAMES, positions
from posebank.skeleton import JOINT_NAMES, J, JointState, is_annotated


@pytest.fixture(scope="module")
def tompson(shared_data):
    return read_annotations("mpii", shared_data / "mpii" / "tompson_valid_detections.mat")


def test_mpii_struct_against_h5(shared_data, tompson):
    other = read_annotations("mpii", shared_data / "mpii" / "valid.h5")
    mine, theirs = tompson.people, other.people
    assert len(mine) == len(theirs) == 2958
    order = {p: i for i, p in enumerate(theirs.person_id)}
    rows = [order[p] for p in mine.person_id]  # the same images and people
    theirs = theirs.take(rows)
    np.testing.assert_array_equal(mine.state, theirs.state)
    np.testing.assert_allclose(mine.scale, theirs.scale, rtol=1e-6)
    np.testing.assert_allclose(
        tompson.extras["objpos"], other.extras["objpos"][rows], rtol=0, atol=1e-6
    )
    body = [j for j in range(13) if j != J["head"]]
    np.testing.assert_array_equal(mine.joints_2d[:, body], theirs.joints_2d[:, body])
    # The HDF5 form cuts the head top to whole pixels, towards 0 of the 1-based coordinates.
    head = mine.joints_2d[:, J["head"]].astype(np.float64) + 1
    known = mine.state[:, J["head"]] > 0
    np.testing.assert_array_equal(
        np.trunc(np.round(head[known], 4)), theirs.joints_2d[known, J["head"]] + 1
    )
    size = 0.6 * np.linalg.norm(mine.head_box[:, 2:] - mine.head_box[:, :2], axis=1)
    np.testing.assert_allclose(size, other.extras["head_size"][rows], rtol=1e-5)


def test_mpii_people_with_all_16_joints(shared_data, tompson):
    with h5py.File(shared_data / "mpii" / "valid.h5") as file:
        complete = (file["part"][:] != 0).any(axis=-1).all(axis=1).sum()
    assert complete == 2017
    assert tompson.stats["people_with_all_joints"] >= complete
    assert tompson.rejected == []


def test_mpii_csv_against_struct(shared_data, tompson):
    csv_people = read_annotations("mpii", shared_data / "mpii" / "mpii_dataset_split.csv").people
    assert len(csv_people) == 10035
    row = {p: i for i, p in enumerate(csv_people.person_id)}
    common = [(i, row[p]) for i, p in enumerate(tompson.people.person_id) if p in row]
    assert len(common) == 1810  # the CSV has person 0 of each image; the others are not in it
    mine, theirs = (
        tompson.people.take([c[0] for c in common]),
        csv_people.take([c[1] for c in common]),
    )
    np.testing.assert_array_equal(mine.joints_2d, theirs.joints_2d)
    np.testing.assert_array_equal(mine.state > 0, theirs.state > 0)
    np.testing.assert_allclose(mine.scale, theirs.scale, rtol=1e-6)


def test_lspe_counts_are_the_files(shared_data):
    path = shared_data / "lspet" / "joints.mat"
    raw = loadmat(path)["joints"]
    result = read_annotations("lspe", path.parent)
    people = result.people
    assert len(people) == raw.shape[2] == 5000
    flags = raw[positions(LSP_NAMES), 2]
    np.testing.assert_array_equal(is_annotated(people.state).sum(axis=0), flags.sum(axis=1))
    assert (is_annotated(people.state).sum(axis=1) < 13).sum() == 5000 - 2136
    assert not (people.state == JointState.OCCLUDED).any()
    assert not people.joints_2d[people.state == 0].any()
    images = len(list((shared_data / "lspet" / "images").glob("im0*.jpg")))
    assert result.stats["people_without_image_size"] == 5000 - images
    assert (people.image_width[0], people.image_height[0]) != (0, 0)


def test_coco_counts(shared_data):
    path = shared_data / "coco" / "annotations" / "person_keypoints_val2017.json"
    entries = json.loads(path.read_text())["annotations"]
    with_points = [e for e in entries if e["num_keypoints"] and not e["iscrowd"]]
    result = read_annotations("coco", shared_data / "coco")
    face = [e for e in with_points if not any(e["keypoints"][2::3][5:])]
    assert len(result.people) == len(with_points) - len(face)
    assert len(result.people) + len(result.rejected) == len(entries)
    assert (result.people.state[:, J["head"]] == 0).all()
    np.testing.assert_array_equal(
        (result.people.state > 0).sum(),
        sum(np.count_nonzero(e["keypoints"][2::3][5:]) for e in with_points),
    )


def test_mpii_names_of_the_csv(shared_data):
    with (shared_data / "mpii" / "mpii_dataset_split.csv").open() as file:
        header = next(csv.reader(file))
    assert len(header) == 2 + 2 * len(MPII_NAMES) + 3
    assert set(JOINT_NAMES) - {"head"} <= set(MPII_NAMES)
