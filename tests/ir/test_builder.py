"""Constants that are computed when they are written stay so while they are moved."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Lazy
from litecast.ir.types import DType
from litecast.ops import Add, Reshape, Slice, Transpose

ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)
MOVES = {
    "transpose": (Transpose(), (np.array([1, 0], np.int32),), ARRAY.T),
    "reshape": (Reshape(), (np.array([3, 2], np.int32),), ARRAY.reshape(3, 2)),
}


def late(calls: list[int]) -> Lazy:
    return Lazy(DType.FLOAT32, (2, 3), lambda: calls.append(1) or ARRAY)  # type: ignore[func-returns-value]


@pytest.mark.parametrize("name", MOVES)
def test_moved_when_written(name: str) -> None:
    op, operands, expected = MOVES[name]
    calls: list[int] = []
    b = Builder(Graph())
    result = b(op, b(op, b.const(late(calls)), *operands), *operands)
    once = b(op, b.const(late(calls)), *operands)
    assert not b.nodes
    assert not calls
    assert isinstance(once.const, Lazy)
    assert once.const.shape == once.shape == expected.shape
    np.testing.assert_array_equal(once.array(), expected)
    again = expected.T if name == "transpose" else expected
    np.testing.assert_array_equal(result.array(), again)


def test_parts_and_sums_are_not_computed_early() -> None:
    calls: list[int] = []
    b = Builder(Graph())
    constant = b.const(late(calls))
    part = b(Slice(), constant, np.array([0, 1], np.int32), np.array([2, 1], np.int32))
    total = b(Add(), constant, constant)
    assert [node.op.name for node in b.nodes] == ["Slice", "Add"]
    assert not calls
    assert not part.is_const
    assert not total.is_const
