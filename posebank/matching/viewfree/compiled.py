"""How the loops of the search are compiled.

Numba compiles every function by itself, again with all that it calls, so that the time goes with
what is called from many places. Three habits keep it short. An integer that is passed to a compiled
function is a ``constant``: for a Python integer the function would be compiled once more for each
value. Arrays are not added or compared as a whole, which brings in the whole of numpy's
broadcasting. A division by zero gives an infinity, as in numpy, instead of an error.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

# Of functions that only compiled functions call. What Python would need to call them, code that
# takes apart each array of their arguments, is much of the time that compiling takes.
inner = partial(
    njit, nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
)
# Of small functions of numbers, whose arguments and results then stay in registers. An array that
# is passed on is seven numbers, and what is stored in it is loaded again by the next function.
lean = partial(inner, forceinline=True)
# Of functions that Python calls as well.
outer = partial(njit, nogil=True, error_model="numpy")


Three = tuple[float, float, float]
Four = tuple[float, float, float, float]
Six = tuple[float, float, float, float, float, float]
Nine = tuple[float, float, float, float, float, float, float, float, float]


def constant(value: int) -> Any:
    """Return an integer for whose value no function is compiled."""
    return np.int64(value)


def is_cached(function: Any) -> bool:
    """Whether Numba has kept the machine code of a function, so that no call waits for it."""
    name = f"{function.py_func.__module__.rpartition('.')[2]}.{function.py_func.__qualname__}"
    return any(Path(function.stats.cache_path).glob(f"{name}-*.nbi"))
