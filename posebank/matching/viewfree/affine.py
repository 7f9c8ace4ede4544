"""The first lower bound of the view-free search: the best affine camera, compiled.

The bound is 1 - |A L^-T|^2, with L the Cholesky factor of G, the scatter of a pose about the mean
of its annotated joints, in the order x, z, y. Since q is centred, and 0 where a joint is not
annotated, A is the same for the pose about any point. So poses are read once for people of all
patterns of annotated joints, about the mean of all joints, and only L is computed for each pattern.
``search_torch`` computes the same on a GPU, with the same margins.

Rounding. Bounds are float32, so they are lowered by more than rounding can raise them. Let
u = 6e-8 be the unit roundoff, n_e the norm of a column of the pose over the annotated joints, and
s = |L^-1 N| the Frobenius norm of L^-1 with its columns multiplied by n_e: how much A is stretched.
An element of A is off by at most 14 u n_e: the query (norm 1) is rounded, and 13 products are
summed in any order. With L^-1, rounded, and the operations with it (here and in ``search_torch``)
the six elements of A L^-T are off by 19 u sqrt(3) s together. Their squares sum to at most 1, so
this sum is off by twice that, by its square, which is less than 13 u s where the bound is positive,
and by 4 u s as the pose about the mean is rounded: at most 83 u s, below ``ROUNDING``. The squares,
their sum and the cones add at most 30 u, and L, which is float64 and rounded after,
60 x 1.1e-16 / ``FLAT``: together below ``SAFETY``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posebank.matching.viewfree.compiled import inner
from posebank.skeleton import N_JOINTS

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Flags = NDArray[np.bool_]

BLOCK = 128  # poses that stay in the first cache (20 KB) for all people of a chunk
SAFETY = 2e-6  # of error_norm squared
ROUNDING = 5e-6  # the same, per unit of how much the products are stretched
FLAT = 1e-7  # least 1 / (|L^-1|^2 trace of all joints' scatter) of a pose with an affine bound
_FUSED = {"contract"}
_N_SUMS, _N_FACTORS, _PART = 9, 8, BLOCK // 8


class Block(NamedTuple):
    """Poses next to each other in the bank, and what is computed of them for patterns of joints.

    Arrays are flat: rows of ``BLOCK`` numbers, one for each pose. Of arrays with more axes the
    compiler does not know which rows overlap, and does not vectorise loops.

    poses : (42 rows) x, y, z of the joints about the mean of all 13, 0 beyond the bank's end, and a
        last joint of zeros.
    totals, missing : (9 rows) sums over all joints and over those that are not annotated, of x, y,
        z, xx, zz, yy, xz, xy and zy.
    factors : (n_patterns, 8 rows) what ``affine_bounds`` needs for each pattern: 1 less the
        rounding allowed for (-1 where a pose is too flat for a bound, 8 beyond the bank); of L^-1,
        each row divided by its last element, those of z with x, y with x, y with z; the squares of
        the last elements, and the last of the last row itself.
    row : (1 row) scratch.
    """

    poses: Array32
    totals: Array
    missing: Array
    factors: Array32
    row: Array32


@inner()
def new_block(n_patterns: int) -> Block:
    """Return room for a block and some patterns of joints."""
    return Block(
        np.zeros(3 * (N_JOINTS + 1) * BLOCK, np.float32),
        np.empty(_N_SUMS * BLOCK),
        np.empty(_N_SUMS * BLOCK),
        np.empty((n_patterns, _N_FACTORS * BLOCK), np.float32),
        np.empty(BLOCK, np.float32),
    )


def in_blocks(poses: Array32) -> Array32:
    """Return poses (n, 13, 3) as (n_blocks, 13, 3, BLOCK), zeros after the last."""
    whole, rest = divmod(len(poses), BLOCK)
    blocks = np.zeros((whole + (rest > 0), N_JOINTS, 3, BLOCK), np.float32)
    parted = poses[: whole * BLOCK].reshape(whole, BLOCK, N_JOINTS, 3)
    blocks[:whole] = parted.transpose(0, 2, 3, 1)
    if rest:
        blocks[whole, ..., :rest] = poses[whole * BLOCK :].transpose(1, 2, 0)
    return blocks


@inner(fastmath=_FUSED)
def load(poses: Array32, block: Block) -> None:
    """Put poses (13, 3, BLOCK), of ``in_blocks``, into the block."""
    mean = block.row
    for d in range(3):
        mean[:] = np.float32(0.0)
        for j in range(N_JOINTS):
            row = poses[j, d]
            for i in range(BLOCK):
                mean[i] += row[i] * np.float32(1 / N_JOINTS)
        for j in range(N_JOINTS):
            row, out = poses[j, d], block.poses[(3 * j + d) * BLOCK :]
            for i in range(BLOCK):
                out[i] = row[i] - mean[i]
    _add_joints(np.ones(N_JOINTS, np.bool_), block.poses, block.totals)


@inner()
def _add_joints(mask: Flags, poses: Array32, sums: Array) -> None:
    """Put the sums over the joints of a mask (13,) into ``sums``."""
    sums[:] = 0.0
    waiting = -1
    for j in range(N_JOINTS):
        if mask[j]:
            if waiting < 0:
                waiting = j
            else:
                _add_two(poses[3 * BLOCK * waiting :], poses[3 * BLOCK * j :], sums)
                waiting = -1
    if waiting >= 0:
        _add_two(poses[3 * BLOCK * waiting :], poses[3 * BLOCK * N_JOINTS :], sums)


@inner(fastmath=_FUSED)
def _add_two(pose: Array32, other: Array32, sums: Array) -> None:
    """Add two joints (3 rows each) of every pose to the sums."""
    for i in range(BLOCK):
        x, y, z = np.float64(pose[i]), np.float64(pose[BLOCK + i]), np.float64(pose[2 * BLOCK + i])
        p, q, r = (
            np.float64(other[i]),
            np.float64(other[BLOCK + i]),
            np.float64(other[2 * BLOCK + i]),
        )
        sums[i] += x + p
        sums[BLOCK + i] += y + q
        sums[2 * BLOCK + i] += z + r
        sums[3 * BLOCK + i] += x * x + p * p
        sums[4 * BLOCK + i] += z * z + r * r
        sums[5 * BLOCK + i] += y * y + q * q
        sums[6 * BLOCK + i] += x * z + p * r
        sums[7 * BLOCK + i] += x * y + p * q
        sums[8 * BLOCK + i] += z * y + r * q


@inner(fastmath=_FUSED)
def factor(mask: Flags, width: int, block: Block, pattern: int) -> None:
    """Compute the block's factors for a pattern of annotated joints (13,); ``width`` poses."""
    factors = block.factors[pattern]
    missing = np.empty(N_JOINTS, np.bool_)
    for j in range(N_JOINTS):
        missing[j] = not mask[j]
    _add_joints(missing, block.poses, block.missing)
    _invert(1.0 / mask.sum(), block.totals, block.missing, factors)
    for i in range(width, BLOCK):
        factors[i] = np.float32(8.0)


