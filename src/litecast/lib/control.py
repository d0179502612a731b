"""Loops and branches: Python functions traced into subgraphs that capture nothing.

State is made of values: a TensorList or a complex pair is its leaves, any other Python object passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from litecast.errors import Unsupported, UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Sym, TensorType
from litecast.lib.lists import TensorList
from litecast.ops import If, While

__all__ = ["branch", "while_loop"]

Traced = Callable[..., Sequence[Any]]
Item = TypeVar("Item")
ROUNDS = 8
"""Traces after which the types of a loop's state must have settled."""


def while_loop(
    b: Builder, state: Sequence[Any], cond: Traced, body: Traced, fixed: Collection[int] = ()
) -> list[Any]:
    """Return the state after `while cond(*state): state = body(*state)`.

    `cond` and `body` are called as `cond(inner_builder, *state)`, several times: a loop is traced until the
    types of its state settle (a dimension that changes becomes a fresh unknown). Constants that the body
    hands on unchanged become constants of the body; lists become stacked tensors. `fixed` names positions of
    the state that the body surely hands on, for bodies that need the contents of such constants.
    """
    fixed = {index for index in fixed if isinstance(state[index], Value) and state[index].is_const}
    if _runs_once(b, state, cond, body):
        return list(body(b, *state))
    state = _materialize(b, _peeled(b, state, cond, body, fixed), body, fixed)
    leaves = _leaves(state)
    known = {index: leaf for index, leaf in enumerate(leaves) if any(leaf is state[place] for place in fixed)}
    types, handed_on = _settle(b, state, body, known)
    constants = {index: leaf for index, leaf in enumerate(leaves) if handed_on[index] and leaf.is_const}
    inner, results = _trace(b, "body", types, state, body, constants)
    inner.graph.set_outputs(_without(_leaves(results), constants))
    test, verdict = _trace(b, "cond", types, state, cond, constants)
    test.graph.set_outputs(verdict)
    if verdict[0].is_const and not verdict[0].array():
        return list(state)
    loop = While(cond_subgraph_index=test.graph, body_subgraph_index=inner.graph)
    outputs = iter(b(loop, *_without(leaves, constants)))
    final = [leaf if index in constants else next(outputs) for index, leaf in enumerate(leaves)]
    return _rebuild(
        state, [leaf if same else out for leaf, same, out in zip(leaves, handed_on, final, strict=True)]
    )


def _settle(
    b: Builder, state: Sequence[Any], body: Traced, constants: dict[int, Value]
) -> tuple[list[TensorType], list[bool]]:
    """Return the types of the leaves in every turn, and whether the body hands each leaf on unchanged."""
    types = [leaf.type for leaf in _leaves(state)]
    for _ in range(ROUNDS):
        inner, results = _trace(b, "body", types, state, body, constants)
        _same_structure(state, results)
        outputs = _leaves(results)
        pairs = zip(types, (out.type for out in outputs), strict=True)
        joined = [_join(b, index, *pair) for index, pair in enumerate(pairs)]
        if joined == types:
            arguments = iter(inner.graph.inputs)
            return types, [index in constants or out is next(arguments) for index, out in enumerate(outputs)]
        types = joined
    raise UnsupportedError(Unsupported("While", "the shapes of the loop's state do not settle"))


def _runs_once(b: Builder, state: Sequence[Any], cond: Traced, body: Traced) -> bool:
    """Whether constants alone decide that the body runs exactly once (a recurrent layer on one time step)."""
    probe = b.probe()
    once = _holds(probe, cond, state) is True and _holds(probe, cond, body(probe, *state)) is False
    _discard(probe)
    return once


def _holds(b: Builder, cond: Traced, state: Sequence[Any]) -> bool | None:
    """Return a condition that constants decide, None for any other."""
    (verdict,) = cond(b, *state)
    return bool(verdict.array()) if verdict.is_const else None


def _peeled(
    b: Builder, state: Sequence[Any], cond: Traced, body: Traced, fixed: Collection[int]
) -> Sequence[Any]:
    """Return the state after the first turn, if it has one, where a list starts empty.

    The runtime's loops take no empty tensor; one that ends without a turn hands it on.
    """
    if not any(isinstance(item, TensorList) and item.items == () for item in state):
        return state
    probe = b.probe()
    runs = _holds(probe, cond, state)
    _discard(probe)
    if runs is None:
        (verdict,) = cond(b, *state)
        after = branch(b, verdict, body, lambda inner, *same: same, state)
        return [
            item if index in fixed else new
            for index, (item, new) in enumerate(zip(state, after, strict=True))
        ]
    return body(b, *state) if runs else state


def _discard(b: Builder) -> None:
    """Release what a graph that is thrown away has read."""
    for node in b.graph.nodes:
        node.detach()


