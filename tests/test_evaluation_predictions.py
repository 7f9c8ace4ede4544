"""Reading predictions from every form, and scores from outside: pycocotools, MPII's detections."""

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import coco_forms
import evaluation_oracle as oracle
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.io import loadmat, savemat

from posebank.annotations.mapping import COCO_NAMES, MPII_NAMES, TO_13
from posebank.errors import SourceError
from posebank.evaluation import (
    CocoReference,
    GroundTruth,
    coco_ap,
    coco_ap_of_file,
    head_sizes,
    match_image_ids,
    pckh,
    predictions_to_json,
    read_predictions,
    write_npz,
)
from posebank.schemas import PREDICTIONS, to_table
from posebank.skeleton import JOINT_NAMES, N_JOINTS, J, JointState
from posebank.types import Predictions, texts


def some_predictions(n=7, seed=0):
    rng = np.random.default_rng(seed)
    return Predictions(
        texts([f"set/im{i // 2}.jpg" for i in range(n)]),
        rng.uniform(0, 500, (n, N_JOINTS, 2)).astype(np.float32),
        rng.normal(size=(n, N_JOINTS, 3)).astype(np.float32),
        rng.random(n).astype(np.float32),
    )


def assert_same(a, b):
    assert a.image_id.tolist() == b.image_id.tolist()
    for name in ("joints_2d", "joints_3d", "score"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_json_and_back_to_the_bit(tmp_path):
    predictions = some_predictions()
    path = tmp_path / "found.json"
    path.write_text(predictions_to_json(predictions))
    assert_same(read_predictions(path), predictions)


def test_json_joints_in_another_order_and_without_3d(tmp_path):
    predictions = some_predictions(2)
    raw = json.loads(predictions_to_json(predictions))
    raw["joints"].reverse()
    for pose in raw["poses"]:
        pose["joints_2d"].reverse()
        pose["joints_2d"][0] = None  # the head is first now
        del pose["joints_3d"]
    path = tmp_path / "found.json"
    path.write_text(json.dumps(raw))
    found = read_predictions(path)
    assert np.isnan(found.joints_2d[:, J["head"]]).all()
    assert np.isnan(found.joints_3d).all()
    np.testing.assert_array_equal(found.joints_2d[:, :-1], predictions.joints_2d[:, :-1])


def test_npz_and_parquet_and_back(tmp_path):
    import pyarrow.parquet as pq

    predictions = some_predictions()
    write_npz(predictions, tmp_path / "found.npz")
    pq.write_table(to_table(predictions, PREDICTIONS), tmp_path / "found.parquet")
    assert_same(read_predictions(tmp_path / "found.npz"), predictions)
    assert_same(read_predictions(tmp_path / "found.parquet"), predictions)


def coco_results(predictions, ids):
    results = []
    for row in range(len(predictions)):
        points = np.zeros((17, 3))
        for joint, name in enumerate(JOINT_NAMES):
            if name in COCO_NAMES:
                points[COCO_NAMES.index(name)] = [*predictions.joints_2d[row, joint], 1]
        results.append(
            {
                "image_id": ids[predictions.image_id[row]],
                "category_id": 1,
                "keypoints": points.ravel().tolist(),
                "score": float(predictions.score[row]),
            }
        )
    return results


def test_coco_results(tmp_path):
    predictions = some_predictions()
    ids = {f"set/im{i}.jpg": 100 + i for i in range(4)}
    path = tmp_path / "results.json"
    path.write_text(json.dumps(coco_results(predictions, ids)))
    found = read_predictions(path, images={str(v): k for k, v in ids.items()})
    assert found.image_id.tolist() == predictions.image_id.tolist()
    np.testing.assert_allclose(found.joints_2d[:, :-1], predictions.joints_2d[:, :-1])
    assert np.isnan(found.joints_2d[:, J["head"]]).all()


def mpii_list(predictions):
    """Predictions as MPII's toolkit has them, in shuffled point order, 1-based."""
    images = []
    for image in dict.fromkeys(predictions.image_id):
        rects = []
        for row in np.flatnonzero(predictions.image_id == image):
            points = [
                {
                    "x": float(x) + 1,
                    "y": float(y) + 1,
                    "id": float(MPII_NAMES.index(TO_13[name])),
                    "score": float(predictions.score[row]),
                }
                for name, (x, y) in zip(JOINT_NAMES, predictions.joints_2d[row], strict=True)
            ]
            points.append({"x": 1.0, "y": 2.0, "id": 7.0, "score": 0.0})  # the thorax
            rects.append({"annopoints": {"point": points[::-1]}})
        images.append({"image": {"name": image}, "annorect": rects})
    return images


@pytest.mark.parametrize("n", [1, 3, 7])
def test_mpii_mat(tmp_path, n):
    predictions = some_predictions(n)
    path = tmp_path / "pred.mat"
    savemat(path, {"pred": mpii_list(predictions)})
    found = read_predictions(path)
    assert found.image_id.tolist() == predictions.image_id.tolist()
    np.testing.assert_allclose(found.joints_2d, predictions.joints_2d, rtol=1e-6)
    np.testing.assert_allclose(found.score, predictions.score, rtol=1e-6)


@pytest.mark.parametrize("packed", [False, True])
def test_damaged_mpii_files_give_predictions_or_one_error(tmp_path, packed):
    """Changed, cut and impossible bytes; ``benchmarks/fuzz_predictions.py`` does it for longer."""
    path = tmp_path / "pred.mat"
    savemat(path, {"pred": mpii_list(some_predictions())}, do_compression=packed)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    outcomes = set()
    for _ in range(100):
        data = bytearray(whole)
        for place in rng.integers(128, len(data), 3):
            data[place] = rng.integers(256)
        words = rng.integers(32, len(data) // 4, 2) * 4
        for word in words[: rng.integers(3)]:
            data[word : word + 4] = rng.choice([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"])
        path.write_bytes(data[: len(data) - rng.integers(2) * rng.integers(len(data) // 2)])
        try:
            assert isinstance(read_predictions(path), Predictions)
            outcomes.add("read")
        except SourceError as error:
            outcomes.add(error.where)
    assert str(path) in outcomes
    assert outcomes <= {str(path), "read"}


@pytest.mark.parametrize("form", ["struct", "cell"])
def test_mpii_mat_of_one_and_of_many_images(tmp_path, form):
    images = mpii_list(some_predictions(3))
    cells = np.empty(len(images), object)
    cells[:] = images
    savemat(tmp_path / "pred.mat", {"other": 1.0, "pred": images if form == "struct" else cells})
    found = read_predictions(tmp_path / "pred.mat")
    assert found.image_id.tolist() == some_predictions(3).image_id.tolist()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.json", b"{", "expected predictions"),
        ("a.json", b"{}", "'poses'"),
        ("a.json", b'{"poses": [{"image_id": "x", "joints_2d": [[1]]}]}', "2 numbers"),
        ("a.json", b'{"joints": ["nose"], "poses": []}', "found no r_ankle"),
        ("a.json", b'[{"image_id": 1, "keypoints": [1, 2], "score": 1}]', "reshape"),
        ("a.npz", b"PK not a zip", "expected predictions"),
        ("a.parquet", b"PAR1", "expected predictions"),
        ("a.mat", b"MATLAB 5.0 MAT-file", "expected a MATLAB 5 file"),
        ("a.txt", b"1 2 3", "expected predictions"),
    ],
)
def test_bad_files_say_where_and_what(tmp_path, name, content, problem):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=problem) as caught:
        read_predictions(path)
    assert caught.value.where == str(path)


def test_missing_file_and_unknown_kind(tmp_path):
    with pytest.raises(SourceError, match="found none"):
        read_predictions(tmp_path / "none.json")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(SourceError, match="'yaml'"):
        read_predictions(tmp_path / "a.json", kind="yaml")


def test_image_ids_that_fit_two_images_are_left_alone():
    predictions = replace(some_predictions(2), image_id=texts(["im1", "7"]))
    known = texts(["a/im1.jpg", "b/im1.jpg", "coco/000000000007.jpg"])
    found, unknown = match_image_ids(predictions, known)
    assert found.image_id.tolist() == ["im1", "coco/000000000007.jpg"]
    assert unknown == 1


# --- against pycocotools


def official(annotations, results, no_face):
    """AP and AR straight from pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        if no_face:
            for person in truth.dataset["annotations"]:
                person["keypoints"][:15] = [0] * 15
                person["num_keypoints"] = int((np.array(person["keypoints"][2::3]) > 0).sum())
            truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(results), "keypoints")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats


@pytest.fixture(scope="module")
def coco_file(shared_data):
    return shared_data / "coco" / "annotations" / "person_keypoints_val2017.json"


def noisy_coco(path, noise, min_joints=3, seed=0):
    """Every person of the file with labelled joints, moved a little, and some that are nobody."""
    raw = json.loads(path.read_text())
    names = {i["id"]: i["file_name"] for i in raw["images"]}
    rng = np.random.default_rng(seed)
    images, joints = [], []
    for person in raw["annotations"]:
        points = np.array(person["keypoints"], float).reshape(17, 3)
        if (points[5:, 2] > 0).sum() < min_joints or person["iscrowd"]:
            continue
        x, y, w, h = person["bbox"]
        points[points[:, 2] == 0, :2] = [x + w / 2, y + h / 2]
        pose = np.full((N_JOINTS, 2), np.nan)
        for joint, name in enumerate(JOINT_NAMES):
            if name in COCO_NAMES:
                pose[joint] = points[COCO_NAMES.index(name), :2]
        images += [names[person["image_id"]]] * 2
        joints += [pose + rng.normal(0, noise * np.sqrt(w * h), pose.shape), pose + w]
    n = len(images)
    return Predictions(
        texts(images),
        np.array(joints, np.float32),
        np.full((n, N_JOINTS, 3), np.nan, np.float32),
        rng.random(n).astype(np.float32),
    )


@pytest.mark.parametrize("noise", [0.01, 0.05])
def test_agrees_with_pycocotools(coco_file, noise):
    predictions = noisy_coco(coco_file, noise)
    raw = json.loads(coco_file.read_text())
    ids = {i["file_name"]: i["id"] for i in raw["images"]}
    results = coco_results(predictions, ids)
    for result, pose in zip(results, predictions.joints_2d, strict=True):
        # where nothing is predicted, in the middle: COCO takes the size from the points
        middle = (np.nanmin(pose, axis=0) + np.nanmax(pose, axis=0)) / 2
        for face in range(5):
            result["keypoints"][3 * face : 3 * face + 2] = middle.tolist()
    expected = 100 * official(coco_file, results, no_face=True)
    found = coco_ap_of_file(predictions, coco_file)
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-9)
    assert 5 < found["AP"] < 99


def test_perfect_coco(coco_file):
    predictions = noisy_coco(coco_file, 0.0, min_joints=1)
    right = np.zeros(len(predictions), bool)
    right[::2] = True
    assert coco_ap_of_file(predictions.take(right), coco_file)["AP"] == pytest.approx(100)


def test_coco_ap_of_any_truth():
    predictions = some_predictions(6)
    n = len(predictions)
    truth = GroundTruth(
        predictions.image_id,
        texts(map(str, range(n))),
        texts(["set"] * n),
        predictions.joints_2d,
        np.full((n, N_JOINTS), JointState.VISIBLE, np.uint8),
        predictions.joints_3d,
        np.full((n, 4), np.nan, np.float32),
        np.full(n, -1, np.int8),
        texts([""] * n),
        texts([""] * n),
        texts(["test"] * n),
    )
    assert coco_ap(predictions, truth)["AP"] == pytest.approx(100)
    far = replace(predictions, joints_2d=predictions.joints_2d + 2000)
    assert coco_ap(far, truth)["AP"] == 0
    assert coco_ap(predictions.take([]), truth)["AR"] == 0


# --- real detections on MPII


def test_published_detections_on_mpii(shared_data):
    """Detections of Tompson et al. (CVPR 2015) on 2,958 people of MPII's validation set.

    Every joint agrees with the transcription, and is within 1.5 points of what the authors have on
    the test set: head 96.1, shoulder 91.9, elbow 83.9, wrist 77.8, hip 80.9, knee 72.3, ankle 64.8.
    """
    path = shared_data / "mpii" / "tompson_valid_detections.mat"
    raw = loadmat(path, squeeze_me=True, struct_as_record=False)
    short = {
        "head": "head",
        "sho": "shoulder",
        "elb": "elbow",
        "wri": "wrist",
        "hip": "hip",
        "kne": "knee",
        "ank": "ankle",
    }
    side = {"r": "r_", "l": "l_", "": ""}
    columns = [
        list(raw["output_joints"]).index(code)
        for name in JOINT_NAMES
        for code in raw["output_joints"]
        if any(code == s + k and side[s] + v == name for s in side for k, v in short.items())
    ]
    assert len(columns) == N_JOINTS
    n = len(raw["annolist"])
    pred = np.stack(raw["keypointsAll"])[:, columns]
    true, annotated = np.zeros((n, N_JOINTS, 2)), np.zeros((n, N_JOINTS), bool)
    ids = [MPII_NAMES.index(TO_13[name]) for name in JOINT_NAMES]
    for row, image in enumerate(raw["annolist"]):
        for point in np.atleast_1d(image.annorect.annopoints.point):
            if point.id in ids:
                true[row, ids.index(point.id)] = point.x, point.y
                annotated[row, ids.index(point.id)] = True
    boxes = np.array(
        [[getattr(i.annorect, side) for side in ("x1", "y1", "x2", "y2")] for i in raw["annolist"]]
    )
    size, source = head_sizes(boxes, true, annotated.astype(np.uint8), fallback=False)
    assert (source == 1).all()
    score = pckh(pred, true, size, annotated)
    some = slice(0, 400)  # the transcription is slow
    sizes = [oracle.head_size(box) for box in boxes[some]]
    expected = oracle.pckh(pred[some], true[some], sizes, annotated[some], 0.5)
    found = pckh(pred[some], true[some], size[some], annotated[some])
    np.testing.assert_allclose(found.per_joint, [100 * r / c for r, c in expected], rtol=1e-12)
    authors = {
        "head": 96.1,
        "shoulder": 91.9,
        "elbow": 83.9,
        "wrist": 77.8,
        "hip": 80.9,
        "knee": 72.3,
        "ankle": 64.8,
    }
    for part, value in authors.items():
        ours = [score.per_joint[J[name]] for name in JOINT_NAMES if name.endswith(part)]
        assert np.mean(ours) == pytest.approx(value, abs=1.5), part


# --- COCO results as detectors write them


def results(path: Path, *poses: dict) -> Path:
    path.write_text(json.dumps(poses))
    return path


def pose(image: object, form: str, **more: object) -> dict:
    annotation = coco_forms.person(form, 1, 1)
    return {"image_id": image, "keypoints": annotation["keypoints"], "score": 0.5, **more}


@pytest.mark.parametrize("form", ["COCO 17", "COCO-WholeBody 133", "Halpe 26", "BODY_25"])
def test_number_of_keypoints_decides_which_joints_they_are(tmp_path, form):
    found = read_predictions(results(tmp_path / "r.json", pose("a.jpg", form)))
    places, known = coco_forms.expected(form)
    np.testing.assert_array_equal(found.joints_2d[0], np.where(known[:, None], places, np.nan))


def test_undetected_joints_are_missing(tmp_path):
    one = pose("a.jpg", "COCO 17")
    one["keypoints"][3 * 5 : 3 * 6] = [0, 0, 0]  # l_shoulder
    found = read_predictions(results(tmp_path / "r.json", one))
    assert np.isnan(found.joints_2d[0, J["l_shoulder"]]).all()
    assert np.isfinite(found.joints_2d[0, J["r_shoulder"]]).all()


def test_other_numbers_of_keypoints_need_the_annotation_file(tmp_path):
    path = results(tmp_path / "r.json", pose(2, "CrowdPose 14"))
    with pytest.raises(SourceError, match=r"result 0: expected .* found 14"):
        read_predictions(path)
    truth = coco_forms.write(
        tmp_path / "t.json",
        "CrowdPose 14",
        [coco_forms.person("CrowdPose 14", 1, 1)],
        ["a.jpg", "b.jpg"],
    )
    reference = CocoReference.from_files([truth])
    found = read_predictions(path, reference=reference)
    assert found.image_id.tolist() == ["b.jpg"]
    np.testing.assert_array_equal(found.joints_2d[0], coco_forms.expected("CrowdPose 14")[0])


def test_ids_of_several_files_are_told_apart_by_the_images_scored(tmp_path):
    people = [coco_forms.person("COCO 17", 1, 1)]
    files = [
        coco_forms.write(tmp_path / f"{name}.json", "COCO 17", people, [f"{name}.jpg"])
        for name in ("one", "two")
    ]
    reference = CocoReference.from_files(files)
    path = results(tmp_path / "r.json", pose(1, "COCO 17"))
    known = texts(["mine/two.jpg", "mine/three.jpg"])
    found = read_predictions(path, reference=reference, known=known)
    assert found.image_id.tolist() == ["two.jpg"]
    assert match_image_ids(found, known)[0].image_id.tolist() == ["mine/two.jpg"]
    with pytest.raises(SourceError, match="--coco FILE"):
        read_predictions(path, reference=reference, known=texts(["a/one.jpg", "b/two.jpg"]))


@pytest.mark.parametrize(
    "raw", [{"image_id": 1}, 7, {"image_id": 1, "keypoints": [1, 2], "score": 1}]
)
def test_a_result_that_is_none_is_named(tmp_path, raw):
    path = results(tmp_path / "r.json", pose(1, "COCO 17"), raw)
    with pytest.raises(SourceError, match=r"r\.json: .*result 1: expected image_id"):
        read_predictions(path)
