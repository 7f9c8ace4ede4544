"""The truth benchmark: errors of the labels of people whose 3D pose is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.geometry.camera_prior import CameraPrior
from posebank.geometry.cameras import CameraLimits
from posebank.geometry.procrustes import align
from posebank.labelling.camera_prior import (
    GIVEN,
    fit_priors,
    match_datasets,
    preset_prior,
)
from posebank.labelling.known_people import KnownPeople, TruthSettings, simulate_people
from posebank.labelling.labels import label
from posebank.labelling.settings import ESTIMATORS, LabelSettings
from posebank.matching.settings import MatchSettings
from posebank.skeleton import is_annotated
from posebank.types import People, PoseBank

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """A way to label people.

    Attributes
    ----------
    name : str
        Of the row in the table.
    settings : MatchSettings
        Of matching; its prior is that of ``camera``.
    camera : str
        One of ``CAMERAS``.
    estimators : tuple of str
    """

    name: str
    settings: MatchSettings = field(default_factory=MatchSettings)
    camera: str = "fitted"
    estimators: tuple[str, ...] = ("posterior",)


PAPER = Way(
    "paper",
    MatchSettings(matcher="views", k=1, limits=CameraLimits()),
    "any",
    ("nearest",),
)
"""The paper's way: the nearest of 128 random views."""
LIMITS = Way("limits", MatchSettings(limits=CameraLimits()), "any")
"""Every camera between -30 and 60 degrees of elevation and within 20 of roll, all alike: the
default before camera priors."""


def way_of_camera(camera: str, settings: MatchSettings, estimators: Sequence[str]) -> Way:
    """Return the way to label with a camera prior, or with ``limits``.

    Parameters
    ----------
    camera : str
        One of ``CAMERAS``, ``given`` for the prior of the settings, or ``limits``.
    settings : MatchSettings
        Of matching, apart from the cameras.
    estimators : sequence of str
        Names of estimators.
    """
    if camera == "limits":
        return replace(
            LIMITS,
            settings=replace(settings, limits=CameraLimits(), prior=None),
            estimators=tuple(estimators),
        )
    prior = settings.prior if camera == GIVEN else None
    return Way(camera, replace(settings, prior=prior), camera, tuple(estimators))


def pose_errors_mm(
    estimate: NDArray[np.floating], truth: NDArray[np.floating]
) -> tuple[Array, Array]:
    """Return the mean joint distances of body-centred poses, millimetres.

    Parameters
    ----------
    estimate : (n, 13, 3)
        Metres.
    truth : (n, 13, 3)
        Metres, NaN for joints that were not measured and do not count.

    Returns
    -------
    unaligned, aligned : (n,)
        ``aligned`` after the best rotation and translation.
    """
    measured = np.isfinite(truth).all(axis=-1)
    known = np.where(measured[..., None], truth, 0.0)
    count = measured.sum(axis=-1)
    aligned = align(estimate, known, scale=False, weights=measured.astype(np.float64))
    plain, rigid = (
        1000 * (measured * np.linalg.norm(poses - known, axis=-1)).sum(axis=-1) / count
        for poses in (np.asarray(estimate, np.float64), aligned)
    )
    return plain, rigid


def priors_of(way: Way, bank: PoseBank, people: People) -> dict[str, CameraPrior]:
    """Return the camera priors of a way by data set.

    Parameters
    ----------
    way : Way
        How the labels are made.
    bank : PoseBank
        The poses that people are matched with.
    people : People
        People that a fitted prior is fitted to.
    """
    if way.camera == "fitted":
        return fit_priors(bank, people, way.settings)
    prior = way.settings.prior if way.camera == GIVEN else preset_prior(way.camera)
    return {} if prior is None else dict.fromkeys(set(people.dataset), prior)


