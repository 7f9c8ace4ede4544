"""What a BVH does not say: upward axis, head top, unit, frame rate, sizes."""

import numpy as np
import pytest
from bvh_files import FORMS, UPLEG, Z_UP, Form, bvh_text
from scipy.spatial.transform import Rotation

from posebank.errors import SourceError
from posebank.mocap.head_top import completed_end, is_head_end
from posebank.mocap.sources import ClipSource, read_clip, read_source
from posebank.mocap.up_axis import decide_up, rest_up, turned_to_y_up
from posebank.skeleton import J

PLAIN = Form(UPLEG)
LYING = Rotation.from_euler("x", -90, True).as_matrix()  # on the back, head towards -z


def source_of(tmp_path, form, change=lambda text: text):
    path = tmp_path / "a.bvh"
    path.write_text(change(bvh_text(form)))
    return ClipSource("bvh", path, None, "a", "a")


def joints_of(tmp_path, form, **options):
    return read_clip(source_of(tmp_path, form), **options).joints


def test_axes_by_hand():
    up = {"y": [0, 1, 0], "z": [0, 0, 1], "x": [1, 0, 0]}
    for axis, vector in up.items():
        np.testing.assert_array_equal(turned_to_y_up(np.array(vector, float), axis), [0, 1, 0])
        np.testing.assert_array_equal(
            turned_to_y_up(-np.array(vector, float), f"-{axis}"), [0, 1, 0]
        )
        turned = turned_to_y_up(np.eye(3), f"-{axis}")
        assert np.linalg.det(turned) == pytest.approx(1.0)  # left stays left


@pytest.mark.parametrize("name", ["MB-Lab", "x up"])
def test_the_axis_of_the_rest_pose(tmp_path, name):
    form = FORMS[name].but(names=UPLEG, prefix="", unit=0.01)
    read = read_source(source_of(tmp_path, form))
    expected = joints_of(tmp_path, PLAIN)
    np.testing.assert_allclose(read.joints, expected, atol=1e-9)
    assert read.facts["axes"].startswith(f"{'z' if name == 'MB-Lab' else 'x'} up (the rest pose")
    assert read.notes == ()


def lying(way, place, **changes):
    """The body turned to lie, with its hips at a place of the world."""
    return PLAIN.but(root_turn=way, place=tuple(way.T @ np.array(place)), walks=0, **changes)


@pytest.mark.parametrize("turn", [np.eye(3), Z_UP])
@pytest.mark.parametrize("heading", [0, 90, 180, 270])
@pytest.mark.parametrize("place", [(0, 0.12, 0), (0.3, 0.15, 0.9), (-0.9, 0.2, -0.9)])
def test_a_person_who_lies_is_not_turned(tmp_path, turn, heading, place):
    """Also where the feet happen to be at 0 of the axis along which the person lies."""
    way = Rotation.from_euler("y", heading, True).as_matrix() @ LYING
    clip = read_clip(source_of(tmp_path, lying(way, place, turn=turn)))
    body = clip.joints[:, J["head"]] - clip.joints[:, J["l_ankle"]]
    assert np.linalg.norm(body[:, [0, 2]], axis=-1).min() > 1.3
    assert clip.joints[..., 1].min() > -0.4
    assert clip.joints[..., 1].max() < 0.9


def test_a_lying_person_is_told(tmp_path):
    form = lying(LYING, (0, 0.12, 0))
    (note,) = read_clip(source_of(tmp_path, form)).notes
    assert "lies along the file's -z axis" in note
    assert "--up -z" in note
    turned = joints_of(tmp_path, form, up="-z")
    assert (turned[:, J["head"], 1] - turned[:, J["l_ankle"], 1]).min() > 1.3


def test_a_lying_person_who_also_stands(tmp_path):
    """Most frames lie: those that stand tell the axis, without a doubt."""
    joints = joints_of(tmp_path, PLAIN.but(n_frames=10))
    lying = joints[:7] @ LYING.T
    decision = decide_up(joints[0], np.concatenate([lying, joints[7:]]))
    assert (decision.axis, decision.doubt) == ("y", "")


def test_a_root_that_turns_the_body_to_z_up(tmp_path):
    """The rest pose stands along y, all frames along z with the feet at 0: z is up."""
    form = PLAIN.but(
        root_turn=Rotation.from_euler("x", 90, True).as_matrix(), walks=0.2, n_frames=40
    )
    # root_turn moves the place too: the walk goes along -y of the file.
    read = read_source(source_of(tmp_path, form))
    assert read.facts["axes"].startswith("z up (the rest pose stands along y, but the body")
    np.testing.assert_allclose(
        read.joints, joints_of(tmp_path, PLAIN.but(walks=0.2, n_frames=40)), atol=1e-9
    )


