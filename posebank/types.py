"""The data that flows between stages: frozen column records, validated when made.

Every record is a set of columns with one row per pose, person or anchor. Text columns are object
arrays of ``str``. In memory an optional number that is not known is NaN (or -1 for the optional
flag ``single_person``) and an optional text is ``""``; on disk each of them is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from posebank.errors import SettingsError
from posebank.skeleton import N_JOINTS, J, JointState, is_annotated

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "val", "test")

Texts = NDArray[np.object_]
TextColumn = str | Iterable[str]
"""One text for every row, or one for each."""


def texts(values: Iterable[str]) -> Texts:
    """Object array of ``str`` from any iterable of strings.

    Examples
    --------
    >>> texts(["a", "b"])
    array(['a', 'b'], dtype=object)
    """
    listed = list(values)
    array: Texts = np.empty(len(listed), dtype=np.object_)
    array[:] = listed
    return array


def _text_column(value: TextColumn, n: int) -> Texts:
    return texts([value] * n if isinstance(value, str) else value)


def _column(value: ArrayLike, dtype: DTypeLike, n: int, *tail: int) -> NDArray[Any]:
    """Return a column (n, *tail): ``value`` itself, or one value for every row repeated."""
    array = np.asarray(value, dtype)
    return array if array.ndim > len(tail) else np.broadcast_to(array, (n, *tail)).copy()


@dataclass(frozen=True)
class Records:
    """Columns of equal length. Subclasses name the columns and check their shapes."""

    def __post_init__(self) -> None:
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"{type(self).__name__}: expected columns of one length, got {lengths}"
            )

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def take(self, rows: NDArray[Any] | slice | Sequence[int]) -> Self:
        """The rows given by an index array, a boolean mask or a slice.

        Examples
        --------
        >>> people = People.from_joints(np.zeros((3, 13, 2)), image=["a.jpg", "b.jpg", "c.jpg"])
        >>> people.take([2, 0]).image.tolist()
        ['c.jpg', 'a.jpg']
        """
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            if not rows.size:  # an empty list is an array of floats
                rows = rows.astype(np.intp)
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """The parts (at least one), one after the other."""
        names = [f.name for f in fields(cls)]
        return cls(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with one row per record.

        Columns of joints and cameras hold one array in each cell.

        Examples
        --------
        >>> people = People.from_joints(np.full((2, 13, 2), 50.0), image=["a.jpg", "b.jpg"])
        >>> people.to_pandas()[["image", "split"]].values.tolist()
        [['a.jpg', 'train'], ['b.jpg', 'train']]
        """
        import pandas as pd  # noqa: PLC0415 - not needed to read shards

        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return pd.DataFrame({n: v if v.ndim == 1 else list(v) for n, v in columns.items()})

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._summary()}>"

    def _summary(self) -> str:
        """Counts and units, for ``repr``."""
        return f"{len(self):,} rows"

    def _expect(self, name: str, *tail: int) -> None:
        """Raise ValueError unless column ``name`` has shape (n, *tail)."""
        shape = getattr(self, name).shape
        if shape != (len(self), *tail):
            raise ValueError(
                f"{type(self).__name__}.{name}: expected shape {(len(self), *tail)}, got {shape}"
            )


@dataclass(frozen=True)
class MotionClip:
    """One MoCap clip, reduced to the 13 joints.

    joints : (n_frames, 13, 3) float64, metres, right-handed world with y up, absolute.
    frames : (n_frames,) int, frame numbers as in the source (some may have been lost).
    fps : frames per second of the source.
    lost : what was set aside while reading, in words.
    notes : what was guessed or completed while reading, in words.
    """

    dataset: str
    subject: str
    name: str
    joints: NDArray[np.float64]
    frames: NDArray[np.int64]
    fps: float
    source_sha256: str = ""
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.joints.shape != (len(self.frames), N_JOINTS, 3):
            raise ValueError(
                f"MotionClip.joints: expected shape {(len(self.frames), N_JOINTS, 3)}, "
                f"got {self.joints.shape}"
            )
        if not self.fps > 0:
            raise ValueError(f"MotionClip.fps: expected a positive rate, got {self.fps}")


