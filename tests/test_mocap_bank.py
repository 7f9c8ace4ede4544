import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posebank.errors import SettingsError
from posebank.geometry.rotations import axis_rotation
from posebank.mocap import (
    BankSettings,
    add_mirrored,
    discover,
    drop_near_duplicates,
    poses_from_clip,
    read_clip,
)
from posebank.mocap.duplicates import DistinctPoses, canonical_order
from posebank.mocap.limbs import ADULT_LIMBS_M, limb_lengths, with_limb_lengths
from posebank.mocap.resampling import resample
from posebank.skeleton import MIRROR, N_JOINTS, J, body_centre, centred
from posebank.types import MotionClip, PoseBank


def body(rng):
    """A plausible standing body, (13, 3) metres."""
    joints = {
        "hip": (0.1, 0.9, 0), "knee": (0.12, 0.5, 0.02), "ankle": (0.13, 0.1, 0),
        "shoulder": (0.18, 1.4, 0), "elbow": (0.25, 1.1, 0), "wrist": (0.28, 0.85, 0.05),
    }  # fmt: skip
    out = np.zeros((N_JOINTS, 3))
    for name, place in joints.items():
        out[J[f"l_{name}"]] = place
        out[J[f"r_{name}"]] = np.array(place) * (-1, 1, 1)
    out[J["head"]] = (0, 1.75, 0)
    return out + rng.normal(0, 0.005, (N_JOINTS, 3))


def clip(joints, fps=120.0, frames=None, name="walk"):
    frames = np.arange(1, len(joints) + 1) if frames is None else np.asarray(frames)
    return MotionClip("cmu", "01", name, np.asarray(joints, float), frames, fps, "sha", ())


def swaying(n, fps, hertz, amplitude=0.1):
    """A body whose whole upper half sways, so that no limb changes its length."""
    rng = np.random.default_rng(0)
    joints = np.repeat(body(rng)[None], n, 0)
    upper = [
        J[j]
        for j in ("r_wrist", "l_wrist", "r_elbow", "l_elbow", "r_shoulder", "l_shoulder", "head")
    ]
    wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(n) / fps)
    joints[:, upper, 2] += wave[:, None]
    return joints, wave


def bank_of(poses, clips=None):
    clips = "c" if clips is None else clips
    return PoseBank.from_joints(centred(np.asarray(poses)), dataset="d", subject="s", clip=clips)


def test_rates_and_frame_numbers():
    joints, _ = swaying(241, 120.0, 0.5)
    bank, stats = poses_from_clip(clip(joints), BankSettings(fps=10))
    assert len(bank) == stats.poses == 21  # 2 s at 10 a second, both ends
    np.testing.assert_array_equal(bank.frame, np.arange(1, 242, 12))
    np.testing.assert_allclose(bank.time_s, np.arange(21) / 10, atol=1e-6)
    assert bank.pose_id[1] == "cmu/walk:13"
    np.testing.assert_allclose(body_centre(bank.joints_3d), 0, atol=1e-6)
    assert bank.joints_3d.dtype == np.float32


def test_a_slow_source_keeps_all_its_frames():
    joints, _ = swaying(9, 8.0, 0.5)
    bank, _ = poses_from_clip(clip(joints, fps=8.0), BankSettings(fps=10))
    assert len(bank) == 9
    np.testing.assert_allclose(bank.joints_3d, centred(joints), atol=1e-6)


@pytest.mark.parametrize("fps", [120.0, 100.0, 59.94])
def test_what_is_slow_passes_and_what_would_alias_does_not(fps):
    for hertz, passes in ((1.0, True), (9.0, False), (17.0, False)):
        joints, wave = swaying(600, fps, hertz)
        got, frames, times = resample(joints, np.arange(600), fps, 10.0)
        z = got[5:-5, J["head"], 2] - joints[0, J["head"], 2]
        if passes:
            expected = 0.1 * np.sin(2 * np.pi * hertz * times[5:-5])
            assert np.abs(z - expected).max() < 0.004
        else:
            assert np.abs(z).max() < 0.006
        assert np.all(np.abs(frames - times * fps) <= 0.5 + 1e-9)
    assert wave.max() > 0.09


def test_a_still_body_stays_where_it_is():
    joints = np.repeat(body(np.random.default_rng(0))[None], 200, 0)
    got, _, _ = resample(joints, np.arange(200), 120.0, 10.0)
    np.testing.assert_allclose(got, joints[: len(got)], atol=1e-12)


