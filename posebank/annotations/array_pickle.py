"""Read NumPy arrays and dictionaries from a pickle without trusting it.

A pickle is a program: loading it calls what it names, with the arguments that it gives. NumPy's own
``dtype`` and ``ndarray`` are no safe targets either, since the state they take from a pickle is not
checked well enough to keep a crafted one from reading or writing memory. Here the names that a
pickle of arrays needs are bound to the small stand-ins below, which check every argument and make
an array from its bytes, shape and number type alone. Nothing else can be named.
"""

from __future__ import annotations

import math
import pickle
import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_NUMBERS = frozenset(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)) | {
    "f2",
    "f4",
    "f8",
    "b1",
}
_OBJECT = ("O", "O8", "O4")
_MAX_DIMENSIONS = 8


class _NumberType:
    """Stands for ``numpy.dtype``: a plain number type, or ``O`` for one that holds any object."""

    def __init__(self, name: object, _align: object = False, _copy: object = True) -> None:
        if isinstance(name, bytes):
            name = name.decode("latin1")
        if not isinstance(name, str) or name.lstrip("<>|=") not in (*_NUMBERS, *_OBJECT):
            raise pickle.UnpicklingError(f"number type {name!r:.40} is not allowed")
        plain = name.lstrip("<>|=")
        self.name = "O" if plain in _OBJECT else plain
        self.order = name[0] if name[0] in "<>" else "="

    def __setstate__(self, state: object) -> None:
        # (version, byte order, subarray, names, fields, itemsize, alignment, flags)
        order = state[1] if isinstance(state, tuple) and len(state) >= 5 else None
        order = order.decode("latin1") if isinstance(order, bytes) else order
        plain = isinstance(state, tuple) and all(part is None for part in state[2:5])
        if order not in ("<", ">", "|", "=") or not plain:
            raise pickle.UnpicklingError("a number type with fields is not allowed")
        self.order = str(order)

    def as_numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order.replace("|", "=") + self.name)


class _Array:
    """Stands for an ``ndarray`` that gets its content from ``__setstate__``."""

    value: Any = None

    def __setstate__(self, state: object) -> None:
        # (version, shape, dtype, Fortran order, content)
        if not (isinstance(state, tuple) and len(state) == 5):
            raise pickle.UnpicklingError("an array of unknown form is not allowed")
        _, shape, dtype, fortran, content = state
        if isinstance(dtype, _NumberType) and dtype.name == "O":
            if shape != () or not (isinstance(content, list) and len(content) == 1):
                raise pickle.UnpicklingError("an array of several objects is not allowed")
            self.value = content[0]
        else:
            self.value = _from_bytes(content, dtype, shape, "F" if fortran else "C")


def _from_bytes(content: object, dtype: object, shape: object, order: str) -> NDArray[Any]:
    """An array from its bytes, if they are as many as its shape and type say."""
    if isinstance(content, str):
        content = content.encode("latin1")
    sizes = shape if isinstance(shape, tuple) else (shape,)
    known = (
        isinstance(content, bytes | bytearray)
        and isinstance(dtype, _NumberType)
        and dtype.name != "O"
        and len(sizes) <= _MAX_DIMENSIONS
        and all(type(size) is int and size >= 0 for size in sizes)
    )
    if not known:
        raise pickle.UnpicklingError("expected the bytes of an array of numbers")
    number = dtype.as_numpy()  # type: ignore[attr-defined]
    if math.prod(sizes) * number.itemsize != len(content):  # type: ignore[arg-type]
        raise pickle.UnpicklingError(f"expected {sizes} numbers, found {len(content)} bytes")  # type: ignore[arg-type]
    flat: NDArray[Any] = np.frombuffer(content, number)  # type: ignore[call-overload]
    return flat.reshape(sizes, order="F" if order == "F" else "C").copy()


def _reconstruct(*_arguments: object) -> _Array:
    return _Array()


def _scalar(dtype: object, content: object) -> Any:
    return _from_bytes(content, dtype, (), "C")[()]


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("expected text in latin1")
    return text.encode("latin1")


def _no_bytes(*arguments: object) -> bytes:
    """Empty bytes, as old protocols write them; an argument could fill the memory."""
    if arguments:
        raise pickle.UnpicklingError("bytes with arguments are not allowed")
    return b""


_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _NumberType,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
}


_OPERATIONS = frozenset(
    {
        "PROTO",
        "FRAME",
        "STOP",
        "MARK",
        "POP",
        "POP_MARK",
        "DUP",
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "BINBYTES8",
        "SHORT_BINBYTES",
        "UNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "SHORT_BINUNICODE",
        "EMPTY_LIST",
        "APPEND",
        "APPENDS",
        "LIST",
        "EMPTY_TUPLE",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "EMPTY_DICT",
        "DICT",
        "SETITEM",
        "SETITEMS",
        "PUT",
        "BINPUT",
        "LONG_BINPUT",
        "MEMOIZE",
        "GET",
        "BINGET",
        "LONG_BINGET",
        "GLOBAL",
        "STACK_GLOBAL",
        "REDUCE",
        "BUILD",
    }
)
"""Operations of protocols 0 to 4 that a pickle of arrays uses. Protocol 5's buffers are not among
them: NumPy's files do not use it, and Python's own loader of damaged ones breaks off in memory."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a data file")
        return _STAND_INS[module, name]


def load_arrays(stream: BinaryIO) -> Any:
    """Load dictionaries, lists, texts and numbers, with arrays of plain numbers among them.

    Parameters
    ----------
    stream : BinaryIO
        A pickle of protocol 0 to 4, as NumPy writes arrays of objects; it can be sought.

    Returns
    -------
    What the pickle holds; an array of one object is returned as that object.

    Raises
    ------
    pickle.UnpicklingError
        If it names anything else, or an array's bytes do not fit its shape. A damaged pickle
        raises nearly any exception, as ``pickle`` says.
    """
    start = stream.tell()
    for operation, _, _ in pickletools.genops(stream):
        if operation.name not in _OPERATIONS:
            raise pickle.UnpicklingError(f"operation {operation.name} is not allowed")
    stream.seek(start)
    return _plain(_Unpickler(stream, encoding="latin1").load(), depth=0)


def _plain(value: Any, depth: int) -> Any:
    """Replace the stand-ins by their arrays."""
    if depth > _MAX_DIMENSIONS:
        raise pickle.UnpicklingError("expected dictionaries within dictionaries, found many more")
    if isinstance(value, _Array):
        return _plain(value.value, depth + 1)
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return value
