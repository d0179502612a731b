"""Expand into builtins what no rule recognised and no kernel computes; avoid what a kernel gets wrong."""

from __future__ import annotations

import numpy as np

from litecast.ir.builder import Builder, Runner
from litecast.ir.graph import Graph, Model, Node, Value
from litecast.ir.rewrite import Applied, Arg, P, Rule, rule
from litecast.lib import special
from litecast.ops import (
    Add,
    BroadcastArgs,
    Concatenation,
    Gather,
    If,
    Mul,
    Range,
    Rank,
    ReduceMax,
    ReduceMin,
    ReduceProd,
    Reshape,
    Shape,
    StridedSlice,
    Sum,
    Tile,
    While,
)
from litecast.ops.control import overwritten
from litecast.ops.transient import Erf, Erfc

__all__ = ["LEGALIZE", "protect"]


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


EARLY = frozenset({
    BroadcastArgs, Concatenation, Gather, Mul, Range, ReduceMax, ReduceMin, ReduceProd, Reshape,
    StridedSlice, Sum, Tile,
})  # fmt: skip
"""Kernels that compute while they are prepared, if all operands are constants or were computed so too (those
that call SetTensorToPersistentRo)."""


def protect_branch_results(model: Model, run: Runner | None = None) -> Applied:
    """Copy every result of a branch that its kernel computes while it is prepared, as it does sizes.

    The runtime points the results of a branch at those of the operation (kernels/if.cc, Eval_static), so such
    a number is lost and its memory freed twice. An addition always computes.
    """
    applied = Applied()
    ends = [node.op for graph in model.all_graphs() for node in graph.nodes if isinstance(node.op, If)]
    branches = [graph for op in ends for graph in (op.then_subgraph_index, op.else_subgraph_index)]
    for branch in {id(graph): graph for graph in branches}.values():
        places = [place for place, value in enumerate(branch.outputs) if _is_early(value)]
        if places:
            b = Builder(branch, run)
            outputs = list(branch.outputs)
            for place in places:
                x = outputs[place]
                outputs[place] = b(Add(), x, b.const(np.zeros((), x.dtype.numpy)), name=f"{x.name}/copy")
            branch.set_outputs(outputs)
            applied.update({"protect_branch_results": len(places)})
    return applied


def _is_early(value: Value) -> bool:
    node = value.producer
    if node is None:
        return False
    if isinstance(node.op, (Shape, Rank)):
        return True
    return type(node.op) in EARLY and all(x is None or x.is_const or _is_early(x) for x in node.inputs)


def protect(model: Model, run: Runner | None = None) -> Applied:
    """Avoid what the runtime gets wrong about the results of loops and branches."""
    applied = protect_loop_state(model, run)
    applied.merge(protect_branch_results(model, run))
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
