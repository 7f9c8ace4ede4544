"""Files from elsewhere: bounds, kinds, depth."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from posebank.annotations.h5_arrays import read_h5_array
from posebank.annotations.matfile import load_mat
from posebank.errors import SettingsError, SourceError
from posebank.files import check_regular, most_unpacked, read_json, read_toml
from posebank.mocap import discover
from posebank_pipelines.config import load_config


@pytest.mark.parametrize(
    ("size", "most"), [(1, 64 << 20), (1 << 20, 100 << 20), (1 << 40, 2 << 30)]
)
def test_unpacked_content_is_bounded_by_the_file(size: int, most: int) -> None:
    assert most_unpacked(size) == most


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a": 1', "doc.json:1: expected JSON"),
        ('{"a": ' + "9" * 5000 + "}", "4300 digits"),
        ("\ud800", "codec"),
    ],
)
def test_json_that_cannot_be_parsed_is_one_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "doc.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SourceError, match=message) as error:
        read_json(path)
    assert len(str(error.value)) < len(str(path)) + 250


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = " + "9" * 5000, "4300 digits"),
        ("a = 1\na = 2\n\n", "expected TOML, found Cannot overwrite"),
        ("\ud800", "codec"),
    ],
)
def test_configuration_that_cannot_be_parsed_is_one_error(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SettingsError, match=message):
        load_config(path)


def test_toml_of_any_length_is_not_read() -> None:
    with pytest.raises(SourceError, match="at most 16,777,216 bytes"):
        read_toml(Path("/dev/zero"))


def test_fifos_and_devices_are_not_opened(tmp_path: Path) -> None:
    fifo = tmp_path / "01_01.amc"
    os.mkfifo(fifo)
    os.mkfifo(tmp_path / "01.asf")
    os.mkfifo(tmp_path / "walk.bvh")
    for path in (fifo, Path("/dev/zero"), tmp_path):
        with pytest.raises(SourceError, match=r"found a (FIFO, socket or device|folder)"):
            check_regular(path)
    for dataset in ("cmu", "bvh"):
        with pytest.raises(SourceError, match=f"expected {dataset} clips"):
            discover(dataset, [tmp_path])
    fifo.unlink()
    fifo.write_text(":FULLY-SPECIFIED\n:DEGREES\n1\n")
    clips, rejected = discover("cmu", [tmp_path])
    assert not clips
    assert "expected an ASF" in rejected[0].reason


def _compressed_mat(path: Path, stated: int, content: bytes) -> None:
    packed = zlib.compress(struct.pack("<II", 14, stated) + content)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49)
    path.write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)


def test_mat_elements_unpack_to_what_they_state(tmp_path: Path) -> None:
    path = tmp_path / "joints.mat"
    savemat(path, {"joints": np.arange(6.0).reshape(2, 3), "other": "text"}, do_compression=True)
    assert load_mat(path, ["joints"])["joints"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert load_mat(path)["other"] == "text"
    _compressed_mat(path, 64, bytes(10 << 20))
    with pytest.raises(SourceError, match="expected 64 bytes with their checksum"):
        load_mat(path)
    _compressed_mat(path, 1 << 31, bytes(10 << 20))
    with pytest.raises(SourceError, match="at most 67,108,864 bytes unpacked"):
        load_mat(path)


def test_h5_arrays_lie_in_the_file_and_within_bounds(tmp_path: Path) -> None:
    path, other = tmp_path / "valid.h5", tmp_path / "other.bin"
    other.write_bytes(bytes(80))
    with h5py.File(path, "w") as file:
        file["good"] = np.arange(6).reshape(2, 3)
        file["texts"] = ["one", "three"]
        file.create_dataset("large", (1 << 30,), "f8", chunks=True, compression="gzip")
        file.create_dataset("chunk", (1,), "f8", maxshape=(None,), chunks=(1 << 27,))
        file.create_dataset("outside", (10,), "f8", external=[(str(other), 0, 80)])
        file["link"] = h5py.ExternalLink(str(other), "/x")
    with h5py.File(path, "r") as file:
        assert read_h5_array(file, "good").tolist() == [[0, 1, 2], [3, 4, 5]]
        assert [bytes(text) for text in read_h5_array(file, "texts")] == [b"one", b"three"]
        for name, message in {
            "large": "at most 67,108,864 bytes",
            "chunk": "at most 67,108,864 bytes",
            "outside": "stored in another",
            "link": "found a link",
            "none": "found none",
        }.items():
            with pytest.raises(SourceError, match=message):
                read_h5_array(file, name)
