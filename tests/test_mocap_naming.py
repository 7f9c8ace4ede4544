"""Every naming scheme with a made-up clip, against a slow oracle; names that no scheme knows."""

import numpy as np
import pytest
from bvh_files import BODY, FORMS, HEAD_TOP, UPLEG, Form, bvh_text
from mocap_oracle import bvh_frames

from posebank.errors import SettingsError, SourceError
from posebank.mocap import ReadOptions, discover, read_clip, read_joint_map, suggest_joints
from posebank.mocap.naming import SCHEMES, Skeleton, match_joints, plain_name
from posebank.mocap.sources import ClipSource, read_source
from posebank.skeleton import JOINT_NAMES, J


def written(tmp_path, form, seed=0):
    path = tmp_path / "a.bvh"
    path.write_text(bvh_text(form, seed))
    return ClipSource("bvh", path, None, "a", "a")


def true_joints(form, text):
    """Joints by the slow oracle, metres, y up; the head's is the joint at the skull's base."""
    frames = bvh_frames(text)
    places = [frames[form.prefix + form.names[j]][0] for j in JOINT_NAMES]
    return np.stack(places, axis=1) * form.unit @ form.turn


LEGS = sum(np.linalg.norm(BODY[f"{s}_{j}"][1]) for s in "lr" for j in ("knee", "ankle")) / 2
COMPLETED = 0.117 * LEGS / 0.491
"""Length of a completed head: de Leva's part of a body height that the legs are 0.491 of."""


@pytest.mark.parametrize("name", FORMS)
def test_every_scheme_against_the_slow_oracle(tmp_path, name):
    form = FORMS[name]
    read = read_source(written(tmp_path, form))
    # Position channels that repeat the OFFSET: the oracle would add both.
    expected = true_joints(form, bvh_text(form.but(all_positions=False)))
    limbs = [J[j] for j in JOINT_NAMES if j != "head"]
    np.testing.assert_allclose(read.joints[:, limbs], expected[:, limbs], atol=1e-9)
    known = HEAD_TOP in [at for at, _ in form.below_head.values()] + [form.head_end]
    assert ["body heights" in note for note in read.notes] == ([] if known else [True])
    assert read.lost == ()
    head = read.joints[:, J["head"]]
    if form.along_x:  # bones along x have no direction of their own, but their length
        length = np.linalg.norm(head - expected[:, J["head"]], axis=-1)
        np.testing.assert_allclose(length, COMPLETED, atol=1e-9)
        return
    # The same body as one that is written in metres, y up, whose axes are the world's at rest.
    places, turns = bvh_frames(bvh_text(Form(UPLEG, unit=1.0, no_channels=form.no_channels)))[
        "Head"
    ]
    neck = np.array(BODY["head"][1])
    top = np.array(HEAD_TOP) if known else COMPLETED * neck / np.linalg.norm(neck)
    np.testing.assert_allclose(head, places + turns @ top, atol=1e-9)


def test_every_row_of_the_table_is_tried():
    stems = {row for _, row, _ in SCHEMES}
    tried = set()
    for form in FORMS.values():
        names = tuple(form.prefix + n for n in form.names.values())
        keys = list(form.names)
        parents = tuple(-1 if BODY[k][0] is None else keys.index(BODY[k][0]) for k in keys)
        found = match_joints(Skeleton(names, parents))
        tried.add(found.scheme)
    missing = {name for name, _, _ in SCHEMES} - tried
    assert missing == {"Acclaim"}, missing
    assert len(stems) == len(SCHEMES)


def test_acclaim_names_of_a_conversion(tmp_path):
    """ASF bones as BVH joints: the wrist is the hand's joint, not the end of ``radius``."""
    names = dict(UPLEG)
    for side in "lr":
        names |= {
            f"{side}_{j}": side + bone
            for j, bone in (
                ("hip", "femur"),
                ("knee", "tibia"),
                ("ankle", "foot"),
                ("shoulder", "humerus"),
                ("elbow", "radius"),
                ("wrist", "hand"),
            )
        }
    read = read_source(written(tmp_path, Form(names)))
    assert read.facts["naming"] == "Acclaim"
    assert read.facts["mapping"]["r_wrist"] == "rhand"


def test_names_of_several_schemes(tmp_path):
    names = UPLEG | {
        "l_knee": "LeftCalf",
        "r_knee": "RightCalf",
        "l_wrist": "LeftWrist",
        "r_wrist": "RightWrist",
    }
    read = read_source(written(tmp_path, Form(names)))
    assert read.facts["naming"] == "several schemes"
    expected = true_joints(Form(names), bvh_text(Form(names)))
    np.testing.assert_allclose(read.joints[:, :12], expected[:, :12], atol=1e-9)


def test_a_shoulder_above_an_upper_arm_is_the_collar_bone(tmp_path):
    names = UPLEG | {
        f"{s[0].lower()}_{j}": s + n
        for s in ("Left", "Right")
        for j, n in (
            ("hip", "Hip"),
            ("knee", "Knee"),
            ("ankle", "Ankle"),
            ("collar", "Shoulder"),
            ("shoulder", "UpperArm"),
            ("elbow", "Elbow"),
            ("wrist", "Wrist"),
        )
    }
    read = read_source(written(tmp_path, Form(names)))
    assert read.facts["mapping"]["l_shoulder"] == "LeftUpperArm"


