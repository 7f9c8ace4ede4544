"""Damaged MPII prediction files through ``posebank evaluate --predictions``: no crash.

``python benchmarks/fuzz_predictions.py --files 2000 --by-command 20`` reads and scores every file
in this process, as the command does, and some by the command itself in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.io import savemat

from posebank import artefacts
from posebank.annotations.mapping import MPII_NAMES, TO_13
from posebank.errors import PosebankError
from posebank.evaluation import EvaluationSettings
from posebank.schemas import ANNOTATIONS, to_table
from posebank.skeleton import JOINT_NAMES, N_JOINTS
from posebank.types import People
from posebank_pipelines.stages.evaluate import evaluate_predictions

N_PEOPLE = 6


def mpii_predictions(people: People) -> list[dict]:
    """The people's joints in the form of MPII's toolkit, 1-based."""
    images = []
    for row, joints in enumerate(people.joints_2d.astype(float) + 1):
        points = [
            {"x": x, "y": y, "id": float(MPII_NAMES.index(TO_13[name])), "score": 0.5 + row}
            for name, (x, y) in zip(JOINT_NAMES, joints, strict=True)
        ]
        annorect = {"annopoints": {"point": points}}
        images.append({"image": {"name": people.image[row]}, "annorect": annorect})
    return images


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes with a few changed, cut off, doubled, or with an impossible size written in."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(changed))
        kind = rng.randrange(4)
        if kind == 0:
            changed[place] = rng.randrange(256)
        elif kind == 1:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            place -= place % 4
            changed[place : place + 4] = rng.choice(
                [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0"]
            )
        else:
            del changed[place : place + rng.choice([1, 4, 8, len(changed)])]
        if not changed:
            changed = bytearray(data[:100])
    return bytes(changed)


def make_workspace(folder: Path) -> People:
    """Write a workspace with a few annotated people in it."""
    joints = np.random.default_rng(0).uniform(10, 200, (N_PEOPLE, N_JOINTS, 2))
    people = People.from_joints(
        joints,
        dataset="mpii",
        split="val",
        image=[f"{i:03d}.jpg" for i in range(N_PEOPLE)],
        head_box=[40, 20, 70, 60],
    )
    target = folder / "annotations"
    with artefacts.staging_folder(target) as staging:
        part = artefacts.write_part(staging, "mpii.parquet", to_table(people, ANNOTATIONS))
        artefacts.commit(staging, target, "annotations", [part], {"mpii": artefacts.Section("x")})
    return people


def main() -> None:
    """Fuzz and print the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--by-command", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    every = max(1, arguments.files // max(1, arguments.by_command))
    outcomes: Counter[str] = Counter()
    commands: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "ws"
        people = make_workspace(workspace)
        whole = {}
        for packed in (False, True):
            path = Path(folder) / f"whole-{packed}.mat"
            savemat(path, {"pred": mpii_predictions(people)}, do_compression=packed)
            whole[packed] = path.read_bytes()
        damaged = Path(folder) / "damaged.mat"
        for number in range(arguments.files):
            damaged.write_bytes(mutated(whole[number % 4 == 3], rng))
            try:
                evaluate_predictions(
                    workspace, [damaged], EvaluationSettings(bootstrap=0), truth="annotations"
                )
                outcomes["scored"] += 1
            except PosebankError as error:
                outcomes["one clear error"] += 1
                if str(damaged) not in str(error):
                    outcomes[f"error without the file's name: {error!s:.80}"] += 1
            if number % every == 0:
                command = [str(Path(sys.executable).with_name("posebank")), "evaluate"]
                command += ["--predictions", str(damaged), "--truth", "annotations"]
                command += ["--bootstrap", "0", "-w", str(workspace)]
                done = subprocess.run(command, capture_output=True, check=False)
                commands[done.returncode] += 1
    print(json.dumps({"files": arguments.files, "outcomes": outcomes, "exit codes": commands}))


if __name__ == "__main__":
    main()
