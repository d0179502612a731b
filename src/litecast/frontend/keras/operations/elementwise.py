"""Elementwise `keras.ops`: arithmetic, comparisons, logic, bits and what tests or replaces NaN and infinity.

The TensorFlow backend of Keras (keras/src/backend/tensorflow/numpy.py) says in which type each is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.operations.casting import limits_of
from litecast.frontend.keras.operations.promotion import (
    BOOL,
    F32,
    F64,
    I32,
    I64,
    floating,
    promoted,
    tensor,
)
from litecast.ir.builder import Builder
from litecast.ir.op import Op
from litecast.lib import array, math, nn, special
from litecast.lib import complex as complexes

Macro = Callable[..., Any]


def _op(operation: Op) -> Macro:
    return lambda b, *xs: math.apply(b, operation, *xs)


def _log_of(base: float) -> Macro:
    return lambda b, x: math.apply(b, ops.Div(), math.apply(b, ops.Log(), x), float(np.log(base)))


def _exp2(b: Builder, x: Any) -> Any:
    return math.apply(b, ops.Pow(), b.const(np.asarray(2, x.dtype.numpy)), x)


def cube_root(b: Builder, x: Any) -> Any:
    """Return the real cube root."""
    root = math.power(b, math.absolute(b, x), b.const(np.asarray(1 / 3, x.dtype.numpy)))
    return math.apply(b, ops.Mul(), math.sign(b, x), root)


def _scaled(factor: float) -> Macro:
    return lambda b, x: math.apply(b, ops.Mul(), x, factor)


def _sinc(b: Builder, x: Any) -> Any:
    angle = math.apply(b, ops.Mul(), x, np.pi)
    ratio = math.apply(b, ops.Div(), math.apply(b, ops.Sin(), angle), angle)
    return math.select(b, math.apply(b, ops.Equal(), x, 0), 1, ratio)


def _tanh(b: Builder, x: Any) -> Any:
    return nn.in_float32(b, lambda y: b(ops.Tanh(), y), x)


# -- one operand -----------------------------------------------------------------------------------------

FLOAT: dict[str, Macro] = {
    "Arccos": special.acos, "Arccosh": special.acosh, "Arcsin": special.asin, "Arcsinh": special.asinh,
    "Arctan": special.atan, "Arctanh": special.atanh, "Ceil": _op(ops.Ceil()), "Cos": _op(ops.Cos()),
    "Cosh": special.cosh, "Exp": _op(ops.Exp()), "Exp2": _exp2, "Expm1": special.expm1,
    "Fabs": math.absolute, "Floor": _op(ops.Floor()), "Log": _op(ops.Log()), "Log10": _log_of(10),
    "Log1p": special.log1p, "Log2": _log_of(2), "Sin": _op(ops.Sin()), "Sinc": _sinc, "Sinh": special.sinh,
    "Sqrt": _op(ops.Sqrt()), "Tan": special.tan, "Tanh": _tanh,
}  # fmt: skip
"""Computed in the operand's own float type, of integers in float32."""
DOUBLE: dict[str, Macro] = {
    "Cbrt": cube_root,
    "Deg2rad": _scaled(np.pi / 180),
    "Rad2deg": _scaled(180 / np.pi),
}
"""Likewise, but of 64-bit integers in float64."""
SAME: dict[str, Macro] = {
    "BitwiseInvert": math.invert, "BitwiseNot": math.invert, "Conj": lambda b, x: _conjugate(b, x),
    "Conjugate": lambda b, x: _conjugate(b, x), "Copy": lambda b, x: x, "Erf": special.erf,
    "Erfc": special.erfc, "Erfinv": special.erfinv, "Negative": _op(ops.Neg()),
    "Reciprocal": math.reciprocal, "Rsqrt": _op(ops.Rsqrt()), "Sign": math.sign,
    "StopGradient": lambda b, x: x,
}  # fmt: skip
"""Computed in the operand's type."""


