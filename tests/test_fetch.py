"""Downloads against a real local HTTP server that can be slow, break off, and lie."""

import gzip
import http.server
import io
import json
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from posebank.errors import SourceError
from posebank.fetch import DOWNLOADS, Download, Expected, Retries, check_layout, fetch, plan
from posebank.fetch.unpack import unpack
from posebank_cli.main import main

CONTENT = bytes(range(256)) * 1200  # 307,200 bytes
QUICK = Retries(count=2, backoff_s=0.001)
ONCE = Retries(count=0, backoff_s=0.0)
SKELETON = Path(__file__).parent / "missing.asf"


class _Server(http.server.ThreadingHTTPServer):
    """Serves ``files``; the other attributes say how it misbehaves."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.tag = '"one"'  # ETag
        self.cut_after: list[int] = []  # bytes after which each next answer breaks off
        self.refuse: list[int] = []  # status of each next answer
        self.ignore_range = False
        self.shift_range = 0  # bytes by which a partial answer starts too late
        self.content_type = "application/octet-stream"
        self.requests: list[tuple[str, str | None, str | None]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_HEAD(self):
        body = self.server.files.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()

    def do_GET(self):
        server = self.server
        asked, version = self.headers.get("Range"), self.headers.get("If-Range")
        server.requests.append((self.path, asked, version))
        if server.refuse:
            self.send_error(server.refuse.pop(0))
            return
        body = server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        partial = asked and not server.ignore_range and version in (None, server.tag)
        start = int(asked.split("=")[1].rstrip("-")) if partial else 0
        if partial and start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start += server.shift_range if partial else 0
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("Content-Type", server.content_type)
        if server.tag:
            self.send_header("ETag", server.tag)
        self.end_headers()
        rest = body[start:]
        self.wfile.write(rest[: server.cut_after.pop(0)] if server.cut_after else rest)
        self.close_connection = True

    def log_message(self, *args):
        pass


def _zip(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return packed.getvalue()


@pytest.fixture
def server():
    server = _Server()
    server.files = {"/data.bin": CONTENT, "/clips.zip": _zip(subjects__02__clip=b"motion" * 9)}
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def _dataset(server, *names, **more):
    return Download(tuple(server.url(name) for name in names), "free", **more)


def test_download_unpack_and_checksum(server, tmp_path):
    dataset = _dataset(server, "data.bin", "clips.zip")
    assert plan(dataset, tmp_path / "out").size == len(CONTENT) + len(server.files["/clips.zip"])
    made = fetch(dataset, tmp_path / "out", retries=QUICK)
    assert made == [tmp_path / "out/data.bin", tmp_path / "out/clips"]
    assert made[0].read_bytes() == CONTENT
    assert (made[1] / "subjects/02/clip").read_bytes() == b"motion" * 9
    assert not (tmp_path / "out/clips.zip").exists()
    assert set(json.loads((tmp_path / "out/checksums.json").read_text())) == {
        "data.bin",
        "clips.zip",
    }
    assert plan(dataset, tmp_path / "out").urls == ()
    asked = len(server.requests)
    assert fetch(dataset, tmp_path / "out", retries=QUICK) == made
    assert len(server.requests) == asked  # nothing is downloaded again


def test_archive_is_kept_on_request_and_images_left_out(server, tmp_path):
    dataset = _dataset(server, "data.bin", "clips.zip", images=frozenset({server.url("data.bin")}))
    made = fetch(dataset, tmp_path, annotations_only=True, keep_archives=True, retries=QUICK)
    assert made == [tmp_path / "clips"]
    assert (tmp_path / "clips.zip").exists()
    assert not (tmp_path / "data.bin").exists()


def test_connection_that_breaks_off_is_continued_in_the_same_command(server, tmp_path):
    server.cut_after = [100_000, 50_000]
    seen = []
    fetch(
        _dataset(server, "data.bin"),
        tmp_path,
        retries=QUICK,
        progress=lambda name, done, total: seen.append((name, done, total)),
    )
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert [asked for _, asked, _ in server.requests] == [None, "bytes=100000-", "bytes=150000-"]
    assert [version for *_, version in server.requests] == [None, '"one"', '"one"']
    assert seen[-1] == ("data.bin", len(CONTENT), len(CONTENT))


def test_broken_download_is_resumed_by_the_next_command(server, tmp_path):
    server.cut_after = [100_000]
    with pytest.raises(SourceError, match=r"after 100,000 bytes in 1 tries .* resumes it"):
        fetch(_dataset(server, "data.bin"), tmp_path, retries=ONCE)
    fetch(_dataset(server, "data.bin"), tmp_path, retries=ONCE)
    assert server.requests[-1][1] == "bytes=100000-"
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checksums.json", "data.bin"]


def test_two_versions_of_a_file_are_never_mixed(server, tmp_path):
    server.cut_after = [100_000]
    with pytest.raises(SourceError):
        fetch(_dataset(server, "data.bin"), tmp_path, retries=ONCE)
    server.files["/data.bin"], server.tag = CONTENT[::-1], '"two"'
    fetch(_dataset(server, "data.bin"), tmp_path, retries=ONCE)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT[::-1]


def test_without_a_version_a_partial_file_is_started_again(server, tmp_path):
    server.tag, server.cut_after = "", [100_000]
    fetch(_dataset(server, "data.bin"), tmp_path, retries=QUICK)
    assert [asked for _, asked, _ in server.requests] == [None, None]
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["ignores ranges", "sends another range", "has a shorter file"])
def test_lying_server_gives_the_right_bytes(server, tmp_path, fault):
    server.cut_after = [100_000]
    with pytest.raises(SourceError):
        fetch(_dataset(server, "data.bin"), tmp_path, retries=ONCE)
    if fault == "ignores ranges":
        server.ignore_range = True
    elif fault == "sends another range":
        server.shift_range = 7
    else:
        server.files["/data.bin"] = CONTENT[:90_000]
    fetch(_dataset(server, "data.bin"), tmp_path, retries=QUICK)
    assert (tmp_path / "data.bin").read_bytes() == server.files["/data.bin"]


def test_busy_server_is_asked_again(server, tmp_path):
    server.refuse = [503, 500]
    fetch(_dataset(server, "data.bin"), tmp_path, retries=QUICK)
    assert len(server.requests) == 3


def test_server_that_stays_busy_or_refuses_is_one_clear_error(server, tmp_path):
    with pytest.raises(SourceError, match=r"absent\.zip: the server answers 404"):
        fetch(_dataset(server, "absent.zip"), tmp_path, retries=QUICK)
    server.refuse = [503] * 9
    with pytest.raises(SourceError, match="the server answers 503"):
        fetch(_dataset(server, "data.bin"), tmp_path, retries=QUICK)


def test_no_server_is_one_clear_error(tmp_path):
    nobody = Download(("http://127.0.0.1:9/data.bin",), "free")
    with pytest.raises(SourceError, match=r"broke off after 0 bytes .*refused"):
        fetch(nobody, tmp_path, retries=ONCE)
    assert plan(nobody, tmp_path, retries=ONCE).size is None


def test_damaged_file_is_noticed(server, tmp_path):
    fetch(_dataset(server, "data.bin"), tmp_path, retries=QUICK)
    (tmp_path / "data.bin").write_bytes(b"other")
    with pytest.raises(SourceError, match="expected sha256"):
        fetch(_dataset(server, "data.bin"), tmp_path, retries=QUICK)


@pytest.mark.parametrize("name", ["clips.zip", "HDM_xx.asf"])
def test_a_login_page_is_refused_and_does_not_lock_the_good_file_out(server, tmp_path, name):
    good = {"clips.zip": server.files["/clips.zip"], "HDM_xx.asf": b""}[name]
    server.files[f"/{name}"] = b"\n<!DOCTYPE html><html><body>Log in</body></html>"
    with pytest.raises(SourceError, match="found a web page"):
        fetch(_dataset(server, name), tmp_path, retries=QUICK)
    assert list(tmp_path.iterdir()) == []
    if good:
        server.files[f"/{name}"] = good
        assert fetch(_dataset(server, name), tmp_path, retries=QUICK) == [tmp_path / "clips"]


def test_a_skeleton_that_cannot_be_parsed_is_refused(server, tmp_path):
    server.files["/HDM_xx.asf"] = b"not a skeleton"
    with pytest.raises(SourceError, match="downloaded file was removed"):
        fetch(_dataset(server, "HDM_xx.asf"), tmp_path, retries=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_damaged_archive_is_removed_and_fetched_anew(server, tmp_path):
    good = server.files["/clips.zip"]
    server.files["/clips.zip"] = good[:40] + bytes([good[40] ^ 255]) + good[41:]
    with pytest.raises(SourceError, match="downloaded file was removed"):
        fetch(_dataset(server, "clips.zip"), tmp_path, retries=QUICK)
    server.files["/clips.zip"] = good
    assert fetch(_dataset(server, "clips.zip"), tmp_path, retries=QUICK) == [tmp_path / "clips"]


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 5}', "[" * 100_000])
def test_broken_record_of_checksums_is_one_line(server, tmp_path, content):
    (tmp_path / "checksums.json").write_text(content)
    with pytest.raises(SourceError, match=r"checksums\.json: expected") as error:
        fetch(_dataset(server, "data.bin"), tmp_path, retries=QUICK)
    assert "\n" not in str(error.value)


def _tar(path: Path, name: str, content: bytes, *, size: int | None = None) -> Path:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content) if size is None else size
        archive.addfile(member, io.BytesIO(content + bytes(max(0, member.size - len(content)))))
    path.write_bytes(gzip.compress(packed.getvalue()))
    return path


def _encrypted(path: Path) -> Path:
    raw = bytearray(_zip(a=b"content"))
    raw[6] |= 1  # the flag in the local header, and in the directory
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda p: _encrypted(p / "a.zip"),
        lambda p: _tar(p / "a.tar.gz", "../outside", b"x"),
        lambda p: _tar(p / "a.tar.gz", "n" * 5000, b"x"),
        lambda p: _tar(p / "bomb.tar.gz", "zeros", b"", size=80 << 20),
        lambda p: (p / "a.tar.gz").write_bytes(b"junk") and p / "a.tar.gz",
        lambda p: (p / "a.zip").write_bytes(_zip(**{"n" * 5000: b"x"})) and p / "a.zip",
    ],
    ids=["encrypted", "outside", "long tar name", "bomb", "junk", "long zip name"],
)
def test_odd_archives_are_one_clear_error_and_leave_nothing(tmp_path, make):
    archive = make(tmp_path)
    with pytest.raises(SourceError, match=archive.name) as error:
        unpack(archive, tmp_path / "out")
    assert len(str(error.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == [archive]


def test_gzip_checksum_is_read_to_the_end(tmp_path):
    archive = _tar(tmp_path / "a.tar.gz", "clip", b"motion" * 50)
    raw = bytearray(archive.read_bytes())
    raw[-6] ^= 1  # of the CRC
    archive.write_bytes(raw)
    with pytest.raises(SourceError, match="CRC"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_layout_is_checked(tmp_path):
    dataset = Download((), "free", layout=(Expected("**/*.bvh", "motions (BVH)"),))
    assert check_layout(dataset, tmp_path)[0] == []
    (tmp_path / "actor").mkdir()
    for name in ("a.bvh", "b.bvh", "c.txt"):
        (tmp_path / "actor" / name).touch()
    assert check_layout(dataset, tmp_path) == (["2 files: motions (BVH)"], [])


def test_command_says_terms_and_steps_and_checks_the_folder(tmp_path):
    def run(*more):
        return CliRunner().invoke(main, ["fetch", "poseprior", "-o", str(tmp_path), *more])

    shown = run().output
    assert "Non-commercial" in shown
    assert "1. Register at" in shown
    assert "missing motions (BVH)" in shown
    (tmp_path / "clip.bvh").touch()
    assert f"Next: posebank ingest poseprior {tmp_path}" in run().output
    assert json.loads(run("--json").stdout)["found"] == ["1 files: motions (BVH)"]


def test_command_downloads_and_says_sizes_first(server, tmp_path, monkeypatch):
    dataset = _dataset(server, "clips.zip", layout=(Expected("**/clip", "motions"),), then="next")
    monkeypatch.setitem(DOWNLOADS, "cmu", dataset)
    shown = CliRunner().invoke(main, ["fetch", "cmu", "-o", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    assert lines[0] == "Terms: free"
    assert lines[1].startswith(f"1 files to download, {len(server.files['/clips.zip'])} bytes; ")
    assert "found 1 files: motions" in lines
