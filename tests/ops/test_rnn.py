"""Recurrent layers: LiteRT against loops in numpy; state stays between runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litecast.ir.graph import Graph, Loc, Model, Node, Value
from litecast.ir.types import DType, Quant, TensorType
from litecast.ops import (
    LSTM,
    RNN,
    SVDF,
    BidirectionalSequenceLSTM,
    BidirectionalSequenceRNN,
    UnidirectionalSequenceLSTM,
    UnidirectionalSequenceRNN,
)
from litecast.ops.enums import Activation, LSTMKernelType
from litecast.tflite.runtime import Runtime
from litecast.tflite.writer import write

BATCH, TIME, FEATURES, UNITS = 2, 5, 3, 4
TANH = Activation.TANH
random = np.random.default_rng(21)


def draw(*shape: int) -> Any:
    return random.uniform(-0.5, 0.5, shape).astype(np.float32)


class State:
    """A variable tensor of an operation."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape


class Fed:
    """An operand that is an input of the model."""

    def __init__(self, array: Any) -> None:
        self.array = array


class Layer:
    """A model of one recurrent operation: arrays are constants, the first operand is the input."""

    def __init__(self, op: Any, x: Any, *operands: Any) -> None:
        self.feeds = [x, *(operand.array for operand in operands if isinstance(operand, Fed))]
        graph = Graph()
        inputs: list[Value | None] = [graph.add_input(TensorType(DType.FLOAT32, x.shape), "x")]
        inputs += [operand_value(graph, operand) for operand in operands]
        inferred = op.infer(*inputs)
        self.types = inferred if isinstance(inferred, tuple) else (inferred,)
        outputs = [Value(type, f"y{index}") for index, type in enumerate(self.types)]
        graph.nodes.append(Node(op, inputs, outputs, Loc()))
        graph.set_outputs(outputs)
        self.version = op.version(inputs, outputs)
        self.runtime = Runtime(write(Model(graphs=[graph])))

    def run(self) -> list[Any]:
        results = list(self.runtime.run(self.feeds).values())
        assert [type.shape for type in self.types] == [result.shape for result in results]
        return results


def operand_value(graph: Graph, operand: Any) -> Value | None:
    if operand is None:
        return None
    if isinstance(operand, Fed):
        return graph.add_input(TensorType(DType.FLOAT32, operand.array.shape), "fed")
    if isinstance(operand, State):
        value = Value(TensorType(DType.FLOAT32, operand.shape), "state")
        value.is_variable = True
        return value
    return Value(TensorType(DType.of(operand.dtype), operand.shape), const=operand)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def lstm_steps(x: Any, w: Any, u: Any, bias: Any, state: Any) -> Any:
    """Run an LSTM over [batch, time, features]; w, u and bias are by gate: input, forget, cell, output."""
    h, c = state
    results = []
    for step in range(x.shape[1]):
        gates = [x[:, step] @ wi.T + h @ ui.T + b for wi, ui, b in zip(w, u, bias, strict=True)]
        i, f, o = (sigmoid(gates[index]) for index in (0, 1, 3))
        c = f * c + i * np.tanh(gates[2])
        h = o * np.tanh(c)
        results.append(h)
    return np.stack(results, 1), (h, c)


def lstm_weights() -> Any:
    w, u = [draw(UNITS, FEATURES) for _ in range(4)], [draw(UNITS, UNITS) for _ in range(4)]
    return w, u, [draw(UNITS) for _ in range(4)]


NOTHING = (np.zeros((BATCH, UNITS)), np.zeros((BATCH, UNITS)))


@pytest.mark.parametrize("count", [20, 24])
@pytest.mark.parametrize("time_major", [False, True])
def test_sequence_lstm_goes_on_from_its_state(time_major: bool, count: int) -> None:
    w, u, bias = lstm_weights()
    x = draw(BATCH, TIME, FEATURES)
    given = np.ascontiguousarray(np.swapaxes(x, 0, 1)) if time_major else x
    states = State(BATCH, UNITS), State(BATCH, UNITS)
    op = UnidirectionalSequenceLSTM(TANH, time_major=time_major)
    layer = Layer(op, given, *w, *u, None, None, None, *bias, None, None, *states, *[None] * (count - 20))
    first, state = lstm_steps(x, w, u, bias, NOTHING)
    second, _ = lstm_steps(x, w, u, bias, state)
    for expected in (first, second):
        (actual,) = layer.run()
        actual = np.swapaxes(actual, 0, 1) if time_major else actual
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    layer.runtime.reset()
    np.testing.assert_allclose(layer.run()[0], np.swapaxes(first, 0, 1) if time_major else first, atol=1e-5)
    assert layer.version == 1


