import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from c3d_files import MARKERS, OTHER_NAMES, c3d_with, renamed, walker
from click.testing import CliRunner

from posebank.errors import SettingsError, SourceError
from posebank.mocap import discover
from posebank.mocap.c3d import (
    NEEDED_MARKERS,
    c3d_people,
    joint_centres,
    parse_markers,
    read_c3d,
    read_c3d_clip,
)
from posebank.mocap.c3d_file import parse_c3d
from posebank.mocap.options import ReadOptions
from posebank.mocap.sources import ClipSource, read_clip
from posebank.skeleton import JOINT_NAMES, J
from posebank_cli.main import main as posebank

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases" / "mocap"
WHERE = Path("walk.c3d")
N_FRAMES = 70
BOBS_PLACE = np.array([0.5, 0.0, 3.0])  # of two_people, from Ann's


def source(path):
    return ClipSource("c3d", path, None, "a", path.stem)


def read(options=None, person=None, points=None, labels=MARKERS, **faults):
    """The clip of the made-up walker in a file with these faults."""
    data = c3d_with(walker(N_FRAMES) if points is None else points, labels, **faults)
    return read_c3d_clip(data, WHERE, options, person)


@pytest.fixture(scope="module")
def sound():
    """The walker in a file without fault."""
    return read()


@pytest.fixture
def walk(shared_data):
    return shared_data / "cmu" / "c3d" / "02_01.c3d"


# --- the container


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
    assert ours.notes == ()


@pytest.mark.parametrize("processor", [84, 85, 86])
@pytest.mark.parametrize("as_float", [True, False])
def test_number_formats(tmp_path, processor, as_float):
    points = np.random.default_rng(0).uniform(-900, 900, (5, 4, 3))
    points[2, 3] = np.nan
    data = c3d_with(
        points,
        ["S:A", "S:B", "S:C", "S:D"],
        processor=processor,
        as_float=as_float,
        first=7,
        step=0.05,
    )
    got = parse_c3d(data, tmp_path / "a.c3d")
    np.testing.assert_allclose(got.points, points, atol=1e-4 if as_float else 0.026)
    assert got.first_frame == 7
    motion = parse_markers(data, tmp_path / "a.c3d")
    assert motion.labels == ("A", "B", "C", "D")
    assert motion.subject == "S"
    np.testing.assert_allclose(motion.markers, got.points[..., [1, 2, 0]] / 1000, atol=1e-12)


@pytest.mark.parametrize("processor", [84, 85, 86])
@pytest.mark.parametrize("as_float", [True, False])
@pytest.mark.parametrize(
    "faults",
    [
        {"analog": (3, 5), "header_analog": 3},  # channels where samples belong
        {"analog": (3, 5), "header_analog": 0},
        {"header_points": 23},
        {"used": 25},
        {"header_last": 65535, "frames": 65535, "trial": (1, N_FRAMES)},
        {"header_last": 30},  # POINT:FRAMES says more, and fits
        {"frames": 1, "header_last": N_FRAMES},
    ],
)
def test_what_fits_the_length_of_the_file_wins(sound, processor, as_float, faults):
    got = read(processor=processor, as_float=as_float, **faults)
    np.testing.assert_allclose(got.joints, sound.joints, atol=1e-3)
    assert got.lost == ()


def test_contradictions_are_told():
    got = read(analog=(3, 5), header_analog=3)
    assert got.facts["contradictions"] == [
        "header and parameters contradict each other; the length of the file says 24 points and "
        "15 analog samples a frame, float, from byte 1024"
    ]
    assert got.notes == ("the file contradicts itself or is damaged, see posebank inspect",)
    assert read().notes == ()


def test_a_contradiction_that_nothing_settles_is_refused():
    data = c3d_with(walker(20), MARKERS, header_points=20)
    with pytest.raises(SourceError, match=r"neither fits.*20 points.*24 points"):
        read_c3d_clip(data[:-1000], WHERE)


@pytest.mark.parametrize(
    "faults",
    [
        {"header_last": 65535, "frames": 65535, "trial": (1, 70_000)},
        {"header_last": 65535, "frames": 65535},
        {"header_last": 70_000 % 65536, "frames": 70_000 % 65536},  # 16 bits wrapped around
        {"header_last": 65535, "frames": 65535, "long_frames": 70_000.0},
        {"header_last": 65535, "frames": 65535, "tail": bytes(-(70_000 * 32) % 512)},
    ],
)
def test_more_frames_than_16_bits_count(faults):
    points = np.random.default_rng(0).uniform(1, 9, (70_000, 2, 3))
    got = parse_c3d(c3d_with(points, ["A", "B"], **faults), WHERE)
    assert got.points.shape == (70_000, 2, 3)
    assert got.declared_frames == 70_000
    np.testing.assert_allclose(got.points[-1], points[-1], atol=1e-5)


