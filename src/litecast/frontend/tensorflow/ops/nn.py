"""Convolutions, bias, batch normalisation, losses: TensorFlow's nn operations in every data format."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.frontend.tensorflow.importer import tf
from litecast.frontend.tensorflow.ops.activation import activate
from litecast.frontend.tensorflow.ops.layout import Layout
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType, product
from litecast.lib import array, math, nn
from litecast.ops import Add, BatchMatMul, Cast, Div, LocalResponseNormalization, Mul, Square, Sub, Sum


@tf("Conv2D")
def conv2d(
    b: Builder,
    x: Value,
    w: Value,
    *,
    op: str,
    strides: Sequence[int],
    padding: str,
    dilations: Sequence[int] = (1, 1, 1, 1),
    data_format: str = "NHWC",
    explicit_paddings: Sequence[int] = (),
) -> Value:
    at = Layout(op, data_format)
    sizes = at.windows(strides, padding, dilations, explicit_paddings)
    return at.from_last(b, nn.conv(b, at.to_last(b, x), w, *sizes))


@tf("DepthwiseConv2dNative")
def depthwise_conv2d_native(
    b: Builder,
    x: Value,
    w: Value,
    *,
    op: str,
    strides: Sequence[int],
    padding: str,
    dilations: Sequence[int] = (1, 1, 1, 1),
    data_format: str = "NHWC",
    explicit_paddings: Sequence[int] = (),
) -> Value:
    at = Layout(op, data_format)
    sizes = at.windows(strides, padding, dilations, explicit_paddings)
    return at.from_last(b, nn.depthwise_conv(b, at.to_last(b, x), w, *sizes))


@tf("Conv3D")
def conv3d(
    b: Builder,
    x: Value,
    w: Value,
    *,
    op: str,
    strides: Sequence[int],
    padding: str,
    dilations: Sequence[int] = (1, 1, 1, 1, 1),
    data_format: str = "NDHWC",
) -> Value:
    at = Layout(op, data_format)
    sizes = at.windows(strides, padding, dilations)
    return at.from_last(b, nn.conv3d(b, at.to_last(b, x), w, *sizes))


@tf("Conv2DBackpropInput")
def conv2d_backprop_input(
    b: Builder,
    input_sizes: Value,
    w: Value,
    x: Value,
    *,
    op: str,
    strides: Sequence[int],
    padding: str,
    dilations: Sequence[int] = (1, 1, 1, 1),
    data_format: str = "NHWC",
    explicit_paddings: Sequence[int] = (),
) -> Value:
    at = Layout(op, data_format)
    sizes = at.windows(strides, padding, dilations, explicit_paddings)
    images = at.to_last(b, x)
    shape = array.cast(b, input_sizes, DType.INT32)
    if shape.shape == (2,):
        shape = array.concat(b, [b.dims(images.shape[:1]), shape, b.dims(w.shape[2:3])], 0)
    else:
        shape = at.sizes_to_last(b, shape)
    return at.from_last(b, nn.conv_transpose(b, images, w, shape, *sizes))


@tf("Conv3DBackpropInputV2")
def conv3d_backprop_input_v2(
    b: Builder,
    input_sizes: Value,
    w: Value,
    x: Value,
    *,
    op: str,
    strides: Sequence[int],
    padding: str,
    dilations: Sequence[int] = (1, 1, 1, 1, 1),
    data_format: str = "NDHWC",
) -> Value:
    at = Layout(op, data_format)
    sizes = at.windows(strides, padding, dilations)
    shape = at.sizes_to_last(b, array.cast(b, input_sizes, DType.INT32))
    return at.from_last(b, nn.conv3d_transpose(b, at.to_last(b, x), w, shape, *sizes))


@tf("BiasAdd", "BiasAddV1")
def bias_add(b: Builder, x: Value, bias: Value, *, data_format: str = "NHWC") -> Value:
    return nn.add_channels(b, x, bias, 1 if data_format.startswith("NC") else -1)


@tf("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def fused_batch_norm(
    b: Builder,
    x: Value,
    scale: Value,
    offset: Value,
    mean: Value,
    variance: Value,
    *,
    op: str,
    epsilon: float = 1e-4,
    exponential_avg_factor: float = 1.0,
    data_format: str = "NHWC",
    is_training: bool = True,
) -> tuple[Value, ...]:
    axis = Layout(op, data_format).channel_axis
    empty = [b.const(np.zeros(0, np.float32))] * (op == "FusedBatchNormV3")
    if not is_training:
        y = nn.batch_norm(b, x, mean, variance, scale, offset, epsilon, axis)
        return (y, mean, variance, mean, variance, *empty)
    wide = array.cast(b, x, scale.dtype)
    batch_mean, population = nn.moments(b, wide, [other for other in range(x.rank) if other != axis])
    y = nn.batch_norm(b, x, batch_mean, population, scale, offset, epsilon, axis)
    running = [batch_mean, _sample_variance(b, population, x, axis)]
    if exponential_avg_factor != 1.0:
        old = (mean, variance)
        running = [_blend(b, *pair, exponential_avg_factor) for pair in zip(old, running, strict=True)]
    return (y, *running, batch_mean, population, *empty)


def _sample_variance(b: Builder, variance: Value, x: Value, axis: int) -> Value:
    """Bessel's correction n / (n - 1), with at least 1 below, as fused_batch_norm_op.cc has it."""
    count = product(dim for other, dim in enumerate(x.shape) if other != axis)
    if isinstance(count, int):
        corrected: Value = b(Mul(), variance, count / max(count - 1, 1))
        return corrected
    size = b(Cast(DType.INT32, DType.FLOAT32), b.dim(count))
    result: Value = b(Mul(), variance, b(Div(), size, b(Sub(), size, 1.0)))
    return result


