"""HDM05 against its official parser; one CMU walk (02_01) read as AMC, C3D and BVH.

    python benchmarks/compare_formats.py

Of HDM05, the largest distance of any of the 31 joints in any frame is told for each file.

The AMC is the reference: distances are of the same joint in the same frame, in the same world.
Bias is the mean difference in the person's own axes (to the right, up, ahead).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
from _common import SHARED_DATA, report
from numpy.typing import NDArray
from scipy.io import loadmat

from posebank.geometry.kinematics import Point, forward
from posebank.geometry.rotations import axis_rotation, heading_angle
from posebank.mocap.amc import read_amc
from posebank.mocap.asf import read_asf
from posebank.mocap.bvh import read_bvh
from posebank.mocap.naming import find_node, match_joints
from posebank.mocap.options import METRES_PER_INCH
from posebank.mocap.sources import ClipSource, discover, read_clip
from posebank.skeleton import JOINT_NAMES, J

WHY_C3D = {
    "ankle": "both from the same marker; the ankle's width is assumed",
    "knee": "same marker; the knee's axis comes from the foot, Vicon's from the thigh marker",
    "hip": "Bell's regression puts the hip 31 mm higher than Vicon's model does",
    "wrist": "13 mm along the forearm; the AMC's arm hangs 46 mm further in than the markers",
    "elbow": "the AMC's elbow lies 36 mm ahead of the marker's",
    "shoulder": "the AMC's shoulder lies 21 mm further out and 18 mm higher than Rab's",
    "head": "band + 100 mm, against the head bone extended by 1.25 of its lengths",
}


def _apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1000 * np.linalg.norm(a - b, axis=-1)


def compare() -> dict[str, Any]:
    """Rows of the table, and the facts that explain them."""
    cmu = SHARED_DATA / "cmu"
    folder = cmu / "subjects" / "02"
    amc = read_clip(ClipSource("cmu", folder / "02_01.amc", folder / "02.asf", "02", "02_01"))
    c3d = read_clip(discover("c3d", [cmu / "c3d" / "02_01.c3d"])[0][0])
    path = cmu / "bvh_cgspeed" / "02_01.bvh"
    bvh = read_clip(discover("bvh", [path])[0][0])
    as_written = read_bvh(path)
    as_written = replace(as_written, values=as_written.values[1:])
    match = match_joints(as_written.skeleton)
    assert match is not None
    nodes = {joint: first for joint, (first, *_) in match.nodes.items()}
    nodes["head"] = find_node(as_written.skeleton, "Head/end site")
    points = [Point(nodes[name], np.zeros(3)) for name in JOINT_NAMES]
    raw = as_written.positions(points) * METRES_PER_INCH / 0.45
    heading = heading_angle(amc.joints, J["r_hip"], J["l_hip"])
    own = axis_rotation("y", -heading)  # x to the person's right, z backwards
    bias = 1000 * np.einsum("nij,nkj->nki", own, c3d.joints - amc.joints).mean(axis=0)
    rows = []
    for name in JOINT_NAMES:
        j = J[name]
        c, r, b = (_apart(x[:, j], amc.joints[:, j]) for x in (c3d.joints, raw, bvh.joints))
        rows.append(
            {
                "joint": name,
                "c3d_mean_mm": round(c.mean(), 1),
                "c3d_max_mm": round(c.max(), 1),
                "c3d_bias_mm": [round(float(v)) for v in (bias[j, 0], bias[j, 1], -bias[j, 2])],
                "bvh_as_written_mm": round(r.mean(), 2),
                "bvh_mean_mm": round(b.mean(), 2),
                "bvh_max_mm": round(b.max(), 2),
                "why_c3d": WHY_C3D[name.split("_")[-1]],
            }
        )
    return {"frames": len(amc.frames), "rows": rows}


def official_hdm05() -> dict[str, float]:
    """AMC file -> the largest distance, metres, from the official parser's trajectories."""
    folder = SHARED_DATA / "hdm05"
    worst = {}
    for path in sorted((folder / "oracle").glob("*.mat")):
        motion = loadmat(path, squeeze_me=True, struct_as_record=False)["mot"]
        asf = read_asf(folder / f"{path.name[:6]}.asf")
        amc = read_amc(folder / path.name.removesuffix(".mat"), asf)
        ends = [str(name).split("_@_")[-1].lower() for name in motion.jointNames]
        got = forward(*asf.chain(ends), amc.values, radians_per_unit=np.pi / 180)
        expected = np.stack([t.T for t in motion.jointTrajectories], axis=1)
        if not got.shape == expected.shape == (len(amc.frames), 31, 3):
            raise ValueError(f"{path}: expected {expected.shape}, found {got.shape}")
        difference = got * asf.metres_per_unit - expected * METRES_PER_INCH
        worst[path.stem] = float(np.linalg.norm(difference, axis=-1).max())
    return worst


def main() -> None:
    if not SHARED_DATA.is_dir():
        sys.exit(f"expected real clips in {SHARED_DATA}, found none")
    official = official_hdm05()
    for name, metres in official.items():
        print(f"{metres:.2e} m  {name}")
    result = compare()
    print(
        f"{'joint':11s}{'C3D mean':>9s}{'max':>7s}{'right  up  ahead':>18s}"
        f"{'BVH as written':>16s}{'mean':>8s}{'max':>8s}   (mm from the AMC)"
    )
    for row in result["rows"]:
        side, up, ahead = row["c3d_bias_mm"]
        print(
            f"{row['joint']:11s}{row['c3d_mean_mm']:9.1f}{row['c3d_max_mm']:7.1f}"
            f"{side:7d}{up:5d}{ahead:6d}{row['bvh_as_written_mm']:16.2f}"
            f"{row['bvh_mean_mm']:8.2f}{row['bvh_max_mm']:8.2f}   {row['why_c3d']}"
        )
    report("compare_formats", result | {"official_hdm05_m": official})


if __name__ == "__main__":
    main()
