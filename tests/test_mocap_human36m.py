import numpy as np
import pytest
from human36m_files import swaying_body, write_human36m

from posebank.annotations.mapping import H36M_NAMES
from posebank.errors import SourceError
from posebank.mocap import describe_clip, discover, poses_from_clip, read_clip
from posebank.mocap.bank import BankSettings
from posebank.skeleton import JOINT_NAMES, J


@pytest.fixture
def poses():
    return swaying_body(7)


@pytest.mark.parametrize("kind", ["cdf", "h5", "npz"])
def test_world_poses_of_every_form(tmp_path, poses, kind):
    path = write_human36m(tmp_path, kind, poses)
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
    write_human36m(tmp_path, "h5", poses)
    clip = read_clip(discover("h36m", [tmp_path])[0][0])
    np.testing.assert_array_equal(clip.frames, [0, 1, 2, 4, 5, 6])
    assert clip.lost == ("1 of 7 frames set aside: not finite",)


def test_camera_poses_are_no_source(tmp_path, poses):
    write_human36m(tmp_path, "cdf", poses)
    with pytest.raises(SourceError, match="found none"):
        discover("h36m", [tmp_path / "S5" / "MyPoseFeatures" / "D3_Positions_mono"])
