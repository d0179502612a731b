"""`keras.ops` that make tensors: filled ones, ranges, evenly spaced points; and quantiles."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.operations.elementwise import in_floats
from litecast.frontend.keras.operations.indexing import sorted_
from litecast.frontend.keras.operations.movement import dims_of, move_axis
from litecast.frontend.keras.operations.promotion import (
    F32,
    I32,
    axes_of,
    dtype_named,
    dynamic,
    floating,
    is_tensor,
    kind_of,
    promoted,
    result_type,
    tensor,
)
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType, product
from litecast.lib import array, math, reduce

# -- filled ----------------------------------------------------------------------------------------------


def _like(number: int) -> Callable[..., Any]:
    def importer(b: Builder, x: Any, *, dtype: Any = None) -> Any:
        value = tensor(b, x)
        return array.full(b, value.shape, number, dtype_named(dtype, value.dtype))

    return importer


for _name, _number in (("ZerosLike", 0), ("OnesLike", 1), ("EmptyLike", 0)):
    operations(_name)(_like(_number))


@operations("Full")
def full(b: Builder, fill_value: Any, *, shape: Any, dtype: Any = None) -> Any:
    return math.broadcast_to(b, tensor(b, fill_value, dtype_named(dtype)), dims_of(b, shape))


@operations("FullLike")
def full_like(b: Builder, x: Any, fill_value: Any, *, dtype: Any = None) -> Any:
    value = tensor(b, x)
    return math.broadcast_to(b, tensor(b, fill_value, dtype_named(dtype, value.dtype)), value.shape)


# -- ranges ----------------------------------------------------------------------------------------------


@operations("Arange")
def arange(b: Builder, start: Any, stop: Any = None, step: Any = None, *, dtype: Any = None) -> Any:
    """Computed in the result's type, as tf.range does."""
    given = [item for item in (start, stop, step) if item is not None]
    wanted = dtype_named(dtype) if dtype is not None else result_type(*map(kind_of, given))
    wide = wanted if wanted in (F32, I32, DType.INT64) else F32 if wanted.is_float else I32
    first, last = (0, start) if stop is None else (start, stop)
    limits = [tensor(b, item, wide) for item in (first, last, 1 if step is None else step)]
    return array.cast(b, array.arange(b, *limits), wanted)


def spaced(b: Builder, start: Any, stop: Any, num: int, endpoint: bool, axis: int) -> tuple[Any, Any]:
    """Return `num` evenly spaced points along a new axis, and their distance (numpy.linspace)."""
    gaps = num - 1 if endpoint else num
    span = math.apply(b, ops.Sub(), stop, start)
    step = math.apply(b, ops.Div(), span, gaps) if gaps > 0 else None
    if num < 2:
        points = array.expand_dims(b, math.broadcast_values(b, [start, stop])[0], 0)
        points = points if num else array.slice(b, points, [0] * points.rank, [0, *points.shape[1:]])
    else:
        shape = (num, *(1 for _ in range(span.rank)))
        numbers = b.const(np.arange(num).astype(start.dtype.numpy).reshape(shape))
        points = math.apply(b, ops.Add(), start, math.apply(b, ops.Mul(), step, numbers))
        if endpoint:  # the last point is `stop` itself
            last = b.const((np.arange(num) == num - 1).reshape(shape))
            points = math.select(b, last, stop, points)
    return move_axis(b, points, 0, axis), step


