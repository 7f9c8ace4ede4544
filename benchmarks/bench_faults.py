"""Faults and memory of the stages: what is lost, what is left, what a worker needs.

    python benchmarks/bench_faults.py memory  --source WORKSPACE --scratch FOLDER
    python benchmarks/bench_faults.py workers --source WORKSPACE --scratch FOLDER --kills 10
    python benchmarks/bench_faults.py scheduler|commands|readers|hosts ...
    python benchmarks/bench_faults.py whole --n-people 100000 --poses 1000000 --source ...

WORKSPACE holds a bank and annotations. Its first poses and its people, repeated, make the
workspaces of the experiments; the matcher is ``views`` with few views, so that a partition takes a
second. Every experiment on faults compares the parts that it ends with to those of an undisturbed
run. ``whole`` is a full-size job with the default settings, without faults.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _common import million
from numba import njit
from numpy.typing import NDArray

from posebank import artefacts
from posebank.labelling import LabelSettings
from posebank.matching import MatchSettings
from posebank.mocap import BankSettings, ReadOptions
from posebank.schemas import ANNOTATIONS, BANK, to_table
from posebank.types import Records, texts
from posebank.workspace import load_bank, load_people
from posebank_pipelines.runner import Runner
from posebank_pipelines.stages.ingest import ingest
from posebank_pipelines.stages.label import label_people
from posebank_pipelines.stages.match import match_people

MATCHING = MatchSettings(matcher="views", n_views=8, k=5)
_PART_ROWS = 1 << 14


def make_workspace(source: Path, folder: Path, people: int, poses: int = 300) -> Path:
    """Write a workspace with the source's first poses, and its people repeated.

    Where the source has fewer poses, they are repeated, with joints moved by a centimetre.
    """
    if (folder / "annotations" / artefacts.MANIFEST).exists():
        return folder
    known = load_people(source)
    rows = np.arange(people) % len(known)
    names = texts(f"{known.person_id[row]}#{i}" for i, row in enumerate(rows))
    repeated = replace(known.take(rows), person_id=names)
    _write(folder / "annotations", "annotations", repeated, ANNOTATIONS)
    bank = load_bank(source)
    some = bank.take(slice(0, poses)) if poses <= len(bank) else million(bank, poses)
    _write(folder / "bank", "bank", some, BANK)
    return folder


def _write(artefact: Path, kind: str, records: Records, schema: Any) -> None:
    with artefacts.staging_folder(artefact) as staging:
        parts = [
            artefacts.write_part(
                staging,
                f"{kind}-{number:05d}.parquet",
                to_table(records.take(slice(start, start + _PART_ROWS)), schema),
                section=kind,
                row_group_rows=1024 if kind == "annotations" else _PART_ROWS,
            )
            for number, start in enumerate(range(0, len(records), _PART_ROWS))
        ]
        section = artefacts.Section("made by a benchmark", {"sources": []})
        artefacts.commit(staging, artefact, kind, parts, {kind: section})


def hashes(workspace: Path, kinds: Iterable[str] = ("matches", "labels")) -> dict[str, str]:
    """Content of what match and label made, or of other artefacts."""
    return {k: artefacts.read_manifest(workspace / k, k).content for k in kinds}


def do(workspace: Path, runner: Runner, mocap: Path | None = None) -> None:
    """Match and label, or ingest a folder of CMU clips."""
    if mocap is not None:
        ingest(workspace, "cmu", {mocap: ReadOptions()}, BankSettings(), runner)
        return
    match_people(workspace, MATCHING, runner)
    label_people(workspace, LabelSettings(), runner)


def clear(workspace: Path) -> None:
    """Remove what the stages made, and what is left of them, but what ``make_workspace`` wrote."""
    for path in workspace.iterdir():
        if path.name.split(".")[-1] in ("tmp", "old", "lock"):
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
    made = [] if (workspace / "annotations").exists() else ["bank"]
    for kind in ("index", "matches", "labels", *made):
        artefacts.remove(workspace / kind)


def expected(workspace: Path, mocap: Path | None = None) -> dict[str, str]:
    """Content after an undisturbed run in this process."""
    clear(workspace)
    with Runner(1) as runner:
        do(workspace, runner, mocap)
    found = hashes(workspace, ("bank",) if mocap is not None else ("matches", "labels"))
    clear(workspace)
    return found


# --- memory of a worker


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(options: argparse.Namespace) -> None:
    """Peak memory of each local worker after match and label, by number of people."""
    for people in options.people:
        workspace = make_workspace(options.source, options.scratch / f"people{people}", people)
        clear(workspace)
        start = time.perf_counter()
        with Runner(2) as runner:
            match_people(workspace, MATCHING, runner)
            of_match = runner.on_workers(_peak_mb)
            label_people(workspace, LabelSettings(), runner)
            of_label = runner.on_workers(_peak_mb)
        print(
            json.dumps(
                {
                    "people": people,
                    "match_mb": [round(mb) for mb in of_match],
                    "label_mb": [round(mb) for mb in of_label],
                    "parent_mb": round(_peak_mb()),
                    "seconds": round(time.perf_counter() - start),
                }
            ),
            flush=True,
        )
        shutil.rmtree(workspace)


# --- a full-size job


def whole(options: argparse.Namespace) -> None:
    """Time and memory of each stage of a large job through the command line, without images.

    The processor time and the memory are those of the calling process, without the workers.
    """
    workspace = make_workspace(
        options.source, options.scratch / "whole", options.n_people, options.poses
    )
    posebank = str(Path(sys.executable).with_name("posebank"))
    for stage, made in (("match", "matches"), ("label", "labels"), ("anchors", "anchors")):
        command = [posebank, stage, "-w", str(workspace), "--json"]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{stage} ended with {os.waitstatus_to_exitcode(status)}")
        row = {
            "stage": stage,
            "seconds": round(time.perf_counter() - start, 1),
            "caller_cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "caller_mb": round(usage.ru_maxrss / 1024),
            "disk_mb": round(
                sum(path.stat().st_size for path in (workspace / made).iterdir()) / 1e6
            ),
        }
        print(json.dumps(row), flush=True)


# --- scaling


@njit(cache=True)
def _smooth(x: NDArray[np.float32], rounds: int) -> None:
    """Arithmetic on numbers that stay in the first cache."""
    for _ in range(rounds):
        for i in range(x.shape[0]):
            x[i] = x[i] * np.float32(0.999) + np.float32(0.001)


def _count(n: int) -> None:
    total = 0
    for i in range(n):
        total += i


def _kernel(n: int) -> None:
    _smooth(np.zeros(2048, np.float32), n)


REFERENCES = {
    "Python loop": (_count, 20_000_000),
    "kernel in the first cache": (_kernel, 4_000_000),
}
"""Work that shares nothing but the machine, about a second each."""


def machine(count: int) -> dict[str, float]:
    """Seconds that ``count`` processes need for the work of one, sharing nothing."""
    seconds = {}
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        for name, (work, n) in REFERENCES.items():
            list(pool.map(work, [n // 10] * count))  # starts the processes
            start = time.perf_counter()
            list(pool.map(work, [n] * count))
            seconds[name] = (time.perf_counter() - start) / count
    return seconds


def scaling(options: argparse.Namespace) -> None:
    """Time of match, and of ingest with ``--mocap``, with 1 and 2 workers of one thread each.

    On a shared machine the wall time tells little, unless the command's session has a high priority
    (``/proc/PID/autogroup``). So one and two workers take turns, the median counts, and two
    processes that share nothing are timed beside them: no stage can be faster than these.
    """
    seconds: dict[str, dict[int, list[float]]] = {}
    for repetition in range(options.repetitions):
        for count in (1, 2) if repetition % 2 == 0 else (2, 1):
            done = subprocess.run(
                [sys.executable, __file__, "timing", *sys.argv[2:], "--workers", str(count)],
                env={**os.environ, "OMP_NUM_THREADS": str(count)},  # shared among the workers
                stdout=subprocess.PIPE,
                check=True,
                text=True,
            )
            print(done.stdout, end="", flush=True)
            measured = machine(count) | json.loads(done.stdout.splitlines()[-1])
            for work, best in measured.items():
                seconds.setdefault(work, {1: [], 2: []})[count].append(best)
    for work, of in seconds.items():
        one, two = (round(statistics.median(of[count]), 2) for count in (1, 2))
        print(json.dumps({work: [one, two], "ratio": round(one / two, 2)}))


def timing(options: argparse.Namespace) -> None:
    """Time of match and ingest with ``--workers`` warm workers: a part of ``scaling``."""
    folder = options.scratch / f"scaling-{options.n_people}-{options.poses}"
    workspace = make_workspace(options.source, folder, options.n_people, options.poses)
    clips = options.scratch / "scaling-ingest"

    def match(runner: Runner, k: int) -> None:
        match_people(workspace, MatchSettings(k=k), runner, "any")

    def read_clips(runner: Runner, _k: int) -> None:
        ingest(clips, "cmu", {options.mocap: ReadOptions()}, BankSettings(), runner)

    best = {}
    for work in (match, read_clips) if options.mocap is not None else (match,):
        walls = []
        with Runner(options.workers) as runner:
            for repetition in range(3):  # the first starts and warms the workers
                clear(workspace)
                shutil.rmtree(clips, ignore_errors=True)
                of_workers = work is match and options.workers > 1 and repetition > 0
                before = runner.on_workers(time.process_time) if of_workers else []
                start, cpu = time.perf_counter(), time.process_time()
                work(runner, 10 + repetition % 2)
                walls.append(round(time.perf_counter() - start, 2))
                cpu = time.process_time() - cpu
                after = runner.on_workers(time.process_time) if of_workers else []
                used = [round(b - a, 2) for a, b in zip(before, after, strict=True)]
                print(
                    f"{work.__name__}, workers {options.workers}: {walls[-1]} s, processor time "
                    f"{cpu:.2f} s, of workers {used}",
                    flush=True,
                )
        best[work.__name__] = min(walls[1:])
    print(json.dumps(best))


# --- a cluster of processes on this machine


def _start(module: str, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    command = [*prefix, sys.executable, "-m", f"distributed.cli.{module}", *arguments]
    quiet = subprocess.DEVNULL
    return subprocess.Popen([*command, "--no-dashboard"], stdout=quiet, stderr=quiet)


def _scheduler(port: int, host: str = "127.0.0.1", prefix: tuple[str, ...] = ()) -> Any:
    return _start("dask_scheduler", "--host", host, "--port", str(port), prefix=prefix)


def _worker(address: str, prefix: tuple[str, ...] = ()) -> Any:
    return _start("dask_worker", address, "--nthreads", "1", "--no-nanny", prefix=prefix)


@contextmanager
def _ended(processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


_DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bench_faults import do
from posebank.errors import PosebankError
from posebank_pipelines.processes import end_on_sigterm
from posebank_pipelines.runner import Runner
if __name__ == "__main__":
    end_on_sigterm()
    tell = lambda line: print(line, file=sys.stderr, flush=True)
    scheduler = sys.argv[3] if ":" in sys.argv[3] else None
    workers = 1 if scheduler else int(sys.argv[3])
    try:
        with Runner(workers, scheduler, notify=tell, worker_timeout_s=60) as runner:
            do(Path(sys.argv[2]), runner, *map(Path, sys.argv[4:]))
    except PosebankError as error:
        tell(f"Error: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        tell("stopped")
        sys.exit(1)
"""