def in_floats(macro: Macro, double: bool = False) -> Macro:
    """Return the macro with its operand converted to floats first.

    Where `double`, 64-bit integers give float64, which is computed in float32: no kernel takes it.
    """

    def compute(b: Builder, x: Any) -> Any:
        value = tensor(b, x)
        result = macro(b, array.cast(b, value, floating(value.dtype)))
        return array.cast(b, result, F64) if double and value.dtype is I64 else result

    return compute


def _in_its_own(macro: Macro) -> Macro:
    return lambda b, x: macro(b, tensor(b, x))


def _conjugate(b: Builder, x: Any) -> Any:
    return complexes.conj(b, complexes.as_complex(b, x)) if x.dtype.is_complex else x


def _named(macro: Macro, name: str) -> Macro:
    """Return a function of (b, x) as tables of layers want it: Keras's name for its argument."""
    if name == "StopGradient":
        return lambda b, variable: macro(b, variable)
    return lambda b, x: macro(b, x)


for _name, _macro in FLOAT.items():
    operations(_name)(_named(in_floats(_macro), _name))
for _name, _macro in DOUBLE.items():
    operations(_name)(_named(in_floats(_macro, double=True), _name))
for _name, _macro in SAME.items():
    operations(_name)(_named(_in_its_own(_macro), _name))


@operations("Absolute", "Abs")
def absolute(b: Builder, x: Any) -> Any:
    value = tensor(b, x)
    return value if value.dtype is BOOL else math.absolute(b, value)


@operations("Square")
def square(b: Builder, x: Any) -> Any:
    value = tensor(b, x)
    return math.square(b, array.cast(b, value, I32) if value.dtype is BOOL else value)


@operations("Trunc")
def trunc(b: Builder, x: Any) -> Any:
    if not x.dtype.is_float:
        return x
    return math.select(
        b,
        math.apply(b, ops.Less(), x, 0),
        math.apply(b, ops.Ceil(), x),
        math.apply(b, ops.Floor(), x),
    )


@operations("Round")
def round_(b: Builder, x: Any, *, decimals: int = 0) -> Any:
    """Ties go to even; decimals of integers are rounded in float32."""
    value = tensor(b, x)
    if decimals == 0 or (not value.dtype.is_float and decimals > 0):
        return value if not value.dtype.is_float else math.round_half_even(b, value)
    wide = value if value.dtype.is_float else array.cast(b, value, F32)
    factor = float(10.0**decimals)
    scaled = math.round_half_even(b, math.apply(b, ops.Mul(), wide, factor))
    return array.cast(b, math.apply(b, ops.Div(), scaled, factor), value.dtype)


@operations("Signbit")
def sign_bit(b: Builder, x: Any) -> Any:
    """Also of -0 and NaN: the highest bit of a float32."""
    if x.dtype is BOOL:
        return array.full(b, x.shape, False, BOOL)
    if x.dtype.is_integer:
        return math.apply(b, ops.Less(), x, 0)
    return b(ops.Less(), b(ops.Bitcast(I32), array.cast(b, x, F32)), 0)


@operations("Angle")
def angle(b: Builder, x: Any) -> Any:
    if x.dtype.is_complex:
        pair = complexes.as_complex(b, x)
        return math.apply(b, ops.Atan2(), pair.im(b), pair.re(b))
    value = array.cast(b, x, floating(x.dtype))
    return math.select(
        b, math.apply(b, ops.Less(), value, 0), np.pi, b.const(np.zeros((), value.dtype.numpy))
    )


@operations("Real")
def real(b: Builder, x: Any) -> Any:
    return complexes.as_complex(b, x).re(b) if x.dtype.is_complex else x


@operations("Imag")
def imag(b: Builder, x: Any) -> Any:
    return complexes.as_complex(b, x).im(b) if x.dtype.is_complex else array.zeros(b, x.shape, x.dtype)


# -- two operands ----------------------------------------------------------------------------------------


def _power(b: Builder, x1: Any, x2: Any) -> Any:
    if x1.dtype.name.startswith("U"):
        wide = math.power(b, array.cast(b, x1, I32), array.cast(b, x2, I32))
        return array.cast(b, wide, x1.dtype)
    return math.power(b, x1, x2)


