"""People whose 3D pose is known: MoCap poses in simulated cameras, and measured people in views."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.errors import Rejected, SettingsError, SourceError
from posebank.geometry.cameras import CameraLimits, sample_rotations
from posebank.geometry.perspective import see_from
from posebank.labelling.settings import CAMERAS
from posebank.matching.queries import make_queries
from posebank.matching.settings import MatchSettings
from posebank.skeleton import JOINT_NAMES, N_JOINTS, TORSO, JointState, body_centre, indices
from posebank.types import People, PoseBank

Array = NDArray[np.float64]

PERSON_PX = 200.0
HIDING = ("random", "truncated", "people")
SEEN_BY: Mapping[str, Sequence[tuple[float, CameraLimits]]] = {
    "limits": [(1.0, CameraLimits())],
    "level": [(1.0, CameraLimits(np.radians(-10), np.radians(20), np.radians(5)))],
    "any-roll": [(1.0, CameraLimits(max_roll=np.pi))],
    "any": [(1.0, CameraLimits.free())],
    "mixed": [
        (0.7, CameraLimits(np.radians(-10), np.radians(20), np.radians(5))),
        (0.3, CameraLimits(max_roll=np.pi)),
    ],
}
"""Simulated cameras by name, with shares: ``limits`` (elevation -30 to 60 degrees, roll at most
20), ``level`` (elevation -10 to 20, roll at most 5), ``any-roll`` (as ``limits``, any roll),
``any`` rotation, ``mixed`` (70 % ``level`` and 30 % ``any-roll``)."""


TRUTH_CAMERAS = (*CAMERAS, "limits")
"""Camera priors that the truth benchmark compares; ``limits`` is none, within those limits."""


@dataclass(frozen=True)
class TruthSettings:
    """How MoCap people are seen in the truth benchmark.

    Attributes
    ----------
    n_people : int
        People for each number of hidden joints.
    hidden : tuple of int
        Numbers of hidden joints.
    hiding : str
        ``random`` joints; ``truncated``: the lowest in the image, as its border cuts people off;
        ``people``: as joints are missing together in annotated people, who are given.
    noise_px : float
        Standard deviation of each annotated coordinate for a person 200 px tall.
    distance_m : tuple of float
        Smallest and largest distance of the camera.
    seen_by : str
        Cameras, one of ``SEEN_BY``.
    seed : int
    """

    n_people: int = 300
    hidden: tuple[int, ...] = (0, 2, 4, 6, 8)
    hiding: str = "random"
    noise_px: float = 4.0
    distance_m: tuple[float, float] = (3.0, 8.0)
    seen_by: str = "limits"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.hiding not in HIDING:
            raise SettingsError(f"hiding: expected one of {', '.join(HIDING)}, found {self.hiding}")
        if self.seen_by not in SEEN_BY:
            raise SettingsError(
                f"seen_by: expected one of {', '.join(SEEN_BY)}, found {self.seen_by!r}"
            )
        if not all(0 <= h <= N_JOINTS - 4 for h in self.hidden):
            raise SettingsError(f"hidden: expected 0 to {N_JOINTS - 4} joints, found {self.hidden}")
        if not 1.5 <= self.distance_m[0] <= self.distance_m[1]:
            raise SettingsError(f"distance_m: expected 1.5 <= near <= far, found {self.distance_m}")


@dataclass(frozen=True)
class KnownPeople:
    """People whose 3D pose is known.

    Attributes
    ----------
    people : People
        As annotated.
    joints_3d : (n, 13, 3)
        Metres, camera axes, body-centred, NaN where not measured.
    joints_2d : (n, 13, 2)
        Pixels, without noise, NaN where not known.
    """

    people: People
    joints_3d: Array
    joints_2d: Array


def without_subjects(bank: PoseBank, subjects: Sequence[str]) -> tuple[PoseBank, PoseBank]:
    """Divide a bank by subject.

    Parameters
    ----------
    bank : PoseBank
        The poses that people are matched with.
    subjects : sequence of str
        ``dataset/subject``.

    Returns
    -------
    rest : PoseBank
        The poses of other subjects.
    held_out : PoseBank
        The poses of these subjects that are not mirrored.

    Raises
    ------
    SettingsError
        If the bank has no such subject.
    """
    names = np.array([f"{d}/{s}" for d, s in zip(bank.dataset, bank.subject, strict=True)])
    unknown = sorted(set(subjects) - set(names))
    if unknown:
        raise SettingsError(
            f"subjects: expected some of {', '.join(sorted(set(names)))}, found {unknown[0]}"
        )
    out = np.isin(names, list(subjects))
    return bank.take(~out), bank.take(out & ~bank.mirrored)


def sample_seen_by(name: str, n: int, rng: np.random.Generator) -> Array:
    """Return n random cameras (n, 3, 3) of one of ``SEEN_BY``, in random order."""
    shares, limits = zip(*SEEN_BY[name], strict=True)
    if len(limits) == 1:
        return sample_rotations(n, limits[0], rng)
    kind = rng.permutation(np.searchsorted(np.cumsum(shares) * n, np.arange(n), side="right"))
    rotation = np.empty((n, 3, 3))
    for i, some in enumerate(limits):
        rotation[kind == i] = sample_rotations(int((kind == i).sum()), some, rng)
    return rotation


def simulate_people(
    held_out: PoseBank,
    hidden: int,
    settings: TruthSettings,
    patterns: NDArray[np.bool_] | None = None,
) -> KnownPeople:
    """Project poses into random perspective cameras and hide some of their joints.

    The camera looks at the body centre; a metre at the body centre is 200 / 1.7 pixels.

    Parameters
    ----------
    held_out : PoseBank
        Poses to draw from.
    hidden : int
        Joints that are not annotated.
    settings : TruthSettings
        The settings.
    patterns : (m, 13), optional
        Annotated joints of real people, for hiding as in ``people``.

    Returns
    -------
    KnownPeople

    Raises
    ------
    SettingsError
        If no pattern lacks so many joints.
    """
    rng = np.random.default_rng([settings.seed, hidden, HIDING.index(settings.hiding)])
    n = min(settings.n_people, len(held_out))
    rows = np.sort(rng.choice(len(held_out), n, replace=False))
    rotation = sample_seen_by(settings.seen_by, n, rng)
    joints = np.einsum("njd,ncd->njc", held_out.joints_3d[rows].astype(np.float64), rotation)
    distance = rng.uniform(*settings.distance_m, n)
    exact = (PERSON_PX / 1.7) * see_from(joints, distance[:, None, None]) + 500.0
    noisy = exact + rng.normal(0, settings.noise_px, exact.shape)
    order = np.argsort(rng.random((n, N_JOINTS)), axis=1)
    if settings.hiding == "truncated":
        order = np.argsort(-exact[..., 1], axis=1)
    if settings.hiding == "people":
        order = _order_as_in_people(patterns, hidden, n, rng)
    annotated = np.ones((n, N_JOINTS), bool)
    np.put_along_axis(annotated, order[:, :hidden], False, axis=1)
    person_id = [f"truth/{hidden}/{pose}" for pose in held_out.pose_id[rows]]
    people = _people(person_id, ["truth"] * n, noisy, annotated)
    return KnownPeople(people, joints, exact)


def _order_as_in_people(
    patterns: NDArray[np.bool_] | None, hidden: int, n: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return the joints (n, 13), those first that a random person lacks."""
    alike = np.empty((0, N_JOINTS), bool) if patterns is None else patterns
    alike = alike[(~alike).sum(axis=1) == hidden]
    if not len(alike):
        raise SettingsError(
            f"hiding: expected people who lack {hidden} of {N_JOINTS} joints, found none"
        )
    return np.argsort(alike[rng.integers(0, len(alike), n)], axis=1, kind="stable")


