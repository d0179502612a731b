"""Less work per turn of a loop."""

from __future__ import annotations

import pytest

from litecast.passes.control import CONTROL
from litecast.passes.hoist import HOIST
from tests.passes.harness import check, check_unchanged

CASES = {
    "a projection": (
        (*HOIST, *CONTROL),
        """
        graph main(x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (y) {
          i: i32[], s: f32[6,n,3], y: f32[n,2], v: f32[2,3] = While(const i32[] 0, x, h, w)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (j, x, z, w) {
          j = Add(i, const i32[] 1)
          g = Gather(x, i)
          d = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6], const f32[2] [1, 2])
          z = Add(d, h)
        }
        """,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (y) {
          %3: f32[6,n,2] = FullyConnected(x, const f32[2,3] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], const
            f32[2] [1.0, 2.0]) {keep_num_dims=true}
          i: i32[], y: f32[n,2], %6: f32[6,n,2] = While(const i32[] 0, h, %3)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], h: f32[n,2], %2: f32[6,n,2]) -> (p) {
          p: bool[] = Less(i, const i32[] 6)
        }
        graph body(i: i32[], h: f32[n,2], %2: f32[6,n,2]) -> (j, z, %2) {
          d: f32[n,2] = Gather(%2, i)
          j: i32[] = Add(i, const i32[] 1)
          z: f32[n,2] = Add(d, h)
        }
        """,
    ),
    "a projection with an activation, backward": (
        HOIST,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (y) {
          i: i32[], s: f32[6,n,3], y: f32[n,2], v: f32[2,3] = While(const i32[] 0, x, h, w)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (j, x, z, w) {
          j = Add(i, const i32[] 1)
          q = Sub(const i32[] 5, i)
          g = Gather(x, q)
          d = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6], const f32[2] [1, 2])
            {fused_activation_function=RELU}
          z = Add(d, h)
        }
        """,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (y) {
          %3: f32[6,n,2] = FullyConnected(x, const f32[2,3] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], const
            f32[2] [1.0, 2.0]) {fused_activation_function=RELU, keep_num_dims=true}
          i: i32[], s: f32[6,n,3], y: f32[n,2], v: f32[2,3], %8: f32[6,n,2] = While(const i32[] 0,
            x, h, w, %3) {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3], %4: f32[6,n,2]) -> (p) {
          p: bool[] = Less(i, const i32[] 6)
        }
        graph body(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3], %4: f32[6,n,2]) -> (j, x, z,
          w, %4) {
          %5: i32[] = Sub(const i32[] 5, i)
          d: f32[n,2] = Gather(%4, %5)
          j: i32[] = Add(i, const i32[] 1)
          z: f32[n,2] = Add(d, h)
        }
        """,
    ),
    "a projection of a sequence of unknown length": (
        HOIST,
        """
        graph main(x: f32[m,n,3], h: f32[n,2]) -> (y) {
          l = Shape(x)
          e = Gather(l, const i32[] 0)
          i: i32[], s: f32[m,n,3], y: f32[n,2], v: i32[] = While(const i32[] 0, x, h, e)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[m,n,3], h: f32[n,2], e: i32[]) -> (p) {
          p = Less(i, e)
        }
        graph body(i: i32[], x: f32[m,n,3], h: f32[n,2], e: i32[]) -> (j, x, z, e) {
          j = Add(i, const i32[] 1)
          g = Gather(x, i)
          d = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6])
          z = Add(d, h)
        }
        """,
        """
        graph main(x: f32[m,n,3], h: f32[n,2]) -> (y) {
          l: i32[3] = Shape(x)
          e: i32[] = Gather(l, const i32[] 0)
          %4: f32[m,n,2] = FullyConnected(x, const f32[2,3] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
            {keep_num_dims=true}
          i: i32[], s: f32[m,n,3], y: f32[n,2], v: i32[], %9: f32[m,n,2] = While(const i32[] 0, x,
            h, e, %4) {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[m,n,3], h: f32[n,2], e: i32[], %4: f32[m,n,2]) -> (p) {
          p: bool[] = Less(i, e)
        }
        graph body(i: i32[], x: f32[m,n,3], h: f32[n,2], e: i32[], %4: f32[m,n,2]) -> (j, x, z, e,
          %4) {
          d: f32[n,2] = Gather(%4, i)
          j: i32[] = Add(i, const i32[] 1)
          z: f32[n,2] = Add(d, h)
        }
        """,
    ),
    "a large projection of a short sequence": (
        HOIST,
        """
        graph main(x: f32[8,n,1], h: f32[n,64]) -> (y) {
          i: i32[], s: f32[8,n,1], y: f32[n,64] = While(const i32[] 0, x, h)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[8,n,1], h: f32[n,64]) -> (p) {
          p = Less(i, const i32[] 8)
        }
        graph body(i: i32[], x: f32[8,n,1], h: f32[n,64]) -> (j, x, z) {
          j = Add(i, const i32[] 1)
          g = Gather(x, i)
          d = FullyConnected(g, const f32[64,1] splat(0.5))
          z = Add(d, h)
        }
        """,
        """
        graph main(x: f32[8,n,1], h: f32[n,64]) -> (y) {
          %2: f32[8,n,64] = FullyConnected(x, const f32[64,1] splat(0.5)) {keep_num_dims=true}
          i: i32[], s: f32[8,n,1], y: f32[n,64], %6: f32[8,n,64] = While(const i32[] 0, x, h, %2)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[8,n,1], h: f32[n,64], %3: f32[8,n,64]) -> (p) {
          p: bool[] = Less(i, const i32[] 8)
        }
        graph body(i: i32[], x: f32[8,n,1], h: f32[n,64], %3: f32[8,n,64]) -> (j, x, z, %3) {
          d: f32[n,64] = Gather(%3, i)
          j: i32[] = Add(i, const i32[] 1)
          z: f32[n,64] = Add(d, h)
        }
        """,
    ),
    "what no turn changes": (
        HOIST,
        """
        graph main(x: f32[n,3], w: f32[n,3], m: i32[]) -> (y) {
          i: i32[], y: f32[n,3], v: f32[n,3], e: i32[] = While(const i32[] 0, x, w, m)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[n,3], w: f32[n,3], m: i32[]) -> (p) {
          p = Less(i, const i32[] 4)
        }
        graph body(i: i32[], x: f32[n,3], w: f32[n,3], m: i32[]) -> (j, z, w, m) {
          j = Add(i, const i32[] 1)
          a = Tanh(w)
          c, d, e = Split(const i32[] 1, a) {num_splits=3}
          f = Add(c, e)
          k = Add(x, f)
          z = Mul(k, d)
        }
        """,
        """
        graph main(x: f32[n,3], w: f32[n,3], m: i32[]) -> (y) {
          %3: f32[n,3] = Tanh(w)
          %4: f32[n,1], %5: f32[n,1], %6: f32[n,1] = Split(const i32[] 1, %3) {num_splits=3}
          %7: f32[n,1] = Add(%4, %6)
          i: i32[], y: f32[n,3], v: f32[n,3], e: i32[], %12: f32[n,1], %13: f32[n,1] = While(const
            i32[] 0, x, w, m, %5, %7) {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[n,3], w: f32[n,3], m: i32[], %4: f32[n,1], %5: f32[n,1]) -> (p)
          {
          p: bool[] = Less(i, const i32[] 4)
        }
        graph body(i: i32[], x: f32[n,3], w: f32[n,3], m: i32[], %4: f32[n,1], %5: f32[n,1]) -> (j,
          z, w, m, %4, %5) {
          j: i32[] = Add(i, const i32[] 1)
          k: f32[n,3] = Add(x, %5)
          z: f32[n,3] = Mul(k, %4)
        }
        """,
    ),
    "two biases": (
        HOIST,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], i: i32[]) -> (y) {
          g = Gather(x, i)
          a = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6], const f32[2] [1, 2])
          c = FullyConnected(h, const f32[2,2] [1, 2, 3, 4], const f32[2] [10, 20])
          y = Add(c, a)
        }
        """,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], i: i32[]) -> (y) {
          g: f32[n,3] = Gather(x, i)
          %4: f32[n,2] = FullyConnected(g, const f32[2,3] [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], const
            f32[2] [11.0, 22.0])
          %5: f32[n,2] = FullyConnected(h, const f32[2,2] [1.0, 2.0, 3.0, 4.0], none)
          y: f32[n,2] = Add(%4, %5)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewrite(name):
    rules, before, after = CASES[name]
    assert check(before, rules, after)


UNCHANGED = {
    "a counter in steps of two": (
        HOIST,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (y) {
          i: i32[], s: f32[6,n,3], y: f32[n,2], v: f32[2,3] = While(const i32[] 0, x, h, w)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (j, x, z, w) {
          j = Add(i, const i32[] 2)
          g = Gather(x, i)
          d = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6], const f32[2] [1, 2])
          z = Add(d, h)
        }
        """,
    ),
    "a sequence that is not read to its end": (
        HOIST,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (y) {
          i: i32[], s: f32[6,n,3], y: f32[n,2], v: f32[2,3] = While(const i32[] 0, x, h, w)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 5)
        }
        graph body(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (j, x, z, w) {
          j = Add(i, const i32[] 1)
          g = Gather(x, i)
          d = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6], const f32[2] [1, 2])
          z = Add(d, h)
        }
        """,
    ),
    "a loop that may end early": (
        HOIST,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (y) {
          i: i32[], s: f32[6,n,3], y: f32[n,2], v: f32[2,3] = While(const i32[] 0, x, h, w)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (p) {
          a = Less(i, const i32[] 6)
          s = Sum(h, const i32[2] [0, 1])
          c = Less(s, const f32[] 100)
          p = LogicalAnd(a, c)
        }
        graph body(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (j, x, z, w) {
          j = Add(i, const i32[] 1)
          g = Gather(x, i)
          d = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6], const f32[2] [1, 2])
          z = Add(d, h)
        }
        """,
    ),
    "a sequence that the body changes": (
        HOIST,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (y) {
          i: i32[], s: f32[6,n,3], y: f32[n,2], v: f32[2,3] = While(const i32[] 0, x, h, w)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (j, q, z, w) {
          j = Add(i, const i32[] 1)
          q = Neg(x)
          g = Gather(x, i)
          d = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6], const f32[2] [1, 2])
          z = Add(d, h)
        }
        """,
    ),
    "weights that are not constant": (
        HOIST,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (y) {
          i: i32[], s: f32[6,n,3], y: f32[n,2], v: f32[2,3] = While(const i32[] 0, x, h, w)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (j, x, z, w) {
          j = Add(i, const i32[] 1)
          g = Gather(x, i)
          d = FullyConnected(g, w)
          z = Add(d, h)
        }
        """,
    ),
    "steps that are not counted": (
        HOIST,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (y) {
          i: i32[], s: f32[6,n,3], y: f32[n,2], v: f32[2,3] = While(const i32[] 0, x, h, w)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (j, x, z, w) {
          j = Add(i, const i32[] 1)
          q = Mul(i, const i32[] 0)
          g = Gather(x, q)
          d = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6], const f32[2] [1, 2])
          z = Add(d, h)
        }
        """,
    ),
    "a step backward of another length": (
        HOIST,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (y) {
          i: i32[], s: f32[6,n,3], y: f32[n,2], v: f32[2,3] = While(const i32[] 0, x, h, w)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (p) {
          p = Less(i, const i32[] 6)
        }
        graph body(i: i32[], x: f32[6,n,3], h: f32[n,2], w: f32[2,3]) -> (j, x, z, w) {
          j = Add(i, const i32[] 1)
          q = Sub(const i32[] 6, i)
          g = Gather(x, q)
          d = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6], const f32[2] [1, 2])
          z = Add(d, h)
        }
        """,
    ),
    "a large projection of a long sequence": (
        HOIST,
        """
        graph main(x: f32[20000,n,1], h: f32[n,64]) -> (y) {
          i: i32[], s: f32[20000,n,1], y: f32[n,64] = While(const i32[] 0, x, h)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[20000,n,1], h: f32[n,64]) -> (p) {
          p = Less(i, const i32[] 20000)
        }
        graph body(i: i32[], x: f32[20000,n,1], h: f32[n,64]) -> (j, x, z) {
          j = Add(i, const i32[] 1)
          g = Gather(x, i)
          d = FullyConnected(g, const f32[64,1] splat(0.5))
          z = Add(d, h)
        }
        """,
    ),
    "what a turn changes": (
        HOIST,
        """
        graph main(x: f32[n,3], w: f32[n,3], m: i32[]) -> (y) {
          i: i32[], y: f32[n,3], v: f32[n,3], e: i32[] = While(const i32[] 0, x, w, m)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[n,3], w: f32[n,3], m: i32[]) -> (p) {
          p = Less(i, const i32[] 4)
        }
        graph body(i: i32[], x: f32[n,3], w: f32[n,3], m: i32[]) -> (j, z, w, m) {
          j = Add(i, const i32[] 1)
          a = Tanh(x)
          z = Mul(a, w)
        }
        """,
    ),
    "a loop that may not run": (
        HOIST,
        """
        graph main(x: f32[n,3], w: f32[n,3], m: i32[]) -> (y) {
          i: i32[], y: f32[n,3], v: f32[n,3], e: i32[] = While(const i32[] 0, x, w, m)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[n,3], w: f32[n,3], m: i32[]) -> (p) {
          p = Less(i, m)
        }
        graph body(i: i32[], x: f32[n,3], w: f32[n,3], m: i32[]) -> (j, z, w, m) {
          j = Add(i, const i32[] 1)
          a = Tanh(w)
          z = Mul(a, x)
        }
        """,
    ),
    "what is large": (
        HOIST,
        """
        graph main(x: f32[2,3], w: f32[1,3]) -> (y) {
          i: i32[], y: f32[2,3], v: f32[1,3] = While(const i32[] 0, x, w)
            {cond_subgraph_index=@cond, body_subgraph_index=@body}
        }
        graph cond(i: i32[], x: f32[2,3], w: f32[1,3]) -> (p) {
          p = Less(i, const i32[] 4)
        }
        graph body(i: i32[], x: f32[2,3], w: f32[1,3]) -> (j, z, w) {
          j = Add(i, const i32[] 1)
          a = Tile(w, const i32[2] [400000, 1])
          c = Mean(a, const i32[1] [0])
          z = Add(x, c)
        }
        """,
    ),
    "a bias of its own activation": (
        HOIST,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], i: i32[]) -> (y) {
          g = Gather(x, i)
          a = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6], const f32[2] [1, 2])
          c = FullyConnected(h, const f32[2,2] [1, 2, 3, 4], const f32[2] [10, 20])
            {fused_activation_function=RELU}
          y = Add(c, a)
        }
        """,
    ),
    "a product that is used elsewhere": (
        HOIST,
        """
        graph main(x: f32[6,n,3], h: f32[n,2], i: i32[]) -> (y, c) {
          g = Gather(x, i)
          a = FullyConnected(g, const f32[2,3] [1, 2, 3, 4, 5, 6], const f32[2] [1, 2])
          c = FullyConnected(h, const f32[2,2] [1, 2, 3, 4], const f32[2] [10, 20])
          y = Add(c, a)
        }
        """,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_no_rewrite(name):
    rules, text = UNCHANGED[name]
    check_unchanged(text, rules)
