"""The matching error: how well the bank explains the 2D annotations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.errors import SettingsError
from posebank.skeleton import JOINT_NAMES, is_annotated
from posebank.types import Matches, People

BY = ("joint", "dataset", "annotated", "rarity")
PERCENTILES = (10, 25, 75, 90)
_N_RARITY = 5


def matching_error(matches: Matches, people: People, by: str) -> pd.DataFrame:
    """Mean, median and percentiles of the best matches' errors, group by group.

    Parameters
    ----------
    matches : as ``match`` returns them.
    people : any superset of the matches' people.
    by : ``dataset``; ``annotated`` (number of annotated joints); ``joint`` (over the people in
        whom it was annotated: what that person's error is); ``rarity`` (fifths of the people by
        how far, in ``error_norm``, their k-th match is: 1 common, 5 rare).

    Returns
    -------
    One row per group: the group, people, error_norm_mean, error_norm_median, error_norm_p10...,
    and the same of error_mm.

    Raises
    ------
    SettingsError
        If ``by`` is none of these.
    """
    if by not in BY:
        raise SettingsError(f"by: expected one of {', '.join(BY)}, found {by!r}")
    where = {p: i for i, p in enumerate(people.person_id)}
    who = people.take(np.array([where[p] for p in matches.person_id], dtype=np.intp))
    rows = []
    for name, members in _groups(matches, who, by):
        row: dict[str, object] = {by: name, "people": int(members.sum())}
        for column in ("error_norm", "error_mm"):
            values = getattr(matches, column)[members, 0]
            values = values[np.isfinite(values)]
            row[f"{column}_mean"] = float(values.mean()) if len(values) else None
            row[f"{column}_median"] = float(np.median(values)) if len(values) else None
            for q in PERCENTILES:
                row[f"{column}_p{q}"] = float(np.percentile(values, q)) if len(values) else None
        rows.append(row)
    return pd.DataFrame(rows)


def _groups(
    matches: Matches, people: People, by: str
) -> Iterator[tuple[str | int, NDArray[np.bool_]]]:
    if by == "dataset":
        for name in sorted(set(people.dataset)):
            yield name, people.dataset == name
    elif by == "annotated":
        for count in sorted(set(matches.n_annotated.tolist())):
            yield count, matches.n_annotated == count
    elif by == "joint":
        annotated = is_annotated(people.state)
        for j, name in enumerate(JOINT_NAMES):
            yield name, annotated[:, j]
    else:
        last = np.where(np.isfinite(matches.error_norm), matches.error_norm, -np.inf).max(axis=1)
        rank = np.argsort(np.argsort(last, kind="stable"), kind="stable")
        fifth = rank * _N_RARITY // max(len(last), 1)
        for f in range(_N_RARITY):
            yield f + 1, fifth == f
