import re
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from builders import write_artefact
from PIL import Image

from posebank import artefacts
from posebank.errors import ArtefactError, SourceError
from posebank.evaluation import (
    EvaluationSettings,
    evaluate,
    ground_truth_from_labels,
    ground_truth_from_shards,
)
from posebank.geometry.cameras import camera_rotation
from posebank.geometry.rotations import axis_rotation
from posebank.images import read_image
from posebank.report import (
    FRONT,
    View,
    anchors_picture,
    clip_picture,
    displacements,
    draw_pose_3d,
    figure5,
    figure6,
    figure7,
    html_report,
    label_sheet,
    label_statistics,
    match_picture,
    prediction_picture,
    select_poses,
    shard_sheet,
    training_picture,
    view_axes,
    write_evaluation,
)
from posebank.report.drawing import LEFT, RIGHT, bones
from posebank.report.images import new_figure
from posebank.report.sheets import facing_the_camera
from posebank.shards import ShardSettings, shard_table
from posebank.skeleton import N_JOINTS, J, JointState, centred
from posebank.types import (
    Anchors,
    Labels,
    Matches,
    MotionClip,
    People,
    PoseBank,
    Predictions,
    texts,
)

F = np.float32


def standing():
    """A person who stands upright and faces +z of a y-up world; metres."""
    joints = np.zeros((N_JOINTS, 3))
    places = {"ankle": (0.1, -0.9), "knee": (0.1, -0.45), "hip": (0.1, 0.0), "wrist": (0.3, 0.0),
              "elbow": (0.25, 0.25), "shoulder": (0.18, 0.5)}  # fmt: skip
    for name, (x, y) in places.items():
        joints[J[f"r_{name}"]] = -x, y, 0
        joints[J[f"l_{name}"]] = x, y, 0
    joints[J["head"]] = 0, 0.8, 0
    joints[J["r_wrist"]] += [0, 0, 0.4]  # the right hand reaches forward
    return centred(joints)


def seen_by_camera():
    """The same person before the camera, whom it sees from the front."""
    return standing() @ camera_rotation(0.0, 0.0).T


