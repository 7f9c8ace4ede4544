"""The HTML report of a workspace: one file that needs no network, with script and data inside."""

from __future__ import annotations

import importlib.resources
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from posebank import artefacts
from posebank.errors import ArtefactError
from posebank.geometry.camera_prior import CameraPrior
from posebank.report.chapters import (
    demo_facts,
    escaped,
    evaluation_chapter,
    matching_chapter,
    paragraph,
    sources_chapter,
    training_chapter,
    trust_chapter,
)
from posebank.report.examples import choose_examples, describe_examples
from posebank.report.pose_map import pose_map
from posebank.report.tables import html_table
from posebank.skeleton import JOINT_NAMES, LIMBS, N_JOINTS, J
from posebank.types import Anchors, Labels
from posebank.workspace import (
    image_roots,
    load_anchors,
    load_bank,
    load_labels,
    load_matches,
    load_people,
)

N_EXAMPLES = 500
"""Labels that a report shows at most: about 20 KB each."""
_MAP_POSES = 3000  # of the bank, in the map

_FILTERS = """
<form id="filters">
<label>Data set<select id="dataset"></select></label>
<label>Sort by<select id="sort"></select></label>
<label>Camera<select id="camera"></select></label>
<label>Trust from<input id="trust-low" type="number" min="0" max="1" step="0.05"></label>
<label>to<input id="trust-high" type="number" min="0" max="1" step="0.05"></label>
<label>Error from, mm<input id="error-low" type="number" min="0" step="5"></label>
<label>to<input id="error-high" type="number" min="0" step="5"></label>
<label>Completed joints from<input id="completed-low" type="number" min="0" max="13"></label>
<button type="button" id="clear">Reset</button>
</form>
<p class="note" id="count" role="status"></p>
<div class="grid" id="grid"></div>
<p><button type="button" id="more">Show more</button></p>
"""

_DIALOG = """
<dialog id="dialog" aria-labelledby="title">
<div id="bar"><h3 id="title"></h3>
<button type="button" id="previous">&larr; Previous</button>
<button type="button" id="next">Next &rarr;</button>
<button type="button" id="front">From the camera</button>
<button type="button" id="close">Close</button></div>
<div id="views"><canvas id="photo"></canvas><canvas id="pose"></canvas></div>
<div id="shown"></div>
<p class="note">Drag the 3D pose to turn it; the arrow keys go on. Red: the person's right; blue:
the left. Square: occluded; hollow and dashed: completed. The floor's squares are half a metre.
Beside a mode or the matched frame, the label is drawn in thin dashes.</p>
<dl id="facts"></dl>
</dialog>
"""


class _Chapter(NamedTuple):
    key: str  # names it in links
    title: str
    explanation: str
    body: Callable[[], str]


def html_report(
    workspace: Path,
    path: Path,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    priors: Mapping[str, CameraPrior] | None = None,
) -> Path:
    """Write what a workspace holds as one HTML file with its pictures, data and script.

    Parameters
    ----------
    workspace : Path
        The workspace folder. What is not made yet, or cannot be read, is named instead.
    path : Path
        File to write.
    progress : callable
        Called with the chapters that are done, and how many there are.
    priors : dict of str to CameraPrior, optional
        By data set, the camera priors that weighed the candidates of the labels.

    Returns
    -------
    ``path``.
    """
    demo = demo_facts(workspace)
    data: dict[str, Any] = _skeleton()
    chapters = [
        _Chapter(
            "sources",
            "What went in",
            "The data sets that were read, and the artefacts that were made of them.",
            lambda: sources_chapter(workspace),
        ),
        _Chapter(
            "labels",
            "Labels",
            "Every label is a full-body pose in 2D and 3D. Sort and filter them here; open one to "
            "see its image, turn its 3D pose, and compare it with the matched frame of motion "
            "capture and with the other poses that explain the annotation.",
            lambda: _labels(workspace, data, priors or {}),
        ),
        _Chapter(
            "matching",
            "Matching error",
            "How well the bank's poses explain the annotated joints: the distance between a "
            "person's joints and the best matched pose in its best camera.",
            lambda: matching_chapter(workspace),
        ),
        _Chapter(
            "trust-chapter",
            "Trust",
            "The trust of a label is the probability that its mean joint error is below 150 mm.",
            lambda: trust_chapter(workspace, demo),
        ),
        _Chapter(
            "coverage",
            "Coverage of pose space",
            "The bank's poses (grey), the labelled people of this report (blue) and the "
            "anchor-poses (red) on the two principal components of all poses, turned to face one "
            "way. People far from every grey point have poses that the bank lacks. Click a blue "
            "point to open the label.",
            lambda: _map(workspace, data),
        ),
        _Chapter(
            "anchor-poses",
            "Anchor-poses",
            "The classes of LCR-Net: the centres of K-means over the poses. Drag one to turn all.",
            lambda: _anchors(workspace, data),
        ),
        _Chapter(
            "training",
            "Training",
            "Losses and scores of each training run, over its iterations.",
            lambda: training_chapter(workspace),
        ),
        _Chapter(
            "evaluation",
            "Evaluation",
            "Scores of the trained network on people that it has not seen.",
            lambda: evaluation_chapter(workspace, beside_the_paper=demo is None),
        ),
    ]
    bodies = []
    for done, chapter in enumerate(chapters):
        progress(done, len(chapters))
        bodies.append(_section(chapter, workspace))
    progress(len(chapters), len(chapters))
    name = escaped(workspace.resolve().name)
    # "<" would end the script element; in JSON it may be written as an escape.
    packed = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    links = "".join(f'<a href="#{c.key}">{c.title}</a>' for c in chapters)
    text = (
        '<!doctype html>\n<html lang="en" data-theme="light"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>posebank: {name}</title><style>{_static('report.css')}</style></head>\n"
        f'<body><header><button type="button" id="theme">Dark</button>{_demo_notice(demo)}'
        f"<h1>posebank: {name}</h1>\n<nav>{links}</nav></header>\n<main>\n"
        + "".join(bodies)
        + f'</main>\n{_DIALOG}<script type="application/json" id="data">{packed}</script>\n'
        f"<script>{_static('report.js')}</script></body></html>\n"
    )
    artefacts.write_text_atomic(path, text)
    return path


