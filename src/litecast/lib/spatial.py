"""Convolutions over one, two or three spatial axes of [n, *spatial, c]; one axis is an image with one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim
from litecast.lib import array, nn
from litecast.lib.windows import Spec, extent
from litecast.ops import Add, Mul

__all__ = ["conv", "conv_transpose", "depthwise_conv", "from_channels_last", "to_channels_last"]


def to_channels_last(b: Builder, x: Any) -> Any:
    """Return [n, c, *spatial] as [n, *spatial, c]."""
    return array.transpose(b, x, (0, *range(2, x.rank), 1))


def from_channels_last(b: Builder, x: Any) -> Any:
    """Return [n, *spatial, c] as [n, c, *spatial]."""
    return array.transpose(b, x, (0, x.rank - 1, *range(1, x.rank - 1)))


def conv(
    b: Builder,
    x: Value,
    w: Value,
    strides: Sequence[int],
    padding: Spec = "VALID",
    dilations: Sequence[int] | None = None,
    bias: Value | None = None,
) -> Value:
    """Convolve with a filter [*window, c / groups, out]."""
    rates = dilations or [1] * (x.rank - 2)
    if x.rank == 5:
        return _with_bias(b, nn.conv3d(b, x, w, strides, padding, rates), bias)
    return _on_images(b, nn.conv, x, w, strides, padding, rates, bias)


def depthwise_conv(
    b: Builder,
    x: Value,
    w: Value,
    strides: Sequence[int],
    padding: Spec = "VALID",
    dilations: Sequence[int] | None = None,
    bias: Value | None = None,
) -> Value:
    """Convolve each channel with m filters of its own, [*window, c, m], over one or two spatial axes."""
    rates = dilations or [1] * (x.rank - 2)
    return _on_images(b, nn.depthwise_conv, x, w, strides, padding, rates, bias)


def _on_images(
    b: Builder,
    compute: Callable[..., Value],
    x: Value,
    w: Value,
    strides: Sequence[int],
    padding: Spec,
    dilations: Sequence[int],
    bias: Value | None,
) -> Value:
    """Convolve over two axes, of which the first is added where there is only one."""
    if x.rank == 4:
        return compute(b, x, w, strides, padding, dilations, bias)
    amounts = padding if isinstance(padding, str) else [(0, 0), *padding]
    images, filters = array.expand_dims(b, x, 1), array.expand_dims(b, w, 0)
    result = compute(b, images, filters, (1, *strides), amounts, (1, *dilations), bias)
    squeezed: Value = array.squeeze(b, result, (1,))
    return squeezed


def _with_bias(b: Builder, x: Value, bias: Value | None) -> Value:
    return x if bias is None else nn.add_channels(b, x, bias)


def conv_transpose(
    b: Builder,
    x: Value,
    w: Value,
    ends: Sequence[int],
    strides: Sequence[int],
    padding: str = "VALID",
    dilations: Sequence[int] | None = None,
    bias: Value | None = None,
) -> Value:
    """Return the gradient of a convolution with a filter [*window, out, c].

    The result has (size - 1) * stride + end elements along an axis of `size`. SAME cuts what the window
    reaches beyond them off both ends, the odd element off the end; VALID leaves zeros behind it.
    """
    rates = dilations or [1] * (x.rank - 2)
    spans = [extent(*axis) for axis in zip(nn.window_sizes(b, w, x.rank - 2), rates, strict=True)]
    amounts = _amounts(padding, ends, strides, spans)
    sizes = [_size(b, *axis) for axis in zip(x.shape[1:-1], strides, ends, strict=True)]
    ends_of = (x.shape[0], *sizes, w.shape[-2])
    if x.rank != 3:
        compute = nn.conv_transpose if x.rank == 4 else nn.conv3d_transpose
        full = array.vector(b, ends_of)
        return _with_bias(b, compute(b, x, w, full, strides, amounts, rates), bias)
    full = array.vector(b, (ends_of[0], 1, *ends_of[1:]))
    padded = amounts if isinstance(amounts, str) else [(0, 0), *amounts]
    images, filters = array.expand_dims(b, x, 1), array.expand_dims(b, w, 0)
    result = nn.conv_transpose(b, images, filters, full, (1, *strides), padded, (1, *rates))
    squeezed: Value = array.squeeze(b, _with_bias(b, result, bias), (1,))
    return squeezed


def _amounts(padding: str, ends: Sequence[int], strides: Sequence[int], spans: Sequence[int]) -> Spec:
    """Return the kernels' own padding where the size of the result leads them to that of x, else pairs."""
    axes = list(zip(ends, strides, spans, strict=True))
    if padding == "VALID":
        return padding
    if all(1 <= end <= stride for end, stride, _ in axes):
        return padding
    totals = [max(span - end, 0) for end, _, span in axes]
    return [(total // 2, total - total // 2) for total in totals]


def _size(b: Builder, dim: Dim, stride: int, end: int) -> Any:
    """Return the size of an axis of the result: a dimension, or an INT32 scalar."""
    if isinstance(dim, int):
        return (dim - 1) * stride + end
    if stride == end:
        return dim * stride
    scaled = b(Mul(), b.dim(dim), np.int32(stride))
    return b(Add(), scaled, np.int32(end - stride))
