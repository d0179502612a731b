"""The zip archive that may follow a FlatBuffer (associated files of TFLite metadata).

A zip counts offsets from the start of the file: a tail is kept as an archive of its own and moved again.
"""

from __future__ import annotations

import struct

from litecast.ir.op import Array

__all__ = ["place_tail", "split_tail"]

_END, _ENTRY, _FILE = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_END_SIZE, _ENTRY_SIZE, _COMMENT_LIMIT = 22, 46, 65535


def split_tail(data: Array) -> tuple[bytes, Array]:
    """Return the zip behind a FlatBuffer, counting from its own start (none: empty), and the FlatBuffer."""
    window = data[-(_END_SIZE + _COMMENT_LIMIT) :].tobytes()
    end = window.rfind(_END)
    if end < 0 or end + _END_SIZE > len(window):
        return b"", data
    count, size, stated, comment = struct.unpack_from("<HIIH", window, end + 10)
    end += len(data) - len(window)
    directory = end - size
    if end + _END_SIZE + comment != len(data) or directory < 0:
        return b"", data
    fields = _offset_fields(data[directory:end].tobytes(), count)
    if not fields:
        return b"", data
    start = min(offset for _, offset in fields) + directory - stated
    if not 0 <= start <= directory or data[start : start + 4].tobytes() != _FILE:
        return b"", data
    # Offsets count from the file's start, or from the archive's where that was appended as it is.
    return _moved(data[start:].tobytes(), directory - stated - start), data[:start]


def place_tail(tail: bytes, start: int) -> bytes:
    """Return a tail that counts from `start` bytes before it."""
    return _moved(tail, start)


def _moved(tail: bytes, distance: int) -> bytes:
    content = bytearray(tail)
    end = content.rfind(_END)
    if end < 0:
        return tail
    count, size, stated = struct.unpack_from("<HII", content, end + 10)
    directory = end - size
    for place, offset in _offset_fields(tail[directory:end], count):
        struct.pack_into("<I", content, directory + place, offset + distance)
    struct.pack_into("<I", content, end + 16, stated + distance)
    return bytes(content)


def _offset_fields(directory: bytes, count: int) -> list[tuple[int, int]]:
    """Return where in a zip's central directory the offsets of its files are, and what they say."""
    fields: list[tuple[int, int]] = []
    place = 0
    while (
        len(fields) < count
        and directory[place : place + 4] == _ENTRY
        and place + _ENTRY_SIZE <= len(directory)
    ):
        fields.append((place + 42, struct.unpack_from("<I", directory, place + 42)[0]))
        place += _ENTRY_SIZE + sum(struct.unpack_from("<HHH", directory, place + 28))
    return fields if len(fields) == count else []
