"""Where tasks run: order, errors, progress, and equality of in-process and worker processes."""

import contextlib
import json
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from posebank.errors import PosebankError, SettingsError, SourceError
from posebank_pipelines.runner import Runner


def square(item, offset):
    return item * item + offset


def fail_on_three(item):
    if item == 3:
        raise SourceError("clip.amc", "expected 3 values, found 2", line=7)
    return item


def process_of(_item):
    return os.getpid()


def die_on_three(item):
    if item == 3:
        os._exit(9)
    return item


def interrupts_reach_it(_item=None):
    return signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.fixture(scope="module")
def two_workers():
    with Runner(workers=2) as runner:
        yield runner


def test_results_come_in_the_order_of_the_items(two_workers):
    items = list(range(7))
    expected = [i * i + 5 for i in items]
    with Runner(workers=1) as one:
        assert one.map("square", square, items, 5) == expected
    assert two_workers.map("square", square, items, 5) == expected


def test_progress_reaches_the_total():
    seen = []
    with Runner(1, progress=lambda *args: seen.append(args)) as runner:
        runner.map("square", square, [4, 5], 0)
    assert seen == [("square", 0, 2, ""), ("square", 1, 2, ""), ("square", 2, 2, "")]


def test_progress_counts_the_units_of_the_items():
    seen = []
    with Runner(1, progress=lambda *args: seen.append(args[1:])) as runner:
        list(runner.imap("x", square, [4, 5], 0, sizes=[1024, 30], unit="people", finished=2048))
    assert seen == [(2048, 3102, "people"), (3072, 3102, "people"), (3102, 3102, "people")]


def test_error_of_a_task_arrives_whole(two_workers):
    for runner in (Runner(1), two_workers):
        with pytest.raises(SourceError) as caught:
            runner.map("fail", fail_on_three, [1, 2, 3, 4])
        assert str(caught.value) == "clip.amc:7: expected 3 values, found 2"
        assert caught.value.where == "clip.amc:7"


def test_a_scheduler_that_is_not_there_is_named():
    with pytest.raises(SettingsError, match=r"tcp://127\.0\.0\.1:9"):
        Runner(scheduler="tcp://127.0.0.1:9", connect_timeout="1s").map("x", square, [1], 0)


def test_running_scheduler_is_used(two_workers):
    address = two_workers._client.scheduler.address
    with Runner(scheduler=address) as runner:
        assert runner.map("square", square, [2, 3], 1) == [5, 10]


def test_interrupts_are_for_this_process_alone(two_workers):
    assert two_workers.map("square", interrupts_reach_it, [1, 2, 3]) == [False] * 3
    assert interrupts_reach_it()


def test_workers_must_be_positive():
    with pytest.raises(SettingsError, match="at least 1"):
        Runner(0)


@pytest.mark.parametrize("light", [False, True])
def test_results_come_one_by_one_in_order(two_workers, light):
    got = two_workers.imap("square", square, list(range(9)), 5, light=light)
    assert next(got) == 5
    assert list(got) == [i * i + 5 for i in range(1, 9)]


def test_light_work_starts_no_cluster():
    runner = Runner(2)
    pids = set(runner.imap("pid", process_of, list(range(40)), light=True))
    assert runner._client is None
    assert len(pids) > 1  # this process takes the first
    with pytest.raises(SourceError, match=r"clip\.amc:7"):
        list(runner.imap("fail", fail_on_three, [1, 2, 3, 4], light=True))


def test_a_worker_that_dies_is_one_clear_error():
    with pytest.raises(PosebankError, match="a worker process ended again and again"):
        list(Runner(2).imap("die", die_on_three, [1, 2, 3, 4], light=True))


def die_once(item, folder):
    """End the process the first time that item 3 is done."""
    marker = folder / "died"
    if item == 3 and not marker.exists():
        marker.touch()
        os._exit(9)
    return item * item


@pytest.mark.parametrize("light", [False, True])
def test_a_worker_that_is_lost_is_replaced(tmp_path, light):
    with Runner(2) as runner:
        got = list(runner.imap("die", die_once, [1, 2, 3, 4], tmp_path, light=light))
    assert got == [1, 4, 9, 16]


def start(module, *arguments):
    command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments, "--no-dashboard"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start_scheduler(tmp_path):
    """Start a scheduler process without workers; return it and its address."""
    file = tmp_path / "scheduler.json"
    process = start(
        "dask_scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", str(file)
    )
    for _ in range(600):
        if file.exists() and file.stat().st_size:
            break
        time.sleep(0.1)
    return process, json.loads(file.read_text())["address"]


def test_a_scheduler_without_workers_is_one_line(tmp_path):
    process, address = start_scheduler(tmp_path)
    told = []
    try:
        runner = Runner(scheduler=address, worker_timeout_s=0.5, notify=told.append)
        with pytest.raises(PosebankError, match=rf"{address}: no worker for"), runner:
            runner.map("square", square, [1, 2], 0)
    finally:
        process.kill()
        process.wait()
    assert told[-1:] == [f"waiting up to 0 s for a worker of {address} (dask worker {address})"]


