"""Export: labels and shards in the forms that other training code reads."""

from __future__ import annotations

from pathlib import Path

from posebank.artefacts import one_version, read_manifest
from posebank.export import export_coco, export_webdataset, write_npz
from posebank.workspace import image_roots, load_labels

FORMATS = ("coco", "npz", "webdataset")


def export(workspace: Path, form: str, output: Path) -> list[Path]:
    """Write the workspace's labels as COCO keypoints or npz, or its shards as WebDataset.

    Parameters
    ----------
    workspace : Path
        Workspace folder.
    form : str
        One of ``FORMATS``.
    output : Path
        A file for ``npz``, a file or folder for ``coco`` (a file for every split), a folder
        for ``webdataset`` (every split).

    Returns
    -------
    The files written.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    if form == "webdataset":
        output.mkdir(exist_ok=True)
        shards = workspace / "shards"
        manifest = read_manifest(shards, "shards")
        splits = sorted({part.name.rsplit("-", 1)[0] for part in manifest.tables})
        roots = image_roots(workspace)
        with one_version(shards, manifest):
            return [
                file
                for split in splits
                for file in export_webdataset(shards, output, split, image_roots=roots)
            ]
    if form == "coco":
        return export_coco(workspace, output)
    write_npz(load_labels(workspace), output)
    return [output]
