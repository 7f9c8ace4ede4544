"""Labels and shards in the forms that other programs read: COCO, npz and WebDataset."""

from posebank.export.coco import coco_of_people, coco_of_source, people_of, write_coco
from posebank.export.npz import write_npz
from posebank.export.webdataset import export_webdataset
from posebank.export.workspace import export_coco

__all__ = [
    "coco_of_people",
    "coco_of_source",
    "export_coco",
    "export_webdataset",
    "people_of",
    "write_coco",
    "write_npz",
]
