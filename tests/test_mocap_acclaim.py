import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mocap_files import acclaim_bones, amc_text, asf_text, random_motion
from mocap_oracle import bone_ends, read_frames, read_skeleton

from posebank.errors import SourceError
from posebank.geometry.kinematics import forward
from posebank.mocap import suggest_joints
from posebank.mocap.amc import parse_amc, read_amc
from posebank.mocap.asf import parse_asf, read_asf
from posebank.mocap.joints import HEAD_TOP_IN_BONE_LENGTHS, acclaim_points
from posebank.mocap.numbers import parse_number
from posebank.mocap.sources import ClipSource, read_clip
from posebank.skeleton import J

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from compare_formats import official_hdm05

BONES = acclaim_bones()


@pytest.fixture
def files(tmp_path):
    """Write an ASF and an AMC; returns their paths."""

    def write(frames=None, bones=BONES, asf_end="\n", amc=None, **asf):
        skeleton, motion = tmp_path / "77.asf", tmp_path / "77_03.amc"
        skeleton.write_bytes(asf_text(bones, end=asf_end, **asf).encode("latin-1"))
        text = amc if amc is not None else amc_text(frames or random_motion(bones, 4))
        motion.write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))
        return skeleton, motion

    return write


def ends(skeleton, motion, needed=None):
    asf = read_asf(skeleton)
    amc = read_amc(motion, asf, needed)
    names = list(asf.bones)
    nodes, points = asf.chain(names)
    unit = np.pi / 180 if amc.degrees else 1.0
    return names, forward(nodes, points, amc.values, radians_per_unit=unit), amc


def clip_of(skeleton, motion):
    return ClipSource("cmu", motion, skeleton, "77", "77_03")


@pytest.mark.usefixtures("shared_data")
def test_every_official_trajectory_of_hdm05():
    """Must show: all 31 joints of all 12 files within 1e-5 m of the official parser's output."""
    worst = official_hdm05()
    assert len(worst) == 12
    assert 0 < max(worst.values()) < 1e-5


@pytest.mark.parametrize("angle", ["deg", "rad"])
def test_agrees_with_the_slow_reader_on_odd_orders(files, angle):
    skeleton, motion = files(random_motion(BONES, 3), angle=angle)
    names, got, _ = ends(skeleton, motion)
    slow = read_skeleton(skeleton)
    for row, frame in zip(got, read_frames(motion), strict=True):
        expected = bone_ends(slow, frame)
        np.testing.assert_allclose(row, [expected[n] for n in names], atol=1e-9)


def test_agrees_with_the_slow_reader_on_cmu(shared_data):
    folder = shared_data / "cmu" / "subjects" / "02"
    names, got, _ = ends(folder / "02.asf", folder / "02_03.amc")
    slow = read_skeleton(folder / "02.asf")
    for index in (0, 57, len(got) - 1):
        expected = bone_ends(slow, read_frames(folder / "02_03.amc")[index])
        np.testing.assert_allclose(got[index], [expected[n] for n in names], atol=1e-9)


def test_straight_body_by_hand(files):
    """All angles zero: the rest pose. The leg is 7.5 + 7.2 units of 1/0.45 inch."""
    still = {name: [0.0] * len(b[5].split()) for name, b in BONES.items() if b[5]}
    skeleton, motion = files([{"root": [0, 0, 0, 0, 0, 0], **still}] * 2)
    joints = read_clip(clip_of(skeleton, motion)).joints[0]
    unit = 0.0254 / 0.45
    np.testing.assert_allclose(joints[J["l_hip"]], np.array([1.2, -1.6, 0]) * unit, atol=1e-12)
    np.testing.assert_allclose(joints[J["l_ankle"]], [1.2 * unit, -16.3 * unit, 0], atol=1e-12)
    np.testing.assert_allclose(
        joints[J["r_wrist"]], [-(3.4 + 4.9 + 3.3 + 1.7) * unit, 5.4 * unit, 0], atol=1e-12
    )
    top = 6 * 1.8 + HEAD_TOP_IN_BONE_LENGTHS * 1.8
    np.testing.assert_allclose(joints[J["head"]], [0, top * unit, 0], atol=1e-12)


