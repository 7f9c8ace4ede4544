"""The TOML configuration of a run, checked key by key.

Angles are degrees here, in keys that end in ``_deg``, and radians everywhere else. Relative paths
are relative to the configuration file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from posebank.anchors import AnchorSettings
from posebank.annotations import SOURCES, SPLITS, keypoints, read_annotations
from posebank.annotations.sources import OWN_KINDS
from posebank.errors import SettingsError, SourceError
from posebank.evaluation import EvaluationSettings
from posebank.files import read_toml
from posebank.labelling import CAMERAS, LabelSettings
from posebank.lcrnet import IntegrationSettings, TrainSettings, preset
from posebank.matching import MatchSettings
from posebank.mocap import DATASETS, ReadOptions, read_joint_map
from posebank.mocap.bank import BankSettings
from posebank.mocap.options import checked_joint_map
from posebank.shards import ShardSettings
from posebank_pipelines.camera_degrees import (
    limits_from_degrees,
    limits_of_matcher,
    prior_from_degrees,
)
from posebank_pipelines.stage import run_name

T = TypeVar("T")


@dataclass(frozen=True)
class MocapSource:
    """One ``[[mocap]]`` table."""

    dataset: str
    sources: Sequence[Path]
    options: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True)
class AnnotationSource:
    """One ``[[annotations]]`` table; ``options`` go to the reader."""

    kind: str
    source: Path
    images: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunConfig:
    """Everything ``posebank run`` needs."""

    mocap: Sequence[MocapSource]
    annotations: Sequence[AnnotationSource]
    bank: BankSettings
    matching: MatchSettings
    labels: LabelSettings
    anchors: AnchorSettings
    shards: ShardSettings
    train: TrainSettings | None
    evaluate: EvaluationSettings | None
    camera: str | None = None
    integration: IntegrationSettings = field(default_factory=IntegrationSettings)
    splits: tuple[str, ...] = ("val",)
    run: str = "default"


def _only(table: Any, known: Sequence[str], where: str) -> Mapping[str, Any]:
    """The table, if it is one and has no other keys."""
    if not isinstance(table, Mapping):
        raise SettingsError(f"{where}: expected a table, found {table!r}")
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise SettingsError(
            f"{where}: expected keys among {', '.join(sorted(known))}; found {', '.join(unknown)}"
        )
    return table


def _tables(raw: Mapping[str, Any], name: str) -> Sequence[Any]:
    """The tables ``[[name]]``."""
    tables = raw.get(name, [])
    if not isinstance(tables, list):
        raise SettingsError(f"{name}: expected tables [[{name}]], found {tables!r}")
    return tables


def _typed(value: Any, hint: Any, where: str) -> Any:
    """``value`` as the annotated type (an int will do for a float, a list for a tuple)."""
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        # "Expected `int | null`, got `str` - at `$[2]`"
        wanted = str(error).removeprefix("Expected ").split(", got")[0].replace("`", "")
        wanted = wanted.removesuffix(" | null").replace(" | ", " or ")
        raise SettingsError(f"{where}: expected {wanted}, found {value!r}") from error


def _one_of(value: Any, known: Sequence[str], where: str) -> str:
    if value not in known:
        raise SettingsError(f"{where}: expected one of {', '.join(known)}, found {value!r}")
    return str(value)


def _settings(cls: type[T], table: Any, where: str, **common: Any) -> T:
    """A settings dataclass from a TOML table; ``common`` fills the fields of that name."""
    hints = get_type_hints(cls)
    shared = {k: v for k, v in common.items() if k in hints}
    plain = [name for name in hints if not _holds_settings(hints[name])]
    values: dict[str, Any] = dict(shared)
    for key, value in _only(table, plain, where).items():
        values[key] = _typed(value, hints[key], f"{where}.{key}")
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where}: {error}") from error


def _holds_settings(hint: Any) -> bool:
    """Whether a field is itself made of settings, which have tables of their own."""
    return any(is_dataclass(kind) for kind in (hint, *get_args(hint)))


def _path(base: Path, text: Any, where: str) -> Path:
    if not isinstance(text, str):
        raise SettingsError(f"{where}: expected a path, found {text!r}")
    path = Path(text).expanduser()
    return path if path.is_absolute() else (base / path)


def _splits(value: Any) -> tuple[str, ...]:
    """The splits to evaluate: one, or a list of them."""
    names = value if isinstance(value, list) else [value]
    if not names or any(name not in SPLITS for name in names) or len(set(names)) < len(names):
        raise SettingsError(
            f"split: expected one of {', '.join(SPLITS)} or a list of them, found {value!r}"
        )
    return tuple(names)


_ANNOTATION_OPTIONS = {
    name: get_type_hints(read_annotations)[name]
    for name, parameter in signature(read_annotations).parameters.items()
    if parameter.kind is Parameter.KEYWORD_ONLY and name != "images"
}
"""Options of ``read_annotations`` with their types: the other keys of ``[[annotations]]``."""

_READ_OPTIONS = tuple(f.name for f in fields(ReadOptions))
_TOP = (
    "seed",
    "run",
    "split",
    "camera",
    "mocap",
    "annotations",
    "bank",
    "matching",
    "labels",
    "anchors",
    "shards",
    "train",
    "evaluate",
    "integration",
)


def train_settings(table: Any, where: str, **common: Any) -> TrainSettings:
    """Training settings: the backbone's preset, with what the table says on top."""
    if not isinstance(table, Mapping):
        return _settings(TrainSettings, table, where)  # says what was expected
    base = preset(str(table.get("backbone", TrainSettings.backbone)))
    given = {f.name: getattr(base, f.name) for f in fields(base)}
    # Checked together: what the table says need not go with the defaults of another backbone.
    return _settings(TrainSettings, {**given, **common, **table}, where)


