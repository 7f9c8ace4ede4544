"""Scores of labels and predictions whose errors are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from posebank.demo import DemoSize, DemoTruth, load_truth, score_labels, score_predictions
from posebank.demo.sources import write_demo_sources
from posebank.errors import SourceError
from posebank.geometry.cameras import camera_rotation
from posebank.skeleton import N_JOINTS, J, centred
from posebank.types import Labels, People, Predictions, texts

N = 5


@pytest.fixture
def truth() -> DemoTruth:
    rng = np.random.default_rng(0)
    joints = rng.normal(0, 0.4, (N, N_JOINTS, 3)).astype(np.float32)
    image = [f"mpii/{n:09d}.jpg" for n in (1, 1, 2, 3, 4)]
    centre = np.array([[60, 120], [230, 120], [160, 120], [160, 120], [160, 120]])
    return DemoTruth(
        person_id=texts(f"{i}/{n}" for i, n in zip(image, (0, 1, 0, 0, 0), strict=True)),
        image_id=texts(image),
        joints_3d=centred(joints),
        joints_2d=(100 * joints[..., :2] + centre[:, None]).astype(np.float32),
        visible=np.ones((N, N_JOINTS), bool),
        inside=np.ones((N, N_JOINTS), bool),
        head_box=np.tile(np.array([0, 0, 30, 40], np.float32), (N, 1)),
        pixels_per_metre=np.full(N, 100, np.float32),
        stature=np.full(N, 1.6, np.float32),
        motion=texts(["walk"] * N),
    )


def _labels(truth: DemoTruth, rows: list[int], **changes: np.ndarray) -> Labels:
    t = truth.take(rows)
    people = People.from_joints(
        t.joints_2d,
        person_id=t.person_id,
        dataset="mpii",
        split="val",
        image=(i.split("/")[1] for i in t.image_id),
        image_width=320,
        image_height=240,
        head_box=t.head_box,
    )
    return replace(Labels.from_people(people, t.joints_3d), **changes)


def _values(rows: list) -> dict[str, float]:
    return {str(row["what"]): float(row["value"]) for row in rows}


def test_perfect_labels_have_no_error(truth: DemoTruth) -> None:
    values = _values(score_labels(_labels(truth, [4, 0, 2]), truth))
    assert max(values.values()) < 1e-3
    assert len(values) == 3
    assert not any("completion" in what for what in values)


def test_label_errors_by_hand(truth: DemoTruth) -> None:
    rows = [3, 1, 0]
    turn = camera_rotation(0.5, 0.2, 0.1)
    turned = (1.2 * truth.joints_3d[rows] @ turn.T).astype(np.float32)
    values = _values(score_labels(_labels(truth, rows, joints_3d=turned), truth))
    size = np.linalg.norm(truth.joints_3d[rows], axis=-1).mean()
    assert values["3D error of the labels, mean"] > 200
    assert values["3D error of the labels, aligned with scale"] == pytest.approx(0, abs=1e-3)
    # A rigid alignment leaves the joints a fifth too far from their mean.
    spread = truth.joints_3d[rows] - truth.joints_3d[rows].mean(1, keepdims=True)
    expected = 200 * np.linalg.norm(spread, axis=-1).mean()
    assert values["3D error of the labels, rigidly aligned"] == pytest.approx(expected, rel=1e-3)
    assert size > 0.3


def test_completion_error_counts_the_completed_joints_alone(truth: DemoTruth) -> None:
    labels = _labels(truth, [0, 2])
    moved, state = labels.joints_2d.copy(), labels.state.copy()
    moved[0, J["l_knee"]] += (3, 4)  # completed, 5 px off
    state[0, J["l_knee"]] = 3
    moved[1, J["r_hip"]] += (0, 8)  # annotated: its error is the annotator's
    moved[1, J["head"]] += (16, 0)  # completed outside the image
    state[1, J["head"]] = 3
    truth.inside[2, J["head"]] = False
    values = _values(score_labels(_labels(truth, [0, 2], joints_2d=moved, state=state), truth))
    assert values["completion error, joints hidden in the image"] == pytest.approx(5)
    # 160 px tall, so 200 px is 1.25 times as large.
    at_200 = "completion error, the same for a person of 200 px"
    assert values[at_200] == pytest.approx(6.25)
    outside = "completion error, joints outside the image, for 200 px"
    assert values[outside] == pytest.approx(20)


def test_labels_of_strangers_are_left_out(truth: DemoTruth) -> None:
    labels = _labels(truth, [0, 2])
    labels.person_id[1] = "coco/7.jpg/0"
    labels.joints_3d[1] += 5
    assert _values(score_labels(labels, truth))["3D error of the labels, mean"] < 1e-3
    labels.person_id[0] = "coco/8.jpg/0"
    assert score_labels(labels, truth) == []


def _predictions(truth: DemoTruth, rows: list[int]) -> Predictions:
    t = truth.take(rows)
    return Predictions(
        t.image_id,
        t.joints_2d.copy(),
        t.joints_3d.copy(),
        np.linspace(1, 0.5, len(rows)).astype(np.float32),
    )


def test_perfect_predictions_of_two_people_in_one_image(truth: DemoTruth) -> None:
    labels = _labels(truth, [0, 1, 2])
    values = _values(score_predictions(_predictions(truth, [1, 0, 2]), truth, labels))
    assert values == {
        "people found": 100,
        "PCKh@0.5 of the network": 100,
        "MPJPE of the network": pytest.approx(0, abs=1e-3),
        "MPJPE of the network, rigidly aligned": pytest.approx(0, abs=1e-3),
    }


def test_prediction_errors_by_hand(truth: DemoTruth) -> None:
    predictions = _predictions(truth, [2, 3])
    # Head size 0.6 x 50 px = 30 px: right up to 15 px.
    predictions.joints_2d[0, : J["r_hip"]] += (0, 16)
    predictions.joints_2d[1] += (0, 14)
    predictions.joints_3d[0, J["head"]] += (0, 0, 0.26)
    labels = _labels(truth, [2, 3, 4])
    values = _values(score_predictions(predictions, truth, labels))
    assert values["people found"] == pytest.approx(100 * 2 / 3)
    right = 2 * N_JOINTS - J["r_hip"]
    assert values["PCKh@0.5 of the network"] == pytest.approx(100 * right / (3 * N_JOINTS))
    assert values["MPJPE of the network"] == pytest.approx(260 / 13 / 2, rel=1e-3)


def test_only_the_split_is_scored(truth: DemoTruth) -> None:
    labels = _labels(truth, [0, 2])
    labels.split[1] = "train"
    values = _values(score_predictions(_predictions(truth, [0]), truth, labels, "val"))
    assert values["people found"] == 100
    assert score_predictions(_predictions(truth, [0]), truth, labels, "test") == []


def test_nothing_predicted(truth: DemoTruth) -> None:
    values = _values(score_predictions(_predictions(truth, []), truth, _labels(truth, [0, 2])))
    assert values == {"people found": 0, "PCKh@0.5 of the network": 0}


def test_truth_survives_writing(tmp_path: Path) -> None:
    sources = write_demo_sources(tmp_path, 0, DemoSize(1, 1, 1, (0.1, 0.1), 2, 3, 1))
    truth = load_truth(sources.truth)
    assert list(truth.person_id[-3:]) == [f"lspe/im{i:05d}.jpg/0" for i in (1, 2, 3)]
    assert truth.person_id[0] == "mpii/000000001.jpg/0"
    assert truth.joints_3d.dtype == np.float32


@pytest.mark.parametrize("content", [None, b"", b"not a zip", b"PK\x03\x04broken"])
def test_damaged_truth_is_one_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "truth.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=r"truth\.npz: expected the demo's truth"):
        load_truth(path)