def _driver(
    options: argparse.Namespace,
    workspace: Path,
    where: str,
    prefix: tuple[str, ...] = (),
    mark: str = "",
) -> subprocess.Popen[str]:
    script = options.scratch / "driver.py"
    script.write_text(_DRIVER)
    here = str(Path(__file__).parent)
    command = [*prefix, sys.executable, str(script), here, str(workspace), where]
    if options.mocap is not None:
        command.append(str(options.mocap))
    environment = {**os.environ, "BENCH_FAULTS": mark}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def _finished(workspace: Path) -> int:
    """Number of partitions recorded as finished, in staging folders."""
    return len(list(workspace.glob(f".*.tmp/{artefacts.JOURNAL}/*.json")))


def _wait(until: Callable[[], bool], limit_s: float = 600, pause_s: float = 0.02) -> None:
    end = time.monotonic() + limit_s
    while not until() and time.monotonic() < end:
        time.sleep(pause_s)


def workers(options: argparse.Namespace) -> None:
    """Kill a worker of a loopback cluster of two again and again; the parts must be the same."""
    workspace = make_workspace(options.source, options.scratch / "workers", options.n_people)
    wanted = expected(workspace)
    rng = random.Random(options.seed)
    killed = runs = 0
    scheduler = _scheduler(8801)
    address = "tcp://127.0.0.1:8801"
    pair = [_worker(address), _worker(address)]
    with _ended([scheduler]), _ended(pair):
        while killed < options.kills:
            clear(workspace)
            driver = _driver(options, workspace, address)
            runs += 1
            of_run = 0
            while driver.poll() is None:
                time.sleep(rng.uniform(0.5, 2.5))
                if driver.poll() is None and _finished(workspace) and of_run < options.per_run:
                    chosen = rng.randrange(2)
                    pair[chosen].kill()
                    pair[chosen].wait()
                    pair[chosen] = _worker(address)
                    killed, of_run = killed + 1, of_run + 1
            assert driver.stderr is not None
            same = driver.returncode == 0 and hashes(workspace) == wanted
            print(f"run {runs}: {of_run} kills, same bytes: {same}", driver.stderr.read()[-300:])
            if not same:
                sys.exit(1)
    print(json.dumps({"runs": runs, "kills": killed, "same_bytes": True}))


