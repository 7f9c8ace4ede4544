"""Everything the demo starts from, in the original formats, and the truth beside it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from posebank.artefacts import write_text_atomic
from posebank.demo.annotation_files import MpiiImage, lspe_joints, write_lspe, write_mpii
from posebank.demo.body import Floats, Subject, channels, make_subject, standing_on_ground
from posebank.demo.h36m_files import write_h36m
from posebank.demo.mocap_files import FPS, amc_text, asf_text, bvh_text, write_text
from posebank.demo.motions import REPERTOIRE, Motion, Performance, perform
from posebank.demo.render import background, random_clothes
from posebank.demo.scene import Person, aim_camera, any_motion, cast, shoot, side_by_side
from posebank.errors import SettingsError

_FOLDERS = ("cmu", "hdm05", "poseprior", "mpii", "lspe", "h36m")
_TRUTH, _MARKER = "truth.npz", "demo.json"
_JPEG_QUALITY = 90
MPII_SIZE = (256, 192)
# Names that no real subject or actor has: some of CMU's are known to be recorded at 60 Hz.
_FIRST_SUBJECT = 201
_HDM05_ACTORS = ("ga", "gb", "gc", "gd", "ge")
_PEOPLE_PER_IMAGE = (0.5, 0.32, 0.18)
# Pixels of a metre, from and to, with so many people in the image: they fill most of it.
_PIXELS_PER_METRE = {1: (75, 105), 2: (65, 95), 3: (55, 80)}
_MPII_TEST_SHARE = 0.04


@dataclass(frozen=True)
class DemoSize:
    """How much to generate. The default takes some 20 s on one core."""

    cmu_clips: int = 32
    hdm05_clips: int = 22
    poseprior_clips: int = 16
    clip_seconds: tuple[float, float] = (3.0, 6.0)
    mpii_images: int = 900
    lspe_people: int = 450
    h36m_clips: int = 45

    def __post_init__(self) -> None:
        counts = (
            self.cmu_clips,
            self.hdm05_clips,
            self.poseprior_clips,
            self.mpii_images,
            self.lspe_people,
            self.h36m_clips,
        )
        if min(counts) < 1:
            raise SettingsError(f"demo size: expected at least 1 of everything, got {self}")
        low, high = self.clip_seconds
        if not 0.05 <= low <= high:
            raise SettingsError(
                f"demo size: expected clip_seconds (shortest, longest) from 0.05 s, got {low, high}"
            )

    @staticmethod
    def tiny() -> DemoSize:
        """Return the amounts for tests: under 3 s of work."""
        return DemoSize(4, 3, 3, (0.6, 1.0), 10, 7, 3)


@dataclass(frozen=True)
class DemoSources:
    """Where everything was written: a folder for each source, and the truth."""

    cmu: Path
    hdm05: Path
    poseprior: Path
    mpii: Path
    lspe: Path
    h36m: Path
    truth: Path


@dataclass
class _Truth:
    """Truth columns, a row for each rendered person."""

    dataset: list[str] = field(default_factory=list)
    image: list[str] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)

    def add(self, dataset: str, image: str, people: Sequence[Person]) -> None:
        for index, person in enumerate(people):
            self.dataset.append(dataset)
            self.image.append(image)
            self.index.append(index)
            self.people.append(person)

    def write(self, path: Path) -> Path:
        p = self.people
        np.savez_compressed(
            path,
            dataset=np.array(self.dataset),
            image=np.array(self.image),
            index=np.array(self.index, np.int32),
            joints_3d=np.array([x.joints_3d for x in p], np.float32),
            joints_2d=np.array([x.joints_2d for x in p], np.float32),
            visible=np.array([x.visible for x in p]),
            inside=np.array([x.inside for x in p]),
            head_box=np.array([x.head_box for x in p], np.float32),
            pixels_per_metre=np.array([x.pixels_per_metre for x in p], np.float32),
            stature=np.array([x.stature for x in p], np.float32),
            motion=np.array([x.motion for x in p]),
        )
        return path


def write_demo_sources(folder: Path, seed: int, size: DemoSize | None = None) -> DemoSources:
    """Generate the demo's data sets.

    The people in the images are other people than the MoCap actors, in motions of all the
    repertoires, seen by perspective cameras, annotated with noise; each MoCap set holds motions of
    its own kind (``motions.REPERTOIRE``).

    Parameters
    ----------
    folder : Path
        Folder to write, made if it does not exist; ``cmu/subjects/NN``, ``hdm05``,
        ``poseprior``, ``mpii``, ``lspe``, ``h36m`` and
        ``truth.npz`` are written in it. Files of those names are replaced.
    seed : int
        Seed of everything; equal seeds and sizes give equal files, byte for byte.
    size : DemoSize or None
        Amounts of generated data; by default the demo's.

    Raises
    ------
    SettingsError
        If the folder cannot be made or written, or the seed is negative.
    """
    size = size or DemoSize()
    if seed < 0:
        raise SettingsError(f"demo seed: expected 0 or more, got {seed}")
    try:
        return _write_all(folder, seed, size)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _write_all(folder: Path, seed: int, size: DemoSize) -> DemoSources:
    streams = np.random.SeedSequence(seed).spawn(6)
    truth = _Truth()
    return DemoSources(
        cmu=_write_cmu(folder / "cmu", size, np.random.default_rng(streams[0])),
        hdm05=_write_hdm05(folder / "hdm05", size, np.random.default_rng(streams[1])),
        poseprior=write_poseprior(folder / "poseprior", size, np.random.default_rng(streams[2])),
        mpii=_write_mpii(folder / "mpii", size, truth, np.random.default_rng(streams[3])),
        lspe=_write_lspe(folder / "lspe", size, truth, np.random.default_rng(streams[4])),
        h36m=write_h36m(
            folder / "h36m",
            size.h36m_clips,
            np.random.default_rng(streams[5]),
            quality=_JPEG_QUALITY,
        ),
        truth=truth.write(folder / _TRUTH),
    )


def demo_sources(folder: Path, seed: int, size: DemoSize | None = None) -> DemoSources:
    """Call ``write_demo_sources``, unless the same data are already in the folder.

    ``demo.json`` in the folder says what made it, from before the first file is written; it is
    complete only after the last. Data of another seed, size or version of the generator, and data
    left unfinished, are replaced as a whole.

    Raises
    ------
    SettingsError
        As ``write_demo_sources``, and if the folder holds data that the demo did not make.
    """
    size = size or DemoSize()
    made_by = {"seed": seed, "size": asdict(size), "generator": _generator_version()}
    wanted = json.dumps(made_by, indent=1) + "\n"
    marker = folder / _MARKER
    paths = {name: folder / name for name in _FOLDERS}
    if marker.is_file():
        if marker.read_text(encoding="utf-8") == wanted:
            return DemoSources(**paths, truth=folder / _TRUTH)
        for path in paths.values():  # files of a larger size would otherwise stay and be read
            shutil.rmtree(path, ignore_errors=True)
    elif any(path.exists() for path in paths.values()):
        raise SettingsError(
            f"{folder}: expected a folder without data of its own, found data that the demo did "
            f"not make (no {_MARKER}); choose another workspace"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text_atomic(marker, "unfinished\n")
    except OSError as error:
        raise _unwritable(folder, error) from error
    sources = write_demo_sources(folder, seed, size)
    write_text_atomic(marker, wanted)
    return sources


def _unwritable(folder: Path, error: OSError) -> SettingsError:
    reason = error.strerror or str(error)
    return SettingsError(f"{folder}: expected a folder that can be written, found: {reason}")


def _generator_version() -> str:
    """Hash of the code that generates the data."""
    package = Path(__file__).parent
    return hashlib.sha256(
        b"".join(p.read_bytes() for p in sorted(package.glob("*.py")))
    ).hexdigest()


def _clips(n: int, dataset: str, rng: np.random.Generator) -> list[Motion]:
    """Motions of n clips: the whole repertoire in random order, again and again."""
    motions: list[Motion] = []
    while len(motions) < n:
        repertoire = REPERTOIRE[dataset]
        motions += [repertoire[i] for i in rng.permutation(len(repertoire))]
    return motions[:n]


def _record(
    subject: Subject, motion: Motion, size: DemoSize, rng: np.random.Generator
) -> tuple[Performance, Floats]:
    """A performance at the MoCap rate and the root's path (n, 3) in metres."""
    seconds = rng.uniform(*size.clip_seconds)
    performance = perform(motion, np.arange(int(seconds * FPS)) / FPS, rng)
    height = standing_on_ground(subject, channels(performance.angles_deg), performance.up)
    facing = np.deg2rad(performance.angles_deg[:, 0])
    root = np.stack(
        [performance.forward * np.sin(facing), height, performance.forward * np.cos(facing)], axis=1
    )
    root[:, [0, 2]] += rng.uniform(-1, 1, 2)
    return performance, root


