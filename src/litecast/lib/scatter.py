"""Scatters on values; indices are tuples in the last axis, as in NumPy's `x[tuple(indices)]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast import ops
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, product
from litecast.lib import array, math, reduce
from litecast.lib.array import unsupported

__all__ = [
    "COMBINE",
    "invert_permutation",
    "scatter_nd",
    "tensor_scatter_multiply",
    "tensor_scatter_update",
]

_SCATTERED = (DType.FLOAT32, DType.INT32, DType.INT64)


def scatter_nd(b: Builder, indices: Any, updates: Any, shape: Any) -> Any:
    """Return zeros of `shape` with the updates added at the indices; duplicates add up."""
    places = array.cast(b, indices, DType.INT32)
    dims = array.cast(b, shape, DType.INT32) if isinstance(shape, Value) else b.dims(shape)
    if not isinstance(updates, Value) or updates.dtype in _SCATTERED:
        return b(ops.ScatterNd(), places, updates, dims)
    if updates.dtype not in math.WIDER:
        raise unsupported(
            "ScatterNd", f"the kernel does not take {updates.dtype.name}", "convert to float32 or int32"
        )
    wide = array.cast(b, updates, math.WIDER[updates.dtype])
    return array.cast(b, b(ops.ScatterNd(), places, wide, dims), updates.dtype)


def _add(b: Builder, x: Any, indices: Any, updates: Any) -> Any:
    return math.apply(b, ops.Add(), x, scatter_nd(b, indices, updates, x.shape))


def _subtract(b: Builder, x: Any, indices: Any, updates: Any) -> Any:
    return math.apply(b, ops.Sub(), x, scatter_nd(b, indices, updates, x.shape))


def _maximum(b: Builder, x: Any, indices: Any, updates: Any) -> Any:
    return math.apply(b, ops.Maximum(), x, _combined(b, reduce.segment_maximum, x, indices, updates))


def _minimum(b: Builder, x: Any, indices: Any, updates: Any) -> Any:
    return math.apply(b, ops.Minimum(), x, _combined(b, reduce.segment_minimum, x, indices, updates))


def _combined(b: Builder, segment: Callable[..., Any], x: Any, indices: Any, updates: Any) -> Any:
    """Return the updates of each place combined, the neutral number where there is none."""
    flat, count = _flat_indices(b, x, indices)
    depth = indices.shape[-1]
    rows = array.reshape(b, updates, (flat.shape[0], *x.shape[depth:]))
    return array.reshape(b, segment(b, rows, flat, b.dim(count)), x.shape)


def tensor_scatter_multiply(b: Builder, x: Any, indices: Any, updates: Any) -> Any:
    """Return x times the updates at the indices; duplicates multiply up."""
    return math.apply(b, ops.Mul(), x, _combined(b, reduce.segment_product, x, indices, updates))


def tensor_scatter_update(b: Builder, x: Any, indices: Any, updates: Any) -> Any:
    """Return x with the updates at the indices; of duplicates the last counts.

    The last writer of each place is found by a maximum over segments, then gathered: nothing is added up, so
    NaN and infinity stay where they are and duplicates are exact.
    """
    flat, count = _flat_indices(b, x, indices)
    depth = indices.shape[-1]
    inner = x.shape[depth:]
    number = flat.shape[0]
    positions = array.arange(b, b.const(np.int32(0)), b.dim(number), b.const(np.int32(1)))
    writers = b(ops.UnsortedSegmentMax(), positions, flat, b.dim(count))
    rows = array.reshape(b, updates, (number, *inner))
    picked = array.gather(b, rows, b(ops.Maximum(), writers, 0))
    written = array.reshape(b, b(ops.GreaterEqual(), writers, 0), (count, *(1 for _ in inner)))
    result = math.select(b, written, picked, array.reshape(b, x, (count, *inner)))
    return array.reshape(b, result, x.shape)


def _flat_indices(b: Builder, x: Any, indices: Any) -> tuple[Any, Dim]:
    """Return the indices as one vector of row numbers, and the number of rows of x that they count."""
    depth = indices.shape[-1]
    if not isinstance(depth, int):
        raise unsupported(
            "TensorScatter", "the length of an index is not known", "use indices of known depth"
        )
    strides = [product(x.shape[axis + 1 : depth]) for axis in range(depth)]
    places = array.cast(b, indices, DType.INT32)
    weighted = places if depth == 1 else b(ops.Mul(), places, b.dims(strides))
    flat = array.flatten(b, reduce.total(b, weighted, (-1,)))
    return flat, product(x.shape[:depth])


def invert_permutation(b: Builder, x: Any) -> Any:
    """Return the permutation that undoes x."""
    positions = array.arange(b, b.const(np.int32(0)), b.dim(x.shape[0]), b.const(np.int32(1)))
    places = array.expand_dims(b, x, 1)
    return array.cast(b, scatter_nd(b, places, positions, x.shape), x.dtype)


COMBINE: dict[str, Callable[..., Any]] = {
    "TensorScatterUpdate": tensor_scatter_update,
    "TensorScatterAdd": _add,
    "TensorScatterSub": _subtract,
    "TensorScatterMax": _maximum,
    "TensorScatterMin": _minimum,
}
"""TensorFlow's operation -> macro on (tensor, indices, updates)."""
