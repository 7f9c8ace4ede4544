"""Inspect: what an artefact or a MoCap file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from posebank import artefacts, report
from posebank.errors import SourceError
from posebank.mocap import (
    ClipSource,
    ReadOptions,
    describe_clip,
    describe_skeleton,
    discover,
    read_clip,
)
from posebank.mocap.amass import is_amass_file
from posebank.shards import describe_shards


def inspect(
    path: Path, *, options: ReadOptions | None = None, picture: Path | None = None
) -> dict[str, Any]:
    """Return facts of an artefact folder (its hashes checked) or of a MoCap file.

    Parameters
    ----------
    path : Path
        Folder of an artefact, or file.
    options : ReadOptions or None
        How to read a MoCap file.
    picture : Path or None
        Where to draw what was understood.

    Raises
    ------
    SourceError
        If there is nothing at the path, or nothing that posebank reads.
    """
    if not path.exists():
        raise SourceError(path, "expected an artefact folder or a MoCap file, found nothing")
    if path.is_dir():
        return _inspect_artefact(path, picture)
    if path.suffix.lower() == ".asf":
        return describe_skeleton(path)
    source, *others = _clip_sources(path, options)
    if picture is not None:
        report.clip_picture(read_clip(source), picture)
    facts = describe_clip(source)
    if others:
        facts["further_clips"] = ", ".join(other.name for other in others)
    return facts


def _clip_sources(path: Path, options: ReadOptions | None) -> list[ClipSource]:
    """The clips in a file; an AMC is HDM05's if its name says so, else in CMU's form."""
    datasets = {
        ".amc": "cmu",
        ".bvh": "bvh",
        ".c3d": "c3d",
        ".cdf": "h36m",
        ".h5": "h36m",
        ".npz": "h36m",
    }
    dataset = datasets.get(path.suffix.lower())
    if path.suffix.lower() == ".npz" and is_amass_file(path):
        dataset = "amass"
    if dataset is None:
        raise SourceError(path, f"expected a file ending in .asf, {', '.join(datasets)}")
    if dataset == "cmu" and path.name.upper().startswith("HDM_"):
        dataset = "hdm05"
    found, rejected = discover(dataset, [path], options)
    if not found:
        raise SourceError(path, rejected[0].reason)
    return found


def _inspect_artefact(path: Path, picture: Path | None) -> dict[str, Any]:
    manifest = artefacts.find_manifest(path)
    if manifest is None:
        raise SourceError(path, f"expected {artefacts.MANIFEST} (an unfinished artefact has none)")
    with artefacts.one_version(path, manifest):
        return _facts(path, manifest, picture)


def _facts(path: Path, manifest: artefacts.Manifest, picture: Path | None) -> dict[str, Any]:
    damaged = artefacts.verify(path, manifest.kind)
    facts: dict[str, Any] = {
        "kind": manifest.kind,
        "schema_version": manifest.schema_version,
        "code_version": manifest.code_version,
        "rows": manifest.rows,
        "parts": len(manifest.parts),
        "damaged": [f"{d.where}: {d.reason}" for d in damaged],
    }
    for name, section in manifest.sections.items():
        facts[name] = {
            "settings": dict(section.settings),
            "stats": dict(section.stats),
            "set_aside": len(section.rejected),
        }
    if manifest.kind == "shards" and not damaged:
        facts["contents"] = describe_shards(path)
        if picture is not None:
            report.shard_sheet(path, picture)
    return facts
