"""`keras.ops.nn`: activations, convolutions and pooling; their macros are those of the layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.layers.convolution import per_axis, transposed_end
from litecast.frontend.keras.operations.promotion import channels_first, promoted, tensor
from litecast.ir.builder import Builder
from litecast.lib import activation, array, math, nn, pool, spatial
from litecast.lib.windows import extent

Macro = Callable[..., Any]

# -- activations -----------------------------------------------------------------------------------------

PLAIN: dict[str, Macro] = {
    "HardSigmoid": activation.hard_sigmoid, "HardSilu": activation.hard_silu,
    "HardTanh": activation.hard_tanh,
    "LogSigmoid": activation.log_sigmoid, "Selu": nn.selu, "Sigmoid": lambda b, x: b(ops.Logistic(), x),
    "Silu": activation.silu, "Softplus": nn.softplus, "Softsign": nn.softsign,
    "SparsePlus": activation.sparse_plus, "SparseSigmoid": activation.sparse_sigmoid,
    "TanhShrink": activation.tanh_shrink,
}  # fmt: skip
INTEGERS_TOO: dict[str, Macro] = {"Relu": activation.relu, "Relu6": activation.relu6}


def _plain(macro: Macro) -> Macro:
    return lambda b, x: nn.in_float32(b, lambda y: macro(b, y), tensor(b, x))


for _name, _macro in PLAIN.items():
    operations(_name)(_plain(_macro))
for _name, _macro in INTEGERS_TOO.items():
    operations(_name)(lambda b, x, macro=_macro: macro(b, tensor(b, x)))


@operations("LeakyRelu")
def leaky_relu(b: Builder, x: Any, *, negative_slope: float = 0.2) -> Any:
    return nn.in_float32(b, lambda y: activation.leaky_relu(b, y, negative_slope), tensor(b, x))


@operations("Elu")
def elu(b: Builder, x: Any, *, alpha: float = 1.0) -> Any:
    return nn.in_float32(b, lambda y: activation.elu(b, y, alpha), tensor(b, x))


@operations("Celu")
def celu(b: Builder, x: Any, *, alpha: float = 1.0) -> Any:
    return nn.in_float32(b, lambda y: activation.celu(b, y, alpha), tensor(b, x))


@operations("Gelu")
def gelu(b: Builder, x: Any, *, approximate: bool = True) -> Any:
    return nn.in_float32(b, lambda y: activation.gelu(b, y, bool(approximate)), tensor(b, x))


@operations("Glu")
def glu(b: Builder, x: Any, *, axis: int = -1) -> Any:
    return nn.in_float32(b, lambda y: activation.glu(b, y, axis), tensor(b, x))


@operations("SoftShrink")
def soft_shrink(b: Builder, x: Any, *, threshold: float = 0.5) -> Any:
    return nn.in_float32(b, lambda y: activation.soft_shrink(b, y, threshold), tensor(b, x))


@operations("HardShrink")
def hard_shrink(b: Builder, x: Any, *, threshold: float = 0.5) -> Any:
    return nn.in_float32(b, lambda y: activation.hard_shrink(b, y, threshold), tensor(b, x))


@operations("Threshold")
def threshold_(b: Builder, x: Any, *, threshold: float, default_value: float) -> Any:
    return nn.in_float32(b, lambda y: activation.threshold(b, y, threshold, default_value), tensor(b, x))


@operations("Squareplus")
def squareplus(builder: Builder, /, x: Any, *, b: float = 4) -> Any:
    """Keras calls its option `b`."""
    return nn.in_float32(builder, lambda y: activation.squareplus(builder, y, float(b)), tensor(builder, x))


@operations("Softmax")
def softmax(b: Builder, x: Any, *, axis: Any = -1) -> Any:
    return nn.in_float32(b, lambda y: activation.softmax(b, y, axis), tensor(b, x))


@operations("LogSoftmax")
def log_softmax(b: Builder, x: Any, *, axis: Any = -1) -> Any:
    return nn.in_float32(b, lambda y: activation.log_softmax(b, y, axis), tensor(b, x))


@operations("Sparsemax")
def sparsemax(b: Builder, x: Any, *, axis: int = -1) -> Any:
    return nn.in_float32(b, lambda y: activation.sparsemax(b, y, axis), tensor(b, x))


# -- convolution and pooling -----------------------------------------------------------------------------


def in_channels_last(b: Builder, x: Any, data_format: Any, compute: Callable[[Any], Any]) -> Any:
    """Apply `compute`, which takes [n, *spatial, c], to a batch of either data format."""
    if not channels_first(data_format):
        return compute(x)
    return spatial.from_channels_last(b, compute(spatial.to_channels_last(b, x)))


@operations("Conv")
def conv(
    b: Builder,
    inputs: Any,
    kernel: Any,
    *,
    strides: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    """Fewer input channels in the kernel are groups."""
    x, w = promoted(b, inputs, kernel)
    steps, rates = (per_axis(item, x.rank - 2) for item in (strides, dilation_rate))
    return in_channels_last(b, x, data_format, lambda y: spatial.conv(b, y, w, steps, padding.upper(), rates))


@operations("DepthwiseConv")
def depthwise_conv(
    b: Builder,
    inputs: Any,
    kernel: Any,
    *,
    strides: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    x, w = promoted(b, inputs, kernel)
    steps, rates = (per_axis(item, x.rank - 2) for item in (strides, dilation_rate))
    return in_channels_last(
        b, x, data_format, lambda y: spatial.depthwise_conv(b, y, w, steps, padding.upper(), rates)
    )


@operations("SeparableConv")
def separable_conv(
    b: Builder,
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    *,
    strides: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    x, depthwise, pointwise = promoted(b, inputs, depthwise_kernel, pointwise_kernel)
    rank = x.rank - 2
    steps, rates = per_axis(strides, rank), per_axis(dilation_rate, rank)

    def compute(y: Any) -> Any:
        deep = spatial.depthwise_conv(b, y, depthwise, steps, padding.upper(), rates)
        return spatial.conv(b, deep, pointwise, [1] * rank, "VALID")

    return in_channels_last(b, x, data_format, compute)


@operations("ConvTranspose")
def conv_transpose(
    b: Builder,
    inputs: Any,
    kernel: Any,
    *,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    x, w = promoted(b, inputs, kernel)
    rank, mode = x.rank - 2, padding.upper()
    steps, rates = per_axis(strides, rank), per_axis(dilation_rate, rank)
    extra = [None] * rank if output_padding is None else per_axis(output_padding, rank)
    spans = [extent(*axis) for axis in zip(w.shape[:rank], rates, strict=True)]
    ends = [transposed_end(mode, *axis) for axis in zip(spans, steps, extra, strict=True)]
    return in_channels_last(
        b, x, data_format, lambda y: spatial.conv_transpose(b, y, w, ends, steps, mode, rates)
    )


def _on_two_axes(b: Builder, x: Any, compute: Callable[[Any], Any]) -> Any:
    """Apply `compute` to channels-last images, of which those of one spatial axis get a second of size 1."""
    if x.rank != 3:
        return compute(x)
    return array.squeeze(b, compute(array.expand_dims(b, x, 2)), [2])


def _pool(macro: Macro) -> Macro:
    def importer(
        b: Builder,
        inputs: Any,
        *,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: Any = None,
    ) -> Any:
        rank = inputs.rank - 2
        sizes = per_axis(pool_size, rank)
        steps = sizes if strides is None else per_axis(strides, rank)
        rest = [1] if rank == 1 else []
        windows, moves = ([1, *item, *rest, 1] for item in (sizes, steps))

        def compute(y: Any) -> Any:
            return _on_two_axes(b, y, lambda z: macro(b, z, windows, moves, padding.upper()))

        return in_channels_last(b, inputs, data_format, compute)

    return importer


operations("MaxPool")(_pool(pool.maximum))
operations("AveragePool")(_pool(pool.average))


def _adaptive_pool(macro: Macro) -> Macro:
    def importer(b: Builder, inputs: Any, *, output_size: Any, data_format: Any = None) -> Any:
        sizes = dict(enumerate(per_axis(output_size, inputs.rank - 2), 1))

        def compute(y: Any) -> Any:
            return _on_two_axes(b, y, lambda z: macro(b, z, sizes))

        return in_channels_last(b, inputs, data_format, compute)

    return importer


operations("AdaptiveMaxPool")(_adaptive_pool(pool.adaptive_maximum))
operations("AdaptiveAveragePool")(_adaptive_pool(pool.adaptive_average))


# -- patches as columns ----------------------------------------------------------------------------------


@operations("Unfold")
def unfold(
    b: Builder, x: Any, *, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    """Windows of [n, c, h, w] as columns [n, c * kh * kw, windows]."""
    from litecast.lib import image

    kernel, rates, border, steps = (per_axis(item, 2) for item in (kernel_size, dilation, padding, stride))
    padded = array.pad(b, x, [(0, 0), (0, 0), *((size, size) for size in border)])
    last = array.transpose(b, padded, (0, 2, 3, 1))
    patches = image.extract_patches(b, last, kernel, steps, rates, "VALID")
    batch, rows, columns = patches.shape[:3]
    channels = x.shape[1]
    split = array.reshape(b, patches, (batch, rows * columns, *kernel, channels))
    moved = array.transpose(b, split, (0, 4, 2, 3, 1))
    return array.reshape(b, moved, (batch, channels * kernel[0] * kernel[1], rows * columns))


@operations("Fold")
def fold(
    b: Builder,
    x: Any,
    *,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Any:
    """Sum what `unfold` took apart: each place of a window spread with its stride, moved to where it was."""
    kernel, rates, border, steps = (per_axis(item, 2) for item in (kernel_size, dilation, padding, stride))
    sizes = [size + 2 * edge for size, edge in zip(per_axis(output_size, 2), border, strict=True)]
    counts = [
        (size - rate * (taps - 1) - 1) // step + 1
        for size, taps, rate, step in zip(sizes, kernel, rates, steps, strict=True)
    ]
    channels = x.shape[1] // (kernel[0] * kernel[1])
    windows = array.reshape(b, x, (x.shape[0], channels, kernel[0] * kernel[1], *counts))
    total = None
    for place, part in enumerate(array.unpack(b, windows, 2)):
        starts = [at * rate for at, rate in zip(divmod(place, kernel[1]), rates, strict=True)]
        part = _spread(b, part, steps, starts, sizes)
        total = part if total is None else math.apply(b, ops.Add(), total, part)
    inner = [size - 2 * edge for size, edge in zip(sizes, border, strict=True)]
    return array.slice(b, total, [0, 0, *border], [-1, -1, *inner])


def _spread(b: Builder, x: Any, steps: Any, starts: Any, sizes: Any) -> Any:
    """Return [n, c, *counts] with its elements `steps` apart, from `starts` on, in zeros of `sizes`."""
    (rows, columns), (down, right) = x.shape[2:], steps
    split = array.reshape(b, x, (*x.shape[:2], rows, 1, columns, 1))
    wide = array.pad(b, split, [(0, 0)] * 3 + [(0, down - 1), (0, 0), (0, right - 1)])
    flat = array.reshape(b, wide, (*x.shape[:2], rows * down, columns * right))
    spans = [(count - 1) * step + 1 for count, step in zip((rows, columns), steps, strict=True)]
    cut = array.slice(b, flat, [0, 0, 0, 0], [-1, -1, *spans])
    edges = [(start, size - span - start) for start, span, size in zip(starts, spans, sizes, strict=True)]
    return array.pad(b, cut, [(0, 0), (0, 0), *edges])


def _blocks(name: str) -> Macro:
    from litecast.lib import image

    macro = image.depth_to_space if name == "DepthToSpace" else image.space_to_depth

    def importer(b: Builder, x: Any, *, block_size: int, data_format: Any = "channels_last") -> Any:
        return in_channels_last(b, x, data_format, lambda y: macro(b, y, int(block_size)))

    return importer


for _name in ("DepthToSpace", "SpaceToDepth"):
    operations(_name)(_blocks(_name))
