"""Everything an evaluation leaves behind: numbers, tables and figures, in the paper's form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.artefacts import write_text_atomic
from posebank.evaluation import (
    EvaluationResult,
    EvaluationSettings,
    GroundTruth,
    Scored,
    evaluate,
    h36m_frames,
    h36m_protocol,
    match_image_ids,
    protocol_people,
    rarity_mm,
    score_people,
    section42,
    table2,
    table3,
    table4,
    with_protocols,
)
from posebank.evaluation.h36m import in_protocol
from posebank.evaluation.scoring import scored_enough
from posebank.evaluation.tables import to_latex, to_markdown
from posebank.report.figures import figure5, figure6
from posebank.skeleton import N_JOINTS
from posebank.types import Anchors, Predictions

_CAPTIONS = {
    "natural_images": "2D and 3D detection in natural images (section 4.2)",
    "table2": "3D error (mm) on Human3.6M, protocols P1, P2 and P3 (Table 2)",
    "table3": "3D error (mm) per action, protocol P2, not aligned (Table 3)",
    "table4": "2D error on Human3.6M and PCKh on MPII (Table 4)",
}


def write_evaluation(
    folder: Path,
    methods: Mapping[str, Predictions],
    truth: GroundTruth,
    settings: EvaluationSettings,
    anchors: Anchors | None = None,
) -> tuple[dict[str, EvaluationResult], list[Path]]:
    """Score several predictions of the same images, and write all that there is to show.

    Parameters
    ----------
    folder : must exist.
    methods : name -> predictions. Of names that differ in ``ppi`` and ``nms`` only, the last such
        pair is drawn as Figure 5.
    anchors : for the scores by rarity of the pose.

    Returns
    -------
    The results by name, and the files: ``NAME.json``, ``.md``, ``.tex`` and ``NAME-TABLE.csv`` of
    each; ``tables.md``, ``tables.tex`` and ``tables-TABLE.csv`` with the paper's rows beside ours
    (Tables 2 to 4 where the truth has Human3.6M); ``figure5.png`` and ``figure6.png``.
    """
    results = {
        name: with_protocols(
            evaluate(predictions, truth, settings, anchors=anchors), predictions, truth, settings
        )
        for name, predictions in methods.items()
    }
    files: list[Path] = []

    def write(name: str, text: str) -> None:
        files.append(folder / name)
        write_text_atomic(folder / name, text)

    for name, result in results.items():
        write(f"{name}.json", result.to_json())
        write(f"{name}.md", result.to_markdown())
        write(f"{name}.tex", result.to_latex())
        for table_name, table in result.tables.items():
            write(f"{name}-{table_name}.csv", table.to_csv(index=False))
    tables = paper_tables(methods, results, truth, settings)
    write("tables.md", "\n".join(f"{_CAPTIONS[n]}\n\n{to_markdown(t)}" for n, t in tables.items()))
    write("tables.tex", "\n".join(to_latex(t, _CAPTIONS[n]) for n, t in tables.items()))
    for table_name, table in tables.items():
        write(f"tables-{table_name}.csv", table.to_csv(index=False))
    files += _figures(folder, methods, truth, settings, anchors)
    return results, files


def paper_tables(
    methods: Mapping[str, Predictions],
    results: Mapping[str, EvaluationResult],
    truth: GroundTruth,
    settings: EvaluationSettings,
) -> dict[str, pd.DataFrame]:
    """The paper's tables that the ground truth allows, its rows beside ours."""
    tables = {"natural_images": section42(results)}
    h36m = truth.dataset == "h36m"
    pixels: dict[str, float | None] = dict.fromkeys(methods)
    if h36m.any():
        scores = {}
        measured = truth.take(h36m)
        for name, predictions in methods.items():
            found, _ = match_image_ids(predictions, measured.image_id)
            frames = h36m_frames(found, measured, settings)
            tested = [p for p in ("p1", "p2", "p3") if in_protocol(frames, p).any()]
            scores[name] = {p: h36m_protocol(frames, p) for p in tested}
            if "p2" in tested:
                pixels[name] = scores[name]["p2"].averages["pixels_frames"]
        tables["table2"] = table2(scores)
        tables["table3"] = table3({n: s["p2"] for n, s in scores.items() if "p2" in s})
    if (h36m | (truth.dataset == "mpii")).any():
        pckh = {name: _pckh_of(result, "mpii") for name, result in results.items()}
        tables["table4"] = table4({name: (pixels[name], pckh[name]) for name in methods})
    return tables


def _pckh_of(result: EvaluationResult, dataset: str) -> float | None:
    """PCKh of one of the data sets, None if it is not among them."""
    table = result.tables["datasets"].set_index("dataset")["pckh"]
    return float(table[dataset]) if dataset in table.index else None


def _figures(
    folder: Path,
    methods: Mapping[str, Predictions],
    truth: GroundTruth,
    settings: EvaluationSettings,
    anchors: Anchors | None,
) -> list[Path]:
    files = []
    scored: dict[str, Scored] = {}
    poses: dict[str, NDArray[np.float64]] = {}
    for name, predictions in methods.items():
        kept, _ = match_image_ids(scored_enough(predictions, settings), truth.image_id)
        scored[name] = score_people(kept, truth, settings)
        poses[name] = np.full((len(truth), N_JOINTS, 3), np.nan)
        found = scored[name].selected >= 0
        poses[name][found] = kept.joints_3d[scored[name].selected[found]]
    pairs = [(n, n.replace("ppi", "nms")) for n in methods if "ppi" in n]
    pairs = [(ppi, nms) for ppi, nms in pairs if nms in methods]
    if pairs:
        ppi, nms = pairs[-1]
        shown = (np.asarray(truth.joints_3d, np.float64), poses[ppi], poses[nms])
        files.append(figure5(scored[ppi], scored[nms], shown, folder / "figure5.png"))
    rarity = np.full(len(truth), np.nan) if anchors is None else rarity_mm(anchors, truth.joints_3d)
    single = protocol_people(truth)
    files.append(
        figure6(scored, rarity, single, folder / "figure6.png", threshold=settings.threshold)
    )
    return files
