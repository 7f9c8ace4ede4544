"""Progress on standard error: bars on a terminal, a line a minute in a log."""

from __future__ import annotations

import sys
from time import monotonic

from posebank_pipelines.runner import Progress

_WIDTH = 30
_LINE_EVERY_S = 60.0


def progress() -> Progress:
    """Return progress bars on a terminal, and lines elsewhere: one at the start, one a minute."""
    return Bars() if sys.stderr.isatty() else Lines()


class _Estimate:
    """The time that is left of each label's work, from what has been done since its first call."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[float, int]] = {}  # label -> time and count of the first call

    def left(self, label: str, done: int, total: int) -> str:
        """Return the time left in words, empty where it is not known."""
        now = monotonic()
        begun, first = self._begun.setdefault(label, (now, done))
        if done >= total:
            del self._begun[label]
            return ""
        # What was done before the first call, as in a run that goes on, took none of this time.
        return "" if done == first else _clock((now - begun) / (done - first) * (total - done))


class Bars:
    """A bar for each label, with the time that is left."""

    def __init__(self) -> None:
        self._estimate = _Estimate()

    def __call__(self, label: str, done: int, total: int, unit: str = "", /) -> None:
        """Draw the bar over the one before."""
        left = self._estimate.left(label, done, total)
        filled = _WIDTH * done // max(total, 1)
        bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {_count(done, total, unit, '/')}"
        end = "\n" if done >= total else ""
        sys.stderr.write(f"\r{label:<20} {bar}  {left:<14}{end}")
        sys.stderr.flush()


class Lines:
    """A line when work begins, then one a minute: the log of a batch job shows that it goes on."""

    def __init__(self) -> None:
        self._estimate = _Estimate()
        self._last: dict[str, float] = {}  # label -> time of its last line

    def __call__(self, label: str, done: int, total: int, unit: str = "", /) -> None:
        """Print the first call of a label, and another if the last line is a minute ago."""
        left = self._estimate.left(label, done, total)
        now = monotonic()
        if now - self._last.get(label, -_LINE_EVERY_S) >= _LINE_EVERY_S:
            self._last[label] = now
            count = _count(done, total, unit, " of ")
            sys.stderr.write(f"{label}: {count}{', ' if left else ''}{left}\n")
            sys.stderr.flush()


def _count(done: int, total: int, unit: str, between: str) -> str:
    """``3/8 people``; without the total where it is not known, as of some downloads."""
    return f"{done:,}{between + f'{total:,}' if total else ''} {unit}".rstrip()


def _clock(seconds: float) -> str:
    """Time left, as minutes and seconds, or hours."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} left" if hours else f"{minutes}:{rest:02d} left"
