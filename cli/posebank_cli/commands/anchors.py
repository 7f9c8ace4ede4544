"""``posebank anchors``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from posebank.anchors import AnchorSettings
from posebank.anchors.settings import ALGORITHMS
from posebank_cli import options
from posebank_pipelines.camera_degrees import limits_from_degrees

_SHOWN_RAREST = 5


@click.command()
@options.workspace
@click.option(
    "-k",
    type=click.IntRange(min=1),
    default=AnchorSettings.k,
    show_default=True,
    help="Number of full-body anchor-poses.",
)
@click.option(
    "--upper-body/--full-body-only",
    default=AnchorSettings.upper_body,
    show_default=True,
    help="Add an upper-body anchor for each.",
)
@click.option(
    "--source",
    "--from",
    "source",
    type=click.Choice(["labels", "bank"]),
    default=AnchorSettings.source,
    show_default=True,
    help="Poses to cluster: the labels, or the bank in random views.",
)
@click.option(
    "--poses",
    "n_poses",
    type=click.IntRange(min=1),
    default=AnchorSettings.n_poses,
    show_default=True,
    help="Poses to draw from the bank, each in a random view.",
)
@click.option(
    "--algorithm",
    type=click.Choice(ALGORITHMS),
    default=AnchorSettings.algorithm,
    show_default=True,
    help="K-means of posebank, or of scikit-learn, which is slower.",
)
@click.option(
    "--restarts",
    type=click.IntRange(min=1),
    default=AnchorSettings.restarts,
    show_default=True,
    help="Starts of K-means; the best is kept.",
)
@click.option(
    "--medoids/--means",
    default=AnchorSettings.medoids,
    show_default=True,
    help="Take real poses; means shorten the limbs that move.",
)
@click.option(
    "--mirror-closed",
    is_flag=True,
    help="Each anchor-pose's mirror image is one of them too.",
)
@options.camera
@options.seed
@options.as_json
def anchors(
    workspace: Path,
    k: int,
    upper_body: bool,
    source: str,
    n_poses: int,
    algorithm: str,
    restarts: int,
    medoids: bool,
    mirror_closed: bool,
    seed: int,
    as_json: bool,
    **camera: Any,
) -> None:
    """Fit anchor-poses by K-means, and tell how well they cover the poses.

    WORKSPACE/anchors holds them with their coverage (coverage.json), a picture of all of them
    (anchors.png), and one of the poses farthest from them (rarest.png). The camera's limits are
    those of the bank's random views.

    Example: posebank anchors -w workspace -k 100 --upper-body
    """
    from posebank_pipelines.stages.anchors import anchors as anchors_stage
    from posebank_pipelines.stages.anchors import coverage_report

    settings = AnchorSettings(
        k=k,
        upper_body=upper_body,
        source=source,
        n_poses=n_poses,
        algorithm=algorithm,
        restarts=restarts,
        medoids=medoids,
        mirror_closed=mirror_closed,
        limits=limits_from_degrees(**camera),
        seed=seed,
    )
    result = anchors_stage(workspace, settings)
    report = coverage_report(workspace)
    if as_json:
        options.echo_json({"stages": [result.as_json()], "coverage": report})
        return
    options.show([result], False)
    _show(report)


def _show(report: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    click.echo("\nMean joint distance to the closest full-body anchor-pose:")
    options.echo_table(report["by_dataset"])
    by_count = sorted(report["by_anchor"], key=lambda row: row["n"])
    least, middle, most = by_count[0], by_count[len(by_count) // 2], by_count[-1]
    click.echo(
        f"\nPoses per anchor-pose: least {least['n']:,} ({least['anchor_id']}), median "
        f"{middle['n']:,}, most {most['n']:,} ({most['anchor_id']})"
    )
    click.echo("\nRarest poses:")
    options.echo_table(report["rarest"][:_SHOWN_RAREST])
