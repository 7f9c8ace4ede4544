"""Download public data sets, or say how to get those that need a registration."""

from posebank.fetch.catalogue import DOWNLOADS, Download, Expected
from posebank.fetch.datasets import FetchPlan, check_layout, fetch, plan
from posebank.fetch.transfer import Retries

__all__ = [
    "DOWNLOADS",
    "Download",
    "Expected",
    "FetchPlan",
    "Retries",
    "check_layout",
    "fetch",
    "plan",
]
