"""Rows of operations on shapes, and what is tracked through them where dimensions are unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from litecast import ops
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Value
from litecast.ir.op import Op
from litecast.ir.types import DType, Sym, TensorType
from litecast.ops import (
    BroadcastArgs,
    BroadcastTo,
    ExpandDims,
    Fill,
    Range,
    Rank,
    Reshape,
    Shape,
    Squeeze,
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
    f16,
    f32,
    given,
    i8,
    i32,
    i64,
    sweep,
)

ROWS = [
    case(Shape(), f32("n", 3), out="i32[2]"),
    case(Shape(DType.INT64), f32("n", 3), out="i64[2]"),
    case(Rank(), f32("n", 3), out="i32[]"),
    case(Reshape(), f32("n", 4, 3), const([-1, 12]), out="f32[n,12]"),
    case(Reshape(), f32("n", 4, 3), const([-1]), out="f32[12*n]"),
    case(Reshape(), f32("n", "m", 3), const([-1, 3]), out="f32[m*n,3]"),
    case(Reshape((2, 6)), f32(3, 4), out="f32[2,6]"),
    case(Reshape(), f32(1, 1), const(np.zeros(0, np.int32)), out="f32[]"),
    case(Reshape(), f32(0, 3), const([0, 6]), out="f32[0,6]"),
    case(Squeeze(), f32(1, 3, 1), out="f32[3]"),
    case(Squeeze((0, -1)), f32("one", 3, 1), out="f32[3]"),
    case(ExpandDims(), f32("n", 3), const(1), out="f32[n,1,3]"),
    case(ExpandDims(), i32("n", 3), const(-1), out="i32[n,3,1]"),
    case(BroadcastTo(), f32("n", 1), const([2, 3]), out="f32[2,3]", version=2),
    case(BroadcastTo(), i8(3), const([2, 3]), out="i8[2,3]", version=3),
    case(BroadcastArgs(), given([2, 1, 3]), given([4, 1]), out="i32[3]"),
    case(Fill(), const([2, 3]), f32(), out="f32[2,3]"),
    case(Fill(), const([2]), boolean(), out="bool[2]", version=2),
    case(Fill(), const([2]), i8(), out="i8[2]", version=3),
    case(Fill(), const([2]), f16(), out="f16[2]", version=4),
    case(Fill(), given([2, 2]), i64(), out="i64[filled,filled]"),
    case(Range(), const(1), const(8), const(3), out="i32[3]"),
    case(Range(), const(8), const(1), const(-3), out="i32[3]"),
    case(Range(), const(0.0), const(1.0), const(0.1), out="f32[10]"),
    case(Range(), const(np.int64(0)), const(np.int64(4)), const(np.int64(1)), out="i64[4]", version=2),
    case(Range(), given(0), given(4), given(1), out="i32[range]"),
]

T = any_type
ALL = "bool f32 f16 f64 i8 u8 i16 u16 i32 u32 i64 u64 c64"
WIDE = [2, 2, 3, 2, 2, 2, 2, 2]
SWEEPS = [
    *sweep(Reshape(), T(2, 3), const([3, 2]), names=ALL),
    *sweep(Squeeze(), T(1, 3), names=ALL),
    *sweep(ExpandDims(), T(3), const(0), names=ALL),
    *sweep(BroadcastTo(), T(2, 1), const([2, 3]), names=ALL),
    *sweep(Fill(), const([2]), T(), names=ALL),
    *(
        case(BroadcastTo(), f32(*(2, 1, 3, 1, 2, 1, 2, 1)[-rank:]), const(WIDE[-rank:]), out="", version=2)
        for rank in range(1, 9)
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Case) -> None:
    check(row)
    check_text(row)
    check_file(row)


@pytest.mark.parametrize("row", SWEEPS, ids=str)
def test_types_and_ranks(row: Case) -> None:
    check(row)


BAD = [
    (Reshape(), (f32(2, 3), const([4])), "do not fit"),
    (Reshape(), (f32(2, 3), const([-1, 4])), "do not fit"),
    (Reshape(), (f32(2, 3), const([-1, -1])), "one -1"),
    (Reshape(), (f32(2, 3),), "neither"),
    (Squeeze((0,)), (f32(2, 1),), "is not 1"),
    (ExpandDims(), (f32(2), const(3)), "out of range"),
    (BroadcastTo(), (f32(2), const([3])), "does not broadcast"),
    (Fill(), (const([2]), f32(2)), "scalar"),
    (Range(), (const(0), const(3), const(-1)), "do not lead"),
    (Range(), (const(0), const(3), const(0)), "must not be 0"),
    (Shape(DType.FLOAT32), (f32(2),), "INT32 or INT64"),
]


@pytest.mark.parametrize(("op", "operands", "message"), BAD, ids=lambda part: type(part).__name__)
def test_refused(op: Op, operands: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(case(op, *operands, out=""))  # type: ignore[arg-type]


# -- what is tracked -----------------------------------------------------------------------------------------

Tracker = Callable[[Builder, Value, Value], Any]
N, M = Sym("n"), Sym("m")

TRACKED: list[tuple[str, Tracker, Any]] = [
    ("slice", lambda b, s, x: b(ops.Slice(), s, [1], [2]), [28, M]),
    ("slice with a mask", lambda b, s, x: b(ops.StridedSlice(end_mask=1), s, [1], [0], [1]), [28, M]),
    ("index", lambda b, s, x: b(ops.StridedSlice(shrink_axis_mask=1), s, [-1], [0], [1]), M),
    ("gather", lambda b, s, x: b(ops.Gather(), s, [2, 0]), [M, N]),
    ("gather a scalar", lambda b, s, x: b(ops.Gather(), s, np.int32(1)), 28),
    ("gather by coordinates", lambda b, s, x: b(ops.GatherNd(), s, [[1], [0]]), [28, N]),
    ("unstacked and stacked", lambda b, s, x: b(ops.Pack(3), *b(ops.Unpack(3), s)[::-1]), [M, 28, N]),
    ("split", lambda b, s, x: b(ops.Split(3), 0, s)[2], [M]),
    ("split by sizes", lambda b, s, x: b(ops.SplitV(2), s, [1, -1], 0)[1], [28, M]),
    ("joined", lambda b, s, x: b(ops.Concatenation(), s, [4]), [N, 28, M, 4]),
    ("reversed", lambda b, s, x: b(ops.ReverseV2(), s, [0]), [M, 28, N]),
    ("cast", lambda b, s, x: b(ops.Cast(DType.INT32, DType.INT64), s), [N, 28, M]),
    ("product", lambda b, s, x: b(ops.ReduceProd(), s, [0]), N * M * 28),
    ("sum of a part", lambda b, s, x: b(ops.Sum(True), b(ops.Slice(), s, [0], [1]), [0]), [N]),
    ("maximum", lambda b, s, x: b(ops.ReduceMax(), b(ops.Slice(), s, [1], [1]), [0]), 28),
    ("times", lambda b, s, x: b(ops.Mul(), s, s), [N * N, 784, M * M]),
    ("plus nothing", lambda b, s, x: b(ops.Add(), s, 0), [N, 28, M]),
    ("minus itself", lambda b, s, x: b(ops.Sub(), s, s), [0, 0, 0]),
    ("divided", lambda b, s, x: b(ops.FloorDiv(), b(ops.Mul(), s, 6), 3), [N * 2, 56, M * 2]),
    ("remainder", lambda b, s, x: b(ops.FloorMod(), b(ops.Mul(), s, 6), 3), [0, 0, 0]),
    ("negative", lambda b, s, x: b(ops.Neg(), b(ops.Neg(), s)), [N, 28, M]),
    ("larger of one", lambda b, s, x: b(ops.Maximum(), s, s), [N, 28, M]),
    ("larger", lambda b, s, x: b(ops.Maximum(), s, b(ops.Mul(), s, 2)), [N * 2, 56, M * 2]),
    ("smaller", lambda b, s, x: b(ops.Minimum(), s, b(ops.Mul(), s, 2)), [N, 28, M]),
    ("expanded and squeezed", lambda b, s, x: b(ops.Squeeze(), b(ops.ExpandDims(), s, 0)), None),
    ("filled", lambda b, s, x: b(ops.Fill(), [2], b(ops.Gather(), s, np.int32(0))), [N, N]),
    ("tiled", lambda b, s, x: b(ops.Tile(), b(ops.Slice(), s, [0], [1]), [2]), [N, N]),
    ("broadcast", lambda b, s, x: b(ops.BroadcastTo(), b(ops.Slice(), s, [0], [1]), [2]), [N, N]),
    ("broadcast shapes", lambda b, s, x: b(ops.BroadcastArgs(), s, [28, 1]), [N, 28, M]),
    ("range", lambda b, s, x: b(ops.Range(), 0, 3, 1), [0, 1, 2]),
    ("rank", lambda b, s, x: b(ops.Rank(), x), 3),
    ("chosen", lambda b, s, x: b(ops.SelectV2(), np.array([True, False, True]), s, 7), [N, 7, M]),
    ("equal", lambda b, s, x: b(ops.Equal(), s, s), [True, True, True]),
    ("written", lambda b, s, x: b(ops.DynamicUpdateSlice(), s, [5], [1]), [N, 5, M]),
    ("updated", lambda b, s, x: b(ops.ScatterNd(), [[1]], b(ops.Slice(), s, [0], [1]), [2]), [0, N]),
    ("undecided", lambda b, s, x: b(ops.Equal(), s, 28), None),
    ("by an unknown index", lambda b, s, x: b(ops.Gather(), s, b(ops.Gather(), s, np.int32(0))), None),
]  # fmt: skip


def unknown(*shape: Any) -> tuple[Builder, Value, Value]:
    graph = Graph()
    x = graph.add_input(TensorType(DType.FLOAT32, shape), "x")
    builder = Builder(graph)
    return builder, builder(ops.Shape(), x), x


@pytest.mark.parametrize(
    ("tracker", "expected"), [row[1:] for row in TRACKED], ids=[row[0] for row in TRACKED]
)
def test_contents_are_tracked(tracker: Tracker, expected: Any) -> None:
    result = tracker(*unknown(N, 28, M))
    contents = result.array() if result.is_const else result.known
    if expected is None:
        assert contents is None
        return
    assert np.asarray(contents).tolist() == expected
    assert result.is_const is not any(isinstance(item, Sym) for item in np.ravel(np.array(expected, object)))
    assert result.type.shape == np.shape(contents)


RESHAPED: list[tuple[str, Tracker, tuple[Any, ...]]] = [
    ("to a tracked shape", lambda b, s, x: b(ops.Pack(2), b(ops.Gather(), s, np.int32(0)), -1), (N, M * 28)),
    ("to a product", lambda b, s, x: b(ops.ReduceProd(True), s, [0]), (N * M * 28,)),
    (
        "to what the operand has",
        lambda b, s, x: b(ops.Concatenation(), b(ops.Slice(), s, [0], [2]), [-1]),
        (N, 28, M),
    ),
    (
        "to one unknown number",
        lambda b, s, x: b.graph.add_input(TensorType(DType.INT32, (1,))),
        (N * M * 28,),
    ),
]


@pytest.mark.parametrize(
    ("tracker", "expected"), [row[1:] for row in RESHAPED], ids=[row[0] for row in RESHAPED]
)
def test_reshapes_know_their_dimensions(tracker: Tracker, expected: tuple[Any, ...]) -> None:
    builder, shape, x = unknown(N, 28, M)
    assert builder(ops.Reshape(), x, tracker(builder, shape, x)).shape == expected


def test_unknown_contents_give_fresh_dimensions() -> None:
    builder, _, x = unknown(N, 28, M)
    vector = builder.graph.add_input(TensorType(DType.INT32, (2,)))
    first, second = (builder(ops.Reshape(), x, vector) for _ in range(2))
    assert len({*first.shape, *second.shape}) == 4


def test_a_range_to_an_unknown_limit_has_its_length() -> None:
    builder, shape, _ = unknown(N, 28, M)
    limit = builder(ops.Gather(), shape, np.int32(0))
    assert builder(ops.Range(), 0, limit, 1).shape == (N,)
    assert builder(ops.Range(), limit, 0, -1).shape == (N,)


UNKNOWN_RANK = [
    ops.Abs(), ops.Relu(), ops.Softmax(), ops.Shape(), ops.Rank(), ops.Squeeze(), ops.Squeeze((0,)),
    ops.Unpack(2),
    ops.SpaceToDepth(2), ops.MatrixDiag(), ops.Where(), ops.Unique(), ops.Bucketize(), ops.LogicalNot(),
    ops.Cast(DType.FLOAT32, DType.INT32), ops.Bitcast(DType.INT8), ops.ZerosLike(), ops.Reshape((2, 3)),
]  # fmt: skip


@pytest.mark.parametrize("op", UNKNOWN_RANK, ids=lambda op: op.name)
def test_an_unknown_rank_is_inferred(op: Op) -> None:
    dtype = DType.BOOL if isinstance(op, ops.LogicalNot) else DType.FLOAT32
    inferred = op.infer(Value(TensorType(dtype, None)))
    assert isinstance(inferred, (TensorType, tuple))


def test_unknown_operands_beside_unknown_ranks() -> None:
    x, vector = Value(TensorType(DType.FLOAT32, None)), Value(TensorType(DType.INT32, None))
    for op in (
        ops.Sum(),
        ops.Transpose(),
        ops.Reshape(),
        ops.Tile(),
        ops.BroadcastTo(),
        ops.Gather(),
        ops.ExpandDims(),
    ):
        assert op.infer(x, vector).shape is None  # type: ignore[union-attr]
    for other in (ops.Slice(), ops.StridedSlice()):
        operands = (x, vector, vector) if isinstance(other, ops.Slice) else (x, vector, vector, vector)
        assert other.infer(*operands).shape is None  # type: ignore[union-attr]
    assert ops.Add().infer(x, x).shape is None  # type: ignore[union-attr]