def branch(
    b: Builder, predicate: Value, then: Traced, otherwise: Traced, operands: Sequence[Any]
) -> list[Any]:
    """Return `then(*operands) if predicate else otherwise(*operands)`; decided now where it is constant."""
    if predicate.is_const:
        return list((then if predicate.array() else otherwise)(b, *operands))
    operands = [_stacked(b, operand) for operand in operands]
    leaves = _leaves(operands)
    constants = {index: leaf for index, leaf in enumerate(leaves) if leaf.is_const}
    types = [leaf.type for leaf in leaves]
    yes, taken = _trace(b, "then", types, operands, then, constants)
    no, other = _trace(b, "else", types, operands, otherwise, constants)
    seen = list(zip(map(_taught, taken, other), map(_taught, other, taken), strict=True))
    taken, other = [_stacked(yes, x) for x, _ in seen], [_stacked(no, x) for _, x in seen]
    _same_structure(taken, other)
    yes.graph.set_outputs(_leaves(taken))
    no.graph.set_outputs(_leaves(other))
    choice = If(then_subgraph_index=yes.graph, else_subgraph_index=no.graph)
    return _rebuild(taken, b(choice, predicate, *_without(leaves, constants)))


def _trace(
    b: Builder,
    name: str,
    types: Sequence[TensorType],
    state: Sequence[Any],
    function: Traced,
    constants: dict[int, Value],
) -> tuple[Builder, list[Any]]:
    """Trace `function` on the state into a subgraph whose inputs are the leaves that are not `constants`."""
    inner = b.subgraph(f"{b.loc.name}_{name}" if b.loc.name else name, _without(types, constants))
    arguments = iter(inner.graph.inputs)
    leaves = [
        inner.const(constants[index].const, constants[index].name) if index in constants else next(arguments)
        for index in range(len(types))
    ]
    return inner, list(function(inner, *_rebuild(state, leaves)))


def _without(items: Sequence[Item], constants: dict[int, Value]) -> list[Item]:
    return [item for index, item in enumerate(items) if index not in constants]


def _leaves(state: Sequence[Any]) -> list[Value]:
    found: list[Value] = []
    for item in state:
        if isinstance(item, Value):
            found.append(item)
        elif hasattr(item, "leaves"):
            found += item.leaves()
    return found


def _rebuild(state: Sequence[Any], leaves: Sequence[Value]) -> list[Any]:
    rest = list(leaves)
    built: list[Any] = []
    for item in state:
        if isinstance(item, Value):
            built.append(rest.pop(0))
        elif hasattr(item, "leaves"):
            count = len(item.leaves())
            built.append(item.rebuild(rest[:count]))
            del rest[:count]
        else:
            built.append(item)
    return built


def _stacked(b: Builder, item: Any) -> Any:
    """Return a list as the one tensor that it can be once the shape of its elements is known."""
    return TensorList.of(item.stack(b)) if isinstance(item, TensorList) and item.is_shaped else item


def _taught(item: Any, other: Any) -> Any:
    """Return a list knowing the elements of another that stands for the same one."""
    if not isinstance(item, TensorList) or not isinstance(other, TensorList) or other.element is None:
        return item
    return item.seen(other.element)


def _materialize(b: Builder, state: Sequence[Any], body: Traced, fixed: Collection[int]) -> list[Any]:
    """Return the state with every list stacked; what the body writes shows the shape of its elements."""
    if any(isinstance(item, TensorList) and item.empty and item.element is None for item in state):
        state = _seen(b, state, body, fixed)
    return [TensorList.of(item.stack(b)) if isinstance(item, TensorList) else item for item in state]


def _seen(b: Builder, state: Sequence[Any], body: Traced, fixed: Collection[int]) -> list[Any]:
    """Trace the body once into a graph that is thrown away, to learn the element types of its lists."""
    open_ = [isinstance(item, Value) and index not in fixed for index, item in enumerate(state)]
    probe = b.subgraph("probe", [item.type for item, is_open in zip(state, open_, strict=True) if is_open])
    arguments = iter(probe.graph.inputs)
    results = body(
        probe, *(next(arguments) if is_open else item for item, is_open in zip(state, open_, strict=True))
    )
    _discard(probe)
    return list(map(_taught, state, results))


def _same_structure(state: Sequence[Any], results: Sequence[Any]) -> None:
    for before, after in zip(state, results, strict=True):
        same = (
            isinstance(after, type(before))
            if hasattr(before, "leaves") or isinstance(before, Value)
            else before is after
        )
        if not same:
            raise UnsupportedError(
                Unsupported(
                    "While/If", f"a {type(before).__name__} becomes a {type(after).__name__} at run time"
                )
            )


def _join(b: Builder, index: int, first: TensorType, second: TensorType) -> TensorType:
    """Return the type that covers both: dimensions that differ become an unknown named after the loop."""
    if first.dtype != second.dtype:
        raise UnsupportedError(Unsupported("While", f"state {index} changes from {first} to {second}"))
    if first.shape is None or second.shape is None or len(first.shape) != len(second.shape):
        return TensorType(first.dtype, None)
    dims = [
        one if one == two else Sym(f"{b.loc.name or 'loop'}_{index}_{axis}")
        for axis, (one, two) in enumerate(zip(first.shape, second.shape, strict=True))
    ]
    return TensorType(first.dtype, tuple(dims), first.quant)
