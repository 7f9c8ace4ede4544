"""Report: one HTML page of what a workspace holds."""

from __future__ import annotations

from pathlib import Path

from posebank.errors import ArtefactError
from posebank.report import html_report
from posebank_pipelines.cameras import priors_of_labels
from posebank_pipelines.runner import Progress, silent


def report(workspace: Path, progress: Progress = silent) -> Path:
    """Write ``report/index.html`` in the workspace; artefacts not made yet are left out.

    Raises
    ------
    ArtefactError
        If there is no such workspace.
    """
    if not workspace.is_dir():
        raise ArtefactError(f"{workspace}: expected a workspace, found nothing")
    return html_report(
        workspace,
        workspace / "report" / "index.html",
        lambda done, total: progress("report", done, total, "chapters"),
        priors_of_labels(workspace),
    )