def test_frames_are_numbered_from_where_the_trial_begins():
    points = np.random.default_rng(0).uniform(1, 9, (40, 2, 3))
    data = c3d_with(points, ["A", "B"], first=65535, header_last=65535, trial=(70_001, 70_040))
    assert parse_c3d(data, WHERE).first_frame == 70_001
    assert parse_c3d(c3d_with(points, ["A", "B"], first=7), WHERE).first_frame == 7


def test_a_cut_file_keeps_its_frames(walk, tmp_path):
    path = tmp_path / "a.c3d"
    path.write_bytes(walk.read_bytes()[:-10_000])
    whole, cut = read_clip(source(walk)), read_clip(source(path))
    assert 300 < len(cut.frames) < len(whole.frames) == 343
    np.testing.assert_array_equal(cut.joints, whole.joints[: len(cut.frames)])
    assert "declares 343 frames" in cut.lost[0]


@pytest.mark.parametrize("pad", [" ", "\0"])
@pytest.mark.parametrize("labels_per_parameter", [255, 10])
def test_padding_and_long_lists_of_labels(sound, pad, labels_per_parameter):
    got = read(pad=pad, labels_per_parameter=labels_per_parameter)
    np.testing.assert_array_equal(got.joints, sound.joints)


def test_a_body_among_more_labels_than_one_parameter_holds(sound):
    points = np.concatenate([np.full((N_FRAMES, 290, 3), 44.0), walker(N_FRAMES)], axis=1)
    got = read(points=points, labels=[f"C{i}" for i in range(290)] + MARKERS)
    np.testing.assert_array_equal(got.joints, sound.joints)
    assert got.facts["markers"] == 314


def test_points_without_a_label_are_left_alone(sound):
    points = np.concatenate([walker(N_FRAMES), np.full((N_FRAMES, 3, 3), 9.0)], axis=1)
    np.testing.assert_array_equal(read(points=points).joints, sound.joints)


@pytest.mark.parametrize(
    "faults",
    [
        {"junk": bytes(range(1, 200))},
        {"extra": [("STRANGE", b"\x09\x00\x01\x02")]},  # a type that does not exist
        {"extra": [("HUGE", bytes([4, 3, 255, 255, 255, 0]))]},  # larger than the file
        {"extra": [("MANY", bytes([4, 12, *[255] * 12]))]},  # more than a C long can count
        {"wrong_pointer": True},
        {"n_blocks": 0},
    ],
)
def test_junk_in_the_parameter_section_costs_itself(sound, faults):
    np.testing.assert_array_equal(read(**faults).joints, sound.joints)


def test_not_a_c3d(tmp_path):
    path = tmp_path / "a.c3d"
    for data in (b"", b"\x02P", b"\x02\x50" * 600, b"\xff\x50" + bytes(2000)):
        path.write_bytes(data)
        with pytest.raises(SourceError):
            read_clip(source(path))
    with pytest.raises(SourceError, match="readable"):
        read_clip(source(tmp_path / "none.c3d"))


# --- units and axes


@pytest.mark.parametrize(
    ("units", "metres"),
    [
        ("mm", 0.001),
        ("MM", 0.001),
        ("millimeters", 0.001),
        ("cm", 0.01),
        ("Centimetres", 0.01),
        ("m", 1.0),
        ("mete", 1.0),
        ("METERS", 1.0),
        ("in", 0.0254),
        ("inches", 0.0254),
    ],
)
def test_units(sound, units, metres):
    got = read(points=walker(N_FRAMES) / 1000 / metres, units=units)
    np.testing.assert_allclose(got.joints, sound.joints, atol=1e-5)
    assert got.facts["metres_per_unit"] == metres


@pytest.mark.parametrize("units", [None, ""])
@pytest.mark.parametrize("metres", [0.001, 0.01, 1.0, 0.0254])
def test_a_unit_that_is_not_stated_follows_from_the_legs(sound, units, metres):
    got = read(points=walker(N_FRAMES) / 1000 / metres, units=units)
    np.testing.assert_allclose(got.joints, sound.joints, atol=1e-5)
    assert "from the length of the legs" in got.facts["unit"]


