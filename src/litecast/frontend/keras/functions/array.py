"""TensorFlow's functions on shapes and places: reshapes, joins, slices, gathers, masks, casts and fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.functions.table import function, positions, raw, same_type
from litecast.frontend.keras.operations import casting, indexing, movement
from litecast.frontend.keras.operations.promotion import (
    BOOL,
    F32,
    I32,
    I64,
    axes_of,
    dtype_named,
    is_tensor,
    scalar_of,
    tensor,
)
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType, product
from litecast.lib import array, index, math, scatter
from litecast.lib.index import Masks

# -- shapes ----------------------------------------------------------------------------------------------


@function("shape")
def shape(b: Builder, input: Any, out_type: Any = "int32") -> Any:
    return array.shape(b, tensor(b, input), dtype_named(out_type))


@function("shape_n")
def shape_n(b: Builder, input: Any, out_type: Any = "int32") -> list[Any]:
    return [shape(b, x, out_type) for x in input]


@function("size")
def size(b: Builder, input: Any, out_type: Any = "int32") -> Any:
    value = tensor(b, input)
    return array.cast(b, b.dim(product(value.shape)), dtype_named(out_type))


@function("rank")
def rank(b: Builder, input: Any) -> Any:
    return b.const(np.int32(tensor(b, input).rank))


@function("reshape")
def reshape(b: Builder, tensor_: Any, shape: Any) -> Any:
    return movement.reshaped(b, tensor(b, tensor_), shape)


@function("ensure_shape")
def ensure_shape(b: Builder, x: Any, shape: Any) -> Any:
    dims = [None if dim in (None, -1) else int(dim) for dim in shape]
    return raw(b, "EnsureShape", x, shape=tuple(dims))


@function("expand_dims")
def expand_dims(b: Builder, input: Any, axis: Any) -> Any:
    value = tensor(b, input)
    return array.expand_dims(b, value, int(scalar_of(axis, "axis", "tf.expand_dims")))


@function("squeeze")
def squeeze(b: Builder, input: Any, axis: Any = None) -> Any:
    return array.squeeze(b, input, [] if axis is None else axes_of(axis, input.rank))


@function("transpose")
def transpose(b: Builder, a: Any, perm: Any = None, conjugate: bool = False) -> Any:
    if conjugate and a.dtype.is_complex:
        raise array.unsupported("tf.transpose", "conjugate=True", "conjugate separately")
    value = tensor(b, a)
    order = list(range(value.rank))[::-1] if perm is None else _numbers(perm, "permutation", "tf.transpose")
    return array.transpose(b, value, order)


@function("broadcast_to")
def broadcast_to(b: Builder, input: Any, shape: Any) -> Any:
    return math.broadcast_to(b, tensor(b, input), movement.dims_of(b, shape))


def _numbers(x: Any, what: str, op: str) -> list[int]:
    """Return the integers of a constant argument."""
    contents = x
    if isinstance(x, Value):
        contents = x.known if x.known is not None else x.array() if x.is_const else None
    items = [] if contents is None else np.ravel(np.asarray(contents, dtype=object)).tolist()
    if contents is None or not all(isinstance(item, (int, np.integer)) for item in items):
        raise array.unsupported(op, f"its {what} is computed", f"use a constant {what}")
    return [int(item) for item in items]


# -- joins, splits, repetition ---------------------------------------------------------------------------


@function("concat")
def concat(b: Builder, values: Any, axis: Any) -> Any:
    return array.concat(b, same_type(b, *values), int(scalar_of(axis, "axis", "tf.concat")))


@function("stack")
def stack(b: Builder, values: Any, axis: Any = 0) -> Any:
    return array.pack(b, same_type(b, *values), int(axis))


@function("unstack")
def unstack(b: Builder, value: Any, num: Any = None, axis: Any = 0) -> Any:
    return movement.unstack(b, value, num=num, axis=int(axis))


@function("split")
def split(b: Builder, value: Any, num_or_size_splits: Any, axis: Any = 0, num: Any = None) -> Any:
    sizes = _numbers(num_or_size_splits, "sizes", "tf.split")
    parts = sizes if np.ndim(_plain(num_or_size_splits)) else sizes[0]
    return list(array.split(b, value, parts, int(scalar_of(axis, "axis", "tf.split"))))


def _plain(x: Any) -> Any:
    return x.array() if isinstance(x, Value) and x.is_const else x


@function("tile")
def tile(b: Builder, input: Any, multiples: Any) -> Any:
    value = tensor(b, input)
    counts = movement.dims_of(b, multiples)
    if isinstance(counts, Value):
        return b(ops.Tile(), value, array.cast(b, counts, I32))
    return movement.tiled(b, value, counts)


@function("repeat")
def repeat(b: Builder, input: Any, repeats: Any, axis: Any = None) -> Any:
    return movement.repeated(b, tensor(b, input), repeats, axis)


@function("reverse")
def reverse(b: Builder, tensor_: Any, axis: Any) -> Any:
    return array.reverse(b, tensor(b, tensor_), _numbers(axis, "axes", "tf.reverse"))


@function("roll")
def roll(b: Builder, input: Any, shift: Any, axis: Any) -> Any:
    return movement.roll(b, tensor(b, input), shift=_plain(shift), axis=_plain(axis))


@function("meshgrid")
def meshgrid(b: Builder, *args: Any, indexing: str = "xy") -> Any:
    if len(args) < 2:
        raise array.unsupported(
            "tf.meshgrid", "tf_keras does not save its operands but the first", "use tf.broadcast_to"
        )
    return movement.meshgrid(b, *args, indexing=indexing)


@function("pad")
def pad(b: Builder, tensor_: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Any:
    value = tensor(b, tensor_)
    if mode.upper() != "CONSTANT":
        pairs = np.reshape(_numbers(paddings, "paddings", "tf.pad"), (-1, 2)).tolist()
        return movement.mirrored(b, value, pairs, mode)
    widths = paddings if isinstance(paddings, Value) else _padding_vector(b, paddings)
    fill = constant_values
    if isinstance(fill, Value):
        return array.pad(b, value, widths, array.cast(b, fill, value.dtype))
    return array.pad(b, value, widths, fill)


def _padding_vector(b: Builder, paddings: Any) -> Any:
    """Return pairs as numbers, or as a matrix where some are computed."""
    flat = [item for pair in paddings for item in pair]
    if not any(is_tensor(item) for item in flat):
        return np.asarray(paddings, np.int64)
    return array.reshape(b, array.vector(b, flat), (len(paddings), 2))


# -- slices, gathers, scatters ---------------------------------------------------------------------------


def _slices(key: Any) -> Any:
    """Return an index with slices for the dictionaries that stand for them in a file."""
    if isinstance(key, Mapping) and set(key) >= {"start", "stop"}:
        return slice(key["start"], key["stop"], key.get("step"))
    return key


@function("getitem", "ragged_getitem")
def get_item(b: Builder, tensor_: Any, slice_spec: Any = None) -> Any:
    if is_tensor(slice_spec) and slice_spec.dtype is BOOL:
        return boolean_mask(b, tensor_, slice_spec)
    keys = (
        [_slices(key) for key in slice_spec]
        if isinstance(slice_spec, (list, tuple))
        else [_slices(slice_spec)]
    )
    return indexing.get_item(b, tensor(b, tensor_), [_bounds(key) for key in keys])


def _bounds(key: Any) -> Any:
    if isinstance(key, slice) and is_tensor(key.step):
        return slice(key.start, key.stop, int(scalar_of(key.step, "step", "tf.strided_slice")))
    return key


@function("slice")
def slice_(b: Builder, input_: Any, begin: Any, size: Any) -> Any:
    starts, sizes = (movement.dims_of(b, part) for part in (begin, size))
    return array.slice(b, tensor(b, input_), starts, sizes)


@function("strided_slice")
def strided_slice(
    b: Builder,
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
) -> Any:
    edges = [positions(b, movement.dims_of(b, part)) for part in (begin, end)]
    count = int(edges[0].shape[0])
    steps = [1] * count if strides is None else _numbers(strides, "strides", "tf.strided_slice")
    masks = Masks(begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    return index.strided_slice(b, tensor(b, input_), edges[0], edges[1], np.asarray(steps, np.int32), masks)


@function("gather")
def gather(b: Builder, params: Any, indices: Any, axis: Any = None, batch_dims: Any = 0) -> Any:
    """Without an axis: the first that is no batch dimension."""
    value, places = tensor(b, params), tensor(b, indices)
    lead = int(batch_dims) + (places.rank if int(batch_dims) < 0 else 0)
    place = lead if axis is None else int(scalar_of(axis, "axis", "tf.gather"))
    return array.gather(b, value, places, place, lead)


@function("batch_gather")
def batch_gather(b: Builder, params: Any, indices: Any) -> Any:
    return gather(b, params, indices, axis=None, batch_dims=tensor(b, indices).rank - 1)


@function("embedding_lookup")
def embedding_lookup(
    b: Builder, params: Any, ids: Any, partition_strategy: str = "mod", max_norm: Any = None
) -> Any:
    """One table: a strategy only says how several would be divided."""
    tables = params if isinstance(params, (list, tuple)) and any(map(is_tensor, params)) else [params]
    if max_norm is not None or len(tables) != 1:
        raise array.unsupported("tf.nn.embedding_lookup", "max_norm or several tables", "use one table")
    return array.gather(b, tensor(b, tables[0]), tensor(b, ids))


@function("gather_nd")
def gather_nd(b: Builder, params: Any, indices: Any, batch_dims: Any = 0) -> Any:
    value, places = tensor(b, params), tensor(b, indices)
    if batch_dims:
        if places.shape[-1] != 1 or places.rank != batch_dims + 1:
            raise array.unsupported("tf.gather_nd", f"batch_dims={batch_dims}", "use tf.gather")
        return array.squeeze(b, array.gather(b, value, places, batch_dims, batch_dims), [batch_dims])
    return index.gather_nd(b, value, places)


@function("scatter_nd")
def scatter_nd(b: Builder, indices: Any, updates: Any, shape: Any) -> Any:
    return scatter.scatter_nd(b, positions(b, indices), tensor(b, updates), movement.dims_of(b, shape))


def _scattered(op: str) -> Callable[..., Any]:
    def scattered(b: Builder, tensor_: Any, indices: Any, updates: Any) -> Any:
        value = tensor(b, tensor_)
        return scatter.COMBINE[op](b, value, positions(b, indices), tensor(b, updates, value.dtype))

    return scattered


for _name, _op in {
    "update": "TensorScatterUpdate",
    "add": "TensorScatterAdd",
    "sub": "TensorScatterSub",
    "max": "TensorScatterMax",
    "min": "TensorScatterMin",
}.items():
    function(f"tensor_scatter_nd_{_name}")(_scattered(_op))


@function("boolean_mask")
def boolean_mask(b: Builder, tensor_: Any, mask: Any, axis: Any = None) -> Any:
    """The rows where the mask holds; its axes become one (array_ops.boolean_mask)."""
    value, chosen = tensor(b, tensor_), tensor(b, mask, BOOL)
    start = 0 if axis is None else array.normalize_axis(int(axis), value.rank)
    lead, rest = value.shape[:start], value.shape[start + chosen.rank :]
    merged = array.reshape(b, value, (*lead, product(value.shape[start : start + chosen.rank]), *rest))
    places = array.squeeze(b, math.where(b, array.flatten(b, chosen)), [1])
    return array.gather(b, merged, places, start)


@function("where")
def where(b: Builder, condition: Any, x: Any = None, y: Any = None) -> Any:
    chosen = tensor(b, condition, BOOL)
    if x is None and y is None:
        return math.where(b, chosen)
    return math.select(b, chosen, *same_type(b, x, y))


@function("reverse_sequence")
def reverse_sequence(
    b: Builder, input: Any, seq_lengths: Any, seq_axis: Any = None, batch_axis: Any = None
) -> Any:
    return raw(
        b, "ReverseSequence", input, seq_lengths, seq_dim=int(seq_axis), batch_dim=int(batch_axis or 0)
    )


@function("invert_permutation")
def invert_permutation(b: Builder, x: Any) -> Any:
    return scatter.invert_permutation(b, tensor(b, x))


@function("unique")
def unique(b: Builder, x: Any, out_idx: Any = "int32") -> Any:
    return list(b(ops.Unique(idx_out_type=dtype_named(out_idx)), x))


@function("space_to_batch", "space_to_batch_nd")
def space_to_batch(b: Builder, input: Any, block_shape: Any, paddings: Any) -> Any:
    return raw(b, "SpaceToBatchND", input, positions(b, block_shape), positions(b, paddings))


@function("batch_to_space", "batch_to_space_nd")
def batch_to_space(b: Builder, input: Any, block_shape: Any, crops: Any) -> Any:
    return raw(b, "BatchToSpaceND", input, positions(b, block_shape), positions(b, crops))


# -- types -----------------------------------------------------------------------------------------------


@function("cast")
def cast(b: Builder, x: Any, dtype: Any) -> Any:
    return tensor(b, x, dtype_named(dtype))


CASTS = {"to_float": F32, "to_int32": I32, "to_int64": I64, "to_double": DType.FLOAT64,
         "to_bfloat16": DType.BFLOAT16}  # fmt: skip
"""TensorFlow 1's own names of casts."""


