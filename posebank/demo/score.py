"""Compare labels and predictions with the truth of the generated people."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebank.errors import SourceError
from posebank.evaluation import pckh, select
from posebank.evaluation.headsize import head_sizes
from posebank.geometry.joint_errors import mpjpe
from posebank.labelling.trust import TRUSTED_MM
from posebank.skeleton import JointState
from posebank.types import Labels, Predictions, Records, Texts, texts

Row = dict[str, str | float]
"""A row of the demo's table: ``what``, ``value``, ``unit``."""

REFERENCE_HEIGHT = 200.0
"""Pixel errors are also given for a person this tall (MPII's unit of scale), in pixels."""

# 0.3 and not the usual 0.5: the box around 13 joints of a lying or truncated person is thin.
_MIN_IOU = 0.3


@dataclass(frozen=True)
class DemoTruth(Records):
    """Everyone who was rendered.

    person_id : ``dataset/image/index`` as the annotation readers make it.
    joints_3d : (n, 13, 3) float32 metres, camera axes, body-centred; joints_2d : (n, 13, 2)
        pixels; both of all joints, hidden or not.
    visible, inside : (n, 13) bool: not behind anything and in the image; in the image.
    head_box : (n, 4) pixels. pixels_per_metre : (n,) at the person's distance.
    stature : (n,) metres, ankle to head top. motion : what the person does.
    """

    person_id: Texts
    image_id: Texts
    joints_3d: NDArray[np.float32]
    joints_2d: NDArray[np.float32]
    visible: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    head_box: NDArray[np.float32]
    pixels_per_metre: NDArray[np.float32]
    stature: NDArray[np.float32]
    motion: Texts

    @property
    def height_px(self) -> NDArray[np.float64]:
        """Height of each person standing upright, (n,) pixels."""
        return self.pixels_per_metre.astype(np.float64) * self.stature

    def rows_of(self, person_id: Texts) -> NDArray[np.int64]:
        """Return the row of each person (n,), -1 for those who are not in the truth."""
        where = {name: row for row, name in enumerate(self.person_id)}
        return np.array([where.get(name, -1) for name in person_id], np.int64)


