"""Feed damaged files to every MoCap reader: only ``PosebankError`` may come out.

    python benchmarks/fuzz_mocap.py 100000 --workers 2
    python benchmarks/fuzz_mocap.py 20000 --kind c3d,amass,amass-npy,model

Each case is made from its number alone, so that a failure can be repeated (``--first N``). The work
is done in child processes under a memory limit; a case that ends its process, takes longer than
``SLOW_S`` of processor time or raises anything else is a failure and is printed.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing as mp
import resource
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from _common import SHARED_DATA, report
from amass_files import body_model, clip_arrays
from annotation_files import write_cdf
from bvh_files import FORMS, bvh_text
from c3d_files import MARKERS, c3d_with, walker
from mocap_files import acclaim_bones, amc_text, asf_text, pose_prior_bvh, random_motion

from posebank.errors import PosebankError, SourceError
from posebank.mocap.bank import BankSettings, poses_from_clip
from posebank.mocap.clips import ReadClip
from posebank.mocap.options import ReadOptions
from posebank.mocap.sources import ClipSource, as_motion_clip, discover, read_data, read_source

SLOW_S = 2.0
MEMORY = 6 << 30
NUMBERS = (
    b"1e999",
    b"-1e308",
    b"nan",
    b"inf",
    b"0",
    b"-1",
    b"1e-320",
    b"99999999999999999999",
    b"65535",
    b"0x10",
    b"1,5",
    b"--1",
    b"",
    b"\xff",
    b"2147483648",
    b"1e400",
    b"6",
    b"3",
    b"\xc2\xbd",
)


_BVH_FORMS = ("Mixamo through Blender", "LAFAN1", "3ds Max Biped", "Perception Neuron", "MakeHuman")

KINDS = ("asf", "amc", "bvh", "c3d")
H36M_KINDS = ("cdf", "h5", "npz", "npy")  # npy: the array in an npz, whose checksums stop all else
AMASS_KINDS = ("amass", "amass-npy", "model", "model-npy")  # clips, and the body model of one
EVERY_KIND = (*KINDS, *H36M_KINDS, *AMASS_KINDS)


def originals() -> dict[str, list[bytes]]:
    """Sound files of each format: small made ones, and real ones cut to a few frames.

    An AMC and the ASF at the same place belong together.
    """
    bones = acclaim_bones()
    rng = np.random.default_rng(0)
    motion = random_motion(bones, 4)
    made = {
        "asf": [asf_text(bones).encode(), asf_text(bones, angle="rad", end="\r\n").encode()],
        "amc": [amc_text(motion).encode(), amc_text(motion, end="\r\n").encode()],
        "bvh": [
            pose_prior_bvh(4).encode(),
            pose_prior_bvh(3, rom=True).encode(),
            *(bvh_text(FORMS[name].but(n_frames=30)).encode() for name in _BVH_FORMS),
        ],
        "c3d": _c3d_files(),
    }
    cmu, hdm05 = SHARED_DATA / "cmu", SHARED_DATA / "hdm05"
    if cmu.is_dir():
        for asf, amc in (
            (cmu / "subjects/02/02.asf", cmu / "subjects/02/02_01.amc"),
            (hdm05 / "HDM_bd.asf", hdm05 / "HDM_bd_squat1Reps_001_120.amc"),
        ):
            made["asf"].append(asf.read_bytes())
            made["amc"].append(amc.read_bytes()[:4000])
        made["bvh"].append((cmu / "bvh_cgspeed/02_01.bvh").read_bytes()[:9000])
        made["c3d"].append((cmu / "c3d/02_01.c3d").read_bytes()[:9000])
    return made | _h36m_files(rng) | _amass_files()


def _c3d_files() -> list[bytes]:
    """A walker in every number format, and with what makes the reader decide something."""
    points = walker(6)
    gaps = walker(6)
    gaps[2, 3] = 0.0
    two = np.concatenate([points, walker(6, at=(2000.0, 0.0))], axis=1)
    return [
        *(
            c3d_with(points, MARKERS, processor=processor, as_float=as_float)
            for processor in (84, 85, 86)
            for as_float in (True, False)
        ),
        c3d_with(points, MARKERS, analog=(3, 4), header_analog=3),
        c3d_with(
            points, MARKERS, labels_per_parameter=7, header_last=65535, frames=65535, trial=(1, 6)
        ),
        c3d_with(gaps, MARKERS, units=None, y_screen=None, x_screen=None),
        c3d_with(two, [f"{who}:{m}" for who in "AB" for m in MARKERS], prefixes=["A:", "B:"]),
    ]


def _amass_files() -> dict[str, list[bytes]]:
    """Clips and body models, as npz files and as the one array that is damaged within."""
    clips = [clip_arrays(n_frames=4), clip_arrays("SMPL-X", n_frames=3)]
    models = [body_model(n_vertices=50), body_model("SMPL-X", n_shapes=400, n_vertices=50)]
    inner = {"amass": "poses", "model": "shapedirs"}
    made: dict[str, list[bytes]] = {}
    for kind, every in (("amass", clips), ("model", models)):
        made[kind] = [_npz(arrays) for arrays in every]
        made[f"{kind}-npy"] = [_npz({"a": arrays[inner[kind]]}, only="a") for arrays in every]
    return made


def _npz(arrays: dict[str, Any], only: str = "") -> bytes:
    """The bytes of an npz file, or of one array in it."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    if not only:
        return stream.getvalue()
    with zipfile.ZipFile(stream) as packed:
        return packed.read(f"{only}.npy")


