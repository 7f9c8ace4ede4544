"""Where tasks run: order, errors, progress, and equality of in-process and worker processes."""

import os
import signal

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
    assert seen == [("square", 1, 2), ("square", 2, 2)]


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
    with pytest.raises(PosebankError, match="a worker process ended"):
        list(Runner(2).imap("die", die_on_three, [1, 2, 3, 4], light=True))