def test_lstm_step() -> None:
    w, u, bias = lstm_weights()
    x = draw(BATCH, FEATURES)
    states = State(BATCH, UNITS), State(BATCH, UNITS)
    layer = Layer(LSTM(TANH), x, *w, *u, None, None, None, *bias, None, None, *states)
    state = NOTHING
    for _ in range(3):
        expected, state = lstm_steps(x[:, None], w, u, bias, state)
        np.testing.assert_allclose(layer.run()[0], expected[:, 0], rtol=1e-4, atol=1e-5)


def test_basic_lstm_step_takes_its_state_as_operands() -> None:
    w, u, bias = lstm_weights()
    order = (0, 2, 1, 3)
    merged = np.concatenate([np.concatenate([w[gate], u[gate]], 1) for gate in order])
    h, c = draw(BATCH, UNITS), draw(BATCH, UNITS)
    x = draw(BATCH, FEATURES)
    op = LSTM(TANH, kernel_type=LSTMKernelType.BASIC)
    layer = Layer(op, x, Fed(h), merged, np.concatenate([bias[gate] for gate in order]), Fed(c))
    expected, (_, cell) = lstm_steps(x[:, None], w, u, bias, (h, c))
    results = layer.run()
    np.testing.assert_allclose(results[0], expected[:, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(results[1], cell, rtol=1e-4, atol=1e-5)
    assert layer.version == 2


def rnn_steps(x: Any, w: Any, u: Any, bias: Any) -> Any:
    h, results = np.zeros((x.shape[0], UNITS)), []
    for step in range(x.shape[1]):
        h = np.tanh(x[:, step] @ w.T + h @ u.T + bias)
        results.append(h)
    return np.stack(results, 1)


def rnn_weights() -> Any:
    return draw(UNITS, FEATURES), draw(UNITS, UNITS), draw(UNITS)


def test_rnn_step() -> None:
    weights = rnn_weights()
    x = draw(BATCH, FEATURES)
    layer = Layer(RNN(TANH), x, *weights, State(BATCH, UNITS))
    expected = rnn_steps(np.repeat(x[:, None], 3, 1), *weights)
    for step in range(3):
        np.testing.assert_allclose(layer.run()[0], expected[:, step], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("time_major", [False, True])
def test_sequence_rnn(time_major: bool) -> None:
    weights = rnn_weights()
    x = draw(BATCH, TIME, FEATURES)
    given = np.ascontiguousarray(np.swapaxes(x, 0, 1)) if time_major else x
    (actual,) = Layer(UnidirectionalSequenceRNN(time_major, TANH), given, *weights, State(BATCH, UNITS)).run()
    expected = rnn_steps(x, *weights)
    np.testing.assert_allclose(
        np.swapaxes(actual, 0, 1) if time_major else actual, expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("merge", [False, True])
def test_bidirectional_rnn_runs_backwards_too(merge: bool) -> None:
    there, back = rnn_weights(), rnn_weights()
    x = draw(BATCH, TIME, FEATURES)
    op = BidirectionalSequenceRNN(False, TANH, merge)
    states = State(BATCH, UNITS), State(BATCH, UNITS)
    layer = Layer(op, x, *there, states[0], *back, states[1], None, None, None)
    expected = [rnn_steps(x, *there), rnn_steps(x[:, ::-1], *back)[:, ::-1]]
    expected = [np.concatenate(expected, -1)] if merge else expected
    for one, other in zip(layer.run(), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def bidirectional_lstm(batch: int, merge: bool, time_major: bool) -> tuple[list[Any], list[Any]]:
    """Return what LiteRT gives and what it should, batch first."""
    sides = [lstm_weights(), lstm_weights()]
    x = draw(batch, TIME, FEATURES)
    operands: list[Any] = []
    for w, u, bias in sides:
        operands += [*w, *u, None, None, None, *bias, None, None]
    states = [State(batch, UNITS) for _ in range(4)]
    op = BidirectionalSequenceLSTM(TANH, merge_outputs=merge, time_major=time_major)
    given = np.ascontiguousarray(np.swapaxes(x, 0, 1)) if time_major else x
    actual = Layer(op, given, *operands, *states, *[None] * 9).run()
    nothing = (np.zeros((batch, UNITS)), np.zeros((batch, UNITS)))
    there, _ = lstm_steps(x, *sides[0], nothing)
    back, _ = lstm_steps(x[:, ::-1], *sides[1], nothing)
    expected = [there, back[:, ::-1]]
    expected = [np.concatenate(expected, -1)] if merge else expected
    return [np.swapaxes(part, 0, 1) if time_major else part for part in actual], expected


@pytest.mark.parametrize(
    ("batch", "merge", "time_major"),
    [(2, False, False), (2, False, True), (2, True, True), (1, True, False), (1, True, True)],
)
def test_bidirectional_lstm_runs_backwards_too(batch: int, merge: bool, time_major: bool) -> None:
    for one, other in zip(*bidirectional_lstm(batch, merge, time_major), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_svdf_filters_the_last_steps() -> None:
    rank, memory = 2, 4
    features, times, bias = draw(UNITS * rank, FEATURES), draw(UNITS * rank, memory), draw(UNITS)
    x = draw(BATCH, FEATURES)
    layer = Layer(SVDF(rank), x, features, times, bias, State(BATCH, memory * UNITS * rank))
    history = np.zeros((BATCH, UNITS * rank, memory))
    for _ in range(memory + 1):
        history = np.concatenate([history[:, :, 1:], (x @ features.T)[:, :, None]], 2)
        filtered = (history * times).sum(2).reshape(BATCH, UNITS, rank).sum(2)
        np.testing.assert_allclose(layer.run()[0], filtered + bias, rtol=1e-4, atol=1e-5)


def value(*shape: int, dtype: DType = DType.FLOAT32) -> Value:
    return Value(TensorType(dtype, shape, Quant((0.1,), (0,)) if dtype.is_integer else None))


def version(op: Any, weights: DType, at: int, x: DType = DType.FLOAT32) -> int:
    """Return the version of an operation whose weights are of a type."""
    inputs: list[Value | None] = [value(2, 3, dtype=x), *[None] * 23]
    inputs[at] = value(4, 3, dtype=weights)
    return op.version(inputs, [value(2, 4, dtype=x)])


HYBRID = [
    (LSTM, 2, (3, 4)),
    (UnidirectionalSequenceLSTM, 2, (2, 3)),
    (BidirectionalSequenceLSTM, 1, (2, 3)),
    (RNN, 1, (2, 3)),
    (UnidirectionalSequenceRNN, 1, (2, 3)),
    (BidirectionalSequenceRNN, 1, (2, 3)),
    (SVDF, 1, (2, 4)),
]


@pytest.mark.parametrize(("kind", "at", "versions"), HYBRID)
def test_versions_of_quantized_weights(kind: Any, at: int, versions: tuple[int, int]) -> None:
    assert version(kind(), DType.FLOAT32, at) == 1
    assert version(kind(), DType.INT8, at) == versions[0]
    assert version(kind(asymmetric_quantize_inputs=True), DType.INT8, at) == versions[1]


def test_versions_of_integer_kernels() -> None:
    assert version(SVDF(), DType.INT8, 1, DType.INT8) == 3
    assert version(LSTM(), DType.INT8, 2, DType.INT16) == 5
    assert version(UnidirectionalSequenceLSTM(), DType.INT8, 2, DType.INT16) == 5
    assert version(UnidirectionalSequenceLSTM(diagonal_recurrent_tensors=True), DType.FLOAT32, 2) == 4


WRONG = [
    (LSTM(), (value(2, 3),) * 19, "19 operands, not 20 or 24"),
    (LSTM(), (value(2, 3), *[None] * 19), r"operand 8 \(recurrent to output weights\) is missing"),
    (UnidirectionalSequenceLSTM(), (value(2, 3), *[value(4, 4)] * 19), "rank 3"),
    (BidirectionalSequenceRNN(), (value(2, 3, 4),) * 11, "11 operands, not 12"),
    (
        BidirectionalSequenceLSTM(merge_outputs=True, time_major=False),
        (value(2, 5, 3), *[value(4, 4)] * 47),
        "want a batch of 1",
    ),
    (SVDF(3), (value(2, 3), value(8, 3), value(8, 4), None, value(2, 32)), "no multiple of the rank 3"),
]


@pytest.mark.parametrize(("op", "operands", "message"), WRONG)
def test_operands_that_do_not_fit(op: Any, operands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        op.infer(*operands)
