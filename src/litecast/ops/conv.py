"""Convolutions: channels last; the filter of each has the layout that its LiteRT kernel wants."""

from __future__ import annotations

from typing import TypeAlias

from litecast.ir.graph import Value
from litecast.ir.op import Inferred, Op, Operands, Outputs, QuantSpec, operation
from litecast.ir.types import Dim, DType, Shape, TensorType, fresh, product, same_dim
from litecast.ops.enums import Activation, Padding
from litecast.ops.grids import CONVOLUTION

__all__ = [
    "Contraction",
    "Conv2D",
    "Conv3D",
    "Conv3DTranspose",
    "DepthwiseConv2D",
    "TransposeConv",
    "window_size",
]

Types: TypeAlias = tuple[DType | None, DType | None, DType | None]

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


def has_scale_per_channel(w: Value | None, axis: int) -> bool:
    """Whether a filter has as many scales as channels (op_signature.cc, is_per_channel_quantized)."""
    return w is not None and w.type.quant is not None and len(w.type.quant.scales) == w.shape[axis]


def dtypes(inputs: Operands, outputs: Outputs, second: int = 1) -> Types:
    """Return the element types that version rules look at: of operands 0 and `second`, and of output 0."""
    x, y = inputs[0], inputs[second]
    return None if x is None else x.dtype, None if y is None else y.dtype, outputs[0].dtype


def check_activation(activation: Activation) -> None:
    """ValueError for what kernels clamp nothing for, silently (kernel_util.h:273)."""
    if activation in (Activation.TANH, Activation.SIGN_BIT):
        raise ValueError(f"the kernel ignores the fused activation {activation.name}")


F32, I8, I16, I4, U8 = DType.FLOAT32, DType.INT8, DType.INT16, DType.INT4, DType.UINT8
HYBRID = (F32, I8, F32)
INT16X8 = (I16, I8, I16)
FIXED_POINT = frozenset({F32, U8, I8, I16})


