"""Slicing and indexing macros: strided slices with every mask, gathers and scatters of tuples of indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from litecast import ops
from litecast.errors import InferenceError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, product
from litecast.lib import array, math, reduce
from litecast.lib.array import Element, unsupported

__all__ = ["Masks", "gather_nd", "one_hot", "search_sorted", "strided_slice", "strided_slice_update"]

STRIDED_RANK = 5
"""Dimensions of StridedSlice in every runtime (new ones take any number)."""
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Masks:
    """The bit masks of TensorFlow's StridedSlice: bit i speaks of position i of begin, end and strides."""

    begin: int = 0
    end: int = 0
    ellipsis: int = 0
    new_axis: int = 0
    shrink_axis: int = 0


_NO_MASKS = Masks()


@dataclass(frozen=True)
class _Range:
    """What happens to one axis: from `begin` to `end` in steps, or (`shrink`) the one element at `begin`.

    None stands for an open end, an Element for a number that is computed.
    """

    begin: Any = None
    end: Any = None
    stride: int = 1
    shrink: bool = False

    @property
    def is_whole(self) -> bool:
        return self.begin is None and self.end is None and self.stride == 1 and not self.shrink


def strided_slice(b: Builder, x: Any, begin: Any, end: Any, strides: Any, masks: Masks = _NO_MASKS) -> Any:
    """Return x[begin:end:strides] with every mask of TensorFlow (tensorflow/core/util/strided_slice_op.cc).

    What selects everything is a reshape at most, what only cuts is SLICE; STRIDED_SLICE takes what is left.
    """
    begin, end = (
        part if isinstance(part, Value) else b.const(np.asarray(part, np.int32)) for part in (begin, end)
    )
    steps = strides.known if isinstance(strides, Value) else np.asarray(strides)
    if steps is None or not all(isinstance(step, (int, np.integer)) for step in steps):
        raise unsupported("StridedSlice", "the strides are not constant", "use constant strides")
    ranges, new_axes = _dense(
        x,
        array.elements(begin, "StridedSlice"),
        array.elements(end, "StridedSlice"),
        [int(step) for step in steps],
        masks,
    )
    ranges = [_closed(part, dim) for part, dim in zip(ranges, x.shape, strict=True)]
    result = _cut(b, x, ranges)
    return _with_new_axes(b, result, new_axes)


def _dense(
    x: Any, begin: Sequence[Any], end: Sequence[Any], strides: Sequence[int], masks: Masks
) -> tuple[list[_Range], list[int]]:
    """Return the range of every axis of x, and where in the result new axes stand."""
    ranges: list[_Range] = []
    new_axes: list[int] = []
    position = 0
    inserted = sum(
        1 for bit in range(len(begin)) if _has(masks.new_axis, bit) and not _has(masks.ellipsis, bit)
    )
    explicit = len(begin) - inserted - (1 if masks.ellipsis else 0)
    for bit in range(len(begin)):
        if _has(masks.ellipsis, bit):
            count = max(0, x.rank - explicit)
            ranges += [_Range()] * count
            position += count
        elif _has(masks.new_axis, bit):
            new_axes.append(position)
            position += 1
        elif _has(masks.shrink_axis, bit):
            ranges.append(_Range(begin[bit], shrink=True))
        else:
            open_begin, open_end = _has(masks.begin, bit), _has(masks.end, bit)
            ranges.append(
                _Range(None if open_begin else begin[bit], None if open_end else end[bit], strides[bit])
            )
            position += 1
    if len(ranges) > x.rank:
        raise InferenceError(f"{len(ranges)} indices for a tensor of rank {x.rank}")
    ranges += [_Range()] * (x.rank - len(ranges))
    return ranges, new_axes


def _has(mask: int, bit: int) -> bool:
    return bool(mask >> bit & 1)


