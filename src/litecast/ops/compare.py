"""Comparisons, logic and selection."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array, Inferred, Operands, Outputs, operation
from litecast.ir.types import DType, TensorType, fresh, same_dim
from litecast.ops.dims import merge_shapes, objects
from litecast.ops.grids import ANY_SCALE_INT8, COMPARISON, ONE_SCALE
from litecast.ops.rules import (
    Binary,
    Tracked,
    Unary,
    Versioned,
    broadcast_types,
    by_type,
    rank_over,
    same_dtype,
    types,
)

__all__ = [
    "Bucketize",
    "Equal",
    "Greater",
    "GreaterEqual",
    "Less",
    "LessEqual",
    "LogicalAnd",
    "LogicalNot",
    "LogicalOr",
    "NotEqual",
    "Select",
    "SelectV2",
    "Where",
]


class Comparison(Binary):
    """A BOOL per pair of elements."""

    def infer(self, x: Value, y: Value) -> Inferred:
        same_dtype(x, y)
        return TensorType(DType.BOOL, broadcast_types(x, y))


class Equality(Comparison, Tracked):
    """A comparison that is decided for dimensions of one name; other unknown ones leave it open."""

    commutative = True

    def track(self, x: Array, y: Array) -> Array | None:
        decided = np.frompyfunc(_equal, 2, 1)(x, y)
        return None if any(item is None for item in np.ravel(decided)) else objects(self.eval(decided, True))


def _equal(left: Any, right: Any) -> bool | None:
    return same_dim(left, right)


@operation
class Equal(Equality, code=71, options="EqualOptions"):
    """x == y."""

    kernels = types("bool f32 f16 i16 i32 i64 u8 i8 str")  # comparisons.cc
    quantized = types("u8 i8")
    versions = by_type(i16=5, str=3, i8=2)
    quantization = ANY_SCALE_INT8  # comparisons.cc, ComparisonQuantized (8 bits are compared)

    def eval(self, x: Array, y: Array) -> Array:
        return np.equal(x, y)


@operation
class NotEqual(Equality, code=72, options="NotEqualOptions"):
    """x != y."""

    kernels = types("bool f32 f16 i16 i32 i64 u8 i8 str")  # comparisons.cc
    quantized = types("u8 i8 i16")
    versions = by_type(i16=4, str=3, i8=2)
    quantization = ANY_SCALE_INT8  # comparisons.cc, ComparisonQuantized (8 bits are compared)

    def eval(self, x: Array, y: Array) -> Array:
        return np.not_equal(x, y)


@operation
class Greater(Comparison, code=61, options="GreaterOptions"):
    """x > y."""

    kernels = types("f32 f16 bf16 i16 i32 i64 u8 i8")  # comparisons.cc
    quantized = types("u8 i8")
    versions = by_type(i8=2)
    quantization = COMPARISON  # INT16 compares the stored numbers (comparisons.cc:309)

    def eval(self, x: Array, y: Array) -> Array:
        return np.greater(x, y)


@operation
class GreaterEqual(Comparison, code=62, options="GreaterEqualOptions"):
    """x >= y."""

    kernels = types("f32 f16 i16 i32 i64 u8 i8")  # comparisons.cc
    quantized = types("u8 i8")
    versions = by_type(i16=3, i8=2)
    quantization = COMPARISON  # INT16 compares the stored numbers (comparisons.cc:309)

    def eval(self, x: Array, y: Array) -> Array:
        return np.greater_equal(x, y)


@operation
class Less(Comparison, code=58, options="LessOptions"):
    """x < y."""

    kernels = types("f32 f16 bf16 i16 i32 i64 u8 i8")  # comparisons.cc
    quantized = types("u8 i8")
    versions = by_type(i16=3, i8=2)
    quantization = COMPARISON  # INT16 compares the stored numbers (comparisons.cc:309)

    def eval(self, x: Array, y: Array) -> Array:
        return np.less(x, y)


@operation
class LessEqual(Comparison, code=63, options="LessEqualOptions"):
    """x <= y."""

    kernels = types("f32 f16 i16 i32 i64 u8 i8")  # comparisons.cc
    quantized = types("u8 i8")
    versions = by_type(i8=2)
    quantization = COMPARISON  # INT16 compares the stored numbers (comparisons.cc:309)

    def eval(self, x: Array, y: Array) -> Array:
        return np.less_equal(x, y)


class Logic(Binary):
    """A BOOL operation."""

    kernels = types("bool")  # logical.cc
    commutative = True

    def infer(self, x: Value, y: Value) -> Inferred:
        if same_dtype(x, y) is not DType.BOOL:
            raise ValueError(f"BOOL operands are wanted, not {x.dtype.name}")
        return super().infer(x, y)


@operation
class LogicalAnd(Logic, code=86, options="LogicalAndOptions"):
    """x and y."""

    def eval(self, x: Array, y: Array) -> Array:
        return np.logical_and(x, y)


@operation
class LogicalOr(Logic, code=84, options="LogicalOrOptions"):
    """x or y."""

    def eval(self, x: Array, y: Array) -> Array:
        return np.logical_or(x, y)


@operation
class LogicalNot(Unary, code=87, options="LogicalNotOptions"):
    """not x."""

    kernels = types("bool")  # elementwise.cc

    def infer(self, x: Value) -> Inferred:
        if x.dtype is not DType.BOOL:
            raise ValueError(f"a BOOL operand is wanted, not {x.dtype.name}")
        return super().infer(x)

    def eval(self, x: Array) -> Array:
        return np.logical_not(x)


def _check_condition(condition: Value) -> None:
    if condition.dtype is not DType.BOOL:
        raise ValueError(f"the condition must be BOOL, not {condition.dtype.name}")


@operation
class Select(Versioned, code=64, options="SelectOptions"):
    """x where the condition holds, else y: one shape, or a condition that is a scalar or chooses rows."""

    kernels = types("bool")  # select.cc
    quantization = ONE_SCALE  # select.cc, Eval: stored numbers

    def infer(self, condition: Value, x: Value, y: Value) -> Inferred:
        _check_condition(condition)
        dtype = same_dtype(x, y)
        shape = merge_shapes((x.type.shape, y.type.shape), "the operands")
        chooser = condition.type.shape
        if shape is not None and chooser is not None and not _selects(chooser, shape):
            raise ValueError(f"a condition of shape {chooser} does not choose from operands of shape {shape}")
        return TensorType(dtype, shape)

    def eval(self, condition: Array, x: Array, y: Array) -> Array:
        rows = (
            condition.reshape(condition.shape + (1,) * (x.ndim - condition.ndim))
            if condition.size > 1
            else condition
        )
        return np.where(rows.reshape(()) if condition.size == 1 else rows, x, y)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc, BuiltinOperator_SELECT (what it says of the condition's type never holds)."""
        return 3 if any(rank_over(value, 4) and not rank_over(value, 5) for value in inputs) else 1


