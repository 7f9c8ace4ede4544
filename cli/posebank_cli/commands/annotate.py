"""``posebank annotate``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank.annotations import SOURCES, SPLITS, read_joint_map
from posebank_cli import options


@click.command()
@click.argument("kind", type=click.Choice(SOURCES))
@click.argument("source", type=click.Path(path_type=Path))
@options.workspace
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the images; by default they are looked for beside the annotations.",
)
@click.option(
    "--name",
    help="Name of the data set; by default the file's, of published data sets their own. "
    "A data set of the same name in the workspace is replaced, others stay.",
)
@click.option(
    "--joints",
    type=click.Path(path_type=Path),
    metavar="MAP.toml",
    help="Keypoint of each joint, for names that are not known (coco, json and csv).",
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="Put everyone in this split; by default the source's own, else the one that the folder or "
    "a whole word of the file's name says, else a random one.",
)
@click.option(
    "--val-fraction",
    type=click.FloatRange(0, 1),
    help="Part of the images that become val where the source has no val [default: 0.1].",
)
@click.option(
    "--val-images",
    type=click.IntRange(min=0),
    help="Images of MPII that become val [default: 1000, as in the paper].",
)
@click.option("--seed", type=int, help="Seed of the val split [default: 0].")
@click.option(
    "--protocol",
    type=click.Choice(["p1", "p2", "p3"]),
    help="Protocol of Human3.6M [default: p2].",
)
@click.option(
    "--train-step",
    type=click.IntRange(min=1),
    help="Take one of this many frames of Human3.6M for training [default: 5].",
)
@click.option(
    "--hip-width",
    type=float,
    help="Factor on the distance of the hips, to bring them to MoCap's [default: 1].",
)
@click.option(
    "--hip-down",
    type=float,
    help="Shift of the hips towards the knees, as a part of the torso [default: 0].",
)
@click.option(
    "--proxy-head",
    is_flag=True,
    default=None,
    help="Estimate the head top where a COCO-form file does not annotate it.",
)
@options.strict
@options.cluster
@options.as_json
def annotate(
    kind: str,
    source: Path,
    workspace: Path,
    images: Path | None,
    joints: Path | None,
    strict: bool,
    workers: int,
    scheduler: str | None,
    as_json: bool,
    **reading: object,
) -> None:
    """Read the 2D annotations SOURCE (a file or folder) of the given KIND.

    Example: posebank annotate lspe /data/lspet -w workspace
    """
    from posebank_pipelines.stages.annotate import annotate as annotate_stage

    given = {name: value for name, value in reading.items() if value is not None}
    if joints is not None:
        given["joints"] = read_joint_map(joints)
    with options.runner(workers, scheduler) as runner:
        result = annotate_stage(
            workspace, kind, source, runner, images=images, strict=strict, **given
        )
        options.show([result], as_json)
