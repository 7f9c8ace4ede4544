"""LCR-Net (Rogez, Weinzaepfel, Schmid, CVPR 2017): model, training, use. Reads the shards."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
