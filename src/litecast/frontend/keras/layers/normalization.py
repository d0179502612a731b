"""Normalisation layers, in inference: batch statistics are the moving ones, all others are computed.

Sources: keras/src/layers/normalization/ and keras/src/ops/nn.py, tf_keras/src/layers/normalization/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer, values_of
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, product
from litecast.lib import array, math, nn, reduce
from litecast.ops import Add, Div, Maximum, Mul, Rsqrt, Square, Sub

KERAS3_LIMIT, KERAS2_LIMIT = 1e-24, 1e-12
"""Least sum of squares that UnitNormalization divides by: `_normalize` squares its epsilon, `l2_normalize`
does not.
"""


def _axes(layer: Layer, axis: Any, rank: int) -> list[int]:
    """Return the axes of an option, a number or a list, counted from the front and in its order."""
    axes = [int(item) for item in (axis if isinstance(axis, (list, tuple)) else [axis])]
    if any(not -rank <= item < rank for item in axes):
        raise layer.unsupported(f"axis {axis} is none of an input of {rank} dimensions", "correct the axis")
    return [item % rank for item in axes]


def _as_float(b: Builder, x: Value) -> Value:
    result: Value = x if x.dtype.is_float else array.cast(b, x, DType.FLOAT32)
    return result


# -- by statistics of the training data ------------------------------------------------------------------


# What only training looks at, and how the statistics were gathered
BATCH_HARMLESS = ("momentum", "renorm_clipping", "renorm_momentum", "synchronized", "fused")


@keras(
    "BatchNormalization",
    "BatchNormalizationV1",
    "BatchNormalizationV2",
    "SyncBatchNormalization",
    masking="pass",
    harmless=BATCH_HARMLESS,
)
def batch_normalization(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    axis: Any = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    renorm: bool = False,
    virtual_batch_size: int | None = None,
) -> Value:
    x = _as_float(b, inputs)
    virtual = virtual_batch_size is not None
    if virtual and isinstance(axis, (list, tuple)):  # counted with the axis that was added
        axis = [item - 1 for item in axis]
    axes = sorted(_axes(layer, axis, x.rank))
    shape = _parameter_shape(x, axes, virtual)

    def vector(name: str, trainable: bool) -> Value:
        return _broadcast(b, x, axes, layer.weight(b, name, shape, trainable=trainable))

    ones, zeros = (np.full([], value, np.float32) for value in (1, 0))
    gamma = vector("gamma", True) if scale else b.const(ones)
    beta = vector("beta", True) if center else b.const(zeros)
    mean, variance = (vector(name, False) for name in ("moving_mean", "moving_variance"))
    if renorm:  # what training goes by; the moving variance follows from it
        for name in ("moving_stddev", "renorm_mean", "renorm_stddev"):
            layer.weight(b, name, shape, trainable=False)
    return nn.batch_norm(b, x, mean, variance, gamma, beta, epsilon)


def _parameter_shape(x: Value, axes: Sequence[int], virtual: bool) -> tuple[Dim, ...]:
    """Return the shape of the variables; Keras 2 gives those of several axes the rank of the input, and one
    more for the virtual batch.
    """
    if len(axes) == 1 and not virtual:
        return (x.shape[axes[0]],)
    dims = [dim if axis in axes else 1 for axis, dim in enumerate(x.shape)]
    return (dims[0], 1, *dims[1:]) if virtual else tuple(dims)


def _broadcast(b: Builder, x: Value, axes: Sequence[int], value: Value) -> Value:
    """Return a value whose elements are those along `axes`, in order, as it broadcasts against x."""
    first = min(axes)
    result: Value = array.reshape(
        b, value, [x.shape[axis] if axis in axes else 1 for axis in range(first, x.rank)]
    )
    return result


# -- by statistics of the input --------------------------------------------------------------------------


def _scaled(b: Builder, x: Value, axes: Sequence[int], gamma: Value | None, beta: Value | None) -> Value:
    """Return x * gamma + beta, of what is there."""
    y = x
    for op, value in ((Mul(), gamma), (Add(), beta)):
        y = y if value is None else math.apply(b, op, y, _broadcast(b, x, axes, value))
    return y


@keras("LayerNormalization", masking="pass")
def layer_normalization(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    axis: Any = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    rms_scaling: bool = False,
) -> Value:
    """Normalise along axes; with `rms_scaling` the mean is not taken off, but variance still is about it.

    The variables have their dimensions in the order of `axis` as it is saved, which versions sort differently
    or not at all; they are reshaped and not transposed.
    """
    x = _as_float(b, inputs)
    axes = _axes(layer, axis, x.rank)
    shape = [x.shape[item] for item in axes]
    gamma = layer.weight(b, "gamma", shape) if scale or rms_scaling else None
    beta = layer.weight(b, "beta", shape) if center and not rms_scaling else None
    if rms_scaling:
        centred = math.apply(b, Sub(), x, reduce.mean(b, x, axes, True))
        normal = _divided(b, x, centred, axes, epsilon)
    else:
        normal = nn.standardize(b, x, axes, epsilon)
    return _scaled(b, normal, axes, gamma, beta)


def _divided(b: Builder, x: Value, y: Value, axes: Sequence[int], epsilon: float) -> Value:
    """Return x / sqrt(mean(y * y) + epsilon), of the mean along axes."""
    power = reduce.mean(b, b(Square(), y), axes, True)
    result: Value = math.apply(b, Mul(), x, b(Rsqrt(), b(Add(), power, epsilon)))
    return result


@keras("RMSNormalization")
def rms_normalization(b: Builder, x: Value, *, layer: Layer, axis: Any = -1, epsilon: float = 1e-6) -> Value:
    """Divide by the root mean square along axes; the scale broadcasts from the last axis, as Keras has it."""
    values = _as_float(b, x)
    given = sorted(axis) if isinstance(axis, (list, tuple)) else [axis]
    axes = _axes(layer, given, values.rank)
    scale = layer.weight(b, "scale", [values.shape[item] for item in axes])
    result: Value = math.apply(b, Mul(), _divided(b, values, values, axes, epsilon), scale)
    return result


@keras("GroupNormalization", masking="pass")
def group_normalization(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    mask: Any = None,
    groups: int = 32,
    axis: Any = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
) -> Value:
    """Normalise each example and group of channels: [n, before, groups, channels / groups * after].

    Keras 2 weighs the elements by a mask, which broadcasts to the input.
    """
    x = _as_float(b, inputs)
    (channel_axis,) = _axes(layer, axis, x.rank)
    channels = x.shape[channel_axis]
    gamma = layer.weight(b, "gamma", (channels,)) if scale else None
    beta = layer.weight(b, "beta", (channels,)) if center else None
    count = channels if groups == -1 else groups
    before, after = product(x.shape[1:channel_axis]), product(x.shape[channel_axis + 1 :])
    parts = [(before, True), (count, False), (channels // count * after, True)]
    kept = [(x.shape[0], False), *(part for part in parts if part[0] != 1)]
    over = [position for position, (_, counted) in enumerate(kept) if counted]
    factors = None
    if gamma is not None and after == 1 and before != 1:
        factors, gamma = (
            array.reshape(b, gamma, [dim for dim in (count, channels // count) if dim != 1]),
            None,
        )
    grouped = array.reshape(b, x, [dim for dim, _ in kept])
    if mask is not None and layer.is_legacy:
        weights = math.broadcast_to(b, array.cast(b, mask, x.dtype), x.shape)
        normal = _weighted(b, grouped, array.reshape(b, weights, grouped.shape), over, epsilon, factors)
    else:
        normal = nn.standardize(b, grouped, over, epsilon, factors)
    return _scaled(b, array.reshape(b, normal, x.shape), [channel_axis], gamma, beta)


def _weighted(
    b: Builder, x: Value, weights: Value, axes: Sequence[int], epsilon: float, scale: Value | None
) -> Value:
    """Standardize by weighted moments (`tf.nn.weighted_moments`)."""

    def mean(value: Value) -> Any:
        total = reduce.total(b, math.apply(b, Mul(), value, weights), axes, True)
        return math.apply(b, Div(), total, reduce.total(b, weights, axes, True))

    centred = math.apply(b, Sub(), x, mean(x))
    factor = b(Rsqrt(), b(Add(), mean(b(Square(), centred)), epsilon))
    if scale is not None:
        factor = math.apply(b, Mul(), factor, scale)
    result: Value = math.apply(b, Mul(), centred, factor)
    return result


@keras("UnitNormalization", masking="pass")
def unit_normalization(b: Builder, inputs: Value, *, layer: Layer, axis: Any = -1) -> Value:
    """Divide by the Euclidean norm along axes."""
    x = _as_float(b, inputs)
    limit = KERAS2_LIMIT if layer.is_legacy else KERAS3_LIMIT
    total = reduce.total(b, b(Square(), x), _axes(layer, axis, x.rank), True)
    result: Value = math.apply(b, Mul(), x, b(Rsqrt(), b(Maximum(), total, limit)))
    return result


# -- of weights ------------------------------------------------------------------------------------------


# What only training does (the kernel is kept normalised, and `vector_u` is for the next step of it), and what
# is read below
@keras("SpectralNormalization", harmless=("power_iterations", "layer"))
def spectral_normalization(b: Builder, inputs: Any, *, layer: Layer, mask: Any = None) -> Any:
    """Run the layer inside; Keras 3 gives its result the element type of the input, Keras 2 its mask too."""
    result = layer.child("layer", layer.config["layer"]).masked(b, inputs, mask=mask)
    if layer.is_legacy:
        return result
    return array.cast(b, values_of(result), inputs.dtype)
