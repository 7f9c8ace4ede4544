"""Tables as Markdown, LaTeX and CSV text.

A column ``X`` with its interval in ``X_low`` and ``X_high`` is shown as one: ``61.3 [58.0, 64.2]``.
CSV keeps the three.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

_PAGE = 84  # characters that fit on a line of an article, columns two apart

_HEADINGS = {
    "pckh": "PCKh (%)",
    "pck_torso": "PCK, torso (%)",
    "ap": "AP (%)",
    "pixels": "2D error (px)",
    "absolute_mm": "3D error (mm)",
    "rigid_mm": "rigid (mm)",
    "similarity_mm": "similarity (mm)",
    "absolute": "3D error (mm)",
    "rigid": "rigid (mm)",
    "similarity": "similarity (mm)",
    "rarity_mm": "rarity (mm)",
}
"""Column -> what stands above it on paper; other names stand for themselves."""


@dataclass(frozen=True)
class _Shown:
    """A table as text: column names, which of them are numbers, rows of cells."""

    names: list[str]
    numeric: list[bool]
    rows: list[list[str]]


def cell(value: Any, digits: int = 1) -> str:
    """Return a value as a table shows it: numbers rounded, a dash for what is not known."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def interval_cell(value: Any, low: Any, high: Any, digits: int = 1) -> str:
    """Return a value with its interval, if that is known."""
    bounds = [cell(low, digits), cell(high, digits)]
    return cell(value, digits) + ("" if "-" in bounds else f" [{bounds[0]}, {bounds[1]}]")


def shown(table: pd.DataFrame, digits: int = 1) -> _Shown:
    """Return the table's text, intervals beside their values."""
    names = [str(c) for c in table.columns]
    place = {name: i for i, name in enumerate(names)}
    bounds = {
        name: (place[f"{name}_low"], place[f"{name}_high"])
        for name in names
        if f"{name}_low" in place and f"{name}_high" in place
    }
    hidden = {i for pair in bounds.values() for i in pair}
    kept = [i for i in range(len(names)) if i not in hidden]

    def text(row: Sequence[Any], i: int) -> str:
        low, high = bounds.get(names[i], (None, None))
        if low is None or high is None:
            return cell(row[i], digits)
        return interval_cell(row[i], row[low], row[high], digits)

    return _Shown(
        [_HEADINGS.get(names[i], names[i]) for i in kept],
        [pd.api.types.is_numeric_dtype(table.dtypes.iloc[i]) for i in kept],
        # object first: a row of ints and floats must not turn all into floats
        [[text(row, i) for i in kept] for row in table.astype(object).to_numpy().tolist()],
    )


def to_markdown(table: pd.DataFrame, digits: int = 1) -> str:
    """Return a Markdown table, numbers to the right."""
    text = shown(table, digits)
    rule = ["---:" if numeric else "---" for numeric in text.numeric]
    escaped = [[c.replace("|", "\\|") for c in line] for line in (text.names, *text.rows)]
    lines = [escaped[0], rule, *escaped[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


_LATEX = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
)


def to_latex(table: pd.DataFrame, caption: str = "", digits: int = 1) -> str:
    """Return a LaTeX ``table``, ruled by the package booktabs.

    A table too wide for a page goes on below itself, as the paper's Table 3 does: each block
    repeats the columns of text and holds some of the numbers.
    """
    text = shown(table, digits)
    lines = [r"% needs \usepackage{booktabs}", r"\begin{table}", r"\centering"]
    lines.append(r"\footnotesize\setlength{\tabcolsep}{4pt}")
    for number, columns in enumerate(_blocks(text)):
        lines += [r"\par\medskip"] * (number > 0) + _tabular(text, columns)
    if caption:
        lines.append(r"\caption{" + caption.translate(_LATEX) + "}")
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _blocks(text: _Shown) -> list[list[int]]:
    """Columns that fit side by side; every block begins with the columns of text, or the first."""
    wide = [
        max(len(row[i]) for row in (text.names, *text.rows)) + 2 for i in range(len(text.names))
    ]
    labels = [i for i, numeric in enumerate(text.numeric) if not numeric] or [0]
    numbers = [i for i in range(len(text.names)) if i not in labels]

    def packed(room: int) -> list[list[int]]:
        blocks: list[list[int]] = [[]]
        for i in numbers:
            if blocks[-1] and sum(wide[k] for k in blocks[-1]) + wide[i] > room:
                blocks.append([])
            blocks[-1].append(i)
        return blocks

    most = _PAGE - sum(wide[i] for i in labels)
    n_blocks = len(packed(most))
    # The narrowest page with as many blocks: they come out about equally wide.
    blocks = next(b for room in range(most + 1) if len(b := packed(room)) == n_blocks)
    return [sorted(labels + block) for block in blocks]


def _tabular(text: _Shown, columns: Sequence[int]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return " & ".join(cells[i].translate(_LATEX) for i in columns) + r" \\"

    form = "".join("r" if text.numeric[i] else "l" for i in columns)
    return [
        rf"\begin{{tabular}}{{{form}}}",
        r"\toprule",
        line(text.names),
        r"\midrule",
        *map(line, text.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
