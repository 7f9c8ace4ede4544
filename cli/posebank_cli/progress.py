"""Progress on standard error: bars on a terminal, a line a minute in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic

Progress = Callable[[str, int, int], None]
"""Called as progress(label, done, total)."""

_WIDTH = 30
_LINE_EVERY_S = 60.0


def progress() -> Progress:
    """Return a progress bar on a terminal, and a line a minute elsewhere."""
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

    def __call__(self, label: str, done: int, total: int) -> None:
        """Draw the bar over the one before."""
        left = self._estimate.left(label, done, total)
        filled = _WIDTH * done // max(total, 1)
        bar = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {done:,}/{total:,}"
        end = "\n" if done >= total else ""
        sys.stderr.write(f"\r{label:<20} {bar}  {left:<14}{end}")
        sys.stderr.flush()


class Lines:
    """At most a line a minute, so that the log of a batch job shows that work goes on."""

    def __init__(self) -> None:
        self._estimate = _Estimate()
        self._last = monotonic()

    def __call__(self, label: str, done: int, total: int) -> None:
        """Print a line if the last one is a minute ago."""
        left = self._estimate.left(label, done, total)
        now = monotonic()
        if now - self._last < _LINE_EVERY_S:
            return
        self._last = now
        sys.stderr.write(f"{label}: {done:,} of {total:,}{', ' if left else ''}{left}\n")
        sys.stderr.flush()


def _clock(seconds: float) -> str:
    """Time left, as minutes and seconds, or hours."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} left" if hours else f"{minutes}:{rest:02d} left"
