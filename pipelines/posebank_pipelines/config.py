"""The TOML configuration of a run, checked key by key.

Angles are degrees here, in keys that end in ``_deg``, and radians everywhere else. Relative paths
are relative to the configuration file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, TypeVar

from posebank.anchors import AnchorSettings
from posebank.annotations import SPLITS, read_annotations
from posebank.errors import SettingsError
from posebank.evaluation import EvaluationSettings
from posebank.lcrnet import TrainSettings, preset
from posebank.matching import LabelSettings, MatchSettings
from posebank.mocap.bank import BankSettings
from posebank.shards import ShardSettings
from posebank_pipelines.limits import limits_from_degrees

T = TypeVar("T")


@dataclass(frozen=True)
class MocapSource:
    """One ``[[mocap]]`` table."""

    dataset: str
    sources: Sequence[Path]
    fps: float | None = None
    unit: str | None = None


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
    splits: tuple[str, ...] = ("val",)
    run: str = "default"


def _only(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise SettingsError(
            f"{where}: expected keys among {', '.join(sorted(known))}; found {', '.join(unknown)}"
        )


def _typed(value: Any, default: Any, where: str) -> Any:
    """``value`` with the type of the field's default (an int will do for a float)."""
    if isinstance(value, list):
        return tuple(value)
    if default is MISSING or default is None:
        return value
    expected = type(default)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # bool is an int, so the types must be equal, not only compatible.
    if type(value) is not expected:
        raise SettingsError(f"{where}: expected {expected.__name__}, found {value!r}")
    return value


def _settings(cls: type[T], table: Mapping[str, Any], where: str, **common: Any) -> T:
    """A settings dataclass from a TOML table; ``common`` fills the fields of that name."""
    names = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    shared = {k: v for k, v in common.items() if k in names}
    _only(table, [n for n in names if n not in ("limits",)], where)
    values: dict[str, Any] = {**shared}
    for key, value in table.items():
        values[key] = _typed(value, names[key].default, f"{where}.{key}")
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where}: {error}") from error


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
    name: parameter.default
    for name, parameter in signature(read_annotations).parameters.items()
    if parameter.kind is Parameter.KEYWORD_ONLY and name != "images"
}
"""Options of ``read_annotations`` with their defaults: the other keys of ``[[annotations]]``."""

_TOP = (
    "seed", "run", "split", "camera", "mocap", "annotations", "bank", "matching", "labels",
    "anchors", "shards", "train", "evaluate",
)  # fmt: skip


def train_settings(table: Mapping[str, Any], where: str, **common: Any) -> TrainSettings:
    """Training settings: the backbone's preset, with what the table says on top."""
    base = preset(str(table.get("backbone", TrainSettings.backbone)))
    given = {f.name: getattr(base, f.name) for f in fields(base)}
    _settings(TrainSettings, table, where)  # reports unknown keys and wrong types by name
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    return TrainSettings(**{**given, **common, **values})


def load_train_settings(path: Path | None, given: Mapping[str, Any]) -> TrainSettings:
    """Training settings from the [train] table of a file, if any, with ``given`` on top."""
    table: dict[str, Any] = {}
    common: dict[str, Any] = {}
    if path is not None:
        raw = _read_toml(path)
        table = dict(raw.get("train", {}))
        common = {"seed": raw.get("seed", 0)}
    return train_settings({**table, **given}, f"{path or 'options'} [train]", **common)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: expected a configuration file, found nothing") from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error


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


def _checked(raw: Mapping[str, Any], base: Path) -> RunConfig:
    _only(raw, _TOP, "top level")
    camera = raw.get("camera", {})
    _only(camera, ("min_elevation_deg", "max_elevation_deg", "max_roll_deg", "free"), "[camera]")
    common = {"seed": raw.get("seed", 0), "limits": limits_from_degrees(**camera)}
    mocap = []
    for i, table in enumerate(raw.get("mocap", [])):
        _only(table, ("dataset", "sources", "fps", "unit"), f"[[mocap]] {i + 1}")
        mocap.append(
            MocapSource(
                dataset=table.get("dataset", ""),
                sources=[
                    _path(base, s, f"[[mocap]] {i + 1} sources") for s in table.get("sources", [])
                ],
                fps=table.get("fps"),
                unit=table.get("unit"),
            )
        )
    annotations = []
    for i, table in enumerate(raw.get("annotations", [])):
        where = f"[[annotations]] {i + 1}"
        if "kind" not in table or "source" not in table:
            raise SettingsError(f"{where}: expected kind and source, found {sorted(table)}")
        _only(table, ("kind", "source", "images", *_ANNOTATION_OPTIONS), where)
        images = table.get("images")
        annotations.append(
            AnnotationSource(
                kind=table["kind"],
                source=_path(base, table["source"], where),
                images=_path(base, images, where) if images else None,
                options={
                    k: _typed(v, _ANNOTATION_OPTIONS[k], f"{where}.{k}")
                    for k, v in table.items()
                    if k in _ANNOTATION_OPTIONS
                },
            )
        )
    if not mocap or not annotations:
        raise SettingsError("expected at least one [[mocap]] and one [[annotations]] table")
    return RunConfig(
        mocap=mocap,
        annotations=annotations,
        bank=_settings(BankSettings, raw.get("bank", {}), "[bank]", **common),
        matching=_settings(MatchSettings, raw.get("matching", {}), "[matching]", **common),
        labels=_settings(LabelSettings, raw.get("labels", {}), "[labels]", **common),
        anchors=_settings(AnchorSettings, raw.get("anchors", {}), "[anchors]", **common),
        shards=_settings(ShardSettings, raw.get("shards", {}), "[shards]", **common),
        train=(
            train_settings(raw["train"], "[train]", seed=common["seed"]) if "train" in raw else None
        ),
        evaluate=(
            _settings(EvaluationSettings, raw["evaluate"], "[evaluate]", **common)
            if "evaluate" in raw
            else None
        ),
        splits=_splits(raw.get("split", "val")),
        run=raw.get("run", "default"),
    )
