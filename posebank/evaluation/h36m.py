"""The Human3.6M protocols of the paper (section 4.1): P1, P2 and P3.

Not to be mixed up with "protocol 1" and "protocol 2" elsewhere, which mean without and with
alignment. P1: every 64th frame of S11, camera 2. P2: every 5th frame of S9 and S11, all cameras;
per action, the 15 actions together, and the 6 actions that other papers report. P3: as P2, but only
camera 3 and the first trial of each action, after rigid alignment.

The mean over the 15 actions' own errors in the paper's Table 3 is 87.0 mm (PPI), its "Avg. (All)"
87.7; of the 6 actions 82.8 and 83.0: the paper's averages are over frames, not over actions. Both
are given here, by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from posebank.annotations.h36m import PROTOCOLS
from posebank.annotations.h36m_files import CAMERAS
from posebank.errors import SettingsError
from posebank.evaluation.h36m_names import ACTIONS, SIX_ACTIONS, H36mFrame, parse_image
from posebank.evaluation.predictions import match_image_ids
from posebank.evaluation.result import EvaluationResult
from posebank.evaluation.scoring import score_people
from posebank.evaluation.settings import EvaluationSettings
from posebank.evaluation.truth import GroundTruth
from posebank.types import Predictions


@dataclass(frozen=True)
class ProtocolScore:
    """Errors of one protocol, millimetres; ``absolute`` is not part of P3.

    averages : over frames (the paper's) and over actions, of all and of the six actions.
    actions : one row per action, in the paper's order, with frames and errors.
    """

    protocol: str
    frames: int
    not_found: int
    averages: dict[str, float]
    actions: pd.DataFrame


def h36m_frames(
    predictions: Predictions, truth: GroundTruth, settings: EvaluationSettings | None = None
) -> pd.DataFrame:
    """Errors of every Human3.6M frame of the ground truth.

    The highest-scored pose of the image is scored (one person is in view). Frames are told apart by
    the image's name, such as ``S9_Walking 1.54138969_000001.jpg``, with frames from 1.

    Returns
    -------
    Columns subject, action, trial, camera (1 to 4), frame (from 0), absolute, rigid, similarity
    (mm; NaN where nothing was found) and pixels.

    Raises
    ------
    SettingsError
        If an image's name is not of this form.
    """
    settings = settings or EvaluationSettings()
    settings = EvaluationSettings(root=settings.root, selection="score")
    scored = score_people(predictions, truth, settings)
    parsed = [parse_image(image) for image in truth.image_id]
    frames = pd.DataFrame(parsed, columns=list(H36mFrame._fields))
    frames["trial"] = _trials(frames)
    for name in ("absolute", "rigid", "similarity", "pixels"):
        frames[name] = getattr(scored, name).mean(axis=1)
    return frames.drop(columns="number")


def _trials(frames: pd.DataFrame) -> pd.Series:
    """1 for the lowest-numbered clip of a subject's action, 2 for the next."""
    return frames.groupby(["subject", "action"])["number"].rank(method="dense").astype(int)


def in_protocol(frames: pd.DataFrame, protocol: str) -> np.ndarray:
    """Which frames (n,) the protocol tests.

    Raises
    ------
    SettingsError
        If there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise SettingsError(f"protocol: expected {', '.join(PROTOCOLS)}, found {protocol!r}")
    rules = PROTOCOLS[protocol]
    chosen = frames["subject"].isin(rules.test) & (frames["frame"] % rules.test_step == 0)
    if rules.camera is not None:
        chosen &= frames["camera"] == CAMERAS.index(rules.camera) + 1
    if rules.trial is not None:
        chosen &= frames["trial"] == rules.trial
    return chosen.to_numpy()


def h36m_protocol(frames: pd.DataFrame, protocol: str) -> ProtocolScore:
    """Score of a protocol from the errors of frames (``h36m_frames``)."""
    chosen = frames[in_protocol(frames, protocol)]
    metrics = ["rigid", "similarity", "pixels"]
    if protocol != "p3":
        metrics = ["absolute", *metrics]
    by_action = chosen.groupby("action")[metrics].mean().reindex(ACTIONS)
    by_action.insert(0, "frames", chosen.groupby("action").size().reindex(ACTIONS, fill_value=0))
    six = chosen[chosen["action"].isin(SIX_ACTIONS)]
    averages: dict[str, float] = {}
    for metric in metrics:
        averages[f"{metric}_frames"] = float(chosen[metric].mean())
        averages[f"{metric}_actions"] = float(by_action[metric].mean())
        averages[f"{metric}_frames_6"] = float(six[metric].mean())
        averages[f"{metric}_actions_6"] = float(by_action.loc[list(SIX_ACTIONS), metric].mean())
    return ProtocolScore(
        protocol=protocol,
        frames=len(chosen),
        not_found=int(chosen["rigid"].isna().sum()),
        averages=averages,
        actions=by_action.reset_index(),
    )


def h36m_numbers(frames: pd.DataFrame) -> dict[str, Any]:
    """The protocols that have frames, as nested numbers."""
    numbers: dict[str, Any] = {}
    for protocol in PROTOCOLS:
        score = h36m_protocol(frames, protocol)
        if score.frames:
            numbers[protocol] = {
                "frames": score.frames,
                "not_found": score.not_found,
                **score.averages,
                "actions": score.actions.to_dict(orient="records"),
            }
    return numbers


def with_protocols(
    result: EvaluationResult,
    predictions: Predictions,
    truth: GroundTruth,
    settings: EvaluationSettings,
) -> EvaluationResult:
    """The result with the numbers ``h36m`` and a table per protocol, if the truth has Human3.6M."""
    measured = truth.take(truth.dataset == "h36m")
    if not len(measured):
        return result
    found, _ = match_image_ids(predictions, measured.image_id)
    numbers = h36m_numbers(h36m_frames(found, measured, settings))
    tables = {f"h36m_{p}": protocol_table(n) for p, n in numbers.items()}
    return EvaluationResult({**result.numbers, "h36m": numbers}, {**result.tables, **tables})


def protocol_table(numbers: Mapping[str, Any]) -> pd.DataFrame:
    """One protocol's errors per action, and its averages of all and of the six actions."""
    actions = pd.DataFrame(numbers["actions"])
    metrics = [c for c in actions.columns if c not in ("action", "frames")]
    averages = {
        "Avg. (All), over frames": "frames", "Avg. (All), over actions": "actions",
        "Avg. (6), over frames": "frames_6", "Avg. (6), over actions": "actions_6",
    }  # fmt: skip
    six = actions["frames"][actions["action"].isin(SIX_ACTIONS)].sum()
    rows = [
        {
            "action": name,
            "frames": int(six if key.endswith("_6") else numbers["frames"]),
            **{metric: numbers[f"{metric}_{key}"] for metric in metrics},
        }
        for name, key in averages.items()
    ]
    return pd.concat([actions, pd.DataFrame(rows)], ignore_index=True)
