"""Operations that move elements without changing them: order, joining, cutting and repeating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array, Inferred, Op, Operands, Outputs, operation
from litecast.ir.types import Dim, Quant, Shape, Sym, TensorType, fresh, same_dim
from litecast.ops.dims import (
    axis_of,
    contents_shape,
    integers,
    merge,
    merge_shapes,
    unknown_shape,
    vector_length,
)
from litecast.ops.enums import Activation
from litecast.ops.grids import ONE_SCALE, ONE_SCALE_INT16
from litecast.ops.rules import Tracked, Versioned, by_type, per_tensor, rank_over, same_dtype, types

__all__ = [
    "Concatenation",
    "Pack",
    "ReverseSequence",
    "ReverseV2",
    "Slice",
    "Split",
    "SplitV",
    "Tile",
    "Transpose",
    "Unpack",
]


@operation
class Transpose(Versioned, code=39, options="TransposeOptions"):
    """Dimension i of the result is dimension perm[i] of the operand."""

    movement = True
    versions = by_type(f16=9, bf16=8, i4=7, i16=5, bool=3, i8=2)
    quantization = ONE_SCALE

    def infer(self, x: Value, perm: Value) -> Inferred:
        order = integers(perm, "the permutation")
        if order is None:
            rank = vector_length(perm, "the permutation") if x.type.shape is None else x.rank
            return TensorType(
                x.dtype, None if rank is None else unknown_shape(rank, "transposed"), per_tensor(x)
            )
        axes = [axis_of(axis, len(order)) for axis in order]
        if sorted(axes) != list(range(len(axes))):
            raise ValueError(f"{order} is no permutation")
        if x.type.shape is None:
            return TensorType(x.dtype, unknown_shape(len(axes), "transposed"), per_tensor(x))
        if len(axes) != x.rank:
            raise ValueError(f"the permutation {order} does not fit {x.type}")
        return TensorType(x.dtype, tuple(x.shape[axis] for axis in axes), _moved(x.type.quant, axes))

    def eval(self, x: Array, perm: Array) -> Array:
        return np.transpose(x, [int(axis) for axis in perm])

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        x = inputs[0]
        by_rank = 8 if rank_over(x, 6) else 6 if rank_over(x, 5) else 4 if rank_over(x, 4) else 1
        return max(super().version(inputs, outputs), by_rank)


def _moved(quant: Quant | None, axes: Sequence[int]) -> Quant | None:
    if quant is None or len(quant.scales) < 2:
        return quant
    return replace(quant, axis=axes.index(quant.axis))


@operation
class ReverseV2(Tracked, Versioned, code=105, options="ReverseV2Options"):
    """The operand back to front along the axes in operand 1, which are neighbours."""

    kernels = types("i32 f32 f16 bf16 f8e4m3fn f8e5m2 u8 i8 i16 i64 bool")  # reverse.cc
    symbolic = frozenset({0})
    movement = True
    versions = by_type(f8=4, i8=3, bool=2)
    quantization = ONE_SCALE

    def infer(self, x: Value, axes: Value) -> Inferred:
        chosen = integers(axes, "the axes")
        if chosen is not None and x.type.shape is not None:
            places = [axis_of(axis, x.rank) for axis in chosen]
            if len(set(places)) < len(places):
                raise ValueError(f"an axis is named twice in {chosen}")
            if places and max(places) - min(places) >= len(places):
                raise ValueError(f"the kernel wants neighbouring axes (reverse.cc:104), not {chosen}")
        return TensorType(x.dtype, x.type.shape, x.type.quant)

    def eval(self, x: Array, axes: Array) -> Array:
        return np.flip(x, tuple(int(axis) for axis in np.ravel(axes)))


@operation
class ReverseSequence(Op, code=112, options="ReverseSequenceOptions"):
    """The first lengths[i] elements along `seq_dim` back to front, i counting along `batch_dim`."""

    seq_dim: int = 0
    batch_dim: int = 0
    kernels = types("i32 f32 u8 i16 i64")  # reverse_sequence.cc
    quantization = ONE_SCALE_INT16  # it has no kernel for INT8 (reverse_sequence.cc)

    def infer(self, x: Value, lengths: Value) -> Inferred:
        integers(lengths, "the lengths")
        if x.type.shape is not None:
            axis_of(self.seq_dim, x.rank, "seq_dim")
            batch = x.shape[axis_of(self.batch_dim, x.rank, "batch_dim")]
            if lengths.type.shape is not None and (
                lengths.rank != 1 or same_dim(lengths.shape[0], batch) is False
            ):
                raise ValueError(f"lengths of shape {lengths.shape} do not fit a batch of {batch}")
        return TensorType(x.dtype, x.type.shape, x.type.quant)


@operation
class Tile(Tracked, Versioned, code=69, options="TileOptions"):
    """The operand repeated along each dimension as often as operand 1 says."""

    symbolic = frozenset({0})
    versions = by_type(i8=3, str=2)
    quantization = ONE_SCALE

    def infer(self, x: Value, multiples: Value) -> Inferred:
        times = contents_shape(multiples, "the multiples", "times")
        if x.type.shape is None:
            return TensorType(
                x.dtype, None if times is None else unknown_shape(len(times), "tiled"), per_tensor(x)
            )
        if times is None:
            return TensorType(x.dtype, unknown_shape(x.rank, "tiled"), per_tensor(x))
        if len(times) != x.rank:
            raise ValueError(f"{len(times)} multiples do not fit {x.type}")
        return TensorType(
            x.dtype, tuple(dim * count for dim, count in zip(x.shape, times, strict=True)), per_tensor(x)
        )

    def eval(self, x: Array, multiples: Array) -> Array:
        return np.tile(x, tuple(int(count) for count in multiples))


# -- joining -----------------------------------------------------------------------------------------------


@operation
class Concatenation(Tracked, Versioned, code=2, options="ConcatenationOptions"):
    """The operands one after the other along an axis; all other dimensions agree."""

    axis: int = 0
    fused_activation_function: Activation = Activation.NONE
    kernels = types("f32 f16 bf16 u8 i8 i16 i32 i64 bool u32 i4 f8e4m3fn f8e5m2")  # concatenation.cc
    max_rank = 6
    same_dtype = True
    versions = by_type(f8=7, f16=6, i4=5, u32=4, i16=3, i8=2)
    quantization = ONE_SCALE

    def infer(self, *values: Value) -> Inferred:
        if not values:
            raise ValueError("nothing to concatenate")
        if self.fused_activation_function is not Activation.NONE:
            raise ValueError("the kernel takes no fused activation")
        dtype, quant = same_dtype(*values), per_tensor(values[0])
        shapes = [value.type.shape for value in values if value.type.shape is not None]
        if not shapes:
            return TensorType(dtype, None, quant)
        if len({len(shape) for shape in shapes}) > 1:
            raise ValueError(f"operands of different ranks: {', '.join(map(str, shapes))}")
        axis = axis_of(self.axis, len(shapes[0]))
        dims = [
            merge(column, f"dimensions {index}")
            for index, column in enumerate(zip(*shapes, strict=True))
            if index != axis
        ]
        joined: Dim = fresh("joined")
        if len(shapes) == len(values):
            joined = shapes[0][axis]
            for shape in shapes[1:]:
                joined = joined + shape[axis]
        return TensorType(dtype, (*dims[:axis], joined, *dims[axis:]), quant)

    def eval(self, *arrays: Array) -> Array:
        return np.concatenate(arrays, self.axis)


@operation
class Pack(Tracked, Versioned, code=83, options="PackOptions"):
    """The operands, all of one shape, side by side along a new axis."""

    values_count: int
    axis: int = 0
    kernels = types("i32 f32 f8e4m3fn f8e5m2 u8 u32 i8 i16 i64")  # pack.cc
    same_dtype = True
    versions = by_type(f8=5, u32=4, i16=3, i8=2)
    quantization = ONE_SCALE

    def infer(self, *values: Value) -> Inferred:
        if len(values) != self.values_count or not values:
            raise ValueError(f"values_count is {self.values_count}, there are {len(values)} operands")
        dtype, quant = same_dtype(*values), per_tensor(values[0])
        shape = merge_shapes((value.type.shape for value in values), "the operands")
        if shape is None:
            return TensorType(dtype, None, quant)
        axis = axis_of(self.axis, len(shape) + 1)
        return TensorType(dtype, (*shape[:axis], len(values), *shape[axis:]), quant)

    def eval(self, *arrays: Array) -> Array:
        return np.stack(arrays, self.axis)


# -- cutting -----------------------------------------------------------------------------------------------


@operation
class Unpack(Tracked, Versioned, code=88, options="UnpackOptions"):
    """The `num` slices along an axis, without that axis."""

    num: int
    axis: int = 0
    kernels = types("i32 f32 f16 bf16 f8e4m3fn f8e5m2 u8 i8 i16 bool")  # unpack.cc
    movement = True
    versions = by_type(f8=6, f16=5, bf16=5, i16=4, bool=3, i8=2, u8=2)
    quantization = ONE_SCALE

    def infer(self, x: Value) -> Inferred:
        if x.type.shape is None:
            return (TensorType(x.dtype, None, per_tensor(x)),) * self.num
        axis = axis_of(self.axis, x.rank)
        if same_dim(x.shape[axis], self.num) is False:
            raise ValueError(f"num is {self.num}, dimension {axis} of {x.type} is not")
        return (TensorType(x.dtype, (*x.shape[:axis], *x.shape[axis + 1 :]), per_tensor(x)),) * self.num

    def eval(self, x: Array) -> tuple[Array, ...]:
        return tuple(np.moveaxis(x, self.axis, 0)[index, ...] for index in range(self.num))


@operation
class Split(Tracked, Versioned, code=49, options="SplitOptions"):
    """Equal parts of operand 1 along the axis in operand 0."""

    num_splits: int
    kernels = types("i32")  # split.cc
    max_rank = 6
    symbolic = frozenset({1})
    movement = True
    keyed = 1
    versions = by_type(f8=5, i16=4, i32=3, i8=2)
    quantization = ONE_SCALE

    def infer(self, axis: Value, x: Value) -> Inferred:
        if self.num_splits < 1:
            raise ValueError(f"num_splits must be at least 1, not {self.num_splits}")
        return (TensorType(x.dtype, self._part(axis, x), per_tensor(x)),) * self.num_splits

    def _part(self, axis: Value, x: Value) -> Shape | None:
        chosen = integers(axis, "the axis")
        if x.type.shape is None:
            return None
        if chosen is None:
            return unknown_shape(x.rank, "part")
        place = axis_of(chosen[0], x.rank)
        whole = x.shape[place]
        if isinstance(whole, int) and whole % self.num_splits:
            raise ValueError(f"dimension {place} of {x.type} has no {self.num_splits} equal parts")
        return (*x.shape[:place], whole // self.num_splits, *x.shape[place + 1 :])

    def eval(self, axis: Array, x: Array) -> tuple[Array, ...]:
        return tuple(np.split(x, self.num_splits, int(np.ravel(axis)[0])))


@operation
class SplitV(Tracked, Versioned, code=102, options="SplitVOptions"):
    """Parts of operand 0 of the sizes in operand 1 (one may be -1) along the axis in operand 2."""

    num_splits: int
    kernels = types("f32 u8 i16 i32 i64 i8 f8e4m3fn f8e5m2")  # split_v.cc
    symbolic = frozenset({0})
    movement = True
    versions = by_type(f8=3, i8=2)
    quantization = ONE_SCALE

    def infer(self, x: Value, sizes: Value, axis: Value) -> Inferred:
        parts = contents_shape(sizes, "the sizes", "part")
        chosen = integers(axis, "the axis")
        if parts is not None and len(parts) != self.num_splits:
            raise ValueError(f"num_splits is {self.num_splits}, there are {len(parts)} sizes")
        if x.type.shape is None:
            return (TensorType(x.dtype, None, per_tensor(x)),) * self.num_splits
        if chosen is None or parts is None:
            return tuple(
                TensorType(x.dtype, unknown_shape(x.rank, "part"), per_tensor(x))
                for _ in range(self.num_splits)
            )
        place = axis_of(chosen[0], x.rank)
        filled = _fill_rest(parts, x.shape[place])
        return tuple(
            TensorType(x.dtype, (*x.shape[:place], part, *x.shape[place + 1 :]), per_tensor(x))
            for part in filled
        )

    def eval(self, x: Array, sizes: Array, axis: Array) -> tuple[Array, ...]:
        place = int(np.ravel(axis)[0])
        parts = _fill_rest([int(size) for size in sizes], x.shape[place])
        return tuple(np.split(x, list(accumulate(parts))[:-1], place))


def _fill_rest(parts: Sequence[Dim], whole: Dim) -> list[Any]:
    """Give the part that is -1 what the others leave."""
    free = [index for index, part in enumerate(parts) if part == -1]
    if len(free) > 1:
        raise ValueError(f"one size may be -1, not {parts}")
    rest: Dim = whole
    for index, part in enumerate(parts):
        if index not in free:
            rest = rest - part
    if isinstance(rest, int) and (rest < 0 or (rest > 0 and not free)):
        raise ValueError(f"sizes {parts} do not make up {whole}")
    return [rest if index in free else part for index, part in enumerate(parts)]


@operation
class Slice(Tracked, Versioned, code=65, options="SliceOptions"):
    """A box of `size` elements (-1: all that follow) from `begin`."""

    symbolic = frozenset({0})
    movement = True
    versions = by_type(f16=8, i4=7, u32=6, i16=4, str=3, i8=2)
    quantization = ONE_SCALE

    def infer(self, x: Value, begin: Value, size: Value) -> Inferred:
        starts = contents_shape(begin, "begin", "begin")
        sizes = contents_shape(size, "size", "sliced")
        rank = next((len(dims) for dims in (x.type.shape, starts, sizes) if dims is not None), None)
        if rank is None:
            return TensorType(x.dtype, None, per_tensor(x))
        if any(dims is not None and len(dims) != rank for dims in (starts, sizes)):
            raise ValueError(f"begin and size must have an element per dimension of {x.type}")
        dims = x.type.shape or unknown_shape(rank, "sliced")
        if starts is None or sizes is None:
            return TensorType(x.dtype, unknown_shape(rank, "sliced"), per_tensor(x))
        return TensorType(x.dtype, tuple(map(_sliced, dims, starts, sizes)), per_tensor(x))

    def eval(self, x: Array, begin: Array, size: Array) -> Array:
        bounds = zip(begin, size, strict=True)
        return x[tuple(slice(int(low), None if count < 0 else int(low + count)) for low, count in bounds)]

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        return max(super().version(inputs, outputs), 5 if rank_over(inputs[0], 4) else 1)


def _sliced(dim: Dim, low: Dim, count: Dim) -> Dim:
    if isinstance(count, int) and count == -1:
        if isinstance(dim, int) and isinstance(low, int) and not 0 <= low <= dim:
            raise ValueError(f"begin {low} is outside of {dim} elements")
        return fresh("sliced") if _data_dependent(low) else dim - low
    if isinstance(count, int) and count < -1:
        raise ValueError(f"a size is at least -1, not {count}")
    if isinstance(dim, int) and isinstance(low, int) and isinstance(count, int) and low + count > dim:
        raise ValueError(f"{count} elements from {low} are more than there are in {dim}")
    return count


def _data_dependent(dim: Dim) -> bool:
    """Whether a dimension was made up for unknown contents of a `begin` operand."""
    return isinstance(dim, Sym) and any(name.startswith("begin.") for name in dim.names)
