"""Downloads against a real local HTTP server that honours Range and can break off."""

import http.server
import json
import threading
import zipfile
from pathlib import Path

import pytest

from posebank.errors import SourceError
from posebank.fetch import Download, fetch

CONTENT = bytes(range(256)) * 1200  # 307,200 bytes


class _Server(http.server.ThreadingHTTPServer):
    files: dict[str, bytes]
    break_after: int | None
    ranges: list[str | None]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(asked.split("=")[1].rstrip("-")) if asked else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        limit = self.server.break_after
        self.wfile.write(rest if limit is None else rest[:limit])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    archive = tmp_path / "clips.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("subjects/02/02.asf", "skeleton")
    server = _Server(("127.0.0.1", 0), _Handler)
    server.files = {"/data.bin": CONTENT, "/clips.zip": archive.read_bytes()}
    server.break_after, server.ranges = None, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def _downloads(server, *names):
    port = server.server_address[1]
    return {"toy": Download(tuple(f"http://127.0.0.1:{port}/{n}" for n in names), "free")}


def test_download_unpack_and_checksum(server, tmp_path):
    target = tmp_path / "out"
    files = fetch("toy", target, downloads=_downloads(server, "data.bin", "clips.zip"))
    assert files == [target / "data.bin", target / "clips"]
    assert (target / "data.bin").read_bytes() == CONTENT
    assert (target / "clips/subjects/02/02.asf").read_text() == "skeleton"
    assert set(json.loads((target / "checksums.json").read_text())) == {"data.bin", "clips.zip"}
    asked = len(server.ranges)
    fetch("toy", target, downloads=_downloads(server, "data.bin", "clips.zip"))
    assert len(server.ranges) == asked  # nothing is fetched again


def test_broken_download_is_resumed(server, tmp_path):
    server.break_after = 100_000
    with pytest.raises(SourceError, match="resumes it"):
        fetch("toy", tmp_path / "out", downloads=_downloads(server, "data.bin"))
    kept = (tmp_path / "out/data.bin.part").stat().st_size
    assert kept == 100_000
    server.break_after = None
    fetch("toy", tmp_path / "out", downloads=_downloads(server, "data.bin"))
    assert server.ranges[-1] == "bytes=100000-"
    assert (tmp_path / "out/data.bin").read_bytes() == CONTENT


def test_damaged_file_is_noticed(server, tmp_path):
    target = tmp_path / "out"
    fetch("toy", target, downloads=_downloads(server, "data.bin"))
    server.files["/data.bin"] = CONTENT[::-1]
    (target / "data.bin").write_bytes(b"other")
    with pytest.raises(SourceError, match="expected sha256"):
        fetch("toy", target, downloads=_downloads(server, "data.bin"))


def test_missing_file_is_one_clear_error(server, tmp_path):
    with pytest.raises(SourceError, match="404"):
        fetch("toy", Path(tmp_path) / "out", downloads=_downloads(server, "absent.zip"))
