"""Pictures and the HTML report.

The names are imported when they are first used: Matplotlib, which they need, is an extra.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
