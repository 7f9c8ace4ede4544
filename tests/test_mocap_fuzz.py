import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from fuzz_mocap import EVERY_KIND, MUTATIONS, mutated, originals, read_to_the_bank, run_case


@pytest.fixture(scope="module")
def files():
    return originals()


def test_the_files_are_sound_before_they_are_damaged(files):
    for kind, sound in files.items():
        for which, data in enumerate(sound):
            assert read_to_the_bank(kind, which, data, 0, files) == f"{kind} kept", which


@pytest.mark.parametrize("block", range(4))
def test_damaged_files_only_ever_raise_posebank_errors(files, block):
    """300 of the cases of ``benchmarks/fuzz_mocap.py``, which runs 100,000."""
    outcomes = {run_case(case, files) for case in range(75 * block, 75 * (block + 1))}
    assert any(o.endswith("refused") for o in outcomes)
    assert any(o.endswith("kept") for o in outcomes)


def test_a_case_can_be_repeated(files):
    assert mutated(17, files) == mutated(17, files)
    kinds = {mutated(case, files)[0] for case in range(20)}
    assert kinds == set(EVERY_KIND) == set(files)
    assert mutated(17, files, ["amass"])[0] == "amass"
    assert len(MUTATIONS) == 8
