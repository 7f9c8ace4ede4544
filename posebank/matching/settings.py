"""Settings of matching."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from posebank.deciding import OF_VIEWS, SPEED_ONLY
from posebank.errors import SettingsError
from posebank.geometry.camera_prior import CameraPrior
from posebank.geometry.cameras import CameraLimits

MATCHERS = ("views", "refined", "viewfree")
DEVICES = ("auto", "cpu", "cuda")
MAX_K = 2048  # what FAISS gives on a GPU; the same everywhere


def default_limits(matcher: str) -> CameraLimits:
    """Return the cameras that a matcher considers by default."""
    return CameraLimits.free() if matcher == "viewfree" else CameraLimits()


@dataclass(frozen=True)
class MatchSettings:
    """How the best poses and cameras of a person are found.

    matcher : ``views`` (the paper's: nearest among sampled views), ``refined`` (the same, then the
        camera of each of the k best is optimised) or ``viewfree`` (best over every camera).
    k : poses kept per person, at most 2048.
    n_views : sampled cameras of ``views`` and ``refined``, the same for every pose.
    probes : of an index of ``views``: lists of its inverted file that are searched. 0 searches
        every view, exactly; more is faster on large banks, with a recall that is measured when
        the index is built.
    limits : cameras allowed: every one by default, and for ``views`` and ``refined``, whose views
        are drawn within them, ``CameraLimits()``.
    prior : which cameras are likely, None for no difference. With a prior (of ``viewfree``) poses
        are ranked by its cost.
    min_distance_mm : the k poses differ pairwise by at least this (RMS over the 13 joints, as seen
        by their cameras), so that k hypotheses mean something.
    min_annotated : people with fewer annotated joints are set aside.
    seed : of the sampled views.
    device : ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``; the matches are the same.
    """

    matcher: str = "viewfree"
    k: int = 100
    n_views: int = field(default=128, metadata=OF_VIEWS)
    probes: int = field(default=0, metadata=OF_VIEWS)
    limits: CameraLimits = field(default=None, metadata=OF_VIEWS)  # type: ignore[assignment]
    prior: CameraPrior | None = None
    min_distance_mm: float = 20.0
    min_annotated: int = 4
    seed: int = field(default=0, metadata=OF_VIEWS)
    device: str = field(default="auto", metadata=SPEED_ONLY)

    def __post_init__(self) -> None:
        if self.matcher not in MATCHERS:
            raise SettingsError(
                f"matcher: expected one of {', '.join(MATCHERS)}, found {self.matcher!r}"
            )
        if self.limits is None:
            object.__setattr__(self, "limits", default_limits(self.matcher))
        if self.prior is not None and self.matcher != "viewfree":
            raise SettingsError(f"prior: expected the matcher viewfree, found {self.matcher}")
        if self.device not in DEVICES:
            raise SettingsError(
                f"device: expected one of {', '.join(DEVICES)}, found {self.device!r}"
            )
        if not 1 <= self.k <= MAX_K:
            raise SettingsError(f"k: expected 1 to {MAX_K}, found {self.k}")
        if self.n_views < 1:
            raise SettingsError(f"n_views: expected at least 1, found {self.n_views}")
        if self.probes < 0:
            raise SettingsError(f"probes: expected 0 or more, found {self.probes}")
        if not (math.isfinite(self.min_distance_mm) and self.min_distance_mm >= 0):
            raise SettingsError(
                f"min_distance_mm: expected a distance, found {self.min_distance_mm}"
            )
        if self.min_annotated < 3:
            raise SettingsError(
                "min_annotated: expected at least 3 (two joints fit any pose), "
                f"found {self.min_annotated}"
            )
