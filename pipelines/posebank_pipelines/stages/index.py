"""Index: random orthographic views of the bank in a FAISS index."""

from __future__ import annotations

from pathlib import Path

from posebank.deciding import OF_VIEWS, deciding
from posebank.matching import MatchSettings, build_index
from posebank.workspace import load_bank
from posebank_pipelines.stage import Stage, StageResult


def index(workspace: Path, settings: MatchSettings) -> StageResult:
    """Build the index of the workspace's bank; only the settings of the views matter."""
    decided = deciding(settings, only=OF_VIEWS)
    stage = Stage(workspace, "index", decided, reads=["bank"], seed=settings.seed)
    if stage.is_current:
        return stage.result()
    with stage.build() as build:
        recall = build_index(load_bank(workspace), build.staging, settings, stage.inputs["bank"])
        build.adopt(path for path in sorted(build.staging.iterdir()) if path.is_file())
        build.stats = {"recall": recall}
    return stage.result()
