"""Reductions of `keras.ops`: sums, means, extremes and their places, running sums, and all that skips NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.operations.promotion import (
    BOOL,
    F32,
    I32,
    axes_of,
    dtype_named,
    floating,
    promoted,
    result_type,
    tensor,
)
from litecast.ir.builder import Builder
from litecast.ir.op import Op
from litecast.ir.types import DType, product
from litecast.lib import array, linalg, math, reduce, scan

Reduction = Callable[..., Any]
SUMMED = {
    BOOL: I32, DType.INT8: I32, DType.INT16: I32, DType.UINT8: DType.UINT32, DType.UINT16: DType.UINT32,
}  # fmt: skip
"""Narrow types are summed and multiplied in these, as JAX does (numpy.py sum, prod)."""


def _wide(b: Builder, x: Any) -> Any:
    value = tensor(b, x)
    return array.cast(b, value, SUMMED.get(value.dtype, value.dtype))


def _in_floats(b: Builder, x: Any) -> Any:
    value = tensor(b, x)
    return array.cast(b, value, floating(value.dtype))


def over(macro: Reduction, b: Builder, x: Any, axis: Any, keepdims: bool) -> Any:
    """Apply a reduction macro along what `axis` means."""
    return macro(b, x, axes_of(axis, x.rank), keepdims)


# -- sums, means -----------------------------------------------------------------------------------------


@operations("Sum")
def sum_(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return over(reduce.total, b, _wide(b, x), axis, keepdims)


@operations("Prod")
def prod(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    value = _wide(b, x) if dtype is None else tensor(b, x, dtype_named(dtype))
    return over(reduce.product, b, value, axis, keepdims)


@operations("Mean")
def mean(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Half precisions are averaged in float32, integers give floats."""
    value = tensor(b, x)
    wide = array.cast(b, value, result_type(value.dtype, F32))
    result = over(reduce.mean, b, wide, axis, keepdims)
    return array.cast(b, result, value.dtype) if value.dtype.is_float else result


def variance(b: Builder, x: Any, axis: Any, keepdims: bool) -> Any:
    """Return the population variance."""
    squares = math.squared_difference(b, x, over(reduce.mean, b, x, axis, True))
    return over(reduce.mean, b, squares, axis, keepdims)