@inner(fastmath=_FUSED)
def _invert(share: float, totals: Array, missing: Array, factors: Array32) -> None:
    """Factors of scatters over 1 / share joints."""
    for i in range(BLOCK):
        x, y, z = totals[i], totals[BLOCK + i], totals[2 * BLOCK + i]
        x, y, z = x - missing[i], y - missing[BLOCK + i], z - missing[2 * BLOCK + i]
        xx, zz, yy = totals[3 * BLOCK + i], totals[4 * BLOCK + i], totals[5 * BLOCK + i]
        # Below the least, which keeps divisions finite, a pose is flat.
        trace = xx + zz + yy + 1e-20
        least = 1e-14 * trace
        xx -= missing[3 * BLOCK + i]
        zz -= missing[4 * BLOCK + i]
        yy -= missing[5 * BLOCK + i]
        xz = totals[6 * BLOCK + i] - missing[6 * BLOCK + i] - share * x * z
        xy = totals[7 * BLOCK + i] - missing[7 * BLOCK + i] - share * x * y
        zy = totals[8 * BLOCK + i] - missing[8 * BLOCK + i] - share * z * y
        ix = 1.0 / max(xx - share * x * x, least)
        zx = -xz * ix
        iz = 1.0 / max(zz - share * z * z + zx * xz, least)
        across = -xy * ix
        zy += across * xz
        yz = -zy * iz
        iy = 1.0 / max(yy - share * y * y + across * xy + yz * zy, least)
        yx = across + yz * zx
        column_x, column_z = ix + iz * zx * zx + iy * yx * yx, iz + iy * yz * yz
        stretched = np.sqrt(np.float32(column_x * xx + column_z * zz + iy * yy))
        slack = np.float32(1 - SAFETY) - np.float32(ROUNDING) * stretched
        kept = 1.0 if (column_x + column_z + iy) * trace < 1 / FLAT else 0.0
        factors[i] = slack if kept > 0.0 else np.float32(-1.0)
        factors[BLOCK + i] = kept * zx
        factors[2 * BLOCK + i] = kept * yx
        factors[3 * BLOCK + i] = kept * yz
        factors[4 * BLOCK + i] = kept * ix
        factors[5 * BLOCK + i] = kept * iz
        factors[6 * BLOCK + i] = kept * iy
        factors[7 * BLOCK + i] = np.sqrt(np.float32(kept * iy))


