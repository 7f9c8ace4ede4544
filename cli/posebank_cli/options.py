"""Options that commands share, and how results are shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from posebank.errors import Rejected, SettingsError
from posebank.lcrnet import IntegrationSettings
from posebank.mocap.options import UP_AXES, ReadOptions, metres_per_unit, read_joint_map
from posebank.threads import n_cores
from posebank_cli.progress import progress
from posebank_pipelines.runner import Runner
from posebank_pipelines.stage import StageResult

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

workspace: Decorator = click.option(
    "-w",
    "--workspace",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("workspace"),
    show_default=True,
    help="Folder that holds the artefacts.",
)
as_json: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on standard output."
)
strict: Decorator = click.option(
    "--strict", is_flag=True, help="Stop at the first bad file instead of setting it aside."
)
seed: Decorator = click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of the random numbers."
)


def numbers(value: Any) -> list[int]:
    """Parse whole numbers with commas between them, such as ``1,50,100``."""
    try:
        return [int(part) for part in str(value).split(",")]
    except ValueError as error:
        raise click.BadParameter(
            f"expected whole numbers such as 1,50,100, found {value!r}"
        ) from error


def unit(value: Any) -> str:
    """Check a length unit: a name, or metres per unit."""
    try:
        metres_per_unit(str(value))
    except SettingsError as error:
        raise click.BadParameter(str(error)) from error
    return str(value)


def reading(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say about MoCap files what they do not state; see ``read_options``."""
    for option in reversed(
        (
            click.option(
                "--fps",
                type=click.FloatRange(min=0, min_open=True),
                help="Frame rate of the clips, instead of the one that the files state.",
            ),
            click.option(
                "--unit",
                type=unit,
                metavar="m|cm|mm|in|METRES",
                help="Length unit of files that do not state it, or metres per unit; by default "
                "known from the names of the joints or the length of the legs.",
            ),
            click.option(
                "--up",
                type=click.Choice(UP_AXES),
                default="auto",
                show_default=True,
                help="Upward axis of the files.",
            ),
            click.option(
                "--joints",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="MAP.toml",
                help='Names of the joints in the files, one line each: r_knee = "RightShin".',
            ),
            click.option(
                "--skeleton",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE.asf",
                help="Skeleton of AMC files, instead of the one found near them.",
            ),
            click.option(
                "--body-model",
                type=click.Path(path_type=Path),
                metavar="DIR",
                help="Folder of SMPL+H or SMPL-X body models (.npz), which give AMASS clips the "
                "subject's limb lengths; by default those of an average adult.",
            ),
        )
    ):
        function = option(function)
    return function


READING = ("fps", "unit", "up", "joints", "skeleton", "body_model")
"""Parameters of a command that has the options of ``reading``."""


def read_options(*, joints: Path | None, **values: Any) -> ReadOptions:
    """Return how to read MoCap files, from the parameters ``READING``."""
    return ReadOptions(joints=None if joints is None else read_joint_map(joints), **values)


_WORKER_TIMEOUT = "posebank.worker_timeout_s"


def _keep_worker_timeout(ctx: click.Context, _option: click.Parameter, value: float) -> None:
    ctx.meta[_WORKER_TIMEOUT] = value


def cluster(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --workers, --scheduler and --worker-timeout; ``runner`` makes a runner of them."""
    function = click.option(
        "--worker-timeout",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        default=300.0,
        show_default=True,
        expose_value=False,
        callback=_keep_worker_timeout,
        help="Longest wait for a worker of the scheduler.",
    )(function)
    function = click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=n_cores(),
        show_default="one per core",
        help="Worker processes on this machine.",
    )(function)
    return click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Address of a running Dask scheduler, whose workers do the work instead.",
    )(function)


def camera(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the camera limits, in degrees."""
    for name, text in (
        ("--max-roll-deg", "Largest camera roll."),
        ("--max-elevation-deg", "Highest camera elevation (positive looks down)."),
        ("--min-elevation-deg", "Lowest camera elevation."),
    ):
        function = click.option(name, type=float, help=text)(function)
    return click.option("--free", is_flag=True, help="Allow every camera.")(function)


def camera_prior(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the camera prior, in degrees."""
    for name, text in (
        ("--prior-roll-spread-deg", "Standard deviation of camera roll (its mean is 0)."),
        ("--prior-elevation-spread-deg", "Standard deviation of camera elevation."),
        ("--prior-elevation-deg", "Likeliest camera elevation: a prior of your own."),
    ):
        function = click.option(name, type=float, help=text)(function)
    return function


def runner(workers: int, scheduler: str | None) -> Runner:
    """Return the runner that --workers and --scheduler ask for."""
    return Runner(
        workers,
        scheduler,
        progress(),
        notify=lambda line: click.echo(line, err=True),
        worker_timeout_s=click.get_current_context().meta[_WORKER_TIMEOUT],
    )


def echo_json(value: Any) -> None:
    """Print one JSON object."""
    click.echo(json.dumps(value, indent=1, default=str))


def echo_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of equal keys in columns, under their names."""
    cells = [list(rows[0])] if rows else []
    for row in rows:
        values = row.values()
        cells.append([f"{v:,.0f}" if isinstance(v, int | float) else str(v) for v in values])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)]
        click.echo("  ".join(["", line[0].ljust(widths[0]), *padded]))


