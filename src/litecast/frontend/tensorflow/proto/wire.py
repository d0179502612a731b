"""Varints and runs of strings, as they stand outside protocol buffers; every read is bounds-checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from litecast.errors import FormatError

__all__ = ["read_varint", "read_varints", "split_strings"]


def read_varint(data: bytes | memoryview, position: int, place: str) -> tuple[int, int]:
    """Read a varint of at most 64 bits; return it and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise FormatError(place, "the data ends within a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise FormatError(place, "a number has more than 64 bits")


def read_varints(data: bytes | memoryview, position: int, count: int, place: str) -> tuple[list[int], int]:
    """Read `count` varints; return them and the position behind the last."""
    if count > len(data) - position:  # each takes a byte at least
        raise FormatError(place, f"{count} strings are said to be in {len(data) - position} bytes")
    values = []
    for _ in range(count):
        value, position = read_varint(data, position, place)
        values.append(value)
    return values, position


def split_strings(data: bytes | memoryview, sizes: Sequence[int], place: str) -> np.ndarray:
    """Cut `data` into an object array of `bytes` of the given sizes, which must use it up."""
    if sum(sizes) != len(data):
        raise FormatError(place, f"strings of {sum(sizes)} bytes in all are said to be in {len(data)} bytes")
    strings, position = np.empty(len(sizes), object), 0
    for index, size in enumerate(sizes):
        strings[index] = bytes(data[position : position + size])
        position += size
    return strings
