import h5py
import numpy as np
import pytest
from annotation_files import write_cdf

from posebank.annotations.mapping import H36M_NAMES
from posebank.errors import SourceError
from posebank.mocap import describe_clip, discover, poses_from_clip, read_clip
from posebank.mocap.bank import BankSettings
from posebank.skeleton import JOINT_NAMES, J

PLACES = {
    "hip": (0.1, 0.0, 0.9), "knee": (0.1, 0.0, 0.5), "ankle": (0.1, 0.0, 0.1),
    "shoulder": (0.2, 0.0, 1.4), "elbow": (0.2, 0.0, 1.1), "wrist": (0.2, 0.1, 0.9),
}  # fmt: skip


@pytest.fixture
def poses():
    """A body in metres, z up, swaying: (7, 32, 3)."""
    body = np.zeros((7, 32, 3))
    for i, name in enumerate(H36M_NAMES):
        side, _, joint = name.partition("_")
        if joint in PLACES:
            body[:, i] = np.array(PLACES[joint]) * ((-1 if side == "r" else 1), 1, 1)
    body[:, H36M_NAMES.index("head_top")] = (0, 0, 1.7)
    body[..., 1] += np.linspace(0, 0.1, 7)[:, None]
    return body


def write(folder, kind, poses):
    if kind == "cdf":
        path = folder / "S5" / "MyPoseFeatures" / "D3_Positions" / "Walking 1.cdf"
        write_cdf(path, poses.reshape(7, 96) * 1000)
        write_cdf(path.parent.with_name("D3_Positions_mono") / path.name, poses.reshape(7, 96))
    elif kind == "h5":
        path = folder / "S5" / "MyPoses" / "3D_positions" / "Walking 1.h5"
        path.parent.mkdir(parents=True)
        with h5py.File(path, "w") as file:
            file["3D_positions"] = poses.reshape(7, 96).T * 1000
    else:
        path = folder / "data_3d_h36m.npz"
        subjects = {"S5": {"Walking 1": poses}, "S1": {"Sitting": poses * 0.9}}
        np.savez(path, positions_3d=np.array(subjects, dtype=object))
    return path


@pytest.mark.parametrize("kind", ["cdf", "h5", "npz"])
def test_world_poses_of_every_form(tmp_path, poses, kind):
    path = write(tmp_path, kind, poses)
    clips, rejected = discover("h36m", [tmp_path])
    assert rejected == []
    clip = next(c for c in clips if c.subject == "S5")
    assert len(clips) == (2 if kind == "npz" else 1)
    assert clip.name == "S5/Walking 1"
    got = read_clip(clip)
    assert got.fps == 50.0
    expected = poses[:, H36M_NAMES.index("l_wrist")][:, [1, 2, 0]]
    np.testing.assert_allclose(got.joints[:, J["l_wrist"]], expected, atol=1e-6)
    np.testing.assert_allclose(got.joints[0, J["head"]], [0, 1.7, 0], atol=1e-6)
    facts = describe_clip(clip)
    assert facts["mapping"]["head"] == "head_top"
    assert set(facts["mapping"]) == set(JOINT_NAMES)
    assert len(got.source_sha256) == 64
    assert len(poses_from_clip(got, BankSettings())[0]) == 2
    path.write_bytes(path.read_bytes()[:200])
    if kind == "npz":
        clips, rejected = discover("h36m", [tmp_path])
        assert clips == []
        assert "npz" in rejected[0].reason
    else:
        with pytest.raises(SourceError):
            read_clip(clip)


def test_frames_that_are_not_finite_are_set_aside(tmp_path, poses):
    poses[3, H36M_NAMES.index("r_knee"), 1] = np.nan
    write(tmp_path, "h5", poses)
    clip = read_clip(discover("h36m", [tmp_path])[0][0])
    np.testing.assert_array_equal(clip.frames, [0, 1, 2, 4, 5, 6])
    assert clip.lost == ("1 of 7 frames set aside: not finite",)


def test_camera_poses_are_no_source(tmp_path, poses):
    write(tmp_path, "cdf", poses)
    with pytest.raises(SourceError, match="found none"):
        discover("h36m", [tmp_path / "S5" / "MyPoseFeatures" / "D3_Positions_mono"])
