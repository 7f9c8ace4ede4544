"""A small sample of photographs and motion capture, of our own making, for tutorials and tests."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebank.annotations import read_annotations
from posebank.annotations.mapping import COCO_NAMES
from posebank.artefacts import write_text_atomic
from posebank.demo.body import make_subject
from posebank.demo.motions import Motion
from posebank.demo.render import background, random_clothes
from posebank.demo.scene import Person, aim_camera, any_motion, cast, shoot
from posebank.demo.sources import DemoSize, write_poseprior
from posebank.images import read_image
from posebank.mocap import (
    BankSettings,
    add_mirrored,
    discover,
    drop_near_duplicates,
    poses_from_clip,
    read_clip,
)
from posebank.skeleton import J
from posebank.types import People, PoseBank

_SIZE = (240, 200)
_CLIPS = 12
_VERSION = 2  # of the sample; another one is written anew


@dataclass(frozen=True)
class SampleData:
    """A sample on disk, and read.

    folder : holds ``bvh/``, ``images/`` and ``keypoints.json`` (COCO keypoints).
    bank : poses of the BVH clips.
    people : the annotated people, one in each image.
    """

    folder: Path
    bank: PoseBank
    people: People

    def image(self, row: int) -> NDArray[np.uint8]:
        """Return the image (height, width, 3) of a person."""
        return read_image(self.folder / "images" / self.people.image[row])


def sample_data(folder: Path | str | None = None, n_images: int = 6, seed: int = 0) -> SampleData:
    """Write and read a small sample: rendered photographs with COCO keypoints, and BVH clips.

    Parameters
    ----------
    folder : Path or str or None
        Where to write; a temporary folder that the system clears by default. A sample that
        is complete there already is only read.
    n_images : int
        Photographs, each of one person.
    seed : int
        Equal seeds give equal samples.

    Returns
    -------
    The folder and what it holds.

    Examples
    --------
    >>> import posebank as pb
    >>> data = pb.sample_data()
    >>> len(data.people), data.image(0).shape
    (6, (200, 240, 3))
    """
    if folder is None:
        folder = Path(tempfile.gettempdir()) / f"posebank-sample-{_VERSION}-{n_images}-{seed}"
    folder = Path(folder)
    marker = folder / "sample.json"
    made_by = json.dumps({"version": _VERSION, "n_images": n_images, "seed": seed})
    if not (marker.is_file() and marker.read_text("utf-8") == made_by):
        rng = np.random.default_rng(seed)
        motions = [any_motion(rng) for _ in range(_CLIPS)]
        write_poseprior(folder / "bvh", DemoSize(clip_seconds=(2.0, 3.0)), rng, motions)
        _write_photographs(folder, n_images, motions, rng)
        write_text_atomic(marker, made_by)
    read = read_annotations("coco", folder / "keypoints.json")
    return SampleData(folder, _read_bank(folder / "bvh"), read.people)


def _read_bank(folder: Path) -> PoseBank:
    settings = BankSettings()  # as `posebank ingest` has them
    clips = [read_clip(source) for source in discover("poseprior", [folder])[0]]
    poses = PoseBank.concat([poses_from_clip(clip, settings)[0] for clip in clips])
    return add_mirrored(drop_near_duplicates(poses, settings.min_distance_mm))


def _write_photographs(
    folder: Path, n_images: int, motions: Sequence[Motion], rng: np.random.Generator
) -> None:
    """Photograph other people, at other moments of the motions that the clips have."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(1, n_images + 1):
        motion = motions[number % len(motions)]
        actor = cast(make_subject(f"s{number}", rng), random_clothes(rng), motion, np.zeros(3), rng)
        camera = aim_camera([actor], rng, size=_SIZE, tall=95.0, off_centre=0.05)
        photo = shoot([actor], camera, background(_SIZE, rng), rng, occluder=number % 3 == 0)
        name = f"photo{number}.jpg"
        photo.image.save(folder / "images" / name, quality=90)
        width, height = _SIZE
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        annotations.append(_coco_person(number, photo.people[0]))
    sides = {"l_": "left_", "r_": "right_"}
    names = [sides.get(name[:2], name[:2]) + name[2:] for name in COCO_NAMES]
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }
    write_text_atomic(folder / "keypoints.json", json.dumps(content))


def _coco_person(number: int, person: Person) -> dict[str, object]:
    """COCO annotation: joints that are visible, with 0 for the face, which is not known."""
    keypoints: list[float] = []
    for name in COCO_NAMES:
        known = name in J and bool(person.visible[J[name]])
        x, y = person.joints_2d[J[name]].tolist() if known else (0.0, 0.0)
        keypoints += [round(x, 2), round(y, 2), 2 if known else 0]
    low, high = person.joints_2d.min(axis=0), person.joints_2d.max(axis=0)
    width, height = (high - low).tolist()
    return {
        "id": number,
        "image_id": number,
        "category_id": 1,
        "iscrowd": 0,
        "area": width * height,
        "bbox": [*low.tolist(), width, height],
        "keypoints": keypoints,
        "num_keypoints": sum(1 for v in keypoints[2::3] if v),
    }
