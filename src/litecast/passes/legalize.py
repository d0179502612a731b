"""Expand into builtins what no rule recognised and no kernel computes; avoid what a kernel gets wrong."""

from __future__ import annotations

from litecast.ir.builder import Builder, Runner
from litecast.ir.graph import Graph, Model, Node, Value
from litecast.ir.rewrite import Applied, Arg, P, Rule, rule
from litecast.lib import special
from litecast.ops import Reshape, Shape, While
from litecast.ops.control import overwritten
from litecast.ops.transient import Erf, Erfc

__all__ = ["LEGALIZE", "protect_loop_state"]


@rule(P(Erf, Arg("x")))
def expand_erf(b: Builder, root: Node, x: Value) -> Value:
    """erf(x) -> tanh of a polynomial"""
    result: Value = special.expand_erf(b, x)
    return result


@rule(P(Erfc, Arg("x")))
def expand_erfc(b: Builder, root: Node, x: Value) -> Value:
    """erfc(x) -> exp(-x^2) times a rational"""
    result: Value = special.expand_erfc(b, x)
    return result


LEGALIZE: tuple[Rule, ...] = (expand_erf, expand_erfc)


def protect_loop_state(model: Model, run: Runner | None = None) -> Applied:
    """Copy every loop variable that the body hands on at a later place.

    The runtime writes the results over the inputs in order (kernels/while.cc), so the body would hand on the
    next value. A RESHAPE to the same shape copies. Nothing that drops such a reshape may run after this.
    """
    applied = Applied()
    bodies = {
        id(op.body_subgraph_index): op.body_subgraph_index
        for graph in model.all_graphs()
        for op in _loops(graph)
    }
    for body in bodies.values():
        places = overwritten(body)
        if places:
            _copy_results(body, places, run)
            applied.update({"protect_loop_state": len(places)})
    return applied


def _loops(graph: Graph) -> list[While]:
    return [node.op for node in graph.nodes if isinstance(node.op, While)]


def _copy_results(body: Graph, places: list[int], run: Runner | None) -> None:
    b = Builder(body, run)
    outputs = list(body.outputs)
    for place in places:
        x = outputs[place]
        shape = b.dims(x.shape) if x.type.is_static else b(Shape(), x)
        outputs[place] = b(Reshape(), x, shape, name=f"{x.name}/copy")
    body.set_outputs(outputs)
