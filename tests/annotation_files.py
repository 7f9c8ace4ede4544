"""Small annotation files in the original forms, for the tests and the fuzzing benchmark."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from cdflib import cdfwrite
from scipy.io import savemat

from posebank.annotations.mapping import COCO_NAMES, LSP_NAMES, MPII_NAMES
from posebank.skeleton import JOINT_NAMES


def mpii_person(
    joints: dict[int, tuple[float, float, Any]],
    head: tuple[int, int, int, int] | None = (10, 20, 40, 60),
    scale: float = 2.5,
) -> dict[str, Any]:
    """An ``annorect`` element; joints: MPII id -> x, y, is_visible as in the file (1-based)."""
    person: dict[str, Any] = {"scale": scale, "objpos": {"x": 100, "y": 120}}
    if head is not None:
        person |= dict(zip(("x1", "y1", "x2", "y2"), head, strict=True))
    point = np.empty(len(joints), dtype=[(n, object) for n in ("x", "y", "id", "is_visible")])
    for i, (joint, (x, y, visible)) in enumerate(joints.items()):
        point[i] = (x, y, joint, visible)
    person["annopoints"] = {"point": point} if joints else np.empty((0, 0))
    return person


def struct_array(records: list[dict[str, Any]]) -> np.ndarray:
    """MATLAB struct array with all fields that any of the records has, empty where it lacks it."""
    names = list(dict.fromkeys(name for record in records for name in record))
    array = np.empty(len(records), dtype=[(name, object) for name in names])
    for i, record in enumerate(records):
        array[i] = tuple(record.get(name, np.empty((0, 0))) for name in names)
    return array


def cell(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def write_mpii_release(
    path: Path,
    images: list[tuple[str, list[dict[str, Any]]]],
    *,
    in_train: list[int] | None = None,
    single: list[list[int]] | None = None,
    video: list[int] | None = None,
    compress: bool = True,
) -> Path:
    """``mpii_human_pose_v1_u12_1.mat`` with the given images (name, people)."""
    n = len(images)
    annolist = struct_array(
        [
            {
                "image": {"name": name},
                "annorect": struct_array(people) if people else np.empty((0, 0)),
                "frame_sec": 11,
                "vidx": 1 if video is None else video[i],
            }
            for i, (name, people) in enumerate(images)
        ]
    )
    release = {
        "annolist": annolist,
        "img_train": np.array(in_train if in_train is not None else [1] * n),
        "version": "12",
        "single_person": cell([np.array(s) for s in single or [[1]] * n]).reshape(-1, 1),
        "act": struct_array([{"cat_name": "sports", "act_name": f"curling{i}"} for i in range(n)]),
        "video_list": cell([f"video{i}" for i in range(5)]).reshape(1, -1),
    }
    savemat(path, {"RELEASE": release}, do_compression=compress)
    return path


def write_mpii_h5(path: Path, joints: np.ndarray, visible: np.ndarray, scale: float) -> Path:
    n = len(joints)
    with h5py.File(path, "w") as file:
        file["part"], file["visible"] = joints, visible
        file["imgname"] = np.array([f"{i:09d}.jpg" for i in range(n)], dtype="S13")
        file["person"] = np.zeros(n)
        file["index"] = np.arange(n, dtype=float)
        file["scale"] = np.full(n, 1.25 * scale)
        file["center"] = np.tile([100.0, 120.0 + 15 * scale], (n, 1))
        file["normalize"] = np.full(n, 42.0)
    return path


def write_mpii_csv(path: Path, names: list[str], joints: np.ndarray) -> Path:
    header = [n.replace("r_", "r ").replace("l_", "l ").replace("_", " ") for n in MPII_NAMES]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        columns = [f"{n}_{a}" for n in header for a in "XY"]
        writer.writerow(["", "NAME", *columns, "Scale", "Activity", "Category"])
        for i, name in enumerate(names):
            writer.writerow([i, name, *joints[i].ravel().tolist(), 2.5, "curling", "sports"])
    return path


def write_mpii_json(path: Path, joints: np.ndarray, visible: np.ndarray, older: bool) -> Path:
    people: list[dict[str, Any]] = []
    for i, (xy, v) in enumerate(zip(joints, visible, strict=True)):
        if older:
            people.append(
                {
                    "dataset": "MPI",
                    "isValidation": float(i % 2),
                    "img_paths": f"{i}.jpg",
                    "objpos": [100.0, 120.0],
                    "scale_provided": 2.5,
                    "joint_self": [
                        [x, y, s] for (x, y), s in zip(xy.tolist(), v.tolist(), strict=True)
                    ],
                }
            )
        else:
            people.append(
                {
                    "image": f"{i}.jpg",
                    "center": [100.0, 120.0],
                    "scale": 2.5,
                    "joints": xy.tolist(),
                    "joints_vis": v.tolist(),
                }
            )
    path.write_text(json.dumps({"root": people} if older else people))
    return path


def write_lsp(path: Path, joints: np.ndarray, extended: bool, compress: bool = True) -> Path:
    """``joints.mat`` from (n, 14, 3) x, y, flag as in the file."""
    assert joints.shape[1:] == (len(LSP_NAMES), 3)
    order = (1, 2, 0) if extended else (2, 1, 0)
    savemat(path, {"joints": joints.transpose(order)}, do_compression=compress)
    return path


def coco_person(number: int, image: int, points: dict[str, tuple[float, float, int]], **more: Any):
    keypoints = [0.0] * (3 * len(COCO_NAMES))
    for name, value in points.items():
        at = 3 * COCO_NAMES.index(name)
        keypoints[at : at + 3] = value
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "area": 5.0,
        "bbox": [1.0, 2.0, 30.0, 40.0],
        "keypoints": keypoints,
        "num_keypoints": len(points),
        **more,
    }


def write_coco(path: Path, people: list[dict[str, Any]]) -> Path:
    images = [
        {"id": i, "file_name": f"{i:012d}.jpg", "width": 640, "height": 427}
        for i in sorted({p["image_id"] for p in people})
    ]
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": []}))
    return path


def write_own_json(path: Path, n: int) -> Path:
    people = [
        {
            "image": f"{i}.jpg",
            "joints": {
                name: [10.0 + i + j, 20.5 * (j + 1), "occluded" if j == i % 13 else "visible"]
                for j, name in enumerate(JOINT_NAMES[: 5 + i])
            },
            "head_box": [1, 2, 3, 4],
            "scale": 1.5,
            "split": "train",
        }
        for i in range(n)
    ]
    path.write_text(json.dumps({"dataset": "mine", "people": people}))
    return path


def write_own_csv(path: Path, n: int) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        columns = [f"{name}_{a}" for name in JOINT_NAMES for a in ("x", "y", "state")]
        writer.writerow(["image", "split", "scale", *columns])
        for i in range(n):
            cells: list[Any] = []
            for j in range(len(JOINT_NAMES)):
                cells += [10 + i + j, 20.5 * j, ""] if j < 5 + i else ["", "", ""]
            writer.writerow([f"{i}.jpg", "", 1.25, *cells])
    return path


def h36m_cameras(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Parameters of four cameras in a circle looking at the origin, millimetres; z is up."""
    angles = np.array([0.2, 1.8, 3.3, 4.9])
    rotation, position = [], []
    for angle in angles:
        away = -np.array([np.cos(angle), np.sin(angle), 0])
        down = np.array([0.0, 0, -1])
        rotation.append(np.stack([np.cross(down, away), down, away]))
        position.append(-5000 * away + [0, 0, 1000])
    return {
        "R": np.array(rotation),
        "T": np.array(position),
        "f": rng.uniform(1100, 1200, (4, 2)),
        "c": rng.uniform(490, 520, (4, 2)),
        "k": rng.uniform(-0.2, 0.2, (4, 3)),
        "p": rng.uniform(-0.002, 0.002, (4, 2)),
    }


