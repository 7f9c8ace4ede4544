"""Predict: a checkpoint on image files, to tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from posebank.artefacts import atomic_path, write_text_atomic
from posebank.errors import Rejected, SourceError
from posebank.evaluation import predictions_to_json
from posebank.lcrnet import IntegrationSettings, Predictor, predict_images
from posebank.report import prediction_picture
from posebank.schemas import PREDICTIONS, to_table
from posebank_pipelines.runner import Progress, silent

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class PredictResult:
    """What was found and written; ``shown`` are the poses of ``min_score`` at least."""

    images: int
    poses: int
    shown: int
    files: tuple[Path, ...]
    rejected: tuple[Rejected, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "files": [str(f) for f in self.files]}


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The image files among files and folders, in order, each once.

    Raises
    ------
    SourceError
        If a path does not exist, or there is no image in a folder.
    """
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in _SUFFIXES]
            if not found:
                raise SourceError(
                    path, f"expected images ({' '.join(sorted(_SUFFIXES))}), found none"
                )
            files.update(dict.fromkeys(found))
        elif path.exists():
            files[path] = None
        else:
            raise SourceError(path, "expected an image or a folder of images, found nothing")
    return list(files)


def predict(
    images: Sequence[Path],
    checkpoint: Path,
    output: Path,
    *,
    integration: str = "ppi",
    settings: IntegrationSettings | None = None,
    min_score: float = 0.5,
    pictures: bool = True,
    progress: Progress = silent,
) -> PredictResult:
    """Predict, and write ``predictions.parquet``, ``predictions.json`` and a picture per image.

    Raises
    ------
    SourceError
        If none of the images can be read.
    """
    paths = image_files(images)
    predictor = Predictor.from_checkpoint(checkpoint)
    predictions, rejected = predict_images(
        predictor,
        paths,
        integration=integration,
        settings=settings,
        progress=lambda done, total: progress("predict", done, total, "images"),
    )
    if len(rejected) == len(paths):
        raise SourceError(rejected[0].where, rejected[0].reason)
    output.mkdir(parents=True, exist_ok=True)
    files = [output / "predictions.parquet", output / "predictions.json"]
    with atomic_path(files[0]) as temporary:
        pq.write_table(to_table(predictions, PREDICTIONS), temporary)
    write_text_atomic(files[1], predictions_to_json(predictions))
    bad = {r.where for r in rejected}
    good = [p for p in paths if str(p) not in bad]
    for done, path in enumerate(good if pictures else [], 1):
        chosen = (predictions.image_id == str(path)) & (predictions.score >= min_score)
        files.append(output / f"{done:05d}-{path.stem}.png")
        prediction_picture(path, predictions.take(chosen), files[-1])
        progress("draw", done, len(good), "images")
    shown = int((predictions.score >= min_score).sum())
    return PredictResult(len(good), len(predictions), shown, tuple(files), tuple(rejected))
