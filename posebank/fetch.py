"""Downloading public data sets: resumed, checked, unpacked; or how to get them by hand."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pooch

from posebank.artefacts import file_sha256, write_text_atomic
from posebank.errors import SourceError

Progress = Callable[[str, int, int], None]
_CHUNK = 1 << 20
_CHECKSUMS = "checksums.json"

_HDM05 = "http://resources.mpi-inf.mpg.de/HDM05"
_HDM05_ACTORS = ("bd", "bk", "dg", "mm", "tr")
_HDM05_SCENES = (
    "01-01", "01-02", "01-03", "01-04", "02-01", "02-02", "02-03", "03-01", "03-02", "03-03",
    "03-04", "03-05", "03-08", "03-09", "03-10", "03-11", "04-01", "05-01", "05-02", "05-03",
)  # fmt: skip


@dataclass(frozen=True)
class Download:
    """A data set: the files that may be downloaded, its terms, and what is left to do by hand."""

    urls: tuple[str, ...]
    terms: str
    by_hand: str = ""


DOWNLOADS: Mapping[str, Download] = {
    "cmu": Download(
        ("http://mocap.cs.cmu.edu/allasfamc.zip",),
        "Free to use; not to be resold itself. Acknowledge mocap.cs.cmu.edu, NSF EIA-0196217.",
    ),
    "hdm05": Download(
        (
            *(f"{_HDM05}/asf/HDM_{actor}.asf" for actor in _HDM05_ACTORS),
            *(f"{_HDM05}/{scene}/HDM_{scene}_amc.zip" for scene in _HDM05_SCENES),
        ),
        "CC BY-SA 3.0; cite report CG-2007-2.",
    ),
    "poseprior": Download(
        (),
        "Non-commercial research.",
        "Register at https://poseprior.is.tue.mpg.de, download the MoCap data (BVH), unpack it, "
        "then: posebank ingest poseprior FOLDER",
    ),
    "mpii": Download(
        (
            "https://datasets.d2.mpi-inf.mpg.de/andriluka14cvpr/mpii_human_pose_v1_u12_2.zip",
            "https://datasets.d2.mpi-inf.mpg.de/andriluka14cvpr/mpii_human_pose_v1.tar.gz",
        ),
        "Research, non-commercial.",
    ),
    "lspe": Download(
        ("http://sam.johnson.io/research/lspet_dataset.zip",),
        "Cite Johnson & Everingham 2011.",
    ),
    "lsp": Download(
        ("http://sam.johnson.io/research/lsp_dataset.zip",), "Cite Johnson & Everingham 2010."
    ),
    "coco": Download(
        (
            "http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
            "http://images.cocodataset.org/zips/train2017.zip",
            "http://images.cocodataset.org/zips/val2017.zip",
        ),
        "Annotations CC BY 4.0; each image has its own licence.",
    ),
    "h36m": Download(
        (),
        "Academic use, by registration.",
        "Register at http://vision.imar.ro/human3.6m, download the D2 and D3 poses (CDF) and the "
        "videos, then: posebank annotate h36m FOLDER",
    ),
}


def download(url: str, target: Path, progress: Progress | None = None) -> None:
    """Download a file; a partial one left by an earlier try (``NAME.part``) is continued.

    Raises
    ------
    SourceError
        If the server does not answer or the file ends early; what has come is kept.
    """
    partial = target.with_name(target.name + ".part")
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            resumed = answer.status == 206
            have = have if resumed else 0
            total = have + int(answer.headers.get("Content-Length") or 0)
            with partial.open("ab" if resumed else "wb") as file:
                while chunk := answer.read(_CHUNK):
                    file.write(chunk)
                    have += len(chunk)
                    if progress:
                        progress(target.name, have, total)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:  # 416: the partial file was whole already
            raise SourceError(url, f"the server answers {error.code} {error.reason}") from error
        total = have
    except (OSError, ValueError) as error:
        raise SourceError(
            url, f"download broke off after {have:,} bytes ({error}); the same command resumes it"
        ) from error
    if total and have < total:
        raise SourceError(
            url, f"expected {total:,} bytes, got {have:,}; the same command resumes it"
        )
    os.replace(partial, target)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack beside the target, then rename: an interrupted unpacking leaves nothing."""
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(temporary)
        else:
            with tarfile.open(archive) as packed_tar:
                packed_tar.extractall(temporary, filter="data")
        os.replace(temporary, folder)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise SourceError(archive, f"expected an archive: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def fetch(
    dataset: str,
    folder: Path,
    *,
    downloads: Mapping[str, Download] = DOWNLOADS,
    progress: Progress | None = None,
) -> list[Path]:
    """Download and unpack a data set into ``folder``; what is there already is only checked.

    The sha256 of each file is recorded in ``checksums.json`` when it first arrives, and a file is
    held to it from then on: the publishers give no checksums of their own.

    Returns
    -------
    The files and unpacked folders.

    Raises
    ------
    SourceError
        If a download fails or a file does not have its recorded checksum.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / _CHECKSUMS
    known: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    made = []
    for url in downloads[dataset].urls:
        name = url.rsplit("/", 1)[1]
        expected = known.get(name)
        try:
            path = Path(
                pooch.retrieve(
                    url,
                    known_hash=f"sha256:{expected}" if expected else None,
                    fname=name,
                    path=folder,
                    downloader=partial(_into, resumable=folder / name, progress=progress),
                )
            )
        except ValueError as error:
            raise SourceError(
                folder / name, f"expected sha256 {expected}, found another; remove it: {error}"
            ) from error
        if expected is None:
            known[name] = file_sha256(path)
            write_text_atomic(record, json.dumps(known, indent=1, sort_keys=True))
        if name.endswith((".zip", ".tar.gz")):
            unpacked = folder / name.removesuffix(".zip").removesuffix(".tar.gz")
            if not unpacked.exists():
                _unpack(path, unpacked)
            made.append(unpacked)
        else:
            made.append(path)
    return made


def _into(
    url: str, output: str, _pooch: object, *, resumable: Path, progress: Progress | None
) -> None:
    """Download to a resumable name, then hand the file to pooch under the name it asked for."""
    download(url, resumable, progress)
    os.replace(resumable, output)