@inner(fastmath=True)
def affine_bounds(  # noqa: PLR0915 - unrolled by hand
    units: Array32,
    block: Block,
    pattern: int,
    cones: Array32,
    b: int,
    bounds: Array32,
    lowest: Array32,
) -> None:
    """Lower bounds of the cost squared of a block's poses, for people of one pattern of joints.

    The best 2 x 3 affine camera B = A G^-1 bounds every camera. The image of the up axis of a
    camera whose roll is limited to less than 90 degrees also lies in a cone; the second column of
    B outside it costs at least its squared distance to the cone / (G^-1)_yy, which is the distance
    of the products with the last row of L^-1. With a prior, a camera in the first cone costs at
    least that, one beyond it the penalty outside the first cone more, and so on.

    Parameters
    ----------
    units : array (n, 2, 13)
        Normalised 2D poses.
    block : Block
        Poses, with their factors.
    pattern : int
        Which of these are for the joints that are annotated.
    cones : array (3, 3)
        Cones of the up axis, of ``Cameras``.
    b : int
        The block's place in ``bounds`` and ``lowest``.
    bounds : array (n, n_blocks * BLOCK)
        Receives the bounds.
    lowest : array (n, n_blocks)
        Receives the lowest of each person.
    """
    poses, factors, least_of_eight = block.poses, block.factors[pattern], block.row
    zero = np.float32(0.0)
    c0, s0, t0 = cones[0, 0], cones[0, 1], cones[0, 2]
    c1, s1, t1 = cones[1, 0], cones[1, 1], cones[1, 2]
    t2 = cones[2, 2]
    # Arrays are taken apart once and not for each person: every view counts its references.
    for n in range(units.shape[0]):
        q, out = units[n], bounds[n, b * BLOCK : (b + 1) * BLOCK]
        u0, u1, u2, u3, u4, u5 = q[0, 0], q[0, 1], q[0, 2], q[0, 3], q[0, 4], q[0, 5]
        u6, u7, u8, u9, u10, u11 = q[0, 6], q[0, 7], q[0, 8], q[0, 9], q[0, 10], q[0, 11]
        v0, v1, v2, v3, v4, v5 = q[1, 0], q[1, 1], q[1, 2], q[1, 3], q[1, 4], q[1, 5]
        v6, v7, v8, v9, v10, v11 = q[1, 6], q[1, 7], q[1, 8], q[1, 9], q[1, 10], q[1, 11]
        u12, v12 = q[0, 12], q[1, 12]
        # Written out: a loop over joints inside one over poses is not vectorised. In this order the
        # six sums and the numbers added to them stay in registers.
        for i in range(BLOCK):
            x, y, z = poses[i], poses[BLOCK + i], poses[2 * BLOCK + i]
            ux, uy, uz = u0 * x, u0 * y, u0 * z
            vx, vy, vz = v0 * x, v0 * y, v0 * z
            x, y, z = poses[3 * BLOCK + i], poses[4 * BLOCK + i], poses[5 * BLOCK + i]
            ux, uy, uz = ux + u1 * x, uy + u1 * y, uz + u1 * z
            vx, vy, vz = vx + v1 * x, vy + v1 * y, vz + v1 * z
            x, y, z = poses[6 * BLOCK + i], poses[7 * BLOCK + i], poses[8 * BLOCK + i]
            ux, uy, uz = ux + u2 * x, uy + u2 * y, uz + u2 * z
            vx, vy, vz = vx + v2 * x, vy + v2 * y, vz + v2 * z
            x, y, z = poses[9 * BLOCK + i], poses[10 * BLOCK + i], poses[11 * BLOCK + i]
            ux, uy, uz = ux + u3 * x, uy + u3 * y, uz + u3 * z
            vx, vy, vz = vx + v3 * x, vy + v3 * y, vz + v3 * z
            x, y, z = poses[12 * BLOCK + i], poses[13 * BLOCK + i], poses[14 * BLOCK + i]
            ux, uy, uz = ux + u4 * x, uy + u4 * y, uz + u4 * z
            vx, vy, vz = vx + v4 * x, vy + v4 * y, vz + v4 * z
            x, y, z = poses[15 * BLOCK + i], poses[16 * BLOCK + i], poses[17 * BLOCK + i]
            ux, uy, uz = ux + u5 * x, uy + u5 * y, uz + u5 * z
            vx, vy, vz = vx + v5 * x, vy + v5 * y, vz + v5 * z
            x, y, z = poses[18 * BLOCK + i], poses[19 * BLOCK + i], poses[20 * BLOCK + i]
            ux, uy, uz = ux + u6 * x, uy + u6 * y, uz + u6 * z
            vx, vy, vz = vx + v6 * x, vy + v6 * y, vz + v6 * z
            x, y, z = poses[21 * BLOCK + i], poses[22 * BLOCK + i], poses[23 * BLOCK + i]
            ux, uy, uz = ux + u7 * x, uy + u7 * y, uz + u7 * z
            vx, vy, vz = vx + v7 * x, vy + v7 * y, vz + v7 * z
            x, y, z = poses[24 * BLOCK + i], poses[25 * BLOCK + i], poses[26 * BLOCK + i]
            ux, uy, uz = ux + u8 * x, uy + u8 * y, uz + u8 * z
            vx, vy, vz = vx + v8 * x, vy + v8 * y, vz + v8 * z
            x, y, z = poses[27 * BLOCK + i], poses[28 * BLOCK + i], poses[29 * BLOCK + i]
            ux, uy, uz = ux + u9 * x, uy + u9 * y, uz + u9 * z
            vx, vy, vz = vx + v9 * x, vy + v9 * y, vz + v9 * z
            x, y, z = poses[30 * BLOCK + i], poses[31 * BLOCK + i], poses[32 * BLOCK + i]
            ux, uy, uz = ux + u10 * x, uy + u10 * y, uz + u10 * z
            vx, vy, vz = vx + v10 * x, vy + v10 * y, vz + v10 * z
            x, y, z = poses[33 * BLOCK + i], poses[34 * BLOCK + i], poses[35 * BLOCK + i]
            ux, uy, uz = ux + u11 * x, uy + u11 * y, uz + u11 * z
            vx, vy, vz = vx + v11 * x, vy + v11 * y, vz + v11 * z
            x, y, z = poses[36 * BLOCK + i], poses[37 * BLOCK + i], poses[38 * BLOCK + i]
            ux, uy, uz = ux + u12 * x, uy + u12 * y, uz + u12 * z
            vx, vy, vz = vx + v12 * x, vy + v12 * y, vz + v12 * z
            zx, yx, yz = factors[BLOCK + i], factors[2 * BLOCK + i], factors[3 * BLOCK + i]
            uy, vy = uy + yx * ux + yz * uz, vy + yx * vx + yz * vz
            uz, vz = uz + zx * ux, vz + zx * vx
            bound = factors[i] - factors[4 * BLOCK + i] * (ux * ux + vx * vx)
            bound -= factors[5 * BLOCK + i] * (uz * uz + vz * vz)
            bound -= factors[6 * BLOCK + i] * (uy * uy + vy * vy)
            # Distance of (across, -down) to the cone across cos(roll) <= -down sin(roll).
            across, down = abs(factors[7 * BLOCK + i] * uy), factors[7 * BLOCK + i] * vy
            away = max(c0 * across + s0 * down, zero)
            along = min(s0 * across - c0 * down, zero)
            least = away * away + (along * along if away > zero else zero) + t0
            away = max(c1 * across + s1 * down, zero)
            along = min(s1 * across - c1 * down, zero)
            least = min(least, away * away + (along * along if away > zero else zero) + t1)
            out[i] = bound + min(least, t2)
        # The compiler does not vectorise a minimum: most of it is taken pose by pose.
        for i in range(_PART):
            low = min(out[i], out[_PART + i], out[2 * _PART + i], out[3 * _PART + i])
            low = min(low, out[4 * _PART + i], out[5 * _PART + i], out[6 * _PART + i])
            least_of_eight[i] = min(low, out[7 * _PART + i])
        low = least_of_eight[0]
        for i in range(_PART):
            low = min(low, least_of_eight[i])
        lowest[n, b] = low
