"""Label: matches into full-body 2D + 3D labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from posebank.artefacts import read_manifest, write_part
from posebank.deciding import deciding
from posebank.errors import ArtefactError
from posebank.labelling import LabelSettings, label
from posebank.labelling.lifter import LifterSettings
from posebank.schemas import LABELS, to_table
from posebank.types import texts
from posebank.workspace import count_datasets, load_bank, match_rows, people_rows
from posebank_pipelines.cameras import (
    Priors,
    camera_name,
    camera_of_matches,
    dataset_priors,
    deciding_camera,
    priors_of_matches,
    priors_to_manifest,
)
from posebank_pipelines.partitions import Partition
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import Stage, StageResult
from posebank_pipelines.stages.lifter import lifter, read_lifter
from posebank_pipelines.stages.match import settings_of_matches


@dataclass(frozen=True)
class _Rows:
    """Rows (first, last + 1) of the people of a partition, and of their matches."""

    people: tuple[int, int]
    matches: tuple[int, int]


def _label_partition(
    rows: _Rows,
    number: int,
    workspace: Path,
    staging: Path,
    settings: LabelSettings,
    matcher: str,
    priors: Priors,
) -> Partition:
    people = people_rows(workspace, *rows.people)
    matches = match_rows(workspace, *rows.matches)
    net = read_lifter(workspace) if settings.estimator == "mixture" else None
    labels = label(load_bank(workspace), people, matches, settings, net, priors)
    provenance = texts(p if p == "measured" else f"{matcher} {p}" for p in labels.provenance)
    table = to_table(replace(labels, provenance=provenance), LABELS)
    part = write_part(staging, f"labels-{number:05d}.parquet", table, section="labels")
    return Partition([part], stats={"labelled": dict(Counter(labels.dataset))})


def _partitions(workspace: Path) -> list[_Rows]:
    """List the partitions: each is the people of one part of the matches."""
    found, first = [], 0
    for part in read_manifest(workspace / "matches", "matches").tables:
        if part.made_from is None:
            raise ArtefactError(f"{workspace / 'matches'}: of an older form; match again")
        found.append(_Rows(part.made_from, (first, first + part.rows)))
        first += part.rows
    return found


def label_people(
    workspace: Path, settings: LabelSettings, runner: Runner, camera: str | None = None
) -> StageResult:
    """Label every matched person of the workspace, training the lifter first where needed.

    Parameters
    ----------
    workspace : Path
        Workspace folder.
    settings : LabelSettings
        The settings.
    runner : Runner
        Where the partitions run.
    camera : str, optional
        Camera prior that weighs the candidates, one of ``CAMERAS``; by default those that
        the people were matched with.
    """
    matched_with = settings_of_matches(workspace)
    camera = camera or camera_of_matches(workspace)
    decided = deciding(settings) | deciding_camera(camera)
    reads = ["bank", "annotations", "matches"]
    if settings.estimator == "mixture":
        training = LifterSettings(steps=settings.lifter_steps)
        lifter(workspace, training, runner.progress)
        reads.append("lifter")
    else:
        del decided["lifter_steps"]
    stage = Stage(workspace, "labels", decided, reads=reads)
    if stage.is_current:
        return stage.result()
    if camera == camera_of_matches(workspace):
        priors = priors_of_matches(workspace)
    else:
        every_camera = replace(matched_with, prior=None)
        camera_name(every_camera, camera)
        priors, _ = dataset_priors(workspace, every_camera, camera, runner)
    with stage.build() as build:
        build.settings["priors"] = priors_to_manifest(priors)
        rows = _partitions(workspace)
        done = build.partitions(
            runner,
            _label_partition,
            rows,
            settings,
            matched_with.matcher,
            priors,
            sizes=[last - first for first, last in (r.matches for r in rows)],
            unit="people",
        )
        labelled: Counter[str] = Counter()
        for partition in done:
            labelled.update(partition.stats.get("labelled", {}))
        build.stats = {
            name: {"people": people, "labelled": labelled[name]}
            for name, people in count_datasets(workspace, "annotations").items()
        }
    return stage.result()
