"""Unpack archives that come from elsewhere: bounded, checked, and whole or not at all."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
import uuid
import zipfile
import zlib
from pathlib import Path

from posebank.errors import SourceError

ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar")
_LARGEST_RATIO = 200
"""Unpacked size over packed size. Text of MoCap reaches 10; an archive bomb more than 1,000."""
_SMALL = 64 << 20
"""Bytes that any archive may unpack to."""
_CHUNK = 1 << 20


def is_archive(path: Path) -> bool:
    """Return whether a file's name says that it is an archive."""
    return path.name.lower().endswith(ARCHIVES)


def archive_stem(path: Path) -> str:
    """Return an archive's name without its ending."""
    suffix = next(s for s in ARCHIVES if path.name.lower().endswith(s))
    return path.name[: -len(suffix)]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive into a new folder.

    It is unpacked beside the folder, which then gets its name: an interrupted unpacking leaves
    nothing, and every checksum in the archive has been compared before the folder appears.

    Raises
    ------
    SourceError
        If the file is not an archive, is damaged or encrypted, holds a path outside its folder or
        one that the file system refuses, or unpacks to more than the disk or the bound on its
        size allows.
    """
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir(parents=True)
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, temporary)
        else:
            _unpack_tar(archive, temporary)
        temporary.rename(folder)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        NotImplementedError,  # a method of compression that Python does not have
        RuntimeError,  # encrypted
        ValueError,
    ) as error:
        raise SourceError(archive, f"expected an archive: {error}") from error
    except OSError as error:
        # gzip's own errors have no errno; the others are the file system's.
        reason = error.strerror or str(error)
        raise SourceError(archive, f"cannot be unpacked: {reason}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_size(archive: Path, size: int, folder: Path) -> None:
    packed = archive.stat().st_size
    if size > max(_SMALL, _LARGEST_RATIO * packed):
        raise SourceError(
            archive,
            f"expected at most {_LARGEST_RATIO} times its {packed:,} bytes when unpacked, "
            f"found {size:,}",
        )
    free = shutil.disk_usage(folder).free
    if size > free:
        raise SourceError(
            archive, f"needs {size:,} bytes of disk to be unpacked, but only {free:,} are free"
        )


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        # zipfile reads no more of a member than its stated size, and compares its CRC.
        _check_size(archive, sum(member.file_size for member in packed.infolist()), folder)
        packed.extractall(folder)


def _unpack_tar(archive: Path, folder: Path) -> None:
    zipped = archive.name.lower().endswith((".gz", ".tgz"))
    with gzip.open(archive) if zipped else archive.open("rb") as stream:
        with tarfile.open(fileobj=stream, mode="r|") as packed:
            size = 0
            for member in packed:
                size += member.size
                _check_size(archive, size, folder)
                packed.extract(member, folder, filter="data")
        while stream.read(_CHUNK):  # to the end, where gzip has its checksum
            pass
