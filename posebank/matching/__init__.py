"""Match annotated people with the poses of a bank."""

from posebank.matching.error_statistics import matching_error
from posebank.matching.matcher import match
from posebank.matching.settings import DEVICES, MATCHERS, MatchSettings
from posebank.matching.views import ViewIndex, build_index, load_index

__all__ = [
    "DEVICES",
    "MATCHERS",
    "MatchSettings",
    "ViewIndex",
    "build_index",
    "load_index",
    "match",
    "matching_error",
]
