"""Leeds Sports Pose (LSP) and its extended training set (LSPE).

Both are one ``joints.mat`` of 14 joints; neither has the orientation nor the flag in common:

====  ==============  ==================================  =====================================
set   ``joints``      third value                          missing joints
====  ==============  ==================================  =====================================
LSP   3 x 14 x 2000   1 = occluded, though called visible  none: occluded ones were estimated
LSPE  14 x 3 x 10000  1 = annotated and visible            value 0, coordinates are junk
====  ==============  ==================================  =====================================

Coordinates are 1-based. The first 1,000 images of LSP are for training, the others for testing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posebank.annotations.mapping import LSP_NAMES, positions
from posebank.annotations.matfile import load_mat
from posebank.annotations.people import AnnotationResult, make_people
from posebank.errors import Rejected, SourceError
from posebank.skeleton import JointState

_LSP_TRAIN = 1000


def _joints(path: Path, extended: bool) -> np.ndarray:
    """Array (n, 14, 3) of x, y, flag."""
    joints = load_mat(path, ["joints"]).get("joints")
    if not isinstance(joints, np.ndarray):
        raise SourceError(path, "expected the array 'joints', found none of that name")
    expected = (len(LSP_NAMES), 3) if extended else (3, len(LSP_NAMES))
    name = "LSPE" if extended else "LSP"
    if joints.ndim != 3 or joints.shape[:2] != expected or joints.dtype.kind not in "iuf":
        raise SourceError(
            path,
            f"expected 'joints' of {expected[0]} x {expected[1]} x n numbers ({name}), "
            f"found {' x '.join(map(str, joints.shape))} {joints.dtype}",
        )
    order = (2, 0, 1) if extended else (2, 1, 0)
    return joints.astype(np.float64).transpose(order)


def read_lsp(path: Path, extended: bool) -> AnnotationResult:
    """Everyone in ``joints.mat`` of LSP, or of LSPE if ``extended``.

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
    digits = 5 if extended else 4
    images = [f"im{number + 1:0{digits}d}.jpg" for number in range(n)]
    rejected = [
        Rejected(
            f"{path.name}: {images[row]}",
            f"expected flags 0 or 1, found {flag[row][~np.isin(flag[row], (0, 1))][0]:g}",
        )
        for row in np.flatnonzero(odd)
    ]
    rows = np.flatnonzero(~odd)
    return make_people(
        "lspe" if extended else "lsp",
        [images[row] for row in rows],
        [0] * len(rows),
        picked[rows, :, :2] - 1,
        states[rows],
        where=path.name,
        in_file=n,
        rejected=rejected,
        split=None if extended else ["train" if row < _LSP_TRAIN else "test" for row in rows],
    )
