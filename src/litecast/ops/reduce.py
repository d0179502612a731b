"""Reductions along axes, cumulative and segmented ones, and arg-max."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array, Inferred, Op, operation
from litecast.ir.types import Dim, DType, Shape, TensorType, fresh, same_dim
from litecast.ops.dims import axis_of, integers, maximum, minimum, objects, unknown_shape
from litecast.ops.grids import ANY_SCALE, ANY_SCALE_INT8, ONE_SCALE
from litecast.ops.rules import Tracked, Versioned, by_type, types

__all__ = [
    "ArgMax",
    "ArgMin",
    "Cumsum",
    "Mean",
    "ReduceAll",
    "ReduceAny",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "SegmentSum",
    "Sum",
    "UnsortedSegmentMax",
    "UnsortedSegmentMin",
    "UnsortedSegmentProd",
    "UnsortedSegmentSum",
]


@operation
class Reduction(Versioned):
    """A reduction of operand 0 along the axes in operand 1; `keep_dims`: these stay, with size 1."""

    keep_dims: bool = False

    def infer(self, x: Value, axes: Value) -> Inferred:
        return TensorType(x.dtype, self._shape(x.type.shape, axes))

    def _shape(self, shape: Shape | None, axes: Value) -> Shape | None:
        chosen = integers(axes, "the axes")
        if shape is None:
            return None
        rank = len(shape)
        if chosen is None:
            return unknown_shape(rank, "reduced") if self.keep_dims else None
        gone = {axis_of(axis, rank) for axis in chosen}
        if self.keep_dims:
            return tuple(1 if axis in gone else dim for axis, dim in enumerate(shape))
        return tuple(dim for axis, dim in enumerate(shape) if axis not in gone)


class VectorReduction(Reduction, Tracked):
    """A reduction that is known of a shape vector."""

    symbolic = frozenset({0})
    combine: ClassVar[Any]
    start: ClassVar[int | None] = None

    def track(self, x: Array, axes: Array) -> Array | None:
        if x.ndim == 0 or not axes.size:
            return x
        terms = x.tolist()
        if not terms and self.start is None:
            return None
        total = (
            reduce(type(self).combine, terms)
            if self.start is None
            else reduce(type(self).combine, terms, self.start)
        )
        return objects([total] if self.keep_dims else total)


def _add(left: Dim, right: Dim) -> Dim:
    return left + right


def _multiply(left: Dim, right: Dim) -> Dim:
    return left * right


@operation
class Sum(VectorReduction, code=74, options="ReducerOptions"):
    """The sum."""

    kernels = types("f32 i32 i64 u8 i8 i16")  # reduce.cc
    quantized = types("u8 i8 i16")
    max_rank = 6
    combine = staticmethod(_add)
    start = 0
    versions = by_type(i8=2)
    quantization = ANY_SCALE  # reduce.cc, EvalQuantizedMean and EvalSum


@operation
class ReduceProd(VectorReduction, code=81, options="ReducerOptions"):
    """The product."""

    kernels = types("f32 i32 i64 u8 i8 i16")  # reduce.cc
    combine = staticmethod(_multiply)
    start = 1
    versions = by_type(i8=2, i16=2)


@operation
class ReduceMax(VectorReduction, code=82, options="ReducerOptions"):
    """The largest element."""

    kernels = types("f32 i32 i64 u8 i8 i16")  # reduce.cc
    max_rank = 6
    combine = staticmethod(maximum)
    versions = by_type(i16=3, i8=2)
    quantization = ONE_SCALE  # reduce.cc, Prepare


@operation
class ReduceMin(VectorReduction, code=89, options="ReducerOptions"):
    """The smallest element."""

    kernels = types("f32 i32 i64 u8 i8 i16")  # reduce.cc
    max_rank = 6
    combine = staticmethod(minimum)
    versions = by_type(i16=3, i8=2)
    quantization = ONE_SCALE  # reduce.cc, Prepare


@operation
class Mean(Reduction, code=40, options="ReducerOptions"):
    """The mean."""

    kernels = types("f32 i32 i64 u8 i8 i16")  # reduce.cc
    quantized = types("u8 i8 i16")
    max_rank = 6
    versions = by_type(i16=3, i8=2)
    quantization = ANY_SCALE  # reduce.cc, EvalQuantizedMean


@operation
class BoolReduction(Reduction):
    """A reduction of BOOL."""

    kernels = types("bool")  # reduce.cc

    def infer(self, x: Value, axes: Value) -> Inferred:
        if x.dtype is not DType.BOOL:
            raise ValueError(f"a BOOL operand is wanted, not {x.dtype.name}")
        return super().infer(x, axes)


@operation
class ReduceAny(BoolReduction, code=91, options="ReducerOptions"):
    """Whether any element holds."""


@operation
class ReduceAll(BoolReduction, code=140, options="ReducerOptions"):
    """Whether all elements hold."""


@operation
class ArgReduction(Versioned):
    """The index of an extreme element along the axis in operand 1, a scalar."""

    output_type: DType = DType.INT64
    kernels = types("f32 u8 i8 i32 bool")  # arg_min_max.cc
    versions = by_type(bool=3, i8=2)
    quantization = ANY_SCALE_INT8  # arg_min_max.cc: the order is that of the stored numbers

    def infer(self, x: Value, axis: Value) -> Inferred:
        if self.output_type not in (DType.INT32, DType.INT64):
            raise ValueError(f"indices are INT32 or INT64, not {self.output_type.name}")
        chosen = integers(axis, "the axis")
        if x.type.shape is None:
            return TensorType(self.output_type, None)
        if chosen is None:
            return TensorType(self.output_type, unknown_shape(x.rank - 1, "reduced"))
        gone = axis_of(chosen[0], x.rank)
        return TensorType(self.output_type, (*x.shape[:gone], *x.shape[gone + 1 :]))


@operation
class ArgMax(ArgReduction, code=56, options="ArgMaxOptions"):
    """The index of the largest element, the first of equals. (The schema's default type is no integer.)"""


@operation
class ArgMin(ArgReduction, code=79, options="ArgMinOptions"):
    """The index of the smallest element, the first of equals. (The schema's default type is no integer.)"""


@operation
class Cumsum(Op, code=128, options="CumsumOptions"):
    """The running sum along the axis in operand 1; without the element itself where `exclusive` is set."""

    exclusive: bool = False
    reverse: bool = False
    kernels = types("i32 f32 i64")  # cumsum.cc

    def infer(self, x: Value, axis: Value) -> Inferred:
        chosen = integers(axis, "the axis")
        if chosen is not None and x.type.shape is not None:
            axis_of(chosen[0], x.rank)
        return TensorType(x.dtype, x.type.shape)


@operation
class SegmentSum(Op, code=125, options="SegmentSumOptions"):
    """The sums of the rows of each segment; operand 1 names, ascending, the segment of each row."""

    kernels = types("i32 f32")  # segment_sum.cc

    def infer(self, x: Value, segments: Value) -> Inferred:
        if segments.dtype is not DType.INT32:
            raise ValueError(f"segment numbers must be INT32, not {segments.dtype.name}")
        numbers = integers(segments, "the segments")
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        if segments.type.shape is not None and (
            segments.rank != 1 or same_dim(segments.shape[0], x.shape[0]) is False
        ):
            raise ValueError(f"segment numbers of shape {segments.shape} do not fit rows of {x.type}")
        steps = [] if numbers is None else [after - before for before, after in pairwise([0, *numbers])]
        if steps and (steps[0] != 0 or not {0, 1}.issuperset(steps)):
            raise ValueError(
                f"segment numbers must ascend from 0 by 0 or 1 (segment_sum.cc:57), not {numbers}"
            )
        count: Dim = fresh("segments") if numbers is None else (numbers[-1] + 1 if numbers else 0)
        return TensorType(x.dtype, (count, *x.shape[1:]))


@operation
class UnsortedSegment(Op):
    """A reduction per segment; operand 1 says of which an entry is (negative: none), 2 how many there are."""

    kernels = types("i32 f32")  # unsorted_segment.cc

    def infer(self, x: Value, segments: Value, count: Value) -> Inferred:
        numbers = integers(count, "the count of segments")
        if x.type.shape is None or segments.type.shape is None:
            return TensorType(x.dtype, None)
        leading = x.shape[: segments.rank]
        if len(leading) < segments.rank or any(
            same_dim(*dims) is False for dims in zip(leading, segments.shape, strict=True)
        ):
            raise ValueError(f"segment numbers of shape {segments.shape} do not fit entries of {x.type}")
        known: Dim = fresh("segments") if count.known is None else np.ravel(count.known)[0]
        return TensorType(x.dtype, (numbers[0] if numbers else known, *x.shape[segments.rank :]))


@operation
class UnsortedSegmentSum(UnsortedSegment, code=155, options="UnsortedSegmentSumOptions"):
    """Sums; 0 where a segment is empty."""


@operation
class UnsortedSegmentProd(UnsortedSegment, code=153, options="UnsortedSegmentProdOptions"):
    """Products; 1 where a segment is empty."""


@operation
class UnsortedSegmentMax(UnsortedSegment, code=154, options="UnsortedSegmentMaxOptions"):
    """Largest entries; the lowest number of the type where a segment is empty."""


@operation
class UnsortedSegmentMin(UnsortedSegment, code=157, options="UnsortedSegmentMinOptions"):
    """Smallest entries; the highest number of the type where a segment is empty."""
