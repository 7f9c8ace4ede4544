"""Limb lengths per subject: a subject whose clips disagree has a wrong skeleton or unit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from posebank.mocap.bank import ClipStats


def limbs_by_subject(clips: Iterable[ClipStats]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the length of each rigid limb over the clips of each subject, millimetres.

    Parameters
    ----------
    clips : iterable of ClipStats
        Clips of one data set (subjects are identified by their names alone).

    Returns
    -------
    subject -> limb -> ``median``, ``min`` and ``max`` of the clips' medians, and ``sides``: the
    difference between this limb and its twin of the other side, right minus left, where it has one.
    """
    by_subject: dict[str, list[ClipStats]] = {}
    for clip in clips:
        if clip.limbs_mm and clip.frames:
            by_subject.setdefault(clip.subject, []).append(clip)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for subject, found in sorted(by_subject.items()):
        lengths = {name: np.array([c.limbs_mm[name] for c in found]) for name in found[0].limbs_mm}
        result[subject] = {}
        for name, values in lengths.items():
            row = {
                "median": float(np.median(values)),
                "min": float(values.min()),
                "max": float(values.max()),
            }
            twin = name.replace("r_", "l_")
            if twin != name and twin in lengths:
                row["sides"] = row["median"] - float(np.median(lengths[twin]))
            result[subject][name] = row
    return result
