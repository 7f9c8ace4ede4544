"""Sampled views: the cameras, and the persisted FAISS index of the fully annotated case."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from posebank.artefacts import atomic_path
from posebank.errors import ArtefactError, SettingsError, SourceError
from posebank.files import check_regular, read_json
from posebank.geometry.cameras import CameraLimits, sample_rotations
from posebank.matching.settings import MAX_K, MatchSettings
from posebank.skeleton import N_JOINTS
from posebank.types import PoseBank

_DESCRIPTION = "index.json"
_ROTATIONS = "views.npy"
_SHARD_VECTORS = 1 << 20
_TRAINING_VECTORS = 39  # a list at least, as FAISS wants it
_RECALL_QUERIES = 512


def _faiss() -> Any:
    """FAISS, imported when an index is made or read: the other matchers do without it."""
    import faiss  # noqa: PLC0415

    return faiss


def view_rotations(settings: MatchSettings) -> NDArray[np.float64]:
    """The sampled cameras (n_views, 3, 3) of these settings, the same for every pose."""
    rng = np.random.default_rng(settings.seed)
    return sample_rotations(settings.n_views, settings.limits, rng)


def view_vectors(
    joints: NDArray[np.float32], rotations: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Every pose in every view, centred, of norm 1: (n_poses * n_views, 26), pose by pose."""
    centred = joints - joints.mean(axis=1, keepdims=True)
    flat = np.einsum("njd,vcd->nvjc", centred, rotations[:, :2].astype(np.float32), optimize=True)
    flat = flat.reshape(-1, N_JOINTS * 2)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    return np.ascontiguousarray(flat)


