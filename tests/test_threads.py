"""How many threads a process may use, and how worker processes share them."""

import os
import subprocess
import sys

import pytest

from posebank.threads import n_cores, n_threads
from posebank_pipelines.processes import environment_of_children, threads_of_workers


@pytest.mark.parametrize("text", ["", "0", "4,2", "many"])
def test_without_a_number_all_cores_are_used(monkeypatch, text):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert n_threads() == n_cores() >= 1


def test_the_number_of_the_environment_is_followed(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert n_threads() == 7


@pytest.mark.parametrize(("workers", "share"), [(1, "7"), (2, "3"), (7, "1"), (9, "1")])
def test_workers_share_the_threads(monkeypatch, workers, share):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    names = {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
    assert threads_of_workers(workers) == dict.fromkeys(names, share)


def test_the_environment_is_restored(monkeypatch):
    monkeypatch.setenv("POSEBANK_TEST_A", "before")
    monkeypatch.delenv("POSEBANK_TEST_B", raising=False)
    with environment_of_children({"POSEBANK_TEST_A": "1", "POSEBANK_TEST_B": "2"}):
        assert (os.environ["POSEBANK_TEST_A"], os.environ["POSEBANK_TEST_B"]) == ("1", "2")
    assert os.environ["POSEBANK_TEST_A"] == "before"
    assert "POSEBANK_TEST_B" not in os.environ


_COMMAND = """
import sys
sys.path.insert(0, sys.argv[1])
from test_threads import threads_here
from posebank_pipelines.runner import Runner
if __name__ == "__main__":
    with Runner(2) as runner:
        print(runner.map("threads", threads_here, [1, 2]), threads_here(0))
"""


def threads_here(_item):
    import torch  # it reads the environment when it is imported)

    return n_threads(), torch.get_num_threads()


def test_dask_workers_get_a_share_and_the_caller_keeps_its_threads(tmp_path):
    script = tmp_path / "command.py"
    script.write_text(_COMMAND)
    done = subprocess.run(
        [sys.executable, str(script), os.path.dirname(__file__)],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"[(1, 1), (1, 1)] (2, {min(2, n_cores())})"
