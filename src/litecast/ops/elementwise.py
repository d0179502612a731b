"""Elementwise arithmetic and casts; every operand of a binary operation has one element type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from litecast.errors import InferenceError
from litecast.ir.graph import Value
from litecast.ir.op import UNWRITTEN, Array, Inferred, Operands, Outputs
from litecast.ir.types import Dim, DType, TensorType
from litecast.ops.dims import floor_mod, maximum, merge_shapes, minimum, objects
from litecast.ops.enums import Activation
from litecast.ops.rules import Binary, Tracked, Unary, Versioned, by_type, same_dtype, types

__all__ = [
    "Abs",
    "Add",
    "AddN",
    "Atan2",
    "Bitcast",
    "BitwiseXor",
    "Cast",
    "Ceil",
    "ComplexAbs",
    "Cos",
    "Div",
    "Exp",
    "Floor",
    "FloorDiv",
    "FloorMod",
    "Imag",
    "Log",
    "Maximum",
    "Minimum",
    "Mul",
    "Neg",
    "Pow",
    "Real",
    "RightShift",
    "Round",
    "Rsqrt",
    "Sign",
    "Sin",
    "Sqrt",
    "Square",
    "SquaredDifference",
    "StablehloAnd",
    "Sub",
    "ZerosLike",
]

ACTIVATE: dict[Activation, Callable[[Array], Array]] = {
    Activation.NONE: lambda x: x,
    Activation.RELU: lambda x: np.maximum(x, x.dtype.type(0)),
    Activation.RELU_N1_TO_1: lambda x: np.clip(x, x.dtype.type(-1), x.dtype.type(1)),
    Activation.RELU6: lambda x: np.clip(x, x.dtype.type(0), x.dtype.type(6)),
}
"""What a fused activation does to the result of arithmetic (kernel_util.h, CalculateActivationRange: TANH and
SIGN_BIT are ignored there, so they are not part of this table and arithmetic does not take them)."""


def check_activation(activation: Activation) -> None:
    """ValueError for a fused activation that arithmetic ignores."""
    if activation not in ACTIVATE:
        raise ValueError(f"the kernel ignores the fused activation {activation.name}")


@dataclass(frozen=True)
class Arithmetic(Binary, Tracked):
    """Binary arithmetic with a fused activation (NONE and the clamps)."""

    fused_activation_function: Activation = Activation.NONE

    def infer(self, x: Value, y: Value) -> Inferred:
        check_activation(self.fused_activation_function)
        return super().infer(x, y)

    def known(self, *inputs: Any) -> Any:
        return super().known(*inputs) if self.fused_activation_function is Activation.NONE else None


@dataclass(frozen=True)
class Add(Arithmetic, code=0, options="AddOptions"):
    """x + y."""

    pot_scale_int16: bool = True
    kernels = types("f32 f16 i32 i64 u8 i8 i16")  # add.cc
    quantized = types("u8 i8")
    commutative = True
    versions = by_type(f16=6, i64=4, i8=2)

    def eval(self, x: Array, y: Array) -> Array:
        return ACTIVATE[self.fused_activation_function](np.add(x, y))

    def track(self, x: Array, y: Array) -> Array:
        return objects(x + y)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        return _scaled_int16(self, inputs, plain=5, scaled=3) or super().version(inputs, outputs)


@dataclass(frozen=True)
class Sub(Arithmetic, code=41, options="SubOptions"):
    """x - y."""

    pot_scale_int16: bool = True
    kernels = types("f32 i32 i64 u8 i8 i16")  # sub.cc
    quantized = types("u8 i8 i16")
    versions = by_type(i64=4, i8=2)
    broadcast_version = 3

    def eval(self, x: Array, y: Array) -> Array:
        return ACTIVATE[self.fused_activation_function](np.subtract(x, y))

    def track(self, x: Array, y: Array) -> Array:
        return objects(x - y)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        return _scaled_int16(self, inputs, plain=0, scaled=5) or super().version(inputs, outputs)


def _scaled_int16(op: Add | Sub, inputs: Operands, plain: int, scaled: int) -> int:
    """Return the version of an INT16 instance: not quantized, or with scales that are no powers of two."""
    x = inputs[0]
    if x is None or x.dtype is not DType.INT16:
        return 0
    if x.type.quant is None and plain:
        return plain
    return 0 if op.pot_scale_int16 else scaled


@dataclass(frozen=True)
class Mul(Arithmetic, code=18, options="MulOptions"):
    """x * y."""

    kernels = types("f32 f16 i32 u32 i64 u8 i8 i16 c64")  # mul.cc
    quantized = types("u8 i8")
    commutative = True
    versions = by_type(f16=8, u32=7, c64=6, i64=5, i16=4, i8=2)

    def eval(self, x: Array, y: Array) -> Array:
        return ACTIVATE[self.fused_activation_function](np.multiply(x, y))

    def track(self, x: Array, y: Array) -> Array:
        return objects(x * y)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        x, y = inputs[:2]
        if x is not None and x.dtype is DType.INT16 and x.type.quant is None:
            return 7
        version = super().version(inputs, outputs)
        scales = [_scale(value) for value in (x, y, outputs[0])]
        if all(scales) and scales[0] * scales[1] / scales[2] >= 1:
            return max(version, 3)
        return version


def _scale(value: Value | None) -> float:
    quant = None if value is None else value.type.quant
    return quant.scales[0] if quant is not None and quant.scales else 0.0


@dataclass(frozen=True)
class Div(Binary, code=42, options="DivOptions"):
    """x / y; integers truncate, and a zero integer divisor is an error of the runtime (div.cc, EvalDiv)."""

    fused_activation_function: Activation = Activation.NONE
    kernels = types("f32 i32 u8 i8 i16")  # div.cc
    quantized = types("u8 i8 i16")
    broadcast_version = 2

    def infer(self, x: Value, y: Value) -> Inferred:
        check_activation(self.fused_activation_function)
        return super().infer(x, y)

    def eval(self, x: Array, y: Array) -> Array:
        if x.dtype.kind == "f":
            return ACTIVATE[self.fused_activation_function](np.divide(x, y))
        _refuse_zero(y)
        quotient = np.abs(x) // np.abs(y) * np.sign(x) * np.sign(y)
        return ACTIVATE[self.fused_activation_function](quotient.astype(x.dtype))


def _refuse_zero(divisors: Array) -> None:
    if not np.all(divisors):
        raise InferenceError("a division by zero, which the runtime refuses")


def _floor_divide(x: Dim, y: Dim) -> Dim:
    return x // y


@dataclass(frozen=True)
class FloorDiv(Binary, Tracked, code=90, options="FloorDivOptions"):
    """The quotient rounded down; a zero divisor, even a float, is an error of the runtime (floor_div.cc)."""

    kernels = types("f32 i32 i16 i8")  # floor_div.cc
    versions = by_type(i8=3, i16=3, f32=2)

    def eval(self, x: Array, y: Array) -> Array:
        """Divide as double (reference/floor_div.h)."""
        _refuse_zero(y)
        return np.floor(x.astype(np.float64) / y.astype(np.float64)).astype(x.dtype)

    def track(self, x: Array, y: Array) -> Array | None:
        return None if _any_zero(y) else objects(np.frompyfunc(_floor_divide, 2, 1)(x, y))


@dataclass(frozen=True)
class FloorMod(Binary, Tracked, code=95, options="FloorModOptions"):
    """The remainder with the divisor's sign; a zero integer is an error of the runtime (floor_mod.cc)."""

    kernels = types("f32 i32 i64 i16 i8")  # floor_mod.cc
    versions = by_type(i8=2, i16=2)

    def eval(self, x: Array, y: Array) -> Array:
        if x.dtype.kind != "f":
            _refuse_zero(y)
        return np.mod(x, y)

    def track(self, x: Array, y: Array) -> Array | None:
        return None if _any_zero(y) else objects(np.frompyfunc(floor_mod, 2, 1)(x, y))


