"""Query: how large the matching error is, and what each MoCap set adds to the bank."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from posebank import artefacts, report
from posebank.errors import Rejected, SettingsError
from posebank.labelling import LabelSettings, label
from posebank.labelling.camera_prior import camera_penalties, match_datasets, preset_prior
from posebank.labelling.estimators import modes, posterior
from posebank.labelling.known_people import TruthSettings, read_views, without_subjects
from posebank.labelling.lifter import LifterSettings, train_lifter
from posebank.labelling.truth import Way, benchmark_ways, truth_benchmark, view_benchmark
from posebank.matching import (
    MatchSettings,
    matching_error,
)
from posebank.skeleton import JOINT_NAMES, N_JOINTS, JointState, is_annotated
from posebank.types import Labels, Matches, People, PoseBank
from posebank.workspace import load_bank, load_matches, load_people, people_rows
from posebank_pipelines.cameras import Priors, camera_of_matches, priors_of_matches
from posebank_pipelines.partitions import row_ranges
from posebank_pipelines.runner import Runner
from posebank_pipelines.stages.index import read_index
from posebank_pipelines.stages.match import match_settings, settings_of_matches, uses_index

if TYPE_CHECKING:
    import torch

QUERY_BY = ("joint", "dataset", "annotated", "rarity")
_PARTITION = 1024


def query_workspace(workspace: Path, by: str) -> pd.DataFrame:
    """Matching error of the workspace's matches."""
    bank = load_bank(workspace) if by == "joint" else None
    return matching_error(load_matches(workspace), load_people(workspace), by, bank)


def _bank_of(workspace: Path, names: Sequence[str]) -> PoseBank:
    bank = load_bank(workspace)
    return bank.take(np.isin(bank.dataset.astype(str), list(names)))


def _match_part(
    rows: tuple[int, int],
    workspace: Path,
    names: Sequence[str],
    settings: MatchSettings,
    priors: Priors,
) -> Matches:
    people = people_rows(workspace, *rows)
    return match_datasets(_bank_of(workspace, names), people, settings, priors)[0]


def query_banks(
    workspace: Path, combinations: Sequence[Sequence[str]], by: str, runner: Runner
) -> pd.DataFrame:
    """Matching error with each combination of MoCap sets; reductions are against the first one."""
    _check_banks(load_bank(workspace), combinations)
    settings = settings_of_matches(workspace)
    if by != "rarity":  # which is the k-th match's error; the others ask for the best one alone
        settings = replace(settings, k=1)
    priors = priors_of_matches(workspace)
    people = load_people(workspace)
    tables = []
    for names in combinations:
        rows = row_ranges(len(people), _PARTITION)
        parts = runner.imap(
            f"match {','.join(names)}",
            _match_part,
            rows,
            workspace,
            names,
            settings,
            priors,
            sizes=[last - first for first, last in rows],
            unit="people",
        )
        table = matching_error(Matches.concat(list(parts)), people, by, _bank_of(workspace, names))
        table.insert(0, "banks", ",".join(names))
        tables.append(table)
    first = tables[0].set_index(by)["error_norm_mean"]
    for table in tables:
        reference = first.reindex(table[by]).to_numpy()
        table["reduction_percent"] = 100 * (1 - table["error_norm_mean"].to_numpy() / reference)
    return pd.concat(tables, ignore_index=True)


def _check_banks(bank: PoseBank, combinations: Sequence[Sequence[str]]) -> None:
    present = set(bank.dataset)
    for names in combinations:
        unknown = sorted(set(names) - present)
        if unknown:
            raise SettingsError(
                f"--banks {','.join(names)}: expected data sets among "
                f"{', '.join(sorted(present))}, found {', '.join(unknown)}"
            )