def _divide_no_nan(b: Builder, x1: Any, x2: Any) -> Any:
    return math.where_zero(b, x2, math.apply(b, ops.Div(), x1, x2))


def _floor_mod(b: Builder, x1: Any, x2: Any) -> Any:
    return math.apply(b, ops.FloorMod(), x1, x2)


def _mod(b: Builder, x1: Any, x2: Any) -> Any:
    return _floor_mod(b, *(array.cast(b, x, I32) if x.dtype is BOOL else x for x in (x1, x2)))


def _fmod(b: Builder, x1: Any, x2: Any) -> Any:
    """The sign of the dividend."""
    left, right = (array.cast(b, x, I32) if x.dtype is BOOL else x for x in (x1, x2))
    rest = _floor_mod(b, math.absolute(b, left), math.absolute(b, right))
    return math.apply(b, ops.Mul(), math.sign(b, left), rest)


def log_add_exp(b: Builder, x1: Any, x2: Any, unit: float = 1.0) -> Any:
    """Return log(exp(x1) + exp(x2)) in the base exp(unit); a sum where the difference is not a number."""
    delta = math.apply(b, ops.Sub(), x1, x2)
    shrunk = math.apply(b, ops.Neg(), math.absolute(b, delta))
    tail = special.log1p(b, math.apply(b, ops.Exp(), math.apply(b, ops.Mul(), shrunk, unit)))
    tail = math.apply(b, ops.Div(), tail, unit)
    total = math.apply(b, ops.Add(), math.apply(b, ops.Maximum(), x1, x2), tail)
    return math.select(b, math.is_nan(b, delta), math.apply(b, ops.Add(), x1, x2), total)


def _no_nan(op: Op) -> Macro:
    """Return an extreme that ignores NaN unless both are."""

    def extreme(b: Builder, x1: Any, x2: Any) -> Any:
        result = math.apply(b, op, x1, x2)
        if x1.dtype.is_float:
            result = math.select(b, math.is_nan(b, x1), x2, math.select(b, math.is_nan(b, x2), x1, result))
        return result

    return extreme


WEAK: dict[str, Macro] = {
    "Add": _op(ops.Add()), "FloorDivide": math.floor_divide, "Fmax": _no_nan(ops.Maximum()),
    "Fmin": _no_nan(ops.Minimum()), "Maximum": _op(ops.Maximum()), "Minimum": _op(ops.Minimum()),
    "Multiply": _op(ops.Mul()), "Power": _power, "Subtract": _op(ops.Sub()),
}  # fmt: skip
"""Python numbers take the other operand's type."""
WEAK_FLOAT: dict[str, Macro] = {
    "Divide": _op(ops.Div()), "DivideNoNan": _divide_no_nan, "TrueDivide": _op(ops.Div()),
}  # fmt: skip
"""Likewise, computed in floats."""
STRONG: dict[str, Macro] = {
    "Equal": _op(ops.Equal()), "Fmod": _fmod, "Greater": _op(ops.Greater()),
    "GreaterEqual": _op(ops.GreaterEqual()), "Less": _op(ops.Less()), "LessEqual": _op(ops.LessEqual()),
    "Mod": _mod, "NotEqual": _op(ops.NotEqual()),
}  # fmt: skip
"""Python numbers are INT32 or FLOAT32."""
STRONG_FLOAT: dict[str, Macro] = {
    "Arctan2": _op(ops.Atan2()), "Logaddexp": log_add_exp,
    "Logaddexp2": lambda b, x1, x2: log_add_exp(b, x1, x2, float(np.log(2))),
}  # fmt: skip
BITS: dict[str, Macro] = {
    "BitwiseAnd": math.bitwise_and, "BitwiseOr": math.bitwise_or, "BitwiseXor": math.bitwise_xor,
}  # fmt: skip
SHIFTS: dict[str, Macro] = {
    "BitwiseLeftShift": math.left_shift, "LeftShift": math.left_shift,
    "BitwiseRightShift": math.right_shift, "RightShift": math.right_shift,
}  # fmt: skip
LOGIC = {"LogicalAnd": ops.LogicalAnd(), "LogicalOr": ops.LogicalOr(), "LogicalXor": ops.NotEqual()}


