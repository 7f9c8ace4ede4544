"""The errors a user meets. Each message says where, what was expected, what was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class PosebankError(Exception):
    """Base of every error that bad input or bad settings can cause."""


class SourceError(PosebankError):
    """A source file (MoCap clip, annotation file, image) cannot be used.

    Parameters
    ----------
    where : path of the file, optionally followed by the place in it.
    reason : what was expected and what was found.
    line : 1-based line number, for text files.
    """

    def __init__(self, where: str | Path, reason: str, line: int | None = None) -> None:
        self.where = str(where) if line is None else f"{where}:{line}"
        self.reason = reason
        super().__init__(f"{self.where}: {reason}")

    def __reduce__(self) -> tuple[type[SourceError], tuple[str, str]]:
        # Dask workers send errors back pickled; the default would lose an argument.
        return (type(self), (self.where, self.reason))


class ArtefactError(PosebankError):
    """An artefact folder is missing, unfinished, damaged or of another version."""


class SettingsError(PosebankError):
    """A setting, an option or a configuration file is wrong."""


class PosebankWarning(UserWarning):
    """The work goes on, but its result may not be what was wanted."""


@dataclass(frozen=True)
class Rejected:
    """Something that was set aside: where it is and why it was not used."""

    where: str
    reason: str