def test_line_ends_encoding_and_missing_header_change_nothing(files):
    frames = random_motion(BONES, 3)
    expected = read_clip(clip_of(*files(frames))).joints
    variants = [
        amc_text(frames, end="\r\n").encode(),
        amc_text(frames, end="\r").encode(),
        amc_text(frames, header="#!OML:ASF X:\\für Bonn\n:DEGREES\n").encode("latin-1"),
        amc_text(frames, header="").encode(),
        b"\n\n" + amc_text(frames).replace("\n", "  \t\n").encode(),
    ]
    for data in variants:
        clip = read_clip(clip_of(*files(amc=data, asf_end="\r\n")))
        np.testing.assert_array_equal(clip.joints, expected)
        assert clip.lost == ()


def test_radians_in_the_motion(files):
    frames = random_motion(BONES, 3)
    expected = read_clip(clip_of(*files(frames))).joints
    turned = [
        {
            n: (r[:3] + list(np.deg2rad(r[3:])) if n == "root" else list(np.deg2rad(r)))
            for n, r in f.items()
        }
        for f in frames
    ]
    text = amc_text(turned, header=":FULLY-SPECIFIED\n:RADIANS\n")
    got = read_clip(clip_of(*files(amc=text))).joints
    np.testing.assert_allclose(got, expected, atol=1e-5)  # six digits in the text


def test_units_of_length(files):
    frames = random_motion(BONES, 2)
    small = read_clip(clip_of(*files(frames, length=0.45))).joints
    large = read_clip(clip_of(*files(frames, length=0.40))).joints
    np.testing.assert_allclose(large * 0.40, small * 0.45, atol=1e-12)
    with pytest.raises(SourceError, match="legs of"):
        read_clip(clip_of(*files(frames, length=2.0)))


@pytest.mark.parametrize("cut", range(1, 400, 7))
def test_cut_files_keep_the_good_frames(files, cut):
    text = amc_text(random_motion(BONES, 5))
    skeleton, motion = files(amc=text[:-cut])
    whole = read_clip(clip_of(*files(amc=text)))
    files(amc=text[:-cut])
    clip = read_clip(clip_of(skeleton, motion))
    kept = len(clip.frames)
    np.testing.assert_array_equal(clip.joints, whole.joints[:kept])
    assert kept == 4 or (kept == 5 and cut == 1)
    assert bool(clip.lost) == (kept < 5)


def test_a_real_cut_file(shared_data):
    folder = shared_data / "cmu" / "malformed"
    source = ClipSource(
        "cmu", folder / "golf_01.truncated.amc", folder / "golf.asf", "golf", "golf_01"
    )
    with pytest.raises(SourceError, match="--fps"):
        read_clip(source)
    clip = read_clip(source, fps=120.0)
    n_frames = (folder / "golf_01.truncated.amc").read_bytes().count(b"\nroot ")
    assert len(clip.frames) == n_frames - 1
    assert clip.lost[0] == f"1 of {n_frames} frames set aside"


def test_a_bone_absent_from_a_frame(files):
    frames = random_motion(BONES, 5)
    del frames[2]["lfemur"]
    del frames[3]["lthumb"]  # no joint needs it
    clip = read_clip(clip_of(*files(frames)))
    np.testing.assert_array_equal(clip.frames, [1, 2, 4, 5])
    assert "'lfemur' is absent" in clip.lost[1]


def test_damage_inside_a_file_costs_its_frame(files):
    text = amc_text(random_motion(BONES, 6)).split("\n")
    at = [i for i, line in enumerate(text) if line.startswith("rtibia")]
    text[at[1]] = "rtibia 1.0 2.0"
    text[at[2]] = "rtibia nonsense"
    text[at[4]] = "rtibia 1e9"
    clip = read_clip(clip_of(*files(amc="\n".join(text))))
    np.testing.assert_array_equal(clip.frames, [1, 4, 6])
    assert clip.lost[0] == "3 of 6 frames set aside"
    assert f"line {at[1] + 1}: bone 'rtibia' has 2 values, expected 1 (rx," in clip.lost[1]


