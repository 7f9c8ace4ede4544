"""From clips to the pose bank: screening, resampling, near-duplicates, mirroring."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

from posebank.errors import SettingsError
from posebank.mocap.joints import RIGID_LIMBS, limb_lengths
from posebank.skeleton import N_JOINTS, centred, mirrored_3d
from posebank.types import MotionClip, PoseBank, texts


@dataclass(frozen=True)
class BankSettings:
    """How clips become poses.

    fps : poses per second; a clip with a lower rate keeps all its frames.
    min_distance_mm : a pose closer than this (RMS over the joints, best turn about the vertical)
        to one already kept is dropped; 0 keeps all.
    mirror : add the mirror image of every pose.
    max_speed : metres per second, relative to the body centre, beyond which a joint has jumped.
    limb_tolerance : change of a limb's length, as a fraction of its median in the clip, beyond
        which a frame is damaged.
    max_still_s : seconds of unchanged frames that are kept of a longer stretch; in a recording of
        a person nothing is ever exactly still.
    """

    fps: float = 10.0
    min_distance_mm: float = 50.0
    mirror: bool = True
    max_speed: float = 30.0
    limb_tolerance: float = 0.20
    max_still_s: float = 0.5

    def __post_init__(self) -> None:
        for name in ("fps", "max_speed", "limb_tolerance", "max_still_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise SettingsError(f"{name}: expected a positive number, found {value}")
        if not (math.isfinite(self.min_distance_mm) and self.min_distance_mm >= 0):
            raise SettingsError(
                f"min_distance_mm: expected a distance, found {self.min_distance_mm}"
            )


@dataclass(frozen=True)
class ClipStats:
    """What became of a clip's frames.

    jumped, stretched, still : frames set aside because a joint jumped, a limb changed its length,
        or nothing moved at all. limbs_mm : median length of each rigid limb, millimetres.
    """

    clip: str
    subject: str
    fps: float
    frames: int
    jumped: int
    stretched: int
    still: int
    poses: int
    limbs_mm: Mapping[str, float] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


def limb_name(limb: tuple[str, str]) -> str:
    """Name of a rigid limb, such as ``r_ankle-r_knee``."""
    return "-".join(limb)


def poses_from_clip(clip: MotionClip, settings: BankSettings) -> tuple[PoseBank, ClipStats]:
    """Screen a clip, resample it and take its poses.

    Parameters
    ----------
    clip : any rate.
    settings : see ``BankSettings``; near-duplicates and mirror images are not dealt with here.

    Returns
    -------
    The poses, relative to their body centre, world axes kept, in the order of time, and the counts.
    """
    body = centred(clip.joints)
    lengths = limb_lengths(clip.joints)
    usual = np.median(lengths, axis=0) if len(lengths) else np.zeros(len(RIGID_LIMBS))
    stretched = np.any(np.abs(lengths - usual) > settings.limb_tolerance * usual, axis=1)
    jumped = _jumped(body, clip.frames, settings.max_speed / clip.fps, ~stretched)
    still = _still(clip.joints, clip.frames, max(1, round(settings.max_still_s * clip.fps)))
    still &= ~(jumped | stretched)
    good = ~(stretched | jumped | still)
    joints, frames, times = resample(body[good], clip.frames[good], clip.fps, settings.fps)
    if len(clip.frames):
        times = times - clip.frames[0] / clip.fps
    n = len(frames)
    bank = PoseBank(
        pose_id=texts(f"{clip.dataset}/{clip.name}:{f}" for f in frames.tolist()),
        dataset=texts([clip.dataset] * n),
        subject=texts([clip.subject] * n),
        clip=texts([clip.name] * n),
        frame=frames.astype(np.int32),
        time_s=times.astype(np.float32),
        mirrored=np.zeros(n, np.bool_),
        joints_3d=centred(joints).astype(np.float32),
        source_sha256=texts([clip.source_sha256] * n),
    )
    limbs = {limb_name(limb): float(v) * 1000 for limb, v in zip(RIGID_LIMBS, usual, strict=True)}
    stats = ClipStats(
        clip.name, clip.subject, clip.fps, len(clip.frames), int(jumped.sum()),
        int(stretched.sum()), int(still.sum()), n, limbs, clip.lost,
    )  # fmt: skip
    return bank, stats


def _jumped(
    body: NDArray[np.float64], frames: NDArray[np.int64], reach: float, usable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Frames on either side of which a joint moves further than it can.

    A stretch of frames between two jumps is set aside if it is the shorter side of either one; a
    single lasting jump (two takes in one file) costs nothing.
    """
    bad = np.zeros(len(frames), np.bool_)
    rows = np.flatnonzero(usable)
    if len(rows) < 2:
        return bad
    steps = np.diff(frames[rows])
    moved = np.linalg.norm(np.diff(body[rows], axis=0), axis=-1).max(axis=1)
    jumps = np.flatnonzero(moved > reach * steps)
    if len(jumps) == 0:
        return bad
    starts = np.concatenate([[0], jumps + 1])
    ends = np.concatenate([jumps + 1, [len(rows)]])
    longest = (ends - starts).max()
    for start, end in zip(starts, ends, strict=True):
        if end - start < min(longest, 12):
            bad[rows[start:end]] = True
    return bad


