"""Reductions on values: along axes, of segments, extremes with their places, and histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litecast import ops
from litecast.ir.builder import Builder, Composite
from litecast.ir.graph import Value
from litecast.ir.op import Op
from litecast.ir.types import DType
from litecast.lib import array, math

__all__ = [
    "all_",
    "any_",
    "arg_extreme",
    "bincount",
    "clear_empty",
    "euclidean_norm",
    "maximum",
    "mean",
    "minimum",
    "product",
    "segment_count",
    "segment_maximum",
    "segment_mean",
    "segment_minimum",
    "segment_product",
    "segment_sum",
    "top_k",
    "total",
]

F32, I32, I64, BOOL = DType.FLOAT32, DType.INT32, DType.INT64, DType.BOOL


def _reduce(b: Builder, op: Op, x: Any, axes: Sequence[int], keep_dims: bool) -> Any:
    """Reduce; what the kernel computes only of quantized tensors is widened and converted back."""
    positions = sorted({array.normalize_axis(axis, x.rank) for axis in axes})
    if not positions:
        return x
    if all(x.shape[axis] == 1 for axis in positions):
        return x if keep_dims else array.squeeze(b, x, positions)
    return _unary(b, op, x, np.array(positions, np.int32))


def _unary(b: Builder, op: Op, x: Any, *operands: Any) -> Any:
    """Apply an operation that keeps the element type, in a wider one where its kernel lacks x's."""
    if isinstance(x, Composite) or x.is_const:
        return b(op, x, *operands)
    return array.cast(b, b(op, array.cast(b, x, math.computed_in(op, [x])), *operands), x.dtype)


def total(b: Builder, x: Any, axes: Sequence[int], keep_dims: bool = False) -> Any:
    """Return the sum along axes."""
    return _reduce(b, ops.Sum(keep_dims=keep_dims), x, axes, keep_dims)


def mean(b: Builder, x: Any, axes: Sequence[int], keep_dims: bool = False) -> Any:
    """Return the mean along axes (of integers: truncated)."""
    return _reduce(b, ops.Mean(keep_dims=keep_dims), x, axes, keep_dims)


def product(b: Builder, x: Any, axes: Sequence[int], keep_dims: bool = False) -> Any:
    """Return the product along axes."""
    return _reduce(b, ops.ReduceProd(keep_dims=keep_dims), x, axes, keep_dims)


def maximum(b: Builder, x: Any, axes: Sequence[int], keep_dims: bool = False) -> Any:
    """Return the largest element along axes."""
    return _reduce(b, ops.ReduceMax(keep_dims=keep_dims), x, axes, keep_dims)


def minimum(b: Builder, x: Any, axes: Sequence[int], keep_dims: bool = False) -> Any:
    """Return the smallest element along axes."""
    return _reduce(b, ops.ReduceMin(keep_dims=keep_dims), x, axes, keep_dims)


def any_(b: Builder, x: Any, axes: Sequence[int], keep_dims: bool = False) -> Any:
    """Return whether any element along axes is true."""
    return _reduce(b, ops.ReduceAny(keep_dims=keep_dims), x, axes, keep_dims)


def all_(b: Builder, x: Any, axes: Sequence[int], keep_dims: bool = False) -> Any:
    """Return whether all elements along axes are true."""
    return _reduce(b, ops.ReduceAll(keep_dims=keep_dims), x, axes, keep_dims)


def euclidean_norm(b: Builder, x: Any, axes: Sequence[int], keep_dims: bool = False) -> Any:
    """Return the square root of the sum of squares along axes."""
    wide = array.cast(b, x, F32) if x.dtype in (DType.FLOAT16, DType.BFLOAT16) else x
    root = math.apply(b, ops.Sqrt(), total(b, math.square(b, wide), axes, keep_dims))
    return array.cast(b, root, x.dtype)


def arg_extreme(b: Builder, x: Any, axis: int, dtype: DType, smallest: bool = False) -> Any:
    """Return the place of the first largest (smallest) element along an axis."""
    axis = array.normalize_axis(axis, x.rank)
    out = dtype if dtype in (I32, I64) else I32
    if x.dtype is I64 and not x.is_const:  # no kernel: find the first that equals the extreme
        extreme = (minimum if smallest else maximum)(b, x, (axis,), keep_dims=True)
        x, smallest = math.apply(b, ops.Equal(), x, extreme), False
    op = ops.ArgMin(output_type=out) if smallest else ops.ArgMax(output_type=out)
    if not x.is_const:
        x = array.cast(b, x, I32 if x.dtype is BOOL and smallest else math.computed_in(op, [x]))
    return array.cast(b, b(op, x, np.int32(axis)), dtype)


