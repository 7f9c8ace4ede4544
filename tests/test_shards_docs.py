"""The code in docs/shards.md and docs/anchors.md runs, in order, and shows what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from shard_files import make_anchors, make_images, make_labels, random_poses, write_shards
from test_anchors import bank_of

from posebank.shards import ShardSettings

DOCS = Path(__file__).resolve().parents[1] / "docs"
OPTIONAL = ("duckdb", "datasets")


def blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.S)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    base = tmp_path_factory.mktemp("docs")
    images = {
        f"{s}/mpii/{s}{i}.jpg": 1 + i % 2 for s, n in (("train", 9), ("val", 4)) for i in range(n)
    }
    labels = make_labels(images)
    write_shards(
        base / "shards", labels, make_anchors(), make_images(labels, base), ShardSettings()
    )
    return {"folder": base / "shards", "cache": base / "cache", "labels": labels}


def test_shards(names: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    space = dict(names)
    for code in blocks("shards.md"):
        missing = [m for m in OPTIONAL if f"import {m}" in code and not _at_hand(m)]
        if not missing:
            exec(compile(code, "docs/shards.md", "exec"), space)
    printed = capsys.readouterr().out
    assert "13 (" in printed  # images in the table
    assert "'l_shoulder', 'head']" in printed
    assert "left of" in printed
    assert "images from threads" in printed
    if _at_hand("datasets"):
        assert "mpii/train0.jpg 1" in printed


def _at_hand(module: str) -> bool:
    try:
        __import__(module)
    except ImportError:
        return False
    return True


def test_anchors(names: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    folder = names["cache"]
    assert isinstance(folder, Path)
    folder.mkdir(exist_ok=True)
    space = {**names, "folder": folder, "bank": bank_of(random_poses(30))}
    for code in blocks("anchors.md"):
        exec(compile(code, "docs/anchors.md", "exec"), space)
    assert (folder / "anchors.png").stat().st_size > 1000
    assert "anchors_used" in capsys.readouterr().out