def load_train_settings(path: Path | None, given: Mapping[str, Any]) -> TrainSettings:
    """Training settings from the [train] table of a file, if any, with ``given`` on top."""
    if path is None:
        return train_settings(given, "options [train]")
    raw = _read_toml(path)
    table = raw.get("train", {})
    if isinstance(table, Mapping):
        table = {**table, **given}
    return train_settings(table, f"{path}: [train]", seed=_seed(raw))


def _seed(raw: Mapping[str, Any]) -> int:
    seed = raw.get("seed", 0)
    if type(seed) is not int or seed < 0:
        raise SettingsError(f"seed: expected a whole number from 0, found {seed!r}")
    return seed


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except SourceError as error:
        raise SettingsError(str(error)) from error


def load_config(path: Path) -> RunConfig:
    """Read and check a configuration file.

    Raises
    ------
    SettingsError
        Naming the file, the key, what was expected and what was found.
    """
    raw = _read_toml(path)
    base = path.resolve().parent
    try:
        return _checked(raw, base)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def _mocap(table: Any, base: Path, where: str) -> MocapSource:
    _only(table, ("dataset", "sources", *_READ_OPTIONS), where)
    sources = table.get("sources")
    if not isinstance(sources, list) or not sources:
        raise SettingsError(f"{where}.sources: expected a list of paths, found {sources!r}")
    return MocapSource(
        dataset=_one_of(table.get("dataset"), DATASETS, f"{where}.dataset"),
        sources=[_path(base, source, f"{where}.sources") for source in sources],
        options=_read_options(table, base, where),
    )


def _read_options(table: Mapping[str, Any], base: Path, where: str) -> ReadOptions:
    """Return the options of a ``[[mocap]]`` table; ``joints`` is a table or a TOML file of one."""
    options: dict[str, Any] = {}
    for key in [key for key in _READ_OPTIONS if key in table]:
        value = table[key]
        if key in ("skeleton", "body_model"):
            options[key] = _path(base, value, f"{where}.{key}")
        elif key == "joints" and isinstance(value, str):
            options[key] = read_joint_map(base / value)
        elif key == "joints" and isinstance(value, Mapping):
            options[key] = checked_joint_map(value)
        elif key == "fps":
            options[key] = _typed(value, float, f"{where}.fps")
        elif key == "unit" and isinstance(value, int | float) and not isinstance(value, bool):
            options[key] = str(value)
        elif isinstance(value, str):
            options[key] = value
        else:
            raise SettingsError(f"{where}.{key}: expected text, found {value!r}")
    try:
        return ReadOptions(**options)
    except SettingsError as error:
        raise SettingsError(f"{where}.{error}") from error


