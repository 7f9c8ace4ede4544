"""The examples in the docstrings run and print what they say."""

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


def modules_with_examples():
    """Name of every module of the library with ``>>>`` in it."""
    for path in sorted((ROOT / "posebank").rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_examples_of(name):
    module = importlib.import_module(name)
    result = doctest.testmod(
        module, extraglobs={"np": np}, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert result.attempted > 0
    assert result.failed == 0


def test_examples_of_the_functions_that_are_used_most():
    examples = {
        test.name
        for name in modules_with_examples()
        for test in doctest.DocTestFinder().find(importlib.import_module(name))
        if test.examples
    }
    assert len(examples) >= 30
