"""Parquet shards of labelled images: write them, read them, train on them.

The names that need torch are imported when they are first used, so that writing shards and the
command line do not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from posebank.shards.card import dataset_card
from posebank.shards.plan import ShardPlan, ShardSettings, plan_shards
from posebank.shards.read import ShardFiles, ShardFilter
from posebank.shards.write import shard_table

if TYPE_CHECKING:
    from posebank.shards.augment import flip_sample
    from posebank.shards.dataset import PoseShards

_WITH_TORCH = {
    "PoseShards": "posebank.shards.dataset",
    "flip_sample": "posebank.shards.augment",
}

__all__ = [
    "PoseShards",
    "ShardFiles",
    "ShardFilter",
    "ShardPlan",
    "ShardSettings",
    "dataset_card",
    "flip_sample",
    "plan_shards",
    "shard_table",
]


def __getattr__(name: str) -> Any:
    if name in _WITH_TORCH:
        return getattr(import_module(_WITH_TORCH[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
