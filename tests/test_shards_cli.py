"""Anchors, shards, export, inspect and annotate as a user types them, on a small workspace."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from pyarrow.feather import read_feather
from shard_files import make_images, make_labels, random_poses
from test_anchors import bank_of

from posebank import artefacts
from posebank.schemas import ANNOTATIONS, BANK, LABELS, from_table, to_table
from posebank.skeleton import mirrored_3d
from posebank.types import Anchors, Labels, People
from posebank_cli.main import main
from posebank_pipelines.stages import shards as shards_stage

IMAGES = {
    **{f"train/mpii/{i:02d}.jpg": 1 + i % 3 for i in range(9)},
    **{f"train/lspe/{i:02d}.jpg": 1 for i in range(7)},
    **{f"val/mpii/v{i}.jpg": 2 for i in range(3)},
}


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def done(*arguments: object) -> dict:
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with a bank, annotations and labels, made without matching."""
    labels = make_labels(IMAGES)
    roots = make_images(labels, tmp_path / "images")
    people = People(**{n: getattr(labels, n) for n in People.__dataclass_fields__})
    tables = {
        "bank": to_table(bank_of(random_poses(11)), BANK),
        "annotations": to_table(people, ANNOTATIONS),
        "labels": to_table(labels, LABELS),
    }
    for kind, table in tables.items():
        folder = tmp_path / "ws" / kind
        with artefacts.staging_folder(folder) as staging:
            part = artefacts.write_part(staging, f"{kind}.parquet", table)
            sections = {
                name: artefacts.Section(kind, settings={"images": str(root)})
                for name, root in roots.items()
            }
            artefacts.commit(staging, folder, kind, [part], sections)
    return tmp_path / "ws"


def anchors_of(workspace: Path) -> Anchors:
    return from_table(Anchors, artefacts.read_table(workspace / "anchors", "anchors"))


def test_anchors_with_their_coverage(workspace: Path) -> None:
    labels = from_table(Labels, artefacts.read_table(workspace / "labels", "labels"))
    labels = labels.take(labels.split == "train")  # the others are not clustered
    report = done("anchors", "-w", workspace, "-k", 4)["coverage"]
    assert [r["dataset"] for r in report["by_dataset"]] == ["lspe", "mpii", "all"]
    assert [r["n"] for r in report["by_dataset"]] == [7, len(labels) - 7, len(labels)]
    assert sum(r["n"] for r in report["by_anchor"]) == len(labels)
    assert {r["id"] for r in report["rarest"]} <= set(labels.person_id)
    folder = workspace / "anchors"
    names = {p.name for p in artefacts.read_manifest(folder, "anchors").parts}
    assert names == {"anchors-00000.parquet", "coverage.json", "anchors.png", "rarest.png"}
    for name in ("anchors.png", "rarest.png"):
        with Image.open(folder / name) as image:
            assert min(image.size) > 200
    again = invoke("anchors", "-w", workspace, "-k", 4)
    assert "up to date" in again.output
    assert "Poses per anchor-pose" in again.output
    assert report["rarest"][0]["id"] in again.output


def test_every_setting_of_the_anchors(workspace: Path) -> None:
    done(
        "anchors",
        "-w",
        workspace,
        "-k",
        6,
        "--full-body-only",
        "--source",
        "bank",
        "--poses",
        50,
        "--restarts",
        2,
        "--medoids",
        "--mirror-closed",
        "--max-elevation-deg",
        10,
        "--seed",
        3,
    )
    settings = (
        artefacts.read_manifest(workspace / "anchors", "anchors").sections["anchors"].settings
    )
    limits = settings.pop("limits")
    assert limits["max_elevation"] == pytest.approx(np.radians(10))
    assert settings == {
        "k": 6,
        "upper_body": False,
        "source": "bank",
        "n_poses": 50,
        "restarts": 2,
        "medoids": True,
        "mirror_closed": True,
        "algorithm": "posebank",
        "seed": 3,
        "mirrored": False,
        "rotation_deg": 0.0,
    }
    anchors = anchors_of(workspace)
    assert set(anchors.kind) == {"full"}
    np.testing.assert_allclose(anchors.pose_3d[1], mirrored_3d(anchors.pose_3d[0]), atol=1e-6)


@pytest.mark.parametrize("k", [1, 20])
def test_upper_body_anchors(workspace: Path, k: int) -> None:
    done("anchors", "-w", workspace, "-k", k, "--upper-body")
    assert list(anchors_of(workspace).kind) == ["full"] * k + ["upper"] * k


