"""Rows of operations that move elements: order, joining, cutting, padding and blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from litecast.ir.op import Op
from litecast.ops import (
    BatchToSpaceND,
    Concatenation,
    DepthToSpace,
    Dilate,
    DynamicUpdateSlice,
    MatrixDiag,
    MatrixSetDiag,
    MirrorPad,
    Pack,
    Pad,
    PadV2,
    ReverseSequence,
    ReverseV2,
    Slice,
    SpaceToBatchND,
    SpaceToDepth,
    Split,
    SplitV,
    StridedSlice,
    Tile,
    Transpose,
    Unpack,
)
from litecast.ops.enums import Activation, MirrorPadMode
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
    i16,
    i32,
    i64,
    sweep,
    u8,
)

SYMMETRIC = MirrorPadMode.SYMMETRIC
NO_PADS = const([[0, 0], [0, 0]])

MOVES = [
    case(Transpose(), f32("n", 3, "m"), const([2, 0, 1]), out="f32[m,n,3]"),
    case(Transpose(), f32("n", 3, 1, 2, 2), const([4, 0, 3, 1, 2]), out="f32[2,n,2,3,1]", version=4),
    case(Transpose(), i32(2, 3, 1, 2, 2, 1), const([5, 4, 3, 2, 1, 0]), out="i32[1,2,2,1,3,2]", version=6),
    case(Transpose(), boolean(2, 3), const([1, 0]), out="bool[3,2]", version=3),
    case(Transpose(), i16(2, 3), const([-1, 0]), out="i16[3,2]", version=5),
    case(Transpose(), f16(2, 3), const([1, 0]), out="f16[3,2]", version=9),
    case(ReverseV2(), f32("n", 3, 2), const([1, 2]), out="f32[n,3,2]"),
    case(ReverseV2(), boolean(3), const([-1]), out="bool[3]", version=2),
    case(ReverseV2(), i8(3), const([0]), out="i8[3]", version=3),
    case(ReverseSequence(1, 0), f32(2, 4, "m"), given([3, 1]), out="f32[2,4,m]"),
    case(Tile(), f32("n", 3), const([2, 3]), out="f32[2*n,9]"),
    case(Tile(), i8(2, 1), const([1, 2]), out="i8[2,2]", version=3),
    case(Concatenation(1), f32("n", 3), f32("n", 2), f32("n", 1), out="f32[n,6]"),
    case(Concatenation(-2), f32("n", 3), f32("n", 3), out="f32[2*n,3]"),
    case(Concatenation(0), i16(2), i16(3), out="i16[5]", version=3),
    case(Pack(2), f32("n", 3), f32("n", 3), out="f32[2,n,3]"),
    case(Pack(3, -1), i32("n"), i32("n"), i32("n"), out="i32[n,3]"),
    case(Pack(2), i8(2), i8(2), out="i8[2,2]", version=2),
    case(Unpack(3, 1), f32("n", 3, 2), out="f32[n,2] f32[n,2] f32[n,2]"),
    case(Unpack(2, -1), boolean("n", 2), out="bool[n] bool[n]", version=3),
    case(Split(2), const(1), f32("n", 4), out="f32[n,2] f32[n,2]"),
    case(Split(3), const(-1), i32(3), out="i32[1] i32[1] i32[1]", version=3),
    case(SplitV(3), f32("n", 6), const([1, -1, 2]), const(1), out="f32[n,1] f32[n,3] f32[n,2]"),
    case(SplitV(2), i8(3), const([1, 2]), const(0), out="i8[1] i8[2]", version=2),
    case(Slice(), f32("n", 5), const([0, 1]), const([-1, 3]), out="f32[n,3]"),
    case(Slice(), f32("n", 5), const([1, 2]), const([-1, -1]), out="f32[(n-1),3]"),
    case(
        Slice(),
        i64(1, 1, 2, 2, 5),
        const([0, 0, 0, 1, 1]),
        const([1, 1, 2, 1, 3]),
        out="i64[1,1,2,1,3]",
        version=5,
    ),
]

STRIDED = [
    case(StridedSlice(), f32(4, 5), const([1, 0]), const([3, 4]), const([1, 2]), out="f32[2,2]"),
    case(StridedSlice(1, 1), f32("n", 5), const([9, 1]), const([0, -1]), const([1, 1]), out="f32[n,3]"),
    case(StridedSlice(3, 3), f32("n", 5), const([0, 0]), const([0, 0]), const([-1, -2]), out="f32[n,3]"),
    case(StridedSlice(1, 1), f32("n"), const([0]), const([0]), const([2]), out="f32[((n+1)//2)]"),
    case(StridedSlice(0, 1), f32("m"), const([2]), const([0]), const([1]), out="f32[(m-2)]"),
    case(StridedSlice(1, 0), f32("m"), const([0]), const([-1]), const([1]), out="f32[(m-1)]"),
    case(StridedSlice(1, 0), f32("m"), const([0]), const([3]), const([1]), out="f32[min(3,m)]"),
    case(StridedSlice(0, 1), f32("m"), const([-2]), const([0]), const([1]), out="f32[min(2,m)]"),
    case(
        StridedSlice(1, 1, 0, 0, 2), f32("n", 5), const([0, -1]), const([0, 0]), const([1, 1]), out="f32[n]"
    ),
    case(
        StridedSlice(1, 1, 0, 2, 0),
        f32("n", 5),
        const([0, 0]),
        const([0, 0]),
        const([1, 1]),
        out="f32[n,1,5]",
        version=6,
    ),
    case(
        StridedSlice(0, 0, 1, 0, 2),
        f32("n", 2, 5),
        const([0, 3]),
        const([0, 4]),
        const([1, 1]),
        out="f32[n,2]",
        version=6,
    ),
    case(
        StridedSlice(2, 2, 2, 0, 0),
        i32(3, 2, 5),
        const([1, 0, 0]),
        const([3, 0, 2]),
        const([1, 1, 1]),
        out="i32[2,2,2]",
        version=6,
    ),
    case(StridedSlice(offset=True), f32(6), const([2]), const([3]), const([1]), out="f32[3]", version=8),
    case(StridedSlice(), boolean(4), const([0]), const([4]), const([3]), out="bool[2]", version=3),
    case(StridedSlice(), f32(4), const([3]), const([1]), const([1]), out="f32[0]"),
    case(StridedSlice(), f32(4), const([3]), const([-9]), const([-1]), out="f32[4]"),
    case(
        StridedSlice(1),
        f32(2, 1, 2, 1, 3),
        const([0]),
        const([1]),
        const([1]),
        out="f32[1,1,2,1,3]",
        version=4,
    ),
]

SPACE = [
    case(Pad(), f32("n", 3), const([[0, 0], [1, 2]]), out="f32[n,6]"),
    case(Pad(), f32("n", 3), const([[1, 2], [0, 0]]), out="f32[(n+3),3]"),
    case(Pad(), f32(1, 2, 2, 1, 3), const([[0, 1]] * 5), out="f32[2,3,3,2,4]", version=4),
    case(Pad(), boolean(3), const([[1, 0]]), out="bool[4]", version=5),
    case(Pad(), i16(3), const([[1, 0]]), out="i16[4]", version=3),
    case(PadV2(), f32("n", 3), const([[0, 0], [1, 2]]), f32(), out="f32[n,6]"),
    case(PadV2(), i8(3), const([[1, 0]]), i8(), out="i8[4]", version=2),
    case(MirrorPad(), f32("n", 3), const([[0, 0], [2, 1]]), out="f32[n,6]"),
    case(MirrorPad(SYMMETRIC), f32("n", 3), const([[1, 2], [3, 1]]), out="f32[(n+3),7]"),
    case(MirrorPad(), i8(3), const([[2, 2]]), out="i8[7]", version=2),
    case(SpaceToDepth(2), f32("n", 4, 6, 3), out="f32[n,2,3,12]"),
    case(SpaceToDepth(2), i8(1, 2, 2, 1), out="i8[1,1,1,4]", version=2),
    case(DepthToSpace(2), f32("n", 2, 3, 8), out="f32[n,4,6,2]"),
    case(DepthToSpace(3), i64(1, 1, 2, 9), out="i64[1,3,6,1]"),
    case(SpaceToBatchND(), f32("n", 4, 5, 2), const([2, 2]), const([[0, 0], [1, 2]]), out="f32[4*n,2,4,2]"),
    case(SpaceToBatchND(), f32("n", 4, 2), const([3]), const([[1, 1]]), out="f32[3*n,2,2]", version=3),
    case(BatchToSpaceND(), f32(8, 2, 3, 2), const([2, 2]), const([[0, 1], [1, 0]]), out="f32[2,3,5,2]"),
    case(BatchToSpaceND(), f32(4, 2, 2), const([2]), const([[1, 0]]), out="f32[2,3,2]", version=3),
    case(Dilate(), f32("n", 3), const([1, 2]), f32(), out="f32[n,5]"),
    case(Dilate(), i32(2, 3), const([3, 2]), const(7), out="i32[4,5]"),
    case(MatrixDiag(), f32("n", 3), out="f32[n,3,3]"),
    case(MatrixSetDiag(), f32("n", 2, 3), f32("n", 2), out="f32[n,2,3]"),
    case(DynamicUpdateSlice(), f32("n", 4, 3), f32(1, 2, 3), given([1, 9, 0]), out="f32[n,4,3]"),
    case(DynamicUpdateSlice(), i32(5), i32(2), given(np.array([-3])), out="i32[5]", version=2),
    case(DynamicUpdateSlice(), f16(5), f16(2), given([2]), out="f16[5]", version=3),
]

ALL = "bool f32 f16 f64 i8 u8 i16 u16 i32 u32 i64 u64 c64"
FEW = "f32 i8 u8 i16 i32 i64"
T = any_type


def sweeps() -> Iterator[Case]:
    """Yield rows over the types and ranks that the kernels take."""
    for rank in range(1, 9):
        shape = (2, 1, 3, 2, 1, 2, 3, 2)[:rank]
        yield from sweep(Transpose(), T(*shape), const(list(range(rank))[::-1]), names="f32 i32")
        yield from sweep(Slice(), T(*shape), const([0] * rank), const([1] * rank), names="f32 i32")
        yield from sweep(
            StridedSlice(), T(*shape), const([0] * rank), const(shape), const([2] * rank), names="f32 i32"
        )
        yield from sweep(Tile(), T(*shape), const([1, 2, 1, 2, 1, 1, 1, 2][:rank]), names="f32 i32")
        yield from sweep(Pack(2, -1), T(*shape[1:]), T(*shape[1:]), names="f32 i32")
        yield from sweep(Unpack(2), T(*shape), names="f32 i32")
        yield from sweep(SplitV(2), T(*shape[1:], 4), const([3, 1]), const(-1), names="f32 i32")
        if rank <= 6:
            yield from sweep(Concatenation(-1), T(*shape), T(*shape), names="f32 i32")
            yield from sweep(Split(2), const(-1), T(*shape[1:], 4), names="f32 i32")
        if rank <= 5:
            yield from sweep(Pad(), T(*shape), const([[1, 0]] * rank), names="f32 i32")
            yield from sweep(PadV2(), T(*shape), const([[1, 0]] * rank), T(), names="f32 i32")
    yield from sweep(Transpose(), T(2, 3), const([1, 0]), names=ALL)
    yield from sweep(Slice(), T(2, 3), const([0, 1]), const([2, 2]), names=ALL)
    yield from sweep(StridedSlice(), T(2, 3), const([0, 1]), const([2, 3]), const([1, 1]), names=ALL)
    yield from sweep(Tile(), T(2, 3), const([2, 1]), names=ALL)
    yield from sweep(MirrorPad(), T(2, 3), const([[1, 0], [0, 1]]), names=ALL)
    yield from sweep(DynamicUpdateSlice(), T(4), T(2), given([1]), names=ALL)
    yield from sweep(Dilate(), T(4), const([2]), T(), names=ALL)
    yield from sweep(Concatenation(), T(2), T(3), names=FEW + " bool f16 u32")
    yield from sweep(Pad(), T(3), const([[1, 2]]), names=FEW + " bool f16")
    yield from sweep(PadV2(), T(3), const([[1, 2]]), T(), names=FEW + " bool f16")
    yield from sweep(Pack(2), T(3), T(3), names=FEW + " u32")
    yield from sweep(Split(2), const(0), T(4), names=FEW)
    yield from sweep(SplitV(2), T(4), const([1, 3]), const(0), names=FEW)
    yield from sweep(ReverseV2(), T(4), const([0]), names=FEW + " bool f16")
    yield from sweep(Unpack(2), T(2), names="f32 f16 i32 u8 i8 i16 bool")
    yield from sweep(SpaceToDepth(2), T(1, 2, 4, 1), names="f32 i8 u8 i32 i64")
    yield from sweep(DepthToSpace(2), T(1, 2, 1, 4), names="f32 i8 u8 i32 i64")
    yield from sweep(MatrixDiag(), T(2, 3), names=FEW)
    yield from sweep(MatrixSetDiag(), T(2, 3), T(2), names=FEW)


ROWS = [*MOVES, *STRIDED, *SPACE]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Case) -> None:
    check(row)
    check_text(row)
    check_file(row)


@pytest.mark.parametrize("row", list(sweeps()), ids=str)
def test_types_and_ranks(row: Case) -> None:
    check(row)


SLICES = [None, -6, -5, -2, -1, 0, 1, 3, 5, 6]


@pytest.mark.parametrize("step", [-2, -1, 1, 2])
@pytest.mark.parametrize("high", SLICES)
@pytest.mark.parametrize("low", SLICES)
def test_slices_are_numpys(low: int | None, high: int | None, step: int) -> None:
    op = StridedSlice(begin_mask=int(low is None), end_mask=int(high is None))
    # Of INT32: the delegate that runs FLOAT32 takes an end of 0 for no end (see StridedSlice).
    check(case(op, i32(5), const([low or 0]), const([high or 0]), const([step]), out=""))


BAD = [
    (Transpose(), (f32(2, 3), const([0, 0])), "no permutation"),
    (Transpose(), (f32(2, 3), const([0])), "does not fit"),
    (ReverseV2(), (f32(2, 3, 4), const([0, 2])), "neighbouring axes"),
    (Concatenation(0), (f32(2, 3), f32(2, 4)), "must agree"),
    (Concatenation(0, Activation.RELU), (f32(2, 3), f32(2, 3)), "no fused activation"),
    (Pack(3), (f32(2), f32(2)), "values_count"),
    (Pack(2), (f32(2), f32(3)), "must agree"),
    (Unpack(3), (f32(2),), "num is 3"),
    (Split(2), (const(0), f32(3)), "equal parts"),
    (SplitV(2), (f32(3), const([1, 1]), const(0)), "do not make up"),
    (Slice(), (f32(3), const([2]), const([2])), "more than there are"),
    (StridedSlice(), (f32(3), const([0]), const([1]), const([0])), "must not be 0"),
    (StridedSlice(0, 0, 0, 0, 1), (f32(3), const([3]), const([4]), const([1])), "out of range"),
    (StridedSlice(0, 0, 1), (f32(3), const([0, 0]), const([0, 1]), const([1, 1])), "ellipsis"),
    (Pad(), (f32(3), const([[0, 0], [0, 0]])), "do not fit rank"),
    (Pad(), (f32(3), const([[-1, 0]])), "must not be negative"),
    (MirrorPad(), (f32(3), const([[3, 0]])), "can mirror"),
    (SpaceToDepth(2), (f32(1, 3, 2, 1),), "no multiple"),
    (DepthToSpace(2), (f32(1, 3, 2, 3),), "no multiple"),
    (SpaceToBatchND(), (f32(1, 3, 4, 1), const([2, 2]), NO_PADS), "no multiple"),
    (BatchToSpaceND(), (f32(3, 3, 4, 1), const([2, 2]), NO_PADS), "no multiple"),
    (SpaceToBatchND(), (f32(1, 2, 2, 2, 1), const([2, 2]), NO_PADS), "1 block size at rank 3"),
    (DynamicUpdateSlice(), (f32(3), f32(4), const([0])), "does not fit"),
    (MatrixSetDiag(), (f32(3, 3), f32(2)), "does not fit"),
    (Tile(), (u8(3), const([1, 2])), "do not fit"),
]


@pytest.mark.parametrize(("op", "operands", "message"), BAD, ids=lambda part: type(part).__name__)
def test_refused(op: Op, operands: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(case(op, *operands, out=""))  # type: ignore[arg-type]