def _people(
    person_id: Sequence[str],
    dataset: Sequence[str],
    joints_2d: NDArray[np.floating],
    annotated: NDArray[np.bool_],
) -> People:
    """Return people without images."""
    return People.from_joints(
        joints_2d,
        np.where(annotated, JointState.VISIBLE, JointState.MISSING).astype(np.uint8),
        person_id=person_id,
        dataset=dataset,
        split="test",
        image_width=1000,
        image_height=1000,
    )


def read_views(path: Path) -> tuple[KnownPeople, list[Rejected]]:
    """Read people whose 3D joints were measured, in calibrated views.

    The file is a JSON object with a list ``views``; each has ``id``, ``set`` (the data set),
    ``joints_2d`` (joint name to x, y in pixels) and ``joints_3d_m`` (joint name to x, y, z in
    metres, camera axes). A joint that is null or absent in ``joints_2d`` is not annotated; one that
    is null or absent in ``joints_3d_m`` is not measured, and does not count in the errors. Hips
    and shoulders must be measured, because poses are compared relative to their mean. Views whose
    annotated joints cannot be matched (``make_queries``) are set aside too.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    KnownPeople
        The good views; ``joints_2d`` are the annotated ones.
    list of Rejected
        The views set aside, with the reason.

    Raises
    ------
    SourceError
        If the file is not of this form or has no good view.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(path, f"expected a JSON file of views, found {error}") from error
    views = content.get("views") if isinstance(content, dict) else None
    if not isinstance(views, list):
        raise SourceError(path, "expected an object with a list 'views', found none")
    names: list[tuple[str, str]] = []
    joints: list[tuple[Array, Array]] = []
    rejected, rows = [], np.empty(0, np.intp)
    for number, view in enumerate(views, 1):
        name = view.get("id") if isinstance(view, dict) else None
        where = f"{path.name}: view {number if name is None else name}"
        try:
            image, measured = _view_joints(view)
            if name in [known for known, _ in names]:
                raise ValueError("expected a new id, found one used before")
        except ValueError as error:
            rejected.append(Rejected(where, str(error)))
            continue
        names.append((str(number if name is None else name), str(view.get("set", path.stem))))
        joints.append((image, measured))
    if names:
        image, measured = (np.stack(arrays) for arrays in zip(*joints, strict=True))
        ids, sets = zip(*names, strict=True)
        people = _people(ids, sets, image, np.asarray(np.isfinite(image).all(axis=-1)))
        queries, refused = make_queries(people, MatchSettings.min_annotated)
        rejected += [
            Rejected(f"{path.name}: view {one.where}", f"joints_2d: {one.reason}")
            for one in refused
        ]
        rows = queries.rows
    if not len(rows):
        reason = f": {rejected[0].where}: {rejected[0].reason}" if rejected else ""
        raise SourceError(path, f"expected at least one view, found no good one{reason}")
    return KnownPeople(people.take(rows), measured[rows], image[rows]), rejected


def _view_joints(view: Any) -> tuple[Array, Array]:
    """Return the joints of a view in the image (13, 2) and measured (13, 3), NaN where unknown."""
    if not isinstance(view, dict):
        raise ValueError(f"expected an object, found {view!r}")
    image = _named_points(view, "joints_2d", 2)
    measured = _named_points(view, "joints_3d_m", 3)
    missing = [name for name in TORSO if not np.isfinite(measured[JOINT_NAMES.index(name)]).all()]
    if missing:
        raise ValueError(
            f"joints_3d_m: expected hips and shoulders, found none for {', '.join(missing)}"
        )
    return image, measured - body_centre(measured)


def _named_points(view: Mapping[str, Any], key: str, dimensions: int) -> Array:
    """Return named points (13, dimensions), NaN where null or absent."""
    points = view.get(key)
    if not isinstance(points, dict):
        raise ValueError(f"{key}: expected an object of joints by name, found {points!r}")
    if unknown := sorted(set(points) - set(JOINT_NAMES)):
        raise ValueError(
            f"{key}: expected joints among {', '.join(JOINT_NAMES)}, found {unknown[0]!r}"
        )
    result = np.full((N_JOINTS, dimensions), np.nan)
    for name, point in points.items():
        if point is None:
            continue
        numbers = isinstance(point, list) and all(
            isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in point
        )
        if not numbers or len(point) != dimensions:
            raise ValueError(f"{key}.{name}: expected {dimensions} numbers or null, found {point}")
        result[indices([name])] = point
    return result