def _npz_with(sound: bytes, name: str, member: bytes) -> bytes:
    """An npz file one of whose arrays has other bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sound)) as old, zipfile.ZipFile(stream, "w") as new:
        for each in old.namelist():
            new.writestr(each, member if each == f"{name}.npy" else old.read(each))
    return stream.getvalue()


def _h36m_files(rng: np.random.Generator) -> dict[str, list[bytes]]:
    poses = np.repeat(rng.normal([0, 0, 1000], 150, (1, 32, 3)), 6, axis=0)
    poses[..., 0] += 10.0 * np.arange(6)[:, None]
    with tempfile.TemporaryDirectory() as name:
        cdf, h5, npz = (Path(name) / f"a.{kind}" for kind in H36M_KINDS[:3])
        write_cdf(cdf, poses.reshape(6, 96))
        with h5py.File(h5, "w") as file:
            file["3D_positions"] = poses.reshape(6, 96).T
        np.savez(npz, positions_3d=np.array({"S1": {"Walking": poses / 1000}}, dtype=object))
        with zipfile.ZipFile(npz) as packed:
            member = packed.read("positions_3d.npy")
        return {
            "cdf": [cdf.read_bytes()],
            "h5": [h5.read_bytes()],
            "npz": [npz.read_bytes()],
            "npy": [member],
        }


def _flip(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 9))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))


def _cut_end(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(len(data))) :]


def _remove_lines(data: bytearray, rng: np.random.Generator) -> None:
    lines = bytes(data).split(b"\n")
    at = int(rng.integers(len(lines)))
    del lines[at : at + int(rng.integers(1, 5))]
    data[:] = b"\n".join(lines)


def _shuffle_lines(data: bytearray, rng: np.random.Generator) -> None:
    lines = bytes(data).split(b"\n")
    a, b = rng.integers(len(lines), size=2)
    lines[a], lines[b] = lines[b], lines[a]
    if rng.random() < 0.5:
        lines.insert(int(a), lines[b])
    data[:] = b"\n".join(lines)


def _replace_number(data: bytearray, rng: np.random.Generator) -> None:
    words = bytes(data).split(b" ")
    for _ in range(int(rng.integers(1, 4))):
        words[int(rng.integers(len(words)))] = NUMBERS[int(rng.integers(len(NUMBERS)))]
    data[:] = b" ".join(words)


def _encode(data: bytearray, rng: np.random.Generator) -> None:
    text = bytes(data).decode("latin-1")
    code = ("utf-16", "utf-32", "utf-8-sig", "utf-7", "cp037")[int(rng.integers(5))]
    data[:] = text.encode(code, errors="replace")


def _header_bytes(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 5))):
        data[int(rng.integers(min(len(data), 1600)))] = int(rng.choice([0, 1, 127, 128, 255]))


def _splice(data: bytearray, rng: np.random.Generator) -> None:
    a, b = sorted(rng.integers(len(data), size=2))
    piece = bytes(data[a:b])
    at = int(rng.integers(len(data)))
    data[at:at] = piece * int(rng.integers(1, 4))


MUTATIONS: list[Callable[[bytearray, np.random.Generator], None]] = [
    _flip,
    _cut_end,
    _remove_lines,
    _shuffle_lines,
    _replace_number,
    _encode,
    _header_bytes,
    _splice,
]


def mutated(
    case: int, files: dict[str, list[bytes]], kinds: Sequence[str] = ()
) -> tuple[str, int, bytes]:
    """Kind of a case, which of the sound files it was, and the damaged bytes."""
    rng = np.random.default_rng([20161014, case])
    kind = {0: AMASS_KINDS, 2: H36M_KINDS}.get(case // 4 % 5, KINDS)[case % 4]
    if kinds:
        kind = kinds[case % len(kinds)]
    sound = files[kind]
    which = int(rng.integers(len(sound)))
    data = bytearray(sound[which])
    for _ in range(int(rng.integers(1, 3))):
        if data:
            MUTATIONS[int(rng.integers(len(MUTATIONS)))](data, rng)
    return kind, which, bytes(data)


def _read(
    kind: str, which: int, data: bytes, case: int, files: dict[str, list[bytes]]
) -> tuple[ClipSource, ReadClip]:
    if kind in H36M_KINDS:
        return _read_h36m(kind, data, case)
    if kind in AMASS_KINDS:
        return _read_amass(kind, which, data, files)
    dataset = {"asf": "cmu", "amc": "cmu", "bvh": ("bvh", "poseprior")[case // 4 % 2], "c3d": "c3d"}
    path = Path(f"01_01.{kind.replace('asf', 'amc')}")
    source = ClipSource(dataset[kind], path, Path("01.asf"), "01", "01_01")
    if kind == "asf":
        return source, read_data(source, files["amc"][which], asf=data)
    return source, read_data(source, data, asf=files["asf"][which] if kind == "amc" else None)


def _read_h36m(kind: str, data: bytes, case: int) -> tuple[ClipSource, ReadClip]:
    """Human3.6M's files are read from disk; a new name each time, for the readers remember."""
    folders = {"cdf": "D3_Positions", "h5": "3D_positions"}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "S1" / folders.get(kind, ".") / f"{case}.{kind.replace('npy', 'npz')}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "npy":
            with zipfile.ZipFile(path, "w") as packed:
                packed.writestr("positions_3d.npy", data)
        else:
            path.write_bytes(data)
        clips, rejected = discover("h36m", [path])
        if not clips:
            raise SourceError(path, rejected[0].reason)
        return clips[0], read_source(clips[0])


