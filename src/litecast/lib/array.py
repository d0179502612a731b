"""Array macros on values: what NumPy calls the same, lowered to what LiteRT's kernels can do at any rank.

Shapes are sequences of ints and Syms; a movement that changes nothing returns its operand.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from litecast import ops
from litecast.errors import InferenceError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, Sym, product
from litecast.lib.operands import (
    CARRIERS,
    Element,
    cast,
    elements,
    kernel_types,
    moved,
    normalize_axis,
    unsupported,
    vector,
)

__all__ = [
    "Element",
    "arange",
    "cast",
    "concat",
    "elements",
    "expand_dims",
    "flatten",
    "full",
    "gather",
    "group",
    "moved",
    "normalize_axis",
    "pack",
    "pad",
    "reshape",
    "reshape_to",
    "reverse",
    "roll",
    "shape",
    "slice",
    "split",
    "squeeze",
    "transpose",
    "ungroup",
    "unpack",
    "unsupported",
    "vector",
    "zeros",
]

TRANSPOSE_RANK = 6
"""Transpose takes 8 dimensions in new runtimes, 6 in those before 2.12 (internal/types.h
kTransposeMaxDimensions).
"""
JOIN_RANK = 6
"""Dimensions that XNNPACK concatenates and splits (XNN_MAX_TENSOR_DIMS); it fails beyond them."""
PAD_RANK = 5
"""reference/pad.h PadKernelMaxDimensionCount."""
SLICE_RANK = 5
"""slice.cc kMaxDim; only new runtimes have a path beyond it."""


def reshape(b: Builder, x: Any, shape: Sequence[Dim]) -> Any:
    """Return x with `shape`: ints, Syms, and at most one -1. One unknown dimension costs nothing, more are
    computed.
    """
    target = _complete(x, shape)
    if x.type.shape is not None and tuple(target) == tuple(x.shape):
        return x
    unknown = [axis for axis, dim in enumerate(target) if isinstance(dim, Sym)]
    if -1 not in target and unknown and 0 not in target:
        target[max(unknown, key=lambda axis: _complexity(target[axis]))] = -1
    return b(ops.Reshape(), x, b.dims(target))


def reshape_to(b: Builder, x: Any, shape: Value) -> Any:
    """Return x with the shape in a vector, of which what tracking knows is used: see `reshape`."""
    known = shape.known
    if known is None:
        return b(ops.Reshape(), x, cast(b, shape, DType.INT32))
    if sum(isinstance(dim, Sym) or dim == -1 for dim in known) <= 1:
        return reshape(b, x, list(known))
    if x.type.shape is not None and tuple(known) == tuple(x.shape):
        return x
    items = elements(shape, "Reshape")
    hardest = max(range(len(items)), key=lambda axis: _complexity(known[axis]))
    if -1 not in items and _complexity(known[hardest]) > 2:
        items[hardest] = -1  # the runtime divides for it
    return b(ops.Reshape(), x, vector(b, items))


def _complexity(dim: Dim) -> int:
    """Return how much there is to compute for a dimension: a product is more than a name."""
    return 2 * len(dim.names) + (dim.scale != 1) if isinstance(dim, Sym) else 0


def _complete(x: Any, shape: Sequence[Dim]) -> list[Dim]:
    """Return the shape with its -1 replaced where the operand's size tells what it is."""
    target = [dim if isinstance(dim, Sym) else int(dim) for dim in shape]
    if target.count(-1) > 1:
        raise InferenceError(f"shape {tuple(shape)} has more than one -1")
    if -1 in target and x.type.shape is not None:
        rest = product(dim for dim in target if dim != -1)
        if rest != 0:
            size = x.type.size // rest
            if isinstance(size, int) or any(isinstance(dim, Sym) for dim in target):
                target[target.index(-1)] = size
    return target


def flatten(b: Builder, x: Any) -> Any:
    """Return x as a vector."""
    return reshape(b, x, (-1,))


