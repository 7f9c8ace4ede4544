"""Frame rates of the data sets whose files state none, each with its evidence."""

from __future__ import annotations

import re

CMU_USUAL_FPS = 120.0
"""mocap.cs.cmu.edu/info.php: the laboratory's cameras record 120 Hz; the index page of each subject
repeats the rate for each trial."""

CMU_EXCEPTIONS: dict[str, tuple[float, str]] = {}
"""Clip or subject -> (rate, evidence), for those that are not 120 Hz."""

_CMU_CLIP = re.compile(r"\d{2,3}_\d{2,3}")
_HDM05_RATE = re.compile(r"_(\d{2,3})$")


def cmu_rate(name: str) -> tuple[float, str] | None:
    """Rate of a CMU clip such as ``02_01`` and where it is known from; None for other names."""
    if not _CMU_CLIP.fullmatch(name):
        return None
    for key in (name, name.split("_")[0]):
        if key in CMU_EXCEPTIONS:
            return CMU_EXCEPTIONS[key]
    return CMU_USUAL_FPS, "table: CMU records at 120 Hz (mocap.cs.cmu.edu/info.php)"


def hdm05_rate(name: str) -> tuple[float, str] | None:
    """Rate at the end of an HDM05 name (``HDM_bd_squat1Reps_012_120``); None where it has none."""
    found = _HDM05_RATE.search(name)
    if found is None or float(found[1]) == 0:
        return None
    return float(found[1]), f"file name: _{found[1]}"


def rate_of_frame_time(seconds: float) -> float:
    """Frames per second of a printed frame time: 0.0083333 is 120, not 120.00048."""
    rate = 1.0 / seconds
    whole = round(rate)
    return float(whole) if whole and abs(rate - whole) < 2e-3 * whole else rate