def _static(name: str) -> str:
    return importlib.resources.files(__package__).joinpath("static", name).read_text("utf-8")


def _section(chapter: _Chapter, workspace: Path) -> str:
    try:
        content = chapter.body()
    except ArtefactError as error:
        # Not made yet, mostly. Where the workspace lies is nothing for a page that is passed on.
        content = paragraph(str(error).replace(f"{workspace}{os.sep}", ""), "note")
    heading = f'<h2 id="{chapter.key}">{chapter.title}</h2>\n'
    return f"{heading}{paragraph(chapter.explanation)}{content}"


def _demo_notice(demo: dict[str, Any] | None) -> str:
    """The first lines of the demo's report: what it is, and its table of errors."""
    if demo is None:
        return ""
    rows = pd.DataFrame(demo.get("table", []), columns=["what", "value", "unit"])
    rows["value"] = [f"{value:#.3g}" for value in rows["value"]]  # millimetres and parts of 1
    return paragraph(
        "The people of this report are generated, not photographed. Their truth is known, so "
        "the errors below are exact; they do not compare with results on photographs.",
        "notice",
    ) + html_table(rows)


def _skeleton() -> dict[str, Any]:
    return {
        "joints": list(JOINT_NAMES),
        "bones": [[J[a], J[b]] for a, b in LIMBS],
        "neck": [J["r_shoulder"], J["l_shoulder"]],
        "head": J["head"],
        "examples": [],
        "n_labels": 0,
        "anchors": [],
    }


def _labels(workspace: Path, data: dict[str, Any], priors: Mapping[str, CameraPrior]) -> str:
    labels = load_labels(workspace)
    data["n_labels"] = len(labels)
    if not len(labels):
        return paragraph("There are no labels.", "note")
    rows, strips = choose_examples(labels, N_EXAMPLES)
    shown = labels.take(rows)
    data["examples"] = _describe(workspace, shown, priors)
    place = {int(row): i for i, row in enumerate(rows)}
    parts = [_FILTERS]
    for dataset, kinds in strips.items():
        for kind, members in kinds.items():
            listed = json.dumps([place[int(row)] for row in members])
            parts.append(
                f"<h3>{escaped(dataset)}: {kind} by trust</h3>\n"
                f'<div class="strip" data-rows="{listed}"></div>\n'
            )
    return "".join(parts)


def _describe(
    workspace: Path, shown: Labels, priors: Mapping[str, CameraPrior]
) -> list[dict[str, Any]]:
    bank, roots = load_bank(workspace), image_roots(workspace)
    try:
        return describe_examples(
            shown, bank, roots, load_matches(workspace), load_people(workspace), priors
        )
    except ArtefactError:  # labels whose matches are gone have no modes to show
        return describe_examples(shown, bank, roots)


def _map(workspace: Path, data: dict[str, Any]) -> str:
    bank = load_bank(workspace)
    rows = np.random.default_rng(0).permutation(len(bank))[:_MAP_POSES]
    people = (
        np.array([e["pose"] for e in data["examples"]], np.float64).reshape(-1, N_JOINTS, 3) / 1000
    )
    try:
        anchors = _full(load_anchors(workspace)).pose_3d
    except ArtefactError:
        anchors = np.zeros((0, N_JOINTS, 3), np.float32)
    if len(rows) + len(people) < 3:
        raise ArtefactError("the bank and the labels: expected at least three poses")
    found = pose_map(bank.joints_3d[np.sort(rows)], people, anchors)
    data["map"] = {
        name: np.round(1000 * getattr(found, name)).astype(int).tolist()
        for name in ("bank", "people", "anchors")
    }
    return (
        '<canvas id="map"></canvas>\n<p class="note legend">'
        '<i style="background:var(--shade)"></i>bank<i style="background:var(--accent)"></i>'
        'people<i style="background:var(--right)"></i>anchor-poses. The two components keep '
        f"{100 * found.explained:.0f} % of the variance.</p>\n"
    )


def _full(anchors: Anchors) -> Anchors:
    return anchors.take(anchors.kind == "full")


def _anchors(workspace: Path, data: dict[str, Any]) -> str:
    full = _full(load_anchors(workspace))
    order = np.argsort(-full.count, kind="stable")
    data["anchors"] = [
        {
            "id": int(full.anchor_id[row]),
            "count": int(full.count[row]),
            "pose": np.round(1000 * full.pose_3d[row].astype(np.float64)).astype(int).tolist(),
        }
        for row in order
    ]
    return '<div id="anchors"></div>\n'
