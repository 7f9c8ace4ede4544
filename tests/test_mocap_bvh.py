import numpy as np
import pytest
from mocap_files import pose_prior_bvh
from scipy.spatial.transform import Rotation

from posebank.errors import SettingsError, SourceError
from posebank.mocap.bvh import parse_bvh, read_bvh
from posebank.mocap.naming import match_joints
from posebank.mocap.sources import ClipSource, discover, read_clip, read_source
from posebank.skeleton import JOINT_NAMES, J


def source(path, dataset="bvh"):
    return ClipSource(dataset, path, None, "a", path.stem)


def slow_positions(path):
    """Node name -> (n_frames, 3), by scipy's rotations, from the text itself."""
    lines = [line.split() for line in path.read_text().splitlines() if line.split()]
    start = next(i for i, words in enumerate(lines) if words[0] == "MOTION")
    rows = np.array([[float(w) for w in words] for words in lines[start + 3 :]])
    frames = np.eye(3)[None].repeat(len(rows), 0)
    stack, column, result = [(np.zeros((len(rows), 3)), frames)], 0, {}
    name = ""
    for words in lines[1:start]:
        if words[0] in ("ROOT", "JOINT"):
            name = words[1]
        elif words[0] == "End":
            name = f"{name}/end"
        elif words[0] == "{":
            stack.append((None, None))
        elif words[0] == "}":
            stack.pop()
        elif words[0] == "OFFSET":
            origin, turn = stack[-2]
            offset = np.array([float(w) for w in words[1:]])
            stack[-1] = (origin + np.einsum("nij,j->ni", turn, offset), turn)
            result[name] = stack[-1][0]
        elif words[0] == "CHANNELS":
            origin, turn = stack[-1]
            for kind in words[2:]:
                value = rows[:, column]
                column += 1
                if kind.endswith("position"):
                    origin = origin + value[:, None] * np.eye(3)["XYZ".index(kind[0])]
                else:
                    turn = (
                        turn
                        @ Rotation.from_euler(kind[0].lower(), value[:, None], True).as_matrix()
                    )
            stack[-1] = (origin, turn)
            result[name] = origin
    return result


@pytest.mark.parametrize("rom", [False, True])
def test_pose_prior_both_layouts(tmp_path, rom):
    path = tmp_path / "a.bvh"
    path.write_text(pose_prior_bvh(5, rom=rom))
    clip = read_clip(source(path, "poseprior"))
    assert clip.fps == 120.0
    assert clip.lost == ()
    slow = slow_positions(path)
    for joint, name in (
        ("l_wrist", "LeftHand"),
        ("r_elbow", "RightForeArm"),
        ("head", "Head/end"),
        ("l_hip", "LeftUpLeg"),
        ("r_ankle", "RightFoot"),
    ):
        np.testing.assert_allclose(clip.joints[:, J[joint]], slow[name] * 0.0254, atol=1e-12)


def test_the_layouts_differ_in_the_forearm_only_by_their_order(tmp_path):
    poses = []
    for rom in (False, True):
        path = tmp_path / "a.bvh"
        path.write_text(pose_prior_bvh(5, rom=rom))
        poses.append(read_clip(source(path, "poseprior")).joints)
    same = [J[n] for n in JOINT_NAMES if "wrist" not in n]
    np.testing.assert_allclose(poses[0][:, same], poses[1][:, same], atol=1e-12)
    assert np.abs(poses[0] - poses[1])[:, J["l_wrist"]].max() > 0.01


@pytest.mark.parametrize(("unit", "factor"), [("m", 0.0254), ("cm", 2.54), ("mm", 25.4)])
def test_unit_from_the_legs_or_the_user(tmp_path, unit, factor):
    path = tmp_path / "a.bvh"
    text = pose_prior_bvh(3).split("MOTION")
    scaled = []
    for line in text[0].splitlines():
        words = line.split()
        if words[:1] == ["OFFSET"]:
            words[1:] = [str(float(w) * factor) for w in words[1:]]
        scaled.append(" ".join(words))
    path.write_text("\n".join(scaled) + "\nMOTION" + text[1])
    read = read_source(source(path))
    assert read.facts["unit"].startswith(f"{unit} (from the length of the legs")
    np.testing.assert_array_equal(read_clip(source(path), unit=unit).joints, read.joints)
    with pytest.raises(SourceError, match="legs of"):
        read_clip(source(path), unit={"m": "mm", "cm": "m", "mm": "m"}[unit])
    with pytest.raises(SettingsError, match="unit: expected one of"):
        read_clip(source(path), unit="ell")


def test_cgspeed_against_the_amc(shared_data):
    """Legs are the AMC's to print precision; what the conversion dropped is put back to 25 mm."""
    cmu = shared_data / "cmu"
    for subject, clip in (("02", "02_01"), ("49", "49_04"), ("49", "49_05")):
        path = cmu / "bvh_cgspeed" / f"{clip}.bvh"
        bvh = read_clip(source(path))
        folder = cmu / "subjects" / subject
        amc = read_clip(
            ClipSource("cmu", folder / f"{clip}.amc", folder / f"{subject}.asf", subject, clip)
        )
        np.testing.assert_array_equal(bvh.frames, amc.frames)
        assert "T-pose" in bvh.lost[-1]
        apart = np.linalg.norm(bvh.joints - amc.joints, axis=-1).max(axis=0)
        legs = [J[f"{s}_{j}"] for s in "rl" for j in ("hip", "knee", "ankle")]
        assert apart[legs].max() < 1e-4
        assert apart.max() < 0.025


