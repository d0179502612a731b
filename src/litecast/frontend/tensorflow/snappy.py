"""Decode a Snappy block (format_description.txt of google/snappy); the output is bounded by the input."""

from __future__ import annotations

from litecast.errors import FormatError
from litecast.frontend.tensorflow.proto.wire import read_varint

__all__ = ["decompress"]

_DENSEST = 22  # a copy gives 64 bytes for 3 at most


def decompress(data: bytes, place: str) -> bytes:
    """Give the uncompressed bytes of one block; FormatError at `place` where it is corrupt."""
    size, position = read_varint(data, 0, place)
    if size > _DENSEST * len(data):
        raise FormatError(place, f"{size} bytes are said to be compressed in {len(data)}")
    output = bytearray()
    while position < len(data):
        tag = data[position]
        position += 1
        kind, bits = tag & 3, tag >> 2
        if kind == 0:
            extra = max(0, bits - 59)
            length = (_number(data, position, extra, place) if extra else bits) + 1
            position += extra
            if length > len(data) - position or length > size - len(output):
                raise FormatError(place, "the compressed data is corrupt: a literal is too long")
            output += data[position : position + length]
            position += length
            continue
        extra = (1, 2, 4)[kind - 1]
        offset = _number(data, position, extra, place)
        position += extra
        length = bits + 1
        if kind == 1:
            length, offset = (bits & 7) + 4, (bits >> 3 << 8) + offset
        _copy(output, offset, length, size, place)
    if len(output) != size:
        raise FormatError(place, f"the compressed data gives {len(output)} bytes instead of {size}")
    return bytes(output)


def _number(data: bytes, position: int, width: int, place: str) -> int:
    if position + width > len(data):
        raise FormatError(place, "the compressed data ends within an element")
    return int.from_bytes(data[position : position + width], "little")


def _copy(output: bytearray, offset: int, length: int, size: int, place: str) -> None:
    """Append `length` bytes from `offset` before the end; they may overlap what is being written."""
    if not 0 < offset <= len(output) or length > size - len(output):
        raise FormatError(place, "the compressed data is corrupt: a copy is out of range")
    start = len(output) - offset
    pattern = output[start : start + length]
    output += (pattern * (length // len(pattern) + 1))[:length]
