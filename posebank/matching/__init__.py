"""Matching people with the bank's poses over every camera, and labelling them."""

from posebank.matching.errors import matching_error
from posebank.matching.labels import label
from posebank.matching.matcher import match
from posebank.matching.settings import DEVICES, ESTIMATORS, MATCHERS, LabelSettings, MatchSettings
from posebank.matching.views import ViewIndex, build_index, load_index

__all__ = [
    "DEVICES",
    "ESTIMATORS",
    "MATCHERS",
    "LabelSettings",
    "MatchSettings",
    "ViewIndex",
    "build_index",
    "label",
    "load_index",
    "match",
    "matching_error",
]
