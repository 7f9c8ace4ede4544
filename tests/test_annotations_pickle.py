"""Pickles of arrays: what NumPy writes is read, and nothing that was crafted."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posebank.annotations.array_pickle import load_arrays

DATA = {
    "S1": {
        "Walking": np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4),
        "Sitting 1": np.asfortranarray(np.arange(6.0).reshape(3, 2)),
    },
    "S9": {"Eating": np.array([[1, -2]], dtype=">i4"), "empty": np.zeros((0, 5))},
}


@pytest.mark.parametrize("protocol", range(5))
def test_what_numpy_pickles_is_read(protocol):
    held = np.empty((), dtype=object)
    held[()] = DATA
    for value in (held, DATA):
        read = load_arrays(io.BytesIO(pickle.dumps(value, protocol)))
        assert read.keys() == DATA.keys()
        for subject, actions in DATA.items():
            for action, array in actions.items():
                np.testing.assert_array_equal(read[subject][action], array)


def crafted(*, name=b"f8", shape=(2,), content=b"\x00" * 16, state=None, version=1):
    """A pickle of an array that is built from parts of the attacker's choice."""

    class Type:
        def __reduce__(self):
            return (
                np.dtype,
                (name.decode(), False, True),
                state or (3, "<", None, None, None, -1, -1, 0),
            )

    class Array:
        def __reduce__(self):
            reconstruct = np.zeros(0).__reduce__()[0]
            return (reconstruct, (np.ndarray, (0,), b"b"), (version, shape, Type(), False, content))

    return io.BytesIO(pickle.dumps(Array(), 4))


def test_the_crafted_form_is_read_when_it_is_honest():
    np.testing.assert_array_equal(load_arrays(crafted()), [0.0, 0.0])


@pytest.mark.parametrize(
    "changed",
    [
        {"shape": (1 << 40,)},
        {"shape": (-1,)},
        {"shape": (2, 2)},
        {"shape": ("2",)},
        {"shape": (True, 2)},
        {"content": b""},
        {"content": 5},
        {"content": [1, 2]},
        {"name": b"O"},
        {"name": b"<O8"},
        {"name": b"O", "shape": (2,), "content": [1, 2]},
        {"name": b"V8"},
        {"name": b"S8"},
        {"name": b"f8,f8"},
        {"state": (3, "|", None, ("a",), {"a": (5, 0)}, 8, 1, 27)},
        {"state": (3, "|", (5, (2,)), None, None, 8, 1, 27)},
        {"state": (1 << 70, "x", None, None, None, -1, -1, 0)},
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_their_bytes_are_refused(changed):
    with pytest.raises(pickle.UnpicklingError):
        load_arrays(crafted(**changed))


@pytest.mark.parametrize("target", [print, eval, np.load, np.memmap, io.open, type, getattr])
def test_nothing_else_is_called(target):
    class Call:
        def __reduce__(self):
            return (target, ("posebank",))

    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        load_arrays(io.BytesIO(pickle.dumps(Call(), 4)))


def test_deep_nesting_is_refused():
    value: object = 0
    for _ in range(50):
        value = {"a": value}
    with pytest.raises(pickle.UnpicklingError, match="dictionaries"):
        load_arrays(io.BytesIO(pickle.dumps(value, 4)))


@given(st.data())
def test_damaged_pickles_raise_and_never_crash(data):
    raw = bytearray(pickle.dumps(DATA, data.draw(st.integers(0, 4))))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[place] = data.draw(st.integers(0, 255))
    try:
        load_arrays(io.BytesIO(raw))
    except Exception as error:
        assert not isinstance(error, MemoryError | SystemError)  # noqa: PT017
