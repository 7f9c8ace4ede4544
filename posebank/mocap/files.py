"""Reading source files."""

from __future__ import annotations

from pathlib import Path

from posebank.errors import SourceError
from posebank.files import check_regular


def read_bytes(path: Path) -> bytes:
    """Return all bytes of a file.

    Raises
    ------
    SourceError
        If it is not a regular file, cannot be read, or is empty.
    """
    check_regular(path, "a readable file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(path, f"expected a readable file, found {error.strerror}") from error
    if not data:
        raise SourceError(path, "expected a file with content, found an empty one")
    return data
