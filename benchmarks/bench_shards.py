"""Reading labelled images: shards, loose JPEG files, WebDataset, litdata, mosaicml-streaming.

Every reader gives the RGB image as a uint8 tensor with its people's 2D and 3D joints, in random
order, over the real LSPE images. Rates are samples per CPU second, which other work on the machine
changes little; with ``--workers N`` also those of a torch loader with N workers and of a stream
with N threads, per second and per CPU second of all processes together.

litdata and mosaicml-streaming are measured where they can be imported: posebank does not depend on
them. "decoding alone" decodes the same files from memory, the bound for every reader.

Usage: python benchmarks/bench_shards.py [--images 1000] [--workers 2]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
import torch
import webdataset
from _common import SHARED_DATA, report
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, read_image
from torchvision.transforms.functional import pil_to_tensor

from posebank import artefacts
from posebank.anchors import AnchorSettings, fit_anchors
from posebank.annotations import read_annotations
from posebank.export import export_webdataset
from posebank.shards import (
    PoseShards,
    PoseStream,
    ShardSettings,
    collate_samples,
    plan_shards,
    shard_table,
    write_shard,
)
from posebank.skeleton import N_JOINTS, centred
from posebank.types import Labels, texts

ROOTS = {"lspe": SHARED_DATA / "lspet" / "images"}


def real_labels(n: int) -> Labels:
    """LSPE's people with their own 2D joints; the 3D is made up, as only its size matters."""
    people = read_annotations("lspe", SHARED_DATA / "lspet").people
    people = people.take(np.arange(n))
    rng = np.random.default_rng(0)
    names = ("camera_scale", "error_norm", "error_mm", "trust", "ambiguity_mm")
    return Labels.from_people(
        replace(people, split=texts(["train"] * n)),
        centred(rng.normal(size=(n, N_JOINTS, 3))),
        pose_id="cmu/01_01:1",
        provenance="views nearest",
        **{name: rng.uniform(size=n) for name in names},
    )


def write(folder: Path, labels: Labels, images_per_row_group: int) -> Path:
    settings = ShardSettings(images_per_row_group=images_per_row_group)
    anchors = fit_anchors(labels.joints_3d, AnchorSettings(k=20, restarts=1))
    with artefacts.staging_folder(folder) as staging:
        parts = [
            write_shard(
                staging,
                plan.name,
                shard_table(labels.take(plan.rows), anchors, ROOTS, settings)[0],
                settings,
            )
            for plan in plan_shards(labels, settings)
        ]
        artefacts.commit(staging, folder, "shards", parts, {"shards": artefacts.Section("bench")})
    return folder


class LooseFiles(Dataset[dict[str, Any]]):
    """Images in a folder and labels in memory, as torchvision's own data sets do it."""

    def __init__(self, labels: Labels, read: Callable[[str], torch.Tensor]) -> None:
        self.labels, self.read = labels, read

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {
            "image": self.read(str(ROOTS["lspe"] / self.labels.image[row])),
            "joints_2d": torch.from_numpy(self.labels.joints_2d[row][None].copy()),
            "joints_3d": torch.from_numpy(self.labels.joints_3d[row][None].copy()),
        }


def with_pillow(path: str) -> torch.Tensor:
    with Image.open(path) as image:
        return pil_to_tensor(image.convert("RGB"))


def with_torchvision(path: str) -> torch.Tensor:
    return read_image(path, ImageReadMode.RGB)


def from_tar(sample: dict[str, Any]) -> dict[str, Any]:
    people = sample["json"]["people"]
    return {
        "image": sample["jpg"],
        "joints_2d": torch.tensor([p["joints_2d"] for p in people]),
        "joints_3d": torch.tensor([p["joints_3d"] for p in people]),
    }


def decode_jpeg(data: bytes) -> torch.Tensor:
    """RGB tensor of a JPEG file's bytes."""
    return torch.from_numpy(simplejpeg.decode_jpeg(data)).permute(2, 0, 1)


def stored(plain: PoseShards, row: int) -> dict[str, Any]:
    """One sample as litdata and streaming store it: the file's bytes and all that ours has."""
    sample = plain[row]
    image = (ROOTS["lspe"] / sample["image_id"].partition("/")[2]).read_bytes()
    del sample["ignored_box"]  # streaming stores no empty arrays
    values = {n: v.numpy() if isinstance(v, torch.Tensor) else v for n, v in sample.items()}
    return {"image": image, **values}


def litdata_reader(plain: PoseShards, folder: Path) -> Callable[[], Iterable[Any]] | None:
    """A reader of litdata's chunks (64 MB, its usual size); None where it is not installed."""
    try:
        from litdata import StreamingDataset  # noqa: PLC0415
        from litdata.streaming.writer import BinaryWriter  # noqa: PLC0415
    except ImportError as error:
        print(f"litdata is not measured: {error}", file=sys.stderr)
        return None
    folder.mkdir()
    writer = BinaryWriter(str(folder), chunk_bytes=64 << 20)
    for row in range(len(plain)):
        writer.add_item(row, stored(plain, row))
    writer.done()
    writer.merge()

    def read() -> Iterable[Any]:
        data = StreamingDataset(str(folder), shuffle=True, seed=0)
        return ({**sample, "image": decode_jpeg(sample["image"])} for sample in data)

    return read


