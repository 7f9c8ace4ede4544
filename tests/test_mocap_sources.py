import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from c3d_files import c3d_with
from mocap_files import acclaim_bones, amc_text, asf_text, pose_prior_bvh, random_motion

from posebank.errors import SettingsError, SourceError
from posebank.mocap import (
    DATASETS,
    ClipSource,
    ReadOptions,
    describe_clip,
    describe_skeleton,
    discover,
    limbs_by_subject,
    poses_from_clip,
    read_clip,
)
from posebank.mocap.bank import BankSettings
from posebank.mocap.rates import CMU_EXCEPTIONS, cmu_rate, hdm05_rate, rate_of_frame_time

BONES = acclaim_bones()


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_cmu_folders(tmp_path):
    put(tmp_path / "subjects/07/07.asf", asf_text(BONES))
    put(tmp_path / "subjects/07/07_02.amc", amc_text(random_motion(BONES, 3)))
    put(tmp_path / "subjects/07/07_01.AMC", amc_text(random_motion(BONES, 3, seed=1)))
    put(tmp_path / "subjects/08/08_01.amc", amc_text(random_motion(BONES, 3)))
    put(tmp_path / "subjects/readme.txt", "no clip")
    clips, rejected = discover("cmu", [tmp_path])
    assert [(c.name, c.subject, c.skeleton.name) for c in clips] == [
        ("07_01", "07", "07.asf"),
        ("07_02", "07", "07.asf"),
    ]
    assert [r.where for r in rejected] == [str(tmp_path / "subjects/08/08_01.amc")]
    assert "ASF" in rejected[0].reason
    assert read_clip(clips[0]).fps == 120.0


def test_hdm05_cut_clips_and_full_takes(tmp_path):
    for actor in ("bd", "mm"):
        put(tmp_path / f"HDM_{actor}.asf", asf_text(BONES))
    names = (
        "cut/squat/HDM_bd_squat1Reps_001_120",
        "takes/HDM_mm_01-01_01_120",
        "takes/HDM_mm_01-01_02",
    )
    for seed, name in enumerate(names):
        put(tmp_path / f"{name}.amc", amc_text(random_motion(BONES, 3, seed)))
    clips, rejected = discover("hdm05", [tmp_path])
    assert [(c.subject, c.skeleton.name) for c in clips] == [
        ("bd", "HDM_bd.asf"),
        ("mm", "HDM_mm.asf"),
        ("mm", "HDM_mm.asf"),
    ]
    assert rejected == []
    by_name = {c.name: c for c in clips}
    assert read_clip(by_name["HDM_mm_01-01_01_120"]).fps == 120.0
    with pytest.raises(SourceError, match=r"HDM_mm_01-01_02\.amc.*--fps"):
        read_clip(by_name["HDM_mm_01-01_02"])
    assert read_clip(by_name["HDM_mm_01-01_02"], fps=60.0).fps == 60.0


def test_a_companion_states_the_rate(tmp_path):
    put(tmp_path / "HDM_mm.asf", asf_text(BONES))
    amc = put(tmp_path / "HDM_mm_jump.amc", amc_text(random_motion(BONES, 3)))
    put(amc.with_suffix(".c3d"), c3d_with(np.zeros((3, 2, 3)), ["A", "B"], rate=60.0))
    clips, _ = discover("hdm05", [tmp_path])
    assert describe_clip(clips[0])["rate_evidence"] == "companion HDM_mm_jump.c3d"
    assert read_clip(clips[0]).fps == 60.0
    amc.with_suffix(".c3d").unlink()
    put(amc.with_suffix(".bvh"), pose_prior_bvh(2))
    assert read_clip(clips[0]).fps == 120.0


def test_wrong_settings_are_no_fault_of_the_file(tmp_path):
    put(tmp_path / "07/07.asf", asf_text(BONES))
    put(tmp_path / "07/07_01.amc", amc_text(random_motion(BONES, 3)))
    (clip,), _ = discover("cmu", [tmp_path])
    with pytest.raises(SettingsError, match="expected a positive frame rate, found -3"):
        read_clip(clip, fps=-3.0)
    with pytest.raises(SettingsError, match="expected none for cmu"):
        read_clip(clip, unit="m")


