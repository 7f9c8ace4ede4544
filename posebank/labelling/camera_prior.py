"""Camera priors: presets, and the prior that is fitted to a data set.

A prior is a density over the elevation and the roll of cameras, relative to uniformly distributed
rotations. With the likelihood ``exp(-error_norm^2 / 2 SIGMA^2)`` of a candidate (a bank pose in a
camera), the posterior of the candidate is proportional to ``exp(-cost^2 / 2 SIGMA^2)`` with ::

    cost^2 = error_norm^2 + penalty,    penalty = -2 SIGMA^2 log(density / largest density)

Matching ranks the candidates by this cost and labelling weighs them by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from posebank.errors import Rejected, SettingsError
from posebank.geometry.camera_prior import ELEVATIONS, ROLLS, SIGMA, STEP, CameraPrior
from posebank.geometry.cameras import camera_rotation, elevation_roll
from posebank.labelling.perspective import perspective_candidates
from posebank.labelling.settings import CAMERAS
from posebank.matching.matcher import match
from posebank.matching.settings import MatchSettings
from posebank.matching.views import ViewIndex
from posebank.skeleton import is_annotated
from posebank.types import Matches, People, PoseBank, Texts

Array = NDArray[np.float64]

GIVEN = "given"
"""Name of a prior that the matching settings hold."""
CALIBRATION_PEOPLE = 600
"""People of a data set whose cameras the prior is fitted to."""
CALIBRATION_JOINTS = 7
"""Annotated joints that these people have at least: fewer joints say too little of the camera."""

# The constants below were chosen on CMU subjects (docs/matching.md).
UNIFORM = 0.1
"""Share of uniformly distributed cameras in a fitted prior."""
PSEUDO_PEOPLE = 10.0
"""People with cameras of the preset ``photographs`` that are added to those of the data set."""
PLATEAU = 0.5
"""A fitted prior is cut off at this share of its maximum after wide smoothing."""
SHRINKAGE = 0.2
"""Exponent of the preset ``photographs`` in a fitted prior; the fitted density has the rest."""
_SMOOTHING = 0.7  # standard deviation of the kernel density, in steps of the table
_WIDE_SMOOTHING = 2.0  # the same, of the density whose maximum is taken
_ITERATIONS = 30

_ABSOLUTE_ROLLS = np.abs(np.rint(ROLLS / STEP)).astype(np.intp)  # (72,) columns of a half table
_HALF = len(ROLLS) // 2 + 1  # absolute rolls 0, 5, ..., 180 degrees


def fit_constants() -> dict[str, float]:
    """Return the constants that decide a fitted prior."""
    return {
        "people": CALIBRATION_PEOPLE,
        "joints": CALIBRATION_JOINTS,
        "uniform": UNIFORM,
        "pseudo_people": PSEUDO_PEOPLE,
        "plateau": PLATEAU,
        "shrinkage": SHRINKAGE,
        "smoothing": _SMOOTHING,
        "wide_smoothing": _WIDE_SMOOTHING,
        "iterations": _ITERATIONS,
    }


@dataclass(frozen=True)
class FittedCameras:
    """The cameras of a data set.

    Attributes
    ----------
    prior : CameraPrior
    n_people : int
        People that it was fitted to.
    """

    prior: CameraPrior
    n_people: int


def preset_prior(name: str) -> CameraPrior | None:
    """Return a preset prior.

    Parameters
    ----------
    name : str
        ``photographs`` (elevation 10 +- 25 degrees; roll within 10 degrees, then falling with a
        standard deviation of 10; one photograph in twenty has any elevation, one in twenty any
        roll), ``level`` (elevation 5 +- 10 degrees, roll 0 +- 5; one in fifty any) or ``any``.

    Returns
    -------
    CameraPrior or None
        None for ``any``.

    Raises
    ------
    SettingsError
        If there is no such preset.

    Examples
    --------
    >>> level = preset_prior("level")
    >>> bool(level.at(0.0, 0.0) < level.at(0.0, np.radians(30)))
    True
    """
    if name == "any":
        return None
    if name == "photographs":
        return CameraPrior.from_function(lambda e, r: _penalty(_photographs(e, r)))
    if name == "level":
        return CameraPrior.from_function(
            lambda e, r: _penalty(_tailed(e, 5, 10, 0.02) * _tailed(r, 0, 5, 0.02))
        )
    raise SettingsError(f"camera: expected one of {', '.join(CAMERAS)}, found {name!r}")


def _photographs(elevation: Array, roll: Array) -> Array:
    """Return the density (...) of the cameras of photographs, radians."""
    beyond = np.maximum(np.abs(roll) - np.radians(10), 0.0)
    density = _tailed(elevation, 10, 25, 0.05) * _tailed(beyond, 0, 10, 0.05)
    return np.asarray(density, np.float64)


def _tailed(angle: Array, mean_deg: float, spread_deg: float, share: float) -> Array:
    """Return a normal density of angles (...) in radians, at most 1, with a uniform share."""
    z = (np.degrees(angle) - mean_deg) / spread_deg
    return np.asarray((1 - share) * np.exp(-(z**2) / 2) + share)


def _penalty(density: Array) -> Array:
    """Return the penalty of a density, rounded to what a manifest needs to keep."""
    penalty = -2 * SIGMA**2 * np.log(density / density.max())
    return np.asarray(np.round(penalty, 6) + 0.0, np.float64)


def fit_camera_prior(bank: PoseBank, people: People, matches: Matches) -> CameraPrior:
    """Fit the prior to the cameras of people who were matched without one.

    Expectation-maximisation: each candidate is responsible for its person in proportion to its
    likelihood and to the density of its camera; the new density is the kernel density of the
    responsibilities, relative to that of uniform rotations, with a share ``UNIFORM`` of these. The
    density is symmetric in roll, as it is for photographs and their mirror images.

    The density is cut off at ``PLATEAU`` times its maximum, so that all likely cameras are alike.
    Where joints are hidden, many cameras fit a pose about as well, and the best one lies at the
    nearest peak of the prior, however low that peak is. The peaks of an estimate are mostly chance,
    or poses that the bank lacks; so that they do not raise the maximum, it is taken after smoothing
    the density with a kernel of 10 degrees. For the same reason the fitted density is shrunk
    towards the preset ``photographs``: the prior is a weighted geometric mean of both.

    Parameters
    ----------
    bank : PoseBank
        Bank of the matches.
    people : People
        The matched people, in the order of the matches.
    matches : Matches
        Their candidates among all cameras.

    Returns
    -------
    CameraPrior
    """
    _, error = perspective_candidates(bank, matches, people.joints_2d, is_annotated(people.state))
    likelihood = np.exp(
        (error.min(axis=1, keepdims=True) ** 2 - error**2) / (2 * SIGMA**2)
    )  # of the best, so that a person whom no pose explains well counts as much as others
    elevation, roll = elevation_roll(matches.rotation)
    row = np.rint((elevation - ELEVATIONS[0]) / STEP).astype(np.intp)
    column = np.rint(np.abs(roll) / STEP).astype(np.intp)
    area = _cell_areas()
    elevations, rolls = np.meshgrid(ELEVATIONS, STEP * np.arange(_HALF), indexing="ij")
    photographs = _photographs(elevations, rolls)
    expected = photographs * area
    pseudo = PSEUDO_PEOPLE * expected / expected.sum()
    density = np.ones_like(area)
    for _ in range(_ITERATIONS):
        responsibility = likelihood * density[row, column]
        responsibility /= responsibility.sum(axis=1, keepdims=True)
        count = pseudo.copy()
        np.add.at(count, (row, column), responsibility)
        share = count / count.sum()
        smooth = _kernel_density(share, area, _SMOOTHING)
        density = (1 - UNIFORM) * smooth + UNIFORM
    largest = _kernel_density(share, area, _WIDE_SMOOTHING).max()
    cut = np.minimum(smooth, PLATEAU * largest)
    density = (1 - UNIFORM) * cut / (cut * area).sum() + UNIFORM
    shrunk = density ** (1 - SHRINKAGE) * photographs**SHRINKAGE
    return CameraPrior.from_array(_penalty(shrunk)[:, _ABSOLUTE_ROLLS])


def _kernel_density(share: Array, area: Array, spread: float) -> Array:
    """Return the smoothed density (37, 37), relative to uniform rotations, of shares of cameras.

    Parameters
    ----------
    share, area : (37, 37)
        Shares of the cameras, and of uniform rotations, about each elevation and absolute roll.
    spread : float
        Standard deviation of the kernel, in steps of the table.
    """
    smoothed = [gaussian_filter(values, spread, mode="constant") for values in (share, area)]
    return np.asarray(smoothed[0] / smoothed[1], np.float64)


def _cell_areas() -> Array:
    """Return the shares (37, 37) of uniform rotations about each elevation and absolute roll."""
    edges = np.clip(np.append(ELEVATIONS, np.pi / 2 + STEP) - STEP / 2, -np.pi / 2, np.pi / 2)
    of_roll = np.full(_HALF, 1.0)
    of_roll[[0, -1]] = 0.5
    area = np.diff(np.sin(edges))[:, None] * of_roll
    return np.asarray(area / area.sum())


def calibration_people(people: People, dataset: str) -> People:
    """Return the people of a data set whose cameras a prior is fitted to.

    They are those of ``calibration_rows``.
    """
    joints = is_annotated(people.state).sum(axis=1)
    return people.take(calibration_rows(people.dataset == dataset, joints))


def calibration_rows(eligible: NDArray[np.bool_], joints: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return the rows, ascending, of the people whose cameras a prior is fitted to.

    They are at most ``CALIBRATION_PEOPLE``, those with the most annotated joints, drawn at random
    among equals; people with fewer than ``CALIBRATION_JOINTS`` are left out.

    Parameters
    ----------
    eligible : ndarray (n,) of bool
        The people of the data set.
    joints : ndarray (n,) of signed int
        How many annotated joints each person has.
    """
    rows = np.flatnonzero(eligible & (joints >= CALIBRATION_JOINTS))
    rows = np.random.default_rng(0).permutation(rows)
    chosen = rows[np.argsort(-joints[rows], kind="stable")[:CALIBRATION_PEOPLE]]
    return np.sort(chosen)