def _any_zero(divisors: Array) -> bool:
    return any(divisor == 0 for divisor in np.ravel(divisors))


@dataclass(frozen=True)
class Maximum(Binary, Tracked, code=55, options="MaximumMinimumOptions"):
    """The larger of x and y."""

    kernels = types("f32 f16 bf16 i32 i64 u8 i8 i16")  # maximum_minimum.cc
    commutative = True
    versions = by_type(i16=4, i8=2)
    broadcast_version = 3

    def eval(self, x: Array, y: Array) -> Array:
        return np.maximum(x, y)

    def track(self, x: Array, y: Array) -> Array:
        return objects(np.frompyfunc(maximum, 2, 1)(x, y))


@dataclass(frozen=True)
class Minimum(Binary, Tracked, code=57, options="MaximumMinimumOptions"):
    """The smaller of x and y."""

    kernels = types("f32 f16 bf16 i32 i64 u8 i8 i16")  # maximum_minimum.cc
    commutative = True
    versions = by_type(i16=4, i8=2)
    broadcast_version = 3

    def eval(self, x: Array, y: Array) -> Array:
        return np.minimum(x, y)

    def track(self, x: Array, y: Array) -> Array:
        return objects(np.frompyfunc(minimum, 2, 1)(x, y))


@dataclass(frozen=True)
class Pow(Binary, code=78, options="PowOptions"):
    """x to the power of y."""

    kernels = types("f32 i32")  # pow.cc