def _read_amass(
    kind: str, which: int, data: bytes, files: dict[str, list[bytes]]
) -> tuple[ClipSource, ReadClip]:
    """A damaged clip, or a sound one with a damaged body model, which is read from disk."""
    whole = kind.removesuffix("-npy")
    if kind != whole:
        data = _npz_with(files[whole][which], {"amass": "poses", "model": "shapedirs"}[whole], data)
    source = ClipSource("amass", Path("01_01_poses.npz"), None, "01", "01_01")
    if whole == "amass":
        return source, read_data(source, data)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "model.npz").write_bytes(data)
        source = replace(source, options=ReadOptions(body_model=Path(name)))
        return source, read_data(source, files["amass"][which])


def run_case(case: int, files: dict[str, list[bytes]], kinds: Sequence[str] = ()) -> str:
    """What became of a damaged file, read to the end of the bank: kept or refused."""
    return read_to_the_bank(*mutated(case, files, kinds), case, files)


def read_to_the_bank(
    kind: str, which: int, data: bytes, case: int, files: dict[str, list[bytes]]
) -> str:
    """What became of the bytes of a file; ``which`` is the sound one it was."""
    try:
        source, read = _read(kind, which, data, case, files)
        bank, _ = poses_from_clip(as_motion_clip(source, read), BankSettings())
    except PosebankError as error:
        str(error)
        return f"{kind} refused"
    if not np.isfinite(bank.joints_3d).all():
        raise AssertionError("a pose that is not finite")
    return f"{kind} kept"


