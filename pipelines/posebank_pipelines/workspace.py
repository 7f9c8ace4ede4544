"""What the stages share: their results, fingerprints of settings, and names of runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from posebank.artefacts import Manifest, find_manifest, source_stamp
from posebank.errors import Rejected, SettingsError


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


def images_stamp(folder: Path) -> str:
    """Stamp of the files in an image folder: changes when one is added, taken out or changed."""
    return source_stamp(path for path in folder.rglob("*") if path.is_file())