@dataclass(frozen=True)
class SquaredDifference(Binary, code=99, options="SquaredDifferenceOptions"):
    """(x - y) squared."""

    kernels = types("f32 i32 i8")  # squared_difference.cc
    quantized = types("i8")
    commutative = True
    versions = by_type(i8=2)

    def eval(self, x: Array, y: Array) -> Array:
        return np.square(np.subtract(x, y))


@dataclass(frozen=True)
class Atan2(Binary, code=156, options="ATan2Options"):
    """The angle of the point (y, x); the kernel does not broadcast (atan2.cc, Prepare: HaveSameShapes)."""

    kernels = types("f32 f64 f16 bf16")  # atan2.cc
    max_broadcast_rank = 0


@dataclass(frozen=True)
class BitwiseXor(Binary, code=160, options="BitwiseXorOptions"):
    """Exclusive or of the bits."""

    kernels = types("u8 i8 u16 i16 u32 i32")  # bitwise_xor.cc
    commutative = True

    def eval(self, x: Array, y: Array) -> Array:
        return np.bitwise_xor(x, y)


@dataclass(frozen=True)
class RightShift(Binary, code=161, options="RightShiftOptions"):
    """x shifted right by y bits."""

    kernels = types("u8 i8 u16 i16 u32 i32")  # right_shift.cc


@dataclass(frozen=True)
class StablehloAnd(Binary, code=176):
    """The bits that both have (for booleans: and); operands of one shape (stablehlo_elementwise.h)."""

    kernels = types("bool i8 u8 i16 u16 i32 u32 i64 u64")
    commutative = True

    def eval(self, x: Array, y: Array) -> Array:
        return np.bitwise_and(x, y)


@dataclass(frozen=True)
class AddN(Versioned, code=106, options="AddNOptions"):
    """The sum of two or more operands of one shape."""

    kernels = types("f32 i32")  # add_n.cc
    same_dtype = True

    def infer(self, *values: Value) -> Inferred:
        if len(values) < 2:
            raise ValueError(f"two operands at least, not {len(values)}")
        return TensorType(
            same_dtype(*values), merge_shapes((value.type.shape for value in values), "the operands")
        )


# -- unary -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Abs(Unary, code=101, options="AbsOptions"):
    """The absolute value."""

    kernels = types("f32 i8 i16 i32")  # elementwise.cc
    quantized = types("i8")
    versions = by_type(i32=5, i8=2, u8=2)

    def eval(self, x: Array) -> Array:
        return np.abs(x)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        x = inputs[0]
        if x is not None and x.dtype is DType.INT16:
            return 4 if x.type.quant is None else 3
        return super().version(inputs, outputs)


@dataclass(frozen=True)
class Neg(Unary, Tracked, code=59, options="NegOptions"):
    """The negative."""

    kernels = types("f32 f16 bf16 i32 i64 i8 i16")  # neg.cc

    def eval(self, x: Array) -> Array:
        return np.negative(x)


@dataclass(frozen=True)
class Sign(Unary, code=158, options="SignOptions"):
    """-1, 0 or 1."""

    kernels = types("f32 f64 i32")  # sign.cc
    versions = by_type(i32=2)

    def eval(self, x: Array) -> Array:
        return np.sign(x)


@dataclass(frozen=True)
class Floor(Unary, code=8):
    """Rounded down."""

    kernels = types("f32 f16 bf16")  # floor.cc

    def eval(self, x: Array) -> Array:
        return np.floor(x)


@dataclass(frozen=True)
class Ceil(Unary, code=104):
    """Rounded up."""

    kernels = types("f32")  # ceil.cc

    def eval(self, x: Array) -> Array:
        return np.ceil(x)


@dataclass(frozen=True)
class Round(Unary, code=116):
    """Rounded to the nearest integer, halves to the even one."""

    kernels = types("f32 f16 bf16")  # round.cc

    def eval(self, x: Array) -> Array:
        return np.rint(x)


@dataclass(frozen=True)
class Square(Unary, code=92, options="SquareOptions"):
    """x * x."""

    kernels = types("f32")  # elementwise.cc

    def eval(self, x: Array) -> Array:
        return np.multiply(x, x)


@dataclass(frozen=True)
class Sqrt(Unary, code=75):
    """The square root."""

    kernels = types("f32 i8 i16")  # elementwise.cc
    quantized = types("i8 i16")
    versions = by_type(i8=2, i16=2)


@dataclass(frozen=True)
class Rsqrt(Unary, code=76):
    """One over the square root."""

    kernels = types("f32 i8 i16")  # elementwise.cc
    quantized = types("i8 i16")
    versions = by_type(i16=3, i8=2)


