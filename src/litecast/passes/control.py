"""Control flow: decided branches are inlined, and graphs take only the operands that they need.

Subgraphs are never changed in place: a new graph is made by copying the old one through the Builder, which
folds whatever became constant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Node, Value, constant
from litecast.ir.rewrite import Const, P, Rule, no, refine, rule
from litecast.ops import If, While

__all__ = ["CONTROL", "first_answer", "inline"]


def inline(
    b: Builder, graph: Graph, operands: Sequence[Value], results: Sequence[int] | None = None,
    given: Mapping[Value, Value] | None = None,
) -> list[Value]:  # fmt: skip
    """Copy a graph's nodes through the Builder, operands in place of its inputs; return its results.

    `results` names the results that are wanted (None: all); what only the others need is left out. `given`
    maps values of the graph to what stands for them in the copy, so that they need not be computed.
    """
    copies: dict[Value, Value] = {**dict(zip(graph.inputs, operands, strict=True)), **(given or {})}
    wanted = graph.outputs if results is None else [graph.outputs[index] for index in results]
    outer = b.loc
    for node in _live(graph, wanted, given or {}):
        inputs = [None if value is None else _copy_of(value, copies) for value in node.inputs]
        with b.at(replace(node.loc, parents=(*node.loc.parents, outer)) if outer.name else node.loc):
            made = b(node.op, *inputs)
        for old, new in zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=True):
            if old in copies:
                continue
            if not new.is_const or not new.uses:
                refine(old, new)
                new.name = old.name
            copies[old] = new
    return [_copy_of(value, copies) for value in wanted]


def _live(graph: Graph, wanted: Sequence[Value], given: Collection[Value]) -> list[Node]:
    """Return the nodes that have an effect or that the wanted results need beside what is given, in order."""
    needed = set(wanted).difference(given)
    live = []
    for node in reversed(graph.nodes):
        if node.op.effect != "pure" or any(output in needed for output in node.outputs):
            live.append(node)
            needed.update(value for value in node.inputs if value is not None and value not in given)
    return live[::-1]


def _copy_of(value: Value, copies: dict[Value, Value]) -> Value:
    """Return what stands for a value in the copy: a constant gets one of its own, on the same array."""
    if value not in copies and value.is_const:
        copies[value] = constant(value.const, value.name, value.type.quant)
    return copies[value]


def _copied(
    b: Builder, graph: Graph, fixed: dict[int, Value], kept: Sequence[int], outputs: Sequence[int] | None
) -> Graph:
    """Return a copy of a graph with the inputs `kept`, the others `fixed`, and the given results."""
    copy = Graph(graph.name)
    operands = []
    for index, value in enumerate(graph.inputs):
        # An input that nobody needs any more stands for itself: no node that is copied reads it.
        if index in kept:
            operands.append(copy.add_input(value.type, value.name))
        else:
            given = fixed.get(index, value)
            operands.append(constant(given.const, value.name, given.type.quant) if given.is_const else given)
    copy.set_outputs(inline(Builder(copy, b.run), graph, operands, outputs))
    return copy


# -- decided control flow ------------------------------------------------------------------------------------


@rule(P(If, Const("predicate")), quantized=True)
def inline_decided_if(b: Builder, root: Node, predicate: Value) -> Any:
    """if(true, x) -> then(x)"""
    op = root.op
    assert isinstance(op, If)
    taken = op.then_subgraph_index if predicate.array().all() else op.else_subgraph_index
    return tuple(inline(b, taken, root.inputs[1:]))  # type: ignore[arg-type]


@rule(P(While), quantized=True)
def drop_idle_while(b: Builder, root: Node) -> Any:
    """while(false, x) -> x"""
    answer = first_answer(b, root)
    if answer is None:
        return no("the condition is not known")
    return no("the body runs") if answer else tuple(root.inputs)


def first_answer(b: Builder, root: Node) -> bool | None:
    """Return what the condition of a loop says before the first turn; None where that is not known."""
    op = root.op
    assert isinstance(op, While)
    cond = op.cond_subgraph_index
    if not cond.outputs[0].is_const and not _decided_by_constants(cond, root):
        return None
    scratch = Builder(Graph(cond.name), b.run)
    answer = inline(scratch, cond, root.inputs)[0]  # type: ignore[arg-type]
    known = bool(answer.array().all()) if answer.is_const else None
    for node in scratch.nodes:
        node.detach()
    return known


def _decided_by_constants(cond: Graph, root: Node) -> bool:
    """Whether a condition reads only operands that start as constants, so that its first answer is known."""
    pairs = zip(cond.inputs, root.inputs, strict=True)
    return all(operand is not None and operand.is_const for value, operand in pairs if value.uses)


# -- operands ------------------------------------------------------------------------------------------------


@rule(P(If), quantized=True)
def narrow_if(b: Builder, root: Node) -> Any:
    """if(p, x, 3, unused) -> if(p, x), the constant inside"""
    op = root.op
    assert isinstance(op, If)
    branches = {"then_subgraph_index": op.then_subgraph_index, "else_subgraph_index": op.else_subgraph_index}
    operands: list[Any] = root.inputs[1:]
    kept = [
        index
        for index, operand in enumerate(operands)
        if not operand.is_const and any(graph.inputs[index].uses for graph in branches.values())
    ]
    results = [index for index, output in enumerate(root.outputs) if output.uses]
    if len(kept) == len(operands) and (len(results) == len(root.outputs) or not results):
        return no("all operands and results are needed")
    results = results or list(range(len(root.outputs)))
    fixed = {index: operand for index, operand in enumerate(operands) if operand.is_const}
    narrow = {name: _copied(b, graph, fixed, kept, results) for name, graph in branches.items()}
    made = b(replace(op, **narrow), root.inputs[0], *(operands[index] for index in kept))
    by_index = dict(zip(results, made, strict=True))
    return tuple(by_index.get(index) or _unread(output) for index, output in enumerate(root.outputs))


def _unread(output: Value) -> Value:
    """Return what stands for a result that nobody reads."""
    return Value(output.type)


@rule(P(While), quantized=True)
def narrow_while(b: Builder, root: Node) -> Any:
    """while(x, constant invariant, unused) -> while(x), the constant inside"""
    op = root.op
    assert isinstance(op, While)
    cond, body = op.cond_subgraph_index, op.body_subgraph_index
    operands: list[Any] = root.inputs
    invariant = [body.outputs[index] is value for index, value in enumerate(body.inputs)]
    needed = _needed(root, cond, body)
    kept = [
        i for i, operand in enumerate(operands) if i in needed and not (invariant[i] and operand.is_const)
    ]
    bypassed = [i for i in kept if invariant[i] and root.outputs[i].uses]
    if len(kept) == len(operands) and not bypassed:
        return no("all operands and results are needed")
    if not kept:
        return no("the loop carries nothing")
    fixed = {i: operand for i, operand in enumerate(operands) if invariant[i] and operand.is_const}
    loop: Any = op
    if len(kept) < len(operands):
        loop = While(_copied(b, cond, fixed, kept, None), _copied(b, body, fixed, kept, kept))
    made = dict(zip(kept, b(loop, *(operands[i] for i in kept)), strict=True))
    return tuple(
        operands[i] if invariant[i] else made[i] if i in made else _unread(output)
        for i, output in enumerate(root.outputs)
    )


def _needed(root: Node, cond: Graph, body: Graph) -> set[int]:
    """Return which loop variables somebody reads: the user, the condition, effects, or another needed one."""
    read = _inputs_read(body)
    needed = {i for i, output in enumerate(root.outputs) if output.uses or cond.inputs[i].uses}
    needed |= {i for i in range(len(body.inputs)) if -1 in read[i]}
    pending = list(needed)
    while pending:
        result = pending.pop()
        found = {i for i in range(len(body.inputs)) if result in read[i]} - needed
        needed |= found
        pending += found
    return needed


def _inputs_read(graph: Graph) -> list[set[int]]:
    """Return, per input of a graph, which results it flows into; -1 stands for an effect."""
    reached: dict[Value, set[int]] = {}
    for index, value in enumerate(graph.outputs):
        reached.setdefault(value, set()).add(index)
    for node in reversed(graph.nodes):
        flow = set().union(*(reached.get(output, set()) for output in node.outputs))
        if node.op.effect != "pure":
            flow.add(-1)
        for operand in node.inputs:
            if operand is not None and flow:
                reached.setdefault(operand, set()).update(flow)
    return [reached.get(value, set()) for value in graph.inputs]


CONTROL: tuple[Rule, ...] = (inline_decided_if, drop_idle_while, narrow_if, narrow_while)
