"""Shards into other formats."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from posebank.artefacts import atomic_path, check_present, part_path, read_manifest
from posebank.errors import ArtefactError, SettingsError, SourceError
from posebank.images import read_image_file, upright_file
from posebank.parquet import damage_in, open_parquet

_BATCH = 16


def export_webdataset(
    folder: Path,
    out: Path,
    split: str,
    *,
    images_per_tar: int = 256,
    image_roots: Mapping[str, Path] | None = None,
) -> list[Path]:
    """Write one split as WebDataset tar files ``SPLIT-000000.tar`` and so on.

    Each image is a pair of members with one key: its file's bytes (``.jpg``, or what its name
    ends with), and ``.json`` with the other columns of the shard. Joints are nested lists,
    (13, 2) and (13, 3). Equal shards give byte-equal tar files.

    Parameters
    ----------
    folder : Path
        A finished ``shards`` artefact.
    out : Path
        An existing or new folder.
    split : str
        Split to export.
    images_per_tar : int
        Images in one tar file.
    image_roots : mapping or None
        Image folder of each data set, for shards that refer to images.

    Returns
    -------
    The files written.

    Raises
    ------
    ArtefactError
        If the shards are missing or damaged, hold no image of the split, or refer to an image
        that is not there.
    """
    if images_per_tar < 1:
        raise SettingsError(f"images_per_tar: expected at least 1, found {images_per_tar}")
    written: list[Path] = []
    rows = _rows(folder, split)
    row = next(rows, None)
    if row is None:
        raise ArtefactError(f"{folder}: expected images of the split {split!r}, found none")
    while row is not None:
        path = out / f"{split}-{len(written):06d}.tar"
        with atomic_path(path) as temporary, tarfile.open(temporary, "w") as tar:
            for number in range(images_per_tar):
                if row is None:
                    break
                _add_image(tar, f"{len(written):06d}{number:06d}", row, image_roots)
                row = next(rows, None)
        written.append(path)
    return written


def _rows(folder: Path, split: str) -> Iterator[dict[str, Any]]:
    """The rows of a split, in the order of the shards."""
    manifest = read_manifest(folder, "shards")
    for part in manifest.tables:
        path = part_path(folder, part)
        with damage_in(path), open_parquet(path) as file:
            check_present(folder, manifest.content)  # after opening: it is the same version
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from (row for row in batch.to_pylist() if row["split"] == split)


def _add_image(
    tar: tarfile.TarFile, key: str, row: dict[str, Any], image_roots: Mapping[str, Path] | None
) -> None:
    file = row.pop("image_file")
    data, path = file["bytes"], file["path"]
    if data is None:
        where = Path(path)
        if image_roots is not None:
            where = Path(image_roots[row["dataset"]]) / row["image"]
        try:
            data = upright_file(read_image_file(where), where)
        except SourceError as error:
            raise ArtefactError(str(error)) from error
    for person in row["people"]:
        for name, width in (("joints_2d", 2), ("joints_3d", 3), ("camera_rotation", 3)):
            flat = person[name]
            person[name] = [flat[i : i + width] for i in range(0, len(flat), width)]
    suffix = Path(row["image"]).suffix.lower() or ".jpg"
    # Shrunk images are JPEG whatever the name says.
    suffix = ".jpg" if data.startswith(b"\xff\xd8\xff") else suffix
    for name, content in ((suffix, data), (".json", json.dumps(row, sort_keys=True).encode())):
        member = tarfile.TarInfo(key + name)  # time 0, owner 0: equal bytes every time
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
