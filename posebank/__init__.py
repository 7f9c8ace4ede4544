"""posebank: motion capture and 2D annotations into 2D + 3D pose labels, and LCR-Net on them.

``import posebank as pb`` is quick: a name is imported when it is first used.

>>> import posebank as pb
>>> data = pb.sample_data()
>>> labels = pb.label(data.bank, data.people)
>>> bool((labels.trust > 0).all())
True
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