def scheduler(options: argparse.Namespace) -> None:
    """Kill the scheduler at several points; the command must end in a line, and go on later."""
    workspace = make_workspace(options.source, options.scratch / "scheduler", options.n_people)
    wanted = expected(workspace)
    address = "tcp://127.0.0.1:8802"
    for point in range(1, options.points + 1):
        clear(workspace)
        cluster = [_scheduler(8802), _worker(address), _worker(address)]
        with _ended(cluster):
            driver = _driver(options, workspace, address)
            _wait(lambda: _finished(workspace) >= point or driver.poll() is not None)  # noqa: B023
            cluster[0].kill()
            gone = time.monotonic()
            assert driver.stderr is not None
            lines, seconds = [], []
            for line in driver.stderr:
                lines.append(line.strip())
                seconds.append(round(time.monotonic() - gone, 1))
            driver.wait()
        kept = _finished(workspace)
        cluster = [_scheduler(8802), _worker(address), _worker(address)]
        with _ended(cluster):
            again = _driver(options, workspace, address)
            again.wait()
        assert again.stderr is not None
        taken = [text for text in again.stderr.read().splitlines() if "finished before" in text]
        print(
            json.dumps(
                {
                    "point": point,
                    "seconds_to_line": seconds,
                    "exit": driver.returncode,
                    "lines": lines,
                    "kept": kept,
                    "resumed": taken,
                    "same_bytes": hashes(workspace) == wanted,
                }
            ),
            flush=True,
        )


