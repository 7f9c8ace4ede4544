"""What every MoCap reader promises, whatever the format: the same checks for all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from amass_files import body_model, clip_arrays
from bvh_files import UPLEG, Z_UP, Form, bvh_text
from c3d_files import MARKERS, c3d_with, walker
from human36m_files import swaying_body, write_human36m
from mocap_files import acclaim_bones, amc_text, asf_text, pose_prior_bvh, random_motion

from posebank.errors import PosebankError, SettingsError, SourceError
from posebank.mocap import (
    BankSettings,
    ReadOptions,
    describe_clip,
    discover,
    poses_from_clip,
    read_clip,
)
from posebank.skeleton import JOINT_NAMES, J, centred


@dataclass(frozen=True)
class Reference:
    """A clip of a format, and what is known of it.

    write : called with a folder; returns the file.
    moved : (3,) metres, y up: what the middle of the hips moves from the first to the last frame.
    fps : rate that the file, or the table of the data set, states.
    first : number of the first frame.
    refused : options that the format states itself.
    damage : called with the file; makes a coordinate of the third frame not finite.
    """

    dataset: str
    write: Callable[[Path], Path]
    n_frames: int
    moved: tuple[float, float, float]
    fps: float
    damage: Callable[[Path], None]
    first: int = 0
    refused: tuple[str, ...] = ()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def acclaim(folder, name, skeleton):
    bones = acclaim_bones()
    put(folder / skeleton, asf_text(bones))
    return put(folder / name, amc_text(random_motion(bones, 31)))


def amass(folder, family, name):
    """A person who stands, nearly still, and slides to the front (-y of a z-up world)."""
    arrays = clip_arrays(family, 23, pose_scale=0.02)
    arrays["betas"] *= 0
    arrays["trans"] = np.linspace([0.5, 0.2, 0.9], [0.5, -0.3, 0.9], 23)
    if "root_orient" in arrays:
        arrays["root_orient"], arrays["pose_body"] = (
            arrays["poses"][:, :3],
            arrays["poses"][:, 3:66],
        )
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return path


def damaged_amass(path):
    with np.load(path) as file:
        arrays = dict(file)
    arrays["trans"][2, 1] = np.nan
    np.savez(path, **arrays)


def human36m(kind):
    def write(folder, bad=None):
        poses = swaying_body(17) * (1, -1, 1)  # its left at +x and z up: -y is the front
        if bad is not None:
            poses[bad, 6, 1] = np.nan
        return write_human36m(folder, kind, poses)

    return write


def damaged_human36m(kind):
    def damage(path):
        folder = path.parents[0 if kind == "npz" else 3]
        path.unlink()
        if kind == "h5":
            path.parent.rmdir()
        human36m(kind)(folder, bad=2)

    return damage


def damaged_amc(path):
    lines = path.read_text().split("\n")
    root = lines.index("3") + 1
    lines[root] = lines[root].rsplit(" ", 1)[0] + " nan"
    path.write_text("\n".join(lines))


def damaged_bvh(path):
    lines = path.read_text().split("\n")
    third = next(i for i, line in enumerate(lines) if line.startswith("Frame Time")) + 3
    lines[third] = lines[third].rsplit(" ", 1)[0] + " nan"
    path.write_text("\n".join(lines))


def hidden_markers(path):
    points = walker(70)
    points[2] = np.nan
    path.write_bytes(c3d_with(points, MARKERS))


STEP = 0.0254 / 0.45  # metres in a unit of the ASF
REFERENCES = {
    "CMU's AMC": Reference(
        "cmu",
        lambda folder: acclaim(folder, "subjects/07/07_02.amc", "subjects/07/07.asf"),
        31,
        (0.1 * 30 * STEP, 0, 0.05 * 30 * STEP),
        120.0,
        damaged_amc,
        first=1,
        refused=("unit",),
    ),
    "HDM05's AMC": Reference(
        "hdm05",
        lambda folder: acclaim(folder, "HDM_bd_01-01_02_120.amc", "HDM_bd.asf"),
        31,
        (0.1 * 30 * STEP, 0, 0.05 * 30 * STEP),
        120.0,
        damaged_amc,
        first=1,
        refused=("unit",),
    ),
    "Pose Prior's BVH": Reference(
        "poseprior",
        lambda folder: put(folder / "03/03_01.bvh", pose_prior_bvh(29)),
        29,
        (0.1 * 28 * 0.0254, 0, 0.2 * 28 * 0.0254),
        120.0,
        damaged_bvh,
    ),
    "BVH, y up, centimetres": Reference(
        "bvh",
        lambda folder: put(folder / "walk.bvh", bvh_text(Form(UPLEG, n_frames=19))),
        19,
        (0, 0, 18 * 0.02),
        30.0,
        damaged_bvh,
    ),
    "BVH, z up, metres": Reference(
        "bvh",
        lambda folder: put(
            folder / "walk.bvh", bvh_text(Form(UPLEG, n_frames=19, turn=Z_UP, unit=1.0))
        ),
        19,
        (0, 0, 18 * 0.02),
        30.0,
        damaged_bvh,
    ),
    "C3D": Reference(
        "c3d",
        lambda folder: put(folder / "walk.c3d", c3d_with(walker(70), MARKERS)),
        70,
        (69 * 0.006, 0, 0),
        120.0,
        hidden_markers,
        first=1,
    ),
    "AMASS, SMPL+H": Reference(
        "amass",
        lambda folder: amass(folder, "SMPL+H", "Set/subject/walk_poses.npz"),
        23,
        (-0.5, 0, 0),
        120.0,
        damaged_amass,
        refused=("unit", "joints"),
    ),
    "AMASS, SMPL-X": Reference(
        "amass",
        lambda folder: amass(folder, "SMPL-X", "Set/subject/walk_stageii.npz"),
        23,
        (-0.5, 0, 0),
        100.0,
        damaged_amass,
        refused=("unit", "joints"),
    ),
    "Human3.6M's CDF": Reference(
        "h36m",
        human36m("cdf"),
        17,
        (-0.1, 0, 0),
        50.0,
        damaged_human36m("cdf"),
        refused=("unit", "up", "joints"),
    ),
    "Human3.6M's HDF5": Reference(
        "h36m",
        human36m("h5"),
        17,
        (-0.1, 0, 0),
        50.0,
        damaged_human36m("h5"),
        refused=("unit", "up", "joints"),
    ),
    "Human3.6M's npz": Reference(
        "h36m",
        human36m("npz"),
        17,
        (-0.1, 0, 0),
        50.0,
        damaged_human36m("npz"),
        refused=("unit", "up", "joints"),
    ),
}


@pytest.fixture(params=REFERENCES, ids=str)
def reference(request):
    return REFERENCES[request.param]


@pytest.fixture
def path(reference, tmp_path):
    return reference.write(tmp_path / "data")


@pytest.fixture
def options(reference, tmp_path):
    """A folder of body models for AMASS."""
    if reference.dataset != "amass":
        return ReadOptions()
    for family, name in (("SMPL+H", "smplh/female"), ("SMPL-X", "smplx")):
        model = "model.npz" if family == "SMPL+H" else "SMPLX_FEMALE.npz"
        target = tmp_path / "models" / name / model
        target.parent.mkdir(parents=True)
        np.savez(target, **body_model(family))
    return ReadOptions(body_model=tmp_path / "models")


def the_clip(reference, source, options=None):
    clips, rejected = discover(reference.dataset, [source], options)
    assert rejected == []
    return next(clip for clip in clips if clip.subject != "S1")  # of npz, which has two clips


@pytest.fixture
def clip(reference, path, options):
    return read_clip(the_clip(reference, path, options))


def forward_of(joints):
    """(n, 3) to the front: across the hips to the left, times up."""
    across = joints[:, J["l_hip"]] - joints[:, J["r_hip"]]
    return np.cross(across, [0.0, 1.0, 0.0])


def test_frames_and_rate(reference, clip, path):
    assert clip.joints.shape == (reference.n_frames, len(JOINT_NAMES), 3)
    assert clip.joints.dtype == np.float64
    assert np.isfinite(clip.joints).all()
    start = reference.first
    np.testing.assert_array_equal(clip.frames, np.arange(start, start + reference.n_frames))
    assert clip.fps == pytest.approx(reference.fps, rel=1e-3)
    assert clip.lost == ()
    assert len(clip.source_sha256) == 64


def test_metres_and_y_up(clip):
    """A person of a plausible height who stands on the legs, with the head up."""
    x = clip.joints
    feet = (x[:, J["l_ankle"]] + x[:, J["r_ankle"]]) / 2
    height = (x[:, J["head"]] - feet)[:, 1]
    assert 1.2 < height.mean() < 2.1
    hips = (x[:, J["l_hip"]] + x[:, J["r_hip"]]) / 2
    assert (hips - feet)[:, 1].min() > 0.5
    shin = np.linalg.norm(x[:, J["l_knee"]] - x[:, J["l_ankle"]], axis=-1)
    assert 0.3 < shin.min() <= shin.max() < 0.5
    assert np.ptp(shin) < 0.15


def test_positions_in_the_world(reference, clip):
    """The root's way is kept: right-handed, to the front, which left and right decide."""
    hips = (clip.joints[:, J["l_hip"]] + clip.joints[:, J["r_hip"]]) / 2
    way = hips[-1] - hips[0]
    np.testing.assert_allclose(way, reference.moved, atol=0.05)
    assert forward_of(clip.joints)[0] @ way > 0


