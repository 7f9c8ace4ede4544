import numpy as np
import pytest
from mocap_files import c3d_bytes

from posebank.errors import SourceError
from posebank.mocap.c3d import NEEDED_MARKERS, joint_centres, parse_markers, read_c3d
from posebank.mocap.c3d_file import parse_c3d
from posebank.mocap.sources import ClipSource, read_clip
from posebank.skeleton import JOINT_NAMES, J


def source(path):
    return ClipSource("c3d", path, None, "a", path.stem)


@pytest.fixture
def walk(shared_data):
    return shared_data / "cmu" / "c3d" / "02_01.c3d"


def test_container_agrees_with_ezc3d(walk):
    ezc3d = pytest.importorskip("ezc3d")
    theirs = ezc3d.c3d(str(walk))
    ours = parse_c3d(walk.read_bytes(), walk)
    expected = np.moveaxis(theirs["data"]["points"][:3], (0, 1, 2), (2, 1, 0))
    np.testing.assert_allclose(ours.points, expected, atol=1e-9)
    point = theirs["parameters"]["POINT"]
    assert ours.parameters["POINT:LABELS"] == point["LABELS"]["value"]
    assert ours.rate == point["RATE"]["value"][0] == 120.0
    assert ours.parameters["SEG:MARKER_DIAMETER"][0] == 14.0


@pytest.mark.parametrize("processor", [84, 85, 86])
@pytest.mark.parametrize("as_float", [True, False])
def test_number_formats(tmp_path, processor, as_float):
    points = np.random.default_rng(0).uniform(-900, 900, (5, 4, 3))
    points[2, 3] = np.nan
    data = c3d_bytes(points, ["S:A", "S:B", "S:C", "S:D"], processor, as_float)
    got = parse_c3d(data, tmp_path / "a.c3d")
    np.testing.assert_allclose(got.points, points, atol=1e-4 if as_float else 0.026)
    assert got.first_frame == 7
    motion = parse_markers(data, tmp_path / "a.c3d")
    assert motion.labels == ("A", "B", "C", "D")
    assert motion.subject == "S"
    np.testing.assert_allclose(motion.markers, got.points[..., [1, 2, 0]] / 1000, atol=1e-12)


@pytest.mark.parametrize(("up", "axes"), [("+Z", [1, 2, 0]), ("+Y", [0, 1, 2]), ("+X", [2, 0, 1])])
def test_the_vertical_axis_is_the_files(tmp_path, up, axes):
    points = np.random.default_rng(1).uniform(-9, 9, (2, 3, 3))
    motion = parse_markers(c3d_bytes(points, list("ABC"), up=up, unit="m"), tmp_path / "a.c3d")
    np.testing.assert_allclose(motion.markers, points[..., axes], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"up": "-Q"}, "Y_SCREEN"), ({"unit": "ft"}, "UNITS"), ({"rate": 0.0}, "RATE")],
)
def test_what_is_not_stated_is_not_guessed(tmp_path, settings, message):
    data = c3d_bytes(np.zeros((2, 3, 3)), list("ABC"), **settings)
    with pytest.raises(SourceError, match=message):
        parse_markers(data, tmp_path / "a.c3d")


def test_missing_markers_are_named(tmp_path):
    labels = [m for m in NEEDED_MARKERS if m != "LKNE"]
    path = tmp_path / "a.c3d"
    path.write_bytes(c3d_bytes(np.zeros((2, len(labels), 3)), labels))
    with pytest.raises(SourceError, match=r"41-marker set.*without LKNE"):
        read_clip(source(path))


def test_frames_with_hidden_markers_are_set_aside(walk, tmp_path):
    motion = read_c3d(walk)
    points = motion.markers[:20][..., [2, 0, 1]] * 1000  # y up back to z up
    points[4, motion.labels.index("LKNE")] = np.nan
    points[5, motion.labels.index("LFIN")] = np.nan  # not needed
    path = tmp_path / "a.c3d"
    path.write_bytes(c3d_bytes(points, list(motion.labels)))
    clip = read_clip(source(path))
    assert len(clip.frames) == 19
    assert clip.frames[0] == 7
    assert clip.lost == ("1 of 20 frames set aside: a needed marker is not seen",)


def test_a_cut_file_keeps_its_frames(walk, tmp_path):
    path = tmp_path / "a.c3d"
    path.write_bytes(walk.read_bytes()[:-10_000])
    whole, cut = read_clip(source(walk)), read_clip(source(path))
    assert 300 < len(cut.frames) < len(whole.frames) == 343
    np.testing.assert_array_equal(cut.joints, whole.joints[: len(cut.frames)])
    assert "declares 343 frames" in cut.lost[0]


def test_joint_centres_lie_near_those_of_the_amc(walk, shared_data):
    """Markers and Vicon's own skeleton of the same walk: every joint within 60 mm on average."""
    folder = shared_data / "cmu" / "subjects" / "02"
    amc = read_clip(ClipSource("cmu", folder / "02_01.amc", folder / "02.asf", "02", "02_01"))
    c3d = read_clip(source(walk))
    assert len(c3d.frames) == len(amc.frames) == 343
    apart = np.linalg.norm(c3d.joints - amc.joints, axis=-1).mean(axis=0)
    for name in JOINT_NAMES:
        assert apart[J[name]] < 0.060, name
    for side in "rl":  # the person's own sides
        assert apart[J[f"{side}_ankle"]] < 0.012
    assert joint_centres(read_c3d(walk)).shape == (343, 13, 3)


def test_not_a_c3d(tmp_path):
    path = tmp_path / "a.c3d"
    for data in (b"", b"\x02P", b"\x02\x50" * 600, b"\xff\x50" + bytes(2000)):
        path.write_bytes(data)
        with pytest.raises(SourceError):
            read_clip(source(path))
    with pytest.raises(SourceError, match="readable"):
        read_clip(source(tmp_path / "none.c3d"))