@operations("Var")
def var(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    value = tensor(b, x)
    wide = array.cast(b, value, result_type(value.dtype, F32))
    return array.cast(b, variance(b, wide, axis, keepdims), floating(value.dtype))


@operations("Std")
def std(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return math.apply(b, ops.Sqrt(), variance(b, _in_floats(b, x), axis, keepdims))


@operations("Average")
def average(b: Builder, x: Any, weights: Any = None, *, axis: Any = None) -> Any:
    """Weights of rank 1 stand along the one axis."""
    if weights is None:
        return over(reduce.mean, b, _in_floats(b, x), axis, False)
    value, amounts = promoted(b, x, weights, weak=False, also=(float,))
    if amounts.rank != value.rank:
        (place,) = axes_of(axis, value.rank)
        amounts = array.reshape(b, amounts, (*amounts.shape, *(1 for _ in range(value.rank - place - 1))))
        weight = over(reduce.total, b, amounts, None, False)
    else:
        weight = over(reduce.total, b, amounts, axis, False)
    total = over(reduce.total, b, math.apply(b, ops.Mul(), value, amounts), axis, False)
    return math.apply(b, ops.Div(), total, weight)


@operations("CountNonzero")
def count_nonzero(b: Builder, x: Any, *, axis: Any = None) -> Any:
    return over(reduce.total, b, array.cast(b, tensor(b, x, BOOL), I32), axis, False)


@operations("Moments")
def moments(
    b: Builder, x: Any, *, axes: Any, keepdims: bool = False, synchronized: bool = False
) -> tuple[Any, Any]:
    """One replica: `synchronized` changes nothing. Half precisions in float32."""
    wide = array.cast(b, x, result_type(x.dtype, F32))
    both = over(reduce.mean, b, wide, axes, keepdims), variance(b, wide, axes, keepdims)
    return array.cast(b, both[0], x.dtype), array.cast(b, both[1], x.dtype)


@operations("Trapezoid")
def trapezoid(b: Builder, y: Any, *, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    value = _in_floats(b, y)
    place = array.normalize_axis(axis, value.rank)
    heights = math.apply(b, ops.Mul(), _neighbours(b, ops.Add(), value, place), 0.5)
    if x is None:
        return reduce.total(b, math.apply(b, ops.Mul(), heights, float(dx)), [place])
    points = tensor(b, x, value.dtype)
    steps = _neighbours(b, ops.Sub(), points, array.normalize_axis(axis, points.rank))
    if steps.rank == 1:
        steps = array.reshape(b, steps, (*steps.shape, *(1 for _ in range(value.rank - place - 1))))
    return reduce.total(b, math.apply(b, ops.Mul(), heights, steps), [place])


def _neighbours(b: Builder, op: Op, x: Any, axis: int) -> Any:
    """Return op(x[1:], x[:-1]) along an axis."""
    zeros = [0] * x.rank
    later = array.slice(b, x, [1 if place == axis else 0 for place in range(x.rank)], [-1] * x.rank)
    sizes: list[Any] = [-1] * x.rank
    sizes[axis] = later.shape[axis]
    return math.apply(b, op, later, array.slice(b, x, zeros, sizes))


@operations("Diff")
def diff(b: Builder, a: Any, *, n: int = 1, axis: int = -1) -> Any:
    value = tensor(b, a)
    place = array.normalize_axis(axis, value.rank)
    for _ in range(n):
        op: Op = ops.NotEqual() if value.dtype is BOOL else ops.Sub()
        value = _neighbours(b, op, value, place)
    return value


# -- extremes --------------------------------------------------------------------------------------------

EXTREMES: dict[str, tuple[Reduction, Reduction, Op]] = {
    "Max": (reduce.maximum, reduce.any_, ops.Maximum()),
    "Min": (reduce.minimum, reduce.all_, ops.Minimum()),
}
"""Class -> reduction, that of booleans, and what joins the initial value."""


def extreme(name: str, b: Builder, x: Any, axis: Any, keepdims: bool) -> Any:
    """Return the largest ("Max") or smallest ("Min") elements, of booleans too."""
    value = tensor(b, x)
    numbers, booleans, _ = EXTREMES[name]
    return over(booleans if value.dtype is BOOL else numbers, b, value, axis, keepdims)


def _extreme_importer(name: str) -> Reduction:
    def importer(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        result = extreme(name, b, x, axis, keepdims)
        if initial is None:
            return result
        if result.dtype is BOOL:
            wide = array.cast(b, result, I32)
            return array.cast(b, math.apply(b, EXTREMES[name][2], wide, tensor(b, initial, I32)), BOOL)
        return math.apply(b, EXTREMES[name][2], result, tensor(b, initial, result.dtype))

    return importer


def _plain_extreme(name: str) -> Reduction:
    return lambda b, x, *, axis=None, keepdims=False: extreme(name, b, x, axis, keepdims)


for _name in EXTREMES:
    operations(_name)(_extreme_importer(_name))
    operations(f"A{_name.lower()}")(_plain_extreme(_name))


@operations("Ptp")
def ptp(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    high, low = (extreme(name, b, x, axis, keepdims) for name in ("Max", "Min"))
    return math.apply(b, ops.Sub(), high, low)


def _truth(macro: Reduction) -> Reduction:
    def importer(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        return over(macro, b, tensor(b, x, BOOL), axis, keepdims)

    return importer


operations("All")(_truth(reduce.all_))
operations("Any")(_truth(reduce.any_))


@operations("AllClose")
def all_close(
    b: Builder, x1: Any, x2: Any, *, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False
) -> Any:
    from litecast.frontend.keras.operations.elementwise import is_close

    return over(reduce.all_, b, is_close(b, x1, x2, rtol, atol, equal_nan=equal_nan), None, False)


def arg_extreme(b: Builder, x: Any, axis: Any, keepdims: bool, smallest: bool) -> Any:
    """Return INT32 places of the first extremes along an axis (None: in the flattened tensor)."""
    value = tensor(b, x)
    flat = array.flatten(b, value) if axis is None else value
    place = 0 if axis is None else array.normalize_axis(axis, value.rank)
    result = reduce.arg_extreme(b, flat, place, I32, smallest)
    if not keepdims:
        return result
    dims = [1 if axis is None or at == place else dim for at, dim in enumerate(value.shape)]
    return array.reshape(b, result, dims)


def _arg_importer(smallest: bool) -> Reduction:
    def importer(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        return arg_extreme(b, x, axis, keepdims, smallest)

    return importer


operations("Argmax")(_arg_importer(False))
operations("Argmin")(_arg_importer(True))


@operations("Logsumexp")
def log_sum_exp(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Shifted by the largest element where that is finite (tf.reduce_logsumexp)."""
    value = tensor(b, x)
    high = over(reduce.maximum, b, value, axis, True)
    shift = math.select(b, math.is_finite(b, high), high, 0)
    terms = math.apply(b, ops.Exp(), math.apply(b, ops.Sub(), value, shift))
    total = math.apply(b, ops.Log(), over(reduce.total, b, terms, axis, True))
    result = math.apply(b, ops.Add(), total, shift)
    return result if keepdims else array.squeeze(b, result, axes_of(axis, value.rank))


# -- running sums ----------------------------------------------------------------------------------------


def _running(macro: Reduction) -> Reduction:
    def importer(b: Builder, x: Any, *, axis: Any = None, dtype: Any = None) -> Any:
        value = tensor(b, x, None if dtype is None else dtype_named(dtype))
        value = array.cast(b, value, I32) if value.dtype is BOOL else value
        if axis is None:
            return macro(b, array.flatten(b, value), 0)
        return macro(b, value, axis)

    return importer


operations("Cumsum")(_running(scan.cumsum))
operations("Cumprod")(_running(scan.cumprod))


def _running_without_nan(macro: Reduction, neutral: float) -> Reduction:
    def importer(b: Builder, x: Any, *, axis: Any = None, dtype: Any = None) -> Any:
        return _running(macro)(b, _filled(b, x, neutral), axis=axis, dtype=dtype)

    return importer


operations("Nancumsum")(_running_without_nan(scan.cumsum, 0.0))
operations("Nancumprod")(_running_without_nan(scan.cumprod, 1.0))


# -- without NaN -----------------------------------------------------------------------------------------


def _filled(b: Builder, x: Any, number: float) -> Any:
    """Return x with a number for each NaN."""
    value = tensor(b, x)
    return math.select(b, math.is_nan(b, value), number, value) if value.dtype.is_float else value


@operations("Nansum")
def nan_sum(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return over(reduce.total, b, _wide(b, _filled(b, x, 0.0)), axis, keepdims)


@operations("Nanprod")
def nan_prod(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return over(reduce.product, b, _wide(b, _filled(b, x, 1.0)), axis, keepdims)


def _counted(b: Builder, x: Any, axis: Any, keepdims: bool) -> Any:
    """Return how many elements are not NaN, in x's type."""
    valid = array.cast(b, math.apply(b, ops.Equal(), x, x), x.dtype)
    return over(reduce.total, b, valid, axis, keepdims)


@operations("Nanmean")
def nan_mean(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    value = tensor(b, x)
    if not value.dtype.is_float:
        return over(reduce.mean, b, array.cast(b, value, F32), axis, keepdims)
    total = over(reduce.total, b, _filled(b, value, 0.0), axis, keepdims)
    return math.apply(b, ops.Div(), total, _counted(b, value, axis, keepdims))


@operations("Nanvar")
def nan_var(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    value = _in_floats(b, x)
    centred = math.apply(b, ops.Sub(), value, nan_mean(b, value, axis=axis, keepdims=True))
    squares = math.square(b, math.select(b, math.is_nan(b, value), 0.0, centred))
    total = over(reduce.total, b, squares, axis, keepdims)
    return math.apply(b, ops.Div(), total, _counted(b, value, axis, keepdims))


@operations("Nanstd")
def nan_std(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return math.apply(b, ops.Sqrt(), nan_var(b, x, axis=axis, keepdims=keepdims))


def _nan_extreme(name: str, neutral: float) -> Reduction:
    """NaN where every element is."""

    def importer(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        value = tensor(b, x)
        result = extreme(name, b, _filled(b, value, neutral), axis, keepdims)
        if not value.dtype.is_float:
            return result
        nothing = over(reduce.all_, b, math.is_nan(b, value), axis, keepdims)
        return math.select(b, nothing, np.nan, result)

    return importer


def _nan_place(smallest: bool) -> Reduction:
    """-1 where every element is NaN."""

    def importer(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        value = tensor(b, x)
        filled = _filled(b, value, np.inf if smallest else -np.inf)
        result = arg_extreme(b, filled, axis, keepdims, smallest)
        if not value.dtype.is_float:
            return result
        nothing = over(reduce.all_, b, math.is_nan(b, value), axis, keepdims)
        return math.select(b, nothing, -1, result)

    return importer


operations("Nanmax")(_nan_extreme("Max", -np.inf))
operations("Nanmin")(_nan_extreme("Min", np.inf))
operations("Nanargmax")(_nan_place(False))
operations("Nanargmin")(_nan_place(True))


# -- matrices --------------------------------------------------------------------------------------------


@operations("Corrcoef")
def corr_coef(b: Builder, x: Any) -> Any:
    value = array.cast(b, x, F32 if not x.dtype.is_float else x.dtype)
    centred = math.apply(b, ops.Sub(), value, reduce.mean(b, value, [-1], True))
    count = array.cast(b, b.dim(product([value.shape[-1]])), value.dtype)
    covariance = math.apply(
        b,
        ops.Div(),
        linalg.matmul(b, centred, centred, False, True),
        math.apply(b, ops.Sub(), count, 1),
    )
    deviation = math.apply(b, ops.Sqrt(), linalg.diagonal(b, covariance))
    outer = math.apply(b, ops.Mul(), array.expand_dims(b, deviation, -1), array.expand_dims(b, deviation, -2))
    correlation = math.apply(b, ops.Div(), covariance, outer)
    return math.apply(b, ops.Maximum(), math.apply(b, ops.Minimum(), correlation, 1.0), -1.0)