@operation
class Conv2D(Contraction, code=3, options="Conv2DOptions"):
    """2-D convolution: input NHWC, filter OHWI, bias [O]; groups = input channels / filter channels.

    The kernel wants the bias (kernels/conv.cc:407): give zeros where there is none. Groups, strides and
    dilations combine freely; with groups the reference kernel runs, which is slow (conv.cc:810). Padding is
    at the end where it is odd (padding.h). A bias is FLOAT32, INT32 for INT8 and UINT8 input, INT32 or INT64
    for INT16; filters of INT8 and INT4 also go with FLOAT32 input. The schema's default of a stride is 0,
    which no kernel accepts: here it is 1.
    """

    padding: Padding = Padding.SAME
    stride_w: int = 1
    stride_h: int = 1
    fused_activation_function: Activation = Activation.NONE
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1
    quantized_bias_type: DType = DType.FLOAT32
    kernels = FIXED_POINT  # conv.cc:376
    # conv.cc:376-420 (types), :484 (grouped filters want a scale per channel)
    quantization = QuantSpec(
        FIXED_POINT & {I8, I16},
        weight=(1,),
        channel_axis=0,
        bias=2,
        weights=dict.fromkeys((F32, I8, I16), frozenset({I8, I4})),
        scale_per_channel=True,
    )

    def infer(self, x: Value, w: Value, bias: Value | None = None) -> Inferred:
        check_activation(self.fused_activation_function)
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

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:58, CONV_2D."""
        x, w = inputs[0], inputs[1]
        types = dtypes(inputs, outputs)
        if types == INT16X8 and self.quantized_bias_type is not DType.FLOAT32:
            return 8
        if x is not None and w is not None and x.type.shape and w.type.shape and x.shape[3] != w.shape[3]:
            return 6
        if types == HYBRID and has_scale_per_channel(w, 0):
            return 5
        return _CONV_VERSIONS.get(types, 1)

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        w = inputs[1]
        return None if w is None or w.type.shape is None else count_macs(outputs, *w.shape[1:])


_CONV_VERSIONS: dict[Types, int] = {
    (I16, I16, I16): 4,
    (I8, I8, I8): 3,
    **dict.fromkeys(((I8, I4, I8), (I16, I4, I16), (F32, I4, F32)), 7),  # op_version.cc knows the first alone
    HYBRID: 2,
}
_DEPTHWISE_VERSIONS: dict[Types, int] = {(I16, I16, I16): 5, (I8, I8, I8): 3, (I8, I4, I8): 7}


def _no_groups(channels: Dim, inner: Dim, out: Dim) -> bool:
    if not (isinstance(channels, int) and isinstance(inner, int) and isinstance(out, int)):
        return False
    return inner == 0 or channels % inner != 0 or channels < inner or out % (channels // inner) != 0


@operation
class DepthwiseConv2D(Contraction, code=4, options="DepthwiseConv2DOptions"):
    """Depthwise convolution: input NHWC, filter [1, h, w, C * multiplier], bias [C * multiplier].

    Output channel c * multiplier + m reads input channel c. LiteRT crashes where the bias is missing
    (measured): give zeros. Set `depth_multiplier`: the FLOAT32 and INT8 kernels derive it from the shapes
    (kernels/depthwise_conv.cc:329), but INT16 and hybrid ones trust it (:518, :579), and the XNNPACK delegate
    leaves the operation alone where it is 0. Strides may differ and combine with dilations. The bias of an
    INT16 input is INT64.
    """

    padding: Padding = Padding.SAME
    stride_w: int = 1
    stride_h: int = 1
    depth_multiplier: int = 0
    fused_activation_function: Activation = Activation.NONE
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1
    kernels = FIXED_POINT  # depthwise_conv.cc:143
    # depthwise_conv.cc:150 (types; INT4 is wrong with INT16 input), :579 (the hybrid kernel's scales)
    quantization = QuantSpec(
        FIXED_POINT & {I8, I16},
        weight=(1,),
        channel_axis=3,
        bias=2,
        weights=CONVOLUTION | {I8: frozenset({I8, I4})},
        scale_per_channel=True,
    )

    def infer(self, x: Value, w: Value, bias: Value | None = None) -> Inferred:
        check_activation(self.fused_activation_function)
        check_strides(self.stride_w, self.stride_h, self.dilation_w_factor, self.dilation_h_factor)
        if x.type.shape is None or w.type.shape is None:
            return TensorType(x.dtype, None)
        n, h, width, channels = shape_of(x, 4, "the input")
        first, kh, kw, out = shape_of(w, 4, "the filter")
        if same_dim(first, 1) is False:
            raise ValueError(f"dimension 0 of a depthwise filter must be 1, not {first}")
        if isinstance(out, int) and isinstance(channels, int):
            if channels == 0 or out % channels:
                raise ValueError(f"{out} filters are no multiple of {channels} input channels")
            if self.depth_multiplier not in (0, out // channels):
                raise ValueError(
                    f"{out} filters on {channels} channels, but depth_multiplier={self.depth_multiplier}"
                )
        check_bias(bias, out)
        rows = window_size(h, kh, self.stride_h, self.dilation_h_factor, self.padding)
        columns = window_size(width, kw, self.stride_w, self.dilation_w_factor, self.padding)
        return TensorType(x.dtype, (n, rows, columns, out))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:108, DEPTHWISE_CONV_2D."""
        types = dtypes(inputs, outputs)
        if types == HYBRID:
            return 6 if has_scale_per_channel(inputs[1], 3) else 4
        dilated = self.dilation_w_factor != 1 or self.dilation_h_factor != 1
        return _DEPTHWISE_VERSIONS.get(types, 2 if dilated else 1)

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


