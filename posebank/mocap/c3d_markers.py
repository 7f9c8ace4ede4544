"""Names of markers, and whose they are.

A *role* is a place on the body; each naming convention has its own names for it. ``*`` stands for
the side, L or R (or LEFT, RIGHT). Upper and lower case and the separators ``_ . - `` and blank make
no difference, so that ``R.Knee.Lat`` is ``RKNEELAT``. To add a convention, add its names here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

SIDED_ROLES: Mapping[str, tuple[str, ...]] = {
    "waist front": ("*FWT", "*ASI", "*ASIS", "WAIST*FRONT", "*IAS"),
    "waist back": ("*BWT", "*PSI", "*PSIS", "WAIST*BACK", "*IPS"),
    "knee": ("*KNE", "*KNEE", "*KNEELAT", "*KNEELATERAL", "*KNEEOUT", "*FLE"),
    "knee inside": ("*MKNE", "*KNEEMED", "*KNEEMEDIAL", "*KNEEIN", "*FME", "*KNM", "*MKNEE"),
    "ankle": ("*ANK", "*ANKLE", "*ANKLELAT", "*ANKLELATERAL", "*ANKLEOUT", "*FAL"),
    "ankle inside": ("*MED", "*MANK", "*ANKLEMED", "*ANKLEMEDIAL", "*ANKLEIN", "*TAM", "*MANKLE"),
    "heel": ("*HEE", "*HEEL", "*HEELBACK", "*FCC"),
    "toe": ("*TOE", "*TOETIP", "*FOREFOOT2", "*FM2", "*MT2", "*FOREFOOT5", "*FM5", "*MT5", "*MT1"),
    "shoulder": ("*SHO", "*SHOULDER", "*ACROMIUM", "*ACROMION", "*SHOULDERTOP", "*SAE", "*ACR"),
    "elbow": ("*ELB", "*ELBOW", "*ELBOWLAT", "*ELBOWLATERAL", "*ELBOWOUT", "*HLE"),
    "elbow inside": ("*MELB", "*ELBOWMED", "*ELBOWMEDIAL", "*ELBOWIN", "*HME", "*ELM"),
    "wrist, thumb side": (
        "*WRA",
        "*WRISTLAT",
        "*WRISTLATERAL",
        "*WRISTIN",
        "*RSP",
        "*IWR",
        "*WRISTRADIUS",
    ),
    "wrist, other side": (
        "*WRB",
        "*WRISTMED",
        "*WRISTMEDIAL",
        "*WRISTOUT",
        "*USP",
        "*OWR",
        "*WRISTULNA",
    ),
    "wrist": ("*WRI", "*WRIST", "*WRT"),
    "head front": ("*FHD",),
    "head back": ("*BHD",),
    "head side": ("HEAD*", "*HEAD", "*HD"),
}
"""Role of either side -> its names: those of Vicon (CMU, HDM05) first, then those of Plug-in Gait,
of Helen Hayes (also OpenSim's), of Qualisys, and of anatomical landmarks (the Calibrated Anatomical
System Technique and the Istituti Ortopedici Rizzoli)."""

MIDDLE_ROLES: Mapping[str, tuple[str, ...]] = {
    "sacrum": ("SACR", "VSACRAL", "SACRAL", "SACRUM", "WAISTBACK", "VSAC"),
    "head top": ("TOPHEAD", "HEADTOP", "ARIEL", "TOPOFHEAD"),
    "forehead": ("FRONTHEAD", "HEADFRONT", "SGL", "GLAB", "GLABELLA"),
}
_SIDES = {"L": ("L", "LEFT"), "R": ("R", "RIGHT")}
_SEPARATORS = re.compile(r"[\s_.\-]+")


def plain_marker(label: str) -> str:
    """Return a marker's name in capitals without separators."""
    return _SEPARATORS.sub("", label.strip().lstrip("*")).upper()


def _roles_by_name() -> dict[str, tuple[str, int]]:
    """Plain name -> its role (with the side before it) and its place among the role's names."""
    table: dict[str, tuple[str, int]] = {}
    for role, names in MIDDLE_ROLES.items():
        for place, name in enumerate(names):
            table[name] = (role, place)
    for role, names in SIDED_ROLES.items():
        for place, name in enumerate(names):
            for side, words in _SIDES.items():
                for word in words:
                    table.setdefault(name.replace("*", word), (f"{side} {role}", place))
    return table


_ROLES = _roles_by_name()


def usual_name(role: str) -> str:
    """Return the first name of a role such as ``L knee``, for messages."""
    side, _, sided = role.partition(" ")
    if sided in SIDED_ROLES:
        return SIDED_ROLES[sided][0].replace("*", side)
    return MIDDLE_ROLES[role][0]


@dataclass(frozen=True)
class MarkedPerson:
    """The markers of one person.

    prefix : what their labels have before the marker's name, without the separator; may be empty.
    columns : marker's name -> its place among the points of the file.
    """

    prefix: str
    columns: Mapping[str, int]

    @cached_property
    def roles(self) -> Mapping[str, str]:
        """Role (with the side before it) -> name of the marker at it."""
        best: dict[str, tuple[int, str]] = {}
        for name in self.columns:
            role, place = _ROLES.get(plain_marker(name), ("", 0))
            if role and (role not in best or place < best[role][0]):
                best[role] = (place, name)
        return {role: name for role, (_, name) in best.items()}

    def column(self, name: str) -> int | None:
        """The place of a marker by its name or its whole label, in any spelling."""
        wanted = {plain_marker(name), plain_marker(name.rpartition(":")[2])}
        if ":" in name and plain_marker(name.rpartition(":")[0]) != plain_marker(self.prefix):
            return None
        return next((at for own, at in self.columns.items() if plain_marker(own) in wanted), None)


def people_in(labels: Sequence[str], prefixes: Iterable[str] = ()) -> list[MarkedPerson]:
    """Divide the markers of a file among the people who wear them, in the order of the file.

    Parameters
    ----------
    labels : sequence of str
        Labels of the points of a file.
    prefixes : sequence of str
        Beginnings of labels that the file lists as its subjects' (SUBJECTS:LABEL_PREFIXES).

    Returns
    -------
    One for each prefix. The first of several markers of one name counts.
    """
    listed = sorted({p for p in prefixes if p.strip(" :_.-")}, key=len, reverse=True)
    people: dict[str, dict[str, int]] = {}
    for column, label in enumerate(labels):
        prefix, name = _split(label, listed)
        if name:
            people.setdefault(prefix, {}).setdefault(name, column)
    return [MarkedPerson(prefix, columns) for prefix, columns in people.items()]


def _split(label: str, listed: Sequence[str]) -> tuple[str, str]:
    """Prefix and marker's name of a label.

    A prefix ends with a colon, or is one of those listed, or ends with another separator where
    only what follows it is a known name (``Q_HeadL``).
    """
    if ":" in label:
        prefix, _, name = label.rpartition(":")
        return prefix.strip(), name.strip()
    if plain_marker(label) in _ROLES:
        return "", label.strip()
    for prefix in listed:
        if label.startswith(prefix) and len(label) > len(prefix):
            return prefix.strip(" :_.-"), label[len(prefix) :].strip(" :_.-")
    for separator in _SEPARATORS.finditer(label):
        if separator.start() and plain_marker(label[separator.end() :]) in _ROLES:
            return label[: separator.start()].strip(), label[separator.end() :].strip()
    return "", label.strip()
