"""Convolutions, normalisation and activations on channels-last values; filters are (*window, in, out).

LiteRT's float kernels of this family are FLOAT32; half precisions are computed there and rounded back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.ir.builder import Builder, Composite
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType, product
from litecast.lib import array, math, reduce
from litecast.lib.windows import Spec, extent, pad, resolve
from litecast.ops import (
    Abs,
    Add,
    Cast,
    Conv2D,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv2D,
    Div,
    Elu,
    Fill,
    LeakyRelu,
    Log,
    Logistic,
    Mean,
    Mul,
    Relu,
    Rsqrt,
    Square,
    SquaredDifference,
    Sub,
    TransposeConv,
)
from litecast.ops.enums import Padding

__all__ = [
    "add_channels",
    "batch_norm",
    "conv",
    "conv3d",
    "conv3d_transpose",
    "conv_transpose",
    "depthwise_conv",
    "in_float32",
    "moments",
    "per_channel",
    "selu",
    "softplus",
    "softsign",
    "standardize",
    "window_sizes",
]

HALVES = (DType.FLOAT16, DType.BFLOAT16)


def in_float32(b: Builder, compute: Callable[..., Value], *values: Value) -> Value:
    """Compute on FLOAT32: half precisions are widened (exact) and the result is rounded back.

    Raises UnsupportedError for any other element type: LiteRT has no kernel, and nothing narrows silently.
    """
    dtype = values[0].dtype
    if dtype is DType.FLOAT32 or isinstance(values[0], Composite):
        return compute(*values)
    if dtype not in HALVES:
        reason = f"LiteRT computes it in float32 only, not in {dtype.name.lower()}"
        raise UnsupportedError(Unsupported(b.loc.op, reason, hint="convert the model to float32"))
    wide = [b(Cast(x.dtype, DType.FLOAT32), x) if x.dtype in HALVES else x for x in values]
    result: Value = b(Cast(DType.FLOAT32, dtype), compute(*wide))
    return result


# -- convolution -----------------------------------------------------------------------------------------


def conv(
    b: Builder,
    x: Value,
    w: Value,
    strides: Sequence[int] = (1, 1),
    padding: Spec = "VALID",
    dilations: Sequence[int] = (1, 1),
    bias: Value | None = None,
) -> Value:
    """Convolve images [n, h, w, c] with a filter [kh, kw, c / groups, out].

    One input channel per group is a depthwise convolution: both order the output channels by group.
    """

    def compute(x: Value, w: Value) -> Value:
        if w.shape[2] == 1 and x.shape[3] != 1:
            filters = array.reshape(b, w, (1, *w.shape[:2], w.shape[3]))
            return _depthwise(b, x, filters, strides, padding, dilations, bias)
        filters = array.transpose(b, w, (3, 0, 1, 2))
        padded, kind = _pad_windows(b, x, padding, window_sizes(b, w, 2), strides, dilations)
        op = Conv2D(
            padding=kind,
            stride_h=strides[0],
            stride_w=strides[1],
            dilation_h_factor=dilations[0],
            dilation_w_factor=dilations[1],
        )
        result: Value = b(op, padded, filters, _bias(b, bias, w.shape[3]))
        return result

    return in_float32(b, compute, x, w)


def depthwise_conv(
    b: Builder,
    x: Value,
    w: Value,
    strides: Sequence[int] = (1, 1),
    padding: Spec = "VALID",
    dilations: Sequence[int] = (1, 1),
    bias: Value | None = None,
) -> Value:
    """Convolve each channel of [n, h, w, c] with m filters of its own [kh, kw, c, m]: channel c * m + j."""

    def compute(x: Value, w: Value) -> Value:
        filters = array.reshape(b, w, (1, *w.shape[:2], product(w.shape[2:])))
        return _depthwise(b, x, filters, strides, padding, dilations, bias)

    return in_float32(b, compute, x, w)


def _depthwise(
    b: Builder,
    x: Value,
    filters: Value,
    strides: Sequence[int],
    padding: Spec,
    dilations: Sequence[int],
    bias: Value | None,
) -> Value:
    """`filters` [1, kh, kw, c * m] is the kernel's own layout (depthwise_conv.cc)."""
    channels, out = x.shape[3], filters.shape[3]
    if not isinstance(channels, int) or not isinstance(out, int):
        reason = "a depthwise convolution needs a known number of channels"
        raise UnsupportedError(Unsupported(b.loc.op, reason, hint="fix the shape of the input"))
    padded, kind = _pad_windows(b, x, padding, window_sizes(b, filters, 2, start=1), strides, dilations)
    op = DepthwiseConv2D(
        padding=kind,
        stride_h=strides[0],
        stride_w=strides[1],
        depth_multiplier=out // channels,
        dilation_h_factor=dilations[0],
        dilation_w_factor=dilations[1],
    )
    result: Value = b(op, padded, filters, _bias(b, bias, out))
    return result


