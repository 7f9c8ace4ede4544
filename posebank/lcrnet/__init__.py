"""LCR-Net (Rogez, Weinzaepfel, Schmid, CVPR 2017): model, training, use. Reads the shards."""

from posebank.lcrnet.devices import Processes, processes
from posebank.lcrnet.integration import integrate, nms
from posebank.lcrnet.predictor import Predictor, predict_images, predict_shards
from posebank.lcrnet.settings import IntegrationSettings, TrainSettings, preset
from posebank.lcrnet.trainer import TrainResult, train

__all__ = [
    "IntegrationSettings",
    "Predictor",
    "Processes",
    "TrainResult",
    "TrainSettings",
    "integrate",
    "nms",
    "predict_images",
    "predict_shards",
    "preset",
    "processes",
    "train",
]
