"""Convolution layers: plain, depthwise, separable and transposed, over one to three spatial axes.

Sources: keras/src/layers/convolutional/, keras/src/backend/tensorflow/nn.py and
keras/src/backend/common/backend_utils.py (Keras 3), tf_keras/src/layers/convolutional/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, product
from litecast.lib import array, spatial
from litecast.lib.windows import Spec, extent

__all__ = ["CHANNELS_LAST", "padding_of", "per_axis"]

CHANNELS_LAST = "channels_last"
PADDINGS = {"valid": "VALID", "same": "SAME"}


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """Return an option as one number per spatial axis: configs hold one for all, or a list."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return tuple(int(item) for item in (values * rank if len(values) == 1 else values))


def padding_of(layer: Layer, padding: Any) -> str:
    """Return SAME or VALID; UnsupportedError for what Keras has no other word for."""
    mode = PADDINGS.get(str(padding).lower())
    if mode is None:
        raise layer.unsupported(f"padding {padding!r} is not one that Keras computes", "use same or valid")
    return mode


@dataclass(frozen=True)
class _Windows:
    """The options that all convolutions share, an entry per spatial axis."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Spec
    dilations: tuple[int, ...]

    @classmethod
    def of(
        cls, layer: Layer, x: Value, kernel_size: Any, strides: Any, padding: Any, dilation_rate: Any
    ) -> _Windows:
        """Read them from a config; "causal" pads what a window reaches, before the first step."""
        rank = len(kernel_size) if isinstance(kernel_size, (list, tuple)) else x.rank - 2
        size, dilations = per_axis(kernel_size, rank), per_axis(dilation_rate, rank)
        amounts: Spec
        if str(padding).lower() == "causal" and rank == 1:
            amounts = [(extent(size[0], dilations[0]) - 1, 0)]
        else:
            amounts = padding_of(layer, padding)
        return cls(size, per_axis(strides, rank), amounts, dilations)


def _channels_last(
    b: Builder, x: Value, rank: int, data_format: str | None, compute: Callable[[Value], Value]
) -> Value:
    """Compute on [n, *spatial, channels]; Keras 2 takes more dimensions before these, each element alone."""
    before: Sequence[Dim] = x.shape[: x.rank - rank - 1]
    images = x
    if len(before) != 1:
        images = array.reshape(b, x, (product(before), *x.shape[len(before) :]))
    first = (data_format or CHANNELS_LAST) != CHANNELS_LAST
    result = compute(spatial.to_channels_last(b, images) if first else images)
    if first:
        result = spatial.from_channels_last(b, result)
    if len(before) != 1:
        result = array.reshape(b, result, (*before, *result.shape[1:]))
    return result


def _bias(b: Builder, layer: Layer, use_bias: bool, channels: Dim) -> Value | None:
    return layer.weight(b, "bias", (channels,)) if use_bias else None


def _kernel_and_bias(
    b: Builder, layer: Layer, shape: Sequence[Dim], use_bias: bool
) -> tuple[Value, Value | None]:
    """Return the variables, a LoRA update added to the kernel where the file has not done so."""
    if not layer.config.get("lora_rank"):
        return layer.weight(b, "kernel", shape), _bias(b, layer, use_bias, shape[-1])
    from litecast.frontend.keras.layers.quantized import weight_and_bias

    return weight_and_bias(b, layer, shape, shape[-1:] if use_bias else None, ("dhwio"[-len(shape) :], "o"))


@keras("Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D")
def conv(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    groups: int | None = 1,
    activation: Any = None,
    use_bias: bool = True,
) -> Value:
    at = _Windows.of(layer, inputs, kernel_size, strides, padding, dilation_rate)

    def compute(x: Value) -> Value:
        shape = (*at.size, x.shape[-1] // (groups or 1), filters)
        kernel, bias = _kernel_and_bias(b, layer, shape, use_bias)
        return spatial.conv(b, x, kernel, at.strides, at.padding, at.dilations, bias)

    return layer.activate(b, activation, _channels_last(b, inputs, len(at.size), data_format, compute))


# `groups` is in the configs of tf_keras, which inherit it: no layer but the plain ones looks at it
@keras("DepthwiseConv1D", "DepthwiseConv2D", harmless=("groups",))
def depthwise_conv(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    kernel_size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    depth_multiplier: int = 1,
    data_format: str | None = None,
    dilation_rate: Any = 1,
    activation: Any = None,
    use_bias: bool = True,
) -> Value:
    at = _Windows.of(layer, inputs, kernel_size, strides, padding, dilation_rate)
    name = "depthwise_kernel" if layer.is_legacy else "kernel"

    def compute(x: Value) -> Value:
        kernel = layer.weight(b, name, (*at.size, x.shape[-1], depth_multiplier))
        bias = _bias(b, layer, use_bias, x.shape[-1] * depth_multiplier)
        return spatial.depthwise_conv(b, x, kernel, at.strides, at.padding, at.dilations, bias)

    return layer.activate(b, activation, _channels_last(b, inputs, len(at.size), data_format, compute))


@keras(
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    harmless=("groups",),  # as above
)
def separable_conv(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    depth_multiplier: int = 1,
    activation: Any = None,
    use_bias: bool = True,
) -> Value:
    at = _Windows.of(layer, inputs, kernel_size, strides, padding, dilation_rate)
    rank = len(at.size)

    def compute(x: Value) -> Value:
        channels = x.shape[-1] * depth_multiplier
        depthwise = layer.weight(b, "depthwise_kernel", (*at.size, x.shape[-1], depth_multiplier))
        pointwise = layer.weight(b, "pointwise_kernel", (*[1] * rank, channels, filters))
        bias = _bias(b, layer, use_bias, filters)
        deep = spatial.depthwise_conv(b, x, depthwise, at.strides, at.padding, at.dilations)
        return spatial.conv(b, deep, pointwise, [1] * rank, "VALID", bias=bias)

    return layer.activate(b, activation, _channels_last(b, inputs, rank, data_format, compute))


@keras(
    *[f"{name}{rank}DTranspose" for name in ("Conv", "Convolution") for rank in (1, 2, 3)],
    *[f"{name}{rank}D" for name in ("Deconv", "Deconvolution") for rank in (2, 3)],
    harmless=("groups",),  # as above
)
def conv_transpose(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
    activation: Any = None,
    use_bias: bool = True,
) -> Value:
    at = _Windows.of(layer, inputs, kernel_size, strides, padding_of(layer, padding), dilation_rate)
    rank, mode = len(at.size), padding_of(layer, padding)
    extra = [None] * rank if output_padding is None else per_axis(output_padding, rank)
    spans = [extent(*axis) for axis in zip(at.size, at.dilations, strict=True)]
    ends = [transposed_end(mode, *axis) for axis in zip(spans, at.strides, extra, strict=True)]

    def compute(x: Value) -> Value:
        kernel = layer.weight(b, "kernel", (*at.size, filters, x.shape[-1]))
        bias = _bias(b, layer, use_bias, filters)
        return spatial.conv_transpose(b, x, kernel, ends, at.strides, mode, at.dilations, bias)

    return layer.activate(b, activation, _channels_last(b, inputs, rank, data_format, compute))


def transposed_end(padding: str, span: int, stride: int, output_padding: int | None) -> int:
    """Return how many elements the result has beyond (size - 1) * stride.

    `_get_output_shape_given_tf_padding` (backend_utils.py) and `deconv_output_length` (tf_keras
    conv_utils.py) agree.
    """
    if padding == "VALID":
        return max(span, stride) if output_padding is None else span + output_padding
    return stride if output_padding is None else span % 2 + output_padding
