"""``posebank predict``."""

from __future__ import annotations

from pathlib import Path

import click

from posebank_cli import options
from posebank_cli.progress import progress


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--checkpoint", required=True, type=click.Path(path_type=Path), help="A trained network."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("predictions"),
    show_default=True,
    help="Folder for predictions.parquet, predictions.json and the pictures.",
)
@click.option(
    "--integration",
    type=click.Choice(["ppi", "nms"]),
    default="ppi",
    show_default=True,
    help="Integration of pose proposals into poses.",
)
@options.ppi
@click.option(
    "--min-score",
    default=0.5,
    show_default=True,
    help="Draw poses of this score or more; the tables have all of them.",
)
@click.option("--pictures/--no-pictures", default=True, help="Draw a picture per image.")
@options.as_json
def predict(
    images: tuple[Path, ...],
    checkpoint: Path,
    output: Path,
    integration: str,
    ppi_iou: float,
    ppi_distance_mm: float,
    all_modes: bool,
    mirrored: bool,
    min_score: float,
    pictures: bool,
    as_json: bool,
) -> None:
    """Find 2D and 3D poses in IMAGES (files or folders of images).

    Example: posebank predict photo.jpg --checkpoint workspace/runs/default/checkpoint.pt
    """
    from posebank_pipelines.predict import predict as predict_files

    result = predict_files(
        images,
        checkpoint,
        output,
        integration=integration,
        settings=options.integration_settings(ppi_iou, ppi_distance_mm, all_modes, mirrored),
        min_score=min_score,
        pictures=pictures,
        progress=progress(),
    )
    options.show_rejected(result.rejected)
    if as_json:
        options.echo_json(result.as_json())
        return
    click.echo(
        f"{result.poses} poses in {result.images} images, {result.shown} of them of a score of "
        f"{min_score:g} or more"
    )
    for path in result.files:
        click.echo(str(path))
