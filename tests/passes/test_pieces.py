"""Slices and updates that are all there is."""

from __future__ import annotations

import pytest

from litecast.ir.graph import Graph, Model
from litecast.ir.rewrite import Applied, apply
from litecast.passes.canonicalize import CANONICALIZE
from litecast.passes.dedupe import dedupe
from litecast.passes.pieces import PIECES, STEPS
from tests.passes.harness import check, check_unchanged


def split_and_merge(graph: Graph) -> Applied:
    """Each slice becomes a split, and equal splits one."""
    applied = apply(graph, PIECES)
    dedupe(Model(graphs=[graph]))
    return applied


CASES = {
    "slices": (
        split_and_merge,
        """
        graph main(x: f32[n,6]) -> (y) {
          a = Slice(x, const i32[2] [0, 0], const i32[2] [-1, 2])
          c = Slice(x, const i32[2] [0, 2], const i32[2] [-1, 2])
          d = Slice(x, const i32[2] [0, 4], const i32[2] [-1, -1])
          e = Mul(a, d)
          y = Add(e, c)
        }
        """,
        """
        graph main(x: f32[n,6]) -> (y) {
          a: f32[n,2], %2: f32[n,2], %3: f32[n,2] = Split(const i32[] 1, x) {num_splits=3}
          e: f32[n,2] = Mul(a, %3)
          y: f32[n,2] = Add(e, %2)
        }
        """,
    ),
    "an only step": (
        PIECES,
        """
        graph main(x: f32[1,n,3]) -> (y) {
          y = StridedSlice(x, const i32[3] [-1, 0, 0], const i32[3] [0, 0, 0], const i32[3] [1, 1,
            1]) {begin_mask=6, end_mask=6, shrink_axis_mask=1}
        }
        """,
        """
        graph main(x: f32[1,n,3]) -> (y) {
          y: f32[n,3] = Reshape(x, const i32[2] [-1, 3])
        }
        """,
    ),
    "an update of all": (
        PIECES,
        """
        graph main(x: f32[2,n], u: f32[2,n], s: i32[2]) -> (y) {
          a = DynamicUpdateSlice(x, u, s)
          y = Neg(a)
        }
        """,
        """
        graph main(x: f32[2,n], u: f32[2,n], s: i32[2]) -> (y) {
          y: f32[2,n] = Neg(u)
        }
        """,
    ),
    "x and x": (
        CANONICALIZE,
        """
        graph main(x: f32[n,2], w: bool[n,2]) -> (y) {
          p = Less(x, const f32[] 1)
          a = LogicalAnd(p, p)
          c = LogicalOr(a, a)
          y = LogicalAnd(c, w)
        }
        """,
        """
        graph main(x: f32[n,2], w: bool[n,2]) -> (y) {
          p: bool[n,2] = Less(x, const f32[] 1.0)
          y: bool[n,2] = LogicalAnd(p, w)
        }
        """,
    ),
    "one step": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[2] [0, 3], const i32[2] [0, 4], const i32[2] [1, 1])
            {begin_mask=1, end_mask=1, shrink_axis_mask=2}
        }
        """,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y: f32[n,4] = Gather(x, const i32[] 3) {axis=1}
        }
        """,
    ),
    "the last channel": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 0, -1], const i32[3] [0, 0, 0], const i32[3] [1, 1,
            1]) {begin_mask=3, end_mask=3, shrink_axis_mask=4}
        }
        """,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y: f32[n,5] = Gather(x, const i32[] 3) {axis=2}
        }
        """,
    ),
    "one of an unknown number": (
        STEPS,
        """
        graph main(x: f32[m,4]) -> (y) {
          y = StridedSlice(x, const i32[2] [1, 0], const i32[2] [2, 0], const i32[2] [1, 1])
            {begin_mask=2, end_mask=2, shrink_axis_mask=1}
        }
        """,
        """
        graph main(x: f32[m,4]) -> (y) {
          y: f32[4] = Gather(x, const i32[] 1)
        }
        """,
    ),
    "every second step": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 1, 0], const i32[3] [0, 0, 0], const i32[3] [1, 2,
            1]) {begin_mask=5, end_mask=7}
        }
        """,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y: f32[n,2,4] = Gather(x, const i32[2] [1, 3]) {axis=1}
        }
        """,
    ),
    "steps backward": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, -2, 0], const i32[3] [0, 0, 0], const i32[3] [1,
            -1, 1]) {begin_mask=5, end_mask=5}
        }
        """,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y: f32[n,3,4] = Gather(x, const i32[3] [3, 2, 1]) {axis=1}
        }
        """,
    ),
    "all steps backward": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 0, 0], const i32[3] [0, 0, 0], const i32[3] [-1, 1,
            1]) {begin_mask=7, end_mask=7}
        }
        """,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y: f32[n,5,4] = ReverseV2(x, const i32[1] [0])
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewrite(name):
    rules, before, after = CASES[name]
    assert check(before, rules, after)


UNCHANGED = {
    "a slice that is missing": (
        PIECES,
        """
        graph main(x: f32[n,6]) -> (y) {
          a = Slice(x, const i32[2] [0, 0], const i32[2] [-1, 2])
          d = Slice(x, const i32[2] [0, 4], const i32[2] [-1, -1])
          y = Mul(a, d)
        }
        """,
    ),
    "slices of several sizes": (
        PIECES,
        """
        graph main(x: f32[n,6]) -> (a, d) {
          a = Slice(x, const i32[2] [0, 0], const i32[2] [-1, 2])
          d = Slice(x, const i32[2] [0, 2], const i32[2] [-1, 4])
        }
        """,
    ),
    "slices along two axes": (
        PIECES,
        """
        graph main(x: f32[4,6]) -> (y) {
          a = Slice(x, const i32[2] [0, 0], const i32[2] [2, 3])
          d = Slice(x, const i32[2] [2, 3], const i32[2] [2, 3])
          y = Mul(a, d)
        }
        """,
    ),
    "slices of an element type that is not split": (
        PIECES,
        """
        graph main(x: bool[n,4]) -> (y) {
          a = Slice(x, const i32[2] [0, 0], const i32[2] [-1, 2])
          d = Slice(x, const i32[2] [0, 2], const i32[2] [-1, 2])
          y = LogicalAnd(a, d)
        }
        """,
    ),
    "one step of two": (
        PIECES,
        """
        graph main(x: f32[2,n,3]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 0, 0], const i32[3] [1, 0, 0], const i32[3] [1, 1,
            1]) {begin_mask=6, end_mask=6, shrink_axis_mask=1}
        }
        """,
    ),
    "the only step backward": (
        PIECES,
        """
        graph main(x: f32[1,n,3]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 0, 0], const i32[3] [1, 0, 0], const i32[3] [1, 1,
            -1]) {begin_mask=6, end_mask=6, shrink_axis_mask=1}
        }
        """,
    ),
    "an update of a part": (
        PIECES,
        """
        graph main(x: f32[4,3], u: f32[2,3], s: i32[2]) -> (y) {
          a = DynamicUpdateSlice(x, u, s)
          y = Neg(a)
        }
        """,
    ),
    "an update of another unknown size": (
        PIECES,
        """
        graph main(x: f32[n,3], u: f32[m,3], s: i32[2]) -> (y) {
          y = DynamicUpdateSlice(x, u, s)
        }
        """,
    ),
    "x and another": (
        CANONICALIZE,
        """
        graph main(x: bool[n,2], w: bool[n,2]) -> (y) {
          y = LogicalAnd(x, w)
        }
        """,
    ),
    "the last of an unknown number": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[3] [-1, 0, 0], const i32[3] [0, 0, 0], const i32[3] [1, 1,
            1]) {begin_mask=6, end_mask=6, shrink_axis_mask=1}
        }
        """,
    ),
    "every second of an unknown number": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 0, 0], const i32[3] [0, 0, 0], const i32[3] [2, 1,
            1]) {begin_mask=7, end_mask=7}
        }
        """,
    ),
    "steps along two axes": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 0, 0], const i32[3] [0, 0, 0], const i32[3] [1, 2,
            2]) {begin_mask=7, end_mask=7}
        }
        """,
    ),
    "an interval": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 1, 0], const i32[3] [0, 3, 0], const i32[3] [1, 1,
            1]) {begin_mask=5, end_mask=5}
        }
        """,
    ),
    "one step of an interval": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 1, 0], const i32[3] [0, 3, 1], const i32[3] [1, 1,
            1]) {begin_mask=1, end_mask=1, shrink_axis_mask=4}
        }
        """,
    ),
    "no step": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 4, 0], const i32[3] [0, 4, 0], const i32[3] [1, 2,
            1]) {begin_mask=5, end_mask=5}
        }
        """,
    ),
    "a new axis": (
        STEPS,
        """
        graph main(x: f32[n,5,4]) -> (y) {
          y = StridedSlice(x, const i32[3] [0, 0, 3], const i32[3] [0, 0, 0], const i32[3] [1, 1,
            1]) {begin_mask=3, end_mask=3, shrink_axis_mask=4, new_axis_mask=1}
        }
        """,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_rewrite(name):
    rules, text = UNCHANGED[name]
    check_unchanged(text, rules)