@dataclass(frozen=True, repr=False)
class PoseBank(Records):
    """3D poses, one row each.

    joints_3d : (n, 13, 3) float32, metres, MoCap world axes (y up), relative to the body centre.
    pose_id : unique text, ``dataset/clip:frame``, with ``m`` after it for a mirrored pose.
    """

    pose_id: Texts
    dataset: Texts
    subject: Texts
    clip: Texts
    frame: NDArray[np.int32]
    time_s: NDArray[np.float32]
    mirrored: NDArray[np.bool_]
    joints_3d: NDArray[np.float32]
    source_sha256: Texts

    def _summary(self) -> str:
        clips = len(set(zip(self.dataset, self.clip, strict=True)))
        return f"{len(self):,} poses of {clips:,} clips, metres, y up"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect("joints_3d", N_JOINTS, 3)

    @classmethod
    def from_joints(
        cls,
        joints_3d: ArrayLike,
        *,
        pose_id: Iterable[str] | None = None,
        dataset: TextColumn = "own",
        subject: TextColumn = "1",
        clip: TextColumn = "clip",
        frame: ArrayLike | None = None,
        time_s: ArrayLike = 0.0,
        mirrored: ArrayLike = False,
        source_sha256: TextColumn = "",
    ) -> Self:
        """Build a bank from poses, with defaults for everything that is not given.

        A column that is the same for every pose may be given as one value.

        Parameters
        ----------
        joints_3d : ArrayLike (n, 13, 3), metres
            Y up, relative to the body centre.
        pose_id : sequence of str or None
            Unique texts; ``dataset/clip:frame``, with ``m`` for a mirrored pose, by
            default.
        dataset, subject, clip : TextColumn
            Where the poses are from.
        frame : ArrayLike (n,) or None
            Frame numbers; 0 to n - 1 by default.
        time_s : ArrayLike (n,)
            Seconds from the start of the clip.
        mirrored : ArrayLike (n,)
            Whether left and right were exchanged.
        source_sha256 : TextColumn
            Hash of the source file.

        Examples
        --------
        >>> bank = PoseBank.from_joints(np.zeros((2, 13, 3)), dataset="cmu", clip="walk")
        >>> bank.pose_id.tolist()
        ['cmu/walk:0', 'cmu/walk:1']
        """
        n = len(np.asarray(joints_3d))
        columns = {
            "dataset": _text_column(dataset, n),
            "subject": _text_column(subject, n),
            "clip": _text_column(clip, n),
            "frame": _column(np.arange(n) if frame is None else frame, np.int32, n),
            "time_s": _column(time_s, np.float32, n),
            "mirrored": _column(mirrored, np.bool_, n),
            "joints_3d": np.asarray(joints_3d, np.float32),
            "source_sha256": _text_column(source_sha256, n),
        }
        if pose_id is None:
            names = ("dataset", "clip", "frame", "mirrored")
            # Columns of unequal length are named by the check that every record makes.
            rows = zip(*(columns[name].tolist() for name in names), strict=False)
            pose_id = (f"{d}/{c}:{f}{'m' if m else ''}" for d, c, f, m in rows)
        return cls(pose_id=texts(pose_id), **columns)


