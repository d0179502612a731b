"""Elementwise operations of one operand."""

from __future__ import annotations

import numpy as np

from litecast.ir.op import Array, Operands, Outputs, operation
from litecast.ir.types import DType
from litecast.ops.grids import ANY_SCALE, ANY_SCALE_INT8, ONE_SCALE_INT16
from litecast.ops.rules import Tracked, Unary, by_type, types

__all__ = [
    "Abs",
    "Ceil",
    "Cos",
    "Exp",
    "Floor",
    "Log",
    "Neg",
    "Round",
    "Rsqrt",
    "Sign",
    "Sin",
    "Sqrt",
    "Square",
    "ZerosLike",
]


@operation
class Abs(Unary, code=101, options="AbsOptions"):
    """The absolute value."""

    kernels = types("f32 i8 i16 i32")  # elementwise.cc
    quantized = types("i8")
    versions = by_type(i32=5, i8=2, u8=2)
    quantization = ANY_SCALE  # elementwise.cc, AbsEvalQuantized

    def eval(self, x: Array) -> Array:
        return np.abs(x)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        x = inputs[0]
        if x is not None and x.dtype is DType.INT16:
            return 4 if x.type.quant is None else 3
        return super().version(inputs, outputs)


@operation
class Neg(Unary, Tracked, code=59, options="NegOptions"):
    """The negative."""

    kernels = types("f32 f16 bf16 i32 i64 i8 i16")  # neg.cc
    quantization = ONE_SCALE_INT16  # neg.cc: the stored number is negated

    def eval(self, x: Array) -> Array:
        return np.negative(x)


@operation
class Sign(Unary, code=158, options="SignOptions"):
    """-1, 0 or 1."""

    kernels = types("f32 f64 i32")  # sign.cc
    versions = by_type(i32=2)

    def eval(self, x: Array) -> Array:
        return np.sign(x)


@operation
class Floor(Unary, code=8):
    """Rounded down."""

    kernels = types("f32 f16 bf16")  # floor.cc

    def eval(self, x: Array) -> Array:
        return np.floor(x)


@operation
class Ceil(Unary, code=104):
    """Rounded up."""

    kernels = types("f32")  # ceil.cc

    def eval(self, x: Array) -> Array:
        return np.ceil(x)


@operation
class Round(Unary, code=116):
    """Rounded to the nearest integer, halves to the even one."""

    kernels = types("f32 f16 bf16")  # round.cc

    def eval(self, x: Array) -> Array:
        return np.rint(x)


@operation
class Square(Unary, code=92, options="SquareOptions"):
    """x * x."""

    kernels = types("f32")  # elementwise.cc

    def eval(self, x: Array) -> Array:
        return np.multiply(x, x)


@operation
class Sqrt(Unary, code=75):
    """The square root."""

    kernels = types("f32 i8 i16")  # elementwise.cc
    quantized = types("i8 i16")
    versions = by_type(i8=2, i16=2)
    quantization = ANY_SCALE  # elementwise.cc, SqrtEval

    def eval(self, x: Array) -> Array:
        return np.sqrt(x)


@operation
class Rsqrt(Unary, code=76):
    """One over the square root."""

    kernels = types("f32 i8 i16")  # elementwise.cc
    quantized = types("i8 i16")
    versions = by_type(i16=3, i8=2)
    # elementwise.cc: an exact table; that of INT16 has 512 steps, too few near 0
    quantization = ANY_SCALE_INT8

    def eval(self, x: Array) -> Array:
        return np.reciprocal(np.sqrt(x))


@operation
class Exp(Unary, code=47, options="ExpOptions"):
    """e to the power of x."""

    kernels = types("f32 i8 i16")  # exp.cc
    quantized = types("i8 i16")
    versions = by_type(i8=2, i16=2)
    quantization = ANY_SCALE  # exp.cc, ExpPrepare: a table


@operation
class Log(Unary, code=73):
    """The natural logarithm."""

    kernels = types("f32 i8 i16")  # elementwise.cc
    quantized = types("i8 i16")
    versions = by_type(i8=2, i16=2)
    quantization = ANY_SCALE_INT8  # elementwise.cc: as Rsqrt


@operation
class Sin(Unary, code=66):
    """The sine."""

    kernels = types("f32 f16")  # elementwise.cc
    versions = by_type(f16=2)


@operation
class Cos(Unary, code=108, options="CosOptions"):
    """The cosine."""

    kernels = types("f32 f16")  # elementwise.cc
    versions = by_type(f16=2)


@operation
class ZerosLike(Unary, code=93, options="ZerosLikeOptions"):
    """Zeros of the operand's shape and element type."""

    kernels = types("f32 i32 i64")  # zeros_like.cc

    def eval(self, x: Array) -> Array:
        return np.zeros_like(x)
