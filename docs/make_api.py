"""Write docs/reference/api.md: every public name of the library, for mkdocstrings to fill in."""

from __future__ import annotations

import importlib
from pathlib import Path

PACKAGES = (
    "mocap",
    "annotations",
    "matching",
    "labelling",
    "anchors",
    "shards",
    "export",
    "lcrnet",
    "evaluation",
    "report",
    "demo",
    "fetch",
)
MODULES = ("skeleton", "types", "workspace", "images", "errors")


def public_names() -> dict[str, list[str]]:
    """Return the public names of each package and of the modules that all share.

    A package's are those of its ``__all__``; a module's are the functions and classes that it
    defines without a leading underscore.
    """
    names = {"posebank": list(importlib.import_module("posebank").__all__)}
    for package in PACKAGES:
        names[f"posebank.{package}"] = list(importlib.import_module(f"posebank.{package}").__all__)
    for module in MODULES:
        loaded = importlib.import_module(f"posebank.{module}")
        names[f"posebank.{module}"] = [
            name
            for name, value in vars(loaded).items()
            if name[0] != "_" and getattr(value, "__module__", "") == loaded.__name__
        ]
    return names


def page() -> str:
    """Return the page as Markdown with mkdocstrings directives."""
    text = ["# Library", "", "Made by `make docs` from the packages' public names.", ""]
    for package, names in public_names().items():
        text += [f"## {package}", ""]
        for name in names:
            text += [f"::: {package}.{name}", ""]
    return "\n".join(text)


if __name__ == "__main__":
    (Path(__file__).parent / "reference" / "api.md").write_text(page(), encoding="utf-8")
