"""Splits, hips, and the writers."""

import json
from dataclasses import replace
from pathlib import Path

import annotation_files as af
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posebank.annotations import (
    assign_mpii_splits,
    assign_splits,
    read_annotations,
)
from posebank.annotations.hips import (
    HipCorrection,
    HipOffset,
    corrected,
    correction,
    measure_bank,
    measure_people,
)
from posebank.annotations.people import make_people
from posebank.errors import SettingsError
from posebank.export import coco_of_people, people_of, write_coco, write_npz
from posebank.geometry.cameras import CameraLimits
from posebank.schemas import LABELS
from posebank.skeleton import JOINT_NAMES, J, JointState
from posebank.types import Labels, People, PoseBank, texts


def crowd(images: list[str], videos: list[str] | None = None, **more) -> People:
    """One person per image, all joints at hand-made places."""
    n = len(images)
    joints = np.arange(n * 26, dtype=float).reshape(n, 13, 2) + 1
    result = make_people(
        "mpii", images, range(n), joints, np.ones((n, 13)), where="t", video_id=videos, **more
    )
    return result.people


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=40),
    seed=st.integers(0, 5),
    wanted=st.integers(0, 30),
)
@settings(max_examples=40, deadline=None)
def test_mpii_split_keeps_videos_whole(sizes, seed, wanted):
    videos = [f"v{i}" for i, size in enumerate(sizes) for _ in range(size)]
    people = crowd([f"{i}.jpg" for i in range(len(videos))], videos)
    split = assign_mpii_splits(people, wanted, 1.0, seed).split
    for video in set(videos):
        assert len(set(split[people.video_id == video])) == 1
    n_val = (split == "val").sum()
    assert n_val <= wanted or (n_val == min(sizes) and wanted > 0)  # the smallest is too large
    if sizes.count(1) >= wanted:
        assert n_val == min(wanted, len(videos))
    order = np.random.default_rng(seed).permutation(len(people))
    shuffled = assign_mpii_splits(people.take(order), wanted, 1.0, seed)
    np.testing.assert_array_equal(shuffled.split, split[order])


def test_a_small_source_has_something_to_validate_on():
    """Ten images of four videos of 3, 2, 3 and 2: one is wanted, the smallest video is taken."""
    videos = ["a"] * 3 + ["b"] * 2 + ["c"] * 3 + ["d"] * 2
    people = assign_mpii_splits(crowd([f"{i}.jpg" for i in range(10)], videos))
    assert set(people.video_id[people.split == "val"]) in ({"b"}, {"d"})
    assert (people.split == "val").sum() == 2
    alone = assign_mpii_splits(crowd([f"{i}.jpg" for i in range(10)], ["a"] * 10))
    assert set(alone.split) == {"train"}
    nobody = assign_mpii_splits(crowd([f"{i}.jpg" for i in range(10)], videos), val_images=0)
    assert set(nobody.split) == {"train"}


def test_mpii_split_of_a_whole_release():
    rng = np.random.default_rng(0)
    video = rng.integers(0, 3000, 18000)
    people = crowd([f"{i}.jpg" for i in range(18000)], [f"v{v}" for v in video])
    split = assign_mpii_splits(people, seed=1).split
    assert (split == "val").sum() == 1000
    assert not set(video[split == "val"]) & set(video[split == "train"])
    other = assign_mpii_splits(people, seed=2).split
    assert (split != other).any()


def test_splits_by_hash_depend_on_the_person_alone():
    images = [f"im{i:05d}.jpg" for i in range(4000)]
    people = crowd(images)
    split = assign_splits(people, 0.1, 3).split
    assert 320 < (split == "val").sum() < 480  # 400 +- 4 standard deviations
    part = assign_splits(people.take(slice(7, 19)), 0.1, 3).split
    np.testing.assert_array_equal(part, split[7:19])
    fixed = assign_splits(replace(people, split=texts(["test"] * 4000)), 0.1, 3)
    assert set(fixed.split) == {"test"}
    with pytest.raises(SettingsError, match="val_fraction"):
        assign_splits(people, 1.5)


def upright(width: float, height: float, n: int = 30) -> People:
    """People with shoulders 100 px apart, knees 300 px below them, hips as asked."""
    joints = np.zeros((13, 2))
    for side, sign in (("r_", -1), ("l_", 1)):
        joints[J[f"{side}shoulder"]] = [sign * 50, 0]
        joints[J[f"{side}knee"]] = [sign * 20, 300]
        joints[J[f"{side}hip"]] = [sign * 50 * width, 300 * height]
    scales = np.linspace(0.2, 2, n)[:, None, None]
    state = np.ones((n, 13))
    return make_people(
        "own", [f"{i}.jpg" for i in range(n)], [0] * n, scales * joints + 400, state, where="t"
    ).people


