"""Frame rates of the data sets whose files state none, each with its evidence."""

from __future__ import annotations

import re
from pathlib import Path

from posebank.mocap.bvh import parse_bvh
from posebank.mocap.c3d_file import parse_c3d
from posebank.mocap.files import read_bytes

CMU_USUAL_FPS = 120.0
"""mocap.cs.cmu.edu/info.php: the laboratory's cameras record 120 Hz; the index page of each subject
repeats the rate for each trial."""

_PAGE = "the subject's page on mocap.cs.cmu.edu states 60 (gulvarol/surreal#31)"
_VIEWED = "judged too fast at 120 by viewing (una-dinosauria/cmu-mocap#2: Frame Time .0166667)"

CMU_EXCEPTIONS: dict[str, tuple[float, str]] = {
    "89": (60.0, _PAGE),
    **dict.fromkeys(
        (
            "33",
            "34",
            "42",
            "60",
            "61",
            "62",
            "74",
            "75",
            "77",
            "79",
            "80",
            "87",
            "88",
            "106",
            "107",
            "139",
            "141",
            "143",
        ),
        (60.0, _VIEWED),
    ),
    **dict.fromkeys(
        (
            "84_05",
            "84_12",
            "84_14",
            "84_19",
            "84_20",
            "90_11",
            "93_04",
            "93_05",
            "93_06",
            "93_07",
            "93_08",
            "103_01",
            "103_02",
            "103_03",
        ),
        (60.0, _VIEWED),
    ),
}
"""Subject or clip -> (rate, evidence), for those that are not 120 Hz.

CMU's own pages are said to be wrong for some subjects (106: gulvarol/surreal#31), so the best
evidence is that pull request: somebody looked at all clips and gave 525 of them another frame time.
The files of its branch were read; a subject is listed as a whole where they hold 40% of its clips
or more (all of 33 34 42 60 61 62 75 79 80 107 143), since a subject was recorded in one session.
About a dozen of the 525 are not known here. ``--fps`` overrides.
"""

_USUAL_RATES = (5.0, 1000.0)
_CMU_CLIP = re.compile(r"\d{2,3}_\d{2,3}")
_HDM05_RATE = re.compile(r"_(60|120|240)$")  # other numbers there count takes


def cmu_rate(name: str) -> tuple[float, str] | None:
    """Return the rate of a CMU clip such as ``02_01`` and its source; None for others."""
    if not _CMU_CLIP.fullmatch(name):
        return None
    for key in (name, name.partition("_")[0]):
        if key in CMU_EXCEPTIONS:
            return CMU_EXCEPTIONS[key]
    return CMU_USUAL_FPS, "table: CMU records at 120 Hz (mocap.cs.cmu.edu/info.php)"


def hdm05_rate(name: str) -> tuple[float, str] | None:
    """Return the rate at the end of an HDM05 name (``HDM_bd_squat1Reps_012_120``), or None."""
    found = _HDM05_RATE.search(name)
    return (float(found[1]), f"file name: _{found[1]}") if found else None


def companion_rate(path: Path) -> tuple[float, str] | None:
    """Return the rate that a C3D or BVH of the same name beside an AMC states, or None."""
    for suffix in (".c3d", ".C3D"):
        companion = path.with_suffix(suffix)
        if companion.is_file():
            rate = parse_c3d(read_bytes(companion), companion).rate
            if 1.0 <= rate <= 10_000.0:
                return rate, f"companion {companion.name}"
    for suffix in (".bvh", ".BVH"):
        companion = path.with_suffix(suffix)
        if companion.is_file():
            seconds = parse_bvh(read_bytes(companion), companion).seconds_per_frame()
            return rate_of_frame_time(seconds), f"companion {companion.name}"
    return None


def rate_of_frame_time(seconds: float) -> float:
    """Return the frames per second of a printed frame time: 0.0083333 is 120, not 120.00048."""
    rate = 1.0 / seconds
    whole = round(rate)
    return float(whole) if whole and abs(rate - whole) < 2e-3 * whole else rate


def unusual_rate(rate: float) -> tuple[str, ...]:
    """Return in words that a frame rate is none that people record with; nothing otherwise."""
    low, high = _USUAL_RATES
    if low <= rate <= high:
        return ()
    return (f"unusual frame rate: expected {low:g} to {high:g} a second; --fps overrides it",)
