"""Camera priors of the data sets of a workspace: chosen by name, kept in the matches' manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posebank import artefacts
from posebank.errors import SettingsError
from posebank.geometry.camera_prior import CameraPrior
from posebank.labelling.camera_prior import (
    GIVEN,
    FittedCameras,
    calibration_people,
    describe_prior,
    fit_cameras,
    preset_prior,
)
from posebank.matching import MatchSettings
from posebank.types import People
from posebank.workspace import count_datasets, load_bank, load_people
from posebank_pipelines.runner import Runner

Priors = dict[str, CameraPrior]


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
        people = load_people(workspace)
        chosen = [calibration_people(people, dataset) for dataset in datasets]
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
