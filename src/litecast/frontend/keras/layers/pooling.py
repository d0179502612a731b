"""Pooling layers: over windows, over all of the spatial axes, and over windows that a wanted size decides.

Sources: keras/src/layers/pooling/ and keras/src/backend/tensorflow/nn.py, tf_keras/src/layers/pooling/.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers.convolution import CHANNELS_LAST, padding_of, per_axis
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import array, math, pool, reduce, spatial
from litecast.ops import Div, Mul

AVERAGES = ("AveragePooling", "AvgPool")
MAXIMA = ("MaxPooling", "MaxPool")


def _names(stems: tuple[str, ...]) -> list[str]:
    return [f"{stem}{rank}D" for stem in stems for rank in (1, 2, 3)]


def _channels_last(b: Builder, x: Value, data_format: str | None, compute: Callable[[Value], Value]) -> Value:
    """Compute on [n, *spatial, channels], of two spatial axes where there is one."""
    first = (data_format or CHANNELS_LAST) != CHANNELS_LAST
    y = spatial.to_channels_last(b, x) if first else x
    y = array.squeeze(b, compute(array.expand_dims(b, y, 1)), (1,)) if x.rank == 3 else compute(y)
    result: Value = spatial.from_channels_last(b, y) if first else y
    return result


def _windows(x: Value, sizes: Any) -> list[int]:
    """Return a number per axis of channels-last images, which may have one row that Keras does not see."""
    return [*[1] * (x.rank - 1 - len(sizes)), *sizes, 1]


def _pool(
    b: Builder,
    x: Value,
    layer: Layer,
    compute: Callable[..., Value],
    pool_size: Any,
    strides: Any,
    padding: Any,
    data_format: str | None,
) -> Value:
    rank = x.rank - 2
    sizes = per_axis(pool_size, rank)
    steps = sizes if strides is None else per_axis(strides, rank)
    mode = padding_of(layer, padding)
    return _channels_last(
        b, x, data_format, lambda y: compute(b, y, _windows(y, sizes), _windows(y, steps), mode)
    )


@keras(*_names(MAXIMA))
def max_pooling(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    data_format: str | None = None,
) -> Value:
    return _pool(b, inputs, layer, pool.maximum, pool_size, strides, padding, data_format)


@keras(*_names(AVERAGES))
def average_pooling(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    data_format: str | None = None,
) -> Value:
    return _pool(b, inputs, layer, pool.average, pool_size, strides, padding, data_format)


# -- over everything -------------------------------------------------------------------------------------


def _spatial_axes(x: Value, data_format: str | None) -> list[int]:
    first = (data_format or CHANNELS_LAST) != CHANNELS_LAST
    return list(range(2, x.rank)) if first else list(range(1, x.rank - 1))


@keras(*[f"Global{name}" for name in _names(MAXIMA)])
def global_max_pooling(
    b: Builder, inputs: Value, *, data_format: str | None = None, keepdims: bool = False
) -> Value:
    result: Value = reduce.maximum(b, inputs, _spatial_axes(inputs, data_format), keepdims)
    return result


@keras("GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalAvgPool2D", "GlobalAvgPool3D")
def global_average_pooling(
    b: Builder, inputs: Value, *, layer: Layer, data_format: str | None = None, keepdims: bool = False
) -> Value:
    x = _as_float(b, layer, inputs)
    result: Value = reduce.mean(b, x, _spatial_axes(inputs, data_format), keepdims)
    return result


@keras("GlobalAveragePooling1D", "GlobalAvgPool1D")
def global_average_pooling1d(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    mask: Any = None,
    data_format: str | None = None,
    keepdims: bool = False,
) -> Value:
    """Average the steps that the mask (batch, steps) keeps; no mask comes out."""
    if mask is None:
        return global_average_pooling(b, inputs, layer=layer, data_format=data_format, keepdims=keepdims)
    axes = _spatial_axes(inputs, data_format)
    x = _as_float(b, layer, inputs)
    kept = array.expand_dims(b, mask, 3 - axes[0])
    weights = array.cast(b, kept, x.dtype)
    if layer.is_legacy:
        steps = math.apply(b, Mul(), x, weights)
    else:  # what is masked may be infinite
        steps = math.select(b, array.cast(b, kept, DType.BOOL), x, 0)
    total, count = (reduce.total(b, value, axes, keepdims) for value in (steps, weights))
    result: Value = math.apply(b, Div(), total, count)
    return result


def _as_float(b: Builder, layer: Layer, x: Value) -> Value:
    """Return numbers whose mean is a float: that of integers is one in Keras 3."""
    kept = x.dtype.is_float or (layer.is_legacy and x.dtype.is_integer)
    result: Value = x if kept else array.cast(b, x, DType.FLOAT32)
    return result


# -- to a wanted size ------------------------------------------------------------------------------------


def _adapt(
    b: Builder, x: Value, compute: Callable[..., Value], output_size: Any, data_format: str | None
) -> Value:
    sizes = per_axis(output_size, x.rank - 2)
    return _channels_last(
        b, x, data_format, lambda y: compute(b, y, dict(enumerate(sizes, y.rank - 1 - len(sizes))))
    )


@keras(*[f"AdaptiveMaxPooling{rank}D" for rank in (1, 2, 3)])
def adaptive_max_pooling(
    b: Builder, inputs: Value, *, output_size: Any, data_format: str | None = None
) -> Value:
    return _adapt(b, inputs, pool.adaptive_maximum, output_size, data_format)


@keras(*[f"AdaptiveAveragePooling{rank}D" for rank in (1, 2, 3)])
def adaptive_average_pooling(
    b: Builder, inputs: Value, *, output_size: Any, data_format: str | None = None
) -> Value:
    return _adapt(b, inputs, pool.adaptive_average, output_size, data_format)
