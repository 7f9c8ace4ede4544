"""``evaluate`` from end to end: what is perfect, what is random, who is scored against whom."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from posebank.errors import SettingsError
from posebank.evaluation import (
    EvaluationSettings,
    GroundTruth,
    evaluate,
    h36m_frames,
    h36m_numbers,
    h36m_protocol,
    head_sizes,
    rarity_mm,
    section42,
    select,
    table1,
    table2,
    table3,
    table4,
    torso_sizes,
)
from posebank.evaluation.bootstrap import ratio_intervals
from posebank.skeleton import MIRROR, N_JOINTS, J, JointState, centred
from posebank.types import Anchors, Predictions, texts

QUICK = EvaluationSettings(bootstrap=40)


def scene(rng, people_in=(1, 3, 2, 1, 4), apart=400.0):
    """Ground truth of several images, people ``apart`` pixels from each other."""
    images = [f"set/im{i}.jpg" for i, n in enumerate(people_in) for _ in range(n)]
    n = len(images)
    joints_3d = centred(rng.normal(size=(n, N_JOINTS, 3)) * [0.3, 0.5, 0.2])
    where = np.concatenate([np.arange(k) for k in people_in])
    joints_2d = (
        100 * joints_3d[..., :2] + np.stack([200 + apart * where, 0 * where + 150], -1)[:, None]
    )
    head = joints_2d[:, J["head"]]
    return GroundTruth(
        image_id=texts(images),
        person_id=texts([f"{image}/{i}" for i, image in enumerate(images)]),
        dataset=texts(["set"] * n),
        joints_2d=joints_2d.astype(np.float32),
        state=np.full((n, N_JOINTS), JointState.VISIBLE, np.uint8),
        joints_3d=joints_3d.astype(np.float32),
        head_box=np.concatenate([head - 12, head + 12], axis=1).astype(np.float32),
        single_person=np.full(n, -1, np.int8),
        group_id=texts([""] * n),
        action=texts([""] * n),
        provenance=texts(["test"] * n),
    )


def perfect(truth, rng):
    order = rng.permutation(len(truth))
    return Predictions(
        truth.image_id[order],
        truth.joints_2d[order],
        truth.joints_3d[order],
        rng.random(len(truth)).astype(np.float32),
    )


@pytest.mark.parametrize("apart", [400.0, 15.0])
def test_perfect_predictions(apart):
    """Exactly 100 and 0, also where people overlap almost entirely."""
    rng = np.random.default_rng(0)
    truth = scene(rng, apart=apart)
    # By score, people who overlap would both get the better scored one's pose.
    by_box = replace(QUICK, selection="iou")
    result = evaluate(perfect(truth, rng), truth, by_box)
    n = result.numbers
    for name in ("weighted", "unweighted", "limbs_weighted", "limbs_unweighted"):
        assert n["pckh"][name] == 100
        assert n["pck"][name] == 100
    assert n["pckh"]["auc_0_to_0.5"] == n["pckh"]["at_1"] == 100
    assert n["map"]["value"] == n["map"]["at_1"] == 100
    assert n["mpjpe"]["absolute"] == 0
    assert n["pixels"]["mean"] == 0
    assert n["mpjpe"]["rigid"] < 1e-9
    assert n["mpjpe"]["similarity"] < 1e-9
    assert n["found"] == n["people"] == 11
    assert n["pckh"]["interval"] == (100, 100)
    assert result.tables["joints"]["ap"].eq(100).all()


def test_random_predictions_are_as_good_as_theory_says():
    """A joint uniform in a square of side s is within r of the truth with pi r^2 / s^2."""
    rng = np.random.default_rng(1)
    truth = scene(rng, people_in=(1,) * 3000)
    side = 300.0
    middle = truth.joints_2d
    guess = middle + rng.uniform(-side / 2, side / 2, middle.shape)
    guesses = Predictions(
        truth.image_id, guess.astype(np.float32), truth.joints_3d, np.ones(len(truth), np.float32)
    )
    head_size = 0.6 * math.hypot(24, 24)
    result = evaluate(guesses, truth, replace(QUICK, threshold=2.0))
    radius = 2.0 * head_size
    expected = 100 * math.pi * radius**2 / side**2
    error = 100 * math.sqrt(expected / 100 / (3000 * N_JOINTS))
    assert result.numbers["pckh"]["weighted"] == pytest.approx(expected, abs=4 * error)
    # Mean distance from the centre of a square to its points: s/6 (sqrt 2 + asinh 1).
    mean = side / 6 * (math.sqrt(2) + math.asinh(1))
    assert result.numbers["pixels"]["mean"] == pytest.approx(mean, rel=0.01)


def test_scores_without_information_give_the_share_of_positives():
    """AP of randomly ordered right and wrong joints tends to precision x recall's end."""
    rng = np.random.default_rng(2)
    truth = scene(rng, people_in=(2,) * 1500)
    wrong = rng.random(len(truth)) < 0.4
    joints = truth.joints_2d + np.where(wrong, 60.0, 0.0)[:, None, None]  # still overlapping
    found = Predictions(
        truth.image_id,
        joints.astype(np.float32),
        truth.joints_3d,
        rng.random(len(truth)).astype(np.float32),
    )
    value = evaluate(found, truth, replace(QUICK, bootstrap=0)).numbers["map"]["value"]
    share = 1 - wrong.mean()
    assert value == pytest.approx(100 * share**2, abs=2.5)


