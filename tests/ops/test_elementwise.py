"""Rows of arithmetic, activations and casts."""

from __future__ import annotations

import numpy as np
import pytest

from litecast import ops
from litecast.errors import InferenceError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph
from litecast.ir.types import DType
from litecast.ops.enums import Activation
from tests.ops.cases import (
    Case,
    any_type,
    c64,
    case,
    check,
    check_file,
    check_text,
    f32,
    given,
    i8,
    i16,
    i32,
    i64,
    sweep,
    u8,
)

SMALL = 1e-5
RELU, RELU6, CLIP = Activation.RELU, Activation.RELU6, Activation.RELU_N1_TO_1
DIVIDENDS = np.array([-7, -6, -1, 0, 1, 6, 7], np.int32)
DIVISORS = np.array([3, -3, 2, -2, 5, -4, -7], np.int32)
HALVES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999997, -0.0, np.inf, np.nan], np.float32)
EXTREME = np.array([2**31 - 1, -(2**31), 2**30], np.int32)

ARITHMETIC = [
    case(ops.Add(), f32("n", 3), f32("n", 3), out="f32[n,3]"),
    case(ops.Add(RELU6), f32("n", 3), f32(3), out="f32[n,3]"),
    case(ops.Add(CLIP), i32(2, 3), i32("one"), out="i32[2,3]"),
    case(ops.Add(), given(EXTREME), given(EXTREME), out="i32[3]"),
    case(ops.Add(), i64(2, 3), i64(2, 3), out="i64[2,3]", version=4),
    case(ops.Add(), i16(2, 3), i16(2, 3), out="i16[2,3]", version=5),
    case(ops.Add(), i8(2, 3), i8(2, 3), out="i8[2,3]", version=2, quantized=True),
    case(ops.Add(pot_scale_int16=False), i16(2), i16(2), out="i16[2]", version=3, quantized=True),
    case(ops.Sub(), f32("n", 1, 3), f32("m", 1), out="f32[n,m,3]"),
    case(ops.Sub(RELU), i32(4), i32(), out="i32[4]"),
    case(ops.Sub(), f32(1, 2, 1, 2, 3), f32(3), out="f32[1,2,1,2,3]", version=3),
    case(ops.Sub(), i64(2), i64(2), out="i64[2]", version=4),
    case(ops.Sub(), i8(2), i8(2), out="i8[2]", version=2, quantized=True),
    case(ops.Mul(), f32("n", 3), f32("n", 1), out="f32[n,3]"),
    case(ops.Mul(), given(EXTREME), given(EXTREME), out="i32[3]"),
    case(ops.Mul(), c64(2, 3), c64(3), out="c64[2,3]", version=6, tolerance=SMALL),
    case(ops.Mul(), i64(2), i64(2), out="i64[2]", version=5),
    case(ops.Mul(), i16(2), i16(2), out="i16[2]", version=7),
    case(ops.Div(), f32("n", 3), f32(3).within(1, 2), out="f32[n,3]"),
    case(ops.Div(RELU), given(DIVIDENDS), given(DIVISORS), out="i32[7]"),
    case(ops.Div(), given(DIVIDENDS), given(DIVISORS), out="i32[7]"),
    case(ops.Div(), f32(2, 1, 1, 1, 3), f32(3).within(1, 2), out="f32[2,1,1,1,3]", version=2),
    case(ops.FloorDiv(), given(DIVIDENDS), given(DIVISORS), out="i32[7]"),
    case(ops.FloorDiv(), f32(5), f32("one").within(1, 2), out="f32[5]", version=2),
    case(ops.FloorMod(), given(DIVIDENDS), given(DIVISORS), out="i32[7]"),
    case(ops.FloorMod(), given(DIVIDENDS, np.int64), given(DIVISORS, np.int64), out="i64[7]"),
    case(ops.FloorMod(), given(DIVIDENDS, np.float32), given(DIVISORS, np.float32), out="f32[7]"),
    case(ops.FloorMod(), given(DIVIDENDS, np.int8), given(DIVISORS, np.int8), out="i8[7]", version=2),
    case(ops.Maximum(), f32("n", 3), f32(3), out="f32[n,3]"),
    case(ops.Maximum(), i8(2), i8(2), out="i8[2]", version=2),
    case(ops.Minimum(), i32(2, 1, 1, 2, 2), i32(2), out="i32[2,1,1,2,2]", version=3),
    case(ops.Minimum(), i16(2), i16(2), out="i16[2]", version=4),
    case(ops.Pow(), f32("n", 3).within(0, 3), f32(3), out="f32[n,3]", tolerance=SMALL),
    case(ops.Pow(), i32(4), i32(4).within(0, 4), out="i32[4]"),
    case(ops.SquaredDifference(), f32("n", 3), f32(3), out="f32[n,3]"),
    case(ops.SquaredDifference(), i32(4), i32(4), out="i32[4]"),
    case(ops.Atan2(), f32("n", 3), f32("n", 3), out="f32[n,3]", tolerance=SMALL),
    case(ops.BitwiseXor(), i32("n", 3), i32(3), out="i32[n,3]"),
    case(ops.BitwiseXor(), u8(4), u8(4), out="u8[4]"),
    case(ops.StablehloAnd(), i32("n", 3), i32("n", 3), out="i32[n,3]"),
    case(ops.RightShift(), i32(4).within(-99, 99), i32(4).within(0, 5), out="i32[4]"),
    case(ops.AddN(), f32("n", 3), f32("n", 3), f32("n", 3), out="f32[n,3]"),
    case(ops.AddN(), i32(3), i32(3), out="i32[3]"),
]

