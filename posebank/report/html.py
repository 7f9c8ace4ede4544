"""The HTML report of a workspace: one file, pictures inside."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from posebank import artefacts
from posebank.artefact_kinds import KINDS
from posebank.errors import ArtefactError
from posebank.evaluation.tables import shown
from posebank.report.anchors import anchors_picture
from posebank.report.curves import histogram, training_picture
from posebank.report.evaluation import CAPTIONS
from posebank.report.sheets import label_sheet
from posebank.skeleton import JointState
from posebank.types import Labels
from posebank.workspace import (
    image_roots,
    load_anchors,
    load_bank,
    load_labels,
    load_matches,
    load_people,
)

_TABLES = {
    "joints": "by joint", "datasets": "by data set", "annotated": "by number of annotated joints",
    "rarity": "by rarity of the pose",
}  # fmt: skip
_FIGURES = {
    "figure5": "3D error of each person: PPI, NMS, and PPI aligned (Figure 5)",
    "figure6": "PCKh over the distance, and over the rarity of the pose (Figure 6)",
    "figure7": "Detections, from the best to the worst (Figure 7)",
}

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1150px; margin: 2em auto; padding: 0 1em;
       color: #222; }
table { display: block; overflow-x: auto; border-collapse: collapse; margin: .6em 0;
        font-size: 13px; }
th, td { padding: .2em .7em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child, .text { text-align: left; }
td { white-space: nowrap; }
img { max-width: 100%; }
h2 { margin-top: 2em; border-bottom: 2px solid #ddd; }
.note { color: #777; }
"""


def html_report(workspace: Path, path: Path) -> Path:
    """Write what the workspace holds as one HTML file, pictures embedded.

    Artefacts, matching error, labels, anchor-poses, training and evaluation, each if it is there;
    what is not made yet, or cannot be read, is named instead.
    """
    sections = [
        _section("Artefacts", lambda: _artefacts(workspace)),
        _section("Matching error", lambda: _matching(workspace)),
        _section("Labels", lambda: _labels(workspace)),
        _section("Anchor-poses", lambda: _anchors(workspace)),
        _section("Training", lambda: _training(workspace)),
        _section("Evaluation", lambda: _evaluation(workspace)),
    ]
    name = html.escape(workspace.resolve().name)
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>posebank: {name}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>posebank: {name}</h1>\n{''.join(sections)}</body></html>\n"
    )
    artefacts.write_text_atomic(path, text)
    return path


def _section(title: str, body: Callable[[], str]) -> str:
    try:
        content = body()
    except ArtefactError as error:
        content = f'<p class="note">{html.escape(str(error))}</p>\n'
    return f"<h2>{title}</h2>\n{content}"


def html_table(table: pd.DataFrame, digits: int = 1) -> str:
    """An HTML table of a data frame, numbers rounded, intervals beside them."""
    text = shown(table, digits)
    kinds = ["" if numeric else ' class="text"' for numeric in text.numeric]

    def line(tag: str, cells: Sequence[str]) -> str:
        pairs = zip(kinds, cells, strict=True)
        return "".join(f"<{tag}{kind}>{html.escape(c)}</{tag}>" for kind, c in pairs)

    rows = "".join(f"<tr>{line('td', row)}</tr>\n" for row in text.rows)
    return f"<table><tr>{line('th', text.names)}</tr>\n{rows}</table>\n"


