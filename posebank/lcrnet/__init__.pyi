"""Names of ``posebank.lcrnet`` and the modules that they are in."""

from .devices import Processes as Processes
from .devices import processes as processes
from .integration import integrate as integrate
from .integration import nms as nms
from .predictor import Predictor as Predictor
from .predictor import predict_images as predict_images
from .predictor import predict_shards as predict_shards
from .settings import IntegrationSettings as IntegrationSettings
from .settings import TrainSettings as TrainSettings
from .settings import preset as preset
from .trainer import TrainResult as TrainResult
from .trainer import train as train
