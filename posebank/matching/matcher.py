"""The three matchers behind one function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
from numpy.typing import NDArray

from posebank.errors import ArtefactError, Rejected
from posebank.matching.candidates import Best
from posebank.matching.devices import gpu
from posebank.matching.queries import Queries, make_queries
from posebank.matching.settings import MAX_K, MatchSettings
from posebank.matching.view_scores import view_scores
from posebank.matching.viewfree import search
from posebank.matching.viewfree.cameras import cameras_to_search
from posebank.matching.viewfree.decide import TOLERANCE
from posebank.matching.viewfree.refine import refine_poses
from posebank.matching.views import ViewIndex, view_rotations
from posebank.skeleton import N_JOINTS
from posebank.threads import n_threads
from posebank.types import Matches, People, PoseBank

if TYPE_CHECKING:
    import torch

_SCORES = 1 << 25  # scores of views held at once
_MARGIN = 4  # candidates decided in float64, times k
_VIEWS_PER_POSE = 12


def match(
    bank: PoseBank, people: People, settings: MatchSettings, index: ViewIndex | None = None
) -> tuple[Matches, list[Rejected]]:
    """The k best poses and cameras of every person.

    Each person is matched by itself: the result does not depend on who else is asked for, nor on
    the number of threads.

    Parameters
    ----------
    bank : PoseBank
        Poses to match with, at least one.
    people : People
        People to match; only annotated joints (state 1 or 2) count.
    settings : MatchSettings
        Matcher, number of matches and cameras.
    index : ViewIndex or None
        Persisted views, used by ``views`` and ``refined`` for fully annotated people;
        without one the views are made on the way, never all at once. The result is the
        same, unless it is an index with ``probes``.

    Returns
    -------
    The matches, in the order of the people, and the people that cannot be matched.

    Raises
    ------
    ArtefactError
        If the bank is empty or not finite, or the index does not fit the settings.
    SettingsError
        If there is not the device that the settings ask for.

    Notes
    -----
    LCR-Net (Rogez et al. 2017), section 4.2, is the matcher ``views``.
    """
    if len(bank) == 0:
        raise ArtefactError("bank: expected at least one pose, found none")
    if not np.isfinite(bank.joints_3d).all():
        raise ArtefactError("bank: expected finite joints, found NaN or infinity")
    if index is not None:
        index.fits(settings, len(bank))
    device = gpu(settings.device)
    queries, rejected = make_queries(people, settings.min_annotated)
    best = Best.empty(len(queries), settings.k)
    if settings.matcher == "viewfree":
        _viewfree(bank, queries, settings, device, best)
    else:
        _views(bank, queries, settings, index, best)
        best.fit(queries, bank)
    unmatched = best.pose_row[:, 0] < 0
    if unmatched.any():  # no camera allowed shows any pose the right way round
        rejected += [
            Rejected(str(people.person_id[queries.rows[i]]), "no camera allowed fits any pose")
            for i in np.flatnonzero(unmatched)
        ]
    matches = best.matches(queries, people.person_id)
    return (matches.take(~unmatched) if unmatched.any() else matches), rejected


def _viewfree(
    bank: PoseBank,
    queries: Queries,
    settings: MatchSettings,
    device: torch.device | None,
    best: Best,
) -> None:
    if len(queries) == 0:
        return
    rank = np.concatenate(list(queries.groups()))
    units, masks = queries.unit[rank], queries.mask[rank]
    # Read-only arrays, as of a file, would be another type to the compiled loops.
    poses = np.require(bank.joints_3d, np.float32, ["C", "W"])
    cameras = cameras_to_search(settings.limits, settings.prior)
    k = min(settings.k, len(bank))
    apart = N_JOINTS * (settings.min_distance_mm / 1000) ** 2
    if device is None:
        rows, rotations, floors = search.search_viewfree(units, masks, poses, cameras, k, apart)
    else:
        from posebank.matching.viewfree.search_torch import search_on_device  # noqa: PLC0415 - torch

        rows, rotations, floors = search_on_device(units, masks, poses, cameras, k, apart, device)
    best.pose_row[rank, :k] = rows
    best.rotation[rank, :k] = rotations.reshape(len(rank), k, 3, 3)
    best.fit(queries, bank)
    cost = best.error_norm[rank, 0] ** 2
    if settings.prior is not None:
        cost += settings.prior.penalty(best.rotation[rank, 0])
    best.gap[rank] = np.maximum(np.sqrt(cost) - np.sqrt(np.maximum(floors, 0.0)) - TOLERANCE, 0.0)


def _views(
    bank: PoseBank,
    queries: Queries,
    settings: MatchSettings,
    index: ViewIndex | None,
    best: Best,
) -> None:
    columns = np.ascontiguousarray(bank.joints_3d.transpose(1, 2, 0))
    rotations = view_rotations(settings) if index is None else index.rotations
    r = rotations[:, :2].transpose(1, 2, 0)  # (2, 3, n_views)
    rows6 = np.ascontiguousarray(r.reshape(6, -1), np.float32)
    product = (r[:, [0, 1, 2, 0, 0, 1]] * r[:, [0, 1, 2, 1, 2, 2]]).sum(axis=0)
    squares = np.ascontiguousarray(product * [[1], [1], [1], [2], [2], [2]], np.float32)
    block = max(1, _SCORES // len(bank))
    numba.set_num_threads(min(n_threads(), numba.get_num_threads()))
    for group in queries.groups():
        if index is not None and queries.mask[group[0]].all():
            group = _from_index(bank, queries, group, settings, index, best)  # noqa: PLW2901
        for start in range(0, len(group), block):
            some = group[start : start + block]
            scores = view_scores(
                queries.unit[some].astype(np.float32),
                queries.mask[some[0]],
                columns,
                rows6,
                squares,
            )
            for i, score in zip(some, scores, strict=True):
                _enter(bank, queries, i, score, settings, rotations, best)


def _wanted(settings: MatchSettings, n_poses: int) -> int:
    return min(max(_MARGIN * settings.k, 16), n_poses)


def _enter(
    bank: PoseBank,
    queries: Queries,
    i: int,
    score: NDArray[np.float32],
    settings: MatchSettings,
    rotations: NDArray[np.float64],
    best: Best,
) -> None:
    """Decide the best poses of one query; more candidates until k of them are distinct."""
    wanted = _wanted(settings, len(score))
    while True:
        rows = np.argpartition(-score, wanted - 1)[:wanted]
        found = _decide(bank, queries, i, np.sort(rows), settings, rotations, best)
        if found == settings.k or wanted == len(score):
            return
        wanted = min(4 * wanted, len(score))


def _decide(
    bank: PoseBank,
    queries: Queries,
    i: int,
    rows: NDArray[np.int64],
    settings: MatchSettings,
    rotations: NDArray[np.float64],
    best: Best,
) -> int:
    """Choose each candidate's camera in float64 (and climb from there for ``refined``)."""
    mask = queries.mask[i]
    joints = bank.joints_3d[rows][:, mask].astype(np.float64)
    flat = np.einsum("njd,vcd->nvjc", joints, rotations[:, :2], optimize=True)
    flat -= flat.mean(axis=2, keepdims=True)
    c = np.einsum("nvjc,jc->nv", flat, queries.unit[i][mask])
    n = np.einsum("nvjc,nvjc->nv", flat, flat)
    view = np.argmax(c / np.sqrt(np.maximum(n, 1e-12)), axis=1)
    rotation = rotations[view]
    if settings.matcher == "refined":
        poses = np.ascontiguousarray(bank.joints_3d[rows])
        cameras = cameras_to_search(settings.limits, None)
        refined = refine_poses(
            queries.unit[i], mask, poses, rotation.reshape(-1, 9).copy(), cameras
        )
        rotation = refined.reshape(-1, 3, 3)
    return best.put(i, queries, bank, rows, rotation, settings.min_distance_mm)


def _from_index(
    bank: PoseBank,
    queries: Queries,
    group: NDArray[np.intp],
    settings: MatchSettings,
    index: ViewIndex,
    best: Best,
) -> NDArray[np.intp]:
    """Match fully annotated queries with the persisted index; returns those it cannot decide."""
    vectors = np.ascontiguousarray(queries.unit[group].reshape(len(group), -1), np.float32)
    wanted = _wanted(settings, len(bank))
    # A pose brings several of its views among the nearest.
    ids = index.search(vectors, min(MAX_K, _VIEWS_PER_POSE * wanted), settings.device)
    left = []
    for i, found in zip(group, ids, strict=True):
        rows, first = np.unique(found // index.n_views, return_index=True)
        rows = np.sort(rows[np.argsort(first)[:wanted]])
        got = _decide(bank, queries, i, rows, settings, index.rotations, best)
        if len(rows) < wanted or (got < settings.k and wanted < len(bank)):
            left.append(i)
    return np.array(left, dtype=np.intp)
