"""Recurrent cells: one time step, `(inputs, states) -> (output, states)`; without states they start at zeros.

A cell of the user's own follows the same contract. RNN asks for first states by a call without any, of which
it only takes the shapes of the new ones.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from litecast.frontend.keras.config import parse
from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.weights import snake_case
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import array, linalg, nn, rnn
from litecast.ops import Add, Mul, Sub

__all__ = ["TRAINING", "check_start", "lstm_gates"]

TRAINING = ("dropout", "recurrent_dropout", "unit_forget_bias", "enable_caching_device")
"""Dropout, the first value of a bias, and where a distributed training keeps its variables."""

States = Value | Sequence[Value] | None


def check_start(cell: Layer) -> None:
    """Raise UnsupportedError for a cell that cannot be called without states."""
    parameters = list(inspect.signature(cell.tracer.importer(cell).function).parameters.values())[2:3]
    if any(parameter.default is parameter.empty for parameter in parameters):
        raise cell.unsupported(
            "its lowering does not say what its states are at first",
            "give it `states=None`, and use `states or litecast.lib.rnn.zero_states(b, inputs, units)`",
        )


def _first(b: Builder, states: States, x: Value, *sizes: Any) -> list[Value]:
    """Return the states as a list; zeros of [batch, size] where there are none."""
    if states is None:
        return rnn.zero_states(b, x, *sizes)
    return [states] if isinstance(states, Value) else list(states)


def _dense(b: Builder, x: Value, kernel: Value, bias: Value | None) -> Value:
    result: Value = linalg.matmul(b, array.cast(b, x, DType.FLOAT32), kernel)
    return result if bias is None else nn.add_channels(b, result, bias)


def _total(b: Builder, layer: Layer, x: Value, h: Value, units: int, gates: int, use_bias: bool) -> Value:
    """Return x @ kernel + bias + h @ recurrent_kernel: `units` columns for each gate."""
    size = units * gates
    kernel = layer.weight(b, "kernel", (x.shape[-1], size))
    recurrent = layer.weight(b, "recurrent_kernel", (units, size))
    bias = layer.weight(b, "bias", (size,)) if use_bias else None
    result: Value = b(Add(), _dense(b, x, kernel, bias), linalg.matmul(b, h, recurrent))
    return result


@keras("SimpleRNNCell", harmless=TRAINING)
def simple_rnn_cell(
    b: Builder,
    inputs: Value,
    states: States = None,
    *,
    layer: Layer,
    units: int,
    activation: Any = "tanh",
    use_bias: bool = True,
) -> Any:
    (h,) = _first(b, states, inputs, units)
    total = _total(b, layer, inputs, h, units, 1, use_bias)
    output = layer.activate(b, activation, total)
    return output, [output]


@keras("LSTMCell", harmless=TRAINING)
def lstm_cell(
    b: Builder,
    inputs: Value,
    states: States = None,
    *,
    layer: Layer,
    units: int,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    use_bias: bool = True,
) -> Any:
    h, c = _first(b, states, inputs, units, units)
    total = _total(b, layer, inputs, h, units, 4, use_bias)
    return lstm_gates(b, layer, total, c, activation, recurrent_activation)


def lstm_gates(
    b: Builder, layer: Layer, total: Value, c: Value, activation: Any, recurrent_activation: Any
) -> Any:
    """Return output and states of an LSTM step from its gates i, f, c, o along the last axis."""
    gates = array.split(b, total, 4, -1)
    i, f, o = (layer.activate(b, recurrent_activation, gates[index]) for index in (0, 1, 3))
    update = b(Mul(), i, layer.activate(b, activation, gates[2]))
    c = b(Add(), b(Mul(), f, c), update)
    h = b(Mul(), o, layer.activate(b, activation, c))
    return h, [h, c]


@keras("GRUCell", harmless=TRAINING)
def gru_cell(
    b: Builder,
    inputs: Value,
    states: States = None,
    *,
    layer: Layer,
    units: int,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    use_bias: bool = True,
    reset_after: bool | None = None,
) -> Any:
    # Files that do not say are older than the option: reset before.
    after = not layer.is_legacy if reset_after is None else reset_after
    kernel = layer.weight(b, "kernel", (inputs.shape[-1], units * 3))
    recurrent = layer.weight(b, "recurrent_kernel", (units, units * 3))
    bias = recurrent_bias = None
    if use_bias:
        bias = layer.weight(b, "bias", (2, units * 3) if after else (units * 3,))
        if after:
            bias, recurrent_bias = array.unpack(b, bias, 0)
    (h,) = _first(b, states, inputs, units)
    x_z, x_r, x_new = array.split(b, _dense(b, inputs, kernel, bias), 3, -1)
    if after:
        h_z, h_r, h_new = array.split(b, _dense(b, h, recurrent, recurrent_bias), 3, -1)
    else:
        for_gates, for_new = array.split(b, recurrent, (2 * units, units), -1)
        h_z, h_r = array.split(b, linalg.matmul(b, h, for_gates), 2, -1)
    z, r = (layer.activate(b, recurrent_activation, b(Add(), *gate)) for gate in ((x_z, h_z), (x_r, h_r)))
    h_new = b(Mul(), r, h_new) if after else linalg.matmul(b, b(Mul(), r, h), for_new)
    new = layer.activate(b, activation, b(Add(), x_new, h_new))
    output = b(Add(), new, b(Mul(), z, b(Sub(), h, new)))
    return output, [output]


@keras("StackedRNNCells", harmless=("reverse_state_order",))
def stacked(
    b: Builder,
    inputs: Value,
    states: Any = None,
    constants: Sequence[Value] | None = None,
    *,
    layer: Layer,
    cells: Sequence[Any],
) -> Any:
    # reverse_state_order only sorts the sizes of the first states: tf_keras hands them on as they come.
    held = [None] * len(cells) if states is None else states
    after = []
    for cell, state in zip(_children(layer, cells), held, strict=True):
        if states is None:
            check_start(cell)
        given = {"constants": constants} if constants and cell.takes("constants") else {}
        inputs, new = cell(b, inputs, state, **given)
        after.append(new)
    return inputs, after


def _children(layer: Layer, cells: Sequence[Any]) -> list[Layer]:
    """Return the cells, kept in a list: by class, numbered (keras/src/saving, `_save_container_state`)."""
    counts: dict[str, int] = {}
    children = []
    for cell in cells:
        name = snake_case(parse(cell).class_name)
        number = counts[name] = counts.get(name, -1) + 1
        children.append(layer.child(f"cells/{name}_{number}" if number else f"cells/{name}", cell))
    return children
