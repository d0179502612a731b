"""Pieces of tensors: slices and updates that are all there is become what is cheaper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Node, Value
from litecast.ir.rewrite import Arg, Const, Maybe, No, P, Rule, no, rule
from litecast.ir.types import DType
from litecast.ops import DynamicUpdateSlice, Reshape, Slice, Split, StridedSlice
from litecast.passes.canonicalize import shape_vector

__all__ = ["PIECES"]

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
    """slice(x, 0), slice(x, n), ... -> split(x) where the pieces are all of x and of one size

    Each slice becomes a split of its own, and equal ones are merged later. SLICE walks five nested loops over
    its elements (kernels/slice.cc), SPLIT copies rows: a recurrent layer ran almost twice as fast.
    """
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


PIECES: tuple[Rule, ...] = (slice_is_reshape, update_is_all, slices_are_split)
