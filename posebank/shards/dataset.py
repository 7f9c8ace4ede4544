"""The shards as a torch data set."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.utils.data import Dataset

from posebank.artefacts import read_manifest
from posebank.errors import ArtefactError, SourceError
from posebank.schemas import SHARD_PERSON, column_array
from posebank.skeleton import MIRROR

Sample = dict[str, Any]

_PERSON_COLUMNS = (
    "person_id", "joints_2d", "joints_3d", "state", "trust", "error_mm", "anchor_id", "box",
    "head_box", "single_person", "group_id",
)  # fmt: skip


class PoseShards(Dataset[Sample]):
    """Map-style data set: one sample per image.

    Parameters
    ----------
    folder : a finished ``shards`` artefact.
    split : ``train``, ``val`` or ``test``; None is all.
    min_trust : people whose label is trusted less are left out; so are images with nobody left.
    decode : decode the images; without it ``image`` holds the file's bytes.

    Samples
    -------
    A dict of ``image`` (3, H, W) uint8 RGB, ``image_id``, ``person_id`` (list), ``joints_2d``
    (n, 13, 2) px, ``joints_3d`` (n, 13, 3) m, camera axes, ``state`` (n, 13) uint8, ``trust``,
    ``error_mm``, ``anchor_id`` (n,), ``box`` (n, 4), ``head_box`` (n, 4) with NaN where unknown,
    ``single_person`` (n,) int8 (-1 unknown) and ``group_id`` (list).

    Raises
    ------
    ArtefactError
        If the folder is not a finished ``shards`` artefact or has no image of the split.
    """

    def __init__(
        self,
        folder: Path,
        split: str | None = None,
        *,
        min_trust: float = 0.0,
        decode: bool = True,
    ) -> None:
        self.folder = Path(folder)
        self.split = split
        self.min_trust = min_trust
        self.decode = decode
        self._places: list[tuple[str, int, int]] = []  # file, row group, row in it
        manifest = read_manifest(self.folder, "shards")
        for part in manifest.parts:
            if part.name.endswith(".parquet") and (
                split is None or part.name.rsplit("-", 1)[0] == split
            ):
                self._places += self._kept_rows(part.name)
        if not self._places:
            raise ArtefactError(
                f"{self.folder}: expected images of split {split or 'any'} with a label of trust "
                f">= {min_trust}, found none"
            )

    def _kept_rows(self, name: str) -> list[tuple[str, int, int]]:
        file = pq.ParquetFile(self.folder / name)
        places = []
        for group in range(file.num_row_groups):
            # Only the one leaf column is read; the images stay on the disk.
            people = file.read_row_group(group, columns=["people.list.item.trust"]).column("people")
            for row, trusts in enumerate(people.to_pylist()):
                if any(p["trust"] >= self.min_trust for p in trusts):
                    places.append((name, group, row))
        return places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        name, group, row = self._places[index]
        table = _row_group(str(self.folder / name), group)
        return self._sample(table.slice(row, 1))

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def image_ids(self) -> list[str]:
        """``image_id`` of every sample, in order."""
        ids: dict[tuple[str, int], list[str]] = {}
        for name, group, _ in self._places:
            if (name, group) not in ids:
                file = pq.ParquetFile(self.folder / name)
                table = file.read_row_group(group, columns=["image_id"])
                ids[name, group] = table.column("image_id").to_pylist()
        return [ids[name, group][row] for name, group, row in self._places]

    def _sample(self, row: pa.Table) -> Sample:
        people = row.column("people").combine_chunks().flatten()
        table = pa.Table.from_arrays(people.flatten(), schema=pa.schema(list(SHARD_PERSON)))
        kept = np.asarray(table.column("trust").to_numpy() >= self.min_trust)
        sample: Sample = {"image_id": row.column("image_id")[0].as_py()}
        data = row.column("image_bytes")[0].as_py()
        path = row.column("image_path")[0].as_py()
        if data is None:
            data = _referenced(path)
        sample["image"] = decode_image(data, sample["image_id"]) if self.decode else data
        for column in _PERSON_COLUMNS:
            values = column_array(table, column)[kept]
            if values.dtype == object:
                sample[column] = values.tolist()
            else:
                wide = values.astype(np.int64) if column == "anchor_id" else values
                sample[column] = torch.from_numpy(np.array(wide))
        return sample


@lru_cache(maxsize=4)
def _row_group(path: str, group: int) -> pa.Table:
    """Neighbouring samples share a row group; keep the last few decompressed."""
    return pq.ParquetFile(path).read_row_group(group)


def _referenced(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SourceError(path, f"the shard refers to this image: {error}") from error


def decode_image(data: bytes, where: str) -> torch.Tensor:
    """Decode an image file to (3, H, W) uint8 RGB.

    Raises
    ------
    SourceError
        If the bytes are not an image.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            array = np.array(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise SourceError(where, f"expected an image that can be decoded: {error}") from error
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()


def flip_sample(sample: Sample) -> Sample:
    """Mirror a sample: image, 2D, 3D, states and boxes; left and right change places.

    ``anchor_id`` is dropped, since the mirrored pose may be closest to another anchor.
    """
    width = sample["image"].shape[-1]
    mirror = torch.from_numpy(MIRROR.copy())
    flipped = {k: v for k, v in sample.items() if k != "anchor_id"}
    flipped["image"] = sample["image"].flip(-1)
    joints = sample["joints_2d"][:, mirror].clone()
    joints[..., 0] = width - joints[..., 0]
    flipped["joints_2d"] = joints
    pose = sample["joints_3d"][:, mirror].clone()
    pose[..., 0] = -pose[..., 0]
    flipped["joints_3d"] = pose
    flipped["state"] = sample["state"][:, mirror]
    for name in ("box", "head_box"):
        box = sample[name].clone()
        box[:, 0], box[:, 2] = width - sample[name][:, 2], width - sample[name][:, 0]
        flipped[name] = box
    return flipped
