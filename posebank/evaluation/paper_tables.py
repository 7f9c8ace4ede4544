"""The paper's Tables 1 to 4 with our rows beside its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from posebank.evaluation import paper_numbers
from posebank.evaluation.bootstrap import Interval
from posebank.evaluation.h36m import ProtocolScore
from posebank.evaluation.h36m_names import ACTIONS
from posebank.evaluation.result import EvaluationResult


def _frame(
    rows: list[list[Any]], columns: list[str], intervals: list[list[Interval | None]] | None = None
) -> pd.DataFrame:
    """A table of numbers behind ``source`` and ``method``.

    intervals : of the last rows' numbers; columns ``NAME_low`` and ``NAME_high`` follow those that
        have any.
    """
    table = pd.DataFrame(rows, columns=columns)
    names = [c for c in columns if c not in ("source", "method")]
    table = table.astype(dict.fromkeys(names, float))
    known = intervals or []
    for column, name in enumerate(names):
        bounds = [row[column] for row in known]
        if any(b is not None and not np.isnan(b[0]) for b in bounds):
            filled = [(np.nan, np.nan)] * (len(rows) - len(known))
            filled += [(np.nan, np.nan) if b is None else b for b in bounds]
            place = list(table.columns).index(name) + 1
            table.insert(place, f"{name}_low", [b[0] for b in filled])
            table.insert(place + 1, f"{name}_high", [b[1] for b in filled])
    return table


def table1(ours: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> pd.DataFrame:
    """Return the table of the 3D error over the number K of anchor-poses (Table 1).

    Parameters
    ----------
    ours : mapping
        Method -> K -> numbers ``absolute`` and ``rigid``, mm, of one data set and training
        length, and ``absolute_interval`` and ``rigid_interval`` if known.
    """
    columns = sorted({*paper_numbers.TABLE1_K, *(k for scores in ours.values() for k in scores)})
    rows: list[list[Any]] = []
    intervals: list[list[Interval | None]] = []
    for method, values in paper_numbers.TABLE1.items():
        known = dict(zip(paper_numbers.TABLE1_K, values, strict=True))
        rows.append(["paper", method, *[known.get(k) for k in columns]])
    for method, scores in ours.items():
        for suffix, metric in (("", "absolute"), (" + Align.", "rigid")):
            cells = [scores[k][metric] if k in scores else None for k in columns]
            rows.append(["ours", method + suffix, *cells])
            key = f"{metric}_interval"
            intervals.append([scores[k].get(key) if k in scores else None for k in columns])
    return _frame(rows, ["source", "method", *[f"K={k}" for k in columns]], intervals)


def table2(ours: Mapping[str, Mapping[str, ProtocolScore]]) -> pd.DataFrame:
    """Return the table of the 3D error on Human3.6M for the three protocols (Table 2).

    Parameters
    ----------
    ours : mapping
        Method -> protocol (``p1``, ``p2``, ``p3``) -> score; protocols may be missing.
    """
    rows: list[list[Any]] = [
        ["paper", name, *values] for name, values in paper_numbers.TABLE2.items()
    ]
    cells = [
        ("p1", "absolute"),
        ("p1", "rigid"),
        ("p2", "absolute"),
        ("p2", "rigid"),
        ("p3", "rigid"),
    ]
    intervals: list[list[Interval | None]] = []
    for method, scores in ours.items():
        values, bounds = [], []
        for protocol, metric in cells:
            score, key = scores.get(protocol), f"{metric}_frames"
            values.append(score.averages[key] if score is not None else None)
            bounds.append(score.intervals[key] if score is not None else None)
        rows.append(["ours", method, *values])
        intervals.append(bounds)
    return _frame(rows, ["source", "method", *paper_numbers.TABLE2_COLUMNS], intervals)


def table3(ours: Mapping[str, ProtocolScore]) -> pd.DataFrame:
    """Return the table of the 3D error per action, P2, not aligned (Table 3), averages over frames.

    Parameters
    ----------
    ours : mapping
        Method -> score of P2.
    """
    rows: list[list[Any]] = [
        ["paper", name, *values] for name, values in paper_numbers.TABLE3.items()
    ]
    intervals: list[list[Interval | None]] = []
    for method, score in ours.items():
        actions = score.actions.set_index("action")["absolute"].reindex(ACTIONS).tolist()
        both = ("absolute_frames", "absolute_frames_6")
        rows.append(["ours", method, *actions, *(score.averages[key] for key in both)])
        intervals.append([None] * len(ACTIONS) + [score.intervals[key] for key in both])
    return _frame(rows, ["source", "method", *ACTIONS, "Avg. (All)", "Avg. (6)"], intervals)


def table4(
    ours: Mapping[str, tuple[float | None, float | None]],
    intervals: Mapping[str, tuple[Interval | None, Interval | None]] | None = None,
) -> pd.DataFrame:
    """Return the table of the 2D error on Human3.6M (pixels) and PCKh@0.5 on MPII (Table 4).

    Parameters
    ----------
    ours : mapping
        Method -> both numbers, None for one that is not measured.
    intervals : mapping or None
        Method -> confidence intervals of both numbers.
    """
    rows: list[list[Any]] = [
        ["paper", name, *values] for name, values in paper_numbers.TABLE4.items()
    ]
    rows += [["ours", method, *values] for method, values in ours.items()]
    bounds = [list((intervals or {}).get(method, (None, None))) for method in ours]
    return _frame(
        rows, ["source", "method", "Human3.6M 2D error (px)", "MPII PCKh@0.5 (%)"], bounds
    )


def section42(ours: Mapping[str, EvaluationResult]) -> pd.DataFrame:
    """Return the scores of 2D detection in natural images: PCKh and mAP at 0.5 and 1 (section 4.2).

    Our rows also give the 3D errors, which the paper has no truth for. PCKh@0.5 and mAP@0.5 stand
    for the threshold of the settings, 0.5 unless changed.
    """
    rows: list[list[Any]] = [
        ["paper", "LCR-Net + PPI", *paper_numbers.MPII_VALIDATION.values(), None, None]
    ]
    intervals: list[list[Interval | None]] = []
    cells = [
        ("pckh", "weighted", "interval"),
        ("pckh", "at_1", "at_1_interval"),
        ("map", "value", "interval"),
        ("map", "at_1", "at_1_interval"),
        ("mpjpe", "absolute", "absolute_interval"),
        ("mpjpe", "rigid", "rigid_interval"),
    ]
    for method, result in ours.items():
        n = result.numbers
        rows.append(["ours", method, *(n[part][value] for part, value, _ in cells)])
        intervals.append([n[part][bounds] for part, _, bounds in cells])
    columns = [f"{name} (%)" for name in paper_numbers.MPII_VALIDATION]
    columns += ["3D error (mm)", "3D error, aligned (mm)"]
    return _frame(rows, ["source", "method", *columns], intervals)
