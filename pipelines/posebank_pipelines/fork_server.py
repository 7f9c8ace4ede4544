"""Imported by multiprocessing's fork server before everything else: no process outlives its parent.

The server ends with the process that started it, and each of its children with the server, from
the child's first instructions on.
"""

from __future__ import annotations

import os

from posebank_pipelines.processes import PARENT, end_with_parent

_server: int | None = os.getpid()


def _end_with_server() -> None:
    global _server  # noqa: PLW0603 (what a child forks itself is its own)
    if _server is not None:
        end_with_parent(_server)
        _server = None


if PARENT in os.environ:  # in the fork server
    end_with_parent(int(os.environ[PARENT]))
    os.register_at_fork(after_in_child=_end_with_server)
