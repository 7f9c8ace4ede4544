"""The command line through its real entry point."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import posebank
from posebank.workspace import image_roots, load_people
from posebank_cli import progress
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
    one_line_error(invoke("run", config), "expected TOML")
    config.write_text("seed = 1\n")
    one_line_error(invoke("run", config), "[[mocap]]")
    one_line_error(invoke("run", tmp_path / "absent.toml"), "absent.toml")


SOURCES = {
    "mocap": '[[mocap]]\ndataset = "cmu"\nsources = ["a"]\n',
    "annotations": '[[annotations]]\nkind = "lspe"\nsource = "b"\n',
}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('seed = "x"', ("seed", "'x'")),
        ("seed = -1", ("seed", "-1")),
        ('run = "../x"', ("run", "../x")),
        ('split = ["val", "foo"]', ("split", "train, val, test", "foo")),
        ("bank = 3", ("[bank]", "table", "3")),
        ("train = 3", ("[train]", "table", "3")),
        ("[[evaluate]]\nroot = 3", ("[evaluate]", "table")),
        ("[evaluate]\nmin_score = [1]", ("[evaluate].min_score", "float", "[1]")),
        ("[evaluate]\nthreshold = nan", ("threshold", "positive", "nan")),
        ("[camera]\nmax_roll_deg = true", ("[camera].max_roll_deg", "float", "True")),
        ("[anchors]\nk = 1.5", ("[anchors].k", "int", "1.5")),
        ("[train]\nanchor_sizes = [1, 'x']", ("[train].anchor_sizes", "int", "'x'")),
        ("[train]\ntrain_proposals = [9]", ("[train].train_proposals", "array of length 2", "[9]")),
        ("[train]\niterations = true", ("[train].iterations", "int", "True")),
        ("[bank]\nfps = 'fast'", ("[bank].fps", "float", "'fast'")),
        ('[[mocap]]\ndataset = "zzz"\nsources = ["a"]', ("[[mocap]] 2.dataset", "cmu", "zzz")),
        ('[[mocap]]\ndataset = "cmu"\nsources = "a"', ("[[mocap]] 2.sources", "list", "'a'")),
        ('[[mocap]]\ndataset = "bvh"\nsources = ["a"]\nunit = "mile"', ("unit", "mm", "mile")),
        ('[[mocap]]\ndataset = "bvh"\nsources = ["a"]\nfps = "x"', ("fps", "float", "'x'")),
        ('[[mocap]]\ndataset = "bvh"\nsources = ["a"]\nup = "w"', ("[[mocap]] 2", "up", "'w'")),
        (
            '[[mocap]]\ndataset = "bvh"\nsources = ["a"]\njoints = {wing = "Wing"}',
            ("joints", "r_ankle", "wing"),
        ),
        ('[[annotations]]\nkind = "lspe"\nsource = "c"', ("[[annotations]]", "one", "lspe")),
        ('[[annotations]]\nkind = "zzz"\nsource = "b"', ("2.kind", "mpii", "zzz")),
        ('[[annotations]]\nkind = "mpii"\nsource = "b"\nimages = 3', ("2.images", "path", "3")),
    ],
)
def test_every_wrong_value_of_a_configuration_is_named(tmp_path, text, words):
    config = tmp_path / "c.toml"
    first = "" if text.startswith("[") else text + "\n"
    config.write_text(first + "".join(SOURCES.values()) + ("" if first else text))
    one_line_error(invoke("run", config, "-w", tmp_path / "ws"), str(config), *words)
    assert not (tmp_path / "ws").exists()


def test_mocap_must_be_tables(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("mocap = 3\n" + SOURCES["annotations"])
    one_line_error(invoke("run", config), "[[mocap]]", "3")


def test_wrong_camera_limits_are_told_in_degrees(tmp_path):
    asked = ("--min-elevation-deg", 50, "--max-elevation-deg", 10)
    line = one_line_error(invoke("match", "-w", tmp_path, *asked), "min_elevation_deg", "50, 10")
    assert "0.87" not in line


def test_what_the_system_refuses_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "ws"
    one_line_error(invoke("export", "coco", "-w", tmp_path, "-o", below), str(tmp_path / "file"))
    demo = invoke("demo", "-w", below, "--workers", 1)
    one_line_error(demo, str(below))
    one_line_error(invoke("report", "-w", tmp_path / "none"), "none", "expected a workspace")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied", "/x/y"),
        OSError(28, "No space left on device", "/x/y"),
    ],
)
def test_an_error_of_the_system_names_the_file(monkeypatch, error):
    def refuse(*_arguments, **_settings):
        raise error

    monkeypatch.setattr("posebank_pipelines.stages.report.report", refuse)
    one_line_error(invoke("report"), "/x/y", error.strerror)


def test_fetch_by_hand_explains(tmp_path):
    result = invoke("fetch", "poseprior", "-o", tmp_path, "--json")
    assert result.exit_code == 0
    facts = json.loads(result.output)
    assert facts["files"] == []
    assert facts["by_hand"][0].startswith("Register at")
    assert facts["next"] == f"posebank ingest poseprior {tmp_path} -w workspace"


def test_query_pose_must_have_13_joints(tmp_path):
    result = invoke("query", "-w", tmp_path, "--pose", "[[1, 2], [3, 4]]")
    assert result.exit_code == 1


def test_what_was_set_aside_is_told_once_for_many(tmp_path):
    """Five people without a joint, one with a wrong name and a good one."""
    people = [{"image": f"{i}.jpg", "joints": {}} for i in range(5)]
    people += [{"image": "a.jpg", "joints": {"knee": [1, 2]}}]
    people += [{"image": "b.jpg", "joints": {"r_knee": [1, 2]}}]
    source = tmp_path / "people.json"
    source.write_text(json.dumps({"people": people}))
    result = invoke("annotate", "json", source, "-w", tmp_path / "ws", "--workers", 1)
    lines = [line for line in result.stderr.splitlines() if line.startswith("set aside: ")]
    assert sum("people/" in line and "found none" in line for line in lines) == 3
    assert "set aside: 2 more: expected at least one annotated joint, found none" in lines
    assert sum("found 'knee'" in line for line in lines) == 1
    assert len(lines) == 5


def test_progress_bar_says_what_time_is_left(capsys, monkeypatch):
    times = iter([100.0, 110.0, 120.0])
    monkeypatch.setattr(progress, "monotonic", lambda: next(times))
    bar = progress.Bars()
    # The run goes on at 300 of 500: those were done before, and count for nothing.
    for done in (300, 301, 500):
        bar("train", done, 500, "steps")
    lines = capsys.readouterr().err.split("\r")[1:]
    assert [line.split("]")[1].split() for line in lines] == [
        ["300/500", "steps"],
        ["301/500", "steps", "33:10", "left"],
        ["500/500", "steps"],
    ]


def test_progress_without_a_terminal_is_a_line_at_the_start_and_one_a_minute(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    lines = progress.Lines()
    for done in range(8):  # one of 4,000 every 20 s
        lines("match", 1000 + done, 5000, "people")
        now[0] += 20
    lines("cmu.zip", 4096, 0)  # a download whose size the server does not say
    assert capsys.readouterr().err.splitlines() == [
        "match: 1,000 of 5,000 people",
        "match: 1,003 of 5,000 people, 22:12:20 left",
        "match: 1,006 of 5,000 people, 22:11:20 left",
        "cmu.zip: 4,096",
    ]


def test_unknown_command_suggests_the_one_that_was_meant():
    result = invoke("mach", "-w", "ws")
    assert result.exit_code == 2
    assert "No such command 'mach'. Did you mean 'match'?" in result.output


def test_templates_are_printed_to_be_edited():
    assert invoke("run", "--template", "paper").stdout == (
        DOCS.parent / "configs" / "paper.toml"
    ).read_text("utf-8")


def test_version_names_the_packages_that_matter():
    lines = invoke("--version").output.splitlines()
    assert lines[0] == f"posebank {posebank.__version__}"
    assert {"python", "numpy", "numba", "torch"} <= {line.split()[0] for line in lines}


def test_run_leaves_a_log_also_when_it_fails(tmp_path):
    (tmp_path / "empty").mkdir()
    config = tmp_path / "run.toml"
    config.write_text(
        f'[[mocap]]\ndataset = "cmu"\nsources = ["{tmp_path}/empty"]\n'
        f'[[annotations]]\nkind = "coco"\nsource = "{tmp_path}/empty"\n'
    )
    assert invoke("run", config, "-w", tmp_path / "ws", "--workers", 1).exit_code == 1
    (log,) = (tmp_path / "ws" / "logs").glob("run-*.log")
    text = log.read_text()
    assert f"posebank {posebank.__version__}" in text
    assert "ended by SourceError" in text


def test_ones_own_data_sets_stand_beside_each_other_with_their_images(tmp_path):
    """A name in the file, else the file's; each set's images are found where it has them."""
    for name, text in (("a", {"dataset": "mine"}), ("b c", {})):
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        (folder / "images" / "1.png").write_bytes(b"an image")
        people = [{"image": "1.png", "width": 9, "height": 9, "joints": {"head": [3, 4]}}]
        (folder / f"{name}.json").write_text(json.dumps(text | {"people": people}))
        for status in ("made", "up to date"):
            result = invoke(
                "annotate",
                "json",
                folder / f"{name}.json",
                "-w",
                tmp_path / "ws",
                "--workers",
                1,
                "--json",
            )
            assert json.loads(result.stdout)["stages"][0]["status"] == status
    assert image_roots(tmp_path / "ws") == {
        "mine": tmp_path / "a" / "images",
        "b_c": tmp_path / "b c" / "images",
    }
    assert list(load_people(tmp_path / "ws").person_id) == ["b_c/1.png/0", "mine/1.png/0"]


def test_help_of_no_command_waits_for_heavy_libraries():
    """One process asks every command for its help; none may import what only its work needs."""
    script = """
import sys
from click.testing import CliRunner
from posebank_cli.main import COMMANDS, main
# These two take defaults from where they work; they come last, as what they import stays.
LAST = {"ingest": {"numba"}, "query": {"faiss", "matplotlib", "numba", "pandas"}}
def allowed(name):
    return LAST.get(name, set())
for name in sorted(COMMANDS, key=lambda name: [*LAST].index(name) if name in LAST else -1):
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0 and "Example" in result.output, name
    heavy = {"torch"} | ({"faiss", "matplotlib", "dask", "numba", "pandas"} - allowed(name))
    assert not heavy & set(sys.modules), f"{name} --help imports {heavy & set(sys.modules)}"
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
