"""Labelling: matches into full-body 2D + 3D labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from posebank.errors import ArtefactError, SettingsError
from posebank.labelling import estimators
from posebank.labelling.completion import complete
from posebank.labelling.lifter import lift
from posebank.labelling.settings import LabelSettings
from posebank.labelling.trust import MODELS, trust_features
from posebank.skeleton import is_annotated
from posebank.types import Labels, Matches, People, PoseBank, texts

if TYPE_CHECKING:
    import torch

_PERSON_COLUMNS = (
    "person_id", "dataset", "split", "image", "image_width", "image_height", "head_box", "scale",
    "single_person", "group_id", "video_id",
)  # fmt: skip


def label(
    bank: PoseBank,
    people: People,
    matches: Matches,
    settings: LabelSettings,
    lifter: torch.nn.Module | None = None,
) -> Labels:
    """Make a full-body label of every match.

    Parameters
    ----------
    bank : the bank that the matches refer to.
    people : any superset of the matches' people.
    settings : the estimator of the 3D pose.
    lifter : network trained on the bank (``lifter.train_lifter``), which ``mixture`` needs.

    Returns
    -------
    Labels in the order of the matches. Annotated 2D joints are kept bit for bit; measured 3D joints
    (Human3.6M), where all are finite, take the place of the estimate.

    Raises
    ------
    ArtefactError
        If a match's person is not among the people, or its pose not in the bank.
    SettingsError
        If the estimator needs a lifting network and there is none.
    """
    where = {p: i for i, p in enumerate(people.person_id)}
    lost = [p for p in matches.person_id if p not in where]
    if lost:
        raise ArtefactError(f"matches: expected people of the annotations, found {lost[0]!r}")
    if len(matches) and matches.pose_row.max() >= len(bank):
        raise ArtefactError(
            f"matches: expected poses of a bank of {len(bank)}, found row {matches.pose_row.max()}"
        )
    who = people.take(np.array([where[p] for p in matches.person_id], dtype=np.intp))
    annotated = is_annotated(who.state)
    found = estimators.posterior(bank, matches, who.joints_2d, annotated)
    joints_3d = found.pose
    if settings.estimator == "nearest":
        joints_3d = estimators.nearest(bank, matches)
    elif settings.estimator == "mixture":
        if lifter is None:
            raise SettingsError("estimator mixture: expected a network of train_lifter, found none")
        joints_3d = estimators.mixture(found, lift(lifter, who.joints_2d, annotated))
    spread = ambiguity_mm(bank, matches, settings.ambiguity_margin)
    measured = np.asarray(np.isfinite(who.joints_3d).all(axis=(1, 2)))
    joints_3d = np.where(measured[:, None, None], who.joints_3d, joints_3d)
    joints_2d, state = complete(who.joints_2d, who.state, joints_3d)
    trust = MODELS[settings.estimator].trust(trust_features(matches, found))
    return Labels(
        **{name: getattr(who, name) for name in _PERSON_COLUMNS},
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


def ambiguity_mm(bank: PoseBank, matches: Matches, margin: float) -> NDArray[np.float64]:
    """Spread of the hypotheses that explain a person about equally well.

    Returns
    -------
    (n,) millimetres: the mean distance of a joint from the mean pose, over the candidates whose
    ``error_norm`` is within ``margin`` of the best one's.
    """
    poses, there = estimators.candidate_poses(bank, matches)
    near = there & (matches.error_norm <= matches.error_norm[:, :1] + margin)
    weight = near / np.maximum(near.sum(axis=1, keepdims=True), 1)
    mean = np.einsum("nk,nkjc->njc", weight, poses)
    distance = np.linalg.norm(poses - mean[:, None], axis=-1).mean(axis=-1)
    result: NDArray[np.float64] = 1000 * (weight * distance).sum(axis=1)
    return result
