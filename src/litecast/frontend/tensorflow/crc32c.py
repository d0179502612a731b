"""CRC-32C (Castagnoli, reflected 0x82F63B78), the checksum of TensorFlow's tables and bundles, in numpy."""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = ["crc32c", "unmask"]

_POLYNOMIAL = 0x82F63B78
_BYTEWISE = 1024  # up to here a plain loop is as fast


@cache
def _table() -> np.ndarray:
    """Give what eight steps do to each value of the low byte."""
    state = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        state = (state >> 1) ^ np.where(state & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    return state


def crc32c(data: bytes | memoryview | np.ndarray, crc: int = 0) -> int:
    """Give the checksum of `data`, or with `crc` of what that is the checksum of and `data` behind it."""
    octets = np.frombuffer(data, np.uint8)
    state = crc ^ 0xFFFFFFFF
    if octets.size > _BYTEWISE:
        width = int(octets.size**0.5)
        head = octets[: octets.size // width * width]
        state = _columnwise(head.reshape(-1, width), state)
        octets = octets[head.size :]
    table = _table().tolist()
    for octet in octets.tolist():
        state = table[(state ^ octet) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def _columnwise(rows: np.ndarray, state: int) -> int:
    """Run all rows side by side from state 0, then join them: the checksum is linear over GF(2).

    The 32 one-bit states run along through zero bytes: what becomes of them is the matrix that moves a state
    past one row.
    """
    table = _table()
    states = np.zeros(len(rows) + 32, np.uint32)
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    states[-32:] = bits
    column = np.zeros(len(states), np.uint32)
    for index in range(rows.shape[1]):
        column[:-32] = rows[:, index]
        states = table[(states ^ column) & 0xFF] ^ (states >> 8)
    moved = states[-32:]
    for row in states[:-32].tolist():
        state = row ^ int(np.bitwise_xor.reduce(moved[(bits & np.uint32(state)) != 0]))
    return state


def unmask(stored: int) -> int:
    """Undo the rotation and offset under which a checksum is stored beside its data (`crc32c::Unmask`)."""
    rotated = (stored - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF
