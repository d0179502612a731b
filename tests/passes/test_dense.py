"""Matrix products with constant weights."""

from __future__ import annotations

import pytest

from litecast.passes.canonicalize import CANONICALIZE
from litecast.passes.dense import DENSE
from litecast.passes.fuse import FUSE
from tests.passes.harness import check, check_unchanged

CASES = {
    "batch matmul": (
        DENSE,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          y = BatchMatMul(x, const f32[3,2] [1, 2, 3, 4, 5, 6])
        }
        """,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          y: f32[n,5,2] = FullyConnected(x, const f32[2,3] [1.0, 3.0, 5.0, 2.0, 4.0, 6.0], none)
            {keep_num_dims=true}
        }
        """,
    ),
    "batch matmul, transposed": (
        DENSE,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          y = BatchMatMul(x, const f32[2,3] [1, 2, 3, 4, 5, 6]) {adj_y=true}
        }
        """,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          y: f32[n,5,2] = FullyConnected(x, const f32[2,3] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], none)
            {keep_num_dims=true}
        }
        """,
    ),
    "batch matmul with a leading one": (
        DENSE,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          y = BatchMatMul(x, const f32[1,3,2] [1, 2, 3, 4, 5, 6])
        }
        """,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          y: f32[n,5,2] = FullyConnected(x, const f32[2,3] [1.0, 3.0, 5.0, 2.0, 4.0, 6.0], none)
            {keep_num_dims=true}
        }
        """,
    ),
    "dense on the last axis": (
        (*CANONICALIZE, *DENSE, *FUSE),
        """
        graph main(x: f32[n,5,3]) -> (y) {
          r = Reshape(x, const i32[2] [-1, 3])
          f = FullyConnected(r, const f32[2,3] [1, 2, 3, 4, 5, 6])
          s = Reshape(f, const i32[3] [-1, 5, 2])
          a = Add(s, const f32[2] [1, 2])
          y = Relu(a)
        }
        """,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          y: f32[n,5,2] = FullyConnected(x, const f32[2,3] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], const f32[2]
            [1.0, 2.0]) {fused_activation_function=RELU, keep_num_dims=true}
        }
        """,
    ),
    "dense on the last axis, two unknown dimensions": (
        (*CANONICALIZE, *DENSE),
        """
        graph main(x: f32[n,m,3]) -> (y) {
          r = Reshape(x, const i32[2] [-1, 3])
          f = FullyConnected(r, const f32[2,3] [1, 2, 3, 4, 5, 6])
          h = Shape(x)
          b = Gather(h, const i32[] 0)
          c = Gather(h, const i32[] 1)
          v = Pack(b, c, const i32[] 2) {values_count=3}
          y = Reshape(f, v)
        }
        """,
        """
        graph main(x: f32[n,m,3]) -> (y) {
          y: f32[n,m,2] = FullyConnected(x, const f32[2,3] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
            {keep_num_dims=true}
        }
        """,
    ),
    "flatten before dense": (
        DENSE,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          r = Reshape(x, const i32[2] [-1, 15])
          y = FullyConnected(r, const f32[2,15] rand(1), const f32[2] [1, 2])
        }
        """,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          y: f32[n,2] = FullyConnected(x, const f32[2,15] #c0, const f32[2] [1.0, 2.0])
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewrite(name):
    rules, before, after, *options = CASES[name]
    assert check(before, rules, after, **dict(*options))


UNCHANGED = {
    "weights not constant": (
        DENSE,
        """
        graph main(x: f32[n,5,3], w: f32[3,2]) -> (y) {
          y = BatchMatMul(x, w)
        }
        """,
    ),
    "the first operand transposed": (
        DENSE,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          y = BatchMatMul(x, const f32[5,2] [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {adj_x=true}
        }
        """,
    ),
    "a matrix per batch": (
        DENSE,
        """
        graph main(x: f32[2,5,3]) -> (y) {
          y = BatchMatMul(x, const f32[2,3,1] [1, 2, 3, 4, 5, 6])
        }
        """,
    ),
    "another reshape behind dense": (
        DENSE,
        """
        graph main(x: f32[n,5,3]) -> (y) {
          f = FullyConnected(x, const f32[2,3] [1, 2, 3, 4, 5, 6])
          y = Reshape(f, const i32[2] [-1, 10])
        }
        """,
    ),
    "weights of more dimensions": (
        DENSE,
        """
        graph main(x: f32[n,3]) -> (y) {
          y = BatchMatMul(x, const f32[1,3,2] [1, 2, 3, 4, 5, 6])
        }
        """,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_rewrite(name):
    rules, text = UNCHANGED[name]
    check_unchanged(text, rules)