@dataclass(frozen=True)
class ViewIndex:
    """A persisted index of a bank's views, in FAISS files that are mapped, not read, into memory.

    rotations : (n_views, 3, 3); bank_content : fingerprint of the bank it was built from.
    probes : lists searched of an inverted file, 0 for an exact index; recall : part of the nearest
        views that it finds first, 1 where it is exact.
    """

    folder: Path
    rotations: NDArray[np.float64]
    n_poses: int
    poses_per_shard: int
    n_views: int
    probes: int
    limits: CameraLimits
    seed: int
    bank_content: str
    recall: float

    @cached_property
    def _shards(self) -> list[Any]:
        shards = []
        for number in range(-(-self.n_poses // self.poses_per_shard)):
            path = self.folder / _shard_name(number)
            try:
                shards.append(_faiss().read_index(str(path), _faiss().IO_FLAG_MMAP))
            except RuntimeError as error:
                raise ArtefactError(f"{path}: expected a FAISS index, found {error}") from error
        return shards

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_shards"}

    def search(
        self, vectors: NDArray[np.float32], k: int, device: str = "cpu"
    ) -> NDArray[np.int64]:
        """Ids ``pose_row * n_views + view`` of the k nearest views, best first.

        Parameters
        ----------
        vectors : array (n, 26)
            Queries: 2D poses, centred and of norm 1.
        k : int
            Number of views to return for each, at most 2048.
        device : str
            As in ``MatchSettings``. GPUs (all that FAISS sees) hold one file of the index at a
            time.

        Returns
        -------
        (n, min(k, n_poses * n_views))

        Raises
        ------
        SettingsError
            If k is above what FAISS offers on every device.
        """
        if k > MAX_K:
            raise SettingsError(f"k: expected at most {MAX_K} views, found {k}")
        scores, ids, on_gpus = [], [], _uses_gpus(device)
        for number, stored in enumerate(self._shards):
            shard = _faiss().index_cpu_to_all_gpus(stored) if on_gpus else stored
            some, found = shard.search(vectors, min(k, stored.ntotal))
            scores.append(some)
            ids.append(found + number * self.poses_per_shard * self.n_views)
        score, row = np.concatenate(scores, axis=1), np.concatenate(ids, axis=1)
        order = np.lexsort((row, -score), axis=1)[:, :k]
        return np.take_along_axis(row, order, axis=1)

    def fits(self, settings: MatchSettings, n_poses: int) -> None:
        """Raise ArtefactError unless the index holds the views that the settings ask for."""
        settings_then = (self.n_views, self.probes, self.limits, self.seed, self.n_poses)
        settings_now = (settings.n_views, settings.probes, settings.limits, settings.seed, n_poses)
        if settings_then != settings_now:
            raise ArtefactError(
                f"{self.folder}: expected an index with (n_views, probes, limits, seed, poses) = "
                f"{settings_now}, found {settings_then}; build it again"
            )


def _uses_gpus(device: str) -> bool:
    """Whether FAISS is to search on GPUs; SettingsError where it should and sees none."""
    has_gpu = device != "cpu" and _faiss().get_num_gpus() > 0
    if device == "cuda" and not has_gpu:
        raise SettingsError(
            "device: expected a GPU that FAISS can use, found none; use cpu or auto"
        )
    return has_gpu


def _shard_name(number: int) -> str:
    return f"views-{number:05d}.faiss"


def _inverted_file(vectors: NDArray[np.float32], probes: int) -> Any:
    """A FAISS index that compares a query with the vectors of ``probes`` lists alone."""
    n_lists = max(1, min(int(4 * len(vectors) ** 0.5), len(vectors) // _TRAINING_VECTORS))
    lists = _faiss().IndexFlatIP(vectors.shape[1])
    index = _faiss().IndexIVFFlat(lists, vectors.shape[1], n_lists, _faiss().METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.nprobe = probes
    return index


def _recall(index: Any, vectors: NDArray[np.float32], seed: int) -> float:
    """Part of noisy views whose nearest vector the index finds, against an exact one."""
    rng = np.random.default_rng(seed)
    some = vectors[rng.integers(0, len(vectors), _RECALL_QUERIES)]
    some = some + rng.normal(0, 0.05, some.shape).astype(np.float32)
    exact = _faiss().IndexFlatIP(vectors.shape[1])
    exact.add(vectors)
    return float((index.search(some, 1)[1] == exact.search(some, 1)[1]).mean())


def index_blocks(n_poses: int, settings: MatchSettings) -> list[tuple[int, int]]:
    """Cut the poses of a bank into blocks (first, last + 1) with at most a million views each."""
    size = _poses_per_block(settings)
    return [(start, min(start + size, n_poses)) for start in range(0, n_poses, size)]


def _poses_per_block(settings: MatchSettings) -> int:
    return max(1, _SHARD_VECTORS // settings.n_views)


def build_index_block(
    bank: PoseBank, block: tuple[int, int], number: int, folder: Path, settings: MatchSettings
) -> tuple[Path, float]:
    """Write the FAISS index of the views of one of ``index_blocks``, whole or not at all.

    Parameters
    ----------
    bank : PoseBank
        The whole bank.
    block : (int, int)
        First pose, and the pose after the last.
    number : int
        Number of the block.
    folder : Path
        An existing folder.
    settings : MatchSettings
        As of ``build_index``.

    Returns
    -------
    path : Path
        The file.
    recall : float
        Part of the nearest views that the index finds; 1 without ``probes``.
    """
    vectors = view_vectors(bank.joints_3d[slice(*block)], view_rotations(settings))
    if settings.probes:
        shard = _inverted_file(vectors, settings.probes)
    else:
        shard = _faiss().IndexFlatIP(N_JOINTS * 2)
    shard.add(vectors)
    path = folder / _shard_name(number)
    with atomic_path(path) as temporary:
        _faiss().write_index(shard, str(temporary))
    return path, _recall(shard, vectors, settings.seed) if settings.probes else 1.0


def finish_index(
    n_poses: int, folder: Path, settings: MatchSettings, bank_content: str, recall: float
) -> list[Path]:
    """Write what an index needs besides its blocks; return the files.

    Parameters
    ----------
    n_poses : int
        Poses of the bank.
    folder : Path
        Folder of the blocks.
    settings, bank_content
        As of ``build_index``.
    recall : float
        Mean of the blocks.
    """
    np.save(folder / _ROTATIONS, view_rotations(settings))
    description = {
        "n_poses": n_poses,
        "poses_per_shard": _poses_per_block(settings),
        "n_views": settings.n_views,
        "probes": settings.probes,
        "recall": recall,
        "limits": asdict(settings.limits),
        "seed": settings.seed,
        "bank_content": bank_content,
    }
    text = json.dumps(description, indent=1)
    (folder / _DESCRIPTION).write_text(text, encoding="utf-8", newline="\n")
    return [folder / _DESCRIPTION, folder / _ROTATIONS]


def build_index(bank: PoseBank, folder: Path, settings: MatchSettings, bank_content: str) -> float:
    """Write the FAISS index of a bank's sampled views into a folder.

    At most a million views are in memory at once; each such block is a file of its own.

    Parameters
    ----------
    bank : PoseBank
        Poses to project, at least one.
    folder : Path
        An existing folder, such as an artefact's staging folder.
    settings : MatchSettings
        Number of views, probes, camera limits and seed are used.
    bank_content : str
        Fingerprint of the bank, which ``load_index`` compares.

    Returns
    -------
    Part of the nearest views that the index finds; 1 without ``probes``.

    Raises
    ------
    ArtefactError
        If the bank is empty.
    """
    if len(bank) == 0:
        raise ArtefactError("bank: expected at least one pose, found none")
    blocks = index_blocks(len(bank), settings)
    recalls = [
        build_index_block(bank, block, number, folder, settings)[1]
        for number, block in enumerate(blocks)
    ]
    recall = float(np.mean(recalls))
    finish_index(len(bank), folder, settings, bank_content, recall)
    return recall


@dataclass(frozen=True)
class _Description:
    """The content of ``index.json``."""

    n_poses: int
    poses_per_shard: int
    n_views: int
    probes: int
    recall: float
    limits: CameraLimits
    seed: int
    bank_content: str


def _check_description(found: _Description, rotations: NDArray[Any]) -> None:
    if not (0 < found.n_poses < 1 << 40 and found.poses_per_shard > 0 and found.probes >= 0):
        raise ValueError(f"numbers out of their range: {found}")
    expected = (found.n_views, 3, 3)
    if rotations.shape != expected or rotations.dtype != np.float64:
        raise ValueError(f"rotations of {rotations.shape} {rotations.dtype}, not {expected}")
    if not (np.abs(rotations) < 1.01).all():  # false for NaN as well
        raise ValueError("numbers in the rotations that no rotation has")


def load_index(folder: Path, bank_content: str | None = None) -> ViewIndex:
    """Open an index that ``build_index`` wrote.

    Raises
    ------
    ArtefactError
        If there is none, or it was built from another bank than ``bank_content`` (both named).
    """
    try:
        found = msgspec.convert(read_json(folder / _DESCRIPTION), _Description)
        check_regular(folder / _ROTATIONS)
        # Mapped, so that the size that the array states is compared with the file's.
        rotations = np.array(np.load(folder / _ROTATIONS, mmap_mode="r", allow_pickle=False))
        _check_description(found, rotations)
    except SourceError as error:
        raise ArtefactError(f"{error.where}: expected an index: {error.reason}") from error
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise ArtefactError(f"{folder}: expected an index, found {error!s:.200}") from error
    values = {field.name: getattr(found, field.name) for field in fields(_Description)}
    index = ViewIndex(folder, rotations, **values)
    if bank_content is not None and index.bank_content != bank_content:
        raise ArtefactError(
            f"{folder}: expected the index of bank {bank_content}, "
            f"found that of bank {index.bank_content}; build it again"
        )
    return index
