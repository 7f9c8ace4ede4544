"""A small version of ``benchmarks/fuzz_artefacts.py``, and files that lead out of an artefact."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from posebank import artefacts
from posebank.errors import ArtefactError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from fuzz_artefacts import change_manifests, flip_bits, make_workspace, values


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    make_workspace(folder)
    return folder


@pytest.mark.parametrize("kind", ["bank", "labels", "shards"])
def test_a_flipped_bit_is_a_clear_error(workspace: Path, kind: str) -> None:
    assert flip_bits(workspace, kind, 20) == {"clear error": 20}


@pytest.mark.parametrize("kind", ["bank", "labels"])
def test_tables_are_checked_whoever_reads_them(workspace: Path, kind: str) -> None:
    assert flip_bits(workspace, kind, 20, hashed=False) == {"clear error": 20}


@pytest.mark.parametrize("kind", ["bank", "shards"])
def test_a_changed_manifest_is_a_clear_error_or_changes_nothing(workspace: Path, kind: str) -> None:
    counts = change_manifests(workspace, kind, 40)
    assert set(counts) == {"clear error", "equal values"}
    assert counts["clear error"] > 10


def test_a_part_is_no_link_out_of_the_artefact(workspace: Path, tmp_path: Path) -> None:
    part = workspace / "bank" / "own.parquet"
    outside = tmp_path / "elsewhere.parquet"
    part.rename(outside)
    part.symlink_to(outside)
    try:
        with pytest.raises(ArtefactError, match=r"own.parquet: expected a file of the artefact"):
            values(workspace, "bank")
        with pytest.raises(ArtefactError, match=r"own.parquet: expected a file of the artefact"):
            artefacts.verify(workspace / "bank", "bank")
    finally:
        part.unlink()
        outside.rename(part)
