"""The truth benchmark: MoCap people seen through perspective cameras, whose 3D pose is known.

The people are poses of subjects that are not in the bank, seen from 3 to 8 m, with annotation noise
and hidden joints; they are matched and labelled as any annotated person is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.errors import SettingsError
from posebank.geometry.cameras import CameraLimits, sample_rotations
from posebank.geometry.joint_errors import mpjpe
from posebank.geometry.perspective import see_from
from posebank.labelling.labels import label
from posebank.labelling.settings import LabelSettings
from posebank.matching.matcher import match
from posebank.matching.settings import MatchSettings
from posebank.skeleton import N_JOINTS, JointState, is_annotated
from posebank.types import People, PoseBank

if TYPE_CHECKING:
    import torch

PERSON_PX = 200.0
HIDING = ("random", "truncated", "people")


@dataclass(frozen=True)
class TruthSettings:
    """How MoCap people are seen.

    n_people : people per number of hidden joints.
    hidden : numbers of hidden joints.
    hiding : ``random`` joints; ``truncated``: those lowest in the image, as its border cuts people
        off; ``people``: as joints are missing together in annotated people, who are given.
    noise_px : standard deviation of each annotated coordinate for a person 200 px tall.
    distance_m : nearest and farthest camera.
    limits : cameras.
    """

    n_people: int = 300
    hidden: tuple[int, ...] = (0, 2, 4, 6, 8)
    hiding: str = "random"
    noise_px: float = 4.0
    distance_m: tuple[float, float] = (3.0, 8.0)
    limits: CameraLimits = field(default_factory=CameraLimits)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.hiding not in HIDING:
            raise SettingsError(f"hiding: expected one of {', '.join(HIDING)}, found {self.hiding}")
        if not all(0 <= h <= N_JOINTS - 4 for h in self.hidden):
            raise SettingsError(f"hidden: expected 0 to {N_JOINTS - 4} joints, found {self.hidden}")
        if not 1.5 <= self.distance_m[0] <= self.distance_m[1]:
            raise SettingsError(f"distance_m: expected 1.5 <= near <= far, found {self.distance_m}")


@dataclass(frozen=True)
class SeenPeople:
    """People whose pose is known.

    people : as annotated. joints_3d : (n, 13, 3) metres, camera axes, body-centred.
    joints_2d : (n, 13, 2) pixels, every joint, without noise.
    """

    people: People
    joints_3d: NDArray[np.float64]
    joints_2d: NDArray[np.float64]


def without_subjects(bank: PoseBank, subjects: Sequence[str]) -> tuple[PoseBank, PoseBank]:
    """Divide a bank: the poses of other subjects, and the (not mirrored) poses of these.

    subjects : ``dataset/subject``.

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


def see_people(
    held_out: PoseBank,
    hidden: int,
    settings: TruthSettings,
    patterns: NDArray[np.bool_] | None = None,
) -> SeenPeople:
    """Poses of the bank seen through random perspective cameras, ``hidden`` joints not annotated.

    The camera looks at the body centre; a metre at the body centre is 200 / 1.7 pixels.

    Parameters
    ----------
    patterns : (m, 13) which joints people have, for hiding as in ``people``.

    Raises
    ------
    SettingsError
        If no pattern lacks so many joints.
    """
    rng = np.random.default_rng([settings.seed, hidden, HIDING.index(settings.hiding)])
    n = min(settings.n_people, len(held_out))
    rows = np.sort(rng.choice(len(held_out), n, replace=False))
    rotation = sample_rotations(n, settings.limits, rng)
    joints = np.einsum("njd,ncd->njc", held_out.joints_3d[rows].astype(np.float64), rotation)
    distance = rng.uniform(*settings.distance_m, n)
    exact = (PERSON_PX / 1.7) * see_from(joints, distance[:, None, None]) + 500.0
    noisy = exact + rng.normal(0, settings.noise_px, exact.shape)
    order = np.argsort(rng.random((n, N_JOINTS)), axis=1)
    if settings.hiding == "truncated":
        order = np.argsort(-exact[..., 1], axis=1)
    if settings.hiding == "people":
        order = _as_in_people(patterns, hidden, n, rng)
    state = np.full((n, N_JOINTS), JointState.VISIBLE, np.uint8)
    np.put_along_axis(state, order[:, :hidden], np.uint8(JointState.MISSING), axis=1)
    people = People.from_joints(
        noisy,
        state,
        person_id=(f"truth/{hidden}/{i}" for i in held_out.pose_id[rows]),
        dataset="truth",
        split="test",
        image_width=1000,
        image_height=1000,
    )
    return SeenPeople(people, joints, exact)


def _as_in_people(
    patterns: NDArray[np.bool_] | None, hidden: int, n: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Joints (n, 13) in an order that begins with those that a random person lacks."""
    alike = np.empty((0, N_JOINTS), bool) if patterns is None else patterns
    alike = alike[(~alike).sum(axis=1) == hidden]
    if not len(alike):
        raise SettingsError(
            f"hiding: expected people who lack {hidden} of {N_JOINTS} joints, found none"
        )
    return np.argsort(alike[rng.integers(0, len(alike), n)], axis=1, kind="stable")


def pose_errors_mm(
    estimate: NDArray[np.floating], truth: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean joint distance (n,) in millimetres, body-centred: unaligned, and rigidly aligned."""
    return mpjpe(estimate, truth, root="none"), mpjpe(estimate, truth, align="rigid")


def truth_benchmark(
    bank: PoseBank,
    held_out: PoseBank,
    matchers: Sequence[MatchSettings],
    estimators: Sequence[str],
    settings: TruthSettings,
    patterns: NDArray[np.bool_] | None = None,
    lifter: torch.nn.Module | None = None,
) -> pd.DataFrame:
    """3D error and completion error of every matcher and estimator, by number of hidden joints.

    Parameters
    ----------
    bank : poses of other subjects than ``held_out``.
    matchers : each is combined with each of the estimators.
    patterns : of ``see_people``. lifter : of ``label``.

    Returns
    -------
    One row per hidden count, matcher and estimator: error_mm (mean joint distance, body-centred),
    aligned_mm (after rotation), completion_px (mean distance of the hidden joints, for a person of
    200 px; None where none is hidden).
    """
    rows = []
    for hidden in settings.hidden:
        seen = see_people(held_out, hidden, settings, patterns)
        annotated = is_annotated(seen.people.state)
        for asked in matchers:
            matches, rejected = match(bank, seen.people, asked)
            kept = ~np.isin(seen.people.person_id.astype(str), [r.where for r in rejected] or [""])
            for name in estimators:
                labels = label(bank, seen.people, matches, LabelSettings(name), lifter)
                plain, aligned = pose_errors_mm(labels.joints_3d, seen.joints_3d[kept])
                away = np.linalg.norm(labels.joints_2d - seen.joints_2d[kept], axis=-1)
                miss = away[~annotated[kept]]
                rows.append(
                    {
                        "hidden": hidden,
                        "matcher": f"{asked.matcher} k={asked.k}",
                        "estimator": name,
                        "people": int(kept.sum()),
                        "error_mm": float(plain.mean()),
                        "aligned_mm": float(aligned.mean()),
                        "completion_px": float(miss.mean()) if len(miss) else None,
                    }
                )
    return pd.DataFrame(rows)
