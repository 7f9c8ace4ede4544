"""What may differ between two evaluators, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from posebank.errors import SettingsError
from posebank.geometry.joint_errors import ROOTS, Root

Selection = Literal["iou", "overlap", "centre", "score"]
SELECTIONS: tuple[Selection, ...] = ("iou", "overlap", "centre", "score")
Unannotated = Literal["false_positive", "ignore"]


@dataclass(frozen=True)
class EvaluationSettings:
    """Settings of ``evaluate``; each is written beside the numbers.

    threshold : of PCKh and mAP, in head sizes. torso_threshold : of PCK, in torso sizes.
    strict : a joint is right if its distance is below the threshold, rather than at most it.
    visible_only : score only joints marked visible; by default occluded ones count as well.
    root : subtracted before the absolute 3D error: body_centre, mid_hip or none.
    selection, min_iou, exclusive : see ``posebank.evaluation.selection``.
    head_fallback : whether a person without a head box gets a head size from its joints.
    ignore_unannotated : leave joints without annotation out of mAP; the official evaluator counts
        those of an assigned prediction as false positives.
    group_margin : how far outside the box of a group's people a prediction's centre may lie to
        belong to the group, in units of the box's longer side.
    min_score : predictions scored below it are left out; None keeps all.
    bootstrap : replicates for the intervals (images are drawn), 0 for none. confidence : of them.
    """

    threshold: float = 0.5
    torso_threshold: float = 0.2
    strict: bool = False
    visible_only: bool = False
    root: str = "body_centre"
    selection: str = "overlap"
    min_iou: float = 0.5
    exclusive: bool = False
    head_fallback: bool = True
    ignore_unannotated: bool = False
    group_margin: float = 0.1
    min_score: float | None = None
    bootstrap: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.root not in ROOTS:
            raise SettingsError(f"root: expected {', '.join(ROOTS)}, found {self.root!r}")
        if self.selection not in SELECTIONS:
            raise SettingsError(
                f"selection: expected {', '.join(SELECTIONS)}, found {self.selection!r}"
            )
        for name in ("threshold", "torso_threshold"):
            if not getattr(self, name) > 0:
                raise SettingsError(
                    f"{name}: expected a positive number, found {getattr(self, name)}"
                )
        if not isinstance(self.min_score, int | float | None):
            raise SettingsError(f"min_score: expected a number, found {self.min_score!r}")
        if not 0 < self.confidence < 1:
            raise SettingsError(f"confidence: expected within (0, 1), found {self.confidence}")
        if self.bootstrap < 0:
            raise SettingsError(f"bootstrap: expected 0 or more, found {self.bootstrap}")

    @property
    def root_name(self) -> Root:
        """``root`` with its own type."""
        return cast(Root, self.root)

    @property
    def selection_rule(self) -> Selection:
        """``selection`` with its own type."""
        return cast(Selection, self.selection)

    @property
    def unannotated(self) -> Unannotated:
        """What joints without annotation are in mAP."""
        return "ignore" if self.ignore_unannotated else "false_positive"
