"""Numbers in text, parsed from bytes inside compiled loops."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

MAX_VALUE = 1e6
"""Degrees or length units: beyond it a number in a motion is damage."""

_POWERS = 10.0 ** np.arange(23)


@njit(cache=True, nogil=True, inline="always")
def _power_of_ten(value: float, exponent: int) -> float:
    """``value * 10 ** exponent``; exact rounding where ``10 ** |exponent|`` is a double."""
    while exponent > 22:
        value *= 1e22
        exponent -= 22
        if value > 1e300:
            return np.inf
    while exponent < -22:
        value /= 1e22
        exponent += 22
        if value == 0.0:
            return 0.0
    if exponent < 0:
        return float(value / _POWERS[-exponent])
    return float(value * _POWERS[exponent])


@njit(cache=True, nogil=True)
def parse_number(  # noqa: PLR0912
    text: NDArray[np.uint8], at: int, end: int
) -> tuple[float, int]:
    """Parse a number that begins at ``at``: its value and where it ends (-1: not a number).

    Compiled, to be called from compiled loops. Up to 19 digits and a power of ten within 10^22 are
    rounded as ``float()`` rounds them where the digits fit 53 bits; else the last bit may differ.
    """
    negative = False
    if at < end and (text[at] == 45 or text[at] == 43):
        negative = text[at] == 45
        at += 1
    mantissa = np.uint64(0)
    digits = 0
    exponent = 0
    any_digit = False
    after_point = False
    while at < end:
        c = text[at]
        d = c - 48
        if c >= 48 and d < 10:
            any_digit = True
            if digits < 19:
                mantissa = mantissa * np.uint64(10) + np.uint64(d)
                if mantissa > 0:
                    digits += 1
                if after_point:
                    exponent -= 1
            elif not after_point:
                exponent += 1
        elif c == 46 and not after_point:
            after_point = True
        else:
            break
        at += 1
    if not any_digit:
        return 0.0, -1
    if at < end and (text[at] == 101 or text[at] == 69):
        at += 1
        minus = False
        if at < end and (text[at] == 45 or text[at] == 43):
            minus = text[at] == 45
            at += 1
        power = np.int64(0)
        start = at
        while at < end and 48 <= text[at] < 58:
            if power < 10000:
                power = power * 10 + np.int64(text[at] - 48)
            at += 1
        if at == start:
            return 0.0, -1
        exponent += int(-power if minus else power)
    value = _power_of_ten(np.float64(mantissa), exponent) if exponent else np.float64(mantissa)
    return (-value if negative else value), at
