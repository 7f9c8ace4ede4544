"""The run: every stage of a configuration that is out of date, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from posebank import artefacts
from posebank.artefact_kinds import KINDS, STAGES
from posebank.errors import SettingsError
from posebank_pipelines.config import RunConfig
from posebank_pipelines.plan import amounts, keep_rate, measured
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import StageResult
from posebank_pipelines.stages.anchors import anchors
from posebank_pipelines.stages.annotate import annotate
from posebank_pipelines.stages.evaluate import evaluate_network
from posebank_pipelines.stages.index import index
from posebank_pipelines.stages.ingest import ingest
from posebank_pipelines.stages.label import label_people
from posebank_pipelines.stages.match import match_people, uses_index
from posebank_pipelines.stages.shards import shards
from posebank_pipelines.stages.train import check_training, run_folder, train_network

"""The stages of a run, in their order."""

Step = tuple[str, Callable[[], StageResult]]


def steps(config: RunConfig, workspace: Path, runner: Runner, *, strict: bool) -> list[Step]:
    """The stages of a configuration, each with the call that does it."""
    todo: list[Step] = []
    for dataset in dict.fromkeys(mocap.dataset for mocap in config.mocap):
        sources = {p: m.options for m in config.mocap if m.dataset == dataset for p in m.sources}
        todo.append(
            (
                "ingest",
                lambda d=dataset, s=sources: ingest(  # type: ignore[misc]
                    workspace, d, s, config.bank, runner, strict=strict
                ),
            )
        )
    for source in config.annotations:
        todo.append(
            (
                "annotate",
                lambda s=source: annotate(  # type: ignore[misc]
                    workspace, s.kind, s.source, runner, images=s.images, strict=strict, **s.options
                ),
            )
        )
    if uses_index(config.matching):
        todo.append(("index", lambda: index(workspace, config.matching, runner)))
    todo += [
        ("match", lambda: match_people(workspace, config.matching, runner, config.camera)),
        ("label", lambda: label_people(workspace, config.labels, runner)),
        ("anchors", lambda: anchors(workspace, config.anchors)),
        ("shards", lambda: shards(workspace, config.shards, runner)),
    ]
    if (training := config.train) is not None:
        todo.append(
            ("train", lambda: train_network(workspace, config.run, training, runner.progress))
        )
        if (scoring := config.evaluate) is not None:
            todo.append(
                (
                    "evaluate",
                    lambda: evaluate_network(
                        workspace,
                        config.run,
                        scoring,
                        config.integration,
                        splits=config.splits,
                        progress=runner.progress,
                    ),
                )
            )
    return todo


def run(
    config: RunConfig,
    workspace: Path,
    runner: Runner,
    *,
    from_stage: str | None = None,
    until: str | None = None,
    strict: bool = False,
) -> Iterator[StageResult]:
    """Do every stage that is out of date; yields each stage's result as it ends.

    Parameters
    ----------
    config : RunConfig
        What to run, with all settings.
    workspace : Path
        Workspace folder.
    runner : Runner
        Where the partitions run.
    from_stage : str or None
        Make this stage and all after it again, up to date or not.
    until : str or None
        The last stage to do.
    strict : bool
        Stop at the first bad record instead of setting it aside.
    """
    if from_stage is not None:
        if from_stage not in STAGES:
            raise SettingsError(f"--from: expected one of {', '.join(STAGES)}, got {from_stage}")
        for kind in KINDS.values():
            if kind.in_run and STAGES.index(kind.stage) >= STAGES.index(from_stage):
                is_run = kind.name == "runs"
                artefacts.remove(
                    run_folder(workspace, config.run) if is_run else workspace / kind.name
                )
    last = STAGES.index(until) if until is not None else len(STAGES)
    if config.train is not None and last >= STAGES.index("train"):
        check_training()
    todo = steps(config, workspace, runner, strict=strict)
    for stage, some in groupby(todo, key=lambda step: step[0]):
        if STAGES.index(stage) > last:
            break
        done: list[StageResult] = []
        for _, step in some:
            start = time.perf_counter()
            result = step()
            if stage == "annotate" and result.section in {other.section for other in done}:
                raise SettingsError(
                    f"[[annotations]]: expected a different name for each table, found two called "
                    f"{result.section}; `name` gives one another"
                )
            done.append(replace(result, seconds=round(time.perf_counter() - start, 3)))
            yield done[-1]
        if stage in ("ingest", "annotate"):  # remove data sets that the configuration does not name
            sections = {result.section for result in done}
            artefacts.keep_sections(result.path, result.path.name, sections)
        if runner.scheduler is None and all(result.status == "made" for result in done):
            _keep_rate(config, workspace, stage, done, runner.workers)


def _keep_rate(
    config: RunConfig, workspace: Path, stage: str, done: list[StageResult], workers: int
) -> None:
    rows = {
        kind: manifest.rows
        for kind in ("bank", "annotations", "labels", "shards")
        if (manifest := artefacts.find_manifest(workspace / kind)) is not None
    }
    amount = amounts(config, rows).get(stage)
    if amount is not None:
        seconds = sum(result.seconds for result in done)
        made = sum(result.rows for result in done)
        keep_rate(stage, measured(amount, seconds, workers, stage, made, done[-1].path))
