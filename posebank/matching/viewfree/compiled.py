"""How the loops of the search are compiled."""

from __future__ import annotations

from functools import partial

from numba import njit

# Of functions that only compiled functions call. What Python would need to call them, code that
# takes apart each array of their arguments, is much of the time that compiling takes.
inner = partial(njit, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