def _blend(b: Builder, old: Value, new: Value, factor: float) -> Value:
    result: Value = b(Add(), b(Mul(), old, 1 - factor), b(Mul(), new, factor))
    return result


@tf("LRN")
def lrn(
    b: Builder, x: Value, *, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5
) -> Value:
    kernel = LocalResponseNormalization(radius=depth_radius, bias=bias, alpha=alpha, beta=beta)
    return nn.in_float32(b, lambda x: b(kernel, x), x)


@tf("L2Loss")
def l2_loss(b: Builder, x: Value) -> Value:
    def compute(x: Value) -> Value:
        total = b(Sum(keep_dims=False), b(Square(), array.flatten(b, x)), np.array([0], np.int32))
        result: Value = b(Mul(), total, 0.5)
        return result

    return nn.in_float32(b, compute, x)


# -- what grappler fuses ---------------------------------------------------------------------------------

FUSED_CONVOLUTIONS = {"_FusedConv2D": conv2d, "_FusedDepthwiseConv2dNative": depthwise_conv2d_native}


@tf(*FUSED_CONVOLUTIONS, harmless=("TArgs", "num_args"))
def fused_conv2d(
    b: Builder,
    x: Value,
    w: Value,
    *extra: Value,
    op: str,
    strides: Sequence[int],
    padding: str,
    dilations: Sequence[int] = (1, 1, 1, 1),
    data_format: str = "NHWC",
    explicit_paddings: Sequence[int] = (),
    filter_format: str = "HWIO",
    num_host_args: int = 0,
    fused_ops: Sequence[str] = (),
    epsilon: float = 1e-4,
    leakyrelu_alpha: float = 0.2,
) -> Value:
    if filter_format != "HWIO" or num_host_args:
        raise UnsupportedError(
            Unsupported(op, f"filter_format {filter_format}, num_host_args {num_host_args}")
        )
    y = FUSED_CONVOLUTIONS[op](
        b,
        x,
        w,
        op=op,
        strides=strides,
        padding=padding,
        dilations=dilations,
        data_format=data_format,
        explicit_paddings=explicit_paddings,
    )
    operands = list(extra)
    for name in fused_ops:
        y = _fused(b, y, name, operands, Layout(op, data_format), epsilon, leakyrelu_alpha)
    return y


def _fused(
    b: Builder, y: Value, name: str, operands: list[Value], at: Layout, epsilon: float, leakyrelu_alpha: float
) -> Value:
    """Apply one of `fused_ops`, taking what it needs from the front of `operands`."""
    if name == "BiasAdd":
        return nn.add_channels(b, y, operands.pop(0), at.channel_axis)
    if name == "FusedBatchNorm":
        scale, offset, mean, variance = (operands.pop(0) for _ in range(4))
        return nn.batch_norm(b, y, mean, variance, scale, offset, epsilon, at.channel_axis)
    return activate(b, y, at.op, name, leakyrelu_alpha)


@tf("_FusedMatMul", harmless=("num_args",))
def fused_matmul(
    b: Builder,
    x: Value,
    w: Value,
    *extra: Value,
    op: str,
    transpose_a: bool = False,
    transpose_b: bool = False,
    fused_ops: Sequence[str] = (),
    epsilon: float = 1e-4,
    leakyrelu_alpha: float = 0.2,
) -> Value:
    y = nn.in_float32(b, lambda x, w: b(BatchMatMul(adj_x=transpose_a, adj_y=transpose_b), x, w), x, w)
    operands = list(extra)
    for name in fused_ops:
        y = _fused(b, y, name, operands, Layout(op, "NHWC"), epsilon, leakyrelu_alpha)
    return y


@tf("_FusedBatchNormEx", harmless=("num_side_inputs",))
def fused_batch_norm_ex(
    b: Builder,
    x: Value,
    scale: Value,
    offset: Value,
    mean: Value,
    variance: Value,
    *side: Value,
    op: str,
    epsilon: float = 1e-4,
    exponential_avg_factor: float = 1.0,
    activation_mode: str = "Identity",
    data_format: str = "NHWC",
    is_training: bool = True,
) -> tuple[Value, ...]:
    y, *statistics = fused_batch_norm(
        b,
        *(x, scale, offset, mean, variance),
        op="FusedBatchNormV3",
        epsilon=epsilon,
        exponential_avg_factor=exponential_avg_factor,
        data_format=data_format,
        is_training=is_training,
    )
    for addend in side:
        y = math.apply(b, Add(), y, addend)
    if activation_mode != "Identity":
        y = activate(b, y, op, activation_mode, 0.2)
    return (y, *statistics)
