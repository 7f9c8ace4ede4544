"""Reading options of ``posebank ingest`` and ``posebank inspect``."""

import json

from bvh_files import FORMS, UPLEG, Z_UP, Form, bvh_text
from click.testing import CliRunner
from mocap_files import acclaim_bones, amc_text, asf_text, random_motion

from posebank.artefacts import read_manifest
from posebank_cli.main import main

FRENCH = UPLEG | {"l_knee": "GenouGauche", "r_knee": "GenouDroit"}


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def written(path, form, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(bvh_text(form.but(n_frames=20), seed))
    return path


def stage(result):
    assert result.exit_code == 0, result.output
    (made,) = json.loads(result.stdout)["stages"]
    return made


def test_each_source_keeps_its_own_options(tmp_path):
    """Three producers: known names, names that need a map, and an unknown unit."""
    workspace = tmp_path / "ws"
    common = ("-w", workspace, "--workers", 1, "--json", "--min-distance-mm", 0)
    written(tmp_path / "one/a.bvh", Form(UPLEG))
    written(tmp_path / "two/b.bvh", Form(FRENCH, turn=Z_UP), seed=1)
    written(tmp_path / "three/c.bvh", Form(UPLEG, unit=0.2, frame_time="0"), seed=2)
    names = tmp_path / "map.toml"
    names.write_text('l_knee = "GenouGauche"\nr_knee = "GenouDroit"\n')
    assert stage(run("ingest", "bvh", tmp_path / "one", *common))["stats"]["clips"] == 1
    refused = run("ingest", "bvh", tmp_path / "two", "-w", tmp_path / "other", "--workers", 1)
    assert refused.exit_code == 1
    assert "GenouGauche" in refused.output
    made = stage(run("ingest", "bvh", tmp_path / "two", *common, "--joints", names, "--up", "z"))
    assert made["stats"]["clips"] == 2
    made = stage(run("ingest", "bvh", tmp_path / "three", *common, "--unit", "0.2", "--fps", 30))
    assert made["stats"]["clips"] == 3
    assert made["rejected"] == []
    options = read_manifest(workspace / "bank", "bank").sections["bvh"].settings["options"]
    assert options == {
        str(tmp_path / "two"): {
            "up": "z",
            "joints": {"l_knee": ["GenouGauche"], "r_knee": ["GenouDroit"]},
        },
        str(tmp_path / "three"): {"unit": "0.2", "fps": 30.0},
    }
    again = stage(run("ingest", "bvh", tmp_path / "one", *common))
    assert again["status"] == "up to date"


def test_what_was_completed_is_told(tmp_path):
    written(tmp_path / "clips/a.bvh", FORMS["Bandai-Namco"])
    written(tmp_path / "clips/b.bvh", FORMS["Bandai-Namco"], seed=1)
    result = run("ingest", "bvh", tmp_path / "clips", "-w", tmp_path / "ws", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "note: the head has no end of a head's length" in result.output
    assert "(2 clips)" in result.output
    stats = read_manifest(tmp_path / "ws/bank", "bank").sections["bvh"].stats
    assert list(stats["notes"].values()) == [2]


def test_suggested_joints_are_completed_and_read(tmp_path):
    clip = written(tmp_path / "a.bvh", Form(FRENCH))
    shown = run("inspect", clip, "--suggest-joints")
    assert shown.exit_code == 0
    assert '# l_knee = ""' in shown.output
    target = tmp_path / "map.toml"
    assert run("inspect", clip, "--suggest-joints", target).exit_code == 0
    assert target.read_text() == shown.output
    refused = run("inspect", clip, "--suggest-joints", target)
    assert refused.exit_code == 1
    assert "expected no file yet" in refused.output
    text = target.read_text().replace('# l_knee = ""', 'l_knee = "GenouGauche"')
    target.write_text(text.replace('# r_knee = ""', 'r_knee = "GenouDroit"'))
    read = run("inspect", clip, "--joints", target, "--json")
    assert json.loads(read.stdout)["naming"] == "given by the user"
    # A path that is forgotten is not taken for the file to write.
    before = clip.read_bytes()
    assert run("inspect", "--suggest-joints", clip).exit_code == 2
    assert clip.read_bytes() == before


def test_wrong_options_are_usage_errors(tmp_path):
    clip = written(tmp_path / "a.bvh", Form(UPLEG))
    for option, value in (("--unit", "ell"), ("--unit", "-3"), ("--up", "w"), ("--fps", 0)):
        assert run("inspect", clip, option, value).exit_code == 2
    bad = run("inspect", clip, "--joints", tmp_path / "none.toml")
    assert bad.exit_code == 1
    assert "expected a readable file" in bad.output


def test_a_skeleton_that_is_given(tmp_path):
    bones = acclaim_bones()
    clip = tmp_path / "walks" / "07_01.amc"
    clip.parent.mkdir()
    clip.write_text(amc_text(random_motion(bones, 20)))
    skeleton = tmp_path / "elsewhere" / "deep" / "person.asf"
    skeleton.parent.mkdir(parents=True)
    skeleton.write_text(asf_text(bones))
    assert run("inspect", clip).exit_code == 1
    assert run("inspect", clip, "--skeleton", skeleton).exit_code == 0
    made = run("ingest", "cmu", clip, "-w", tmp_path / "ws", "--workers", 1, "--skeleton", skeleton)
    assert made.exit_code == 0, made.output


def test_a_configuration_with_options(tmp_path):
    """Two tables of one data set, each with its own options, are one section of the bank."""
    from posebank_pipelines.config import load_config

    config = tmp_path / "c.toml"
    config.write_text(
        """
[[mocap]]
dataset = "bvh"
sources = ["one"]

[[mocap]]
dataset = "bvh"
sources = ["two"]
unit = 0.2
up = "z"
fps = 30
joints = { l_knee = "Genou", r_hip = ["A", "B"] }

[[annotations]]
kind = "lsp"
source = "lsp"
"""
    )
    first, second = load_config(config).mocap
    assert first.options.as_json() == {}
    assert second.options.as_json() == {
        "unit": "0.2",
        "up": "z",
        "fps": 30.0,
        "joints": {"l_knee": ["Genou"], "r_hip": ["A", "B"]},
    }