def test_lost_frames_are_not_bridged():
    joints, _ = swaying(100, 120.0, 1.0)
    frames = np.concatenate([np.arange(50), np.arange(1_000_000_000, 1_000_000_050)])
    got, at, _ = resample(joints, frames, 120.0, 10.0)
    assert len(got) < 12
    assert set(at) <= set(frames)


def test_a_jumping_joint_costs_its_frames():
    joints, _ = swaying(240, 120.0, 1.0)
    joints[100, J["l_wrist"]] += 0.05
    joints[100:102, J["head"], 1] += 1.0
    _, stats = poses_from_clip(clip(joints), BankSettings())
    assert (stats.jumped, stats.stretched, stats.still) == (2, 0, 0)


def test_one_lasting_jump_costs_nothing_and_is_not_mixed():
    """Two takes in one file: the body is elsewhere, which is no fault of either half."""
    still = np.repeat(body(np.random.default_rng(0))[None], 240, 0)
    still[:, J["head"], 1] += 0.01 * np.sin(np.arange(240))
    turned = still @ axis_rotation("y", 2.0).T
    joints = np.concatenate([still[:120], turned[120:]])
    bank, stats = poses_from_clip(clip(joints), BankSettings())
    assert (stats.jumped, stats.stretched) == (0, 0)
    assert len(bank) == 20
    for pose in bank.joints_3d:
        apart = [np.abs(pose - centred(x[0])).max() for x in (still, turned)]
        assert min(apart) < 0.02


def test_a_limb_that_stretches_costs_its_frames():
    joints, _ = swaying(240, 120.0, 1.0)
    joints[60:70, J["r_knee"], 1] += np.linspace(0.1, 0.12, 10)
    _, stats = poses_from_clip(clip(joints), BankSettings(max_speed=100))
    assert (stats.jumped, stats.stretched) == (0, 10)
    assert stats.limbs_mm["r_ankle-r_knee"] == pytest.approx(400, abs=20)


def test_a_frozen_recording_is_cut_short():
    joints, _ = swaying(240, 120.0, 1.0)
    joints[100:195] = joints[100]
    _, stats = poses_from_clip(clip(joints), BankSettings(max_still_s=0.5))
    assert stats.still == 35


def distance_mm(a, b):
    """RMS joint distance after the best of 2,000 turns about the vertical."""
    turns = axis_rotation("y", np.linspace(0, 2 * np.pi, 2000, endpoint=False))
    turned = np.einsum("tij,nj->tni", turns, b)
    return 1000 * np.sqrt(((turned - a) ** 2).sum(-1).mean(-1)).min()


def slow_distinct(apart, limit_mm):
    kept = []
    for i in range(len(apart)):
        if all(apart[i, j] >= limit_mm for j in kept):
            kept.append(i)
    return kept


def test_near_duplicates_against_exhaustive_search():
    rng = np.random.default_rng(3)
    poses = np.stack([body(rng) + rng.normal(0, 0.03, (N_JOINTS, 3)) for _ in range(40)])
    turns = axis_rotation("y", rng.uniform(0, 6, 40))
    bank = bank_of(np.einsum("nij,nkj->nki", turns, poses))
    exact = bank.joints_3d.astype(float)
    apart = np.array(
        [
            [distance_mm(a, b) if i > j else 0 for j, b in enumerate(exact)]
            for i, a in enumerate(exact)
        ]
    )
    for limit in (62.0, 67.0, 72.0):
        expected = slow_distinct(apart, limit)
        got = drop_near_duplicates(bank, limit)
        assert 1 < len(expected) < 40
        np.testing.assert_array_equal(got.frame, expected)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_neither_heading_nor_order_matters(seed):
    rng = np.random.default_rng(seed)
    base = np.stack([body(rng) + rng.normal(0, 0.08, (N_JOINTS, 3)) for _ in range(20)])
    poses = base[rng.integers(0, 20, 50)]
    turned = np.einsum("nij,nkj->nki", axis_rotation("y", rng.uniform(0, 6, 50)), poses)
    names = [f"c{i % 3}" for i in range(50)]
    one = drop_near_duplicates(bank_of(poses, names), 20.0)
    two = drop_near_duplicates(bank_of(turned, names), 20.0)
    np.testing.assert_array_equal(one.pose_id, two.pose_id)
    assert len(one) <= 20
    shuffled = drop_near_duplicates(bank_of(poses, names).take(rng.permutation(50)), 20.0)
    np.testing.assert_array_equal(one.joints_3d, shuffled.joints_3d)
    np.testing.assert_array_equal(one.pose_id, shuffled.pose_id)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_batches_give_what_the_whole_gives(size):
    rng = np.random.default_rng(8)
    poses = np.stack([body(rng) + rng.normal(0, 0.03, (N_JOINTS, 3)) for _ in range(300)])
    bank = bank_of(poses)
    whole = drop_near_duplicates(bank, 64.0)
    stream = DistinctPoses(64.0)
    parts = [stream.keep(bank.take(slice(i, i + size))) for i in range(0, 300, size)]
    assert 20 < len(whole) < 280
    np.testing.assert_array_equal(PoseBank.concat(parts).frame, whole.frame)