def _selects(chooser: tuple[Any, ...], shape: tuple[Any, ...]) -> bool:
    if len(chooser) == len(shape):
        return all(same_dim(*dims) is not False for dims in zip(chooser, shape, strict=True))
    if not chooser or chooser == (1,):
        return True
    return len(chooser) == 1 and bool(shape) and same_dim(chooser[0], shape[0]) is not False


@operation
class SelectV2(Tracked, code=123, options="SelectV2Options"):
    """x where the condition holds, y elsewhere; all three broadcast."""

    kernels = types("bool")  # select.cc
    max_broadcast_rank = 8
    quantization = ONE_SCALE  # select.cc, Eval: stored numbers

    def infer(self, condition: Value, x: Value, y: Value) -> Inferred:
        _check_condition(condition)
        return TensorType(same_dtype(x, y), broadcast_types(condition, x, y))

    def eval(self, condition: Array, x: Array, y: Array) -> Array:
        return np.where(condition, x, y)

    def known(self, condition: Value, x: Value, y: Value) -> Array | None:
        if x.known is None or y.known is None:
            return None
        if condition.is_const:
            return objects(np.where(condition.array(), x.known, y.known))
        same = condition.type.shape == () and x.known.shape == y.known.shape
        return x.known if same and x.known.tolist() == y.known.tolist() else None


@operation
class Where(Versioned, code=109, options="WhereOptions"):
    """Coordinates (INT64, one row each) of the elements that are not zero."""

    kernels = types("bool f32 i64 i32 i8 u8 u32")  # where.cc

    def infer(self, condition: Value) -> Inferred:
        rank = fresh("rank") if condition.type.shape is None else condition.rank
        if rank == 0:
            raise ValueError("a scalar has no coordinates (where.cc, Prepare)")
        return TensorType(DType.INT64, (fresh("found"), rank))

    def eval(self, condition: Array) -> Array:
        return np.argwhere(condition).astype(np.int64)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        x = inputs[0]
        return 1 if x is not None and x.dtype is DType.BOOL else 2


@operation
class Bucketize(Versioned, code=147, options="BucketizeOptions"):
    """The number (INT32) of boundaries, which ascend, that are at most x."""

    boundaries: tuple[float, ...] = ()
    kernels = types("i32 f32 i64 f64")  # bucketize.cc

    def infer(self, x: Value) -> Inferred:
        return TensorType(DType.INT32, x.type.shape)

    def eval(self, x: Array) -> Array:
        return np.searchsorted(np.array(self.boundaries, np.float32), x, side="right").astype(np.int32)