def test_the_user_knows_better(sound):
    points = walker(N_FRAMES) / 1000 / 0.3048
    with pytest.raises(SourceError, match=r"UNITS.*'ft'; give --unit"):
        read(points=points, units="ft")
    np.testing.assert_allclose(
        read(ReadOptions(unit="0.3048"), points=points, units="ft").joints, sound.joints, atol=1e-5
    )
    with pytest.raises(SourceError, match=r"legs"):
        read(points=points, units="mm")
    with pytest.raises(SourceError, match="--fps"):
        read(rate=0.0)
    assert read(ReadOptions(fps=50.0), rate=0.0).fps == 50.0


@pytest.mark.parametrize(("up", "axes"), [("+Z", [1, 2, 0]), ("+Y", [0, 1, 2]), ("+X", [2, 0, 1])])
def test_the_vertical_axis_is_the_files(tmp_path, up, axes):
    points = np.random.default_rng(1).uniform(-9, 9, (2, 3, 3))
    motion = parse_markers(
        c3d_with(points, list("ABC"), y_screen=up, x_screen=None, units="m"), tmp_path / "a.c3d"
    )
    np.testing.assert_allclose(motion.markers, points[..., axes], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"y_screen": "-Q"}, "Y_SCREEN"), ({"units": "ft"}, "UNITS"), ({"rate": 0.0}, "RATE")],
)
def test_what_is_not_stated_is_not_guessed_without_a_body(tmp_path, settings, message):
    data = c3d_with(np.zeros((2, 3, 3)), list("ABC"), **settings)
    with pytest.raises(SourceError, match=message):
        parse_markers(data, tmp_path / "a.c3d")


def heights(clip):
    return clip.joints[..., 1].mean(axis=0)


@pytest.mark.parametrize("stated", [None, "", "-Z", "+Y", "+X", "+Q"])
def test_the_vertical_from_the_body(sound, stated):
    """Absent, pointing down, or another axis although the person walks on a floor."""
    got = read(y_screen=stated, x_screen="+X" if stated != "+X" else "+Y")
    np.testing.assert_allclose(heights(got), heights(sound), atol=1e-5)
    assert len(got.notes) == 1


@pytest.mark.parametrize(
    ("up", "axes", "signs"),
    [
        ("+Y", [1, 2, 0], 1),
        ("+X", [2, 0, 1], 1),
        ("-Z", [0, 1, 2], (1, -1, -1)),
        ("-Y", [0, 2, 1], (1, -1, 1)),
        ("-X", [2, 1, 0], (-1, 1, 1)),
    ],
)
def test_axes_that_are_not_stated(sound, up, axes, signs):
    got = read(points=walker(N_FRAMES)[..., axes] * signs, y_screen=None, x_screen=None)
    assert got.facts["axes"] == f"{up} up in the file, turned to y up"
    np.testing.assert_allclose(heights(got), heights(sound), atol=1e-5)


def test_a_person_who_lies_is_not_turned():
    """Head towards +y on a floor at a right angle to the stated z, the legs moving."""
    points = walker(N_FRAMES)
    points[..., 1] -= 6.0 * np.arange(N_FRAMES)[:, None]
    lying = np.stack([points[..., 0], points[..., 2], 120.0 - points[..., 1]], axis=-1)
    got = read(points=lying)
    assert np.ptp(heights(got)) < 0.5
    assert got.notes == ()
    assert heights(read(ReadOptions(up="y"), points=lying))[J["head"]] > 1.4


def test_a_body_along_no_axis_needs_the_option():
    s = np.sqrt(0.5)
    tilted = walker(N_FRAMES) @ np.array([[1, 0, 0], [0, s, s], [0, -s, s]])
    with pytest.raises(SourceError, match=r"upright along none; give --up"):
        read(points=tilted, y_screen=None)
    assert len(read(ReadOptions(up="z"), points=tilted, y_screen=None).frames) == N_FRAMES


# --- what was not seen


def test_frames_with_hidden_markers_are_set_aside(walk, tmp_path):
    motion = read_c3d(walk)
    points = motion.markers[:20][..., [2, 0, 1]] * 1000  # y up back to z up
    points[4, motion.labels.index("LKNE")] = np.nan
    points[5, motion.labels.index("LFIN")] = np.nan  # not needed
    path = tmp_path / "a.c3d"
    path.write_bytes(c3d_with(points, list(motion.labels), first=7))
    clip = read_clip(source(path))
    assert len(clip.frames) == 19
    assert clip.frames[0] == 7
    assert clip.lost == ("1 of 20 frames set aside: a needed marker is not seen",)


