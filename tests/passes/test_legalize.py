"""What the runtime's loops get wrong is avoided."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.ir.graph import Model
from litecast.ir.text import parse_model
from litecast.ops.control import overwritten
from litecast.passes import optimize, prepare
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write

SWAP = """
signature main = main(x, y) -> (p, q)
graph main(x: f32[{dim}], y: f32[{dim}]) -> (p, q) {{
  i: i32[], p: f32[{dim}], q: f32[{dim}] = While(const i32[] 0, x, y)
    {{cond_subgraph_index=@cond, body_subgraph_index=@body}}
}}
graph cond(i: i32[], a: f32[{dim}], b: f32[{dim}]) -> (t) {{
  t = Less(i, const i32[] 3)
}}
graph body(i: i32[], a: f32[{dim}], b: f32[{dim}]) -> (j, s, a) {{
  j = Add(i, const i32[] 1)
  s = Add(a, b)
}}
"""


@pytest.mark.parametrize("dim", ["2", "n"])
@pytest.mark.parametrize("passes", [prepare, optimize])
def test_loop_variables_keep_their_values(dim, passes):
    model = parse_model(SWAP.format(dim=dim))
    assert isinstance(model, Model)
    passes(model)
    (body,) = (graph for graph in model.all_graphs() if graph.name == "body")
    assert not overwritten(body)
    found = Runtime(write(model)).run([np.float32([1, 2]), np.float32([10, 20])])
    np.testing.assert_array_equal(found["p"], [23, 46])  # the Fibonacci sequence from 10, 1
    np.testing.assert_array_equal(found["q"], [12, 24])


SIZES = """
signature main = main(t, x) -> (size, twice)
graph main(t: bool[], x: f32[n,3]) -> (size, twice) {
  size: i32[], twice: i32[] = If(t, x) {then_subgraph_index=@yes, else_subgraph_index=@no}
}
graph yes(x: f32[n,3]) -> (size, twice) {
  shape = Shape(x)
  size = Gather(shape, const i32[] 0)
  twice = Mul(size, const i32[] 2)
}
graph no(x: f32[n,3]) -> (size, twice) {
  size = const i32[] 7
  twice = const i32[] 9
}
"""


@pytest.mark.parametrize("passes", [prepare, optimize])
def test_sizes_leave_a_branch(passes):
    """Without a copy LiteRT loses them and frees memory twice."""
    model = parse_model(SIZES)
    assert isinstance(model, Model)
    passes(model)
    runtime = Runtime(write(model))
    for rows in (2, 5, 5):
        for taken, wanted in ((True, (rows, 2 * rows)), (False, (7, 9))):
            found = runtime.run([np.bool_(taken), np.zeros((rows, 3), np.float32)])
            assert (found["size"], found["twice"]) == wanted
