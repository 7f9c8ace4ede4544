"""The generated sources: read back by the readers that users' files are read with."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from posebank.annotations import read_annotations
from posebank.demo import DemoSize, DemoSources, demo_sources, load_truth, write_demo_sources
from posebank.demo.body import (
    ANGLES,
    BONES,
    LIMITS_DEG,
    METRES_PER_UNIT,
    channels,
    make_subject,
    pose,
    standing_on_ground,
)
from posebank.demo.mocap_files import amc_text, asf_text, bvh_text
from posebank.demo.motions import REPERTOIRE, perform
from posebank.errors import SettingsError
from posebank.mocap import ClipSource, discover, read_clip
from posebank.skeleton import JOINT_NAMES, MIRROR, J, body_centre, is_annotated

SIZE = DemoSize(5, 4, 3, (0.5, 0.9), 12, 8, 4)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> DemoSources:
    return write_demo_sources(tmp_path_factory.mktemp("demo"), 3, SIZE)


def _upright(**angles: float) -> np.ndarray:
    table = np.zeros((1, len(ANGLES)))
    for name, value in angles.items():
        table[0, ANGLES.index(name)] = value
    return table


def _joints(**angles: float) -> np.ndarray:
    subject = make_subject("01", np.random.default_rng(0))
    return pose(subject, channels(_upright(**angles)), np.zeros((1, 3))).joints()[0]


def _all_motions() -> list:
    return [motion for motions in REPERTOIRE.values() for motion in motions]


# The body


def test_a_person_standing_has_arms_and_legs_hanging_and_the_left_at_plus_x() -> None:
    joints = _joints()
    for side, sign in (("l", 1), ("r", -1)):
        hip, knee, ankle = (joints[J[f"{side}_{n}"]] for n in ("hip", "knee", "ankle"))
        shoulder, elbow, wrist = (joints[J[f"{side}_{n}"]] for n in ("shoulder", "elbow", "wrist"))
        assert sign * hip[0] > 0.05
        assert sign * shoulder[0] > 0.1
        for upper, lower in ((hip, knee), (knee, ankle), (shoulder, elbow), (elbow, wrist)):
            direction = (lower - upper) / np.linalg.norm(lower - upper)
            assert direction == pytest.approx([0, -1, 0], abs=1e-9)
    assert joints[J["head"], 1] > joints[:, 1].max() - 1e-9


@pytest.mark.parametrize("side", ["r", "l"])
def test_each_angle_bends_its_joint_the_way_it_is_named(side: str) -> None:
    sign = 1 if side == "l" else -1

    def direction(of: tuple[str, str], **angles: float) -> np.ndarray:
        joints = _joints(**{f"{side}_{name}": value for name, value in angles.items()})
        along = joints[J[f"{side}_{of[1]}"]] - joints[J[f"{side}_{of[0]}"]]
        return along / np.linalg.norm(along)

    thigh, shin, upper, fore = (
        ("hip", "knee"),
        ("knee", "ankle"),
        ("shoulder", "elbow"),
        ("elbow", "wrist"),
    )
    forward, back, out = [0, 0, 1], [0, 0, -1], [sign, 0, 0]
    assert direction(thigh, hip_flex=90) == pytest.approx(forward, abs=1e-9)
    assert direction(thigh, hip_abd=90) == pytest.approx(out, abs=1e-9)
    assert direction(shin, knee_flex=90) == pytest.approx(back, abs=1e-9)
    assert direction(upper, shoulder_flex=90) == pytest.approx(forward, abs=1e-9)
    assert direction(upper, shoulder_flex=180) == pytest.approx([0, 1, 0], abs=1e-9)
    assert direction(upper, shoulder_abd=90) == pytest.approx(out, abs=1e-9)
    assert direction(fore, elbow_flex=90) == pytest.approx(forward, abs=1e-9)
    # Turned inwards, a forearm that points ahead points across the body.
    inwards = direction(fore, elbow_flex=90, shoulder_rot=90)
    assert inwards == pytest.approx([-sign, 0, 0], abs=1e-9)


def test_the_trunk_bends_forward_leans_left_and_twists_left() -> None:
    upright = _joints()
    head = J["head"]
    assert _joints(spine_flex=60)[head, 2] > upright[head, 2] + 0.2
    assert _joints(spine_side=30)[head, 0] > 0.1
    assert _joints(spine_twist=40)[J["r_shoulder"], 2] > 0.05
    assert _joints(neck_flex=50)[head, 2] > upright[head, 2] + 0.05


def test_subjects_are_of_human_size_and_differ() -> None:
    people = [make_subject(str(i), np.random.default_rng(i)) for i in range(40)]
    heights = np.array([p.height for p in people])
    assert 1.3 < heights.min() < heights.max() < 2.0
    assert heights.std() > 0.04
    legs = np.array([np.linalg.norm(p.offsets["lfemur"]) for p in people])
    assert np.corrcoef(legs, heights)[0, 1] < 0.99
    for person in people:
        for bone in BONES:
            length = np.linalg.norm(person.offsets[bone])
            twin = {"l": "r", "r": "l"}[bone[0]] + bone[1:] if bone[0] in "lr" else bone
            if twin in BONES:
                assert length == pytest.approx(np.linalg.norm(person.offsets[twin]))


@pytest.mark.parametrize("motion", _all_motions(), ids=lambda m: m.__name__)
def test_motions_keep_the_limits_and_move_smoothly(motion) -> None:
    rng = np.random.default_rng(7)
    t = np.arange(240) / 120
    performance = perform(motion, t, rng)
    limits = np.array([LIMITS_DEG[a] for a in ANGLES])
    assert (performance.angles_deg >= limits[:, 0]).all()
    assert (performance.angles_deg <= limits[:, 1]).all()
    subject = make_subject("01", rng)
    values = channels(performance.angles_deg)
    height = standing_on_ground(subject, values, performance.up)
    root = np.zeros((len(t), 3))
    root[:, 1] = height
    joints = pose(subject, values, root).joints()
    assert joints[..., 1].min() > 0
    # No joint goes faster than a thrown ball.
    speed = np.linalg.norm(np.diff(joints - body_centre(joints)[:, None], axis=0), axis=-1) * 120
    assert speed.max() < 20
    assert speed.max() > 0.05


def test_half_of_the_performances_are_left_handed() -> None:
    kick = next(m for m in REPERTOIRE["hdm05"] if m.__name__ == "kick_front")
    flex = ANGLES.index("r_hip_flex"), ANGLES.index("l_hip_flex")
    higher = [
        np.argmax(
            perform(kick, np.arange(0, 3, 0.05), np.random.default_rng(i)).angles_deg.max(0)[
                list(flex)
            ]
        )
        for i in range(40)
    ]
    assert 10 < sum(higher) < 30


# MoCap files


def test_asf_amc_read_back_give_the_generated_joints(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    subject = make_subject("242", rng)
    performance = perform(REPERTOIRE["cmu"][10], np.arange(37) / 120, rng)
    values = channels(performance.angles_deg)
    root = rng.normal(0, 1, (37, 3))
    (tmp_path / "242.asf").write_text(asf_text(subject))
    (tmp_path / "242_01.amc").write_text(amc_text(values, root, "242.ASF"))
    (found,), bad = discover("cmu", [tmp_path])
    assert not bad
    clip = read_clip(found)
    expected = pose(subject, values, root).joints()
    assert np.abs(clip.joints - expected).max() < 2e-5  # six digits are written
    assert clip.fps == 120
    assert clip.frames.tolist() == list(range(1, 38))


def test_our_asf_has_the_bones_axes_and_dofs_of_cmu(shared_data: Path) -> None:
    real = (shared_data / "cmu/subjects/02/02.asf").read_text().lower().split()
    ours = asf_text(make_subject("02", np.random.default_rng(1))).lower().split()

    def tokens(words: list[str], keyword: str, count: int) -> list:
        at = [i for i, word in enumerate(words) if word == keyword]
        taken = [words[i + 1 : i + 1 + count] for i in at]
        return [
            [round(float(w), 4) if w.lstrip("-")[0].isdigit() else w for w in row] for row in taken
        ]

    assert tokens(ours, "name", 1)[1:] == tokens(real, "name", 1)[1:]
    assert tokens(ours, "axis", 3)[1:] == tokens(real, "axis", 3)[1:]

    def after(words: list[str]) -> str:
        return " ".join(words[words.index(":hierarchy") :])

    def dofs(words: list[str]) -> list[list[str]]:
        out = []
        for i, word in enumerate(words):
            if word == "dof":
                out.append([w for w in words[i + 1 : i + 4] if w in ("rx", "ry", "rz")])
        return out

    assert dofs(ours) == dofs(real)
    assert after(ours) == after(real)


@pytest.mark.parametrize("range_of_motion", [False, True])
def test_bvh_read_back_gives_the_generated_limbs(tmp_path: Path, range_of_motion: bool) -> None:
    rng = np.random.default_rng(6)
    subject = make_subject("00002", rng)
    performance = perform(REPERTOIRE["poseprior"][-1], np.arange(29) / 120, rng)
    root = rng.normal(0, 1, (29, 3))
    path = tmp_path / "00002" / "rom_01.bvh"
    path.parent.mkdir()
    path.write_text(
        bvh_text(subject, performance.angles_deg, root, range_of_motion=range_of_motion)
    )
    clip = read_clip(ClipSource("poseprior", path, None, "00002", "rom_01"))
    expected = pose(subject, channels(performance.angles_deg), root).joints()
    # Root and legs are the same in both skeletons; one joint bends the back, so the arms hang
    # elsewhere, but each limb keeps its length and the forearm its angle to the upper arm.
    legs = [J[f"{s}_{n}"] for s in "rl" for n in ("hip", "knee", "ankle")]
    assert np.abs(clip.joints[:, legs] - expected[:, legs]).max() < 1e-4

    def elbow(joints: np.ndarray, side: str) -> np.ndarray:
        s, e, w = (joints[:, J[f"{side}_{n}"]] for n in ("shoulder", "elbow", "wrist"))
        return np.stack([np.linalg.norm(a - b, axis=-1) for a, b in ((s, e), (e, w), (s, w))])

    for side in "rl":
        assert elbow(clip.joints, side) == pytest.approx(elbow(expected, side), abs=1e-4)
    assert clip.fps == pytest.approx(120, abs=0.1)
    order = [line.split()[2] for line in path.read_text().splitlines() if "CHANNELS 3" in line]
    assert set(order) == (
        {"Zrotation", "Xrotation"} if range_of_motion else {"Zrotation", "Yrotation", "Xrotation"}
    )


def test_mocap_sets_are_found_whole_and_sound(sources: DemoSources) -> None:
    for dataset, folder, count in (
        ("cmu", sources.cmu, 5),
        ("hdm05", sources.hdm05, 4),
        ("poseprior", sources.poseprior, 3),
    ):
        found, bad = discover(dataset, [folder])
        assert (len(found), bad) == (count, [])
        for source in found:
            clip = read_clip(source)
            assert not clip.lost
            assert 60 <= len(clip.frames) <= 108
            thigh = np.linalg.norm(clip.joints[:, J["r_hip"]] - clip.joints[:, J["r_knee"]], axis=1)
            assert np.ptp(thigh) < 1e-4
            assert 0.3 < thigh[0] < 0.6
    assert pytest.approx(0.056444, abs=1e-6) == METRES_PER_UNIT


def test_every_set_has_motions_of_its_own() -> None:
    names = [{m.__name__ for m in REPERTOIRE[d]} for d in ("cmu", "hdm05", "poseprior")]
    assert not names[0] & names[1]
    assert not names[1] & names[2]
    assert not names[0] & names[2]


# Annotations and images


def _truth_of(people, sources: DemoSources):
    truth = load_truth(sources.truth)
    row = truth.rows_of(people.person_id)
    assert (row >= 0).all()
    return truth.take(row)


def test_h36m_is_measured_in_the_cameras_that_took_the_images(sources: DemoSources) -> None:
    """Joints lie on the person who is drawn: pixels there are unlike those of the other clips."""
    people = read_annotations("h36m", sources.h36m).people
    assert people.split.tolist().count("test") == 3 * 4
    assert len(people) == 4 * 4
    assert set(people.image) == {p.name for p in (sources.h36m / "images").glob("*.jpg")}
    pelvis = people.joints_3d[:, [J["r_hip"], J["l_hip"]]].mean(axis=1)
    assert np.abs(pelvis).max() < 0.5  # centred at the body centre
    images = [np.asarray(Image.open(sources.h36m / "images" / name)) for name in people.image]
    assert {i.shape for i in images} == {(1002, 1000, 3), (1000, 1000, 3)}
    for camera in ("54138969", "55011271", "58860488", "60457274"):
        rows = [i for i, name in enumerate(people.image) if camera in name]
        empty = np.median([images[i] for i in rows], axis=0)  # nobody stays in one place
        for row in rows:
            difference = np.abs(images[row] - empty).max(axis=-1)
            x, y = people.joints_2d[row].astype(int).T
            on = [
                difference[b - 12 : b + 13, a - 12 : a + 13].max()
                for a, b in zip(x, y, strict=True)
            ]
            assert np.median(on) > 40 > 3 * np.median(difference)


@pytest.mark.parametrize("kind", ["mpii", "lspe"])
def test_annotations_read_back_are_near_the_truth(kind: str, sources: DemoSources) -> None:
    people = read_annotations(kind, getattr(sources, kind)).people
    truth = _truth_of(people, sources)
    marked = is_annotated(people.state)
    error = np.linalg.norm(people.joints_2d - truth.joints_2d, axis=-1) / truth.height_px[:, None]
    # Noise is 0.8% of the height in x and in y; one-based coordinates would show as a bias.
    assert np.median(error[marked]) < 0.013
    assert error[marked].max() < 0.06
    assert np.abs((people.joints_2d - truth.joints_2d)[marked].mean(0)).max() < 0.4
    assert (~marked & ~truth.inside).sum() + (marked & truth.inside).sum() > 0.85 * marked.size
    assert not (marked & ~truth.inside).any()


def test_mpii_marks_hidden_joints_as_occluded(sources: DemoSources) -> None:
    people = read_annotations("mpii", sources.mpii).people
    truth = _truth_of(people, sources)
    assert truth.visible[people.state == 1].mean() > 0.97  # head and neck carry no visibility
    assert not truth.visible[people.state == 2].any()
    assert (people.state == 2).any()
    assert np.isfinite(people.head_box).all()
    assert people.scale == pytest.approx(truth.height_px / 200, rel=1e-5)


def test_mpii_file_has_the_published_form(sources: DemoSources) -> None:
    release = loadmat(sources.mpii / "mpii_human_pose_v1_u12_1.mat")["RELEASE"][0, 0]
    assert set(release.dtype.names) >= {
        "annolist",
        "img_train",
        "version",
        "single_person",
        "act",
        "video_list",
    }
    annolist = release["annolist"]
    assert annolist.shape == (1, 12)
    assert release["single_person"].shape == (12, 1)
    assert release["act"].shape == (12, 1)
    n_points, visibilities = [], set()
    for i in range(12):
        assert annolist["image"][0, i]["name"][0, 0].item() == f"{i + 1:09d}.jpg"
        for person in annolist["annorect"][0, i][0]:
            if not person["annopoints"].size:
                assert not release["img_train"][0, i]
                continue
            points = person["annopoints"]["point"][0, 0]
            ids = [int(p["id"].item()) for p in points[0]]
            assert len(set(ids)) == len(ids)
            n_points.append(len(ids))
            visibilities |= {(p["is_visible"].dtype.kind, p["is_visible"].size) for p in points[0]}
            assert ids != sorted(ids) or len(ids) < 4
    assert max(n_points) == 16
    # Numbers (stored as the smallest integers), strings and empty ones, as in the original.
    assert {size for _, size in visibilities} == {0, 1}
    assert any(kind == "U" for kind, _ in visibilities)


def test_lspe_junk_is_flagged(sources: DemoSources) -> None:
    joints = loadmat(sources.lspe / "joints.mat")["joints"]
    assert joints.shape == (14, 3, 8)
    flag = joints[:, 2]
    assert set(np.unique(flag)) == {0.0, 1.0}
    junk = joints[:, :2].transpose(0, 2, 1)[flag == 0]
    assert (junk.min(axis=1) <= 30).all()
    assert not (junk == 0).all()


def test_images_are_there_in_colour_and_of_the_stated_size(sources: DemoSources) -> None:
    mpii = sorted((sources.mpii / "images").glob("*.jpg"))
    lspe = sorted((sources.lspe / "images").glob("*.jpg"))
    assert (len(mpii), len(lspe)) == (12, 8)
    for path in [*mpii, *lspe]:
        with Image.open(path) as image:
            assert image.mode == "RGB"
            assert np.asarray(image).std() > 8
            assert path in lspe or image.size == (256, 192)
    people = read_annotations("lspe", sources.lspe).people
    with Image.open(sources.lspe / "images" / people.image[2]) as image:
        assert image.size == (people.image_width[2], people.image_height[2])


def test_truth_is_centred_in_camera_axes_and_agrees_with_the_image(sources: DemoSources) -> None:
    truth = load_truth(sources.truth)
    assert np.abs(body_centre(truth.joints_3d)).max() < 1e-5
    # Perspective at 3 m and more is near to scaled orthography.
    flat = truth.joints_3d[..., :2] * truth.pixels_per_metre[:, None, None]
    found = truth.joints_2d - truth.joints_2d.mean(1, keepdims=True)
    flat -= flat.mean(1, keepdims=True)
    relative = np.linalg.norm(found - flat, axis=(1, 2)) / np.linalg.norm(flat, axis=(1, 2))
    assert np.median(relative) < 0.12
    mirrored = np.linalg.norm(found[:, MIRROR] - flat, axis=(1, 2))
    assert (mirrored > np.linalg.norm(found - flat, axis=(1, 2))).mean() > 0.9
    assert truth.joints_3d.shape == (len(truth), len(JOINT_NAMES), 3)


# The whole


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_equal_seeds_give_equal_files_and_others_do_not(tmp_path: Path) -> None:
    small = DemoSize(2, 2, 2, (0.2, 0.3), 3, 2, 1)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_demo_sources(tmp_path / name, seed, small)
    a, b, c = (_hashes(tmp_path / name) for name in "abc")
    assert a == b
    assert not set(a.values()) & set(c.values())


def test_sources_there_already_are_kept_and_others_replaced(tmp_path: Path) -> None:
    small = DemoSize(2, 2, 2, (0.2, 0.3), 2, 2, 1)
    first = demo_sources(tmp_path, 1, small)
    before = first.truth.stat().st_mtime_ns
    assert demo_sources(tmp_path, 1, small) == first
    assert first.truth.stat().st_mtime_ns == before
    fewer = DemoSize(2, 2, 2, (0.2, 0.3), 1, 2, 1)
    demo_sources(tmp_path, 1, fewer)
    assert len(list((first.mpii / "images").glob("*.jpg"))) == 1
    finished = (tmp_path / "demo.json").read_text()
    (tmp_path / "demo.json").write_text("unfinished\n")  # as an interruption leaves it
    (first.cmu / "subjects/201").mkdir(exist_ok=True)
    (first.cmu / "subjects/201/stray.amc").write_text("")
    demo_sources(tmp_path, 1, fewer)
    assert not list(first.cmu.rglob("stray.amc"))
    assert (tmp_path / "demo.json").read_text() == finished


def test_data_that_the_demo_did_not_make_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "cmu").mkdir()
    (tmp_path / "cmu/mine.amc").write_text("1")
    with pytest.raises(SettingsError, match="data that the demo did not make"):
        demo_sources(tmp_path, 1, SIZE)
    assert (tmp_path / "cmu/mine.amc").read_text() == "1"


def test_bad_settings_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least 1 of everything"):
        DemoSize(mpii_images=0)
    with pytest.raises(SettingsError, match="clip_seconds"):
        DemoSize(clip_seconds=(3.0, 2.0))
    with pytest.raises(SettingsError, match="seed"):
        write_demo_sources(tmp_path, -1, SIZE)
    (tmp_path / "file").write_text("")
    for make in (demo_sources, write_demo_sources):
        with pytest.raises(SettingsError, match="expected a folder that can be written"):
            make(tmp_path / "file", 1, SIZE)