def test_poses_of_the_bank_are_relative_to_the_body_centre(reference, clip):
    bank, _ = poses_from_clip(clip, BankSettings(fps=reference.fps, min_distance_mm=0))
    assert bank.joints_3d.dtype == np.float32
    assert len(set(bank.pose_id)) == len(bank) > 1
    place = {frame: row for row, frame in enumerate(clip.frames)}
    rows = [place[frame] for frame in bank.frame]
    np.testing.assert_allclose(bank.joints_3d, centred(clip.joints[rows]), atol=1e-6)


def test_reading_again_and_by_folder_gives_the_same(reference, path, options, clip, tmp_path):
    for source in (path, tmp_path / "data"):
        again = read_clip(the_clip(reference, source, options))
        np.testing.assert_array_equal(again.joints, clip.joints)
        np.testing.assert_array_equal(again.frames, clip.frames)
        assert again.source_sha256 == clip.source_sha256
    assert the_clip(reference, tmp_path / "data", options).name


def test_given_rate_replaces_the_stated_one(reference, path, options, clip):
    source = the_clip(reference, path, options)
    slow = read_clip(source, fps=17.5)
    assert slow.fps == 17.5
    np.testing.assert_array_equal(slow.joints, clip.joints)
    for rate in (0, -1, np.nan, np.inf):
        with pytest.raises(SettingsError, match="fps"):
            read_clip(source, fps=rate)


