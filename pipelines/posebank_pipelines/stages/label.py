"""Label: matches into full-body 2D + 3D labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from posebank.artefacts import Part, write_part
from posebank.deciding import deciding
from posebank.labelling import LabelSettings, label
from posebank.labelling.lifter import LifterSettings
from posebank.schemas import LABELS, to_table
from posebank.types import texts
from posebank.workspace import load_bank, load_matches, load_people
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import Stage, StageResult, contents
from posebank_pipelines.stages.lifter import lifter, read_lifter
from posebank_pipelines.stages.match import settings_of_matches

_PARTITION = 2048  # people per task


def _label_partition(
    item: tuple[int, int], workspace: Path, staging: Path, settings: LabelSettings, matcher: str
) -> Part:
    number, start = item
    matches = load_matches(workspace).take(slice(start, start + _PARTITION))
    net = read_lifter(workspace) if settings.estimator == "mixture" else None
    labels = label(load_bank(workspace), load_people(workspace), matches, settings, net)
    provenance = texts(p if p == "measured" else f"{matcher} {p}" for p in labels.provenance)
    table = to_table(replace(labels, provenance=provenance), LABELS)
    return write_part(staging, f"labels-{number:05d}.parquet", table, section="labels")


def label_people(workspace: Path, settings: LabelSettings, runner: Runner) -> StageResult:
    """Label every matched person of the workspace, training the lifter first where needed."""
    inputs = contents(workspace, ["bank", "annotations", "matches"])
    matched_with = settings_of_matches(workspace)
    decided = deciding(settings)
    if settings.estimator == "mixture":
        # The people's cameras are thought to be those that they were matched with.
        training = LifterSettings(steps=settings.lifter_steps, limits=matched_with.limits)
        inputs["lifter"] = lifter(workspace, training, runner.progress)
    else:
        del decided["lifter_steps"]
    stage = Stage(workspace, "labels", decided, inputs)
    if stage.is_current:
        return stage.result()
    matched = load_matches(workspace)
    people = load_people(workspace)
    starts = range(0, len(matched), _PARTITION)
    with stage.build() as build:
        build.parts = runner.map(
            "label", _label_partition, list(enumerate(starts)),
            workspace, build.staging, settings, matched_with.matcher,
        )  # fmt: skip
        labelled = np.isin(people.person_id.astype(str), matched.person_id.astype(str))
        build.stats = {
            name: {
                "people": int((people.dataset == name).sum()),
                "labelled": int(labelled[people.dataset == name].sum()),
            }
            for name in sorted(set(people.dataset))
        }
    return stage.result()