@operations("Linspace")
def linspace(
    b: Builder,
    start: Any,
    stop: Any,
    *,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Integers are rounded down."""
    wanted = dtype_named(dtype) if dtype is not None else result_type(kind_of(start), kind_of(stop), float)
    wide = wanted if wanted.is_float else F32
    points, step = spaced(b, tensor(b, start, wide), tensor(b, stop, wide), int(num), endpoint, int(axis))
    if not wanted.is_float:
        points = array.cast(b, math.apply(b, ops.Floor(), points), wanted)
    if not retstep:
        return points
    return points, b.const(np.asarray(np.nan, wide.numpy)) if step is None else step


@operations("Logspace")
def logspace(
    b: Builder,
    start: Any,
    stop: Any,
    *,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    points = linspace(b, start, stop, num=num, endpoint=endpoint, dtype=dtype, axis=axis)
    return math.power(b, tensor(b, base, points.dtype), points)


@operations("Geomspace")
def geomspace(
    b: Builder,
    start: Any,
    stop: Any,
    *,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Between the magnitudes, with the sign of the start."""
    wide = dtype_named(dtype)
    ends = [tensor(b, item, wide) for item in (start, stop)]
    logs = [
        math.apply(b, ops.Div(), math.apply(b, ops.Log(), math.absolute(b, end)), float(np.log(10.0)))
        for end in ends
    ]
    points = logspace(b, *logs, num=num, endpoint=endpoint, dtype=dtype, axis=axis)
    sign = array.cast(b, math.sign(b, ends[0]), points.dtype)
    return math.apply(b, ops.Mul(), points, array.expand_dims(b, sign, 0) if sign.rank else sign)


# -- quantiles -------------------------------------------------------------------------------------------


def _rows(b: Builder, x: Any, axis: Any) -> Any:
    """Return x with the reduced axes merged to a last one."""
    axes = axes_of(axis, x.rank)
    others = [place for place in range(x.rank) if place not in axes]
    moved = array.transpose(b, x, [*others, *axes])
    dims = [x.shape[place] for place in others]
    return array.reshape(b, moved, (*dims, product(x.shape[place] for place in axes)))


def _weights(method: str, at: float, last: int) -> list[tuple[int, float]]:
    """Return (place, weight) pairs that give the quantile at a fractional place of sorted elements.

    numpy.py `_quantile`: linear interpolation is between the element above and the one before that.
    """
    places = {"lower": floor(at), "higher": ceil(at), "nearest": round(at)}
    if method in places:
        return [(min(max(places[method], 0), last), 1.0)]
    high = min(max(ceil(at), 0), last)
    if method == "midpoint":
        return [(min(max(floor(at), 0), last), 0.5), (high, 0.5)]
    if method != "linear":
        raise array.unsupported("Quantile", f"method {method!r}", "use linear, lower, higher or nearest")
    low = max(high - 1, 0)
    high = min(low + 1, last)
    return [(high, 1 - (high - at)), (low, high - at)]


def quantiles(b: Builder, x: Any, q: Any, axis: Any, method: str, keepdims: bool) -> Any:
    """Return quantiles of a constant q (numbers in [0, 1]) along axes of known size, NaN where one is."""
    if is_tensor(q) and not (isinstance(q, Value) and q.is_const):
        raise array.unsupported("Quantile", "its q is computed", "use a constant q")
    wanted = np.asarray(q.array() if isinstance(q, Value) else q, np.float64)
    value = array.cast(b, tensor(b, x), floating(tensor(b, x).dtype))
    rows = _rows(b, value, axis)
    count = rows.shape[-1]
    if not isinstance(count, int):
        raise dynamic("Quantile", "the size of the reduced axes")
    ordered = sorted_(b, rows, -1)
    pairs = [_weights(method, (count - 1) * float(one), count - 1) for one in wanted.ravel()]
    result = None
    for places in zip(*pairs, strict=True):
        picked = array.gather(b, ordered, np.array([place for place, _ in places], np.int32), rows.rank - 1)
        weights = b.const(np.array([weight for _, weight in places], value.dtype.numpy))
        part = math.apply(b, ops.Mul(), picked, weights)
        result = part if result is None else math.apply(b, ops.Add(), result, part)
    assert result is not None
    holes = reduce.any_(b, math.is_nan(b, rows), [-1], True)
    result = math.select(b, holes, np.nan, result)
    return _placed(b, result, value, wanted, axis, keepdims)


def _placed(b: Builder, result: Any, x: Any, q: Any, axis: Any, keepdims: bool) -> Any:
    """Return quantiles [rest, q] as [q, rest], with the reduced axes as 1 where asked."""
    result = move_axis(b, result, -1, 0)
    rest = list(result.shape[1:])
    if keepdims:
        axes = axes_of(axis, x.rank)
        rest = [1 if place in axes else dim for place, dim in enumerate(x.shape)]
    return array.reshape(b, result, (*q.shape, *rest))


@operations("Quantile")
def quantile(
    b: Builder,
    x: Any,
    q: Any,
    *,
    layer: Any,
    axis: Any = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Any:
    """Keras 3.15 leaves `method` out when the node runs (ops/numpy.py Quantile.call)."""
    if method != "linear":
        layer.note(f"method {method!r} is ignored, as Keras 3 ignores it in saved models")
    return quantiles(b, x, q, axis, "linear", keepdims)


def _hundredth(q: Any) -> Any:
    """Return percentages as fractions, divided in float32 as Keras does."""
    numbers = q.array() if isinstance(q, Value) and q.is_const else q
    if is_tensor(numbers):
        raise array.unsupported("Percentile", "its q is computed", "use a constant q")
    return np.asarray(numbers, np.float32) / np.float32(100)


@operations("Percentile")
def percentile(
    b: Builder, x: Any, q: Any, *, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    return quantiles(b, x, _hundredth(q), axis, method, keepdims)


@operations("Median")
def median(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return quantiles(b, x, 0.5, axis, "linear", keepdims)


def nan_quantiles(b: Builder, x: Any, q: Any, axis: Any, method: str, keepdims: bool) -> Any:
    """Return quantiles of what is not NaN: the places depend on how many elements each row has."""
    if method != "linear":
        raise array.unsupported("Nanquantile", f"method {method!r}", "use method linear")
    value = array.cast(b, tensor(b, x), F32)
    rows = _rows(b, value, axis)
    valid = math.apply(b, ops.Equal(), rows, rows)
    ordered = sorted_(b, math.select(b, valid, rows, np.inf), -1)
    last = math.apply(b, ops.Sub(), reduce.total(b, array.cast(b, valid, F32), [-1], True), 1)
    wanted = np.asarray(q.array() if isinstance(q, Value) else q, np.float32)
    at = math.apply(b, ops.Mul(), last, b.const(wanted.reshape(-1)))
    low = math.apply(b, ops.Maximum(), math.apply(b, ops.Sub(), math.apply(b, ops.Ceil(), at), 1), 0)
    high = math.apply(
        b, ops.Minimum(), math.apply(b, ops.Add(), low, 1), math.apply(b, ops.Maximum(), last, 0)
    )
    below = math.apply(b, ops.Sub(), high, at)
    picked = [
        array.gather(b, ordered, array.cast(b, part, I32), rows.rank - 1, rows.rank - 1)
        for part in (high, low)
    ]
    shares = math.apply(b, ops.Sub(), b.const(np.float32(1)), below), below
    parts = [math.apply(b, ops.Mul(), part, share) for part, share in zip(picked, shares, strict=True)]
    result = math.select(b, math.apply(b, ops.Less(), last, 0), np.nan, math.apply(b, ops.Add(), *parts))
    return _placed(b, result, value, wanted, axis, keepdims)


@operations("Nanquantile")
def nan_quantile(
    b: Builder, x: Any, q: Any, *, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    return nan_quantiles(b, x, q, axis, method, keepdims)


@operations("Nanpercentile")
def nan_percentile(
    b: Builder, x: Any, q: Any, *, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    return nan_quantiles(b, x, _hundredth(q), axis, method, keepdims)


@operations("Nanmedian")
def nan_median(b: Builder, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return nan_quantiles(b, x, 0.5, axis, "linear", keepdims)


# -- number theory, Bessel -------------------------------------------------------------------------------


@operations("Gcd")
def gcd(b: Builder, x1: Any, x2: Any) -> Any:
    """Euclid's algorithm, until every pair is done."""
    left, right = (math.absolute(b, x) for x in promoted(b, x1, x2, weak=False))
    return _gcd(b, left, right)


def _gcd(b: Builder, left: Any, right: Any) -> Any:
    from litecast.lib import control

    left, right = math.broadcast_values(b, [left, right])

    def going(inner: Builder, big: Any, small: Any) -> list[Any]:
        rests = math.apply(inner, ops.NotEqual(), small, 0)
        return [reduce.any_(inner, rests, list(range(rests.rank)))]

    def step(inner: Builder, big: Any, small: Any) -> list[Any]:
        rests = math.apply(inner, ops.NotEqual(), small, 0)
        divisor = math.select(inner, rests, small, 1)
        rest = math.apply(inner, ops.FloorMod(), big, divisor)
        return [math.select(inner, rests, small, big), math.select(inner, rests, rest, 0)]

    return control.while_loop(b, [left, right], going, step)[0]


@operations("Lcm")
def lcm(b: Builder, x1: Any, x2: Any) -> Any:
    left, right = (math.absolute(b, x) for x in promoted(b, x1, x2, weak=False))
    divisor = _gcd(b, left, right)
    safe = math.apply(b, ops.Maximum(), divisor, 1)
    result = math.apply(b, ops.Mul(), left, math.floor_divide(b, right, safe))
    return math.where_zero(b, divisor, result)


_BESSEL_CENTRE = (1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813)
_BESSEL_TAIL = (
    0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281, -0.02057706, 0.02635537, -0.01647633,
    0.00392377,
)  # fmt: skip
"""I0 of the first kind: polynomials of (x / 3.75)**2 up to 3.75, beyond it of 3.75 / x times
exp(x) / sqrt(x), within 2e-7 relative (Abramowitz and Stegun 9.8.1, 9.8.2).
"""


def _polynomial(b: Builder, x: Any, coefficients: Any) -> Any:
    result: Any = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        result = math.apply(b, ops.Add(), math.apply(b, ops.Mul(), x, result), coefficient)
    return result


def bessel_i0(b: Builder, x: Any) -> Any:
    """Return the modified Bessel function of the first kind of order 0."""
    size = math.absolute(b, x)
    ratio = math.apply(b, ops.Div(), size, 3.75)
    near = _polynomial(b, math.square(b, math.apply(b, ops.Minimum(), ratio, 1.0)), _BESSEL_CENTRE)
    far = math.apply(b, ops.Maximum(), size, 3.75)
    tail = _polynomial(
        b, math.apply(b, ops.Div(), b.const(np.asarray(3.75, x.dtype.numpy)), far), _BESSEL_TAIL
    )
    grown = math.apply(b, ops.Mul(), math.apply(b, ops.Exp(), far), math.apply(b, ops.Rsqrt(), far))
    return math.select(b, math.apply(b, ops.Less(), ratio, 1.0), near, math.apply(b, ops.Mul(), grown, tail))


@operations("I0")
def i0(b: Builder, x: Any) -> Any:
    return in_floats(bessel_i0, double=True)(b, x)
