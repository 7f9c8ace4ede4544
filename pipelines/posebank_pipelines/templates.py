"""Configurations that come with the package, to be printed and edited."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).parent / "configs"
_CHECKOUT = Path(__file__).parents[2] / "configs"  # an editable installation has no copy


def _folder() -> Path:
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def template_names() -> list[str]:
    """Return the names of the configurations, sorted."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def template(name: str) -> str:
    """Return the text of a configuration.

    Examples
    --------
    >>> "[matching]" in template("paper")
    True
    """
    return (_folder() / f"{name}.toml").read_text("utf-8")
