"""Parts of the HTML report whose values are checked without a browser."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import posebank as pb
from posebank.demo import DemoTruth, trust_reliability
from posebank.labelling.camera_prior import camera_penalties, preset_prior
from posebank.labelling.estimators import modes, posterior
from posebank.report.examples import describe_examples
from posebank.report.pose_map import pose_map
from posebank.report.tables import heading, html_table
from posebank.skeleton import N_JOINTS, TORSO, J, indices, is_annotated
from posebank.types import People, texts


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("dataset", "data set"),
        ("error_mm_p90", "90th percentile of error, mm"),
        ("error_norm_p10", "10th percentile of error, of the person's size"),
        ("anchors_used", "anchors used"),
    ],
)
def test_headings_are_words(column, words):
    assert heading(column) == words


def test_tables_escape_their_text():
    table = html_table(pd.DataFrame({"dataset": ['<b>"x"'], "n": [3]}))
    assert "&lt;b&gt;&quot;x&quot;" in table
    assert "<b>" not in table


def test_map_does_not_depend_on_where_a_person_faces():
    rng = np.random.default_rng(0)
    bank = rng.normal(0, 0.3, (40, N_JOINTS, 3))
    angle = 2.0
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    to_camera = np.array([1, -1, -1])
    people = (bank[:7] @ turn.T) * to_camera
    found = pose_map(bank, people, people[:3])
    np.testing.assert_allclose(found.people, found.bank[:7], atol=1e-9)
    np.testing.assert_allclose(found.anchors, found.bank[:3], atol=1e-9)
    assert found.bank.min() >= 0
    assert found.bank.max() <= 1
    assert 0 < found.explained < 1
    assert J["r_hip"] == 4


def test_map_without_anchor_poses():
    bank = np.random.default_rng(1).normal(0, 0.3, (5, N_JOINTS, 3))
    assert pose_map(bank, bank[:2], bank[:0]).anchors.shape == (0, 2)
    assert pd.DataFrame(trust_rows()).shape == (2, 5)


def trust_rows():
    """Four labels: trusts 0.1, 0.2, 0.8, 0.9; only the last two are right."""
    from posebank.types import Labels, texts

    n, f = 4, np.float32
    truth_pose = np.zeros((n, N_JOINTS, 3), f)
    offset = np.array([200.0, 160.0, 140.0, 0.0], f) / 1000
    pose = truth_pose.copy()
    limbs = [j for j in range(N_JOINTS) if j not in indices(TORSO)]  # the torso is the centre
    pose[:, limbs, 0] = offset[:, None] * N_JOINTS / len(limbs)
    names = texts(f"d/{i}/0" for i in range(n))
    truth = DemoTruth(
        person_id=names,
        image_id=names,
        joints_3d=truth_pose,
        joints_2d=np.zeros((n, N_JOINTS, 2), f),
        visible=np.ones((n, N_JOINTS), bool),
        inside=np.ones((n, N_JOINTS), bool),
        head_box=np.zeros((n, 4), f),
        pixels_per_metre=np.ones(n, f),
        stature=np.ones(n, f),
        motion=names,
    )
    people = People.from_joints(np.zeros((n, N_JOINTS, 2)), person_id=names)
    labels = Labels.from_people(people, pose, trust=[0.1, 0.2, 0.8, 0.9])
    return trust_reliability(labels, truth, bins=2)


def test_trust_reliability_by_hand():
    low, high = trust_rows()
    assert low["mean trust"] == pytest.approx(0.15)
    assert (low["labels"], low["share below 150 mm"]) == (2, 0.0)
    assert (high["labels"], high["share below 150 mm"]) == (2, 1.0)
    assert high["trust from"] == pytest.approx(0.8)


def test_modes_are_weighed_by_the_cameras_of_the_labels():
    data = pb.sample_data()
    matches = pb.match(data.bank, data.people, k=40)
    labels = pb.label(data.bank, data.people, matches)
    priors = {"sample": preset_prior("level")}
    people = replace(data.people, dataset=texts(["sample"] * len(labels)))
    shown = describe_examples(labels, data.bank, {}, matches, people, priors)
    penalty = camera_penalties(matches.rotation, people.dataset, priors)
    mixture = posterior(data.bank, matches, people.joints_2d, is_annotated(people.state), penalty)
    for row, example in enumerate(shown):
        every = modes(mixture.poses[row], mixture.weight[row])
        assert [m["weight"] for m in example["modes"]] == [
            round(w, 3) for w, _ in every if w >= 0.02
        ]
    without = describe_examples(labels, data.bank, {}, matches, people)
    assert [e["modes"] for e in without] != [e["modes"] for e in shown]
