"""Motion capture: ASF/AMC, BVH and C3D readers, the data sets' quirks, clips into the bank."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
