"""Label: matches into full-body 2D + 3D labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from posebank import artefacts
from posebank.labelling import LabelSettings, label
from posebank.labelling.lifter import LifterSettings
from posebank.schemas import LABELS, to_table
from posebank.types import texts
from posebank.workspace import content, load_bank, load_matches, load_people
from posebank_pipelines.runner import Runner
from posebank_pipelines.stages.lifter import lifter, read_lifter
from posebank_pipelines.stages.match import settings_of_matches
from posebank_pipelines.workspace import StageResult, current, settings_dict, stage_result

_PARTITION = 2048  # people per task


def _label_partition(
    item: tuple[int, int], workspace: Path, staging: Path, settings: LabelSettings
) -> artefacts.Part:
    number, start = item
    matches = load_matches(workspace).take(slice(start, start + _PARTITION))
    net = read_lifter(workspace) if settings.estimator == "mixture" else None
    labels = label(load_bank(workspace), load_people(workspace), matches, settings, net)
    made_by = artefacts.read_manifest(workspace / "matches", "matches").sections["matches"].settings
    provenance = texts(
        p if p == "measured" else f"{made_by['matcher']} {p}" for p in labels.provenance
    )
    table = to_table(replace(labels, provenance=provenance), LABELS)
    return artefacts.write_part(staging, f"labels-{number:05d}.parquet", table, section="labels")


def label_people(workspace: Path, settings: LabelSettings, runner: Runner) -> StageResult:
    """Label every matched person of the workspace, training the lifter first where needed."""
    folder = workspace / "labels"
    inputs = {kind: content(workspace, kind) for kind in ("bank", "annotations", "matches")}
    decided = settings_dict(settings)
    if settings.estimator == "mixture":
        # The people's cameras are thought to be those that they were matched with.
        limits = settings_of_matches(workspace).limits
        training = LifterSettings(steps=settings.lifter_steps, limits=limits)
        inputs["lifter"] = lifter(workspace, training, runner.progress)
    else:
        del decided["lifter_steps"]
    stamp = artefacts.fingerprint("labels", decided, inputs)
    if (manifest := current(folder, "labels", "labels", stamp)) is not None:
        return stage_result("label", folder, manifest, "labels", made=False)
    matched = load_matches(workspace)
    people = load_people(workspace)
    starts = range(0, len(matched), _PARTITION)
    with artefacts.staging_folder(folder) as staging:
        parts = runner.map(
            "label", _label_partition, list(enumerate(starts)), workspace, staging, settings
        )
        got = np.isin(people.person_id.astype(str), matched.person_id.astype(str))
        stats = {
            name: {
                "people": int((people.dataset == name).sum()),
                "labelled": int(got[people.dataset == name].sum()),
            }
            for name in sorted(set(people.dataset))
        }
        section = artefacts.Section(stamp, decided, inputs, stats=stats)
        manifest = artefacts.commit(staging, folder, "labels", parts, {"labels": section})
    return stage_result("label", folder, manifest, "labels", made=True)