def test_shards_inspect_and_export(workspace: Path, tmp_path: Path) -> None:
    done("anchors", "-w", workspace, "-k", 4)
    done(
        "shards",
        "-w",
        workspace,
        "--images-per-shard",
        8,
        "--images-per-row-group",
        3,
        "--max-side",
        60,
        "--workers",
        1,
    )
    folder = workspace / "shards"
    beside = read_feather(folder / "anchors.feather")
    np.testing.assert_array_equal(beside["anchor_id"], anchors_of(workspace).anchor_id)
    np.testing.assert_array_equal(
        np.stack(beside["pose_3d"]).reshape(-1, 13, 3), anchors_of(workspace).pose_3d
    )
    with pq.ParquetFile(folder / "train-00000.parquet") as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [
            3,
            3,
            2,
        ]
        assert set(file.read(["image_width"])["image_width"].to_pylist()) == {60}

    facts = done("inspect", folder, "--picture", tmp_path / "sheet.png")
    assert facts["damaged"] == []
    assert facts["contents"]["images"] == 19
    with Image.open(tmp_path / "sheet.png") as image:
        assert min(image.size) > 200
    shown = invoke("inspect", folder).output
    assert "  by_split:\n    train/lspe: images 7, people 7\n" in shown

    files = done("export", "webdataset", "-w", workspace, "-o", tmp_path / "tar")["files"]
    assert [Path(f).name for f in files] == ["train-000000.tar", "val-000000.tar"]
    with tarfile.open(files[1]) as tar:
        assert len(tar.getnames()) == 2 * 3

    part = folder / "train-00001.parquet"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    result = invoke("inspect", folder)
    assert result.exit_code == 1
    assert "train-00001.parquet: expected sha256" in result.output
    assert "train-00000.parquet" not in result.output
    assert "1 damaged" in result.output


def test_a_changed_image_makes_the_shards_again(workspace: Path, tmp_path: Path) -> None:
    def status() -> str:
        return done("shards", "-w", workspace, "--workers", 1)["stages"][0]["status"]

    done("anchors", "-w", workspace, "-k", 4)
    assert [status(), status()] == ["made", "up to date"]
    Image.new("RGB", (120, 96), "red").save(tmp_path / "images" / "lspe" / "03.jpg")
    assert [status(), status()] == ["made", "up to date"]


def test_annotate_notices_images_that_come_later(tmp_path: Path) -> None:
    source = tmp_path / "own"
    source.mkdir()
    joints = {"head": [10, 20], "r_hip": [30, 40]}
    (source / "people.json").write_text(
        json.dumps({"people": [{"image": "a.png", "joints": joints}]})
    )

    def annotate(*more: object) -> tuple[str, int]:
        stage = done("annotate", "json", source, "-w", tmp_path / "ws", "--workers", 1, *more)
        people = artefacts.read_table(tmp_path / "ws" / "annotations", "annotations")
        return stage["stages"][0]["status"], people["image_width"][0].as_py()

    assert annotate() == ("made", 0)
    assert annotate() == ("up to date", 0)
    (source / "images").mkdir()
    Image.new("RGB", (64, 48)).save(source / "images" / "a.png")
    assert annotate() == ("made", 64)
    assert annotate() == ("up to date", 64)
    Image.new("RGB", (70, 48)).save(source / "images" / "a.png")
    assert annotate() == ("made", 70)
    assert annotate("--split", "test")[0] == "made"
    table = artefacts.read_table(tmp_path / "ws" / "annotations", "annotations")
    assert table["split"].to_pylist() == ["test"]
    assert annotate("--hip-width", 0.8, "--hip-down", 0.1, "--seed", 4)[0] == "made"
    settings = artefacts.read_manifest(tmp_path / "ws" / "annotations", "annotations")
    options = settings.sections["people"].settings["options"]
    assert options == {"hip_width": 0.8, "hip_down": 0.1, "seed": 4}


def test_a_card_of_many_people_is_computed_from_some_of_them(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("shards", "-w", workspace)
    whole = (workspace / "shards" / "dataset_card.md").read_text()
    artefacts.remove(workspace / "shards")
    monkeypatch.setattr(shards_stage, "_DESCRIBED", 4)
    done("shards", "-w", workspace)
    card = (workspace / "shards" / "dataset_card.md").read_text()
    assert "## Counts" in card
    assert card.split("## Where")[0] == whole.split("## Where")[0]
    assert "Of 4 people, evenly spaced among all." in card
    assert "evenly spaced" not in whole


def test_shards_without_anchors_and_a_card_of_what_is_written(workspace: Path) -> None:
    (workspace.parent / "images" / "lspe" / "00.jpg").unlink()
    (stage,) = done("shards", "-w", workspace)["stages"]
    assert stage["stats"]["images_set_aside"] == 1
    folder = workspace / "shards"
    assert not (folder / "anchors.feather").exists()
    card = (folder / "dataset_card.md").read_text()
    images = sum(artefacts.read_manifest(folder, "shards").tables[i].rows for i in range(2))
    assert f"in {images:,} images" in card
    assert images == len(IMAGES) - 1
    assert "`lspe/00.jpg`: expected an image file" in card
    assert str(workspace.parent) not in card
    readme = (folder / "README.md").read_text()
    assert readme.startswith("---\n")
    assert readme.endswith(card)
    assert 'split: val\n    path: "val-*.parquet"' in readme
    assert not artefacts.verify(folder, "shards")
    done("anchors", "-w", workspace, "-k", 4)
    (stage,) = done("shards", "-w", workspace)["stages"]
    assert stage["status"] == "made"
    assert (folder / "anchors.feather").exists()


def test_more_anchors_than_poses_says_what_to_use(workspace: Path) -> None:
    result = invoke("anchors", "-w", workspace, "-k", 500)
    assert result.exit_code == 1
    assert "-k" in result.output
