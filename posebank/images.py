"""Open image files: one rule for orientation, size, kind and damage, used everywhere.

The orientation that a camera wrote into a file (EXIF tag 274) is always applied. Width, height and
pixel coordinates therefore always refer to the upright picture, as an image viewer shows it: a
phone's portrait photograph that is stored as 4000 x 3000 px with a quarter turn is 3000 px wide and
4000 px high for every part of posebank.
"""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from posebank.errors import SourceError
from posebank.files import check_regular

MAX_PIXELS = 1 << 27
"""Largest image that is decoded: 134 million pixels take 400 MB as RGB."""

MAX_BYTES = 1 << 30
"""Largest image file that is read."""

JPEG_QUALITY = 95
"""Quality of the images that posebank encodes itself."""

# Others that Pillow knows start programs (EPS) or are no photographs.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000")
_ORIENTATION = 0x0112
_UPRIGHT = 1
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES = (5, 6, 7, 8)
_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_JPEG_START = b"\xff\xd8\xff"
_ORIENTATION_MARKS = (b"Exif\0\0", b"tiff:Orientation")  # in EXIF, and in XMP

# Pillow warns of images half as large as it refuses; MAX_PIXELS is the bound here.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return the upright pixels of an image file as (height, width, 3) uint8 RGB.

    Grey, palette, CMYK, transparent and 16-bit images are converted to 8-bit RGB.

    Raises
    ------
    SourceError
        If the file is missing, is not a regular file, does not decode to its end, or is larger
        than ``MAX_PIXELS`` or ``MAX_BYTES``.
    """
    return decode_image(read_image_file(path), path)


def image_size(path: Path) -> tuple[int, int]:
    """Return the upright width and height of an image file, from its header.

    Raises
    ------
    SourceError
        As ``read_image``, except that damage after the header is not noticed.
    """
    _check_file(path)
    try:
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            _check_pixels(path, width, height)
            # Pillow applies the orientation of TIFF by itself: the size is upright already.
            swapped = image.format != "TIFF" and _orientation(image) in _SWAPS_SIDES
    # Pillow raises many kinds of error on damaged files, SyntaxError and struct.error among them.
    except Exception as error:
        raise _unusable(path, error) from error
    return (height, width) if swapped else (width, height)


def read_image_file(path: Path) -> bytes:
    """Return the bytes of an image file, undecoded.

    Raises
    ------
    SourceError
        If the file is missing, is not a regular file, or is larger than ``MAX_BYTES``.
    """
    _check_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(path, f"expected an image file: {error.strerror}") from error


def decode_image(data: bytes | NDArray[np.uint8], where: str | Path) -> NDArray[np.uint8]:
    """Return the upright pixels of an image file that is in memory.

    Parameters
    ----------
    data : bytes or array
        The file's bytes, or an array (n_bytes,) of them.
    where : str or Path
        The name of the image in error messages.

    Returns
    -------
    (height, width, 3) uint8 RGB.

    Raises
    ------
    SourceError
        As ``read_image``.
    """
    raw = data if isinstance(data, bytes) else data.tobytes()
    try:
        if raw.startswith(_JPEG_START) and not _may_be_turned(raw):
            height, width, *_ = simplejpeg.decode_jpeg_header(raw)
            _check_pixels(where, width, height)
            pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(raw)  # twice as fast as Pillow
            return pixels
    except ValueError:
        pass  # CMYK, or an oddity that Pillow forgives
    try:
        with Image.open(io.BytesIO(raw), formats=_FORMATS) as image:
            _check_pixels(where, *image.size)
            image.load()
            turn = _TURNS.get(_orientation(image))
            return _rgb(image if turn is None else image.transpose(turn))
    except Exception as error:
        raise _unusable(where, error) from error


def upright_file(data: bytes, where: str | Path) -> bytes:
    """Return an image file that every program shows upright, whether it reads EXIF or not.

    A file without a turn comes back as it is. One with a turn is decoded, turned, and encoded as
    JPEG of quality ``JPEG_QUALITY``.

    Raises
    ------
    SourceError
        If a file with a turn does not decode.
    """
    if not _is_turned(data, where):
        return data
    return encode_jpeg(decode_image(data, where))


def encode_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Return RGB pixels (height, width, 3) as a JPEG file of quality ``JPEG_QUALITY``."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def resize_pixels(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return RGB pixels resampled to another size (Lanczos)."""
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized)


def _check_file(path: Path) -> None:
    found = check_regular(path, "an image file")
    if found.st_size > MAX_BYTES:
        raise SourceError(
            path, f"expected an image file of at most {MAX_BYTES} bytes, found {found.st_size}"
        )


def _check_pixels(where: str | Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise SourceError(
            where,
            f"expected an image of at most {MAX_PIXELS} pixels, found {width}x{height}",
        )


def _unusable(where: str | Path, error: Exception) -> SourceError:
    """Return the error to raise for what a decoder raised."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, Image.DecompressionBombError):
        return SourceError(where, f"expected an image of at most {MAX_PIXELS} pixels: {error}")
    return SourceError(where, f"expected an image that decodes: {error!s:.200}")


def _may_be_turned(data: bytes) -> bool:
    """Whether a JPEG file holds metadata that can give an orientation."""
    return any(mark in data for mark in _ORIENTATION_MARKS)


def _is_turned(data: bytes, where: str | Path) -> bool:
    if data.startswith(_JPEG_START) and not _may_be_turned(data):
        return False
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return _orientation(image) != _UPRIGHT
    except Exception as error:
        raise _unusable(where, error) from error


def _orientation(image: Image.Image) -> int:
    """Return the orientation in an image's metadata, 1 (upright) where it has no valid one."""
    try:
        value = image.getexif().get(_ORIENTATION, _UPRIGHT)
    except (ValueError, TypeError, SyntaxError, struct.error, OSError):
        return _UPRIGHT  # damaged metadata do not make the picture unusable
    return value if value in _TURNS else _UPRIGHT


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in _WIDE_MODES:
        # Pillow would clip 16 bits at 255, which turns most of such an image white.
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))