def _closed(part: _Range, dim: Dim) -> _Range:
    """Simplify a range: open ends where they reach the ends, numbers counted from the front where that is
    known.
    """
    begin, end = part.begin, part.end
    if part.stride == 0:
        raise InferenceError("a stride of a slice is 0")
    if isinstance(begin, int) and isinstance(dim, int):
        begin = begin + dim if begin < 0 else begin
        if part.shrink and not 0 <= begin < dim:
            raise InferenceError(f"index {part.begin} is out of range for dimension {dim}")
        begin = min(max(begin, 0), dim) if part.stride > 0 else min(begin, dim - 1)
    if part.shrink:
        return replace(part, begin=begin)
    if isinstance(end, int) and isinstance(dim, int):
        end = end + dim if end < 0 else end
        end = min(max(end, 0), dim) if part.stride > 0 else end
    if part.stride > 0:
        begin = None if isinstance(begin, int) and begin == 0 else begin
        end = None if end == dim or (isinstance(end, Element) and end.known == dim) else end
        return replace(part, begin=begin, end=end)
    begin = None if isinstance(begin, int) and isinstance(dim, int) and begin == dim - 1 else begin
    end = None if isinstance(end, int) and isinstance(dim, int) and end < 0 else end
    if isinstance(begin, int) and begin < 0 and isinstance(dim, int):
        return replace(part, begin=0, end=0)  # starts before the first element: empty
    return replace(part, begin=begin, end=end)


def _cut(b: Builder, x: Any, ranges: Sequence[_Range]) -> Any:
    """Apply the ranges: in one operation where the rank allows, else two axes at a time with the others
    merged.
    """
    partial = [axis for axis, part in enumerate(ranges) if not part.is_whole]
    if not partial:
        return x
    if x.rank <= STRIDED_RANK:
        return _slice_once(b, x, ranges)
    removed = 0
    for start in range(0, len(partial), 2):
        axes = [axis - removed for axis in partial[start : start + 2]]
        groups = array.group(x.rank, axes)
        merged = array.reshape(b, x, [product(x.shape[axis] for axis in group) for group in groups])
        own = [ranges[group[0] + removed] if group[0] in axes else _Range() for group in groups]
        result = _slice_once(b, merged, own)
        kept = [group for group, part in zip(groups, own, strict=True) if not part.shrink]
        removed += sum(part.shrink for part in own)
        x = array.ungroup(b, x, result, kept)
    return x


def _slice_once(b: Builder, x: Any, ranges: Sequence[_Range]) -> Any:
    if all(
        not part.shrink and part.stride == 1 and _is_plain(part, dim)
        for part, dim in zip(ranges, x.shape, strict=True)
    ):
        begins = [part.begin or 0 for part in ranges]
        ends = [part.end for part in ranges]
        sizes = [-1 if end is None else max(0, end - begin) for begin, end in zip(begins, ends, strict=True)]
        return array.slice(b, x, begins, sizes)
    masks: dict[str, Any] = {
        "begin_mask": sum(1 << axis for axis, part in enumerate(ranges) if part.begin is None),
        "end_mask": sum(
            1 << axis for axis, part in enumerate(ranges) if part.end is None and not part.shrink
        ),
        "shrink_axis_mask": sum(1 << axis for axis, part in enumerate(ranges) if part.shrink),
    }
    begins = [_number(part.begin) for part in ranges]
    ends = [
        _after(begin) if part.shrink else _number(part.end)
        for part, begin in zip(ranges, begins, strict=True)
    ]
    if any(isinstance(number, (Element, Value)) for number in (*begins, *ends)):
        # Vectors that are computed may be shorter than the rank, so that they can be the source's own.
        while ranges[-1].is_whole:
            ranges = ranges[:-1]
    count = len(ranges)
    strides = np.array([part.stride for part in ranges], np.int32)
    masks = {name: mask & ((1 << count) - 1) for name, mask in masks.items()}
    return b(
        ops.StridedSlice(**masks), x, array.vector(b, begins[:count]), array.vector(b, ends[:count]), strides
    )


def _is_plain(part: _Range, dim: Dim) -> bool:
    """Whether both ends are known to lie within the dimension, which SLICE does not cut them off at."""
    if part.begin is None and part.end is None:
        return True
    return isinstance(dim, int) and all(
        end is None or (isinstance(end, int) and end >= 0) for end in (part.begin, part.end)
    )


def _number(item: Any) -> Any:
    return min(max(item, int(_INT32.min)), int(_INT32.max)) if isinstance(item, int) else item


def _after(begin: Any) -> Any:
    """Return an end for an axis that goes: the kernel takes begin + 1 whatever it is
    (strided_slice_logic.h).
    """
    return begin + 1 if isinstance(begin, int) and begin != -1 else None


