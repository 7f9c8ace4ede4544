"""Annotation readers: who is in each source, forms against each other, hips, speed, fuzzing.

python benchmarks/bench_annotations.py sources     every source: people, joints by state, reasons
python benchmarks/bench_annotations.py mpii        the nested struct against ``valid.h5``
python benchmarks/bench_annotations.py hips        hips of each data set against MoCap's
python benchmarks/bench_annotations.py forms       made-up files in every form: read, set aside
python benchmarks/bench_annotations.py speed       a file as large as MPII's, LSPE; memory
python benchmarks/bench_annotations.py fuzz 20000 0  mutated files and seed: only PosebankError
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from _common import ROOT, SHARED_DATA, report, seconds
from scipy.io import loadmat, savemat

sys.path.insert(0, str(ROOT / "tests"))
import annotation_files as af
import coco_forms

from posebank.annotations import read_annotations
from posebank.annotations.h36m_files import CAMERAS
from posebank.annotations.hips import correction, measure_bank, measure_people
from posebank.annotations.mapping import MPII_NAMES
from posebank.annotations.matfile import load_mat, number, record, records
from posebank.annotations.mpii import read_points
from posebank.annotations.mpii_derived import H5_CENTRE_SHIFT, H5_SCALE
from posebank.errors import PosebankError
from posebank.evaluation.predictions import read_predictions
from posebank.geometry.cameras import CameraLimits
from posebank.mocap import discover, read_clip
from posebank.mocap.bank import BankSettings, poses_from_clip
from posebank.types import PoseBank

MPII = SHARED_DATA / "mpii"
MPII_IMAGES = 24_987
SOURCES = {
    "mpii struct": ("mpii", MPII / "tompson_valid_detections.mat"),
    "mpii h5": ("mpii", MPII / "valid.h5"),
    "mpii csv": ("mpii", MPII / "mpii_dataset_split.csv"),
    "lspe": ("lspe", SHARED_DATA / "lspet"),
    "coco": ("coco", SHARED_DATA / "coco"),
}


def sources() -> dict[str, Any]:
    return {name: read_annotations(kind, path).stats for name, (kind, path) in SOURCES.items()}


def mpii() -> dict[str, Any]:
    """Every one of the 16 joints, scales, centres, head sizes and visibilities of 2,958 people."""
    struct = load_mat(MPII / "tompson_valid_detections.mat", ["annolist"])["annolist"]
    with h5py.File(MPII / "valid.h5") as file:
        part, visible = file["part"][:], file["visible"][:]
        scale, centre, normalize = file["scale"][:], file["center"][:], file["normalize"][:]
    found: Counter[str] = Counter()
    for i, entry in enumerate(struct):
        person = record(entry["annorect"])
        xy, state, _ = read_points(records(record(person["annopoints"])["point"]))
        for j, name in enumerate(MPII_NAMES):
            where = "head top, upper neck" if name in ("head_top", "upper_neck") else "others"
            same_flag = (state[j] == 1) == (visible[i, j] == 1)
            if state[j] == 0:
                how = "missing in both" if not part[i, j].any() else "missing in the struct only"
            elif (xy[j] == part[i, j]).all():
                how = "equal"
            elif (np.trunc(xy[j]) == part[i, j]).all():
                how = "cut to whole pixels in h5"
            else:
                how = "different"
            found[f"{where}: {how}"] += 1
            found["visibility " + ("agrees" if same_flag else "differs")] += 1
        size, place = number(person["scale"]), record(person["objpos"])
        back = scale[i] / H5_SCALE
        found["scale agrees"] += bool(np.isclose(back, size, rtol=1e-12))
        shifted = centre[i] - [0, H5_CENTRE_SHIFT * back]
        found["centre agrees"] += bool(np.allclose(shifted, [place["x"], place["y"]], atol=1e-6))
        width, height = person["x2"] - person["x1"], person["y2"] - person["y1"]
        found["head size agrees"] += bool(
            np.isclose(0.6 * np.hypot(width, height), normalize[i], rtol=1e-9)
        )
    return {"people": len(struct), **dict(sorted(found.items()))}


def hips() -> dict[str, Any]:
    results: dict[str, Any] = {}
    limits = CameraLimits(-0.2, 0.2, 0.1)  # people in these photographs are seen nearly level
    mocap = {}
    for name, path in (("cmu", SHARED_DATA / "cmu" / "subjects"), ("hdm05", SHARED_DATA / "hdm05")):
        clips, _ = discover(name, [path])
        bank = PoseBank.concat(
            [poses_from_clip(read_clip(c, 120.0), BankSettings())[0] for c in clips[::2]]
        )
        mocap[name] = measure_bank(bank, limits, np.random.default_rng(0))
        results[name] = vars(mocap[name])
    for name in ("mpii struct", "lspe"):
        people = read_annotations(*SOURCES[name]).people
        found = measure_people(people)
        results[name] = vars(found) | {
            f"correction to {m}": vars(correction(found, mocap[m])) for m in mocap
        }
    return results


def _large_release(path: Path, n_images: int) -> None:
    """A release file as large as asked, made of the people at hand, over and over."""
    real = loadmat(MPII / "tompson_valid_detections.mat")["annolist"][0]
    n_train = int(0.73 * n_images)
    annolist = np.empty(
        (1, n_images), [(n, object) for n in ("image", "annorect", "frame_sec", "vidx")]
    )
    image = np.dtype([("name", object)])
    for i in range(n_images):
        people = [real[(i + k) % len(real)]["annorect"] for k in range(1 + (i % 5 < 3))]
        same = [p for p in people if p.dtype == people[0].dtype]
        if i >= n_train:
            same = [p[["scale", "objpos"]] for p in same]
        name = np.array([[(f"{i:09d}.jpg",)]], image)
        annolist[0, i] = (name, np.concatenate(same, axis=1), 5, i // 4 + 1)
    release = {
        "annolist": annolist,
        "img_train": (np.arange(n_images) < n_train)[None].astype(float),
        "single_person": af.cell([np.array([1])] * n_images).reshape(-1, 1),
        "video_list": af.cell([f"v{i}" for i in range(n_images // 4 + 1)]).reshape(1, -1),
    }
    savemat(path, {"RELEASE": release}, do_compression=True)


_CHILD = """
import json, sys, time
from pathlib import Path
if sys.argv[1] == "scipy":
    from scipy.io import loadmat
    begin, cpu = time.perf_counter(), time.process_time()
    loadmat(sys.argv[2])
    n = 0
