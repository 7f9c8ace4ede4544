"""The demo: generated data through the same stages that a user's data goes through."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from posebank import report as drawing
from posebank.artefacts import write_text_atomic
from posebank.demo import (
    DemoSize,
    demo_sources,
    load_truth,
    score_labels,
    score_predictions,
    trust_reliability,
)
from posebank.workspace import image_roots, load_labels
from posebank_pipelines.config import load_config
from posebank_pipelines.query import query_banks
from posebank_pipelines.run import run
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import StageResult
from posebank_pipelines.stages.evaluate import load_predictions
from posebank_pipelines.stages.report import report

Row = dict[str, Any]
"""One row of the demo's table: what, value, unit."""


def demo(
    workspace: Path,
    runner: Runner,
    *,
    seed: int = 0,
    size: DemoSize | None = None,
    config: Path | None = None,
    stage_done: Callable[[StageResult], None] = lambda _: None,
) -> tuple[list[Row], list[Path]]:
    """Generate the sources, do every stage, and compare the outcome with the known truth.

    Parameters
    ----------
    workspace : Path
        Workspace folder.
    runner : Runner
        Where the partitions run.
    seed : int
        Seed of the generated data.
    size : DemoSize or None
        How much to generate; the default takes a few minutes in all on 2 cores.
    config : Path or None
        The run's configuration; by default the one that comes with the package.
    stage_done : callable or None
        Called with the result of each stage.

    Returns
    -------
    The rows of the table (what, value, unit) and the pictures to look at.
    """
    sources = demo_sources(workspace / "sources", seed, size or DemoSize())
    text = (
        config.read_text(encoding="utf-8")
        if config
        else importlib.resources.files(__package__).joinpath("demo.toml").read_text("utf-8")
    )
    write_text_atomic(workspace / "demo.toml", text)
    settings = load_config(workspace / "demo.toml")
    for result in run(settings, workspace, runner):
        stage_done(result)
    truth = load_truth(sources.truth)
    rows = _matching_rows(workspace, runner)
    rows += score_labels(load_labels(workspace), truth)
    for moment in ("before", "after"):
        predictions = load_predictions(workspace, settings.run, f"{moment}-ppi")
        rows += [
            {**row, "what": f"{row['what']}, {moment} training"}
            for row in score_predictions(predictions, truth, load_labels(workspace), "val")
        ]
    facts = {"table": rows, "trust": trust_reliability(load_labels(workspace), truth)}
    write_text_atomic(workspace / drawing.DEMO_FACTS, json.dumps(facts, indent=1))
    sheet = workspace / "report" / "labels.png"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    drawing.label_sheet(load_labels(workspace), image_roots(workspace), sheet, 8, seed)
    return rows, [sheet, report(workspace, runner.progress)]


def _matching_rows(workspace: Path, runner: Runner) -> list[Row]:
    """Matching error with one MoCap set and with all of them."""
    combinations = [["cmu"], ["cmu", "hdm05", "poseprior"]]
    table = query_banks(workspace, combinations, "dataset", runner)
    return [
        {
            "what": f"matching error of {row['dataset']}, bank {row['banks']}",
            "value": float(row["error_norm_mean"]),
            "unit": "error_norm",
        }
        for row in table.to_dict(orient="records")
    ]
