"""`keras.ops.nn` that normalise, attend and compare: normalisations, attention, losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.operations.indexing import one_hot_of
from litecast.frontend.keras.operations.promotion import (
    BOOL,
    F32,
    axes_of,
    promoted,
    result_type,
    tensor,
)
from litecast.frontend.keras.operations.reductions import over, variance
from litecast.ir.builder import Builder
from litecast.lib import activation, array, linalg, math, nn, reduce
from litecast.lib.complex import Complex

EPSILON = 1e-7
"""`keras.config.epsilon()` as it is unless a program sets it."""


# -- normalisation ---------------------------------------------------------------------------------------


def normalized(b: Builder, x: Any, mean: Any, variance: Any, offset: Any, scale: Any, epsilon: float) -> Any:
    """Return x * inv + (offset - mean * inv), inv = scale / sqrt(variance + epsilon); operands broadcast."""
    average, spread = (tensor(b, value, x.dtype) for value in (mean, variance))
    inverse = math.apply(b, ops.Rsqrt(), math.apply(b, ops.Add(), spread, epsilon))
    if scale is not None:
        inverse = math.apply(b, ops.Mul(), inverse, tensor(b, scale, x.dtype))
    shift = math.apply(b, ops.Neg(), math.apply(b, ops.Mul(), average, inverse))
    if offset is not None:
        shift = math.apply(b, ops.Add(), shift, tensor(b, offset, x.dtype))
    return math.apply(b, ops.Add(), math.apply(b, ops.Mul(), x, inverse), shift)


@operations("BatchNorm")
def batch_norm(
    b: Builder,
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any = None,
    scale: Any = None,
    *,
    axis: int,
    epsilon: float = 0.001,
) -> Any:
    vectors = [
        None if value is None else nn.per_channel(b, tensor(b, value), x.rank, axis)
        for value in (mean, variance, offset, scale)
    ]
    return normalized(b, x, vectors[0], vectors[1], vectors[2], vectors[3], float(epsilon))


def _along(b: Builder, value: Any, x: Any, axes: list[int]) -> Any:
    """Return a scale in a shape that broadcasts along axes, which only the last axis has already."""
    weights = tensor(b, value, x.dtype)
    if weights.rank == x.rank or axes == [x.rank - 1]:
        return weights
    return array.reshape(b, weights, [x.shape[axis] if axis in axes else 1 for axis in range(x.rank)])


@operations("LayerNorm")
def layer_norm(
    b: Builder,
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    *,
    axis: Any = -1,
    epsilon: Any = None,
    rms_scaling: bool = False,
) -> Any:
    """In float32 at least. `rms_scaling` divides by the deviation and leaves the mean (ops/nn.py)."""
    value = array.cast(b, x, result_type(x.dtype, F32))
    axes = axes_of(axis, value.rank)
    least = EPSILON if epsilon is None else float(epsilon)
    if rms_scaling:
        spread = math.apply(b, ops.Add(), variance(b, value, axes, True), least)
        result = math.apply(b, ops.Mul(), value, math.apply(b, ops.Rsqrt(), spread))
    else:
        result = nn.standardize(b, value, axes, least)
    if gamma is not None:
        result = math.apply(b, ops.Mul(), result, _along(b, gamma, value, axes))
    if beta is not None and not rms_scaling:
        result = math.apply(b, ops.Add(), result, _along(b, beta, value, axes))
    return array.cast(b, result, x.dtype)


@operations("RMSNorm")
def rms_norm(b: Builder, x: Any, scale: Any = None, *, axis: Any = -1, epsilon: Any = None) -> Any:
    value = array.cast(b, x, result_type(x.dtype, F32))
    least = EPSILON if epsilon is None else float(epsilon)
    squares = math.apply(b, ops.Add(), over(reduce.mean, b, math.square(b, value), axis, True), least)
    result = math.apply(b, ops.Mul(), value, math.apply(b, ops.Rsqrt(), squares))
    if scale is not None:
        result = math.apply(b, ops.Mul(), result, tensor(b, scale, value.dtype))
    return array.cast(b, result, x.dtype)


# -- attention -------------------------------------------------------------------------------------------

LOW = -0.7 * 3.38953e38
"""What a masked logit becomes (backend/tensorflow/nn.py `_get_large_negative`)."""


@operations("DotProductAttention")
def dot_product_attention(
    b: Builder,
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: Any = None,
    *,
    is_causal: bool = False,
    flash_attention: Any = None,
    attn_logits_soft_cap: Any = None,
) -> Any:
    """Operands [batch, time, heads, size]; fewer heads of key and value serve several of the query.

    `flash_attention` chooses a kernel, and the TensorFlow backend ignores `attn_logits_soft_cap`.
    """
    if attn_logits_soft_cap is not None:
        raise array.unsupported("DotProductAttention", "attn_logits_soft_cap", "leave it out")
    q, k, v = promoted(b, query, key, value)
    groups = q.shape[2] // k.shape[2]
    if groups != 1:
        from litecast.frontend.keras.operations.movement import repeated

        k, v = (repeated(b, part, groups, 2) for part in (k, v))
    logits = linalg.einsum(b, "btnh,bsnh->bnts", [q, k])
    factor = 1.0 / float(np.sqrt(np.float32(q.shape[-1]))) if scale is None else scale
    logits = math.apply(b, ops.Mul(), logits, tensor(b, factor, logits.dtype))
    if bias is not None:
        logits = math.apply(b, ops.Add(), logits, tensor(b, bias, logits.dtype))
    allowed = None if mask is None else tensor(b, mask, BOOL)
    if is_causal:
        triangle = _triangle(b, logits.shape[2], logits.shape[3])
        allowed = triangle if allowed is None else math.apply(b, ops.LogicalAnd(), allowed, triangle)
    if allowed is not None:
        logits = math.select(b, allowed, logits, LOW)
    weights = nn.in_float32(b, lambda x: activation.softmax(b, x), logits)
    return linalg.einsum(b, "bnts,bsnh->btnh", [weights, v])


def _triangle(b: Builder, rows: Any, columns: Any) -> Any:
    """Return whether a column is not after its row."""
    down, across = (
        array.arange(b, b.const(np.int32(0)), b.dim(dim), b.const(np.int32(1))) for dim in (rows, columns)
    )
    return b(ops.LessEqual(), array.expand_dims(b, across, 0), array.expand_dims(b, down, 1))


# -- losses ----------------------------------------------------------------------------------------------


def _clipped(b: Builder, x: Any) -> Any:
    low, high = np.float32(EPSILON), np.float32(1.0 - EPSILON)
    return math.apply(b, ops.Maximum(), math.apply(b, ops.Minimum(), x, float(high)), float(low))


@operations("BinaryCrossentropy")
def binary_crossentropy(b: Builder, target: Any, output: Any, *, from_logits: bool = False) -> Any:
    wanted, found = promoted(b, target, output, weak=False)
    if from_logits:
        tail = nn.softplus(b, math.apply(b, ops.Neg(), math.absolute(b, found)))
        linear = math.apply(b, ops.Sub(), activation.relu(b, found), math.apply(b, ops.Mul(), found, wanted))
        return math.apply(b, ops.Add(), linear, tail)
    probability = _clipped(b, found)
    logs = [
        math.apply(b, ops.Log(), part)
        for part in (probability, math.apply(b, ops.Sub(), b.const(np.float32(1)), probability))
    ]
    shares = wanted, math.apply(b, ops.Sub(), b.const(np.float32(1)), wanted)
    parts = [math.apply(b, ops.Mul(), share, log) for share, log in zip(shares, logs, strict=True)]
    return math.apply(b, ops.Neg(), math.apply(b, ops.Add(), *parts))


def _log_probabilities(b: Builder, output: Any, from_logits: bool, axis: int, rescale: bool) -> Any:
    if from_logits:
        return activation.log_softmax(b, output, axis)
    if rescale:
        output = math.apply(b, ops.Div(), output, reduce.total(b, output, [axis], True))
    return math.apply(b, ops.Log(), _clipped(b, output))


@operations("CategoricalCrossentropy")
def categorical_crossentropy(
    b: Builder, target: Any, output: Any, *, from_logits: bool = False, axis: int = -1
) -> Any:
    wanted, found = promoted(b, target, output, weak=False)
    logs = _log_probabilities(b, found, from_logits, axis, rescale=True)
    return math.apply(b, ops.Neg(), reduce.total(b, math.apply(b, ops.Mul(), wanted, logs), [axis]))


@operations("SparseCategoricalCrossentropy")
def sparse_categorical_crossentropy(
    b: Builder, target: Any, output: Any, *, from_logits: bool = False, axis: int = -1
) -> Any:
    """Without logits the logarithms of the probabilities are taken for them, so they are normalised again."""
    labels, found = tensor(b, target), tensor(b, output)
    if labels.rank == found.rank and labels.shape[-1] == 1:
        labels = array.squeeze(b, labels, [-1])
    logits = found if from_logits else math.apply(b, ops.Log(), _clipped(b, found))
    logs = activation.log_softmax(b, logits, -1)
    chosen = one_hot_of(b, labels, int(found.shape[-1]), -1, found.dtype)
    return math.apply(b, ops.Neg(), reduce.total(b, math.apply(b, ops.Mul(), chosen, logs), [-1]))


@operations("PSNR")
def psnr(b: Builder, x1: Any, x2: Any, *, max_val: Any) -> Any:
    difference = math.apply(b, ops.Sub(), *promoted(b, x1, x2))
    error = over(reduce.mean, b, math.square(b, difference), None, False)
    decibels = math.apply(b, ops.Mul(), math.apply(b, ops.Log(), error), 10.0 / float(np.log(10.0)))
    top = 20.0 * float(np.log10(float(max_val)))
    return math.apply(b, ops.Sub(), b.const(np.asarray(top, decibels.dtype.numpy)), decibels)


@operations("Polar")
def polar(b: Builder, abs_: Any, angle: Any) -> Any:
    size, turn = promoted(b, abs_, angle)
    return Complex(
        *(math.apply(b, ops.Mul(), size, math.apply(b, op, turn)) for op in (ops.Cos(), ops.Sin()))
    )