def test_nobody_predicted():
    truth = scene(np.random.default_rng(3))
    nothing = Predictions(
        texts([]),
        np.empty((0, N_JOINTS, 2), np.float32),
        np.empty((0, N_JOINTS, 3), np.float32),
        np.empty(0, np.float32),
    )
    result = evaluate(nothing, truth, QUICK)
    n = result.numbers
    assert (n["found"], n["pckh"]["weighted"], n["map"]["value"]) == (0, 0, 0)
    assert math.isnan(n["mpjpe"]["absolute"])
    assert n["mpjpe"]["not_found"] == len(truth)
    assert json.loads(result.to_json())["mpjpe"]["absolute"] is None
    assert "| MPJPE, rigid alignment (mm) | - |" in result.to_markdown()


def test_people_with_left_and_right_exchanged_are_counted():
    rng = np.random.default_rng(4)
    truth = scene(rng)  # 11 people
    found = perfect(truth, rng)
    turned = np.isin(np.arange(len(truth)), [0, 2, 3, 7])
    joints_2d = np.where(turned[:, None, None], found.joints_2d[:, MIRROR], found.joints_2d)
    result = evaluate(replace(found, joints_2d=joints_2d), truth, QUICK).numbers["exchanged"]
    assert result["share"] == pytest.approx(100 * 4 / 11)
    low, high = result["interval"]
    assert 0 <= low < result["share"] < high <= 100


def test_predictions_of_other_images_are_counted_and_left_out():
    rng = np.random.default_rng(4)
    truth = scene(rng)
    some = perfect(truth, rng)
    ids = some.image_id.copy()
    ids[:2] = "elsewhere.jpg"
    result = evaluate(replace(some, image_id=ids), truth, QUICK)
    assert result.numbers["unknown_images"] == 2
    assert result.numbers["found"] == len(truth) - 2


def test_scores_may_be_negative_and_may_be_cut():
    rng = np.random.default_rng(19)
    truth = scene(rng)
    some = perfect(truth, rng)
    some = replace(some, score=some.score - 5)
    assert evaluate(some, truth, QUICK).numbers["found"] == len(truth)
    cut = float(np.sort(some.score)[4])
    result = evaluate(some, truth, replace(QUICK, min_score=cut))
    assert result.numbers["predictions"] == len(truth) - 4


def test_images_may_be_named_in_their_own_way():
    rng = np.random.default_rng(5)
    truth = scene(rng)
    some = perfect(truth, rng)
    for short in ("im0.jpg", "im0", "/data/images/im0.jpg"):
        ids = texts([i.replace("set/im0.jpg", short) for i in some.image_id])
        assert evaluate(replace(some, image_id=ids), truth, QUICK).numbers["found"] == len(truth)


def test_single_and_multi_person_protocols():
    """PCKh is for the people marked as single, mAP for groups without any of them."""
    rng = np.random.default_rng(6)
    truth = scene(rng, people_in=(1, 2, 3))
    single = np.array([1, 0, 0, 1, 0, 0], np.int8)
    groups = texts(["", "g", "g", "h", "h", "h"])
    truth = replace(truth, single_person=single, group_id=groups)
    result = evaluate(perfect(truth, rng), truth, QUICK)
    assert result.numbers["pckh"]["people"] == 2
    assert (result.numbers["map"]["groups"], result.numbers["map"]["people"]) == (1, 2)


