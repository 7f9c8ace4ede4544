"""The paper's Table 1: the same labels and shards with one number of anchor-poses after another."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from posebank.artefacts import write_text_atomic
from posebank.errors import SettingsError
from posebank.evaluation import table1
from posebank.evaluation.result import plain
from posebank.evaluation.tables import to_latex, to_markdown
from posebank_pipelines.config import RunConfig
from posebank_pipelines.run import run, steps
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import StageResult
from posebank_pipelines.stages.evaluate import evaluation_folder

_SHARED = ("bank", "labels", "shards")
_PER_K = ("anchors", "train", "evaluate")


def k_workspace(workspace: Path, k: int) -> Path:
    """Where the anchor-poses, the run and the scores of one K lie."""
    return workspace / "sweep" / f"k{k}"


def sweep(
    config: RunConfig, workspace: Path, ks: Sequence[int], runner: Runner, *, strict: bool = False
) -> Iterator[StageResult]:
    """Do the run up to the shards, then fit anchor-poses, train and score for each K.

    Each K has a workspace of its own, which borrows the bank, the labels and the shards (training
    assigns the anchor-poses anew, so that the shards serve all). What is up to date is not redone.

    Raises
    ------
    SettingsError
        If the configuration does not train and score, or a K is not a positive number.
    """
    if config.train is None or config.evaluate is None:
        raise SettingsError("a sweep: expected [train] and [evaluate] in the configuration")
    if not ks or min(ks) < 1 or len(set(ks)) < len(ks):
        raise SettingsError(f"a sweep: expected different numbers from 1, found {list(ks)}")
    yield from run(config, workspace, runner, until="shards", strict=strict)
    for k in ks:
        own = k_workspace(workspace, k)
        _borrow(own)
        chosen = replace(config, anchors=replace(config.anchors, k=k))
        for stage, step in steps(chosen, own, runner, strict=strict):
            if stage in _PER_K:
                start = time.perf_counter()
                result = step()
                yield replace(result, seconds=round(time.perf_counter() - start, 3))


def _borrow(own: Path) -> None:
    own.mkdir(parents=True, exist_ok=True)
    for kind in _SHARED:
        link = own / kind
        if not link.is_symlink():
            link.symlink_to(Path("../..") / kind, target_is_directory=True)


def write_table1(workspace: Path, name: str, ks: Sequence[int]) -> tuple[pd.DataFrame, list[Path]]:
    """Table 1 of a finished sweep as ``sweep/table1.json``, ``.csv``, ``.md`` and ``.tex``.

    name : of the training runs.
    """
    scores = {k: _scores(evaluation_folder(k_workspace(workspace, k), name)) for k in ks}
    methods = {
        f"LCR-Net + {name.upper()}": {k: numbers[name] for k, numbers in scores.items()}
        for name in ("nms", "ppi")
    }
    table = table1(methods)
    caption = "3D error (mm) over the number K of anchor-poses (Table 1)"
    rows = table.to_dict(orient="records")
    texts = {
        "json": json.dumps(plain({"caption": caption, "rows": rows}), indent=1, allow_nan=False),
        "csv": table.to_csv(index=False),
        "md": f"{caption}\n\n{to_markdown(table)}",
        "tex": to_latex(table, caption),
    }
    paths = [workspace / "sweep" / f"table1.{suffix}" for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text_atomic(path, text)
    return table, paths


def _scores(evaluation: Path) -> dict[str, dict[str, Any]]:
    """3D errors of a trained network by integration: of protocol P1 where it was measured."""
    scores: dict[str, dict[str, Any]] = {}
    for name in ("nms", "ppi"):
        numbers: dict[str, Any] = json.loads((evaluation / f"after-{name}.json").read_text("utf-8"))
        p1, mpjpe = numbers.get("h36m", {}).get("p1"), numbers["mpjpe"]
        errors: dict[str, Any] = {}
        for metric in ("absolute", "rigid"):
            from_, key = (mpjpe, metric) if p1 is None else (p1, f"{metric}_frames")
            bounds = [math.nan if b is None else b for b in from_[f"{key}_interval"]]
            errors |= {metric: from_[key], f"{metric}_interval": (bounds[0], bounds[1])}
        scores[name] = errors
    return scores