UNARY = [
    case(ops.Abs(), f32("n", 3), out="f32[n,3]"),
    case(ops.Abs(), i32(3), out="i32[3]", version=5),
    case(ops.Abs(), i16(3), out="i16[3]", version=4),
    case(ops.Neg(), f32("n", 3), out="f32[n,3]"),
    case(ops.Neg(), i64(3), out="i64[3]"),
    case(ops.Sign(), f32("n", 3), out="f32[n,3]"),
    case(ops.Sign(), i32(3), out="i32[3]", version=2),
    case(ops.Floor(), given(HALVES), out="f32[10]"),
    case(ops.Ceil(), given(HALVES), out="f32[10]"),
    case(ops.Round(), given(HALVES), out="f32[10]"),
    case(ops.Square(), f32("n", 3), out="f32[n,3]"),
    case(ops.Sqrt(), f32("n", 3).within(0, 9), out="f32[n,3]", tolerance=SMALL),
    case(ops.Rsqrt(), f32("n", 3).within(1, 9), out="f32[n,3]", tolerance=SMALL),
    case(ops.Exp(), f32("n", 3), out="f32[n,3]", tolerance=SMALL),
    case(ops.Exp(), i8("n", 3), out="i8[n,3]", version=2, quantized=True),
    case(ops.Log(), f32("n", 3).within(1, 9), out="f32[n,3]", tolerance=SMALL),
    case(ops.Sin(), f32("n", 3), out="f32[n,3]", tolerance=SMALL),
    case(ops.Cos(), f32("n", 3), out="f32[n,3]", tolerance=SMALL),
    case(ops.ZerosLike(), f32("n", 3), out="f32[n,3]"),
    case(ops.Real(), c64("n", 3), out="f32[n,3]"),
    case(ops.Imag(), c64("n", 3), out="f32[n,3]"),
    case(ops.ComplexAbs(), c64("n", 3), out="f32[n,3]", tolerance=SMALL),
    case(ops.Cast(DType.FLOAT32, DType.INT32), f32("n", 3), out="i32[n,3]"),
    case(ops.Cast(DType.FLOAT32, DType.BOOL), given(np.array([0.0, 0.5, -3.0], np.float32)), out="bool[3]"),
    case(ops.Cast(DType.INT64, DType.INT32), i64(3), out="i32[3]"),
    case(
        ops.Cast(DType.INT32, DType.INT8), given(np.array([300, -1, 127], np.int32)), out="i8[3]", version=3
    ),
    case(ops.Cast(DType.BOOL, DType.FLOAT32), given(np.array([True, False])), out="f32[2]"),
    case(ops.Cast(DType.FLOAT32, DType.FLOAT16), f32(3), out="f16[3]", version=5),
    case(ops.Bitcast(DType.INT32), f32("n", 3), out="i32[n,3]"),
    case(ops.Bitcast(DType.UINT8), f32("n", 3), out="u8[n,3,4]"),
    case(ops.Bitcast(DType.COMPLEX64), f32("n", 2), out="c64[n]"),
]

