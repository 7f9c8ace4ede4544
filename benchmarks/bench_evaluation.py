"""Speed of scoring, against a loop over poses, and of the selection and the bootstrap.

110,000 poses are Human3.6M's protocol P2. Run: python benchmarks/bench_evaluation.py
"""

from __future__ import annotations

import numpy as np
from _common import report, seconds

from posebank.evaluation import (
    EvaluationSettings,
    GroundTruth,
    evaluate,
    h36m_frames,
)
from posebank.geometry.joint_errors import aligned_errors_mm, joint_errors_mm
from posebank.geometry.procrustes import align
from posebank.skeleton import N_JOINTS, centred
from posebank.types import Predictions, texts

N_POSES = 110_000
N_LOOP = 2_000


def main() -> None:
    rng = np.random.default_rng(0)
    true = centred(rng.normal(size=(N_POSES, N_JOINTS, 3)) * 0.4).astype(np.float32)
    pred = (true + rng.normal(0, 0.08, true.shape)).astype(np.float32)

    def score() -> None:
        joint_errors_mm(pred, true)
        aligned_errors_mm(pred, true)

    def loop() -> None:
        for a, b in zip(pred[:N_LOOP], true[:N_LOOP], strict=True):
            np.linalg.norm(a - b, axis=-1).mean()
            for scale in (False, True):
                np.linalg.norm(align(a, b, scale=scale) - b, axis=-1).mean()

    truth, predictions = h36m_like(true, pred)
    settings = EvaluationSettings(selection="score")
    whole = seconds(score)
    one_by_one = seconds(loop) * N_POSES / N_LOOP
    report(
        "evaluation",
        {
            "poses": N_POSES,
            "absolute_rigid_similarity_s": whole,
            "the_same_pose_by_pose_s": one_by_one,
            "speedup": one_by_one / whole,
            "h36m_frames_s": seconds(lambda: h36m_frames(predictions, truth), repeats=1, warm_up=0),
            "evaluate_everything_s": seconds(
                lambda: evaluate(predictions, truth, settings), repeats=1, warm_up=0
            ),
        },
    )


def h36m_like(true: np.ndarray, pred: np.ndarray) -> tuple[GroundTruth, Predictions]:
    """One person in each image, two trials of walking by S9 and S11 seen by four cameras."""
    n = len(true)
    cameras = ("54138969", "55011271", "58860488", "60457274")
    names = texts(
        [
            f"h36m/S{9 + 2 * (i % 2)}_Walking {1 + i // 2 % 2}.{cameras[i // 4 % 4]}_"
            f"{5 * (i // 16) + 1:06d}.jpg"
            for i in range(n)
        ]
    )
    empty = texts([""] * n)
    truth = GroundTruth(
        names,
        texts(map(str, range(n))),
        texts(["h36m"] * n),
        (200 * true[..., :2]),
        np.ones((n, N_JOINTS), np.uint8),
        true,
        np.full((n, 4), np.nan, np.float32),
        np.ones(n, np.int8),
        empty,
        empty,
        empty,
    )
    return truth, Predictions(names, 200 * pred[..., :2], pred, np.ones(n, np.float32))


if __name__ == "__main__":
    main()
