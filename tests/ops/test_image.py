"""Resizing and box selection: rows, and LiteRT against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.ir.graph import Value
from litecast.ir.types import DType, Sym, TensorType
from litecast.ops import NonMaxSuppressionV4, NonMaxSuppressionV5, ResizeBilinear, ResizeNearestNeighbor
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write
from tests.ops.cases import (
    Built,
    case,
    check,
    check_file,
    check_text,
    const,
    f16,
    f32,
    given,
    i8,
    i16,
    i32,
    run,
)

random = np.random.default_rng(11)
BOXES = np.concatenate([random.uniform(0, 1, (8, 2)), random.uniform(1.2, 2, (8, 2))], 1).astype(np.float32)
SCORES = random.permutation(np.linspace(0.1, 0.9, 8)).astype(np.float32)
LIMITS = (const(np.float32(0.5)), const(np.float32(0.2)))

ROWS = [
    case(ResizeBilinear(), f32("n", 4, 5, 3), const([7, 3]), out="f32[n,7,3,3]", tolerance=1e-6),
    case(
        ResizeBilinear(align_corners=True),
        f32(1, "m", 5, 3),
        const([7, 9]),
        out="f32[1,7,9,3]",
        tolerance=1e-6,
    ),
    case(
        ResizeBilinear(half_pixel_centers=True),
        f32("n", 4, 5, 3),
        const([8, 10]),
        out="f32[n,8,10,3]",
        version=3,
        tolerance=1e-6,
    ),
    case(ResizeBilinear(), i8(1, 4, 5, 3), const([8, 10]), out="i8[1,8,10,3]q", version=2, quantized=True),
    case(ResizeBilinear(), i16(1, 4, 5, 3), const([8, 10]), out="i16[1,8,10,3]q", version=4, quantized=True),
    case(ResizeNearestNeighbor(), f32("n", 4, 5, 3), const([7, 3]), out="f32[n,7,3,3]"),
    case(ResizeNearestNeighbor(True), f32("n", 4, 5, 3), const([7, 3]), out="f32[n,7,3,3]", version=3),
    case(ResizeNearestNeighbor(False, True), i32("n", 4, 5, 3), const([7, 3]), out="i32[n,7,3,3]", version=3),
    case(
        ResizeNearestNeighbor(),
        i8("n", 4, 5, 3),
        const([7, 3]),
        out="i8[n,7,3,3]q",
        version=2,
        quantized=True,
    ),
    case(ResizeNearestNeighbor(), f16("n", 4, 5, 3), const([7, 3]), out="f16[n,7,3,3]"),
    case(NonMaxSuppressionV4(), given(BOXES), given(SCORES), const(5), *LIMITS, out="i32[5] i32[]"),
    case(
        NonMaxSuppressionV5(),
        given(BOXES),
        given(SCORES),
        const(5),
        *LIMITS,
        const(np.float32(0.3)),
        out="i32[5] f32[5] i32[]",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Any) -> None:
    check(row)
    check_text(row)
    check_file(row)


def places(size: int, out: int, align: bool, half: bool) -> Any:
    """Return where each index of the result lies in the operand."""
    scale = (size - 1) / (out - 1) if align and out > 1 else size / out
    index = np.arange(out)
    return (index + 0.5) * scale - 0.5 if half else index * scale


def between(x: Any, at: Any, axis: int) -> Any:
    low = np.clip(np.floor(at).astype(int), 0, x.shape[axis] - 1)
    high = np.clip(np.ceil(at).astype(int), 0, x.shape[axis] - 1)
    weight = (at - np.floor(at)).reshape([-1 if index == axis else 1 for index in range(x.ndim)])
    return np.take(x, low, axis) * (1 - weight) + np.take(x, high, axis) * weight


SIZES = [(4, 5), (8, 10), (7, 3), (2, 2), (1, 1), (12, 15), (5, 4)]
FLAGS = [(False, False), (True, False), (False, True)]


@pytest.mark.parametrize("delegate", [False, True])
@pytest.mark.parametrize(("align", "half"), FLAGS)
@pytest.mark.parametrize("size", SIZES)
def test_bilinear_weighs_neighbours(size: Any, align: bool, half: bool, delegate: bool) -> None:
    built = Built(case(ResizeBilinear(align, half), f32(2, 4, 5, 3), const(list(size)), out=""))
    (actual,) = Runtime(write(built.close()), delegate=delegate).run(built.feeds).values()
    rows = between(built.feeds[0], places(4, size[0], align, half), 1)
    expected = between(rows, places(5, size[1], align, half), 2)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def nearest(size: int, out: int, align: bool, half: bool) -> Any:
    scale = np.float32((size - 1) / (out - 1) if align and out > 1 else size / out)
    at = (np.arange(out, dtype=np.float32) + np.float32(0.5 * half)) * scale
    return np.minimum(np.floor(at + 0.5 * align).astype(int), size - 1)


@pytest.mark.parametrize(("align", "half"), [*FLAGS, (True, True)])
@pytest.mark.parametrize("size", SIZES)
def test_nearest_takes_one_pixel(size: Any, align: bool, half: bool) -> None:
    row = case(ResizeNearestNeighbor(align, half), f32(2, 4, 5, 3), const(list(size)), out="")
    x = Built(row).feeds[0]
    expected = x[:, nearest(4, size[0], align, half)][:, :, nearest(5, size[1], align, half)]
    np.testing.assert_array_equal(run(row)[0], expected)


def overlap(one: Any, other: Any) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    return common / (float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - common)


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("limit", [0.1, 0.5, 0.9])
def test_boxes_are_taken_by_score_unless_they_overlap(count: int, limit: float) -> None:
    limits = const(np.float32(limit)), const(np.float32(0.2))
    row = case(NonMaxSuppressionV4(), given(BOXES), given(SCORES), const(count), *limits, out="")
    chosen: list[int] = []
    for index in np.argsort(-SCORES):
        apart = all(overlap(BOXES[index], BOXES[taken]) <= limit for taken in chosen)
        if SCORES[index] > 0.2 and apart and len(chosen) < count:
            chosen.append(int(index))
    indices, valid = run(row)
    assert list(indices) == chosen + [0] * (count - len(chosen))
    assert valid == len(chosen)


def test_hard_suppression_is_soft_with_sigma_zero() -> None:
    hard = run(case(NonMaxSuppressionV4(), given(BOXES), given(SCORES), const(5), *LIMITS, out=""))
    row = case(
        NonMaxSuppressionV5(), given(BOXES), given(SCORES), const(5), *LIMITS, const(np.float32(0)), out=""
    )
    indices, scores, valid = run(row)
    np.testing.assert_array_equal(indices, hard[0])
    np.testing.assert_array_equal(scores[:valid], SCORES[indices[:valid]])
    np.testing.assert_array_equal(scores[valid:], 0)


def value(*shape: Any, dtype: DType = DType.FLOAT32) -> Value:
    return Value(TensorType(dtype, shape))


WRONG = [
    (ResizeBilinear(True, True), (value(1, 4, 4, 3), value(2, dtype=DType.INT32)), "exclude each other"),
    (ResizeBilinear(), (value(4, 4, 3), value(2, dtype=DType.INT32)), "rank 4"),
    (ResizeBilinear(), (value(1, 4, 4, 3), value(2, dtype=DType.INT64)), "must be INT32"),
    (ResizeNearestNeighbor(), (value(1, 4, 4, 3), value(3, dtype=DType.INT32)), "2 elements"),
    (NonMaxSuppressionV4(), (value(8, 5), value(8), value(dtype=DType.INT32), value(), value()), "4 columns"),
    (NonMaxSuppressionV4(), (value(8, 4), value(8, 1), value(dtype=DType.INT32), value(), value()), "rank 1"),
]


@pytest.mark.parametrize(("op", "operands", "message"), WRONG)
def test_operands_that_do_not_fit(op: Any, operands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        op.infer(*operands)


def test_what_is_not_known_is_a_fresh_dimension() -> None:
    shape = ResizeBilinear().infer(value(Sym("n"), 4, 4, 3), value(2, dtype=DType.INT32)).shape
    assert shape[0] == Sym("n")
    assert shape[1] != shape[2]
    indices, _ = NonMaxSuppressionV4().infer(
        value(8, 4), value(8), value(dtype=DType.INT32), value(), value()
    )
    assert isinstance(indices.shape[0], Sym)
