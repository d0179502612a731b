"""The numbers of quantization: scales from ranges, and arrays on their grids; no function changes its input.

Weights are symmetric and narrow (-127 .. 127), activations of INT8 and UINT8 asymmetric with zero on the
grid, INT16 symmetric. All that is stored is computed when it is written: what is returned is a `Lazy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from litecast.errors import QuantizationError
from litecast.ir.graph import Lazy, Value
from litecast.ir.op import Array
from litecast.ir.types import DType, Quant

__all__ = [
    "HALF_MAX",
    "TOP",
    "activation_grid",
    "block_scales",
    "count_beyond_half",
    "dequantize",
    "on_blocks",
    "on_grid",
    "on_half",
    "symmetric_scales",
    "weight_grid",
]

TOP = {DType.INT8: 127, DType.INT4: 7, DType.INT2: 1}
"""Element type of a weight -> its largest number; the smallest is the negative of it."""
HALF_MAX = 65504.0
"""The largest number of FLOAT16."""
HALF_NORMAL = 2.0**-14
"""The smallest normal number of FLOAT16: XNNPACK takes no scale of a block below it."""
CHUNK = 1 << 22
"""Elements that are computed at a time."""
NARROW = {DType.INT16: 32767}


def activation_grid(low: float, high: float, dtype: DType) -> Quant:
    """Return the grid of activations between two bounds, widened to hold zero.

    INT16 is symmetric; INT8 and UINT8 use all 256 numbers, and zero is one of them. A range without width has
    the scale 1. Raises QuantizationError for bounds that are not finite or out of order.
    """
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise QuantizationError(f"a range from {low} to {high} has no grid")
    low, high = min(low, 0.0), max(high, 0.0)
    if dtype in NARROW:
        scale = float(np.float32(max(-low, high) / NARROW[dtype]))
        return Quant((scale or 1.0,), (0,))
    limits = np.iinfo(dtype.numpy)
    scale = float(np.float32((high - low) / 255))
    if not scale:
        return Quant((1.0,), (0,))
    zero = int(np.clip(np.rint(limits.min - low / scale), limits.min, limits.max))
    return Quant((scale,), (zero,))


def symmetric_scales(array: Array, dtype: DType, axis: int | None) -> Array:
    """Return the scales (float32) at which the largest magnitude, per index of `axis`, is the largest number.

    Where all weights are zero the scale is 1. Raises QuantizationError for weights that are not finite.
    """
    others = tuple(dim for dim in range(array.ndim) if dim != axis)
    high, low = np.max(array, axis=others, initial=0.0), np.min(array, axis=others, initial=0.0)
    size = np.maximum(high, -low).astype(np.float64).reshape(-1)
    if not np.isfinite(size).all():
        raise QuantizationError("weights that are infinite or no numbers have no grid")
    scales = (size / TOP[dtype]).astype(np.float32)
    return np.where(scales > 0, scales, np.float32(1.0))


def weight_grid(array: Array, dtype: DType, axis: int | None, spread: int | None = None) -> Quant:
    """Return the symmetric grid of a weight, per index of `axis` or, with None, one for all.

    `spread` repeats the one scale for each index of that dimension.
    """
    scales = symmetric_scales(array, dtype, axis)
    if axis is None and spread is not None:
        scales, axis = np.repeat(scales, array.shape[spread]), spread
    return Quant(tuple(map(float, scales)), (0,) * len(scales), axis or 0)


def _along(numbers: Array, rank: int, axis: int) -> Array:
    shape = [1] * rank
    shape[axis] = -1
    return numbers.reshape(shape)


def _chunks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield slices of dimension 0 of at most CHUNK elements (one row at least)."""
    rows = shape[0] if shape else 1
    step = max(1, CHUNK // max(1, prod(shape[1:])))
    for start in range(0, rows, step):
        yield slice(start, start + step)


def _lazily(
    source: Value, dtype: DType, shape: tuple[int, ...], compute: Callable[[Array, slice], Any]
) -> Lazy:
    """Return a constant that `compute` makes of the rows of another, a chunk at a time."""

    def make() -> Array:
        array = source.array().reshape(shape if shape else (1,))
        made = np.empty(array.shape, dtype.numpy)
        for rows in _chunks(array.shape):
            made[rows] = compute(array[rows], rows)
        return made.reshape(shape)

    return Lazy(dtype, shape, make)


def _round(scaled: Array, dtype: DType) -> Array:
    top = TOP[dtype]
    return np.clip(np.rint(scaled), -top, top).astype(np.int8).astype(dtype.numpy)


def on_grid(source: Value, dtype: DType, quant: Quant) -> Lazy:
    """Return the weight of a FLOAT32 constant on a symmetric grid."""
    shape = tuple(source.const.shape)  # type: ignore[union-attr]
    scales = np.array(quant.scales, np.float32)
    per_axis = _along(scales, len(shape), quant.axis) if len(scales) > 1 else scales

    def compute(part: Array, rows: slice) -> Array:
        by = per_axis[rows] if len(scales) > 1 and quant.axis == 0 else per_axis
        return _round(part / by, dtype)

    return _lazily(source, dtype, shape, compute)


def block_scales(array: Array, dtype: DType, block: int) -> Array:
    """Return a FLOAT16 scale per row and block of `block` columns of a matrix.

    Scales are at least the smallest normal number of FLOAT16 (see HALF_NORMAL).
    """
    rows, columns = array.shape
    parts = array.reshape(rows, columns // block, block)
    size = np.maximum(parts.max(2), -parts.min(2)).astype(np.float64)
    if not np.isfinite(size).all():
        raise QuantizationError("weights that are infinite or no numbers have no grid")
    return np.clip(size / TOP[dtype], HALF_NORMAL, HALF_MAX).astype(np.float16)


def on_blocks(source: Value, dtype: DType, scales: Array, block: int) -> Lazy:
    """Return the weight of a FLOAT32 matrix on the grids of its blocks."""
    shape = tuple(source.const.shape)  # type: ignore[union-attr]

    def compute(part: Array, rows: slice) -> Array:
        parts = part.reshape(part.shape[0], -1, block)
        return _round(parts / scales[rows].astype(np.float32)[:, :, None], dtype).reshape(part.shape)

    return _lazily(source, dtype, shape, compute)


def count_beyond_half(array: Array) -> int:
    """Return how many finite numbers FLOAT16 cannot hold."""
    high = max(float(np.max(array, initial=0.0)), -float(np.min(array, initial=0.0)))
    if high <= HALF_MAX:
        return 0
    size = np.abs(array)
    return int(((size > HALF_MAX) & np.isfinite(size)).sum())


def on_half(source: Value) -> Lazy:
    """Return a FLOAT32 constant as FLOAT16; finite numbers are clamped to what it holds, infinite ones stay.

    (prepare_quantize_dynamic_range.cc:436 clamps infinite ones too, which opens masks.)
    """
    shape = tuple(source.const.shape)  # type: ignore[union-attr]

    def compute(part: Array, rows: slice) -> Array:
        return np.where(np.isinf(part), part, np.clip(part, -HALF_MAX, HALF_MAX)).astype(np.float16)

    return _lazily(source, DType.FLOAT16, shape, compute)


def dequantize(stored: Array, quant: Quant) -> Array:
    """Return the real numbers (float32) that stored ones stand for, per tensor or along the grid's axis."""
    scales = np.array(quant.scales, np.float32)
    zeros = np.array(quant.zero_points, np.float32)
    if len(scales) > 1:
        scales, zeros = (_along(numbers, stored.ndim, quant.axis) for numbers in (scales, zeros))
    return (stored.astype(np.float32) - zeros) * scales
