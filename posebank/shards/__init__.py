"""Parquet shards: images with their labelled people; written, described, read by torch."""

from posebank.shards.card import dataset_card
from posebank.shards.dataset import PoseShards, Sample, flip_sample
from posebank.shards.write import ShardPlan, ShardSettings, plan_shards, shard_table

__all__ = [
    "PoseShards",
    "Sample",
    "ShardPlan",
    "ShardSettings",
    "dataset_card",
    "flip_sample",
    "plan_shards",
    "shard_table",
]