def test_hips_measured_and_put_where_mocap_has_them():
    annotated = measure_people(upright(0.6, 0.5))
    np.testing.assert_allclose([annotated.width, annotated.height], [0.6, 0.5], atol=1e-5)
    mocap = HipOffset(0.45, 0.55, 0.0, 0.0, 30)
    by = correction(annotated, mocap)
    np.testing.assert_allclose([by.width, by.down], [0.75, 0.1], atol=1e-5)
    after = measure_people(corrected(upright(0.6, 0.5), by))
    np.testing.assert_allclose([after.width, after.height], [0.45, 0.55], atol=1e-5)


def test_hip_correction_leaves_incomplete_people_alone():
    people = upright(0.6, 0.5, 25)
    state = people.state.copy()
    state[3, J["l_hip"]] = JointState.MISSING
    people = replace(people, state=state)
    moved = corrected(people, HipCorrection(0.7, 0.1))
    np.testing.assert_array_equal(moved.joints_2d[3], people.joints_2d[3])
    assert (moved.joints_2d[2] != people.joints_2d[2]).any(axis=1).sum() == 2


def test_hips_of_mocap_are_measured_through_cameras():
    pose = np.zeros((13, 3))
    for side, sign in (("r_", -1), ("l_", 1)):
        pose[J[f"{side}shoulder"]] = [sign * 0.18, 0.25, 0]
        pose[J[f"{side}hip"]] = [sign * 0.09, -0.25, 0]
        pose[J[f"{side}knee"]] = [sign * 0.09, -0.7, 0]
    n = 400
    bank = PoseBank.from_joints(np.tile(pose, (n, 1, 1)))
    limits = CameraLimits(0, 0, 0)
    found = measure_bank(bank, limits, np.random.default_rng(0))
    # Looking level, both widths shrink alike and heights stay: 0.18 / 0.36 and 0.5 / 0.95.
    np.testing.assert_allclose([found.width, found.height], [0.5, 0.5 / 0.95], atol=1e-6)
    assert 50 < found.n < n
    with pytest.raises(SettingsError, match="at least 20"):
        measure_bank(bank.take(slice(0, 5)), limits, np.random.default_rng(0))


def test_hips_corrected_by_settings(tmp_path):
    path = af.write_own_json(tmp_path / "own.json", 9)
    plain = read_annotations("json", path).people
    moved = read_annotations("json", path, hip_width=0.5).people
    full = (plain.state[:, :12] > 0).all(axis=1)  # the last two people have both shoulders
    assert full.sum() == 2
    hips = [J["r_hip"], J["l_hip"]]
    distance = [
        np.linalg.norm(np.diff(p.joints_2d[:, hips], axis=1)[:, 0], axis=1) for p in (plain, moved)
    ]
    np.testing.assert_allclose(distance[1][full], 0.5 * distance[0][full], rtol=1e-5)
    np.testing.assert_array_equal(distance[1][~full], distance[0][~full])


def some_labels(n: int = 4) -> Labels:
    rng = np.random.default_rng(1)
    people = crowd([f"{i // 2}.jpg" for i in range(n)], [""] * n)
    state = rng.integers(1, 4, (n, 13)).astype(np.uint8)
    state[1, J["l_knee"]] = JointState.MISSING
    head_box = np.tile(np.array([1, 2, 3, 4], np.float32), (n, 1))
    head_box[1] = np.nan
    people = replace(
        people,
        person_id=texts(f"mpii/{i // 2}.jpg/{i % 2}" for i in range(n)),
        head_box=head_box,
        scale=np.array([1, np.nan, 3, 4], np.float32)[:n],
        single_person=np.array([1, -1, 0, 1], np.int8)[:n],
    )
    return Labels.from_people(
        people,
        rng.normal(size=(n, 13, 3)),
        state=state,
        camera_rotation=rng.normal(size=(n, 3, 3)),
        camera_scale=300,
        camera_translation=rng.normal(size=(n, 2)),
        **{name: rng.random(n) for name in ("error_norm", "error_mm", "trust", "ambiguity_mm")},
        pose_id="cmu/x:1",
        provenance="nearest",
    )


def test_npz_written_needs_no_pickle_and_has_no_nan(tmp_path):
    labels = some_labels()
    write_npz(labels, tmp_path / "labels.npz")
    with np.load(tmp_path / "labels.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert arrays["joint_names"].tolist() == list(JOINT_NAMES)
    np.testing.assert_array_equal(arrays["joints_3d"], labels.joints_3d)
    assert arrays["scale_known"].tolist() == [True, False, True, True]
    assert arrays["scale"].tolist() == [1, 0, 3, 4]
    assert arrays["person_id"].tolist() == labels.person_id.tolist()
    assert all(np.isfinite(a).all() for a in arrays.values() if a.dtype.kind == "f")
    assert {f.name for f in LABELS} <= set(arrays)


def test_no_labels_at_all(tmp_path):
    nobody = some_labels().take(slice(0, 0))
    write_coco(coco_of_people(people_of(nobody), nobody), tmp_path / "x.json")
    write_npz(nobody, tmp_path / "x.npz")
    assert json.loads(Path(tmp_path / "x.json").read_text())["annotations"] == []