def _cast_to(dtype: DType) -> Callable[..., Any]:
    return lambda b, x: tensor(b, x, dtype)


for _name, _dtype in CASTS.items():
    function(_name)(_cast_to(_dtype))


@function("saturate_cast")
def saturate_cast(b: Builder, value: Any, dtype: Any) -> Any:
    return casting.saturate_cast(b, value, dtype=dtype)


@function("bitcast")
def bitcast(b: Builder, input: Any, type: Any) -> Any:
    return raw(b, "Bitcast", input, type=dtype_named(type))


@function("convert_to_tensor", "constant")
def convert_to_tensor(b: Builder, value: Any, dtype: Any = None, shape: Any = None) -> Any:
    result = tensor(b, value, None if dtype is None else dtype_named(dtype))
    return result if shape is None else math.broadcast_to(b, result, movement.dims_of(b, shape))


@function("identity", "stop_gradient", "guarantee_const", "check_pinned", "grad_pass_through")
def identity(b: Builder, input: Any) -> Any:
    return tensor(b, input)


@function("identity_n", "tuple")
def identity_n(b: Builder, input: Any) -> Any:
    return [tensor(b, x) for x in input]


# -- fills -----------------------------------------------------------------------------------------------


def _like(number: int) -> Callable[..., Any]:
    def like(b: Builder, input: Any, dtype: Any = None) -> Any:
        value = tensor(b, input)
        return array.full(b, value.shape, number, dtype_named(dtype, value.dtype))

    return like


