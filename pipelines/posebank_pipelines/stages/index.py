"""Index: random orthographic views of the bank in a FAISS index."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from posebank.artefacts import check_hashes
from posebank.deciding import OF_VIEWS, deciding
from posebank.matching import MatchSettings, ViewIndex, build_index, load_index
from posebank.workspace import content, load_bank
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


@lru_cache(maxsize=1)
def _index(folder: Path, bank_content: str, _index_content: str) -> ViewIndex:
    check_hashes(folder, "index")  # FAISS does not check what it reads
    return load_index(folder, bank_content)


def read_index(workspace: Path) -> ViewIndex:
    """Return the workspace's index, its files checked.

    Raises
    ------
    ArtefactError
        If there is none, or a file of it is damaged, or it is of another bank.
    """
    folder = workspace / "index"
    return _index(folder, content(workspace, "bank"), content(workspace, "index"))
