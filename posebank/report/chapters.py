"""Chapters of the HTML report that do not change while it is read: tables and pictures."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from posebank import artefacts
from posebank.artefact_kinds import KINDS
from posebank.errors import ArtefactError, SourceError
from posebank.files import read_json
from posebank.report.curves import histogram, training_picture
from posebank.report.evaluation import CAPTIONS
from posebank.report.tables import html_table
from posebank.skeleton import JointState
from posebank.types import Labels, People, PoseBank
from posebank.workspace import load_bank, load_labels, load_matches, load_people

DEMO_FACTS = "demo.json"
"""What the demo leaves in its workspace: its table, and how well trust is calibrated."""

_WENT_IN = ("bank", "annotations")
_SAMPLE = 200  # people of each data set that the contribution of the MoCap sets is measured on

_TABLES = {
    "joints": "by joint",
    "datasets": "by data set",
    "annotated": "by number of annotated joints",
    "rarity": "by rarity of the pose",
}
_FIGURES = {
    "figure5": "3D error of each person: PPI, NMS, and PPI aligned (Figure 5)",
    "figure6": "PCKh over the distance, and over the rarity of the pose (Figure 6)",
    "figure7": "Detections, from the best to the worst (Figure 7)",
}


def escaped(text: object) -> str:
    """Return text that HTML shows as it is, also within an attribute."""
    return html.escape(str(text), quote=True)


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph; the text is escaped."""
    return f'<p class="{kind}">{escaped(text)}</p>\n' if kind else f"<p>{escaped(text)}</p>\n"


