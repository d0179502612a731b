"""Convolutional LSTM: the gates are convolutions of the input and of the state.

Layers with channels first are transposed around the whole sequence, not in every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers.cells import TRAINING, lstm_gates
from litecast.frontend.keras.layers.recurrent import HARMLESS, Options, Recurrent, own_cell
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.lib import array, nn
from litecast.ops import Add

__all__: list[str] = []

Sizes = int | Sequence[int]


@keras("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", harmless=HARMLESS)
def conv_lstm(
    b: Builder,
    sequences: Any,
    initial_state: Any = None,
    *,
    layer: Layer,
    mask: Any,
    data_format: str = "channels_last",
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    **cell: Any,
) -> Any:
    # tf_keras' ConvRNN.call does not hand it on (layers/rnn/base_conv_rnn.py).
    zero = zero_output_for_mask and not layer.is_legacy
    options = Options(
        return_sequences, return_state, go_backwards, stateful, unroll, time_major, zero_output_for_mask=zero
    )
    rank = int(layer.class_name[-2])
    inner = own_cell(layer, "ConvLSTMCell", cell)
    if data_format == "channels_last":
        return Recurrent(layer, inner, options)(b, sequences, initial_state, mask)
    run = Recurrent(
        layer,
        inner,
        options,
        inward=lambda b, x: _channels_last(b, x, rank),
        outward=lambda b, x: _channels_first(b, x, rank),
    )
    return run(b, sequences, initial_state, mask)


@keras("ConvLSTMCell", harmless=TRAINING)
def conv_lstm_cell(
    b: Builder,
    inputs: Value,
    states: Sequence[Value] | None = None,
    *,
    layer: Layer,
    filters: int,
    kernel_size: Sizes,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Sizes = 1,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    use_bias: bool = True,
) -> Any:
    rank = inputs.rank - 2
    first = data_format == "channels_first"
    x = _channels_last(b, inputs, rank) if first else inputs
    window = _sizes(kernel_size, rank)
    kernel = layer.weight(b, "kernel", (*window, x.shape[-1], filters * 4))
    recurrent = layer.weight(b, "recurrent_kernel", (*window, filters, filters * 4))
    bias = layer.weight(b, "bias", (filters * 4,)) if use_bias else None
    total = _conv(b, x, kernel, _sizes(strides, rank), padding.upper(), _sizes(dilation_rate, rank), bias)
    if states is None:
        h = c = array.zeros(b, (*total.shape[:-1], filters), x.dtype)
    else:
        h, c = (_channels_last(b, state, rank) if first else state for state in states)
    ones = (1,) * rank
    total = b(Add(), total, _conv(b, h, recurrent, ones, "SAME", ones))
    output, after = lstm_gates(b, layer, total, c, activation, recurrent_activation)
    if first:
        output, *after = (_channels_first(b, value, rank) for value in (output, *after))
    return output, after


def _conv(
    b: Builder,
    x: Value,
    w: Value,
    strides: Sequence[int],
    padding: str,
    dilations: Sequence[int],
    bias: Value | None = None,
) -> Value:
    """Convolve along one to three dimensions."""
    if x.rank == 5:
        result: Value = nn.conv3d(b, x, w, strides, padding, dilations)
        return result if bias is None else nn.add_channels(b, result, bias)
    if x.rank == 4:
        return nn.conv(b, x, w, strides, padding, dilations, bias)
    rows, columns = array.expand_dims(b, x, 1), array.expand_dims(b, w, 0)
    result = nn.conv(b, rows, columns, (1, *strides), padding, (1, *dilations), bias)
    return array.squeeze(b, result, (1,))  # type: ignore[no-any-return]


def _sizes(sizes: Sizes, rank: int) -> tuple[int, ...]:
    return (sizes,) * rank if isinstance(sizes, int) else tuple(sizes)


def _channels_last(b: Builder, x: Value, rank: int) -> Value:
    """Move the channels behind `rank` spatial dimensions."""
    before = x.rank - rank - 1
    result: Value = array.transpose(b, x, (*range(before), *range(before + 1, x.rank), before))
    return result


def _channels_first(b: Builder, x: Value, rank: int) -> Value:
    """Move the channels before `rank` spatial dimensions."""
    before = x.rank - rank - 1
    result: Value = array.transpose(b, x, (*range(before), x.rank - 1, *range(before, x.rank - 1)))
    return result