@operation
class TransposeConv(Contraction, code=67, options="TransposeConvOptions"):
    """Gradient of Conv2D: operands output shape (INT32 [4]), filter OHWI, input NHWC, optional bias [O].

    O are the channels of the result. Rows and columns of the result are what the first operand says; it must
    be such that a convolution of that size with these strides and this padding gives the size of the input
    (kernels/transpose_conv.cc:891): (n - 1) * stride + 1 .. n * stride for SAME, and filter - 1 more for
    VALID. Its batch must be that of the input. The kernel has neither groups nor dilations. A bias is for
    version 3, an activation for version 4.
    """

    padding: Padding = Padding.SAME
    stride_w: int = 1
    stride_h: int = 1
    fused_activation_function: Activation = Activation.NONE
    quantized_bias_type: DType = DType.FLOAT32
    kernels = frozenset({DType.INT32})  # the output shape; input: transpose_conv.cc:336
    # transpose_conv.cc:368-396
    quantization = QuantSpec(
        FIXED_POINT & {I8, I16}, weight=(1,), channel_axis=0, bias=3, weights=CONVOLUTION
    )

    def infer(self, output_shape: Value, w: Value, x: Value, bias: Value | None = None) -> Inferred:
        check_activation(self.fused_activation_function)
        check_strides(self.stride_w, self.stride_h)
        n, *sizes, _ = known_shape(output_shape, 4, "the output shape")
        if x.type.shape is None or w.type.shape is None:
            return TensorType(x.dtype, None)
        batch, *inputs, channels = shape_of(x, 4, "the input")
        out, *windows, inner = shape_of(w, 4, "the filter")
        if same_dim(channels, inner) is False:
            raise ValueError(f"{channels} input channels do not fit a filter of {inner} input channels")
        check_bias(bias, out)
        for each in zip(sizes, inputs, windows, (self.stride_h, self.stride_w), strict=True):
            _check_gradient(*each, 1, self.padding)
        spatial = [fresh("size") if size is None else size for size in sizes]
        return TensorType(x.dtype, (batch if n is None else n, *spatial, out))

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:418, TRANSPOSE_CONV."""
        w, x = inputs[1], inputs[2]
        # op_version.cc looks at operand 0, the output shape, where it means the input
        types = (None if x is None else x.dtype, None if w is None else w.dtype, outputs[0].dtype)
        if types == INT16X8 and self.quantized_bias_type is not DType.FLOAT32:
            return 5
        if self.fused_activation_function:
            return 4
        if len(inputs) == 4 and inputs[3] is not None:
            return 3
        return 2 if types[1] is I8 else 1

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        w, x = inputs[1], inputs[2]
        if w is None or x is None or w.type.shape is None:
            return None
        return count_macs([x], *w.shape[:3])


def _check_gradient(
    size: Dim | None, given: Dim, window: Dim, stride: int, dilation: int, padding: Padding
) -> None:
    """ValueError unless a convolution of `size` gives the size of the input that is `given`."""
    if size is None:
        return
    computed = window_size(size, window, stride, dilation, padding)
    if same_dim(computed, given) is False:
        raise ValueError(f"an output size of {size} belongs to an input size of {computed}, not {given}")


@operation
class Conv3D(Contraction, code=132, options="Conv3DOptions"):
    """3-D convolution: input NDHWC, filter DHWIO, optional bias [O]; no groups, FLOAT32 (conv3d.cc)."""

    padding: Padding = Padding.SAME
    stride_d: int = 1
    stride_w: int = 1
    stride_h: int = 1
    fused_activation_function: Activation = Activation.NONE
    dilation_d_factor: int = 1
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1
    kernels = frozenset({F32})
    quantization = QuantSpec(weight=(1,), channel_axis=4)  # stored only

    def infer(self, x: Value, w: Value, bias: Value | None = None) -> Inferred:
        check_activation(self.fused_activation_function)
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


@operation
class Conv3DTranspose(Contraction, code=141, options="Conv3DOptions"):
    """Gradient of Conv3D: operands output shape (INT32 [5]), filter DHWOI, input NDHWC, optional bias [O].

    FLOAT32 only. As for TransposeConv, the output shape must belong to the input's
    (kernels/conv3d_transpose.cc).
    """

    padding: Padding = Padding.SAME
    stride_d: int = 1
    stride_w: int = 1
    stride_h: int = 1
    fused_activation_function: Activation = Activation.NONE
    dilation_d_factor: int = 1
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1
    kernels = frozenset({DType.INT32})  # the output shape; input: conv3d_transpose.cc
    quantization = QuantSpec(weight=(1,), channel_axis=3)  # stored only

    def infer(self, output_shape: Value, w: Value, x: Value, bias: Value | None = None) -> Inferred:
        check_activation(self.fused_activation_function)
        strides = (self.stride_d, self.stride_h, self.stride_w)
        dilations = (self.dilation_d_factor, self.dilation_h_factor, self.dilation_w_factor)
        check_strides(*strides, *dilations)
        n, *sizes, _ = known_shape(output_shape, 5, "the output shape")
        if x.type.shape is None or w.type.shape is None:
            return TensorType(x.dtype, None)
        batch, *inputs, channels = shape_of(x, 5, "the input")
        *windows, out, inner = shape_of(w, 5, "the filter")
        if same_dim(channels, inner) is False:
            raise ValueError(f"{channels} input channels do not fit a filter of {inner} input channels")
        check_bias(bias, out)
        for each in zip(sizes, inputs, windows, strides, dilations, strict=True):
            _check_gradient(*each, self.padding)
        spatial = [fresh("size") if size is None else size for size in sizes]
        return TensorType(x.dtype, (batch if n is None else n, *spatial, out))

    def macs(self, inputs: Operands, outputs: Outputs) -> int | None:
        w, x = inputs[1], inputs[2]
        if w is None or x is None or w.type.shape is None:
            return None
        return count_macs([x], *w.shape[:4])