# --- commands that are killed


def _marked(mark: str) -> set[int]:
    """Processes with this text in the environment that they were started with, still alive."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.add(int(path.parent.name))
    return {pid for pid in found if _alive(pid)}


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def commands(options: argparse.Namespace) -> None:
    """End a command with SIGKILL or SIGTERM at random points, then let it go on to the end.

    With ``--mocap`` it is an ingest of this folder of CMU clips, otherwise match and label.
    """
    if options.mocap is not None:
        workspace = options.scratch / "ingest"
        workspace.mkdir(exist_ok=True)
    else:
        workspace = make_workspace(options.source, options.scratch / "commands", options.n_people)
    wanted = expected(workspace, options.mocap)
    rng = random.Random(options.seed)
    total: Counter[str] = Counter()
    longest = options.longest
    while total["kills"] < options.kills:
        sent = (signal.SIGKILL, signal.SIGTERM)[total["kills"] % 2]
        count = 2 + total["kills"] // 2 % 2
        mark = f"bench-faults-{os.getpid()}-{total['runs']}"
        driver = _driver(options, workspace, str(count), mark=mark)
        total["runs"] += 1
        start = time.monotonic()
        if total["runs"] % 3:  # two of three times when it has workers
            _wait(lambda: len(_marked(mark)) > 1 or driver.poll() is not None, pause_s=0.1)  # noqa: B023
        with suppress(subprocess.TimeoutExpired):
            driver.wait(rng.uniform(0.0, longest))
        if driver.poll() is not None:  # it was quicker
            longest = min(longest, time.monotonic() - start)
        else:
            before, processes = _finished(workspace), len(_marked(mark))
            driver.send_signal(sent)
            sent_at = time.monotonic()
            _wait(lambda: not _marked(mark), 60)  # noqa: B023
            seconds = time.monotonic() - sent_at
            driver.wait()
            kept = _finished(workspace)
            lost = max(0, before - kept) if not _done(workspace, wanted) else 0
            total["kills"] += 1
            total[f"{sent.name} at {processes} processes"] += 1
            total["left after 5 s"] += seconds > 5
            total["finished partitions lost"] += lost
            print(
                f"{total['kills']}: {sent.name} after {sent_at - start:.1f} s, {count} workers, "
                f"{processes} processes, all ended after {seconds:.1f} s; {before} partitions "
                f"finished before, {kept} after",
                flush=True,
            )
        for kind in wanted:
            if artefacts.find_manifest(workspace / kind) is not None:
                total["half-written parts"] += len(artefacts.verify(workspace / kind, kind))
        if _done(workspace, wanted):
            total["completed by resuming"] += 1
            total["other bytes"] += hashes(workspace, wanted) != wanted
            clear(workspace)
    with Runner(1) as runner:
        do(workspace, runner, options.mocap)
    total["other bytes"] += hashes(workspace, wanted) != wanted
    left = [p.name for p in workspace.iterdir() if p.name.startswith(".")]
    print(json.dumps({**total, "left over at the end": left}))


def _done(workspace: Path, kinds: Iterable[str]) -> bool:
    return all(artefacts.find_manifest(workspace / kind) for kind in kinds)


# --- two hosts


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def hosts(options: argparse.Namespace) -> None:
    """Two hosts as network namespaces with a shared folder; one is cut off in the middle."""
    workspace = make_workspace(options.source, options.scratch / "hosts", options.n_people)
    wanted = expected(workspace)
    try:
        _run("ip", "netns", "add", "pb1")
        _run("ip", "netns", "add", "pb2")
        _run(
            "ip",
            "link",
            "add",
            "pbv1",
            "netns",
            "pb1",
            "type",
            "veth",
            "peer",
            "name",
            "pbv2",
            "netns",
            "pb2",
        )
        for name, address in (("1", "10.99.0.1/24"), ("2", "10.99.0.2/24")):
            inside = ("ip", "netns", "exec", f"pb{name}", "ip")
            _run(*inside, "addr", "add", address, "dev", f"pbv{name}")
            _run(*inside, "link", "set", f"pbv{name}", "up")
            _run(*inside, "link", "set", "lo", "up")
        one, two = (("ip", "netns", "exec", f"pb{n}") for n in (1, 2))
        address = "tcp://10.99.0.1:8803"
        cluster = [_scheduler(8803, "10.99.0.1", one), _worker(address, one), _worker(address, two)]
        with _ended(cluster):
            driver = _driver(options, workspace, address, one)
            _wait(lambda: _finished(workspace) >= 2 or driver.poll() is not None)
            _run("ip", "netns", "exec", "pb2", "ip", "link", "set", "pbv2", "down")
            cut = time.monotonic()
            driver.wait()
            assert driver.stderr is not None
            print(
                json.dumps(
                    {
                        "exit": driver.returncode,
                        "seconds_after_cut": round(time.monotonic() - cut),
                        "lines": driver.stderr.read().splitlines()[-3:],
                        "same_bytes": driver.returncode == 0 and hashes(workspace) == wanted,
                    }
                )
            )
    finally:
        for name in ("pb1", "pb2"):
            subprocess.run(["ip", "netns", "del", name], check=False)


# --- readers while the shards are made again


_WRITER = """
import shutil, sys, time
from pathlib import Path
from posebank import artefacts
target = Path(sys.argv[1])
versions = [Path(sys.argv[2]), Path(sys.argv[3])]
for number, _ in enumerate(sys.stdin):  # a replacement for each line
    begin = time.monotonic()
    made = artefacts.read_manifest(versions[number % 2], "shards")
    with artefacts.staging_folder(target) as staging:
        for part in made.parts:
            shutil.copyfile(versions[number % 2] / part.name, staging / part.name)
        artefacts.commit(staging, target, "shards", made.parts, made.sections)
    print(begin, time.monotonic(), flush=True)
