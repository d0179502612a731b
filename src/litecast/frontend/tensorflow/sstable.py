"""Read a table in LevelDB's format (tensorflow/core/lib/io/{format,block,table}.cc): sorted keys and values.

Every block is checked against its checksum before it is decoded, and every length against what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from litecast.errors import FormatError
from litecast.frontend.tensorflow.crc32c import crc32c, unmask
from litecast.frontend.tensorflow.proto.wire import read_varint
from litecast.frontend.tensorflow.snappy import decompress

__all__ = ["read_table"]

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER = 48
_TRAILER = 5
# Writers share key prefixes among 16 entries at most, so that keys take up to 16 times the size of a block.
_KEY_GROWTH = 64


def read_table(path: Path) -> dict[bytes, bytes]:
    """Read the whole table at `path`; raise FormatError where it is missing or corrupt."""
    place = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(place, f"cannot be read ({error.strerror})") from error
    if len(data) < _FOOTER or data[-8:] != _MAGIC:
        raise FormatError(place, "is truncated or no checkpoint index: the mark at its end is missing")
    footer = data[-_FOOTER:]
    _, position = _handle(footer, 0, place)
    (offset, size), _ = _handle(footer, position, place)
    table: dict[bytes, bytes] = {}
    last = b""
    for _, handle in _entries(_block(data, offset, size, place), place):
        (offset, size), _ = _handle(handle, 0, place)
        for key, value in _entries(_block(data, offset, size, place), place):
            if table and key <= last:
                raise FormatError(place, "the keys of the index are not in order")
            table[key] = value
            last = key
    return table


def _handle(data: bytes, position: int, place: str) -> tuple[tuple[int, int], int]:
    offset, position = read_varint(data, position, place)
    size, position = read_varint(data, position, place)
    return (offset, size), position


def _block(data: bytes, offset: int, size: int, place: str) -> bytes:
    """Give the contents of a block, which one byte for the compression and a masked checksum follow."""
    end = offset + size
    if end + _TRAILER > len(data) - _FOOTER:
        raise FormatError(place, f"is corrupt: a block at byte {offset} is said to have {size} bytes")
    stored = int.from_bytes(data[end + 1 : end + _TRAILER], "little")
    if crc32c(data[offset : end + 1]) != unmask(stored):
        raise FormatError(place, f"is corrupt: the checksum of the block at byte {offset} is wrong")
    contents, compression = data[offset:end], data[end]
    if compression == 0:
        return contents
    if compression == 1:
        return decompress(contents, place)
    raise FormatError(place, f"has a block of the unknown compression {compression}")


def _entries(block: bytes, place: str) -> Iterator[tuple[bytes, bytes]]:
    """Walk the entries of a block: shared, added and value length, the rest of the key, the value."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * restarts
    if len(block) < 4 or end < 0:
        raise FormatError(place, "is corrupt: a block is shorter than its list of restarts")
    key, position, budget = b"", 0, _KEY_GROWTH * len(block)
    while position < end:
        shared, position = read_varint(block, position, place)
        added, position = read_varint(block, position, place)
        length, position = read_varint(block, position, place)
        value = position + added
        budget -= shared + added
        if shared > len(key) or value + length > end or budget < 0:
            raise FormatError(place, "is corrupt: an entry does not fit its block")
        key = key[:shared] + block[position:value]
        position = value + length
        yield key, block[value:position]
