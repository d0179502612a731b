"""TensorFlow's functions on numbers: elementwise, reductions, running sums, sorts, segments and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.functions.table import function, positions, same_type
from litecast.frontend.keras.operations import indexing, reductions
from litecast.frontend.keras.operations.creation import bessel_i0
from litecast.frontend.keras.operations.promotion import (
    BOOL,
    F32,
    F64,
    I32,
    dtype_named,
    tensor,
)
from litecast.ir.builder import Builder
from litecast.ir.op import Op
from litecast.ir.types import DType
from litecast.lib import array, math, nn, reduce, scan, special
from litecast.lib import complex as complexes

Macro = Callable[..., Any]


def _op(operation: Op) -> Macro:
    return lambda b, *xs: math.apply(b, operation, *xs)


def _in_float32(operation: Op) -> Macro:
    return lambda b, x: nn.in_float32(b, lambda y: b(operation, y), x)


def _log_sigmoid(b: Builder, x: Any) -> Any:
    return math.apply(b, ops.Neg(), nn.in_float32(b, lambda y: nn.softplus(b, b(ops.Neg(), y)), x))


def _reciprocal_no_nan(b: Builder, x: Any) -> Any:
    return math.where_zero(b, x, math.reciprocal(b, x))


def _part(imaginary: bool) -> Macro:
    def part(b: Builder, x: Any) -> Any:
        if not x.dtype.is_complex:
            return array.zeros(b, x.shape, x.dtype) if imaginary else x
        pair = complexes.as_complex(b, x)
        return pair.im(b) if imaginary else pair.re(b)

    return part


def _conjugate(b: Builder, x: Any) -> Any:
    return complexes.conj(b, complexes.as_complex(b, x)) if x.dtype.is_complex else x


# -- one operand -----------------------------------------------------------------------------------------

UNARY: dict[str, Macro] = {
    "abs": math.absolute, "acos": special.acos, "acosh": special.acosh, "asin": special.asin,
    "asinh": special.asinh, "atan": special.atan, "atanh": special.atanh, "bessel_i0": bessel_i0,
    "bitwise.invert": math.invert, "ceil": _op(ops.Ceil()), "conj": _conjugate, "cos": _op(ops.Cos()),
    "cosh": special.cosh, "erf": special.erf, "erfc": special.erfc, "erfinv": special.erfinv,
    "exp": _op(ops.Exp()), "expm1": special.expm1, "floor": _op(ops.Floor()), "is_finite": math.is_finite,
    "is_inf": math.is_inf, "is_nan": math.is_nan, "log": _op(ops.Log()), "log1p": special.log1p,
    "log_sigmoid": _log_sigmoid, "logical_not": _op(ops.LogicalNot()), "ndtri": special.ndtri,
    "negative": _op(ops.Neg()), "reciprocal": math.reciprocal, "reciprocal_no_nan": _reciprocal_no_nan,
    "rint": math.round_half_even, "round": math.round_half_even, "rsqrt": _op(ops.Rsqrt()),
    "sigmoid": _in_float32(ops.Logistic()), "sign": math.sign, "sin": _op(ops.Sin()), "sinh": special.sinh,
    "sqrt": _op(ops.Sqrt()), "square": math.square, "tan": special.tan, "tanh": _in_float32(ops.Tanh()),
}  # fmt: skip
INPUT_UNARY: dict[str, Macro] = {"real": _part(False), "imag": _part(True)}
"""Functions whose operand is called `input`."""


def _unary(macro: Macro) -> Macro:
    return lambda b, x: macro(b, tensor(b, x))


def _input_unary(macro: Macro) -> Macro:
    return lambda b, input: macro(b, tensor(b, input))


for _name, _macro in UNARY.items():
    function(_name)(_unary(_macro))
for _name, _macro in INPUT_UNARY.items():
    function(_name)(_input_unary(_macro))


@function("complex")
def complex_(b: Builder, real: Any, imag: Any) -> Any:
    return complexes.Complex(*same_type(b, real, imag))


# -- two operands ----------------------------------------------------------------------------------------


def _true_divide(b: Builder, x: Any, y: Any) -> Any:
    """Small integers are divided in float32, others in float64 (math_ops.truediv)."""
    if x.dtype.is_integer:
        small = x.dtype in (DType.INT8, DType.UINT8, DType.INT16, DType.UINT16)
        wide = [array.cast(b, value, F32) for value in (x, y)]
        quotient = math.apply(b, ops.Div(), *wide)
        return quotient if small else array.cast(b, quotient, F64)
    return math.apply(b, ops.Div(), x, y)


def _divide_v1(b: Builder, x: Any, y: Any) -> Any:
    return math.floor_divide(b, x, y) if x.dtype.is_integer else math.apply(b, ops.Div(), x, y)


def _no_nan(op: Op) -> Macro:
    return lambda b, x, y: math.where_zero(b, y, math.apply(b, op, x, y))


def _zero_if_zero(macro: Macro) -> Macro:
    """0 where x is, whatever y says."""
    return lambda b, x, y: math.where_zero(b, x, macro(b, x, y))


def _logical(op: Op, bits: Macro) -> Macro:
    """Python's &, | and ^ are logical for booleans, of bits for integers."""
    return lambda b, x, y: math.apply(b, op, x, y) if x.dtype is BOOL else bits(b, x, y)