"""


def readers(options: argparse.Namespace) -> None:
    """Replace shards under a data loader with two workers and ``inspect``: one version or an error.

    The two versions are copies of the source's shards whose people's trust is 0.25 and 0.75. While
    each read runs, the shards are replaced at a random moment; replacements that did not overlap
    the read are not counted.
    """
    from torch.utils.data import DataLoader  # noqa: PLC0415

    from posebank.errors import ArtefactError  # noqa: PLC0415
    from posebank.shards import PoseShards, collate_samples  # noqa: PLC0415
    from posebank_pipelines.inspect import inspect  # noqa: PLC0415

    versions = [options.scratch / f"version{n}" for n in (1, 2)]
    for folder, trust in zip(versions, (0.25, 0.75), strict=True):
        _shards_of_trust(options.source / "shards", folder, trust, options.images)
    target = options.scratch / "shards"
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(target), *map(str, versions)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    to_writer, from_writer = writer.stdin, writer.stdout

    def replace_shards() -> None:
        print(file=to_writer, flush=True)

    def loaded() -> set[float]:
        shards = PoseShards(target, decode=False)
        loader = DataLoader(shards, 4, num_workers=2, collate_fn=collate_samples)
        return {float(t) for batch in loader for sample in batch for t in sample["trust"]}

    def inspected() -> set[float]:
        facts = inspect(target)
        return {*facts["contents"]["trust"].values(), *map(hash, facts["damaged"])}

    def outcome(read: Callable[[], set[float]]) -> str:
        try:
            seen = read()
        except (ArtefactError, RuntimeError) as error:
            if "made again" not in str(error):
                raise
            return "clear errors"
        return "one version" if len(seen) == 1 else "mixed"

    replace_shards()
    from_writer.readline()
    rng = random.Random(options.seed)
    for read in (loaded, inspected):
        read()  # the first imports and compiles
        start = time.monotonic()
        total: Counter[str] = Counter({"undisturbed " + outcome(read): 1})
        usual = time.monotonic() - start
        while total["replacements during a read"] < options.replacements:
            timer = threading.Timer(rng.uniform(0, usual), replace_shards)
            start = time.monotonic()
            timer.start()
            what = outcome(read)
            end = time.monotonic()
            timer.join()
            begin, done = map(float, from_writer.readline().split())
            if begin < end and done > start:
                total["replacements during a read"] += 1
                total[what] += 1
            elif what == "mixed":
                total["mixed, after it"] += 1
        print(json.dumps({read.__name__: total, "usual_s": round(usual, 2)}), flush=True)
    to_writer.close()
    writer.wait()


def _shards_of_trust(source: Path, folder: Path, trust: float, images: int) -> None:
    import pyarrow as pa  # noqa: PLC0415

    table = artefacts.read_rows(source, "shards", 0, images)
    rows = table.to_pylist()
    for row in rows:
        for person in row["people"]:
            person["trust"] = trust
    table = pa.Table.from_pylist(rows, schema=table.schema)
    with artefacts.staging_folder(folder) as staging:
        parts = [
            artefacts.write_part(
                staging, f"train-{number:05d}.parquet", table.slice(start, 16), row_group_rows=4
            )
            for number, start in enumerate(range(0, len(rows), 16))
        ]
        artefacts.commit(staging, folder, "shards", parts, {"shards": artefacts.Section("test")})


def main() -> None:
    """Do one experiment."""
    experiments = {
        f.__name__: f
        for f in (memory, whole, scaling, timing, workers, scheduler, commands, hosts, readers)
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", choices=experiments)
    parser.add_argument("--source", type=Path, help="workspace with a bank and annotations")
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--people", type=int, nargs="+", default=[2_000, 20_000, 100_000])
    parser.add_argument("--n-people", type=int, default=10_000)
    parser.add_argument("--poses", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2, help="of timing")
    parser.add_argument("--repetitions", type=int, default=3, help="of scaling, in turns")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--per-run", type=int, default=10)
    parser.add_argument("--points", type=int, default=5)
    parser.add_argument("--mocap", type=Path, help="folder of CMU clips")
    parser.add_argument("--longest", type=float, default=20.0)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--replacements", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    experiments[options.experiment](options)


if __name__ == "__main__":
    main()
