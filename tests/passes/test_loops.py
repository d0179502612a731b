"""Loops with fewer variables."""

from __future__ import annotations

import pytest

from litecast.passes.loops import LOOPS
from tests.passes.harness import check, check_unchanged

CASES = {
    "two counters": (
        LOOPS,
        """
        graph main(x: f32[n,3]) -> (y) {
          i: i32[], k: i32[], y: f32[n,3] = While(const i32[] 0, const i32[] 0, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], k: i32[], x: f32[n,3]) -> (p) {
          a = Less(i, const i32[] 4)
          c = Less(k, const i32[] 4)
          p = LogicalAnd(a, c)
        }
        graph body(i: i32[], k: i32[], x: f32[n,3]) -> (j, l, z) {
          j = Add(i, const i32[] 1)
          l = Add(k, const i32[] 1)
          f = Cast(k) {in_data_type=INT32, out_data_type=FLOAT32}
          z = Add(x, f)
        }
        """,
        """
        graph main(x: f32[n,3]) -> (y) {
          k: i32[], y: f32[n,3] = While(const i32[] 0, x) {cond_subgraph_index=@cond,
            body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[n,3]) -> (p) {
          a: bool[] = Less(i, const i32[] 4)
          c: bool[] = Less(i, const i32[] 4)
          p: bool[] = LogicalAnd(a, c)
        }
        graph body(i: i32[], x: f32[n,3]) -> (j, z) {
          j: i32[] = Add(i, const i32[] 1)
          f: f32[] = Cast(i) {in_data_type=INT32, out_data_type=FLOAT32}
          z: f32[n,3] = Add(x, f)
        }
        """,
    ),
    "variables that are made of each other": (
        LOOPS,
        """
        graph main(x: f32[2,3], w: f32[2,3]) -> (y) {
          i: i32[], a: f32[2,3], c: f32[2,3] = While(const i32[] 0, x, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          y = Mul(a, c)
        }
        graph cond(i: i32[], a: f32[2,3], c: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(i: i32[], a: f32[2,3], c: f32[2,3]) -> (j, d, e) {
          j = Add(i, const i32[] 1)
          d = Tanh(c)
          e = Tanh(a)
        }
        """,
        """
        graph main(x: f32[2,3], w: f32[2,3]) -> (y) {
          i: i32[], c: f32[2,3] = While(const i32[] 0, x) {cond_subgraph_index=@cond,
            body_subgraph_index=@body}
          y: f32[2,3] = Mul(c, c)
        }
        graph cond(i: i32[], a: f32[2,3]) -> (p) {
          p: bool[] = Less(i, const i32[] 3)
        }
        graph body(i: i32[], a: f32[2,3]) -> (j, d) {
          j: i32[] = Add(i, const i32[] 1)
          d: f32[2,3] = Tanh(a)
        }
        """,
    ),
    "an output that is a state": (
        LOOPS,
        """
        graph main(x: f32[n,3]) -> (z) {
          s = Reshape(x, const i32[3] [1, -1, 3])
          i: i32[], y: f32[1,n,3], h: f32[n,3] = While(const i32[] 0, s, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          z = Neg(y)
        }
        graph cond(i: i32[], y: f32[1,n,3], h: f32[n,3]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(i: i32[], y: f32[1,n,3], h: f32[n,3]) -> (j, r, t) {
          j = Add(i, const i32[] 1)
          t = Tanh(h)
          r = Reshape(t, const i32[3] [1, -1, 3])
        }
        """,
        """
        graph main(x: f32[n,3]) -> (z) {
          i: i32[], h: f32[n,3] = While(const i32[] 0, x) {cond_subgraph_index=@cond,
            body_subgraph_index=@body}
          y: f32[1,n,3] = Reshape(h, const i32[3] [1, -1, 3])
          z: f32[1,n,3] = Neg(y)
        }
        graph cond(i: i32[], h: f32[n,3]) -> (p) {
          p: bool[] = Less(i, const i32[] 3)
        }
        graph body(i: i32[], h: f32[n,3]) -> (j, t) {
          j: i32[] = Add(i, const i32[] 1)
          t: f32[n,3] = Tanh(h)
        }
        """,
    ),
    "an output of a loop of unknown length": (
        LOOPS,
        """
        graph main(m: i32[], x: f32[n,3]) -> (z) {
          s = Fill(const i32[3] [1, 2, 3], const f32[] 0)
          o = Fill(const i32[2] [2, 3], const f32[] 0)
          i: i32[], y: f32[1,2,3], h: f32[2,3], e: i32[] = While(const i32[] 0, s, o, m)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          z = Neg(y)
        }
        graph cond(i: i32[], y: f32[1,2,3], h: f32[2,3], m: i32[]) -> (p) {
          p = Less(i, m)
        }
        graph body(i: i32[], y: f32[1,2,3], h: f32[2,3], m: i32[]) -> (j, r, t, m) {
          j = Add(i, const i32[] 1)
          t = Add(h, const f32[] 1)
          r = Reshape(t, const i32[3] [1, 2, 3])
        }
        """,
        """
        graph main(m: i32[], x: f32[n,3]) -> (z) {
          o: f32[2,3] = Fill(const i32[2] [2, 3], const f32[] 0.0)
          i: i32[], h: f32[2,3], e: i32[] = While(const i32[] 0, o, m) {cond_subgraph_index=@cond,
            body_subgraph_index=@body}
          y: f32[1,2,3] = Reshape(h, const i32[3] [1, 2, 3])
          z: f32[1,2,3] = Neg(y)
        }
        graph cond(i: i32[], h: f32[2,3], m: i32[]) -> (p) {
          p: bool[] = Less(i, m)
        }
        graph body(i: i32[], h: f32[2,3], m: i32[]) -> (j, t, m) {
          j: i32[] = Add(i, const i32[] 1)
          t: f32[2,3] = Add(h, const f32[] 1.0)
        }
        """,
    ),
    "the last step": (
        LOOPS,
        """
        graph main(x: f32[n,3], y: f32[6,n,3]) -> (z) {
          i: i32[], s: f32[6,n,3], h: f32[n,3] = While(const i32[] 0, y, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          z = StridedSlice(s, const i32[3] [5, 0, 0], const i32[3] [0, 0, 0], const i32[3] [1, 1,
            1]) {begin_mask=6, end_mask=6, shrink_axis_mask=1}
        }
        graph cond(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (j, r, t) {
          j = Add(i, const i32[] 1)
          t = Tanh(h)
          u = Reshape(t, const i32[3] [1, -1, 3])
          o = Pack(i, const i32[] 0, const i32[] 0) {values_count=3}
          r = DynamicUpdateSlice(y, u, o)
        }
        """,
        """
        graph main(x: f32[n,3], y: f32[6,n,3]) -> (z) {
          i: i32[], s: f32[6,n,3], h: f32[n,3] = While(const i32[] 0, y, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          z: f32[n,3] = Reshape(h, const i32[2] [-1, 3])
        }
        graph cond(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (p) {
          p: bool[] = Less(i, const i32[] 6)
        }
        graph body(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (j, r, t) {
          j: i32[] = Add(i, const i32[] 1)
          t: f32[n,3] = Tanh(h)
          u: f32[1,n,3] = Reshape(t, const i32[3] [1, -1, 3])
          o: i32[3] = Pack(i, const i32[] 0, const i32[] 0) {values_count=3}
          r: f32[6,n,3] = DynamicUpdateSlice(y, u, o)
        }
        """,
    ),
    "the last step, batch first": (
        LOOPS,
        """
        graph main(x: f32[n,3], y: f32[6,n,3]) -> (z) {
          i: i32[], s: f32[6,n,3], h: f32[n,3] = While(const i32[] 0, y, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          v = Transpose(s, const i32[3] [1, 0, 2])
          z = StridedSlice(v, const i32[3] [0, -1, 0], const i32[3] [0, 0, 0], const i32[3] [1, 1,
            1]) {begin_mask=5, end_mask=5, shrink_axis_mask=2}
        }
        graph cond(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (j, r, t) {
          j = Add(i, const i32[] 1)
          t = Tanh(h)
          u = Reshape(t, const i32[3] [1, -1, 3])
          o = Pack(i, const i32[] 0, const i32[] 0) {values_count=3}
          r = DynamicUpdateSlice(y, u, o)
        }
        """,
        """
        graph main(x: f32[n,3], y: f32[6,n,3]) -> (z) {
          i: i32[], s: f32[6,n,3], h: f32[n,3] = While(const i32[] 0, y, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          z: f32[n,3] = Reshape(h, const i32[2] [-1, 3])
        }
        graph cond(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (p) {
          p: bool[] = Less(i, const i32[] 6)
        }
        graph body(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (j, r, t) {
          j: i32[] = Add(i, const i32[] 1)
          t: f32[n,3] = Tanh(h)
          u: f32[1,n,3] = Reshape(t, const i32[3] [1, -1, 3])
          o: i32[3] = Pack(i, const i32[] 0, const i32[] 0) {values_count=3}
          r: f32[6,n,3] = DynamicUpdateSlice(y, u, o)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewrite(name):
    rules, before, after = CASES[name]
    assert check(before, rules, after)


UNCHANGED = {
    "variables that start differently": (
        LOOPS,
        """
        graph main(x: f32[2,3]) -> (y) {
          o = Neg(x)
          i: i32[], a: f32[2,3], c: f32[2,3] = While(const i32[] 0, x, o)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          y = Mul(a, c)
        }
        graph cond(i: i32[], a: f32[2,3], c: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(i: i32[], a: f32[2,3], c: f32[2,3]) -> (j, d, e) {
          j = Add(i, const i32[] 1)
          d = Tanh(a)
          e = Tanh(c)
        }
        """,
    ),
    "variables that go on differently": (
        LOOPS,
        """
        graph main(x: f32[2,3]) -> (y) {
          i: i32[], a: f32[2,3], c: f32[2,3] = While(const i32[] 0, x, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          y = Mul(a, c)
        }
        graph cond(i: i32[], a: f32[2,3], c: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(i: i32[], a: f32[2,3], c: f32[2,3]) -> (j, d, e) {
          j = Add(i, const i32[] 1)
          d = Add(a, const f32[] 1)
          e = Add(c, const f32[] 2)
        }
        """,
    ),
    "variables that differ after a turn": (
        LOOPS,
        """
        graph main(x: f32[2,3]) -> (y) {
          i: i32[], a: f32[2,3], c: f32[2,3] = While(const i32[] 0, x, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          y = Mul(a, c)
        }
        graph cond(i: i32[], a: f32[2,3], c: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(i: i32[], a: f32[2,3], c: f32[2,3]) -> (j, d, e) {
          j = Add(i, const i32[] 1)
          d = Add(a, c)
          e = Sub(a, c)
        }
        """,
    ),
    "two results of the graph": (
        LOOPS,
        """
        graph main(x: f32[2,3]) -> (a, c) {
          i: i32[], a: f32[2,3], c: f32[2,3] = While(const i32[] 0, x, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], a: f32[2,3], c: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(i: i32[], a: f32[2,3], c: f32[2,3]) -> (j, d, e) {
          j = Add(i, const i32[] 1)
          d = Tanh(a)
          e = Tanh(c)
        }
        """,
    ),
    "a step that is not the last": (
        LOOPS,
        """
        graph main(x: f32[n,3], y: f32[6,n,3]) -> (z) {
          i: i32[], s: f32[6,n,3], h: f32[n,3] = While(const i32[] 0, y, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          z = StridedSlice(s, const i32[3] [4, 0, 0], const i32[3] [0, 0, 0], const i32[3] [1, 1,
            1]) {begin_mask=6, end_mask=6, shrink_axis_mask=1}
        }
        graph cond(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (j, r, t) {
          j = Add(i, const i32[] 1)
          t = Tanh(h)
          u = Reshape(t, const i32[3] [1, -1, 3])
          o = Pack(i, const i32[] 0, const i32[] 0) {values_count=3}
          r = DynamicUpdateSlice(y, u, o)
        }
        """,
    ),
    "two last steps": (
        LOOPS,
        """
        graph main(x: f32[n,3], y: f32[6,n,3]) -> (z) {
          i: i32[], s: f32[6,n,3], h: f32[n,3] = While(const i32[] 0, y, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          z = StridedSlice(s, const i32[3] [4, 0, 0], const i32[3] [6, 0, 0], const i32[3] [1, 1,
            1]) {begin_mask=6, end_mask=6}
        }
        graph cond(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (j, r, t) {
          j = Add(i, const i32[] 1)
          t = Tanh(h)
          u = Reshape(t, const i32[3] [1, -1, 3])
          o = Pack(i, const i32[] 0, const i32[] 0) {values_count=3}
          r = DynamicUpdateSlice(y, u, o)
        }
        """,
    ),
    "a loop that ends before the last step": (
        LOOPS,
        """
        graph main(x: f32[n,3], y: f32[6,n,3]) -> (z) {
          i: i32[], s: f32[6,n,3], h: f32[n,3] = While(const i32[] 0, y, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          z = StridedSlice(s, const i32[3] [5, 0, 0], const i32[3] [0, 0, 0], const i32[3] [1, 1,
            1]) {begin_mask=6, end_mask=6, shrink_axis_mask=1}
        }
        graph cond(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (p) {
          p = Less(i, const i32[] 5)
        }
        graph body(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (j, r, t) {
          j = Add(i, const i32[] 1)
          t = Tanh(h)
          u = Reshape(t, const i32[3] [1, -1, 3])
          o = Pack(i, const i32[] 0, const i32[] 0) {values_count=3}
          r = DynamicUpdateSlice(y, u, o)
        }
        """,
    ),
    "a state that is not what is written": (
        LOOPS,
        """
        graph main(x: f32[n,3], y: f32[6,n,3]) -> (z) {
          i: i32[], s: f32[6,n,3], h: f32[n,3] = While(const i32[] 0, y, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          z = StridedSlice(s, const i32[3] [5, 0, 0], const i32[3] [0, 0, 0], const i32[3] [1, 1,
            1]) {begin_mask=6, end_mask=6, shrink_axis_mask=1}
        }
        graph cond(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], y: f32[6,n,3], h: f32[n,3]) -> (j, r, k) {
          j = Add(i, const i32[] 1)
          t = Tanh(h)
          k = Neg(t)
          u = Reshape(t, const i32[3] [1, -1, 3])
          o = Pack(i, const i32[] 0, const i32[] 0) {values_count=3}
          r = DynamicUpdateSlice(y, u, o)
        }
        """,
    ),
    "an output that the body reads": (
        LOOPS,
        """
        graph main(x: f32[n,3]) -> (z) {
          s = Reshape(x, const i32[3] [1, -1, 3])
          i: i32[], y: f32[1,n,3], h: f32[n,3] = While(const i32[] 0, s, x)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          z = Neg(y)
        }
        graph cond(i: i32[], y: f32[1,n,3], h: f32[n,3]) -> (p) {
          p = Less(i, const i32[] 3)
        }
        graph body(i: i32[], y: f32[1,n,3], h: f32[n,3]) -> (j, r, t) {
          j = Add(i, const i32[] 1)
          v = Reshape(y, const i32[2] [-1, 3])
          t = Sub(h, v)
          r = Reshape(t, const i32[3] [1, -1, 3])
        }
        """,
    ),
    "an output of a loop that may not run": (
        LOOPS,
        """
        graph main(m: i32[], x: f32[2,3]) -> (z) {
          s = Fill(const i32[3] [1, 2, 3], const f32[] 1)
          o = Fill(const i32[2] [2, 3], const f32[] 0)
          i: i32[], y: f32[1,2,3], h: f32[2,3], e: i32[] = While(const i32[] 0, s, o, m)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
          z = Neg(y)
        }
        graph cond(i: i32[], y: f32[1,2,3], h: f32[2,3], m: i32[]) -> (p) {
          p = Less(i, m)
        }
        graph body(i: i32[], y: f32[1,2,3], h: f32[2,3], m: i32[]) -> (j, r, t, m) {
          j = Add(i, const i32[] 1)
          t = Add(h, const f32[] 1)
          r = Reshape(t, const i32[3] [1, 2, 3])
        }
        """,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_rewrite(name):
    rules, text = UNCHANGED[name]
    check_unchanged(text, rules)