def _with_new_axes(b: Builder, x: Any, axes: Sequence[int]) -> Any:
    if not axes:
        return x
    shape = iter(x.shape)
    wanted: list[Dim] = [1 if axis in axes else next(shape) for axis in range(x.rank + len(axes))]
    if sum(not isinstance(dim, int) for dim in wanted) <= 1:
        return array.reshape(b, x, wanted)
    for axis in axes:
        x = array.expand_dims(b, x, axis)
    return x


def strided_slice_update(
    b: Builder, x: Any, begin: Any, end: Any, strides: Any, update: Any, masks: Masks = _NO_MASKS
) -> Any:
    """Return x with x[begin:end:strides] replaced by `update`, which has the shape of that slice.

    The slice has steps of 1; where it begins may be computed at run time.
    """
    steps = strides.known
    if steps is None or any(step != 1 for step in steps):
        raise unsupported("StridedSliceAssign", "its steps are not 1", "assign the whole variable")
    ranges, new_axes = _dense(
        x,
        array.elements(begin, "StridedSlice"),
        array.elements(end, "StridedSlice"),
        [int(step) for step in steps],
        masks,
    )
    ranges = [_closed(part, dim) for part, dim in zip(ranges, x.shape, strict=True)]
    given = iter([dim for axis, dim in enumerate(update.shape) if axis not in new_axes])
    shape = [1 if part.shrink else next(given, 1) for part in ranges]
    start = [_from_front(b, part.begin or 0, dim) for part, dim in zip(ranges, x.shape, strict=True)]
    return b(ops.DynamicUpdateSlice(), x, array.reshape(b, update, shape), array.vector(b, start))


def _from_front(b: Builder, item: Any, dim: Dim) -> Any:
    """Return a start counted from the front: a negative one counts from the end."""
    if isinstance(item, int) and item >= 0:
        return item
    if isinstance(item, int):
        return item + dim
    place = item.scalar(b) if isinstance(item, Element) else item
    behind = b(ops.Add(), place, b.dim(dim))
    return b(ops.SelectV2(), b(ops.Less(), place, np.int32(0)), behind, place)


# -- tuples of indices, searches ------------------------------------------------------------------------


def gather_nd(b: Builder, x: Any, indices: Any) -> Any:
    """Return the parts of x that the index tuples in the last axis of `indices` name."""
    if indices.dtype not in (DType.INT16, DType.INT32, DType.INT64):
        indices = array.cast(b, indices, DType.INT32)
    return array.moved(b, ops.GatherNd, x, lambda y: b(ops.GatherNd(), y, indices))


def one_hot(b: Builder, indices: Any, depth: Any, on_value: Any, off_value: Any, axis: int) -> Any:
    """Return `on_value` where the position on a new axis equals the index, `off_value` elsewhere."""
    places = indices if indices.dtype in (DType.INT32, DType.INT64) else array.cast(b, indices, DType.INT32)
    dtype = on_value.dtype
    carrier = dtype
    while carrier not in _ONE_HOT:
        if carrier not in math.WIDER:
            raise unsupported("OneHot", f"the kernel does not take {dtype.name}", "use float32 or int32")
        carrier = math.WIDER[carrier]
    values = [array.cast(b, value, carrier) for value in (on_value, off_value)]
    return array.cast(b, b(ops.OneHot(axis=axis), places, array.cast(b, depth, DType.INT32), *values), dtype)


_ONE_HOT = frozenset({DType.FLOAT32, DType.INT32, DType.INT64, DType.INT8, DType.UINT8, DType.BOOL})
"""Element types that one_hot.cc evaluates (it also prepares INT16, which then fails)."""


def search_sorted(b: Builder, x: Any, values: Any, dtype: DType, right: bool) -> Any:
    """Return, per row, how many elements of sorted x are less than (`right`: not greater than) each value."""
    rows = array.expand_dims(b, x, 1)
    wanted = array.expand_dims(b, values, 2)
    before = math.apply(b, ops.LessEqual() if right else ops.Less(), rows, wanted)
    return array.cast(b, reduce.total(b, array.cast(b, before, DType.INT32), (2,)), dtype)