def test_rates_by_hand():
    assert cmu_rate("02_01")[0] == 120.0
    assert cmu_rate("89_03")[0] == 60.0
    assert cmu_rate("90_11")[0] == 60.0
    assert cmu_rate("90_12")[0] == 120.0
    assert all(s not in CMU_EXCEPTIONS for s in ("02", "09", "16", "49", "127"))
    assert cmu_rate("golf_01") is None
    assert all(len(evidence) > 20 for _, evidence in CMU_EXCEPTIONS.values())
    assert hdm05_rate("HDM_bd_squat1Reps_012_120")[0] == 120.0
    assert hdm05_rate("HDM_bd_squat1Reps") is None
    assert rate_of_frame_time(0.0083333) == 120.0
    assert rate_of_frame_time(0.008333) == 120.0
    assert rate_of_frame_time(0.0416667) == 24.0
    assert rate_of_frame_time(0.04) == 25.0


def test_same_names_get_their_folder(tmp_path):
    for seed, folder in enumerate(("ann", "bob")):
        put(tmp_path / folder / "walk.bvh", pose_prior_bvh(2, seed=seed))
    clips, rejected = discover("poseprior", [tmp_path])
    assert [(c.name, c.subject) for c in clips] == [("ann/walk", "ann"), ("bob/walk", "bob")]
    assert rejected == []
    other = put(tmp_path / "other" / "ann" / "walk.bvh", pose_prior_bvh(2))
    clips, rejected = discover("poseprior", [tmp_path / "ann", other.parent])
    assert len(clips) == 1
    assert "one clip named 'walk'" in rejected[0].reason


@pytest.mark.parametrize(
    ("clip", "skeleton", "given"),
    [
        ("amc/07_01.amc", "asf/07.asf", "."),
        ("amc/07_01.amc", "asf/07.asf", "amc"),
        ("amc/07_01.amc", "asf/07.asf", "amc/07_01.amc"),
        ("motions/07/07_01.amc", "skeletons/07.asf", "motions"),
        ("motions/07/07_01.amc", "Skeleton/07.ASF", "."),
        ("07/takes/07_01.amc", "07/07.asf", "07/takes"),
        ("07/takes/07_01.amc", "07/model/07.asf", "07/takes/07_01.amc"),
        ("07/amc/walk.amc", "07/asf/person.asf", "."),
        ("07_01.amc", "asf/07.asf", "07_01.amc"),
    ],
)
def test_skeletons_in_other_folders(tmp_path, clip, skeleton, given):
    put(tmp_path / "data" / clip, amc_text(random_motion(BONES, 3)))
    expected = put(tmp_path / "data" / skeleton, asf_text(BONES))
    put(tmp_path / "data" / "other" / "08.asf", asf_text(BONES, length=0.5))
    (found,), rejected = discover("cmu", [tmp_path / "data" / given])
    assert rejected == []
    assert found.skeleton == expected
    assert read_clip(found, 120.0).joints.shape == (3, 13, 3)


def test_a_skeleton_of_another_subject_is_not_taken(tmp_path):
    """One that is alone is taken, but not where the names say that it is another's."""
    clip = put(tmp_path / "amc/07_01.amc", amc_text(random_motion(BONES, 3)))
    other = put(tmp_path / "asf/08.asf", asf_text(BONES))
    clips, (rejected,) = discover("cmu", [tmp_path])
    assert clips == []
    assert "give --skeleton FILE" in rejected.reason
    (found,), _ = discover("cmu", [tmp_path], ReadOptions(skeleton=other))
    assert found.skeleton == other
    put(clip.parent / "08.asf", asf_text(BONES))
    assert discover("cmu", [tmp_path])[0] == []


def test_two_skeletons_that_fit(tmp_path):
    put(tmp_path / "amc/07_01.amc", amc_text(random_motion(BONES, 3)))
    for folder in ("a", "b"):
        put(tmp_path / folder / "07.asf", asf_text(BONES))
    (found,), _ = discover("cmu", [tmp_path])  # copies of one
    assert found.skeleton == tmp_path / "a" / "07.asf"
    put(tmp_path / "b" / "07.asf", asf_text(BONES, length=0.5))
    clips, (rejected,) = discover("cmu", [tmp_path])
    assert clips == []
    assert "expected one ASF" in rejected.reason
    assert str(tmp_path / "b" / "07.asf") in rejected.reason


