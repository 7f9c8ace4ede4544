"""Everything an evaluation leaves behind: numbers, tables and figures, in the paper's form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank.artefacts import write_text_atomic
from posebank.evaluation import (
    EvaluationResult,
    EvaluationSettings,
    GroundTruth,
    ProtocolScore,
    evaluate,
    h36m_scores,
    match_image_ids,
    paired_difference,
    protocol_people,
    rarity_mm,
    score_people,
    section42,
    table2,
    table3,
    table4,
    with_protocols,
)
from posebank.evaluation.bootstrap import Interval
from posebank.evaluation.h36m import in_protocol, known_frames
from posebank.evaluation.scoring import scored_enough
from posebank.evaluation.tables import to_latex, to_markdown
from posebank.report.figures import figure5, figure6, figure7, select_poses
from posebank.report.images import ImageOf, no_image
from posebank.types import Anchors, Predictions

CAPTIONS = {
    "natural_images": "2D and 3D detection in natural images (section 4.2)",
    "table2": "3D error (mm) on Human3.6M, protocols P1, P2 and P3 (Table 2)",
    "table3": "3D error (mm) per action, protocol P2, not aligned (Table 3)",
    "table4": "2D error on Human3.6M and PCKh on MPII (Table 4)",
}
"""The paper's tables by the name of their file."""


def write_evaluation(
    folder: Path | None,
    methods: Mapping[str, Predictions],
    truth: GroundTruth,
    settings: EvaluationSettings,
    anchors: Anchors | None = None,
    *,
    image_of: ImageOf = no_image,
    coco: Path | None = None,
) -> tuple[dict[str, EvaluationResult], list[Path]]:
    """Score several predictions of the same images, and write all that there is to show.

    Parameters
    ----------
    folder : Path or None
        Folder to write, made if it does not exist; None writes nothing.
    methods : mapping
        Name -> predictions. Of names that differ in ``ppi`` and ``nms`` only, the last such
        pair is drawn as Figure 5; Figure 7 shows the last method, its PPI if it has one.
    truth : GroundTruth
        The people and their true joints.
    settings : EvaluationSettings
        Metrics and thresholds.
    anchors : Anchors or None
        Anchor-poses, for the scores by rarity of the pose.
    image_of : ImageOf
        Returns the image of an ``image_id``, or None if it is not available.
    coco : Path or None
        As for ``evaluate``.

    Returns
    -------
    The results by name, those of PPI with the table ``against_nms``, and the files: ``NAME.json``,
    ``.md``, ``.tex`` and ``NAME-TABLE.csv`` of each; ``tables.md``, ``tables.tex`` and
    ``tables-TABLE.csv`` with the paper's rows beside ours (Tables 2 to 4 where the truth has
    Human3.6M); ``figure5.png``, ``figure6.png`` and ``figure7.png``.
    """
    results: dict[str, EvaluationResult] = {}
    protocols: dict[str, dict[str, ProtocolScore]] = {}
    for name, predictions in methods.items():
        protocols[name] = h36m_scores(predictions, truth, settings)
        result = evaluate(predictions, truth, settings, anchors=anchors, coco=coco)
        results[name] = with_protocols(result, protocols[name])
    for ppi, nms in _pairs(methods):
        against = paired_difference(methods[ppi], methods[nms], truth, settings)
        results[ppi] = replace(results[ppi], tables={"against_nms": against, **results[ppi].tables})
    if folder is None:
        return results, []
    folder.mkdir(parents=True, exist_ok=True)
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
    tables = paper_tables(methods, results, protocols, truth, settings)
    captions = {name: caption(name, settings) for name in tables}
    write("tables.md", "\n".join(f"{captions[n]}\n\n{to_markdown(t)}" for n, t in tables.items()))
    write("tables.tex", "\n".join(to_latex(t, captions[n]) for n, t in tables.items()))
    for table_name, table in tables.items():
        write(f"tables-{table_name}.csv", table.to_csv(index=False))
    files += _figures(folder, methods, truth, settings, anchors, image_of)
    return results, files


def _pairs(methods: Iterable[str]) -> list[tuple[str, str]]:
    """Names that differ in ``ppi`` and ``nms`` only."""
    pairs = [(name, name.replace("ppi", "nms")) for name in methods if "ppi" in name]
    return [(ppi, nms) for ppi, nms in pairs if nms in set(methods)]


