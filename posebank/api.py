"""The library's front door: one 2D pose, or a whole workspace, in a few lines.

These functions are also attributes of the package: ``import posebank as pb; pb.match(...)``. They
take settings as keywords and warn of people that were set aside; the functions of the sub-packages
take settings objects and return what was set aside.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from posebank import labelling, matching
from posebank.errors import PosebankWarning, Rejected
from posebank.images import read_image
from posebank.labelling import LabelSettings
from posebank.labelling.camera_prior import fit_priors, match_datasets
from posebank.matching import MatchSettings
from posebank.types import Labels, Matches, People, PoseBank
from posebank.warm_up import NOTICE, is_warm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["label", "match", "plot_label"]


def match(bank: PoseBank, people: People, **settings: Any) -> Matches:
    """Find the best bank poses and cameras of every person.

    Parameters
    ----------
    bank : PoseBank
        The poses to match with.
    people : People
        Annotated people.
    **settings : Any
        Fields of ``posebank.matching.MatchSettings``, such as ``k`` and ``matcher``.

    Returns
    -------
    The matches of the people that can be matched, in their order. A warning names the others.

    Examples
    --------
    >>> import posebank as pb
    >>> data = pb.sample_data()
    >>> pb.match(data.bank, data.people, k=5)
    <Matches: 6 people, 5 candidates each, mean error 0.0... of the person's size>
    """
    _warn_of_compiling()
    matches, rejected = matching.match(bank, people, MatchSettings(**settings))
    _warn_of(rejected)
    return matches


def label(
    bank: PoseBank, people: People, matches: Matches | None = None, **settings: Any
) -> Labels:
    """Make a full-body 2D and 3D label of every person.

    Parameters
    ----------
    bank : PoseBank
        The poses that the people are matched with.
    people : People
        Annotated people.
    matches : Matches or None
        Matches of these people; made by default, as ``posebank match`` does, with a camera prior
        fitted to each data set of the people.
    **settings : Any
        Fields of ``posebank.labelling.LabelSettings``, such as ``estimator``.

    Returns
    -------
    Labels in the order of the matches.

    Examples
    --------
    >>> import posebank as pb
    >>> data = pb.sample_data()
    >>> labels = pb.label(data.bank, data.people)
    >>> labels.joints_3d.shape
    (6, 13, 3)
    """
    priors = None
    if matches is None:
        _warn_of_compiling()
        priors = fit_priors(bank, people, MatchSettings())
        matches, rejected = match_datasets(bank, people, MatchSettings(), priors)
        _warn_of(rejected)
    return labelling.label(bank, people, matches, LabelSettings(**settings), priors=priors)


def _warn_of_compiling() -> None:
    if not is_warm():
        warnings.warn(NOTICE, PosebankWarning, stacklevel=3)


def _warn_of(rejected: list[Rejected]) -> None:
    for item in rejected:
        warnings.warn(f"{item.where} is not matched: {item.reason}", stacklevel=3)


def plot_label(labels: Labels, row: int = 0, image: Path | str | ArrayLike | None = None) -> Figure:
    """Draw one label: the 2D pose on its image, the 3D pose from the front and from a side.

    Parameters
    ----------
    labels : Labels
        Labels, one of which is drawn.
    row : int
        Row of the label.
    image : Path or str or ArrayLike or None
        Path of the image, or its pixels (height, width, 3); the 2D pose is drawn on grey
        without one.

    Returns
    -------
    A Matplotlib figure; ``figure.savefig("label.png")`` writes it, a notebook shows it.

    Examples
    --------
    >>> import posebank as pb
    >>> data = pb.sample_data()
    >>> figure = pb.plot_label(pb.label(data.bank, data.people), image=data.image(0))
    >>> len(figure.axes)
    3
    """
    # Imported here: Matplotlib is an extra.
    from posebank.report.drawing import FRONT, SIDE, draw_pose_3d  # noqa: PLC0415
    from posebank.report.images import new_figure  # noqa: PLC0415
    from posebank.report.sheets import show_person  # noqa: PLC0415

    pixels: NDArray[np.uint8] | None = None
    if isinstance(image, str | Path):
        pixels = read_image(Path(image))
    elif image is not None:
        pixels = np.asarray(image, np.uint8)
    figure = new_figure(9.0, 3.3)
    flat, front, side = figure.subplots(1, 3)
    show_person(flat, pixels, labels.joints_2d[row], labels.state[row])
    draw_pose_3d(front, labels.joints_3d[row], FRONT)
    draw_pose_3d(side, labels.joints_3d[row], SIDE)
    flat.set_title(labels.person_id[row], fontsize=8)
    front.set_title(f"front; matching error {labels.error_mm[row]:.0f} mm", fontsize=8)
    side.set_title(f"side; trust {labels.trust[row]:.2f}", fontsize=8)
    return figure