def _times_log(log: Macro) -> Macro:
    return lambda b, x, y: math.apply(b, ops.Mul(), x, log(b, y))


BINARY: dict[str, Macro] = {
    "add": _op(ops.Add()), "subtract": _op(ops.Sub()), "sub": _op(ops.Sub()), "multiply": _op(ops.Mul()),
    "mul": _op(ops.Mul()), "divide": _true_divide, "truediv": _true_divide, "div": _divide_v1,
    "realdiv": _op(ops.Div()), "floordiv": math.floor_divide, "floor_div": math.floor_divide,
    "floormod": _op(ops.FloorMod()), "mod": _op(ops.FloorMod()), "truncatediv": math.truncate_divide,
    "truncatemod": math.truncate_mod, "pow": math.power, "maximum": _op(ops.Maximum()),
    "minimum": _op(ops.Minimum()), "squared_difference": math.squared_difference,
    "divide_no_nan": _no_nan(ops.Div()), "div_no_nan": _no_nan(ops.Div()),
    "multiply_no_nan": _no_nan(ops.Mul()),
    "xdivy": _zero_if_zero(_op(ops.Div())), "xlogy": _zero_if_zero(_times_log(_op(ops.Log()))),
    "xlog1py": _zero_if_zero(_times_log(special.log1p)), "equal": _op(ops.Equal()),
    "not_equal": _op(ops.NotEqual()), "less": _op(ops.Less()), "less_equal": _op(ops.LessEqual()),
    "greater": _op(ops.Greater()), "greater_equal": _op(ops.GreaterEqual()),
    "logical_and": _op(ops.LogicalAnd()), "logical_or": _op(ops.LogicalOr()),
    "logical_xor": _op(ops.NotEqual()), "and": _logical(ops.LogicalAnd(), math.bitwise_and),
    "or": _logical(ops.LogicalOr(), math.bitwise_or), "xor": _logical(ops.NotEqual(), math.bitwise_xor),
    "bitwise.bitwise_and": math.bitwise_and, "bitwise.bitwise_or": math.bitwise_or,
    "bitwise.bitwise_xor": math.bitwise_xor, "bitwise.left_shift": math.left_shift,
    "bitwise.right_shift": math.right_shift,
}  # fmt: skip


def _binary(macro: Macro) -> Macro:
    return lambda b, x, y: macro(b, *same_type(b, x, y))


for _name, _macro in BINARY.items():
    function(_name)(_binary(_macro))


def _compared(op: Op) -> Macro:
    return lambda b, self, other: math.apply(b, op, *same_type(b, self, other))


function("eq")(_compared(ops.Equal()))
function("ne")(_compared(ops.NotEqual()))


@function("atan2")
def atan2(b: Builder, y: Any, x: Any) -> Any:
    return math.apply(b, ops.Atan2(), *same_type(b, y, x))