def label_errors(
    bank: PoseBank,
    known: KnownPeople,
    way: Way,
    priors: Mapping[str, CameraPrior],
    lifter: torch.nn.Module | None = None,
) -> pd.DataFrame:
    """Label people whose pose is known and compare.

    Parameters
    ----------
    bank : PoseBank
        The poses that people are matched with.
    known : KnownPeople
        People whose true poses are known.
    way : Way
        How the labels are made.
    priors : Mapping of str to CameraPrior
        Camera priors by data set.
    lifter : torch.nn.Module or None
        As of ``label``.

    Returns
    -------
    DataFrame
        A row for each labelled person and estimator: person_id, dataset, estimator, error_mm (mean
        joint distance, body-centred), aligned_mm (after rotation and translation), completion_px
        (mean distance of the joints filled in, NaN where none was), trust, error_norm.
    """
    matches, _ = match_datasets(bank, known.people, way.settings, priors)
    row = {person: i for i, person in enumerate(known.people.person_id)}
    rows = np.array([row[person] for person in matches.person_id], np.intp)
    missing = ~is_annotated(known.people.state[rows])
    tables = []
    for estimator in way.estimators:
        labels = label(bank, known.people, matches, LabelSettings(estimator), lifter, priors)
        plain, aligned = pose_errors_mm(labels.joints_3d, known.joints_3d[rows])
        distance = np.linalg.norm(labels.joints_2d - known.joints_2d[rows], axis=-1)
        filled = missing & np.isfinite(distance)
        completion = np.where(filled, distance, 0.0).sum(axis=1) / np.maximum(filled.sum(axis=1), 1)
        columns: dict[str, Any] = {
            "person_id": labels.person_id,
            "dataset": labels.dataset,
            "way": way.name,
            "estimator": estimator,
            "error_mm": plain,
            "aligned_mm": aligned,
            "completion_px": np.where(filled.any(axis=1), completion, np.nan),
            "trust": labels.trust,
            "error_norm": labels.error_norm,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def summarise_errors(errors: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return the means of ``label_errors`` by some of its columns.

    Returns
    -------
    DataFrame
        The columns ``by``, people, error_mm, aligned_mm, completion_px, in the order of appearance.
    """
    groups = errors.groupby(list(by), sort=False)
    table = groups[["error_mm", "aligned_mm", "completion_px"]].mean()
    table.insert(0, "people", groups.size())
    return table.reset_index()


def truth_benchmark(
    bank: PoseBank,
    held_out: PoseBank,
    ways: Sequence[Way],
    settings: TruthSettings,
    patterns: NDArray[np.bool_] | None = None,
    lifter: torch.nn.Module | None = None,
) -> pd.DataFrame:
    """Measure the errors of labels of MoCap people who are not in the bank.

    The people with every number of hidden joints are one data set: a fitted prior is fitted to
    those of them with the most annotated joints, as ``calibration_people`` chooses.

    Parameters
    ----------
    bank : PoseBank
        Poses of other subjects than ``held_out``.
    held_out : PoseBank
        Poses of subjects that are not in the bank.
    ways : sequence of Way
        Ways of making labels to compare.
    settings : TruthSettings
        The settings.
    patterns : (m, 13), optional
        As of ``simulate_people``.
    lifter : torch.nn.Module or None
        As of ``label``.

    Returns
    -------
    DataFrame
        ``summarise_errors`` by seen_by, hidden, way and estimator.
    """
    seen = {h: simulate_people(held_out, h, settings, patterns) for h in settings.hidden}
    everybody = People.concat([known.people for known in seen.values()])
    priors = {way.name: priors_of(way, bank, everybody) for way in ways}
    tables = []
    for hidden, known in seen.items():
        for way in ways:
            table = label_errors(bank, known, way, priors[way.name], lifter)
            tables.append(table.assign(seen_by=settings.seen_by, hidden=hidden))
    errors = pd.concat(tables, ignore_index=True)
    return summarise_errors(errors, ("seen_by", "hidden", "way", "estimator"))


def compare_ways(table: pd.DataFrame, estimator: str = "posterior") -> pd.DataFrame:
    """Return the errors of the ways of a benchmark side by side.

    Parameters
    ----------
    table : DataFrame
        Of ``truth_benchmark`` or ``view_benchmark``, perhaps with more columns in front.
    estimator : str
        The estimator that is compared. Ways without it are represented by the one they have.

    Returns
    -------
    DataFrame
        A row for each group of people: the columns in front of ``way``, and ``error_mm`` by way.
        Where there are at least two ways with this estimator, ``A / B`` is the error of each over
        that of the first of them.
    """
    names = list(dict.fromkeys(table["way"]))
    compared = [way for way in names if estimator in set(table["estimator"][table["way"] == way])]
    of_way = table["way"].isin(compared)
    shown = table[~of_way | (table["estimator"] == estimator)]
    keys = list(table.columns[: table.columns.get_loc("way")])
    result = shown.pivot_table("error_mm", keys, "way", sort=False)[names].reset_index()
    for way in compared[1:]:
        result[f"{way} / {compared[0]}"] = result[way] / result[compared[0]]
    result.columns.name = None
    return result


def view_benchmark(
    bank: PoseBank,
    known: KnownPeople,
    ways: Sequence[Way],
    lifter: torch.nn.Module | None = None,
) -> pd.DataFrame:
    """Measure the errors of labels of people whose 3D joints were measured.

    Parameters
    ----------
    bank : PoseBank
        The poses that people are matched with.
    known : KnownPeople
        Of ``read_views``.
    ways : sequence of Way
        Ways of making labels to compare.
    lifter : torch.nn.Module or None
        As of ``label``.

    Returns
    -------
    DataFrame
        ``summarise_errors`` by dataset, way and estimator.
    """
    tables = [
        label_errors(bank, known, way, priors_of(way, bank, known.people), lifter) for way in ways
    ]
    errors = pd.concat(tables, ignore_index=True)
    order = errors.sort_values("dataset", kind="stable")
    return summarise_errors(order, ("dataset", "way", "estimator"))


def benchmark_ways(cameras: Sequence[str], settings: MatchSettings, with_lifter: bool) -> list[Way]:
    """Return the paper's way and every estimator with each of some cameras.

    Parameters
    ----------
    cameras : sequence of str
        As of ``way_of_camera``.
    settings : MatchSettings
        Of matching, apart from the cameras.
    with_lifter : bool
        Whether there is a network for ``mixture``.
    """
    estimators = [name for name in ESTIMATORS if with_lifter or name != "mixture"]
    return [PAPER, *(way_of_camera(camera, settings, estimators) for camera in cameras)]