def test_the_t_pose_is_dropped_only_where_it_is(shared_data):
    folder = shared_data / "cmu" / "bvh_cgspeed"
    with_it, without = (
        read_clip(source(folder / f"{n}.bvh")) for n in ("49_01", "49_01_ignoreFirstFrame")
    )
    assert len(with_it.frames) == len(without.frames) == 652
    assert without.lost == ()
    np.testing.assert_allclose(with_it.joints, without.joints, atol=1e-9)


def test_3ds_max_names(tmp_path):
    """The other cgspeed scheme: the same positions under the other names."""
    names = {
        "UpLeg": "Hip",
        "Leg": "Knee",
        "Foot": "Ankle",
        "Shoulder": "Collar",
        "Arm": "Shoulder",
        "ForeArm": "Elbow",
        "Hand": "Wrist",
    }
    text = pose_prior_bvh(4)
    path = tmp_path / "a.bvh"
    path.write_text(text)
    plain = read_clip(source(path, "poseprior"))
    lines = []
    for line in text.splitlines():
        words = line.split()
        for side in ("Left", "Right"):
            if words[:1] == ["JOINT"] and words[1].removeprefix(side) in names:
                words[1] = side + names[words[1].removeprefix(side)]
        lines.append("JOINT Chest" if words[:2] == ["JOINT", "Spine"] else " ".join(words))
    path.write_text("\n".join(lines))
    assert match_joints(read_bvh(path).skeleton).scheme == "Hip-Knee-Ankle"
    np.testing.assert_array_equal(read_clip(source(path, "poseprior")).joints, plain.joints)


def test_namespaces_separators_and_braces_on_one_line(tmp_path):
    path = tmp_path / "a.bvh"
    path.write_text(pose_prior_bvh(3))
    expected = read_clip(source(path, "poseprior")).joints
    text = pose_prior_bvh(3).replace("JOINT Left", "JOINT mixamorig:Left_")
    text = text.replace("\n{", " {").replace("\t", " ").replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    np.testing.assert_array_equal(read_clip(source(path, "poseprior")).joints, expected)


def test_position_channels_that_repeat_the_offset(tmp_path):
    """Some exporters give every joint six channels, the position including the OFFSET."""
    path = tmp_path / "a.bvh"
    path.write_text(pose_prior_bvh(3))
    expected = read_clip(source(path, "poseprior")).joints
    head, tail = pose_prior_bvh(3).split("MOTION\n")
    out, offset, inserts, column = [], None, [], 0
    for line in head.splitlines():
        words = line.split()
        if words[:1] == ["OFFSET"]:
            offset = words[1:]
        if words[:1] == ["CHANNELS"]:
            column += int(words[1])
            if words[1] == "3":
                inserts.append((column - 3, offset))
                words[1:2] = ["6", "Xposition", "Yposition", "Zposition"]
        out.append(" ".join(words))
    rows = tail.splitlines()
    for index in range(2, len(rows)):
        words = rows[index].split()
        for at, values in reversed(inserts):
            words[at:at] = values
        rows[index] = " ".join(words)
    path.write_text("\n".join([*out, "MOTION", *rows]))
    np.testing.assert_allclose(read_clip(source(path, "poseprior")).joints, expected, atol=1e-12)


def test_damaged_frames_are_set_aside(tmp_path):
    path = tmp_path / "a.bvh"
    path.write_text(pose_prior_bvh(6))
    whole = read_clip(source(path, "poseprior"))
    lines = pose_prior_bvh(6).splitlines()
    lines[-4] = lines[-4].rsplit(" ", 1)[0]
    lines[-2] = lines[-2].replace(".", "x", 1)
    path.write_text("\n".join(lines))
    clip = read_clip(source(path, "poseprior"))
    np.testing.assert_array_equal(clip.frames, [0, 1, 3, 5])
    np.testing.assert_array_equal(clip.joints, whole.joints[[0, 1, 3, 5]])
    assert clip.lost[0].startswith(f"2 of 6 frames set aside; the first, line {len(lines) - 3},")
    path.write_text("\n".join(pose_prior_bvh(6).splitlines()[:-2]))
    assert "declares 6 frames, the file holds 4" in read_clip(source(path, "poseprior")).lost[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "HIERARCHIES", "expected HIERARCHY"),
        ("OFFSET 0.0 0.0 0.0", "OFFSET 0.0 0.0", "three numbers"),
        ("CHANNELS 6", "CHANNELS 7", "CHANNELS"),
        ("Zrotation", "Qrotation", "channel such as"),
        ("JOINT LeftForeArm", "JOINT Wing", "found none for l_elbow .*Wing"),
        ("Frame Time: 0.008333", "Frame Time: never", r"a.bvh:\d+: .*frame time.*'never'.*--fps"),
        ("Frame Time: 0.008333", "Frame Time: 0", "frame time in seconds"),
        ("MOTION", "}\nMOTION", "'{' before '}'"),
        ("End Site", "End", "one ROOT and JOINTs"),
    ],
)
def test_broken_headers_say_what_is_wrong(tmp_path, old, new, message):
    path = tmp_path / "a.bvh"
    text = pose_prior_bvh(2)
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SourceError, match=message):
        read_clip(source(path, "poseprior"))


def test_deep_and_large_hierarchies_are_bounded(tmp_path):
    text = "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n" + "JOINT b\n{\nOFFSET 0 0 0\n" * 3000
    with pytest.raises(SourceError):
        parse_bvh(text.encode(), tmp_path / "a.bvh")


def test_discovery_of_bvh_names_and_subjects(shared_data):
    clips, rejected = discover("bvh", [shared_data / "cmu" / "bvh_cgspeed"])
    assert [c.name for c in clips][:3] == ["02_01", "49_01", "49_01_ignoreFirstFrame"]
    assert {c.subject for c in clips} == {"02", "49"}
    assert rejected == []
