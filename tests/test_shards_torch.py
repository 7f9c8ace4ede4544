"""Shards as torch data sets: samples, filters, order, resuming, augmentation."""

from __future__ import annotations

import gc
import io
import pickle
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from shard_files import make_anchors, make_images, make_labels, write_shards
from torch.utils.data import DataLoader

from posebank import artefacts
from posebank.errors import ArtefactError, SettingsError
from posebank.shards import (
    Augmentation,
    PoseShards,
    PoseStream,
    ShardSettings,
    collate_samples,
    crop_sample,
    flip_sample,
    resize_sample,
    turn_sample,
)
from posebank.shards.augment import UNASSIGNED
from posebank.shards.groups import read_row_groups
from posebank.shards.order import epoch_order, of_rank, of_worker
from posebank.shards.read import ImageIndex, ShardFiles, ShardFilter
from posebank.skeleton import is_annotated, mirrored_3d
from posebank.types import Labels

IMAGES = {
    **{f"train/mpii/{i:02d}.jpg": 1 + i % 3 for i in range(23)},
    **{f"train/lspe/{i:02d}.jpg": 1 for i in range(18)},
    **{f"val/mpii/v{i}.jpg": 2 for i in range(5)},
}
SETTINGS = ShardSettings(images_per_shard=11, images_per_row_group=4)


@pytest.fixture(scope="module")
def labels() -> Labels:
    return make_labels(IMAGES)