def conv3d(
    b: Builder,
    x: Value,
    w: Value,
    strides: Sequence[int] = (1, 1, 1),
    padding: Spec = "VALID",
    dilations: Sequence[int] = (1, 1, 1),
) -> Value:
    """Convolve volumes [n, d, h, w, c] with a filter [kd, kh, kw, c / groups, out]."""

    def compute(x: Value, w: Value) -> Value:
        padded, kind = _pad_windows(b, x, padding, window_sizes(b, w, 3), strides, dilations)
        op = Conv3D(
            padding=kind,
            stride_d=strides[0],
            stride_h=strides[1],
            stride_w=strides[2],
            dilation_d_factor=dilations[0],
            dilation_h_factor=dilations[1],
            dilation_w_factor=dilations[2],
        )
        groups = _groups(x.shape[4], w.shape[3])
        return _grouped(b, lambda part, filters: b(op, part, filters), padded, w, groups)

    return in_float32(b, compute, x, w)


def _pad_windows(
    b: Builder,
    x: Value,
    padding: Spec,
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> tuple[Value, Padding]:
    """Return the input and the kernel's mode; explicit amounts become SAME where they are it, else a pad."""
    if isinstance(padding, str):
        return x, Padding[padding]
    dims = x.shape[1:-1]
    spans = [extent(*axis) for axis in zip(sizes, dilations, strict=True)]
    wanted = resolve(b, padding, dims, spans, strides)
    settled = all(isinstance(dim, int) or stride == 1 for dim, stride in zip(dims, strides, strict=True))
    if settled and wanted == resolve(b, "SAME", dims, spans, strides):
        return x, Padding.SAME
    return pad(b, x, [(0, 0), *wanted, (0, 0)]), Padding.VALID


def window_sizes(b: Builder, w: Value, count: int, start: int = 0) -> list[int]:
    """Return `count` dimensions of a filter; UnsupportedError where one is not known."""
    sizes = [size for size in w.shape[start : start + count] if isinstance(size, int)]
    if len(sizes) < count:
        reason = "the window of its filter has no known size"
        raise UnsupportedError(Unsupported(b.loc.op, reason, hint="give the filter a static shape"))
    return sizes


def _bias(b: Builder, bias: Value | None, channels: Dim) -> Any:
    """Return the bias, zeros where there is none: CONV_2D insists on one (conv.cc, Prepare)."""
    if bias is not None:
        return bias
    if isinstance(channels, int):
        return np.zeros(channels, np.float32)
    return b(Fill(), b.dims((channels,)), np.float32(0))


def _groups(channels: Dim, per_group: Dim) -> int:
    if isinstance(channels, int) and isinstance(per_group, int):
        return channels // per_group
    return 1


def _grouped(b: Builder, compute: Callable[[Value, Value], Value], x: Value, w: Value, groups: int) -> Value:
    """Split channels of `x` and the last axis of `w` into groups, compute each, and join the results."""
    if groups == 1:
        return compute(x, w)
    inputs, filters = (array.split(b, value, groups, -1) for value in (x, w))
    result: Value = array.concat(b, [compute(*pair) for pair in zip(inputs, filters, strict=True)], -1)
    return result


# -- transposed convolution ------------------------------------------------------------------------------


def conv_transpose(
    b: Builder,
    x: Value,
    w: Value,
    output_shape: Value,
    strides: Sequence[int] = (1, 1),
    padding: Spec = "VALID",
    dilations: Sequence[int] = (1, 1),
) -> Value:
    """Return the gradient of a convolution: x [n, h, w, c], filter [kh, kw, out / groups, c].

    `output_shape` is an INT32 vector. TRANSPOSE_CONV has no dilation: a dilated filter is spread with zeros.
    """

    def compute(x: Value, w: Value) -> Value:
        groups = _output_groups(b, output_shape, w.shape[2])
        filters = _spread(b, w, dilations)
        full, kind, cut = _enlarge(b, output_shape, padding)
        if groups > 1:
            full = _with_channels(b, full, w.shape[2])
        op = TransposeConv(padding=kind, stride_h=strides[0], stride_w=strides[1])

        def one(part: Value, weights: Value) -> Value:
            result: Value = b(op, full, array.transpose(b, weights, (2, 0, 1, 3)), part)
            return result

        return cut(_grouped(b, one, x, filters, groups))

    return in_float32(b, compute, x, w)


def conv3d_transpose(
    b: Builder,
    x: Value,
    w: Value,
    output_shape: Value,
    strides: Sequence[int] = (1, 1, 1),
    padding: Spec = "VALID",
    dilations: Sequence[int] = (1, 1, 1),
) -> Value:
    """Return the gradient of a 3-D convolution: x [n, d, h, w, c], filter [kd, kh, kw, out, c]."""

    def compute(x: Value, w: Value) -> Value:
        full, kind, cut = _enlarge(b, output_shape, padding)
        op = Conv3DTranspose(
            padding=kind,
            stride_d=strides[0],
            stride_h=strides[1],
            stride_w=strides[2],
            dilation_d_factor=dilations[0],
            dilation_h_factor=dilations[1],
            dilation_w_factor=dilations[2],
        )
        return cut(b(op, full, w, x))

    return in_float32(b, compute, x, w)


def _output_groups(b: Builder, output_shape: Value, per_group: Dim) -> int:
    known = output_shape.known
    channels = None if known is None else known[-1]
    return _groups(channels, per_group) if isinstance(channels, int) else 1


def _with_channels(b: Builder, shape: Value, channels: Dim) -> Value:
    front = array.slice(b, shape, [0], [3])
    result: Value = array.concat(b, [front, b.dims((channels,))], 0)
    return result


def _enlarge(
    b: Builder, output_shape: Value, padding: Spec
) -> tuple[Value, Padding, Callable[[Value], Value]]:
    """Return the shape to compute, the kernel's mode, and what cuts explicit padding off the result."""
    if isinstance(padding, str):
        return output_shape, Padding[padding], lambda result: result
    pads = [(0, 0), *((int(before), int(after)) for before, after in padding), (0, 0)]
    extra = np.array([before + after for before, after in pads], np.int32)

    def cut(result: Value) -> Value:
        part: Value = array.slice(b, result, [before for before, _ in pads], output_shape)
        return part

    return b(Add(), output_shape, extra), Padding.VALID, cut


def _spread(b: Builder, w: Value, dilations: Sequence[int]) -> Value:
    """Return a filter with `dilation - 1` zeros between its taps."""
    rows, columns = dilations
    if rows == columns == 1:
        return w
    height, width = window_sizes(b, w, 2)
    rest = product(w.shape[2:])
    taps = array.reshape(b, w, (height, 1, width, 1, rest))
    spaced = pad(b, taps, [(0, 0), (0, rows - 1), (0, 0), (0, columns - 1), (0, 0)])
    joined = array.reshape(b, spaced, (height * rows, width * columns, *w.shape[2:]))
    ends = [extent(height, rows), extent(width, columns), -1, -1]
    result: Value = array.slice(b, joined, [0] * 4, ends)
    return result


# -- bias and normalisation ------------------------------------------------------------------------------


def per_channel(b: Builder, vector: Value, rank: int, axis: int) -> Value:
    """Return a vector of channels in a shape that broadcasts along `axis` of a tensor of that rank."""
    trailing = rank - 1 - axis % rank
    return array.reshape(b, vector, (*vector.shape, *([1] * trailing))) if trailing else vector


def add_channels(b: Builder, x: Value, bias: Value, axis: int = -1) -> Value:
    """Add one number per channel."""
    result: Value = math.apply(b, Add(), x, per_channel(b, bias, x.rank, axis))
    return result


def batch_norm(
    b: Builder,
    x: Value,
    mean: Value,
    variance: Value,
    scale: Value,
    offset: Value,
    epsilon: float,
    axis: int = -1,
) -> Value:
    """Return (x - mean) / sqrt(variance + epsilon) * scale + offset, one product and one sum per element.

    Factor and shift of constants are computed in double precision and rounded once: errors of the deep
    networks that have many of these are then about those of the convolutions.
    """

    def compute(x: Value, *vectors: Value) -> Value:
        if all(vector.is_const for vector in vectors):
            means, variances, scales, offsets = (vector.array().astype(np.float64) for vector in vectors)
            with np.errstate(all="ignore"):
                factors = scales / np.sqrt(variances + epsilon)
                shifts = offsets - means * factors
            factor, shift = (b.const(vector.astype(np.float32)) for vector in (factors, shifts))
        else:
            mean, variance, scale, offset = vectors
            factor = b(Mul(), b(Rsqrt(), b(Add(), variance, epsilon)), scale)
            shift = b(Sub(), offset, b(Mul(), mean, factor))
        scaled = math.apply(b, Mul(), x, per_channel(b, factor, x.rank, axis))
        return add_channels(b, scaled, shift, axis)

    return in_float32(b, compute, x, mean, variance, scale, offset)


def moments(b: Builder, x: Value, axes: Sequence[int]) -> tuple[Value, Value]:
    """Return mean and (population) variance over axes, as vectors of what remains."""
    over = np.array(axes, np.int32)
    kept = b(Mean(keep_dims=True), x, over)
    variance = b(Mean(keep_dims=False), b(SquaredDifference(), x, kept), over)
    return b(Mean(keep_dims=False), x, over), variance


def standardize(
    b: Builder, x: Value, axes: Sequence[int], epsilon: float, scale: Value | None = None
) -> Value:
    """Return (x - mean) / sqrt(variance + epsilon) [* scale], of mean and variance along axes.

    Give a scale that is small beside x when multiplied with the variance; else multiply by it afterwards.
    """

    def compute(x: Value) -> Value:
        centred = math.apply(b, Sub(), x, reduce.mean(b, x, axes, True))
        variance = reduce.mean(b, b(Square(), centred), axes, True)
        factor = b(Rsqrt(), b(Add(), variance, epsilon))
        if scale is not None:
            factor = math.apply(b, Mul(), factor, scale)
        result: Value = math.apply(b, Mul(), centred, factor)
        return result

    return in_float32(b, compute, x)


# -- activations -----------------------------------------------------------------------------------------

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""Klambauer et al. 2017, "Self-Normalizing Neural Networks"."""


def softplus(b: Builder, x: Value) -> Value:
    """Return log(1 + exp(x)) as max(x, 0) - log(sigmoid(|x|)), which overflows for no x."""
    tail = b(Log(), b(Logistic(), b(Abs(), x)))
    result: Value = b(Sub(), b(Relu(), x), tail)
    return result


def softsign(b: Builder, x: Value) -> Value:
    """Return x / (1 + |x|)."""
    result: Value = b(Div(), x, b(Add(), b(Abs(), x), 1.0))
    return result


def selu(b: Builder, x: Value) -> Value:
    """Return scale * (x for positive x, else alpha * (exp(x) - 1))."""
    result: Value = b(Mul(), b(LeakyRelu(alpha=SELU_ALPHA), b(Elu(), x)), SELU_SCALE)
    return result
