"""Transposes move towards the end of the graph, where they meet their inverse, and merge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Node, Value
from litecast.ir.rewrite import Arg, Const, No, P, Rule, no, rule
from litecast.ops import (
    Concatenation,
    L2Normalization,
    LocalResponseNormalization,
    LogSoftmax,
    Mean,
    Pack,
    Pad,
    PadV2,
    ReduceMax,
    ReduceMin,
    ReduceProd,
    Softmax,
    Sum,
    Transpose,
)
from litecast.ops.rules import Binary, Unary

__all__ = ["LAYOUT", "REDUCTIONS", "is_elementwise", "permutation"]

REDUCTIONS = (Mean, Sum, ReduceMax, ReduceMin, ReduceProd)
ALONG_LAST = (Softmax, LogSoftmax, L2Normalization, LocalResponseNormalization)
"""Unary operations that look at more than one element."""

MOVED = P(Transpose, Arg("x"), Const("perm"), uses=1)


def permutation(perm: Value) -> list[int]:
    """Return the contents of a permutation, counted from the front."""
    axes = np.asarray(perm.array()).reshape(-1).tolist()
    return [int(axis) % len(axes) for axis in axes]


def _transpose(b: Builder, x: Value, perm: list[int]) -> Value:
    result: Value = b(Transpose(), x, np.array(perm, np.int32))
    return result


def _inverse(perm: list[int]) -> list[int]:
    return [perm.index(axis) for axis in range(len(perm))]


def is_elementwise(node: Node) -> bool:
    """Whether a unary operation looks at one element at a time."""
    return not isinstance(node.op, ALONG_LAST)


@rule(P(Unary, MOVED, where=is_elementwise))
def sink_below_unary(b: Builder, root: Node, x: Value, perm: Value) -> Value:
    """relu(transpose(x)) -> transpose(relu(x))"""
    return _transpose(b, b(root.op, x), permutation(perm))


@rule(
    P(Binary, P(Transpose, Arg("x"), Const("perm"), uses=1), P(Transpose, Arg("y"), Const("other"), uses=1))
)
def sink_below_binary(b: Builder, root: Node, x: Value, perm: Value, y: Value, other: Value) -> Value | No:
    """add(transpose(x), transpose(y)) -> transpose(add(x, y))"""
    if permutation(perm) != permutation(other):
        return no("the permutations differ")
    return _transpose(b, b(root.op, *_in_order(root, x, y)), permutation(perm))


def _in_order(root: Node, x: Value, y: Value) -> tuple[Value, Value]:
    """Return what the transposes read in the operands' order (a commutative match may have swapped it)."""
    first: Any = root.inputs[0]
    return (x, y) if first.producer.inputs[0] is x else (y, x)


def _aligned(b: Builder, root: Node, constant: Value, perm: list[int]) -> Value | None:
    """Return a constant as it broadcasts against what was transposed; None where it expands it."""
    if root.output.type.shape is None or root.output.rank != len(perm) or constant.rank > len(perm):
        return None
    if constant.type.size == 1:
        return constant
    array = np.asarray(constant.array())
    full = array.reshape((1,) * (len(perm) - array.ndim) + array.shape)
    return b.const(full.transpose(_inverse(perm)), constant.name)


@rule(P(Binary, MOVED, Const("c")))
def sink_below_constant(b: Builder, root: Node, x: Value, perm: Value, c: Value) -> Value | No:
    """add(transpose(x), c) -> transpose(add(x, c'))"""
    axes = permutation(perm)
    aligned = _aligned(b, root, c, axes)
    if aligned is None or root.output.shape != _shape_behind(x, axes):
        return no("the constant broadcasts the transposed value")
    return _transpose(b, b(root.op, x, aligned), axes)


@rule(P(Binary, Const("c"), MOVED, where=lambda node: not node.op.commutative))
def sink_behind_constant(b: Builder, root: Node, x: Value, perm: Value, c: Value) -> Value | No:
    """sub(c, transpose(x)) -> transpose(sub(c', x))"""
    axes = permutation(perm)
    aligned = _aligned(b, root, c, axes)
    if aligned is None or root.output.shape != _shape_behind(x, axes):
        return no("the constant broadcasts the transposed value")
    return _transpose(b, b(root.op, aligned, x), axes)


def _shape_behind(x: Value, perm: list[int]) -> Any:
    return tuple(x.shape[axis] for axis in perm)


@rule(P((Pad, PadV2), MOVED, Const("paddings")))
def sink_below_pad(b: Builder, root: Node, x: Value, perm: Value, paddings: Value) -> Value:
    """pad(transpose(x), p) -> transpose(pad(x, p'))"""
    axes = permutation(perm)
    amounts = np.asarray(paddings.array())[_inverse(axes)]
    return _transpose(b, b(root.op, x, amounts, *root.inputs[2:]), axes)


@rule(P(REDUCTIONS, MOVED, Const("axes")))
def sink_below_reduction(b: Builder, root: Node, x: Value, perm: Value, axes: Value) -> Value:
    """mean(transpose(x), axes) -> mean(x, axes'), transposed where an order is left"""
    op: Any = root.op
    order = permutation(perm)
    reduced = [int(axis) % len(order) for axis in np.asarray(axes.array()).reshape(-1)]
    inner = b(op, x, np.array(sorted(order[axis] for axis in reduced), np.int32))
    left = order if op.keep_dims else [axis for at, axis in enumerate(order) if at not in reduced]
    ranks = [sorted(left).index(axis) for axis in left]
    return inner if ranks == sorted(ranks) else _transpose(b, inner, ranks)


def _all_transposed(node: Node) -> bool:
    producers = [value.producer for value in node.inputs if value is not None]
    return len(producers) == len(node.inputs) > 1 and all(
        producer is not None
        and isinstance(producer.op, Transpose)
        and producer.output.use_count == 1
        and producer.inputs[1] is not None
        and producer.inputs[1].is_const
        for producer in producers
    )


def _sources(root: Node) -> tuple[list[Any], list[int] | None]:
    """Return what the transposes of all operands read, and their permutation where it is one."""
    producers: list[Any] = [value.producer for value in root.inputs if value is not None]
    orders = [permutation(producer.inputs[1]) for producer in producers]
    same = all(order == orders[0] for order in orders)
    return [producer.inputs[0] for producer in producers], orders[0] if same else None


@rule(P(Concatenation, where=_all_transposed))
def sink_below_concatenation(b: Builder, root: Node) -> Value | No:
    """concat(transpose(x), transpose(y)) -> transpose(concat(x, y))"""
    op: Any = root.op
    values, order = _sources(root)
    if order is None:
        return no("the permutations differ")
    return _transpose(b, b(replace(op, axis=order[op.axis % len(order)]), *values), order)


@rule(P(Pack, where=_all_transposed))
def sink_below_pack(b: Builder, root: Node) -> Value | No:
    """pack(transpose(x), transpose(y)) -> transpose(pack(x, y))"""
    op: Any = root.op
    values, order = _sources(root)
    if order is None:
        return no("the permutations differ")
    last = len(order)
    at = op.axis % (last + 1)
    return _transpose(b, b(replace(op, axis=last), *values), [*order[:at], last, *order[at:]])


LAYOUT: tuple[Rule, ...] = (
    sink_below_unary,
    sink_below_binary,
    sink_below_constant,
    sink_behind_constant,
    sink_below_pad,
    sink_below_reduction,
    sink_below_concatenation,
    sink_below_pack,
)
