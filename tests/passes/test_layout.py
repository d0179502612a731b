"""Transposes sink, meet and merge."""

from __future__ import annotations

import pytest

from litecast.passes.canonicalize import CANONICALIZE
from litecast.passes.fuse import FUSE
from litecast.passes.layout import LAYOUT
from tests.passes.harness import check, check_unchanged

CASES = {
    "through a unary operation": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          a = Transpose(x, const i32[4] [0, 3, 1, 2])
          b = Tanh(a)
          y = Transpose(b, const i32[4] [0, 2, 3, 1])
        }
        """,
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          y: f32[n,4,5,3] = Tanh(x)
        }
        """,
    ),
    "through a binary operation": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3], w: f32[n,4,5,3]) -> (y) {
          a = Transpose(x, const i32[4] [0, 3, 1, 2])
          b = Transpose(w, const i32[4] [0, 3, 1, 2])
          c = Sub(b, a)
          y = Transpose(c, const i32[4] [0, 2, 3, 1])
        }
        """,
        """
        graph main(x: f32[n,4,5,3], w: f32[n,4,5,3]) -> (y) {
          y: f32[n,4,5,3] = Sub(w, x)
        }
        """,
    ),
    "through a constant": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          a = Transpose(x, const i32[4] [0, 3, 1, 2])
          b = Mul(const f32[3,1,1] [1, 2, 3], a)
          c = Sub(b, const f32[] 2)
          y = Transpose(c, const i32[4] [0, 2, 3, 1])
        }
        """,
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          %1: f32[n,4,5,3] = Mul(x, const f32[1,1,1,3] [1.0, 2.0, 3.0])
          y: f32[n,4,5,3] = Sub(%1, const f32[] 2.0)
        }
        """,
    ),
    "a constant first": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          a = Transpose(x, const i32[4] [0, 3, 1, 2])
          b = Sub(const f32[3,1,1] [1, 2, 3], a)
          y = Transpose(b, const i32[4] [0, 2, 3, 1])
        }
        """,
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          y: f32[n,4,5,3] = Sub(const f32[1,1,1,3] [1.0, 2.0, 3.0], x)
        }
        """,
    ),
    "through a pad": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          a = Transpose(x, const i32[4] [0, 3, 1, 2])
          b = Pad(a, const i32[4,2] [0, 0, 1, 0, 2, 3, 4, 5])
          y = Transpose(b, const i32[4] [0, 2, 3, 1])
        }
        """,
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          y: f32[n,9,14,4] = Pad(x, const i32[4,2] [0, 0, 2, 3, 4, 5, 1, 0])
        }
        """,
    ),
    "global pool of channels first": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          a = Transpose(x, const i32[4] [0, 3, 1, 2])
          y = Mean(a, const i32[2] [2, 3])
        }
        """,
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          y: f32[n,3] = Mean(x, const i32[2] [1, 2])
        }
        """,
    ),
    "reduction with dimensions kept": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          a = Transpose(x, const i32[4] [0, 3, 1, 2])
          b = Sum(a, const i32[2] [-1, 2]) {keep_dims=true}
          y = Transpose(b, const i32[4] [0, 2, 3, 1])
        }
        """,
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          y: f32[n,1,1,3] = Sum(x, const i32[2] [1, 2]) {keep_dims=true}
        }
        """,
    ),
    "reduction that leaves an order": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          a = Transpose(x, const i32[4] [3, 0, 1, 2])
          y = ReduceMax(a, const i32[1] [2])
        }
        """,
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          %1: f32[n,5,3] = ReduceMax(x, const i32[1] [1])
          y: f32[3,n,5] = Transpose(%1, const i32[3] [2, 0, 1])
        }
        """,
    ),
    "through a concatenation": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3], w: f32[n,4,5,2]) -> (y) {
          a = Transpose(x, const i32[4] [0, 3, 1, 2])
          b = Transpose(w, const i32[4] [0, 3, 1, 2])
          c = Concatenation(b, a) {axis=1}
          y = Transpose(c, const i32[4] [0, 2, 3, 1])
        }
        """,
        """
        graph main(x: f32[n,4,5,3], w: f32[n,4,5,2]) -> (y) {
          y: f32[n,4,5,5] = Concatenation(w, x) {axis=3}
        }
        """,
    ),
    "a channels first block": (
        (*CANONICALIZE, *LAYOUT, *FUSE),
        """
        graph main(x: f32[n,3,6,5]) -> (y) {
          a = Transpose(x, const i32[4] [0, 2, 3, 1])
          c = Conv2D(a, const f32[4,3,3,3] rand(1), const f32[4] splat(0))
          d = Transpose(c, const i32[4] [0, 3, 1, 2])
          e = Mul(d, const f32[4,1,1] [1, 2, 3, 4])
          f = Add(e, const f32[1,4,1,1] [4, 3, 2, 1])
          h = Relu(f)
          i = Transpose(h, const i32[4] [0, 2, 3, 1])
          j = Conv2D(i, const f32[2,1,1,4] rand(1), const f32[2] splat(0))
          k = Transpose(j, const i32[4] [0, 3, 1, 2])
          y = Mean(k, const i32[2] [2, 3])
        }
        """,
        """
        graph main(x: f32[n,3,6,5]) -> (y) {
          a: f32[n,6,5,3] = Transpose(x, const i32[4] [0, 2, 3, 1])
          %2: f32[n,6,5,4] = Conv2D(a, const f32[4,3,3,3] #c0, const f32[4] [4.0, 3.0, 2.0, 1.0])
            {fused_activation_function=RELU}
          j: f32[n,6,5,2] = Conv2D(%2, const f32[2,1,1,4] [0.34558418, 0.82161814, 0.33043706, -1.3031572,
            0.9053559, 0.44637457, -0.5369532, 0.5811181], const f32[2] [0.0, 0.0])
          y: f32[n,2] = Mean(j, const i32[2] [1, 2])
        }
        """,
    ),
    "through a pack": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3], w: f32[n,4,5,3]) -> (y) {
          a = Transpose(x, const i32[4] [0, 3, 1, 2])
          b = Transpose(w, const i32[4] [0, 3, 1, 2])
          c = Pack(a, b) {values_count=2, axis=1}
          y = Sum(c, const i32[1] [2]) {keep_dims=true}
        }
        """,
        """
        graph main(x: f32[n,4,5,3], w: f32[n,4,5,3]) -> (y) {
          %2: f32[n,4,5,3,2] = Pack(x, w) {values_count=2, axis=4}
          %3: f32[n,4,5,1,2] = Sum(%2, const i32[1] [3]) {keep_dims=true}
          y: f32[n,2,1,4,5] = Transpose(%3, const i32[5] [0, 4, 3, 1, 2])
        }
        """,
    ),
    "through a pack in front": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4], w: f32[n,4]) -> (y) {
          a = Transpose(x, const i32[2] [1, 0])
          b = Transpose(w, const i32[2] [1, 0])
          y = Pack(a, b) {values_count=2, axis=-1}
        }
        """,
        """
        graph main(x: f32[n,4], w: f32[n,4]) -> (y) {
          %2: f32[n,4,2] = Pack(x, w) {values_count=2, axis=2}
          y: f32[4,n,2] = Transpose(%2, const i32[3] [1, 0, 2])
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewrite(name):
    rules, before, after, *options = CASES[name]
    assert check(before, rules, after, **dict(*options))


UNCHANGED = {
    "softmax": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3]) -> (y) {
          a = Transpose(x, const i32[4] [0, 3, 1, 2])
          y = Softmax(a)
        }
        """,
    ),
    "two permutations": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[2,3,4], w: f32[4,3,2]) -> (y) {
          a = Transpose(x, const i32[3] [0, 2, 1])
          b = Transpose(w, const i32[3] [2, 0, 1])
          y = Add(a, b)
        }
        """,
    ),
    "a transpose used twice": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[n,4,5,3]) -> (y, z) {
          a = Transpose(x, const i32[4] [0, 3, 1, 2])
          y = Tanh(a)
          z = Neg(a)
        }
        """,
    ),
    "a constant that broadcasts": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[3,4]) -> (y) {
          a = Transpose(x, const i32[2] [1, 0])
          y = Add(a, const f32[2,1,1] [1, 2])
        }
        """,
    ),
    "a pack of two permutations": (
        (*CANONICALIZE, *LAYOUT),
        """
        graph main(x: f32[2,3,4], w: f32[4,3,2]) -> (y) {
          a = Transpose(x, const i32[3] [0, 2, 1])
          b = Transpose(w, const i32[3] [2, 0, 1])
          y = Pack(a, b) {values_count=2}
        }
        """,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_rewrite(name):
    rules, text = UNCHANGED[name]
    check_unchanged(text, rules)
