"""Names of the package and the modules that they are in."""

from .api import label as label
from .api import match as match
from .api import plot_label as plot_label
from .demo.sample import sample_data as sample_data
from .types import Labels as Labels
from .types import Matches as Matches
from .types import People as People
from .types import PoseBank as PoseBank
from .workspace import load_anchors as load_anchors
from .workspace import load_bank as load_bank
from .workspace import load_labels as load_labels
from .workspace import load_matches as load_matches
from .workspace import load_people as load_people

__version__: str
