"""One writer at a time for an artefact; readers never wait.

The lock is a file beside the artefact, ``.bank.lock``, that holds who writes, since when and with
which command. What counts is the operating system's lock on it (``flock``), which ends with the
process that holds it, however that ends; a file that was left behind locks nothing. On a file
system without such locks nothing is held.
"""

from __future__ import annotations

import errno
import getpass
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from posebank.errors import ArtefactError

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

_held: set[int] = set()


def _close_in_fork() -> None:
    """Close the locks that a forked child has inherited, so that it holds none of them."""
    for number in _held:
        with suppress(OSError):
            os.close(number)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_fork)


@contextmanager
def writer_lock(artefact: Path) -> Iterator[None]:
    """Hold the lock of the one writer of an artefact.

    Raises
    ------
    ArtefactError
        If another process holds it: says which, on which host, since when.
    """
    if fcntl is None:
        yield
        return
    path = _lock_file(artefact)
    number = _locked(path)
    if number is None:
        raise ArtefactError(f"{artefact}: {_holder(path)}; wait for it to end, then run again")
    _held.add(number)
    try:
        os.ftruncate(number, 0)
        os.write(number, json.dumps(_this_process()).encode())
        yield
    finally:
        _held.discard(number)
        path.unlink(missing_ok=True)  # before the lock ends: nobody else's file is removed
        os.close(number)


def is_being_written(artefact: Path) -> bool:
    """Whether a process holds the lock of an artefact's writer."""
    if fcntl is None:
        return False
    try:
        number = os.open(_lock_file(artefact), os.O_RDWR)
    except OSError:
        return False
    try:
        return not _flock(number)
    finally:
        os.close(number)


def _lock_file(artefact: Path) -> Path:
    return artefact.parent / f".{artefact.name}.lock"


def _locked(path: Path) -> int | None:
    """Open and lock the file; None where another process has it."""
    while True:
        number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _flock(number):
            os.close(number)
            return None
        try:
            if os.path.samestat(os.fstat(number), path.stat()):
                return number
        except FileNotFoundError:
            pass
        os.close(number)  # its holder has just removed it: lock the file that comes after


def _flock(number: int) -> bool:
    """Lock an open file without waiting; True where the file system knows no locks."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
    return True


def _this_process() -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return {
        "user": user,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
        "since": time.time(),
    }


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        age = max(0, round(time.time() - float(holder["since"])))
        return (
            f"being written by {holder['user']} on {holder['host']}, process {holder['pid']}, for "
            f"{age} s ({holder['command']})"
        )
    except (OSError, ValueError, KeyError, TypeError):  # it has just begun, or just ended
        return "being written by another process"
