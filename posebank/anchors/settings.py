"""Settings of the anchor-poses."""

from __future__ import annotations

from dataclasses import dataclass, field

from posebank.errors import SettingsError
from posebank.geometry.cameras import CameraLimits

SOURCES = ("labels", "bank")
ALGORITHMS = ("posebank", "sklearn")


@dataclass(frozen=True)
class AnchorSettings:
    """How anchor-poses are made (paper, section 4.1).

    k : number of full-body anchor-poses; the paper uses 1, 50, 100, 200 and 500.
    upper_body : add an upper-body anchor-pose for each.
    source : cluster the poses of the ``labels``, or of the ``bank`` in random views.
    n_poses : poses to draw from the bank.
    limits : cameras of those views.
    mirrored, rotation_deg : cluster the labels as training with mirrored images, and with images
        rotated by up to this angle, shows them.
    algorithm : K-means of ``posebank`` (``anchors/kmeans.py``), or of ``sklearn``: slower, as all
        poses count from the first iteration on, and without ``mirror_closed``.
    restarts : starts of K-means; the best is kept.
    medoids : use the pose closest to each mean: a mean shortens limbs that move.
    mirror_closed : make a set in which each anchor-pose's mirror image is an anchor-pose too.
    seed : of everything random here.
    """

    k: int = 100
    upper_body: bool = True
    source: str = "labels"
    n_poses: int = 1_000_000
    limits: CameraLimits = field(default_factory=CameraLimits)
    mirrored: bool = False
    rotation_deg: float = 0.0
    algorithm: str = "posebank"
    restarts: int = 4
    medoids: bool = False
    mirror_closed: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise SettingsError(f"source: expected {' or '.join(SOURCES)}, found {self.source!r}")
        if self.algorithm not in ALGORITHMS:
            raise SettingsError(
                f"algorithm: expected {' or '.join(ALGORITHMS)}, found {self.algorithm!r}"
            )
        if self.algorithm == "sklearn" and self.mirror_closed:
            raise SettingsError(
                "mirror_closed: expected algorithm posebank beside it, found sklearn, whose "
                "K-means makes no mirrored pairs"
            )
        if not 0 <= self.rotation_deg <= 180:
            raise SettingsError(
                f"rotation_deg: expected an angle in [0, 180], found {self.rotation_deg}"
            )
        for name in ("k", "n_poses", "restarts"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}: expected at least 1, found {getattr(self, name)}")
        if self.medoids and self.mirror_closed and self.k % 2:
            raise SettingsError(
                f"k: expected an even number for mirror-closed medoids, found {self.k}: no pose of "
                "the data is its own mirror image"
            )
