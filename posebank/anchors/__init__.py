"""Anchor-poses: K-means over oriented, body-centred 3D poses."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
