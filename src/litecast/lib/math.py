"""Elementwise macros on values: any element type and rank that can be computed exactly with LiteRT's kernels.

`apply` is the one door to an elementwise kernel; functions without a kernel are decomposed accurately.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litecast import ops
from litecast.ir.builder import Builder, Composite
from litecast.ir.graph import Value
from litecast.ir.op import Op
from litecast.ir.types import Dim, DType, broadcast, product
from litecast.lib import array
from litecast.lib.array import unsupported

__all__ = [
    "absolute",
    "apply",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "broadcast_to",
    "broadcast_values",
    "computed_in",
    "floor_divide",
    "invert",
    "is_finite",
    "is_inf",
    "is_nan",
    "left_shift",
    "merged_axes",
    "power",
    "reciprocal",
    "right_shift",
    "round_half_even",
    "select",
    "sign",
    "square",
    "squared_difference",
    "truncate_divide",
    "truncate_mod",
    "where",
    "where_zero",
]

F32, I32, I64, BOOL = DType.FLOAT32, DType.INT32, DType.INT64, DType.BOOL


WIDER = {
    BOOL: I32, DType.INT8: I32, DType.UINT8: I32, DType.INT16: I32, DType.UINT16: I32, DType.UINT32: I64,
    DType.FLOAT16: F32, DType.BFLOAT16: F32,
}  # fmt: skip
"""Computing in the wider type and converting back gives the narrow result: integers wrap, and TensorFlow
itself computes half and bfloat16 in float32 and rounds (double rounding is exact, for 24 >= 2 * 11 + 2).
"""
NARROWED = frozenset(
    {
        ops.Abs, ops.Add, ops.Ceil, ops.Cos, ops.Div, ops.Exp, ops.Floor, ops.Log, ops.Maximum, ops.Minimum,
        ops.Mul, ops.Neg, ops.Pow, ops.Round, ops.Rsqrt, ops.Sin, ops.Sqrt, ops.SquaredDifference, ops.Sub,
        ops.Tanh,
    }
)  # fmt: skip
"""Arithmetic on float64 that is done in float32, as the report notes: TensorFlow divides integers in float64.
Comparisons, which could change their answer, and sums over many elements are not.
"""
HALVES = frozenset({DType.FLOAT16, DType.BFLOAT16})
"""Computed in float32 although some kernels take them: only the newest runtimes have those."""


def apply(b: Builder, op: Op, *operands: Any) -> Any:
    """Apply an elementwise operation with numpy broadcasting, whatever the rank and the element type.

    Narrow types are computed in a wider one and converted back, float64 arithmetic in float32. Raises
    UnsupportedError for an element type that no kernel computes (float64 elsewhere; 64-bit integers for some
    operations).
    """
    if any(isinstance(x, Composite) for x in operands):
        return b(op, *operands)
    first = next(x for x in operands if isinstance(x, Value))
    dtype = first.dtype
    xs = [x if isinstance(x, Value) else b.const(np.asarray(x, dtype.numpy)) for x in operands]
    if all(x.is_const for x in xs) and op.eval is not None:
        return b(op, *xs)
    wide = computed_in(op, xs)
    result = _broadcasting(b, op, [array.cast(b, x, wide) for x in xs])
    return result if result.dtype is BOOL and wide is not BOOL else array.cast(b, result, dtype)


def computed_in(op: Op, xs: Sequence[Value]) -> DType:
    """Return the element type in which a kernel computes plain (not quantized) operands."""
    dtype = wide = xs[0].dtype
    if dtype is DType.FLOAT64 and type(op) in NARROWED:
        return F32
    types = None if op.kernels is None else op.kernels - op.quantized - HALVES
    while types is not None and wide not in types:
        if wide is I64 and I32 in types and all(x.known is not None for x in xs):
            return I32  # contents of shape vectors: dimensions, which fit
        if wide not in WIDER:
            raise unsupported(
                f"{op.name} of {dtype.name.lower()}",
                "LiteRT has no kernel for this element type",
                "convert to int32 first" if dtype.is_integer else "convert to float32 first",
            )
        wide = WIDER[wide]
    return wide


def _broadcasting(b: Builder, op: Op, xs: Sequence[Value]) -> Any:
    shapes = [x.type.shape for x in xs]
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes) or len(set(known)) == 1:
        return b(op, *xs)
    result = broadcast(*known)
    limit = getattr(op, "max_broadcast_rank", None)
    if limit is None or len(result) <= limit:
        return b(op, *xs)
    groups = merged_axes([(1,) * (len(result) - len(shape)) + shape for shape in known])
    if len(groups) > limit:
        return b(op, *broadcast_values(b, xs))
    merged = []
    for x, shape in zip(xs, known, strict=True):
        padded = (1,) * (len(result) - len(shape)) + shape
        merged.append(array.reshape(b, x, [product(padded[axis] for axis in group) for group in groups]))
    return array.reshape(b, b(op, *merged), result)


def merged_axes(shapes: Sequence[Sequence[Dim]]) -> list[list[int]]:
    """Group neighbouring axes along which every operand spans the same dimension, or is 1 throughout."""
    groups: list[list[int]] = []
    patterns: list[tuple[bool, ...] | None] = []
    for axis, dims in enumerate(zip(*shapes, strict=True)):
        pattern: tuple[bool, ...] | None = tuple(dim == 1 for dim in dims)
        if len({dim for dim in dims if dim != 1}) > 1:
            pattern = None
        if groups and pattern is not None and pattern == patterns[-1]:
            groups[-1].append(axis)
        else:
            groups.append([axis])
            patterns.append(pattern)
    return groups


def broadcast_values(b: Builder, xs: Sequence[Any]) -> list[Any]:
    """Return the values, each with their common shape."""
    result = broadcast(*(x.shape for x in xs))
    return [broadcast_to(b, x, result) for x in xs]


def broadcast_to(b: Builder, x: Any, shape: Sequence[Dim] | Value) -> Any:
    """Return x broadcast to `shape` (dimensions, or a vector)."""
    if isinstance(shape, Value):
        dims = shape
    elif tuple(shape) == tuple(x.shape):
        return x
    else:
        dims = b.dims(shape)
    if isinstance(x, Value) and x.dtype is DType.STRING and not (x.is_const and dims.is_const):
        raise unsupported("BroadcastTo of strings", "LiteRT has no kernel for this element type", "use Tile")
    return b(ops.BroadcastTo(), x, dims)


def select(b: Builder, condition: Any, x: Any, y: Any) -> Any:
    """Return x where the condition holds, else y, with broadcasting of all three."""
    if isinstance(x, Composite) or isinstance(y, Composite):
        return b(ops.SelectV2(), condition, x, y)
    dtype = next(value.dtype for value in (x, y) if isinstance(value, Value))
    values = [
        value if isinstance(value, Value) else b.const(np.asarray(value, dtype.numpy)) for value in (x, y)
    ]
    if dtype is DType.STRING and not all(value.is_const for value in (condition, *values)):
        raise unsupported(
            "Select of strings", "LiteRT has no kernel for this element type", "select indices instead"
        )
    return _broadcasting(b, ops.SelectV2(), [condition, *values])


def where_zero(b: Builder, tested: Any, result: Any) -> Any:
    """Return zero where `tested` is zero, else `result` (which may be infinite or NaN there)."""
    return select(b, apply(b, ops.Equal(), tested, 0), 0, result)


def is_nan(b: Builder, x: Any) -> Any:
    """Return whether x is not a number: it differs from itself."""
    return apply(b, ops.NotEqual(), x, x)


def is_inf(b: Builder, x: Any) -> Any:
    """Return whether x is infinite."""
    return apply(b, ops.Equal(), absolute(b, x), np.inf)


def is_finite(b: Builder, x: Any) -> Any:
    """Return whether x is neither infinite nor NaN."""
    return apply(b, ops.Less(), absolute(b, x), np.inf)


# -- arithmetic -----------------------------------------------------------------------------------------


def absolute(b: Builder, x: Any) -> Any:
    """Return |x|."""
    if isinstance(x, Value) and x.dtype in (I64, DType.UINT32):
        return apply(b, ops.Maximum(), x, apply(b, ops.Neg(), x)) if x.dtype is I64 else x
    return apply(b, ops.Abs(), x)


def sign(b: Builder, x: Any) -> Any:
    """Return -1, 0 or 1."""
    if isinstance(x, Value) and x.dtype in (I64, DType.UINT32):
        return apply(b, ops.Maximum(), apply(b, ops.Minimum(), x, 1), -1 if x.dtype is I64 else 0)
    return apply(b, ops.Sign(), x)


def square(b: Builder, x: Any) -> Any:
    """Return x * x."""
    if isinstance(x, Value) and x.dtype.is_float:
        return apply(b, ops.Square(), x)
    return apply(b, ops.Mul(), x, x)


def squared_difference(b: Builder, x: Any, y: Any) -> Any:
    """Return (x - y) squared."""
    if isinstance(x, Value) and x.dtype in (F32, I32):
        return apply(b, ops.SquaredDifference(), x, y)
    return square(b, apply(b, ops.Sub(), x, y))


def reciprocal(b: Builder, x: Any) -> Any:
    """Return 1 / x."""
    return apply(b, ops.Div(), b.const(np.ones((), x.dtype.numpy)), x)


def round_half_even(b: Builder, x: Any) -> Any:
    """Return x rounded to the nearest integer, ties to even; integers are returned as they are."""
    return x if x.dtype.is_integer else apply(b, ops.Round(), x)


def power(b: Builder, x: Any, y: Any) -> Any:
    """Return x to the power y; constant whole exponents of 64-bit integers are products."""
    if isinstance(x, Value) and x.dtype is I64 and not x.is_const and isinstance(y, Value) and y.is_const:
        exponent = int(y.array().flat[0]) if y.type.size else 0
        if 0 <= exponent <= 64 and np.all(y.array() == exponent):
            result = _integer_power(b, x, exponent)
            return broadcast_to(b, result, broadcast(x.shape, y.shape))
    return apply(b, ops.Pow(), x, y)


def _integer_power(b: Builder, x: Any, exponent: int) -> Any:
    if exponent == 0:
        return array.full(b, b.dims(x.shape), 1, x.dtype)
    half = x if exponent == 1 else _integer_power(b, x, exponent // 2)
    if exponent == 1:
        return x
    whole = apply(b, ops.Mul(), half, half)
    return apply(b, ops.Mul(), whole, x) if exponent % 2 else whole


# -- integer division and bits --------------------------------------------------------------------------


def floor_divide(b: Builder, x: Any, y: Any) -> Any:
    """Return x / y rounded down.

    Of floats it is the quotient, rounded: the kernel divides in double and refuses a divisor of zero
    (floor_div.cc), where TensorFlow gives floor(x / y), infinity and NaN.
    """
    if x.dtype.is_float:
        wide = [array.cast(b, value, F32) if value.dtype in HALVES else value for value in (x, y)]
        return array.cast(b, apply(b, ops.Floor(), apply(b, ops.Div(), *wide)), x.dtype)
    if _divides(x, y):
        return apply(b, ops.FloorDiv(), x, y)
    return _exact_quotient(b, apply(b, ops.Sub(), x, apply(b, ops.FloorMod(), x, y)), y)


def _divides(x: Any, y: Any) -> bool:
    """Whether a kernel or numpy divides integers of this type: no kernel takes 64 bits."""
    return x.dtype is not I64 or all(item.is_const or item.known is not None for item in (x, y))


def _exact_quotient(b: Builder, x: Any, y: Any) -> Any:
    """Return x / y of 64-bit integers where nothing remains and |x| is below 2**62.

    Each round divides what is left in float32, whose 24 bits leave at most |x / y| / 2**22 of it, and half an
    integer for the rounding: the third round ends it.
    """
    divisor = array.cast(b, y, F32)
    quotient = None
    for _ in range(3):
        estimate = apply(b, ops.Round(), apply(b, ops.Div(), array.cast(b, x, F32), divisor))
        part = array.cast(b, estimate, I64)
        quotient = part if quotient is None else apply(b, ops.Add(), quotient, part)
        x = apply(b, ops.Sub(), x, apply(b, ops.Mul(), part, y))
    return quotient


def truncate_divide(b: Builder, x: Any, y: Any) -> Any:
    """Return x / y rounded towards zero."""
    if x.dtype.is_float:
        quotient = apply(b, ops.Div(), x, y)
        return apply(b, ops.Mul(), sign(b, quotient), apply(b, ops.Floor(), absolute(b, quotient)))
    if _divides(x, y):
        return apply(b, ops.Div(), x, y)
    return _exact_quotient(b, apply(b, ops.Sub(), x, truncate_mod(b, x, y)), y)


def truncate_mod(b: Builder, x: Any, y: Any) -> Any:
    """Return the remainder of x / y with the sign of x: that of the absolute values, which FloorMod
    computes.
    """
    if x.dtype.is_integer and x.dtype.name.startswith("U"):
        return apply(b, ops.FloorMod(), x, y)
    rest = apply(b, ops.FloorMod(), absolute(b, x), absolute(b, y))
    if x.dtype.is_float:
        return select(b, apply(b, ops.Less(), x, 0), apply(b, ops.Neg(), rest), rest)
    return apply(b, ops.Mul(), rest, sign(b, x))


def invert(b: Builder, x: Any) -> Any:
    """Return x with every bit flipped: -1 - x, or the largest number minus x where unsigned."""
    ones = np.iinfo(x.dtype.numpy).max if x.dtype.name.startswith("U") else -1
    return apply(b, ops.Sub(), b.const(np.asarray(ones, x.dtype.numpy)), x)


def bitwise_and(b: Builder, x: Any, y: Any) -> Any:
    """Return the bits that both have."""
    same = x.shape == y.shape
    left, right = (x, y) if same else broadcast_values(b, (x, y))
    return b(ops.StablehloAnd(), left, right)


def bitwise_xor(b: Builder, x: Any, y: Any) -> Any:
    """Return the bits that differ (of 64-bit integers, without a kernel: the sum less the common ones)."""
    if x.dtype is not I64:
        return apply(b, ops.BitwiseXor(), x, y)
    common = bitwise_and(b, x, y)
    return apply(b, ops.Sub(), apply(b, ops.Sub(), apply(b, ops.Add(), x, y), common), common)


def bitwise_or(b: Builder, x: Any, y: Any) -> Any:
    """Return the bits that either has: their sum counts the common ones twice."""
    return apply(b, ops.Sub(), apply(b, ops.Add(), x, y), bitwise_and(b, x, y))


def left_shift(b: Builder, x: Any, y: Any) -> Any:
    """Return x * 2**y, the bits that leave the type lost."""
    if isinstance(y, Value) and y.is_const:
        factor = np.left_shift(np.ones((), x.dtype.numpy), y.array())
        return apply(b, ops.Mul(), x, b.const(np.asarray(factor, x.dtype.numpy)))
    wide = array.cast(b, y, I32)
    return apply(b, ops.Mul(), x, array.cast(b, b(ops.Pow(), 2, wide), x.dtype))


def right_shift(b: Builder, x: Any, y: Any) -> Any:
    """Return x / 2**y rounded down (the sign is kept)."""
    if x.dtype is I64 and isinstance(y, Value) and y.is_const:
        return floor_divide(b, x, b.const(np.left_shift(np.int64(1), y.array())))
    return apply(b, ops.RightShift(), x, y)


def where(b: Builder, x: Any) -> Any:
    """Return the indices (INT64, one row each) of what is true, or not zero."""
    if x.dtype not in (BOOL, F32, I32, I64) and not x.is_const:
        x = apply(b, ops.NotEqual(), x, 0)
    return b(ops.Where(), x)
