"""Pooling and windowed reductions."""

from __future__ import annotations

from enum import IntEnum

from litecast.ir.graph import Value
from litecast.ir.op import Inferred, Op, Operands, Outputs, operation
from litecast.ir.types import DType, TensorType, fresh
from litecast.ops.conv import FIXED_POINT, check_activation, check_strides, shape_of, window_size
from litecast.ops.enums import Activation, Padding
from litecast.ops.grids import ONE_SCALE
from litecast.ops.rules import per_tensor

__all__ = ["AveragePool2D", "L2Pool2D", "MaxPool2D", "ReduceWindow", "ReduceWindowFunction"]


@operation
class Pool2D(Op):
    """Pooling of NHWC input over windows (the schema's default of a size is 0, here 1)."""

    padding: Padding = Padding.SAME
    stride_w: int = 1
    stride_h: int = 1
    filter_width: int = 1
    filter_height: int = 1
    fused_activation_function: Activation = Activation.NONE

    def infer(self, x: Value) -> Inferred:
        check_activation(self.fused_activation_function)
        check_strides(self.stride_w, self.stride_h, self.filter_width, self.filter_height)
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        n, h, width, channels = shape_of(x, 4, "the input")
        rows = window_size(h, self.filter_height, self.stride_h, 1, self.padding)
        columns = window_size(width, self.filter_width, self.stride_w, 1, self.padding)
        return TensorType(x.dtype, (n, rows, columns, channels), per_tensor(x))


class AveragePool2D(Pool2D, code=1, options="Pool2DOptions"):
    """Mean over each window; with SAME padding the padded cells do not count (internal/reference/pooling.h).

    Quantized operand and result must have one scale and zero point: the kernel does not rescale
    (pooling.cc:108), so the result has the operand's.
    """

    kernels = FIXED_POINT  # pooling.cc:390
    quantization = ONE_SCALE  # pooling.cc:108

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:377, AVERAGE_POOL_2D."""
        return _POOL_VERSIONS.get(outputs[0].dtype, 1)


class MaxPool2D(Pool2D, code=17, options="Pool2DOptions"):
    """Maximum over each window; padded cells do not count. Quantized: as for AveragePool2D."""

    kernels = FIXED_POINT  # pooling.cc:420
    quantization = ONE_SCALE  # pooling.cc:108

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc:376, MAX_POOL_2D."""
        return _POOL_VERSIONS.get(outputs[0].dtype, 1)


_POOL_VERSIONS = {DType.INT16: 3, DType.INT8: 2}


class L2Pool2D(Pool2D, code=12, options="Pool2DOptions"):
    """Root of the mean of squares over each window; padded cells do not count. FLOAT32 only (:453)."""

    kernels = frozenset({DType.FLOAT32})


class ReduceWindowFunction(IntEnum):
    """`ReduceWindowFunction`."""

    UNSUPPORTED = 0
    ADD = 1
    MUL = 2
    MINIMUM = 3
    MAXIMUM = 4
    ALL = 5
    ANY = 6


@operation
class ReduceWindow(Op, code=205, options="ReduceWindowOptions"):
    """Reduce windows of up to 6 dimensions without padding.

    Operands: input, initial value (a scalar of its type), and three INT64 constants of one element per
    dimension: window, strides, dilations of the window (kernels/stablehlo_reduce_window.cc:726).
    """

    reduce_function: ReduceWindowFunction = ReduceWindowFunction.UNSUPPORTED
    # stablehlo_reduce_window.cc:838
    kernels = FIXED_POINT | {DType.BOOL, DType.INT32, DType.INT64, DType.FLOAT64}

    def infer(self, x: Value, initial: Value, window: Value, strides: Value, dilations: Value) -> Inferred:
        if self.reduce_function is ReduceWindowFunction.UNSUPPORTED:
            raise ValueError("the reduction is not set")
        if x.dtype is not initial.dtype:
            raise ValueError(f"the initial value is {initial.dtype.name}, the input {x.dtype.name}")
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        known = [value.known for value in (window, strides, dilations)]
        columns = [contents for contents in known if contents is not None]
        if len(columns) < len(known):
            return TensorType(x.dtype, tuple(fresh("window") for _ in x.shape))
        if any(len(column) != x.rank for column in columns):
            raise ValueError(f"window, strides and dilations must have {x.rank} elements each")
        shape = []
        for size, *terms in zip(x.shape, *columns, strict=True):
            extent, stride, dilation = terms
            shape.append(window_size(size, extent, stride, dilation, Padding.VALID))
        return TensorType(x.dtype, tuple(shape))