def caption(name: str, settings: EvaluationSettings) -> str:
    """Return the caption of one of the paper's tables."""
    if not settings.bootstrap:
        return CAPTIONS[name]
    return f"{CAPTIONS[name]}; ours with {100 * settings.confidence:g}% intervals"


def natural_people(truth: GroundTruth) -> NDArray[np.bool_]:
    """Return the people (n,) of section 4.2: MPII's, or without MPII all but Human3.6M's."""
    mpii = truth.dataset == "mpii"
    return np.asarray(mpii if mpii.any() else truth.dataset != "h36m", bool)


def paper_tables(
    methods: Mapping[str, Predictions],
    results: Mapping[str, EvaluationResult],
    protocols: Mapping[str, Mapping[str, ProtocolScore]],
    truth: GroundTruth,
    settings: EvaluationSettings,
) -> dict[str, pd.DataFrame]:
    """Return the paper's tables that the ground truth allows, its rows beside ours.

    A protocol of Human3.6M of which many frames are missing stays out.
    """
    tables: dict[str, pd.DataFrame] = {}
    natural = natural_people(truth)
    in_nature: Mapping[str, EvaluationResult] = {}
    if natural.all():
        in_nature = results
    elif natural.any():
        in_nature = {n: evaluate(p, truth.take(natural), settings) for n, p in methods.items()}
    if in_nature:
        tables["natural_images"] = section42(in_nature)
    whole = {n: {p: s for p, s in scores.items() if s.whole} for n, scores in protocols.items()}
    if any(whole.values()):
        tables["table2"] = table2(whole)
        tables["table3"] = table3({n: s["p2"] for n, s in whole.items() if "p2" in s})
    with_mpii = bool((truth.dataset == "mpii").any())
    if any(whole.values()) or with_mpii:
        values: dict[str, tuple[float | None, float | None]] = {}
        bounds: dict[str, tuple[Interval | None, Interval | None]] = {}
        for name in methods:
            p2 = whole[name].get("p2")
            pckh = in_nature[name].numbers["pckh"] if with_mpii else None
            values[name] = (
                p2.averages["pixels_frames"] if p2 else None,
                pckh["weighted"] if pckh else None,
            )
            bounds[name] = (
                p2.intervals["pixels_frames"] if p2 else None,
                pckh["interval"] if pckh else None,
            )
        tables["table4"] = table4(values, bounds)
    return tables


def _figures(
    folder: Path,
    methods: Mapping[str, Predictions],
    truth: GroundTruth,
    settings: EvaluationSettings,
    anchors: Anchors | None,
    image_of: ImageOf,
) -> list[Path]:
    kept = {
        name: match_image_ids(scored_enough(predictions, settings), truth.image_id)[0]
        for name, predictions in methods.items()
    }
    files = []
    pairs = _pairs(methods)
    if pairs:
        people, of_people, rules = _figure5_people(truth, settings)
        ppi, nms = (select_poses(kept[name], people, rules) for name in pairs[-1])
        files.append(
            figure5(ppi, nms, people, folder / "figure5.png", whose=of_people, image_of=image_of)
        )
    people = truth.take(natural_people(truth))
    if not len(people):
        return files
    rarity = np.full(len(people), np.nan)
    if anchors is not None:
        rarity = rarity_mm(anchors, people.joints_3d)
    scored = {name: score_people(found, people, settings) for name, found in kept.items()}
    files.append(
        figure6(
            scored,
            rarity,
            protocol_people(people),
            folder / "figure6.png",
            threshold=settings.threshold,
        )
    )
    name = pairs[-1][0] if pairs else list(methods)[-1]
    files.append(
        figure7(
            kept[name],
            scored[name],
            people,
            folder / "figure7.png",
            image_of=image_of,
            threshold=settings.threshold,
        )
    )
    return files


def _figure5_people(
    truth: GroundTruth, settings: EvaluationSettings
) -> tuple[GroundTruth, str, EvaluationSettings]:
    """The people of Figure 5, what to call them, and how they are scored.

    Human3.6M's P1 as in the paper; without it all of Human3.6M, else everybody.
    """
    measured = truth.take(truth.dataset == "h36m")
    if not len(measured):
        return truth, "person", settings
    as_protocol = replace(settings, selection="score")
    first = measured.take(in_protocol(known_frames(measured.image_id), "p1"))
    if len(first):
        return first, "Human3.6M P1 frame", as_protocol
    return measured, "Human3.6M frame", as_protocol
