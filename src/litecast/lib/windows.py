"""Padding of sliding windows as numbers or, where sizes are unknown, values computed at run time.

A padding is `"SAME"`, `"VALID"`, or a pair (before, after) per spatial axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType
from litecast.lib import array
from litecast.ops import FloorDiv, FloorMod, Maximum, Sub

__all__ = ["Amount", "Pads", "Spec", "extent", "lowest", "pad", "resolve", "same_pads"]

Amount: TypeAlias = int | Value
"""Elements to pad: a number, or an INT32 scalar."""
Pads: TypeAlias = Sequence[tuple[Amount, Amount]]
Spec: TypeAlias = str | Sequence[tuple[int, int]]


def extent(size: int, dilation: int = 1) -> int:
    """Return the elements that a window of `size` taps spans."""
    return (size - 1) * dilation + 1


def same_pads(b: Builder, dim: Dim, window: int, stride: int) -> tuple[Amount, Amount]:
    """Return what SAME pads for ceil(dim / stride) windows, the odd element after (GetWindowedOutputSize)."""
    if isinstance(dim, int):
        total = max((-(-dim // stride) - 1) * stride + window - dim, 0)
        return total // 2, total - total // 2
    if window == 1 or stride == 1:
        return (window - 1) // 2, window // 2
    rest = b(FloorMod(), b(Sub(), b.dim(dim), 1), stride)
    total_value = b(Maximum(), b(Sub(), np.int32(window - 1), rest), 0)
    before = b(FloorDiv(), total_value, 2)
    return before, b(Sub(), total_value, before)


def resolve(
    b: Builder, padding: Spec, dims: Sequence[Dim], windows: Sequence[int], strides: Sequence[int]
) -> list[tuple[Amount, Amount]]:
    """Return a padding as amounts per axis."""
    if padding == "SAME":
        return [same_pads(b, *axis) for axis in zip(dims, windows, strides, strict=True)]
    if isinstance(padding, str):
        return [(0, 0)] * len(dims)
    return [(int(before), int(after)) for before, after in padding]


def pad(b: Builder, x: Value, pads: Pads, value: float = 0) -> Value:
    """Pad every axis of `x` (one pair per axis) with `value`."""
    amounts = [amount for pair in pads for amount in pair]
    if any(isinstance(amount, Value) for amount in amounts):
        paddings = array.reshape(b, array.vector(b, amounts), (len(pads), 2))
    else:
        paddings = amounts
    result: Value = array.pad(b, x, paddings, value)
    return result


def lowest(dtype: DType) -> float:
    """Return the least finite value of an element type, which never wins a maximum."""
    return float(np.finfo(dtype.numpy).min) if dtype.is_float else int(np.iinfo(dtype.numpy).min)
