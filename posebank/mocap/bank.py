"""From clips to the pose bank: settings, poses of a clip, mirror images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from posebank.errors import SettingsError
from posebank.mocap.duplicates import DistinctPoses, canonical_order, drop_near_duplicates
from posebank.mocap.limbs import ADULT_LIMBS_M, RIGID_LIMBS, limb_lengths, limb_name, retargeted
from posebank.mocap.resampling import resample
from posebank.mocap.screening import jumped_frames, still_frames
from posebank.skeleton import centred, mirrored_3d
from posebank.types import MotionClip, PoseBank, texts

__all__ = [
    "BankSettings",
    "ClipStats",
    "DistinctPoses",
    "add_mirrored",
    "canonical_order",
    "drop_near_duplicates",
    "poses_from_clip",
]

_SHORT_TAKE_S = 0.1


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
    retarget : put every pose on the limbs of one adult (``posebank.mocap.limbs.ADULT_LIMBS_M``).
    """

    fps: float = 10.0
    min_distance_mm: float = 50.0
    mirror: bool = True
    max_speed: float = 30.0
    limb_tolerance: float = 0.20
    max_still_s: float = 0.5
    retarget: bool = False

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
    lost, notes : what was set aside, and what was guessed or completed, while reading.
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
    notes: tuple[str, ...] = ()


def poses_from_clip(clip: MotionClip, settings: BankSettings) -> tuple[PoseBank, ClipStats]:
    """Screen a clip, resample it and take its poses.

    Parameters
    ----------
    clip : MotionClip
        Clip of any frame rate.
    settings : BankSettings
        How clips become poses; near-duplicates and mirror images are not dealt with here.

    Returns
    -------
    The poses, relative to their body centre, world axes kept, in the order of time, and the counts.
    """
    body = centred(clip.joints)
    lengths = limb_lengths(clip.joints)
    usual = np.median(lengths, axis=0) if len(lengths) else np.zeros(len(RIGID_LIMBS))
    stretched = np.any(np.abs(lengths - usual) > settings.limb_tolerance * usual, axis=1)
    reach, short = settings.max_speed / clip.fps, max(2, round(_SHORT_TAKE_S * clip.fps))
    jumped, take = jumped_frames(body, clip.frames, reach, short, ~stretched)
    still = still_frames(clip.joints, max(1, round(settings.max_still_s * clip.fps)))
    still &= ~(jumped | stretched)
    good = ~(stretched | jumped | still)
    joints, frames, times = resample(
        body[good], clip.frames[good], clip.fps, settings.fps, take=take[good]
    )
    if settings.retarget and len(joints):
        joints = retargeted(joints, usual, ADULT_LIMBS_M)
    if len(clip.frames):
        times = times - clip.frames[0] / clip.fps
    bank = PoseBank.from_joints(
        joints,
        dataset=clip.dataset,
        subject=clip.subject,
        clip=clip.name,
        frame=frames,
        time_s=times,
        source_sha256=clip.source_sha256,
    )
    limbs = {limb_name(limb): float(v) * 1000 for limb, v in zip(RIGID_LIMBS, usual, strict=True)}
    stats = ClipStats(
        clip.name,
        clip.subject,
        clip.fps,
        len(clip.frames),
        int(jumped.sum()),
        int(stretched.sum()),
        int(still.sum()),
        len(bank),
        limbs,
        clip.lost,
        clip.notes,
    )
    return bank, stats


def add_mirrored(bank: PoseBank) -> PoseBank:
    """Return the poses and their mirror images, in canonical order.

    Examples
    --------
    >>> bank = PoseBank.from_joints(np.random.default_rng(0).normal(size=(2, 13, 3)), dataset="own")
    >>> add_mirrored(bank).mirrored.tolist()
    [False, True, False, True]
    """
    originals = bank.take(~bank.mirrored)
    mirrored = replace(
        originals,
        pose_id=texts(f"{i}m" for i in originals.pose_id),
        mirrored=np.ones(len(originals), np.bool_),
        joints_3d=mirrored_3d(originals.joints_3d),
    )
    both = PoseBank.concat([originals, mirrored])
    return both.take(canonical_order(both))
