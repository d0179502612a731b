"""Elementwise arithmetic of two or more operands of one element type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast.errors import InferenceError
from litecast.ir.graph import Value
from litecast.ir.op import Array, Inferred, Operands, Outputs, operation
from litecast.ir.types import Dim, DType, TensorType
from litecast.ops.dims import floor_mod, maximum, merge_shapes, minimum, objects
from litecast.ops.enums import Activation
from litecast.ops.grids import ANY_SCALE, ANY_SCALE_INT8, ONE_SCALE
from litecast.ops.rules import Binary, Tracked, Versioned, by_type, same_dtype, types

__all__ = [
    "Add",
    "AddN",
    "Atan2",
    "BitwiseXor",
    "Div",
    "FloorDiv",
    "FloorMod",
    "Maximum",
    "Minimum",
    "Mul",
    "Pow",
    "RightShift",
    "SquaredDifference",
    "StablehloAnd",
    "Sub",
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


@operation
class Arithmetic(Binary, Tracked):
    """Binary arithmetic with a fused activation (NONE and the clamps)."""

    fused_activation_function: Activation = Activation.NONE

    def infer(self, x: Value, y: Value) -> Inferred:
        check_activation(self.fused_activation_function)
        return super().infer(x, y)

    def known(self, *inputs: Any) -> Any:
        return super().known(*inputs) if self.fused_activation_function is Activation.NONE else None


@operation
class Add(Arithmetic, code=0, options="AddOptions"):
    """x + y."""

    pot_scale_int16: bool = True
    kernels = types("f32 f16 i32 i64 u8 i8 i16")  # add.cc
    quantized = types("u8 i8")
    commutative = True
    versions = by_type(f16=6, i64=4, i8=2)
    quantization = ANY_SCALE  # add.cc, Prepare

    def eval(self, x: Array, y: Array) -> Array:
        return ACTIVATE[self.fused_activation_function](np.add(x, y))

    def track(self, x: Array, y: Array) -> Array:
        return objects(x + y)

    def version(self, inputs: Operands, outputs: Outputs) -> int:
        return _scaled_int16(self, inputs, plain=5, scaled=3) or super().version(inputs, outputs)


@operation
class Sub(Arithmetic, code=41, options="SubOptions"):
    """x - y."""

    pot_scale_int16: bool = True
    kernels = types("f32 i32 i64 u8 i8 i16")  # sub.cc
    quantized = types("u8 i8 i16")
    versions = by_type(i64=4, i8=2)
    broadcast_version = 3
    quantization = ANY_SCALE  # sub.cc, Prepare

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


@operation
class Mul(Arithmetic, code=18, options="MulOptions"):
    """x * y."""

    kernels = types("f32 f16 i32 u32 i64 u8 i8 i16 c64")  # mul.cc
    quantized = types("u8 i8")
    commutative = True
    versions = by_type(f16=8, u32=7, c64=6, i64=5, i16=4, i8=2)
    quantization = ANY_SCALE  # mul.cc, Prepare

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


@operation
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


@operation
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


@operation
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


@operation
class Maximum(Binary, Tracked, code=55, options="MaximumMinimumOptions"):
    """The larger of x and y."""

    kernels = types("f32 f16 bf16 i32 i64 u8 i8 i16")  # maximum_minimum.cc
    commutative = True
    versions = by_type(i16=4, i8=2)
    broadcast_version = 3
    quantization = ONE_SCALE  # maximum_minimum.cc, Eval: stored numbers

    def eval(self, x: Array, y: Array) -> Array:
        return np.maximum(x, y)

    def track(self, x: Array, y: Array) -> Array:
        return objects(np.frompyfunc(maximum, 2, 1)(x, y))


@operation
class Minimum(Binary, Tracked, code=57, options="MaximumMinimumOptions"):
    """The smaller of x and y."""

    kernels = types("f32 f16 bf16 i32 i64 u8 i8 i16")  # maximum_minimum.cc
    commutative = True
    versions = by_type(i16=4, i8=2)
    broadcast_version = 3
    quantization = ONE_SCALE  # maximum_minimum.cc, Eval: stored numbers

    def eval(self, x: Array, y: Array) -> Array:
        return np.minimum(x, y)

    def track(self, x: Array, y: Array) -> Array:
        return objects(np.frompyfunc(minimum, 2, 1)(x, y))


@operation
class Pow(Binary, code=78, options="PowOptions"):
    """x to the power of y."""

    kernels = types("f32 i32")  # pow.cc


@operation
class SquaredDifference(Binary, code=99, options="SquaredDifferenceOptions"):
    """(x - y) squared."""

    kernels = types("f32 i32 i8")  # squared_difference.cc
    quantized = types("i8")
    commutative = True
    versions = by_type(i8=2)
    quantization = ANY_SCALE_INT8  # squared_difference.cc, Prepare

    def eval(self, x: Array, y: Array) -> Array:
        return np.square(np.subtract(x, y))


class SameShape(Binary):
    """A binary operation whose kernel does not broadcast; unless it refuses, it reads out of bounds."""

    max_broadcast_rank = 0

    def infer(self, x: Value, y: Value) -> Inferred:
        return TensorType(same_dtype(x, y), merge_shapes((x.type.shape, y.type.shape), "the operands"))


@operation
class Atan2(SameShape, code=156, options="ATan2Options"):
    """The angle of the point (y, x); operands of one shape (atan2.cc; LiteRT 2.3 does not check it)."""

    kernels = types("f32 f64 f16 bf16")  # atan2.cc


@operation
class BitwiseXor(Binary, code=160, options="BitwiseXorOptions"):
    """Exclusive or of the bits."""

    kernels = types("u8 i8 u16 i16 u32 i32")  # bitwise_xor.cc
    commutative = True

    def eval(self, x: Array, y: Array) -> Array:
        return np.bitwise_xor(x, y)


@operation
class RightShift(Binary, code=161, options="RightShiftOptions"):
    """x shifted right by y bits."""

    kernels = types("u8 i8 u16 i16 u32 i32")  # right_shift.cc


@operation
class StablehloAnd(SameShape, code=176):
    """The bits that both have (for booleans: and); operands of one shape (stablehlo_elementwise.h)."""

    kernels = types("bool i8 u8 i16 u16 i32 u32 i64 u64")  # stablehlo_elementwise.h
    commutative = True

    def eval(self, x: Array, y: Array) -> Array:
        return np.bitwise_and(x, y)


@operation
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
