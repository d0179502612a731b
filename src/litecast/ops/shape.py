"""Shapes as data, and operations that only change or make a shape."""

from __future__ import annotations

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array, Inferred, Op, Operands, Outputs, operation
from litecast.ir.types import Dim, DType, Sym, TensorType, broadcast, fresh, product, same_dim
from litecast.ir.types import Shape as Dims
from litecast.ops.dims import (
    axis_of,
    check_integer,
    contents_shape,
    integers,
    objects,
    unknown_shape,
    vector_length,
)
from litecast.ops.grids import ONE_SCALE
from litecast.ops.rules import Tracked, Versioned, by_type, per_tensor, same_dtype, types

__all__ = [
    "BroadcastArgs",
    "BroadcastTo",
    "ExpandDims",
    "Fill",
    "Range",
    "Rank",
    "Reshape",
    "Shape",
    "Squeeze",
]


@operation
class Shape(Op, code=77, options="ShapeOptions"):
    """The dimensions of the operand as a vector. (The schema's default type is 0, which no kernel takes.)"""

    out_type: DType = DType.INT32
    tracked = True

    def infer(self, x: Value) -> Inferred:
        if self.out_type not in (DType.INT32, DType.INT64):
            raise ValueError(f"a shape is INT32 or INT64, not {self.out_type.name}")
        return TensorType(self.out_type, (fresh("rank") if x.type.shape is None else x.rank,))

    def known(self, x: Value) -> Array | None:
        return None if x.type.shape is None else objects(list(x.shape), (x.rank,))


@operation
class Rank(Op, code=110, options="RankOptions"):
    """The number of dimensions of the operand, an INT32 scalar."""

    tracked = True

    def infer(self, x: Value) -> Inferred:
        return TensorType(DType.INT32, ())

    def known(self, x: Value) -> Array | None:
        return None if x.type.shape is None else objects(x.rank)


@operation
class Reshape(Tracked, code=22, options="ReshapeOptions"):
    """The elements in order in the shape that operand 1 gives, where one entry may be -1.

    `new_shape` counts only where operand 1 is absent or no INT32 vector (kernels/reshape.cc, GetOutputShape).
    """

    new_shape: tuple[int, ...] | None = None
    symbolic = frozenset({0})
    movement = True
    quantization = ONE_SCALE

    def infer(self, x: Value, shape: Value | None = None) -> Inferred:
        dims = self._wanted(shape)
        return TensorType(x.dtype, None if dims is None else resolve(x.type.shape, dims), per_tensor(x))

    def _wanted(self, shape: Value | None) -> Dims | None:
        if shape is not None and (shape.type.shape is None or len(shape.type.shape) == 1):
            if shape.dtype is not DType.INT32:
                raise ValueError(f"the shape must be INT32, not {shape.dtype.name}")
            return contents_shape(shape, "the shape", "reshaped")
        if self.new_shape is None:
            raise ValueError("neither a shape vector nor new_shape is given")
        return () if self.new_shape == (0,) else tuple(self.new_shape)

    def eval(self, x: Array, shape: Array | None = None) -> Array:
        wanted = self.new_shape if shape is None or shape.ndim != 1 else tuple(int(dim) for dim in shape)
        return np.reshape(x, () if wanted == (0,) and x.size else wanted)


def resolve(shape: Dims | None, wanted: Dims) -> Dims:
    """Return what a reshape of `shape` to `wanted` gives; ValueError where the elements do not fit."""
    free = [index for index, dim in enumerate(wanted) if isinstance(dim, int) and dim < 0]
    if len(free) > 1 or any(isinstance(dim, int) and dim < -1 for dim in wanted):
        raise ValueError(f"a shape may have one -1, not {wanted}")
    size = None if shape is None else product(shape)
    rest = product(dim for index, dim in enumerate(wanted) if index not in free)
    if not free:
        if isinstance(size, int) and isinstance(rest, int) and size != rest:
            raise ValueError(f"{size} elements do not fit the shape {wanted}")
        return _settled(size, wanted)
    inferred: Dim = fresh("inferred")
    if isinstance(size, int) and isinstance(rest, int):
        if rest == 0 or size % rest:
            raise ValueError(f"{size} elements do not fit the shape {wanted}")
        inferred = size // rest
    elif size is not None and rest != 0:
        inferred = size // rest
    return tuple(inferred if index in free else dim for index, dim in enumerate(wanted))