def load_truth(path: Path) -> DemoTruth:
    """Read ``truth.npz`` as ``write_demo_sources`` wrote it.

    Raises
    ------
    SourceError
        If the file is not there or is not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
        image_id = [f"{d}/{i}" for d, i in zip(columns["dataset"], columns["image"], strict=True)]
        person_id = [f"{i}/{n}" for i, n in zip(image_id, columns["index"], strict=True)]
        plain = (
            "joints_3d",
            "joints_2d",
            "visible",
            "inside",
            "head_box",
            "pixels_per_metre",
            "stature",
        )
        return DemoTruth(
            person_id=texts(person_id),
            image_id=texts(image_id),
            motion=texts(map(str, columns["motion"])),
            **{name: columns[name] for name in plain},
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SourceError(
            path, f"expected the demo's truth.npz, found {type(error).__name__}: {error}"
        ) from error


@dataclass(frozen=True)
class LabelErrors:
    """Errors of labels, one row for each labelled person who is in the truth.

    truth_row : (n,) row in the truth; label_row : (n,) row in the labels.
    absolute_mm, rigid_mm, similarity_mm : (n,) mean over the 13 joints, body-centred; after the
        best rotation and translation; after the best size as well.
    pixels : (n, 13) distance of the label's 2D joints from the truth.
    completed : (n, 13) joints that were filled in. scale : (n,) person height / 200 px.
    """

    truth_row: NDArray[np.int64]
    label_row: NDArray[np.int64]
    absolute_mm: NDArray[np.float64]
    rigid_mm: NDArray[np.float64]
    similarity_mm: NDArray[np.float64]
    pixels: NDArray[np.float64]
    completed: NDArray[np.bool_]
    scale: NDArray[np.float64]


def label_errors(labels: Labels, truth: DemoTruth) -> LabelErrors:
    """Return the errors of each label of a person in the truth."""
    row = truth.rows_of(labels.person_id)
    known = np.flatnonzero(row >= 0)
    row = row[known]
    pose, true = labels.joints_3d[known], truth.joints_3d[row]
    offset = labels.joints_2d[known].astype(np.float64) - truth.joints_2d[row]
    return LabelErrors(
        truth_row=row,
        label_row=known,
        absolute_mm=mpjpe(pose, true),
        rigid_mm=mpjpe(pose, true, align="rigid"),
        similarity_mm=mpjpe(pose, true, align="similarity"),
        pixels=np.linalg.norm(offset, axis=-1),
        completed=labels.state[known] == JointState.COMPLETED,
        scale=truth.height_px[row] / REFERENCE_HEIGHT,
    )


def score_labels(labels: Labels, truth: DemoTruth) -> list[Row]:
    """Measure the labels' errors: 3D, and 2D of the completed joints.

    Joints outside the image count as completed joints do elsewhere: the truth knows them. Means
    over people (3D) and over joints (2D); a mean of nothing is left out.
    """
    errors = label_errors(labels, truth)
    hidden = errors.completed & truth.inside[errors.truth_row]
    outside = errors.completed & ~truth.inside[errors.truth_row]
    at_reference = errors.pixels / errors.scale[:, None]
    measured: list[tuple[str, NDArray[np.float64], str]] = [
        ("3D error of the labels, mean", errors.absolute_mm, "mm"),
        ("3D error of the labels, rigidly aligned", errors.rigid_mm, "mm"),
        ("3D error of the labels, aligned with scale", errors.similarity_mm, "mm"),
        ("completion error, joints hidden in the image", errors.pixels[hidden], "px"),
        ("completion error, the same for a person of 200 px", at_reference[hidden], "px"),
        ("completion error, joints outside the image, for 200 px", at_reference[outside], "px"),
    ]
    return [
        {"what": what, "value": float(values.mean()), "unit": unit}
        for what, values, unit in measured
        if values.size
    ]


def trust_reliability(labels: Labels, truth: DemoTruth, bins: int = 8) -> list[Row]:
    """Compare the trust of labels with how many of them are right.

    Parameters
    ----------
    labels : Labels
        Labels of generated people.
    truth : DemoTruth
        Their true poses.
    bins : int
        Number of groups of equal size, from the lowest trust to the highest.

    Returns
    -------
    A row for each group: the range of the trust, the number of labels, their mean trust, and the
    share whose mean 3D joint error is below 150 mm. The last two are equal for calibrated trust.
    """
    errors = label_errors(labels, truth)
    trust = labels.trust[errors.label_row].astype(np.float64)
    order = np.argsort(trust, kind="stable")
    return [
        {
            "trust from": float(trust[rows].min()),
            "to": float(trust[rows].max()),
            "labels": len(rows),
            "mean trust": float(trust[rows].mean()),
            "share below 150 mm": float((errors.absolute_mm[rows] < TRUSTED_MM).mean()),
        }
        for rows in np.array_split(order, bins)
        if len(rows)
    ]


def score_predictions(
    predictions: Predictions, truth: DemoTruth, labels: Labels, split: str | None = None
) -> list[Row]:
    """Compute MPJPE and PCKh of predictions against the truth.

    The people scored are those of ``labels`` in ``split`` (all of them by default). The pose
    selected for a person is the best scored of those that overlap the person's box, which is that
    around the joints in the image (``evaluation.selection``). PCKh counts the joints in the
    image, hidden or not, at half the true head size; a person for whom nothing was found counts as
    all wrong there, and is left out of the MPJPE, which the share of people found qualifies.
    """
    wanted = labels if split is None else labels.take(labels.split == split)
    row = truth.rows_of(wanted.person_id)
    people = truth.take(row[row >= 0])
    if not len(people):
        return []
    chosen = select(
        predictions.image_id,
        predictions.joints_2d,
        predictions.score,
        people.image_id,
        people.joints_2d,
        people.inside,
        rule="overlap",
        min_iou=_MIN_IOU,
    )
    found = chosen >= 0
    pose_2d = np.full(people.joints_2d.shape, np.nan)
    pose_2d[found] = predictions.joints_2d[chosen[found]]
    size, _ = head_sizes(people.head_box, people.joints_2d, people.inside.astype(np.uint8))
    rows: list[Row] = [
        {"what": "people found", "value": 100 * float(found.mean()), "unit": "%"},
        {
            "what": "PCKh@0.5 of the network",
            "value": pckh(pose_2d, people.joints_2d, size, people.inside).weighted,
            "unit": "%",
        },
    ]
    if found.any():
        pose_3d, true_3d = predictions.joints_3d[chosen[found]], people.joints_3d[found]
        rows += [
            {
                "what": "MPJPE of the network",
                "value": float(mpjpe(pose_3d, true_3d).mean()),
                "unit": "mm",
            },
            {
                "what": "MPJPE of the network, rigidly aligned",
                "value": float(mpjpe(pose_3d, true_3d, align="rigid").mean()),
                "unit": "mm",
            },
        ]
    return rows