@pytest.mark.parametrize(
    "work",
    [(time.sleep, [60, 60]), (operator.mul, ["x" * 1000] * 20_000, 1000)],
    ids=["long tasks", "results to fetch"],
)
def test_a_scheduler_that_goes_is_one_line(tmp_path, capfd, work):
    process, address = start_scheduler(tmp_path)
    worker = start("dask_worker", address)
    try:
        with Runner(scheduler=address) as runner:
            # The processes of the cluster do not see this module.
            assert runner.map("add", operator.add, [1, 2], 3) == [4, 5]
            capfd.readouterr()
            threading.Timer(1, process.kill).start()
            with pytest.raises(PosebankError, match=r"has gone; the finished partitions are kept"):
                runner.map("task", *work)
        assert capfd.readouterr().err == ""
    finally:
        for one in (process, worker):
            one.kill()
            one.wait()


_PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
from test_runner import sleep_and_tell
from posebank_pipelines.runner import Runner
if __name__ == "__main__":
    with Runner(2) as runner:
        light = sys.argv[3] == "light"
        list(runner.imap("sleep", sleep_and_tell, [0, 60, 61], sys.argv[2], light=light))
"""


def sleep_and_tell(seconds, folder):
    (Path(folder) / f"{os.getpid()}.{seconds}").touch()
    time.sleep(seconds)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
@pytest.mark.parametrize("kind", ["light", "dask"])
def test_no_child_outlives_a_killed_parent(tmp_path, kind):
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path), kind]
    parent = subprocess.Popen(command)
    children = set()
    try:
        for _ in range(1200):
            children = {int(p.stem) for p in tmp_path.glob("*.6[01]")}
            if len(children) == 2:
                break
            time.sleep(0.1)
        assert len(children) == 2
        assert all(map(is_alive, children))
    finally:
        parent.kill()
        parent.wait()
    for _ in range(50):
        if not any(map(is_alive, children)):
            break
        time.sleep(0.1)
    assert not any(map(is_alive, children))


def marked(mark):
    """Processes that were started with this text in their environment, and have not ended."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.add(int(path.parent.name))
    return set(filter(is_alive, found))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
@pytest.mark.parametrize(
    ("kind", "processes"), [("light", 2), ("dask", 2), ("dask", 3), ("dask", 5)]
)
def test_no_child_outlives_a_parent_killed_while_they_start(tmp_path, kind, processes):
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path), kind]
    mark = f"{kind}-{processes}-{os.getpid()}"
    parent = subprocess.Popen(command, env={**os.environ, "POSEBANK_TEST_MARK": mark})
    try:
        end = time.monotonic() + 120
        while len(marked(mark)) < processes and time.monotonic() < end:
            assert parent.poll() is None
        assert len(marked(mark)) >= processes
    finally:
        parent.kill()
        parent.wait()
    for _ in range(50):
        if not marked(mark):
            break
        time.sleep(0.1)
    assert not marked(mark)


_STOPPED = _PARENT.replace(
    "    with Runner(2)",
    "    from posebank_pipelines.processes import end_on_sigterm\n"
    "    end_on_sigterm()\n"
    "    with Runner(2)",
)


def busy_for_long(file):
    """Compute for ten minutes after having written the process id."""
    Path(file).with_suffix(".new").write_text(str(os.getpid()))
    Path(file).with_suffix(".new").rename(file)
    end = time.monotonic() + 600
    while time.monotonic() < end:
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("processes", [2, 4])
def test_sigterm_while_workers_start_is_an_interrupt(tmp_path, processes):
    script = tmp_path / "parent.py"
    script.write_text(_STOPPED)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path), "dask"]
    mark = f"sigterm-{processes}-{os.getpid()}"
    environment = {**os.environ, "POSEBANK_TEST_MARK": mark}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as parent:
        end = time.monotonic() + 120
        while len(marked(mark)) < processes and time.monotonic() < end:
            assert parent.poll() is None
        parent.terminate()
        errors = parent.communicate(timeout=120)[1]
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert "During handling" not in errors
    assert not marked(mark)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_sigterm_does_not_wait_for_busy_workers(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_runner import busy_for_long\n"
        "from posebank_pipelines.processes import end_on_sigterm\n"
        "from posebank_pipelines.runner import Runner\n"
        "if __name__ == '__main__':\n"
        "    end_on_sigterm()\n"
        "    with Runner(2) as runner:\n"
        "        runner.map('work', busy_for_long, [sys.argv[2] + '/a', sys.argv[2] + '/b'])\n"
    )
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as parent:
        while not all((tmp_path / name).exists() for name in "ab"):
            assert parent.poll() is None
            time.sleep(0.05)
        workers = [int((tmp_path / name).read_text()) for name in "ab"]
        parent.terminate()
        errors = parent.communicate(timeout=300)[1]
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