@pytest.mark.parametrize("as_float", [True, False])
def test_zeros_are_not_places(as_float):
    points = walker(N_FRAMES)
    points[10:20, MARKERS.index("RELB")] = 0.0
    points[60:, MARKERS.index("LFHD")] = 0.0
    got = read(points=points, as_float=as_float)
    assert got.frames.tolist() == [*range(1, 11), *range(21, 61)]
    assert got.lost == ("20 of 70 frames set aside: a needed marker is not seen",)


def test_an_upper_body_of_zeros_was_not_captured():
    points = walker(N_FRAMES)
    arms = ("SHO", "ELB", "WRA", "WRB", "FHD", "BHD")
    points[:, [m[1:] in arms for m in MARKERS]] = 0.0
    with pytest.raises(SourceError, match=r"expected a frame with all needed.*never seen.*LFHD"):
        read(points=points)


def test_a_marker_that_passes_the_origin_was_seen():
    points = walker(N_FRAMES)
    points -= points[30, MARKERS.index("LHEE")]
    got = read(points=points)
    assert len(got.frames) == N_FRAMES


def test_zeros_with_a_residual_are_places():
    points = walker(N_FRAMES)
    points[20, MARKERS.index("RELB")] = 0.0
    assert len(read(points=points, residual=1.5).frames) == N_FRAMES


# --- people and names


def test_missing_markers_are_named(tmp_path):
    labels = [m for m in NEEDED_MARKERS if m != "LKNE"]
    path = tmp_path / "a.c3d"
    path.write_bytes(c3d_with(np.zeros((2, len(labels), 3)), labels))
    with pytest.raises(SourceError, match=r"41-marker set.*23 markers without LKNE"):
        read_clip(source(path))


@pytest.mark.parametrize("convention", OTHER_NAMES)
@pytest.mark.parametrize("prefix", ["", "Ann:", "Ann_"])
def test_the_names_of_other_marker_sets(sound, convention, prefix):
    got = read(labels=[prefix + name for name in renamed(convention)])
    np.testing.assert_array_equal(got.joints, sound.joints)


def test_spelling_does_not_matter(sound):
    words = {"L": "left ", "R": "Right_"}
    got = read(labels=[words[m[0]] + m[1:].lower() for m in MARKERS])
    np.testing.assert_array_equal(got.joints, sound.joints)


def extended(extra):
    """The walker with more markers: name -> the mean of others."""
    points = walker(N_FRAMES)
    more = [points[:, [MARKERS.index(m) for m in of]].mean(axis=1) for of in extra.values()]
    return np.concatenate([points, np.stack(more, axis=1)], axis=1), [*MARKERS, *extra]


def test_a_sacrum_marker_instead_of_two(sound):
    points, labels = extended({"SACR": ("LBWT", "RBWT")})
    keep = [i for i, name in enumerate(labels) if name[1:] != "BWT"]
    got = read(points=points[:, keep], labels=[labels[i] for i in keep])
    np.testing.assert_allclose(got.joints, sound.joints, atol=1e-6)


def test_inner_markers_make_the_middle_of_a_joint():
    inner = np.array([-90.0, 0.0, 0.0])
    points = walker(N_FRAMES)
    more = points[:, [MARKERS.index(m) for m in ("RKNE", "RANK", "RELB")]] + inner
    labels = [*MARKERS, "RMKNE", "RMED", "R.Elbow.Medial"]
    got = read(points=np.concatenate([points, more], axis=1), labels=labels)
    for joint, marker in (("r_knee", "RKNE"), ("r_ankle", "RANK"), ("r_elbow", "RELB")):
        middle = (points[:, MARKERS.index(marker)] + inner / 2)[:, [1, 2, 0]] / 1000
        np.testing.assert_allclose(got.joints[:, J[joint]], middle, atol=1e-5)
    more[5:] = np.nan  # taken off after the first frames, as in most recordings
    got = read(points=np.concatenate([points, more], axis=1), labels=labels)
    np.testing.assert_array_equal(got.joints, read().joints)


def test_without_toes_the_pelvis_gives_the_knee_axis(sound):
    keep = [i for i, name in enumerate(MARKERS) if name[1:] not in ("TOE", "HEE")]
    got = read(points=walker(N_FRAMES)[:, keep], labels=[MARKERS[i] for i in keep])
    apart = np.linalg.norm(got.joints - sound.joints, axis=-1)
    assert apart.max() < 0.02
    assert apart[:, J["r_knee"]].max() > 0


