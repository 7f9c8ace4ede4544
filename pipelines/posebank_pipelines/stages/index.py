"""Index: random orthographic views of the bank in a FAISS index."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from posebank.artefacts import adopt_part, check_hashes, read_manifest
from posebank.deciding import OF_VIEWS, deciding
from posebank.errors import ArtefactError
from posebank.matching import MatchSettings, ViewIndex, load_index
from posebank.matching.views import build_index_block, finish_index, index_blocks
from posebank.workspace import content, load_bank
from posebank_pipelines.partitions import Partition
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import Stage, StageResult


def _index_block(
    block: tuple[int, int], number: int, workspace: Path, staging: Path, settings: MatchSettings
) -> Partition:
    path, recall = build_index_block(load_bank(workspace), block, number, staging, settings)
    return Partition([adopt_part(staging, path, section="index")], stats={"recall": recall})


def index(workspace: Path, settings: MatchSettings, runner: Runner) -> StageResult:
    """Build the index of the workspace's bank; only the settings of the views matter."""
    decided = deciding(settings, only=OF_VIEWS)
    stage = Stage(workspace, "index", decided, reads=["bank"], seed=settings.seed)
    if stage.is_current:
        return stage.result()
    n_poses = read_manifest(workspace / "bank", "bank").rows
    blocks = index_blocks(n_poses, settings)
    if not blocks:
        raise ArtefactError(f"{workspace / 'bank'}: expected at least one pose, found none")
    with stage.build() as build:
        done = build.partitions(
            runner,
            _index_block,
            blocks,
            settings,
            sizes=[last - first for first, last in blocks],
            unit="poses",
            strict=True,  # an index without some of the poses is of no use
        )
        recall = sum(partition.stats["recall"] for partition in done) / len(done)
        build.adopt(finish_index(n_poses, build.staging, settings, stage.inputs["bank"], recall))
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