def _write_cmu(folder: Path, size: DemoSize, rng: np.random.Generator) -> Path:
    n_subjects = max(2, size.cmu_clips // 6)
    numbers = [str(_FIRST_SUBJECT + i) for i in range(n_subjects)]
    subjects = [make_subject(n, rng) for n in numbers]
    for subject in subjects:
        write_text(_cmu_file(folder, subject, f"{subject.name}.asf"), asf_text(subject))
    trials = dict.fromkeys(numbers, 0)
    for i, motion in enumerate(_clips(size.cmu_clips, "cmu", rng)):
        subject = subjects[i % n_subjects]
        trials[subject.name] += 1
        performance, root = _record(subject, motion, size, rng)
        write_text(
            _cmu_file(folder, subject, f"{subject.name}_{trials[subject.name]:02d}.amc"),
            amc_text(channels(performance.angles_deg), root, f"{subject.name}.ASF"),
        )
    return folder


def _cmu_file(folder: Path, subject: Subject, name: str) -> Path:
    return folder / "subjects" / subject.name / name


def _write_hdm05(folder: Path, size: DemoSize, rng: np.random.Generator) -> Path:
    n_actors = min(len(_HDM05_ACTORS), max(2, size.hdm05_clips // 5))
    actors = [make_subject(name, rng) for name in _HDM05_ACTORS[:n_actors]]
    for actor in actors:
        write_text(folder / f"HDM_{actor.name}.asf", asf_text(actor))
    takes: dict[tuple[str, str], int] = {}
    for i, motion in enumerate(_clips(size.hdm05_clips, "hdm05", rng)):
        actor = actors[i % n_actors]
        first, *rest = motion.__name__.split("_")
        name = first + "".join(word.capitalize() for word in rest)
        take = takes[actor.name, name] = takes.get((actor.name, name), 0) + 1
        performance, root = _record(actor, motion, size, rng)
        write_text(
            folder / f"HDM_{actor.name}_{name}_{take:03d}_120.amc",
            amc_text(channels(performance.angles_deg), root, f"HDM_{actor.name}.asf"),
        )
    return folder


def write_poseprior(
    folder: Path,
    size: DemoSize,
    rng: np.random.Generator,
    motions: Sequence[Motion] | None = None,
) -> Path:
    """Write BVH clips in the form of Pose Prior, a folder for each subject.

    Parameters
    ----------
    folder : Path
        Folder to write.
    size : DemoSize
        Number of clips, and their length.
    rng : Generator
        Source of the subjects and the performances.
    motions : sequence of Motion or None
        Motion of each clip; by default those of Pose Prior.

    Returns
    -------
    The folder.
    """
    if motions is None:
        motions = _clips(size.poseprior_clips, "poseprior", rng)
    n_subjects = max(2, len(motions) // 5)
    subjects = [make_subject(f"{n:05d}", rng) for n in range(1, n_subjects + 1)]
    for i, motion in enumerate(motions):
        subject = subjects[i % n_subjects]
        performance, root = _record(subject, motion, size, rng)
        rom = motion.__name__ == "limits_of_joints"
        name = f"{'rom' if rom else motion.__name__}_{i:02d}.bvh"
        write_text(
            folder / subject.name / name,
            bvh_text(subject, performance.angles_deg, root, range_of_motion=rom),
        )
    return folder


def _write_mpii(folder: Path, size: DemoSize, truth: _Truth, rng: np.random.Generator) -> Path:
    """Videos of some images each: the same people and scenery, other moments and cameras."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[MpiiImage] = []
    video = 0
    while len(images) < size.mpii_images:
        video += 1
        n_people = 1 + int(rng.choice(3, p=_PEOPLE_PER_IMAGE))
        subjects = [make_subject(f"v{video:04d}p{i}", rng) for i in range(n_people)]
        looks = [random_clothes(rng) for _ in subjects]
        motions = [any_motion(rng) for _ in subjects]
        scenery = background(MPII_SIZE, rng)
        train = bool(rng.random() >= _MPII_TEST_SHARE)
        for second in range(min(int(rng.integers(1, 4)), size.mpii_images - len(images))):
            places = side_by_side(n_people, rng)
            actors = [
                cast(s, look, motion, place, rng)
                for s, look, motion, place in zip(subjects, looks, motions, places, strict=True)
            ]
            tall = rng.uniform(*_PIXELS_PER_METRE[n_people])
            camera = aim_camera(
                actors, rng, size=MPII_SIZE, tall=tall, off_centre=0.15 if n_people == 1 else 0.08
            )
            photo = shoot(actors, camera, scenery, rng, occluder=bool(rng.random() < 0.2))
            name = f"{len(images) + 1:09d}.jpg"
            photo.image.save(folder / "images" / name, quality=_JPEG_QUALITY)
            truth.add("mpii", name, photo.people)
            images.append(
                MpiiImage(
                    name, photo.people, f"generated{video:04d}", second, motions[0].__name__, train
                )
            )
    write_mpii(folder / "mpii_human_pose_v1_u12_1.mat", images, rng)
    return folder


def _write_lspe(folder: Path, size: DemoSize, truth: _Truth, rng: np.random.Generator) -> Path:
    """One person in each image, cut out around the person, now and then through the person."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    everyone = []
    for number in range(1, size.lspe_people + 1):
        subject = make_subject(f"l{number:05d}", rng)
        actor = cast(subject, random_clothes(rng), any_motion(rng), np.zeros(3), rng)
        tall = rng.uniform(70, 115)
        first = aim_camera([actor], rng, size=(2, 2), tall=tall, off_centre=0.0)
        pixels = first.project(first.to_camera(actor.joints))
        margin = rng.uniform(0.04, 0.3, (2, 2)) * tall
        if rng.random() < 0.2:
            margin[rng.integers(2), rng.integers(2)] = -rng.uniform(0.05, 0.3) * tall
        low, high = pixels.min(0) - margin[0] - 0.1 * tall, pixels.max(0) + margin[1] + 0.1 * tall
        w, h = np.maximum(np.ceil(high - low), 40).astype(int)
        centre = (float(first.centre[0] - low[0]), float(first.centre[1] - low[1]))
        camera = replace(first, centre=centre, size=(int(w), int(h)))
        photo = shoot(
            [actor], camera, background(camera.size, rng), rng, occluder=bool(rng.random() < 0.15)
        )
        name = f"im{number:05d}.jpg"
        photo.image.save(folder / "images" / name, quality=_JPEG_QUALITY)
        truth.add("lspe", name, photo.people)
        everyone.append(lspe_joints(photo.people[0], rng))
    write_lspe(folder / "joints.mat", everyone)
    return folder
