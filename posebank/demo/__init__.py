"""Generated demo data in the original formats, with the truth known, and its scoring."""

from posebank.demo.sources import DemoSize, DemoSources, write_demo_sources

__all__ = ["DemoSize", "DemoSources", "write_demo_sources"]
