"""Settings of labelling."""

from __future__ import annotations

from dataclasses import dataclass

from posebank.errors import SettingsError

ESTIMATORS = ("nearest", "posterior", "mixture")
CAMERAS = ("fitted", "photographs", "level", "any")
"""Names of the camera priors; with ``any``, which is none, all cameras are alike."""


@dataclass(frozen=True)
class LabelSettings:
    """How the 3D pose of a person is made of the matches.

    estimator : ``nearest`` (the paper's: the best match as it is), ``posterior`` (many candidates,
        weighted by likelihood and corrected by the annotated joints: their median) or ``mixture``
        (the weighted mean of ``posterior`` and of a lifting network trained on the bank).
    lifter_steps : training steps of the network of ``mixture``.
    ambiguity_margin : candidates whose ``error_norm`` is within this of the best count as equally
        good when the ambiguity is measured.
    """

    estimator: str = "posterior"
    lifter_steps: int = 3000
    ambiguity_margin: float = 0.05

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise SettingsError(
                f"estimator: expected one of {', '.join(ESTIMATORS)}, found {self.estimator!r}"
            )
        if self.lifter_steps < 2:
            raise SettingsError(f"lifter_steps: expected at least 2, found {self.lifter_steps}")
        if not self.ambiguity_margin >= 0:
            raise SettingsError(
                f"ambiguity_margin: expected at least 0, found {self.ambiguity_margin}"
            )