def test_the_head_of_other_sets(sound):
    points, labels = extended(
        {"HeadL": ("LFHD", "LBHD"), "HeadR": ("RFHD", "RBHD"), "HeadFront": ("LFHD", "RFHD")}
    )
    keep = [i for i, name in enumerate(labels) if name[1:] not in ("FHD", "BHD")]
    got = read(points=points[:, keep], labels=[labels[i] for i in keep])
    np.testing.assert_allclose(got.joints, sound.joints, atol=1e-6)
    top = points[:, MARKERS.index("LFHD")] + [0, 0, 100]
    points, labels = np.concatenate([points, top[:, None]], axis=1), [*labels, "Top.Head"]
    keep = [i for i, name in enumerate(labels) if name[1:] not in ("FHD", "BHD")]
    keep.remove(labels.index("HeadFront"))
    got = read(points=points[:, keep], labels=[labels[i] for i in keep])
    np.testing.assert_allclose(got.joints[:, J["head"]], top[:, [1, 2, 0]] / 1000, atol=1e-6)


def test_centres_do_not_depend_on_the_axes(sound):
    """The rules are anatomical: a turned person has turned joints."""
    c, s = np.cos(0.7), np.sin(0.7)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    got = read(points=walker(N_FRAMES) @ turn)
    expected = sound.joints[..., [2, 0, 1]] @ turn
    np.testing.assert_allclose(got.joints[..., [2, 0, 1]], expected, atol=1e-5)


def two_people(left_out=()):
    """Ann and Bob 3 m apart; labels of Ann's markers that are left out."""
    points = np.concatenate([walker(N_FRAMES), walker(N_FRAMES, at=(3000.0, 500.0))], axis=1)
    labels = [f"Ann:{m}" for m in MARKERS] + [f"Bob:{m}" for m in MARKERS]
    keep = [i for i, name in enumerate(labels) if name not in left_out]
    return points[:, keep], [labels[i] for i in keep]


def test_two_people_are_two_clips(tmp_path, sound):
    points, labels = two_people()
    path = tmp_path / "duo.c3d"
    path.write_bytes(c3d_with(points, labels))
    clips, rejected = discover("c3d", [path])
    assert [(c.name, c.subject) for c in clips] == [("duo/Ann", "duo/Ann"), ("duo/Bob", "duo/Bob")]
    assert rejected == []
    ann, bob = (read_clip(clip) for clip in clips)
    np.testing.assert_array_equal(ann.joints, sound.joints)
    np.testing.assert_allclose(bob.joints, sound.joints + BOBS_PLACE, atol=1e-5)


def test_two_people_in_files_of_one_name(tmp_path):
    points, labels = two_people()
    for n, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "duo.c3d").write_bytes(c3d_with(points[n:], labels))
    clips, rejected = discover("c3d", [tmp_path])
    assert [c.name for c in clips] == ["a/duo/Ann", "a/duo/Bob", "b/duo/Ann", "b/duo/Bob"]
    assert rejected == []


def test_a_body_is_never_made_of_two_people(tmp_path, sound):
    points, labels = two_people([f"Ann:{side}{end}HD" for side in "LR" for end in "FB"])
    path = tmp_path / "duo.c3d"
    path.write_bytes(c3d_with(points, labels))
    (clip,), rejected = discover("c3d", [path])
    assert (clip.name, clip.person) == ("duo/Bob", "Bob")
    np.testing.assert_allclose(read_clip(clip).joints, sound.joints + BOBS_PLACE, atol=1e-5)
    assert len(rejected) == 1
    assert "of Ann without LFHD" in rejected[0].reason
    with pytest.raises(SourceError, match="of Ann without LFHD"):
        read_c3d_clip(path.read_bytes(), path, None, "Ann")


@pytest.mark.parametrize("separator", [":", "_", "."])
def test_prefixes_end_in_any_separator(tmp_path, separator):
    points, labels = two_people()
    labels = [label.replace(":", separator) for label in labels]
    path = tmp_path / "duo.c3d"
    path.write_bytes(c3d_with(points, labels))
    assert c3d_people(path) == (["Ann", "Bob"], {})


def test_prefixes_that_the_file_lists(tmp_path):
    points, labels = two_people()
    labels = [label.replace(":", "") for label in labels]
    path = tmp_path / "duo.c3d"
    path.write_bytes(c3d_with(points, labels, prefixes=["Ann", "Bob"]))
    assert c3d_people(path) == (["Ann", "Bob"], {})


