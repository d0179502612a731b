"""`keras.ops` that pick elements: `x[...]`, gathers, scatters, sorts, searches, diagonals and triangles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.operations.movement import dims_of, move_axis
from litecast.frontend.keras.operations.promotion import (
    BOOL,
    F32,
    I32,
    I64,
    dtype_named,
    is_tensor,
    kind_of,
    promoted,
    result_type,
    rows_of,
    tensor,
)
from litecast.frontend.keras.operations.reductions import SUMMED
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, broadcast, product
from litecast.lib import array, index, math, matrix, reduce, scatter
from litecast.lib.index import Masks

# -- x[...] ----------------------------------------------------------------------------------------------


def get_item(b: Builder, x: Any, key: Any) -> Any:
    """Return x[key]: numbers, slices, an ellipsis, None (a new axis) and scalar tensors."""
    keys = list(key) if isinstance(key, (list, tuple)) else [key]
    begin: list[Any] = []
    end: list[Any] = []
    strides: list[int] = []
    bits = dict.fromkeys(("begin", "end", "ellipsis", "new_axis", "shrink_axis"), 0)
    for place, item in enumerate(keys):
        first: Any = 0
        last: Any = 0
        step: Any = 1
        if item is Ellipsis:
            bits["ellipsis"] |= 1 << place
        elif item is None:
            bits["new_axis"] |= 1 << place
        elif isinstance(item, slice):
            first, last, step = item.start, item.stop, 1 if item.step is None else item.step
            bits["begin"] |= (first is None) << place
            bits["end"] |= (last is None) << place
        elif is_tensor(item) and (item.rank != 0 or item.dtype is BOOL):
            raise array.unsupported("GetItem", f"an index of type {item.type}", "use take or boolean_mask")
        else:
            first, last = item, None
            bits["shrink_axis"] |= 1 << place
        begin.append(0 if first is None else first)
        end.append(0 if last is None else last)
        strides.append(int(step))
    first_edge, last_edge = (array.vector(b, [_index(b, item) for item in part]) for part in (begin, end))
    return index.strided_slice(b, x, first_edge, last_edge, np.asarray(strides, np.int32), Masks(**bits))


def _index(b: Builder, item: Any) -> Any:
    if is_tensor(item):
        return array.cast(b, item, I32)
    return int(np.clip(int(item), np.iinfo(np.int32).min, np.iinfo(np.int32).max))


@operations("GetItem")
def get_item_node(b: Builder, x: Any, key: Any) -> Any:
    return get_item(b, x, key)


# -- gathers and scatters --------------------------------------------------------------------------------


def _from_front(b: Builder, indices: Any, dim: Dim) -> Any:
    """Return indices of which negative ones count from the end."""
    if isinstance(indices, Value) and indices.is_const and isinstance(dim, int):
        places = indices.array()
        return b.const(np.where(places < 0, places + dim, places).astype(places.dtype))
    if indices.dtype.name.startswith("U"):
        return indices
    size = array.cast(b, b.dim(dim), indices.dtype)
    behind = math.apply(b, ops.Add(), indices, size)
    return math.select(b, math.apply(b, ops.Less(), indices, 0), behind, indices)


@operations("Take")
def take(b: Builder, x: Any, indices: Any, *, axis: Any = None) -> Any:
    value = tensor(b, x)
    if axis is None:
        value, axis = array.flatten(b, value), 0
    place = array.normalize_axis(axis, value.rank)
    places = tensor(b, indices)
    if not places.dtype.is_integer:
        places = array.cast(b, places, I32)
    return array.gather(b, value, _from_front(b, places, value.shape[place]), place)


@operations("TakeAlongAxis")
def take_along_axis(b: Builder, x: Any, indices: Any, *, axis: Any = None) -> Any:
    """The other axes of x and the indices broadcast."""
    value, places = tensor(b, x), tensor(b, indices)
    places = places if places.dtype in (I32, I64) else array.cast(b, places, I32)
    if axis is None:
        value, axis = array.flatten(b, value), 0
    rows, _ = rows_of(b, value, axis)
    wanted, back = rows_of(b, _from_front(b, places, value.shape[axis]), axis)
    lead = broadcast(rows.shape[:-1], wanted.shape[:-1])
    rows = math.broadcast_to(b, rows, (*lead, rows.shape[-1]))
    wanted = math.broadcast_to(b, wanted, (*lead, wanted.shape[-1]))
    return back(array.gather(b, rows, wanted, rows.rank - 1, rows.rank - 1))


@operations("Scatter")
def scatter_(b: Builder, indices: Any, values: Any, *, shape: Any) -> Any:
    return scatter.scatter_nd(b, tensor(b, indices), tensor(b, values), dims_of(b, shape))


REDUCTIONS = {None: "TensorScatterUpdate", "add": "TensorScatterAdd", "max": "TensorScatterMax",
              "min": "TensorScatterMin"}  # fmt: skip
"""What `reduction` means to TensorFlow."""


@operations("ScatterUpdate")
def scatter_update(b: Builder, inputs: Any, indices: Any, updates: Any, *, reduction: Any = None) -> Any:
    value, places = tensor(b, inputs), tensor(b, indices)
    parts = tensor(b, updates, value.dtype)
    if reduction in REDUCTIONS:
        return scatter.COMBINE[REDUCTIONS[reduction]](b, value, places, parts)
    if reduction != "mul":
        raise array.unsupported("ScatterUpdate", f"reduction {reduction!r}", "use add, max, min or mul")
    return scatter.tensor_scatter_multiply(b, value, places, parts)


@operations("UnravelIndex")
def unravel_index(b: Builder, indices: Any, *, shape: Any) -> tuple[Any, ...]:
    value = tensor(b, indices)
    coordinates = []
    for dim in reversed([int(dim) for dim in shape]):
        coordinates.append(math.apply(b, ops.FloorMod(), value, dim))
        value = math.floor_divide(b, value, b.const(np.asarray(dim, value.dtype.numpy)))
    return tuple(reversed(coordinates))


# -- order -----------------------------------------------------------------------------------------------


def _falling(b: Builder, x: Any) -> tuple[Any, Any]:
    """Return the last axis in falling order, and the places; of equal elements the first comes first."""
    return reduce.top_k(b, x, b.dim(x.shape[-1]), I32)


def _turned(b: Builder, x: Any) -> Any:
    """Return numbers in the opposite order: negated floats, -1 - x of integers (tf.sort)."""
    return math.apply(b, ops.Neg(), x) if x.dtype.is_float else math.invert(b, x)


def sorted_(b: Builder, x: Any, axis: int, descending: bool = False) -> Any:
    """Return x sorted along an axis."""
    wide = array.cast(b, x, I32) if x.dtype is BOOL else x
    rows, back = rows_of(b, wide, axis)
    ordered = _falling(b, rows)[0] if descending else _turned(b, _falling(b, _turned(b, rows))[0])
    return array.cast(b, back(ordered), x.dtype)


def arg_sorted(b: Builder, x: Any, axis: int, descending: bool = False) -> Any:
    """Return the INT32 places of the elements in order; equal ones keep theirs."""
    wide = array.cast(b, x, I32) if x.dtype is BOOL else x
    rows, back = rows_of(b, wide, axis)
    return back(_falling(b, rows if descending else _turned(b, rows))[1])


@operations("Sort")
def sort(b: Builder, x: Any, *, axis: Any = -1) -> Any:
    value = tensor(b, x)
    return sorted_(b, array.flatten(b, value), 0) if axis is None else sorted_(b, value, axis)


@operations("Argsort")
def argsort(b: Builder, x: Any, *, axis: Any = -1) -> Any:
    value = tensor(b, x)
    if value.rank == 0:
        return b.const(np.zeros(1, np.int32))
    return arg_sorted(b, array.flatten(b, value), 0) if axis is None else arg_sorted(b, value, axis)


@operations("TopK")
def top_k(b: Builder, x: Any, *, k: Any, sorted: bool = True, is_stable: bool = True) -> tuple[Any, Any]:
    """The kernel sorts and is stable, which the other forms allow."""
    return reduce.top_k(b, tensor(b, x), tensor(b, k, I32), I32)


@operations("Argpartition")
def argpartition(b: Builder, x: Any, *, kth: Any, axis: Any = -1) -> Any:
    """The kth smallest stands at its place, smaller ones before it: so it does in a sorted axis.

    What comes after it is in another order than Keras has it, which numpy leaves open.
    """
    return argsort(b, tensor(b, x), axis=axis)


@operations("InTopK")
def in_top_k(b: Builder, targets: Any, predictions: Any, *, k: Any) -> Any:
    """Whether fewer than k predictions are above the target's (ties count in; tf.math.in_top_k)."""
    places = array.cast(b, tensor(b, targets), I32)
    rank = predictions.rank
    own = array.gather(b, predictions, array.expand_dims(b, places, rank - 1), rank - 1, rank - 1)
    above = array.cast(b, math.apply(b, ops.Greater(), predictions, own), I32)
    count = reduce.total(b, above, [rank - 1])
    finite = math.is_finite(b, array.squeeze(b, own, [rank - 1]))
    return math.apply(b, ops.LogicalAnd(), math.apply(b, ops.Less(), count, tensor(b, k, I32)), finite)


