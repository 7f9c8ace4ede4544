"""Camera priors of the data sets of a workspace: chosen by name, kept in the matches' manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posebank import artefacts
from posebank.errors import SettingsError
from posebank.geometry.camera_prior import CameraPrior
from posebank.labelling.camera_prior import (
    GIVEN,
    FittedCameras,
    calibration_rows,
    describe_prior,
    fit_cameras,
    fit_constants,
    preset_prior,
)
from posebank.matching import MatchSettings
from posebank.schemas import column_array
from posebank.skeleton import is_annotated
from posebank.types import People
from posebank.workspace import count_datasets, load_bank, scattered_people
from posebank_pipelines.partitions import row_ranges
from posebank_pipelines.runner import Runner

Priors = dict[str, CameraPrior]

_READ_ROWS = 1 << 14  # people whose joints are counted at a time


def camera_name(settings: MatchSettings, camera: str | None) -> str:
    """Return the name of the camera prior that matching uses.

    Parameters
    ----------
    settings : MatchSettings
        Its prior, where there is one, is used for every data set.
    camera : str, optional
        One of ``CAMERAS``; by default ``fitted`` for the matcher ``viewfree`` and ``any`` for the
        others, which know no prior.

    Raises
    ------
    SettingsError
        If a prior is named that the matcher does not know, or besides one that is given.
    """
    if settings.prior is not None:
        if camera is not None:
            raise SettingsError(
                f"camera: expected either a named prior or the numbers of one, found {camera} and "
                "numbers"
            )
        return GIVEN
    if settings.matcher != "viewfree":
        if camera not in (None, "any"):
            raise SettingsError(
                f"camera {camera}: expected the matcher viewfree, found {settings.matcher}"
            )
        return "any"
    return camera or "fitted"


def deciding_camera(camera: str) -> dict[str, Any]:
    """Return what a camera prior adds to the settings that decide a stage's result."""
    if camera == "fitted":
        return {"camera": camera, "camera_fit": fit_constants()}
    return {"camera": camera}


def dataset_priors(
    workspace: Path, settings: MatchSettings, camera: str, runner: Runner
) -> tuple[Priors, dict[str, Any]]:
    """Return the camera prior of each data set of a workspace.

    Parameters
    ----------
    workspace : Path
        Workspace folder.
    settings : MatchSettings
        The settings.
    camera : str
        Of ``camera_name``.
    runner : Runner
        Fits the priors.

    Returns
    -------
    priors : dict of str to CameraPrior
        Empty if all cameras are alike.
    description : dict
        By data set, what each prior says, for manifests.
    """
    datasets = list(count_datasets(workspace, "annotations"))
    if camera == "fitted":
        chosen = _calibration_people(workspace, datasets)
        done = runner.imap(
            "fit cameras",
            _fit,
            chosen,
            workspace,
            settings,
            sizes=[len(some) for some in chosen],
            unit="people",
        )
        fitted = dict(zip(datasets, done, strict=True))
        priors = {name: one.prior for name, one in fitted.items()}
        fitted_to = {name: {"people": one.n_people} for name, one in fitted.items()}
        return priors, {name: fitted_to[name] | describe_prior(p) for name, p in priors.items()}
    prior = settings.prior if camera == GIVEN else preset_prior(camera)
    if prior is None:
        return {}, {}
    return dict.fromkeys(datasets, prior), dict.fromkeys(datasets, describe_prior(prior))


def _calibration_people(workspace: Path, datasets: list[str]) -> list[People]:
    """Return the people of each data set that its prior is fitted to.

    Of the others a few bytes are held in memory: the number of joints and the data set.
    """
    folder, places = workspace / "annotations", pa.array(datasets)
    dataset, joints = [np.zeros(0, np.int16)], [np.zeros(0, np.int8)]
    for start, stop in row_ranges(artefacts.read_manifest(folder, "annotations").rows, _READ_ROWS):
        table = artefacts.read_rows(folder, "annotations", start, stop, ["dataset", "state"])
        dataset.append(pc.index_in(table["dataset"], places).to_numpy().astype(np.int16))
        joints.append(is_annotated(column_array(table, "state")).sum(axis=1, dtype=np.int8))
    of, count = np.concatenate(dataset), np.concatenate(joints)
    return [
        scattered_people(workspace, calibration_rows(of == number, count))
        for number in range(len(datasets))
    ]


def _fit(people: People, workspace: Path, settings: MatchSettings) -> FittedCameras:
    return fit_cameras(load_bank(workspace), people, settings)


def priors_to_manifest(priors: Mapping[str, CameraPrior]) -> dict[str, Any]:
    """Return priors by data set as plain values; data sets with the same prior share it."""
    tables: list[CameraPrior] = list(dict.fromkeys(priors.values()))
    return {
        "tables": [prior.table for prior in tables],
        "datasets": {name: tables.index(prior) for name, prior in priors.items()},
    }


def priors_of_matches(workspace: Path) -> Priors:
    """Return the camera priors by data set that the workspace was matched with."""
    return _stored_priors(workspace, "matches")


def priors_of_labels(workspace: Path) -> Priors:
    """Return the camera priors by data set that weighed the candidates of the labels."""
    return _stored_priors(workspace, "labels")


def _stored_priors(workspace: Path, kind: str) -> Priors:
    manifest = artefacts.find_manifest(workspace / kind)
    if manifest is None:
        return {}
    with artefacts.settings_of(workspace / kind, manifest, kind) as settings:
        stored = settings.get("priors", {})
        tables = [CameraPrior(table) for table in stored.get("tables", [])]
        return {name: tables[number] for name, number in stored.get("datasets", {}).items()}


def camera_of_matches(workspace: Path) -> str:
    """Return the name of the prior that the workspace was matched with, ``fitted`` if not yet."""
    manifest = artefacts.find_manifest(workspace / "matches")
    if manifest is None:
        return "fitted"
    with artefacts.settings_of(workspace / "matches", manifest, "matches") as settings:
        return str(settings.get("camera", "any"))
