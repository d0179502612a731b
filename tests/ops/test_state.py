"""Variables and hash tables in LiteRT: contents stay between runs, and tables answer with the default."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Model, Signature, Value
from litecast.ir.types import DType, Sym, TensorType
from litecast.ops import (
    Add,
    AssignVariable,
    CallOnce,
    Hashtable,
    HashtableFind,
    HashtableImport,
    HashtableSize,
    ReadVariable,
    VarHandle,
)
from litecast.tflite.reader import read
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write

STATE = TensorType(DType.FLOAT32, (2, 3))
COUNTER = VarHandle(container="", shared_name="counter")


def counter() -> Model:
    """A model that adds its input to a variable, which starts at 10."""
    init = Graph("init")
    b = Builder(init)
    b(AssignVariable(), b(COUNTER), np.full((2, 3), 10, np.float32))
    graph = Graph()
    x = graph.add_input(STATE, "x")
    b = Builder(graph)
    b(CallOnce(init))
    handle = b(COUNTER)
    total = b(Add(), b(ReadVariable(STATE), handle), x)
    b(AssignVariable(), handle, total)
    graph.set_outputs([total])
    return Model(signatures={"count": Signature(graph, ["x"], ["total"])})


@pytest.mark.parametrize("delegate", [False, True])
@pytest.mark.parametrize("rewritten", [False, True])
def test_variables_keep_their_contents(delegate: bool, rewritten: bool) -> None:
    content = write(counter())
    content = write(read(content)) if rewritten else content
    runtime = Runtime(content, delegate=delegate)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for turn in (1, 2, 3):
        np.testing.assert_array_equal(runtime.run([x])["total"], 10 + turn * x)


def test_file_round_trip_keeps_the_type_of_a_read() -> None:
    (graph,) = read(write(counter())).entries()
    reads = [node.op for node in graph.nodes if isinstance(node.op, ReadVariable)]
    assert reads == [ReadVariable(STATE)]


def words() -> Model:
    """A model that looks words up; 'no' and what is not there is -1."""
    graph = Graph()
    x = graph.add_input(TensorType(DType.STRING, (Sym("n"),)), "x")
    b = Builder(graph)
    table = b(Hashtable(7, DType.STRING, DType.INT64))
    b(HashtableImport(), table, np.array([b"cat", b"dog"], object), np.array([3, 5], np.int64))
    found = b(HashtableFind(), table, x, np.array(-1, np.int64))
    graph.set_outputs([found, b(HashtableSize(), table)])
    return Model(signatures={"find": Signature(graph, ["x"], ["found", "size"])})


def test_tables_answer_with_the_default() -> None:
    results = Runtime(write(words())).run([np.array([b"dog", b"cow", b"cat"], object)])
    np.testing.assert_array_equal(results["found"], [5, -1, 3])
    np.testing.assert_array_equal(results["size"], [2])


def test_numbers_give_words() -> None:
    graph = Graph()
    x = graph.add_input(TensorType(DType.INT64, (2, 2)), "x")
    b = Builder(graph)
    table = b(Hashtable(8, DType.INT64, DType.STRING))
    b(HashtableImport(), table, np.array([3, 5], np.int64), np.array([b"cat", b"dog"], object))
    graph.set_outputs([b(HashtableFind(), table, x, np.array(b"?", object))])
    model = Model(signatures={"find": Signature(graph, ["x"], ["found"])})
    found = Runtime(write(model)).run([np.array([[3, 4], [5, 3]])])["found"]
    assert found.tolist() == [[b"cat", b"?"], [b"dog", b"cat"]]


def test_effects_keep_what_order_matters() -> None:
    reads, writes = (
        (ReadVariable(STATE), HashtableFind(), HashtableSize()),
        (AssignVariable(), HashtableImport()),
    )
    assert {op.effect for op in reads} == {"read"}
    assert {op.effect for op in writes} == {"write"}
    assert VarHandle().effect == Hashtable().effect == "pure"


def value(*shape: Any, dtype: DType = DType.FLOAT32) -> Value:
    return Value(TensorType(dtype, shape))


HANDLE = value(1, dtype=DType.RESOURCE)
WRONG = [
    (ReadVariable(), (HANDLE,), "needs the type"),
    (ReadVariable(TensorType(DType.FLOAT32, (Sym("n"), 3))), (HANDLE,), "static shape"),
    (ReadVariable(TensorType(DType.FLOAT32, None)), (HANDLE,), "static shape"),
    (ReadVariable(STATE), (value(2),), "resource handle"),
    (Hashtable(1, DType.INT32, DType.INT32), (), "not INT32 to INT32"),
    (HashtableFind(), (HANDLE, value(2), value()), "not FLOAT32 to FLOAT32"),
    (
        HashtableImport(),
        (HANDLE, value(2, dtype=DType.INT64), value(3, dtype=DType.STRING)),
        r"keys of shape \(2,\) and values of shape \(3,\)",
    ),
]


@pytest.mark.parametrize(("op", "operands", "message"), WRONG)
def test_operands_that_do_not_fit(op: Any, operands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        op.infer(*operands)
