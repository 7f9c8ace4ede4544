"""The view-free search with its bounds on a device of torch, for GPUs.

The device computes the bounds of every person and pose: the affine one (``affine``) as matrix
products, for as many people at once as fit its memory, and the dual one (``dual_torch``) of the
pairs that pass. What is left, some poses for each person, is solved and proved by the same compiled
loops as without a GPU, and since what these find of a pose depends on nothing else, the matches are
the same, bit for bit.

A bound may be lower than on the CPU, never higher than the cost: the affine one has the margins of
``affine``, which hold for every order of summation, and its products are float32 proper (not TF32);
the dual is float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebank.matching.viewfree.affine import BLOCK, FLAT, ROUNDING, SAFETY
from posebank.matching.viewfree.cameras import Cameras
from posebank.matching.viewfree.candidates import SPARE, most_poses
from posebank.matching.viewfree.decide import DUAL_ROUNDING, OUT
from posebank.matching.viewfree.dual_torch import dual_bounds, limits_of
from posebank.matching.viewfree.search import approximate_costs, search_candidates

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

_PAIRS = 1 << 26  # people x poses whose bounds are on the device at once, some 30 bytes each
_DUALS = 1 << 19  # pairs whose duals are, some 3 KB each
_FIRST = 64  # poses whose costs give a person's first limit


class _Bank(NamedTuple):
    """On the device: poses (n_poses, 13, 3); the same about the mean of their joints.

    columns : (13, 3, n), n a multiple of ``BLOCK``; trace : (n,) sum of all squares, float64.
    """

    poses: Tensor
    columns: Tensor
    trace: Tensor


class _People(NamedTuple):
    """On the device: units (n, 13, 2), masks (n, 13), squared limits of their costs (n,)."""

    units: Tensor
    masks: Tensor
    squared: Tensor


class _Pairs(NamedTuple):
    """Pairs that may be among the best: person, row of the bank, bound of the cost squared."""

    person: Tensor
    row: Tensor
    bound: Tensor

    @classmethod
    def joined(cls, parts: list[_Pairs]) -> _Pairs:
        return cls(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def search_on_device(
    units: Array,
    masks: Flags,
    poses: Array32,
    cameras: Cameras,
    k: int,
    apart: float,
    device: torch.device,
) -> tuple[Rows, Array, Array]:
    """The k best distinct poses of each person, as ``search.search_viewfree`` finds them.

    Parameters
    ----------
    units : array (n_people, 13, 2)
        Normalised 2D poses, one per query.
    masks : array (n_people, 13)
        Annotated joints; people with equal ones are consecutive.
    poses : array (n_poses, 13, 3)
        Poses of the bank.
    cameras : Cameras
        Cameras to search.
    k : int
        Number of candidates, the best included.
    apart : float
        Least sum of squared joint distances between two matches of a person, square metres.
    device : device
        Device to compute on.

    Returns
    -------
    rows (n_people, k), rotations (n_people, k, 9), floors (n_people,).
    """
    bank = _to_device(poses, device)
    with _float32_products(), torch.inference_mode():
        first, short = _first(bank, units, masks, cameras, k)
        limits = np.full(len(units), np.inf)
        costs = approximate_costs(units, masks, *first, poses, cameras)
        np.minimum.at(limits, first[0], costs)
        person, row, bound = _below(bank, units, masks, cameras, limits)
    starts = np.searchsorted(person, np.arange(len(units) + 1))
    found: tuple[Rows, Array, Array] = search_candidates(
        units, masks, starts, row, bound, *short, poses, cameras, k, apart
    )
    rows, rotations, floors = found
    return rows, rotations, np.minimum(floors, limits)


def _to_device(poses: Array32, device: torch.device) -> _Bank:
    on_device = torch.from_numpy(poses).to(device)
    columns = (on_device - on_device.mean(1, keepdim=True)).permute(1, 2, 0)
    padded = torch.nn.functional.pad(columns, (0, -len(poses) % BLOCK)).contiguous()
    return _Bank(on_device, padded, padded.double().square().sum((0, 1)))


@contextmanager
def _float32_products() -> Iterator[None]:
    """Matrix products of float32 in float32, whatever else runs in this process."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _sum_products(c: Tensor, d: Tensor) -> Tensor:
    """Sums (n,) over the joints of products of two columns (m, n), in float64."""
    return (c.double() * d).sum(0)


