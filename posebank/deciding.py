"""Which settings decide a result: marked on the fields of the settings classes.

A stage is up to date while the settings that decide its result are the same. A field that only says
where or how fast the result is computed carries ``metadata=SPEED_ONLY``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

SPEED_ONLY: Mapping[str, Any] = {"speed_only": True}
"""Metadata of a field that does not change the result."""

OF_VIEWS: Mapping[str, Any] = {"of_views": True}
"""Metadata of a field that decides which views of the bank are sampled."""


def deciding(settings: Any, only: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings that decide the result, as plain values.

    Parameters
    ----------
    settings : Any
        A settings dataclass; a settings dataclass inside it is treated in the same way.
    only : mapping or None
        Take only the fields with this metadata (``OF_VIEWS``); None takes all but
        ``SPEED_ONLY``.

    Examples
    --------
    >>> from posebank.matching import MatchSettings
    >>> "device" in deciding(MatchSettings())
    False
    >>> sorted(deciding(MatchSettings(), only=OF_VIEWS))
    ['limits', 'n_views', 'probes', 'seed']
    """
    chosen = [field for field in fields(settings) if not _marked(field.metadata, SPEED_ONLY)]
    if only is not None:
        chosen = [field for field in chosen if _marked(field.metadata, only)]
    return {field.name: _plain(getattr(settings, field.name)) for field in chosen}


def _marked(metadata: Mapping[str, Any], mark: Mapping[str, Any]) -> bool:
    return mark.items() <= metadata.items()


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return deciding(value)
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    return value