def test_predictions_outside_a_group_are_no_false_positives():
    rng = np.random.default_rng(7)
    truth = scene(rng, people_in=(3,))
    truth = replace(truth, group_id=texts(["g", "g", ""]))  # the third stands 400 px aside
    best = replace(perfect(truth, rng), score=np.ones(3, np.float32))
    assert evaluate(best, truth, QUICK).numbers["map"]["value"] == 100


def test_head_size_falls_back_on_joints_and_says_so():
    truth = scene(np.random.default_rng(8))
    box = truth.head_box.copy()
    box[:4] = np.nan
    state = truth.state.copy()
    state[0, J["head"]] = JointState.MISSING
    size, source = head_sizes(box, truth.joints_2d, state)
    assert np.isnan(size[0])
    assert source.tolist() == [0, 2, 2, 2] + [1] * 7
    shoulders = truth.joints_2d[1, [J["r_shoulder"], J["l_shoulder"]]].mean(axis=0)
    away = np.linalg.norm(truth.joints_2d[1, J["head"]] - shoulders)
    assert size[1] == pytest.approx(0.618 * away, rel=1e-5)
    assert size[5] == pytest.approx(0.6 * math.hypot(24, 24), rel=1e-5)
    result = evaluate(perfect(truth, np.random.default_rng(0)), replace(truth, head_box=box), QUICK)
    assert result.numbers["pckh"]["head_size_source"] == {
        "none": 0,
        "head_box": 7,
        "head_to_shoulders": 4,
    }


def test_torso_needs_both_ends_annotated():
    truth = scene(np.random.default_rng(9))
    state = truth.state.copy()
    state[2, J["l_hip"]] = JointState.COMPLETED
    size = torso_sizes(truth.joints_2d, state)
    assert np.isnan(size[2])
    assert np.isfinite(np.delete(size, 2)).all()


def test_completed_joints_are_not_scored():
    rng = np.random.default_rng(10)
    truth = scene(rng)
    state = truth.state.copy()
    state[:, J["r_ankle"]] = JointState.COMPLETED
    state[:, J["l_ankle"]] = JointState.OCCLUDED
    pred = perfect(truth, rng)
    joints = pred.joints_2d.copy()
    joints[:, J["r_ankle"]] += 90
    joints[:, J["l_ankle"]] += 90
    pred = replace(pred, joints_2d=joints)
    truth = replace(truth, state=state)
    joints_table = evaluate(pred, truth, QUICK).tables["joints"].set_index("joint")
    assert joints_table.loc["r_ankle", "annotated"] == 0
    assert joints_table.loc["l_ankle", "pckh"] == 0
    visible = evaluate(pred, truth, replace(QUICK, visible_only=True)).numbers["pckh"]
    assert visible["weighted"] == 100
    assert visible["joints"] == 11 * 11


@pytest.mark.parametrize(
    ("rule", "expected"), [("iou", 1), ("overlap", 0), ("centre", 2), ("score", 3)]
)
def test_selection_rules(rule, expected):
    """Four poses: a better scored one beside the person, the box itself, its centre, a far one."""
    rng = np.random.default_rng(11)
    true = centred(rng.uniform(-50, 50, (1, N_JOINTS, 2))) + 200
    pred = np.concatenate([true + 8, true + 2, centred(true) * 0.2 + 200, true + 900])
    score = np.array([0.8, 0.6, 0.5, 0.9])
    image = texts(["a"] * 4)
    found = select(image, pred, score, texts(["a"]), true, np.ones((1, N_JOINTS), bool), rule=rule)
    assert found.tolist() == [expected]


def test_exclusive_selection_gives_each_pose_once():
    rng = np.random.default_rng(12)
    true = rng.uniform(0, 100, (N_JOINTS, 2)) + np.array([0, 5, 10])[:, None, None]
    image = texts(["a"] * 3)
    known = np.ones((3, N_JOINTS), bool)
    pred, score = true[[1, 0]], np.array([0.5, 0.9])
    shared = select(image[:2], pred, score, image, true, known, rule="iou")
    alone = select(image[:2], pred, score, image, true, known, rule="iou", exclusive=True)
    assert shared.tolist() == [1, 0, 0]
    assert alone.tolist() == [1, 0, -1]


