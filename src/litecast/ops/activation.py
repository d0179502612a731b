"""Activations and normalisations: one operand, one result of its type."""

from __future__ import annotations

import numpy as np

from litecast.ir.graph import Value
from litecast.ir.op import Array, Inferred, QuantSpec, operation
from litecast.ir.types import DType, TensorType, broadcast
from litecast.ops.enums import Activation
from litecast.ops.grids import ANY_SCALE, ANY_SCALE_INT8, PROBABILITY, UNIT
from litecast.ops.rules import Unary, Versioned, by_type, same_dtype, types

__all__ = [
    "Elu",
    "Gelu",
    "HardSwish",
    "L2Normalization",
    "LeakyRelu",
    "LocalResponseNormalization",
    "LogSoftmax",
    "Logistic",
    "Prelu",
    "Relu",
    "Relu0To1",
    "Relu6",
    "ReluN1To1",
    "Softmax",
    "Tanh",
]


@operation
class Relu(Unary, code=19):
    """max(x, 0)."""

    kernels = types("f32 u8 i8 i16")  # activations.cc
    quantized = types("u8 i8 i16")
    versions = by_type(i16=3, i8=2, u8=2)
    quantization = ANY_SCALE  # activations.cc:310, ReluPrepare

    def eval(self, x: Array) -> Array:
        return np.maximum(x, x.dtype.type(0))


@operation
class Relu6(Unary, code=21):
    """x clamped to 0 .. 6."""

    kernels = types("f32 u8 i8 i16")  # activations.cc
    quantized = types("u8 i8 i16")
    versions = by_type(i16=3, i8=2)
    quantization = ANY_SCALE  # activations.cc:310, ReluPrepare

    def eval(self, x: Array) -> Array:
        return np.clip(x, x.dtype.type(0), x.dtype.type(6))


@operation
class ReluN1To1(Unary, code=20):
    """x clamped to -1 .. 1."""

    kernels = types("f32 u8 i8")  # activations.cc
    quantized = types("u8 i8")
    quantization = ANY_SCALE_INT8  # activations.cc, ReluPrepare

    def eval(self, x: Array) -> Array:
        return np.clip(x, x.dtype.type(-1), x.dtype.type(1))


@operation
class Relu0To1(Unary, code=152):
    """x clamped to 0 .. 1."""

    kernels = types("f32 u8 i8")  # activations.cc
    quantized = types("u8 i8")
    quantization = ANY_SCALE_INT8  # activations.cc, ReluPrepare

    def eval(self, x: Array) -> Array:
        return np.clip(x, x.dtype.type(0), x.dtype.type(1))


@operation
class LeakyRelu(Unary, code=98, options="LeakyReluOptions"):
    """x, or alpha * x where x is negative."""

    alpha: float = 0.0
    kernels = types("f32 u8 i8 i16")  # activations.cc
    quantized = types("u8 i8 i16")
    versions = by_type(i16=2)
    quantization = ANY_SCALE  # activations.cc, LeakyReluPrepare


@operation
class Prelu(Versioned, code=54):
    """x, or alpha * x where x is negative, alpha being a tensor that broadcasts to x."""

    kernels = types("f32 u8 i8 i16")  # activations.cc
    quantized = types("u8 i8 i16")
    same_dtype = True
    quantization = ANY_SCALE_INT8  # activations.cc, PreluPrepare (INT16 is accepted, the result wrong)

    def infer(self, x: Value, alpha: Value) -> Inferred:
        dtype = same_dtype(x, alpha)
        if x.type.shape is None or alpha.type.shape is None:
            return TensorType(dtype, x.type.shape)
        return TensorType(dtype, broadcast(x.shape, alpha.shape))


@operation
class Elu(Unary, code=111):
    """x, or exp(x) - 1 where x is negative."""

    kernels = types("f32 i8")  # activations.cc
    quantized = types("i8")
    quantization = ANY_SCALE_INT8  # activations.cc, EluPrepare: a table


@operation
class Gelu(Unary, code=150, options="GeluOptions"):
    """x times the normal distribution function, or its tanh approximation."""

    approximate: bool = False
    kernels = types("f32 f16 u8 i8 i16")  # activations.cc
    quantized = types("u8 i8 i16")
    versions = by_type(f16=3, i8=2, u8=2)
    quantization = ANY_SCALE  # activations.cc, GeluPrepare: a table


@operation
class HardSwish(Unary, code=117, options="HardSwishOptions"):
    """x * relu6(x + 3) / 6."""

    kernels = types("f32 u8 i8")  # activations.cc
    quantized = types("u8 i8")
    quantization = ANY_SCALE_INT8  # activations.cc, HardSwishPrepare


@operation
class Logistic(Unary, code=14):
    """1 / (1 + exp(-x))."""

    kernels = types("f32 f16 bf16 u8 i8 i16")  # activations.cc
    quantized = types("u8 i8 i16")
    versions = by_type(i16=3, i8=2)
    quantization = QuantSpec(types("i8 i16"), fixed=PROBABILITY)  # activations.cc:486


@operation
class Tanh(Unary, code=28):
    """The hyperbolic tangent."""

    kernels = types("f32 f16 bf16 u8 i8 i16")  # activations.cc
    quantized = types("u8 i8 i16")
    versions = by_type(i16=3, i8=2)
    quantization = QuantSpec(types("i8 i16"), fixed=UNIT)  # activations.cc, TanhPrepare


@operation
class Softmax(Unary, code=25, options="SoftmaxOptions"):
    """exp(beta * x) over its sum along the last axis. (The schema's default of beta is 0; here it is 1.)"""

    beta: float = 1.0
    kernels = types("f32 f16 u8 i8 i16")  # activations.cc
    quantized = types("u8 i8 i16")
    max_rank = 6
    versions = by_type(f16=4, i16=3, i8=2)
    quantization = QuantSpec(types("i8 i16"), fixed=PROBABILITY)  # activations.cc:556


@operation
class LogSoftmax(Unary, code=50, options="LogSoftmaxOptions"):
    """The logarithm of the softmax along the last axis."""

    kernels = types("f32 u8 i8")  # activations.cc
    quantized = types("u8 i8")
    versions = by_type(i8=2)
    quantization = QuantSpec(types("i8"), fixed={DType.INT8: (16 / 256, 127)})  # activations.cc:669


@operation
class L2Normalization(Unary, code=11, options="L2NormOptions"):
    """x over the root of the sum of its squares along the last axis."""

    fused_activation_function: Activation = Activation.NONE
    kernels = types("f32 u8 i8")  # l2norm.cc
    quantized = types("u8 i8")
    versions = by_type(i8=2)
    quantization = QuantSpec(types("i8"), fixed={DType.INT8: UNIT[DType.INT8]})  # l2norm.cc:61


@operation
class LocalResponseNormalization(Unary, code=13, options="LocalResponseNormalizationOptions"):
    """x over (bias + alpha * sum of squares of the 2 * radius + 1 nearest channels) ** beta."""

    radius: int = 0
    bias: float = 0.0
    alpha: float = 0.0
    beta: float = 0.0
    kernels = types("f32")  # local_response_norm.cc
