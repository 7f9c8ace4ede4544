"""Labels from matches: camera priors, estimators of the 3D pose, completion of joints, trust."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
