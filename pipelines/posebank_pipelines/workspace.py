"""The workspace folder: where each artefact lies, and reading them as records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from posebank.artefacts import Manifest, find_manifest, read_manifest, read_table, source_stamp
from posebank.errors import Rejected, SettingsError
from posebank.schemas import from_table, matches_from_table
from posebank.types import Anchors, Labels, Matches, People, PoseBank


@dataclass(frozen=True)
class StageResult:
    """What a stage did: ``made`` or ``up to date``, and what it counted."""

    stage: str
    path: Path
    section: str
    status: str
    rows: int
    rejected: tuple[Rejected, ...]
    stats: Mapping[str, Any]
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return {**asdict(self), "path": str(self.path)}


def run_name(name: Any) -> str:
    """The name of a training run, which is also its folder's.

    Raises
    ------
    SettingsError
        If it cannot be.
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
        raise SettingsError(
            f"run: expected a name of letters, digits, '-', '_' and '.', found {name!r}"
        )
    return name


def settings_dict(settings: Any, **more: Any) -> dict[str, Any]:
    """What of a settings dataclass decides the result: everything but where it is computed."""
    values = {k: v for k, v in asdict(settings).items() if k not in ("device", "num_workers")}
    return {**values, **more}


def current(artefact: Path, kind: str, section: str, fingerprint: str) -> Manifest | None:
    """The artefact's manifest if its section was made with this fingerprint, else None."""
    manifest = find_manifest(artefact)
    if manifest is None or manifest.kind != kind or section not in manifest.sections:
        return None
    return manifest if manifest.sections[section].fingerprint == fingerprint else None


def stage_result(
    stage: str, path: Path, manifest: Manifest, section: str, *, made: bool
) -> StageResult:
    """Describe one section of a finished artefact."""
    part = manifest.sections[section]
    return StageResult(
        stage=stage,
        path=path,
        section=section,
        status="made" if made else "up to date",
        rows=sum(p.rows for p in manifest.parts if p.section == section),
        rejected=tuple(part.rejected),
        stats=dict(part.stats),
    )


def content(workspace: Path, kind: str) -> str:
    """Hash of a finished artefact's parts."""
    return read_manifest(workspace / kind, kind).content


# Worker processes run many partitions over one bank; read it once. The content hash is part of the
# key, so a bank that was made again is read again.
@lru_cache(maxsize=2)
def _bank(folder: Path, bank_content: str) -> PoseBank:
    return from_table(PoseBank, read_table(folder, "bank"))


@lru_cache(maxsize=2)
def _people(folder: Path, people_content: str) -> People:
    return from_table(People, read_table(folder, "annotations"))


@lru_cache(maxsize=1)
def _matches(folder: Path, matches_content: str) -> Matches:
    return matches_from_table(read_table(folder, "matches"))


@lru_cache(maxsize=2)
def _labels(folder: Path, labels_content: str) -> Labels:
    return from_table(Labels, read_table(folder, "labels"))


def load_bank(workspace: Path) -> PoseBank:
    """All poses of the workspace's bank."""
    return _bank(workspace / "bank", content(workspace, "bank"))


def load_people(workspace: Path) -> People:
    """All annotated people of the workspace."""
    return _people(workspace / "annotations", content(workspace, "annotations"))


def load_matches(workspace: Path) -> Matches:
    """All matches of the workspace."""
    return _matches(workspace / "matches", content(workspace, "matches"))


def load_labels(workspace: Path) -> Labels:
    """All labels of the workspace."""
    return _labels(workspace / "labels", content(workspace, "labels"))


def load_anchors(workspace: Path) -> Anchors:
    """The anchor-poses of the workspace."""
    return from_table(Anchors, read_table(workspace / "anchors", "anchors"))


def images_stamp(folder: Path) -> str:
    """Stamp of the files in an image folder: changes when one is added, taken out or changed."""
    return source_stamp(path for path in folder.rglob("*") if path.is_file())


def image_roots(workspace: Path) -> dict[str, Path]:
    """Image folder of each annotation data set, as given when it was annotated."""
    sections = read_manifest(workspace / "annotations", "annotations").sections
    return {
        dataset: Path(section.settings["images"])
        for name, section in sections.items()
        if section.settings.get("images")
        for dataset in section.settings.get("datasets", [name])
    }
