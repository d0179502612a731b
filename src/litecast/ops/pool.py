"""Pooling and windowed reductions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from litecast.ir.graph import Value
from litecast.ir.op import Inferred, Op
from litecast.ir.types import DType, TensorType, fresh
from litecast.ops.conv import check_strides, shape_of, window_size
from litecast.ops.enums import Activation, Padding

__all__ = ["AveragePool2D", "L2Pool2D", "MaxPool2D", "ReduceWindow", "ReduceWindowFunction"]


@dataclass(frozen=True)
class Pool2D(Op):
    """Pooling of an NHWC input over a window of rows and columns."""

    padding: Padding = Padding.SAME
    stride_w: int = 1
    stride_h: int = 1
    filter_width: int = 1
    filter_height: int = 1
    fused_activation_function: Activation = Activation.NONE

    def infer(self, x: Value) -> Inferred:
        check_strides(self.stride_w, self.stride_h, self.filter_width, self.filter_height)
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        n, h, width, channels = shape_of(x, 4, "the input")
        rows = window_size(h, self.filter_height, self.stride_h, 1, self.padding)
        columns = window_size(width, self.filter_width, self.stride_w, 1, self.padding)
        return TensorType(x.dtype, (n, rows, columns, channels))


class AveragePool2D(Pool2D, code=1, options="Pool2DOptions"):
    """Mean over each window; with SAME padding only the cells inside the input count."""

    kernels = frozenset({DType.FLOAT32, DType.UINT8, DType.INT8, DType.INT16})


class MaxPool2D(Pool2D, code=17, options="Pool2DOptions"):
    """Maximum over each window."""

    kernels = frozenset({DType.FLOAT32, DType.UINT8, DType.INT8, DType.INT16})


class L2Pool2D(Pool2D, code=12, options="Pool2DOptions"):
    """Root of the mean of squares over each window."""

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


@dataclass(frozen=True)
class ReduceWindow(Op, code=205, options="ReduceWindowOptions"):
    """Reduce windows without padding: input, initial value, window, strides, base and window dilations."""

    reduce_function: ReduceWindowFunction = ReduceWindowFunction.UNSUPPORTED

    def infer(
        self,
        x: Value,
        initial: Value,
        window: Value,
        strides: Value,
        base_dilations: Value,
        window_dilations: Value,
    ) -> Inferred:
        if x.dtype is not initial.dtype:
            raise ValueError(f"the initial value is {initial.dtype.name}, the input {x.dtype.name}")
        if x.type.shape is None:
            return TensorType(x.dtype, None)
        known = [value.known for value in (window, strides, base_dilations, window_dilations)]
        columns = [contents for contents in known if contents is not None]
        if len(columns) < len(known):
            return TensorType(x.dtype, tuple(fresh("window") for _ in x.shape))
        shape = []
        for size, *terms in zip(x.shape, *columns, strict=True):
            extent, stride, base, dilation = terms
            dilated = size if base == 1 else (size - 1) * base + 1
            shape.append(window_size(dilated, extent, stride, dilation, Padding.VALID))
        return TensorType(x.dtype, tuple(shape))
