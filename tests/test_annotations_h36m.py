"""Human3.6M in the forms it is passed on in: the same people from each."""

import pickle
import zipfile
from pathlib import Path

import annotation_files as af
import h5py
import numpy as np
import pytest

from posebank.annotations import read_annotations
from posebank.annotations.h36m import PROTOCOLS, View, frames_of
from posebank.annotations.h36m_files import CAMERAS, read_cameras, read_cdf, read_npz_positions
from posebank.annotations.mapping import H36M_NAMES
from posebank.errors import PosebankError, SettingsError
from posebank.skeleton import J, body_centre

CLIPS = {("S1", "Walking"): 11, ("S1", "Walking 1"): 12, ("S9", "Walking"): 13, ("S9", "Eating"): 7}


@pytest.fixture
def cameras():
    return af.h36m_cameras(np.random.default_rng(5))


@pytest.fixture
def poses():
    """(subject, clip) -> (n, 32, 3) millimetres, world."""
    rng = np.random.default_rng(6)
    return {clip: rng.normal([0, 0, 1000], 300, (n, 32, 3)) for clip, n in CLIPS.items()}


def projected(points, cameras, c):
    """Slow reference, point by point: the data set's own lens model."""
    flat, solid = np.empty((*points.shape[:2], 2)), np.empty(points.shape)
    for i in np.ndindex(points.shape[:2]):
        x, y, z = solid[i] = cameras["R"][c] @ (points[i] - cameras["T"][c])
        u, v = x / z, y / z
        r2 = u * u + v * v
        k, p = cameras["k"][c], cameras["p"][c]
        lens = 1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3 + p[0] * v + p[1] * u
        flat[i] = cameras["f"][c] * [u * lens + p[1] * r2, v * lens + p[0] * r2] + cameras["c"][c]
    return flat, solid


def write_cdf_tree(root: Path, poses, cameras):
    for (subject, clip), points in poses.items():
        for c, name in enumerate(CAMERAS):
            flat, solid = projected(points, cameras, c)
            features = root / subject / "MyPoseFeatures"
            for folder, values in (("D2_Positions", flat), ("D3_Positions_mono", solid)):
                path = features / folder / f"{clip}.{name}.cdf"
                af.write_cdf(path, values.reshape(len(values), -1))
    return root


def write_h5_tree(root: Path, poses, cameras):
    for (subject, clip), points in poses.items():
        folder = root / subject / "MyPoses" / "3D_positions"
        folder.mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / f"{clip}.h5", "w") as file:
            file["3D_positions"] = points.reshape(len(points), -1).T
    af.write_h36m_cameras(root / "cameras.h5", cameras, [1, 9])
    return root


def write_npz_folder(root: Path, poses, cameras):
    root.mkdir()
    nested: dict = {}
    for (subject, clip), points in poses.items():
        nested.setdefault(subject, {})[clip] = (points / 1000).astype(np.float32)
    np.savez_compressed(root / "data_3d_h36m.npz", positions_3d=nested)
    af.write_h36m_cameras(root / "cameras.h5", cameras, [1, 9])
    return root


def test_the_three_forms_agree(tmp_path, poses, cameras):
    folders = [
        write(tmp_path / name, poses, cameras)
        for name, write in (
            ("cdf", write_cdf_tree),
            ("h5", write_h5_tree),
            ("npz", write_npz_folder),
        )
    ]
    results = [read_annotations("h36m", folder) for folder in folders]
    people = results[0].people
    # p2 and every 5th frame: S1 3 + 3, S9 3 + 2 frames, of four cameras each
    assert len(people) == 4 * (3 + 3 + 3 + 2)
    assert sorted(set(zip(people.split, [i[:2] for i in people.image], strict=True))) == [
        ("test", "S9"),
        ("train", "S1"),
    ]
    for other in results[1:]:
        assert other.people.person_id.tolist() == people.person_id.tolist()
        np.testing.assert_allclose(other.people.joints_2d, people.joints_2d, atol=2e-3)
        np.testing.assert_allclose(other.people.joints_3d, people.joints_3d, atol=2e-6)
    assert results[0].stats["people_in_file"] == 4 * sum(CLIPS.values())


def test_values_by_hand(tmp_path, poses, cameras):
    folder = write_cdf_tree(tmp_path / "cdf", poses, cameras)
    people = read_annotations("h36m", folder).people
    row = people.image.tolist().index("S9_Walking.55011271_000006.jpg")
    flat, solid = projected(poses["S9", "Walking"][5:6], cameras, 1)
    wrist = H36M_NAMES.index("r_wrist")
    assert wrist == 27
    np.testing.assert_allclose(people.joints_2d[row, J["r_wrist"]], flat[0, wrist], rtol=1e-6)
    torso = [solid[0, H36M_NAMES.index(n)] for n in ("r_hip", "l_hip", "r_shoulder", "l_shoulder")]
    expected = (solid[0, wrist] - np.mean(torso, axis=0)) / 1000
    np.testing.assert_allclose(people.joints_3d[row, J["r_wrist"]], expected, atol=1e-6)
    np.testing.assert_allclose(body_centre(people.joints_3d), 0, atol=1e-6)
    assert (people.image_width[row], people.image_height[row]) == (1000, 1000)
    assert people.video_id[row] == "S9_Walking.55011271"