def test_the_wrong_skeleton_is_refused(files):
    other = {n: (*b[:5], "rx rz" if n == "lfemur" else b[5]) for n, b in BONES.items()}
    skeleton, motion = files(bones=other, amc=amc_text(random_motion(BONES, 3)))
    expected = r"77_03.amc:\d+: bone 'lfemur' has 3 values, expected 2 \(rx rz, declared at 77.asf"
    with pytest.raises(SourceError, match=expected):
        read_clip(clip_of(skeleton, motion))
    renamed = amc_text(random_motion(BONES, 3)).replace("lfemur", "lthigh")
    with pytest.raises(SourceError, match=r"expected a bone of 77\.asf, found 'lthigh'"):
        read_clip(clip_of(*files(amc=renamed)))
    without = {n: b for n, b in BONES.items() if n not in ("rwrist", "rthumb")}
    with pytest.raises(SourceError, match="rwrist"):
        read_clip(clip_of(*files(bones=without)))


def with_fixed_bone(values):
    """Three frames in which a bone without degrees of freedom has values."""
    frames = [f | {"lhipjoint": v} for f, v in zip(random_motion(BONES, 3), values, strict=True)]
    return [{"root": f["root"], "lhipjoint": f["lhipjoint"]} | f for f in frames]


def test_values_near_0_of_a_bone_without_dof_are_ignored(files):
    expected = read_clip(clip_of(*files(random_motion(BONES, 3)))).joints
    clip = read_clip(clip_of(*files(with_fixed_bone([[-5.5e-07, 0, 0], [0], []]))))
    np.testing.assert_array_equal(clip.joints, expected)
    assert clip.lost == ()
    assert clip.notes == ("values near 0 of bones without degrees of freedom are ignored",)
    assert read_clip(clip_of(*files(random_motion(BONES, 3)))).notes == ()


def test_other_values_of_a_bone_without_dof_are_told_truly(files):
    skeleton, motion = files(with_fixed_bone([[1.5, 0, 0], [0, 0, 0], [0, 0, 0]]))
    lines = skeleton.read_text().splitlines()
    begin = next(i for i, line in enumerate(lines, 1) if "lhipjoint" in line) - 2
    with pytest.raises(SourceError) as refused:
        read_clip(clip_of(skeleton, motion))
    assert str(refused.value) == (
        f"{motion}:6: bone 'lhipjoint' has 3 values, expected 0 "
        f"(no dof is declared at 77.asf:{begin})"
    )
    clip = read_clip(clip_of(*files(with_fixed_bone([[0, 0, 0], [0, 2.0, 0], [0, 0, 0]]))))
    np.testing.assert_array_equal(clip.frames, [1, 3])
    assert re.match(r"line \d+: bone 'lhipjoint' has 3 values, expected 0", clip.lost[1])


def test_bones_of_other_names_can_be_said(files):
    other = {
        n.replace("femur", "thigh").replace("head", "skull"): (
            b[0].replace("femur", "thigh"),
            *b[1:],
        )
        for n, b in BONES.items()
    }
    frames = random_motion(BONES, 3)
    expected = read_clip(clip_of(*files(frames))).joints
    renamed = [
        {n.replace("femur", "thigh").replace("head", "skull"): v for n, v in f.items()}
        for f in frames
    ]
    source = clip_of(*files(renamed, bones=other))
    with pytest.raises(SourceError, match=r"r_knee \(rfemur\).*lthigh.*--joints") as refused:
        read_clip(source)
    assert "r_ankle = rtibia" in str(refused.value)
    names = {"r_knee": ("rthigh",), "l_knee": ("lthigh",), "head": ("Skull",)}
    joints = read_clip(source, joints=names).joints
    np.testing.assert_array_equal(joints[:, :12], expected[:, :12])
    # A bone that is not the known head ends at the top.
    reach = np.linalg.norm(joints[:, J["head"]] - expected[:, J["head"]], axis=-1)
    np.testing.assert_allclose(reach, HEAD_TOP_IN_BONE_LENGTHS * 1.8 * 0.0254 / 0.45, atol=1e-9)
    assert '# r_knee = ""' in suggest_joints(source.skeleton)


def test_the_upward_axis_of_an_amc_can_be_said(files):
    source = clip_of(*files(random_motion(BONES, 3)))
    joints = read_clip(source).joints
    turned = read_clip(source, up="z").joints
    np.testing.assert_array_equal(turned[..., 1], joints[..., 2])
    np.testing.assert_array_equal(turned[..., 2], -joints[..., 1])