def transpose(b: Builder, x: Any, perm: Sequence[int]) -> Any:
    """Return x with its axes in the order `perm`; dimensions that stay together are merged beyond the
    kernel's rank.
    """
    perm = [normalize_axis(int(axis), len(perm)) for axis in perm]
    if perm == sorted(perm):
        return x
    if x.type.shape is None or len(perm) <= TRANSPOSE_RANK:
        return b(ops.Transpose(), x, np.array(perm, np.int32))
    groups = _runs([axis for axis in perm if x.shape[axis] != 1])
    if len(groups) > TRANSPOSE_RANK:
        raise unsupported(
            "Transpose", f"a permutation of {len(groups)} separate dimensions", "use fewer dimensions"
        )
    order = sorted(groups)
    merged = reshape(b, x, [product(x.shape[axis] for axis in group) for group in order])
    result = transpose(b, merged, [order.index(group) for group in groups])
    return reshape(b, result, [x.shape[axis] for axis in perm])


def _runs(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Split a permutation into maximal runs of consecutive axes."""
    runs: list[list[int]] = []
    kept = sorted(axes)
    following = dict(pairwise(kept))
    for axis in axes:
        if runs and following.get(runs[-1][-1]) == axis:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    return [tuple(run) for run in runs]


def concat(b: Builder, xs: Sequence[Any], axis: int) -> Any:
    """Return the values joined along `axis`; parts that are empty along it are left out."""
    rank = next((x.rank for x in xs if x.type.shape is not None), None)
    if rank is not None:
        axis = normalize_axis(axis, rank)
        xs = [x for x in xs if x.type.shape is None or x.shape[axis] != 0] or list(xs[:1])
    if len(xs) == 1:
        return xs[0]
    if rank is not None and rank > JOIN_RANK and all(x.type.shape is not None for x in xs):
        groups = group(rank, [axis])
        flat = [reshape(b, x, [product(x.shape[one] for one in part) for part in groups]) for x in xs]
        return ungroup(b, xs[0], concat(b, flat, groups.index((axis,))), groups)
    dtype = xs[0].dtype
    if (
        dtype in kernel_types(ops.Concatenation)
        or dtype.is_complex
        or all(isinstance(x, Value) and x.is_const for x in xs)
    ):
        return b(ops.Concatenation(axis=axis), *xs)
    if dtype not in CARRIERS:
        raise unsupported(
            "Concat", f"the kernel does not take {dtype.name}", "convert to float32 or int32 first"
        )
    return cast(b, concat(b, [cast(b, x, CARRIERS[dtype]) for x in xs], axis), dtype)


def slice(b: Builder, x: Any, begin: Any, size: Any) -> Any:
    """Return the part of x that starts at `begin` with `size` (-1: to the end).

    Both are a vector, or a sequence of ints, Syms, Elements and scalar values.
    """
    begin, size = (
        elements(part, "Slice") if isinstance(part, Value) else list(part) for part in (begin, size)
    )
    size = [-1 if _spans(*one) else one[1] for one in zip(begin, size, x.shape, strict=True)]
    if not any(map(_is_partial, begin, size)):
        return x
    if x.rank > SLICE_RANK:
        return _slice_merged(b, x, begin, size)
    return b(ops.Slice(), x, vector(b, begin), vector(b, size))


def _spans(begin: Any, size: Any, dim: Dim) -> bool:
    """Whether a slice takes the whole dimension, as far as is known."""
    extent = size.known if isinstance(size, Element) else size
    return isinstance(begin, int) and begin == 0 and not isinstance(extent, Value) and extent == dim


def _slice_merged(b: Builder, x: Any, begin: Sequence[Any], size: Sequence[Any]) -> Any:
    """Slice beyond the kernel's rank: two axes at a time, with whole dimensions between them merged."""
    partial = [axis for axis in range(x.rank) if _is_partial(begin[axis], size[axis])]
    for start in range(0, len(partial), 2):
        axes = partial[start : start + 2]
        groups = group(x.rank, axes)
        merged = reshape(b, x, [product(x.shape[axis] for axis in group) for group in groups])
        begins = [begin[group[0]] if group[0] in axes else 0 for group in groups]
        sizes = [size[group[0]] if group[0] in axes else -1 for group in groups]
        result = b(ops.Slice(), merged, vector(b, begins), vector(b, sizes))
        x = ungroup(b, x, result, groups)
    return x


def _is_partial(begin: Any, size: Any) -> bool:
    return not (isinstance(begin, int) and isinstance(size, int) and begin == 0 and size == -1)


def group(rank: int, axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Group the axes of a tensor so that each of `axes` stands alone and what lies between them is merged."""
    groups: list[list[int]] = []
    for axis in range(rank):
        if axis not in axes and groups and groups[-1][-1] not in axes:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return [tuple(group) for group in groups]


def ungroup(b: Builder, x: Any, result: Any, groups: Sequence[Sequence[int]]) -> Any:
    """Give a result of merged dimensions the dimensions of x back, except where a lone dimension changed."""
    dims: list[Dim] = []
    for group, dim in zip(groups, result.shape, strict=True):
        dims += [dim] if len(group) == 1 else [x.shape[axis] for axis in group]
    return reshape(b, result, dims)


def split(b: Builder, x: Any, parts: int | Sequence[int], axis: int) -> tuple[Any, ...]:
    """Return x cut along `axis` into `parts` equal parts, or into parts of the given sizes (one may be
    -1).
    """
    axis = normalize_axis(axis, x.rank)
    if x.rank > JOIN_RANK:
        groups = group(x.rank, [axis])
        flat = reshape(b, x, [product(x.shape[one] for one in part) for part in groups])
        cut = split(b, flat, parts, groups.index((axis,)))
        return tuple(ungroup(b, x, part, groups) for part in cut)
    if isinstance(parts, int):
        if parts == 1:
            return (x,)
        if isinstance(x.shape[axis], int) and x.shape[axis] % parts:
            raise InferenceError(f"dimension {x.shape[axis]} does not split into {parts} equal parts")
        whole = moved(b, ops.Split, x, lambda y: b(ops.Split(num_splits=parts), np.int32(axis), y))
        return tuple(whole)
    sizes = [int(part) for part in parts]
    if len(sizes) == 1:
        return (x,)
    if isinstance(x.shape[axis], int) and -1 in sizes:
        sizes[sizes.index(-1)] = x.shape[axis] - sum(sizes) - 1
    vector_of_sizes = np.array(sizes, np.int32)
    cut = moved(
        b, ops.SplitV, x, lambda y: b(ops.SplitV(num_splits=len(sizes)), y, vector_of_sizes, np.int32(axis))
    )
    return tuple(cut)


def pack(b: Builder, xs: Sequence[Any], axis: int) -> Any:
    """Return the values stacked along a new axis."""
    rank = xs[0].rank + 1
    axis = normalize_axis(axis, rank)
    if len(xs) == 1:
        return expand_dims(b, xs[0], axis)
    constant = all(isinstance(x, Value) and x.is_const for x in xs)
    if xs[0].dtype in kernel_types(ops.Pack) or xs[0].dtype.is_complex or constant:
        return b(ops.Pack(values_count=len(xs), axis=axis), *xs)
    return concat(b, [expand_dims(b, x, axis) for x in xs], axis)


def unpack(b: Builder, x: Any, axis: int) -> tuple[Any, ...]:
    """Return the parts of x along `axis`, without that axis; its dimension must be known."""
    axis = normalize_axis(axis, x.rank)
    count = x.shape[axis]
    if not isinstance(count, int):
        raise unsupported(
            "Unpack", f"the number of parts {count} is not known", "fix that dimension of the input"
        )
    if count == 1:
        return (squeeze(b, x, (axis,)),)
    if count == 0:
        return ()
    if x.dtype in kernel_types(ops.Unpack) or x.dtype.is_complex or (isinstance(x, Value) and x.is_const):
        return tuple(b(ops.Unpack(num=count, axis=axis), x))
    return tuple(squeeze(b, part, (axis,)) for part in split(b, x, count, axis))


def pad(b: Builder, x: Any, paddings: Any, value: Any = 0) -> Any:
    """Return x with `paddings` (one (before, after) pair per axis; ints, or one value) of `value` around
    it.
    """
    if isinstance(paddings, Value) and paddings.is_const:
        paddings = paddings.array()
    if isinstance(paddings, Value):
        return _pad(b, x, paddings, value)
    pairs = np.asarray(paddings, np.int64).reshape(-1, 2)
    if pairs.size and pairs.min() < 0:
        raise InferenceError("paddings must not be negative")
    axes = [axis for axis in range(len(pairs)) if pairs[axis].any()]
    if not axes:
        return x
    if len(pairs) <= PAD_RANK:
        return _pad(b, x, b.const(pairs.astype(np.int32)), value)
    for start in range(0, len(axes), 2):
        chosen = axes[start : start + 2]
        groups = group(len(pairs), chosen)
        merged = reshape(b, x, [product(x.shape[axis] for axis in group) for group in groups])
        rows = [pairs[group[0]] if group[0] in chosen else (0, 0) for group in groups]
        x = ungroup(b, x, _pad(b, merged, b.const(np.array(rows, np.int32)), value), groups)
    return x


def _pad(b: Builder, x: Any, paddings: Value, value: Any) -> Any:
    if not isinstance(value, Value) and value == 0:
        return moved(b, ops.Pad, x, lambda y: b(ops.Pad(), y, paddings))

    def with_value(y: Any) -> Any:
        fill = value if isinstance(value, Value) else b.const(np.asarray(value, x.dtype.numpy))
        return b(ops.PadV2(), y, paddings, cast(b, fill, y.dtype))

    return moved(b, ops.Pad, x, with_value)


def gather(b: Builder, x: Any, indices: Any, axis: int = 0, batch_dims: int = 0) -> Any:
    """Return the elements of x at `indices` along `axis`; the first `batch_dims` axes of both go together."""
    axis = normalize_axis(axis, x.rank)
    if not isinstance(indices, Value):
        indices = b.const(np.asarray(indices))
    if indices.dtype not in (DType.INT16, DType.INT32, DType.INT64):
        indices = cast(b, indices, DType.INT32)
    if x.dtype is DType.STRING and x.rank > 1 and not x.is_const:
        raise unsupported("Gather", "the kernel gathers strings of rank 1 only", "flatten the strings")
    return moved(b, ops.Gather, x, lambda y: b(ops.Gather(axis=axis, batch_dims=batch_dims), y, indices))


def squeeze(b: Builder, x: Any, axes: Sequence[int] = ()) -> Any:
    """Return x without the given axes (all of dimension 1 where none is given)."""
    axes = [normalize_axis(axis, x.rank) for axis in axes]
    if not axes:
        if any(isinstance(dim, Sym) for dim in x.shape):
            raise unsupported("Squeeze", "the axes to remove depend on unknown dimensions", "name the axes")
        axes = [axis for axis, dim in enumerate(x.shape) if dim == 1]
    wrong = [axis for axis in axes if isinstance(x.shape[axis], int) and x.shape[axis] != 1]
    if wrong:
        raise InferenceError(f"axis {wrong[0]} of shape {x.shape} is not 1")
    kept = [dim for axis, dim in enumerate(x.shape) if axis not in axes]
    if sum(isinstance(dim, Sym) for dim in kept) > 1:
        return b(ops.Squeeze(squeeze_dims=tuple(sorted(axes))), x)
    return reshape(b, x, kept)


def expand_dims(b: Builder, x: Any, axis: int) -> Any:
    """Return x with a new axis of dimension 1 at `axis` of the result."""
    axis = normalize_axis(axis, x.rank + 1)
    if sum(isinstance(dim, Sym) for dim in x.shape) > 1:
        return b(ops.ExpandDims(), x, np.int32(axis))
    return reshape(b, x, (*x.shape[:axis], 1, *x.shape[axis:]))


def shape(b: Builder, x: Any, dtype: DType = DType.INT32) -> Value:
    """Return the shape of x as a vector (a constant where it is known)."""
    result: Value = b(ops.Shape(out_type=dtype), x)
    return result


def full(b: Builder, shape: Sequence[Dim] | Value, value: Any, dtype: DType) -> Any:
    """Return a tensor of `shape` in which every element is `value` (a number or a scalar value)."""
    dims = shape if isinstance(shape, Value) else b.dims(shape)
    if not isinstance(value, Value):
        value = b.const(np.asarray(value, dtype.numpy))
    return b(ops.Fill(), dims, cast(b, value, dtype))


def zeros(b: Builder, shape: Sequence[Dim] | Value, dtype: DType) -> Any:
    """Return zeros (false) of `shape`."""
    return full(b, shape, 0, dtype)


def reverse(b: Builder, x: Any, axes: Sequence[int]) -> Any:
    """Return x with the order along `axes` reversed; one operation per run of neighbouring axes."""
    ordered = sorted(normalize_axis(axis, x.rank) for axis in axes if x.shape[axis] != 1)
    groups: list[list[int]] = []
    for axis in ordered:
        if groups and groups[-1][-1] + 1 == axis:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    for group in groups:
        contiguous = np.array(group, np.int32)
        x = moved(b, ops.ReverseV2, x, lambda y, contiguous=contiguous: b(ops.ReverseV2(), y, contiguous))
    return x


def arange(b: Builder, start: Any, limit: Any, delta: Any) -> Any:
    """Return the numbers from `start` up to `limit` (left out) in steps of `delta`: three scalar values of
    one type.
    """
    dtype = start.dtype
    wide = dtype if dtype in (DType.FLOAT32, DType.INT32, DType.INT64) else CARRIERS.get(dtype)
    if wide not in (DType.FLOAT32, DType.INT32, DType.INT64):
        raise unsupported("Range", f"the kernel does not take {dtype.name}", "use int32 or float32")
    return cast(b, b(ops.Range(), *(cast(b, x, wide) for x in (start, limit, delta))), dtype)


def roll(b: Builder, x: Any, shifts: Sequence[Any], axes: Sequence[int]) -> Any:
    """Return x with the elements along `axes` moved on by `shifts` (ints or scalar values), round the end."""
    amounts: dict[int, Any] = {}
    for shift, axis in zip(shifts, axes, strict=True):
        place = normalize_axis(axis, x.rank)
        before = amounts.get(place, 0)
        amounts[place] = (
            b(ops.Add(), before, shift)
            if isinstance(shift, Value) or isinstance(before, Value)
            else before + shift
        )
    for axis, amount in amounts.items():
        x = _roll(b, x, amount, axis)
    return x


def _roll(b: Builder, x: Any, shift: Any, axis: int) -> Any:
    length = x.shape[axis]
    if isinstance(length, int) and not isinstance(shift, Value):
        start: Any = -shift % length if length else 0
        if start == 0:
            return x
    else:
        moved_on = (
            b(ops.Neg(), cast(b, shift, DType.INT32))
            if isinstance(shift, Value)
            else b.const(np.int32(-shift))
        )
        start = b(ops.FloorMod(), moved_on, b.dim(length))
    begin, size = [0] * x.rank, [-1] * x.rank
    tail = slice(b, x, [start if place == axis else 0 for place in range(x.rank)], size)
    head = slice(b, x, begin, [start if place == axis else -1 for place in range(x.rank)])
    return concat(b, [tail, head], axis)
