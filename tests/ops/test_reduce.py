"""Rows of reductions, arg-max, running and segmented sums."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.ir.op import Op
from litecast.ir.types import DType
from litecast.ops import (
    ArgMax,
    ArgMin,
    Cumsum,
    Mean,
    ReduceAll,
    ReduceAny,
    ReduceMax,
    ReduceMin,
    ReduceProd,
    SegmentSum,
    Sum,
    UnsortedSegmentMax,
    UnsortedSegmentMin,
    UnsortedSegmentProd,
    UnsortedSegmentSum,
)
from tests.ops.cases import (
    Case,
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
    run,
    typed,
)

SMALL = 1e-5
EMPTY = np.zeros(0, np.int32)
SEGMENTS = const([0, 0, 1, 2, 2])
UNSORTED = const([2, 0, -1, 2, 0])

ROWS = [
    case(Sum(), f32("n", 3), const([1]), out="f32[n]"),
    case(Sum(), f32("n", 3), const(-1), out="f32[n]"),
    case(Sum(True), f32("n", 3, 4), const([0, -1]), out="f32[1,3,1]"),
    case(Sum(), f32("n", 3), const(EMPTY), out="f32[n,3]"),
    case(Sum(), i8(2, 3), const([1]), out="i8[2]", version=2, quantized=True),
    case(Mean(), f32("n", 4, 4, 3), const([1, 2]), out="f32[n,3]"),
    case(Mean(True), f32("n", 4, 4, 3), const([1, 2]), out="f32[n,1,1,3]"),
    case(Mean(), i16(2, 3), const([1]), out="i16[2]", version=3, quantized=True),
    case(ReduceProd(), f32("n", 3), const([0]), out="f32[3]"),
    case(ReduceProd(True), i32("n", 3), const([0]), out="i32[1,3]"),
    case(ReduceMax(), f32("n", 3), const([-1]), out="f32[n]"),
    case(ReduceMax(), i8(2, 3), const([1]), out="i8[2]", version=2, quantized=True),
    case(ReduceMin(), i32("n", 3, 2), const([0, 1]), out="i32[2]"),
    case(ReduceMin(), i16(2, 3), const([1]), out="i16[2]", version=3),
    case(ReduceAny(), boolean("n", 3), const([1]), out="bool[n]"),
    case(ReduceAll(True), boolean("n", 3), const([1]), out="bool[n,1]"),
    case(ArgMax(), f32("n", 5), const(-1), out="i64[n]"),
    case(ArgMax(DType.INT32), i32("n", 5), const(0), out="i32[5]"),
    case(ArgMax(), boolean(2, 3), const(1), out="i64[2]", version=3),
    case(ArgMin(DType.INT32), f32("n", 5, 2), const([1]), out="i32[n,2]"),
    case(Cumsum(), f32("n", 5), const(1), out="f32[n,5]"),
    case(Cumsum(True, True), i32("n", 5), const(-1), out="i32[n,5]"),
    case(SegmentSum(), f32(5, "n"), SEGMENTS, out="f32[3,n]"),
    case(UnsortedSegmentSum(), f32(5, "n"), UNSORTED, const(4), out="f32[4,n]"),
    case(UnsortedSegmentProd(), i32(5, "n"), UNSORTED, const(4), out="i32[4,n]"),
    case(UnsortedSegmentMax(), f32(5, 2), UNSORTED, const(4), out="f32[4,2]"),
    case(UnsortedSegmentMin(), i32(5, 2), UNSORTED, const(4), out="i32[4,2]"),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Case) -> None:
    check(row)
    check_text(row)
    check_file(row)


AXES = [(0,), (-1,), (1, 2), (0, -1), (0, 1, 2)]
REFERENCE = {Sum: np.sum, Mean: np.mean, ReduceProd: np.prod, ReduceMax: np.max, ReduceMin: np.min}


@pytest.mark.parametrize("keep_dims", [False, True])
@pytest.mark.parametrize("rank", [3, 4, 5, 6])
@pytest.mark.parametrize("axes", AXES, ids=str)
@pytest.mark.parametrize("kind", REFERENCE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.INT32, DType.INT64], ids=lambda dtype: dtype.short)
def test_reductions_are_numpys(
    kind: type[Sum], axes: tuple[int, ...], rank: int, keep_dims: bool, dtype: DType
) -> None:
    operand = typed(dtype)(*(2, 3, 1, 2, 2, 3)[:rank]).within(-2, 4)
    row = case(kind(keep_dims), operand, const(list(axes)), out="")
    check(row)
    expected = REFERENCE[kind](operand.array(0), axis=axes, keepdims=keep_dims)
    if kind is Mean and dtype.is_integer:
        expected = np.trunc(expected)
    (result,) = run(row)
    np.testing.assert_allclose(result, expected, rtol=SMALL, atol=SMALL)


@pytest.mark.parametrize("kind", [ArgMax, ArgMin], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_first_of_equals_wins(kind: type[ArgMax], axis: int) -> None:
    x = np.array([[1, 1, 0], [1, 0, 0]], np.int32)
    (result,) = run(case(kind(), given(x), const(axis), out=""))
    np.testing.assert_array_equal(result, (np.argmax if kind is ArgMax else np.argmin)(x, axis))


BAD = [
    (Sum(), (f32(2), const([1])), "out of range"),
    (ReduceAny(), (f32(2), const([0])), "BOOL"),
    (ArgMax(DType.FLOAT32), (f32(2), const(0)), "INT32 or INT64"),
    (Cumsum(), (f32(2), const(1)), "out of range"),
    (SegmentSum(), (f32(2), const([0, 0, 1])), "do not fit"),
    (SegmentSum(), (f32(3), const([0, 0, 2])), "ascend from 0 by 0 or 1"),
    (UnsortedSegmentSum(), (f32(2), const([0, 0, 1]), const(2)), "do not fit"),
]


@pytest.mark.parametrize(("op", "operands", "message"), BAD, ids=lambda part: type(part).__name__)
def test_refused(op: Op, operands: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(case(op, *operands, out=""))  # type: ignore[arg-type]
