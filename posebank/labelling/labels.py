"""Labelling: matches into full-body 2D + 3D labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from posebank.errors import ArtefactError, SettingsError
from posebank.geometry.camera_prior import CameraPrior
from posebank.labelling import estimators
from posebank.labelling.camera_prior import camera_penalties
from posebank.labelling.completion import complete
from posebank.labelling.lifter import lift
from posebank.labelling.perspective import candidate_poses
from posebank.labelling.settings import LabelSettings
from posebank.labelling.trust import load_models, trust_features
from posebank.skeleton import is_annotated
from posebank.types import Labels, Matches, People, PoseBank, texts

if TYPE_CHECKING:
    import torch

_PERSON_COLUMNS = (
    "person_id",
    "dataset",
    "split",
    "image",
    "image_width",
    "image_height",
    "head_box",
    "scale",
    "single_person",
    "group_id",
    "video_id",
)


def label(
    bank: PoseBank,
    people: People,
    matches: Matches,
    settings: LabelSettings,
    lifter: torch.nn.Module | None = None,
    priors: Mapping[str, CameraPrior] | None = None,
) -> Labels:
    """Make a full-body label of every match.

    Parameters
    ----------
    bank : PoseBank
        The bank that the matches refer to.
    people : People
        Any superset of the matches' people.
    matches : Matches
        Matches of the people.
    settings : LabelSettings
        The estimator of the 3D pose.
    lifter : torch.nn.Module or None
        Network trained on the bank (``lifter.train_lifter``),
        which ``mixture`` needs.
    priors : Mapping of str to CameraPrior, optional
        Camera priors by data set, those that the people were matched with. In a data set
        without one all cameras are alike.

    Returns
    -------
    Labels
        In the order of the matches. Annotated 2D joints are kept bit for bit; measured 3D joints
        (Human3.6M), where all are finite, take the place of the estimate.

    Raises
    ------
    ArtefactError
        If a match's person is not among the people, or its pose not in the bank.
    SettingsError
        If the estimator needs a lifting network and there is none.
    """
    selected = _people_of(matches, people)
    if len(matches) and matches.pose_row.max() >= len(bank):
        raise ArtefactError(
            f"matches: expected poses of a bank of {len(bank)}, found row {matches.pose_row.max()}"
        )
    annotated = is_annotated(selected.state)
    penalty = camera_penalties(matches.rotation, selected.dataset, priors or {})
    posterior = estimators.posterior(bank, matches, selected.joints_2d, annotated, penalty)
    joints_3d = posterior.pose
    if settings.estimator == "nearest":
        joints_3d = estimators.nearest(bank, matches)
    elif settings.estimator == "mixture":
        if lifter is None:
            raise SettingsError("estimator mixture: expected a network of train_lifter, found none")
        joints_3d = estimators.mixture(posterior, lift(lifter, selected.joints_2d, annotated))
    spread = ambiguity_mm(bank, matches, settings.ambiguity_margin)
    measured = np.asarray(np.isfinite(selected.joints_3d).all(axis=(1, 2)))
    joints_3d = np.where(measured[:, None, None], selected.joints_3d, joints_3d)
    joints_2d, state = complete(selected.joints_2d, selected.state, joints_3d)
    trust = load_models()[settings.estimator].trust(trust_features(matches, posterior))
    return Labels(
        **{name: getattr(selected, name) for name in _PERSON_COLUMNS},
        joints_2d=joints_2d,
        state=state,
        joints_3d=joints_3d.astype(np.float32),
        camera_rotation=matches.rotation[:, 0].astype(np.float32),
        camera_scale=matches.scale[:, 0].astype(np.float32),
        camera_translation=matches.translation[:, 0].astype(np.float32),
        error_norm=matches.error_norm[:, 0].astype(np.float32),
        error_mm=matches.error_mm[:, 0].astype(np.float32),
        trust=np.where(measured, 1.0, trust).astype(np.float32),
        ambiguity_mm=np.where(measured, 0.0, spread).astype(np.float32),
        pose_id=bank.pose_id[matches.pose_row[:, 0]],
        provenance=texts("measured" if m else settings.estimator for m in measured),
    )


def _people_of(matches: Matches, people: People) -> People:
    """Return the people of the matches, in their order."""
    rows = {person: row for row, person in enumerate(people.person_id)}
    missing = [person for person in matches.person_id if person not in rows]
    if missing:
        raise ArtefactError(f"matches: expected people of the annotations, found {missing[0]!r}")
    return people.take(np.array([rows[person] for person in matches.person_id], dtype=np.intp))


def ambiguity_mm(bank: PoseBank, matches: Matches, margin: float) -> NDArray[np.float64]:
    """Return the spread of the candidates that explain a person about equally well.

    Parameters
    ----------
    bank, matches
        The candidates of n people.
    margin : float
        Largest excess of a candidate's ``error_norm`` over that of the best match.

    Returns
    -------
    (n,)
        Mean joint distance from the candidates' mean pose, millimetres.
    """
    poses, valid = candidate_poses(bank, matches)
    near = valid & (matches.error_norm <= matches.error_norm[:, :1] + margin)
    weight = near / np.maximum(near.sum(axis=1, keepdims=True), 1)
    mean = np.einsum("nk,nkjc->njc", weight, poses)
    distance = np.linalg.norm(poses - mean[:, None], axis=-1).mean(axis=-1)
    result: NDArray[np.float64] = 1000 * (weight * distance).sum(axis=1)
    return result