def _annotations(table: Any, base: Path, where: str) -> AnnotationSource:
    _only(table, ("kind", "source", "images", *_ANNOTATION_OPTIONS), where)
    if "kind" not in table or "source" not in table:
        raise SettingsError(f"{where}: expected kind and source, found {sorted(table)}")
    return AnnotationSource(
        kind=_one_of(table["kind"], tuple(SOURCES), f"{where}.kind"),
        source=_path(base, table["source"], f"{where}.source"),
        images=_path(base, table["images"], f"{where}.images") if "images" in table else None,
        options={
            key: _typed(value, _ANNOTATION_OPTIONS[key], f"{where}.{key}")
            for key, value in table.items()
            if key in _ANNOTATION_OPTIONS and key != "joints"
        }
        | _keypoint_map(table.get("joints"), base, where),
    )


def _keypoint_map(value: Any, base: Path, where: str) -> dict[str, Any]:
    """Return the option ``joints`` of a table, which is a map of joints or a TOML file of one."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {"joints": keypoints.read_joint_map(_path(base, value, f"{where}.joints"))}
    return {"joints": keypoints.checked_joint_map(value, f"{where}.joints")}


def _once(names: Sequence[str], where: str, expected: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise SettingsError(f"{where}: expected {expected} for {name}, found {count} tables")


def _checked(raw: Mapping[str, Any], base: Path) -> RunConfig:
    _only(raw, _TOP, "top level")
    of_limits, of_prior = map(get_type_hints, (limits_from_degrees, prior_from_degrees))
    hints = {name: hint for name, hint in (of_limits | of_prior).items() if name != "return"}
    table = dict(_only(raw.get("camera", {}), ["prior", *hints], "[camera]"))
    prior = table.pop("prior", None)
    camera = _only(table, list(hints), "[camera]")
    camera = {key: _typed(value, hints[key], f"[camera].{key}") for key, value in camera.items()}
    limits = {k: v for k, v in camera.items() if k in of_limits}
    matching = raw.get("matching", {})
    matcher = matching.get("matcher", MatchSettings.matcher) if isinstance(matching, dict) else ""
    common = {
        "seed": _seed(raw),
        "limits": limits_from_degrees(**limits),
        "prior": prior_from_degrees(**{k: v for k, v in camera.items() if k in of_prior}),
    }
    mocap = [_mocap(t, base, f"[[mocap]] {i}") for i, t in enumerate(_tables(raw, "mocap"), 1)]
    annotations = [
        _annotations(t, base, f"[[annotations]] {i}")
        for i, t in enumerate(_tables(raw, "annotations"), 1)
    ]
    if not mocap or not annotations:
        raise SettingsError("expected at least one [[mocap]] and one [[annotations]] table")
    # A second table of a data set would take the place of the first. Own data sets are named after
    # their files: of these the run compares the names.
    named = [a.options.get("name", a.kind) for a in annotations if a.kind not in OWN_KINDS]
    _once(named, "[[annotations]]", "one source, or different names,")
    return RunConfig(
        mocap=mocap,
        annotations=annotations,
        bank=_settings(BankSettings, raw.get("bank", {}), "[bank]", **common),
        matching=_settings(
            MatchSettings,
            matching,
            "[matching]",
            **common | {"limits": limits_of_matcher(matcher, **limits)},
        ),
        labels=_settings(LabelSettings, raw.get("labels", {}), "[labels]", **common),
        anchors=_settings(AnchorSettings, raw.get("anchors", {}), "[anchors]", **common),
        shards=_settings(ShardSettings, raw.get("shards", {}), "[shards]", **common),
        train=(
            train_settings(raw["train"], "[train]", seed=_seed(raw)) if "train" in raw else None
        ),
        evaluate=(
            _settings(EvaluationSettings, raw["evaluate"], "[evaluate]", **common)
            if "evaluate" in raw
            else None
        ),
        camera=None if prior is None else _one_of(prior, CAMERAS, "[camera].prior"),
        integration=_settings(IntegrationSettings, raw.get("integration", {}), "[integration]"),
        splits=_splits(raw.get("split", "val")),
        run=run_name(raw.get("run", "default")),
    )
