"""Partitions of a stage: what is kept of an interrupted one, what is set aside, what is retried."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from test_schemas_artefacts import write

from posebank import artefacts
from posebank.errors import ArtefactError, PosebankError, SettingsError
from posebank.matching import MatchSettings, views
from posebank.schemas import ANCHORS, BANK, to_table
from posebank.skeleton import N_JOINTS, centred
from posebank.types import PoseBank
from posebank_pipelines import partitions
from posebank_pipelines.partitions import Partition, each_partition, row_ranges
from posebank_pipelines.runner import Runner
from posebank_pipelines.stages import index as index_stage
from posebank_pipelines.stages.index import read_index

ROWS = row_ranges(11, 3)
SIZES = [last - first for first, last in ROWS]


def square(rows, number, workspace, staging, calls, fail):
    """Write a part of the rows' squares; note the call; fail as asked."""
    with (calls / "calls").open("a") as file:
        file.write(f"{number} ")
    if number in fail:
        problem = fail[number]
        if isinstance(problem, list):  # errors of the next calls
            problem = problem.pop(0) if problem else None
        if problem is not None:
            raise problem
    table = ANCHORS.empty_table()
    part = artefacts.write_part(staging, f"part-{number}.parquet", table)
    return Partition([part], stats={"sum": sum(i * i for i in range(*rows))})


@pytest.fixture
def folders(tmp_path):
    """A workspace with a finished input, a staging folder in it, and a place to note calls."""
    workspace = tmp_path / "ws"
    write(workspace / "anchors", {"a": 3})
    (workspace / "staging").mkdir()
    return workspace, workspace / "staging", tmp_path


def do(folders, fail=None, inputs=None, told=None, strict=False):
    workspace, staging, calls = folders
    (calls / "calls").write_text("")
    if inputs is None:
        inputs = {"anchors": artefacts.read_manifest(workspace / "anchors", "anchors").content}
    notify = (told if told is not None else []).append
    done = each_partition(
        Runner(1, notify=notify),
        "square",
        square,
        ROWS,
        calls,
        fail or {},
        workspace=workspace,
        staging=staging,
        inputs=inputs,
        strict=strict,
        sizes=SIZES,
        unit="rows",
    )
    return list(done)


def calls(folders):
    return [int(number) for number in (folders[2] / "calls").read_text().split()]


def test_each_partition_is_done_once_and_kept(folders):
    done = do(folders)
    assert [partition.stats["sum"] for partition in done] == [0 + 1 + 4, 50, 149, 181]
    assert calls(folders) == [0, 1, 2, 3]
    told = []
    assert do(folders, told=told) == done
    assert calls(folders) == []
    assert told == []


def test_an_interrupted_stage_goes_on_where_it_was(folders):
    with pytest.raises(KeyboardInterrupt):
        do(folders, {2: KeyboardInterrupt()})
    told = []
    done = do(folders, told=told)
    assert calls(folders) == [2, 3]
    assert told == ["square: 2 of 4 partitions were finished before"]
    assert [partition.stats["sum"] for partition in done] == [5, 50, 149, 181]


@pytest.mark.parametrize("damage", ["part", "record", "no part"])
def test_a_damaged_partition_is_done_again(folders, damage):
    do(folders)
    part = folders[1] / "part-1.parquet"
    if damage == "part":
        part.write_bytes(part.read_bytes()[:-1])
    elif damage == "no part":
        part.unlink()
    else:
        (folders[1] / artefacts.JOURNAL / "000001.json").write_text('{"parts": [')
    do(folders)
    assert calls(folders) == [1]


def test_a_record_cannot_name_files_outside(folders):
    do(folders)
    record = folders[1] / artefacts.JOURNAL / "000003.json"
    values = json.loads(record.read_text())
    values["parts"][0]["name"] = "../anchors/a-0.parquet"
    record.write_text(json.dumps(values))
    do(folders)
    assert calls(folders) == [3]