def _picture(draw: Callable[[Path], Any], alt: str) -> str:
    """The PNG that ``draw`` writes, embedded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        draw(path)
        return _embedded(path, alt)


def _embedded(path: Path, alt: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<p><img alt="{html.escape(alt)}" src="data:image/png;base64,{data}"></p>\n'


def _artefacts(workspace: Path) -> str:
    rows = []
    for kind in (kind.name for kind in KINDS.values() if kind.in_run and kind.name != "runs"):
        manifest = artefacts.find_manifest(workspace / kind)
        rows.append(
            {
                "artefact": kind,
                "rows": None if manifest is None else manifest.rows,
                "parts": None if manifest is None else len(manifest.parts),
                "sections": "not made yet" if manifest is None else ", ".join(manifest.sections),
                "set aside": None
                if manifest is None
                else sum(len(s.rejected) for s in manifest.sections.values()),
            }
        )
    return html_table(pd.DataFrame(rows, dtype=object))


def _matching(workspace: Path) -> str:
    # Imported here: matching brings torch and FAISS with it, which a report of labels needs not.
    from posebank.matching import matching_error  # noqa: PLC0415

    matches, people = load_matches(workspace), load_people(workspace)
    bank = load_bank(workspace)
    tables = [
        f"<h3>by {by}</h3>\n{html_table(matching_error(matches, people, by, bank), 3)}"
        for by in ("dataset", "joint", "annotated")
    ]
    return "".join(tables)


def label_statistics(labels: Labels) -> pd.DataFrame:
    """People, completed joints, matching error and trust, by data set."""
    rows = []
    for dataset in sorted(set(labels.dataset)):
        mine = labels.take(labels.dataset == dataset)
        completed = mine.state == JointState.COMPLETED
        rows.append(
            {
                "dataset": dataset,
                "people": len(mine),
                "with completed joints": int(completed.any(axis=1).sum()),
                "completed joints %": 100 * float(completed.mean()),
                "error mm, mean": float(mine.error_mm.mean()),
                "error mm, median": float(np.median(mine.error_mm)),
                "ambiguity mm, median": float(np.median(mine.ambiguity_mm)),
                "trust, mean": float(mine.trust.mean()),
            }
        )
    return pd.DataFrame(rows)


def _labels(workspace: Path) -> str:
    labels = load_labels(workspace)
    roots = image_roots(workspace)
    parts = [html_table(label_statistics(labels), 2)]
    if len(labels):
        parts.append(_picture(lambda p: label_sheet(labels, roots, p, 12, 0), "labelled people"))
        values = {"trust": labels.trust, "matching error, mm": labels.error_mm}
        parts.append(_picture(lambda p: histogram(values, p), "trust and matching error"))
    return "".join(parts)


def _anchors(workspace: Path) -> str:
    anchors = load_anchors(workspace)
    return (
        "<p>Each in its box as the camera sees it (dashes: the upper-body box), and from a side, "
        "with the number of poses in its cluster.</p>\n"
        + _picture(lambda p: anchors_picture(anchors, p), "anchor-poses")
    )


def _training(workspace: Path) -> str:
    files = sorted((workspace / "runs").glob("*/metrics.parquet"))
    if not files:
        raise ArtefactError(f"{workspace / 'runs'}: no run has metrics.parquet yet")
    parts = []
    for file in files:
        metrics = pd.read_parquet(file)
        parts.append(f"<h3>{html.escape(file.parent.name)}</h3>\n")
        if len(metrics):
            parts.append(_picture(partial(training_picture, metrics), "training curves"))
    return "".join(parts)


def _evaluation(workspace: Path) -> str:
    folder = workspace / "evaluation"
    manifest = artefacts.read_manifest(folder, "evaluation")
    parts = []
    for name, section in manifest.sections.items():
        files = {
            Path(part.name).name: folder / part.name
            for part in manifest.parts
            if part.section == name
        }
        rows = [{"": key, **values} for key, values in section.stats.items()]
        parts.append(f"<h3>{html.escape(name)}</h3>\n{html_table(pd.DataFrame(rows))}")
        for table, caption in CAPTIONS.items():
            if (file := files.get(f"tables-{table}.csv")) is not None:
                parts.append(f"<h4>{caption}</h4>\n{html_table(pd.read_csv(file))}")
        # The paper's own method is its PPI; other methods have their files.
        best = [key for key in section.stats if "ppi" in key] or list(section.stats)
        for table, title in _TABLES.items():
            if best and (file := files.get(f"{best[-1]}-{table}.csv")) is not None:
                parts.append(f"<h4>{best[-1]}, {title}</h4>\n{html_table(pd.read_csv(file))}")
        for figure, caption in _FIGURES.items():
            if (file := files.get(f"{figure}.png")) is not None:
                parts.append(f"<h4>{caption}</h4>\n{_embedded(file, caption)}")
    return "".join(parts)