@function("scalar_mul")
def scalar_mul(b: Builder, scalar: Any, x: Any) -> Any:
    return math.apply(b, ops.Mul(), *same_type(b, scalar, x))


@function("add_n", "accumulate_n")
def add_n(b: Builder, inputs: Any) -> Any:
    result, *rest = same_type(b, *inputs)
    for value in rest:
        result = math.apply(b, ops.Add(), result, value)
    return result


@function("polyval")
def polyval(b: Builder, coeffs: Any, x: Any) -> Any:
    """Horner's rule, highest power first."""
    if not coeffs:
        return array.zeros(b, x.shape, x.dtype)
    result, *rest = (tensor(b, coefficient, x.dtype) for coefficient in coeffs)
    for coefficient in rest:
        result = math.apply(b, ops.Add(), math.apply(b, ops.Mul(), result, x), coefficient)
    return result


# -- clipping --------------------------------------------------------------------------------------------


@function("clip_by_value")
def clip_by_value(b: Builder, t: Any, clip_value_min: Any, clip_value_max: Any) -> Any:
    """The upper bound first."""
    value, low, high = same_type(b, t, clip_value_min, clip_value_max)
    return math.apply(b, ops.Maximum(), math.apply(b, ops.Minimum(), value, high), low)


@function("clip_by_norm")
def clip_by_norm(b: Builder, t: Any, clip_norm: Any, axes: Any = None) -> Any:
    """Scale down to a norm where it is larger (clip_ops.py)."""
    limit = tensor(b, clip_norm, t.dtype)
    squares = reductions.over(reduce.total, b, math.square(b, t), axes, True)
    size = math.apply(b, ops.Sqrt(), squares)
    scaled = math.apply(b, ops.Mul(), t, limit)
    return math.apply(b, ops.Div(), scaled, math.apply(b, ops.Maximum(), size, limit))


# -- reductions ------------------------------------------------------------------------------------------


def _variance(b: Builder, x: Any, axes: Any, keepdims: bool) -> Any:
    return reductions.variance(b, x, axes, keepdims)


def _std(b: Builder, x: Any, axes: Any, keepdims: bool) -> Any:
    return math.apply(b, ops.Sqrt(), _variance(b, x, axes, keepdims))


def _log_sum_exp(b: Builder, x: Any, axes: Any, keepdims: bool) -> Any:
    return reductions.log_sum_exp(b, x, axis=axes, keepdims=keepdims)


REDUCTIONS: dict[str, Macro] = {
    "reduce_all": reduce.all_, "reduce_any": reduce.any_, "reduce_euclidean_norm": reduce.euclidean_norm,
    "reduce_logsumexp": _log_sum_exp, "reduce_max": reduce.maximum, "reduce_mean": reduce.mean,
    "reduce_min": reduce.minimum, "reduce_prod": reduce.product, "reduce_std": _std,
    "reduce_sum": reduce.total, "reduce_variance": _variance,
}  # fmt: skip


def _reduction(macro: Macro) -> Macro:
    def reduced(b: Builder, input_tensor: Any, axis: Any = None, keepdims: Any = False) -> Any:
        return reductions.over(macro, b, tensor(b, input_tensor), axis, bool(keepdims))

    return reduced


for _name, _macro in REDUCTIONS.items():
    function(_name)(_reduction(_macro))


def _place(smallest: bool) -> Macro:
    def place(b: Builder, input: Any, axis: Any = 0, output_type: Any = "int64") -> Any:
        return reduce.arg_extreme(b, tensor(b, input), int(axis), dtype_named(output_type), smallest)

    return place


function("argmax", "arg_max")(_place(False))
function("argmin", "arg_min")(_place(True))


@function("count_nonzero")
def count_nonzero(
    b: Builder, input: Any, axis: Any = None, keepdims: Any = False, dtype: Any = "int64"
) -> Any:
    counted = array.cast(b, array.cast(b, tensor(b, input), BOOL), dtype_named(dtype))
    return reductions.over(reduce.total, b, counted, axis, bool(keepdims))


