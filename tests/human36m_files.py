"""Human3.6M's 3D poses in their three forms, for the tests: made-up numbers."""

import h5py
import numpy as np
from annotation_files import write_cdf

from posebank.annotations.mapping import H36M_NAMES

PLACES = {
    "hip": (0.1, 0.0, 0.9), "knee": (0.1, 0.0, 0.5), "ankle": (0.1, 0.0, 0.1),
    "shoulder": (0.2, 0.0, 1.4), "elbow": (0.2, 0.0, 1.1), "wrist": (0.2, 0.1, 0.9),
}  # fmt: skip


def swaying_body(n_frames):
    """A body in metres, z up, its left at +x, that sways to the front: (n_frames, 32, 3)."""
    body = np.zeros((n_frames, 32, 3))
    for i, name in enumerate(H36M_NAMES):
        side, _, joint = name.partition("_")
        if joint in PLACES:
            body[:, i] = np.array(PLACES[joint]) * ((-1 if side == "r" else 1), 1, 1)
    body[:, H36M_NAMES.index("head_top")] = (0, 0, 1.7)
    body[..., 1] += np.linspace(0, 0.1, n_frames)[:, None]
    return body


def write_human36m(folder, kind, poses):
    """Write poses (n_frames, 32, 3) as S5's "Walking 1"; returns the file."""
    flat = poses.reshape(len(poses), 96)
    if kind == "cdf":
        path = folder / "S5" / "MyPoseFeatures" / "D3_Positions" / "Walking 1.cdf"
        write_cdf(path, flat * 1000)
        write_cdf(path.parent.with_name("D3_Positions_mono") / path.name, flat)
    elif kind == "h5":
        path = folder / "S5" / "MyPoses" / "3D_positions" / "Walking 1.h5"
        path.parent.mkdir(parents=True)
        with h5py.File(path, "w") as file:
            file["3D_positions"] = flat.T * 1000
    else:
        path = folder / "data_3d_h36m.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        subjects = {"S5": {"Walking 1": poses}, "S1": {"Sitting": poses * 0.9}}
        np.savez(path, positions_3d=np.array(subjects, dtype=object))
    return path