def _filled(number: int) -> Callable[..., Any]:
    def filled(b: Builder, shape: Any, dtype: Any = "float32") -> Any:
        return array.full(b, movement.dims_of(b, shape), number, dtype_named(dtype))

    return filled


for _name, _number in (("zeros", 0), ("ones", 1)):
    function(_name)(_filled(_number))
    function(f"{_name}_like")(_like(_number))


@function("fill")
def fill(b: Builder, dims: Any, value: Any) -> Any:
    number = tensor(b, value)
    return array.full(b, movement.dims_of(b, dims), number, number.dtype)


@function("range")
def range_(b: Builder, start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Any:
    first, last = (0, start) if limit is None else (start, limit)
    given = [first, last, delta]
    kind = next((x.dtype for x in given if is_tensor(x)), None)
    if dtype is not None:
        kind = dtype_named(dtype)
    elif kind is None:
        kind = F32 if any(isinstance(x, float) for x in given) else I32
    return array.arange(b, *(tensor(b, x, kind) for x in given))


@function("linspace", "linspace_nd", "lin_space")
def linspace(b: Builder, start: Any, stop: Any, num: Any, axis: Any = 0) -> Any:
    from litecast.frontend.keras.operations.creation import spaced

    first, last = same_type(b, start, stop)
    return spaced(b, first, last, int(scalar_of(num, "number", "tf.linspace")), True, int(axis))[0]


@function("eye")
def eye(
    b: Builder, num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = "float32"
) -> Any:
    rows = int(scalar_of(num_rows, "size", "tf.eye"))
    columns = rows if num_columns is None else int(scalar_of(num_columns, "size", "tf.eye"))
    result = b.const(np.eye(rows, columns).astype(dtype_named(dtype).numpy))
    if batch_shape is None:
        return result
    lead = positions(b, movement.dims_of(b, batch_shape))
    return math.broadcast_to(
        b, result, array.concat(b, [lead, b.const(np.array([rows, columns], np.int32))], 0)
    )


@function("one_hot")
def one_hot(
    b: Builder,
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: Any = -1,
    dtype: Any = None,
) -> Any:
    kind = next((x.dtype for x in (on_value, off_value) if is_tensor(x)), dtype_named(dtype))
    on, off = tensor(b, 1 if on_value is None else on_value, kind), tensor(b, off_value or 0, kind)
    places = tensor(b, indices)
    return index.one_hot(b, places, positions(b, depth), on, off, int(axis))


@function("sequence_mask")
def sequence_mask(b: Builder, lengths: Any, maxlen: Any = None, dtype: Any = "bool") -> Any:
    """Whether a position is before the length; without a maximum, the largest length is that."""
    from litecast.lib import reduce

    value = tensor(b, lengths)
    if maxlen is None:
        maxlen = reduce.maximum(b, array.flatten(b, value), [0])
    places = array.arange(b, *(tensor(b, x, value.dtype) for x in (0, maxlen, 1)))
    inside = math.apply(b, ops.Less(), places, array.expand_dims(b, value, value.rank))
    return array.cast(b, inside, dtype_named(dtype, BOOL))