# -- searches --------------------------------------------------------------------------------------------


@operations("SearchSorted")
def search_sorted(b: Builder, sorted_sequence: Any, values: Any, *, side: str = "left") -> Any:
    sequence, wanted = promoted(b, sorted_sequence, values, weak=False)
    row = array.expand_dims(b, sequence, 0)
    flat = array.reshape(b, wanted, (1, product(wanted.shape)))
    dtype = I32 if isinstance(sequence.shape[0], int) else I64
    return array.reshape(b, index.search_sorted(b, row, flat, dtype, side == "right"), wanted.shape)


@operations("Digitize")
def digitize(b: Builder, x: Any, bins: Any) -> Any:
    """Bins as float32, as the kernel of TensorFlow has them."""
    value = tensor(b, x)
    edges = np.ravel(bins.array() if isinstance(bins, Value) and bins.is_const else bins)
    if edges.dtype == object:
        raise array.unsupported("Digitize", "its bins are computed", "use constant bins")
    kernel = ops.Bucketize(boundaries=tuple(float(np.float32(edge)) for edge in edges))
    if value.dtype not in (F32, DType.FLOAT64, I32, I64):
        value = array.cast(b, value, F32 if value.dtype.is_float else I32)
    return b(kernel, value)


@operations("IsIn")
def is_in(b: Builder, x1: Any, x2: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Duplicates in x2 change nothing: `assume_unique` only saves time."""
    value, others = promoted(b, x1, x2, weak=False)
    each = array.reshape(b, value, (product(value.shape), 1))
    equal = math.apply(b, ops.Equal(), each, array.reshape(b, others, (1, product(others.shape))))
    found = array.reshape(b, reduce.any_(b, equal, [1]), value.shape)
    return math.apply(b, ops.LogicalNot(), found) if invert else found


@operations("Bincount")
def bincount(b: Builder, x: Any, *, weights: Any = None, minlength: Any = 0, sparse: bool = False) -> Any:
    """As many bins as the largest number says, which the shape of the result then depends on."""
    if sparse:
        raise array.unsupported("Bincount", "sparse results", "use sparse=False")
    value = array.cast(b, tensor(b, x), I32)
    amounts = b.const(np.zeros(0, np.int32)) if weights is None else tensor(b, weights)
    dtype = I32 if weights is None else result_type(kind_of(x, weak=False), amounts.dtype)
    if amounts.dtype not in (I32, I64, F32):
        amounts = array.cast(b, amounts, F32 if amounts.dtype.is_float else I32)
    largest = reduce.maximum(b, array.flatten(b, value), [0])
    count = b(ops.Maximum(), b(ops.Add(), largest, 1), tensor(b, minlength, I32))
    if value.rank > 2:
        raise array.unsupported("Bincount", f"values of rank {value.rank}", "use rank 1 or 2")
    return array.cast(b, reduce.bincount(b, value, count, amounts, amounts.dtype, False), dtype)


@operations("Unique")
def unique(
    b: Builder,
    x: Any,
    *,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    size: Any = None,
    fill_value: Any = None,
) -> Any:
    """Of the flattened tensor, in order of the values or of their first place."""
    if axis is not None or size is not None or fill_value is not None:
        raise array.unsupported("Unique", "axis, size and fill_value", "take the unique elements of a vector")
    flat = array.flatten(b, tensor(b, x))
    values, inverse = b(ops.Unique(idx_out_type=I32), flat)
    count = values.shape[0]
    first = counts = None
    if return_index:
        positions = array.arange(b, b.const(np.int32(0)), b.dim(flat.shape[0]), b.const(np.int32(1)))
        first = reduce.segment_minimum(b, positions, inverse, b.dim(count))
    if return_counts:
        counts = reduce.segment_sum(b, array.full(b, flat.shape, 1, I32), inverse, b.dim(count))
    if sorted:
        order = arg_sorted(b, values, 0)
        values, first, counts = (
            part if part is None else array.gather(b, part, order) for part in (values, first, counts)
        )
        inverse = (
            array.gather(b, scatter.invert_permutation(b, order), inverse) if return_inverse else inverse
        )
    inverse = array.reshape(b, inverse, x.shape) if return_inverse else None
    results = [part for part in (values, first, inverse, counts) if part is not None]
    return tuple(results) if len(results) > 1 else results[0]


# -- segments --------------------------------------------------------------------------------------------

SEGMENTS: dict[str, Callable[..., Any]] = {
    "SegmentSum": reduce.segment_sum, "SegmentMax": reduce.segment_maximum,
    "SegmentMin": reduce.segment_minimum, "SegmentProd": reduce.segment_product,
}  # fmt: skip


def _segment(name: str) -> Callable[..., Any]:
    def importer(
        b: Builder, data: Any, segment_ids: Any, *, num_segments: Any = None, sorted: bool = False
    ) -> Any:
        ids = tensor(b, segment_ids)
        if num_segments is not None:
            count = tensor(b, num_segments, I32)
        elif name == "SegmentSum" and not sorted:  # as many as there are different ids (math.py)
            count = b.dim(b(ops.Unique(idx_out_type=I32), ids)[0].shape[0])
        else:
            largest = reduce.maximum(b, array.cast(b, ids, I32), [0])
            count = b(ops.Add(), largest, 1)
        result = SEGMENTS[name](b, tensor(b, data), ids, count)
        empty_is_zero = sorted and name in ("SegmentMax", "SegmentMin")
        return reduce.clear_empty(b, result, ids, count) if empty_is_zero else result

    return importer


for _name in SEGMENTS:
    operations(_name)(_segment(_name))


# -- diagonals and triangles -----------------------------------------------------------------------------


def _diagonal(b: Builder, x: Any, offset: int, axis1: int, axis2: int) -> Any:
    moved = move_axis(b, x, (axis1, axis2), (-2, -1))
    rows, columns = moved.shape[-2:]
    if isinstance(rows, int) and isinstance(columns, int) and not -rows < offset < columns:
        return array.zeros(b, (*moved.shape[:-2], 0), moved.dtype)
    if offset == 0:
        return matrix.diagonal_part(b, moved)
    padding = b.const(np.zeros((), moved.dtype.numpy))
    return matrix.diagonals_of_matrix(b, moved, [offset], padding, "RIGHT_LEFT")


def diagonal_matrix(b: Builder, x: Any, k: int) -> Any:
    """Return the square matrix with the vector x on its kth diagonal."""
    if k == 0:
        return matrix.diagonal_matrix(b, x)
    padding = b.const(np.zeros((), x.dtype.numpy))
    return matrix.diagonals_to_matrix(b, x, [k], -1, -1, padding, "RIGHT_LEFT")


@operations("Diag")
def diag(b: Builder, x: Any, *, k: int = 0) -> Any:
    return diagonal_matrix(b, x, k) if x.rank == 1 else _diagonal(b, x, k, 0, 1)


@operations("Diagflat")
def diagflat(b: Builder, x: Any, *, k: int = 0) -> Any:
    return diagonal_matrix(b, array.flatten(b, x), k)


@operations("Diagonal")
def diagonal(b: Builder, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return _diagonal(b, x, offset, axis1, axis2)


@operations("Trace")
def trace(b: Builder, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    value = array.cast(b, x, SUMMED.get(x.dtype, x.dtype))
    part = _diagonal(b, value, offset, axis1, axis2)
    return reduce.total(b, part, [-1])


def _triangle(b: Builder, x: Any, k: Any, upper: bool) -> Any:
    """Keep what is not above (below) the kth diagonal."""
    rows, columns = x.shape[-2:]
    numbers = [
        array.arange(b, b.const(np.int32(0)), b.dim(dim), b.const(np.int32(1))) for dim in (rows, columns)
    ]
    across = b(ops.Sub(), array.expand_dims(b, numbers[1], 0), array.expand_dims(b, numbers[0], 1))
    op = ops.GreaterEqual() if upper else ops.LessEqual()
    return math.select(b, b(op, across, tensor(b, k, I32)), x, 0)


@operations("Tril")
def tril(b: Builder, x: Any, *, k: Any = 0) -> Any:
    return _triangle(b, x, k, upper=False)


@operations("Triu")
def triu(b: Builder, x: Any, *, k: Any = 0) -> Any:
    return _triangle(b, x, k, upper=True)


# -- encodings -------------------------------------------------------------------------------------------


def one_hot_of(b: Builder, x: Any, count: int, axis: int, dtype: DType) -> Any:
    """Return 1 (true) where the position on a new axis is the index; all 0 for indices out of range."""
    on, off = (b.const(np.asarray(number, dtype.numpy)) for number in (1, 0))
    places = tensor(b, x)
    places = places if places.dtype in (I32, I64) else array.cast(b, places, I32)
    return index.one_hot(b, places, b.const(np.int32(count)), on, off, axis)


@operations("OneHot")
def one_hot(
    b: Builder, x: Any, *, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    if sparse:
        raise array.unsupported("OneHot", "sparse results", "use sparse=False")
    return one_hot_of(b, x, int(num_classes), axis, dtype_named(dtype))


@operations("MultiHot")
def multi_hot(
    b: Builder,
    inputs: Any,
    *,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    num_tokens: int | None = None,
) -> Any:
    if sparse:
        raise array.unsupported("MultiHot", "sparse results", "use sparse=False")
    value = tensor(b, inputs)
    count = num_classes if num_classes is not None else num_tokens
    if count is None:
        raise array.unsupported("MultiHot", "its num_classes is missing", "save the model again")
    ones = one_hot_of(b, value, int(count), axis, dtype_named(dtype))
    place = 1 if value.rank > 1 else 0
    return (reduce.any_ if ones.dtype is BOOL else reduce.maximum)(b, ones, [place])
