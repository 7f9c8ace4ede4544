"""Names of ``posebank.matching`` and the modules that they are in."""

from .error_statistics import matching_error as matching_error
from .matcher import match as match
from .settings import DEVICES as DEVICES
from .settings import MATCHERS as MATCHERS
from .settings import MatchSettings as MatchSettings
from .views import ViewIndex as ViewIndex
from .views import build_index as build_index
from .views import load_index as load_index
