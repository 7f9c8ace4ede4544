"""posebank: motion capture and 2D annotations into 2D + 3D pose labels, and LCR-Net on them.

``import posebank as pb`` is quick: what is listed here is imported when it is first used.

>>> import posebank as pb
>>> data = pb.sample_data()
>>> labels = pb.label(data.bank, data.people)
>>> bool((labels.trust > 0).all())
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Labels": "types",
    "Matches": "types",
    "People": "types",
    "PoseBank": "types",
    "label": "api",
    "match": "api",
    "plot_label": "api",
    "load_anchors": "workspace",
    "load_bank": "workspace",
    "load_labels": "workspace",
    "load_matches": "workspace",
    "load_people": "workspace",
    "sample_data": "demo.sample",
}
"""Public name -> the module that holds it."""

__all__ = ["__version__", *_HOME]  # noqa: PLE0604 - the names of the table above

if TYPE_CHECKING:
    from posebank.api import label as label
    from posebank.api import match as match
    from posebank.api import plot_label as plot_label
    from posebank.demo.sample import sample_data as sample_data
    from posebank.types import Labels as Labels
    from posebank.types import Matches as Matches
    from posebank.types import People as People
    from posebank.types import PoseBank as PoseBank
    from posebank.workspace import load_anchors as load_anchors
    from posebank.workspace import load_bank as load_bank
    from posebank.workspace import load_labels as load_labels
    from posebank.workspace import load_matches as load_matches
    from posebank.workspace import load_people as load_people


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'posebank' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"posebank.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
