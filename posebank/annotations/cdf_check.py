"""Whether a CDF file can be given to cdflib: its sizes and chains of records lie within the file.

cdflib trusts the number of dimensions written in a file and follows its chains of records to their
end: one changed byte made it count to two thousand million, filling memory. Only version 3 is
accepted; offsets are those of the CDF Internal Format Description.
"""

from __future__ import annotations

import math
import zlib

from posebank.files import most_unpacked

_MAGIC_V3 = b"\xcd\xf3"
_COMPRESSED = b"\xcc\xcc\x00\x01"
_MAX_DIMENSIONS = 10
_GZIP = b"\x1f\x8b"
_INDEX, _PACKED_VALUES = 6, 13  # types of records


def _integer(data: bytes, at: int, size: int) -> int:
    if not 0 <= at <= len(data) - size:
        raise ValueError(f"expected a number at byte {at}, the file has {len(data)}")
    return int.from_bytes(data[at : at + size], "big", signed=True)


def _chain(data: bytes, at: int) -> list[int]:
    """Offsets of records that point to the next one at byte 12; the last points to 0."""
    found: list[int] = []
    seen = set()
    while at > 0:
        if at in seen:
            raise ValueError(f"expected records in a row, found a circle at byte {at}")
        seen.add(at)
        found.append(at)
        at = _integer(data, at + 12, 8)
    return found


def _dimensions(data: bytes, at: int) -> int:
    count = _integer(data, at, 4)
    if not 0 <= count <= _MAX_DIMENSIONS:
        raise ValueError(f"expected at most {_MAX_DIMENSIONS} dimensions, found {count}")
    return count


def _plain(data: bytes) -> bytes:
    """The file's bytes, unpacked if the whole file is compressed."""
    if data[:2] != _MAGIC_V3:
        raise ValueError(f"expected CDF version 3, found it to begin with {data[:4].hex()}")
    if data[4:8] != _COMPRESSED:
        return data
    size, most = _integer(data, 8 + 20, 8), most_unpacked(len(data))
    if not 0 <= size <= most:
        raise ValueError(f"expected at most {most:,} bytes unpacked, found {size:,} stated")
    return data[:8] + _unpacked(data[8 + 32 :], size)


def _unpacked(packed: bytes, most: int) -> bytes:
    """Unpack gzip.

    Raises
    ------
    ValueError
        If there are more bytes than ``most``, or it is not whole.
    """
    stream = zlib.decompressobj(wbits=31)
    content = stream.decompress(packed, most + 1)
    if len(content) > most or not stream.eof:
        raise ValueError(f"expected at most {most:,} compressed bytes and their checksum")
    return content


def check_cdf(raw: bytes) -> None:
    """Follow all variables of a CDF file and their indices.

    Raises
    ------
    ValueError
        If a size or a chain of records leads out of the file or in a circle.
    """
    data = _plain(raw)
    gdr = _integer(data, 8 + 12, 8)
    _dimensions(data, gdr + 56)
    limit = most_unpacked(len(raw))
    variables = _chain(data, _integer(data, gdr + 20, 8))
    chains = {  # where the length of a chain is written, and the chain
        44: _chain(data, _integer(data, gdr + 12, 8)),
        48: _chain(data, _integer(data, gdr + 28, 8)),
        60: variables,
    }
    for at, chain in chains.items():
        if _integer(data, gdr + at, 4) != len(chain):
            raise ValueError(f"expected as many records as written at byte {gdr + at}")
    for vdr in variables:
        n = _dimensions(data, vdr + 340)
        sizes = [_integer(data, vdr + 344 + 4 * i, 4) for i in range(n)]
        rows = _integer(data, vdr + 24, 4) + 1
        if min([*sizes, rows]) < 0 or math.prod([*sizes, max(rows, 1)]) > limit:
            raise ValueError(f"expected what fits the file, found {rows} records of {sizes}")
        if not 0 <= _integer(data, vdr + 64, 4) <= limit:
            raise ValueError("expected values that fit the file")
        limit -= _check_index(data, _integer(data, vdr + 28, 8), limit)


def _check_index(data: bytes, at: int, most: int) -> int:
    """Follow index records to records of values; how many bytes compressed values unpack to."""
    waiting, seen, unpacked = [at], set[int](), 0
    while waiting:
        for vxr in _chain(data, waiting.pop()):
            if vxr in seen:
                raise ValueError(f"expected an index as a tree, found byte {vxr} twice")
            seen.add(vxr)
            entries = _integer(data, vxr + 20, 4)
            used = _integer(data, vxr + 24, 4)
            if not 0 <= used <= entries <= len(data) // 16:
                raise ValueError(f"expected an index within the file, found {entries} entries")
            for i in range(used):
                child = _integer(data, vxr + 28 + 8 * entries + 8 * i, 8)
                kind = _integer(data, child + 8, 4)
                if kind == _INDEX:
                    waiting.append(child)
                elif kind == _PACKED_VALUES:
                    size = _integer(data, child + 16, 8)
                    packed = data[child + 24 : child + 24 + max(size, 0)]
                    if packed.startswith(_GZIP):
                        unpacked += len(_unpacked(packed, most - unpacked))
    return unpacked
