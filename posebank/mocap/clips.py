"""What every reader of clips returns: 13 joints in metres, with the facts that were understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError


@dataclass(frozen=True)
class ReadClip:
    """Joints of a clip and what was understood on the way.

    joints : (n_frames, 13, 3) metres, y up, absolute; frames : (n_frames,) numbers.
    lost : what was set aside, in words; notes : what was guessed or completed, in words.
    facts : unit, rate, axes, mapping and so on, ready for JSON.
    """

    joints: NDArray[np.float64]
    frames: NDArray[np.int64]
    fps: float
    lost: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    notes: tuple[str, ...] = ()


def chosen_rate(
    path: Path, chosen: float | None, known: tuple[float, str] | None
) -> tuple[float, str]:
    """Return the rate asked for, else the known one, with where it comes from.

    Raises
    ------
    SourceError
        If neither is given.
    """
    if chosen is not None:
        return float(chosen), "given by the user"
    if known is None:
        raise SourceError(path, "expected a known frame rate, found none stated; give --fps")
    return known
