"""Contact sheets: labelled people, matches, MoCap clips, shards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from posebank import artefacts
from posebank.geometry.cameras import camera_rotation
from posebank.geometry.rotations import heading_angle
from posebank.images import decode_image, read_image
from posebank.parquet import read_row
from posebank.report.drawing import FRONT, SIDE, View, draw_pose_2d, draw_pose_3d
from posebank.report.images import find_image, new_figure, save_figure
from posebank.schemas import SHARD_PERSON, field_shape
from posebank.skeleton import J, JointState
from posebank.types import Labels, Matches, MotionClip, People, PoseBank

_PANEL = 2.3  # inches
_ABOVE = View(0.0, np.pi * 80 / 180)
LEGEND = (
    "red: the person's right, blue: left; square: occluded; hollow and dashed: completed; "
    "the floor's squares are half a metre"
)


def show_person(
    ax: Axes,
    image: NDArray[np.uint8] | None,
    joints_2d: NDArray[np.floating],
    state: NDArray[np.uint8],
    *,
    margin: float = 0.25,
    alpha: float = 1.0,
) -> None:
    """Show the part of the image around a person, with the 2D pose."""
    known = joints_2d[state != JointState.MISSING]
    low, high = known.min(axis=0), known.max(axis=0)
    middle, half = (low + high) / 2, max(float((high - low).max()) * (0.5 + margin), 8.0)
    if image is not None:
        height, width = image.shape[:2]
        # Pixel (0, 0) covers 0..1: the origin is the corner of the top-left pixel.
        ax.imshow(image, extent=(0, width, height, 0), interpolation="bilinear")
    draw_pose_2d(ax, joints_2d, state, width=1 + alpha, alpha=alpha)
    ax.set_xlim(middle[0] - half, middle[0] + half)
    ax.set_ylim(middle[1] + half, middle[1] - half)
    ax.set_aspect("equal")
    ax.set_facecolor("#eeeeee")
    ax.set_xticks([])
    ax.set_yticks([])


def _pick(labels: Labels, n: int, seed: int) -> NDArray[np.int64]:
    """Random people, half of them with completed joints where there are enough."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    made = (labels.state[order] == JointState.COMPLETED).any(axis=1)
    completed, rest = order[made], order[~made]
    take = min(len(completed), max((n + 1) // 2, n - len(rest)))
    return np.sort(np.concatenate([completed[:take], rest[: n - take]]))


def label_sheet(
    labels: Labels, image_roots: Mapping[str, Path], path: Path, n: int = 8, seed: int = 0
) -> Path:
    """Return a PNG of ``n`` people: 2D pose on the image, 3D pose from front and side.

    Completed joints are hollow and their bones dashed. About half of the people have some. Where an
    image is not at hand the 2D pose is drawn on grey.
    """
    rows = _pick(labels, min(n, len(labels)), seed)
    lines, wide = max((len(rows) + 1) // 2, 1), 6
    figure = new_figure(_PANEL * wide, (_PANEL + 0.25) * lines)
    grid = figure.subplots(lines, wide, squeeze=False)
    for ax in grid.flat:
        ax.axis("off")
    for place, row in enumerate(rows):
        panels = grid[place // 2, 3 * (place % 2) : 3 * (place % 2) + 3]
        panels[0].axis("on")
        image = find_image(image_roots, labels.dataset[row], labels.image[row])
        show_person(panels[0], image, labels.joints_2d[row], labels.state[row])
        draw_pose_3d(panels[1], labels.joints_3d[row], FRONT)
        draw_pose_3d(panels[2], labels.joints_3d[row], SIDE)
        made = int((labels.state[row] == JointState.COMPLETED).sum())
        panels[0].set_title(f"{labels.dataset[row]} {Path(labels.image[row]).name}", fontsize=8)
        panels[1].set_title(
            f"front; error {labels.error_mm[row]:.0f} mm, {made} completed", fontsize=8
        )
        panels[2].set_title(f"side; trust {labels.trust[row]:.2f}", fontsize=8)
    figure.supxlabel(LEGEND, fontsize=8)
    return save_figure(figure, path)


def match_picture(
    bank: PoseBank,
    person: People,
    matches: Matches,
    path: Path,
    image: NDArray[np.uint8] | None = None,
    label: Labels | None = None,
) -> Path:
    """Return a PNG of the first person's matches, on the query and from a side.

    The first column is the person, or its label where that is given: with completed joints, and in
    3D.
    """
    found = np.flatnonzero(matches.pose_row[0] >= 0)
    figure = new_figure(_PANEL * (len(found) + 1), 2 * _PANEL + 0.4)
    grid = figure.subplots(2, len(found) + 1, squeeze=False)
    for ax in grid.flat:
        ax.axis("off")
    joints, state = person.joints_2d[0], person.state[0]
    grid[0, 0].axis("on")
    if label is None:
        show_person(grid[0, 0], image, joints, state, margin=0.35)
        grid[0, 0].set_title("query", fontsize=8)
    else:
        show_person(grid[0, 0], image, label.joints_2d[0], label.state[0], margin=0.35)
        grid[0, 0].set_title(f"label: trust {label.trust[0]:.2f}", fontsize=8)
        draw_pose_3d(grid[1, 0], label.joints_3d[0], SIDE)
    figure.supxlabel(LEGEND, fontsize=8)
    for place, rank in enumerate(found, 1):
        pose = bank.joints_3d[matches.pose_row[0, rank]].astype(np.float64)
        camera = pose @ matches.rotation[0, rank].T
        reprojected = matches.scale[0, rank] * camera[:, :2] + matches.translation[0, rank]
        ax = grid[0, place]
        ax.axis("on")
        show_person(ax, image, joints, state, margin=0.35, alpha=0.4)
        draw_pose_2d(ax, reprojected)
        ax.set_title(
            f"{rank}: {bank.pose_id[matches.pose_row[0, rank]]}\n"
            f"error {matches.error_norm[0, rank]:.3f}, {matches.error_mm[0, rank]:.0f} mm",
            fontsize=6,
        )
        draw_pose_3d(grid[1, place], camera, SIDE)
    return save_figure(figure, path)


def facing_the_camera(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a MoCap pose (13, 3) in the axes of a level camera in front, hips at 0."""
    heading = heading_angle(joints, J["r_hip"], J["l_hip"])
    # At heading 0 the right hip is towards +x: the camera of azimuth 0 would stand behind.
    pose = joints @ camera_rotation(np.pi - heading, 0.0).T
    return np.asarray(pose - pose[[J["r_hip"], J["l_hip"]]].mean(axis=0))


def clip_picture(clip: MotionClip, path: Path, n: int = 6) -> Path:
    """Return a PNG of ``n`` evenly spaced frames of a clip, from front, left and above.

    The front is the person's own, from the hips; up is the world's, so that a wrong vertical shows.
    """
    frames = np.unique(np.linspace(0, len(clip.frames) - 1, n).round().astype(int))
    figure = new_figure(_PANEL * len(frames), 3 * _PANEL + 0.5)
    grid = figure.subplots(3, len(frames), squeeze=False)
    views = {"front": FRONT, "left": SIDE, "above": _ABOVE}
    for place, frame in enumerate(frames):
        pose = facing_the_camera(clip.joints[frame])
        for ax, view in zip(grid[:, place], views.values(), strict=True):
            draw_pose_3d(ax, pose, view)
        seconds = frame / clip.fps
        grid[0, place].set_title(f"frame {clip.frames[frame]}, {seconds:.1f} s", fontsize=8)
    for ax, name in zip(grid[:, 0], views, strict=True):
        ax.text(
            -0.02,
            0.5,
            name,
            rotation=90,
            ha="right",
            va="center",
            transform=ax.transAxes,
            fontsize=8,
        )
    figure.suptitle(f"{clip.dataset} {clip.subject} {clip.name}, {clip.fps:g} fps", fontsize=9)
    figure.supxlabel(
        "red: the person's right, blue: left; the floor's squares are half a metre", fontsize=8
    )
    return save_figure(figure, path)


def shard_sheet(folder: Path, path: Path, n: int = 12) -> Path:
    """Return a PNG of ``n`` images of the shards with boxes, 2D poses and anchors.

    Images are read as a training run reads them: the bytes, or the path that stands in for them.
    """
    manifest = artefacts.read_manifest(folder, "shards")
    parts = manifest.tables
    ends = np.cumsum([part.rows for part in parts])
    images = []
    with artefacts.one_version(folder, manifest):
        for row in np.unique(np.linspace(0, ends[-1] - 1, n).astype(int)):
            number = int(np.searchsorted(ends, row, side="right"))
            row_in_part = int(row - ends[number] + parts[number].rows)
            images.append(read_row(artefacts.part_path(folder, parts[number]), row_in_part))
    columns = 4
    lines = -(-len(images) // columns)
    figure = new_figure(3 * columns, 3.2 * lines)
    grid = figure.subplots(lines, columns, squeeze=False)
    for ax in grid.flat:
        ax.axis("off")
    for ax, image in zip(grid.flat, images, strict=False):
        _draw_shard_image(ax, image)
    return save_figure(figure, path)


def _draw_shard_image(ax: Axes, row: Mapping[str, Any]) -> None:
    if row["image_file"]["bytes"]:
        image = decode_image(row["image_file"]["bytes"], row["image_id"])
    else:
        image = read_image(Path(row["image_file"]["path"]))
    height, width = image.shape[:2]
    ax.imshow(image, extent=(0, width, height, 0))
    for person in row["people"]:
        x1, y1, x2, y2 = person["box"]
        ax.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], color="#ffcc00", linewidth=1)
        joints = np.reshape(person["joints_2d"], field_shape(SHARD_PERSON.field("joints_2d")))
        draw_pose_2d(ax, joints, np.array(person["state"], np.uint8), width=1.2)
        ax.text(
            x1, y1, f"{person['anchor_id']}", fontsize=6, color="black", backgroundcolor="#ffcc00"
        )
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.set_title(f"{row['image_id']} ({row['split']})", fontsize=7)