@dataclass(frozen=True, repr=False)
class People(Records):
    """Annotated people, one row each.

    joints_2d : (n, 13, 2) float32, pixels, origin at the top-left corner of the top-left pixel;
        (0, 0) where ``state`` is 0.
    state : (n, 13) uint8, see ``JointState``.
    head_box : (n, 4) float32, x1 y1 x2 y2 in pixels, NaN where the source has none.
    scale : (n,) float32, person height / 200 px as in MPII, NaN where unknown.
    single_person : (n,) int8, 1 yes, 0 no, -1 unknown.
    image : file name as in the source, relative to the source's image folder.
    split : ``train``, ``val`` or ``test``.
    joints_3d : (n, 13, 3) float32, metres, camera axes, relative to the body centre; NaN unless
        the source measures 3D (Human3.6M).
    """

    person_id: Texts
    dataset: Texts
    split: Texts
    image: Texts
    image_width: NDArray[np.int32]
    image_height: NDArray[np.int32]
    joints_2d: NDArray[np.float32]
    state: NDArray[np.uint8]
    head_box: NDArray[np.float32]
    scale: NDArray[np.float32]
    single_person: NDArray[np.int8]
    group_id: Texts
    video_id: Texts
    joints_3d: NDArray[np.float32]

    def _summary(self) -> str:
        images = len(set(zip(self.dataset, self.image, strict=True)))
        joints = float(is_annotated(self.state).sum(axis=1).mean()) if len(self) else 0.0
        return (
            f"{len(self):,} people in {images:,} images, {joints:.1f} of {N_JOINTS} joints "
            "annotated, pixels"
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect("joints_2d", N_JOINTS, 2)
        self._expect("state", N_JOINTS)
        self._expect("head_box", 4)
        self._expect("joints_3d", N_JOINTS, 3)

    @classmethod
    def from_joints(
        cls,
        joints_2d: ArrayLike,
        state: ArrayLike | None = None,
        *,
        person_id: Iterable[str] | None = None,
        dataset: TextColumn = "own",
        split: TextColumn = "train",
        image: TextColumn = "",
        image_width: ArrayLike = 0,
        image_height: ArrayLike = 0,
        head_box: ArrayLike = np.nan,
        scale: ArrayLike = np.nan,
        single_person: ArrayLike = -1,
        group_id: TextColumn = "",
        video_id: TextColumn = "",
        joints_3d: ArrayLike = np.nan,
    ) -> Self:
        """Build people from their 2D joints, with defaults for everything that is not given.

        A column that is the same for every person may be given as one value.

        Parameters
        ----------
        joints_2d : ArrayLike (n, 13, 2), pixels
            NaN where a joint is missing, if ``state`` is not given.
        state : ArrayLike (n, 13) or None
            ``JointState``; by default every joint with finite coordinates is visible.
        person_id : sequence of str or None
            Unique texts; ``dataset/image/row`` by default.
        dataset, split, image, group_id, video_id : TextColumn
            Texts, see ``People``.
        image_width, image_height : ArrayLike (n,), pixels
            0 is unknown.
        head_box : ArrayLike (n, 4)
            Head box, x1 y1 x2 y2 in pixels; NaN where unknown.
        scale : ArrayLike (n,)
            Size of the person as the source states it; NaN where unknown.
        single_person : ArrayLike (n,)
            1 if the data set marks the person for the single-person protocol, 0 if not, -1
            unknown.
        joints_3d : ArrayLike (n, 13, 3)
            Measured 3D joints, metres, camera axes; NaN where unknown.

        Examples
        --------
        >>> joints = np.full((1, 13, 2), 50.0)
        >>> joints[0, 12] = np.nan
        >>> people = People.from_joints(joints, image="street.jpg")
        >>> people.person_id[0], people.state[0].tolist()
        ('own/street.jpg/0', [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0])
        """
        joints = np.array(joints_2d, np.float32)
        n = len(joints)
        if state is None:
            known = np.isfinite(joints).all(axis=-1)
            state = np.where(known, JointState.VISIBLE, JointState.MISSING)
        states = np.asarray(state, np.uint8)
        if states.shape == joints.shape[:-1]:  # else the check of shapes says what is wrong
            joints[states == JointState.MISSING] = 0.0
        columns = {
            "dataset": _text_column(dataset, n),
            "split": _text_column(split, n),
            "image": _text_column(image, n),
            "image_width": _column(image_width, np.int32, n),
            "image_height": _column(image_height, np.int32, n),
            "joints_2d": joints,
            "state": states,
            "head_box": _column(head_box, np.float32, n, 4),
            "scale": _column(scale, np.float32, n),
            "single_person": _column(single_person, np.int8, n),
            "group_id": _text_column(group_id, n),
            "video_id": _text_column(video_id, n),
            "joints_3d": _column(joints_3d, np.float32, n, N_JOINTS, 3),
        }
        if person_id is None:
            places = zip(columns["dataset"], columns["image"], strict=False)
            person_id = (f"{d}/{i}/{row}" for row, (d, i) in enumerate(places))
        return cls(person_id=texts(person_id), **columns)

    @classmethod
    def from_keypoints(
        cls,
        xy: ArrayLike,
        names: Sequence[str] | None = None,
        visible: ArrayLike | None = None,
        **columns: Any,
    ) -> Self:
        """Build people from the keypoints of a detector or an annotation tool.

        Parameters
        ----------
        xy : ArrayLike (n, n_keypoints, 2), pixels
            Keypoints of people; an array (n_keypoints, 2) is one person. A keypoint with NaN
            is missing.
        names : sequence of str or None
            The keypoints' names, in their order, in any common spelling
            (``left_wrist``, ``LWrist``, ...). By default the skeleton is known from the
            number of keypoints: COCO (17), OpenPose (18 and 25), MPII (16), Halpe (26)
            and WholeBody (133).
        visible : ArrayLike (n, n_keypoints) or None
            False where a keypoint is missing; a confidence is compared with 0. All are
            visible by default.
        **columns : Any
            Further columns, as for ``from_joints``.

        Raises
        ------
        SettingsError
            If the skeleton is not known, or no joint of the body is among the names.

        Examples
        --------
        >>> keypoints = np.arange(34.0).reshape(1, 17, 2)  # COCO
        >>> people = People.from_keypoints(keypoints)
        >>> people.state[0].tolist()  # COCO has no head top
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]
        >>> people.joints_2d[0, 0].tolist()  # the right ankle is COCO's last keypoint
        [32.0, 33.0]
        """
        from posebank.annotations.keypoints import UNNAMED, layout_of  # noqa: PLC0415 - uses types

        points = np.asarray(xy, np.float64)
        points = points[None] if points.ndim == 2 else points
        if points.ndim != 3 or points.shape[-1] != 2:
            raise SettingsError(f"xy: expected (n, n_keypoints, 2), found {np.shape(xy)}")
        n_keypoints = points.shape[1]
        if names is None:
            if n_keypoints not in UNNAMED:
                raise SettingsError(
                    f"xy: expected names with {n_keypoints} keypoints; without names "
                    f"{', '.join(map(str, UNNAMED))} keypoints are understood"
                )
            names = UNNAMED[n_keypoints][1]
        elif len(names) != n_keypoints:
            raise SettingsError(
                f"names: expected {n_keypoints}, one for each keypoint, found {len(names)}"
            )
        position = layout_of(names).position
        if not position:
            raise SettingsError(f"names: expected joints of the body, found {', '.join(names)}")
        flags = np.ones(points.shape[:2]) if visible is None else np.atleast_2d(np.asarray(visible))
        if flags.shape != points.shape[:2]:
            raise SettingsError(f"visible: expected {points.shape[:2]}, found {flags.shape}")
        points = np.where((flags > 0)[..., None], points, np.nan)
        joints = np.full((len(points), N_JOINTS, 2), np.nan)
        for name, place in position.items():
            joints[:, J[name]] = points[:, place]
        return cls.from_joints(joints, **columns)


@dataclass(frozen=True, repr=False)
class Matches(Records):
    """The k best bank poses of each person, best first.

    pose_row : (n, k) int64, row in the bank, -1 where fewer than k poses were found.
    rotation : (n, k, 3, 3) float64, world to camera axes.
    scale : (n, k) float64, pixels per metre.
    translation : (n, k, 2) float64, pixels, so that
        ``x_image = scale * (rotation @ X)[:2] + translation`` for body-centred X.
    error_norm : (n, k) float64, RMS residual over the annotated joints / RMS size of the query's
        annotated joints; inf where there is no match.
    error_mm : (n, k) float64, RMS residual / scale, millimetres. (Of matches read from a workspace,
        scale, translation and error_mm of ranks after the first are NaN: they are not kept.)
    n_annotated : (n,) int32
    gap : (n,) float64, certificate: no pose and camera within the settings can have an
        ``error_norm`` smaller than the best one minus ``gap``. 0 is exact, inf is unknown. With a
        camera prior, poses are ranked by its cost, and ``gap`` is of that.
    """

    person_id: Texts
    pose_row: NDArray[np.int64]
    rotation: NDArray[np.float64]
    scale: NDArray[np.float64]
    translation: NDArray[np.float64]
    error_norm: NDArray[np.float64]
    error_mm: NDArray[np.float64]
    n_annotated: NDArray[np.int32]
    gap: NDArray[np.float64]

    def _summary(self) -> str:
        k = self.pose_row.shape[1]
        mean = float(self.error_norm[:, 0].mean()) if len(self) else float("nan")
        return (
            f"{len(self):,} people, {k:,} candidates each, mean error {mean:.3f} of the person's "
            "size"
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pose_row.ndim != 2:
            raise ValueError(f"Matches.pose_row: expected (n, k), got {self.pose_row.shape}")
        k = self.pose_row.shape[1]
        self._expect("rotation", k, 3, 3)
        self._expect("scale", k)
        self._expect("translation", k, 2)
        self._expect("error_norm", k)
        self._expect("error_mm", k)


@dataclass(frozen=True)
class LabelKeys(Records):
    """Which person is in which image: the columns of ``Labels`` that place it in the shards."""

    person_id: Texts
    dataset: Texts
    split: Texts
    image: Texts


@dataclass(frozen=True, repr=False)
class Labels(Records):
    """Full-body 2D + 3D labels, one row per person.

    The first columns are those of ``People``, with ``joints_2d`` completed and ``state`` 3 for
    the joints that were filled in.

    joints_3d : (n, 13, 3) float32, metres, camera axes, relative to the body centre.
    camera_rotation : (n, 3, 3) float32; camera_scale : (n,) pixels per metre;
    camera_translation : (n, 2) pixels: the camera of the best match.
    error_norm, error_mm : the best match's.
    trust : (n,) float32 in [0, 1]; ambiguity_mm : (n,) float32.
    pose_id : the best match; provenance : matcher, estimator and what else made the label.
    """

    person_id: Texts
    dataset: Texts
    split: Texts
    image: Texts
    image_width: NDArray[np.int32]
    image_height: NDArray[np.int32]
    joints_2d: NDArray[np.float32]
    state: NDArray[np.uint8]
    head_box: NDArray[np.float32]
    scale: NDArray[np.float32]
    single_person: NDArray[np.int8]
    group_id: Texts
    video_id: Texts
    joints_3d: NDArray[np.float32]
    camera_rotation: NDArray[np.float32]
    camera_scale: NDArray[np.float32]
    camera_translation: NDArray[np.float32]
    error_norm: NDArray[np.float32]
    error_mm: NDArray[np.float32]
    trust: NDArray[np.float32]
    ambiguity_mm: NDArray[np.float32]
    pose_id: Texts
    provenance: Texts

    def _summary(self) -> str:
        known = len(self) > 0
        trust = float(self.trust.mean()) if known else float("nan")
        error = float(self.error_mm.mean()) if known else float("nan")
        return (
            f"{len(self):,} people, mean trust {trust:.2f}, mean matching error {error:.0f} mm; "
            "3D in metres, camera axes"
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect("joints_2d", N_JOINTS, 2)
        self._expect("state", N_JOINTS)
        self._expect("head_box", 4)
        self._expect("joints_3d", N_JOINTS, 3)
        self._expect("camera_rotation", 3, 3)
        self._expect("camera_translation", 2)

    @classmethod
    def from_people(
        cls,
        people: People,
        joints_3d: ArrayLike,
        *,
        joints_2d: ArrayLike | None = None,
        state: ArrayLike | None = None,
        camera_rotation: ArrayLike | None = None,
        camera_scale: ArrayLike = 1.0,
        camera_translation: ArrayLike = 0.0,
        error_norm: ArrayLike = 0.0,
        error_mm: ArrayLike = 0.0,
        trust: ArrayLike = 1.0,
        ambiguity_mm: ArrayLike = 0.0,
        pose_id: TextColumn = "",
        provenance: TextColumn = "measured",
    ) -> Self:
        """Build labels of people whose 3D pose is known, with defaults for the rest.

        A column that is the same for every person may be given as one value.

        Parameters
        ----------
        people : People
            Their annotations.
        joints_3d : ArrayLike (n, 13, 3), metres
            Camera axes, relative to the body centre.
        joints_2d, state : ArrayLike or None
            Completed; those of ``people`` by default.
        camera_rotation, camera_scale, camera_translation : ArrayLike or None
            The camera; by default it looks along the world's z axis and a metre is a
            pixel.
        error_norm, error_mm, trust, ambiguity_mm, pose_id, provenance : ArrayLike
            See ``Labels``.

        Examples
        --------
        >>> people = People.from_joints(np.ones((1, 13, 2)))
        >>> labels = Labels.from_people(people, np.zeros((1, 13, 3)), trust=0.5)
        >>> labels.trust.tolist(), labels.provenance.tolist()
        ([0.5], ['measured'])
        """
        n = len(people)
        columns = {f.name: getattr(people, f.name) for f in fields(people)}
        columns["joints_3d"] = np.asarray(joints_3d, np.float32)
        if joints_2d is not None:
            columns["joints_2d"] = np.asarray(joints_2d, np.float32)
        if state is not None:
            columns["state"] = np.asarray(state, np.uint8)
        rotation = np.eye(3) if camera_rotation is None else camera_rotation
        return cls(
            **columns,
            camera_rotation=_column(rotation, np.float32, n, 3, 3),
            camera_scale=_column(camera_scale, np.float32, n),
            camera_translation=_column(camera_translation, np.float32, n, 2),
            error_norm=_column(error_norm, np.float32, n),
            error_mm=_column(error_mm, np.float32, n),
            trust=_column(trust, np.float32, n),
            ambiguity_mm=_column(ambiguity_mm, np.float32, n),
            pose_id=_text_column(pose_id, n),
            provenance=_text_column(provenance, n),
        )


@dataclass(frozen=True, repr=False)
class Anchors(Records):
    """Anchor-poses: first the K full-body ones, then (if made) the K upper-body ones.

    kind : ``full`` or ``upper``.
    pose_2d : (n, 13, 2) float32, relative to the box ((0, 0) its top-left, (1, 1) its
        bottom-right corner); an upper-body anchor's legs lie below 1.
    pose_3d : (n, 13, 3) float32, metres, camera axes, relative to the body centre.
    count : (n,) int64, poses in the cluster.
    """

    anchor_id: NDArray[np.int32]
    kind: Texts
    pose_2d: NDArray[np.float32]
    pose_3d: NDArray[np.float32]
    count: NDArray[np.int64]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect("pose_2d", N_JOINTS, 2)
        self._expect("pose_3d", N_JOINTS, 3)


@dataclass(frozen=True, repr=False)
class Predictions(Records):
    """Poses found by a network, one row each; several rows may share an image.

    joints_2d : (n, 13, 2) float32 pixels; joints_3d : (n, 13, 3) float32 metres, camera axes,
    relative to the body centre; score : (n,) float32.
    """

    image_id: Texts
    joints_2d: NDArray[np.float32]
    joints_3d: NDArray[np.float32]
    score: NDArray[np.float32]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect("joints_2d", N_JOINTS, 2)
        self._expect("joints_3d", N_JOINTS, 3)
