"""Elementary and special functions that have no kernel, accurate where the obvious form of them is not.

All are computed in float32 (half precisions are widened). The polynomials are our own minimax fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from litecast import ops
from litecast.ir.builder import Builder
from litecast.ir.op import Op
from litecast.ir.types import DType
from litecast.lib import array, math
from litecast.ops.transient import Erf, Erfc

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "cosh",
    "erf",
    "erfc",
    "erfinv",
    "expand_erf",
    "expand_erfc",
    "expm1",
    "log1p",
    "ndtri",
    "sinh",
    "tan",
]

Macro = Callable[[Builder, Any], Any]

ERF_LIMIT = 3.9
"""Beyond it erf is 1 in float32."""
ERF = (1.128379464149475, 0.10276781767606735, -0.0001893302978714928, -0.0006217437330633402,
       8.831459126668051e-05, -5.771061751147499e-06, 1.4733869591054827e-07)  # fmt: skip
"""atanh(erf(x)) / x as a polynomial of x**2 up to ERF_LIMIT: erf within 1.7e-7, relative 4.5e-7 near 0."""
ERFC_SCALE = 0.4
ERFC = (0.22563423216342926, 0.2264431118965149, 0.20188754796981812, 0.19339340925216675,
0.07975594699382782,
        0.0879652351140976, 0.08398640900850296, -0.14031876623630524, 0.04125292971730232)  # fmt: skip
"""erfc(z) exp(z**2) / t as a polynomial of t = 1 / (1 + ERFC_SCALE z), z >= 0: relative error 6e-8 before
rounding.
"""
ERFINV_CENTRE = (1.5014094114303589, 0.24664072692394257, -0.004177707247436047, -0.0012537074508145452,
                 0.00021860195556655526, -4.396819349494763e-06, -3.5287928312754957e-06,
                 3.43731159091476e-07,
                 2.8528955198225958e-08)  # fmt: skip
"""erfinv(x) / x as a polynomial of w - 2.5 with w = -log(1 - x**2) below 5: relative error 1e-7."""
ERFINV_TAIL = (1.0036512613296509, -0.1439155787229538, 0.4517652690410614, -8.033926963806152,
43.274818420410156,
               -114.96221923828125, 154.93533325195312, -82.4308853149414)  # fmt: skip
"""erfinv(x) / (x s) as a polynomial of 1 / s with s = sqrt(w), w from 5 to 88: relative error 2e-6."""
LOG1P = (2.0, 0.6666631698608398, 0.40024909377098083, 0.27960601449012756, 0.28178349137306213)
"""log1p(x) / s as a polynomial of s**2 with s = x / (2 + x), |x| up to 0.5: relative error 4e-9 before
rounding.
"""


def _float32(macro: Macro) -> Macro:
    """Let a macro for float32 serve half precisions too: widened, and the result rounded."""

    @wraps(macro)
    def widened(b: Builder, x: Any) -> Any:
        if x.dtype in (DType.FLOAT16, DType.BFLOAT16):
            return array.cast(b, macro(b, array.cast(b, x, DType.FLOAT32)), x.dtype)
        return macro(b, x)

    return widened


def _binary(op: Op) -> Callable[[Builder, Any, Any], Any]:
    return lambda b, x, y: math.apply(b, op, x, y)


_add, _sub, _mul, _div = _binary(ops.Add()), _binary(ops.Sub()), _binary(ops.Mul()), _binary(ops.Div())
_min, _max = _binary(ops.Minimum()), _binary(ops.Maximum())


def _unary(op: Op) -> Macro:
    return lambda b, x: math.apply(b, op, x)


_exp, _log, _sqrt, _tanh, _neg = map(_unary, (ops.Exp(), ops.Log(), ops.Sqrt(), ops.Tanh(), ops.Neg()))


def _from(b: Builder, number: float, x: Any) -> Any:
    """Return number - x."""
    return math.apply(b, ops.Sub(), b.const(np.asarray(number, x.dtype.numpy)), x)


def _polynomial(b: Builder, x: Any, coefficients: Sequence[float]) -> Any:
    """Return the polynomial of x, lowest power first (Horner)."""
    result: Any = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        result = _add(b, _mul(b, x, result), coefficient)
    return result


@_float32
def expm1(b: Builder, x: Any) -> Any:
    """Return exp(x) - 1: 2 t / (1 - t) with t = tanh(x / 2) near 0, where the difference would cancel."""
    half = _tanh(b, _mul(b, x, 0.5))
    near = _div(b, _add(b, half, half), _from(b, 1.0, half))
    far = _sub(b, _exp(b, x), 1.0)
    return math.select(b, math.apply(b, ops.Less(), math.absolute(b, x), 0.5), near, far)


@_float32
def log1p(b: Builder, x: Any) -> Any:
    """Return log(1 + x): near 0 s P(s**2) with s = x / (2 + x), because a log kernel is accurate to its
    ulp at 1 only.
    """
    ratio = _div(b, x, _add(b, x, 2.0))
    near = _mul(b, ratio, _polynomial(b, _mul(b, ratio, ratio), LOG1P))
    far = _log(b, _add(b, x, 1.0))
    return math.select(b, math.apply(b, ops.Less(), math.absolute(b, x), 0.5), near, far)


@_float32
def tan(b: Builder, x: Any) -> Any:
    """Return sin(x) / cos(x)."""
    return _div(b, math.apply(b, ops.Sin(), x), math.apply(b, ops.Cos(), x))


def _cosine_of_asin(b: Builder, x: Any) -> Any:
    """Return sqrt(1 - x**2) without the cancellation near 1."""
    return _sqrt(b, _mul(b, _from(b, 1.0, x), _add(b, x, 1.0)))


@_float32
def asin(b: Builder, x: Any) -> Any:
    """Return atan2(x, sqrt(1 - x**2))."""
    return math.apply(b, ops.Atan2(), x, _cosine_of_asin(b, x))


@_float32
def acos(b: Builder, x: Any) -> Any:
    """Return atan2(sqrt(1 - x**2), x)."""
    return math.apply(b, ops.Atan2(), _cosine_of_asin(b, x), x)


@_float32
def atan(b: Builder, x: Any) -> Any:
    """Return atan2(x, 1)."""
    return math.apply(b, ops.Atan2(), x, 1.0)


@_float32
def sinh(b: Builder, x: Any) -> Any:
    """Return (expm1(x) - expm1(-x)) / 2, whose terms never cancel."""
    return _mul(b, _sub(b, expm1(b, x), expm1(b, _neg(b, x))), 0.5)


@_float32
def cosh(b: Builder, x: Any) -> Any:
    """Return (exp(x) + exp(-x)) / 2."""
    return _mul(b, _add(b, _exp(b, x), _exp(b, _neg(b, x))), 0.5)


@_float32
def asinh(b: Builder, x: Any) -> Any:
    """Return sign(x) log1p(a + a / (1/a + sqrt(1/a**2 + 1))) with a = |x|: no cancellation, no overflow."""
    size = math.absolute(b, x)
    inverse = math.reciprocal(b, size)
    rest = _add(b, inverse, _sqrt(b, _add(b, _mul(b, inverse, inverse), 1.0)))
    return _mul(b, math.sign(b, x), log1p(b, _add(b, size, _div(b, size, rest))))


@_float32
def acosh(b: Builder, x: Any) -> Any:
    """Return log1p(t + sqrt(t) sqrt(t + 2)) with t = x - 1."""
    above = _sub(b, x, 1.0)
    return log1p(b, _add(b, above, _mul(b, _sqrt(b, above), _sqrt(b, _add(b, above, 2.0)))))


@_float32
def atanh(b: Builder, x: Any) -> Any:
    """Return sign(x) log1p(2 a / (1 - a)) / 2 with a = |x|."""
    size = math.absolute(b, x)
    ratio = _div(b, _add(b, size, size), _from(b, 1.0, size))
    return _mul(b, _mul(b, math.sign(b, x), 0.5), log1p(b, ratio))


@_float32
def erf(b: Builder, x: Any) -> Any:
    """Return the error function, as an operation that legalization expands (`expand_erf`)."""
    return b(Erf(), x)


@_float32
def erfc(b: Builder, x: Any) -> Any:
    """Return 1 - erf(x), as an operation that legalization expands (`expand_erfc`)."""
    return b(Erfc(), x)


def expand_erf(b: Builder, x: Any) -> Any:
    """Return tanh(x P(x**2)): absolute error below 2e-7, relative below 5e-7 near 0."""
    cut = _max(b, _min(b, x, ERF_LIMIT), -ERF_LIMIT)
    return _tanh(b, _mul(b, cut, _polynomial(b, _mul(b, cut, cut), ERF)))


def expand_erfc(b: Builder, x: Any) -> Any:
    """Return t P(t) exp(-z**2) with z = |x|, mirrored where x is negative: small relative error also in
    the tail.
    """
    size = math.absolute(b, x)
    inverse = math.reciprocal(b, _add(b, _mul(b, size, ERFC_SCALE), 1.0))
    decay = _exp(b, _neg(b, _mul(b, size, size)))
    tail = _mul(b, _mul(b, inverse, _polynomial(b, inverse, ERFC)), decay)
    return math.select(b, math.apply(b, ops.Less(), x, 0.0), _from(b, 2.0, tail), tail)


@_float32
def erfinv(b: Builder, x: Any) -> Any:
    """Return the inverse of erf: relative error below 4e-6, infinite at -1 and 1."""
    return _erfinv(b, x, _mul(b, _from(b, 1.0, x), _add(b, x, 1.0)))


@_float32
def ndtri(b: Builder, x: Any) -> Any:
    """Return the inverse of the normal distribution function: sqrt(2) erfinv(2 x - 1), without its
    cancellation.
    """
    product = _mul(b, _mul(b, x, 4.0), _from(b, 1.0, x))
    return _mul(b, _erfinv(b, _sub(b, _add(b, x, x), 1.0), product), float(np.sqrt(2)))


def _erfinv(b: Builder, x: Any, product: Any) -> Any:
    """Return erfinv(x) from x and 1 - x**2, which the caller has with less cancellation."""
    negative_log = _neg(b, _log(b, product))
    centre = _mul(b, x, _polynomial(b, _sub(b, negative_log, 2.5), ERFINV_CENTRE))
    root = _sqrt(b, _max(b, negative_log, 1.0))
    tail = _mul(b, _mul(b, x, root), _polynomial(b, math.reciprocal(b, root), ERFINV_TAIL))
    return math.select(b, math.apply(b, ops.Less(), negative_log, 5.0), centre, tail)
