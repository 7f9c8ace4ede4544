"""Options of the proposals integration, apart from the others because they wait for torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from posebank.lcrnet import IntegrationSettings

_IOU = click.option(
    "--ppi-iou",
    default=IntegrationSettings.iou,
    show_default=True,
    help="Overlap of the boxes around 2D poses from which PPI takes them for one person's.",
)
_DISTANCE_MM = click.option(
    "--ppi-distance-mm",
    default=1000 * IntegrationSettings.distance_m,
    show_default=True,
    help="3D distance within which PPI averages a person's poses (the paper's 200 for Human3.6M).",
)


def ppi(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options ``ppi_iou`` and ``ppi_distance_mm`` to a command."""
    result: Callable[..., Any] = _IOU(_DISTANCE_MM(command))
    return result


def integration_settings(ppi_iou: float, ppi_distance_mm: float) -> IntegrationSettings:
    """What the two options say."""
    return IntegrationSettings(iou=ppi_iou, distance_m=ppi_distance_mm / 1000)