def streaming_reader(plain: PoseShards, folder: Path) -> Callable[[], Iterable[Any]] | None:
    """A reader of mosaicml-streaming's MDS shards; None where it is not installed."""
    try:
        from streaming import MDSWriter, StreamingDataset  # noqa: PLC0415
    except ImportError as error:
        print(f"mosaicml-streaming is not measured: {error}", file=sys.stderr)
        return None
    kinds = {bytes: "bytes", np.ndarray: "ndarray", str: "str", int: "int", list: "json"}
    columns = {name: kinds[type(value)] for name, value in stored(plain, 0).items()}
    with MDSWriter(out=str(folder), columns=columns) as writer:
        for row in range(len(plain)):
            writer.write(stored(plain, row))
    data = StreamingDataset(local=str(folder), shuffle=True, batch_size=8, shuffle_seed=0)

    def read() -> Iterable[Any]:
        return ({**sample, "image": decode_jpeg(sample["image"])} for sample in data)

    return read


def shuffled(data: Dataset[Any]) -> Iterable[Any]:
    order = np.random.default_rng(0).permutation(len(data))  # type: ignore[arg-type]
    return (data[int(i)] for i in order)


def rate(n: int, samples: Callable[[], Iterable[Any]], clock: Callable[[], float]) -> float:
    """The best of three passes: the first one also warms the page cache."""
    return rates(n, samples, {"": clock})[""]


def rates(
    n: int, samples: Callable[[], Iterable[Any]], clocks: dict[str, Callable[[], float]]
) -> dict[str, float]:
    """The best of three passes by each clock."""
    best = dict.fromkeys(clocks, 0.0)
    for _ in range(3):
        start = {name: clock() for name, clock in clocks.items()}
        assert sum(1 for _ in samples()) == n
        best = {k: max(best[k], n / (clock() - start[k])) for k, clock in clocks.items()}
    return {name: round(value, 1) for name, value in best.items()}


def cpu_of_all() -> float:
    """CPU seconds of this process and of the workers that it has now."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children())]
    return sum(t.user + t.system for t in times)


def read(path: Path, columns: list[str]) -> pa.Table:
    return pq.ParquetFile(path).read(columns, use_threads=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    labels = real_labels(chosen.images)
    n = len(labels)
    results: dict[str, Any] = {"images": n}
    with tempfile.TemporaryDirectory() as folder:
        shards = write(Path(folder) / "shards", labels, ShardSettings.images_per_row_group)
        tars = [str(p) for p in export_webdataset(shards, Path(folder) / "tar", "train")]
        decoded, plain = PoseShards(shards), PoseShards(shards, decode=False)

        def tar_stream() -> Any:
            stream = webdataset.WebDataset(tars, shardshuffle=100, seed=0)
            return stream.shuffle(1000).decode("torchrgb8").map(from_tar)

        readers: dict[str, Callable[[], Iterable[Any]]] = {
            "shards, stream": lambda: PoseStream(decoded),
            "shards, random access": lambda: shuffled(decoded),
            "loose files, Pillow": lambda: shuffled(LooseFiles(labels, with_pillow)),
            "loose files, torchvision": lambda: shuffled(LooseFiles(labels, with_torchvision)),
            "webdataset": tar_stream,
        }
        files = [(ROOTS["lspe"] / name).read_bytes() for name in labels.image]
        readers["decoding alone, from memory"] = lambda: map(decode_jpeg, files)
        for name, reader in (("litdata", litdata_reader), ("streaming", streaming_reader)):
            if (other := reader(plain, Path(folder) / name)) is not None:
                readers[name] = other
        results["samples_per_cpu_second"] = {
            name: rate(n, read, time.process_time) for name, read in readers.items()
        }
        if chosen.workers:
            options: dict[str, Any] = {
                "num_workers": chosen.workers,
                "collate_fn": collate_samples,
                "batch_size": 8,
                "persistent_workers": True,  # `rate` takes an epoch after the workers' start
            }
            loose = LooseFiles(labels, with_pillow)
            # As torchvision's detection references have it: every image travels by itself.
            by_itself = {**options, "collate_fn": lambda batch: [dict(s) for s in batch]}
            in_threads = PoseStream(decoded, batch_size=8, threads=chosen.workers)
            loaders: dict[str, DataLoader[Any]] = {
                "shards, stream, threads": DataLoader(
                    in_threads, batch_size=8, collate_fn=collate_samples
                ),
                "shards, stream": DataLoader(PoseStream(decoded, batch_size=8), **options),
                "loose files, Pillow": DataLoader(loose, shuffle=True, **options),
                "loose files, torchvision": DataLoader(
                    LooseFiles(labels, with_torchvision), shuffle=True, **options
                ),
                "loose files, torchvision, torch's own transport": DataLoader(
                    LooseFiles(labels, with_torchvision), shuffle=True, **by_itself
                ),
                "webdataset": DataLoader(tar_stream(), **options),
            }
            clocks = {"second": time.perf_counter, "cpu_second": cpu_of_all}
            results[f"samples_with_{chosen.workers}_workers_per"] = {
                name: rates(n, lambda one=loader: (s for b in one for s in b), clocks)
                for name, loader in loaders.items()
            }
        paths = [shards / name for name in plain.files.names]
        columns = [*plain.files.columns]
        results["without_decoding_rows_per_cpu_second"] = {
            "shards, opened and streamed": rate(
                n, lambda: PoseStream(PoseShards(shards, decode=False)), time.process_time
            ),
            "shards, streamed again": rate(n, lambda: PoseStream(plain), time.process_time),
            "pyarrow, columns only": rate(
                n, lambda: range(sum(len(read(p, columns)) for p in paths)), time.process_time
            ),
            "pyarrow, Python rows": rate(
                n,
                lambda: (row for p in paths for row in read(p, columns).to_pylist()),
                time.process_time,
            ),
        }
    report("shards", results)


if __name__ == "__main__":
    main()