def _binary(macro: Macro, weak: bool, *also: Any) -> Macro:
    def compute(b: Builder, x1: Any, x2: Any) -> Any:
        return macro(b, *promoted(b, x1, x2, weak=weak, also=also))

    return compute


for _name, _macro in WEAK.items():
    operations(_name)(_binary(_macro, True))
for _name, _macro in WEAK_FLOAT.items():
    operations(_name)(_binary(_macro, True, float))
for _name, _macro in STRONG.items():
    operations(_name)(_binary(_macro, False))
for _name, _macro in STRONG_FLOAT.items():
    operations(_name)(_binary(_macro, False, float))


def _bitwise(macro: Macro) -> Macro:
    """Booleans as 8-bit integers: their bits are the same."""

    def compute(b: Builder, x: Any, y: Any) -> Any:
        left, right = promoted(b, x, y, weak=False)
        dtype = left.dtype
        wide = [array.cast(b, item, I32) if dtype is BOOL else item for item in (left, right)]
        return array.cast(b, macro(b, *wide), dtype)

    return compute


def _shift(macro: Macro) -> Macro:
    return lambda b, x, y: macro(b, *promoted(b, x, y))


def _logical(op: Op) -> Macro:
    return lambda b, x1, x2: math.apply(b, op, *(tensor(b, x, BOOL) for x in (x1, x2)))


for _name, _macro in BITS.items():
    operations(_name)(_bitwise(_macro))
for _name, _macro in SHIFTS.items():
    operations(_name)(_shift(_macro))
for _name, _operation in LOGIC.items():
    operations(_name)(_logical(_operation))


@operations("LogicalNot")
def logical_not(b: Builder, x: Any) -> Any:
    return math.apply(b, ops.LogicalNot(), tensor(b, x, BOOL))


def _doubled(macro: Macro) -> Macro:
    """Integers in float32; 64-bit ones give float64, which is computed in float32 too."""

    def compute(b: Builder, x1: Any, x2: Any) -> Any:
        left, right = promoted(b, x1, x2, weak=False)
        result = macro(b, *(array.cast(b, x, floating(left.dtype)) for x in (left, right)))
        return array.cast(b, result, F64) if left.dtype is I64 else result

    return compute


def _hypot(b: Builder, x1: Any, x2: Any) -> Any:
    """Scaled by the larger operand, so that squares do not overflow; infinite where an operand is."""
    left, right = math.absolute(b, x1), math.absolute(b, x2)
    high, low = math.apply(b, ops.Maximum(), left, right), math.apply(b, ops.Minimum(), left, right)
    ratio = math.where_zero(b, high, math.apply(b, ops.Div(), low, high))
    root = math.apply(b, ops.Sqrt(), math.apply(b, ops.Add(), math.square(b, ratio), 1))
    infinite = math.apply(b, ops.LogicalOr(), *(math.apply(b, ops.Equal(), x, np.inf) for x in (left, right)))
    return math.select(b, infinite, np.inf, math.apply(b, ops.Mul(), high, root))


def _heaviside(b: Builder, x1: Any, x2: Any) -> Any:
    positive = math.select(b, math.apply(b, ops.Greater(), x1, 0), 1, x2)
    return math.select(b, math.apply(b, ops.Less(), x1, 0), 0, positive)


operations("Hypot")(_doubled(_hypot))
operations("Heaviside")(_doubled(_heaviside))


@operations("Ldexp")
def ldexp(b: Builder, x1: Any, x2: Any) -> Any:
    value, exponent = promoted(b, x1, x2, weak=False, also=(float,))
    scaled = math.apply(b, ops.Mul(), value, _exp2(b, exponent))
    special_values = math.apply(
        b, ops.LogicalOr(), math.is_inf(b, value), math.apply(b, ops.Equal(), value, 0)
    )
    return math.select(b, special_values, value, scaled)