@pytest.fixture(scope="module")
def roots(labels: Labels, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_images(labels, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def folder(
    labels: Labels, roots: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("workspace") / "shards"
    write_shards(folder, labels, make_anchors(), roots, SETTINGS)
    return folder


def test_samples_are_the_labels(folder: Path, labels: Labels, roots: dict[str, Path]) -> None:
    shards = PoseShards(folder, "train")
    assert len(shards) == 41
    where = {p: i for i, p in enumerate(labels.person_id)}
    seen = []
    for sample in shards:
        rows = [where[p] for p in sample["person_id"]]
        seen += rows
        for name in ("joints_2d", "joints_3d", "state", "trust", "error_mm", "single_person"):
            np.testing.assert_array_equal(sample[name].numpy(), getattr(labels, name)[rows])
        np.testing.assert_array_equal(sample["head_box"].numpy(), labels.head_box[rows])
        assert sample["group_id"] == list(labels.group_id[rows])
        assert sample["anchor_id"].dtype == torch.int64
        assert sample["ignored_box"].shape == (0, 4)
        path = roots[labels.dataset[rows[0]]] / labels.image[rows[0]]
        with Image.open(path) as image:
            pixels = np.array(image).transpose(2, 0, 1)
        assert sample["image"].shape == (3, 96, 120)
        # Two decoders may round differently.
        assert np.abs(sample["image"].numpy().astype(int) - pixels).max() <= 3
    assert sorted(seen) == list(np.flatnonzero(labels.split == "train"))


def test_any_order_of_access(folder: Path) -> None:
    shards = PoseShards(folder)
    assert len(shards) == 46
    assert shards[-1]["image_id"] == shards[45]["image_id"] == "mpii/v4.jpg"
    with pytest.raises(IndexError):
        shards[46]
    copy = pickle.loads(pickle.dumps(shards))
    assert torch.equal(copy[7]["image"], shards[7]["image"])


@pytest.mark.parametrize(
    "wanted",
    [
        ShardFilter(min_trust=0.6),
        ShardFilter("train", ("lspe",)),
        ShardFilter("val", ("lspe",)),
        ShardFilter("train", None, 0.3, 7),
        ShardFilter(min_trust=1.5),
    ],
)
def test_filters_against_brute_force(folder: Path, labels: Labels, wanted: ShardFilter) -> None:
    shards = PoseShards(
        folder,
        wanted.split,
        wanted.min_trust,
        datasets=wanted.datasets,
        min_annotated=wanted.min_annotated,
        decode=False,
    )
    chosen = (labels.trust >= wanted.min_trust) & (
        is_annotated(labels.state).sum(1) >= wanted.min_annotated
    )
    if wanted.split:
        chosen &= labels.split == wanted.split
    if wanted.datasets:
        chosen &= np.isin(labels.dataset, wanted.datasets)
    samples = list(shards)
    found = [p for s in samples for p in s["person_id"]]
    assert sorted(found) == sorted(labels.person_id[chosen])
    everyone = {f"{d}/{i}": 0 for d, i in zip(labels.dataset, labels.image, strict=True)}
    for d, i in zip(labels.dataset, labels.image, strict=True):
        everyone[f"{d}/{i}"] += 1
    for sample in samples:
        assert len(sample["person_id"]) > 0
        assert "image" not in sample
        assert len(sample["person_id"]) + len(sample["ignored_box"]) == everyone[sample["image_id"]]


def test_filters_are_pushed_down(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ShardFiles(folder, ("trust",))
    read = []
    original = ShardFiles._read

    def counting(self, part, groups, columns):  # type: ignore[no-untyped-def]
        read.append((part, *groups))
        assert not any("image_file" in c for c in columns)
        return original(self, part, groups, columns)

    monkeypatch.setattr(ShardFiles, "_read", counting)
    # The footer is enough to know that no row group has such trust.
    assert len(files.index(ShardFilter(min_trust=1.01))) == 0
    assert read == []
    # The five val images are in two row groups of one part.
    assert len(files.index(ShardFilter("val"))) == 5
    assert len(read) == 2


def test_what_the_footer_says_of_row_groups(folder: Path, labels: Labels) -> None:
    n_images = 0
    for path in folder.glob("*.parquet"):
        rows = pq.read_table(path).to_pylist()
        groups = read_row_groups(pq.read_metadata(path))
        assert groups is not None
        for group in groups:
            here, rows = rows[: group.rows], rows[group.rows :]
            people = [person for row in here for person in row["people"]]
            assert group.splits == {row["split"] for row in here}
            assert group.datasets == {row["dataset"] for row in here}
            assert np.float32(group.max_trust) == max(np.float32(p["trust"]) for p in people)
            assert group.max_annotated == max(p["n_annotated"] for p in people)
            n_images += group.rows
        assert rows == []
    assert n_images == len(set(zip(labels.dataset, labels.image, strict=True)))


@pytest.mark.parametrize("case", ["none", "damaged", "of other rows"])
def test_a_footer_without_row_groups_or_with_others(
    folder: Path, tmp_path: Path, case: str
) -> None:
    copy = tmp_path / "copy"
    with artefacts.staging_folder(copy) as staging:
        parts = []
        for path in sorted(folder.glob("*.parquet")):
            table = pq.read_table(path)
            if case == "none":
                table = table.replace_schema_metadata(None)
            elif case == "damaged":
                damaged = {
                    key: value.replace(b'"rows":', b'"rows": ')
                    for key, value in table.schema.metadata.items()
                }
                table = table.replace_schema_metadata(damaged)
            rows = 5 if case == "of other rows" else SETTINGS.images_per_row_group
            parts.append(artefacts.write_part(staging, path.name, table, row_group_rows=rows))
        artefacts.commit(staging, copy, "shards", parts, {"": artefacts.Section("test")})
    if case == "none":  # of an older posebank: the columns are read
        for wanted in (ShardFilter("val"), ShardFilter(min_trust=0.7)):
            found, expected = (ShardFiles(f, ["trust"]).index(wanted) for f in (copy, folder))
            assert found.part.tolist() == expected.part.tolist()
            assert found.row_in_part.tolist() == expected.row_in_part.tolist()
    else:
        with pytest.raises(
            ArtefactError, match=r"train-00000.parquet: damaged part: expected .*row"
        ):
            ShardFiles(copy, ["trust"]).index(ShardFilter("val"))


class CountingFile(io.FileIO):
    """A file that knows how many of its bytes were read."""

    n_read = 0

    def read(self, size: int = -1) -> bytes:
        data = super().read(size)
        type(self).n_read += len(data)
        return data


def bytes_read(shards: PoseShards, monkeypatch: pytest.MonkeyPatch, **wanted: object) -> int:
    """How many bytes of the shards' files opening and reading all samples takes."""
    monkeypatch.setattr(
        ShardFiles,
        "_opened",
        lambda self, part: pq.ParquetFile(CountingFile(self.folder / self.names[part])),
    )
    monkeypatch.setattr(CountingFile, "n_read", 0)
    list(PoseStream(PoseShards(shards.files.folder, **wanted)))  # type: ignore[arg-type]
    return CountingFile.n_read


def test_a_filter_saves_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = PoseShards(folder)
    footers = [pq.read_metadata(part) for part in folder.glob("*.parquet")]
    groups = [footer.row_group(g) for footer in footers for g in range(footer.num_row_groups)]
    columns = [group.column(c) for group in groups for c in range(group.num_columns)]
    images = sum(c.total_compressed_size for c in columns if c.path_in_schema == "image_file.bytes")

    everything = bytes_read(shards, monkeypatch)
    labels_only = bytes_read(shards, monkeypatch, decode=False)
    assert 0.95 * images < everything - labels_only < 1.05 * images
    # The footers tell that nobody has such trust: nothing else is read.
    nothing = bytes_read(shards, monkeypatch, min_trust=1.01)
    CountingFile.n_read = 0
    for part in folder.glob("*.parquet"):
        pq.ParquetFile(CountingFile(part))
    assert nothing == CountingFile.n_read
    # A few people are kept: the images of their row groups, and no others.
    wanted = {"min_trust": 0.9, "min_annotated": 8}
    kept = PoseShards(folder, **wanted)  # type: ignore[arg-type]
    n_kept = len(set(zip(kept.places.part.tolist(), kept.places.group.tolist(), strict=True)))
    assert 0 < n_kept < len(groups) / 2
    some = bytes_read(shards, monkeypatch, **wanted)
    without = bytes_read(shards, monkeypatch, **wanted, decode=False)
    assert some - without < 1.2 * images * n_kept / len(groups)


def test_referenced_images_can_move(labels: Labels, tmp_path: Path) -> None:
    chosen = labels.take(labels.split == "val")
    moved = make_images(chosen, tmp_path / "old")
    reference = replace(SETTINGS, embed=False)
    write_shards(tmp_path / "shards", chosen, make_anchors(), moved, reference)
    before = PoseShards(tmp_path / "shards")[0]["image"]
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(ArtefactError, match="expected an image file"):
        PoseShards(tmp_path / "shards")[0]
    found = PoseShards(tmp_path / "shards", image_roots={"mpii": tmp_path / "new" / "mpii"})
    assert torch.equal(found[0]["image"], before)


def test_unfinished_or_damaged_shards_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="missing"):
        PoseShards(tmp_path / "nothing")
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    part = copy / "train-00001.parquet"
    part.write_bytes(part.read_bytes()[:-200])
    with pytest.raises(ArtefactError, match=r"train-00001.parquet: damaged part"):
        PoseShards(copy)


# ---------------------------------------------------------------------------- order


def index_of(sizes: list[list[int]]) -> ImageIndex:
    """An index with the given row group sizes of each part."""
    rows = [
        (part, group, row)
        for part, groups in enumerate(sizes)
        for group, size in enumerate(groups)
        for row in range(size)
    ]
    table = np.array(rows, np.int32).reshape(-1, 3)
    return ImageIndex(*table.T, np.arange(len(table), dtype=np.int32))


@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), max_size=5),
    st.integers(1, 30),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(0, 40),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_every_image_is_dealt_out_exactly_once(
    sizes: list[list[int]],
    window: int,
    world: int,
    workers: int,
    batch: int,
    start: int,
    epoch: int,
) -> None:
    places = index_of(sizes)
    n = len(places)
    order, ends = epoch_order(places, seed=3, epoch=epoch, window=window)
    assert sorted(order) == list(range(n))
    assert n == 0 or ends[-1] == n
    assert (np.diff([0, *ends])[:-1] >= window).all()
    dealt = []
    for rank in range(world):
        first, after = of_rank(n, rank, world)
        assert abs((after - first) - n / world) < 1
        first = min(first + start, after)
        each = [list(of_worker(first, after, w, workers, batch)) for w in range(workers)]
        assert sorted(position for some in each for position in some) == list(range(first, after))
        # A loader takes a batch of each worker in turn: that is the rank's own sequence.
        taken, turn = [], 0
        while any(each):
            taken += each[turn % workers][:batch]
            del each[turn % workers][:batch]
            turn += 1
        assert taken == list(range(first, after))
        dealt += taken
    assert start > 0 or sorted(dealt) == list(range(n))


def test_the_shuffle_is_new_in_each_epoch_and_reads_each_window_once() -> None:
    places = index_of([[5] * 8, [5] * 12])
    orders = [epoch_order(places, seed=1, epoch=e, window=20)[0] for e in range(3)]
    assert not np.array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[2], epoch_order(places, seed=1, epoch=2, window=20)[0])
    order, ends = epoch_order(places, seed=1, epoch=0, window=20)
    groups = places.part * 100 + places.group
    windows = [set(groups[w]) for w in np.split(order, ends[:-1])]
    assert [len(w) for w in windows] == [4] * 5
    assert len(set.union(*windows)) == 20