def _whiten(bank: _Bank, joints: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal columns w (3, m, n) of poses over some joints (m,) and their slack (n,).

    As ``affine.factor``, in its names.
    """
    x, y, z = bank.columns[joints].unbind(1)
    share = 1 / len(joints)
    sx, sy, sz = (c.sum(0, dtype=torch.float64) for c in (x, y, z))
    xx, zz, yy = _sum_products(x, x), _sum_products(z, z), _sum_products(y, y)
    xz = _sum_products(x, z) - share * sx * sz
    xy = _sum_products(x, y) - share * sx * sy
    zy = _sum_products(z, y) - share * sz * sy
    trace = bank.trace + 1e-20
    least = 1e-14 * trace
    ix = 1 / torch.maximum(xx - share * sx * sx, least)
    zx = -xz * ix
    iz = 1 / torch.maximum(zz - share * sz * sz + zx * xz, least)
    across = -xy * ix
    zy += across * xz
    yz = -zy * iz
    iy = 1 / torch.maximum(yy - share * sy * sy + across * xy + yz * zy, least)
    yx = across + yz * zx
    column_x, column_z = ix + iz * zx * zx + iy * yx * yx, iz + iy * yz * yz
    stretched = (column_x * xx + column_z * zz + iy * yy).sqrt()
    slack = (1 - SAFETY - ROUNDING * stretched).float()
    w = torch.stack([x, z + zx.float() * x, y + yx.float() * x + yz.float() * z])
    w *= torch.stack([ix, iz, iy]).sqrt().float()[:, None]
    flat = ~((column_x + column_z + iy) * trace < 1 / FLAT)
    slack[flat] = -1.0
    w.masked_fill_(flat, 0.0)
    slack[len(bank.poses) :] = float(OUT)
    return w, slack


def _affine_bounds(unit: Tensor, w: Tensor, slack: Tensor, cameras: Cameras) -> Tensor:
    """Lower bound (p, n) of the cost squared, as ``affine.affine_bounds``; unit : (p, m, 2)."""
    n_people = len(unit)
    both = unit.permute(2, 0, 1).reshape(2 * n_people, -1)
    bounds = slack.repeat(n_people, 1)
    for d in range(3):
        a, b = (both @ w[d]).view(2, n_people, -1)
        bounds.addcmul_(a, a, value=-1).addcmul_(b, b, value=-1)
    if cameras.has_cones:
        a = a.abs()
        least = torch.full_like(a, float(cameras.cones[2, 2]))
        for cos, sin, penalty in cameras.cones[:2].tolist():
            away = (cos * a).add_(b, alpha=sin).clamp_(min=0)
            along = (sin * a).sub_(b, alpha=cos).clamp_(max=0)
            squared = (away * away).addcmul_(along, along.mul_(away > 0)).add_(penalty)
            torch.minimum(least, squared, out=least)
        bounds += least
    return bounds


def _bounds(
    bank: _Bank, units: Array, masks: Flags, cameras: Cameras
) -> Iterator[tuple[int, Tensor]]:
    """Bounds of all poses (p, n) of some people at a time, and the first one's index.

    People share a pattern of annotated joints, for which the poses are whitened once.
    """
    device, size = bank.columns.device, max(1, _PAIRS // bank.columns.shape[2])
    changes = np.flatnonzero((masks[1:] != masks[:-1]).any(axis=1)) + 1
    for start, stop in zip([0, *changes], [*changes, len(masks)], strict=True):
        joints = torch.from_numpy(np.flatnonzero(masks[start])).to(device)
        w, slack = _whiten(bank, joints)
        unit = torch.from_numpy(units[start:stop]).to(device).float()[:, joints]
        for at in range(0, stop - start, size):
            yield start + at, _affine_bounds(unit[at : at + size], w, slack, cameras)


def _first(
    bank: _Bank, units: Array, masks: Flags, cameras: Cameras, k: int
) -> tuple[tuple[Rows, Rows], tuple[Rows, Rows, Array32]]:
    """Poses for the first limits, and the shortlists for k candidates.

    Returns
    -------
    Persons and rows of the best pose of each of the best blocks; where each person's shortlist
    begins, its rows and their bounds.
    """
    people, rows, short_rows, short_bounds = [], [], [], []
    lengths = np.zeros(len(units) + 1, np.int64)
    for start, bounds in _bounds(bank, units, masks, cameras):
        least, place = bounds.view(len(bounds), -1, BLOCK).min(dim=2)
        block = least.topk(min(_FIRST, least.shape[1]), largest=False).indices
        row = block * BLOCK + place.gather(1, block)
        person = torch.arange(start, start + len(row), device=row.device)
        people.append(person.repeat_interleave(row.shape[1]).cpu())
        rows.append(row.flatten().cpu())
        length = min(most_poses(int(masks[start].sum()), k) + SPARE, len(bank.poses))
        best = bounds.topk(length if k > 1 else 0, largest=False)
        lengths[start + 1 : start + 1 + len(bounds)] = best.indices.shape[1]
        short_rows.append(best.indices.flatten().cpu())
        short_bounds.append(best.values.flatten().cpu())
    short = torch.cat(short_rows).numpy(), torch.cat(short_bounds).numpy()
    return (torch.cat(people).numpy(), torch.cat(rows).numpy()), (np.cumsum(lengths), *short)


def _below(
    bank: _Bank, units: Array, masks: Flags, cameras: Cameras, limits: Array
) -> tuple[Rows, Rows, Array32]:
    """All poses that neither bound excludes below each person's limit (n_people,), squared."""
    device = bank.columns.device
    people = _People(*(torch.from_numpy(x).to(device) for x in (units, masks, limits)))
    # Rounded to float32, but not below the limit.
    squared = torch.nextafter(people.squared.float(), torch.tensor(2.0, device=device))
    passed, waiting, n_waiting = [], [], 0
    for start, bounds in _bounds(bank, units, masks, cameras):
        person, row = (bounds < squared[start : start + len(bounds), None]).nonzero().T
        for some in torch.arange(len(row), device=device).split(_DUALS):
            who, what = person[some], row[some]
            waiting.append(_Pairs(start + who, what, bounds[who, what]))
            n_waiting += len(some)
            if n_waiting >= _DUALS:
                passed.append(_pass_dual(_Pairs.joined(waiting), bank, people, cameras))
                waiting, n_waiting = [], 0
    if waiting:
        passed.append(_pass_dual(_Pairs.joined(waiting), bank, people, cameras))
    person, row, bound = (column.numpy() for column in _Pairs.joined(passed))
    return person, row, bound


def _pass_dual(pairs: _Pairs, bank: _Bank, people: _People, cameras: Cameras) -> _Pairs:
    """The pairs that the dual does not exclude, with its bound where it is higher; on the CPU."""
    mask = people.masks[pairs.person].T[:, None].double()  # (13, 1, n)
    p = bank.poses[pairs.row].permute(1, 2, 0).double()
    p = (p - (p * mask).sum(0) / mask.sum(0)) * mask
    q = people.units[pairs.person].permute(1, 2, 0)
    a = torch.stack([(q[:, c] * p[:, d]).sum(0) for c in range(2) for d in range(3)])
    entries = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    g = torch.stack([(p[:, c] * p[:, d]).sum(0) for c, d in entries])
    least = float(cameras.levels[0, 3])  # of the penalty
    target = people.squared[pairs.person] - least + DUAL_ROUNDING
    dual = dual_bounds(a, g, target, limits_of(cameras))
    kept = dual < target
    # Less what rounding it to float32 can add.
    bound = torch.maximum(pairs.bound, (dual + least - 1e-6).float())
    return _Pairs(pairs.person[kept].cpu(), pairs.row[kept].cpu(), bound[kept].cpu())
