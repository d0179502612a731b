"""Arithmetic that spells out what one kernel computes."""

from __future__ import annotations

import pytest

from litecast.passes.fuse import FUSE
from litecast.passes.idiom import IDIOM
from tests.passes.harness import check, check_unchanged

CASES = {
    "relu from maximum": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          y = Maximum(const f32[] 0, x)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = Relu(x)
        }
        """,
    ),
    "relu6 from minimum of relu": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          a = Relu(x)
          y = Minimum(a, const f32[] 6)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = Relu6(x)
        }
        """,
    ),
    "relu6 from maximum of minimum": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          a = Minimum(x, const f32[] 6)
          y = Maximum(a, const f32[] 0)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = Relu6(x)
        }
        """,
    ),
    "relu n1 to 1": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          a = Maximum(x, const f32[] -1)
          y = Minimum(a, const f32[] 1)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = ReluN1To1(x)
        }
        """,
    ),
    "relu 0 to 1": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          a = Minimum(x, const f32[] 1)
          y = Maximum(a, const f32[] 0)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = Relu0To1(x)
        }
        """,
    ),
    "hard swish times a sixth": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          a = Add(x, const f32[] 3)
          r = Relu6(a)
          m = Mul(r, const f32[] 0.16666667)
          y = Mul(x, m)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = HardSwish(x)
        }
        """,
    ),
    "hard swish over six": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          a = Add(x, const f32[] 3)
          r = Relu6(a)
          m = Mul(x, r)
          y = Div(m, const f32[] 6)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = HardSwish(x)
        }
        """,
    ),
    "hard swish with a fused clamp": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          r = Add(x, const f32[] 3) {fused_activation_function=RELU6}
          m = Mul(x, const f32[] 0.16666667)
          y = Mul(r, m)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = HardSwish(x)
        }
        """,
    ),
    "hard swish after clamp fusion": (
        (*IDIOM, *FUSE),
        """
        graph main(x: f32[n,4]) -> (y) {
          a = Add(x, const f32[] 3)
          r = Relu6(a)
          m = Mul(r, const f32[] 0.16666667)
          y = Mul(x, m)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = HardSwish(x)
        }
        """,
    ),
    "gelu with pow": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          p = Pow(x, const f32[] 3)
          c = Mul(const f32[] 0.044715, p)
          a = Add(x, c)
          k = Mul(const f32[] 0.7978846, a)
          t = Tanh(k)
          o = Add(const f32[] 1, t)
          h = Mul(const f32[] 0.5, x)
          y = Mul(h, o)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = Gelu(x) {approximate=true}
        }
        """,
    ),
    "gelu with products": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          q = Mul(x, x)
          p = Mul(q, x)
          c = Mul(p, const f32[] 0.044715)
          a = Add(x, c)
          k = Mul(a, const f32[] 0.7978846)
          t = Tanh(k)
          o = Add(t, const f32[] 1)
          h = Mul(o, const f32[] 0.5)
          y = Mul(x, h)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = Gelu(x) {approximate=true}
        }
        """,
    ),
    "leaky relu": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          m = Mul(const f32[] 0.25, x)
          y = Maximum(x, m)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = LeakyRelu(x) {alpha=0.25}
        }
        """,
    ),
    "prelu": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          p = Relu(x)
          m = Neg(x)
          r = Relu(m)
          q = Mul(r, const f32[4] [0.1, -0.2, -0.3, -0.4])
          y = Add(p, q)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = Prelu(x, const f32[4] [-0.1, 0.2, 0.3, 0.4])
        }
        """,
    ),
    "square": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          y = Pow(x, const f32[] 2)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = Square(x)
        }
        """,
    ),
    "l2 normalization": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          q = Square(x)
          s = Sum(q, const i32[1] [-1]) {keep_dims=true}
          m = Maximum(s, const f32[] 1e-12)
          r = Rsqrt(m)
          y = Mul(x, r)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = L2Normalization(x)
        }
        """,
    ),
    "l2 normalization by division": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          q = Mul(x, x)
          s = Sum(q, const i32[] 1) {keep_dims=true}
          m = Maximum(s, const f32[] 1e-12)
          r = Sqrt(m)
          y = Div(x, r)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = L2Normalization(x)
        }
        """,
    ),
    "softmax": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          p = ReduceMax(x, const i32[1] [1]) {keep_dims=true}
          s = Sub(x, p)
          e = Exp(s)
          t = Sum(e, const i32[1] [1]) {keep_dims=true}
          y = Div(e, t)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = Softmax(x)
        }
        """,
    ),
    "rows scattered in order": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          s = Shape(x)
          n = Gather(s, const i32[] 0)
          r = Range(const i32[] 0, n, const i32[] 1)
          c = Reshape(r, const i32[2] [-1, 1])
          z = ScatterNd(c, x, s)
          y = Neg(z)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = Neg(x)
        }
        """,
    ),
    "rows gathered in order": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          s = Shape(x)
          n = Gather(s, const i32[] 0)
          r = Range(const i32[] 0, n, const i32[] 1)
          z = Gather(x, r)
          y = Neg(z)
        }
        """,
        """
        graph main(x: f32[n,4]) -> (y) {
          y: f32[n,4] = Neg(x)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewrite(name):
    rules, before, after, *options = CASES[name]
    assert check(before, rules, after, **dict(*options))


UNCHANGED = {
    "rows gathered from the second on": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          s = Shape(x)
          n = Gather(s, const i32[] 0)
          r = Range(const i32[] 1, n, const i32[] 1)
          y = Gather(x, r)
        }
        """,
    ),
    "maximum that broadcasts": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          y = Maximum(x, const f32[1,1,1] [0])
        }
        """,
    ),
    "another limit": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          a = Relu(x)
          y = Minimum(a, const f32[] 5)
        }
        """,
    ),
    "limits of integers": (
        IDIOM,
        """
        graph main(x: i32[n,4]) -> (y) {
          y = Maximum(x, const i32[] 0)
        }
        """,
    ),
    "clamp used twice": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y, a) {
          a = Relu(x)
          y = Minimum(a, const f32[] 6)
        }
        """,
    ),
    "another x in hard swish": (
        IDIOM,
        """
        graph main(x: f32[n,4], w: f32[n,4]) -> (y) {
          a = Add(x, const f32[] 3)
          r = Relu6(a)
          m = Mul(r, const f32[] 0.16666667)
          y = Mul(w, m)
        }
        """,
    ),
    "a seventh": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          a = Add(x, const f32[] 3)
          r = Relu6(a)
          m = Mul(r, const f32[] 0.14285715)
          y = Mul(x, m)
        }
        """,
    ),
    "swish": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          s = Logistic(x)
          y = Mul(x, s)
        }
        """,
    ),
    "steep leaky relu": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          m = Mul(const f32[] 1.5, x)
          y = Maximum(x, m)
        }
        """,
    ),
    "square of a product": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          y = Mul(x, x)
        }
        """,
    ),
    "l2 normalization with another limit": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          q = Square(x)
          s = Sum(q, const i32[1] [-1]) {keep_dims=true}
          m = Maximum(s, const f32[] 1e-06)
          r = Rsqrt(m)
          y = Mul(x, r)
        }
        """,
    ),
    "l2 normalization along another axis": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          q = Square(x)
          s = Sum(q, const i32[1] [0]) {keep_dims=true}
          m = Maximum(s, const f32[] 1e-12)
          r = Rsqrt(m)
          y = Mul(x, r)
        }
        """,
    ),
    "softmax along another axis": (
        IDIOM,
        """
        graph main(x: f32[n,4]) -> (y) {
          p = ReduceMax(x, const i32[1] [0]) {keep_dims=true}
          s = Sub(x, p)
          e = Exp(s)
          t = Sum(e, const i32[1] [0]) {keep_dims=true}
          y = Div(e, t)
        }
        """,
    ),
    "softmax of two": (
        IDIOM,
        """
        graph main(x: f32[n,4], w: f32[n,4]) -> (y) {
          p = ReduceMax(w, const i32[1] [1]) {keep_dims=true}
          s = Sub(x, p)
          e = Exp(s)
          t = Sum(e, const i32[1] [1]) {keep_dims=true}
          y = Div(e, t)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_rewrite(name):
    rules, text = UNCHANGED[name]
    check_unchanged(text, rules)
