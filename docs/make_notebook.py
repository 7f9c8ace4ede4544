"""Write docs/tutorial.ipynb from docs/tutorial.md: the same text and code, cell by cell."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent


def notebook() -> dict[str, Any]:
    """Return the tutorial as a notebook; shell commands are cells that begin with ``!``."""
    text = (DOCS / "tutorial.md").read_text("utf-8")
    cells = []
    for number, part in enumerate(re.split(r"(```(?:python|bash)\n.*?```\n)", text, flags=re.S)):
        code = re.fullmatch(r"```(python|bash)\n(.*?)```\n", part, re.S)
        if code is None:
            cells.append(_cell("markdown", part.strip(), number))
        else:
            lines = code[2].splitlines()
            cells.append(
                _cell("code", "\n".join(f"!{x}" if code[1] == "bash" else x for x in lines), number)
            )
    return {
        "cells": [cell for cell in cells if cell["source"]],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(kind: str, source: str, number: int) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": f"cell-{number}",
        "metadata": {},
        "source": source,
    }
    return {**cell, "outputs": [], "execution_count": None} if kind == "code" else cell


def text() -> str:
    """Return the notebook file's text."""
    return json.dumps(notebook(), indent=1) + "\n"


if __name__ == "__main__":
    (DOCS / "tutorial.ipynb").write_text(text(), encoding="utf-8")
