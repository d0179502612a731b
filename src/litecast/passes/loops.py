"""Loops with fewer variables: equal ones are one, and what only the last turn decides is made of the state.

A loop's graphs are never changed in place: `rebuilt` makes new ones.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Node, Value
from litecast.ir.rewrite import Arg, No, P, Rule, no, refine, rule
from litecast.ir.types import TensorType
from litecast.ops import (
    Add,
    DynamicUpdateSlice,
    Fill,
    Gather,
    Less,
    Pack,
    Reshape,
    StridedSlice,
    Sub,
    Transpose,
    While,
)
from litecast.passes.canonicalize import shape_vector
from litecast.passes.control import first_answer, inline
from litecast.passes.dedupe import contents, hashable
from litecast.passes.layout import permutation

__all__ = ["LOOPS", "Moved", "parts", "reads_once", "rebuilt"]


def parts(root: Node) -> tuple[Graph, Graph, list[Any]]:
    """Return condition, body and operands of a WHILE."""
    op = root.op
    assert isinstance(op, While)
    return op.cond_subgraph_index, op.body_subgraph_index, list(root.inputs)


def reads_once(root: Node, step: int, stack: int) -> bool:
    """Whether a variable counts from 0 by 1 to the length of a sequence, and nothing else ends the loop."""
    cond, body, operands = parts(root)
    add, test = body.outputs[step].producer, cond.outputs[0].producer
    start = operands[step]
    if body.inputs[step].type.shape != () or not start.is_const or int(start.array()) != 0:
        return False
    if add is None or not isinstance(add.op, Add) or test is None or not isinstance(test.op, Less):
        return False
    one = [value for value in add.inputs if value is not body.inputs[step]]
    if len(one) != 1 or one[0] is None or not one[0].is_const or int(one[0].array()) != 1:
        return False
    limit = test.inputs[1]
    if test.inputs[0] is not cond.inputs[step] or limit is None:
        return False
    place = next((place for place, value in enumerate(cond.inputs) if value is limit), None)
    if place is not None and body.outputs[place] is body.inputs[place]:
        limit = operands[place]
    known, shape = limit.known, operands[stack].type.shape
    return bool(shape) and known is not None and known.size == 1 and known.reshape(-1)[0] == shape[0]


# -- copies of the graphs of a loop --------------------------------------------------------------------------


@dataclass(frozen=True)
class Moved:
    """A value of the body that `outer` gives from now on: as it is, or its slice at the variable `index`.

    `index` counts the variables; `backward` takes the slice at `backward - variable`. `type` is that of the
    new variable.
    """

    outer: Value
    type: TensorType
    index: int | None = None
    backward: Value | None = None

    def inside(self, b: Builder, inputs: Sequence[Value], extra: Value, old: Value) -> Value:
        """Return what stands for the value `old` in a body with the new input `extra`."""
        if self.index is None:
            return extra
        place = inputs[self.index]
        if self.backward is not None:
            place = b(Sub(), b.const(self.backward.const, self.backward.name), place)
        slice: Value = b(Gather(), extra, place)
        refine(old, slice)
        slice.name = old.name
        return slice


def _copied(
    b: Builder, graph: Graph, kept: Sequence[int], same: Mapping[int, int], moved: Mapping[Value, Moved],
    results: Sequence[int] | None,
) -> Graph:  # fmt: skip
    """Return a copy of a loop's graph with the variables `kept` and one more per value moved out.

    `same` says of a variable that is not kept which one stands for it. `results` None: the condition.
    """
    copy = Graph(graph.name)
    own = {index: copy.add_input(graph.inputs[index].type, graph.inputs[index].name) for index in kept}
    inputs = [own.get(same.get(index, index), value) for index, value in enumerate(graph.inputs)]
    extras = [copy.add_input(item.type, item.outer.name) for item in moved.values()]
    inner = Builder(copy, b.run)
    if results is None:
        copy.set_outputs(inline(inner, graph, inputs))
        return copy
    given = {}
    for (old, item), extra in zip(moved.items(), extras, strict=True):
        with inner.at(old.producer.loc if old.producer is not None else inner.loc):
            given[old] = item.inside(inner, inputs, extra, old)
    copy.set_outputs([*inline(inner, graph, inputs, results, given), *extras])
    return copy


def rebuilt(
    b: Builder, root: Node, kept: Sequence[int], same: Mapping[int, int], moved: Mapping[Value, Moved]
) -> dict[int, Value]:
    """Build the loop again and return its results by the place of the variable."""
    cond, body, operands = parts(root)
    loop = While(_copied(b, cond, kept, same, moved, None), _copied(b, body, kept, same, moved, kept))
    made = b(loop, *(operands[index] for index in kept), *(item.outer for item in moved.values()))
    return dict(zip(kept, made, strict=False))


# -- fewer variables -----------------------------------------------------------------------------------------


@rule(P(While), quantized=True)
def merge_equal_variables(b: Builder, root: Node) -> Any:
    """while(x, x) whose body makes equal values of equal values -> while(x)"""
    first = _first_equal(root)
    same = {index: other for index, other in enumerate(first) if index != other}
    if not same:
        return no("the variables differ")
    kept = [index for index in range(len(first)) if index not in same]
    made = rebuilt(b, root, kept, same, {})
    return tuple(made[other] for other in first)


def _first_equal(root: Node) -> list[int]:
    """Return, per variable, the first variable that has its value in every turn.

    Variables with one start are taken to be equal until the body makes different values of them.
    """
    _, body, operands = parts(root)
    named = [index for index in range(len(operands)) if _are_named(root, (index,))]
    # Only one result of the graph may be merged with others: each has a name.
    names = [index if index in named[1:] else -1 for index in range(len(operands))]
    starts = [hashable(contents(value)) if value.is_const else value for value in operands]
    types = [value.type for value in body.inputs]
    classes = _grouped(list(zip(starts, types, names, strict=True)))
    while True:
        numbers = _numbered(body, classes)
        results = [numbers[value] for value in body.outputs]
        refined = _grouped(list(zip(classes, results, strict=True)))
        if refined == classes:
            return classes
        classes = refined


def _are_named(root: Node, places: Sequence[int]) -> bool:
    """Whether all these results of a loop are results of the graph around it."""
    return all(any(isinstance(user, Graph) for user in root.outputs[place].uses) for place in places)


def _grouped(keys: Sequence[Hashable]) -> list[int]:
    """Return the place of the first equal key, per key."""
    first: dict[Hashable, int] = {}
    return [first.setdefault(key, index) for index, key in enumerate(keys)]


def _numbered(graph: Graph, classes: Sequence[int]) -> dict[Value, Hashable]:
    """Number the values of a graph, equal ones equally, its inputs being equal where their classes are."""
    table: dict[Hashable, int] = {}
    numbers: dict[Value, Hashable] = {
        value: table.setdefault(("input", group), len(table))
        for value, group in zip(graph.inputs, classes, strict=True)
    }

    def number(value: Value | None) -> Hashable:
        if value is not None and value not in numbers:
            key = hashable(("constant", contents(value))) or value
            numbers[value] = table.setdefault(key, len(table))
        return None if value is None else numbers[value]

    for node in graph.nodes:
        key = hashable((node.op, *map(number, node.inputs))) if node.op.effect == "pure" else None
        for output in node.outputs:
            quant = output.type.quant
            whole = output if key is None else hashable((key, output.index, quant)) or output
            numbers[output] = table.setdefault(whole, len(table))
    for value in graph.outputs:
        number(value)
    return numbers


@rule(P(While))
def drop_last_value(b: Builder, root: Node) -> Any:
    """while(h, y) whose body only sets y = reshape(h) -> reshape(while(h))"""
    cond, body, operands = parts(root)
    views: dict[int, View] = {}
    for index, value in enumerate(body.inputs):
        read = value.uses or cond.inputs[index].uses or index in {view.source for view in views.values()}
        found = None if read or not root.outputs[index].uses else _view(body, index, views)
        if found is not None and found.shape is None and _are_named(root, (index, found.source)):
            continue
        if found is not None and _begins_alike(b, root, index, found.source):
            views[index] = found
    if not views:
        return no("every variable is read, or not made of another")
    kept = [index for index in range(len(operands)) if index not in views]
    made = rebuilt(b, root, kept, {}, {})
    for index, view in views.items():
        made[index] = view.of(b, made[view.source])
    return tuple(made[index] for index in range(len(operands)))


@dataclass(frozen=True)
class View:
    """A result of the body that is another result `source`, reshaped where there is a shape."""

    source: int
    shape: Value | None

    def of(self, b: Builder, x: Value) -> Value:
        """Return the view of a value."""
        return x if self.shape is None else b(Reshape(), x, b.const(self.shape.const))


def _view(body: Graph, index: int, dropped: Collection[int]) -> View | None:
    """Return what other result a result of the body is a view of."""
    result, shape = body.outputs[index], None
    places = [place for place in range(len(body.outputs)) if place != index and place not in dropped]
    others = {body.outputs[place]: place for place in reversed(places)}
    node = result.producer
    if result not in others and node is not None and isinstance(node.op, Reshape) and len(node.inputs) == 2:
        source, shape = node.inputs
        if source is None or shape is None or not shape.is_const:
            return None
        result = source
    return View(others[result], shape) if result in others and result.type.quant is None else None


def _begins_alike(b: Builder, root: Node, index: int, source: int) -> bool:
    """Whether the loop runs at least once, or both variables start filled alike and keep their shape."""
    if first_answer(b, root):
        return True
    _, body, operands = parts(root)
    if operands[index].type.shape != body.outputs[index].type.shape:
        return False
    fills = [operands[place].producer for place in (index, source)]
    if any(node is None or not isinstance(node.op, Fill) or not node.inputs[1].is_const for node in fills):
        return False
    first, second = (contents(node.inputs[1]) for node in fills)
    return bool(first == second)


def _is_last_slice(node: Node, x: Value, axis: int) -> bool:
    """Whether a STRIDED_SLICE takes all of the last step along an axis, and drops that axis."""
    op: Any = node.op
    begin, strides = node.inputs[1], node.inputs[3]
    if op.shrink_axis_mask != 1 << axis or op.begin_mask >> axis & 1 or op.new_axis_mask or op.ellipsis_mask:
        return False
    if (
        begin is None
        or strides is None
        or not begin.is_const
        or not strides.is_const
        or (strides.array() != 1).any()
    ):
        return False
    first, length = int(begin.array()[axis]), x.shape[axis]
    is_last = first == -1 or (isinstance(length, int) and first == length - 1)
    return is_last and node.output.type.shape == (*x.shape[:axis], *x.shape[axis + 1 :]) and length != 0


@rule(P(StridedSlice, Arg("x")))
def use_last_state(b: Builder, root: Node, x: Value) -> Value | No:
    """while(h, y)[y][-1] -> while(h)[h] where turn i sets y[i] = h, for each i of y"""
    source, axis = x, 0
    if x.producer is not None and isinstance(x.producer.op, Transpose):
        source, perm = x.producer.inputs  # type: ignore[assignment]
        order = permutation(perm) if perm is not None and perm.is_const else None
        if order is None or [axis for axis in order if axis] != list(range(1, len(order))):
            return no("the steps are turned around")
        axis = order.index(0)
    loop, vector = source.producer, shape_vector(root.output.type.shape)
    if loop is None or not isinstance(loop.op, While) or not x.type.shape or vector is None:
        return no("it is no result of a loop")
    if not _is_last_slice(root, x, axis):
        return no("more than the last step is taken")
    state = _written_state(loop, source.index)
    return (
        no("the state is not what is written") if state is None else b(Reshape(), loop.outputs[state], vector)
    )


def _written_state(loop: Node, stack: int) -> int | None:
    """Return which variable holds what the last turn wrote into the last step of a stacked variable."""
    _, body, _ = parts(loop)
    stacked, update = body.inputs[stack], body.outputs[stack].producer
    if update is None or not isinstance(update.op, DynamicUpdateSlice) or update.inputs[0] is not stacked:
        return None
    _, row, start = update.inputs
    if row is None or start is None or start.producer is None or not stacked.type.shape:
        return None
    if row.type.shape != (1, *stacked.shape[1:]):
        return None
    place, *rest = start.producer.inputs
    if not isinstance(start.producer.op, Pack) or any(value is None or not _is_zero(value) for value in rest):
        return None
    step = next((index for index, value in enumerate(body.inputs) if value is place), None)
    if step is None or not reads_once(loop, step, stack):
        return None
    reshaped = row.producer is not None and isinstance(row.producer.op, Reshape)
    value = row.producer.inputs[0] if reshaped and row.producer is not None else row
    return next((index for index, result in enumerate(body.outputs) if result is value), None)


def _is_zero(value: Value) -> bool:
    return value.is_const and not value.array().any()


LOOPS: tuple[Rule, ...] = (merge_equal_variables, drop_last_value, use_last_state)
