"""Cells called on their own, cells of the user's own, and CuDNN layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from litecast.errors import UnsupportedError
from litecast.lib import linalg, nn, rnn
from litecast.ops import Add, Tanh
from tests.frontend.keras.harness import TF_KERAS, built, check, layer, tf_keras

UNITS, FEATURES = 5, 4

# -- on their own ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["SimpleRNNCell", "LSTMCell", "GRUCell"])
def test_one_step(kind: str) -> None:
    count = 2 if kind == "LSTMCell" else 1

    def build(k: Any) -> Any:
        x, states = k.Input((FEATURES,)), [k.Input((UNITS,)) for _ in range(count)]
        output, after = getattr(k.layers, kind)(UNITS)(x, states)
        return k.Model([x, *states], [output, *after])

    check(build)


# -- the user's own ----------------------------------------------------------------------------------------


def custom_cell(k: Any, with_constants: bool = False) -> Any:
    """A cell class of a framework: tanh(x . kernel + h . recurrent (+ c . constant))."""

    @k.saving.register_keras_serializable()
    class MinimalCell(k.layers.Layer):  # type: ignore[misc]
        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = self.state_size = units

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(FEATURES, self.units), name="kernel")
            self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")
            self.shift = self.add_weight(shape=(self.units,), name="shift")
            self.built = True

        def call(self, x: Any, states: Any, constants: Any = None) -> Any:
            matmul = k.ops.matmul if hasattr(k, "ops") else k.backend.dot
            total = matmul(x, self.kernel) + matmul(states[0], self.recurrent) + self.shift
            if constants is not None:
                total = total + constants[0]
            output = k.activations.tanh(total)
            return output, [output]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    return MinimalCell


def lower_minimal_cell(
    b: Any, inputs: Any, states: Any = None, constants: Any = None, *, layer: Any, units: int
) -> Any:
    """What a user writes; without states they start at zeros."""
    kernel = layer.weight(b, "kernel", (inputs.shape[-1], units))
    recurrent = layer.weight(b, "recurrent", (units, units))
    (h,) = states or rnn.zero_states(b, inputs, units)
    total = b(Add(), linalg.matmul(b, inputs, kernel), linalg.matmul(b, h, recurrent))
    total = nn.add_channels(b, total, layer.weight(b, "shift", (units,)))
    if constants:
        total = b(Add(), total, constants[0])
    output = b(Tanh(), total)
    return output, [output]


LOWERING = {"MinimalCell": lower_minimal_cell}


def test_custom_cell() -> None:
    def build(k: Any) -> Any:
        cell = custom_cell(k)
        x = k.Input((None, FEATURES))
        sequence = k.layers.RNN(cell(UNITS), return_sequences=True)(x)
        stacked = k.layers.RNN([cell(UNITS), k.layers.LSTMCell(3)], return_state=True)(x)
        return k.Model(x, [sequence, *stacked[:1], k.layers.Bidirectional(k.layers.RNN(cell(2)))(x)])

    check(build, custom_objects=LOWERING)


def test_custom_cell_under_a_mask() -> None:
    def build(k: Any) -> Any:
        x, mask = k.Input((None, FEATURES)), k.Input((None,), dtype="bool")
        return k.Model([x, mask], k.layers.RNN(custom_cell(k)(UNITS), return_sequences=True)(x, mask=mask))

    check(build, custom_objects=LOWERING)


def test_unknown_cell_is_named(tmp_path: Path) -> None:
    model = built("keras", layer(lambda k: k.layers.RNN(custom_cell(k)(UNITS)), (None, FEATURES)))
    model.save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedError, match="MinimalCell"):
        litecast.convert(tmp_path / "model.keras")


@pytest.mark.parametrize("stacked", [False, True])
def test_cell_that_wants_states_is_refused(stacked: bool, tmp_path: Path) -> None:
    def lower(b: Any, inputs: Any, states: Any, *, units: int) -> Any:
        return states[0], states

    def make(k: Any) -> Any:
        cell = custom_cell(k)(UNITS)
        return k.layers.RNN([cell, k.layers.GRUCell(2)] if stacked else cell)

    built("keras", layer(make, (None, FEATURES))).save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedError, match="zero_states"):
        litecast.convert(tmp_path / "model.keras", custom_objects={"MinimalCell": lower})


@pytest.mark.parametrize("both", [False, True])
def test_constants(both: bool) -> None:
    """tf_keras hands constants, and states, on behind the input."""

    def build(k: Any) -> Any:
        x, c, h = k.Input((None, FEATURES)), k.Input((UNITS,)), k.Input((UNITS,))
        cells = custom_cell(k)(UNITS), k.layers.GRUCell(UNITS)
        states = {"initial_state": [h]} if both else {}
        y = k.layers.RNN(cells[0], return_sequences=True)(x, constants=c, **states)
        return k.Model([x, c, h], [y, k.layers.RNN(list(cells))(x, constants=c), h])

    check(build, frameworks=TF_KERAS, custom_objects=LOWERING, formats=("h5",))


# -- CuDNN -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["h5", "keras"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_cudnn(kind: str, form: str, tmp_path: Path) -> None:
    """Only a GPU runs it: compared with the layer of the same weights that the CPU runs."""
    from tf_keras.src.layers.rnn import cudnn_gru, cudnn_lstm
    from tf_keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

    options = {"return_sequences": True, "return_state": True, "go_backwards": True}
    reference = built("tf_keras", layer(lambda k: getattr(k.layers, kind)(UNITS, **options), (6, FEATURES)))
    inner = {"LSTM": cudnn_lstm.CuDNNLSTM, "GRU": cudnn_gru.CuDNNGRU}[kind](UNITS, **options)
    x = tf_keras.Input((6, FEATURES))
    model = tf_keras.Model(x, inner(x))
    inner.set_weights(preprocess_weights_for_loading(inner, reference.get_weights()))
    model.save(tmp_path / f"model.{form}")
    rows = np.random.default_rng(0).standard_normal((3, 6, FEATURES)).astype(np.float32)
    converted = litecast.convert(tmp_path / f"model.{form}")(rows)
    for got, wanted in zip(converted.values(), reference(rows), strict=True):
        np.testing.assert_allclose(got, np.asarray(wanted), rtol=1e-4, atol=1e-5)


def test_weights_of_cudnn_in_a_plain_layer(tmp_path: Path) -> None:
    """Keras loads the weights of either into the other."""
    from tf_keras.src.layers.rnn import cudnn_lstm

    x = tf_keras.Input((6, FEATURES))
    fast = tf_keras.Model(x, cudnn_lstm.CuDNNLSTM(UNITS, name="same")(x))
    fast.save_weights(tmp_path / "weights.h5")
    plain = tf_keras.Model(x, tf_keras.layers.LSTM(UNITS, name="same")(x))
    plain.load_weights(tmp_path / "weights.h5")
    (tmp_path / "model.json").write_text(plain.to_json())
    rows = np.random.default_rng(0).standard_normal((3, 6, FEATURES)).astype(np.float32)
    converted = litecast.convert(tmp_path / "model.json", weights=tmp_path / "weights.h5")
    (got,) = converted(rows).values()
    np.testing.assert_allclose(got, np.asarray(plain(rows)), rtol=1e-4, atol=1e-5)