def ids(loader: DataLoader) -> list[str]:
    return [s["image_id"] for batch in loader for s in batch]


def stream_of(folder: Path, rank: int = 0, world: int = 1, **options: object) -> PoseStream:
    shards = PoseShards(folder, "train", decode=False)
    chosen = {"batch_size": 3, "seed": 5, "window": 10, **options}
    return PoseStream(shards, rank=rank, world_size=world, **chosen)  # type: ignore[arg-type]


def loader_of(stream: PoseStream, workers: int) -> DataLoader:
    return DataLoader(
        stream, batch_size=stream.batch_size, num_workers=workers, collate_fn=collate_samples
    )


def test_three_ranks_of_two_workers_cover_every_image_once(folder: Path) -> None:
    everything = [s["image_id"] for s in PoseShards(folder, "train", decode=False)]
    for epoch in range(2):
        seen = []
        for rank in range(3):
            stream = stream_of(folder, rank, 3)
            stream.set_epoch(epoch)
            mine = ids(loader_of(stream, 2))
            assert len(mine) == len(stream)
            seen += mine
        assert sorted(seen) == sorted(everything)


def test_the_sequence_does_not_depend_on_the_workers(folder: Path) -> None:
    assert ids(loader_of(stream_of(folder), 0)) == ids(loader_of(stream_of(folder), 2))


