"""Control flow in LiteRT, with dimensions that change and that do not, and what inference says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from litecast.ir.builder import Builder
from litecast.ir.graph import Graph, Model, Signature, Value
from litecast.ir.op import Op
from litecast.ir.parser import parse_graph
from litecast.ir.text import print_graph
from litecast.ir.types import Dim, DType, Sym, TensorType
from litecast.ops import (
    Add,
    AssignVariable,
    Call,
    CallOnce,
    Concatenation,
    If,
    Less,
    Mul,
    RandomUniform,
    ReadVariable,
    Reshape,
    VarHandle,
    While,
    join_types,
    overwritten,
)
from litecast.tflite.reader import read
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write

N, K = Sym("n"), Sym("k")
COUNT = TensorType(DType.INT32, ())


def f32(*shape: Dim) -> TensorType:
    return TensorType(DType.FLOAT32, shape)


def graph(name: str, types: list[TensorType], build: Callable[..., Any]) -> Graph:
    """Return a graph of inputs of the given types and the results of `build(b, *inputs)`."""
    result = Graph(name)
    for index, type in enumerate(types):
        result.add_input(type, f"arg{index}")
    outputs = build(Builder(result), *result.inputs)
    result.set_outputs(outputs if isinstance(outputs, (list, tuple)) else [outputs])
    return result


def run(main: Graph, *arrays: Any, delegate: bool = True) -> list[Any]:
    names = [f"x{index}" for index in range(len(main.inputs))]
    results = [f"y{index}" for index in range(len(main.outputs))]
    content = write(Model(signatures={"main": Signature(main, names, results)}))
    assert write(read(content)) == write(read(write(read(content))))
    for each in (content, write(read(content))):
        outputs = Runtime(each, delegate=delegate).run(list(arrays))
    return [outputs[name] for name in results]


def round_trip(main: Graph) -> None:
    """Print a graph and parse it back."""
    constants: dict[str, Any] = {}
    printed = print_graph(main, constants)
    assert print_graph(parse_graph(printed, constants), constants) == printed


# -- WHILE ------------------------------------------------------------------------------------------


def loop(shape: TensorType, step: Callable[..., Any], inner: TensorType | None = None) -> Graph:
    """Return a graph that applies `step` to its second input as often as the first says."""
    types = [COUNT, COUNT, inner or shape]
    cond = graph("cond", types, lambda b, i, n, x: b(Less(), i, n))
    body = graph("body", types, lambda b, i, n, x: [b(Add(), i, 1), n, step(b, x)])
    return graph("main", [COUNT, shape], lambda b, n, x: b(While(cond, body), np.int32(0), n, x)[2])


@pytest.mark.parametrize("delegate", [False, True])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_while_repeats_the_body(count: int, delegate: bool) -> None:
    main = loop(f32(N, 3), lambda b, x: b(Mul(), x, np.float32(2)))
    assert main.outputs[0].type == f32(N, 3)
    round_trip(main)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(run(main, np.int32(count), x, delegate=delegate)[0], x * 2**count)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_dimension_that_the_body_changes_is_unknown(count: int) -> None:
    main = loop(f32(2, 3), lambda b, x: b(Concatenation(1), x, np.ones((2, 1), np.float32)), f32(2, K))
    rows, columns = main.outputs[0].shape
    assert rows == 2
    assert isinstance(columns, Sym)
    assert columns != K
    x = np.zeros((2, 3), np.float32)
    (result,) = run(main, np.int32(count), x, delegate=False)
    np.testing.assert_array_equal(result, np.concatenate([x, np.ones((2, count))], 1))


def test_a_dimension_that_the_body_keeps_is_the_operands() -> None:
    main = loop(f32(4, 3), lambda b, x: b(Mul(), x, np.float32(2)), f32(K, 3))
    assert main.outputs[0].type == f32(4, 3)


def fibonacci(step: Callable[..., Any], start: tuple[float, float]) -> tuple[Graph, list[Any]]:
    """Return the body of a loop and what six turns of it give."""
    types = [COUNT, f32(1), f32(1)]
    cond = graph("cond", types, lambda b, i, x, y: b(Less(), i, 6))
    body = graph("body", types, lambda b, i, x, y: [b(Add(), i, 1), *step(b, x, y)])
    main = graph("main", types[1:], lambda b, x, y: b(While(cond, body), np.int32(0), x, y)[1:])
    results = run(main, *(np.array([number], np.float32) for number in start))
    return body, [result.item() for result in results]


def copied(b: Builder, x: Value) -> Value:
    result: Value = b(Reshape(), x, np.array([1], np.int32))
    return result


def test_a_loop_variable_that_moves_to_a_later_place_is_overwritten_before_it_is_read() -> None:
    body, results = fibonacci(lambda b, x, y: [y, b(Add(), x, y)], (0, 1))
    assert results == [8, 13]
    assert overwritten(body) == []
    body, results = fibonacci(lambda b, y, x: [b(Add(), x, y), y], (1, 0))
    assert results != [13, 8], "the runtime has learnt it: `overwritten` has no purpose any more"
    assert overwritten(body) == [2]
    body, results = fibonacci(lambda b, y, x: [b(Add(), x, y), copied(b, y)], (1, 0))
    assert results == [13, 8]
    assert overwritten(body) == []
    body, _ = fibonacci(lambda b, x, y: [y, x], (0, 1))
    assert overwritten(body) == [2]


# -- IF ---------------------------------------------------------------------------------------------


def choice(
    then: Callable[..., Any], other: Callable[..., Any], shape: TensorType, inner: TensorType
) -> Graph:
    op = If(graph("then", [inner], then), graph("else", [inner], other))
    return graph("main", [TensorType(DType.BOOL, ()), shape], lambda b, p, x: b(op, p, x))


@pytest.mark.parametrize("delegate", [False, True])
def test_if_runs_one_branch(delegate: bool) -> None:
    main = choice(
        lambda b, x: b(Mul(), x, np.float32(2)), lambda b, x: b(Add(), x, np.float32(1)), f32(N, 3), f32(K, 3)
    )
    assert main.outputs[0].type == f32(N, 3)
    round_trip(main)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(run(main, np.array(True), x, delegate=delegate)[0], x * 2)
    np.testing.assert_array_equal(run(main, np.array(False), x, delegate=delegate)[0], x + 1)


def test_branches_of_different_shapes_give_an_unknown_dimension() -> None:
    main = choice(lambda b, x: b(Concatenation(0), x, x), lambda b, x: x, f32(2, 3), f32(2, 3))
    rows, columns = main.outputs[0].shape
    assert isinstance(rows, Sym)
    assert columns == 3
    x = np.ones((2, 3), np.float32)
    assert run(main, np.array(True), x, delegate=False)[0].shape == (4, 3)
    assert run(main, np.array(False), x, delegate=False)[0].shape == (2, 3)


# -- CALL, effects and types ------------------------------------------------------------------------


def test_call_has_the_results_of_its_graph() -> None:
    inner = graph("inner", [f32(K, 3)], lambda b, x: [b(Concatenation(1), x, x), x])
    types = Call(inner).infer(Value(f32(N, 3)))
    assert list(map(str, types)) == ["f32[n,6]", "f32[n,3]"]


def sample(b: Builder, x: Value) -> Any:
    return b(Add(), x, b(RandomUniform(1, 2), np.array([3], np.int32)))


def remembered(b: Builder, x: Value) -> Any:
    return b(Add(), x, b(ReadVariable(f32(3)), b(VarHandle(shared_name="v"))))


EFFECTS = [(lambda b, x: x, "pure"), (sample, "write"), (remembered, "read")]


@pytest.mark.parametrize(("step", "effect"), EFFECTS)
def test_control_flow_has_the_strongest_effect_in_its_graphs(step: Any, effect: str) -> None:
    inner, plain = graph("inner", [f32(3)], step), graph("plain", [f32(3)], lambda b, x: x)
    nested = graph("nested", [f32(3)], lambda b, x: b(Call(inner), x))
    ops: list[Op] = [Call(inner), If(plain, inner), If(inner, plain), Call(nested)]
    assert {op.effect for op in ops} == {effect}


def test_an_initialiser_runs_once_and_takes_nothing() -> None:
    def fill(b: Builder) -> list[Value]:
        b(AssignVariable(), b(VarHandle(shared_name="v")), np.ones(3, np.float32))
        return []

    init = graph("init", [], fill)
    assert CallOnce(init).infer() == ()
    assert CallOnce(init).effect == "write"
    with pytest.raises(ValueError, match="neither inputs nor outputs"):
        CallOnce(graph("other", [f32(3)], lambda b, x: x)).infer()


def test_joined_types_cover_both() -> None:
    assert join_types(f32(N, 3), f32(N, 3)) == f32(N, 3)
    assert join_types(f32(3), f32(3, 3)).shape is None
    joined = join_types(f32(2, 3), f32(4, 3)).shape
    assert joined is not None
    assert isinstance(joined[0], Sym)
    with pytest.raises(ValueError, match="do not join"):
        join_types(f32(3), TensorType(DType.INT32, (3,)))


SAME = graph("same", [f32(3)], lambda b, x: x)
WIDE = graph("wide", [f32(4)], lambda b, x: x)
PAIR = graph("pair", [f32(3)], lambda b, x: [x, x])
TEST = graph("test", [f32(3)], lambda b, x: b.const(np.array(True)))
PREDICATE, X = Value(TensorType(DType.BOOL, ())), Value(f32(3))
WRONG = [
    (If(SAME, SAME), (X, X), "must be BOOL"),
    (If(SAME, SAME), (Value(TensorType(DType.BOOL, (2,))), X), "must have one element"),
    (If(SAME, SAME), (PREDICATE,), "takes 1 inputs, not 0"),
    (If(SAME, WIDE), (PREDICATE, X), r"input 0 is f32\[4\], the operand f32\[3\]"),
    (If(SAME, PAIR), (PREDICATE, X), "the branches give 1 and 2 results"),
    (While(SAME, SAME), (X,), "the same graph"),
    (While(SAME, PAIR), (X,), "must give one BOOL"),
    (While(TEST, PAIR), (X,), "gives 2 results for 1 operands"),
    (While(TEST, WIDE), (X,), r"input 0 is f32\[4\]"),
]


@pytest.mark.parametrize(("op", "operands", "message"), WRONG)
def test_operands_that_do_not_fit(op: Any, operands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        op.infer(*operands)