# Statistics too long for a line, or told below it; --json and the manifest have them.
_LONG = ("limbs_mm", "set_aside", "notes")


# Sections of artefacts that hold a single thing; other sections are data sets or runs.
_WHOLE = ("index", "matches", "labels", "anchors", "shards", "lifter", "report")


def describe(result: StageResult) -> str:
    """A stage's result in one line."""
    counts = ", ".join(f"{k} {_short(v)}" for k, v in result.stats.items() if k not in _LONG)
    name = result.stage if result.section in _WHOLE else f"{result.stage} {result.section}"
    rows = f"{result.rows:>9,} rows" if result.rows else " " * 14
    line = f"{name:<16} {result.status:<10} {rows}  {result.path}"
    if result.seconds:
        line += f"  {result.seconds:.1f} s"
    return line + (f"\n          {counts}" if counts else "")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{k} {_short(v)}" for k, v in value.items()) + ")"
    return str(value)


def show_rejected(rejected: Sequence[Rejected], most: int = 10, alike: int = 3) -> None:
    """List what was set aside, on standard error; of many for one reason a few and their number."""
    left = Counter(item.reason for item in rejected)
    listed: Counter[str] = Counter()
    for item in rejected:
        if listed.total() < most and listed[item.reason] < alike:
            listed[item.reason] += 1
            # A reader's message names the place already; do not say it twice.
            text = item.reason if item.where in item.reason else f"{item.where}: {item.reason}"
            click.echo(f"set aside: {text}", err=True)
    left -= listed
    for reason in [reason for reason in listed if left[reason]]:
        click.echo(f"set aside: {left.pop(reason):,} more: {reason}", err=True)
    if left:
        click.echo(f"set aside: {left.total():,} more, listed in the manifest", err=True)


def show_notes(notes: Mapping[str, int] | Sequence[str], most: int = 5) -> None:
    """List on standard error what was assumed while reading; of MoCap with the number of clips."""
    for note in list(notes)[:most]:
        clips = notes[note] if isinstance(notes, Mapping) else 0
        click.echo(
            f"note: {note}" + f" ({clips:,} clip{'s' * (clips != 1)})" * (clips > 0), err=True
        )
    if len(notes) > most:
        click.echo(f"note: {len(notes) - most:,} more, listed in the manifest", err=True)


def shown(results: Iterable[StageResult], json_wanted: bool) -> list[dict[str, Any]]:
    """Print stage results as they come, unless JSON is wanted; return them as plain values."""
    done = []
    for result in results:
        done.append(result.as_json())
        if not json_wanted:
            click.echo(describe(result))
            show_notes(result.stats.get("notes", {}))
            show_rejected(result.rejected)
    return done


def show(results: Iterable[StageResult], json_wanted: bool) -> None:
    """Print stage results as they come: lines, or one JSON object at the end."""
    done = shown(results, json_wanted)
    if json_wanted:
        echo_json({"stages": done})


_PPI_IOU = click.option(
    "--ppi-iou",
    default=IntegrationSettings.iou,
    show_default=True,
    help="IoU of the boxes around 2D poses above which PPI assigns them to one person.",
)
_PPI_DISTANCE_MM = click.option(
    "--ppi-distance-mm",
    default=1000 * IntegrationSettings.distance_m,
    show_default=True,
    help="Mean 3D joint distance below which PPI averages poses (the paper: 100 for MPII, 200 for "
    "Human3.6M).",
)


_ALL_MODES = click.option(
    "--all-modes/--best-mode",
    default=IntegrationSettings.all_modes,
    show_default=True,
    help="PPI returns every 3D mode of a person, or the best one.",
)
_MIRRORED = click.option(
    "--mirrored",
    is_flag=True,
    help="Predict from the mirrored image as well (twice the time).",
)


def ppi(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``integration_settings`` to a command."""
    result: Callable[..., Any] = _PPI_IOU(_PPI_DISTANCE_MM(_ALL_MODES(_MIRRORED(command))))
    return result


def integration_settings(
    ppi_iou: float, ppi_distance_mm: float, all_modes: bool, mirrored: bool
) -> IntegrationSettings:
    """Return the settings of the proposals integration that the options of ``ppi`` give."""
    return IntegrationSettings(
        iou=ppi_iou,
        distance_m=ppi_distance_mm / 1000,
        all_modes=all_modes,
        mirrored=mirrored,
    )
