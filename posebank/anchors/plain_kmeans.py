"""The K-means of scikit-learn: what ours is compared with, and can be replaced by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.anchors.kmeans import Clusters, TooFewPointsError


def sklearn_kmeans(
    points: NDArray[np.float32], k: int, *, restarts: int = 4, seed: int = 0
) -> Clusters:
    """Cluster points (n, d) around ``k`` centers with scikit-learn's Lloyd iterations.

    Parameters
    ----------
    points : array
        Finite points.
    k : int
        Number of centers.
    restarts : int
        Starts by k-means++ on all points; the best is kept.
    seed : int
        Seed of the starts.

    Returns
    -------
    Clusters
        As ``kmeans`` returns them; ``iterations`` are those of the best start.

    Raises
    ------
    TooFewPointsError
        If there are fewer than ``k`` distinct points.

    Examples
    --------
    >>> points = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> sorted(sklearn_kmeans(points, 2).centers.ravel().round(2).tolist())
    [0.05, 5.05]
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415 - its import takes half a second

    n_distinct = len(np.unique(points, axis=0))
    if n_distinct < k:
        raise TooFewPointsError(f"expected at least {k} distinct points, found {n_distinct}")
    # In float64 the centers are the means of their points to the last digits.
    model = KMeans(k, n_init=restarts, random_state=seed, max_iter=1000, tol=0)
    model.fit(np.asarray(points, np.float64))
    return Clusters(
        centers=model.cluster_centers_,
        labels=model.labels_.astype(np.int32),
        count=np.bincount(model.labels_, minlength=k),
        inertia=float(model.inertia_),
        iterations=int(model.n_iter_),
    )
