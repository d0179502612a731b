"""Pieces of tensors: slices and updates that are all there is become what is cheaper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Node, Value
from litecast.ir.op import Array
from litecast.ir.rewrite import Arg, Const, Maybe, No, P, Rule, no, rule
from litecast.ir.types import Dim, DType, Shape
from litecast.ops import DynamicUpdateSlice, Gather, Reshape, ReverseV2, Slice, Split, StridedSlice
from litecast.passes.canonicalize import shape_vector

__all__ = ["PIECES", "STEPS"]

SPLITTABLE = frozenset({DType.FLOAT32, DType.UINT8, DType.INT8, DType.INT16, DType.INT32, DType.INT64})
"""Element types that SPLIT and SLICE both take (kernels/split.cc, Prepare; kernels/slice.cc, Eval)."""


@rule(P(StridedSlice, Arg("x"), Maybe(), Maybe(), Const("strides"), new_axis_mask=0, ellipsis_mask=0))
def slice_is_reshape(b: Builder, root: Node, x: Value, strides: Value) -> Value | No:
    """strided_slice(x, 0) -> reshape(x) where it only drops dimensions of size 1"""
    op: Any = root.op
    vector = shape_vector(root.output.type.shape)
    if not op.shrink_axis_mask or x.type.shape is None or vector is None:
        return no("more than dimensions of size 1 change")
    dropped = [bool(op.shrink_axis_mask >> axis & 1) for axis in range(x.rank)]
    kept = tuple(dim for dim, drop in zip(x.shape, dropped, strict=True) if not drop)
    if any(drop and dim != 1 for dim, drop in zip(x.shape, dropped, strict=True)):
        return no("more than dimensions of size 1 change")
    if kept != root.output.shape or (np.asarray(strides.array()) != 1).any():
        return no("not all is taken")
    return b(Reshape(), x, vector)  # type: ignore[no-any-return]


@rule(P(DynamicUpdateSlice, Arg("x"), Arg("update")))
def update_is_all(b: Builder, root: Node, x: Value, update: Value) -> Value | No:
    """dynamic_update_slice(x, update, start) -> update of the same shape: the start is clamped to 0"""
    if x.type.shape is None or x.type.shape != update.type.shape:
        return no("the update may be smaller")
    return update


@dataclass(frozen=True)
class Piece:
    """What a SLICE takes along the only axis where it does not take all."""

    axis: int
    start: int
    size: int
    of: int


def _piece(node: Node) -> Piece | None:
    x = node.inputs[0]
    if not isinstance(node.op, Slice) or x is None or not x.type.shape or node.output.type.shape is None:
        return None
    cut = [axis for axis, (old, new) in enumerate(zip(x.shape, node.output.shape, strict=True)) if old != new]
    starts = node.inputs[1]
    if len(cut) != 1 or starts is None or not starts.is_const:
        return None
    whole, size = x.shape[cut[0]], node.output.shape[cut[0]]
    if not isinstance(whole, int) or not isinstance(size, int):
        return None
    return Piece(cut[0], int(starts.array()[cut[0]]), size, whole)


@rule(P(Slice, Arg("x")), quantized=True)
def slices_are_split(b: Builder, root: Node, x: Value) -> Value | No:
    """slice(x, 0), slice(x, n), ... -> split(x) where the pieces are all of x and of one size"""
    # Each slice becomes a split of its own, and equal ones are merged later. SLICE walks five nested loops
    # (kernels/internal/reference/slice.h), SPLIT copies rows: measured, a GRU takes half of the time.
    piece = _piece(root)
    if x.dtype not in SPLITTABLE or x.rank > Split.max_rank or x.type.quant != root.output.type.quant:
        return no("the kernel does not split such a tensor")
    if piece is None or piece.size == 0 or piece.of % piece.size or piece.start % piece.size:
        return no("the slice is no equal part")
    count = piece.of // piece.size
    split = Split(num_splits=count)
    taken = set()
    for user in x.uses:
        if isinstance(user, Node) and user.op == split and _axis_of(user) == piece.axis:
            taken = set(range(count))
        other = _piece(user) if isinstance(user, Node) else None
        if other is not None and (other.axis, other.size) == (piece.axis, piece.size):
            taken.add(other.start // piece.size)
    if len(taken) < count:
        return no("some parts are not taken")
    return b(split, np.int32(piece.axis), x)[piece.start // piece.size]  # type: ignore[no-any-return]


def _axis_of(split: Node) -> int | None:
    axis = split.inputs[0]
    return None if axis is None or not axis.is_const else int(axis.array())


INDEX_LIMIT = 1 << 12
"""A strided slice of more steps than this keeps its form: the indices would be a large constant."""


@rule(
    P(
        StridedSlice, Arg("x"), Const("begin"), Const("end"), Const("strides"),
        new_axis_mask=0, ellipsis_mask=0, offset=False,
    ),
    quantized=True,
)  # fmt: skip
def slice_is_gather(b: Builder, root: Node, x: Value, begin: Value, end: Value, strides: Value) -> Value | No:
    """strided_slice(x)[:, 3] -> gather(x, 3); so too x[:, ::2], a list of indices; x[::-1] is reversed"""
    # STRIDED_SLICE copies element by element unless XNNPACK takes it, which wants strides of 1 and all
    # dimensions kept. GATHER copies rows: measured, x[:, 3] takes a third of the time, x[:, ::2] a tenth.
    shape, result = x.type.shape, root.output.type.shape
    if (
        shape is None
        or result is None
        or x.dtype not in (Gather.kernels or ())
        or x.type.quant != root.output.type.quant
    ):
        return no("the kernel does not gather such a tensor")
    steps = [int(step) for step in strides.array()]
    axis = _only_axis(root, steps)
    if axis is None or (*shape[:axis], *shape[axis + 1 :]) != _others(root, result, axis):
        return no("more than one dimension is cut, or only by an interval")
    if _is_reversed(root, axis, steps[axis]) and x.dtype in (ReverseV2.kernels or ()):
        return b(ReverseV2(), x, np.array([axis], np.int32))  # type: ignore[no-any-return]
    indices = _taken(root, axis, shape[axis], (begin, end), steps[axis])
    if indices is None or not 0 < indices.size <= INDEX_LIMIT:
        return no("the indices are not known, or many")
    return b(Gather(axis=axis), x, indices)  # type: ignore[no-any-return]


def _only_axis(node: Node, steps: list[int]) -> int | None:
    """Return the dimension that a STRIDED_SLICE drops or steps along, if it is one."""
    op: Any = node.op
    cut = [axis for axis, step in enumerate(steps) if step != 1 or op.shrink_axis_mask >> axis & 1]
    return cut[0] if len(cut) == 1 else None


def _others(node: Node, result: Shape, axis: int) -> Shape:
    op: Any = node.op
    return result if op.shrink_axis_mask else (*result[:axis], *result[axis + 1 :])


def _is_reversed(node: Node, axis: int, step: int) -> bool:
    op: Any = node.op
    return step == -1 and not op.shrink_axis_mask and bool(op.begin_mask & op.end_mask & 1 << axis)


def _taken(node: Node, axis: int, length: Dim, bounds: tuple[Value, Value], step: int) -> Array | None:
    """Return the indices that are taken along an axis, a scalar where the axis is dropped."""
    op: Any = node.op
    first, last = (int(bound.array()[axis]) for bound in bounds)
    if op.shrink_axis_mask:
        if first < 0 and not isinstance(length, int):
            return None
        return np.array(first if first >= 0 else first + length, np.int32)
    if not isinstance(length, int):
        return None
    low = None if op.begin_mask >> axis & 1 else first
    high = None if op.end_mask >> axis & 1 else last
    return np.arange(length, dtype=np.int32)[low:high:step]


PIECES: tuple[Rule, ...] = (slice_is_reshape, update_is_all, slices_are_split)
STEPS: tuple[Rule, ...] = (slice_is_gather,)
