"""Files that somebody else may have written: refused or bounded before they are trusted."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from posebank.errors import SourceError

_MAX_TOML_BYTES = 16 << 20
_ALWAYS_UNPACKED = 64 << 20
_MAX_UNPACKED = 2 << 30
_MAX_RATIO = 100


def most_unpacked(size: int) -> int:
    """Return how many bytes the compressed content of a file of ``size`` bytes may unpack to.

    Arrays of coordinates shrink to a half or a tenth; deflate can make a thousandth of zeros, and
    such a file is refused where it would fill memory.
    """
    return min(_MAX_UNPACKED, max(_ALWAYS_UNPACKED, _MAX_RATIO * size))


def check_regular(path: Path, expected: str = "a file") -> os.stat_result:
    """Return the status of a regular file; opening a FIFO or a terminal could wait for ever.

    Raises
    ------
    SourceError
        If there is none, or it is a folder, a FIFO, a socket or a device.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(path, f"expected {expected}, found {reason}") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a FIFO, socket or device"
        raise SourceError(path, f"expected {expected}, found {kind}")
    return found


def read_json(path: Path) -> Any:
    """Return the parsed JSON of a file, with or without a byte order mark.

    Raises
    ------
    SourceError
        If the file is missing, is not a regular file, is not JSON, or is nested too deeply; with
        the line where that is known.
    """
    check_regular(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise SourceError(path, f"expected JSON: {error.msg}", line=error.lineno) from error
    except RecursionError as error:
        raise SourceError(path, "expected JSON, found it nested too deeply") from error
    except (OSError, ValueError, MemoryError) as error:
        raise SourceError(path, f"expected JSON, found {error!s:.200}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Return the parsed TOML of a file, or of a pipe such as the shell's ``<(...)``.

    Raises
    ------
    SourceError
        If the file cannot be read, is not TOML, or is nested too deeply.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_TOML_BYTES + 1)
        if len(data) > _MAX_TOML_BYTES:
            raise SourceError(path, f"expected TOML of at most {_MAX_TOML_BYTES:,} bytes")
        return tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise SourceError(path, f"expected a readable file, found {error.strerror}") from error
    except RecursionError as error:
        raise SourceError(path, "expected TOML, found it nested too deeply") from error
    except ValueError as error:  # not TOML, not UTF-8, or a number of more digits than Python reads
        raise SourceError(path, f"expected TOML, found {error!s:.200}") from error
