"""The result of an evaluation: numbers, tables, and their forms on paper."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from posebank.artefacts import write_text_atomic
from posebank.evaluation.tables import cell, to_latex, to_markdown


@dataclass(frozen=True)
class EvaluationResult:
    """Numbers by name (nested) and tables by name.

    Shares are in percent, 3D errors in millimetres. What could not be computed is NaN in memory
    and null in JSON.
    """

    numbers: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def headline(self) -> dict[str, Any]:
        """The few numbers that a reader wants first; None for what could not be computed."""
        n = self.numbers
        return plain({
            "people": n["people"],
            "found": n["found"],
            "pckh_percent": n["pckh"]["weighted"],
            "pckh_limbs_percent": n["pckh"]["limbs_weighted"],
            "map_percent": n["map"]["value"],
            "mpjpe_mm": n["mpjpe"]["absolute"],
            "mpjpe_rigid_mm": n["mpjpe"]["rigid"],
            "mpjpe_similarity_mm": n["mpjpe"]["similarity"],
            "pixel_error": n["pixels"]["mean"],
        })  # fmt: skip

    def to_json(self) -> str:
        """Numbers and tables as one JSON object."""
        tables = {name: table.to_dict(orient="records") for name, table in self.tables.items()}
        return json.dumps(plain({**self.numbers, "tables": tables}), indent=1, allow_nan=False)

    def to_markdown(self) -> str:
        """The headline and every table but the curve, as Markdown."""
        headline = self.headline()
        head = pd.DataFrame(
            {"metric": list(headline), "value": [cell(v) for v in headline.values()]}
        )
        parts = [to_markdown(head)]
        for name, table in self.tables.items():
            if name != "curve":
                parts.append(f"\n{_titled(name)}\n\n{to_markdown(table)}")
        return "".join(parts)

    def to_latex(self) -> str:
        """Every table but the curve, as LaTeX."""
        return "\n".join(
            to_latex(table, _titled(name)) for name, table in self.tables.items() if name != "curve"
        )

    def to_csv(self, folder: Path) -> list[Path]:
        """Write each table as ``NAME.csv`` into the folder, and return the paths."""
        paths = [folder / f"{name}.csv" for name in self.tables]
        for path, table in zip(paths, self.tables.values(), strict=True):
            write_text_atomic(path, table.to_csv(index=False))
        return paths


def _titled(name: str) -> str:
    return name.replace("_", " ").capitalize()


def plain(value: Any) -> Any:
    """Plain JSON values: numpy numbers converted, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
