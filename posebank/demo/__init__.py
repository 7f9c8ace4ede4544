"""Generated demo data in the original formats, with the truth known, and its scoring."""

from posebank.demo.score import (
    DemoTruth,
    LabelErrors,
    label_errors,
    load_truth,
    score_labels,
    score_predictions,
    trust_reliability,
)
from posebank.demo.sources import DemoSize, DemoSources, demo_sources, write_demo_sources

__all__ = [
    "DemoSize",
    "DemoSources",
    "DemoTruth",
    "LabelErrors",
    "demo_sources",
    "label_errors",
    "load_truth",
    "score_labels",
    "score_predictions",
    "trust_reliability",
    "write_demo_sources",
]