def test_rarity():
    rng = np.random.default_rng(13)
    truth = scene(rng)
    n = 3
    anchors = Anchors(
        np.arange(n, dtype=np.int32),
        texts(["full", "full", "upper"]),
        np.zeros((n, N_JOINTS, 2), np.float32),
        truth.joints_3d[[4, 5, 6]],
        np.ones(n, np.int64),
    )
    found = rarity_mm(anchors, truth.joints_3d)
    expected = [
        min(1000 * np.linalg.norm(pose - a, axis=-1).mean() for a in truth.joints_3d[[4, 5]])
        for pose in truth.joints_3d.astype(float)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[4] == 0
    assert found[6] > 0
    table = evaluate(perfect(truth, rng), truth, QUICK, anchors=anchors).tables["rarity"]
    assert table["people"].sum() == len(truth)
    assert table["rarity_mm"].iloc[0] == "000-050"


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Of 200 samples of 60 images, about 90% of the 90% intervals hold the true mean.

    Joints of an image fail together; an interval that drew joints would be far too narrow.
    """
    rng = np.random.default_rng(14)
    held = 0
    for _ in range(200):
        count = rng.integers(1, 30, 60)
        right = np.where(rng.random(60) < 0.7, count, 0)
        ((low, high),) = ratio_intervals(
            right[:, None], count[:, None], replicates=200, confidence=0.9, rng=rng
        )
        held += low <= 0.7 <= high
    assert 0.83 <= held / 200 <= 0.95


def test_interval_by_hand():
    """Two images, one right and one wrong: a replicate gives 0, 1/2 or 1."""
    draws = ratio_intervals(
        np.array([[4, 0], [0, 0]]), np.array([[4, 0], [4, 0]]), replicates=4000, confidence=0.4,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert draws[0] == (0.5, 0.5)
    assert all(map(math.isnan, draws[1]))  # a share of nothing
    (alone,) = ratio_intervals(
        np.ones((1, 1)), np.ones((1, 1)), replicates=9, confidence=0.9, rng=np.random.default_rng(0)
    )
    assert all(map(math.isnan, alone))  # one image says nothing of others


def test_results_are_deterministic_and_written_in_every_form(tmp_path):
    rng = np.random.default_rng(15)
    truth = scene(rng)
    pred = perfect(truth, rng)
    pred = replace(
        pred, joints_2d=pred.joints_2d + rng.normal(0, 6, pred.joints_2d.shape).astype("f")
    )
    first, second = evaluate(pred, truth, QUICK), evaluate(pred, truth, QUICK)
    assert first.to_json() == second.to_json()
    paths = first.to_csv(tmp_path)
    joints = pd.read_csv(next(p for p in paths if p.stem == "joints"))
    assert joints["pckh"].to_numpy() == pytest.approx(first.tables["joints"]["pckh"].to_numpy())
    assert r"r\_ankle" in first.to_latex()
    assert first.to_latex().count(r"\begin{table}") == first.to_latex().count(r"\end{table}") == 4
    low, high = first.numbers["pckh"]["interval"]
    value = f"{first.numbers['pckh']['weighted']:.1f} [{low:.1f}, {high:.1f}]"
    assert f"| PCKh@0.5 (%) | {value} |" in first.to_markdown()
    table = section42({"LCR-Net + PPI": first})
    assert table.loc[1, ["PCKh@0.5 (%)_low", "PCKh@0.5 (%)_high"]].tolist() == [low, high]
    table = without_bounds(table)
    assert table.iloc[0].tolist()[:4] == ["paper", "LCR-Net + PPI", 75, 90]
    assert table.iloc[1]["PCKh@0.5 (%)"] == first.numbers["pckh"]["weighted"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"root": "pelvis"},
        {"selection": "best"},
        {"threshold": 0.0},
        {"confidence": 1.0},
        {"bootstrap": -1},
        {"min_score": "low"},
    ],
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        EvaluationSettings(**wrong)


# --- Human3.6M


def without_bounds(table):
    return table[[c for c in table.columns if not c.endswith(("_low", "_high"))]]


def h36m_truth(rng):
    """Two trials of two actions of S9 and S11, in four cameras, every 32nd frame of 129."""
    names = [
        f"h36m/{subject}_{clip}.{camera}_{frame + 1:06d}.jpg"
        for subject in ("S9", "S11", "S1")
        for clip in ("Walking", "Walking 1", "Photo 1", "Photo 2")
        for camera in ("54138969", "55011271", "58860488", "60457274")
        for frame in range(0, 129, 32)
    ]
    truth = scene(rng, people_in=(1,) * len(names))
    return replace(truth, image_id=texts(names), dataset=texts(["h36m"] * len(names)))


def test_h36m_protocols():
    rng = np.random.default_rng(16)
    truth = h36m_truth(rng)
    noise = rng.normal(0, 0.05, truth.joints_3d.shape).astype(np.float32)
    good = Predictions(
        truth.image_id, truth.joints_2d, truth.joints_3d + noise, np.full(len(truth), 0.9, "f")
    )
    # A second, worse pose in every image must not be looked at, however well it overlaps.
    worse = replace(good, joints_3d=good.joints_3d + 1, score=np.full(len(truth), 0.1, "f"))
    frames = h36m_frames(Predictions.concat([worse, good]), truth)
    p1, p2, p3 = (h36m_protocol(frames, p) for p in ("p1", "p2", "p3"))
    # P1: S11, camera 2, frames 0 64 128 of 4 clips. P2: frames 0 and 160.. of 2 subjects: only 0
    # of 0 32 64 96 128 is a multiple of 5. P3: one clip of each action, camera 3.
    assert (p1.frames, p2.frames, p3.frames) == (12, 32, 4)
    assert p1.not_found == 0
    chosen = frames[
        (frames["subject"] == "S11") & (frames["camera"] == 2) & (frames["frame"] % 64 == 0)
    ]
    assert p1.averages["absolute_frames"] == pytest.approx(chosen["absolute"].mean())
    assert "absolute_frames" not in p3.averages
    assert p3.averages["rigid_frames"] < p2.averages["absolute_frames"]
    by = p2.actions.set_index("action")
    assert by.loc["Walk", "frames"] == by.loc["Photo", "frames"] == 16
    assert by.loc["Sit", "frames"] == 0
    assert math.isnan(by.loc["Sit", "absolute"])
    assert p2.averages["absolute_actions"] == pytest.approx(
        (by.loc["Walk", "absolute"] + by.loc["Photo", "absolute"]) / 2
    )
    assert h36m_numbers({"p2": p2})["p2"]["frames"] == 32
    with pytest.raises(SettingsError, match="p4"):
        h36m_protocol(frames, "p4")


def test_h36m_tables_have_the_papers_rows_beside_ours():
    rng = np.random.default_rng(17)
    truth = h36m_truth(rng)
    frames = h36m_frames(perfect(truth, rng), truth)
    scores = {p: h36m_protocol(frames, p) for p in ("p1", "p2", "p3")}
    two = table2({"LCR-Net + PPI": scores})
    assert two.loc[6, "Abs. P1_low"] == 0
    assert np.isnan(two.loc[5, "Abs. P1_low"])
    two = without_bounds(two)
    paper = two[(two["source"] == "paper") & (two["method"] == "LCR-Net + PPI")].iloc[0]
    assert paper.tolist()[2:] == [63.2, 53.4, 87.7, 71.6, 72.7]
    assert two[two["source"] == "ours"].iloc[0, 2:].to_numpy(float) == pytest.approx(
        [0] * 5, abs=1e-9
    )
    three = table3({"LCR-Net + PPI": scores["p2"]})
    assert three.loc[1, "Avg. (All)"] == 87.7
    assert three.loc[2, "Walk"] == 0
    one = table1({"LCR-Net + PPI": {7: {"absolute": 5.0, "rigid": 4.0}}})
    assert one["method"].tolist()[2:] == ["LCR-Net + PPI", "LCR-Net + PPI + Align."]
    assert one.columns.tolist()[2:] == ["K=1", "K=7", "K=50", "K=100", "K=200", "K=500"]
    assert one["K=7"].tolist()[2:] == [5.0, 4.0]
    assert table4({"x": (None, 80.0)}).iloc[-1, -1] == 80.0


def test_the_papers_averages_are_over_frames():
    """Table 3's averages are not the means of its columns, so they are not over actions."""
    three = table3({})
    columns = three.columns[2:17]
    for _, row in three.iterrows():
        assert abs(row[columns].astype(float).mean() - row["Avg. (All)"]) > 0.5


def test_h36m_image_of_another_name():
    truth = scene(np.random.default_rng(18))
    with pytest.raises(SettingsError, match=r"im0\.jpg"):
        h36m_frames(perfect(truth, np.random.default_rng(0)), truth)
