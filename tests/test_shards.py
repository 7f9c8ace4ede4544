"""Shards: planned, written, verified, described, exported."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from shard_files import make_anchors, make_images, make_labels, write_shards

from posebank import artefacts
from posebank.anchors import assign
from posebank.errors import ArtefactError, Rejected, SettingsError
from posebank.export import export_webdataset
from posebank.geometry.boxes import boxes_around
from posebank.schemas import SHARDS
from posebank.shards import (
    PoseShards,
    ShardFiles,
    ShardFilter,
    ShardSettings,
    dataset_card,
    describe_shards,
    hub_readme,
    plan_shards,
    shard_table,
)
from posebank.skeleton import is_annotated, mirrored_3d
from posebank.types import Labels, texts

SMALL = ShardSettings(images_per_shard=5, images_per_row_group=2)
IMAGES = {
    **{f"train/mpii/{i:02d}.jpg": 1 + i % 3 for i in range(8)},
    **{f"train/lspe/a/{i:02d}.jpg": 1 for i in range(4)},
    **{f"val/mpii/v{i}.jpg": 2 for i in range(3)},
}


@pytest.fixture(scope="module")
def labels() -> Labels:
    return make_labels(IMAGES)


@pytest.fixture(scope="module")
def roots(labels: Labels, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_images(labels, tmp_path_factory.mktemp("images"))


@pytest.fixture
def shards(labels: Labels, roots: dict[str, Path], tmp_path: Path) -> Path:
    write_shards(tmp_path / "shards", labels, make_anchors(), roots, SMALL)
    return tmp_path / "shards"


def test_plan(labels: Labels) -> None:
    plans = plan_shards(labels, SMALL)
    assert [p.name for p in plans] == [
        "train-00000.parquet",
        "train-00001.parquet",
        "train-00002.parquet",
        "val-00000.parquet",
    ]
    images = [list(dict.fromkeys(labels.image[p.rows])) for p in plans]
    assert [len(i) for i in images] == [5, 5, 2, 3]
    assert images[0] == [*(f"a/{i:02d}.jpg" for i in range(4)), "00.jpg"]
    rows = np.concatenate([p.rows for p in plans])
    assert sorted(rows) == list(range(len(labels)))


def test_an_image_has_one_split(labels: Labels) -> None:
    split = labels.split.copy()
    split[2] = "val"
    with pytest.raises(ArtefactError, match=r"mpii/01.jpg: expected one split .* found train, val"):
        plan_shards(replace(labels, split=split), SMALL)


def test_shards_are_byte_equal_whatever_the_order_of_the_labels(
    labels: Labels, roots: dict[str, Path], tmp_path: Path
) -> None:
    mixed = labels.take(np.random.default_rng(4).permutation(len(labels)))
    one = write_shards(tmp_path / "a", labels, make_anchors(), roots, SMALL)
    two = write_shards(tmp_path / "b", mixed, make_anchors(), roots, SMALL)
    assert [p.name for p in one.parts] == [p.name for p in two.parts]
    assert [p.sha256 for p in one.parts] == [p.sha256 for p in two.parts]


def test_a_row_holds_the_labels_and_the_original_bytes(
    labels: Labels, roots: dict[str, Path]
) -> None:
    anchors = make_anchors()
    table, rejected = shard_table(labels, anchors, roots, SMALL)
    assert rejected == []
    assert table.schema.equals(SHARDS, check_metadata=True)
    found = [(p, row) for row in table.to_pylist() for p in row["people"]]
    assert len(found) == len(labels)
    where = {p: i for i, p in enumerate(labels.person_id)}
    full = anchors.take(anchors.kind == "full")
    closest, _ = assign(full.pose_3d, labels.joints_3d)
    flipped, _ = assign(full.pose_3d, mirrored_3d(labels.joints_3d))
    for person, row in found:
        i = where[person["person_id"]]
        assert row["image_id"] == f"{labels.dataset[i]}/{labels.image[i]}"
        path = roots[labels.dataset[i]] / labels.image[i]
        assert row["image_file"] == {"bytes": path.read_bytes(), "path": None}
        assert (row["image_width"], row["image_height"]) == (120, 96)
        np.testing.assert_array_equal(person["joints_2d"], labels.joints_2d[i].ravel())
        np.testing.assert_array_equal(person["joints_3d"], labels.joints_3d[i].ravel())
        np.testing.assert_array_equal(person["box"], boxes_around(labels.joints_2d[i]))
        assert person["n_annotated"] == is_annotated(labels.state[i]).sum()
        assert (person["anchor_id"], person["anchor_id_flipped"]) == (closest[i], flipped[i])
        assert person["trust"] == labels.trust[i]
        clip, frame = labels.pose_id[i].removeprefix("cmu/").split(":")
        assert (person["mocap_dataset"], person["mocap_clip"]) == ("cmu", clip)
        assert person["mocap_frame"] == int(frame)
        assert person["mocap_mirrored"] is False
        assert person["single_person"] == {-1: None, 0: False, 1: True}[labels.single_person[i]]
        assert person["group_id"] == (labels.group_id[i] or None)
        assert (person["head_box"] is None) == bool(np.isnan(labels.head_box[i]).any())


@pytest.mark.parametrize(
    ("pose_id", "expected"),
    [
        ("cmu/02_01:17m", ("cmu", "02_01", 17, True)),
        ("own/a/b:c:5", ("own", "a/b:c", 5, False)),
        ("somebody's", (None, None, None, None)),
        ("", (None, None, None, None)),
    ],
)
def test_the_match_in_motion_capture_is_spelled_out(
    pose_id: str, expected: tuple, labels: Labels, roots: dict[str, Path]
) -> None:
    one = replace(labels.take([0]), pose_id=texts([pose_id]))
    table, _ = shard_table(one, make_anchors(), roots, SMALL)
    (person,) = table["people"][0].as_py()
    names = ("mocap_dataset", "mocap_clip", "mocap_frame", "mocap_mirrored")
    assert tuple(person[name] for name in names) == expected


def test_bad_images_are_set_aside_with_their_reason(
    labels: Labels, roots: dict[str, Path], tmp_path: Path
) -> None:
    folder = {d: tmp_path / d for d in roots}
    make_images(labels, tmp_path)
    (folder["mpii"] / "00.jpg").unlink()
    whole = (folder["mpii"] / "01.jpg").read_bytes()
    (folder["mpii"] / "02.jpg").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (96, 120)).save(folder["mpii"] / "03.jpg")
    del folder["lspe"]
    table, rejected = shard_table(labels, make_anchors(), folder, SMALL)
    reasons = {Path(r.where).name: r.reason for r in rejected}
    assert "No such file" in reasons["00.jpg"]
    assert "expected an image that decodes" in reasons["02.jpg"]
    assert reasons["03.jpg"] == "expected 120x96 px, the size at annotation; found 96x120"
    assert sum("expected an image folder for lspe" in r.reason for r in rejected) == 4
    assert len(table) == len(IMAGES) - 7


def test_referenced_images(labels: Labels, roots: dict[str, Path]) -> None:
    table, _ = shard_table(labels, make_anchors(), roots, ShardSettings(embed=False))
    row = table.slice(0, 1).to_pylist()[0]
    assert row["image_file"]["bytes"] is None
    assert Path(row["image_file"]["path"]) == roots["lspe"] / "a/00.jpg"


def test_shrunk_images_take_their_labels_along(labels: Labels, roots: dict[str, Path]) -> None:
    whole, _ = shard_table(labels, make_anchors(), roots, SMALL)
    small, _ = shard_table(labels, make_anchors(), roots, replace(SMALL, max_side=60))
    before, after = whole.slice(4, 1).to_pylist()[0], small.slice(4, 1).to_pylist()[0]
    with Image.open(io.BytesIO(after["image_file"]["bytes"])) as image:
        assert image.size == (60, 48) == (after["image_width"], after["image_height"])
    one, other = before["people"][0], after["people"][0]
    for name in ("joints_2d", "box", "camera_translation", "camera_scale"):
        np.testing.assert_allclose(other[name], np.array(one[name]) / 2, rtol=1e-5)
    assert other["joints_3d"] == one["joints_3d"]


@pytest.mark.parametrize("embed", [True, False])
def test_a_turned_photograph_is_upright_for_every_reader(
    labels: Labels, embed: bool, tmp_path: Path
) -> None:
    roots = make_images(labels, tmp_path)
    path = roots["lspe"] / "a/00.jpg"
    with Image.open(path) as image:
        upright = np.asarray(image)
        exif = Image.Exif()
        exif[0x0112] = 8  # stored with its top to the right
        image.transpose(Image.Transpose.ROTATE_270).save(path, exif=exif, quality=95)
    folder = tmp_path / "shards"
    write_shards(folder, labels, make_anchors(), roots, replace(SMALL, embed=embed))
    samples = {sample["image_id"]: sample for sample in PoseShards(folder)}
    sample = samples["lspe/a/00.jpg"]
    assert (sample["width"], sample["height"]) == (120, 96)
    seen = sample["image"].permute(1, 2, 0).numpy().astype(int)
    assert np.abs(seen - upright).mean() < 5
    export_webdataset(folder, tmp_path / "tars", "train")
    with tarfile.open(tmp_path / "tars" / "train-000000.tar") as tar:
        members = [m.name for m in tar if m.name.endswith(".jpg")]
        rows = [json.load(tar.extractfile(name[:-4] + ".json")) for name in members]
        (name,) = (n for n, r in zip(members, rows, strict=True) if r["image"] == "a/00.jpg")
        with Image.open(tar.extractfile(name)) as image:  # a reader that knows no EXIF
            assert np.abs(np.asarray(image).astype(int) - upright).mean() < 8


def test_settings_are_checked() -> None:
    with pytest.raises(SettingsError, match="images_per_shard: expected at least 1, found 0"):
        ShardSettings(images_per_shard=0)
    with pytest.raises(SettingsError, match="max_side"):
        ShardSettings(embed=False, max_side=100)


def test_a_flipped_byte_is_found_and_named(shards: Path) -> None:
    assert artefacts.verify(shards, "shards") == []
    path = shards / "train-00001.parquet"
    data = bytearray(path.read_bytes())
    for place in np.random.default_rng(0).integers(len(data), size=8):
        data[place] ^= 1 << int(place % 8)
        path.write_bytes(data)
        (damaged,) = artefacts.verify(shards, "shards")
        assert Path(damaged.where) == path
        assert damaged.reason.startswith("expected sha256")
        data[place] ^= 1 << int(place % 8)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_writer_killed_at_any_moment_leaves_the_old_shards_or_none(
    labels: Labels, roots: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "shards"
    old = write_shards(folder, labels, make_anchors(), roots, SMALL)
    anchors = make_anchors(k=3)
    states = set()
    finished = False
    for moment in range(60):
        if not folder.exists():
            write_shards(folder, labels, make_anchors(), roots, SMALL)
        pid = os.fork()
        if pid == 0:
            _die_at_file_operation(moment)
            write_shards(folder, labels, anchors, roots, SMALL)
            os._exit(0)
        finished = os.waitpid(pid, 0)[1] == 0
        manifest = artefacts.find_manifest(folder)
        if manifest is None:
            assert not folder.exists()
            states.add("none")
            continue
        assert artefacts.verify(folder, "shards") == []
        states.add("old" if manifest.content == old.content else "new")
        if states >= {"new"} and finished:
            break
    assert finished
    assert {"old", "new"} <= states


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_writers_killed_from_outside_leave_whole_shards(
    labels: Labels, roots: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "shards"
    sets = [make_anchors(k=3), make_anchors(k=5)]
    started = time.monotonic()
    known = {write_shards(folder, labels, a, roots, SMALL).content for a in sets}
    assert len(known) == 2
    time_of_both = time.monotonic() - started
    rng = np.random.default_rng(0)
    seen: set[str] = set()
    for _ in range(12):
        pid = os.fork()
        if pid == 0:
            while True:  # until it is killed
                for anchors in sets:
                    write_shards(folder, labels, anchors, roots, SMALL)
        time.sleep(rng.uniform(0, 1.5 * time_of_both))
        os.kill(pid, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        seen.add(artefacts.read_manifest(folder, "shards").content)
        assert artefacts.verify(folder, "shards") == []
    assert seen <= known  # which of them were reached depends on the speed of the machine


def _die_at_file_operation(moment: int) -> None:
    """Let this process vanish at the moment-th change of the file system."""
    left = [moment]

    def dying(original):  # type: ignore[no-untyped-def]
        def change(*args, **kwargs):  # type: ignore[no-untyped-def]
            if left[0] == 0:
                os._exit(9)
            left[0] -= 1
            return original(*args, **kwargs)

        return change

    for module, name in (
        (os, "replace"),
        (os, "mkdir"),
        (os, "unlink"),
        (os, "rmdir"),
        (artefacts, "file_sha256"),
        (pq, "write_table"),
        (Path, "write_text"),
    ):
        setattr(module, name, dying(getattr(module, name)))


def test_describe(shards: Path, labels: Labels) -> None:
    found = describe_shards(shards)
    assert (found["images"], found["people"]) == (15, len(labels))
    assert found["by_split"]["train/lspe"] == {"images": 4, "people": 4}
    assert found["by_split"]["val/mpii"] == {"images": 3, "people": 6}
    assert found["joints"]["completed"] == pytest.approx((labels.state == 3).mean(), abs=1e-4)
    assert found["trust"]["mean"] == pytest.approx(labels.trust.mean(), abs=1e-4)
    assert found["row_groups"] == 3 + 3 + 1 + 2


def test_card(labels: Labels) -> None:
    rejected = [Rejected("x.jpg", "expected an image that decodes")]
    card = dataset_card(
        labels,
        make_anchors(),
        mocap={"hdm05": {"poses": 17}, "own": {}},
        rejected=rejected,
        settings={"embed": True},
    )
    assert f"{len(labels)} people in 15 images" in card
    assert "| mpii | val | 3 | 6 |" in card
    assert "CG-2007-2" in card
    assert "Share alike" in card
    assert "Non-commercial research only" in card
    assert "`own`: its terms are not known" in card
    assert "`x.jpg`" in card
    assert "poses 17" in card
    only_cmu = make_labels({"train/lspe/1.jpg": 1})
    assert "Non-commercial" not in dataset_card(only_cmu, make_anchors(), mocap={"cmu": {}})


def test_export_to_webdataset(shards: Path, labels: Labels, tmp_path: Path) -> None:
    written = export_webdataset(shards, tmp_path / "tar", "train", images_per_tar=5)
    assert [p.name for p in written] == [f"train-{i:06d}.tar" for i in range(3)]
    again = export_webdataset(shards, tmp_path / "again", "train", images_per_tar=5)
    assert [p.read_bytes() for p in written] == [p.read_bytes() for p in again]
    with tarfile.open(written[0]) as tar:
        assert tar.getnames()[:2] == ["000000000000.jpg", "000000000000.json"]
    webdataset = pytest.importorskip("webdataset", reason="the webdataset package is not at hand")
    found = list(
        webdataset.WebDataset([str(p) for p in written], shardshuffle=False).decode("rgb8")
    )
    assert len(found) == 12
    assert found[0]["jpg"].shape == (96, 120, 3)
    where = {p: i for i, p in enumerate(labels.person_id)}
    for sample in found:
        for person in sample["json"]["people"]:
            i = where[person["person_id"]]
            np.testing.assert_array_equal(np.float32(person["joints_3d"]), labels.joints_3d[i])
    with pytest.raises(ArtefactError, match="expected images of the split 'test', found none"):
        export_webdataset(shards, tmp_path / "tar", "test")


def test_a_split_that_is_not_there_lists_those_that_are(
    labels: Labels, roots: dict[str, Path], tmp_path: Path
) -> None:
    write_shards(tmp_path / "shards", labels, make_anchors(), roots, SMALL)
    files = ShardFiles(tmp_path / "shards", ["trust"])
    splits = ", ".join(sorted(set(labels.split)))
    with pytest.raises(SettingsError, match=f"expected a split among {splits}, found trian"):
        files.index(ShardFilter("trian"))
    with pytest.raises(SettingsError, match="expected a dataset among lspe, mpii, found coco"):
        files.index(ShardFilter(datasets=("mpii", "coco")))


def test_shards_without_anchor_poses(labels: Labels, roots: dict[str, Path]) -> None:
    table, _ = shard_table(labels, None, roots, SMALL)
    people = [person for row in table.to_pylist() for person in row["people"]]
    assert {(p["anchor_id"], p["anchor_id_flipped"]) for p in people} == {(None, None)}
    assert "`anchor_id` is null" in dataset_card(labels, None)


def test_datasets_shows_images(labels: Labels, roots: dict[str, Path], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write_shards(tmp_path / "shards", labels, make_anchors(), roots, SMALL)
    (tmp_path / "shards" / "README.md").write_text(hub_readme("# Card\n", labels))
    cache = str(tmp_path / "cache")
    for split in sorted(set(labels.split)):
        files = str(tmp_path / "shards" / f"{split}-*.parquet")
        one = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
        assert isinstance(one.features["image_file"], datasets.Image)
        assert one[0]["image_file"].size == (one[0]["image_width"], one[0]["image_height"])
    every = datasets.load_dataset(str(tmp_path / "shards"), cache_dir=cache)
    assert set(every) == {"validation" if s == "val" else s for s in labels.split} or set(
        every
    ) == set(labels.split)


def test_terms_of_ones_own_data_are_not_coco_s(labels: Labels) -> None:
    card = dataset_card(labels, make_anchors(), terms={"mpii": "mpii"})
    assert "**MPII Human Pose** (`mpii`)" in card
    assert "`lspe`: its terms are not known" in card