def test_plain_names():
    assert plain_name("ns:rig:Left_Arm") == "leftarm"
    assert plain_name("|root|Left-Arm") == "leftarm"
    assert plain_name("Head/end site") == "head/end site"


MAP = {j: n for j, n in UPLEG.items() if j in JOINT_NAMES}
GERMAN = {
    k: v.replace("Left", "Links").replace("Right", "Rechts").replace("Leg", "Bein")
    for k, v in UPLEG.items()
}


def toml(tmp_path, **names):
    path = tmp_path / "map.toml"
    lines = [f"{j} = {v!r}\n".replace("'", '"') for j, v in names.items()]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_joints_named_by_the_user(tmp_path):
    form = Form(GERMAN, head_end=(0.0, 0.0, 0.0))
    source = written(tmp_path, form)
    with pytest.raises(SourceError, match="found none for r_ankle") as refused:
        read_clip(source)
    assert "best guess has head = Head" in str(refused.value)
    assert "LinksUpBein" in str(refused.value)
    names = read_joint_map(toml(tmp_path, **{j: GERMAN[j] for j in JOINT_NAMES}))
    read = read_clip(source, joints=names)
    expected = true_joints(form, source.path.read_text())
    np.testing.assert_allclose(read.joints[:, :12], expected[:, :12], atol=1e-9)
    assert len(read.notes) == 1  # the head top is completed as it is for known names
    top = read_joint_map(
        toml(tmp_path, **{j: GERMAN[j] for j in JOINT_NAMES} | {"head": "Head/end site"})
    )
    at_end = read_clip(source, joints=top)
    assert at_end.notes == ()
    np.testing.assert_allclose(at_end.joints[:, J["head"]], expected[:, J["head"]], atol=1e-9)


def test_a_partial_map_and_the_mean_of_several(tmp_path):
    form = Form(UPLEG | {"l_knee": "Genou", "r_knee": "Genou2"})
    source = written(tmp_path, form)
    names = {"l_knee": ("Genou",), "r_knee": ("Genou2",), "l_hip": ("LeftUpLeg", "Genou")}
    joints = read_clip(source, joints=names).joints
    expected = true_joints(form, source.path.read_text())
    rest = [i for i, j in enumerate(JOINT_NAMES) if j not in ("l_hip", "head")]
    np.testing.assert_allclose(joints[:, rest], expected[:, rest], atol=1e-9)
    middle = (expected[:, J["l_hip"]] + expected[:, J["l_knee"]]) / 2
    np.testing.assert_allclose(joints[:, J["l_hip"]], middle, atol=1e-9)
    with pytest.raises(SourceError, match="expected names of joints in the file, found 'Knie'"):
        read_clip(source, joints={"l_knee": ("Knie",)})


def test_the_suggested_file_is_read_back(tmp_path):
    source = written(tmp_path, Form(UPLEG | {"l_knee": "Genou"}))
    text = suggest_joints(source.path)
    assert '# l_knee = ""' in text
    assert "Genou" in text
    path = tmp_path / "map.toml"
    path.write_text(text.replace('# l_knee = ""', 'l_knee = "Genou"'))
    assert read_joint_map(path) == {j: (n,) for j, n in (MAP | {"l_knee": "Genou"}).items()}
    read_clip(source, joints=read_joint_map(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r_knee = 3", "r_knee: expected a name"),
        ("r_knee = []", "r_knee: expected a name"),
        ('r_knee = ""', "r_knee: expected a name"),
        ('knee = "Knee"', "found knee"),
        ("r_knee", "expected TOML"),
        ("", "found none"),
    ],
)
def test_wrong_maps_are_refused(tmp_path, text, message):
    path = tmp_path / "map.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=f"map.toml.*{message}"):
        read_joint_map(path)
    with pytest.raises(SettingsError, match="expected a readable file"):
        read_joint_map(tmp_path / "none.toml")


def test_options_travel_as_json(tmp_path):
    given = ReadOptions(30.0, "0.0564", "z", {"head": ("A", "B")}, tmp_path / "a.asf")
    assert ReadOptions.from_json(given.as_json()) == given
    assert ReadOptions().as_json() == {}
    for wrong in ({"up": "w"}, {"unit": "ell"}, {"unit": "-1"}, {"unit": "nan"}, {"fps": -3.0}):
        with pytest.raises(SettingsError):
            ReadOptions(**wrong)
    source = written(tmp_path, Form(UPLEG))
    (found,), _ = discover("bvh", [source.path], ReadOptions(fps=7.0))
    assert read_clip(found).fps == 7.0
    (found,), _ = discover("bvh", [tmp_path, source.path], {source.path: ReadOptions(fps=9.0)})
    assert read_clip(found).fps == 9.0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_names_with_accents_are_named_as_they_are_read(tmp_path, encoding):
    form = Form(UPLEG | {"head": "T\u00eate"})
    path = tmp_path / "a.bvh"
    path.write_bytes(bvh_text(form).encode(encoding))
    source = ClipSource("bvh", path, None, "a", "a")
    with pytest.raises(SourceError, match="T\u00eate"):
        read_clip(source)
    names = read_joint_map(toml(tmp_path, head="T\u00eate"))
    assert read_clip(source, joints=names).notes == ()