def write_h36m_cameras(path: Path, cameras: dict[str, np.ndarray], subjects: list[int]) -> Path:
    with h5py.File(path, "w") as file:
        for subject in subjects:
            for c in range(4):
                for name, values in cameras.items():
                    value = values[c].T if name == "R" else values[c][:, None]
                    file[f"subject{subject}/camera{c + 1}/{name}"] = value
    return path


def write_h36m_xml(path: Path, angles: np.ndarray, cameras: dict[str, np.ndarray]) -> Path:
    """``metadata.xml``; angles (4, 3) in radians; every subject has the same cameras."""
    placed = np.concatenate([angles, cameras["T"]], axis=1)
    w0 = [*np.repeat(placed[:, None], 11, axis=1).ravel()]
    for c in range(4):
        w0 += [v for name in "fckp" for v in cameras[name][c]]
    numbers = " ".join(repr(float(v)) for v in w0)
    path.write_text(f"<metadata><subject><x>1</x></subject><w0>[{numbers}]</w0></metadata>")
    return path


def write_cdf(path: Path, values: np.ndarray) -> Path:
    """A CDF file with the variable ``Pose`` of shape (1, n, width), as in Human3.6M."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    file = cdfwrite.CDF(path)
    spec = {
        "Variable": "Pose",
        "Data_Type": 45,
        "Num_Elements": 1,
        "Rec_Vary": True,
        "Dim_Sizes": list(values.shape),
        "Var_Type": "zVariable",
    }
    file.write_var(spec, var_data=values[None].astype(np.float64))
    file.close()
    return path


_TOKENS = (
    b"\xff\xff\xff\x7f",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\0\0\0\x80",
    b"NaN,",
    b"1e99",
    b"null",
    b'-1,"',
    b"[[[[",
    b"\x0e\0\0\0",
)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four bytes flipped, changed, removed, added, overwritten or copied; or cut off."""
    out = bytearray(data)

    def at() -> int:
        return int(rng.integers(len(out) + 1))

    def flip(i: int) -> None:
        if i < len(out):
            out[i] ^= 1 << int(rng.integers(8))

    def change(i: int) -> None:
        if i < len(out):
            out[i] = int(rng.integers(256))

    def remove(i: int) -> None:
        del out[i : i + 1 + int(rng.integers(64))]

    def insert(i: int) -> None:
        out[i:i] = rng.bytes(1 + int(rng.integers(16)))

    def overwrite(i: int) -> None:
        token = _TOKENS[int(rng.integers(len(_TOKENS)))]
        out[i : i + len(token)] = token

    def copy(i: int) -> None:
        start = at()
        out[i:i] = out[start : start + int(rng.integers(100))]

    ways = [flip, change, remove, insert, overwrite, copy]
    way = ways[int(rng.integers(len(ways)))]
    for _ in range(1 + int(rng.integers(4))):
        way(at())
    return bytes(out[: at()] if rng.random() < 0.05 else out)
