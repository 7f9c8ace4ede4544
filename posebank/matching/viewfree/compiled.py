"""How the loops of the search are compiled."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from numba import njit

# Of functions that only compiled functions call. What Python would need to call them, code that
# takes apart each array of their arguments, is much of the time that compiling takes.
inner = partial(njit, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def is_cached(function: Any) -> bool:
    """Whether Numba has kept the machine code of a function, so that no call waits for it."""
    name = f"{function.py_func.__module__.rpartition('.')[2]}.{function.py_func.__qualname__}"
    return any(Path(function.stats.cache_path).glob(f"{name}-*.nbi"))
