"""Report: one HTML page of what a workspace holds."""

from __future__ import annotations

from pathlib import Path

from posebank.report import html_report


def report(workspace: Path) -> Path:
    """Write ``report/index.html`` in the workspace; artefacts not made yet are left out."""
    return html_report(workspace, workspace / "report" / "index.html")