@function("zero_fraction")
def zero_fraction(b: Builder, value: Any) -> Any:
    zeros = array.cast(b, math.apply(b, ops.Equal(), value, 0), F32)
    return reductions.over(reduce.mean, b, zeros, None, False)


def _running(macro: Macro) -> Macro:
    def running(b: Builder, x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False) -> Any:
        return macro(b, tensor(b, x), int(axis), exclusive, reverse)

    return running


for _name, _macro in (
    ("cumsum", scan.cumsum),
    ("cumprod", scan.cumprod),
    ("cumulative_logsumexp", scan.cumulative_logsumexp),
):
    function(_name)(_running(_macro))


# -- order, segments -------------------------------------------------------------------------------------


@function("top_k")
def top_k(b: Builder, input: Any, k: Any = 1, index_type: Any = "int32") -> Any:
    return list(reduce.top_k(b, tensor(b, input), positions(b, k), dtype_named(index_type)))


@function("in_top_k")
def in_top_k(b: Builder, targets: Any, predictions: Any, k: Any) -> Any:
    return indexing.in_top_k(b, targets, predictions, k=k)


@function("compat.v1.math.in_top_k", "compat.v1.nn.in_top_k")
def in_top_k_v1(b: Builder, predictions: Any, targets: Any, k: Any) -> Any:
    return indexing.in_top_k(b, targets, predictions, k=k)


@function("sort")
def sort(b: Builder, values: Any, axis: Any = -1, direction: str = "ASCENDING") -> Any:
    return indexing.sorted_(b, tensor(b, values), int(axis), direction == "DESCENDING")


@function("argsort")
def argsort(b: Builder, values: Any, axis: Any = -1, direction: str = "ASCENDING") -> Any:
    return indexing.arg_sorted(b, tensor(b, values), int(axis), direction == "DESCENDING")


@function("searchsorted")
def searchsorted(
    b: Builder, sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = "int32"
) -> Any:
    from litecast.lib import index

    sequence, wanted = same_type(b, sorted_sequence, values)
    rows, places = (array.reshape(b, x, (-1, x.shape[-1])) for x in (sequence, wanted))
    found = index.search_sorted(b, rows, places, dtype_named(out_type), side == "right")
    return array.reshape(b, found, wanted.shape)


@function("bincount")
def bincount(
    b: Builder,
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = "int32",
    axis: Any = None,
    binary_output: bool = False,
) -> Any:
    """As many bins as the largest number says, within the limits that are given."""
    value = array.cast(b, tensor(b, arr), I32)
    flat = array.flatten(b, value)
    value = flat if axis is None else value
    count = b(ops.Add(), reduce.maximum(b, flat, [0]), 1)
    if minlength is not None:
        count = b(ops.Maximum(), count, positions(b, minlength))
    if maxlength is not None:
        count = b(ops.Minimum(), count, positions(b, maxlength))
    amounts = b.const(np.zeros(0, np.int32)) if weights is None else tensor(b, weights)
    kind = dtype_named(dtype) if weights is None else amounts.dtype
    return reduce.bincount(b, value, count, amounts, kind, binary_output)


SEGMENTS: dict[str, Macro] = {
    "sum": reduce.segment_sum, "prod": reduce.segment_product, "max": reduce.segment_maximum,
    "min": reduce.segment_minimum, "mean": reduce.segment_mean,
}  # fmt: skip


def _segment(name: str, macro: Macro) -> Macro:
    def segment(b: Builder, data: Any, segment_ids: Any) -> Any:
        ids = tensor(b, segment_ids)
        count = reduce.segment_count(b, ids)
        result = macro(b, tensor(b, data), ids, count)
        return reduce.clear_empty(b, result, ids, count) if name in ("max", "min") else result

    return segment


def _unsorted_segment(macro: Macro) -> Macro:
    def segment(b: Builder, data: Any, segment_ids: Any, num_segments: Any) -> Any:
        return macro(b, tensor(b, data), tensor(b, segment_ids), positions(b, num_segments))

    return segment


for _name, _macro in SEGMENTS.items():
    function(f"segment_{_name}")(_segment(_name, _macro))
    function(f"unsorted_segment_{_name}")(_unsorted_segment(_macro))
