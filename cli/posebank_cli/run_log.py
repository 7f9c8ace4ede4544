"""A log file for each run of a whole configuration."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posebank_cli.options import describe
from posebank_cli.versions import versions_text
from posebank_pipelines.stage import StageResult


class RunLog:
    """Writes the stages of a run, with times and what was set aside, to a file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("w", encoding="utf-8", buffering=1)

    def write(self, text: str) -> None:
        """Write one entry with the time of day."""
        self._file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def stage(self, result: StageResult) -> StageResult:
        """Write a stage's result and everything that it set aside; return it."""
        self.write(describe(result))
        for item in result.rejected:
            self.write(f"set aside: {item.where}: {item.reason}")
        return result

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def run_log(workspace: Path, command: str) -> Iterator[RunLog]:
    """Log a run to ``WORKSPACE/logs/COMMAND-DATE-TIME.log``: its arguments, stages and outcome.

    Parameters
    ----------
    workspace : the workspace folder; made where it does not exist.
    command : name of the command.
    """
    log = RunLog(workspace / "logs" / f"{command}-{time.strftime('%Y%m%d-%H%M%S')}.log")
    log.write(f"posebank {' '.join(sys.argv[1:])}\n{versions_text()}")
    try:
        yield log
        log.write("finished")
    except BaseException as error:
        log.write(f"ended by {type(error).__name__}: {error}")
        raise
    finally:
        log.close()
