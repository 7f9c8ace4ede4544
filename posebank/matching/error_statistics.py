"""The matching error: how well the bank explains the 2D annotations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.errors import SettingsError
from posebank.skeleton import JOINT_NAMES, is_annotated
from posebank.types import Matches, People, PoseBank

BY = ("joint", "dataset", "annotated", "rarity")
PERCENTILES = (10, 25, 75, 90)
_N_RARITY = 5


def matching_error(
    matches: Matches, people: People, by: str, bank: PoseBank | None = None
) -> pd.DataFrame:
    """Mean, median and percentiles of the best matches' errors, group by group.

    Parameters
    ----------
    matches : Matches
        Matches, as ``match`` returns them.
    people : People
        Any superset of the matches' people.
    by : str
        ``dataset``; ``annotated`` (number of annotated joints); ``joint`` (each annotated
        joint's own residual: their RMS over a person's joints is the person's error);
        ``rarity`` (fifths of the people by how far, in ``error_norm``, their k-th match is:
        1 common, 5 rare).
    bank : PoseBank or None
        Bank that the matches refer to; only ``joint`` needs it.

    Returns
    -------
    One row per group: the group, people, error_norm_mean, error_norm_median, error_norm_p10...,
    and the same of error_mm.

    Raises
    ------
    SettingsError
        If ``by`` is none of these, or ``joint`` without a bank.
    """
    if by not in BY:
        raise SettingsError(f"by: expected one of {', '.join(BY)}, found {by!r}")
    where = {p: i for i, p in enumerate(people.person_id)}
    matched = people.take(np.array([where[p] for p in matches.person_id], dtype=np.intp))
    if by == "joint":
        if bank is None:
            raise SettingsError("by: expected a bank beside 'joint', found none")
        groups = _joints(matches, matched, bank)
    else:
        groups = (
            (name, matches.error_norm[members, 0], matches.error_mm[members, 0])
            for name, members in _groups(matches, matched, by)
        )
    rows = []
    for name, norm, mm in groups:
        row: dict[str, object] = {by: name, "people": len(norm)}
        for column, errors in (("error_norm", norm), ("error_mm", mm)):
            values = errors[np.isfinite(errors)]
            row[f"{column}_mean"] = float(values.mean()) if len(values) else None
            row[f"{column}_median"] = float(np.median(values)) if len(values) else None
            for q in PERCENTILES:
                row[f"{column}_p{q}"] = float(np.percentile(values, q)) if len(values) else None
        rows.append(row)
    return pd.DataFrame(rows)


def _joints(
    matches: Matches, people: People, bank: PoseBank
) -> Iterator[tuple[str | int, NDArray[np.float64], NDArray[np.float64]]]:
    """Each joint's residuals, over the RMS size of the person and in millimetres."""
    annotated = is_annotated(people.state)
    scale = matches.scale[:, 0, None, None]
    image = bank.joints_3d[matches.pose_row[:, 0]] @ matches.rotation[:, 0, :2].swapaxes(1, 2)
    image = scale * image + matches.translation[:, 0, None]
    distance = np.linalg.norm(people.joints_2d - image, axis=-1)
    # RMS residual = error_mm * scale = error_norm * RMS size.
    size = (
        matches.error_mm[:, 0] / 1000 * scale[:, 0, 0] / np.maximum(matches.error_norm[:, 0], 1e-12)
    )
    for j, name in enumerate(JOINT_NAMES):
        seen = annotated[:, j]
        yield name, distance[seen, j] / size[seen], 1000 * distance[seen, j] / scale[seen, 0, 0]


def _groups(
    matches: Matches, people: People, by: str
) -> Iterator[tuple[str | int, NDArray[np.bool_]]]:
    if by == "dataset":
        for name in sorted(set(people.dataset)):
            yield name, people.dataset == name
    elif by == "annotated":
        for count in sorted(set(matches.n_annotated.tolist())):
            yield count, matches.n_annotated == count
    else:
        last = np.where(np.isfinite(matches.error_norm), matches.error_norm, -np.inf).max(axis=1)
        rank = np.argsort(np.argsort(last, kind="stable"), kind="stable")
        fifth = rank * _N_RARITY // max(len(last), 1)
        for f in range(_N_RARITY):
            yield f + 1, fifth == f