def _still(
    joints: NDArray[np.float64], frames: NDArray[np.int64], allowed: int
) -> NDArray[np.bool_]:
    """Frames beyond the first ``allowed`` of a stretch in which nothing moves."""
    if len(frames) < 2:
        return np.zeros(len(frames), np.bool_)
    same = np.abs(np.diff(joints, axis=0)).max(axis=(1, 2)) < 1e-9
    rows = np.arange(len(frames))
    moving = np.concatenate([[True], ~same])
    since = rows - np.maximum.accumulate(np.where(moving, rows, 0))
    return since >= allowed


def resample(
    joints: NDArray[np.float64], frames: NDArray[np.int64], fps: float, target_fps: float
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Resample body-centred joints without aliasing.

    Every output is a weighted mean of the frames around it: a sinc that passes what ``target_fps``
    can represent, under a Hann window of three output intervals to each side, with weights that sum
    to one. Stretches with frames lost between them are resampled apart.

    Parameters
    ----------
    joints : (n_frames, 13, 3); frames : (n_frames,) increasing frame numbers.
    fps, target_fps : rates; a source that is not faster than the target is returned as it is.

    Returns
    -------
    joints (n, 13, 3), the source frame nearest to each, and times in seconds since frame 0.
    """
    if target_fps >= fps or len(frames) == 0:
        return joints, frames, frames / fps
    step = fps / target_fps
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    out_joints, out_at = [], []
    for rows in np.split(np.arange(len(frames)), breaks):
        first, last = int(frames[rows[0]]), int(frames[rows[-1]])
        grid = np.arange(math.ceil((first - frames[0]) / step), (last - frames[0]) // step + 1)
        at = frames[0] + grid * step
        out_joints.append(_filtered(joints[rows].reshape(len(rows), -1), at - first, step))
        out_at.append(at)
    at = np.concatenate(out_at)
    resampled = np.concatenate(out_joints).reshape(-1, *joints.shape[1:])
    return resampled, np.floor(at + 0.5).astype(np.int64), at / fps


def _filtered(values: NDArray[np.float64], at: NDArray[np.float64], step: float) -> NDArray:
    """Values (n, d) at fractional rows ``at``, low-passed for a spacing of ``step`` rows."""
    half = 3.0 * step
    reach = math.ceil(half)
    offsets = np.arange(-reach, reach + 1)
    rows = np.floor(at).astype(np.int64)[:, None] + offsets
    distance = rows - at[:, None]
    weights = np.sinc(distance / step) * np.cos(0.5 * np.pi * np.clip(distance / half, -1, 1)) ** 2
    weights[(rows < 0) | (rows >= len(values))] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    result = np.empty((len(at), values.shape[1]))
    for begin in range(0, len(at), 1024):  # bounds the gathered block
        part = slice(begin, begin + 1024)
        gathered = values[np.clip(rows[part], 0, len(values) - 1)]
        result[part] = np.einsum("nw,nwd->nd", weights[part], gathered)
    return result


def canonical_order(bank: PoseBank) -> NDArray[np.intp]:
    """Rows sorted by data set, clip, frame and mirrored: the order of a bank on disk."""
    return np.lexsort(
        (bank.mirrored, bank.frame, bank.clip.astype(np.str_), bank.dataset.astype(np.str_))
    )


def add_mirrored(bank: PoseBank) -> PoseBank:
    """The poses and their mirror images (left and right swapped, x reversed), canonical order."""
    originals = bank.take(~bank.mirrored)
    mirrored = PoseBank(
        pose_id=texts(f"{i}m" for i in originals.pose_id),
        dataset=originals.dataset,
        subject=originals.subject,
        clip=originals.clip,
        frame=originals.frame,
        time_s=originals.time_s,
        mirrored=np.ones(len(originals), np.bool_),
        joints_3d=mirrored_3d(originals.joints_3d),
        source_sha256=originals.source_sha256,
    )
    both = PoseBank.concat([originals, mirrored])
    return both.take(canonical_order(both))


def drop_near_duplicates(bank: PoseBank, min_distance_mm: float) -> PoseBank:
    """Drop poses that are close to one already kept, whatever their heading.

    The distance is the RMS over the joints after the best turn about the vertical. Poses are taken
    in canonical order and kept if no kept pose is nearer than ``min_distance_mm``, so that the
    result does not depend on the order of files, and no two of it are nearer than that.

    Parameters
    ----------
    bank : any order.
    min_distance_mm : 0 keeps all.

    Returns
    -------
    The kept poses in canonical order.

    Notes
    -----
    With z_j = x_j + i z_j the horizontal part of joint j, the best turn gives
    ``d^2 = |P|^2 + |Q|^2 - 2 sum y_p y_q - 2 |sum z_p conj(z_q)|`` (summed over joints).
    The heights and the horizontal radii change by no more than d, so a grid over their leading
    principal components finds every candidate; memory grows with the poses alone.
    """
    bank = bank.take(canonical_order(bank))
    if min_distance_mm <= 0 or len(bank) < 2:
        return bank
    limit = min_distance_mm / 1000 * math.sqrt(N_JOINTS)
    return bank.take(_distinct_rows(bank.joints_3d, limit))


_GRID_DIMENSIONS = 4


def _distinct_rows(joints: NDArray[np.float32], limit: float) -> NDArray[np.intp]:
    features = np.concatenate(
        [joints[:, :, 1], np.hypot(joints[:, :, 0], joints[:, :, 2])], axis=1, dtype=np.float32
    )
    mean = features.mean(axis=0, dtype=np.float64)
    sample = features[:: max(1, len(features) // 50_000)].astype(np.float64) - mean
    _, vectors = np.linalg.eigh(sample.T @ sample)
    leading = vectors[:, ::-1][:, :_GRID_DIMENSIONS].astype(np.float32)
    # An orthonormal projection lengthens nothing; the margin covers float32 rounding.
    cells = np.floor((features - mean.astype(np.float32)) @ leading / np.float32(limit * 1.001))
    keep = _greedy(
        np.ascontiguousarray(joints.reshape(len(joints), -1)),
        features,
        cells.astype(np.int64),
        limit,
    )
    return np.flatnonzero(keep)


@njit(cache=True, nogil=True)
def _hash_cell(cell: NDArray[np.int64], mask: int) -> np.int64:
    h = np.uint64(1469598103934665603)
    for i in range(cell.shape[0]):
        h = (h ^ np.uint64(cell[i])) * np.uint64(1099511628211)
        h ^= h >> np.uint64(29)
    return np.int64(h & np.uint64(mask))


@njit(cache=True, nogil=True)
def _nearer(
    poses: NDArray[np.float32], features: NDArray[np.float32], a: int, b: int, limit2: float
) -> bool:
    """Whether poses a and b are nearer than the limit after the best turn about the vertical."""
    bound = 0.0
    for i in range(features.shape[1]):
        d = np.float64(features[a, i]) - np.float64(features[b, i])
        bound += d * d
        if bound > limit2 * 1.001:
            return False
    height, norms, real, imaginary = 0.0, 0.0, 0.0, 0.0
    for j in range(0, poses.shape[1], 3):
        xa, ya, za = (
            np.float64(poses[a, j]),
            np.float64(poses[a, j + 1]),
            np.float64(poses[a, j + 2]),
        )
        xb, yb, zb = (
            np.float64(poses[b, j]),
            np.float64(poses[b, j + 1]),
            np.float64(poses[b, j + 2]),
        )
        height += (ya - yb) ** 2
        norms += xa * xa + za * za + xb * xb + zb * zb
        real += xa * xb + za * zb
        imaginary += za * xb - xa * zb
    return height + norms - 2.0 * np.sqrt(real * real + imaginary * imaginary) < limit2


@njit(cache=True, nogil=True)
def _greedy(
    poses: NDArray[np.float32],
    features: NDArray[np.float32],
    cells: NDArray[np.int64],
    limit: float,
) -> NDArray[np.bool_]:
    n, dims = cells.shape
    keep = np.zeros(n, np.bool_)
    size = 1
    while size < 2 * n:
        size *= 2
    head = np.full(size, -1, np.int32)  # last kept pose of each bucket
    following = np.full(n, -1, np.int32)  # the one before it
    limit2 = limit * limit
    neighbour = np.empty(dims, np.int64)
    n_neighbours = 3**dims
    last = -1
    for row in range(n):
        near = last >= 0 and _nearer(poses, features, row, last, limit2)
        code = 0
        while not near and code < n_neighbours:
            rest = code
            for i in range(dims):
                neighbour[i] = cells[row, i] + rest % 3 - 1
                rest //= 3
            other = head[_hash_cell(neighbour, size - 1)]
            while other >= 0:
                if _nearer(poses, features, row, other, limit2):
                    near = True
                    last = other
                    break
                other = following[other]
            code += 1
        if not near:
            keep[row] = True
            bucket = _hash_cell(cells[row], size - 1)
            following[row] = head[bucket]
            head[bucket] = row
            last = row
    return keep
