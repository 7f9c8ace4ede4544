"""The examples in the docstrings run and print what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name", ["types", "geometry.perspective", "geometry.centring", "geometry.boxes", "skeleton"]
)
def test_examples_of(name):
    module = importlib.import_module(f"posebank.{name}")
    result = doctest.testmod(module, extraglobs={"np": importlib.import_module("numpy")})
    assert result.attempted > 0
    assert result.failed == 0