def test_zero_distance_keeps_all_in_canonical_order():
    rng = np.random.default_rng(4)
    bank = bank_of([body(rng)] * 6, ["b", "a", "b", "a", "c", "a"])
    kept = drop_near_duplicates(bank, 0.0)
    assert list(kept.clip) == ["a", "a", "a", "b", "b", "c"]
    assert list(kept.frame) == [1, 3, 5, 0, 2, 4]
    assert len(drop_near_duplicates(bank, 1.0)) == 1
    assert len(drop_near_duplicates(bank.take(slice(0)), 1.0)) == 0


def test_mirror_images():
    rng = np.random.default_rng(5)
    bank = bank_of([body(rng) for _ in range(4)])
    both = add_mirrored(bank)
    assert len(both) == 8
    np.testing.assert_array_equal(canonical_order(both), np.arange(8))
    first, second = both.joints_3d[:2]
    np.testing.assert_array_equal(second, first[MIRROR] * np.float32([-1, 1, 1]))
    assert both.pose_id[1] == both.pose_id[0] + "m"
    assert list(both.mirrored[:2]) == [False, True]
    np.testing.assert_array_equal(add_mirrored(both).pose_id, both.pose_id)  # nothing twice


@pytest.mark.parametrize(
    "wrong", [{"fps": 0.0}, {"fps": np.nan}, {"min_distance_mm": -1.0}, {"max_speed": np.inf}]
)
def test_wrong_settings(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        BankSettings(**wrong)


def test_resampling_keeps_the_lengths_of_limbs(shared_data):
    """A fast kick, 120 to 10 a second: means of directions alone would shorten the shin by 10%."""
    source = discover("cmu", [shared_data / "cmu" / "subjects" / "02" / "02_05.amc"])[0][0]
    found = read_clip(source)
    bank, stats = poses_from_clip(found, BankSettings())
    usual = np.array(list(stats.limbs_mm.values()))
    got = 1000 * limb_lengths(bank.joints_3d.astype(float))
    np.testing.assert_allclose(got, np.repeat(usual[None], len(got), 0), atol=1e-3)


def test_retargeting_to_one_adult():
    """A giant's and a child's clips become the same person's; directions and centre are kept."""
    moving, _ = swaying(60, 120, 1.0)
    settings = BankSettings(retarget=True)
    poses = [poses_from_clip(clip(moving * size), settings)[0].joints_3d for size in (0.7, 1.2)]
    np.testing.assert_allclose(poses[0], poses[1], atol=2e-6)
    lengths = limb_lengths(poses[0].astype(float))
    np.testing.assert_allclose(lengths, np.broadcast_to(ADULT_LIMBS_M, lengths.shape), atol=2e-6)
    assert ADULT_LIMBS_M[0] == pytest.approx(0.4182)
    np.testing.assert_allclose(centred(poses[0]), poses[0], atol=1e-6)
    plain = poses_from_clip(clip(moving), BankSettings())[0].joints_3d
    shin = plain[:, J["r_ankle"]] - plain[:, J["r_knee"]]
    turned = poses[0][:, J["r_ankle"]] - poses[0][:, J["r_knee"]]
    cosine = (shin * turned).sum(-1) / np.linalg.norm(shin, axis=-1) / 0.4182
    np.testing.assert_allclose(cosine, 1.0, atol=1e-5)


def test_retargeting_to_one_persons_limbs():
    rng = np.random.default_rng(6)
    poses = np.stack([body(rng) for _ in range(3)])
    lengths = 1.1 * limb_lengths(poses)
    got = with_limb_lengths(poses, lengths)
    np.testing.assert_allclose(limb_lengths(got), lengths)
    np.testing.assert_array_equal(got[:, J["head"]], poses[:, J["head"]])
    np.testing.assert_allclose(with_limb_lengths(poses, limb_lengths(poses)), poses, atol=1e-12)
