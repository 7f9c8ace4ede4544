"""The handed cases of BVH and ASF/AMC files, through the command line where it is what they name.

Each has ``RIGHT.md`` and, mostly, ``twin``: the same motion in a form that was always read right.
Files of our own in the same forms are in the tests of the readers.
"""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from posebank.mocap.sources import discover, read_clip
from posebank.skeleton import J
from posebank_cli.main import main

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases" / "mocap"


@pytest.fixture(scope="module")
def cases():
    if not CASES.is_dir():
        pytest.skip(f"handed cases not at hand: {CASES}")
    return CASES


def clip_of(dataset, path, **options):
    (source,), rejected = discover(dataset, [path])
    assert rejected == []
    return read_clip(source, **options)


def inspected(*arguments):
    result = CliRunner().invoke(main, ["inspect", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return dict(line.split(": ", 1) for line in result.output.splitlines() if ": " in line)


@pytest.mark.parametrize(
    "name",
    [
        "cgspeed-in-metres",
        "names-bandai",
        "names-biovision",
        "names-underscore-prefix",
        "z-up",
    ],
)
def test_the_joints_are_the_twins(cases, name):
    folder = cases / f"bvh-{name}"
    facts = inspected(folder / "clip.bvh")
    assert facts["frames"] == inspected(folder / "twin.bvh")["frames"]
    clip, twin = (clip_of("bvh", folder / f"{n}.bvh") for n in ("clip", "twin"))
    assert np.linalg.norm(clip.joints - twin.joints, axis=-1).max() < 1e-6
    if name == "cgspeed-in-metres":
        assert len(clip.frames) == 35
    if name == "z-up":
        assert facts["axes"].startswith("z up")


def test_a_frame_time_of_0_with_a_given_rate(cases):
    folder = cases / "bvh-frame-time-zero-with-fps"
    assert inspected(folder / "clip.bvh", "--fps", "30")["fps"] == "30"
    clip, twin = clip_of("bvh", folder / "clip.bvh", fps=30.0), clip_of("bvh", folder / "twin.bvh")
    np.testing.assert_array_equal(clip.joints, twin.joints)


def test_a_head_without_an_end(cases):
    folder = cases / "bvh-head-zero-end"
    clip, twin = clip_of("bvh", folder / "clip.bvh"), clip_of("bvh", folder / "twin.bvh")
    apart = np.linalg.norm(clip.joints - twin.joints, axis=-1)
    assert apart[:, : J["head"]].max() < 1e-6
    assert apart[:, J["head"]].max() < 0.06  # 130 to 250 mm beyond the head joint; true are 190
    assert "extended to the head top" in inspected(folder / "clip.bvh")["mapping"]
    assert "body heights" in clip.notes[0]


def test_values_of_a_bone_without_dof(cases):
    folder = cases / "amc-values-for-bone-without-dof"
    assert "without degrees of freedom" in inspected(folder / "01_01.amc")["notes"]
    clip, twin = (clip_of("cmu", f / "01_01.amc") for f in (folder, folder / "twin"))
    np.testing.assert_array_equal(clip.joints, twin.joints)
