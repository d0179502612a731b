"""Control flow: decided branches, and operands that are not needed."""

from __future__ import annotations

import pytest

from litecast.passes.control import CONTROL
from litecast.passes.fold import FOLD
from tests.passes.harness import check, check_unchanged

CASES = {
    "if true": (
        (*FOLD, *CONTROL),
        """
        graph main(x: f32[n]) -> (y) {
          a = Neg(x)
          y: f32[n] = If(const bool[] true, a) {then_subgraph_index=@yes, else_subgraph_index=@same}
        }
        graph yes(z: f32[n]) -> (y) {
          s = Add(z, const f32[] 1)
          y = Mul(s, z)
        }
        graph same(z: f32[n]) -> (z) {
        }
        """,
        """
        graph main(x: f32[n]) -> (y) {
          a: f32[n] = Neg(x)
          s: f32[n] = Add(a, const f32[] 1.0)
          y: f32[n] = Mul(s, a)
        }
        """,
    ),
    "if false": (
        (*FOLD, *CONTROL),
        """
        graph main(x: f32[n]) -> (y) {
          a = Neg(x)
          y: f32[n] = If(const bool[] false, a) {then_subgraph_index=@yes, else_subgraph_index=@same}
        }
        graph yes(z: f32[n]) -> (y) {
          y = Mul(z, z)
        }
        graph same(z: f32[n]) -> (z) {
        }
        """,
        """
        graph main(x: f32[n]) -> (y) {
          y: f32[n] = Neg(x)
        }
        """,
    ),
    "if with a constant operand": (
        (*FOLD, *CONTROL),
        """
        graph main(p: bool[], x: f32[3]) -> (y) {
          y: f32[3] = If(p, x, const f32[3] [1, 2, 3], const f32[] 5) {then_subgraph_index=@yes,
            else_subgraph_index=@same}
        }
        graph yes(z: f32[3], c: f32[3], d: f32[]) -> (y) {
          e = Mul(c, d)
          y = Mul(z, e)
        }
        graph same(z: f32[3], c: f32[3], d: f32[]) -> (z) {
        }
        """,
        """
        graph main(p: bool[], x: f32[3]) -> (y) {
          y: f32[3] = If(p, x) {then_subgraph_index=@yes, else_subgraph_index=@same}
        }
        graph yes(z: f32[3]) -> (y) {
          e = const f32[3] [5.0, 10.0, 15.0]
          y: f32[3] = Mul(z, e)
        }
        graph same(z: f32[3]) -> (z) {
        }
        """,
    ),
    "if with an unused result": (
        (*FOLD, *CONTROL),
        """
        graph main(p: bool[], x: f32[3], w: f32[3]) -> (y) {
          y: f32[3], u: f32[3] = If(p, x, w) {then_subgraph_index=@yes, else_subgraph_index=@same}
        }
        graph yes(z: f32[3], c: f32[3]) -> (y, v) {
          y = Neg(z)
          v = Neg(c)
        }
        graph same(z: f32[3], c: f32[3]) -> (z, c) {
        }
        """,
        """
        graph main(p: bool[], x: f32[3], w: f32[3]) -> (y) {
          y: f32[3] = If(p, x) {then_subgraph_index=@yes, else_subgraph_index=@same}
        }
        graph yes(z: f32[3]) -> (y) {
          y: f32[3] = Neg(z)
        }
        graph same(z: f32[3]) -> (z) {
        }
        """,
    ),
    "while false": (
        (*FOLD, *CONTROL),
        """
        graph main(x: f32[n]) -> (y) {
          a = Neg(x)
          i: i32[], y: f32[n] = While(const i32[] 3, a) {cond_subgraph_index=@cond,
            body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[n]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(i: i32[], x: f32[n]) -> (j, z) {
          j = Add(i, const i32[] 1)
          z = Neg(x)
        }
        """,
        """
        graph main(x: f32[n]) -> (y) {
          y: f32[n] = Neg(x)
        }
        """,
    ),
    "while with invariants": (
        (*FOLD, *CONTROL),
        """
        graph main(x: f32[3], w: f32[3], m: i32[]) -> (y, v) {
          i: i32[], y: f32[3], c: f32[3], v: f32[3], k: i32[] = While(const i32[] 0, x, const f32[3] [1,
            2, 3], w, m) {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[3], c: f32[3], w: f32[3], m: i32[]) -> (p) {
          p = Less(i, m)
        }
        graph body(i: i32[], x: f32[3], c: f32[3], w: f32[3], m: i32[]) -> (j, z, c, w, m) {
          j = Add(i, const i32[] 1)
          d = Mul(c, const f32[] 2)
          s = Add(x, d)
          z = Mul(s, w)
        }
        """,
        """
        graph main(x: f32[3], w: f32[3], m: i32[]) -> (y, w) {
          i: i32[], y: f32[3], %5: f32[3], %6: i32[] = While(const i32[] 0, x, w, m)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[3], w: f32[3], m: i32[]) -> (p) {
          p: bool[] = Less(i, m)
        }
        graph body(i: i32[], x: f32[3], w: f32[3], m: i32[]) -> (j, z, w, m) {
          j: i32[] = Add(i, const i32[] 1)
          d = const f32[3] [2.0, 4.0, 6.0]
          s: f32[3] = Add(x, d)
          z: f32[3] = Mul(s, w)
        }
        """,
    ),
    "while with unused variables": (
        (*FOLD, *CONTROL),
        """
        graph main(x: f32[3], w: f32[3]) -> (y) {
          i: i32[], y: f32[3], u: f32[3] = While(const i32[] 0, x, w) {cond_subgraph_index=@cond,
            body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[3], u: f32[3]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(i: i32[], x: f32[3], u: f32[3]) -> (j, z, v) {
          j = Add(i, const i32[] 1)
          z = Add(x, x)
          v = Add(u, x)
        }
        """,
        """
        graph main(x: f32[3], w: f32[3]) -> (y) {
          i: i32[], y: f32[3] = While(const i32[] 0, x) {cond_subgraph_index=@cond,
            body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[3]) -> (p) {
          p: bool[] = Less(i, const i32[] 3)
        }
        graph body(i: i32[], x: f32[3]) -> (j, z) {
          j: i32[] = Add(i, const i32[] 1)
          z: f32[3] = Add(x, x)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewrite(name):
    rules, before, after, *options = CASES[name]
    assert check(before, rules, after, **dict(*options))


UNCHANGED = {
    "if of an unknown predicate": (
        (*FOLD, *CONTROL),
        """
        graph main(p: bool[], x: f32[n]) -> (y) {
          y: f32[n] = If(p, x) {then_subgraph_index=@yes, else_subgraph_index=@same}
        }
        graph yes(z: f32[n]) -> (y) {
          y = Neg(z)
        }
        graph same(z: f32[n]) -> (z) {
        }
        """,
    ),
    "a loop that runs": (
        (*FOLD, *CONTROL),
        """
        graph main(x: f32[n]) -> (y) {
          i: i32[], y: f32[n] = While(const i32[] 0, x) {cond_subgraph_index=@cond,
            body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[n]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(i: i32[], x: f32[n]) -> (j, z) {
          j = Add(i, const i32[] 1)
          z = Neg(x)
        }
        """,
    ),
    "variables that feed each other": (
        (*FOLD, *CONTROL),
        """
        graph main(x: f32[3], w: f32[3]) -> (y) {
          i: i32[], y: f32[3], u: f32[3] = While(const i32[] 0, x, w) {cond_subgraph_index=@cond,
            body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[3], u: f32[3]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(i: i32[], x: f32[3], u: f32[3]) -> (j, z, v) {
          j = Add(i, const i32[] 1)
          z = Add(x, u)
          v = Add(u, const f32[] 1)
        }
        """,
    ),
    "an initial value that is a constant": (
        (*FOLD, *CONTROL),
        """
        graph main(x: f32[3]) -> (y) {
          y: f32[3], i: i32[] = While(const f32[3] [1, 2, 3], const i32[] 0) {cond_subgraph_index=@cond,
            body_subgraph_index=@body}
        }
        graph cond(z: f32[3], i: i32[]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(z: f32[3], i: i32[]) -> (t, j) {
          j = Add(i, const i32[] 1)
          t = Mul(z, const f32[] 2)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_rewrite(name):
    rules, text = UNCHANGED[name]
    check_unchanged(text, rules)
