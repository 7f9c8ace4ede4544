"""Labels and shards in the forms that other programs read: COCO, npz and WebDataset."""

from posebank.export.labels import write_coco, write_npz
from posebank.export.webdataset import export_webdataset

__all__ = ["export_webdataset", "write_coco", "write_npz"]
