"""Leeds Sports Pose (LSP) and its extended training set (LSPE).

Both are one ``joints.mat`` of 14 joints; neither has the orientation nor the flag in common:

====  ==============  ==================================  =====================================
set   ``joints``      third value                          missing joints
====  ==============  ==================================  =====================================
LSP   3 x 14 x 2000,  1 = occluded, though called visible  none: occluded ones were estimated
      or 14 x 3 x 2000
LSPE  14 x 3 x 10000  1 = annotated and visible            value 0, coordinates are junk
====  ==============  ==================================  =====================================

Coordinates are 1-based. The first 1,000 images of LSP are for training, the others for testing.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebank.annotations.mapping import LSP_NAMES, positions
from posebank.annotations.matfile import load_mat
from posebank.annotations.people import AnnotationResult, make_people
from posebank.errors import Rejected, SourceError
from posebank.skeleton import JointState

_LSP_TRAIN = 1000
_NAME = re.compile(r"im(\d+)(\.(?:jpg|jpeg|png))")


def _joints(path: Path, extended: bool) -> NDArray[np.float64]:
    """Array (n, 14, 3) of x, y, flag."""
    joints = load_mat(path, ["joints"]).get("joints")
    if not isinstance(joints, np.ndarray):
        raise SourceError(path, "expected the array 'joints', found none of that name")
    n_joints = len(LSP_NAMES)
    # LSP is also found saved the other way round, as 14 x 3 x 2000.
    orders = {(n_joints, 3): (2, 0, 1)} if extended else {(3, n_joints): (2, 1, 0)}
    orders |= {(n_joints, 3): (2, 0, 1)}
    order = orders.get(joints.shape[:2]) if joints.ndim == 3 else None
    if order is None or joints.dtype.kind not in "iuf":
        forms = " or ".join(f"{rows} x {columns} x n" for rows, columns in orders)
        raise SourceError(
            path,
            f"expected 'joints' of {forms} numbers ({'LSPE' if extended else 'LSP'}), "
            f"found {' x '.join(map(str, joints.shape))} {joints.dtype}",
        )
    ordered = joints.astype(np.float64).transpose(order)
    if not extended and joints.shape[0] == n_joints and (ordered[..., 2] == 1).mean() > 0.5:
        raise SourceError(
            path,
            "expected the flags of LSP (1 = occluded), found most of them 1, as in LSPE "
            "(1 = visible): read it as lspe",
        )
    return ordered


def _image_names(
    path: Path, n: int, digits: int, images: Path | None
) -> tuple[list[str], list[str]]:
    """Names of the n images, and what was found odd about them.

    They are numbered from 1, but for HR-LSPET: of its images some are left out, and person i is of
    the i-th that is there. Suffix and digits are those of the files at hand.
    """
    folders = [images] if images else [path.parent / "images", path.parent]
    found: list[str] = []
    for folder in folders:
        if folder.is_dir() and not found:
            found = sorted(p.name for p in folder.iterdir() if _NAME.fullmatch(p.name))
    numbers = [int(match[1]) for name in found if (match := _NAME.fullmatch(name))]
    if len(found) == n and numbers != list(range(1, n + 1)):
        note = (
            f"{path.name}: the numbers of the {n:,} images have gaps up to {numbers[-1]:,}; "
            f"its people are taken to be of these images in their order"
        )
        return found, [note]
    suffix = ".jpg"
    if found:
        match = _NAME.fullmatch(found[0])
        assert match is not None
        digits, suffix = len(match[1]), match[2]
    notes = []
    if numbers and numbers[-1] > n:
        notes.append(
            f"{path.name}: has {n:,} people, but the images are numbered up to {numbers[-1]:,}; "
            "person 1 is taken to be of image 1"
        )
    return [f"im{number + 1:0{digits}d}{suffix}" for number in range(n)], notes


def read_lsp(path: Path, extended: bool, images: Path | None = None) -> AnnotationResult:
    """Read everyone in ``joints.mat`` of LSP, or of LSPE if ``extended``.

    Parameters
    ----------
    path : Path
        The file.
    extended : bool
        Whether the file is LSPE's.
    images : Path or None
        Folder of the images, which their names are taken from; by default ``images`` beside
        the file, or the file's own folder.

    Raises
    ------
    SourceError
        If the file is damaged or is the other set's.
    """
    joints = _joints(path, extended)
    n = len(joints)
    if extended:
        annotated, other = JointState.VISIBLE, JointState.MISSING
    else:
        annotated, other = JointState.OCCLUDED, JointState.VISIBLE
    picked = joints[:, positions(LSP_NAMES)]
    flag = picked[..., 2]
    odd = ~np.isin(flag, (0, 1)).all(axis=1)
    states = np.where(flag == 1, annotated, other)
    names, notes = _image_names(path, n, 5 if extended else 4, images)
    rejected = [
        Rejected(
            f"{path.name}: {names[row]}",
            f"expected flags 0 or 1, found {flag[row][~np.isin(flag[row], (0, 1))][0]:g}",
        )
        for row in np.flatnonzero(odd)
    ]
    rows = np.flatnonzero(~odd)
    return make_people(
        "lspe" if extended else "lsp",
        [names[row] for row in rows],
        [0] * len(rows),
        picked[rows, :, :2] - 1,
        states[rows],
        where=path.name,
        in_file=n,
        rejected=rejected,
        split=None if extended else ["train" if row < _LSP_TRAIN else "test" for row in rows],
        notes=notes,
    )
