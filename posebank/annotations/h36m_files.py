"""The files of Human3.6M: poses in CDF, HDF5 or npz, and cameras in XML or HDF5.

==========  =====================================================================================
form        what is where
==========  =====================================================================================
CDF         the release: ``S9/MyPoseFeatures/D2_Positions/Walking 1.54138969.cdf`` (n x 64 pixels)
            and ``D3_Positions_mono`` (n x 96 millimetres, camera axes), variable ``Pose``;
            h36m-fetch has them in ``extracted/S9/Poses_D2_Positions`` and so on. Without 2D:
            ``D3_Positions`` (world), with cameras
HDF5        3d-pose-baseline: ``S9/MyPoses/3D_positions/Walking 1.h5`` (``3D_positions``,
            96 x n millimetres, world), with the cameras in ``cameras.h5``
npz         VideoPose3D: ``data_3d_h36m.npz`` (``positions_3d``: subject -> action ->
            n x 32 x 3 metres, world), with cameras
cameras     ``cameras.h5`` (``subject9/camera1/R T f c k p``) or the release's ``metadata.xml``
            (``w0``)
==========  =====================================================================================

The second clip of an action may be called ``Walking 1`` or ``Walking_1``.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cdflib
import h5py
import numpy as np
from numpy.typing import NDArray

from posebank.annotations.array_pickle import load_arrays
from posebank.annotations.cdf_check import check_cdf
from posebank.annotations.h5_arrays import h5_item, read_h5_array
from posebank.errors import SourceError
from posebank.files import check_regular
from posebank.geometry.perspective import PerspectiveCamera

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
"""Names of cameras 1 to 4."""
N_H36M_JOINTS = 32
_N_SUBJECTS = 11
_MAX_ARRAY_BYTES = 1 << 30
_MAX_VALUE = 1e7  # ten kilometres: further out a number is none
_W0 = re.compile(r"\s*\[([^\[\]]*)\]\s*")


MONO = "D3_Positions_mono"
EXPECTED_FILES = (
    "expected Human3.6M in one of these forms: S9/MyPoseFeatures/D2_Positions/*.cdf with "
    "S9/MyPoseFeatures/D3_Positions_mono/*.cdf (the release), S9/Poses_D2_Positions/*.cdf with "
    "S9/Poses_D3_Positions_mono/*.cdf (h36m-fetch), S9/MyPoseFeatures/D3_Positions/*.cdf or "
    "S9/MyPoses/3D_positions/*.h5 with cameras.h5 or metadata.xml (3d-pose-baseline), "
    "data_3d_h36m.npz with cameras.h5 or metadata.xml (VideoPose3D); S9 stands for every subject"
)
_FOLDER = re.compile(r"(?:poses_)?(d2_positions|d3_positions|d3_positions_mono|3d_positions)")
_SUBJECT = re.compile(r"S\d{1,2}")


@dataclass(frozen=True)
class PoseFiles:
    """The pose files of a folder, by subject and file name.

    flat : 2D, pixels. solid : 3D in camera axes. world : 3D in world axes.
    """

    flat: dict[tuple[str, str], Path]
    solid: dict[tuple[str, str], Path]
    world: dict[tuple[str, str], Path]


def find_pose_files(source: Path) -> PoseFiles:
    """Find the CDF and HDF5 files of poses, at any depth; folders say what is in them."""
    files = PoseFiles({}, {}, {})
    groups = {"d2_positions": files.flat, "d3_positions_mono": files.solid}
    for path in sorted(source.rglob("*")):
        match = _FOLDER.fullmatch(path.parent.name.lower())
        subject = next((p.name for p in path.absolute().parents if _SUBJECT.fullmatch(p.name)), "")
        if match and subject and path.suffix.lower() in (".cdf", ".h5") and path.is_file():
            groups.get(match[1], files.world)[subject, path.name] = path
    return files


def read_cdf(path: Path, dimensions: int) -> NDArray[np.float64]:
    """Return the variable ``Pose`` of a CDF file as (n, 32, dimensions), in the file's unit.

    Raises
    ------
    SourceError
        If it is no such file.
    """
    try:
        check_regular(path)
        check_cdf(path.read_bytes())
        values = np.asarray(cdflib.CDF(path).varget("Pose"))
    except Exception as error:  # cdflib raises whatever the damaged bytes lead it into
        raise SourceError(path, f"expected CDF with 'Pose', found {error!s:.200}") from error
    return _poses(path, values, dimensions)


def _poses(path: Path, values: NDArray[Any], dimensions: int) -> NDArray[np.float64]:
    width = N_H36M_JOINTS * dimensions
    if values.dtype.kind not in "fiu" or values.ndim < 1 or values.shape[-1] != width:
        raise SourceError(
            path, f"expected n x {width} numbers, found {values.shape} {values.dtype}"
        )
    with np.errstate(invalid="ignore"):  # damaged files hold signalling NaN
        values = values.astype(np.float64).reshape(-1, N_H36M_JOINTS, dimensions)
        return np.where(np.abs(values) <= _MAX_VALUE, values, np.nan)


def read_h5_positions(path: Path) -> NDArray[np.float64]:
    """Return the poses (n, 32, 3) in metres, world axes, of one ``3D_positions`` file.

    Raises
    ------
    SourceError
        If it is no such file.
    """
    try:
        check_regular(path)
        with h5py.File(path, "r") as file:
            values = read_h5_array(file, "3D_positions")
    except SourceError:
        raise
    except Exception as error:  # HDF5 raises many kinds of errors for damaged bytes
        raise SourceError(path, f"expected HDF5 with '3D_positions': {error!s:.200}") from error
    if values.ndim != 2:
        raise SourceError(path, f"expected 96 x n numbers, found {values.shape}")
    return _poses(path, values.T, 3) / 1000


def read_npz_positions(path: Path) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Return (subject, action) -> poses (n, 32, 3), metres, world axes, of ``data_3d_h36m.npz``.

    Raises
    ------
    SourceError
        If it is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo("positions_3d.npy")
            if member.file_size > _MAX_ARRAY_BYTES * 2:
                raise SourceError(path, f"expected at most 2 GiB, found {member.file_size} bytes")
            stream = io.BytesIO(archive.read(member))
        version = np.lib.format.read_magic(stream)
        reader = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        reader(stream)
        subjects = load_arrays(stream)
        clips = {
            (str(subject), str(action)): np.asarray(poses)
            for subject, actions in subjects.items()
            for action, poses in actions.items()
        }
    except SourceError:
        raise
    except Exception as error:  # a damaged zip, header or pickle raises nearly anything
        raise SourceError(path, f"expected npz with 'positions_3d': {error!s:.200}") from error
    return {
        name: _poses(path, values.reshape(*values.shape[:1], -1), 3)
        for name, values in clips.items()
    }


def find_cameras(folder: Path) -> Path | None:
    """Return the camera file in or near a folder of poses."""
    for place in (folder, folder.parent):
        for name in ("cameras.h5", "metadata.xml"):
            if (place / name).is_file():
                return place / name
    return None


def read_cameras(path: Path) -> dict[tuple[str, str], PerspectiveCamera]:
    """Return (subject ``S9``, camera name) -> camera, from either camera file.

    Raises
    ------
    SourceError
        If it is neither.
    """
    if path.suffix.lower() == ".xml":
        return _cameras_from_xml(path)
    cameras = {}
    check_regular(path)
    try:
        with h5py.File(path, "r") as file:
            for subject in range(1, _N_SUBJECTS + 1):
                for number, name in enumerate(CAMERAS, start=1):
                    group = h5_item(file, f"subject{subject}/camera{number}")
                    if group is not None:
                        cameras[f"S{subject}", name] = _camera_from_group(group)
    except SourceError:
        raise
    except Exception as error:  # HDF5 raises many kinds of errors for damaged bytes
        raise SourceError(path, f"expected cameras in HDF5, found {error!s:.200}") from error
    if not cameras:
        raise SourceError(path, "expected groups subject1/camera1 ..., found none")
    return cameras


def _camera_from_group(group: h5py.Group) -> PerspectiveCamera:
    def array(name: str, *shape: int) -> NDArray[np.float64]:
        return read_h5_array(group, name).astype(np.float64).reshape(shape)

    return PerspectiveCamera(
        rotation=array("R", 3, 3).T,  # written by MATLAB, column after column
        position=array("T", 3) / 1000,
        focal=array("f", 2),
        centre=array("c", 2),
        radial=array("k", 3),
        tangential=array("p", 2),
    )


def _cameras_from_xml(path: Path) -> dict[tuple[str, str], PerspectiveCamera]:
    """Cameras of ``metadata.xml``: ``w0`` holds 6 numbers per camera and subject (three angles,
    position), then 9 per camera (focal, centre, radial, tangential).
    """
    try:
        found = ET.parse(path).getroot().findtext(".//w0") or ""
        match = _W0.fullmatch(found)
        w0 = np.array([float(v) for v in match[1].split()]) if match else np.empty(0)
    except (OSError, ET.ParseError, ValueError) as error:
        raise SourceError(path, f"expected XML with 'w0', found {error!s:.200}") from error
    n_placed = 6 * len(CAMERAS) * _N_SUBJECTS
    if len(w0) != n_placed + 9 * len(CAMERAS) or not np.isfinite(w0).all():
        raise SourceError(path, f"w0: expected {n_placed + 36} numbers, found {len(w0)}")
    placed = w0[:n_placed].reshape(len(CAMERAS), _N_SUBJECTS, 6)
    lens = w0[n_placed:].reshape(len(CAMERAS), 9)
    return {
        (f"S{subject + 1}", name): PerspectiveCamera(
            rotation=_rotation_xyz(placed[c, subject, :3]),
            position=placed[c, subject, 3:] / 1000,
            focal=lens[c, 0:2],
            centre=lens[c, 2:4],
            radial=lens[c, 4:7],
            tangential=lens[c, 7:9],
        )
        for c, name in enumerate(CAMERAS)
        for subject in range(_N_SUBJECTS)
    }


def _rotation_xyz(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rx Ry Rz of three angles in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    rotated: NDArray[np.float64] = about_x @ about_y @ about_z
    return rotated