def query_truth(
    workspace: Path,
    subjects: Sequence[str],
    combinations: Sequence[Sequence[str]],
    n_people: int,
    hidden: Sequence[int] = TruthSettings.hidden,
    hiding: str = "random",
    lifter_steps: int = 0,
    seen_by: Sequence[str] = ("limits",),
    cameras: Sequence[str] = (),
) -> pd.DataFrame:
    """Measure the 3D error of labels of MoCap people who are left out of the bank.

    Parameters
    ----------
    workspace : Path
        Workspace folder.
    subjects : sequence of str
        ``dataset/subject``, left out of the bank.
    combinations : sequence of sequences of str
        MoCap sets of the bank; all if empty.
    n_people : int
        People for each number of hidden joints.
    hidden : sequence of int
        Numbers of hidden joints.
    hiding : str
        Which joints are hidden (``TruthSettings``); ``people`` hides those that the
        workspace's people lack, for the numbers of joints that some of them lack.
    lifter_steps : int
        Training steps of the lifting network of ``mixture`` for each combination; 0 leaves
        ``mixture`` out.
    seen_by : sequence of str
        The cameras that see the people (``SEEN_BY``).
    cameras : sequence of str
        The camera priors of the labels (``way_of_camera``); that of the workspace if empty.

    Returns
    -------
    DataFrame
        ``truth_benchmark`` of the paper's way (nearest of 128 views) and of each estimator.
    """
    rest, held_out = without_subjects(load_bank(workspace), subjects)
    _check_banks(rest, combinations)
    counts, patterns = tuple(hidden), None
    if hiding == "people":
        patterns = is_annotated(load_people(workspace).state)
        counts = tuple(sorted(set(hidden) & set((~patterns).sum(axis=1).tolist())))
        if not counts:
            raise SettingsError(
                f"--hidden {' '.join(map(str, hidden))}: expected numbers of joints that some of "
                "the workspace's people lack, found none"
            )
    tables = []
    for names in combinations or [sorted(set(rest.dataset))]:
        bank = rest.take(np.isin(rest.dataset.astype(str), list(names)))
        ways, net = _ways(workspace, bank, lifter_steps, cameras)
        for name in seen_by:
            settings = TruthSettings(n_people, counts, hiding, seen_by=name)
            table = truth_benchmark(bank, held_out, ways, settings, patterns, net)
            table.insert(0, "banks", ",".join(names))
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def query_views(
    workspace: Path,
    path: Path,
    combinations: Sequence[Sequence[str]],
    lifter_steps: int = 0,
    cameras: Sequence[str] = (),
) -> tuple[pd.DataFrame, list[Rejected]]:
    """Measure the 3D error of labels of people whose 3D joints were measured in real views.

    Parameters
    ----------
    workspace : Path
        Workspace folder.
    path : Path
        File of ``read_views``.
    combinations, lifter_steps, cameras
        As of ``query_truth``.

    Returns
    -------
    DataFrame
        ``view_benchmark``.
    list of Rejected
        Views set aside.
    """
    known, rejected = read_views(path)
    every = load_bank(workspace)
    _check_banks(every, combinations)
    tables = []
    for names in combinations or [sorted(set(every.dataset))]:
        bank = every.take(np.isin(every.dataset.astype(str), list(names)))
        ways, net = _ways(workspace, bank, lifter_steps, cameras)
        table = view_benchmark(bank, known, ways, net)
        table.insert(0, "banks", ",".join(names))
        tables.append(table)
    return pd.concat(tables, ignore_index=True), rejected


def _ways(
    workspace: Path, bank: PoseBank, lifter_steps: int, cameras: Sequence[str]
) -> tuple[list[Way], torch.nn.Module | None]:
    """Return the ways to label that are measured, and the network of ``mixture``."""
    settings = settings_of_matches(workspace)
    net = train_lifter(bank, LifterSettings(steps=lifter_steps)) if lifter_steps else None
    return benchmark_ways(cameras or [camera_of_matches(workspace)], settings, net is not None), net


