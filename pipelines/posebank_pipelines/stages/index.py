"""Index: random orthographic views of the bank in a FAISS index."""

from __future__ import annotations

from pathlib import Path

from posebank import artefacts
from posebank.matching import MatchSettings, build_index
from posebank.workspace import content, load_bank
from posebank_pipelines.workspace import StageResult, current, settings_dict, stage_result

_VIEW_FIELDS = ("n_views", "probes", "limits", "seed")


def index(workspace: Path, settings: MatchSettings) -> StageResult:
    """Build the index of the workspace's bank; only the settings of the views matter."""
    folder = workspace / "index"
    decided = {k: v for k, v in settings_dict(settings).items() if k in _VIEW_FIELDS}
    inputs = {"bank": content(workspace, "bank")}
    stamp = artefacts.fingerprint("index", decided, inputs, settings.seed)
    if (manifest := current(folder, "index", "index", stamp)) is not None:
        return stage_result("index", folder, manifest, "index", made=False)
    with artefacts.staging_folder(folder) as staging:
        recall = build_index(load_bank(workspace), staging, settings, inputs["bank"])
        parts = [
            artefacts.adopt_part(staging, p, section="index")
            for p in sorted(staging.iterdir())
            if p.is_file()
        ]
        section = artefacts.Section(stamp, decided, inputs, settings.seed, stats={"recall": recall})
        manifest = artefacts.commit(staging, folder, "index", parts, {"index": section})
    return stage_result("index", folder, manifest, "index", made=True)