def _settled(size: Dim | None, wanted: Dims) -> Dims:
    """Give the only unknown entry what fits, where that is a number or the entry was made up."""
    unknown = [index for index, dim in enumerate(wanted) if isinstance(dim, Sym)]
    rest = product(dim for dim in wanted if isinstance(dim, int))
    if len(unknown) != 1 or size is None or rest == 0:
        return wanted
    if not isinstance(size, int) and not str(wanted[unknown[0]]).startswith("reshaped."):
        return wanted
    if isinstance(size, int) and isinstance(rest, int) and size % rest:
        raise ValueError(f"{size} elements do not fit the shape {wanted}")
    return tuple(size // rest if index == unknown[0] else dim for index, dim in enumerate(wanted))


@operation
class Squeeze(Tracked, code=43, options="SqueezeOptions"):
    """The operand without the given dimensions, which are 1; without any that is 1 where none is given."""

    squeeze_dims: tuple[int, ...] | None = None
    movement = True
    quantization = ONE_SCALE

    def infer(self, x: Value) -> Inferred:
        if x.type.shape is None:
            return TensorType(x.dtype, None, per_tensor(x))
        if not self.squeeze_dims:
            if not x.type.is_static and any(isinstance(dim, Sym) for dim in x.shape):
                return TensorType(x.dtype, None, per_tensor(x))
            return TensorType(x.dtype, tuple(dim for dim in x.shape if dim != 1), per_tensor(x))
        gone = {axis_of(axis, x.rank, "dimension") for axis in self.squeeze_dims}
        wrong = [axis for axis in sorted(gone) if same_dim(x.shape[axis], 1) is False]
        if wrong:
            raise ValueError(f"dimension {wrong[0]} of {x.type} is not 1")
        return TensorType(
            x.dtype, tuple(dim for axis, dim in enumerate(x.shape) if axis not in gone), per_tensor(x)
        )

    def eval(self, x: Array) -> Array:
        return np.squeeze(x, tuple(self.squeeze_dims) if self.squeeze_dims else None)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        x = inputs[0]
        return 2 if x is not None and x.dtype is DType.STRING else 1


@operation
class ExpandDims(Tracked, code=70, options="ExpandDimsOptions"):
    """The operand with a dimension of 1 put in at the axis in operand 1."""

    symbolic = frozenset({0})
    movement = True
    quantization = ONE_SCALE

    def infer(self, x: Value, axis: Value) -> Inferred:
        chosen = integers(axis, "the axis")
        if x.type.shape is None:
            return TensorType(x.dtype, None, per_tensor(x))
        if chosen is None:
            return TensorType(x.dtype, unknown_shape(x.rank + 1, "expanded"), per_tensor(x))
        place = axis_of(chosen[0], x.rank + 1)
        return TensorType(x.dtype, (*x.shape[:place], 1, *x.shape[place:]), per_tensor(x))

    def eval(self, x: Array, axis: Array) -> Array:
        return np.expand_dims(x, int(np.ravel(axis)[0]))


@operation
class BroadcastTo(Tracked, Versioned, code=130, options="BroadcastToOptions"):
    """The operand repeated to the shape that operand 1 gives, by numpy's rules."""

    symbolic = frozenset({0})
    quantization = ONE_SCALE

    def infer(self, x: Value, shape: Value) -> Inferred:
        dims = contents_shape(shape, "the shape", "broadcast")
        if dims is not None and x.type.shape is not None:
            if len(x.shape) > len(dims):
                raise ValueError(f"{x.type} does not broadcast to {dims}")
            for have, want in zip(reversed(x.shape), reversed(dims), strict=False):
                if have != 1 and same_dim(have, want) is False:
                    raise ValueError(f"{x.type} does not broadcast to {dims}")
        return TensorType(x.dtype, dims, per_tensor(x))

    def eval(self, x: Array, shape: Array) -> Array:
        return np.broadcast_to(x, tuple(int(dim) for dim in shape))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc, BuiltinOperator_BROADCAST_TO: version 1 was withdrawn."""
        return max(2, super().version(inputs, outputs))

    versions = by_type(f8=4, i8=3, i16=3)


@operation
class BroadcastArgs(Op, code=145):
    """The shape vector to which two shape vectors broadcast."""

    kernels = types("i32 i64")  # broadcast_args.cc
    tracked = True

    def infer(self, x: Value, y: Value) -> Inferred:
        dtype = same_dtype(x, y)
        check_integer(x, "a shape")
        ranks = [vector_length(value, "a shape") for value in (x, y)]
        known = [rank for rank in ranks if rank is not None]
        return TensorType(dtype, (max(known) if len(known) == 2 else fresh("rank"),))

    def known(self, x: Value, y: Value) -> Array | None:
        if x.known is None or y.known is None:
            return None
        dims = broadcast(x.known.tolist(), y.known.tolist())
        return objects(list(dims), (len(dims),))


@operation
class Fill(Tracked, Versioned, code=94, options="FillOptions"):
    """A tensor of the shape that operand 0 gives, all elements being operand 1, a scalar."""

    kernels = types("i32 i64")  # fill.cc
    symbolic = frozenset({1})
    versions = by_type(f8=5, f16=4, i8=3, i16=3, bool=2, str=2)
    keyed = 1
    quantization = ONE_SCALE

    def infer(self, dims: Value, value: Value) -> Inferred:
        if value.type.shape:
            raise ValueError(f"the value must be a scalar, not {value.type}")
        return TensorType(value.dtype, contents_shape(dims, "the shape", "filled"), value.type.quant)

    def eval(self, dims: Array, value: Array) -> Array:
        return np.full(tuple(int(dim) for dim in dims), value, np.asarray(value).dtype)


@operation
class Range(Op, code=96, options="RangeOptions"):
    """The numbers from `start` to, but without, `limit` in steps of `delta`; all scalars of one type.

    A step away from the limit is an error of the runtime, not an empty range (range.cc, GetSize).
    """

    kernels = types("i32 i64 f32")  # range.cc
    same_dtype = True
    tracked = True

    def infer(self, start: Value, limit: Value, delta: Value) -> Inferred:
        dtype = same_dtype(start, limit, delta)
        for value in (start, limit, delta):
            if value.type.shape:
                raise ValueError(f"start, limit and delta must be scalars, not {value.type}")
        return TensorType(dtype, (_length(start, limit, delta),))

    def known(self, start: Value, limit: Value, delta: Value) -> Array | None:
        bounds = [
            integers(value, "a bound") if value.dtype.is_integer else None for value in (start, limit, delta)
        ]
        if any(bound is None for bound in bounds):
            return None
        first, last, step = (bound[0] for bound in bounds if bound is not None)
        values = range(first, last, step)
        return objects(list(values), (len(values),)) if len(values) <= RANGE_LIMIT else None

    def eval(self, start: Array, limit: Array, delta: Array) -> Array:
        """Add up, not multiply: so does the kernel, rounding at each step (range.cc, CalculateRange)."""
        steps = np.full(_count(start, limit, delta), delta, start.dtype)
        steps[:1] = start
        return np.cumsum(steps, dtype=start.dtype)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        x = inputs[0]
        return 2 if x is not None and x.dtype is DType.INT64 else 1


RANGE_LIMIT = 64
"""Elements up to which the contents of a range are tracked."""


def _count(start: Array, limit: Array, delta: Array) -> int:
    if delta == 0:
        raise ValueError("the step of a range must not be 0")
    if limit != start and (limit > start) != (delta > 0):
        raise ValueError(f"steps of {delta} do not lead from {start} to {limit}")
    if np.asarray(start).dtype.kind == "f":
        return int(np.ceil(np.abs((limit - start) / delta)))
    return len(range(int(start), int(limit), int(delta)))


def _length(start: Value, limit: Value, delta: Value) -> Dim:
    if start.is_const and limit.is_const and delta.is_const:
        return _count(start.array(), limit.array(), delta.array())
    bounds = [value.known for value in (start, limit, delta)]
    if any(bound is None for bound in bounds):
        return fresh("range")
    first, last, step = (bound.item() for bound in bounds if bound is not None)
    if not isinstance(step, int) or step == 0:
        return fresh("range")
    if not isinstance(first, Sym) and not isinstance(last, Sym):
        return len(range(first, last, step))
    span: Dim = last - first if step > 0 else first - last
    return span if abs(step) == 1 else (span + (abs(step) - 1)) // abs(step)