else:
    from posebank.annotations import read_annotations
    begin, cpu = time.perf_counter(), time.process_time()
    n = len(read_annotations(sys.argv[1], Path(sys.argv[2])).people)
spent = time.perf_counter() - begin
cpu = time.process_time() - cpu
status = Path("/proc/self/status").read_text()  # getrusage would give the parent's peak
peak = int(status.split("VmHWM:")[1].split()[0])
print(json.dumps({"people": n, "seconds": round(spent, 2),
                  "cpu_seconds": round(cpu, 2), "peak_mb": peak // 1024}))
"""


def _child(kind: str, path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, kind, str(path)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def speed() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mpii_human_pose_v1_u12_1.mat"
        _large_release(path, MPII_IMAGES)
        large = {
            "file_mb": round(path.stat().st_size / 1e6, 1),
            "read_annotations": _child("mpii", path),
            "baseline_scipy_loadmat_alone": _child("scipy", path),
        }
    small = MPII / "tompson_valid_detections.mat"
    return {
        "release file with as many images as MPII's": large,
        "lspe (5,000 people, 1,500 images)": _child("lspe", SHARED_DATA / "lspet"),
        "mpii struct, reader alone, 2,958 people, seconds": {
            "posebank": seconds(lambda: load_mat(small, ["annolist"])),
            "scipy": seconds(lambda: loadmat(small, variable_names=["annolist"])),
        },
    }


# --- fuzzing


def _forms_of_others(
    folder: Path, joints: np.ndarray, visible: np.ndarray, lsp: np.ndarray, people: list[Any]
) -> list[tuple[str, Path, Path]]:
    """The forms in which tools and other data sets have people, and COCO results."""
    files: list[tuple[str, Path, Path]] = []

    def add(kind: str, path: Path) -> None:
        files.append((kind, path, path))

    for form in coco_forms.FORMS:
        made = [coco_forms.person(form, i, 1 + i % 2) for i in range(3)]
        path = folder / (form.replace(" ", "_") + ".json")
        add("coco", coco_forms.write(path, form, made, ["a.jpg", "b.jpg"]))
    flat = [v for i in range(25) for v in (10 + i, 20 + i, 0.5)]
    mixed = {"nose": [1, 2, 2], "right_ankle": None, "l_hip": [None, None, None], "head": [3, 4, 1]}
    others = [{"image": "a.jpg", "pose_keypoints_2d": flat}, {"image": "b.jpg", "joints": mixed}]
    (folder / "openpose.json").write_text(json.dumps({"people": others}))
    add("json", folder / "openpose.json")
    (folder / "other.csv").write_text("image,RAnkle_x,RAnkle_y,RAnkle_state\na.jpg,1,2,2\n" * 2)
    add("csv", folder / "other.csv")
    hrnet = folder / "hrnet"
    hrnet.mkdir()
    valid = af.write_mpii_json(hrnet / "valid.json", joints, visible, False)
    arrays = {
        "pos_gt_src": joints.transpose(1, 2, 0),
        "jnt_missing": np.zeros((16, 3)),
        "headboxes_src": np.arange(12.0).reshape(2, 2, 3),
    }
    savemat(hrnet / "gt_valid.mat", arrays)
    add("mpii", valid)
    add("mpii", hrnet / "gt_valid.mat")
    savemat(folder / "lsp14.mat", {"joints": np.minimum(lsp, [300, 300, 0]).transpose(1, 2, 0)})
    add("lsp", folder / "lsp14.mat")
    annolist = af.struct_array(
        [{"image": {"name": "a.jpg"}, "annorect": af.struct_array(people[:1])}] * 2
    )
    savemat(folder / "annolist.mat", {"annolist": annolist})
    add("mpii", folder / "annolist.mat")
    found = [
        {"image_id": 1, "score": 0.5, "keypoints": coco_forms.person(form, 1, 1)["keypoints"]}
        for form in ("COCO 17", "COCO-WholeBody 133")
    ]
    (folder / "results.json").write_text(json.dumps(found))
    add("predictions", folder / "results.json")
    return files


def _seed_files(folder: Path, rng: np.random.Generator) -> list[tuple[str, Path, Path]]:
    """Kind, source to read, and the file in it to mutate: every form, a few people each."""
    joints, visible = rng.uniform(10, 400, (3, 16, 2)), rng.integers(0, 2, (3, 16)).astype(float)
    flags = [1, 0, "1", np.empty((0, 0))]
    whole = {j: (*joints[0, j].tolist(), flags[j % 4]) for j in range(16)}
    people = [af.mpii_person(whole), af.mpii_person({}), af.mpii_person({3: (5.0, 6.0, 1)})]
    lsp = np.concatenate([rng.uniform(0, 300, (5, 14, 2)), rng.integers(0, 2, (5, 14, 1))], -1)
    real = loadmat(MPII / "tompson_valid_detections.mat")
    files: list[tuple[str, Path, Path]] = []

    def add(kind: str, path: Path, source: Path | None = None) -> None:
        files.append((kind, source or path, path))

    for packed in (True, False):
        made = folder / f"packed{packed}"
        made.mkdir()
        images = [("a.jpg", people), ("b.jpg", []), ("c.jpg", people[:1])]
        add("mpii", af.write_mpii_release(made / "release.mat", images, compress=packed))
        add("lspe", af.write_lsp(made / "lspe.mat", lsp, True, packed))
        add("lsp", af.write_lsp(made / "lsp.mat", lsp, False, packed))
        names = ("annolist", "RELEASE_img_index", "RELEASE_person_index")
        few = {name: real[name][:, :3] for name in names}
        savemat(made / "tompson.mat", few, do_compression=packed)
        add("mpii", made / "tompson.mat")
    add("mpii", af.write_mpii_h5(folder / "valid.h5", joints, visible, 2.5))
    add("mpii", af.write_mpii_csv(folder / "mpii.csv", ["a.jpg", "b.jpg", "c.jpg"], joints))
    add("mpii", af.write_mpii_json(folder / "older.json", joints, visible, True))
    add("mpii", af.write_mpii_json(folder / "newer.json", joints, visible, False))
    points = {name: (10 + i, 20, i % 2 + 1) for i, name in enumerate(af.COCO_NAMES)}
    coco = [af.coco_person(i, i % 2, points) for i in range(3)]
    add("coco", af.write_coco(folder / "person_keypoints_val.json", coco))
    add("json", af.write_own_json(folder / "own.json", 3))
    add("csv", af.write_own_csv(folder / "own.csv", 3))
    files += _forms_of_others(folder, joints, visible, lsp, people)

    cameras = af.h36m_cameras(rng)
    poses = rng.normal([0, 0, 1000], 300, (9, 32, 3))
    tree = folder / "cdf" / "S1" / "MyPoseFeatures"
    name = f"Walking.{CAMERAS[0]}.cdf"
    flat = af.write_cdf(tree / "D2_Positions" / name, rng.uniform(0, 900, (9, 64)))
    solid = af.write_cdf(tree / "D3_Positions_mono" / name, poses.reshape(9, -1))
    add("h36m", flat, folder / "cdf")
    add("h36m", solid, folder / "cdf")
    hdf = folder / "hdf" / "S1" / "MyPoses" / "3D_positions"
    hdf.mkdir(parents=True)
    with h5py.File(hdf / "Walking.h5", "w") as file:
        file["3D_positions"] = poses.reshape(9, -1).T
    add("h36m", hdf / "Walking.h5", folder / "hdf")
    add("h36m", af.write_h36m_cameras(folder / "hdf" / "cameras.h5", cameras, [1]), folder / "hdf")
    npz = folder / "npz" / "data_3d_h36m.npz"
    npz.parent.mkdir()
    np.savez(npz, positions_3d={"S1": {"Walking": poses.astype(np.float32) / 1000}})
    angles = rng.uniform(-1, 1, (4, 3))
    add("h36m", npz, npz.parent)
    add("h36m", af.write_h36m_xml(npz.parent / "metadata.xml", angles, cameras), npz.parent)
    return files


def _mutated_file(data: bytes, rng: np.random.Generator) -> bytes:
    """A mutated file; of a zip, mostly what is in it, for its checksums stop all else."""
    if not data.startswith(b"PK") or rng.random() < 0.2:
        return af.mutated(data, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, af.mutated(old.read(name), rng))
    return out.getvalue()


def _read(kind: str, source: Path) -> int:
    """How many people, or predicted poses, are read."""
    if kind == "predictions":
        return len(read_predictions(source))
    return len(read_annotations(kind, source).people)


def forms() -> dict[str, Any]:
    """Every form of file: people read and joints found, and what is set aside or assumed."""
    results = {}
    with tempfile.TemporaryDirectory() as name:
        for kind, source, path in _seed_files(Path(name), np.random.default_rng(0)):
            if kind == "predictions":
                results[f"{kind} {path.name}"] = {"read": _read(kind, source)}
                continue
            result = read_annotations(kind, source)
            joints = (result.people.state > 0).sum(axis=1)
            results[f"{kind} {path.relative_to(name)}"] = {
                "in_file": result.stats["people_in_file"],
                "read": len(result.people),
                "joints": joints.max(initial=0),
                "set_aside": result.stats.get("set_aside", {}),
                "notes": [n for n in result.notes if "images are not there" not in n],
            }
    return json.loads(json.dumps(results, default=int))


def fuzz(n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    outcomes: dict[str, Counter[str]] = {}
    wrong: list[str] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory() as name:
        files = _seed_files(Path(name), rng)
        whole = [path.read_bytes() for _, _, path in files]
        for i in range(n):
            kind, source, path = files[i % len(files)]
            path.write_bytes(_mutated_file(whole[i % len(files)], rng))
            begin = time.perf_counter()
            try:
                n_read = _read(kind, source)
                outcome = "read" if n_read else "nobody left"
            except PosebankError:
                outcome = "clear error"
            except Exception as error:
                outcome = "OTHER ERROR"
                wrong.append(f"{kind} {path.name}: {error!r:.200}")
            slowest = max(slowest, time.perf_counter() - begin)
            outcomes.setdefault(f"{kind} {path.name}", Counter())[outcome] += 1
            path.write_bytes(whole[i % len(files)])
    total: Counter[str] = sum(outcomes.values(), Counter())
    return {
        "files": n,
        "seed": seed,
        "total": dict(total),
        "other_errors": wrong[:20],
        "slowest_seconds": round(slowest, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "by_file": {name: dict(c) for name, c in outcomes.items()},
    }


def main() -> None:
    """Do one experiment."""
    jobs: dict[str, Callable[[], dict[str, Any]]] = {
        "sources": sources,
        "mpii": mpii,
        "hips": hips,
        "forms": forms,
        "speed": speed,
        "fuzz": lambda: fuzz(options.files, options.seed),
    }
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", nargs="?", choices=jobs, default="sources")
    parser.add_argument("files", nargs="?", type=int, default=20_000, help="of fuzz")
    parser.add_argument("seed", nargs="?", type=int, default=0, help="of fuzz")
    options = parser.parse_args()
    name = f"annotations_{options.experiment}"
    if options.experiment == "fuzz":
        name += f"_{options.seed}"
    report(name, jobs[options.experiment]())


if __name__ == "__main__":
    main()