def test_options_that_the_format_states_are_refused(reference, path, options):
    source = the_clip(reference, path, options)
    values = {"unit": "cm", "up": "x", "joints": {"head": ("top",)}}
    for name in reference.refused:
        with pytest.raises(SettingsError, match=name):
            read_clip(source, **{name: values[name]})


def test_described(reference, path, options):
    facts = describe_clip(the_clip(reference, path, options))
    assert facts["file"] == str(path)
    assert facts["dataset"] == reference.dataset
    assert facts["frames"] == reference.n_frames
    assert facts["lost"] == []


def test_frames_that_are_not_finite_are_set_aside(reference, path, options, clip):
    reference.damage(path)
    damaged = read_clip(the_clip(reference, path, options))
    assert np.isfinite(damaged.joints).all()
    kept = np.isin(clip.frames, damaged.frames)
    assert not kept[2]
    np.testing.assert_allclose(damaged.joints, clip.joints[kept], atol=1e-9)
    assert damaged.lost[0].startswith(f"1 of {reference.n_frames} frames set aside")


def read_or_reason(reference, path, options):
    """The clip, or the reason why it is not read, which names the file."""
    try:
        clips, rejected = discover(reference.dataset, [path], options)
        for clip in clips:
            if clip.subject != "S1":
                return read_clip(clip), ""
        assert rejected
        return None, f"{rejected[0].where}: {rejected[0].reason}"
    except PosebankError as error:
        return None, str(error)


@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.5, 0.9, 0.99])
def test_truncated_file_is_an_error_or_its_good_part(reference, path, options, clip, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    read, reason = read_or_reason(reference, path, options)
    if read is None:
        assert path.name in reason
        assert "\n" not in reason
        return
    assert part > 0
    assert read.lost or len(read.frames) == len(clip.frames)  # all of them: only a trailer is cut
    kept = np.isin(clip.frames, read.frames)
    assert kept.sum() == len(read.frames)
    np.testing.assert_allclose(read.joints, clip.joints[kept], atol=1e-9)


def test_missing_file_and_other_content(reference, path, options):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    read, reason = read_or_reason(reference, path, options)
    assert read is None
    assert path.name in reason
    path.unlink()
    with pytest.raises(SourceError, match=path.name):
        discover(reference.dataset, [path], options)
