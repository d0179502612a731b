"""CRC-32C (Castagnoli, reflected 0x82F63B78), the checksum of TensorFlow's tables and bundles, in numpy."""

from __future__ import annotations

import sys
from functools import cache

import numpy as np

__all__ = ["crc32c", "unmask"]

_POLYNOMIAL = 0x82F63B78
_BYTEWISE = 256  # up to here a plain loop is as fast
_CHUNK = 1 << 23  # bytes that are taken at once: what is in work then stays in the cache
_BITS = np.uint32(1) << np.arange(32, dtype=np.uint32)


@cache
def _table() -> np.ndarray:
    """Give what eight steps do to each value of the low byte."""
    state = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        state = (state >> 1) ^ np.where(state & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    return state


@cache
def _wide_table() -> np.ndarray:
    """Give what sixteen steps do to each value of the low two bytes."""
    state = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(2):
        state = _table()[state & 0xFF] ^ (state >> 8)
    return state


def crc32c(data: bytes | memoryview | np.ndarray, crc: int = 0) -> int:
    """Give the checksum of `data`, or with `crc` of what that is the checksum of and `data` behind it."""
    octets = np.frombuffer(data, np.uint8)
    state = crc ^ 0xFFFFFFFF
    while octets.size > _BYTEWISE:
        size = min(octets.size, _CHUNK)
        width = 1 << min((size.bit_length() - 4) // 2, 10)  # few steps, and not too many rows to join
        head = octets[: size // width * width]
        state = _columnwise(head.view("<u2").reshape(-1, width // 2), state)
        octets = octets[head.size :]
    table = _table().tolist()
    for octet in octets.tolist():
        state = table[(state ^ octet) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def _columnwise(rows: np.ndarray, state: int) -> int:
    """Run all rows side by side from state 0, then join pairs: the checksum is linear over GF(2)."""
    # A row in front leaves `state` behind; rows of zeros before that leave 0.
    states = np.zeros(1 << len(rows).bit_length(), np.uint32)
    states[-1 - len(rows)] = state
    states[-len(rows) :] = _run(rows)
    level = rows.shape[1].bit_length()
    while len(states) > 1:
        states = _moved(states[::2], _matrix(level)) ^ states[1::2]
        level += 1
    return int(states[0])


def _run(rows: np.ndarray) -> np.ndarray:
    """Give the states behind the rows, two bytes at a time."""
    states, change, place = (np.zeros(len(rows), dtype) for dtype in (np.uint32, np.uint32, np.intp))
    low = states.view(np.uint16)[sys.byteorder == "big" :: 2]
    table = _wide_table()
    for column in rows.T:
        np.bitwise_xor(low, column, out=place)
        table.take(place, out=change, mode="clip")
        np.right_shift(states, 16, out=states)
        np.bitwise_xor(states, change, out=states)
    return states


@cache
def _matrix(level: int) -> np.ndarray:
    """Give what becomes of the 32 one-bit states behind 2**level zero bytes."""
    if level == 0:
        image: np.ndarray = _table()[_BITS & 0xFF] ^ (_BITS >> 8)
        return image
    return _moved(_matrix(level - 1), _matrix(level - 1))


def _moved(states: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    images = np.where(states[:, None] & _BITS, matrix, np.uint32(0))
    joined: np.ndarray = np.bitwise_xor.reduce(images, axis=1)
    return joined


def unmask(stored: int) -> int:
    """Undo the rotation and offset under which a checksum is stored beside its data (`crc32c::Unmask`)."""
    rotated = (stored - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF
