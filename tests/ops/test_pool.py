"""Pooling: rows, and LiteRT against windows taken in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.ir.graph import Value
from litecast.ir.types import DType, TensorType
from litecast.ops import AveragePool2D, L2Pool2D, MaxPool2D, ReduceWindow, ReduceWindowFunction
from litecast.ops.enums import Activation, Padding
from tests.ops.cases import (
    Built,
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
    u8,
)
from tests.ops.windows import patches

SAME, VALID = Padding.SAME, Padding.VALID


def longs(*contents: int) -> Any:
    return const(np.array(contents, np.int64))


ROWS = [
    case(AveragePool2D(SAME, 2, 2, 2, 2), f32("n", 5, 6, 3), out="f32[n,3,3,3]", tolerance=1e-6),
    case(AveragePool2D(VALID, 1, 2, 3, 2), f32(1, "m", 6, 3), out="f32[1,(m//2),4,3]", tolerance=1e-6),
    case(
        AveragePool2D(VALID, 2, 2, 2, 2, Activation.RELU),
        i8(1, 4, 4, 3).within(-100, 100),
        out="i8[1,2,2,3]q",
        version=2,
        quantized=True,
    ),
    case(AveragePool2D(VALID, 2, 2, 2, 2), i16(1, 4, 4, 3), out="i16[1,2,2,3]q", version=3, quantized=True),
    case(MaxPool2D(SAME, 2, 2, 3, 3), f32("n", 5, 6, 3), out="f32[n,3,3,3]"),
    case(MaxPool2D(VALID, 2, 1, 2, 2), f32(1, 4, "m", 3), out="f32[1,3,(m//2),3]"),
    case(MaxPool2D(SAME, 1, 1, 2, 2), i8("n", 4, 4, 3), out="i8[n,4,4,3]q", version=2, quantized=True),
    case(MaxPool2D(SAME, 1, 1, 2, 2), u8("n", 4, 4, 3), out="u8[n,4,4,3]q", quantized=True),
    case(L2Pool2D(SAME, 2, 1, 2, 3), f32("n", 5, 6, 3), out="f32[n,5,3,3]", tolerance=1e-6),
    case(
        ReduceWindow(ReduceWindowFunction.ADD),
        f32(2, 7, "m"),
        const(np.float32(0)),
        longs(1, 2, 3),
        longs(1, 2, 1),
        longs(1, 3, 1),
        out="f32[2,2,(m-2)]",
        tolerance=1e-6,
    ),
    case(
        ReduceWindow(ReduceWindowFunction.MAXIMUM),
        i32(4, 6),
        const(np.int32(-5)),
        longs(2, 2),
        longs(2, 2),
        longs(1, 1),
        out="i32[2,3]",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Any) -> None:
    check(row)
    check_text(row)
    check_file(row)


GRID = [((1, 1), (2, 2)), ((2, 2), (3, 3)), ((2, 1), (3, 2)), ((3, 3), (2, 2)), ((1, 2), (7, 8))]


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize(("stride", "window"), GRID)
def test_pooling_counts_only_cells_of_the_input(padding: Padding, stride: Any, window: Any) -> None:
    fields = (padding, stride[1], stride[0], window[1], window[0])
    operand = f32(2, 7, 8, 3)
    x = Built(case(MaxPool2D(*fields), operand, out="")).feeds[0]
    inside = patches(np.ones_like(x), window, stride, (1, 1), padding)
    cells = patches(x, window, stride, (1, 1), padding)
    axes, count = (3, 4), inside.sum((3, 4))
    expected = {
        MaxPool2D: np.where(inside > 0, cells, -np.inf).max(axes),
        AveragePool2D: cells.sum(axes) / count,
        L2Pool2D: np.sqrt((cells**2).sum(axes) / count),
    }
    for kind, result in expected.items():
        np.testing.assert_allclose(run(case(kind(*fields), operand, out=""))[0], result, rtol=1e-5, atol=1e-6)


REDUCTIONS = [
    (ReduceWindowFunction.ADD, np.sum, 0),
    (ReduceWindowFunction.MUL, np.prod, 1),
    (ReduceWindowFunction.MINIMUM, np.min, 100),
    (ReduceWindowFunction.MAXIMUM, np.max, -100),
]


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64, np.int8])
@pytest.mark.parametrize(("function", "reference", "initial"), REDUCTIONS)
def test_reduce_window(function: ReduceWindowFunction, reference: Any, initial: int, dtype: Any) -> None:
    x = np.random.default_rng(5).integers(-3, 4, (7, 9)).astype(dtype)
    operands = (const(dtype(initial)), longs(3, 2), longs(2, 1), longs(1, 3))
    (actual,) = run(case(ReduceWindow(function), given(x), *operands, out=""))
    cells = patches(x[None, :, :, None], (3, 2), (2, 1), (1, 3), VALID)[0, ..., 0]
    np.testing.assert_array_equal(actual, reference(cells, (2, 3)).astype(dtype))


def value(*shape: Any, dtype: DType = DType.FLOAT32) -> Value:
    return Value(TensorType(dtype, shape))


WRONG = [
    (MaxPool2D(), (value(4, 4, 3),), "rank 4"),
    (MaxPool2D(VALID, filter_width=6), (value(1, 4, 4, 3),), "larger than the input"),
    (MaxPool2D(stride_h=0), (value(1, 4, 4, 3),), "at least 1"),
    (AveragePool2D(fused_activation_function=Activation.TANH), (value(1, 4, 4, 3),), "TANH"),
    (ReduceWindow(), (value(4), value(), value(1), value(1), value(1)), "not set"),
    (
        ReduceWindow(ReduceWindowFunction.ADD),
        (value(4), value(dtype=DType.INT32), value(1), value(1), value(1)),
        "initial value is INT32",
    ),
]


@pytest.mark.parametrize(("op", "operands", "message"), WRONG)
def test_operands_that_do_not_fit(op: Any, operands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        op.infer(*operands)


def test_unknown_rank_stays_unknown() -> None:
    unknown = Value(TensorType(DType.FLOAT32, None))
    assert MaxPool2D().infer(unknown).shape is None
