"""Exact GELU in the forms that frameworks write, and what becomes of an error function that is no GELU."""

from __future__ import annotations

import math

import numpy as np
import pytest

from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Model
from litecast.ir.rewrite import apply
from litecast.ir.text import parse_graph, print_graph
from litecast.ir.types import DType, TensorType
from litecast.lib import special
from litecast.ops import Gelu
from litecast.passes import optimize
from litecast.passes.gelu import EXACT_GELU
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write
from tests.passes.harness import normal

ROOT, AFTER = "0.70710677", "graph main(x: f32[n,4]) -> (y) { y: f32[n,4] = Gelu(x) }"
GATES = {
    "erf of product": f"s = Mul(x, const f32[] {ROOT}) e = Erf(s) g = Add(e, const f32[] 1)",
    "erf of quotient": "s = Div(x, const f32[] 1.4142135) e = Erf(s) g = Add(const f32[] 1, e)",
    "erfc of negative": f"m = Neg(x) s = Mul(m, const f32[] {ROOT}) g = Erfc(s)",
    "erfc of negated product": f"s = Mul(x, const f32[] {ROOT}) m = Neg(s) g = Erfc(m)",
    "erfc of product": f"s = Mul(x, const f32[] -{ROOT}) g = Erfc(s)",
}
PRODUCTS = {
    "half of x": "h = Mul(x, const f32[] 0.5) y = Mul(h, g)",
    "half of gate": "h = Mul(g, const f32[] 0.5) y = Mul(x, h)",
    "half of all": "h = Mul(x, g) y = Mul(h, const f32[] 0.5)",
}


def graph(body, inputs="x: f32[n,4]"):
    statements = body.replace(" m =", "\n m =").replace(" s =", "\n s =").replace(" e =", "\n e =")
    for name in ("g", "h", "y"):
        statements = statements.replace(f" {name} =", f"\n {name} =")
    return parse_graph(f"graph main({inputs}) -> (y) {{\n {statements}\n}}")


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("product", PRODUCTS)
def test_forms(gate, product):
    found = graph(f"{GATES[gate]} {PRODUCTS[product]}")
    apply(found, EXACT_GELU)
    assert normal(print_graph(found)) == AFTER


@pytest.mark.parametrize(
    "body",
    [
        f"s = Mul(x, const f32[] 0.7) e = Erf(s) g = Add(e, const f32[] 1) {PRODUCTS['half of x']}",
        f"s = Mul(x, const f32[] {ROOT}) e = Erf(s) g = Add(e, const f32[] 2) {PRODUCTS['half of x']}",
        f"{GATES['erf of product']} h = Mul(x, const f32[] 0.25) y = Mul(h, g)",
        f"s = Mul(x, const f32[] {ROOT}) g = Erfc(s) {PRODUCTS['half of x']}",
        f"{GATES['erf of product']} h = Mul(x, const f32[1,1,1] 0.5) y = Mul(h, g)",
    ],
)
def test_other_arithmetic_stays(body):
    found = graph(body)
    apply(found, EXACT_GELU)
    assert not any(isinstance(node.op, Gelu) for node in found.nodes)


@pytest.mark.parametrize(("macro", "reference"), [(special.erf, math.erf), (special.erfc, math.erfc)])
def test_error_functions_are_expanded(macro, reference):
    b = Builder(Graph())
    b.graph.set_outputs([macro(b, b.add_input(TensorType(DType.FLOAT32, (2001,)), "x"))])
    model = Model(graphs=[b.graph])
    optimize(model)
    x = np.linspace(-6, 6, 2001).astype(np.float32)
    (found,) = Runtime(write(model)).run([x]).values()
    np.testing.assert_allclose(found, np.vectorize(reference)(x.astype(np.float64)), atol=5e-7)


def test_error_functions_of_constants_fold():
    b = Builder(Graph())
    x = np.float32([-1, 0, 0.5])
    np.testing.assert_allclose(special.erf(b, b.const(x)).array(), np.vectorize(math.erf)(x), rtol=1e-6)
    assert not b.graph.nodes
