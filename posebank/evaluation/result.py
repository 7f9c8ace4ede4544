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
from posebank.evaluation.tables import to_latex, to_markdown


@dataclass(frozen=True)
class EvaluationResult:
    """Numbers by name (nested) and tables by name.

    Shares are in percent, 3D errors in millimetres. What could not be computed is NaN in memory
    and null in JSON.
    """

    numbers: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before the numbers."""
        return list(self.numbers.get("warnings", ()))

    @property
    def nothing_scored(self) -> bool:
        """Whether no prediction is of an image of the ground truth."""
        return bool(self.numbers["unknown_images"] == self.numbers["predictions"])

    def headline(self) -> dict[str, Any]:
        """Return the few numbers that a reader wants first; None for what could not be computed."""
        n = self.numbers
        result: dict[str, Any] = plain(
            {
                "people": n["people"],
                "found": n["found"],
                "pckh_percent": n["pckh"]["weighted"],
                "pckh_limbs_percent": n["pckh"]["limbs_weighted"],
                "map_percent": n["map"]["value"],
                "mpjpe_mm": n["mpjpe"]["absolute"],
                "mpjpe_rigid_mm": n["mpjpe"]["rigid"],
                "mpjpe_similarity_mm": n["mpjpe"]["similarity"],
                "pixel_error": n["pixels"]["mean"],
            }
        )
        return result

    def main_numbers(self) -> pd.DataFrame:
        """Return the numbers that a reader looks for, with their intervals where there are any."""
        n = self.numbers
        name = f"value [{100 * n['settings']['confidence']:g}% interval]"

        def row(metric: str, of: Any, value: str, interval: str | None = None) -> dict[str, Any]:
            low, high = of[interval] if interval else (None, None)
            return {"metric": metric, name: of[value], f"{name}_low": low, f"{name}_high": high}

        pckh, pck, ap, mm = n["pckh"], n["pck"], n["map"], n["mpjpe"]
        rows = [
            row("images", n, "images"),
            row("people", n, "people"),
            row("people found", n, "found"),
            row("predictions", n, "predictions"),
            row(f"PCKh@{pckh['threshold']:g} (%)", pckh, "weighted", "interval"),
            row(f"PCKh@{pckh['threshold']:g}, 12 limb joints (%)", pckh, "limbs_weighted"),
            row(f"PCKh@{pckh['threshold']:g}, mean over joints (%)", pckh, "unweighted"),
            row("PCKh@1 (%)", pckh, "at_1", "at_1_interval"),
            row("PCKh AUC, 0 to 0.5 (%)", pckh, "auc_0_to_0.5", "auc_0_to_0.5_interval"),
            row("PCKh AUC, 0 to 1 (%)", pckh, "auc_0_to_1", "auc_0_to_1_interval"),
            row(f"PCK@{pck['threshold']:g}, torso (%)", pck, "weighted", "interval"),
            row(f"mAP@{ap['threshold']:g}, groups (%)", ap, "value", "interval"),
            row("mAP@1, groups (%)", ap, "at_1", "at_1_interval"),
            row(f"OKS AP, {n['oks']['truth']} (%)", n["oks"], "AP"),
            row(f"MPJPE, root {mm['root']} (mm)", mm, "absolute", "absolute_interval"),
            row("MPJPE, rigid alignment (mm)", mm, "rigid", "rigid_interval"),
            row("MPJPE, similarity alignment (mm)", mm, "similarity", "similarity_interval"),
            row("2D error (px)", n["pixels"], "mean", "interval"),
            row("nearer with left and right exchanged (%)", n["exchanged"], "share", "interval"),
        ]
        return pd.DataFrame(rows, dtype=object)

    def as_json(self) -> dict[str, Any]:
        """Return the numbers and tables as plain JSON values."""
        tables = {name: table.to_dict(orient="records") for name, table in self.tables.items()}
        return {**plain(self.numbers), "tables": plain(tables)}

    def to_json(self) -> str:
        """Return the numbers and tables as one JSON object."""
        return json.dumps(self.as_json(), indent=1, allow_nan=False)

    def to_markdown(self) -> str:
        """Return warnings, the main numbers with intervals, and the tables, as Markdown."""
        parts = [f"**Warning: {text}.**\n\n" for text in self.warnings]
        parts.append(to_markdown(self.main_numbers()))
        for name, table in self.tables.items():
            if name != "curve":
                parts.append(f"\n{_TITLES[name]}\n\n{to_markdown(table)}")
        return "".join(parts)

    def to_latex(self) -> str:
        """Return the main numbers and every table but the curve, as LaTeX."""
        tables = {"main": self.main_numbers(), **self.tables}
        return "\n".join(
            to_latex(table, _TITLES[name]) for name, table in tables.items() if name != "curve"
        )

    def to_csv(self, folder: Path) -> list[Path]:
        """Write each table as ``NAME.csv`` into the folder, and return the paths."""
        paths = [folder / f"{name}.csv" for name in self.tables]
        for path, table in zip(paths, self.tables.values(), strict=True):
            write_text_atomic(path, table.to_csv(index=False))
        return paths


_TITLES = {
    "main": "The main numbers",
    "against_nms": "PPI less NMS, for the same people",
    "joints": "By joint",
    "datasets": "By data set",
    "annotated": "By number of annotated joints",
    "actions": "By action",
    "rarity": "By rarity of the pose: distance to the closest anchor-pose",
    **{f"h36m_{p}": f"Human3.6M, protocol {p.upper()}" for p in ("p1", "p2", "p3")},
}


def plain(value: Any) -> Any:
    """Return plain JSON values: numpy numbers converted, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
