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

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from posebank.annotations.h36m import PROTOCOLS, Protocol
from posebank.annotations.h36m_files import CAMERAS
from posebank.errors import SettingsError
from posebank.evaluation.bootstrap import Interval, MeanIntervals
from posebank.evaluation.h36m_names import ACTIONS, SIX_ACTIONS, H36mFrame, parse_image
from posebank.evaluation.predictions import match_image_ids
from posebank.evaluation.result import EvaluationResult
from posebank.evaluation.scoring import score_people, scored_enough
from posebank.evaluation.settings import EvaluationSettings
from posebank.evaluation.truth import GroundTruth
from posebank.types import Predictions, Texts

_WHOLE = 0.9  # share of a protocol's frames; a few may have been set aside


@dataclass(frozen=True)
class ProtocolScore:
    """Errors of one protocol, millimetres; ``absolute`` is not part of P3.

    frames : scored; missing : of the protocol but not in the data; not_found : without a pose.
    averages : over frames (the paper's) and over actions, of all and of the six actions.
    intervals : of the averages over frames; whole clips are drawn.
    actions : one row per action, in the paper's order, with frames and errors.
    """

    protocol: str
    frames: int
    missing: int
    not_found: int
    averages: dict[str, float]
    intervals: dict[str, Interval]
    actions: pd.DataFrame

    @property
    def whole(self) -> bool:
        """Whether (nearly) all of the protocol's frames were there, so that papers compare."""
        return self.frames >= _WHOLE * (self.frames + self.missing) > 0


