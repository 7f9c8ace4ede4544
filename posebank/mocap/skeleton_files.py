"""Find the ASF skeleton of an AMC clip: beside it, above it, or in a folder next to these.

Layouts that people have: ``01/01.asf`` with ``01/01_01.amc``; ``asf/01.asf`` with
``amc/01_01.amc``; ``skeletons/01.asf`` with ``motions/01/01_01.amc``; ``HDM_bd.asf`` above folders
of clips.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from posebank.errors import SourceError

_MOST_FOLDERS = 2000
_CMU_NUMBER = re.compile(r"(\d{1,3})(?:_\d+)?")


class SkeletonFiles:
    """Finds skeletons and remembers the folders it has seen: HDM05 has thousands of clips in one.

    Parameters
    ----------
    root : folder that was searched for the clips; skeletons are looked for up to the one above it.
    """

    def __init__(self, root: Path) -> None:
        self._last = root.absolute().parent
        self._here: dict[Path, list[Path]] = {}
        self._beside: dict[Path, list[Path]] = {}

    def of(self, clip: Path) -> Path:
        """Return the skeleton of an AMC clip.

        An ASF beside the clip is taken if its name begins the clip's, or if it is alone there.
        Then, from the clip's folder up to the one above ``root``, the ASF files in each folder and
        in the folders inside it are looked at for one whose name begins the clip's. Failing these,
        an ASF that is alone in the folders next to the clip's is taken. One that is alone is not
        taken where the names are those of two CMU subjects.

        Raises
        ------
        SourceError
            If there is none, or two different ones fit equally well.
        """
        folder = clip.absolute().parent
        beside = self._asf_in(folder)
        if len(beside) == 1 and _may_be_of(clip, beside[0]):
            return beside[0]
        for level in (folder, *folder.parents):
            for found in (self._asf_in(level), self._asf_below(level)):
                named = [p for p in found if _begins(clip.stem, p.stem)]
                if named:
                    return _only(clip, named)
            if level in (self._last, level.parent):
                break
        next_to_it = self._asf_below(folder.parent)
        if len(next_to_it) == 1 and _may_be_of(clip, next_to_it[0]):
            return next_to_it[0]
        raise SourceError(
            clip,
            "expected an ASF whose name begins the clip's, beside it, above it or in a folder next "
            "to it, found none; give --skeleton FILE",
        )

    def _asf_in(self, folder: Path) -> list[Path]:
        if folder not in self._here:
            asf = (p for p in _entries(folder) if p.suffix.lower() == ".asf")
            self._here[folder] = [p for p in asf if p.is_file()]
        return self._here[folder]

    def _asf_below(self, folder: Path) -> list[Path]:
        if folder not in self._beside:
            folders = [p for p in _entries(folder) if p.is_dir()][:_MOST_FOLDERS]
            self._beside[folder] = [asf for p in folders for asf in self._asf_in(p)]
        return self._beside[folder]


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing where it may not be read."""
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder))
    except OSError:
        return []


def _begins(clip: str, skeleton: str) -> bool:
    clip, skeleton = clip.lower(), skeleton.lower()
    return clip == skeleton or clip.startswith((skeleton + "_", skeleton + ".", skeleton + "-"))


def _may_be_of(clip: Path, skeleton: Path) -> bool:
    """Whether the names do not say that clip and skeleton are of different CMU subjects."""
    numbers = [_CMU_NUMBER.fullmatch(p.stem) for p in (clip, skeleton)]
    return numbers[0] is None or numbers[1] is None or int(numbers[0][1]) == int(numbers[1][1])


def _only(clip: Path, named: list[Path]) -> Path:
    """Return the skeleton with the longest name; it must be one, or copies of one."""
    longest = max(len(p.stem) for p in named)
    best = [p for p in named if len(p.stem) == longest]
    if len(best) > 1:
        first = best[0].read_bytes()
        if any(p.read_bytes() != first for p in best[1:]):
            raise SourceError(
                clip,
                f"expected one ASF for it, found {', '.join(map(str, best[:4]))}; "
                "give --skeleton FILE",
            )
    return best[0]
