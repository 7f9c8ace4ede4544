"""Fetch a data set: what is missing of it, checked before it counts as there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from posebank.artefacts import file_sha256, write_text_atomic
from posebank.errors import SourceError
from posebank.fetch.catalogue import Download
from posebank.fetch.transfer import Progress, Retries, download, remote_size, session
from posebank.fetch.unpack import archive_stem, is_archive, unpack

CHECKSUMS = "checksums.json"
_SNIFF = 512
_UNPACKED_RATIO = 2.0
"""Disk that an archive and its content need together, over the archive, about."""


@dataclass(frozen=True)
class FetchPlan:
    """What a fetch will do.

    urls : files that are not there yet.
    size : bytes to download, None where the server does not say for each file.
    free : bytes free on the disk.
    """

    urls: tuple[str, ...]
    size: int | None
    free: int

    @property
    def disk(self) -> int | None:
        """Bytes of disk needed, about: the archives and what is unpacked from them."""
        return None if self.size is None else int(_UNPACKED_RATIO * self.size)


def plan(
    dataset: Download,
    folder: Path,
    *,
    annotations_only: bool = False,
    retries: Retries | None = None,
) -> FetchPlan:
    """Return what must be downloaded, how large it is, and the disk that is free.

    Parameters
    ----------
    dataset : Download
        An entry of ``DOWNLOADS``.
    folder : Path
        Where the data set goes; it need not exist.
    annotations_only : bool
        Leave out archives that hold images only.
    retries : Retries or None
        How often to ask a server that does not answer.
    """
    urls = tuple(u for u in _urls(dataset, annotations_only) if not _is_there(folder, u))
    with session(retries or Retries()) as client:
        sizes = [remote_size(client, url) for url in urls]
    known = [size for size in sizes if size is not None]
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    return FetchPlan(
        urls,
        sum(known) if len(known) == len(sizes) else None,
        shutil.disk_usage(existing).free,
    )


def fetch(
    dataset: Download,
    folder: Path,
    *,
    annotations_only: bool = False,
    keep_archives: bool = False,
    retries: Retries | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Download and unpack a data set into ``folder``; what is there already is only checked.

    The sha256 of each file is recorded in ``checksums.json`` once the file has been unpacked or
    parsed, and the file is compared with it from then on: the publishers state no checksums. A
    file that cannot be unpacked or parsed is removed, so that the same command gets it again.

    Parameters
    ----------
    dataset : Download
        An entry of ``DOWNLOADS``.
    folder : Path
        Made where it does not exist.
    annotations_only : bool
        Leave out archives that hold images only.
    keep_archives : bool
        Keep each archive after it has been unpacked.
    retries : Retries or None
        How often to try again.
    progress : callable or None
        Called for every piece that arrives.

    Returns
    -------
    The files and unpacked folders.

    Raises
    ------
    SourceError
        If a download fails, or a file is not what it should be.
    """
    retries = retries or Retries()
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with session(retries) as client:
        for url in _urls(dataset, annotations_only):
            made.append(_fetch_file(client, url, folder, keep_archives, retries, progress))
    return made


def check_layout(dataset: Download, folder: Path) -> tuple[list[str], list[str]]:
    """Compare a folder with what the data set should hold.

    Returns
    -------
    What was found, in words, with numbers; and what is missing.
    """
    found, missing = [], []
    for expected in dataset.layout:
        count = sum(1 for path in folder.glob(expected.pattern) if path.is_file())
        if count:
            found.append(f"{count:,} files: {expected.what}")
        else:
            missing.append(f"{expected.what}: expected {folder / expected.pattern}, found none")
    return found, missing


def _urls(dataset: Download, annotations_only: bool) -> Sequence[str]:
    return [u for u in dataset.urls if not (annotations_only and u in dataset.images)]


def _name(url: str) -> str:
    return url.rsplit("/", 1)[1]


def _is_there(folder: Path, url: str) -> bool:
    path = folder / _name(url)
    return (folder / archive_stem(path)).is_dir() if is_archive(path) else path.exists()


def _fetch_file(
    client: requests.Session,
    url: str,
    folder: Path,
    keep_archives: bool,
    retries: Retries,
    progress: Progress | None,
) -> Path:
    path = folder / _name(url)
    known = _recorded(folder)
    if path.exists() and path.name in known:
        if (found := file_sha256(path)) != known[path.name]:
            raise SourceError(
                path, f"expected sha256 {known[path.name]}, found {found}; remove it to get it anew"
            )
    elif not path.exists() and not _is_there(folder, url):
        download(client, url, path, retries, progress)
    made = folder / archive_stem(path) if is_archive(path) else path
    if path.exists():
        try:
            _verify(path, made)
        except SourceError as error:
            path.unlink()
            raise SourceError(url, f"{error.reason}; the downloaded file was removed") from error
        known[path.name] = file_sha256(path)
        write_text_atomic(folder / CHECKSUMS, json.dumps(known, indent=1, sort_keys=True))
        if made != path and not keep_archives:
            path.unlink()
    return made


def _recorded(folder: Path) -> dict[str, str]:
    """The checksums recorded in the folder."""
    record = folder / CHECKSUMS
    if not record.exists():
        return {}
    try:
        known = json.loads(record.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SourceError(record, f"expected JSON: {error}; remove it to record anew") from error
    if not isinstance(known, dict) or not all(isinstance(v, str) for v in known.values()):
        raise SourceError(record, "expected a sha256 for each file name; remove it to record anew")
    return known


def _verify(path: Path, made: Path) -> None:
    """Unpack an archive, parse a skeleton; SourceError where the content is something else."""
    with path.open("rb") as file:
        start = file.read(_SNIFF).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise SourceError(
            path, f"expected a {path.suffix} file, found a web page (a login or an error page?)"
        )
    if is_archive(path):
        if not made.is_dir():
            unpack(path, made)
    elif path.suffix == ".asf":
        # Brings numba, for which ``posebank fetch --help`` should not wait.
        from posebank.mocap.asf import read_asf  # noqa: PLC0415

        read_asf(path)
