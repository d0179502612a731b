"""Convolutions: channels last; the filter of each has the layout that its LiteRT kernel wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from litecast.ir.graph import Value
from litecast.ir.op import Inferred, Op, Operands, Outputs
from litecast.ir.types import Dim, DType, Shape, TensorType, fresh, product, same_dim
from litecast.ops.enums import Activation, Padding

__all__ = [
    "Contraction",
    "Conv2D",
    "Conv3D",
    "Conv3DTranspose",
    "DepthwiseConv2D",
    "TransposeConv",
    "window_size",
]

HEAVY_MACS = 5_000_000
"""Multiply-accumulates (two FLOP each) above which folding takes noticeable time."""


class Contraction(Op):
    """An operation whose cost is its multiply-accumulates."""

    def heavy(self, inputs: Operands) -> bool:
        inferred = self.infer(*inputs)
        types = inferred if isinstance(inferred, tuple) else (inferred,)
        count = self.macs(inputs, [Value(type) for type in types])
        return count is None or count > HEAVY_MACS


def window_size(size: Dim, window: Dim, stride: int, dilation: int, padding: Padding) -> Dim:
    """Return the output size of a window sliding over `size` (kernels/padding.h, ComputeOutSize)."""
    if padding is Padding.SAME:
        return size if stride == 1 else _positive((size + (stride - 1)) // stride)
    reach = (window - 1) * dilation
    if reach == stride - 1:
        return size // stride
    return _positive((size - (reach - stride + 1)) // stride)


def _positive(size: Dim) -> Dim:
    if isinstance(size, int) and size < 0:
        raise ValueError("the window is larger than the input")
    return size


def check_strides(*strides: int) -> None:
    """ValueError unless all strides and dilations are positive."""
    if min(strides) < 1:
        raise ValueError(f"strides and dilations must be at least 1, not {strides}")


def shape_of(x: Value, rank: int, what: str) -> Shape:
    """Return the shape of a value of the given rank; ValueError where it has another."""
    if x.rank != rank:
        raise ValueError(f"{what} must have rank {rank}, not {x.rank}")
    return x.shape


def check_bias(bias: Value | None, channels: Dim) -> None:
    """ValueError unless the bias has one element per output channel."""
    if bias is not None and bias.type.shape is not None and same_dim(bias.type.size, channels) is False:
        raise ValueError(f"a bias of shape {bias.shape} does not fit {channels} output channels")


def count_macs(outputs: Outputs, *factors: Dim) -> int | None:
    """Return elements of the first output times the factors, None where unknown."""
    shape = outputs[0].type.shape
    total = None if shape is None else product((*shape, *factors))
    return total if isinstance(total, int) else None


def is_per_channel(x: Value | None) -> bool:
    """Whether a tensor is quantized with more than one scale."""
    return x is not None and x.type.quant is not None and len(x.type.quant.scales) > 1


def dtypes(inputs: Operands, outputs: Outputs, first: int = 0, second: int = 1) -> tuple[DType | None, ...]:
    """Return the element types of two operands and the first output, as version rules want them."""

    def at(values: Sequence[Value | None], index: int) -> DType | None:
        value = values[index] if index < len(values) else None
        return None if value is None else value.dtype

    return at(inputs, first), at(inputs, second), at(outputs, 0)


F32, I8, I16, I4, U8 = DType.FLOAT32, DType.INT8, DType.INT16, DType.INT4, DType.UINT8


@dataclass(frozen=True)
class Conv2D(Contraction, code=3, options="Conv2DOptions"):
    """2-D convolution: input NHWC, filter OHWI, optional bias [O]; groups = input channels / filter channels.

    (The schema's default of a stride is 0, which no kernel accepts; here it is 1.)
    """

    padding: Padding = Padding.SAME
    stride_w: int = 1
    stride_h: int = 1
    fused_activation_function: Activation = Activation.NONE
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1
    quantized_bias_type: DType = DType.FLOAT32
    kernels = frozenset({F32, U8, I8, I16})

    def infer(self, x: Value, w: Value, bias: Value | None = None) -> Inferred:
        check_strides(self.stride_w, self.stride_h, self.dilation_w_factor, self.dilation_h_factor)
        if x.type.shape is None or w.type.shape is None:
            return TensorType(x.dtype, None)
        n, h, width, channels = shape_of(x, 4, "the input")
        out, kh, kw, inner = shape_of(w, 4, "the filter")
        if _no_groups(channels, inner, out):
            raise ValueError(
                f"{channels} input channels, {inner} filter channels, {out} filters form no groups"
            )
        check_bias(bias, out)
        rows = window_size(h, kh, self.stride_h, self.dilation_h_factor, self.padding)
        columns = window_size(width, kw, self.stride_w, self.dilation_w_factor, self.padding)
        return TensorType(x.dtype, (n, rows, columns, out))

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        w = inputs[1]
        return None if w is None or w.type.shape is None else count_macs(outputs, *w.shape[1:])


def _no_groups(channels: Dim, inner: Dim, out: Dim) -> bool:
    if not (isinstance(channels, int) and isinstance(inner, int) and isinstance(out, int)):
        return False
    return inner == 0 or channels % inner != 0 or channels < inner or out % (channels // inner) != 0


@dataclass(frozen=True)
class DepthwiseConv2D(Contraction, code=4, options="DepthwiseConv2DOptions"):
    """Depthwise convolution: input NHWC, filter [1, h, w, C * multiplier], optional bias [C * multiplier]."""

    padding: Padding = Padding.SAME
    stride_w: int = 1
    stride_h: int = 1
    depth_multiplier: int = 0
    fused_activation_function: Activation = Activation.NONE
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1
    kernels = frozenset({F32, U8, I8, I16})

    def infer(self, x: Value, w: Value, bias: Value | None = None) -> Inferred:
        check_strides(self.stride_w, self.stride_h, self.dilation_w_factor, self.dilation_h_factor)
        if x.type.shape is None or w.type.shape is None:
            return TensorType(x.dtype, None)
        n, h, width, channels = shape_of(x, 4, "the input")
        first, kh, kw, out = shape_of(w, 4, "the filter")
        if same_dim(first, 1) is False:
            raise ValueError(f"dimension 0 of a depthwise filter must be 1, not {first}")
        if isinstance(out, int) and isinstance(channels, int) and (channels == 0 or out % channels):
            raise ValueError(f"{out} filters are no multiple of {channels} input channels")
        check_bias(bias, out)
        rows = window_size(h, kh, self.stride_h, self.dilation_h_factor, self.padding)
        columns = window_size(width, kw, self.stride_w, self.dilation_w_factor, self.padding)
        return TensorType(x.dtype, (n, rows, columns, out))

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        w = inputs[1]
        return None if w is None or w.type.shape is None else count_macs(outputs, *w.shape[1:3])


def known_shape(vector: Value, rank: int, what: str) -> list[Dim | None]:
    """Return the contents of a shape operand, None for each element that is not known."""
    if vector.dtype is not DType.INT32:
        raise ValueError(f"{what} must be INT32, not {vector.dtype.name}")
    if vector.type.shape is not None and same_dim(vector.type.size, rank) is False:
        raise ValueError(f"{what} must have {rank} elements, not {vector.type.size}")
    contents = vector.known
    return [None] * rank if contents is None else list(contents)


@dataclass(frozen=True)
class TransposeConv(Contraction, code=67, options="TransposeConvOptions"):
    """Gradient of Conv2D: operands output shape (INT32 [4]), filter OHWI, input NHWC, optional bias [O]."""

    padding: Padding = Padding.SAME
    stride_w: int = 1
    stride_h: int = 1
    fused_activation_function: Activation = Activation.NONE
    quantized_bias_type: DType = DType.FLOAT32
    kernels = frozenset({DType.INT32})

    def infer(self, output_shape: Value, w: Value, x: Value, bias: Value | None = None) -> Inferred:
        check_strides(self.stride_w, self.stride_h)
        n, rows, columns, _ = known_shape(output_shape, 4, "the output shape")
        if x.type.shape is None or w.type.shape is None:
            return TensorType(x.dtype, None)
        batch, _, _, channels = shape_of(x, 4, "the input")
        out, _, _, inner = shape_of(w, 4, "the filter")
        if same_dim(channels, inner) is False:
            raise ValueError(f"{channels} input channels do not fit a filter of {inner} input channels")
        check_bias(bias, out)
        return TensorType(
            x.dtype,
            (
                batch if n is None else n,
                fresh("rows") if rows is None else rows,
                fresh("columns") if columns is None else columns,
                out,
            ),
        )

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        w, x = inputs[1], inputs[2]
        if w is None or x is None or w.type.shape is None:
            return None
        return count_macs([x], *w.shape[:3])


@dataclass(frozen=True)
class Conv3D(Contraction, code=132, options="Conv3DOptions"):
    """3-D convolution: input NDHWC, filter DHWIO, optional bias [O]; FLOAT32 only, no groups."""

    padding: Padding = Padding.SAME
    stride_d: int = 1
    stride_w: int = 1
    stride_h: int = 1
    fused_activation_function: Activation = Activation.NONE
    dilation_d_factor: int = 1
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1
    kernels = frozenset({F32})

    def infer(self, x: Value, w: Value, bias: Value | None = None) -> Inferred:
        strides = (self.stride_d, self.stride_h, self.stride_w)
        dilations = (self.dilation_d_factor, self.dilation_h_factor, self.dilation_w_factor)
        check_strides(*strides, *dilations)
        if x.type.shape is None or w.type.shape is None:
            return TensorType(x.dtype, None)
        n, *sizes, channels = shape_of(x, 5, "the input")
        *windows, inner, out = shape_of(w, 5, "the filter")
        if same_dim(channels, inner) is False:
            raise ValueError(f"{channels} input channels do not fit a filter of {inner} input channels")
        check_bias(bias, out)
        spatial = [
            window_size(*each, self.padding) for each in zip(sizes, windows, strides, dilations, strict=True)
        ]
        return TensorType(x.dtype, (n, *spatial, out))

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        w = inputs[1]
        return None if w is None or w.type.shape is None else count_macs(outputs, *w.shape[:4])


@dataclass(frozen=True)
class Conv3DTranspose(Contraction, code=141, options="Conv3DOptions"):
    """Gradient of Conv3D: operands output shape (INT32 [5]), filter DHWOI, input NDHWC, optional bias [O]."""

    padding: Padding = Padding.SAME
    stride_d: int = 1
    stride_w: int = 1
    stride_h: int = 1
    fused_activation_function: Activation = Activation.NONE
    dilation_d_factor: int = 1
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1
    kernels = frozenset({DType.INT32})

    def infer(self, output_shape: Value, w: Value, x: Value, bias: Value | None = None) -> Inferred:
        check_strides(self.stride_d, self.stride_h, self.stride_w)
        n, *spatial, _ = known_shape(output_shape, 5, "the output shape")
        if x.type.shape is None or w.type.shape is None:
            return TensorType(x.dtype, None)
        batch, *_, channels = shape_of(x, 5, "the input")
        *_, out, inner = shape_of(w, 5, "the filter")
        if same_dim(channels, inner) is False:
            raise ValueError(f"{channels} input channels do not fit a filter of {inner} input channels")
        check_bias(bias, out)
        sizes = [fresh("size") if size is None else size for size in spatial]
        return TensorType(x.dtype, (batch if n is None else n, *sizes, out))

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        w, x = inputs[1], inputs[2]
        if w is None or x is None or w.type.shape is None:
            return None
        return count_macs([x], *w.shape[:4])