def test_frame_numbers_must_increase(files):
    text = amc_text(random_motion(BONES, 6)).replace("\n4\n", "\n99999\n")
    clip = read_clip(clip_of(*files(amc=text)))
    np.testing.assert_array_equal(clip.frames, [1, 2, 3, 5, 6])
    assert "1 of 6 frames" in clip.lost[0]
    line = text.split("\n").index("99999") + 1
    assert clip.lost[1].startswith(f"line {line}: 1 frames whose numbers do not increase")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  angle deg", "", "length and angle"),
        ("  angle deg", "  angle gon", "deg or rad"),
        ("length 0.45", "length 0", "positive number"),
        (":hierarchy", ":other", "no :hierarchy section"),
        ("name lfemur", "name ltibia", "found two"),
        ("lhipjoint lfemur", "lhipjoint", "no parent"),
        ("lhipjoint lfemur", "lhipjoint lfemur lhipjoint", "two parents"),
        ("dof rx ry rz", "dof rx ry rq", "dof"),
        ("  ZXY", "  ZZY", "order such as XYZ"),
        ("direction 0 -1 0", "direction 0 -5 0", "unit vector"),
        ("length 7.5", "length long", "length of 'lfemur'"),
        (" end\n:hierarchy", ":hierarchy", "'end' of the bone"),
        (":root", "none", "no :root section"),
    ],
)
def test_broken_skeletons_say_what_is_wrong(tmp_path, old, new, message):
    text = asf_text(BONES)
    assert old in text
    with pytest.raises(SourceError, match=message):
        parse_asf(text.replace(old, new, 1), tmp_path / "x.asf")


def test_an_empty_file_is_said_to_be_empty(files):
    with pytest.raises(SourceError, match=r"77_03\.amc: .*found an empty one"):
        read_clip(clip_of(*files(amc="")))


def test_missing_files_are_source_errors(tmp_path):
    with pytest.raises(SourceError, match="readable file"):
        read_asf(tmp_path / "none.asf")
    asf = parse_asf(asf_text(BONES), tmp_path / "x.asf")
    for data in (b"", b"nothing here", b":DEGREES\n", "1\nroot".encode("utf-16")):
        with pytest.raises(SourceError):
            parse_amc(data, tmp_path / "x.amc", asf)


def test_both_angle_units_are_a_contradiction(tmp_path):
    asf = parse_asf(asf_text(BONES), tmp_path / "x.asf")
    text = amc_text(random_motion(BONES, 2), header=":RADIANS\n:DEGREES\n")
    with pytest.raises(SourceError, match="found both"):
        parse_amc(text.encode(), tmp_path / "x.amc", asf)


def test_needed_bones_are_those_above_the_joints(tmp_path):
    asf = parse_asf(asf_text(BONES), tmp_path / "x.asf")
    _, _, needed = acclaim_points(asf)
    assert "root" in needed
    assert "thorax" in needed
    assert "lthumb" not in needed
    assert "lhipjoint" not in needed  # no values


def _number(text):
    data = np.frombuffer(text.encode(), np.uint8)
    return parse_number(data, 0, len(data))


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15))
@settings(max_examples=300, deadline=None)  # the first example compiles
def test_numbers_are_read_as_float_reads_them(value):
    for text in (f"{value:.6g}", f"{value:.4f}", f"{value:.12e}"):
        got, end = _number(text)
        assert end == len(text)
        assert got == pytest.approx(float(text), rel=1e-15, abs=1e-300)
    if value == 0 or abs(value) > 1e-15:  # exact while the power of ten is a double
        got, _ = _number(f"{value:.6g}")
        assert got == float(f"{value:.6g}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-7.4743e-014", -7.4743e-14),
        ("+3", 3.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1E3", 1000.0),
        ("0.000000000000000000000001", 1e-24),
        ("123456789012345678901234", 1.2345678901234568e23),
        ("1e400", np.inf),
        ("1e-400", 0.0),
        ("-0", 0.0),
    ],
)
def test_numbers_by_hand(text, value):
    assert _number(text)[0] == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("text", ["", "-", "e5", ".", "nan", "inf", "1e", "1e+", "x1"])
def test_what_is_not_a_number(text):
    assert _number(text)[1] == -1
