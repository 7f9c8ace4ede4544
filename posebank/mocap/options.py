"""What a user can say about MoCap files that the files do not say themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from posebank.errors import SettingsError, SourceError
from posebank.files import read_toml
from posebank.skeleton import JOINT_NAMES

METRES_PER_INCH = 0.0254
UNITS: Mapping[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": METRES_PER_INCH}
"""Metres in each length unit that has a name."""

UP_AXES = ("auto", "y", "z", "x", "-y", "-z", "-x")

JointMap = Mapping[str, tuple[str, ...]]
"""``lcrnet13`` name -> names in the file whose mean position is the joint."""


@dataclass(frozen=True)
class ReadOptions:
    """How to read a clip, where the user knows more than the file states.

    Parameters
    ----------
    fps : frame rate, instead of the one that the file or the data set's table states.
    unit : length unit: m, cm, mm, in, or a number of metres per unit, as text.
    up : upward axis of the file, one of ``UP_AXES``; ``auto`` decides from the file.
    joints : names of the joints in the file, for those that no naming scheme finds.
    skeleton : the ASF file of AMC clips, instead of the one that is found near them.
    body_model : folder of SMPL+H or SMPL-X body models for AMASS clips.

    Raises
    ------
    SettingsError
        If a value is none of these.
    """

    fps: float | None = None
    unit: str | None = None
    up: str = "auto"
    joints: JointMap | None = None
    skeleton: Path | None = None
    body_model: Path | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < 1e5:
            raise SettingsError(f"fps: expected a positive frame rate, found {self.fps}")
        if self.unit is not None:
            metres_per_unit(self.unit)
        if self.up not in UP_AXES:
            raise SettingsError(f"up: expected one of {', '.join(UP_AXES)}, found {self.up!r}")

    def but(self, **changes: Any) -> ReadOptions:
        """Return the options with those changes that are not None."""
        return replace(self, **{k: v for k, v in changes.items() if v is not None})

    def as_json(self) -> dict[str, Any]:
        """Return the options that differ from the defaults as plain values."""
        plain = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}
        if self.joints is not None:
            plain["joints"] = {joint: list(names) for joint, names in self.joints.items()}
        default = asdict(ReadOptions())
        return {k: v for k, v in plain.items() if v != default[k]}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> ReadOptions:
        """Return the options that ``as_json`` wrote."""
        values = dict(plain)
        for key in ("skeleton", "body_model"):
            if key in values:
                values[key] = Path(values[key])
        if "joints" in values:
            values["joints"] = {j: tuple(names) for j, names in values["joints"].items()}
        return cls(**values)


def metres_per_unit(unit: str) -> float:
    """Return the metres in a length unit given by name or as a number.

    Raises
    ------
    SettingsError
        If it is neither.

    Examples
    --------
    >>> metres_per_unit("cm"), metres_per_unit("0.0564")
    (0.01, 0.0564)
    """
    if unit in UNITS:
        return UNITS[unit]
    try:
        metres = float(unit)
    except ValueError:
        metres = math.nan
    if not 1e-6 <= metres <= 1e4:
        raise SettingsError(
            f"unit: expected one of {', '.join(UNITS)} or metres per unit such as 0.0254, "
            f"found {unit!r}"
        )
    return metres


def read_joint_map(path: Path) -> JointMap:
    """Read the names of the 13 joints in a file from TOML.

    Each line is ``joint = "name"``, or ``joint = ["name", "name"]`` for the mean of several; a
    ``[joints]`` header above them is allowed. Joints that a naming scheme finds may be left out.

    Raises
    ------
    SettingsError
        Naming the file, the key, what was expected and what was found.
    """
    try:
        table: Any = read_toml(path)
    except SourceError as error:
        raise SettingsError(str(error)) from error
    if set(table) == {"joints"} and isinstance(table["joints"], dict):
        table = table["joints"]
    try:
        return checked_joint_map(table)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def checked_joint_map(table: Mapping[str, Any]) -> JointMap:
    """Return a table of joint names with every value a tuple.

    Raises
    ------
    SettingsError
        If a key is no joint of ``lcrnet13`` or a value is neither a name nor a list of names.
    """
    unknown = sorted(set(table) - set(JOINT_NAMES))
    if unknown or not table:
        raise SettingsError(
            f"joints: expected keys among {', '.join(JOINT_NAMES)}; found "
            f"{', '.join(unknown) or 'none'}"
        )
    mapping = {}
    for joint, value in table.items():
        names = value if isinstance(value, list | tuple) else [value]
        if not names or not all(isinstance(name, str) and name.strip() for name in names):
            raise SettingsError(
                f"{joint}: expected a name in the file or a list of names, found {value!r}"
            )
        mapping[joint] = tuple(name.strip() for name in names)
    return mapping