def labels(n, folder=None):
    """Labels of ``n`` people; with ``folder``, their images are written there."""
    rng = np.random.default_rng(0)
    joints_3d = seen_by_camera() + rng.normal(0, 0.02, (n, N_JOINTS, 3))
    joints_2d = 100 * joints_3d[..., :2] + [90, 120]
    state = np.full((n, N_JOINTS), JointState.VISIBLE, np.uint8)
    state[: n // 2, [J["r_ankle"], J["r_knee"]]] = JointState.COMPLETED
    images = [f"im{i}.png" for i in range(n)]
    for image in images if folder else ():
        Image.fromarray(rng.integers(0, 255, (240, 180, 3), np.uint8)).save(folder / image)
    people = People.from_joints(
        joints_2d,
        state,
        dataset="set",
        split="val",
        image=images,
        image_width=180,
        image_height=240,
        scale=1,
    )
    return Labels.from_people(
        people,
        joints_3d,
        camera_scale=100,
        error_norm=0.1,
        error_mm=20,
        trust=0.8,
        ambiguity_mm=5,
        pose_id="p",
        provenance="views nearest",
    )


def size_of(path):
    with Image.open(path) as image:
        return image.size


# --- geometry of the drawings


@pytest.mark.parametrize("turn", [0.0, 0.7, np.pi / 2, -2.5])
def test_a_clip_is_drawn_from_the_persons_own_front(turn):
    """The right hip on the viewer's left, the toes (here: the wrists) towards the viewer."""
    pose = np.zeros((13, 3))
    for side, x in (("r", -1.0), ("l", 1.0)):  # faces +z
        pose[J[f"{side}_hip"]] = (0.1 * x, 0.9, 0)
        pose[J[f"{side}_wrist"]] = (0.2 * x, 1.0, 0.5)
    pose[J["head"]] = (0, 1.7, 0)
    seen = facing_the_camera(pose @ axis_rotation("y", turn).T + [3.0, 0.0, -8.0])
    np.testing.assert_allclose(seen[J["r_hip"]], [-0.1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(seen[J["l_wrist"]], [0.2, -0.1, -0.5], atol=1e-12)
    np.testing.assert_allclose(seen[J["head"]], [0, -0.8, 0], atol=1e-12)


def test_front_view_is_what_the_camera_saw():
    """The person's right is on the left of the picture, the head above the feet."""
    seen = seen_by_camera() @ view_axes(View()).T
    np.testing.assert_allclose(seen, seen_by_camera(), atol=1e-15)
    assert seen[J["r_shoulder"], 0] < seen[J["l_shoulder"], 0]
    assert seen[J["head"], 1] < seen[J["r_ankle"], 1]
    assert seen[J["r_wrist"], 2] < seen[J["l_wrist"], 2]  # reaches towards the viewer


def test_side_view_by_hand():
    """From the image's right (the person's left) the hand that reaches forward points left."""
    seen = seen_by_camera() @ view_axes(View(np.pi / 2)).T
    assert seen[J["r_wrist"], 0] == pytest.approx(-0.4)
    assert seen[J["l_shoulder"], 2] < seen[J["r_shoulder"], 2]  # the left side is nearer
    behind = np.array([0.0, 0.0, 1.0]) @ view_axes(View(np.pi / 2)).T
    np.testing.assert_allclose(behind, [1, 0, 0], atol=1e-15)


def test_from_above_near_things_are_low_in_the_picture():
    above = view_axes(View(0.0, np.pi / 2))
    np.testing.assert_allclose([0, 0, -1] @ above.T, [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose([0, -1, 0] @ above.T, [0, 0, -1], atol=1e-15)  # up: to the viewer


def test_views_are_rotations():
    for azimuth in np.linspace(-3, 3, 7):
        for elevation in (-1.2, 0.0, 0.7):
            axes = view_axes(View(azimuth, elevation))
            np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(axes) == pytest.approx(1)


def test_right_is_red_and_left_is_blue():
    segments, colours = bones(standing())
    for segment, colour in zip(segments, colours, strict=True):
        if colour == RIGHT:
            assert (segment[:, 0] < 0).all()
        if colour == LEFT:
            assert (segment[:, 0] > 0).all()
    assert colours.count(RIGHT) == colours.count(LEFT) == 5


def test_axes_of_a_3d_drawing_point_down():
    ax = new_figure(2, 2).subplots()
    draw_pose_3d(ax, seen_by_camera(), FRONT)
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert ax.get_xlim()[0] < ax.get_xlim()[1]


def test_people_are_put_where_they_were():
    """The displacement of Figure 7: a known camera's projection gives the place back."""
    rng = np.random.default_rng(1)
    poses = centred(rng.normal(0, 0.3, (4, N_JOINTS, 3)))
    places = np.array([[0.2, 0.1, 4], [-2, 0.5, 7], [1, -0.4, 12], [0, 0, 2.5]])
    width, height, focal = 640, 360, 500.0
    moved = poses + places[:, None]
    points = focal * moved[..., :2] / moved[..., 2:] + [width / 2, height / 2]
    np.testing.assert_allclose(
        displacements(points, poses, width, height, focal), places, rtol=1e-4, atol=1e-9
    )


def test_everybody_stays_in_front_of_the_camera():
    rng = np.random.default_rng(2)
    poses = centred(rng.normal(0, 0.5, (3, N_JOINTS, 3)))
    points = rng.uniform(-9000, 9000, (3, N_JOINTS, 2))  # no camera can have seen this
    places = displacements(points, poses, 64, 48)
    assert ((poses + places[:, None])[..., 2] > 0).all()


# --- pictures


def test_label_sheet_is_reproducible_and_needs_no_images(tmp_path):
    some = labels(5, tmp_path)
    first = label_sheet(some, {"set": tmp_path}, tmp_path / "a.png", 2, 0)
    second = label_sheet(some, {"set": tmp_path}, tmp_path / "b.png", 2, 0)
    assert first.read_bytes() == second.read_bytes()
    without = label_sheet(some, {}, tmp_path / "c.png", 2, 0)
    assert without.read_bytes() != first.read_bytes()
    assert size_of(label_sheet(some.take([]), {}, tmp_path / "d.png", 4, 0))[0] > 100


def test_prediction_picture(tmp_path):
    some = labels(3, tmp_path)
    found = Predictions(some.image, some.joints_2d, some.joints_3d, np.ones(3, F))
    one = prediction_picture(tmp_path / "im0.png", found, tmp_path / "a.png")
    none = prediction_picture(tmp_path / "im0.png", found.take([]), tmp_path / "b.png")
    assert size_of(one)[0] == size_of(none)[0] > 1000
    pixels = read_image(tmp_path / "im0.png")
    same = prediction_picture(pixels, found, tmp_path / "c.png")
    assert same.read_bytes() == one.read_bytes()


def test_damaged_image_is_named(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8 not an image")
    with pytest.raises(SourceError, match=r"x\.jpg"):
        read_image(tmp_path / "x.jpg")


def test_other_pictures(tmp_path):
    some = labels(6)
    anchors = Anchors(
        np.arange(6, dtype=np.int32),
        texts(["full"] * 4 + ["upper"] * 2),
        np.zeros((6, N_JOINTS, 2), F),
        some.joints_3d,
        np.arange(6),
    )
    clip = MotionClip("cmu", "02", "02_01", np.tile(standing(), (30, 1, 1)), np.arange(30), 120.0)
    metrics = pd.DataFrame({"iteration": np.arange(50), "loss": np.linspace(2, 1, 50)})
    long = metrics.melt(id_vars="iteration", var_name="name")
    for number, draw in enumerate(
        (
            lambda p: anchors_picture(anchors, p),
            lambda p: clip_picture(clip, p, 2),
            lambda p: training_picture(metrics, p),
            lambda p: training_picture(long, p),
        )
    ):
        path = tmp_path / f"{number}.png"
        draw(path)
        assert min(size_of(path)) > 100


def test_match_picture(tmp_path):
    some = labels(1)
    bank = PoseBank.from_joints(np.tile(standing(), (2, 1, 1)))
    person = People(**{f.name: getattr(some, f.name) for f in fields(People)})
    matches = Matches(
        some.person_id, np.array([[1, 0, -1]]), np.tile(camera_rotation(0.0, 0.0), (1, 3, 1, 1)),
        np.full((1, 3), 100.0), np.full((1, 3, 2), [90.0, 120.0]), np.full((1, 3), 0.1),
        np.full((1, 3), 10.0), np.array([13], np.int32), np.zeros(1),
    )  # fmt: skip
    assert size_of(match_picture(bank, person, matches, tmp_path / "a.png"))[0] > 300


def test_figures_5_to_7(tmp_path):
    some = labels(30)
    some = replace(some, image=texts([f"im{i // 2 if i < 10 else i}.jpg" for i in range(30)]))
    truth = ground_truth_from_labels(some)
    rng = np.random.default_rng(3)
    settings = EvaluationSettings()
    poses = []
    for noise in (0.05, 0.1):
        moved = some.joints_3d + rng.normal(0, noise, some.joints_3d.shape).astype(F)
        found = Predictions(truth.image_id, some.joints_2d + 5, moved, np.ones(30, F))
        poses.append(select_poses(found, truth, settings))
    asked = []

    def image_of(image_id):
        asked.append(image_id)
        return np.full((90, 120, 3), 200, np.uint8)

    figure5(*poses, truth, tmp_path / "5.png", image_of=image_of)
    worst = poses[0].scored.rigid.mean(axis=1).argmax()
    assert len(asked) == 4
    assert asked[-1] == truth.image_id[worst]
    rarity = rng.uniform(0, 200, 30)
    scored = {name: pose.scored for name, pose in zip("ab", poses, strict=True)}
    figure6(scored, rarity, np.ones(30, bool), tmp_path / "6.png")
    del asked[:]
    figure7(found, poses[1].scored, truth, tmp_path / "7.png", image_of=image_of, n=6)
    assert len(set(asked)) == 6
    assert sum(list(truth.image_id).count(i) == 2 for i in asked) == 3  # half have two people
    assert all(size_of(tmp_path / f"{n}.png")[0] > 1000 for n in (5, 6, 7))
    nobody = select_poses(found.take([]), truth, settings)
    figure5(nobody, nobody, truth, tmp_path / "none.png")
    figure7(found.take([]), nobody.scored, truth, tmp_path / "none7.png")


# --- the report


def test_report_of_an_empty_workspace(tmp_path):
    path = html_report(tmp_path / "ws", tmp_path / "out" / "index.html")
    text = path.read_text()
    assert text.count("<h2 id=") == 8
    assert text.count("not made yet") == 9
    assert "<img" not in text


def test_report_with_labels_anchors_training_and_evaluation(tmp_path):
    ws = tmp_path / "a <b> workspace"
    some = labels(4)
    write_artefact(ws / "labels", "labels", some)
    anchors = Anchors(
        np.arange(2, dtype=np.int32),
        texts(["full"] * 2),
        np.zeros((2, N_JOINTS, 2), F),
        some.joints_3d[:2],
        np.ones(2, np.int64),
    )
    write_artefact(ws / "anchors", "anchors", anchors)
    run = ws / "runs" / "default"
    run.mkdir(parents=True)
    pd.DataFrame({"iteration": [1, 2], "loss": [2.0, 1.0]}).to_parquet(run / "metrics.parquet")
    truth = ground_truth_from_labels(some)
    found = Predictions(truth.image_id, some.joints_2d, some.joints_3d, np.ones(4, F))
    result = evaluate(found, truth, EvaluationSettings(bootstrap=10))
    with artefacts.staging_folder(ws / "evaluation") as staging:
        methods = {"after-ppi": found, "after-nms": found}
        _, files = write_evaluation(
            staging / "default", methods, truth, EvaluationSettings(bootstrap=10), anchors
        )
        parts = [artefacts.adopt_part(staging, file, section="default") for file in files]
        section = artefacts.Section("x", stats={"after-ppi": result.headline()})
        artefacts.commit(staging, ws / "evaluation", "evaluation", parts, {"default": section})
    text = html_report(ws, ws / "report" / "index.html").read_text()
    assert text.count("<img") == 5  # histograms, training, Figures 5 to 7
    assert "LCR-Net + PPI" in text
    assert "after-ppi, by rarity of the pose" in text
    assert "a &lt;b&gt; workspace" in text
    assert "<b>" not in text
    assert "100.0" in text
    assert "matches artefact, found it missing" in text
    assert not re.search(r"(src|href)=\"http", text)  # nothing is fetched from elsewhere


def test_label_statistics():
    table = label_statistics(labels(6)).set_index("dataset")
    assert table.loc["set", "people"] == 6
    assert table.loc["set", "with completed joints"] == 3
    assert table.loc["set", "completed joints %"] == pytest.approx(100 * 3 * 2 / (6 * 13))
    assert label_statistics(labels(6).take([])).empty


def write_shards(folder, some, roots, embed=True):
    anchors = Anchors(
        np.arange(2, dtype=np.int32),
        texts(["full"] * 2),
        np.zeros((2, N_JOINTS, 2), F),
        some.joints_3d[:2],
        np.ones(2, np.int64),
    )
    table, rejected = shard_table(some, anchors, roots, ShardSettings(embed=embed))
    assert not rejected
    write_artefact(folder, "shards", table, part="val-00000.parquet")


@pytest.mark.parametrize("embed", [True, False])
def test_shard_sheet(tmp_path, embed):
    write_shards(tmp_path / "shards", labels(3, tmp_path), {"set": tmp_path}, embed)
    assert size_of(shard_sheet(tmp_path / "shards", tmp_path / "a.png", 5))[0] > 500


def test_ground_truth_of_shards_is_that_of_the_labels(tmp_path):
    some = labels(4, tmp_path)
    some = replace(some, image=some.image[[0, 1, 1, 2]])
    write_shards(tmp_path / "shards", some, {"set": tmp_path})
    found = ground_truth_from_shards(tmp_path / "shards", "val")
    expected = ground_truth_from_labels(some)
    assert sorted(found.person_id) == sorted(expected.person_id)
    order = [list(found.person_id).index(p) for p in expected.person_id]
    for name in ("joints_2d", "state", "joints_3d", "head_box", "single_person"):
        np.testing.assert_array_equal(getattr(found.take(order), name), getattr(expected, name))
    assert found.take(order).image_id.tolist() == expected.image_id.tolist()
    with pytest.raises(ArtefactError, match="split test"):
        ground_truth_from_shards(tmp_path / "shards", "test")
    with pytest.raises(ArtefactError, match="missing"):
        ground_truth_from_shards(tmp_path / "none", "val")


def test_everything_an_evaluation_writes(tmp_path):
    """Two methods, Human3.6M and other images together, the paper's rows beside ours."""
    some = labels(12)
    images = texts(
        [f"S9_Walking 1.58860488_{5 * i + 1:06d}.jpg" if i < 6 else f"im{i}" for i in range(12)]
    )
    some = replace(some, image=images, dataset=texts(["h36m"] * 6 + ["set"] * 6))
    truth = ground_truth_from_labels(some)
    rng = np.random.default_rng(4)
    methods = {
        f"after-{name}": Predictions(
            truth.image_id,
            some.joints_2d + 3,
            some.joints_3d + rng.normal(0, noise, some.joints_3d.shape).astype(F),
            np.ones(12, F),
        )
        for name, noise in (("ppi", 0.03), ("nms", 0.05))
    }
    anchors = Anchors(
        np.arange(2, dtype=np.int32),
        texts(["full"] * 2),
        np.zeros((2, N_JOINTS, 2), F),
        some.joints_3d[:2],
        np.ones(2, np.int64),
    )
    settings = EvaluationSettings(bootstrap=10)
    results, files = write_evaluation(tmp_path, methods, truth, settings, anchors)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in files)
    expected = {"figure5.png", "figure6.png", "figure7.png", "tables.tex", "after-nms-rarity.csv"}
    assert expected <= {p.name for p in files}
    table = pd.read_csv(tmp_path / "tables-table2.csv")
    assert table["source"].tolist() == ["paper"] * 6 + ["ours"] * 2
    ours = table.set_index("method").loc["after-ppi"]
    assert ours["Abs. P2"] == pytest.approx(
        results["after-ppi"].tables["datasets"].set_index("dataset").loc["h36m", "absolute_mm"]
    )
    assert np.isnan(ours["Abs. P1"])
    assert ours["Align. P3"] > 0
    assert results["after-ppi"].tables["actions"]["action"].tolist() == ["Walk"]
    text = (tmp_path / "tables.md").read_text()
    assert "| paper | LCR-Net + PPI | 8.5 | 74.2 |" in text