def _one_person(pose: str) -> People:
    """A person from JSON: 13 pairs (null is a missing joint), or an object of named joints."""
    try:
        found: Any = json.loads(pose)
        if isinstance(found, dict):
            if unknown := sorted(set(found) - set(JOINT_NAMES)):
                raise ValueError(f"joint {unknown[0]!r}")
            found = [found.get(name) for name in JOINT_NAMES]
        missing = [p is None for p in found]
        joints = np.array([[0, 0] if p is None else p for p in found], dtype=np.float32)
        if joints.shape != (N_JOINTS, 2):
            raise ValueError(f"shape {joints.shape}")
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"--pose: expected {N_JOINTS} x,y pairs or nulls, or an object of x,y pairs by name, "
            f"as JSON or a JSON file ({', '.join(JOINT_NAMES)}), found {error}"
        ) from error
    state = np.where(missing, JointState.MISSING, JointState.VISIBLE).astype(np.uint8)
    return People.from_joints(
        joints[None], state[None], person_id=["query"], dataset="query", split="test"
    )


def query_pose(
    workspace: Path, pose: str, k: int, picture: Path | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Match and label one 2D pose.

    Returns
    -------
    The k best bank poses; and the label: its 2D and 3D joints by name, its trust, its ambiguity
    and the modes of its posterior.
    """
    bank, person = load_bank(workspace), _one_person(pose)
    decided = settings_of_matches(workspace)
    settings = match_settings(workspace, decided.matcher, max(k, decided.k))
    has_index = artefacts.find_manifest(workspace / "index") is not None
    index = read_index(workspace) if uses_index(settings) and has_index else None
    priors = _priors_of_a_person(workspace, settings)
    matches, rejected = match_datasets(bank, person, settings, priors, index)
    if rejected:
        raise SettingsError(f"--pose: {rejected[0].reason}")
    found = np.flatnonzero(matches.pose_row[0] >= 0)[:k]
    made = label(bank, person, matches, LabelSettings(), priors=priors)
    if picture is not None:
        report.match_picture(bank, person, _first(matches, k), picture, label=made)
    table = pd.DataFrame(
        {
            "rank": found,
            "pose_id": bank.pose_id[matches.pose_row[0, found]],
            "error_norm": matches.error_norm[0, found],
            "error_mm": matches.error_mm[0, found],
        }
    )
    return table, _describe(made, bank, person, matches, priors)


def _first(matches: Matches, k: int) -> Matches:
    """The k best of each person's matches."""
    ranked = ("pose_row", "rotation", "scale", "translation", "error_norm", "error_mm")
    return replace(matches, **{name: getattr(matches, name)[:, :k] for name in ranked})


def _priors_of_a_person(workspace: Path, settings: MatchSettings) -> Priors:
    """Return the camera prior of a person of no data set, by the data set's name ``query``.

    It is that of the workspace, if that is the same for every data set, and else ``photographs``.
    """
    camera = camera_of_matches(workspace)
    if settings.matcher != "viewfree" or camera == "any":
        return {}
    priors = set(priors_of_matches(workspace).values())
    prior = priors.pop() if len(priors) == 1 else preset_prior("photographs")
    return {} if prior is None else {"query": prior}


def _describe(
    made: Labels, bank: PoseBank, person: People, matches: Matches, priors: Priors
) -> dict[str, Any]:
    penalty = camera_penalties(matches.rotation, person.dataset, priors)
    mixture = posterior(bank, matches, person.joints_2d, is_annotated(person.state), penalty)

    def by_name(joints: NDArray[np.floating]) -> dict[str, list[float]]:
        return dict(zip(JOINT_NAMES, np.round(joints.astype(float), 4).tolist(), strict=True))

    return {
        "trust": float(made.trust[0]),
        "ambiguity_mm": float(made.ambiguity_mm[0]),
        "joints_2d": by_name(made.joints_2d[0]),
        "completed": [
            name
            for name, s in zip(JOINT_NAMES, made.state[0], strict=True)
            if s == JointState.COMPLETED
        ],
        "joints_3d": by_name(made.joints_3d[0]),
        "modes": [
            {"weight": weight, "joints_3d": by_name(pose)}
            for weight, pose in modes(mixture.poses[0], mixture.weight[0])
        ],
    }
