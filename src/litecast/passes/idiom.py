"""Arithmetic that spells out what one kernel computes becomes that kernel, where the two agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Node, Value
from litecast.ir.rewrite import Arg, Const, No, P, Rule, no, rule
from litecast.ir.types import DType
from litecast.ops import (
    Add,
    Div,
    Exp,
    Gather,
    Gelu,
    HardSwish,
    L2Normalization,
    LeakyRelu,
    Maximum,
    Minimum,
    Mul,
    Neg,
    Pow,
    Prelu,
    Range,
    ReduceMax,
    Relu,
    Relu0To1,
    Relu6,
    ReluN1To1,
    Reshape,
    Rsqrt,
    ScatterNd,
    Softmax,
    Sqrt,
    Square,
    Sub,
    Sum,
    Tanh,
)
from litecast.ops.enums import Activation

__all__ = ["IDIOM"]

NONE: dict[str, Any] = {"fused_activation_function": Activation.NONE}


def is_scalar(*numbers: float, tolerance: float = 2e-7) -> Callable[[Value], bool]:
    """Return a predicate: a float constant of one element that is, in float32, one of the numbers."""

    def check(value: Value) -> bool:
        if value.dtype is not DType.FLOAT32 or value.type.size != 1:
            return False
        found = float(np.asarray(value.array()).reshape(-1)[0])
        return any(abs(found - number) <= tolerance * abs(number) for number in numbers)

    return check


def _one_element(value: Value) -> bool:
    return value.dtype is DType.FLOAT32 and value.type.size == 1


def _number(value: Value) -> float:
    return float(np.asarray(value.array()).reshape(-1)[0])


def _same_shape(root: Node, x: Value) -> bool:
    return root.output.type == x.type and x.dtype is DType.FLOAT32


# -- clamps --------------------------------------------------------------------------------------------------

CLAMPS = {(0.0, 6.0): Relu6, (-1.0, 1.0): ReluN1To1, (0.0, 1.0): Relu0To1}


@rule(P(Maximum, Arg("x"), Const("zero", is_scalar(0.0))))
def maximum_is_relu(b: Builder, root: Node, x: Value, zero: Value) -> Value | No:
    """maximum(x, 0) -> relu(x)"""
    return b(Relu(), x) if _same_shape(root, x) else no("the constant broadcasts x")


def _clamp(b: Builder, root: Node, x: Value, low: float, high: float) -> Value | No:
    kind = CLAMPS.get((low, high))
    if kind is None or not _same_shape(root, x):
        return no("no kernel clamps to these limits")
    return b(kind(), x)  # type: ignore[no-any-return]


@rule(P(Minimum, P(Relu, Arg("x"), uses=1), Const("high", _one_element)))
def minimum_of_relu(b: Builder, root: Node, x: Value, high: Value) -> Value | No:
    """minimum(relu(x), 6) -> relu6(x)"""
    return _clamp(b, root, x, 0.0, _number(high))


@rule(P(Relu, P(Minimum, Arg("x"), Const("high", _one_element), uses=1)))
def relu_of_minimum(b: Builder, root: Node, x: Value, high: Value) -> Value | No:
    """relu(minimum(x, 6)) -> relu6(x)"""
    return _clamp(b, root, x, 0.0, _number(high))


@rule(P(Minimum, P(Maximum, Arg("x"), Const("low", _one_element), uses=1), Const("high", _one_element)))
def minimum_of_maximum(b: Builder, root: Node, x: Value, low: Value, high: Value) -> Value | No:
    """minimum(maximum(x, -1), 1) -> relu_n1_to_1(x)"""
    return _clamp(b, root, x, _number(low), _number(high))


@rule(P(Maximum, P(Minimum, Arg("x"), Const("high", _one_element), uses=1), Const("low", _one_element)))
def maximum_of_minimum(b: Builder, root: Node, x: Value, low: Value, high: Value) -> Value | No:
    """maximum(minimum(x, 1), -1) -> relu_n1_to_1(x)"""
    return _clamp(b, root, x, _number(low), _number(high))


# -- activations ---------------------------------------------------------------------------------------------

SIX, SIXTH, THREE = is_scalar(6.0), is_scalar(1 / 6), is_scalar(3.0)


def _shifted(**use: Any) -> tuple[P, P]:
    """Return the two drawings of relu6(x + 3): the clamp apart, and fused."""
    apart = P(Relu6, P(Add, Arg("x"), Const("three", THREE), **NONE), **use)
    fused = P(Add, Arg("x"), Const("three", THREE), fused_activation_function=Activation.RELU6, **use)
    return apart, fused


def _hard_swish(pattern: P) -> Rule:
    @rule(pattern)
    def hard_swish(b: Builder, root: Node, x: Value, **_: Any) -> Value | No:
        """x * relu6(x + 3) / 6 -> hard_swish(x)"""
        return b(HardSwish(), x) if _same_shape(root, x) else no("a constant broadcasts x")

    return hard_swish


HARD_SWISH = tuple(
    _hard_swish(pattern)
    for gate in _shifted()
    for pattern in (
        P(Mul, Arg("x"), P(Mul, gate, Const("sixth", SIXTH), **NONE), **NONE),
        P(Mul, Arg("x"), P(Div, gate, Const("six", SIX), **NONE), **NONE),
        P(Mul, P(Mul, Arg("x"), gate, **NONE), Const("sixth", SIXTH), **NONE),
        P(Mul, P(Mul, Arg("x"), Const("sixth", SIXTH), **NONE), gate, **NONE),
        P(Div, P(Mul, Arg("x"), gate, **NONE), Const("six", SIX), **NONE),
    )
)


HALF, ONE = Const("half", is_scalar(0.5)), Const("one", is_scalar(1.0))
CUBES = (
    P(Pow, Arg("x"), Const("three", THREE)),
    P(Mul, P(Mul, Arg("x"), Arg("x"), **NONE), Arg("x"), **NONE),
    P(Mul, P(Square, Arg("x")), Arg("x"), **NONE),
)


def _gelu(pattern: P) -> Rule:
    @rule(pattern)
    def gelu(b: Builder, root: Node, x: Value, **_: Any) -> Value | No:
        """0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) -> gelu(x) {approximate}"""
        return b(Gelu(approximate=True), x) if _same_shape(root, x) else no("a constant broadcasts x")

    return gelu


def _gelu_patterns() -> list[P]:
    patterns = []
    for cube in CUBES:
        cubic = P(Mul, cube, Const("c", is_scalar(0.044715)), **NONE)
        inner = P(Mul, P(Add, Arg("x"), cubic, **NONE), Const("k", is_scalar(0.7978845608)), **NONE)
        gate = P(Add, P(Tanh, inner), ONE, **NONE)
        patterns += [
            P(Mul, P(Mul, Arg("x"), HALF, **NONE), gate, **NONE),
            P(Mul, Arg("x"), P(Mul, gate, HALF, **NONE), **NONE),
            P(Mul, P(Mul, Arg("x"), gate, **NONE), HALF, **NONE),
        ]
    return patterns


GELU = tuple(map(_gelu, _gelu_patterns()))


@rule(P(Maximum, Arg("x"), P(Mul, Arg("x"), Const("slope", _one_element), uses=1, **NONE)))
def maximum_is_leaky_relu(b: Builder, root: Node, x: Value, slope: Value) -> Value | No:
    """maximum(x, 0.1 * x) -> leaky_relu(x)"""
    if not 0 < _number(slope) < 1 or not _same_shape(root, x):
        return no("the slope is not between 0 and 1")
    return b(LeakyRelu(alpha=_number(slope)), x)  # type: ignore[no-any-return]


NEGATIVE_PART = P(Relu, P(Neg, Arg("x"), uses=1), uses=1)


@rule(P(Add, P(Relu, Arg("x"), uses=1), P(Mul, NEGATIVE_PART, Const("slope"), uses=1, **NONE), **NONE))
def sum_is_prelu(b: Builder, root: Node, x: Value, slope: Value) -> Value | No:
    """relu(x) + c * relu(-x) -> prelu(x, -c)"""
    if not _same_shape(root, x) or slope.rank > x.rank - 1:
        return no("the slope does not broadcast as the kernel's does")
    return b(Prelu(), x, (-np.asarray(slope.array())).astype(np.float32))  # type: ignore[no-any-return]


# -- powers --------------------------------------------------------------------------------------------------


@rule(P(Pow, Arg("x"), Const("power", is_scalar(2.0))))
def power_is_square(b: Builder, root: Node, x: Value, power: Value) -> Value | No:
    """x ^ 2 -> square(x)"""
    return b(Square(), x) if _same_shape(root, x) else no("the power broadcasts x")


# -- normalisation -------------------------------------------------------------------------------------------


def _last_axis(axes: Value, x: Value) -> bool:
    """Whether a reduction over `axes` is over the last axis of x alone."""
    return x.type.shape is not None and np.asarray(axes.array()).reshape(-1).tolist() in ([-1], [x.rank - 1])


SQUARES = (P(Square, Arg("x")), P(Mul, Arg("x"), Arg("x"), **NONE))
EPSILON = Const("epsilon", is_scalar(1e-12))


def _l2_normalize(pattern: P) -> Rule:
    @rule(pattern)
    def l2_normalize(b: Builder, root: Node, x: Value, axes: Value, epsilon: Value) -> Value | No:
        """x * rsqrt(maximum(sum(x * x), 1e-12)) -> l2_normalization(x)"""
        if not _last_axis(axes, x) or not _same_shape(root, x):
            return no("the kernel normalises the last axis only")
        return b(L2Normalization(), x)  # type: ignore[no-any-return]

    return l2_normalize


L2_NORMALIZE = tuple(
    _l2_normalize(pattern)
    for square in SQUARES
    for norm in (P(Maximum, P(Sum, square, Const("axes"), keep_dims=True), EPSILON),)
    for pattern in (
        P(Mul, Arg("x"), P(Rsqrt, norm), **NONE),
        P(Div, Arg("x"), P(Sqrt, norm), **NONE),
    )
)
"""The kernel divides by max(sqrt(sum), 1e-6) (l2norm.cc): the square of that limit is 1e-12."""

EXPONENTIAL = P(
    Exp, P(Sub, Arg("x"), P(ReduceMax, Arg("x"), Const("peak_axes"), keep_dims=True), **NONE), name="e"
)


@rule(P(Div, EXPONENTIAL, P(Sum, P(Exp, name="e"), Const("axes"), keep_dims=True), **NONE))
def quotient_is_softmax(
    b: Builder, root: Node, x: Value, e: Node, peak_axes: Value, axes: Value
) -> Value | No:
    """exp(x - max(x)) / sum(exp(x - max(x))) -> softmax(x)"""
    if not _last_axis(axes, x) or not _last_axis(peak_axes, x) or not _same_shape(root, x):
        return no("the kernel normalises the last axis only")
    return b(Softmax(beta=1.0), x)  # type: ignore[no-any-return]


RANGE = P(Range, Const("start"), Arg("limit"), Const("step"))


def _counts_up(start: Value, step: Value) -> bool:
    return int(start.array()) == 0 and int(step.array()) == 1


@rule(P(ScatterNd, P(Reshape, RANGE), Arg("x"), Arg("shape")))
def scatter_in_order(
    b: Builder, root: Node, start: Value, limit: Value, step: Value, x: Value, shape: Value
) -> Value | No:
    """scatter_nd(range(0, n)[:, newaxis], x, shape(x)) -> x (a TensorArray that is filled from a tensor)"""
    if root.output.type != x.type or not _counts_up(start, step):
        return no("not every row stays where it is")
    return x


@rule(P(Gather, Arg("x"), RANGE, axis=0, batch_dims=0))
def gather_in_order(b: Builder, root: Node, x: Value, start: Value, limit: Value, step: Value) -> Value | No:
    """gather(x, range(0, n)) -> x, of n rows (a TensorArray that is stacked)"""
    if root.output.type != x.type or not _counts_up(start, step):
        return no("not every row is taken")
    return x


IDIOM: tuple[Rule, ...] = (
    maximum_is_relu,
    minimum_of_relu,
    relu_of_minimum,
    minimum_of_maximum,
    maximum_of_minimum,
    *HARD_SWISH,
    *GELU,
    maximum_is_leaky_relu,
    sum_is_prelu,
    power_is_square,
    *L2_NORMALIZE,
    quotient_is_softmax,
    scatter_in_order,
    gather_in_order,
)