ACTIVATIONS = [
    case(ops.Relu(), f32("n", 3), out="f32[n,3]"),
    case(ops.Relu(), u8(3), out="u8[3]", version=2, quantized=True),
    case(ops.Relu6(), f32("n", 3).within(-9, 9), out="f32[n,3]"),
    case(ops.ReluN1To1(), f32("n", 3), out="f32[n,3]"),
    case(ops.Relu0To1(), f32("n", 3), out="f32[n,3]"),
    case(ops.LeakyRelu(0.25), f32("n", 3), out="f32[n,3]", tolerance=SMALL),
    case(ops.Prelu(), f32("n", 2, 2, 3), f32(1, 1, 3), out="f32[n,2,2,3]", tolerance=SMALL),
    case(ops.Elu(), f32("n", 3), out="f32[n,3]", tolerance=SMALL),
    case(ops.Gelu(), f32("n", 3), out="f32[n,3]", tolerance=SMALL),
    case(ops.Gelu(True), f32("n", 3), out="f32[n,3]", tolerance=SMALL),
    case(ops.HardSwish(), f32("n", 3).within(-9, 9), out="f32[n,3]", tolerance=SMALL),
    case(ops.Logistic(), f32("n", 3), out="f32[n,3]", tolerance=SMALL),
    case(ops.Tanh(), f32("n", 3), out="f32[n,3]", tolerance=SMALL),
    case(ops.Softmax(), f32("n", 2, 5), out="f32[n,2,5]", tolerance=SMALL),
    case(ops.Softmax(0.5), f32("n", 5), out="f32[n,5]", tolerance=SMALL),
    case(ops.LogSoftmax(), f32("n", 5), out="f32[n,5]", tolerance=SMALL),
    case(ops.L2Normalization(), f32("n", 5), out="f32[n,5]", tolerance=SMALL),
    case(
        ops.LocalResponseNormalization(2, 1.0, 0.5, 0.75),
        f32("n", 2, 2, 8),
        out="f32[n,2,2,8]",
        tolerance=SMALL,
    ),
]

BINARY = (ops.Add, ops.Sub, ops.Mul, ops.Maximum, ops.Minimum, ops.SquaredDifference, ops.BitwiseXor)
SHAPES = [
    ((), ()),
    ((3,), ()),
    ((2, 1), (3,)),
    ((1, 2, 3), (2, 1)),
    ((2, 1, 2, 1), (2, 1, 3)),
    ((2,) * 6, (2, 1, 2)),
]
SWEEPS = [
    *(
        row
        for kind in BINARY
        for left, right in SHAPES
        for row in sweep(kind(), i32(*left), i32(*right), names="i32")
    ),
    *(row for kind in (ops.Neg, ops.ZerosLike) for row in sweep(kind(), any_type(2, 3), names="f32 i32 i64")),
    *sweep(ops.Maximum(), any_type(2, 3), any_type(3), names="f32 f16 i32 i64 u8 i8 i16"),
    *sweep(ops.Minimum(), any_type(2, 3), any_type(3), names="f32 f16 i32 i64 u8 i8 i16"),
    *sweep(ops.BitwiseXor(), any_type(2, 3), any_type(3), names="u8 i8 u16 i16 u32 i32"),
    *sweep(
        ops.RightShift(), any_type(3).within(0, 9), any_type(3).within(0, 3), names="u8 i8 u16 i16 u32 i32"
    ),
    *sweep(ops.FloorDiv(), any_type(2, 3), any_type(3).within(1, 4), names="f32 i32 i16 i8"),
    *sweep(ops.FloorMod(), any_type(2, 3), any_type(3).within(1, 4), names="f32 i32 i64 i16 i8"),
    *sweep(ops.Round(), any_type(2, 3), names="f32 f16"),
]

ROWS = [*ARITHMETIC, *UNARY, *ACTIVATIONS]


@pytest.mark.parametrize("row", [*ROWS, *SWEEPS], ids=str)
def test_row(row: Case) -> None:
    check(row)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_round_trips(row: Case) -> None:
    check_text(row)
    check_file(row)


BAD = [
    (ops.Atan2(), (f32(2, 3), f32(3)), "of one rank"),
    (ops.StablehloAnd(), (i32(2), i32("one")), "must agree"),
    (ops.Add(), (f32(2), i32(2)), "different element types"),
    (ops.Add(), (f32(2), f32(3)), "do not broadcast"),
    (ops.Add(Activation.TANH), (f32(2), f32(2)), "ignores the fused activation"),
    (ops.AddN(), (f32(2),), "two operands at least"),
    (ops.Cast(DType.INT32, DType.INT64), (f32(2),), "the cast is from INT32"),
    (ops.Bitcast(DType.COMPLEX64), (f32(3),), "must be 2"),
    (ops.Real(), (f32(2),), "complex"),
]


@pytest.mark.parametrize(("op", "operands", "message"), BAD, ids=lambda part: type(part).__name__)
def test_refused(op: ops.Add, operands: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(case(op, *operands, out=""))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [ops.Div, ops.FloorDiv, ops.FloorMod])
def test_division_by_zero_is_no_constant(kind: type[ops.Div]) -> None:
    builder = Builder(Graph())
    with pytest.raises(InferenceError, match="division by zero"):
        builder(kind(), builder.const([1]), builder.const([0]))