def top_k(b: Builder, x: Any, k: Value, index_type: DType) -> tuple[Any, Any]:
    """Return the k largest elements along the last axis, in falling order, and their places."""
    op = ops.TopKV2()
    values, places = b(op, array.cast(b, x, math.computed_in(op, [x])), array.cast(b, k, I32))
    return array.cast(b, values, x.dtype), array.cast(b, places, index_type)


# -- segments -------------------------------------------------------------------------------------------


def _segment(b: Builder, op: Op, x: Any, ids: Any, count: Any) -> Any:
    """Reduce the parts of x that have one id; ids stand for the leading axes of x, negative ones are left
    out.
    """
    return _unary(b, op, x, array.cast(b, ids, I32), array.cast(b, count, I32))


def segment_sum(b: Builder, x: Any, ids: Any, count: Any) -> Any:
    """Return the sums of segments, 0 where empty."""
    if x.dtype is I64:
        rows = array.expand_dims(b, ids, ids.rank)
        shape = array.concat(
            b, [array.reshape(b, array.cast(b, count, I32), (1,)), b.dims(x.shape[ids.rank :])], 0
        )
        return b(ops.ScatterNd(), array.cast(b, rows, I32), x, shape)
    return _segment(b, ops.UnsortedSegmentSum(), x, ids, count)


def segment_product(b: Builder, x: Any, ids: Any, count: Any) -> Any:
    """Return the products of segments, 1 where empty."""
    return _segment(b, ops.UnsortedSegmentProd(), x, ids, count)


def segment_maximum(b: Builder, x: Any, ids: Any, count: Any) -> Any:
    """Return the largest elements of segments, the lowest number where empty."""
    return _segment(b, ops.UnsortedSegmentMax(), x, ids, count)


def segment_minimum(b: Builder, x: Any, ids: Any, count: Any) -> Any:
    """Return the smallest elements of segments, the highest number where empty."""
    return _segment(b, ops.UnsortedSegmentMin(), x, ids, count)


def segment_mean(b: Builder, x: Any, ids: Any, count: Any) -> Any:
    """Return the means of segments, 0 where empty."""
    members = math.apply(b, ops.Maximum(), _members(b, x, ids, count), 1)
    return math.apply(b, ops.Div(), segment_sum(b, x, ids, count), array.cast(b, members, x.dtype))


def _members(b: Builder, x: Any, ids: Any, count: Any) -> Any:
    """Return the sizes of the segments, with axes of 1 for the inner axes of x."""
    ones = array.full(b, b.dims(ids.shape), 1, I32)
    members = segment_sum(b, ones, ids, count)
    return array.reshape(b, members, (members.shape[0], *(1 for _ in range(x.rank - ids.rank))))


def segment_count(b: Builder, ids: Any) -> Any:
    """Return one more than the last of sorted ids."""
    if ids.is_const:
        return b.const(np.int32(ids.array()[-1] + 1 if ids.array().size else 0))
    last = b(
        ops.StridedSlice(shrink_axis_mask=1), ids, *(np.array([number], np.int32) for number in (-1, 0, 1))
    )
    return b(ops.Add(), array.cast(b, last, I32), 1)


def clear_empty(b: Builder, result: Any, ids: Any, count: Any) -> Any:
    """Return the result with zeros for segments that have no members."""
    return math.select(b, math.apply(b, ops.Equal(), _members(b, result, ids, count), 0), 0, result)


def bincount(b: Builder, x: Any, size: Any, weights: Any, dtype: DType, binary: bool) -> Any:
    """Count (or sum the weights of) how often each number below `size` is in x, per row where x has rank 2.

    What lies beyond counts in one bin more, which is dropped.
    """
    bins = array.cast(b, size, I32)
    width = b(ops.Add(), bins, 1)
    ids = math.apply(b, ops.Minimum(), array.cast(b, x, I32), bins)
    rows = x.shape[0] if x.rank == 2 else 1
    if x.rank == 2:
        starts = b(ops.Mul(), _positions(b, rows), width)
        ids = b(ops.Add(), ids, array.expand_dims(b, starts, 1))
    weighted = not (weights.type.is_static and weights.type.size == 0) and not binary
    amounts = weights if weighted else array.full(b, b.dims(x.shape), 1, I32)
    sums = segment_sum(b, amounts, ids, b(ops.Mul(), b.dim(rows), width))
    table = array.reshape_to(b, sums, array.pack(b, [b.dim(rows), width], 0))
    kept = array.slice(b, table, [0, 0], array.pack(b, [b.dim(rows), bins], 0))
    if binary:
        kept = math.apply(b, ops.Minimum(), kept, 1)
    return array.cast(b, kept if x.rank == 2 else array.reshape(b, kept, kept.shape[1:]), dtype)


def _positions(b: Builder, count: Any) -> Any:
    return array.arange(b, b.const(np.int32(0)), b.dim(count), b.const(np.int32(1)))