def test_resuming_gives_the_rest_of_the_sequence(folder: Path) -> None:
    whole = stream_of(folder, 1, 2)
    whole.set_epoch(4)
    expected = ids(loader_of(whole, 0))
    anywhere = np.random.default_rng().integers(len(expected), size=3).tolist()
    for seen in (0, 1, *anywhere, len(expected)):
        again = stream_of(folder, 1, 2)
        again.load_state(whole.state(seen))
        assert again.epoch == 4
        assert len(again) == len(expected) - seen
        assert ids(loader_of(again, 0 if seen == 1 else 2)) == expected[seen:]
    again.set_epoch(5)
    assert sorted(ids(loader_of(again, 0))) != []
    with pytest.raises(SettingsError, match=r"resume: expected seed = 5 as when .* found 6"):
        stream_of(folder, 1, 2, seed=6).load_state(whole.state(0))


def test_resuming_changes_samples_as_the_first_run_did(folder: Path) -> None:
    def pixels(stream: PoseStream) -> list[torch.Tensor]:
        return [s["image"] for s in stream]

    def stream() -> PoseStream:
        return PoseStream(
            PoseShards(folder, "val"), transform=Augmentation(), seed=1, rank=0, world_size=1
        )

    first, second = stream(), stream()
    expected = pixels(first)
    second.load_state(first.state(2))
    found = pixels(second)
    assert len(found) == 3
    assert all(torch.equal(a, b) for a, b in zip(found, expected[2:], strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_threads_change_nothing(folder: Path, workers: int) -> None:
    def samples(threads: int) -> list[dict]:
        stream = PoseStream(
            PoseShards(folder, "train"),
            transform=Augmentation(),
            batch_size=3,
            seed=2,
            window=10,
            threads=threads,
            rank=0,
            world_size=1,
        )
        return [sample for batch in loader_of(stream, workers) for sample in batch]

    expected, found = samples(0), samples(3)
    assert len(found) == len(expected) == 41
    for one, other in zip(expected, found, strict=True):
        assert_equal_samples(one, other)


def test_a_stream_may_be_left_early(folder: Path) -> None:
    before = threading.active_count()
    samples = iter(PoseStream(PoseShards(folder), threads=2, window=8, rank=0, world_size=1))
    next(samples)
    assert threading.active_count() > before
    samples.close()  # type: ignore[attr-defined]
    gc.collect()
    assert threading.active_count() == before


def test_a_persistent_worker_sees_the_new_epoch(folder: Path) -> None:
    stream = stream_of(folder)
    loader = DataLoader(
        stream, batch_size=3, num_workers=1, collate_fn=collate_samples, persistent_workers=True
    )
    one = ids(loader)
    stream.set_epoch(1)
    two = ids(loader)
    assert sorted(one) == sorted(two)
    assert one != two


def test_stream_settings_are_checked(folder: Path) -> None:
    with pytest.raises(SettingsError, match="window"):
        stream_of(folder, window=0)
    with pytest.raises(SettingsError, match=r"rank in \[0, 2\), found 2"):
        stream_of(folder, 2, 2)


# ---------------------------------------------------------------------------- augmentation


def assert_equal_samples(one: dict, two: dict) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        if isinstance(value, torch.Tensor):
            # 2D: W - (W - x) differs from x by float32 rounding at most.
            tolerance = 1e-4 if name in ("joints_2d", "box", "head_box", "ignored_box") else 0
            torch.testing.assert_close(two[name], value, rtol=0, atol=tolerance, equal_nan=True)
        else:
            assert two[name] == value


def test_flipping_twice_is_the_identity(folder: Path) -> None:
    for sample in PoseShards(folder, min_trust=0.3):
        assert_equal_samples(sample, flip_sample(flip_sample(sample)))


def test_a_flip_by_hand(folder: Path) -> None:
    sample = PoseShards(folder)[0]
    flipped = flip_sample(sample)
    right, left = 6, 7  # wrists
    torch.testing.assert_close(
        flipped["joints_2d"][:, right, 0], 120 - sample["joints_2d"][:, left, 0]
    )
    assert torch.equal(flipped["joints_3d"][:, right, 0], -sample["joints_3d"][:, left, 0])
    assert torch.equal(flipped["joints_3d"][:, right, 1:], sample["joints_3d"][:, left, 1:])
    assert torch.equal(flipped["state"][:, right], sample["state"][:, left])
    assert torch.equal(flipped["image"][:, :, 0], sample["image"][:, :, -1])
    assert (flipped["box"][:, 0] < flipped["box"][:, 2]).all()
    assert torch.equal(flipped["anchor_id"], sample["anchor_id_flipped"])


def test_pixels_and_joints_move_together(folder: Path) -> None:
    sample = dict(PoseShards(folder)[0])
    image = torch.zeros(3, 96, 120, dtype=torch.uint8)
    image[:, 40:44, 60:68] = 255  # its centre is (64, 42)
    n = len(sample["person_id"])
    sample |= {"image": image, "joints_2d": torch.tensor([64.0, 42.0]).expand(n, 13, 2).clone()}

    def centre(pixels: torch.Tensor) -> torch.Tensor:
        rows, columns = torch.nonzero(pixels[0] > 127, as_tuple=True)
        return torch.stack([columns.float().mean(), rows.float().mean()]) + 0.5

    for changed in (
        flip_sample(sample),
        crop_sample(sample, 20, 10, 80, 70),
        resize_sample(sample, 240, 288),
        resize_sample(crop_sample(flip_sample(sample), 5, 7, 90, 80), 180, 160),
    ):
        torch.testing.assert_close(
            changed["joints_2d"][0, 0], centre(changed["image"]), atol=0.6, rtol=0
        )
        assert changed["image"].shape == (3, changed["height"], changed["width"])
    # A turned image is grey outside the old one, so that the mean of the white pixels is looked at.
    for changed in (
        turn_sample(sample, (50.0, 40.0), 0.5, 1.5, 130, 110),
        turn_sample(flip_sample(sample), (60.0, 50.0), -2.0, 0.9, 100, 90),
    ):
        rows, columns = torch.nonzero(changed["image"][0] > 200, as_tuple=True)
        middle = torch.stack([columns.float().mean(), rows.float().mean()]) + 0.5
        torch.testing.assert_close(changed["joints_2d"][0, 0], middle, atol=0.6, rtol=0)
        assert changed["image"].shape == (3, changed["height"], changed["width"])


def test_a_turn_by_hand(folder: Path) -> None:
    """A quarter turn from x to y, to twice the size: right becomes down, in 2D as in 3D."""
    sample = dict(PoseShards(folder)[0])
    n = len(sample["person_id"])
    flat, deep = torch.full((n, 13, 2), 20.0), torch.zeros(n, 13, 3)
    flat[:, 0] = torch.tensor([25.0, 18.0])
    deep[:, 0] = torch.tensor([0.5, -0.2, 0.7])
    box = torch.tensor([[10.0, 12, 30, 16]]).repeat(n, 1)
    sample |= {"joints_2d": flat, "joints_3d": deep, "head_box": box}
    turned = turn_sample(sample, (20.0, 20.0), np.pi / 2, 2.0, 100, 80)
    # (5, -2) from the centre turns to (2, 5), is doubled, and put from the middle (50, 40).
    torch.testing.assert_close(turned["joints_2d"][:, 0], torch.tensor([54.0, 50.0]).repeat(n, 1))
    torch.testing.assert_close(
        turned["joints_3d"][:, 0], torch.tensor([0.2, 0.5, 0.7]).repeat(n, 1)
    )
    # Corners (-10, -8) and (10, -4) turn to (8, -10) and (4, 10).
    expected = torch.tensor([[58.0, 20, 66, 60]]).repeat(n, 1)
    torch.testing.assert_close(turned["head_box"], expected)
    assert (turned["anchor_id"] == UNASSIGNED).all()
    assert turned["image"].shape == (3, 80, 100)
    back = turn_sample(turned, (50.0, 40.0), -np.pi / 2, 0.5, 40, 40)
    torch.testing.assert_close(back["joints_2d"], flat)
    torch.testing.assert_close(back["joints_3d"], deep)


def test_windows_are_around_people_and_turned_ones_are_assigned_again(folder: Path) -> None:
    rng = np.random.default_rng(5)
    anchors = rng.normal(0, 0.3, (7, 13, 3)).astype(np.float32)
    change = Augmentation(
        scale=1.2, crop=0, rotation_deg=60, shift=0.1, window=64, anchors_3d=anchors
    )
    seen = 0
    for sample in PoseShards(folder):
        changed = change(sample, rng, zoom=0.8)
        assert changed["image"].shape == (3, 64, 64)
        assert changed["image"].dtype == torch.uint8
        poses = changed["joints_3d"].numpy().astype(np.float64)
        for name, those in (("anchor_id", poses), ("anchor_id_flipped", mirrored_3d(poses))):
            distance = np.linalg.norm(anchors[None] - those[:, None], axis=-1).mean(-1)
            assert changed[name].tolist() == distance.argmin(axis=1).tolist()
        seen += len(poses)
    assert seen > 0
    for bad in ({"rotation_deg": 200}, {"window": -1}, {"shift": 0.7}):
        with pytest.raises(SettingsError, match=next(iter(bad))):
            Augmentation(**bad)


def test_people_who_are_cut_off_are_ignored(folder: Path) -> None:
    sample = dict(PoseShards(folder, datasets=["mpii"])[2])
    assert len(sample["person_id"]) == 3
    sample["joints_2d"] = sample["joints_2d"].clone()
    sample["joints_2d"][1] += 300
    cropped = crop_sample(sample, 0, 0, 120, 96)
    assert cropped["person_id"] == [sample["person_id"][0], sample["person_id"][2]]
    assert cropped["joints_3d"].shape == (2, 13, 3)
    assert torch.equal(cropped["ignored_box"], sample["box"][1:2])


def test_augmentation(folder: Path) -> None:
    sample = PoseShards(folder)[3]
    nothing = Augmentation(0, 1, 0, 0, 0, 0, 0)
    assert_equal_samples(sample, nothing(sample, np.random.default_rng(0)))
    one, two = (Augmentation()(sample, np.random.default_rng(4)) for _ in range(2))
    assert torch.equal(one["image"], two["image"])
    assert one["image"].dtype == torch.uint8
    with pytest.raises(SettingsError, match="flip"):
        Augmentation(flip=2)
    torch.manual_seed(0)
    changed = PoseShards(folder, transform=Augmentation())[3]
    assert changed["image"].shape != sample["image"].shape


def test_batches_arrive_from_workers_unchanged(folder: Path) -> None:
    shards = PoseShards(folder, "val", 0.3)
    here = [shards[i] for i in range(len(shards))]
    loader = DataLoader(shards, batch_size=2, num_workers=1, collate_fn=collate_samples)
    there = [sample for batch in loader for sample in batch]
    assert len(there) == len(here)
    for one, two in zip(here, there, strict=True):
        assert_equal_samples(one, two)
        assert two["joints_2d"].dtype == torch.float32


def add_fields(sample: dict, same: bool) -> dict:
    odd = not same and sample["image_id"].endswith("1.jpg")
    pixels = sample["image"].float() if odd else sample["image"]
    added = {"count": torch.tensor(3), "grid": torch.zeros(2, 3 if odd else 4)}
    if odd:
        added["extra"] = torch.ones(2)
    return {**sample, **added, "image": pixels}


@pytest.mark.parametrize("same", [True, False])
def test_what_a_transform_adds_arrives_too(folder: Path, same: bool) -> None:
    shards = PoseShards(folder, "val", transform=partial(add_fields, same=same))
    here = [shards[i] for i in range(len(shards))]
    loader = DataLoader(shards, batch_size=3, num_workers=1, collate_fn=collate_samples)
    there = [sample for batch in loader for sample in batch]
    for one, two in zip(here, there, strict=True):
        assert_equal_samples(one, two)
        assert two["image"].dtype == one["image"].dtype


def test_images_that_are_no_jpeg_and_damaged_ones(tmp_path: Path) -> None:
    labels = make_labels({f"train/mpii/{i}.jpg": 1 for i in range(5)})
    roots = make_images(labels, tmp_path)
    with Image.open(roots["mpii"] / "2.jpg") as image:
        pixels = np.array(image)
    Image.fromarray(pixels).save(roots["mpii"] / "2.jpg", "PNG")
    reference = replace(SETTINGS, embed=False)
    write_shards(tmp_path / "shards", labels, make_anchors(), roots, reference)
    shards = PoseShards(tmp_path / "shards")
    images = {s["image_id"]: s["image"] for s in PoseStream(shards)}
    assert len(images) == 5
    np.testing.assert_array_equal(images["mpii/2.jpg"].permute(1, 2, 0).numpy(), pixels)
    (roots["mpii"] / "3.jpg").write_bytes(b"no image")
    with pytest.raises(ArtefactError, match=r"mpii/3.jpg: expected an image that decodes"):
        list(PoseStream(shards))
    (roots["mpii"] / "3.jpg").unlink()
    with pytest.raises(ArtefactError, match=r"3.jpg: expected an image file"):
        list(PoseStream(shards, threads=2))


def test_samples_are_the_callers_own(folder: Path) -> None:
    shards = PoseShards(folder)
    first = shards[1]
    first["joints_2d"] += 1
    first["person_id"].append("x")
    again = shards[1]
    assert not torch.equal(again["joints_2d"], first["joints_2d"])
    assert len(again["person_id"]) == len(again["joints_2d"])


def test_image_files_are_stored_as_they_are(folder: Path) -> None:
    group = pq.ParquetFile(folder / "train-00000.parquet").metadata.row_group(0)
    kinds = {
        group.column(i).path_in_schema: group.column(i).compression
        for i in range(group.num_columns)
    }
    assert kinds.pop("image_file.bytes") == "UNCOMPRESSED"
    assert set(kinds.values()) == {"ZSTD"}
