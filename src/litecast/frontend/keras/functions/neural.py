"""TensorFlow's functions of neural networks: activations, convolutions, pooling, normalisation and losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.functions.table import function, positions, raw, same_type
from litecast.frontend.keras.operations import indexing, normalization, reductions
from litecast.frontend.keras.operations.promotion import axes_of, is_tensor, tensor
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.lib import array, math, nn, reduce

# -- activations -----------------------------------------------------------------------------------------

ACTIVATIONS = {
    "relu": "Relu", "relu6": "Relu6", "elu": "Elu", "selu": "Selu", "softplus": "Softplus",
    "softsign": "Softsign",
}  # fmt: skip
"""Functions of `features` that are one operation."""


def _activation(op: str) -> Callable[..., Any]:
    return lambda b, features: raw(b, op, features)


for _name, _op in ACTIVATIONS.items():
    function(_name)(_activation(_op))


@function("leaky_relu")
def leaky_relu(b: Builder, features: Any, alpha: Any = 0.2) -> Any:
    return raw(b, "LeakyRelu", features, alpha=float(alpha))


@function("silu", "swish")
def silu(b: Builder, features: Any, beta: Any = 1.0) -> Any:
    scaled = features if beta == 1 else math.apply(b, ops.Mul(), features, tensor(b, beta, features.dtype))
    return math.apply(b, ops.Mul(), features, raw(b, "Sigmoid", scaled))


@function("gelu")
def gelu(b: Builder, features: Any, approximate: bool = False) -> Any:
    return nn.in_float32(b, lambda x: b(ops.Gelu(approximate=bool(approximate)), x), features)


@function("crelu")
def crelu(b: Builder, features: Any, axis: Any = -1) -> Any:
    negative = math.apply(b, ops.Neg(), features)
    return raw(b, "Relu", array.concat(b, [features, negative], int(axis)))


def _soft(op: str) -> Callable[..., Any]:
    """Along one axis (None: the last), which is moved to the end."""

    def soft(b: Builder, logits: Any, axis: Any = -1) -> Any:
        place = array.normalize_axis(int(axis), logits.rank)
        order = list(range(logits.rank))
        order[place], order[-1] = order[-1], order[place]
        return array.transpose(b, raw(b, op, array.transpose(b, logits, order)), order)

    return soft


function("softmax")(_soft("Softmax"))
function("log_softmax")(_soft("LogSoftmax"))


@function("dropout")
def dropout(b: Builder, x: Any, rate: Any = None, keep_prob: Any = None, noise_shape: Any = None) -> Any:
    """It drops in inference too; a rate of 0 drops nothing."""
    dropped = 1 - keep_prob if rate is None and isinstance(keep_prob, (int, float)) else rate
    if is_tensor(dropped) or dropped is None or dropped > 0:
        raise array.unsupported("tf.nn.dropout", "it drops at random in inference too", "use layers.Dropout")
    return x


# -- convolution -----------------------------------------------------------------------------------------


def _spread(value: Any, data_format: str, count: int) -> list[int]:
    """Return strides, window sizes or dilations for every axis of a tensor: numbers for the spatial ones
    stand where the format has them.
    """
    numbers = np.ravel(value).tolist() if value is not None else [1]
    if len(numbers) == count + 2:
        return [int(number) for number in numbers]
    numbers = numbers * count if len(numbers) == 1 else numbers
    return [1, 1, *numbers] if data_format.startswith("NC") and data_format[2:] else [1, *numbers, 1]


FORMATS = {1: "NWC", 2: "NHWC", 3: "NDHWC"}


def _padding(padding: Any) -> dict[str, Any]:
    if isinstance(padding, str):
        return {"padding": padding.upper()}
    return {"padding": "EXPLICIT", "explicit_paddings": [int(item) for pair in padding for item in pair]}


def _convolve(
    b: Builder, x: Any, w: Any, strides: Any, padding: Any, data_format: Any, dilations: Any
) -> Any:
    """Convolve 1 to 3 spatial dimensions; one dimension is a row of an image."""
    count = x.rank - 2
    form = data_format or FORMATS[count]
    if count == 1:
        if form.startswith("NC"):
            x = array.transpose(b, x, (0, 2, 1))
        rows, filters = array.expand_dims(b, x, 1), array.expand_dims(b, w, 0)
        step, gap = (_spread(item, "NWC", 1) for item in (strides, dilations))
        result = _convolve(b, rows, filters, [1, 1, step[1], 1], padding, "NHWC", [1, 1, gap[1], 1])
        result = array.squeeze(b, result, [1])
        return array.transpose(b, result, (0, 2, 1)) if form.startswith("NC") else result
    attributes = {**_padding(padding), "data_format": form, "strides": _spread(strides, form, count)}
    attributes["dilations"] = _spread(dilations, form, count)
    return raw(b, "Conv2D" if count == 2 else "Conv3D", x, w, **attributes)


@function("conv1d", "conv2d", "conv3d", "convolution")
def convolution(
    b: Builder,
    input: Any,
    filters: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: Any = None,
    dilations: Any = None,
    stride: Any = None,
    dilation_rate: Any = None,
) -> Any:
    x, w = same_type(b, input, filters)
    steps = strides if stride is None else stride
    return _convolve(
        b, x, w, steps, padding, data_format, dilations if dilation_rate is None else dilation_rate
    )


@function("atrous_conv2d")
def atrous_conv2d(b: Builder, value: Any, filters: Any, rate: Any, padding: Any) -> Any:
    x, w = same_type(b, value, filters)
    return _convolve(b, x, w, 1, padding, "NHWC", rate)


@function("depthwise_conv2d", "depthwise_conv2d_native")
def depthwise_conv2d(
    b: Builder,
    input: Any,
    filters: Any,
    strides: Any,
    padding: Any,
    data_format: Any = None,
    dilations: Any = None,
    rate: Any = None,
) -> Any:
    form = data_format or "NHWC"
    x, w = same_type(b, input, filters)
    gaps = _spread(dilations if rate is None else rate, form, 2)
    steps = _spread(strides, form, 2)
    return raw(
        b, "DepthwiseConv2dNative", x, w, **_padding(padding), data_format=form, strides=steps, dilations=gaps
    )


@function("separable_conv2d")
def separable_conv2d(
    b: Builder,
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    data_format: Any = None,
    dilations: Any = None,
    rate: Any = None,
) -> Any:
    middle = depthwise_conv2d(b, input, depthwise_filter, strides, padding, data_format, dilations, rate)
    x, w = same_type(b, middle, pointwise_filter)
    return _convolve(b, x, w, 1, "VALID", data_format, None)


@function("conv2d_transpose", "conv3d_transpose")
def conv_transpose(
    b: Builder,
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: Any = None,
    dilations: Any = None,
) -> Any:
    from litecast.frontend.keras.operations.movement import dims_of

    x, w = same_type(b, input, filters)
    count = x.rank - 2
    form = data_format or FORMATS[count]
    sizes = dims_of(b, output_shape)
    vector = sizes if isinstance(sizes, Value) else b.const(np.asarray(sizes, np.int32))
    op = "Conv2DBackpropInput" if count == 2 else "Conv3DBackpropInputV2"
    attributes = {**_padding(padding), "data_format": form, "strides": _spread(strides, form, count)}
    return raw(b, op, positions(b, vector), w, x, **attributes, dilations=_spread(dilations, form, count))


def _pooling(kind: str) -> Callable[..., Any]:
    def pooling(
        b: Builder, input: Any, ksize: Any, strides: Any, padding: Any, data_format: Any = None
    ) -> Any:
        count = input.rank - 2
        form = data_format or FORMATS[count]
        if count == 1:
            steps, sizes = (_spread(item, "NWC", 1)[1] for item in (strides, ksize))
            rows = array.expand_dims(b, input, 1)
            return array.squeeze(b, pooling(b, rows, [1, sizes], [1, steps], padding, "NHWC"), [1])
        attributes = {**_padding(padding), "data_format": form}
        windows = {"ksize": _spread(ksize, form, count), "strides": _spread(strides, form, count)}
        return raw(b, f"{kind}Pool" if count == 2 else f"{kind}Pool3D", input, **windows, **attributes)

    return pooling


for _suffix in ("", "1d", "2d", "3d"):
    function(f"max_pool{_suffix}")(_pooling("Max"))
    function(f"avg_pool{_suffix}")(_pooling("Avg"))


def _blocks(op: str) -> Callable[..., Any]:
    return lambda b, input, block_size, data_format="NHWC": raw(
        b, op, input, block_size=int(block_size), data_format=data_format
    )


function("depth_to_space")(_blocks("DepthToSpace"))
function("space_to_depth")(_blocks("SpaceToDepth"))


@function("dilation2d")
def dilation2d(
    b: Builder,
    input: Any,
    filters: Any,
    strides: Any,
    padding: str,
    data_format: Any = "NHWC",
    dilations: Any = None,
) -> Any:
    rates = _spread(dilations, "NHWC", 2)
    return raw(
        b, "Dilation2D", input, filters, strides=_spread(strides, "NHWC", 2), rates=rates, padding=padding
    )


# -- normalisation ---------------------------------------------------------------------------------------


@function("bias_add")
def bias_add(b: Builder, value: Any, bias: Any, data_format: Any = None) -> Any:
    axis = 1 if data_format is not None and data_format.startswith("NC") and data_format[2:] else -1
    return nn.add_channels(b, value, tensor(b, bias, value.dtype), axis)


@function("moments")
def moments(b: Builder, x: Any, axes: Any, shift: Any = None, keepdims: Any = False) -> list[Any]:
    """`shift` is unused (nn_impl.py)."""
    both = reductions.moments(b, x, axes=axes_of(axes, x.rank), keepdims=bool(keepdims))
    return list(both)


@function("batch_normalization")
def batch_normalization(
    b: Builder, x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any
) -> Any:
    return normalization.normalized(b, x, mean, variance, offset, scale, float(variance_epsilon))


@function("local_response_normalization", "lrn")
def lrn(b: Builder, input: Any, depth_radius: Any = 5, bias: Any = 1, alpha: Any = 1, beta: Any = 0.5) -> Any:
    return raw(
        b,
        "LRN",
        input,
        depth_radius=int(depth_radius),
        bias=float(bias),
        alpha=float(alpha),
        beta=float(beta),
    )


@function("fused_batch_norm")
def fused_batch_norm(
    b: Builder,
    x: Any,
    scale: Any,
    offset: Any,
    mean: Any = None,
    variance: Any = None,
    epsilon: Any = 0.001,
    data_format: str = "NHWC",
    is_training: bool = True,
) -> Any:
    if is_training or data_format != "NHWC":
        raise array.unsupported(
            "tf.nn.fused_batch_norm", "is_training=True or NCHW", "use BatchNormalization"
        )
    result = batch_normalization(b, x, mean, variance, offset, scale, epsilon)
    return [result, tensor(b, mean), tensor(b, variance)]


# -- losses ----------------------------------------------------------------------------------------------


@function("sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy(b: Builder, labels: Any, logits: Any) -> Any:
    """max(x, 0) - x * z + log(1 + exp(-|x|)) (nn_impl.py)."""
    z, x = same_type(b, labels, logits)
    tail = raw(b, "Softplus", math.apply(b, ops.Neg(), math.absolute(b, x)))
    linear = math.apply(b, ops.Sub(), raw(b, "Relu", x), math.apply(b, ops.Mul(), x, z))
    return math.apply(b, ops.Add(), linear, tail)


@function("softmax_cross_entropy_with_logits", "softmax_cross_entropy_with_logits_v2")
def softmax_cross_entropy(b: Builder, labels: Any, logits: Any, axis: Any = -1) -> Any:
    z, x = same_type(b, labels, logits)
    likelihood = math.apply(b, ops.Mul(), z, _soft("LogSoftmax")(b, x, axis))
    return math.apply(b, ops.Neg(), reduce.total(b, likelihood, [int(axis)]))


@function("sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy(b: Builder, labels: Any, logits: Any) -> Any:
    likelihood = raw(b, "LogSoftmax", logits)
    chosen = indexing.one_hot_of(b, labels, int(logits.shape[-1]), -1, logits.dtype)
    return math.apply(b, ops.Neg(), reduce.total(b, math.apply(b, ops.Mul(), chosen, likelihood), [-1]))
