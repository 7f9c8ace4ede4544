"""The one image opener: orientation, kinds of pixels, bounds, and what is refused."""

import io
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from posebank import images
from posebank.errors import SourceError
from posebank.images import decode_image, image_size, read_image, upright_file
from posebank.report.images import find_image
from posebank_cli.main import main

HEIGHT, WIDTH = 24, 40
ORIENTATION = 0x0112


def corner_colours() -> np.ndarray:
    """An image (24, 40, 3) whose four quarters are red, green, blue and white."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:12, :20] = (255, 0, 0)
    pixels[:12, 20:] = (0, 255, 0)
    pixels[12:, :20] = (0, 0, 255)
    pixels[12:, 20:] = 255
    return pixels


def stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels in a file of that orientation, from the definition of EXIF tag 274.

    The tag says where the file's first row and first column lie in the upright picture.
    """
    return {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: upright.swapaxes(0, 1)[:, ::-1],
    }[orientation]


def turned_file(kind: str, orientation: int, **options: object) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(stored(corner_colours(), orientation)))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_every_orientation_is_applied(kind, options, orientation, tmp_path):
    data = turned_file(kind, orientation, **options)
    path = tmp_path / "image"
    path.write_bytes(data)
    assert image_size(path) == (WIDTH, HEIGHT)
    for pixels in (read_image(path), decode_image(np.frombuffer(data, np.uint8), "image")):
        assert pixels.shape == (HEIGHT, WIDTH, 3)
        assert np.abs(pixels.astype(int) - corner_colours()).mean() < 4
    upright = upright_file(data, path)
    assert (upright is data) == (orientation == 1)
    with Image.open(io.BytesIO(upright)) as plain:  # a reader that knows no EXIF
        assert plain.size == (WIDTH, HEIGHT)
        assert np.abs(np.array(plain, dtype=int) - corner_colours()).mean() < 8


def test_an_orientation_that_means_nothing_is_ignored(tmp_path):
    for value in (0, 9, 77):
        exif = Image.Exif()
        exif[ORIENTATION] = value
        path = tmp_path / f"{value}.jpg"
        Image.fromarray(corner_colours()).save(path, exif=exif)
        assert image_size(path) == (WIDTH, HEIGHT)
        assert read_image(path).shape == (HEIGHT, WIDTH, 3)


def test_grey_palette_transparent_cmyk_and_16_bit_pixels(tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 256 + 7).save(tmp_path / "deep.png")
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(np.dstack([grey] * 4)).save(tmp_path / "clear.png")
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(read_image(path), np.dstack([grey] * 3), err_msg=path.name)
    Image.fromarray(corner_colours()).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    difference = read_image(tmp_path / "cmyk.jpg").astype(int) - corner_colours()
    assert np.abs(difference).mean() < 15


def png_of(width: int, height: int) -> bytes:
    """A 1-bit PNG of any size: a few kilobytes for each hundred million pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + (width + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [13_000, 60_000])  # Pillow by itself refuses only the second
def test_a_small_file_with_very_many_pixels_is_refused(side, tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(side, 13_000))
    assert path.stat().st_size < 200_000
    for read in (read_image, image_size):
        with pytest.raises(SourceError, match=r"bomb\.png: expected an image of at most 134217728"):
            read(path)
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    with pytest.raises(SourceError, match="at most 100 bytes, found"):
        read_image(path)


def test_a_jpeg_header_with_very_many_pixels_is_refused():
    buffer = io.BytesIO()
    Image.fromarray(corner_colours()).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = struct.pack(">HH", 60_000, 60_001)
    with pytest.raises(SourceError, match=r"x: expected an image of at most .* found 60001x60000"):
        decode_image(bytes(data), "x")


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    for path, reason in (
        (tmp_path / "pipe.jpg", "found a FIFO, socket or device"),
        (Path("/dev/zero"), "found a FIFO, socket or device"),
        (tmp_path, "found a folder"),
        (tmp_path / "absent.jpg", "No such file"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        for read in (read_image, image_size):
            with pytest.raises(SourceError, match=reason):
                read(path)


def test_an_eps_file_starts_no_program(tmp_path):
    path = tmp_path / "drawing.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(SourceError, match="cannot identify"):
        read_image(path)


GOOD = {kind: turned_file(kind, 6) for kind in ("JPEG", "PNG", "TIFF", "WEBP")}


@given(
    kind=st.sampled_from(sorted(GOOD)),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=6),
    keep=st.floats(0, 1),
)
@settings(max_examples=300, deadline=None)
def test_a_damaged_file_gives_an_image_or_one_error(kind, changes, keep):
    data = bytearray(GOOD[kind])
    for place, value in changes:
        data[int(place * len(data))] = value
    message = None
    try:
        pixels = decode_image(bytes(data[: int(keep * len(data)) + 1]), "one.jpg")
    except SourceError as error:
        message = str(error)
    if message is not None:
        assert message.startswith("one.jpg: expected an image")
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3


def test_annotate_shards_and_report_agree_on_a_turned_photograph(tmp_path):
    """A photograph with a quarter turn, annotated in its upright pixels, through the CLI."""
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    (source / "images" / "phone.jpg").write_bytes(turned_file("JPEG", 6, quality=95))
    joints = {"head": [20.0, 3.0], "r_ankle": [17.0, 22.0], "l_ankle": [24.0, 22.0]}
    person = {"image": "phone.jpg", "joints": joints, "split": "train"}
    (source / "own.json").write_text(json.dumps({"people": [person]}))
    workspace = tmp_path / "ws"
    command = ["annotate", "json", str(source), "-w", str(workspace), "--json"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output

    from posebank.workspace import image_roots, load_people

    people = load_people(workspace)
    assert (people.image_width[0], people.image_height[0]) == (WIDTH, HEIGHT)
    found = find_image(image_roots(workspace), people.dataset[0], "phone.jpg")
    assert found.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(found[3, 3], (255, 0, 0), atol=40)
