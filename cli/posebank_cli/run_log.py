"""A log file for each run of a whole configuration."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posebank.errors import SettingsError
from posebank_cli.options import describe
from posebank_cli.versions import versions_text
from posebank_pipelines.stage import StageResult


class RunLog:
    """Writes the stages of a run, with times and what was set aside, to a file.

    The file is made with the first entry.
    """

    def __init__(self, path: Path, header: str) -> None:
        self.path = path
        self._header = header

    def write(self, text: str) -> None:
        """Write one entry with the time of day."""
        first = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            for entry in (self._header, text) if first else (text,):
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {entry}\n")

    def stage(self, result: StageResult) -> StageResult:
        """Write a stage's result and everything that it set aside; return it."""
        self.write(describe(result))
        for item in result.rejected:
            self.write(f"set aside: {item.where}: {item.reason}")
        return result


@contextmanager
def run_log(workspace: Path, command: str) -> Iterator[RunLog]:
    """Log a run to ``WORKSPACE/logs/COMMAND-DATE-TIME.log``: its arguments, stages and outcome.

    A run that ends by a wrong setting before its first stage leaves no log.

    Parameters
    ----------
    workspace : Path
        The workspace folder; made where it does not exist.
    command : str
        Name of the command.
    """
    path = workspace / "logs" / f"{command}-{time.strftime('%Y%m%d-%H%M%S')}.log"
    log = RunLog(path, f"posebank {' '.join(sys.argv[1:])}\n{versions_text()}")
    try:
        yield log
        log.write("finished")
    except BaseException as error:
        if path.exists() or not isinstance(error, SettingsError):
            log.write(f"ended by {type(error).__name__}: {error}")
        raise
