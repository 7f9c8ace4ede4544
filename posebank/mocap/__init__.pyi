"""Names of ``posebank.mocap`` and the modules that they are in."""

from .bank import BankSettings as BankSettings
from .bank import ClipStats as ClipStats
from .bank import DistinctPoses as DistinctPoses
from .bank import add_mirrored as add_mirrored
from .bank import drop_near_duplicates as drop_near_duplicates
from .bank import poses_from_clip as poses_from_clip
from .inspection import describe_clip as describe_clip
from .inspection import describe_skeleton as describe_skeleton
from .inspection import suggest_joints as suggest_joints
from .options import ReadOptions as ReadOptions
from .options import read_joint_map as read_joint_map
from .sources import DATASETS as DATASETS
from .sources import ClipSource as ClipSource
from .sources import discover as discover
from .sources import read_clip as read_clip
from .statistics import limbs_by_subject as limbs_by_subject