def test_bones_along_x_in_a_z_up_world(tmp_path):
    """The rest pose says nothing; the feet are at 0 of z."""
    form = FORMS["LAFAN1"].but(turn=Z_UP, walks=0.2, n_frames=40)
    read = read_source(source_of(tmp_path, form))
    assert read.facts["axes"].startswith("z up (the rest pose does not stand, but the body")
    expected = joints_of(tmp_path, FORMS["LAFAN1"].but(walks=0.2, n_frames=40))
    np.testing.assert_allclose(read.joints, expected, atol=1e-9)


def test_the_user_says_the_axis(tmp_path):
    form = PLAIN.but(turn=Z_UP)
    read = read_source(source_of(tmp_path, form))
    np.testing.assert_array_equal(joints_of(tmp_path, form, up="z"), read.joints)
    as_written = joints_of(tmp_path, form, up="y")
    np.testing.assert_allclose(turned_to_y_up(as_written, "z"), read.joints, atol=1e-12)


def test_rest_poses_that_do_not_stand():
    rest = np.zeros((13, 3))
    assert rest_up(rest) is None
    rest[[J["r_shoulder"], J["l_shoulder"]], 0] = 0.5
    rest[[J["r_ankle"], J["l_ankle"]], 0] = 0.8
    assert rest_up(rest) is None  # all bones along x
    rest[[J["r_ankle"], J["l_ankle"]], 0] = -0.8
    np.testing.assert_allclose(rest_up(rest), [1, 0, 0])


def test_head_ends_by_hand():
    up = np.array([0.0, 0.0, 1.0])
    legs = 0.82  # of a body 1.67 m tall, whose head has 195 mm from the jaw to the top
    neck = np.array([0.0, 0.0, 0.11])
    np.testing.assert_allclose(completed_end([neck], legs, up), [0, 0, 0.1954], atol=1e-4)
    np.testing.assert_allclose(
        completed_end([0 * neck, neck], legs, None), [0, 0, 0.1954], atol=1e-4
    )
    # A neck that points forwards is no way to the top, nor is one without length.
    np.testing.assert_allclose(
        completed_end([np.array([0.2, 0, 0])], legs, up)[2], 0.1954, atol=1e-4
    )
    np.testing.assert_allclose(completed_end([], legs, None)[1], 0.1954, atol=1e-4)
    assert is_head_end(np.array([0, 0, 0.19]), legs, up)
    for wrong in ([0, 0, 0], [0, 0, 0.05], [0, 0, 0.6], [0, 0.19, 0.01], [0, 0, -0.19]):
        assert not is_head_end(np.array(wrong), legs, up)


@pytest.mark.parametrize("end", [(0.0, 0.0, 0.0), (0.0, 0.01, 0.0), (0.0, 0.0, 0.2), None])
def test_the_head_top_is_never_the_head_joint(tmp_path, end):
    """No End Site, one without length, a short one, and one that points to the nose."""
    read = read_source(source_of(tmp_path, PLAIN.but(head_end=end)))
    true = joints_of(tmp_path, PLAIN)
    assert np.linalg.norm(read.joints - true, axis=-1).max() < 0.045
    assert read.facts["mapping"]["head"] == "Head, extended to the head top"
    assert len(read.notes) == 1


def test_an_end_site_without_an_offset(tmp_path):
    def without(text):
        head, site, rest = text.partition("End Site")
        lines = rest.split("\n")
        assert "OFFSET" in lines[2]
        return head + site + "\n".join(lines[:2] + lines[3:])

    read = read_source(source_of(tmp_path, PLAIN, without))
    assert len(read.notes) == 1
    one_word = read_source(source_of(tmp_path, PLAIN, lambda t: t.replace("End Site", "EndSite")))
    assert one_word.notes == ()


@pytest.mark.parametrize(
    ("unit", "shown"), [(0.0254 / 0.45, "1/0.45 inch"), (0.001, "mm"), (0.0254, "in")]
)
def test_units_from_the_legs(tmp_path, unit, shown):
    read = read_source(source_of(tmp_path, PLAIN.but(unit=unit)))
    assert read.facts["unit"] == f"{shown} (from the length of the legs)"
    np.testing.assert_allclose(read.joints, joints_of(tmp_path, PLAIN), atol=1e-9)


