"""Versions that matter for a result or for a report of a fault."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from posebank import __version__

_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "pyarrow",
    "scikit-learn",
    "faiss-gpu",
    "faiss-cpu",
    "dask",
    "torch",
    "torchvision",
)


def versions() -> dict[str, str]:
    """Return the versions of posebank, Python, and the installed packages that compute results."""
    found = {"posebank": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def versions_text() -> str:
    """Return the versions as one line a package, and the operating system."""
    lines = [f"{name} {number}" for name, number in versions().items()]
    return "\n".join([*lines, platform.platform()])
