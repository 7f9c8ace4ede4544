"""The paper's Tables 1 to 4 with our rows beside its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from posebank.evaluation import paper
from posebank.evaluation.h36m import ProtocolScore
from posebank.evaluation.h36m_names import ACTIONS
from posebank.evaluation.result import EvaluationResult


def _frame(rows: list[list[Any]], columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({c: float for c in columns if c not in ("source", "method")})


def table1(ours: Mapping[str, Mapping[int, Mapping[str, float | None]]]) -> pd.DataFrame:
    """3D error over the number K of anchor-poses (Table 1).

    Parameters
    ----------
    ours : method -> K -> numbers ``absolute`` and ``rigid``, mm, of one data set and training
        length.
    """
    columns = sorted({*paper.TABLE1_K, *(k for scores in ours.values() for k in scores)})
    rows: list[list[Any]] = []
    for method, values in paper.TABLE1.items():
        known = dict(zip(paper.TABLE1_K, values, strict=True))
        rows.append(["paper", method, *[known.get(k) for k in columns]])
    for method, scores in ours.items():
        for suffix, metric in (("", "absolute"), (" + Align.", "rigid")):
            cells = [scores[k][metric] if k in scores else None for k in columns]
            rows.append(["ours", method + suffix, *cells])
    return _frame(rows, ["source", "method", *[f"K={k}" for k in columns]])


def table2(ours: Mapping[str, Mapping[str, ProtocolScore]]) -> pd.DataFrame:
    """3D error on Human3.6M for the three protocols (Table 2).

    Parameters
    ----------
    ours : method -> protocol (``p1``, ``p2``, ``p3``) -> score; protocols may be missing.
    """
    rows: list[list[Any]] = [["paper", name, *values] for name, values in paper.TABLE2.items()]
    cells = [("p1", "absolute"), ("p1", "rigid"), ("p2", "absolute"), ("p2", "rigid"),
             ("p3", "rigid")]  # fmt: skip
    for method, scores in ours.items():
        rows.append(
            ["ours", method,
             *[scores[p].averages[f"{m}_frames"] if p in scores else None for p, m in cells]]
        )  # fmt: skip
    return _frame(rows, ["source", "method", *paper.TABLE2_COLUMNS])


def table3(ours: Mapping[str, ProtocolScore]) -> pd.DataFrame:
    """3D error per action, P2, not aligned (Table 3); the averages are over frames.

    Parameters
    ----------
    ours : method -> score of P2.
    """
    rows: list[list[Any]] = [["paper", name, *values] for name, values in paper.TABLE3.items()]
    for method, score in ours.items():
        actions = score.actions.set_index("action")["absolute"].reindex(ACTIONS).tolist()
        both = [score.averages["absolute_frames"], score.averages["absolute_frames_6"]]
        rows.append(["ours", method, *actions, *both])
    return _frame(rows, ["source", "method", *ACTIONS, "Avg. (All)", "Avg. (6)"])


def table4(ours: Mapping[str, tuple[float | None, float | None]]) -> pd.DataFrame:
    """2D error on Human3.6M (pixels) and PCKh@0.5 on MPII (Table 4).

    Parameters
    ----------
    ours : method -> both numbers, None for one that is not measured.
    """
    rows: list[list[Any]] = [["paper", name, *values] for name, values in paper.TABLE4.items()]
    rows += [["ours", method, *values] for method, values in ours.items()]
    return _frame(rows, ["source", "method", "Human3.6M 2D error (px)", "MPII PCKh@0.5 (%)"])


def section42(ours: Mapping[str, EvaluationResult]) -> pd.DataFrame:
    """2D detection in natural images: PCKh and mAP at 0.5 and 1 (section 4.2's text).

    Our rows also give the 3D errors, which the paper has no truth for. PCKh@0.5 and mAP@0.5 stand
    for the threshold of the settings, 0.5 unless changed.
    """
    rows: list[list[Any]] = [
        ["paper", "LCR-Net + PPI", *paper.MPII_VALIDATION.values(), None, None]
    ]
    for method, result in ours.items():
        n = result.numbers
        rows.append(
            ["ours", method, n["pckh"]["weighted"], n["pckh"]["at_1"], n["map"]["value"],
             n["map"]["at_1"], n["mpjpe"]["absolute"], n["mpjpe"]["rigid"]]
        )  # fmt: skip
    return _frame(
        rows,
        ["source", "method", *paper.MPII_VALIDATION, "3D error (mm)", "3D error, aligned (mm)"],
    )