def test_units_by_number_and_children(tmp_path):
    odd = PLAIN.but(unit=0.3)
    with pytest.raises(SourceError, match=r"legs of 2\.7.* units; say the unit"):
        joints_of(tmp_path, odd)
    np.testing.assert_allclose(
        joints_of(tmp_path, odd, unit="0.3"), joints_of(tmp_path, PLAIN), atol=1e-9
    )
    child = read_clip(source_of(tmp_path, odd), unit="0.2")  # legs of 0.55 m
    assert "shorter than an adult's" in child.notes[0]


def test_unusual_bodies_are_told(tmp_path):
    assert read_clip(source_of(tmp_path, PLAIN)).notes == ()
    names = {"l_wrist": ("LeftToeBase",)}
    notes = read_clip(source_of(tmp_path, PLAIN), joints=names).notes
    assert any("left and right differ" in note and "wrist" in note for note in notes)


@pytest.mark.parametrize("stated", ["0", "-1", "120", "33.3", "nan", "never", ""])
def test_any_frame_time_with_a_given_rate(tmp_path, stated):
    form = PLAIN.but(frame_time=stated)
    with pytest.raises(SourceError, match=r"a\.bvh:\d+: expected a frame time.*give --fps"):
        joints_of(tmp_path, form)
    clip = read_clip(source_of(tmp_path, form), 24.0)
    assert clip.fps == 24.0
    np.testing.assert_array_equal(clip.joints, joints_of(tmp_path, PLAIN))


def test_no_frame_time_at_all(tmp_path):
    def without(text):
        return "\n".join(line for line in text.split("\n") if "Frame Time" not in line)

    with pytest.raises(SourceError, match="found none; give --fps"):
        read_clip(source_of(tmp_path, PLAIN, without))
    clip = read_clip(source_of(tmp_path, PLAIN, without), 24.0)
    np.testing.assert_array_equal(clip.joints, joints_of(tmp_path, PLAIN))


def test_unusual_rates_are_told(tmp_path):
    (note,) = read_clip(source_of(tmp_path, PLAIN.but(frame_time="1.0"))).notes
    assert "unusual frame rate" in note


def test_joints_without_channels(tmp_path):
    """``CHANNELS 0``, and no CHANNELS line at all."""
    fixed = PLAIN.but(no_channels=("spine", "l_collar", "head"))
    expected = joints_of(tmp_path, fixed)
    assert np.isfinite(expected).all()
    silent = source_of(
        tmp_path,
        fixed,
        lambda t: "\n".join(line for line in t.split("\n") if "CHANNELS 0" not in line),
    )
    np.testing.assert_array_equal(read_clip(silent).joints, expected)


def test_six_channels_that_hold_all_of_the_offset(tmp_path):
    """The OFFSET lines are 0 and the position channels have the bones; rest and head follow."""
    form = PLAIN.but(all_positions=True, head_end=(0.0, 0.0, 0.0))
    expected = read_clip(source_of(tmp_path, form))

    def zero(text):
        lines = text.split("\n")
        for i, line in enumerate(lines):
            if "OFFSET" in line and "CHANNELS" in lines[i + 1]:
                lines[i] = line.split("OFFSET")[0] + "OFFSET 0 0 0"
        return "\n".join(lines)

    got = read_clip(source_of(tmp_path, form, zero))
    np.testing.assert_allclose(got.joints, expected.joints, atol=1e-9)
    assert got.notes == expected.notes


def cgspeed_text(shared_data, factor):
    """CMU 49_05 as cgspeed wrote it, all lengths times a factor."""
    text = (shared_data / "cmu/bvh_cgspeed/49_05.bvh").read_text()
    rows = [line.split() for line in text.split("\n")]
    first = next(i for i, words in enumerate(rows) if words == ["MOTION"]) + 3
    for number, words in enumerate(rows):
        lengths = slice(1, 4) if words[:1] == ["OFFSET"] else slice(0, 3)
        if words and (number >= first or words[0] == "OFFSET"):
            words[lengths] = [f"{float(w) * factor:.9f}" for w in words[lengths]]
    return "\n".join(" ".join(words) for words in rows)


@pytest.mark.parametrize("unit", [1.0, 0.01, 0.001, 0.0254])
def test_cgspeed_in_any_unit(tmp_path, shared_data, unit):
    expected = read_clip(
        ClipSource("bvh", shared_data / "cmu/bvh_cgspeed/49_05.bvh", None, "49", "49_05")
    )
    path = tmp_path / "49_05.bvh"
    path.write_text(cgspeed_text(shared_data, 0.0254 / 0.45 / unit))
    read = read_source(ClipSource("bvh", path, None, "49", "49_05"))
    assert read.facts["naming"].startswith("cgspeed")
    np.testing.assert_array_equal(read.frames, expected.frames)
    np.testing.assert_allclose(read.joints, expected.joints, atol=1e-5)
    assert read.notes == ()
