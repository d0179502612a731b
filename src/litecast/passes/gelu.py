"""Exact GELU, recognised by the error function in it."""

from __future__ import annotations

from typing import Any

from litecast.ir.builder import Builder
from litecast.ir.graph import Node, Value
from litecast.ir.rewrite import Arg, Const, No, P, Rule, no, rule
from litecast.ops import Add, Div, Gelu, Mul, Neg
from litecast.ops.enums import Activation
from litecast.ops.transient import Erf, Erfc
from litecast.passes.idiom import is_scalar

__all__ = ["EXACT_GELU"]

NONE: dict[str, Any] = {"fused_activation_function": Activation.NONE}
HALF, ONE = Const("half", is_scalar(0.5)), Const("one", is_scalar(1.0))
ROOT, MINUS_ROOT = Const("scale", is_scalar(0.5**0.5)), Const("scale", is_scalar(-(0.5**0.5)))
DIVISOR = Const("scale", is_scalar(2.0**0.5))
X = Arg("x")

SCALED = (P(Mul, X, ROOT, **NONE), P(Div, X, DIVISOR, **NONE))
NEGATED = (
    P(Mul, P(Neg, X), ROOT, **NONE),
    P(Neg, P(Mul, X, ROOT, **NONE)),
    P(Mul, X, MINUS_ROOT, **NONE),
    P(Div, P(Neg, X), DIVISOR, **NONE),
)
GATES = (
    *(P(Add, P(Erf, scaled), ONE, **NONE) for scaled in SCALED),
    *(P(Erfc, negated) for negated in NEGATED),
)


def _gelu(pattern: P) -> Rule:
    @rule(pattern)
    def exact_gelu(b: Builder, root: Node, x: Value, **_: Any) -> Value | No:
        """0.5 * x * (1 + erf(x / sqrt(2))) -> gelu(x)"""
        if root.output.type.shape != x.type.shape:
            return no("a constant broadcasts x")
        result: Value = b(Gelu(approximate=False), x)
        return result

    return exact_gelu


EXACT_GELU: tuple[Rule, ...] = tuple(
    _gelu(pattern)
    for gate in GATES
    for pattern in (
        P(Mul, P(Mul, X, HALF, **NONE), gate, **NONE),
        P(Mul, X, P(Mul, gate, HALF, **NONE), **NONE),
        P(Mul, P(Mul, X, gate, **NONE), HALF, **NONE),
    )
)
