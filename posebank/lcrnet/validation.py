"""Scores on a part of the validation split while a network trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posebank.evaluation import (
    EvaluationSettings,
    GroundTruth,
    evaluate,
    ground_truth_from_shards,
)
from posebank.lcrnet.model import LCRNet
from posebank.lcrnet.predictor import Predictor, predict_samples
from posebank.shards import PoseShards


@dataclass(frozen=True)
class Validation:
    """Images of the validation split, evenly spread over it, and their people."""

    data: PoseShards
    rows: list[int]
    truth: GroundTruth

    @classmethod
    def of(cls, shards: Path, n_images: int) -> Validation | None:
        """``n_images`` images, or as many as there are; None without any."""
        data = PoseShards(shards, "val")
        rows = np.unique(np.linspace(0, len(data) - 1, min(n_images, len(data))).astype(int))
        if not len(rows):
            return None
        labels = PoseShards(shards, "val", decode=False)
        names = [labels[row]["image_id"] for row in rows.tolist()]
        truth = ground_truth_from_shards(shards, "val")
        return cls(data, rows.tolist(), truth.take(np.isin(truth.image_id.astype(str), names)))

    def score(self, model: LCRNet) -> dict[str, float]:
        """PCKh@0.5 and PCKh@1 in percent and MPJPE in mm; the network keeps its mode."""
        was_training = model.training
        predictor = Predictor(model, model.mean.device)
        found = predict_samples(predictor, self.data, self.rows)["ppi"]
        model.train(was_training)
        numbers = evaluate(
            found, self.truth, EvaluationSettings(selection="overlap", bootstrap=0)
        ).numbers
        return {
            "pckh": float(numbers["pckh"]["weighted"]),
            "pckh_at_1": float(numbers["pckh"]["at_1"]),
            "mpjpe_mm": float(numbers["mpjpe"]["absolute"]),
        }
