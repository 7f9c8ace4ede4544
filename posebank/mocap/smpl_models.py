"""Body models of the SMPL family: rest joints of a person from their shape coefficients.

A model file (npz) has ``v_template`` (n_vertices, 3), ``shapedirs`` (n_vertices, 3, n_shapes),
``J_regressor`` (n_joints, n_vertices) and ``kintree_table`` (2, n_joints). The rest joints are
``J_regressor (v_template + shapedirs betas)``, and the head top is the highest vertex of the
template. Only these are kept: 23 points and how they move with each coefficient.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.mocap.npz_arrays import NpzArrays
from posebank.mocap.smpl_kinematics import N_BODY_JOINTS, PARENTS, RestBody

FAMILIES: Mapping[int, str] = {24: "SMPL", 52: "SMPL+H", 55: "SMPL-X"}
"""Number of joints -> the model that has them."""

_NEEDED = frozenset({"v_template", "shapedirs", "J_regressor", "kintree_table"})
_MAX_SHAPES = 300
_X_SHAPES, _X_SHORT_SHAPES = 300, 10
_GENDERS = ("female", "male", "neutral")


@dataclass(frozen=True)
class BodyModel:
    """What forward kinematics needs of a model.

    Parameters
    ----------
    path : the file.
    family : one of ``FAMILIES``.
    gender : female, male or neutral.
    points : (23, 3) rest joints of the mean shape, then the head top, metres.
    directions : (23, 3, n_shapes) how they move with each shape coefficient.
    """

    path: Path
    family: str
    gender: str
    points: NDArray[np.float64]
    directions: NDArray[np.float64]

    def rest(self, betas: NDArray[np.float64]) -> RestBody:
        """The person with these shape coefficients; those the model lacks are left out."""
        used = betas[: self.directions.shape[-1]]
        points = self.points + self.directions[..., : len(used)] @ used
        return RestBody(points[:N_BODY_JOINTS], points[N_BODY_JOINTS])


@lru_cache(maxsize=8)
def find_models(folder: Path) -> Mapping[tuple[str, str], Path]:
    """Find the body models in a folder, at any depth: (family, gender) -> file.

    Raises
    ------
    SourceError
        If there is none, saying what to do about ``.pkl`` files.
    """
    if not folder.exists():
        raise SourceError(folder, "expected a folder of body models, found nothing")
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.npz"))
    models: dict[tuple[str, str], Path] = {}
    for path in files:
        try:
            with NpzArrays(path, path) as arrays:
                if not arrays.names >= _NEEDED:
                    continue
                n_joints = arrays.shape("J_regressor")[0]
        except (SourceError, IndexError):
            continue
        if n_joints in FAMILIES:
            models.setdefault((FAMILIES[n_joints], _gender(path, folder)), path)
    if models:
        return models
    pickled = [folder] if folder.suffix == ".pkl" else sorted(folder.rglob("*.pkl"))[:1]
    if pickled:
        raise SourceError(
            pickled[0],
            "expected body models as .npz, found a pickle, whose loading runs any code that is in "
            "it; get the .npz release of SMPL+H or SMPL-X, or convert the file as docs/mocap.md "
            "says",
        )
    raise SourceError(
        folder,
        "expected .npz files with v_template, shapedirs, J_regressor and kintree_table (SMPL+H or "
        "SMPL-X), found none",
    )


def _gender(path: Path, folder: Path) -> str:
    """The gender that a file's name or its folder's says, ``neutral`` if none does."""
    inside = path.relative_to(folder).parts if path != folder else (path.name,)
    for part in reversed(inside):
        words = re.split(r"[^a-z]+", part.lower())
        for gender in _GENDERS:
            if gender in words or {"female": "f", "male": "m"}.get(gender) in words:
                return gender
    return "neutral"


def model_for(folder: Path, family: str, gender: str, path: Path) -> BodyModel:
    """Return the model of a clip: of its family, and of its gender or else neutral.

    Parameters
    ----------
    folder : Path
        Folder of the models.
    family, gender : str
        Body model that the clip was made with.
    path : Path
        File of the clip, for messages.

    Raises
    ------
    SourceError
        If there is no such model in the folder, or it cannot be read.
    """
    models = find_models(folder)
    for wanted in ((family, gender), (family, "neutral")):
        if wanted in models:
            found = models[wanted]
            stat = found.stat()
            return _read_model(found, *wanted, (stat.st_size, stat.st_mtime_ns))
    at_hand = ", ".join(sorted(" ".join(key) for key in models))
    raise SourceError(
        path, f"expected a body model {family} {gender} or neutral in {folder}, found {at_hand}"
    )


@lru_cache(maxsize=8)
def _read_model(path: Path, family: str, gender: str, _stamp: tuple[int, int]) -> BodyModel:
    with NpzArrays(path, path) as arrays:
        template = arrays.numbers("v_template")
        shape, joints, tree = (
            arrays.shape(name) for name in ("shapedirs", "J_regressor", "kintree_table")
        )
        n_vertices = len(template) if template.ndim else 0
        if not (
            template.shape == (n_vertices, 3)
            and n_vertices > 0
            and len(shape) == 3
            and shape[:2] == template.shape
            and len(joints) == 2
            and joints[0] >= N_BODY_JOINTS
            and joints[1] == n_vertices
            and tree == (2, joints[0])
        ):
            raise SourceError(
                path,
                "expected v_template (v, 3), shapedirs (v, 3, n), J_regressor (j, v) and "
                f"kintree_table (2, j), found {template.shape}, {shape}, {joints}, {tree}",
            )
        parents = arrays.numbers("kintree_table")[0, 1:N_BODY_JOINTS]
        if parents.tolist() != list(PARENTS[1:]):
            raise SourceError(
                path, f"kintree_table: expected the joints of SMPL, found parents {parents}"
            )
        directions = arrays.numbers("shapedirs", _shape_count(family, shape[2]))
        regressor = arrays.numbers("J_regressor")[:N_BODY_JOINTS]
    top = int(template[:, 1].argmax())
    with np.errstate(all="ignore"):  # what a damaged model gives is refused below
        points = np.concatenate([regressor @ template, template[top : top + 1]])
        moved = np.tensordot(regressor, directions, axes=1)
        every = np.concatenate([moved, directions[top : top + 1]])
    if not (np.isfinite(points).all() and np.isfinite(every).all()):
        raise SourceError(path, "expected finite numbers in a body model, found others")
    return BodyModel(path, family, gender, points, every)


def _shape_count(family: str, n_directions: int) -> int:
    """How many of the directions are shapes.

    Those of SMPL-X go on with expressions of the face: 300 shapes and 100 expressions, or 10 and 10
    in its first release.
    """
    if family == "SMPL-X":
        return _X_SHAPES if n_directions > _X_SHAPES else min(_X_SHORT_SHAPES, n_directions)
    return min(_MAX_SHAPES, n_directions)


def model_files(folders: Iterable[Path]) -> list[Path]:
    """Return the model files in some folders, on which clips depend."""
    return sorted({path for folder in folders for path in find_models(folder).values()})