def test_a_ball_is_nobody(tmp_path):
    points = np.concatenate([walker(N_FRAMES), np.full((N_FRAMES, 2, 3), 300.0)], axis=1)
    path = tmp_path / "kick.c3d"
    path.write_bytes(c3d_with(points, [*(f"Ann:{m}" for m in MARKERS), "Ball:1", "Ball:2"]))
    (clip,), rejected = discover("c3d", [path])
    assert (clip.name, clip.person, rejected) == ("kick", "Ann", [])


def test_joints_from_the_users_markers(sound):
    """Names that no convention has: means of markers, in any spelling."""
    points = walker(N_FRAMES)
    names = [f"M{i}" for i in range(len(MARKERS))]
    of = {
        "wrist": ("WRA", "WRB"),
        "elbow": ("ELB",),
        "shoulder": ("SHO",),
        "knee": ("KNE",),
        "ankle": ("ANK",),
        "hip": ("FWT", "BWT"),
    }
    wanted = {
        f"{s.lower()}_{joint}": tuple(f"m {MARKERS.index(s + m)}" for m in markers)
        for joint, markers in of.items()
        for s in "LR"
    } | {"head": tuple(f"M{i}" for i, m in enumerate(MARKERS) if m.endswith("HD"))}
    options = ReadOptions(joints=wanted)
    got = read(options, labels=names)
    for joint, markers in wanted.items():
        own = points[:, [int(m.upper().strip("M ")) for m in markers]].mean(axis=1)
        np.testing.assert_allclose(got.joints[:, J[joint]], own[:, [1, 2, 0]] / 1000, atol=1e-6)
    assert got.facts["mapping"]["r_wrist"] == "M20, M21 (mean)"
    with pytest.raises(SourceError, match=r"r_knee: expected the markers.*without M99"):
        read(ReadOptions(joints=wanted | {"r_knee": ("M2", "M99")}), labels=names)
    part = read(ReadOptions(joints={"r_hip": ("RFWT",)}))
    front = points[:, MARKERS.index("RFWT")][:, [1, 2, 0]] / 1000
    np.testing.assert_allclose(part.joints[:, J["r_hip"]], front, atol=1e-6)
    others = [name != "r_hip" for name in JOINT_NAMES]
    np.testing.assert_array_equal(part.joints[:, others], sound.joints[:, others])


def test_an_up_axis_is_checked():
    with pytest.raises(SettingsError, match="up"):
        ReadOptions(up="q")


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
    np.testing.assert_allclose(joint_centres(read_c3d(walk)), c3d.joints, atol=1e-12)


# --- the handed cases


def inspected(path):
    return CliRunner().invoke(posebank, ["inspect", str(path)])


@pytest.mark.parametrize(
    "name",
    ["analog-count-in-header", "labels2", "no-y-screen", "nul-padding", "plug-in-gait-names"],
)
def test_cases_with_a_twin(name):
    folder = CASES / f"c3d-{name}"
    if not folder.is_dir():
        pytest.skip(f"case not at hand: {folder}")
    got, twin = read_clip(source(folder / "clip.c3d")), read_clip(source(folder / "twin.c3d"))
    np.testing.assert_allclose(got.joints, twin.joints, atol=0.002)
    assert inspected(folder / "clip.c3d").exit_code == 0


def test_the_case_of_two_people():
    path = CASES / "c3d-two-people-mixed" / "clip.c3d"
    if not path.is_file():
        pytest.skip(f"case not at hand: {path}")
    result = inspected(path)
    assert result.exit_code == 0
    assert "person: B" in result.output
    assert "without LFHD" in result.output


def test_the_case_of_zeros():
    path = CASES / "c3d-zero-upper-body" / "clip.c3d"
    if not path.is_file():
        pytest.skip(f"case not at hand: {path}")
    result = inspected(path)
    assert result.exit_code == 1
    assert "expected a frame with all needed markers" in result.output
    assert "LFHD" in result.output


def test_the_case_of_70000_frames(tmp_path):
    folder = CASES / "c3d-70000-frames"
    if not folder.is_dir():
        pytest.skip(f"case not at hand: {folder}")
    for name in ("make.py", "mkc3d.py"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    subprocess.run([sys.executable, "make.py"], cwd=tmp_path, check=True)
    clip = read_clip(source(tmp_path / "clip.c3d"))
    assert (len(clip.frames), clip.lost) == (70_000, ())
