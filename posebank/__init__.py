"""posebank: motion capture and 2D annotations into 2D + 3D pose labels, and LCR-Net on them."""

__version__ = "0.1.0"
