"""Data frames as HTML tables, with headings that a reader understands."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import pandas as pd

from posebank.evaluation.tables import shown

HEADINGS = {
    "dataset": "data set",
    "joint": "joint",
    "annotated": "annotated joints",
    "n": "people",
    "n_people": "people",
    "error_norm_mean": "mean error, of the person's size",
    "error_norm_median": "median error, of the person's size",
    "error_mm_mean": "mean error, mm",
    "error_mm_median": "median error, mm",
    "absolute_mm": "3D error, mm",
    "rigid_mm": "3D error aligned, mm",
    "rarity_mm": "distance to the closest anchor-pose, mm",
}
"""Column of a table -> heading of the report."""

_UNITS = {"error_norm": "error, of the person's size", "error_mm": "error, mm"}


def heading(column: str) -> str:
    """Return a column's name in words.

    Examples
    --------
    >>> heading("error_norm_p10")
    "10th percentile of error, of the person's size"
    >>> heading("with_completed_joints")
    'with completed joints'
    """
    if column in HEADINGS:
        return HEADINGS[column]
    percentile = re.fullmatch(r"(\w+)_p(\d+)", column)
    if percentile:
        unit = _UNITS.get(percentile[1], percentile[1].replace("_", " "))
        return f"{percentile[2]}th percentile of {unit}"
    return column.replace("_", " ")


def html_table(table: pd.DataFrame, digits: int = 1) -> str:
    """Return an HTML table of a data frame, numbers rounded, intervals beside them.

    Every text is escaped.
    """
    text = shown(table, digits)
    kinds = ["" if numeric else ' class="text"' for numeric in text.numeric]

    def line(tag: str, cells: Sequence[str]) -> str:
        pairs = zip(kinds, cells, strict=True)
        return "".join(f"<{tag}{kind}>{html.escape(c)}</{tag}>" for kind, c in pairs)

    rows = "".join(f"<tr>{line('td', row)}</tr>\n" for row in text.rows)
    names = [heading(name) for name in text.names]
    return f'<div class="scroll"><table><tr>{line("th", names)}</tr>\n{rows}</table></div>\n'
