"""Less work per turn of a recurrent loop: what no turn changes, and products with the input, go before it.

What leaves a body is computed in the graph around it and becomes a loop variable that the body hands on
unchanged, which the runtime does not copy between turns (kernels/while.cc:139).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Node, Value
from litecast.ir.rewrite import Arg, Const, Maybe, No, P, Rule, no, rule
from litecast.ir.types import DType, Sym, TensorType
from litecast.ops import Add, FullyConnected, Gather, Sub, While
from litecast.ops.enums import Activation, WeightsFormat
from litecast.passes.control import first_answer
from litecast.passes.loops import Moved, parts, reads_once, rebuilt

__all__ = ["HOIST"]

GROWTH = 8
"""Values computed before a loop may be this many times larger than what they are computed from, or else"""
BYTES = 1 << 22
"""be of this many bytes in all, a batch of 1 and `STEPS` steps being assumed where they are not known."""
STEPS = 1024


def _invariant(body: Graph, value: Value | None) -> int | None:
    """Return which variable a value of the body is, if it is one that no turn changes."""
    index = next((index for index, given in enumerate(body.inputs) if given is value), None)
    return index if index is not None and body.outputs[index] is value else None


@rule(P(While))
def hoist_projection(b: Builder, root: Node) -> Any:
    """while: dense(x[i], w, v) -> y = dense(x, w, v), while: y[i] where the loop reads each step once"""
    # Frames of a CONV_2D stay inside: measured, a loop that gathers their results is no faster.
    _, body, operands = parts(root)
    moved: dict[Value, Moved] = {}
    for node in body.nodes:
        step = _step_of(root, node)
        if step is None:
            continue
        length = body.inputs[step.stack].shape[0]
        type = TensorType(DType.FLOAT32, (length, *node.output.shape))
        if not _is_affordable(type, body.inputs[step.stack].type):
            return no("the product would be large")
        op: Any = node.op
        constants = [b.const(value.const, value.name) for value in node.inputs[1:] if value is not None]
        with b.at(replace(node.loc, parents=(*node.loc.parents, root.loc))):
            outer = b(replace(op, keep_num_dims=True), operands[step.stack], *constants)
        moved[node.output] = Moved(outer, type, step.index, step.backward)
    if not moved:
        return no("the body has no product of constants and one step of a sequence")
    made = rebuilt(b, root, range(len(operands)), {}, moved)
    return tuple(made[index] for index in range(len(operands)))


@dataclass(frozen=True)
class Step:
    """One step of a sequence: the variables that hold the sequence and the place, counted `backward` from."""

    stack: int
    index: int
    backward: Value | None = None


def _step_of(root: Node, node: Node) -> Step | None:
    """Return the step that a product with constants reads, where the loop reads every step once."""
    gather = node.inputs[0].producer if node.inputs and node.inputs[0] is not None else None
    if gather is None or not isinstance(gather.op, Gather) or gather.op.batch_dims or not _is_product(node):
        return None
    _, body, _ = parts(root)
    stack, index, backward = _invariant(body, gather.inputs[0]), gather.inputs[1], None
    if stack is None or index is None or body.inputs[stack].rank < 3 or gather.op.axis:
        return None
    if index.producer is not None and isinstance(index.producer.op, Sub):
        backward, index = index.producer.inputs
        if not _is_last(root, stack, backward):
            return None
    place = next((place for place, value in enumerate(body.inputs) if value is index), None)
    return Step(stack, place, backward) if place is not None and reads_once(root, place, stack) else None


def _is_product(node: Node) -> bool:
    """Whether a node is a float dense layer with constants that gives one row per row."""
    op, values = node.op, [value for value in (*node.inputs, node.output) if value is not None]
    if not isinstance(op, FullyConnected) or op.weights_format is not WeightsFormat.DEFAULT:
        return False
    if any(value.dtype is not DType.FLOAT32 or value.type.quant or value.sparsity for value in values):
        return False
    x, *constants = values[:-1]
    return (
        x.type.shape is not None
        and node.output.shape[:-1] == x.shape[:-1]
        and all(value.is_const for value in constants)
    )


def _is_last(root: Node, stack: int, last: Value | None) -> bool:
    """Whether a constant is the place of the last step of a sequence."""
    sequence = root.inputs[stack]
    length = sequence.shape[0] if sequence is not None and sequence.type.shape else None
    return last is not None and last.is_const and isinstance(length, int) and int(last.array()) == length - 1


def _is_affordable(made: TensorType, source: TensorType) -> bool:
    """Whether a value may be kept for the time of a loop."""
    whole, part = (_assumed_bytes(type) for type in (made, source))
    return whole <= BYTES or whole <= GROWTH * part


def _assumed_bytes(type: TensorType) -> int:
    shape = type.shape or ()
    dims = [dim if isinstance(dim, int) else 1 for dim in shape]
    if shape and isinstance(shape[0], Sym):
        dims[0] = STEPS
    return int(np.prod(dims, dtype=np.int64)) * type.dtype.bits // 8


@rule(P(While))
def hoist_invariants(b: Builder, root: Node) -> Any:
    """while: f(x) of what no turn changes -> y = f(x), while: y"""
    _, body, operands = parts(root)
    movable = _movable(body)
    if not movable:
        return no("every operation depends on what a turn changes")
    if not first_answer(b, root):
        return no("the body may never run, and the operation fail")
    outside: dict[Value, Value] = {
        value: operand
        for value, operand, result in zip(body.inputs, operands, body.outputs, strict=True)
        if value is result
    }
    moved: dict[Value, Moved] = {}
    for node in movable:
        inputs = [_outer(b, value, outside) for value in node.inputs]
        with b.at(replace(node.loc, parents=(*node.loc.parents, root.loc))):
            made = b(node.op, *inputs)
        outside.update(zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=True))
        for output in node.outputs:
            if any(user not in movable for user in output.uses):
                moved[output] = Moved(outside[output], output.type)
    results = rebuilt(b, root, range(len(operands)), {}, moved)
    return tuple(results[index] for index in range(len(operands)))


def _outer(b: Builder, value: Value | None, outside: Mapping[Value, Value]) -> Value | None:
    """Return what stands for an operand in the graph around the loop."""
    if value is None or value in outside:
        return None if value is None else outside[value]
    return b.const(value.const, value.name)


def _movable(body: Graph) -> list[Node]:
    """Return the pure operations that no turn changes and whose results are not larger than they may be."""
    fixed = {value for value, result in zip(body.inputs, body.outputs, strict=True) if value is result}
    found: list[Node] = []
    for node in body.nodes:
        operands = [value for value in node.inputs if value is not None and not value.is_const]
        if node.op.effect != "pure" or not operands or not fixed.issuperset(operands):
            continue
        types = [value.type for value in (*operands, *node.outputs)]
        if any(type.shape is None or type.quant is not None for type in types):
            continue
        source = max((value.type for value in operands), key=_assumed_bytes)
        if all(_is_affordable(output.type, source) for output in node.outputs):
            found.append(node)
            fixed.update(node.outputs)
    return found


LINEAR: dict[str, Any] = {"uses": 1, "fused_activation_function": Activation.NONE}


@rule(
    P(
        Add,
        P(FullyConnected, P(Gather), Const("w"), Maybe("bias"), name="first", **LINEAR),
        P(FullyConnected, Arg("h"), Const("u"), Const("v"), name="second", **LINEAR),
    )
)
def join_biases(b: Builder, root: Node, w: Value, u: Value, v: Value, **drawn: Any) -> Value | No:
    """dense(x[i], w, v1) + dense(h, u, v2) -> dense(x[i], w, v1 + v2) + dense(h, u)"""
    first, second, bias = drawn["first"], drawn["second"], drawn["bias"]
    if first.output.type != second.output.type or v.dtype is not DType.FLOAT32:
        return no("the biases do not lie along the same channels")
    if bias is not None and not bias.is_const:
        return no("the bias is not constant")
    both = np.asarray(v.array(), np.float64) + (0.0 if bias is None else np.asarray(bias.array(), np.float64))
    projected = b(first.op, first.inputs[0], w, both.astype(np.float32))
    return b(root.op, projected, b(second.op, drawn["h"], u, None))  # type: ignore[no-any-return]


HOIST: tuple[Rule, ...] = (join_biases, hoist_projection, hoist_invariants)