def h36m_frames(
    predictions: Predictions, truth: GroundTruth, settings: EvaluationSettings | None = None
) -> pd.DataFrame:
    """Return the errors of every Human3.6M frame of the ground truth.

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
    frames = known_frames(truth.image_id)
    for name in ("absolute", "rigid", "similarity", "pixels"):
        frames[name] = getattr(scored, name).mean(axis=1)
    return frames


def known_frames(image_id: Texts) -> pd.DataFrame:
    """Return what images' names say: subject, action, camera (1 to 4), frame (from 0) and trial.

    The trial is 1 for the lowest-numbered clip of a subject's action, 2 for the next.
    """
    frames = pd.DataFrame(map(parse_image, image_id), columns=list(H36mFrame._fields))
    clips = frames.groupby(["subject", "action"])["number"]
    frames["trial"] = clips.rank(method="dense").astype(int)
    return frames.drop(columns="number")


def in_protocol(frames: pd.DataFrame, protocol: str) -> np.ndarray:
    """Return which frames (n,) the protocol tests.

    Raises
    ------
    SettingsError
        If there is no such protocol.
    """
    rules = _rules(protocol)
    return _in_clips(frames, rules) & (frames["frame"] % rules.test_step == 0).to_numpy()


def _rules(protocol: str) -> Protocol:
    if protocol not in PROTOCOLS:
        raise SettingsError(f"protocol: expected {', '.join(PROTOCOLS)}, found {protocol!r}")
    return PROTOCOLS[protocol]


def _in_clips(frames: pd.DataFrame, rules: Protocol) -> np.ndarray:
    """Which frames (n,) are of the subjects, the camera and the trial that are tested."""
    chosen = frames["subject"].isin(rules.test)
    if rules.camera is not None:
        chosen &= frames["camera"] == CAMERAS.index(rules.camera) + 1
    if rules.trial is not None:
        chosen &= frames["trial"] == rules.trial
    return chosen.to_numpy()


def _missing(frames: pd.DataFrame, rules: Protocol, n_chosen: int) -> int:
    """Frames of the protocol that are not there, up to the last known one of each clip.

    Data taken by another protocol's step have some of this one's frames by chance.
    """
    tested = frames[_in_clips(frames, rules)]
    last = tested.groupby(["subject", "action", "trial", "camera"])["frame"].max()
    return int((last // rules.test_step + 1).sum()) - n_chosen


def h36m_protocol(
    frames: pd.DataFrame, protocol: str, settings: EvaluationSettings | None = None
) -> ProtocolScore:
    """Score of a protocol from the errors of frames (``h36m_frames``)."""
    settings = settings or EvaluationSettings()
    chosen = frames[in_protocol(frames, protocol)]
    metrics = ["rigid", "similarity", "pixels"]
    if protocol != "p3":
        metrics = ["absolute", *metrics]
    by_action = chosen.groupby("action")[metrics].mean().reindex(ACTIONS)
    by_action.insert(0, "frames", chosen.groupby("action").size().reindex(ACTIONS, fill_value=0))
    six = chosen[chosen["action"].isin(SIX_ACTIONS)]
    clips = chosen["subject"] + " " + chosen["action"] + " " + chosen["trial"].astype(str)
    draw = MeanIntervals(
        clips.to_numpy(object),
        replicates=settings.bootstrap,
        confidence=settings.confidence,
        seed=settings.seed,
    )
    in_six = chosen["action"].isin(SIX_ACTIONS).to_numpy()[:, None]
    errors = [chosen[[metric]].to_numpy() for metric in metrics]
    bounds = draw.of([*errors, *(np.where(in_six, e, np.nan) for e in errors)])
    names = [*(f"{m}_frames" for m in metrics), *(f"{m}_frames_6" for m in metrics)]
    averages: dict[str, float] = {}
    for metric in metrics:
        averages[f"{metric}_frames"] = float(chosen[metric].mean())
        averages[f"{metric}_actions"] = float(by_action[metric].mean())
        averages[f"{metric}_frames_6"] = float(six[metric].mean())
        averages[f"{metric}_actions_6"] = float(by_action.loc[list(SIX_ACTIONS), metric].mean())
    return ProtocolScore(
        protocol=protocol,
        frames=len(chosen),
        missing=_missing(frames, _rules(protocol), len(chosen)),
        not_found=int(chosen["rigid"].isna().sum()),
        averages=averages,
        intervals=dict(zip(names, bounds, strict=True)),
        actions=by_action.reset_index(),
    )


def h36m_scores(
    predictions: Predictions, truth: GroundTruth, settings: EvaluationSettings
) -> dict[str, ProtocolScore]:
    """Return the scores of the protocols that the Human3.6M people of the truth have frames of."""
    measured = truth.take(truth.dataset == "h36m")
    if not len(measured):
        return {}
    found, _ = match_image_ids(scored_enough(predictions, settings), measured.image_id)
    frames = h36m_frames(found, measured, settings)
    scores = {p: h36m_protocol(frames, p, settings) for p in PROTOCOLS}
    return {name: score for name, score in scores.items() if score.frames}


def h36m_numbers(scores: Mapping[str, ProtocolScore]) -> dict[str, Any]:
    """Return the scores of protocols as nested numbers."""
    return {
        name: {
            "frames": score.frames,
            "missing": score.missing,
            "not_found": score.not_found,
            **score.averages,
            **{f"{key}_interval": bounds for key, bounds in score.intervals.items()},
            "actions": score.actions.to_dict(orient="records"),
        }
        for name, score in scores.items()
    }


def with_protocols(
    result: EvaluationResult, scores: Mapping[str, ProtocolScore]
) -> EvaluationResult:
    """Return the result with the numbers ``h36m`` and a table per protocol, if there are any."""
    if not scores:
        return result
    numbers = h36m_numbers(scores)
    tables = {f"h36m_{p}": protocol_table(n) for p, n in numbers.items()}
    return EvaluationResult({**result.numbers, "h36m": numbers}, {**result.tables, **tables})


def protocol_table(numbers: Mapping[str, Any]) -> pd.DataFrame:
    """Return one protocol's errors per action, and its averages of all and of the six actions."""
    actions = pd.DataFrame(numbers["actions"])
    metrics = [c for c in actions.columns if c not in ("action", "frames")]
    averages = {
        "Avg. (All), over frames": "frames",
        "Avg. (All), over actions": "actions",
        "Avg. (6), over frames": "frames_6",
        "Avg. (6), over actions": "actions_6",
    }
    six = actions["frames"][actions["action"].isin(SIX_ACTIONS)].sum()
    rows = []
    for name, key in averages.items():
        row = {"action": name, "frames": int(six if key.endswith("_6") else numbers["frames"])}
        for metric in metrics:
            row[metric] = numbers[f"{metric}_{key}"]
            bounds = numbers.get(f"{metric}_{key}_interval", (math.nan, math.nan))
            row[f"{metric}_low"], row[f"{metric}_high"] = bounds
        rows.append(row)
    return pd.concat([actions, pd.DataFrame(rows)], ignore_index=True)
