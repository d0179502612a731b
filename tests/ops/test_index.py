"""Rows of operations that choose or place elements by index, and of lookups."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.errors import InferenceError
from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Value
from litecast.ir.op import Op
from litecast.ir.types import DType, Quant, TensorType
from litecast.ops import (
    EmbeddingLookup,
    EmbeddingLookupSparse,
    Gather,
    GatherNd,
    HashtableLookup,
    LSHProjection,
    LSHProjectionType,
    OneHot,
    ScatterNd,
    SkipGram,
    SparseToDense,
    TopKV2,
    Unique,
)
from litecast.ops.enums import CombinerType
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
    run,
    sweep,
)

PLACES = given(np.array([[1, 0, 2], [0, 0, 1]], np.int32))
COORDINATES = given(np.array([[1, 0], [0, 2]], np.int32))
HASHES = const(np.ones((2, 3), np.float32))
TEXT = given(np.array([b"the quick brown fox"], object))

ROWS = [
    case(Gather(), f32(4, "n"), given([2, 0, 3]), out="f32[3,n]"),
    case(Gather(1), f32("n", 4), given(3), out="f32[n]"),
    case(Gather(-1), f32("n", 4), given([[1, 2], [3, 0]]), out="f32[n,2,2]"),
    case(Gather(1, 1), f32(2, 4, 3), PLACES, out="f32[2,3,3]", version=5),
    case(Gather(2, 1), f32(2, 1, 4), PLACES, out="f32[2,1,3]", version=5),
    case(Gather(1, -1), f32(2, 4, "n"), PLACES, out="f32[2,3,n]", version=5),
    case(Gather(), boolean(4), given([2, 0]), out="bool[2]", version=3),
    case(Gather(), i16(4), given([2, 0]), out="i16[2]", version=4),
    case(Gather(), f32(4), given([2, 0], np.int16), out="f32[2]", version=6),
    case(GatherNd(), f32(2, 3, "n"), COORDINATES, out="f32[2,n]"),
    case(GatherNd(), f32(3, "n"), given(np.array([[[1]], [[0]]], np.int32)), out="f32[2,1,n]"),
    case(GatherNd(), boolean(2, 3), COORDINATES, out="bool[2]", version=5),
    case(ScatterNd(), given(np.array([[2], [0]], np.int32)), f32(2, 3), const([4, 3]), out="f32[4,3]"),
    case(ScatterNd(), given(np.array([[2], [2]], np.int32)), i32(2), const([4]), out="i32[4]"),
    case(OneHot(-1), i32("n", 3), const(4), const(1.0), const(0.0), out="f32[n,3,4]"),
    case(OneHot(0), given([0, 2, 5, -1]), const(3), const(7), const(-7), out="i32[3,4]"),
    case(OneHot(1), i32("n", 3), const(4), const(np.True_), const(np.False_), out="bool[n,4,3]"),
    case(SparseToDense(), const([[0, 1], [1, 2]]), const([2, 3]), f32(2), f32(), out="f32[2,3]"),
    case(SparseToDense(), const([[0, 1]]), const([2, 3]), i8(1), i8(), out="i8[2,3]", version=3),
    case(TopKV2(), f32("n", 5), const(2), out="f32[n,2] i32[n,2]"),
    case(TopKV2(), i8(5), const(3), out="i8[3] i32[3]", version=2),
    case(TopKV2(), f32(5), const(np.int16(3)), out="f32[3] i16[3]", version=3),
    case(Unique(), given([3, 1, 3, 2, 1]), out="i32[unique] i32[5]"),
    case(Unique(DType.INT64), given(np.array([3.0, 1.0, 3.0], np.float32)), out="f32[unique] i64[3]"),
    case(EmbeddingLookup(), given([2, 0]), f32(4, 3), out="f32[2,3]"),
    case(
        EmbeddingLookupSparse(CombinerType.MEAN),
        given([1, 3, 0]), given(np.array([[0, 0], [2, 0], [2, 1]], np.int32)), const([3, 2]),
        given([1.0, 2.0, 4.0]), f32(4, 3),
        out="f32[3,3]",
    ),
    case(HashtableLookup(), given([5, 9]), const([1, 5, 7]), f32(3, 2), out="f32[2,2] u8[2]"),
    case(LSHProjection(LSHProjectionType.DENSE), HASHES, i32(4, 2), f32(4), out="i32[6]"),
    case(LSHProjection(LSHProjectionType.SPARSE), HASHES, i32(4, 2), f32(4), out="i32[2]"),
    case(SkipGram(2, 1, False), TEXT, out="str[grams]"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Case) -> None:
    check(row)
    check_text(row)
    check_file(row)


T = any_type
SWEEPS = [
    *(
        row
        for rank in range(1, 9)
        for row in sweep(
            Gather(rank - 1), T(*(2, 1, 3, 2, 1, 2, 3, 2)[: rank - 1], 4), given([3, 1]), names="f32 i32"
        )
    ),
    *sweep(Gather(), T(4, 3), given([1, 0]), names="f32 f16 u8 i8 i16 i32 i64 bool"),
    *sweep(GatherNd(), T(4, 3), given([[1], [0]]), names="f32 f16 u8 i8 i16 i32 i64 bool"),
    *sweep(ScatterNd(), given([[1], [0]]), T(2, 3), const([4, 3]), names="f32 u8 i8 i32 i64"),
    *sweep(OneHot(), given([1, 0]), const(3), T(), T(), names="f32 u8 i8 i32 i64 bool"),
]


@pytest.mark.parametrize("row", SWEEPS, ids=str)
def test_types_and_ranks(row: Case) -> None:
    check(row)


def test_equal_elements_keep_their_order_in_top_k() -> None:
    values, indices = run(case(TopKV2(), given([1.0, 2.0, 2.0, 0.0]), const(3), out=""))
    assert values.tolist() == [2.0, 2.0, 1.0]
    assert indices.tolist() == [1, 2, 0]


TABLES = [
    (DType.INT4, Quant((0.5,), (0,)), 4),
    (DType.INT2, Quant((0.5,), (0,)), 5),
    (DType.INT8, Quant((0.5, 0.25), (0, 0)), 4),
    (DType.INT8, Quant((0.5,), (0,)), 1),
]


@pytest.mark.parametrize(("dtype", "quant", "version"), TABLES, ids=str)
def test_embedding_versions(dtype: DType, quant: Quant, version: int) -> None:
    ids, table = Value(TensorType(DType.INT32, (3,))), Value(TensorType(dtype, (2, 4), quant))
    assert EmbeddingLookup().infer(ids, table) == TensorType(DType.FLOAT32, (3, 4))
    assert EmbeddingLookup().version([ids, table], []) == version


@pytest.mark.parametrize("place", [-1, 3])
@pytest.mark.parametrize("kind", [Gather, GatherNd], ids=lambda kind: kind.__name__)
def test_a_constant_index_out_of_range_is_an_error_with_a_place(kind: type[Gather], place: int) -> None:
    builder = Builder(Graph())
    with pytest.raises(InferenceError, match=f"index {place}"):
        builder(kind(), builder.const([1, 2, 3]), builder.const([place]))


BAD = [
    (Gather(2), (f32(3), const([0])), "out of range"),
    (Gather(0, 1), (f32(2, 3), PLACES), "batch_dims"),
    (GatherNd(), (f32(3), COORDINATES), "too long"),
    (ScatterNd(), (const([[0]]), f32(2), const([4])), "do not fit"),
    (TopKV2(), (f32(2), const(3)), "is smaller"),
    (Unique(), (f32(2, 2),), "vector"),
    (EmbeddingLookup(), (f32(2), f32(2, 2)), "INT32"),
    (HashtableLookup(), (const([1]), const([1, 2]), f32(3, 2)), "do not fit"),
    (SkipGram(2), (f32(2),), "STRING"),
]


@pytest.mark.parametrize(("op", "operands", "message"), BAD, ids=lambda part: type(part).__name__)
def test_refused(op: Op, operands: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(case(op, *operands, out=""))  # type: ignore[arg-type]
