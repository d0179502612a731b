"""Rows of comparisons, logic and selection."""

from __future__ import annotations

import numpy as np
import pytest

from litecast import ops
from litecast.ir.op import Op
from litecast.ops import (
    Bucketize,
    Equal,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    LogicalAnd,
    LogicalNot,
    LogicalOr,
    NotEqual,
    Select,
    SelectV2,
    Where,
)
from tests.ops.cases import (
    Case,
    any_type,
    boolean,
    case,
    check,
    check_file,
    check_text,
    const,
    f32,
    given,
    i8,
    i16,
    i32,
    i64,
    sweep,
)

NAN = np.array([np.nan, 1.0, np.inf, -0.0], np.float32)
WORDS = np.array([b"a", b"bc", b""], object)

ROWS = [
    case(Equal(), f32("n", 3), f32(3), out="bool[n,3]"),
    case(Equal(), given(NAN), given(NAN), out="bool[4]"),
    case(Equal(), boolean(3), boolean(3), out="bool[3]"),
    case(Equal(), i16(3), i16(3), out="bool[3]", version=5),
    case(Equal(), i8(3), i8(3), out="bool[3]", version=2, quantized=True),
    case(NotEqual(), i32("n", 3), i32("n", 1), out="bool[n,3]"),
    case(NotEqual(), given(NAN), given(NAN), out="bool[4]"),
    case(Greater(), f32("n", 3), f32(3), out="bool[n,3]"),
    case(Greater(), i8(3), i8(3), out="bool[3]", version=2, quantized=True),
    case(GreaterEqual(), i64("n", 3), i64(), out="bool[n,3]"),
    case(GreaterEqual(), i16(3), i16(3), out="bool[3]", version=3),
    case(Less(), f32(2, 1, 1, 1, 3), f32(2, 3), out="bool[2,1,1,2,3]"),
    case(Less(), given(NAN), given(NAN[::-1].copy()), out="bool[4]"),
    case(LessEqual(), i32("n", 3), i32(3), out="bool[n,3]"),
    case(LogicalAnd(), boolean("n", 3), boolean(3), out="bool[n,3]"),
    case(LogicalOr(), boolean("n", 3), boolean("n", 1), out="bool[n,3]"),
    case(LogicalNot(), boolean("n", 3), out="bool[n,3]"),
    case(Select(), boolean("n", 3), f32("n", 3), f32("n", 3), out="f32[n,3]"),
    case(Select(), boolean("n"), f32("n", 3), f32("n", 3), out="f32[n,3]"),
    case(Select(), boolean(), i64("n", 3), i64("n", 3), out="i64[n,3]"),
    case(
        Select(),
        boolean(2, 1, 1, 2, 3),
        f32(2, 1, 1, 2, 3),
        f32(2, 1, 1, 2, 3),
        out="f32[2,1,1,2,3]",
        version=3,
    ),
    case(SelectV2(), boolean("n", 1), f32("n", 3), f32(), out="f32[n,3]"),
    case(SelectV2(), boolean("n", 3), i32(3), i32("n", 1), out="i32[n,3]"),
    case(Where(), given(np.array([[True, False], [True, True]])), out="i64[found,2]"),
    case(Where(), given(np.array([0, 3, 0, -1], np.int32)), out="i64[found,1]", version=2),
    case(Bucketize((-1.0, 0.5, 2.0)), f32("n", 3), out="i32[n,3]"),
    case(Bucketize((0.0, 10.0)), given(np.array([-1, 0, 9, 10], np.int32)), out="i32[4]"),
]

SWEEPS = [
    *(
        row
        for kind in (Equal, NotEqual)
        for row in sweep(kind(), any_type(2, 3), any_type(3), names="bool f32 f16 i32 i64")
    ),
    *(
        row
        for kind in (Greater, GreaterEqual, Less, LessEqual)
        for row in sweep(kind(), any_type(2, 3), any_type(3), names="f32 f16 i16 i32 i64")
    ),
    *sweep(
        SelectV2(),
        boolean(2, 1),
        any_type(2, 3),
        any_type(3),
        names="bool f32 f16 f64 i8 u8 i16 u16 i32 u32 i64 u64 c64",
    ),
    *sweep(Where(), any_type(2, 3), names="bool f32 i32 i64 i8 u8 u32"),
]


@pytest.mark.parametrize("row", [*ROWS, *SWEEPS], ids=str)
def test_row(row: Case) -> None:
    check(row)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_round_trips(row: Case) -> None:
    check_text(row)
    check_file(row)


@pytest.mark.parametrize(("op", "version"), [(Equal(), 3), (NotEqual(), 3)], ids=str)
def test_strings_compare(op: Op, version: int) -> None:
    check(case(op, given(WORDS), const(WORDS), out="bool[3]", version=version))


BAD = [
    (Where(), (boolean(),), "scalar"),
    (LogicalAnd(), (i32(2), i32(2)), "BOOL"),
    (LogicalNot(), (f32(2),), "BOOL"),
    (SelectV2(), (f32(2), f32(2), f32(2)), "condition must be BOOL"),
    (Select(), (boolean(3), f32(2, 3), f32(2, 3)), "does not choose"),
    (Less(), (f32(2), i32(2)), "different element types"),
]


@pytest.mark.parametrize(("op", "operands", "message"), BAD, ids=lambda part: type(part).__name__)
def test_refused(op: Op, operands: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(case(op, *operands, out=""))  # type: ignore[arg-type]


def test_an_unwritten_result_is_why_int16_must_be_quantized() -> None:
    assert ops.NotEqual.quantized >= ops.NotEqual.kernels & ops.Relu.quantized
