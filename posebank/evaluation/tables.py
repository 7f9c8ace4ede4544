"""Tables as Markdown, LaTeX and CSV text."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd


def cell(value: Any, digits: int = 1) -> str:
    """A value as a table shows it: numbers rounded, a dash for what is not known."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def _cells(table: pd.DataFrame, digits: int) -> list[list[str]]:
    # object first: a row of ints and floats must not turn all into floats
    return [[cell(v, digits) for v in row] for row in table.astype(object).to_numpy().tolist()]


def to_markdown(table: pd.DataFrame, digits: int = 1) -> str:
    """A Markdown table, numbers to the right."""
    names = [str(c).replace("|", "\\|") for c in table.columns]
    rows = _cells(table, digits)
    rule = [
        "---:" if pd.api.types.is_numeric_dtype(table.dtypes.iloc[i]) else "---"
        for i in range(len(names))
    ]
    lines = [names, rule, *[[c.replace("|", "\\|") for c in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


_LATEX = str.maketrans({
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
})  # fmt: skip


def to_latex(table: pd.DataFrame, caption: str = "", digits: int = 1) -> str:
    """A LaTeX ``table`` with a ``tabular``; needs no package."""
    numeric = [pd.api.types.is_numeric_dtype(t) for t in table.dtypes]
    lines = [r"\begin{table}", r"\centering"]
    lines.append(r"\begin{tabular}{" + "".join("r" if n else "l" for n in numeric) + "}")
    lines.append(r"\hline")
    lines.append(" & ".join(str(c).translate(_LATEX) for c in table.columns) + r" \\")
    lines.append(r"\hline")
    for row in _cells(table, digits):
        lines.append(" & ".join(c.translate(_LATEX) for c in row) + r" \\")
    lines += [r"\hline", r"\end{tabular}"]
    if caption:
        lines.append(r"\caption{" + caption.translate(_LATEX) + "}")
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"
