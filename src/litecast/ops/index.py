"""Operations that choose or place elements by index, and lookups."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array, Inferred, Op, Operands, Outputs, QuantSpec, operation
from litecast.ir.types import Dim, DType, Shape, TensorType, fresh, same_dim
from litecast.ops.dims import axis_of, check_integer, contents_shape, integers, merge
from litecast.ops.enums import CombinerType
from litecast.ops.grids import ONE_SCALE, ONE_SCALE_INT8
from litecast.ops.rules import Tracked, Versioned, by_type, per_tensor, same_dtype, types

__all__ = [
    "EmbeddingLookup",
    "EmbeddingLookupSparse",
    "Gather",
    "GatherNd",
    "HashtableLookup",
    "LSHProjection",
    "LSHProjectionType",
    "OneHot",
    "ScatterNd",
    "SkipGram",
    "SparseToDense",
    "TopKV2",
    "Unique",
]


@operation
class Gather(Tracked, Versioned, code=36, options="GatherOptions"):
    """The slices of operand 0 along `axis` that operand 1 names; `batch_dims` dimensions go together.

    A negative `batch_dims` counts from the end of the indices (kernels/gather.cc, Prepare).
    """

    axis: int = 0
    batch_dims: int = 0
    kernels = types("f32 f16 bf16 f8e4m3fn f8e5m2 u8 i4 i8 i16 i64 i32 bool str")  # gather.cc
    symbolic = frozenset({0})
    versions = by_type(f8=8, i4=7, i16=4, bool=3, i8=2)
    # gather.cc: stored numbers, so a constant operand may stay small
    quantization = QuantSpec(
        types("i8 i16"), same_scale=types("i8 i16"), weight=(0,), moved=types("i8 i4"), whole_bytes=True
    )

    def infer(self, x: Value, indices: Value) -> Inferred:
        check_integer(indices, "the indices")
        if x.type.shape is None or indices.type.shape is None:
            return TensorType(x.dtype, None, per_tensor(x))
        axis, batch = axis_of(self.axis, x.rank), self._batch(indices.rank)
        if not 0 <= batch <= min(axis, indices.rank):
            raise ValueError(
                f"batch_dims {self.batch_dims} does not fit axis {axis} and indices of {indices.type}"
            )
        leading = [
            merge(dims, "batch dimensions")
            for dims in zip(x.shape[:batch], indices.shape[:batch], strict=True)
        ]
        shape = (*leading, *x.shape[batch:axis], *indices.shape[batch:], *x.shape[axis + 1 :])
        return TensorType(x.dtype, shape, per_tensor(x))

    def _batch(self, rank: int) -> int:
        return self.batch_dims + rank if self.batch_dims < 0 else self.batch_dims

    def eval(self, x: Array, indices: Array) -> Array:
        axis, batch = self.axis % x.ndim, self._batch(indices.ndim)
        places = _places(indices)
        if not batch:
            return np.take(x, places, axis)
        inner = type(self)(axis - batch, 0)
        leading = x.shape[:batch]
        parts = [inner.eval(x[place], places[place]) for place in np.ndindex(*leading)]
        return np.stack(parts).reshape(*leading, *parts[0].shape)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        indices = inputs[1] if len(inputs) > 1 else None
        small = indices is not None and indices.dtype is DType.INT16
        return max(super().version(inputs, outputs), 6 if small else 5 if self.batch_dims else 1)


@operation
class GatherNd(Tracked, Versioned, code=107, options="GatherNdOptions"):
    """The slices of operand 0 at the coordinates that the last dimension of operand 1 holds."""

    kernels = types("f32 f16 bf16 f8e4m3fn f8e5m2 u8 i8 i16 i64 i32 bool str")  # gather_nd.cc
    symbolic = frozenset({0})
    versions = by_type(f8=6, bool=5, i16=3, str=2)
    quantization = ONE_SCALE

    def infer(self, x: Value, indices: Value) -> Inferred:
        check_integer(indices, "the indices")
        if x.type.shape is None or indices.type.shape is None:
            return TensorType(x.dtype, None, per_tensor(x))
        return TensorType(x.dtype, _addressed(indices.shape, x.shape), per_tensor(x))

    def eval(self, x: Array, indices: Array) -> Array:
        return x[tuple(np.moveaxis(_places(indices), -1, 0))]

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        indices = inputs[1] if len(inputs) > 1 else None
        small = indices is not None and indices.dtype is DType.INT16
        return max(super().version(inputs, outputs), 4 if small else 1)


def _places(indices: Array) -> Array:
    """Return indices for numpy; ValueError where one is negative: the kernels refuse it (gather.cc, Eval)."""
    places = indices.astype(np.int64)
    if places.size and places.min() < 0:
        raise ValueError(f"index {places.min()} is negative")
    return places


def _addressed(indices: Shape, shape: Shape) -> Shape | None:
    """Return the shape of the slices of `shape` at coordinates of shape `indices`."""
    if not indices:
        raise ValueError("indices must have rank 1 at least")
    depth = indices[-1]
    if not isinstance(depth, int):
        return None
    if depth > len(shape):
        raise ValueError(f"coordinates of {depth} numbers are too long for shape {shape}")
    return (*indices[:-1], *shape[depth:])


@operation
class ScatterNd(Tracked, code=122, options="ScatterNdOptions"):
    """Zeros of the shape in operand 2, with operand 1 added at the coordinates in operand 0."""

    kernels = types("i32")  # scatter_nd.cc
    symbolic = frozenset({1})

    def infer(self, indices: Value, updates: Value, shape: Value) -> Inferred:
        check_integer(indices, "the indices")
        dims = contents_shape(shape, "the shape", "scattered")
        have = updates.type.shape
        if dims is not None and indices.type.shape is not None and have is not None:
            want = _addressed(indices.shape, dims)
            if want is not None and (
                len(want) != len(have)
                or any(same_dim(*pair) is False for pair in zip(want, have, strict=True))
            ):
                raise ValueError(f"updates of shape {have} do not fit indices of {indices.type} into {dims}")
        return TensorType(updates.dtype, dims, per_tensor(updates))

    def eval(self, indices: Array, updates: Array, shape: Array) -> Array:
        result = np.zeros(tuple(int(dim) for dim in shape), updates.dtype)
        np.add.at(result, tuple(np.moveaxis(_places(indices), -1, 0)), updates)
        return result


@operation
class OneHot(Op, code=85, options="OneHotOptions"):
    """`on` (operand 2) where the place along the new axis is the index, `off` (operand 3) elsewhere."""

    axis: int = 0
    kernels = types("i32 i64")  # one_hot.cc
    quantization = ONE_SCALE_INT8

    def infer(self, indices: Value, depth: Value, on: Value, off: Value) -> Inferred:
        dtype = same_dtype(on, off)
        if depth.dtype is not DType.INT32:
            raise ValueError(f"the depth must be INT32, not {depth.dtype.name}")
        if indices.type.shape is None:
            return TensorType(dtype, None)
        size: Dim = fresh("depth") if depth.known is None else np.ravel(depth.known)[0]
        axis = axis_of(self.axis, indices.rank + 1)
        return TensorType(dtype, (*indices.shape[:axis], size, *indices.shape[axis:]))

    def eval(self, indices: Array, depth: Array, on: Array, off: Array) -> Array:
        axis = self.axis % (indices.ndim + 1)
        places = np.arange(int(depth)).reshape(-1, *[1] * (indices.ndim - axis))
        return np.where(np.expand_dims(indices, axis) == places, np.ravel(on)[0], np.ravel(off)[0])


@operation
class SparseToDense(Versioned, code=68, options="SparseToDenseOptions"):
    """Operand 3, a scalar, in the shape of operand 1, with operand 2 at the coordinates in operand 0."""

    validate_indices: bool = False
    kernels = types("i32 i64")  # sparse_to_dense.cc
    keyed = 2
    versions = by_type(i8=3, u8=3, i64=2)

    def infer(self, indices: Value, shape: Value, values: Value, default: Value) -> Inferred:
        check_integer(indices, "the indices")
        return TensorType(same_dtype(values, default), contents_shape(shape, "the shape", "dense"))


@operation
class TopKV2(Versioned, code=48, options="TopKV2Options"):
    """The k largest elements along the last axis, descending, and their indices (of the type of k)."""

    kernels = types("f32 u8 i8 i16 i32 i64")  # topk_v2.cc
    versions = by_type(i16=3, i8=2)
    quantization = ONE_SCALE

    def infer(self, x: Value, k: Value) -> Inferred:
        if k.dtype not in (DType.INT32, DType.INT16):
            raise ValueError(f"k must be INT32 or INT16, not {k.dtype.name}")
        if x.type.shape is None:
            return TensorType(x.dtype, None, per_tensor(x)), TensorType(k.dtype, None)
        if not x.rank:
            raise ValueError("a scalar has no last axis")
        chosen = integers(k, "k")
        count: Dim = chosen[0] if chosen else fresh("k") if k.known is None else np.ravel(k.known)[0]
        last = x.shape[-1]
        if isinstance(count, int) and (count < 0 or (isinstance(last, int) and count > last)):
            raise ValueError(f"k is {count}, the last dimension of {x.type} is smaller")
        shape = (*x.shape[:-1], count)
        return TensorType(x.dtype, shape, per_tensor(x)), TensorType(k.dtype, shape)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        k = inputs[1] if len(inputs) > 1 else None
        return 3 if k is not None and k.dtype is DType.INT16 else super().version(inputs, outputs)


@operation
class Unique(Op, code=103, options="UniqueOptions"):
    """The distinct elements of a vector in order of appearance, and for each element which of them it is."""

    idx_out_type: DType = DType.INT32
    kernels = types("i8 i16 i32 i64 f32 u8")  # unique.cc

    def infer(self, x: Value) -> Inferred:
        if x.type.shape is not None and x.rank != 1:
            raise ValueError(f"a vector is wanted, not {x.type}")
        return TensorType(x.dtype, (fresh("unique"),)), TensorType(self.idx_out_type, x.type.shape)


# -- lookups -----------------------------------------------------------------------------------------------


@operation
class EmbeddingLookup(Op, code=7):
    """The rows of operand 1 that operand 0, a vector of INT32, names."""

    kernels = types("i32")  # embedding_lookup.cc
    # embedding_lookup.cc:70-90 (types and scales), :200 (blocks)
    quantization = QuantSpec(
        weight=(1,),
        channel_axis=0,
        weights={DType.FLOAT32: types("i8 i4 i2")},
        lookup=True,
        blockwise=types("i4 i2"),
        whole_bytes=True,
    )

    def infer(self, ids: Value, table: Value) -> Inferred:
        if ids.dtype is not DType.INT32:
            raise ValueError(f"ids must be INT32, not {ids.dtype.name}")
        dtype = DType.FLOAT32 if table.type.quant is not None else table.dtype
        if ids.type.shape is None or table.type.shape is None:
            return TensorType(dtype, None)
        if ids.rank != 1 or table.rank < 2:
            raise ValueError(f"a vector of ids and a table are wanted, not {ids.type} and {table.type}")
        return TensorType(dtype, (ids.shape[0], *table.shape[1:]))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        table = inputs[1]
        if table is None:
            return 1
        per_channel = table.type.quant is not None and len(table.type.quant.scales) > 1
        if table.dtype is DType.INT4 or per_channel:
            return 4
        return 5 if table.dtype is DType.INT2 else 1


@operation
class EmbeddingLookupSparse(Op, code=33, options="EmbeddingLookupSparseOptions"):
    """Weighted rows of operand 4, combined per bag: ids, indices, dense shape, weights, table."""

    combiner: CombinerType = CombinerType.SUM

    def infer(self, ids: Value, indices: Value, dense_shape: Value, weights: Value, table: Value) -> Inferred:
        bags = contents_shape(dense_shape, "the dense shape", "bags")
        if bags is None or table.type.shape is None:
            return TensorType(table.dtype, None)
        return TensorType(table.dtype, (*bags[:-1], *table.shape[1:]))


@operation
class HashtableLookup(Op, code=10):
    """Rows of operand 2 whose keys in operand 1 (ascending) equal those in operand 0, and UINT8 hits."""

    def infer(self, lookup: Value, keys: Value, values: Value) -> Inferred:
        hits = TensorType(DType.UINT8, lookup.type.shape)
        if lookup.type.shape is None or values.type.shape is None:
            return TensorType(values.dtype, None), hits
        if lookup.rank != 1 or keys.rank != 1 or same_dim(keys.shape[0], values.shape[0]) is False:
            raise ValueError(f"keys of {keys.type} do not fit values of {values.type}")
        return TensorType(values.dtype, (lookup.shape[0], *values.shape[1:])), hits


class LSHProjectionType(IntEnum):
    """`LSHProjectionType`."""

    UNKNOWN = 0
    SPARSE = 1
    DENSE = 2


@operation
class LSHProjection(Op, code=15, options="LSHProjectionOptions"):
    """Locality sensitive hashes (INT32): a number per hash function, or a bit per function and bit."""

    type: LSHProjectionType = LSHProjectionType.UNKNOWN

    def infer(self, functions: Value, x: Value, weights: Value | None = None) -> Inferred:
        if functions.type.shape is None:
            return TensorType(DType.INT32, None)
        if functions.rank != 2:
            raise ValueError(f"hash functions are a matrix, not {functions.type}")
        count, bits = functions.shape
        return TensorType(DType.INT32, (count,) if self.type is LSHProjectionType.SPARSE else (count * bits,))


@operation
class SkipGram(Op, code=30, options="SkipGramOptions"):
    """The n-grams of a STRING with up to `max_skip_size` words left out."""

    ngram_size: int = 0
    max_skip_size: int = 0
    include_all_ngrams: bool = False

    def infer(self, text: Value) -> Inferred:
        if text.dtype is not DType.STRING:
            raise ValueError(f"STRING is wanted, not {text.dtype.name}")
        return TensorType(DType.STRING, (fresh("grams"),))