def test_a_copy_under_another_name_is_set_aside(tmp_path):
    text = amc_text(random_motion(BONES, 3))
    other = text.replace("17 ", "18 ")
    assert len(other) == len(text)
    assert other != text
    put(tmp_path / "07/07.asf", asf_text(BONES))
    put(tmp_path / "08/08.asf", asf_text(BONES, length=0.5))
    for name in ("07/07_01.amc", "07/07_03.amc", "08/08_01.amc"):
        put(tmp_path / name, text)
    put(tmp_path / "07/07_02.amc", other)
    clips, rejected = discover("cmu", [tmp_path])
    # The same values with another skeleton are another clip.
    assert [c.name for c in clips] == ["07_01", "07_02", "08_01"]
    assert [(Path(r.where).name, Path(r.reason.split()[-1]).name) for r in rejected] == [
        ("07_03.amc", "07_01.amc")
    ]


def test_files_and_folders_and_twice_the_same(tmp_path):
    path = put(tmp_path / "a" / "walk.bvh", pose_prior_bvh(2))
    clips, _ = discover("bvh", [tmp_path / "a", path, path])
    assert [c.path for c in clips] == [path]


def test_what_is_not_there(tmp_path):
    with pytest.raises(SourceError, match="file or a folder"):
        discover("cmu", [tmp_path / "none"])
    with pytest.raises(SourceError, match="found none"):
        discover("cmu", [tmp_path])
    with pytest.raises(SettingsError, match="dataset"):
        discover("kinect", [tmp_path])
    lonely = put(tmp_path / "07_01.amc", amc_text(random_motion(BONES, 2)))
    clips, rejected = discover("cmu", [lonely])
    assert clips == []
    assert len(rejected) == 1


def test_descriptions_are_json(shared_data):
    sources = {
        "cmu": "cmu/subjects/09/09_01.amc",
        "hdm05": "hdm05/HDM_bd_squat1Reps_001_120.amc",
        "bvh": "cmu/bvh_cgspeed/49_05.bvh",
        "c3d": "cmu/c3d/02_01.c3d",
    }
    for dataset, name in sources.items():
        clips, _ = discover(dataset, [shared_data / name])
        facts = json.loads(json.dumps(describe_clip(clips[0])))
        assert facts["fps"] == 120.0
        assert facts["dataset"] == dataset
        assert {
            "unit",
            "rate_evidence",
            "axes",
            "mapping",
            "frames",
            "frames_lost",
            "lost",
            "limbs_mm",
        } <= set(facts)
        assert 150 < facts["limbs_mm"]["r_elbow-r_shoulder"] < 350


def test_the_description_of_a_skeleton(tmp_path):
    facts = describe_skeleton(put(tmp_path / "07.asf", asf_text(BONES)))
    assert json.loads(json.dumps(facts)) == facts
    assert facts["unit"] == "1/0.45 inch (ASF :units length 0.45)"
    assert facts["root_order"] == "tx ty tz rx ry rz"
    assert facts["values_per_frame"] == 6 + sum(len(b[5].split()) for b in BONES.values())
    # 7.2 units of 1/0.45 inch
    assert facts["bones"]["ltibia"] == {"mm": 406.4, "parent": "lfemur", "dof": "rx"}
    assert "lthumb" not in facts["bones_needed"]


def test_every_real_clip_is_read(shared_data):
    """All 263 AMC clips: nothing lost in reading, five joints that jump found."""
    jumped, frames, every = {}, 0, []
    for dataset, folder in (("cmu", "cmu/subjects"), ("hdm05", "hdm05")):
        clips, rejected = discover(dataset, [shared_data / folder])
        assert rejected == []
        for source in clips:
            clip = read_clip(source)
            assert clip.lost == ()
            assert np.isfinite(clip.joints).all()
            _, stats = poses_from_clip(clip, BankSettings())
            frames += stats.frames
            every.append(stats)
            if stats.jumped:
                jumped[source.name] = stats.jumped
    assert frames == 94_987
    limbs = limbs_by_subject(every)
    assert set(limbs) == {"02", "09", "127", "16", "49", "bd", "dg"}
    for subject in limbs.values():
        assert all(row["max"] - row["min"] < 0.01 for row in subject.values())
        assert abs(subject["r_ankle-r_knee"]["sides"]) < 25
        assert "sides" not in subject["l_ankle-l_knee"]
    assert set(jumped) == {"09_10", "16_15", "16_23", "16_28", "HDM_dg_lieDownFloor_014_120"}


def test_sources_travel_to_workers(shared_data):
    clips, _ = discover("c3d", [shared_data / "cmu" / "c3d"])
    assert pickle.loads(pickle.dumps(clips[0])) == clips[0]
    assert isinstance(clips[0], ClipSource)
    assert set(DATASETS) >= {"cmu", "hdm05", "poseprior", "bvh", "c3d"}
