"""What no rule recognised and no kernel computes is expanded into builtins."""

from __future__ import annotations

from litecast.ir.builder import Builder
from litecast.ir.graph import Node, Value
from litecast.ir.rewrite import Arg, P, Rule, rule
from litecast.lib import special
from litecast.ops.transient import Erf, Erfc

__all__ = ["LEGALIZE"]


@rule(P(Erf, Arg("x")))
def expand_erf(b: Builder, root: Node, x: Value) -> Value:
    """erf(x) -> tanh of a polynomial"""
    result: Value = special.expand_erf(b, x)
    return result


@rule(P(Erfc, Arg("x")))
def expand_erfc(b: Builder, root: Node, x: Value) -> Value:
    """erfc(x) -> exp(-x^2) times a rational"""
    result: Value = special.expand_erfc(b, x)
    return result


LEGALIZE: tuple[Rule, ...] = (expand_erf, expand_erfc)
