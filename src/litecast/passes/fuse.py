"""Folding constants and activations into contractions; a contraction then does what three operations did.

The arithmetic on weights is done in float64 and rounded to float32 once per rule; large weights stay `Lazy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Lazy, Node, Value
from litecast.ir.op import Array, Op
from litecast.ir.rewrite import Arg, Const, No, P, Rule, no, rule
from litecast.ir.types import Dim, DType, product
from litecast.ops import (
    Add,
    AveragePool2D,
    Conv2D,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv2D,
    Div,
    FullyConnected,
    L2Pool2D,
    MaxPool2D,
    Mul,
    Neg,
    Relu,
    Relu6,
    ReluN1To1,
    Reshape,
    Squeeze,
    Sub,
    TransposeConv,
)
from litecast.ops.enums import Activation, Padding, WeightsFormat

__all__ = ["FUSE", "LAZY_LIMIT"]

LAZY_LIMIT = 1 << 18
"""Scaled weights of more bytes than this are computed when they are written."""

SHARED_LIMIT = 1 << 20
"""Weights of more bytes than this are not scaled while something else reads them unscaled."""


@dataclass(frozen=True)
class Place:
    """Where a contraction keeps its weights: operands, and the axis of output channels."""

    data: int
    bias: int
    axis: int
    weights: int = 1


PLACES: dict[type[Op], Place] = {
    Conv2D: Place(data=0, bias=2, axis=0),
    DepthwiseConv2D: Place(data=0, bias=2, axis=3),
    FullyConnected: Place(data=0, bias=2, axis=0),
    TransposeConv: Place(data=2, bias=3, axis=0),
    Conv3D: Place(data=0, bias=2, axis=4),
    Conv3DTranspose: Place(data=2, bias=3, axis=3),
}
FUSIBLE = tuple(PLACES)
ACTIVATED = (*FUSIBLE, Add, Sub, Mul, Div, AveragePool2D, MaxPool2D, L2Pool2D)
"""Operations whose float kernels clamp by CalculateActivationRange (kernel_util.h), which knows no TANH."""

NONE, RELU, RELU6 = Activation.NONE, Activation.RELU, Activation.RELU6
ACTIVATION: dict[type[Op], Activation] = {Relu: RELU, Relu6: RELU6, ReluN1To1: Activation.RELU_N1_TO_1}
CLAMPS = (NONE, *ACTIVATION.values())
JOINED = {
    **{(NONE, act): act for act in ACTIVATION.values()},
    (RELU, RELU): RELU,
    (RELU, RELU6): RELU6,
    (RELU6, RELU): RELU6,
    (RELU6, RELU6): RELU6,
    (Activation.RELU_N1_TO_1, Activation.RELU_N1_TO_1): Activation.RELU_N1_TO_1,
}
"""One clamp after another that is one clamp."""

PLAIN = P(FUSIBLE, name="base", uses=1, fused_activation_function=NONE)
VIEWED = P((Reshape, Squeeze), PLAIN, name="view", uses=1)


# -- constants behind a contraction --------------------------------------------------------------------------


def split_channels(shape: Sequence[Dim], channels: Dim) -> Sequence[Dim] | None:
    """Return the last dimensions of a shape that hold the channels, perhaps split by a reshape, or None."""
    for count in range(1, len(shape) + 1):
        last = shape[-count:]
        if not all(isinstance(dim, int) for dim in last):
            return None
        if product(last) == channels:
            return last
    return None


def channel_vector(constant: Value, channels: Sequence[Dim], rank: int) -> Array | None:
    """Return a constant as FLOAT64 [product of channels] where it varies along these last of `rank` axes."""
    shape, count = constant.shape, len(channels)
    if constant.dtype is not DType.FLOAT32 or not all(isinstance(dim, int) for dim in channels):
        return None
    if len(shape) > rank or any(dim != 1 for dim in shape[:-count]):
        return None
    last = shape[-count:]
    if any(dim not in (1, whole) for dim, whole in zip(last, channels[count - len(last) :], strict=True)):
        return None
    contents = np.asarray(constant.array(), np.float64).reshape(last)
    return np.broadcast_to(contents, tuple(channels)).reshape(-1)  # type: ignore[arg-type]


def scale_and_shift(op: Op, vector: Array) -> tuple[Array, Array]:
    """Return s and t of `op(y, vector) = s * y + t`."""
    one, zero = np.ones_like(vector), np.zeros_like(vector)
    with np.errstate(divide="ignore"):
        table: dict[type[Op], tuple[Array, Array]] = {
            Add: (one, vector),
            Sub: (one, -vector),
            Mul: (vector, zero),
            Div: (1.0 / vector, zero),
        }
    return table[type(op)]


def _fold(b: Builder, root: Node, base: Node, view: Node | None, scale: Array, shift: Array) -> Value | No:
    """Return the contraction `base`, its result scaled and shifted per channel and reshaped by `view`."""
    place = PLACES[type(base.op)]
    inputs = [*base.inputs, *[None] * (place.bias + 1 - len(base.inputs))]
    weights, bias = inputs[place.weights], inputs[place.bias]
    activation = root.op.fused_activation_function  # type: ignore[attr-defined]
    if activation not in CLAMPS:
        return no("the kernel has no such activation")
    if bias is not None and not bias.is_const:
        return no("the bias is not constant")
    if (scale != 1).any():
        refusal = _unscalable(base.op, weights)
        if refusal:
            return no(refusal)
        inputs[place.weights] = scaled(b, weights, scale, place.axis)
    old = 0.0 if bias is None else np.asarray(bias.array(), np.float64).reshape(-1)
    fresh = (old * scale + shift).astype(np.float32)
    if bias is not None or fresh.any():
        inputs[place.bias] = b.const(fresh, "" if bias is None else bias.name)
    result: Value = b(replace(base.op, fused_activation_function=activation), *inputs)  # type: ignore[call-arg]
    return result if view is None else _again(b, view, result)


def _unscalable(op: Op, weights: Value | None) -> str:
    if weights is None or not weights.is_const or weights.dtype is not DType.FLOAT32:
        return "the weights are not constant floats"
    if weights.sparsity is not None:
        return "the weights are sparse"
    if weights.use_count > 1 and weights.type.nbytes > SHARED_LIMIT:
        return "the weights are large and shared"
    if isinstance(op, FullyConnected) and op.weights_format is not WeightsFormat.DEFAULT:
        return "the weights are shuffled"
    return ""


def scaled(b: Builder, weights: Any, factors: Array, axis: int) -> Value:
    """Return weights times factors along an axis (or of the weights' rank), computed late where large."""
    if factors.ndim == 1:
        factors = factors.reshape([-1 if at == axis else 1 for at in range(weights.rank)])

    def compute() -> Array:
        product = np.empty(weights.shape, np.float32)  # computed in float64, rounded as it is stored
        return np.multiply(weights.array(), factors, out=product, casting="same_kind")

    if weights.type.nbytes <= LAZY_LIMIT:
        return b.const(compute(), weights.name)
    return b.const(Lazy(DType.FLOAT32, weights.shape, compute), weights.name)


def _again(b: Builder, view: Node, x: Value) -> Value:
    """Apply the operation of `view` to another first operand."""
    result: Value = b(view.op, x, *view.inputs[1:])
    return result


def _fold_behind(
    b: Builder, root: Node, base: Node, c: Value, view: Node | None, flipped: bool = False
) -> Value | No:
    channels = base.output.shape[-1]
    seen = base.output if view is None else view.output
    split = split_channels(seen.shape, channels)
    vector = None if split is None else channel_vector(c, split, seen.rank)
    if root.output.type.shape != seen.type.shape or vector is None:
        return no("the constant does not lie along the channels")
    scale, shift = (-np.ones_like(vector), vector) if flipped else scale_and_shift(root.op, vector)
    if not np.isfinite(scale).all():
        return no("the constant is zero or not finite")
    return _fold(b, root, base, view, scale, shift)


@rule(P((Add, Sub, Mul, Div), PLAIN, Const("c")))
def fold_constant_behind(b: Builder, root: Node, base: Node, c: Value) -> Value | No:
    """conv(x, w, v) {+ - * /} c -> conv(x, s * w, s * v + t)"""
    return _fold_behind(b, root, base, c, None)


@rule(P((Add, Sub, Mul, Div), VIEWED, Const("c")))
def fold_constant_behind_reshape(b: Builder, root: Node, base: Node, view: Node, c: Value) -> Value | No:
    """reshape(conv(x, w, v)) {+ - * /} c -> reshape(conv(x, s * w, s * v + t)); so too behind a squeeze"""
    return _fold_behind(b, root, base, c, view)


@rule(P(Sub, Const("c"), PLAIN))
def fold_constant_minus(b: Builder, root: Node, base: Node, c: Value) -> Value | No:
    """c - conv(x, w, v) -> conv(x, -w, c - v)"""
    return _fold_behind(b, root, base, c, None, flipped=True)


@rule(P(Add, P(Add, PLAIN, Arg("y"), uses=1, fused_activation_function=NONE), Const("c")))
def fold_constant_behind_sum(b: Builder, root: Node, base: Node, y: Value, c: Value) -> Value | No:
    """(dense(x, w, v) + y) + c -> dense(x, w, v + c) + y"""
    shape = base.output.type.shape
    vector = channel_vector(c, shape[-1:], len(shape)) if shape else None
    if vector is None or y.is_const or root.output.type.shape != shape or y.type.shape != shape:
        return no("the constant does not lie along the channels")
    biased = _fold(b, base, base, None, np.ones_like(vector), vector)
    return biased if isinstance(biased, No) else b(root.op, biased, y)


def _negate(b: Builder, root: Node, base: Node, view: Node | None) -> Value | No:
    channels = base.output.shape[-1] if base.output.type.shape else None
    if not isinstance(channels, int) or (view is not None and view.output.shape[-1:] != (channels,)):
        return no("the channels are not known")
    return _fold(b, base, base, view, -np.ones(channels), np.zeros(channels))


@rule(P(Neg, PLAIN))
def fold_negation(b: Builder, root: Node, base: Node) -> Value | No:
    """-conv(x, w, v) -> conv(x, -w, -v)"""
    return _negate(b, root, base, None)


@rule(P(Neg, VIEWED))
def fold_negation_behind_reshape(b: Builder, root: Node, base: Node, view: Node) -> Value | No:
    """-reshape(conv(x, w, v)) -> reshape(conv(x, -w, -v))"""
    return _negate(b, root, base, view)


# -- constants before a contraction --------------------------------------------------------------------------


AFFINE = P((Add, Sub, Mul, Div), Arg("x"), Const("c"), name="affine", uses=1, fused_activation_function=NONE)


@rule(P((Conv2D, DepthwiseConv2D, FullyConnected), AFFINE, Const("w")))
def fold_constant_before(b: Builder, root: Node, x: Value, c: Value, w: Value, affine: Node) -> Value | No:
    """conv(x * s + t, w, v) -> conv(x, s * w, v + sum(t * w))"""
    channels = None if x.type.shape is None or not x.shape else x.shape[-1]
    vector = None if channels is None else channel_vector(c, (channels,), x.rank)
    if vector is None or affine.output.type.shape != x.type.shape:
        return no("the constant does not lie along the channels")
    scale, shift = scale_and_shift(affine.op, vector)
    bias = root.inputs[2] if len(root.inputs) > 2 else None
    refusal = _unscalable(root.op, w)
    if refusal:
        return no(refusal)
    if bias is not None and not bias.is_const:
        return no("the bias is not constant")
    if not np.isfinite(scale).all():
        return no("the constant is zero or not finite")
    if shift.any() and getattr(root.op, "padding", Padding.VALID) is not Padding.VALID:
        return no("the padding would be shifted too")
    spread = _per_weight(root.op, w, np.stack([scale, shift]))
    if spread is None:
        return no("the input channels are not those of the weights")
    if shift.any():
        axes = tuple(axis for axis in range(w.rank) if axis != PLACES[type(root.op)].axis)
        old = 0.0 if bias is None else np.asarray(bias.array(), np.float64)
        total = old + (np.asarray(w.array(), np.float64) * spread[1]).sum(axis=axes)
        bias = b.const(total.astype(np.float32), "" if bias is None else bias.name)
    scales = bool((scale != 1).any())
    return b(root.op, x, scaled(b, w, spread[0], 0) if scales else w, bias)  # type: ignore[no-any-return]


def _per_weight(op: Op, w: Value, vectors: Array) -> Array | None:
    """Spread vectors [k, input channels] to broadcast against the weights: [k, ...weights' rank]."""
    count, channels = vectors.shape
    shape: tuple[Any, ...] = w.shape
    if isinstance(op, FullyConnected):
        if shape[1] != channels and (vectors != vectors[:, :1]).any():
            return None
        return vectors[:, None, :] if shape[1] == channels else vectors[:, None, :1]
    if isinstance(op, DepthwiseConv2D):
        return np.repeat(vectors, shape[3] // channels, axis=1)[:, None, None, None, :]
    groups = channels // shape[3]
    by_group = np.repeat(vectors.reshape(count, groups, shape[3]), shape[0] // groups, axis=1)
    return by_group[:, :, None, None, :]


# -- activations ---------------------------------------------------------------------------------------------


def _activate(b: Builder, root: Node, base: Node) -> Value | No:
    op: Any = base.op
    joined = JOINED.get((op.fused_activation_function, ACTIVATION[type(root.op)]))
    if joined is None or base.output.dtype is not DType.FLOAT32:
        return no("the kernel has no such activation")
    return b(replace(op, fused_activation_function=joined), *base.inputs)  # type: ignore[no-any-return]


@rule(P(tuple(ACTIVATION), P(ACTIVATED, name="base", uses=1)))
def fuse_activation(b: Builder, root: Node, base: Node) -> Value | No:
    """relu(conv(x)) -> conv(x) {RELU}"""
    return _activate(b, root, base)


@rule(P(tuple(ACTIVATION), P((Reshape, Squeeze), P(ACTIVATED, name="base", uses=1), name="view", uses=1)))
def fuse_activation_behind_reshape(b: Builder, root: Node, base: Node, view: Node) -> Value | No:
    """relu(reshape(conv(x))) -> reshape(conv(x) {RELU})"""
    result = _activate(b, root, base)
    return result if isinstance(result, No) else _again(b, view, result)


@rule(P(tuple(ACTIVATION), P(tuple(ACTIVATION), Arg("x"), name="inner")))
def join_activations(b: Builder, root: Node, inner: Node, x: Value) -> Value | No:
    """relu6(relu(x)) -> relu6(x)"""
    joined = JOINED.get((ACTIVATION[type(inner.op)], ACTIVATION[type(root.op)]))
    if joined is None:
        return no("the two are not one clamp")
    by_activation = {activation: kind for kind, activation in ACTIVATION.items()}
    return b(by_activation[joined](), x)  # type: ignore[no-any-return]


@rule(P((Conv2D, DepthwiseConv2D), Arg("x"), Arg("w"), None))
def give_bias(b: Builder, root: Node, x: Value, w: Value) -> Value | No:
    """conv(x, w) -> conv(x, w, 0): CONV_2D insists on a bias, DEPTHWISE_CONV_2D crashes without one"""
    channels = root.output.shape[-1] if root.output.type.shape else None
    if not isinstance(channels, int) or x.dtype is not DType.FLOAT32:
        return no("the channels are not known")
    return b(root.op, x, w, np.zeros(channels, np.float32))  # type: ignore[no-any-return]


FUSE: tuple[Rule, ...] = (
    give_bias,
    fold_constant_behind,
    fold_constant_behind_reshape,
    fold_constant_minus,
    fold_constant_behind_sum,
    fold_negation,
    fold_negation_behind_reshape,
    fold_constant_before,
    fuse_activation,
    fuse_activation_behind_reshape,
    join_activations,
)