def fit_cameras(bank: PoseBank, people: People, settings: MatchSettings) -> FittedCameras:
    """Match people of one data set without a prior and fit the prior to their cameras.

    Parameters
    ----------
    bank : PoseBank
        The poses that people are matched with.
    people : People
        Those of ``calibration_people``.
    settings : MatchSettings
        Of the matcher ``viewfree``; its prior is not used.

    Returns
    -------
    FittedCameras
        The preset ``photographs`` if there is nobody to fit it to.
    """
    matches, _ = match(bank, people, replace(settings, prior=None))
    if not len(matches):
        photographs = preset_prior("photographs")
        assert photographs is not None
        return FittedCameras(photographs, 0)
    matched = people.take(np.isin(people.person_id.astype(str), matches.person_id.astype(str)))
    return FittedCameras(fit_camera_prior(bank, matched, matches), len(matches))


def fit_priors(bank: PoseBank, people: People, settings: MatchSettings) -> dict[str, CameraPrior]:
    """Return the prior fitted to each data set of the people, as ``fit_cameras`` does."""
    return {
        dataset: fit_cameras(bank, calibration_people(people, dataset), settings).prior
        for dataset in sorted(set(people.dataset))
    }


def match_datasets(
    bank: PoseBank,
    people: People,
    settings: MatchSettings,
    priors: Mapping[str, CameraPrior],
    index: ViewIndex | None = None,
) -> tuple[Matches, list[Rejected]]:
    """Match people of several data sets, each with the prior of its data set.

    Parameters
    ----------
    bank, people, settings, index
        As of ``posebank.matching.match``; data sets without a prior in ``priors`` have none.
    priors : Mapping of str to CameraPrior
        By data set.

    Returns
    -------
    Matches
        In the order of the people.
    list of Rejected
        People who cannot be matched.
    """
    if not priors:
        return match(bank, people, settings, index)
    parts, rejected = [], []
    for dataset in sorted(set(people.dataset)) or [""]:
        own = replace(settings, prior=priors.get(dataset))
        matches, refused = match(bank, people.take(people.dataset == dataset), own, index)
        parts.append(matches)
        rejected += refused
    matches = Matches.concat(parts)
    place = {person: i for i, person in enumerate(people.person_id)}
    order = np.argsort([place[person] for person in matches.person_id])
    return matches.take(order), rejected


