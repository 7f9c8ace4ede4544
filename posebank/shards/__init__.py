"""Parquet shards of labelled images: write them, read them, train on them.

The names that need torch are imported when they are first used, so that writing shards and the
command line do not wait for it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
