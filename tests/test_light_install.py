"""What works without the extras: no torch, no FAISS, no Matplotlib.

The packages are hidden from a new process, so that the test also runs where they are installed.
"""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HIDDEN = ("torch", "torchvision", "tensorboard", "faiss", "matplotlib", "timm", "selenium")


PRELUDE = f"""
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HIDDEN!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hide())
"""


def run_without_extras(code: str) -> str:
    """Run code in a process where importing one of the extras' packages fails."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_library_labels_people():
    shown = run_without_extras(
        """
        import posebank as pb
        data = pb.sample_data()
        labels = pb.label(data.bank, data.people)
        print(labels.to_pandas().shape[0])
        """
    )
    assert shown.split() == ["6"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    import posebank as pb

    return pb.sample_data(tmp_path_factory.mktemp("sample") / "data").folder


def test_commands_from_files_to_shards(sample, tmp_path):
    commands = [
        ["ingest", "poseprior", str(sample / "bvh")],
        ["annotate", "coco", str(sample / "keypoints.json")],
        ["match"],
        ["label"],
        ["shards"],
        ["query"],
        ["inspect", str(tmp_path / "ws" / "bank")],
        ["export", "npz", "-o", str(tmp_path / "labels.npz")],
    ]
    own = ["inspect"]  # needs no workspace
    parts = ["ingest", "annotate", "match", "label"]
    shown = run_without_extras(
        f"""
        from click.testing import CliRunner
        from posebank_cli.main import main
        for command in {commands!r}:
            more = ["--workers", "1"] if command[0] in {parts!r} else []
            more += ["-w", {str(tmp_path / "ws")!r}] if command[0] not in {own!r} else []
            result = CliRunner().invoke(main, [*command, *more])
            assert result.exit_code == 0, (command, result.output, result.exception)
        import json, pyarrow.parquet as pq
        from pathlib import Path
        parts = sorted(Path({str(tmp_path / "ws")!r}, "shards").rglob("*.parquet"))
        print(json.dumps(sum(pq.read_metadata(p).num_rows for p in parts)))
        """
    )
    assert json.loads(shown) == 6


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("train", "train"),
        ("report", "report"),
        ("predict", "train"),
        ("demo", "train"),
        ("anchors", "report"),
    ],
)
def test_a_command_that_needs_an_extra_names_it(command, extra, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"")
    photo = str(tmp_path / "photo.jpg")
    arguments = [command, *([photo, "--checkpoint", photo] if command == "predict" else [])]
    if command != "predict":
        arguments += ["-w", str(tmp_path)]
    shown = run_without_extras(
        f"""
        from click.testing import CliRunner
        from posebank_cli.main import main
        result = CliRunner().invoke(main, {arguments!r})
        print(result.exit_code, result.output)
        """
    )
    assert shown.startswith("1 ")
    assert f"pip install 'posebank[{extra}]'" in shown
    assert len(shown.strip().splitlines()) == 1