@dataclass(frozen=True)
class Exp(Unary, code=47, options="ExpOptions"):
    """e to the power of x."""

    kernels = types("f32 i8 i16")  # exp.cc
    quantized = types("i8 i16")
    versions = by_type(i8=2, i16=2)


@dataclass(frozen=True)
class Log(Unary, code=73):
    """The natural logarithm."""

    kernels = types("f32 i8 i16")  # elementwise.cc
    quantized = types("i8 i16")
    versions = by_type(i8=2, i16=2)


@dataclass(frozen=True)
class Sin(Unary, code=66):
    """The sine."""

    kernels = types("f32 f16")  # elementwise.cc
    versions = by_type(f16=2)


@dataclass(frozen=True)
class Cos(Unary, code=108, options="CosOptions"):
    """The cosine."""

    kernels = types("f32 f16")  # elementwise.cc
    versions = by_type(f16=2)


@dataclass(frozen=True)
class ZerosLike(Unary, code=93, options="ZerosLikeOptions"):
    """Zeros of the operand's shape and element type."""

    kernels = types("f32 i32 i64")  # zeros_like.cc

    def eval(self, x: Array) -> Array:
        return np.zeros_like(x)


# -- element types -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cast(Tracked, code=53, options="CastOptions"):
    """The operand in another element type; floats truncate towards zero."""

    in_data_type: DType
    out_data_type: DType
    kernels = types("i64 i32 u32 u16 i16 u8 i8 f16 bf16 f8e4m3fn f8e5m2 f32 f64 bool c64 i4 i2 u4")  # cast.cc

    def infer(self, x: Value) -> Inferred:
        if x.dtype is not self.in_data_type:
            raise ValueError(f"the operand is {x.dtype.name}, the cast is from {self.in_data_type.name}")
        return TensorType(self.out_data_type, x.type.shape)

    def track(self, x: Array) -> Array | None:
        return x if self.out_data_type in (DType.INT32, DType.INT64) else None

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        """op_version.cc, BuiltinOperator_CAST: either side counts, INT4 only as a source of FLOAT32."""
        if (self.in_data_type, self.out_data_type) == (DType.INT4, DType.FLOAT32):
            return 6
        return max(_CAST_VERSIONS.get(dtype, 1) for dtype in (self.in_data_type, self.out_data_type))


_CAST_VERSIONS = by_type(f8=9, i2=8, u4=8, bf16=7, f64=5, f16=5, u16=4, i8=3, u32=2)


@dataclass(frozen=True)
class Bitcast(Versioned, code=159, options="BitcastOptions"):
    """The same bytes as another type: a wider one takes up, a narrower one adds, the last dimension."""

    dtype: DType = field(default=DType.FLOAT32, metadata=UNWRITTEN)
    movement = True

    def infer(self, x: Value) -> Inferred:
        have, want = x.dtype.bits, self.dtype.bits
        if not have or not want:
            raise ValueError(f"{x.dtype.name} has no bytes that {self.dtype.name} could have")
        if x.type.shape is None:
            return TensorType(self.dtype, None)
        if have > want:
            return TensorType(self.dtype, (*x.shape, have // want))
        if have == want:
            return TensorType(self.dtype, x.shape)
        if not x.rank or (isinstance(x.shape[-1], int) and x.shape[-1] != want // have):
            raise ValueError(f"the last dimension of {x.type} must be {want // have}")
        return TensorType(self.dtype, x.shape[:-1])

    def eval(self, x: Array) -> Array:
        have, want, kind = x.dtype.itemsize, self.dtype.numpy.itemsize, self.dtype.numpy
        packed = np.ascontiguousarray(x).reshape(x.shape)
        if have < want:
            return packed.view(kind).reshape(x.shape[:-1])
        return packed.reshape(-1).view(kind).reshape(*x.shape, *((have // want,) if have > want else ()))


@dataclass(frozen=True)
class ComplexPart(Versioned):
    """A real number per complex one."""

    kernels = types("c64 c128")  # complex_support.cc

    def infer(self, x: Value) -> Inferred:
        if not x.dtype.is_complex:
            raise ValueError(f"a complex operand is wanted, not {x.dtype.name}")
        return TensorType(DType.FLOAT32 if x.dtype is DType.COMPLEX64 else DType.FLOAT64, x.type.shape)


@dataclass(frozen=True)
class Real(ComplexPart, code=134):
    """The real part."""

    movement = True

    def eval(self, x: Array) -> Array:
        return np.real(x)


@dataclass(frozen=True)
class Imag(ComplexPart, code=133):
    """The imaginary part."""

    movement = True

    def eval(self, x: Array) -> Array:
        return np.imag(x)


@dataclass(frozen=True)
class ComplexAbs(ComplexPart, code=135):
    """The absolute value."""
