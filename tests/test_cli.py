"""The command line through its real entry point."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from posebank_cli.main import COMMANDS, main

DOCS = Path(__file__).resolve().parents[1] / "docs"


def invoke(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_entry_point_is_installed_and_quick_to_help():
    entry = Path(sys.executable).with_name("posebank")
    found = subprocess.run([entry, "--help"], capture_output=True, text=True, check=True)
    for name in COMMANDS:
        assert f"\n  {name} " in found.stdout
    modules = subprocess.run(
        [sys.executable, "-X", "importtime", entry, "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert "| torch" not in modules  # help does not wait for it


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_a_page(name):
    shown = invoke(name, "--help")
    assert shown.exit_code == 0, shown.output
    assert f"Example: posebank {name}" in " ".join(shown.output.split())
    assert f"## posebank {name}\n" in (DOCS / "cli.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_prints_json_on_request(name):
    command = main.get_command(click.Context(main), name)
    assert any("--json" in p.opts for p in command.params)


def test_command_reference_is_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import make_cli

    assert (DOCS / "cli.md").read_text() == make_cli.page(), "run `make docs`"


def test_usage_errors_exit_2():
    assert invoke("ingest", "cmu").exit_code == 2
    assert invoke("ingest", "nonsense", "x").exit_code == 2
    assert invoke("nonsense").exit_code == 2


def one_line_error(result, *words):
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    (line,) = [s for s in result.output.splitlines() if s.startswith("Error:")]
    for word in words:
        assert word in line
    return line


def test_missing_source_is_one_clear_line(tmp_path):
    workspace = tmp_path / "ws"
    one_line_error(
        invoke("ingest", "cmu", tmp_path / "absent", "-w", workspace, "--workers", 1), "absent"
    )
    one_line_error(invoke("annotate", "lspe", tmp_path / "absent", "-w", workspace), "absent")
    assert not (workspace / "bank").exists()
    assert not (workspace / "annotations").exists()


def test_stage_without_its_input_names_it(tmp_path):
    one_line_error(invoke("match", "-w", tmp_path), "bank", "missing")
    one_line_error(invoke("anchors", "-w", tmp_path), "labels", "missing")


def test_wrong_configuration_names_file_key_and_expectation(tmp_path):
    config = tmp_path / "c.toml"
    source = '[[mocap]]\ndataset="cmu"\nsources=["a"]\n[[annotations]]\nkind="lspe"\nsource="b"\n'
    config.write_text(source + "[bank]\nfpss = 3\n")
    one_line_error(invoke("run", config), str(config), "[bank]", "fpss", "expected keys", "fps")
    config.write_text(source + '[bank]\nfps = "ten"\n')
    one_line_error(invoke("run", config), "[bank].fps", "expected float", "'ten'")
    config.write_text(source + "[bank]\nfps = = 1\n")
    one_line_error(invoke("run", config), "not TOML")
    config.write_text("seed = 1\n")
    one_line_error(invoke("run", config), "[[mocap]]")
    one_line_error(invoke("run", tmp_path / "absent.toml"), "absent.toml")


def test_fetch_by_hand_explains(tmp_path):
    result = invoke("fetch", "poseprior", "-o", tmp_path, "--json")
    assert result.exit_code == 0
    facts = json.loads(result.output)
    assert facts["files"] == [] and "posebank ingest poseprior" in facts["by_hand"]


def test_query_pose_must_have_13_joints(tmp_path):
    result = invoke("query", "-w", tmp_path, "--pose", "[[1, 2], [3, 4]]")
    assert result.exit_code == 1


def test_what_was_set_aside_is_told_once_for_many(tmp_path):
    """Five people without a joint, one with a wrong name and a good one."""
    people = [{"image": f"{i}.jpg", "joints": {}} for i in range(5)]
    people += [{"image": "a.jpg", "joints": {"knee": [1, 2]}}]
    people += [{"image": "b.jpg", "joints": {"r_knee": [1, 2]}}]
    source = tmp_path / "own.json"
    source.write_text(json.dumps({"people": people}))
    result = invoke("annotate", "json", source, "-w", tmp_path / "ws", "--workers", 1)
    lines = [line for line in result.stderr.splitlines() if line.startswith("set aside: ")]
    assert sum("own/" in line and "found none" in line for line in lines) == 3
    assert "set aside: 2 more: expected at least one annotated joint, found none" in lines
    assert sum("found 'knee'" in line for line in lines) == 1
    assert len(lines) == 5
