"""Importers of TensorFlow's elementwise arithmetic; the one-to-one operations are a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.tensorflow.importer import tf
from litecast.frontend.tensorflow.ops.array import integers
from litecast.ir.builder import Builder
from litecast.ir.op import Op
from litecast.ir.types import DType
from litecast.lib import array, math, scan, special
from litecast.lib.array import unsupported

DIRECT: dict[str, Op] = {
    "Add": ops.Add(), "AddV2": ops.Add(), "Sub": ops.Sub(), "Mul": ops.Mul(), "Maximum": ops.Maximum(),
    "Minimum": ops.Minimum(), "RealDiv": ops.Div(), "Sqrt": ops.Sqrt(), "Rsqrt": ops.Rsqrt(),
    "Exp": ops.Exp(),
    "Log": ops.Log(), "Neg": ops.Neg(), "Floor": ops.Floor(), "Ceil": ops.Ceil(), "Sin": ops.Sin(),
    "Cos": ops.Cos(),
    "Atan2": ops.Atan2(), "Rint": ops.Round(), "FloorMod": ops.FloorMod(),
}  # fmt: skip
"""TensorFlow operations that are one elementwise operation of the same meaning."""
DECOMPOSED: dict[str, Callable[..., Any]] = {
    "Abs": math.absolute, "Sign": math.sign, "Square": math.square,
    "SquaredDifference": math.squared_difference,
    "Pow": math.power, "FloorDiv": math.floor_divide, "Round": math.round_half_even,
    "Reciprocal": math.reciprocal,
    "Inv": math.reciprocal, "TruncateDiv": math.truncate_divide, "TruncateMod": math.truncate_mod,
    "Mod": math.truncate_mod, "Invert": math.invert, "LeftShift": math.left_shift,
    "RightShift": math.right_shift,
    "BitwiseAnd": math.bitwise_and, "BitwiseXor": math.bitwise_xor, "BitwiseOr": math.bitwise_or,
    "IsNan": math.is_nan, "IsInf": math.is_inf, "IsFinite": math.is_finite,
    "Expm1": special.expm1, "Log1p": special.log1p, "Tan": special.tan, "Asin": special.asin,
    "Acos": special.acos,
    "Atan": special.atan, "Sinh": special.sinh, "Cosh": special.cosh, "Asinh": special.asinh,
    "Acosh": special.acosh, "Atanh": special.atanh, "Erf": special.erf, "Erfc": special.erfc,
    "Erfinv": special.erfinv, "Ndtri": special.ndtri,
}  # fmt: skip
"""TensorFlow operations that are one macro."""


def _elementwise(operation: Op) -> Callable[..., Any]:
    return lambda b, *xs: math.apply(b, operation, *xs)


for _name, _operation in DIRECT.items():
    tf(_name)(_elementwise(_operation))
for _name, _macro in DECOMPOSED.items():
    tf(_name)(_macro)


@tf("Div")
def div(b: Builder, x: Any, y: Any) -> Any:
    """The first version truncates integers."""
    return math.truncate_divide(b, x, y) if x.dtype.is_integer else math.apply(b, ops.Div(), x, y)


@tf("AddN")
def add_n(b: Builder, *xs: Any) -> Any:
    result = xs[0]
    for x in xs[1:]:
        result = math.apply(b, ops.Add(), result, x)
    return result


@tf("DivNoNan")
def div_no_nan(b: Builder, x: Any, y: Any) -> Any:
    return math.where_zero(b, y, math.apply(b, ops.Div(), x, y))


@tf("MulNoNan")
def mul_no_nan(b: Builder, x: Any, y: Any) -> Any:
    return math.where_zero(b, y, math.apply(b, ops.Mul(), x, y))


@tf("Xdivy")
def xdivy(b: Builder, x: Any, y: Any) -> Any:
    return math.where_zero(b, x, math.apply(b, ops.Div(), x, y))


@tf("Xlogy")
def xlogy(b: Builder, x: Any, y: Any) -> Any:
    return math.where_zero(b, x, math.apply(b, ops.Mul(), x, math.apply(b, ops.Log(), y)))


@tf("Xlog1py")
def xlog1py(b: Builder, x: Any, y: Any) -> Any:
    return math.where_zero(b, x, math.apply(b, ops.Mul(), x, special.log1p(b, y)))


@tf("ClipByValue")
def clip_by_value(b: Builder, x: Any, low: Any, high: Any) -> Any:
    """The upper bound first (core/kernels/cwise_op_clip.cc)."""
    return math.apply(b, ops.Maximum(), math.apply(b, ops.Minimum(), x, high), low)


@tf("Cast", harmless=("SrcT",))
def cast(b: Builder, x: Any, *, DstT: DType, Truncate: bool = False) -> Any:
    if Truncate and x.dtype.is_float and DstT.is_float:
        raise unsupported("Cast", "Truncate rounds towards zero between floats", "cast with rounding")
    return array.cast(b, x, DstT)


@tf("Bucketize")
def bucketize(b: Builder, x: Any, *, boundaries: list[float]) -> Any:
    if x.dtype is DType.FLOAT64 and not x.is_const:
        x = array.cast(b, x, DType.FLOAT64)
    return b(ops.Bucketize(boundaries=tuple(float(np.float32(boundary)) for boundary in boundaries)), x)


@tf("Cumsum")
def cumsum(b: Builder, x: Any, axis: Any, *, exclusive: bool = False, reverse: bool = False) -> Any:
    return scan.cumsum(b, x, integers(axis, "axis", "Cumsum")[0], exclusive, reverse)


@tf("Cumprod")
def cumprod(b: Builder, x: Any, axis: Any, *, exclusive: bool = False, reverse: bool = False) -> Any:
    return scan.cumprod(b, x, integers(axis, "axis", "Cumprod")[0], exclusive, reverse)


@tf("CumulativeLogsumexp")
def cumulative_logsumexp(
    b: Builder, x: Any, axis: Any, *, exclusive: bool = False, reverse: bool = False
) -> Any:
    axis = integers(axis, "axis", "CumulativeLogsumexp")[0]
    return scan.cumulative_logsumexp(b, x, axis, exclusive, reverse)
