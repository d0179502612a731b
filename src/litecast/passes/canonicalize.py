"""One spelling for one thing: reshapes and transposes merge, and operations that change nothing disappear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from litecast.ir.builder import FOLD_LIMIT, Builder
from litecast.ir.graph import Lazy, Node, Value
from litecast.ir.op import Array, Op
from litecast.ir.rewrite import Arg, Const, Maybe, No, P, Rule, no, rule
from litecast.ir.types import DType, Shape, Sym
from litecast.ops import (
    Add,
    BroadcastTo,
    Cast,
    Concatenation,
    Div,
    ExpandDims,
    Gather,
    Imag,
    LogicalAnd,
    LogicalNot,
    LogicalOr,
    Mean,
    MirrorPad,
    Mul,
    Neg,
    Pack,
    Pad,
    PadV2,
    Real,
    Reshape,
    Slice,
    Split,
    SplitV,
    Squeeze,
    StridedSlice,
    Sub,
    Tile,
    Transpose,
    ZerosLike,
)
from litecast.ops.enums import Activation
from litecast.ops.rules import Unary
from litecast.passes.layout import REDUCTIONS, is_elementwise, permutation

__all__ = ["CANONICALIZE", "shape_vector"]

NEUTRAL_LIMIT = 1 << 12
"""Constants of at most this many elements are looked at for being all 0 or all 1."""

NONE: dict[str, Any] = {"fused_activation_function": Activation.NONE}


def shape_vector(shape: Shape | None) -> Array | None:
    """Return a shape as RESHAPE takes it, with one -1 at most; None where more dimensions are unknown."""
    if shape is None:
        return None
    unknown = sum(isinstance(dim, Sym) for dim in shape)
    if unknown > 1 or (unknown and 0 in shape):
        return None
    return np.array([-1 if isinstance(dim, Sym) else dim for dim in shape], np.int32)


# -- reshapes ------------------------------------------------------------------------------------------------


def _is_computed(shape: Value) -> bool:
    return not shape.is_const


@rule(P(Reshape, Arg("x"), Arg("shape", _is_computed)), quantized=True)
def fix_reshape(b: Builder, root: Node, x: Value, shape: Value) -> Value | No:
    """reshape(x, computed) -> reshape(x, [-1, 7, 7]) where one dimension at most is unknown"""
    vector = shape_vector(root.output.type.shape)
    if vector is None:
        return no("more than one dimension is unknown")
    return b(Reshape(), x, vector)  # type: ignore[no-any-return]


@rule(P((Squeeze, ExpandDims), Arg("x")), quantized=True)
def use_reshape(b: Builder, root: Node, x: Value) -> Value | No:
    """squeeze(x) -> reshape(x)"""
    vector = shape_vector(root.output.type.shape)
    if vector is None:
        return no("more than one dimension is unknown")
    return b(Reshape(), x, vector)  # type: ignore[no-any-return]


@rule(P(Reshape, P((Reshape, Squeeze, ExpandDims), Arg("x")), Maybe("shape")), quantized=True)
def merge_reshapes(b: Builder, root: Node, x: Value, shape: Value | None) -> Value | No:
    """reshape(reshape(x), s) -> reshape(x, s)"""
    vector = shape_vector(root.output.type.shape)
    if vector is None and shape is None:
        return no("more than one dimension is unknown")
    return b(Reshape(), x, shape if vector is None else vector)  # type: ignore[no-any-return]


@rule(P(Reshape, P(Unary, P(Reshape, Arg("x"), uses=1), name="base", uses=1, where=is_elementwise)))
def merge_reshapes_around(b: Builder, root: Node, base: Node, x: Value) -> Value | No:
    """reshape(tanh(reshape(x))) -> reshape(tanh(x))"""
    vector = shape_vector(root.output.type.shape)
    if vector is None:
        return no("more than one dimension is unknown")
    return b(Reshape(), b(base.op, x), vector)  # type: ignore[no-any-return]


VIEWS = (Reshape, Squeeze, ExpandDims)


@rule(P((Squeeze, ExpandDims), P(VIEWS, Arg("x"))), quantized=True)
def drop_way_back(b: Builder, root: Node, x: Value) -> Value | No:
    """expand_dims(squeeze(x)) -> x"""
    back = root.output.type == x.type and x.type.shape is not None
    return x if back else no("the shape is another")


@rule(
    P(
        (Squeeze, ExpandDims),
        P(Unary, P(VIEWS, Arg("x"), uses=1), name="base", uses=1, where=is_elementwise),
    )
)
def drop_ways_around(b: Builder, root: Node, base: Node, x: Value) -> Value | No:
    """expand_dims(tanh(squeeze(x))) -> tanh(x)"""
    back = x.type.shape is not None and root.output.type.shape == x.type.shape
    return b(base.op, x) if back else no("the shape is another")


FIRST = P((Add, Sub, Mul, Div), P(VIEWS, Arg("x"), uses=1), Const("c"), name="first", uses=1)


def _along_last(b: Builder, root: Node, x: Value, steps: Sequence[tuple[Node, Value]]) -> Value | No:
    """Apply operations with constants along the last axis to x, which has the shape of what is viewed."""
    shape = x.type.shape
    if not shape or root.output.type.shape != shape:
        return no("the shape is another")
    y = x
    for node, constant in steps:
        vector = constant.shape[-1:]
        if constant.type.size not in (1, *vector) or node.output.shape[-1] != shape[-1]:
            return no("a constant does not lie along the last axis")
        y = b(node.op, y, b.const(constant.array().reshape(vector), constant.name))
    return y


@rule(P(VIEWS, FIRST))
def drop_ways_around_constant(b: Builder, root: Node, first: Node, x: Value, c: Value) -> Value | No:
    """expand_dims(squeeze(x) + c) -> x + c"""
    return _along_last(b, root, x, [(first, c)])


@rule(P(VIEWS, P((Add, Sub, Mul, Div), FIRST, Const("d"), name="second", uses=1)))
def drop_ways_around_constants(
    b: Builder, root: Node, first: Node, second: Node, x: Value, c: Value, d: Value
) -> Value | No:
    """expand_dims(squeeze(x) * c + d) -> x * c + d"""
    return _along_last(b, root, x, [(first, c), (second, d)])


@rule(P(Reshape, P(Pad, Arg("x"), Const("paddings"), name="base", uses=1)))
def pad_behind_reshape(b: Builder, root: Node, base: Node, x: Value, paddings: Value) -> Value | No:
    """reshape(pad(x)) -> pad(reshape(x)) where dimensions of size 1 come and go"""
    before, after = base.output.type.shape, root.output.type.shape
    if before is None or after is None or x.type.shape is None:
        return no("the shapes are not known")
    sources = [axis for axis, dim in enumerate(before) if dim != 1]
    targets = [axis for axis, dim in enumerate(after) if dim != 1]
    amounts = np.asarray(paddings.array())
    if [before[axis] for axis in sources] != [after[axis] for axis in targets]:
        return no("the reshape does more than to add or drop dimensions of size 1")
    moved = np.zeros((len(after), 2), amounts.dtype)
    shape = list(after)
    for source, target in zip(sources, targets, strict=True):
        moved[target], shape[target] = amounts[source], x.shape[source]
    vector = shape_vector(tuple(shape))
    if vector is None or moved.sum() != amounts.sum():
        return no("more than one dimension is unknown")
    return b(base.op, b(Reshape(), x, vector), moved)  # type: ignore[no-any-return]


def _takes_all(node: Node) -> bool:
    """Whether a GATHER takes the only slice of a dimension of size 1."""
    op: Any = node.op
    x, index = node.inputs[:2]
    if x is None or index is None or x.type.shape is None or op.batch_dims or index.type.shape != ():
        return False
    return x.shape[op.axis] == 1 and index.is_const and int(index.array()) == 0


@rule(P(Gather, Arg("x"), Const("index"), where=_takes_all), quantized=True)
def gather_is_reshape(b: Builder, root: Node, x: Value, index: Value) -> Value | No:
    """gather(x, 0) -> reshape(x) along a dimension of size 1"""
    vector = shape_vector(root.output.type.shape)
    if vector is None:
        return no("more than one dimension is unknown")
    return b(Reshape(), x, vector)  # type: ignore[no-any-return]


@rule(P(Pack, Arg("x"), values_count=1), quantized=True)
def pack_is_reshape(b: Builder, root: Node, x: Value) -> Value | No:
    """pack(x) -> reshape(x)"""
    vector = shape_vector(root.output.type.shape)
    if vector is None:
        return no("more than one dimension is unknown")
    return b(Reshape(), x, vector)  # type: ignore[no-any-return]


@rule(P(Reshape, P(REDUCTIONS, Arg("x"), Const("axes"), name="base", uses=1)))
def keep_reduced_dims(b: Builder, root: Node, base: Node, x: Value, axes: Value) -> Value | No:
    """reshape(mean(x)) -> mean(x) {keep_dims}, and back"""
    op: Any = base.op
    result: Value = b(replace(op, keep_dims=not op.keep_dims), x, axes)
    if result.type.shape != root.output.type.shape:
        return no("the reshape does more than to keep or drop the reduced dimensions")
    return result


@rule(P(Mean, P(Mean, Arg("x"), Const("first"), name="base", uses=1), Const("second")))
def merge_means(b: Builder, root: Node, base: Node, x: Value, first: Value, second: Value) -> Value | No:
    """mean(mean(x, 1), 2) -> mean(x, [1, 2])"""
    op: Any = root.op
    inner: Any = base.op
    if op.keep_dims is not inner.keep_dims or x.type.shape is None:
        return no("one keeps the reduced dimensions, the other does not")
    done = [int(axis) % x.rank for axis in np.asarray(first.array()).reshape(-1)]
    left = [axis for axis in range(x.rank) if op.keep_dims or axis not in done]
    axes = [left[int(axis) % len(left)] for axis in np.asarray(second.array()).reshape(-1)]
    return b(op, x, np.array(sorted({*done, *axes}), np.int32))  # type: ignore[no-any-return]


# -- transposes ----------------------------------------------------------------------------------------------


@rule(P(Transpose, P(Transpose, Arg("x"), Const("first")), Const("second")), quantized=True)
def merge_transposes(b: Builder, root: Node, x: Value, first: Value, second: Value) -> Value:
    """transpose(transpose(x, p), q) -> transpose(x, p[q])"""
    inner, outer = permutation(first), permutation(second)
    merged = [inner[axis] for axis in outer]
    if merged == sorted(merged):
        return x
    return b(Transpose(), x, np.array(merged, np.int32))  # type: ignore[no-any-return]


@rule(P(Transpose, Arg("x"), Const("perm")), quantized=True)
def transpose_is_reshape(b: Builder, root: Node, x: Value, perm: Value) -> Value | No:
    """transpose(x) -> reshape(x) where only dimensions of size 1 move"""
    if x.type.shape is None:
        return no("the shape is not known")
    order = [axis for axis in permutation(perm) if x.shape[axis] != 1]
    vector = shape_vector(root.output.type.shape)
    if order != sorted(order) or vector is None:
        return no("data moves")
    return b(Reshape(), x, vector)  # type: ignore[no-any-return]


# -- operations that change nothing --------------------------------------------------------------------------


def _second_is(number: int) -> Callable[[Node], bool]:
    def check(node: Node) -> bool:
        second = node.inputs[1] if len(node.inputs) > 1 else None
        return second is not None and second.is_const and bool((np.asarray(second.array()) == number).all())

    return check


def _always(node: Node) -> bool:
    return True


def _one_operand(node: Node) -> bool:
    return len(node.inputs) == 1


def _in_steps_of_one(node: Node) -> bool:
    op: Any = node.op
    strides = node.inputs[3]
    if strides is None or not strides.is_const or op.new_axis_mask or op.shrink_axis_mask or op.ellipsis_mask:
        return False
    return bool((np.asarray(strides.array()) == 1).all())


def _sorted(node: Node) -> bool:
    perm = node.inputs[1]
    return perm is not None and perm.is_const and permutation(perm) == list(range(perm.type.size))  # type: ignore[arg-type]


def _no_axes(node: Node) -> bool:
    axes = node.inputs[1]
    return axes is not None and axes.is_const and axes.type.size == 0


IDENTITY: dict[type[Op], Callable[[Node], bool]] = {
    Reshape: _always,
    Squeeze: _always,
    Cast: _always,
    Slice: _always,
    BroadcastTo: _always,
    StridedSlice: _in_steps_of_one,
    Transpose: _sorted,
    Pad: _second_is(0),
    PadV2: _second_is(0),
    MirrorPad: _second_is(0),
    Tile: _second_is(1),
    Concatenation: _one_operand,
    **dict.fromkeys(REDUCTIONS, _no_axes),
}
"""What makes an operation whose result has the type of its first operand do nothing."""


@rule(P(tuple(IDENTITY), Arg("x"), where=lambda node: IDENTITY[type(node.op)](node)), quantized=True)
def drop_identity(b: Builder, root: Node, x: Value) -> Value | No:
    """reshape(x) -> x where nothing changes; so too transpose, cast, slice, pad, tile, concat of one"""
    return x if root.output.type == x.type and x.type.shape is not None else no("the type changes")


@rule(P(Split, Maybe(), Arg("x"), num_splits=1), quantized=True)
def drop_split(b: Builder, root: Node, x: Value) -> Value | tuple[Value, ...]:
    """split(x) {1} -> x"""
    return (x,)


@rule(P(SplitV, Arg("x"), num_splits=1), quantized=True)
def drop_split_v(b: Builder, root: Node, x: Value) -> Value | tuple[Value, ...]:
    """split_v(x) {1} -> x"""
    return (x,)


def _neutral(number: int) -> Callable[[Value], bool]:
    def check(value: Value) -> bool:
        size = value.type.size
        small = isinstance(size, int) and 0 < size <= NEUTRAL_LIMIT and not isinstance(value.const, Lazy)
        return small and bool((np.asarray(value.array()) == number).all())

    return check


def _unchanged(root: Node, x: Value) -> Value | No:
    return x if root.output.type == x.type else no("the constant broadcasts x")


@rule(P(Cast, P(Cast, Arg("x", lambda x: 0 < x.dtype.bits <= 32), out_data_type=DType.FLOAT64)))
def merge_casts(b: Builder, root: Node, x: Value) -> Value | No:
    """cast(cast(x: 32 bits, to f64), to f32) -> cast(x, to f32)"""
    if root.output.dtype is not DType.FLOAT32 or x.dtype.is_complex:
        return no("the second type is not float32")
    return b(Cast(x.dtype, DType.FLOAT32), x)  # type: ignore[no-any-return]


@rule(P((Add, Sub), Arg("x"), Const("zero", _neutral(0)), **NONE))
def drop_zero(b: Builder, root: Node, x: Value, zero: Value) -> Value | No:
    """x - 0 -> x; so too x + 0 of integers, and x + -0 (x + 0 turns -0 into 0, which an angle shows)"""
    if isinstance(root.op, Add) and zero.dtype.is_float and not np.signbit(zero.array()).all():
        return no("x + 0 is not x where x is -0")
    return _unchanged(root, x)


@rule(P((Mul, Div), Arg("x"), Const("one", _neutral(1)), **NONE))
def drop_one(b: Builder, root: Node, x: Value, one: Value) -> Value | No:
    """x * 1 -> x"""
    return _unchanged(root, x)


@rule(P(Neg, P(Neg, Arg("x"))))
def drop_double_negation(b: Builder, root: Node, x: Value) -> Value:
    """neg(neg(x)) -> x"""
    return x


@rule(P(Add, Arg("x"), P(Neg, Arg("y"))))
def add_negative(b: Builder, root: Node, x: Value, y: Value) -> Value:
    """x + neg(y) -> x - y"""
    op: Any = root.op
    return b(Sub(fused_activation_function=op.fused_activation_function), x, y)  # type: ignore[no-any-return]


@rule(P(Sub, Arg("x"), P(Neg, Arg("y"))))
def subtract_negative(b: Builder, root: Node, x: Value, y: Value) -> Value:
    """x - neg(y) -> x + y"""
    op: Any = root.op
    return b(Add(fused_activation_function=op.fused_activation_function), x, y)  # type: ignore[no-any-return]


@rule(P(Add, Arg("x"), P(Mul, P(Neg, Arg("y"), uses=1), Arg("w"), uses=1, **NONE)))
def add_negative_product(b: Builder, root: Node, x: Value, y: Value, w: Value) -> Value:
    """x + neg(y) * w -> x - y * w"""
    op: Any = root.op
    return b(Sub(fused_activation_function=op.fused_activation_function), x, b(Mul(), y, w))  # type: ignore[no-any-return]


@rule(P(Real, P(Cast, Arg("x"), in_data_type=DType.FLOAT32, out_data_type=DType.COMPLEX64)))
def drop_real(b: Builder, root: Node, x: Value) -> Value:
    """real(complex(x)) -> x"""
    return x


@rule(P(Imag, P(Cast, Arg("x"), in_data_type=DType.FLOAT32, out_data_type=DType.COMPLEX64)))
def drop_imag(b: Builder, root: Node, x: Value) -> Value:
    """imag(complex(x)) -> 0"""
    return b(ZerosLike(), x)  # type: ignore[no-any-return]


@rule(P(ZerosLike, Arg("x", lambda x: x.type.is_static)))
def make_zeros(b: Builder, root: Node, x: Value) -> Value | No:
    """zeros_like(x) -> constant"""
    if x.dtype not in (DType.FLOAT32, DType.INT32, DType.INT64) or x.type.nbytes > FOLD_LIMIT:
        return no("the constant would be large")
    return b.const(np.zeros(x.shape, x.dtype.numpy))


@rule(P(LogicalNot, P(LogicalNot, Arg("x"))))
def drop_double_not(b: Builder, root: Node, x: Value) -> Value:
    """not(not(x)) -> x"""
    return x


@rule(P((LogicalAnd, LogicalOr), Arg("x"), Arg("x")))
def drop_repeated(b: Builder, root: Node, x: Value) -> Value:
    """x and x -> x; so too x or x"""
    return x


CANONICALIZE: tuple[Rule, ...] = (
    drop_identity,
    fix_reshape,
    merge_reshapes,
    use_reshape,
    pack_is_reshape,
    gather_is_reshape,
    merge_reshapes_around,
    drop_way_back,
    drop_ways_around,
    drop_ways_around_constant,
    drop_ways_around_constants,
    pad_behind_reshape,
    keep_reduced_dims,
    merge_means,
    merge_transposes,
    transpose_is_reshape,
    drop_split,
    drop_split_v,
    merge_casts,
    drop_zero,
    drop_one,
    drop_double_negation,
    drop_double_not,
    drop_repeated,
    add_negative,
    subtract_negative,
    add_negative_product,
    drop_real,
    drop_imag,
    make_zeros,
)
