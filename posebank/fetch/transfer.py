"""Download one file over HTTP: resumed, retried, and never mixed from two versions."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from posebank.errors import SourceError

Progress = Callable[[str, int, int], None]
"""Called as progress(file name, bytes so far, bytes in all or 0 where unknown)."""

_CHUNK = 1 << 16  # what a connection that is reset can lose
_TIMEOUT_S = 60
_BUSY = (408, 429, 500, 502, 503, 504)
_PARTIAL, _RANGE_NOT_SATISFIABLE = 206, 416


@dataclass(frozen=True)
class Retries:
    """How often a download is tried again, and how long to wait before: doubled each time."""

    count: int = 4
    backoff_s: float = 1.0


def session(retries: Retries) -> requests.Session:
    """Return an HTTP session that tries again where a server is busy or does not answer."""
    policy = Retry(
        total=retries.count,
        backoff_factor=retries.backoff_s,
        status_forcelist=_BUSY,
        raise_on_status=False,
    )
    opened = requests.Session()
    for scheme in ("http://", "https://"):
        opened.mount(scheme, HTTPAdapter(max_retries=policy))
    # The bytes as they are on the server: sizes and ranges count those.
    opened.headers["Accept-Encoding"] = "identity"
    return opened


def remote_size(client: requests.Session, url: str) -> int | None:
    """Return the size that the server states for a file, None where it states none."""
    try:
        answer = client.head(url, timeout=_TIMEOUT_S, allow_redirects=True)
    except requests.RequestException:
        return None
    length = answer.headers.get("Content-Length", "")
    return int(length) if answer.ok and length.isdigit() else None


def download(
    client: requests.Session,
    url: str,
    target: Path,
    retries: Retries | None = None,
    progress: Progress | None = None,
) -> None:
    """Download a file to ``target``, continuing a partial one from an earlier try.

    The partial file is ``NAME.part``, with the server's version of it (ETag or date) in
    ``NAME.part.json``. It is continued only if the server still has that version.

    Parameters
    ----------
    client : requests.Session
        From ``session``.
    url : str
        Address of the file.
    target : Path
        Where the file goes when it is complete.
    retries : Retries or None
        How often to try again after a connection that broke off.
    progress : callable or None
        Called for every piece that arrives.

    Raises
    ------
    SourceError
        If the server refuses, or the connection breaks off in every try. The partial file is
        kept.
    """
    retries = retries or Retries()
    part = target.with_name(f"{target.name}.part")
    for attempt in range(retries.count + 1):
        try:
            _continue(client, url, part, progress)
            break
        except (requests.RequestException, HTTPError, _Truncated) as error:
            size = part.stat().st_size if part.exists() else 0
            if attempt == retries.count:
                raise SourceError(
                    url,
                    f"the download broke off after {size:,} bytes in {attempt + 1} tries "
                    f"({_short(error)}); the same command resumes it",
                ) from error
            time.sleep(retries.backoff_s * 2**attempt)
    os.replace(part, target)
    _version_file(part).unlink(missing_ok=True)


class _Truncated(Exception):
    """Fewer bytes arrived than the server announced."""


def _continue(client: requests.Session, url: str, part: Path, progress: Progress | None) -> None:
    """Append what is missing to the partial file, or start it again."""
    have, version = _partial_state(part)
    headers = {"Range": f"bytes={have}-", "If-Range": version} if have else {}
    with client.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
        if answer.status_code == _RANGE_NOT_SATISFIABLE and have:
            if _total(answer) == have:
                return
            _discard(part)
            raise _Truncated("the file on the server is now shorter")
        if not answer.ok:
            raise SourceError(url, f"the server answers {answer.status_code} {answer.reason}")
        resumed = answer.status_code == _PARTIAL
        if resumed and _first_byte(answer) != have:
            _discard(part)
            raise _Truncated("the server sent another part of the file than was requested")
        if not resumed:
            have = 0
        _remember_version(part, answer)
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else 0
        answer.raw.enforce_content_length = False  # else the bytes before a break are lost
        with part.open("ab" if resumed else "wb") as file:
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                if progress:
                    progress(part.name.removesuffix(".part"), have, total)
    if total and have < total:
        raise _Truncated(f"expected {total:,} bytes")


def _partial_state(part: Path) -> tuple[int, str]:
    """Size and version of the partial file; size 0 where it cannot be continued safely."""
    try:
        version = json.loads(_version_file(part).read_text("utf-8"))["version"]
        size = part.stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return 0, ""
    return (size, version) if isinstance(version, str) and version else (0, "")


def _remember_version(part: Path, answer: requests.Response) -> None:
    tag = answer.headers.get("ETag", "")
    # A weak tag does not promise equal bytes, and may not be used with If-Range.
    version = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
    _version_file(part).write_text(json.dumps({"version": version}), "utf-8")


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)


def _first_byte(answer: requests.Response) -> int:
    """First byte of a partial answer, from ``Content-Range: bytes 5-9/10``; -1 if not stated."""
    first = answer.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
    return int(first) if first.isdigit() else -1


def _total(answer: requests.Response) -> int:
    """Size of the file, from ``Content-Range: bytes */10``; -1 if not stated."""
    total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdigit() else -1


def _short(error: Exception) -> str:
    """The innermost reason of an error of requests, without its object addresses."""
    while error.args and isinstance(error.args[0], Exception):
        error = error.args[0]
    reason = getattr(error, "reason", None)
    return str(reason if isinstance(reason, Exception) else error).rpartition(">: ")[2]