def camera_penalties(rotation: Array, dataset: Texts, priors: Mapping[str, CameraPrior]) -> Array:
    """Return the penalties (n, k) of cameras (n, k, 3, 3) of people of data sets (n,).

    They are 0 for data sets without a prior.
    """
    penalty = np.zeros(rotation.shape[:2])
    for name, prior in priors.items():
        rows = np.flatnonzero(dataset == name)
        penalty[rows] = prior.penalty(rotation[rows])
    return penalty


def sample_cameras(prior: CameraPrior, n: int, rng: np.random.Generator) -> Array:
    """Return random cameras (n, 3, 3) of the density of a prior; azimuth is uniform."""
    density = _density(prior)
    cell = rng.choice(density.size, n, p=density.ravel())
    row, column = np.divmod(cell, len(ROLLS))
    within = STEP * (rng.random((2, n)) - 0.5)
    elevation = np.clip(ELEVATIONS[row] + within[0], -np.pi / 2, np.pi / 2)
    azimuth = rng.uniform(-np.pi, np.pi, n)
    return camera_rotation(azimuth, elevation, ROLLS[column] + within[1])


def _density(prior: CameraPrior) -> Array:
    """Return the shares (37, 72), summing to 1, of a prior's cameras about the table's angles."""
    elevations, rolls = np.meshgrid(ELEVATIONS, ROLLS, indexing="ij")
    edges = np.clip(np.append(ELEVATIONS, np.pi / 2 + STEP) - STEP / 2, -np.pi / 2, np.pi / 2)
    density = np.exp(-prior.at(elevations, rolls) / (2 * SIGMA**2))
    density *= np.diff(np.sin(edges))[:, None]
    return np.asarray(density / density.sum())


def describe_prior(prior: CameraPrior) -> dict[str, float]:
    """Return what a prior says in a few numbers.

    Returns
    -------
    dict of str to float
        Percentiles 5, 50 and 95 of the elevation and 50 and 95 of the absolute roll, degrees, and
        the share of cameras with a roll of more than 30 degrees.
    """
    density = _density(prior)
    of_elevation, of_roll = density.sum(axis=1), np.zeros(_HALF)
    np.add.at(of_roll, _ABSOLUTE_ROLLS, density.sum(axis=0))
    rolls = np.arange(_HALF) * 5.0
    return {
        **{
            f"elevation_p{p}_deg": _percentile(np.degrees(ELEVATIONS), of_elevation, p)
            for p in (5, 50, 95)
        },
        **{f"roll_p{p}_deg": _percentile(rolls, of_roll, p) for p in (50, 95)},
        "roll_above_30_deg": round(float(of_roll[rolls > 30].sum()), 3),
    }


def _percentile(values: NDArray[np.floating], share: Array, percent: int) -> float:
    """Return a percentile of the values of cells, to a tenth."""
    total = np.cumsum(share) - share / 2
    return round(float(np.interp(percent / 100, total, values)), 1)
