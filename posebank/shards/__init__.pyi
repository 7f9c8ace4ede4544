"""Names of ``posebank.shards`` and the modules that they are in."""

from .augment import Augmentation as Augmentation
from .augment import crop_sample as crop_sample
from .augment import flip_sample as flip_sample
from .augment import resize_sample as resize_sample
from .augment import turn_sample as turn_sample
from .batch import collate_samples as collate_samples
from .card import dataset_card as dataset_card
from .card import hub_readme as hub_readme
from .dataset import PoseShards as PoseShards
from .describe import describe_shards as describe_shards
from .plan import ShardPlan as ShardPlan
from .plan import ShardSettings as ShardSettings
from .plan import plan_shards as plan_shards
from .read import ShardFiles as ShardFiles
from .read import ShardFilter as ShardFilter
from .stream import PoseStream as PoseStream
from .write import shard_table as shard_table
from .write import write_anchors as write_anchors
from .write import write_shard as write_shard