def picture(draw: Callable[[Path], Any], alt: str) -> str:
    """Return the PNG that ``draw`` writes as an embedded image."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        draw(path)
        return _embedded(path, alt)


def _embedded(path: Path, alt: str) -> str:
    encoded = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        f'<p><img class="picture" alt="{escaped(alt)}" src="data:image/png;base64,{encoded}"></p>\n'
    )


def demo_facts(workspace: Path) -> dict[str, Any] | None:
    """Return what the demo wrote about its generated people; None in any other workspace."""
    try:
        facts = read_json(workspace / DEMO_FACTS)
    except SourceError:
        return None
    return facts if isinstance(facts, dict) else None


def sources_chapter(workspace: Path) -> str:
    """Return what went in: the data sets of the bank and of the annotations, and each artefact."""
    rows = []
    for kind in _WENT_IN:
        manifest = artefacts.find_manifest(workspace / kind)
        if manifest is None:
            continue
        for name, section in manifest.sections.items():
            rows.append(
                {
                    "artefact": kind,
                    "data set": name,
                    "rows": sum(p.rows for p in manifest.parts if p.section == name),
                    "set aside": len(section.rejected),
                }
            )
    made = []
    for kind in (kind.name for kind in KINDS.values() if kind.in_run and kind.name != "runs"):
        manifest = artefacts.find_manifest(workspace / kind)
        made.append(
            {
                "artefact": kind,
                "rows": None if manifest is None else manifest.rows,
                "state": "not made yet" if manifest is None else "complete",
            }
        )
    text = html_table(pd.DataFrame(rows)) if rows else ""
    return text + html_table(pd.DataFrame(made, dtype=object))


def matching_chapter(workspace: Path) -> str:
    """Return the matching error, and what each MoCap set contributes to it."""
    # Imported here: matching loads FAISS, which a report of labels does not need.
    from posebank.matching import matching_error  # noqa: PLC0415

    matches, people = load_matches(workspace), load_people(workspace)
    bank = load_bank(workspace)
    parts = [contribution_section(bank, people)]
    for by, title in (
        ("dataset", "By data set"),
        ("joint", "By joint"),
        ("annotated", "By number of annotated joints"),
    ):
        table = matching_error(matches, people, by, bank)
        # Quartiles would not fit; `posebank query` has them.
        shown = table[[name for name in table if not str(name).endswith(("_p25", "_p75"))]]
        parts.append(f"<h3>{title}</h3>\n{html_table(shown, 3)}")
    return "".join(parts)


def contribution_section(bank: PoseBank, people: People) -> str:
    """Return what each MoCap set adds: the matching error as the sets are added one by one."""
    names = sorted(set(bank.dataset), key=lambda name: -int((bank.dataset == name).sum()))
    if len(names) < 2:
        return ""
    return (
        "<h3>What each MoCap set adds</h3>\n"
        + paragraph(
            "Mean matching error as the MoCap sets are added to the bank one after the other, the "
            f"largest first, on up to {_SAMPLE} people of each data set. The paper reports that "
            "its sets together lower the error by 13 %."
        )
        + html_table(contribution(bank, people, names), 3)
    )


def contribution(bank: PoseBank, people: People, names: list[str]) -> pd.DataFrame:
    """Measure the matching error with the first MoCap set, the first two, and so on.

    Parameters
    ----------
    bank : PoseBank
        Poses of all the sets.
    people : People
        Annotated people; up to 200 of each data set are matched.
    names : sequence of str
        MoCap sets in the order of being added.

    Returns
    -------
    A row for each data set of people; the mean ``error_norm`` for each bank, and the reduction
    from the first to the last, in percent.
    """
    from posebank.matching import MatchSettings, match  # noqa: PLC0415

    rng = np.random.default_rng(0)
    rows = []
    for dataset in sorted(set(people.dataset)):
        members = np.flatnonzero(people.dataset == dataset)
        sample = people.take(np.sort(rng.permutation(members)[:_SAMPLE]))
        row: dict[str, Any] = {"dataset": dataset}
        errors = []
        for count in range(1, len(names) + 1):
            some = bank.take(np.isin(bank.dataset.astype(str), names[:count]))
            matched, _ = match(some, sample, MatchSettings(k=1))
            errors.append(float(matched.error_norm[:, 0].mean()) if len(matched) else float("nan"))
            row[f"{'with ' if count == 1 else '+ '}{names[count - 1]}"] = errors[-1]
        row["reduction, %"] = 100 * (1 - errors[-1] / errors[0])
        rows.append(row)
    return pd.DataFrame(rows)


def label_statistics(labels: Labels) -> pd.DataFrame:
    """Return people, completed joints, matching error and trust, by data set."""
    rows = []
    for dataset in sorted(set(labels.dataset)):
        of_dataset = labels.take(labels.dataset == dataset)
        completed = of_dataset.state == JointState.COMPLETED
        rows.append(
            {
                "dataset": dataset,
                "people": len(of_dataset),
                "with completed joints": int(completed.any(axis=1).sum()),
                "completed joints %": 100 * float(completed.mean()),
                "error mm, mean": float(of_dataset.error_mm.mean()),
                "error mm, median": float(np.median(of_dataset.error_mm)),
                "ambiguity mm, median": float(np.median(of_dataset.ambiguity_mm)),
                "trust, mean": float(of_dataset.trust.mean()),
            }
        )
    return pd.DataFrame(rows)


def trust_chapter(workspace: Path, demo: Mapping[str, Any] | None) -> str:
    """Return how trust is distributed and, for generated people, how well it is calibrated."""
    labels = load_labels(workspace)
    values = {"trust": labels.trust, "matching error, mm": labels.error_mm}
    parts = [html_table(label_statistics(labels), 2)]
    if demo is not None and demo.get("trust"):
        parts.append(
            "<h3>Calibration</h3>\n"
            + paragraph(
                "The truth of these people is known: of the labels with about the same trust, the "
                "share whose mean joint error is below 150 mm should equal the trust."
            )
            + html_table(pd.DataFrame(demo["trust"]), 2)
        )
    if len(labels):
        parts.append(picture(partial(histogram, values), "trust and matching error"))
    return "".join(parts)


def training_chapter(workspace: Path) -> str:
    """Return the curves of every training run."""
    files = sorted((workspace / "runs").glob("*/metrics.parquet"))
    if not files:
        raise ArtefactError(f"{workspace / 'runs'}: no run has metrics.parquet yet")
    parts = []
    for file in files:
        metrics = pd.read_parquet(file)
        parts.append(f"<h3>{escaped(file.parent.name)}</h3>\n")
        if len(metrics):
            parts.append(picture(partial(training_picture, metrics), "training curves"))
    return "".join(parts)


def evaluation_chapter(workspace: Path, *, beside_the_paper: bool) -> str:
    """Return the scores of every evaluated run, with the paper's tables and figures.

    Parameters
    ----------
    workspace : Path
        The workspace folder.
    beside_the_paper : bool
        Show the paper's rows beside ours; generated people are not compared with
        photographs.
    """
    folder = workspace / "evaluation"
    manifest = artefacts.read_manifest(folder, "evaluation")
    with artefacts.one_version(folder, manifest):
        return _scores(folder, manifest, beside_the_paper)


def _scores(folder: Path, manifest: artefacts.Manifest, beside_the_paper: bool) -> str:
    parts = []
    for name, section in manifest.sections.items():
        files = {
            Path(part.name).name: artefacts.part_path(folder, part)
            for part in manifest.parts
            if part.section == name
        }
        rows = [{"method": key, **values} for key, values in section.stats.items()]
        parts.append(f"<h3>{escaped(name)}</h3>\n{html_table(pd.DataFrame(rows))}")
        for table, caption in CAPTIONS.items():
            if (file := files.get(f"tables-{table}.csv")) is not None:
                parts.append(_paper_table(pd.read_csv(file), caption, beside_the_paper))
        # The paper's own method is its PPI; other methods have their files.
        best = [key for key in section.stats if "ppi" in key] or list(section.stats)
        for table, title in _TABLES.items():
            if best and (file := files.get(f"{best[-1]}-{table}.csv")) is not None:
                parts.append(
                    f"<h3>{escaped(best[-1])}, {title}</h3>\n{html_table(pd.read_csv(file))}"
                )
        for figure, caption in _FIGURES.items():
            if (file := files.get(f"{figure}.png")) is not None:
                parts.append(f"<h3>{caption}</h3>\n{_embedded(file, caption)}")
    return "".join(parts)


def _paper_table(table: pd.DataFrame, caption: str, beside_the_paper: bool) -> str:
    if not beside_the_paper and "source" in table:
        table = table[table["source"] != "paper"].dropna(axis="columns", how="all")
    return f"<h3>{caption}</h3>\n{html_table(table)}"