@operations("Clip")
def clip(b: Builder, x: Any, *, x_min: Any, x_max: Any) -> Any:
    """The upper bound first (tf.clip_by_value)."""
    value = array.cast(b, x, I32) if x.dtype is BOOL else x
    low, high = (tensor(b, bound, value.dtype) for bound in (x_min, x_max))
    return math.apply(b, ops.Maximum(), math.apply(b, ops.Minimum(), value, high), low)


# -- NaN and infinity ------------------------------------------------------------------------------------


def _equals(number: float) -> Macro:
    return lambda b, x: math.apply(b, ops.Equal(), x, number)


TESTS: dict[str, tuple[Macro, bool]] = {
    "Isfinite": (math.is_finite, True), "Isinf": (math.is_inf, False), "Isnan": (math.is_nan, False),
    "Isneginf": (_equals(-np.inf), False), "Isposinf": (_equals(np.inf), False),
}  # fmt: skip
"""Test of floats, and what it says of every integer."""


def _test(macro: Macro, of_integers: bool) -> Macro:
    def compute(b: Builder, x: Any) -> Any:
        return macro(b, x) if x.dtype.is_float else array.full(b, x.shape, of_integers, BOOL)

    return compute


for _name, (_macro, _of_integers) in TESTS.items():
    operations(_name)(_test(_macro, _of_integers))


@operations("Isreal")
def is_real(b: Builder, x: Any) -> Any:
    if x.dtype.is_complex:
        return math.apply(b, ops.Equal(), complexes.as_complex(b, x).im(b), 0)
    return array.full(b, x.shape, True, BOOL)


@operations("NanToNum")
def nan_to_num(b: Builder, x: Any, *, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    if not x.dtype.is_float:
        return x
    low, high = limits_of(x.dtype)
    result = math.select(b, math.is_nan(b, x), nan, x)
    for infinity, number in (
        (np.inf, high if posinf is None else posinf),
        (-np.inf, low if neginf is None else neginf),
    ):
        if number != infinity:
            result = math.select(b, math.apply(b, ops.Equal(), result, infinity), number, result)
    return result


@operations("Isclose")
def is_close(
    b: Builder, x1: Any, x2: Any, rtol: Any = 1e-5, atol: Any = 1e-8, *, equal_nan: bool = False
) -> Any:
    left, right = promoted(b, x1, x2, weak=False)
    equal = math.apply(b, ops.Equal(), left, right)
    if not left.dtype.is_float:
        return equal
    finite = math.apply(b, ops.LogicalAnd(), math.is_finite(b, left), math.is_finite(b, right))
    distance = math.absolute(b, math.apply(b, ops.Sub(), left, right))
    limit = math.apply(b, ops.Add(), math.apply(b, ops.Mul(), math.absolute(b, right), rtol), atol)
    close = math.apply(b, ops.LogicalAnd(), finite, math.apply(b, ops.LessEqual(), distance, limit))
    result = math.apply(b, ops.LogicalOr(), close, equal)
    if equal_nan:
        both = math.apply(b, ops.LogicalAnd(), math.is_nan(b, left), math.is_nan(b, right))
        result = math.apply(b, ops.LogicalOr(), result, both)
    return result


@operations("Where")
def where(b: Builder, condition: Any, x1: Any = None, x2: Any = None) -> Any:
    chosen = tensor(b, condition, BOOL)
    if x1 is None and x2 is None:
        return nonzero(b, chosen)
    return math.select(b, chosen, *promoted(b, x1, x2))


@operations("Nonzero")
def nonzero(b: Builder, x: Any) -> Any:
    """One vector of places per axis."""
    places = array.cast(b, math.where(b, tensor(b, x, BOOL)), I32)
    return list(array.unpack(b, places, 1))


@operations("Select")
def select(b: Builder, condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The first condition that holds chooses; numpy's types (tf.experimental.numpy.select)."""
    choices = promoted(b, *choicelist, default)
    result = choices[-1]
    for condition, choice in reversed(list(zip(condlist, choices[:-1], strict=True))):
        result = math.select(b, tensor(b, condition, BOOL), choice, result)
    return result
