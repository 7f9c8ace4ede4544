"""What predictions are scored against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from posebank import artefacts
from posebank.errors import ArtefactError
from posebank.evaluation.h36m_names import action_of
from posebank.parquet import read_parquet
from posebank.schemas import SHARD_PERSON, column_array
from posebank.skeleton import N_JOINTS
from posebank.types import Labels, People, Records, Texts, texts


@dataclass(frozen=True)
class GroundTruth(Records):
    """People whose joints are known, one row each; several may share an image.

    joints_2d : (n, 13, 2) pixels; state : (n, 13), only annotated joints are scored in 2D.
    joints_3d : (n, 13, 3) metres, camera axes; NaN where there is none.
    head_box : (n, 4) pixels, NaN where unknown. single_person : (n,) 1, 0 or -1 (unknown).
    group_id : group of people in the image, "" where there is none.
    provenance : where the 3D comes from; action : "" where unknown.
    """

    image_id: Texts
    person_id: Texts
    dataset: Texts
    joints_2d: NDArray[np.float32]
    state: NDArray[np.uint8]
    joints_3d: NDArray[np.float32]
    head_box: NDArray[np.float32]
    single_person: NDArray[np.int8]
    group_id: Texts
    action: Texts
    provenance: Texts

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect("joints_2d", N_JOINTS, 2)
        self._expect("state", N_JOINTS)
        self._expect("joints_3d", N_JOINTS, 3)
        self._expect("head_box", 4)


def sampling_units(truth: GroundTruth) -> Texts:
    """Return what the bootstrap draws (n,): a person's image; of Human3.6M the whole clip."""
    return texts(
        image.partition(".")[0] if dataset == "h36m" else image
        for dataset, image in zip(truth.dataset, truth.image_id, strict=True)
    )


def _people(table: pa.Table) -> tuple[pa.Table, NDArray[np.int64]]:
    """The people of all images as a table, and the row of each one's image."""
    people = table.column("people").combine_chunks()
    if isinstance(people, pa.ChunkedArray):
        people = people.chunk(0) if people.num_chunks else pa.array([], type=people.type)
    counts = people.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    flat = people.flatten()
    names = [
        "person_id",
        "joints_2d",
        "state",
        "joints_3d",
        "head_box",
        "single_person",
        "group_id",
        "provenance",
    ]
    schema = pa.schema([SHARD_PERSON.field(name) for name in names])
    columns = [flat.field(name) for name in names]
    return pa.Table.from_arrays(columns, schema=schema), np.repeat(np.arange(len(counts)), counts)


def _actions(datasets: Texts, images: Texts) -> Texts:
    return texts([action_of(d, i) for d, i in zip(datasets, images, strict=True)])


def ground_truth_from_shards(folder: Path, split: str | None = None) -> GroundTruth:
    """Return the ground truth of a split of the shards (by default of all); no image is read.

    Raises
    ------
    ArtefactError
        If the shards are missing or unfinished, or hold no person of that split.
    """
    manifest = artefacts.read_manifest(folder, "shards")
    columns = ["image_id", "dataset", "split", "people"]
    parts = []
    with artefacts.one_version(folder, manifest):
        for part in manifest.tables:
            rows = read_parquet(artefacts.part_path(folder, part), columns)
            parts.append(rows if split is None else rows.filter(pc.field("split") == split))
    table = pa.concat_tables(parts) if parts else None
    if table is None or table.num_rows == 0:
        raise ArtefactError(f"{folder}: expected images of split {split}, found none")
    people, image = _people(table)
    image_id = texts(table.column("image_id").to_pylist())
    dataset = texts(table.column("dataset").to_pylist())
    return GroundTruth(
        image_id=image_id[image],
        dataset=dataset[image],
        action=_actions(dataset, image_id)[image],
        **{name: column_array(people, name) for name in people.column_names},
    )


def ground_truth_from_labels(labels: Labels) -> GroundTruth:
    """Return the ground truth from labels; ``image_id`` is ``dataset/image`` as in the shards."""
    return GroundTruth(
        image_id=texts([f"{d}/{i}" for d, i in zip(labels.dataset, labels.image, strict=True)]),
        person_id=labels.person_id,
        dataset=labels.dataset,
        joints_2d=labels.joints_2d,
        state=labels.state,
        joints_3d=labels.joints_3d,
        head_box=labels.head_box,
        single_person=labels.single_person,
        group_id=labels.group_id,
        action=_actions(labels.dataset, labels.image),
        provenance=labels.provenance,
    )


def ground_truth_from_people(people: People) -> GroundTruth:
    """Return the ground truth from annotations: 2D, and the 3D that was measured (Human3.6M).

    Raises
    ------
    ArtefactError
        If there is nobody.
    """
    if not len(people):
        raise ArtefactError("ground truth: expected annotated people, found none")
    measured = np.asarray(np.isfinite(people.joints_3d).all(axis=(1, 2)))
    return GroundTruth(
        image_id=texts([f"{d}/{i}" for d, i in zip(people.dataset, people.image, strict=True)]),
        person_id=people.person_id,
        dataset=people.dataset,
        joints_2d=people.joints_2d,
        state=people.state,
        joints_3d=people.joints_3d,
        head_box=people.head_box,
        single_person=people.single_person,
        group_id=people.group_id,
        action=_actions(people.dataset, people.image),
        provenance=texts("measured" if m else "" for m in measured.tolist()),
    )
