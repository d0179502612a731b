"""Common subexpressions and equal constants."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.ir.graph import Lazy
from litecast.ir.text import parse_graph, print_graph
from litecast.ir.types import DType
from litecast.ir.verify import verify
from litecast.passes.dedupe import dedupe
from tests.passes.harness import check, check_unchanged, model_of


def run(graph):
    return dedupe(model_of(graph))


CASES = {
    "equal nodes": (
        """
        graph main(x: f32[n,2]) -> (y) {
          a = Exp(x)
          b = Exp(x)
          y = Add(a, b)
        }
        """,
        """
        graph main(x: f32[n,2]) -> (y) {
          a: f32[n,2] = Exp(x)
          y: f32[n,2] = Add(a, a)
        }
        """,
    ),
    "equal chains over equal constants": (
        """
        graph main(x: f32[n,2]) -> (y) {
          a = Mul(x, const f32[2] [1, 2])
          b = Exp(a)
          c = Mul(x, const f32[2] [1, 2])
          d = Exp(c)
          y = Sub(d, b)
        }
        """,
        """
        graph main(x: f32[n,2]) -> (y) {
          a: f32[n,2] = Mul(x, const f32[2] [1.0, 2.0])
          b: f32[n,2] = Exp(a)
          y: f32[n,2] = Sub(b, b)
        }
        """,
    ),
    "a result keeps its name": (
        """
        graph main(x: f32[n,2]) -> (y, z) {
          a = Exp(x)
          y = Exp(x)
          z = Neg(a)
        }
        """,
        """
        graph main(x: f32[n,2]) -> (y, z) {
          y: f32[n,2] = Exp(x)
          z: f32[n,2] = Neg(y)
        }
        """,
    ),
    "several outputs": (
        """
        graph main(x: f32[n,2]) -> (y) {
          a, b = Split(const i32[] 1, x) {num_splits=2}
          c, d = Split(const i32[] 1, x) {num_splits=2}
          y = Mul(a, d)
        }
        """,
        """
        graph main(x: f32[n,2]) -> (y) {
          a: f32[n,1], b: f32[n,1] = Split(const i32[] 1, x) {num_splits=2}
          y: f32[n,1] = Mul(a, b)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_merge(name):
    before, after = CASES[name]
    assert check(before, run, after)


UNCHANGED = {
    "two results": "graph main(x: f32[n,2]) -> (y, z) {\n y = Exp(x)\n z = Exp(x)\n}",
    "other attributes": """graph main(x: f32[n,2]) -> (y) {
      a = LeakyRelu(x) {alpha=0.1}
      b = LeakyRelu(x) {alpha=0.2}
      y = Add(a, b)
    }""",
    "other constants": """graph main(x: f32[n,2]) -> (y) {
      a = Mul(x, const f32[2] [1, 2])
      b = Mul(x, const f32[2] [1, 3])
      y = Add(a, b)
    }""",
    "constants of two types": """graph main(x: f32[n,2], k: i32[n,2]) -> (y, z) {
      y = Mul(x, const f32[] 0)
      z = Mul(k, const i32[] 0)
    }""",
    "the sign of zero": """graph main(x: f32[n,2]) -> (y, z) {
      y = Div(x, const f32[] 0.0)
      z = Div(x, const f32[] -0.0)
    }""",
    "operands in another order": """graph main(x: f32[n,2], w: f32[n,2]) -> (y) {
      a = Sub(x, w)
      b = Sub(w, x)
      y = Mul(a, b)
    }""",
    "effects": """graph main(x: f32[2]) -> (y, z) {
      h = VarHandle() {shared_name="v"}
      AssignVariable(h, x)
      y = ReadVariable(h) {type=f32[2]}
      n = Neg(x)
      AssignVariable(h, n)
      z = ReadVariable(h) {type=f32[2]}
    }""",
    "quantization": """graph main(x: i8[2] q(scales=(0.5), zero_points=(0))) -> (y) {
      a: i8[2] q(scales=(0.5), zero_points=(0)) = Relu(x)
      b: i8[2] q(scales=(0.25), zero_points=(0)) = Relu(x)
      y: i8[2] q(scales=(0.5), zero_points=(0)) = Add(a, b)
    }""",
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_merge(name):
    assert not check_unchanged(UNCHANGED[name], run)


def test_large_constants_are_compared_by_identity():
    text = """graph main(x: f32[n,3000]) -> (y) {
      a = Mul(x, const f32[3000] #c0)
      b = Mul(a, const f32[3000] #c1)
      y = Mul(b, const f32[3000] #c2)
    }"""
    array = np.ones(3000, np.float32)
    lazy = Lazy(DType.FLOAT32, (3000,), lambda: pytest.fail("computed only to be compared"))
    graph = parse_graph(text, {"#c0": array, "#c1": array, "#c2": lazy})
    assert run(graph) == {"merge_constants": 1}
    verify(graph)
    assert print_graph(graph).count("#c0") == 1