def _work(first: int, last: int, kinds: Sequence[str], at: Any, results: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    files = originals()
    counts: Counter[str] = Counter()
    failures: list[str] = []
    slowest = 0.0
    for case in range(first, last):
        at.value = case
        start = time.process_time()  # not the time that other processes take
        try:
            counts[run_case(case, files, kinds)] += 1
        except BaseException as error:
            failures.append(f"case {case}: {type(error).__name__}: {error}"[:300])
        taken = time.process_time() - start
        if case >= first + 8:  # the first cases compile
            slowest = max(slowest, taken)
            if taken > SLOW_S:
                failures.append(f"case {case}: {taken:.1f} s")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((counts, failures, slowest, memory))


def fuzz(first: int, n_cases: int, workers: int, kinds: Sequence[str] = ()) -> dict[str, Any]:
    """Run the cases in child processes; a child that dies or hangs is a failure too."""
    counts: Counter[str] = Counter()
    failures: list[str] = []
    slowest = memory = 0.0
    bounds = np.linspace(first, first + n_cases, workers + 1).astype(int)
    children = []
    for lo, hi in pairwise(bounds):
        at, results = mp.Value("q", int(lo)), mp.Queue()
        child = mp.Process(target=_work, args=(int(lo), int(hi), kinds, at, results))
        child.start()
        children.append((child, at, results))
    for child, at, results in children:
        seen, since = -1, time.monotonic()
        while results.empty() and child.is_alive():
            time.sleep(0.2)
            if at.value != seen:
                seen, since = at.value, time.monotonic()
            elif time.monotonic() - since > 60:
                child.kill()
                failures.append(f"case {seen}: hangs")
        if not results.empty():
            part, bad, slow, used = results.get()
            counts += part
            failures += bad
            slowest, memory = max(slowest, slow), max(memory, used)
        elif child.exitcode:
            failures.append(f"case {at.value}: the process ended with {child.exitcode}")
        child.join()
    return {
        "cases": sum(counts.values()),
        "outcomes": dict(sorted(counts.items())),
        "failures": len(failures),
        "first_failures": failures[:10],
        "slowest_case_s": round(slowest, 3),
        "peak_memory_mb": round(memory),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=int, nargs="?", default=4000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--kind",
        metavar="KIND,...",
        dest="kinds",
        type=lambda text: tuple(text.split(",")),
        default=(),
        help=f"damage only these files, of {', '.join(EVERY_KIND)}",
    )
    parser.add_argument("--quiet", action="store_true", help="no record in benchmarks/results")
    args = parser.parse_args()
    start = time.perf_counter()
    if not set(args.kinds) <= set(EVERY_KIND):
        parser.error(f"--kind: expected some of {', '.join(EVERY_KIND)}, found {args.kinds}")
    results = fuzz(args.first, args.cases, args.workers, args.kinds)
    results["seconds"] = round(time.perf_counter() - start, 1)
    if args.quiet:
        print(json.dumps(results, indent=1))
    else:
        report("fuzz_mocap", results)
    sys.exit(1 if results["failures"] else 0)


if __name__ == "__main__":
    main()
