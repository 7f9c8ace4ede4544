"""Parquet shards of labelled images: write them, read them, train on them.

The names that need torch are imported when they are first used, so that writing shards and the
command line do not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from posebank.shards.card import dataset_card
from posebank.shards.describe import describe_shards
from posebank.shards.plan import ShardPlan, ShardSettings, plan_shards
from posebank.shards.read import ShardFiles, ShardFilter
from posebank.shards.write import IMAGE_COLUMNS, shard_table, write_anchors

if TYPE_CHECKING:
    from posebank.shards.augment import Augmentation, crop_sample, flip_sample, resize_sample
    from posebank.shards.batch import collate_samples
    from posebank.shards.dataset import PoseShards
    from posebank.shards.stream import PoseStream

_WITH_TORCH = {
    "Augmentation": "posebank.shards.augment",
    "PoseShards": "posebank.shards.dataset",
    "PoseStream": "posebank.shards.stream",
    "collate_samples": "posebank.shards.batch",
    "crop_sample": "posebank.shards.augment",
    "flip_sample": "posebank.shards.augment",
    "resize_sample": "posebank.shards.augment",
}

__all__ = [
    "IMAGE_COLUMNS",
    "Augmentation",
    "PoseShards",
    "PoseStream",
    "ShardFiles",
    "ShardFilter",
    "ShardPlan",
    "ShardSettings",
    "collate_samples",
    "crop_sample",
    "dataset_card",
    "describe_shards",
    "flip_sample",
    "plan_shards",
    "resize_sample",
    "shard_table",
    "write_anchors",
]


def __getattr__(name: str) -> Any:
    if name in _WITH_TORCH:
        return getattr(import_module(_WITH_TORCH[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