def test_protocols(tmp_path, poses, cameras):
    folder = write_h5_tree(tmp_path / "h5", poses, cameras)
    result = read_annotations("h36m", folder, protocol="p3", train_step=4)
    test = result.people.take(result.people.split == "test")
    # camera 3, trial 1 of S9, every 5th frame of 13 and of 7
    assert {v.split(".")[1] for v in test.video_id} == {CAMERAS[2]}
    assert len(test) == 3 + 2
    assert (result.people.split == "train").sum() == 4 * (3 + 3)
    left_out = [r for r in result.rejected if "S9_Eating.54138969" in r.where]
    assert left_out[0].reason == "7 of 7 frames are not taken by protocol p3"
    kept = len(result.people)
    lost = sum(int(r.reason.split()[0]) for r in result.rejected)
    assert kept + lost == result.stats["people_in_file"]

    view = View("S11", "Posing", "Posing", 1, CAMERAS[1], np.empty((129, 32, 2)), np.empty(0))
    split, frames = frames_of(view, PROTOCOLS["p1"], 5)
    assert (split, frames.tolist()) == ("test", [0, 64, 128])
    with pytest.raises(SettingsError, match="p1, p2, p3"):
        read_annotations("h36m", folder, protocol="p4")


def test_cameras_of_the_xml(tmp_path, cameras):
    angles = np.random.default_rng(2).uniform(-1, 1, (4, 3))
    found = read_cameras(af.write_h36m_xml(tmp_path / "metadata.xml", angles, cameras))
    assert len(found) == 44
    camera = found["S11", CAMERAS[2]]
    a, b, c = angles[2]
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    np.testing.assert_allclose(camera.rotation, np.array(about_x) @ about_y @ about_z)
    np.testing.assert_allclose(camera.position, cameras["T"][2] / 1000)
    np.testing.assert_allclose(camera.tangential, cameras["p"][2])


def test_a_damaged_clip_is_set_aside(tmp_path, poses, cameras):
    folder = write_cdf_tree(tmp_path / "cdf", poses, cameras)
    bad = folder / "S9" / "MyPoseFeatures" / "D2_Positions" / "Eating.55011271.cdf"
    bad.write_bytes(bad.read_bytes()[:300])
    result = read_annotations("h36m", folder)
    assert len(result.people) == 4 * 11 - 2
    assert any(r.where == str(bad) for r in result.rejected)


def test_an_npz_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    array = np.empty((), dtype=object)
    array[()] = Evil()
    path = tmp_path / "data_3d_h36m.npz"
    np.savez(path, positions_3d=array)
    with pytest.raises(PosebankError, match="not allowed in a data file"):
        read_npz_positions(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"\xcd\xf3\x00\x01" + bytes(400), pickle.dumps(1)])
def test_no_such_file(tmp_path, content):
    path = tmp_path / "x.cdf"
    path.write_bytes(content)
    with pytest.raises(PosebankError, match=r"x\.cdf"):
        read_cdf(path, 2)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("positions_3d.npy", content)
    with pytest.raises(PosebankError, match=r"x\.npz"):
        read_npz_positions(tmp_path / "x.npz")


def test_sizes_and_chains_of_a_cdf_are_checked_before_they_are_followed(tmp_path):
    path = af.write_cdf(tmp_path / "x.cdf", np.arange(5 * 64.0).reshape(5, 64))
    whole = path.read_bytes()
    np.testing.assert_array_equal(read_cdf(path, 2).ravel(), np.arange(5 * 64))
    gdr = int.from_bytes(whole[20:28], "big")
    vdr = int.from_bytes(whole[gdr + 20 : gdr + 28], "big")
    for at, value, message in [
        (gdr + 56, (1 << 31) - 1, "at most 10 dimensions"),
        (vdr + 340, 1 << 30, "at most 10 dimensions"),
        (gdr + 60, 1 << 30, "as many records"),
        (vdr + 24, (1 << 31) - 2, "fits the file"),
    ]:
        path.write_bytes(whole[:at] + value.to_bytes(4, "big") + whole[at + 4 :])
        with pytest.raises(PosebankError, match=message):
            read_cdf(path, 2)
    path.write_bytes(whole[: vdr + 12] + vdr.to_bytes(8, "big") + whole[vdr + 20 :])
    with pytest.raises(PosebankError, match="circle"):
        read_cdf(path, 2)