def test_a_partition_that_fails_on_its_data_is_set_aside(folders):
    done = do(folders, {1: ValueError("singular matrix")})
    assert [len(partition.parts) for partition in done] == [1, 0, 1, 1]
    (rejected,) = done[1].rejected
    assert rejected.where == "square partition 1 (rows 3 to 5)"
    assert rejected.reason == "ValueError: singular matrix"
    do(folders)
    assert calls(folders) == [1], "it is tried again"


def test_strict_stops_at_the_first_partition_that_fails(folders):
    with pytest.raises(ValueError, match="singular"):
        do(folders, {1: ValueError("singular matrix")}, strict=True)
    assert calls(folders) == [0, 1]


def test_all_partitions_failing_is_an_error(folders):
    with pytest.raises(PosebankError, match=r"partition 0 \(rows 0 to 2\): ValueError: 0; no part"):
        do(folders, {number: ValueError(str(number)) for number in range(4)})


@pytest.mark.parametrize(
    "problem",
    [SettingsError("no GPU"), OSError(errno.ENOSPC, "No space left on device"), MemoryError("x")],
    ids=["settings", "disk full", "memory"],
)
def test_what_is_not_the_datas_fault_stops_the_stage(folders, problem):
    with pytest.raises(type(problem)):
        do(folders, {2: problem})
    do(folders)
    assert calls(folders) == [2, 3]


def test_faults_that_pass_are_retried(folders, monkeypatch):
    monkeypatch.setattr(partitions, "_PAUSES_S", (0.0, 0.0))
    stale = OSError(errno.ESTALE, "Stale file handle")
    done = do(folders, {1: [stale, stale]})
    assert calls(folders) == [0, 1, 1, 1, 2, 3]
    assert all(partition.parts for partition in done)
    record = folders[1] / artefacts.JOURNAL / "000001.json"
    record.unlink()
    with pytest.raises(OSError, match="Stale"):
        do(folders, {1: [stale] * 3})


def test_nothing_is_kept_of_changed_inputs(folders):
    with pytest.raises(ArtefactError, match="anchors: made again during square"):
        do(folders, inputs={"anchors": "of another version"})
    assert list((folders[1] / artefacts.JOURNAL).iterdir()) == []


def test_workers_that_do_not_see_the_workspace_say_so(folders):
    task = partitions._Task(
        "square", square, (folders[2], {}), folders[0], Path("/nowhere"), {}, strict=False
    )
    with pytest.raises(ArtefactError, match="workers must see the workspace under the same path"):
        task((0, (0, 3)))


def test_an_interrupted_index_keeps_its_blocks(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    poses = centred(rng.normal(0, 0.3, (41, N_JOINTS, 3))).astype(np.float32)
    settings = MatchSettings(matcher="views", n_views=5)
    monkeypatch.setattr(views, "_SHARD_VECTORS", 60)  # 12 poses
    table = to_table(PoseBank.from_joints(poses), BANK)
    made = {}
    for name in ("whole", "stopped"):
        with artefacts.staging_folder(tmp_path / name / "bank") as staging:
            part = artefacts.write_part(staging, "a.parquet", table, section="a")
            sections = {"a": artefacts.Section("test")}
            artefacts.commit(staging, tmp_path / name / "bank", "bank", [part], sections)
    build, seen = index_stage.build_index_block, []

    def stopped_at_the_third(bank, block, *arguments):
        seen.append(block)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return build(bank, block, *arguments)

    monkeypatch.setattr(index_stage, "build_index_block", stopped_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        index_stage.index(tmp_path / "stopped", settings, Runner(1))
    assert not (tmp_path / "stopped" / "index").exists()
    told = []
    index_stage.index(tmp_path / "stopped", settings, Runner(1, notify=told.append))
    assert seen == [(0, 12), (12, 24), (24, 36), (24, 36), (36, 41)]
    assert told == ["index: 2 of 4 partitions were finished before"]
    index_stage.index(tmp_path / "whole", settings, Runner(1))
    for name in ("whole", "stopped"):
        made[name] = artefacts.read_manifest(tmp_path / name / "index", "index")
    assert made["whole"].parts == made["stopped"].parts
    assert len(made["whole"].parts) == 4 + 2
    assert read_index(tmp_path / "stopped").poses_per_shard == 12
