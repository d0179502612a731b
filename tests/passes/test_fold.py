"""Folding what became constant."""

from __future__ import annotations

import pytest

from litecast.passes.fold import FOLD
from tests.passes.harness import check, check_unchanged

CASES = {
    "a chain": (
        FOLD,
        """
        graph main(x: f32[n,2]) -> (y) {
          a = Add(const f32[2] [1, 2], const f32[] 3)
          b = Mul(a, a)
          y = Add(x, b)
        }
        """,
        """
        graph main(x: f32[n,2]) -> (y) {
          b = const f32[2] [16.0, 25.0]
          y: f32[n,2] = Add(x, b)
        }
        """,
    ),
    "several outputs": (
        FOLD,
        """
        graph main(x: f32[n,2]) -> (y) {
          a, b = Split(const i32[] 0, const f32[4] [1, 2, 3, 4]) {num_splits=2}
          c = Mul(x, a)
          y = Add(c, b)
        }
        """,
        """
        graph main(x: f32[n,2]) -> (y) {
          a = const f32[2] [1.0, 2.0]
          c: f32[n,2] = Mul(x, a)
          b = const f32[2] [3.0, 4.0]
          y: f32[n,2] = Add(c, b)
        }
        """,
    ),
    "a known shape": (
        FOLD,
        """
        graph main(x: f32[n,2]) -> (y) {
          s = Shape(x)
          d = Gather(s, const i32[] 1)
          f = Cast(d) {in_data_type=INT32, out_data_type=FLOAT32}
          y = Mul(x, f)
        }
        """,
        """
        graph main(x: f32[n,2]) -> (y) {
          d = const i32[] 2
          f: f32[] = Cast(d) {in_data_type=INT32, out_data_type=FLOAT32}
          y: f32[n,2] = Mul(x, f)
        }
        """,
    ),
    "a result": (
        FOLD,
        """
        graph main(x: f32[n,2]) -> (y, z) {
          z = Neg(const f32[2] [1, 2])
          y = Add(x, z)
        }
        """,
        """
        graph main(x: f32[n,2]) -> (y, z) {
          z = const f32[2] [-1.0, -2.0]
          y: f32[n,2] = Add(x, z)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewrite(name):
    rules, before, after, *options = CASES[name]
    assert check(before, rules, after, **dict(*options))


UNCHANGED = {
    "a variable operand": (
        FOLD,
        """
        graph main(x: f32[n,2]) -> (y) {
          y = Add(x, const f32[2] [1, 2])
        }
        """,
    ),
    "an unknown dimension": (
        FOLD,
        """
        graph main(x: f32[n,2]) -> (y) {
          y = Shape(x)
        }
        """,
    ),
    "weights that are kept small": (
        FOLD,
        """
        graph main(x: f32[n,2]) -> (y) {
          w = const f16[2] [1, 2]
          d: f32[2] = Dequantize(w)
          y = Add(x, d)
        }
        """,
    ),
    "a result that would grow": (
        FOLD,
        """
        graph main(x: f32[n,1]) -> (y) {
          a = Tile(const f32[1] [1], const i32[1] [400000])
          y = Add(x, a)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_rewrite(name):
    rules, text = UNCHANGED[name]
    check_unchanged(text, rules)
