"""SimpleRNN, LSTM, GRU and RNN of cells: options, masks, given states, and state that is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import litecast
from litecast.errors import UnsupportedError
from tests.frontend.keras.harness import (
    EVERY_FORMAT,
    KERAS,
    TF_KERAS,
    built,
    check,
    keras,
    layer,
    layers,
    operations,
    spec,
)

UNITS, FEATURES = 5, 4
KINDS = ("SimpleRNN", "LSTM", "GRU")
SEQUENCE = (None, FEATURES)
STEPS = (1, 6)
"""Numbers of time steps, of which 1 is a case of its own."""


def make(kind: str, **options: Any) -> Callable[[Any], Any]:
    return lambda k: getattr(k.layers, kind)(UNITS, **options)


def masks(rng: np.random.Generator, shape: Any, dtype: Any) -> np.ndarray:
    """Masks with holes, whole rows, and steps masked at either end."""
    rows = rng.random(shape) < 0.6
    rows[0], rows[-1, -2:], rows[-1, 0] = rng.random(shape[1]) < 0.5, False, True
    return rows


# -- options -----------------------------------------------------------------------------------------------

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sequences": {"return_sequences": True},
    "state": {"return_state": True},
    "both": {"return_sequences": True, "return_state": True},
    "backwards": {"go_backwards": True, "return_sequences": True},
    "backwards last": {"go_backwards": True, "return_state": True},
    "no bias": {"use_bias": False},
    "dropout": {"dropout": 0.3, "recurrent_dropout": 0.2},
    "relu": {"activation": "relu"},
    "linear": {"activation": None},
}


@pytest.mark.parametrize("kind", KINDS)
def test_options(kind: str) -> None:
    def build(k: Any) -> Any:
        return {name: getattr(k.layers, kind)(UNITS, **options) for name, options in OPTIONS.items()}

    check(layers(build, SEQUENCE), sizes=STEPS)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_options_of_gates(kind: str) -> None:
    def build(k: Any) -> Any:
        options = {
            "hard sigmoid": {"recurrent_activation": "hard_sigmoid"},
            "relu": {"recurrent_activation": "relu", "activation": "sigmoid"},
            "softmax": {"recurrent_activation": "softmax", "return_sequences": True},
            "implementation 1": {"implementation": 1},
        }
        if kind == "LSTM":
            options["no forget bias"] = {"unit_forget_bias": False}
        else:
            options["reset before"] = {"reset_after": False}
            options["reset before, no bias"] = {"reset_after": False, "use_bias": False}
            options["reset after, no bias"] = {"reset_after": True, "use_bias": False}
        return {name: getattr(k.layers, kind)(UNITS, **found) for name, found in options.items()}

    check(layers(build, SEQUENCE))


@pytest.mark.parametrize("kind", KINDS)
def test_unrolled(kind: str) -> None:
    def build(k: Any) -> Any:
        of = getattr(k.layers, kind)
        return {
            "last": of(UNITS, unroll=True),
            "sequences": of(UNITS, unroll=True, return_sequences=True, go_backwards=True),
            "state": of(UNITS, unroll=True, return_state=True),
        }

    converted = check(layers(build, (3, FEATURES)))
    assert "While" not in operations(converted)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_is_no_loop(kind: str) -> None:
    converted = check(layer(make(kind, return_sequences=True), (1, FEATURES)))
    assert "While" not in operations(converted)


@pytest.mark.parametrize("steps", [100, 103])
def test_long_sequences_are_two_loops(steps: int) -> None:
    """Of a number of steps that has divisors, and of one that has none."""

    def build(k: Any) -> Any:
        x, mask = k.Input((steps, FEATURES)), k.Input((steps,), dtype="bool")
        options = {"return_sequences": True}
        results = k.layers.LSTM(64, return_state=True, **options)(x, mask=mask)
        return k.Model([x, mask], [*results, k.layers.GRU(64, go_backwards=True, **options)(x)])

    check(build, None, masks, formats=("keras",), frameworks=KERAS)


def test_time_major() -> None:
    def build(k: Any) -> Any:
        x = k.Input((3, FEATURES), batch_size=6)
        options = ({}, {"return_sequences": True}, {"return_sequences": True, "go_backwards": True})
        found = [k.layers.LSTM(UNITS, time_major=True, **more)(x) for more in options]
        return k.Model(x, [*found, k.layers.RNN(k.layers.GRUCell(UNITS), time_major=True)(x)])

    check(build, frameworks=TF_KERAS)


@pytest.mark.parametrize("kind", KINDS)
def test_from_every_source(kind: str) -> None:
    check(layer(make(kind, return_sequences=True), SEQUENCE), formats=EVERY_FORMAT)


def test_integers() -> None:
    """Keras 3 promotes them in its product; tf_keras converts no input."""
    check(layer(make("GRU"), spec((4, FEATURES), "int32")), frameworks=KERAS)


def test_half_precision() -> None:
    check(layer(make("LSTM", dtype="mixed_float16"), (4, FEATURES)), formats=("keras",))


def test_frozen_and_shared() -> None:
    def build(k: Any) -> Any:
        x, y = k.Input(SEQUENCE), k.Input(SEQUENCE)
        shared = k.layers.GRU(UNITS, return_sequences=True, trainable=False)
        last = k.layers.LSTM(3)
        return k.Model([x, y], [last(shared(x)), last(shared(y))])

    check(build)


# -- masks -------------------------------------------------------------------------------------------------


MASKED: dict[str, dict[str, Any]] = {
    "sequences": {"return_sequences": True, "return_state": True},
    "last": {"return_state": True},
    "backwards": {"return_sequences": True, "go_backwards": True},
    "zeros": {"return_sequences": True, "zero_output_for_mask": True},
    "zeros last": {"zero_output_for_mask": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_masks(kind: str) -> None:
    def build(k: Any) -> Any:
        return {name: getattr(k.layers, kind)(UNITS, **options) for name, options in MASKED.items()}

    model = layers(build, SEQUENCE, spec((None,), "bool"), call=lambda made, x, mask: made(x, mask=mask))
    check(model, None, masks, sizes=STEPS)


def test_masks_unrolled() -> None:
    def build(k: Any) -> Any:
        last = k.layers.LSTM(UNITS, unroll=True, return_state=True)
        options = {"unroll": True, "return_sequences": True}
        return {
            "last": last,
            "sequences": k.layers.GRU(UNITS, **options),
            "zeros": k.layers.LSTM(UNITS, zero_output_for_mask=True, **options),
            "backwards": k.layers.SimpleRNN(UNITS, go_backwards=True, **options),
        }

    model = layers(build, (4, FEATURES), spec((4,), "bool"), call=lambda made, x, mask: made(x, mask=mask))
    check(model, None, masks)


def test_mask_of_embedding_reaches_the_second_layer() -> None:
    def build(k: Any) -> Any:
        ids = k.Input((None,), dtype="int32")
        x = k.layers.Embedding(9, FEATURES, mask_zero=True)(ids)
        x = k.layers.LSTM(UNITS, return_sequences=True)(x)
        return k.Model(ids, k.layers.GRU(3)(x))

    ids = np.array([[3, 0, 4, 0, 0], [0, 0, 1, 2, 3], [0, 0, 0, 0, 0]], np.int32)
    check(build, ids, sizes=(5,))


def test_mask_of_masking() -> None:
    def fill(rng: np.random.Generator, shape: Any, dtype: Any) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype) * masks(rng, shape[:2], bool)[..., None]

    def build(k: Any) -> Any:
        x = k.Input(SEQUENCE)
        masked = k.layers.Masking()(x)
        results = [k.layers.LSTM(UNITS)(masked), k.layers.SimpleRNN(UNITS, return_sequences=True)(masked)]
        return k.Model(x, results)

    check(build, fill)


def test_masked_first_step_from_a_given_state() -> None:
    """The output before the first step is zeros, whatever the state is."""

    def build(k: Any) -> Any:
        x, mask, h = k.Input(SEQUENCE), k.Input((None,), dtype="bool"), k.Input((UNITS,))
        return k.Model([x, mask, h], k.layers.GRU(UNITS)(x, initial_state=h, mask=mask))

    check(build, None, lambda rng, shape, dtype: np.zeros(shape, dtype))


# -- states ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_initial_state(kind: str) -> None:
    count = 2 if kind == "LSTM" else 1

    def build(k: Any) -> Any:
        x, states = k.Input(SEQUENCE), [k.Input((UNITS,)) for _ in range(count)]
        of = getattr(k.layers, kind)
        encoded, *encoder = of(UNITS, return_state=True)(x)
        decoded = of(UNITS, return_sequences=True)(x, initial_state=encoder)
        return k.Model([x, *states], [encoded, decoded, of(UNITS)(x, initial_state=states)])

    check(build)


@pytest.mark.parametrize("states", ["variables", "io"])
@pytest.mark.parametrize("kind", KINDS)
def test_stateful_over_three_calls(kind: str, states: str) -> None:
    model = layer(make(kind, stateful=True, return_sequences=True), spec((4, FEATURES), batch=2))
    check(model, states=states, calls=3)


@pytest.mark.parametrize("states", ["variables", "io"])
def test_stateful_stack(states: str) -> None:
    def build(k: Any) -> Any:
        x = k.Input((None, FEATURES), batch_size=1)
        y = k.layers.LSTM(UNITS, stateful=True, return_sequences=True)(x)
        cells = [k.layers.GRUCell(3), k.layers.LSTMCell(2)]
        return k.Model(x, k.layers.RNN(cells, stateful=True, return_state=True)(y)[0])

    # RNN.reset_state of Keras 3.15 fails for several cells.
    check(build, states=states, calls=3, frameworks=TF_KERAS)


def test_stateful_from_a_given_state() -> None:
    """tf_keras takes the given state while its own is zero, Keras 3 always."""

    def build(k: Any) -> Any:
        x, h = k.Input((3, FEATURES), batch_size=2), k.Input((UNITS,), batch_size=2)
        return k.Model([x, h], k.layers.GRU(UNITS, stateful=True)(x, initial_state=h))

    check(build, calls=3, frameworks=TF_KERAS)
    check(build, calls=3, frameworks=KERAS)


# -- cells -------------------------------------------------------------------------------------------------


def test_rnn_of_every_cell() -> None:
    def build(k: Any) -> Any:
        of = k.layers
        return {
            "simple": of.RNN(of.SimpleRNNCell(UNITS, activation="relu")),
            "lstm": of.RNN(of.LSTMCell(UNITS, use_bias=False), return_sequences=True),
            "gru": of.RNN(of.GRUCell(UNITS, reset_after=False), return_state=True),
            "list": of.RNN([of.LSTMCell(3), of.LSTMCell(4), of.GRUCell(UNITS)], return_state=True),
            "stacked": of.RNN(of.StackedRNNCells([of.GRUCell(3), of.SimpleRNNCell(2)])),
            "one of one": of.RNN(of.StackedRNNCells([of.LSTMCell(3)])),
        }

    check(layers(build, SEQUENCE))


def test_stacked_cells_from_given_states_under_a_mask() -> None:
    def build(k: Any) -> Any:
        x, mask = k.Input(SEQUENCE), k.Input((None,), dtype="bool")
        h, c, g = (k.Input((units,)) for units in (3, 3, 2))
        cells = [k.layers.LSTMCell(3), k.layers.GRUCell(2)]
        stack = k.layers.RNN(cells, return_sequences=True, return_state=True)
        outputs = stack(x, initial_state=[[h, c], [g]] if k is keras else [[h, c], g], mask=mask)
        return k.Model([x, mask, h, c, g], outputs[0])

    check(build, None, masks, formats=("keras",))


def test_speed_needs_one_product_before_the_loop() -> None:
    """The projection of the inputs is computed for all steps at once."""
    for kind in KINDS:
        converted = check(layer(make(kind), SEQUENCE), formats=("keras",), frameworks=KERAS)
        names = operations(converted)
        assert names.count("While") == 1
        assert names.count("FullyConnected") == 1


# -- in models ---------------------------------------------------------------------------------------------


def test_encoder_and_decoder_under_masks() -> None:
    """Keras 3 gives a layer that is called on several tensors no mask that came with one; tf_keras does."""

    def build(k: Any) -> Any:
        ids, targets = (k.Input((None,), dtype="int32") for _ in range(2))
        embed = k.layers.Embedding(9, FEATURES, mask_zero=True)
        _, *states = k.layers.LSTM(UNITS, return_state=True)(embed(ids))
        y = k.layers.LSTM(UNITS, return_sequences=True)(embed(targets), initial_state=states)
        return k.Model([ids, targets], k.layers.GRU(3, return_sequences=True)(y))

    check(build)


def test_nested_model_called_twice() -> None:
    def build(k: Any) -> Any:
        x = k.Input(SEQUENCE)
        inner = k.Model(x, k.layers.LSTM(3, return_sequences=True)(k.layers.Masking()(x)))
        y = k.Input(SEQUENCE)
        return k.Model(y, [inner(y), k.layers.GRU(2)(inner(y))])

    check(build)


# -- what is refused ---------------------------------------------------------------------------------------


def test_unknown_option_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    model = built("keras", layer(make("LSTM"), SEQUENCE))
    path.write_text(model.to_json().replace('"use_bias"', '"peephole": true, "use_bias"'))
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(UnsupportedError, match="peephole"):
        litecast.convert(path, weights=tmp_path / "model.weights.h5")


def test_state_of_unknown_batch_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    model = built("keras", layer(make("LSTM", stateful=True), spec((3, FEATURES), batch=2)))
    path.write_text(model.to_json().replace('"batch_shape": [2,', '"batch_shape": [null,'))
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(UnsupportedError, match="--batch 1"):
        litecast.convert(path, weights=tmp_path / "model.weights.h5")
    litecast.convert(path, weights=tmp_path / "model.weights.h5", batch=1)
