"""Trust: the probability that a label's 3D pose is right to within 150 mm.

The logarithm of the mean joint error (unaligned) is predicted by a linear regression on the
logarithms of features that are known without the truth, and the prediction is turned into a
probability by isotonic regression. ``benchmarks/bench_labels.py trust --fit`` fits the models to
CMU and HDM05 actors, each left out of the bank, seen by level, rolled and any cameras. Those in
``trust_models.json`` are older: they were fitted before there were camera priors, mostly to cameras
within the former default limits (docs/matching.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebank.labelling.estimators import Posterior
from posebank.skeleton import N_JOINTS
from posebank.types import Matches

Array = NDArray[np.float64]

TRUSTED_MM = 150.0
FEATURES = ("error_norm", "margin", "missing", "uncertain_mm", "reach_mm", "effective")
RESIDUAL_MM = 200.0
"""Uncertainty that an ``error_norm`` of 1 adds: candidates that agree may all be wrong."""
_KNOTS = 33  # of the probability, which is linear between them
_LEAST = 0.01  # no label is certainly right or wrong
_MODELS = Path(__file__).with_name("trust_models.json")


@dataclass(frozen=True)
class TrustModel:
    """A model of the error of labels.

    Attributes
    ----------
    coefficients : tuple of float
        Of ``[1, log features]``, for the logarithm of the error in millimetres.
    expected : tuple of float
        Predicted logarithms, increasing.
    probability : tuple of float
        Of an error below 150 mm at each of them, decreasing; linear in between.
    """

    coefficients: tuple[float, ...]
    expected: tuple[float, ...]
    probability: tuple[float, ...]

    def expected_mm(self, features: Array) -> Array:
        """Return the predicted error (n,) in millimetres for features (n, 6)."""
        return np.asarray(np.exp(self._predict(features)))

    def trust(self, features: Array) -> Array:
        """Return the probability (n,) of an error below 150 mm for features (n, 6)."""
        return np.asarray(np.interp(self._predict(features), self.expected, self.probability))

    def _predict(self, features: Array) -> Array:
        return np.asarray(self.coefficients[0] + _logs(features) @ self.coefficients[1:])


@cache
def load_models() -> Mapping[str, TrustModel]:
    """Return the fitted models by estimator."""
    stored = json.loads(_MODELS.read_text(encoding="utf-8"))
    return {
        name: TrustModel(**{key: tuple(values) for key, values in model.items()})
        for name, model in stored.items()
    }


def save_models(models: Mapping[str, TrustModel]) -> None:
    """Write models by estimator into the package."""
    lines = [f' "{name}": {json.dumps(asdict(model))}' for name, model in models.items()]
    _MODELS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def trust_features(matches: Matches, estimate: Posterior) -> Array:
    """Return the features (n, 6) of the trust model.

    They are the best ``error_norm`` in perspective; the margin to that of the worst candidate; the
    number of missing joints plus 1; the spread of the posterior together with the residual; its
    reach; and the effective number of candidates.

    Parameters
    ----------
    matches : Matches
        Matches of the people.
    estimate : Posterior
        Of these matches.
    """
    best = estimate.error_norm.min(axis=1)
    finite = np.isfinite(estimate.error_norm)
    worst = np.where(finite, estimate.error_norm, 0.0).max(axis=1)
    return np.column_stack(
        [
            best,
            worst - best,
            N_JOINTS + 1 - matches.n_annotated,
            np.hypot(estimate.spread_mm, RESIDUAL_MM * best),
            estimate.reach_mm,
            1 / (estimate.weight**2).sum(axis=1),
        ]
    )


def fit_trust(features: Array, errors_mm: Array) -> TrustModel:
    """Fit a model to the errors of labels whose truth is known.

    Parameters
    ----------
    features : (n, 6)
        Of ``trust_features``.
    errors_mm : (n,)
        Mean joint errors, millimetres.
    """
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - only a fit needs it
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    regression = LinearRegression().fit(_logs(features), np.log(errors_mm))
    coefficients = np.round([regression.intercept_, *regression.coef_], 4)
    predicted = coefficients[0] + _logs(features) @ coefficients[1:]
    isotonic = IsotonicRegression(
        y_min=_LEAST, y_max=1 - _LEAST, increasing=False, out_of_bounds="clip"
    ).fit(predicted, errors_mm < TRUSTED_MM)
    # At the means of equal parts of the people, so that no step of few people stands out.
    parts = np.array_split(np.sort(predicted), _KNOTS)
    expected = np.array([part.mean() for part in parts if len(part)])
    probability = np.array([isotonic.predict(part).mean() for part in parts if len(part)])
    return TrustModel(
        *(tuple(map(float, np.round(v, 4))) for v in (coefficients, expected, probability))
    )


def _logs(features: Array) -> Array:
    return np.asarray(np.log(np.maximum(features, 1e-3)))
