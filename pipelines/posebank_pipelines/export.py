"""Export: labels and shards in the forms that other training code reads."""

from __future__ import annotations

from pathlib import Path

from posebank.artefacts import read_manifest
from posebank.export import export_webdataset, write_coco, write_npz
from posebank.workspace import image_roots, load_labels

FORMATS = ("coco", "npz", "webdataset")


def export(workspace: Path, form: str, output: Path) -> list[Path]:
    """Write the workspace's labels as COCO keypoints or npz, or its shards as WebDataset.

    Parameters
    ----------
    form : one of ``FORMATS``.
    output : a file for ``coco`` and ``npz``, a folder for ``webdataset`` (every split).

    Returns
    -------
    The files written.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    if form == "webdataset":
        output.mkdir(exist_ok=True)
        parts = read_manifest(workspace / "shards", "shards").tables
        splits = sorted({part.name.rsplit("-", 1)[0] for part in parts})
        roots = image_roots(workspace)
        return [
            file
            for split in splits
            for file in export_webdataset(workspace / "shards", output, split, image_roots=roots)
        ]
    write = {"coco": write_coco, "npz": write_npz}[form]
    write(load_labels(workspace), output)
    return [output]
