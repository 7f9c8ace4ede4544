"""The view-free search, compiled: the best pose of each person, proved, and candidates after it.

Three bounds of a pose's cost, each dearer and tighter than the one before: the best affine camera
(``affine``, every pose), the Lagrangian dual (``dual``, poses that pass the first), and the best
camera itself, which is proved where the dual meets it, or by halving the cameras allowed until
every part of them is excluded (``decide``). The candidates need no proof (``candidates``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posebank.matching.viewfree.affine import (
    BLOCK,
    Block,
    affine_bounds,
    factor,
    in_blocks,
    load,
    new_block,
)
from posebank.matching.viewfree.cameras import Cameras
from posebank.matching.viewfree.candidates import (
    Shortlist,
    empty_shortlist,
    rank_candidates,
    shortlist_block,
)
from posebank.matching.viewfree.compiled import inner, outer
from posebank.matching.viewfree.decide import (
    OUT,
    ROOM,
    ROTATION,
    Query,
    Solved,
    Tools,
    approximate,
    best_of,
    nothing_solved,
    prove_best,
    tools_for,
    try_poses,
)
from posebank.matching.viewfree.refine import moments
from posebank.matching.viewfree.threads import on_threads
from posebank.threads import n_threads

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]

_GROUP = 512  # blocks searched before the limits are made tighter
_FIRST_BLOCKS = 8
_CHUNK = 32  # people for whom each block of the bank is read once
_CHUNKS_PER_THREAD = 4  # at least, where there are as many people, so that threads end together
_PAIRS = 1024  # whose costs are computed in one call


class _Group(NamedTuple):
    """Blocks of the bank: the first, and how far each is from the one before.

    Neighbours in a bank are alike. With blocks from everywhere, the first group brings a limit that
    is nearly the last.
    """

    first: int
    step: int


@inner()
def _first_row(group: _Group, b: int) -> int:
    """Row of the bank of the first pose of block b of the group."""
    return (group.first + b * group.step) * BLOCK


@inner()
def _first_limit(
    query: Query, group: _Group, bounds: Array32, lowest: Array32, limit: float, tools: Tools
) -> float:
    """Cost squared of good cameras of the best pose of the best blocks, or ``limit`` if lower."""
    for block in np.argsort(lowest.astype(np.float64))[:_FIRST_BLOCKS]:
        if lowest[block] > limit:
            break
        some = bounds[block * BLOCK : (block + 1) * BLOCK]
        i = int(np.argmin(some))
        if some[i] < OUT:
            row = _first_row(group, block) + i
            moments(query.unit, query.mask, query.poses, row, tools.a, tools.g)
            limit = min(limit, approximate(query.cameras, tools, True))
    return limit


@inner()
def _below(bounds: Array32, lowest: Array32, limit: float) -> Rows:
    """All poses with a bound of at most ``limit``."""
    some, found = np.empty(bounds.shape[0], np.int64), 0
    for b in range(lowest.shape[0]):
        if lowest[b] <= limit:
            for i in range(b * BLOCK, (b + 1) * BLOCK):
                some[found] = i
                found += bounds[i] <= limit and bounds[i] < OUT
    return some[:found]


@inner()
def _look(
    query: Query,
    group: _Group,
    bounds: Array32,
    lowest: Array32,
    solved: Solved,
    limit: float,
    tools: Tools,
) -> tuple[Solved, float, float]:
    """Exclude or solve the poses of a group; returns as ``decide.try_poses``."""
    limit = _first_limit(query, group, bounds, lowest, limit, tools)
    rows = _below(bounds, lowest, limit)
    low = bounds[rows]
    for i in range(rows.shape[0]):
        rows[i] = _first_row(group, rows[i] // BLOCK) + rows[i] % BLOCK
    return try_poses(query, rows, low, solved, limit, tools)


@inner()
def _finish(
    query: Query,
    solved: Solved,
    limit: float,
    floor: float,
    short: Shortlist,
    apart: float,
    tools: Tools,
    rows: Rows,
    rotations: Array,
) -> float:
    """Prove the best pose, fill in the candidates; returns what no pose costs less than."""
    limit = prove_best(query, solved, limit, tools)
    best, lowest = best_of(solved, limit)
    if best >= 0:
        rows[0], rotations[0] = solved.rows[best], solved.values[best, ROTATION:]
        if rows.shape[0] > 1:
            rank_candidates(query, short, apart, tools, rows, rotations)
    return min(floor, lowest, limit)


class _Chunk(NamedTuple):
    """People who are searched for together, those of one pattern of joints consecutive.

    units : (size, 13, 2); masks : (size, 13); cameras, apart : as of ``search_viewfree``.
    patterns : first person of each pattern, and the number of people.
    rows (size, k), rotations (size, k, 9), floors (size,) : receive what is found.
    """

    units: Array
    masks: Flags
    patterns: Rows
    cameras: Cameras
    apart: float
    rows: Rows
    rotations: Array
    floors: Array


@inner()
def _bound_group(
    chunk: _Chunk,
    bank: Array32,
    n_poses: int,
    group: _Group,
    bounds: Array32,
    lowest: Array32,
    block: Block,
) -> None:
    """Affine bounds of a group of blocks.

    bounds : (size, blocks * BLOCK); lowest : (size, blocks); block : working arrays.
    """
    cones = chunk.cameras.cones.astype(np.float32)
    units = chunk.units.transpose(0, 2, 1).astype(np.float32)
    for b in range(lowest.shape[1]):
        load(bank[group.first + b * group.step], block)
        width = min(BLOCK, n_poses - _first_row(group, b))
        # Of all patterns first, so that afterwards the poses stay in the first cache.
        for i in range(chunk.patterns.shape[0] - 1):
            factor(chunk.masks[chunk.patterns[i]], width, block, i)
        for i in range(chunk.patterns.shape[0] - 1):
            some = slice(chunk.patterns[i], chunk.patterns[i + 1])
            affine_bounds(units[some], block, i, cones, b, bounds[some], lowest[some])


@inner()
def _shortlist(short: Shortlist, group: _Group, bounds: Array32, lowest: Array32) -> None:
    """Add the best poses of a group to the shortlist."""
    for b in range(lowest.shape[0]):
        if lowest[b] < short.threshold[0]:
            some = bounds[b * BLOCK : (b + 1) * BLOCK]
            shortlist_block(short, _first_row(group, b), some)


@outer(cache=True)
def _search_chunk(chunk: _Chunk, bank: Array32, poses: Array32) -> None:
    """Search for the people of one chunk; bank : poses (n_poses, 13, 3) ``in_blocks``."""
    size, k = chunk.rows.shape
    n_blocks, n_poses = bank.shape[0], poses.shape[0]
    n_groups = (n_blocks + _GROUP - 1) // _GROUP
    most = (n_blocks + n_groups - 1) // n_groups
    block = new_block(chunk.patterns.shape[0] - 1)
    bounds = np.empty((size, most * BLOCK), np.float32)
    lowest = np.empty((size, most), np.float32)
    tools = tools_for(chunk.cameras)
    solved = [nothing_solved(ROOM) for _ in range(size)]
    short = [empty_shortlist(chunk.masks[p].sum(), k, n_poses) for p in range(size)]
    limit = np.full(size, np.inf)
    for first in range(n_groups):
        group = _Group(first, n_groups)
        blocks = (n_blocks - first + n_groups - 1) // n_groups
        _bound_group(chunk, bank, n_poses, group, bounds, lowest[:, :blocks], block)
        for p in range(size):
            if k > 1:
                _shortlist(short[p], group, bounds[p], lowest[p, :blocks])
            query = Query(chunk.units[p], chunk.masks[p], poses, chunk.cameras)
            solved[p], limit[p], floor = _look(
                query,
                group,
                bounds[p, : blocks * BLOCK],
                lowest[p, :blocks],
                solved[p],
                limit[p],
                tools,
            )
            chunk.floors[p] = min(chunk.floors[p], floor)
    for p in range(size):
        query = Query(chunk.units[p], chunk.masks[p], poses, chunk.cameras)
        chunk.floors[p] = _finish(
            query,
            solved[p],
            limit[p],
            chunk.floors[p],
            short[p],
            chunk.apart,
            tools,
            chunk.rows[p],
            chunk.rotations[p],
        )


def search_viewfree(
    units: Array,
    masks: Flags,
    poses: Array32,
    cameras: Cameras,
    k: int,
    apart: float,
) -> tuple[Rows, Array, Array]:
    """The best pose of each person over every camera allowed, and candidates after it.

    Parameters
    ----------
    units : array (n_people, 13, 2)
        Normalised 2D poses, one per query.
    masks : array (n_people, 13)
        Annotated joints; people with equal ones are consecutive.
    poses : array (n_poses, 13, 3)
        The bank.
    cameras : Cameras
        Cameras to search.
    k : int
        Number of candidates, the best included.
    apart : float
        See ``candidates.rank_candidates``.

    Returns
    -------
    rows (n_people, k), -1 where fewer; rotations (n_people, k, 9); floors (n_people,): no pose and
    camera has a cost squared below this, within ``decide.TOLERANCE`` of the cost.
    """
    n_people, bank = units.shape[0], in_blocks(poses)
    size = min(_CHUNK, -(-n_people // (_CHUNKS_PER_THREAD * n_threads())))
    rows = np.full((n_people, k), -1, np.int64)
    rotations = np.zeros((n_people, k, 9))
    floors = np.full(n_people, np.inf)

    def search(i: int) -> None:
        some = slice(i * size, min((i + 1) * size, n_people))
        new = (masks[some][1:] != masks[some][:-1]).any(axis=1)
        patterns = np.array([0, *np.flatnonzero(new) + 1, some.stop - some.start])
        chunk = _Chunk(
            units[some],
            masks[some],
            patterns,
            cameras,
            apart,
            rows[some],
            rotations[some],
            floors[some],
        )
        _search_chunk(chunk, bank, poses)

    on_threads(search, -(-n_people // size))
    return rows, rotations, floors


@outer(cache=True)
def _search_given(
    query: Query,
    rows: Rows,
    bounds: Array32,
    short_rows: Rows,
    short_bounds: Array32,
    apart: float,
    out_rows: Rows,
    out_rotations: Array,
) -> float:
    """Search among given poses for one person; returns the floor."""
    tools = tools_for(query.cameras)
    solved, limit, floor = try_poses(query, rows, bounds, nothing_solved(ROOM), np.inf, tools)
    number = np.array([short_rows.shape[0]])
    short = Shortlist(short_rows, short_bounds, number, np.zeros(1, np.float32))
    return _finish(query, solved, limit, floor, short, apart, tools, out_rows, out_rotations)


def search_candidates(
    units: Array,
    masks: Flags,
    starts: Rows,
    rows: Rows,
    bounds: Array32,
    short_starts: Rows,
    short_rows: Rows,
    short_bounds: Array32,
    poses: Array32,
    cameras: Cameras,
    k: int,
    apart: float,
) -> tuple[Rows, Array, Array]:
    """As ``search_viewfree``, among poses that each person is given.

    Parameters
    ----------
    units : array (n_people, 13, 2)
        Normalised 2D poses, one per query.
    masks : array (n_people, 13)
        Joints that are annotated.
    starts : array (n_people + 1,)
        Place in ``rows`` and ``bounds`` where each person's begin.
    rows : array
        Rows of the bank: the poses that may be a person's best.
    bounds : array
        Lower bounds of their cost squared.
    short_starts, short_rows, short_bounds : array
        The same of the poses with the lowest affine bounds.
    poses : array (n_poses, 13, 3)
        The bank.
    cameras : Cameras
        Cameras to search.
    k : int
        Number of candidates, the best included.
    apart : float
        See ``candidates.rank_candidates``.
    """
    n_people = units.shape[0]
    out_rows = np.full((n_people, k), -1, np.int64)
    out_rotations = np.zeros((n_people, k, 9))
    floors = np.full(n_people, np.inf)

    def search(p: int) -> None:
        mine = slice(starts[p], starts[p + 1])
        near = slice(short_starts[p], short_starts[p + 1])
        floors[p] = _search_given(
            Query(units[p], masks[p], poses, cameras),
            rows[mine],
            bounds[mine],
            short_rows[near],
            short_bounds[near],
            apart,
            out_rows[p],
            out_rotations[p],
        )

    on_threads(search, n_people)
    return out_rows, out_rotations, floors


@outer(cache=True)
def _approximate_some(
    units: Array,
    masks: Flags,
    person: Rows,
    rows: Rows,
    poses: Array32,
    cameras: Cameras,
    costs: Array,
) -> None:
    """Fill costs (n,), as ``approximate_costs``."""
    tools = tools_for(cameras)
    for i in range(person.shape[0]):
        moments(units[person[i]], masks[person[i]], poses, rows[i], tools.a, tools.g)
        costs[i] = approximate(cameras, tools, True)


def approximate_costs(
    units: Array, masks: Flags, person: Rows, rows: Rows, poses: Array32, cameras: Cameras
) -> Array:
    """Costs squared (n,) of good cameras of pairs of a person and a row of the bank, (n,) each."""
    costs = np.empty(len(person))

    def fill(part: int) -> None:
        some = slice(part * _PAIRS, (part + 1) * _PAIRS)
        _approximate_some(units, masks, person[some], rows[some], poses, cameras, costs[some])

    on_threads(fill, -(-len(person) // _PAIRS))
    return costs
