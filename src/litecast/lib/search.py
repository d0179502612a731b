"""Finding numbers in constant tables: what a hash table does, with operations on plain tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.op import Array
from litecast.ir.types import DType
from litecast.lib import array, math
from litecast.ops import Add, Equal, Gather, LessEqual, Maximum, Minimum, Mul, Sub

__all__ = ["lookup"]

SPREAD = 8
"""How much larger than the number of keys their span may be so that a table of all of it is worth it."""
SMALL = 4096
"""Spans that are always worth a table."""
FARTHEST = 1 << 62


def lookup(b: Builder, x: Value, keys: Sequence[int], values: Sequence[int], default: int) -> Value:
    """Return, for each INT64 of x, the value (INT64) of the key that it equals, or `default`.

    Keys that lie close together index a table of their whole span; others are found by bisection, in one step
    for each doubling of their number.
    """
    order = np.argsort(np.array(keys, np.int64), kind="stable")
    names, held = np.array(keys, np.int64)[order], np.array(values, np.int64)[order]
    if not len(names):
        nothing: Value = array.full(b, b.dims(x.shape), default, DType.INT64)
        return nothing
    low, high = int(names[0]), int(names[-1])
    if max(abs(low), abs(high)) < FARTHEST and high - low < max(SMALL, SPREAD * len(names)):
        return _indexed(b, x, names - low, held, default, low, high)
    return _bisected(b, x, names, held, default)


def _indexed(b: Builder, x: Value, places: Array, held: Array, default: int, low: int, high: int) -> Value:
    """Look up in a table of every number from low - 1 to high + 1, which stand for all beyond."""
    table = np.full(high - low + 3, default, np.int64)
    table[places + 1] = held
    near = math.apply(b, Minimum(), math.apply(b, Maximum(), x, np.int64(low - 1)), np.int64(high + 1))
    index = math.apply(b, Sub(), near, np.int64(low - 1))
    result: Value = b(Gather(), b.const(table), array.cast(b, index, DType.INT32))
    return result


def _bisected(b: Builder, x: Value, names: Array, held: Array, default: int) -> Value:
    """Find the last key that is not larger, in halving steps; the table is filled up with its last key."""
    steps = max(len(names) - 1, 1).bit_length()
    missing = (1 << steps) - len(names)
    table = b.const(np.pad(names, (0, missing), mode="edge"))
    results = b.const(np.pad(held, (0, missing), mode="edge"))
    place: Any = array.full(b, b.dims(x.shape), 0, DType.INT32)
    for step in range(steps - 1, -1, -1):
        further = math.apply(b, Add(), place, 1 << step)
        taken = math.apply(b, LessEqual(), b(Gather(), table, further), x)
        place = math.apply(
            b, Add(), place, math.apply(b, Mul(), array.cast(b, taken, DType.INT32), 1 << step)
        )
    found = math.apply(b, Equal(), b(Gather(), table, place), x)
    result: Value = math.select(b, found, b(Gather(), results, place), np.int64(default))
    return result
