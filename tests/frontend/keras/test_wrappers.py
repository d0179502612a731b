"""Bidirectional in every merge mode, and TimeDistributed around layers and models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.frontend.keras.harness import (
    EVERY_FORMAT,
    KERAS,
    TF_KERAS,
    check,
    layer,
    layers,
    operations,
    spec,
)

UNITS, FEATURES = 5, 4
SEQUENCE = (None, FEATURES)
MODES = ("concat", "sum", "ave", "mul", None)


def masks(rng: np.random.Generator, shape: Any, dtype: Any) -> np.ndarray:
    """Padding at the end, holes, and one row that is masked."""
    rows = rng.random(shape) < 0.7
    rows[0, -2:], rows[-1] = False, rng.random() < 0.5
    return rows


# -- Bidirectional -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_merge_modes(kind: str) -> None:
    def build(k: Any) -> Any:
        of = getattr(k.layers, kind)
        return {
            f"{mode} {sequences}": k.layers.Bidirectional(
                of(UNITS, return_sequences=sequences), merge_mode=mode
            )
            for mode in (MODES if kind == "GRU" else MODES[:1])
            for sequences in (False, True)
        }

    check(layers(build, SEQUENCE), sizes=(1, 5))


@pytest.mark.parametrize("mode", ["concat", None])
def test_states_in_order(mode: str | None) -> None:
    def build(k: Any) -> Any:
        inner = k.layers.LSTM(UNITS, return_state=True, return_sequences=True)
        x = k.Input(SEQUENCE)
        return k.Model(x, list(k.layers.Bidirectional(inner, merge_mode=mode)(x)))

    check(build)


def test_initial_states() -> None:
    def build(k: Any) -> Any:
        x, states = k.Input(SEQUENCE), [k.Input((UNITS,)) for _ in range(4)]
        return k.Model([x, *states], k.layers.Bidirectional(k.layers.LSTM(UNITS))(x, initial_state=states))

    check(build)


def test_backward_layer_given() -> None:
    def build(k: Any) -> Any:
        forward = k.layers.LSTM(UNITS, return_sequences=True)
        backward = k.layers.GRU(3, return_sequences=True, go_backwards=True, activation="relu")
        x = k.Input(SEQUENCE)
        return k.Model(x, k.layers.Bidirectional(forward, backward_layer=backward)(x))

    check(build)


def test_masks() -> None:
    def build(k: Any) -> Any:
        both = k.layers.Bidirectional
        return {
            **{
                f"sequences {mode}": both(k.layers.LSTM(3, return_sequences=True), merge_mode=mode)
                for mode in ("mul", None)
            },
            "last": both(k.layers.GRU(3), merge_mode="ave"),
            "states": both(k.layers.SimpleRNN(3, return_state=True)),
        }

    model = layers(build, SEQUENCE, spec((None,), "bool"), call=lambda made, x, mask: made(x, mask=mask))
    check(model, None, masks, formats=("keras",))


def test_padded_tail() -> None:
    """H3: no more than two loops per layer, whose masks hold, and the second call equals the first."""

    def fill(rng: np.random.Generator, shape: Any, dtype: Any) -> np.ndarray:
        rows = rng.standard_normal(shape).astype(dtype)
        rows[:, -3:] = 0
        return rows

    def build(k: Any) -> Any:
        x = k.Input((8, FEATURES))
        masked = k.layers.Masking()(x)
        masked = k.layers.Bidirectional(k.layers.LSTM(UNITS, return_sequences=True))(masked)
        return k.Model(x, k.layers.Bidirectional(k.layers.LSTM(UNITS))(masked))

    names = operations(check(build, fill))
    assert names.count("While") == 4


def test_two_loops() -> None:
    for sequences in (False, True):
        model = layer(
            lambda k, s=sequences: k.layers.Bidirectional(k.layers.LSTM(UNITS, return_sequences=s)),
            (6, FEATURES),
        )
        names = operations(check(model, formats=("keras",), frameworks=KERAS))
        assert names.count("While") == names.count("FullyConnected") == 2


def test_stateful() -> None:
    model = layer(
        lambda k: k.layers.Bidirectional(k.layers.GRU(UNITS, stateful=True)), spec((4, FEATURES), batch=2)
    )
    check(model, calls=3)
    check(model, calls=3, states="io", formats=("keras",))


def test_other_inner_layers() -> None:
    def build(k: Any) -> Any:
        cells = [k.layers.GRUCell(3), k.layers.LSTMCell(UNITS)]
        return {
            "cells": k.layers.Bidirectional(k.layers.RNN(cells, return_sequences=True)),
            "cell": k.layers.Bidirectional(k.layers.RNN(k.layers.SimpleRNNCell(3))),
            "backwards": k.layers.Bidirectional(
                k.layers.LSTM(3, return_sequences=True),
                backward_layer=k.layers.LSTM(3, return_sequences=True, go_backwards=True),
            ),
        }

    check(layers(build, SEQUENCE))
    check(layer(lambda k: k.layers.Bidirectional(k.layers.ConvLSTM1D(2, 2)), (None, 6, 2)))


def test_every_format() -> None:
    check(layer(lambda k: k.layers.Bidirectional(k.layers.LSTM(UNITS)), SEQUENCE), formats=EVERY_FORMAT)


def test_time_major() -> None:
    def build(k: Any) -> Any:
        x = k.Input((3, FEATURES), batch_size=6)
        inner = k.layers.LSTM(UNITS, time_major=True, return_sequences=True)
        return k.Model(x, k.layers.Bidirectional(inner)(x))

    check(build, frameworks=TF_KERAS)


# -- TimeDistributed ---------------------------------------------------------------------------------------


def test_time_distributed_layers() -> None:
    def build(k: Any) -> Any:
        of = k.layers
        return {
            "dense": of.TimeDistributed(of.Dense(3, activation="relu")),
            "conv": of.TimeDistributed(of.Conv2D(3, 2)),
            "flatten": of.TimeDistributed(of.Flatten()),
            "pool": of.TimeDistributed(of.GlobalAveragePooling2D()),
            "norm": of.TimeDistributed(of.BatchNormalization()),
            "dropout": of.TimeDistributed(of.Dropout(0.5)),
        }

    check(layers(build, (3, 5, 4, 2)))
    # Keras 3 cannot build some of these for an unknown number of steps.
    check(layers(build, (None, 5, 4, 2)), frameworks=TF_KERAS)


def test_time_distributed_is_one_call() -> None:
    """H27: one convolution, not one per step."""
    converted = check(layer(lambda k: k.layers.TimeDistributed(k.layers.Conv2D(3, 2)), (5, 6, 6, 2)))
    assert operations(converted).count("Conv2D") == 1


def test_time_distributed_model() -> None:
    def build(k: Any) -> Any:
        y = k.Input((4, 4, 2))
        z = k.layers.Conv2D(3, 2, activation="relu")(y)
        encoder = k.Model(y, k.layers.Flatten()(z))
        x = k.Input((3, 4, 4, 2))
        small = k.Sequential([k.layers.Dense(3), k.layers.Dense(2)])
        return k.Model(
            x, k.layers.LSTM(4)(k.layers.TimeDistributed(small)(k.layers.TimeDistributed(encoder)(x)))
        )

    check(build)


def test_time_distributed_recurrent() -> None:
    def build(k: Any) -> Any:
        of = k.layers
        return {
            "last": of.TimeDistributed(of.LSTM(UNITS)),
            "bidirectional": of.TimeDistributed(of.Bidirectional(of.GRU(3, return_sequences=True))),
            "nested": of.TimeDistributed(of.TimeDistributed(of.Dense(2))),
        }

    check(layers(build, (3, 5, FEATURES)))


def test_time_distributed_mask_goes_on() -> None:
    def build(k: Any) -> Any:
        x, mask = k.Input((4, FEATURES)), k.Input((4,), dtype="bool")
        y = k.layers.GRU(UNITS, return_sequences=True)(x, mask=mask)
        y = k.layers.TimeDistributed(k.layers.Dense(3))(y)
        return k.Model([x, mask], k.layers.LSTM(2)(y))

    check(build, None, masks)


def test_time_distributed_embedding_masks_inside() -> None:
    """tf_keras: the mask that the inner layer makes is that of the wrapper."""

    def build(k: Any) -> Any:
        ids = k.Input((3, 5), dtype="int32")
        x = k.layers.TimeDistributed(k.layers.Embedding(9, FEATURES, mask_zero=True))(ids)
        return k.Model(ids, k.layers.TimeDistributed(k.layers.LSTM(UNITS))(x))

    rows = np.random.default_rng(0).integers(0, 3, (3, 3, 5)).astype(np.int32)
    check(build, rows, frameworks=TF_KERAS)


def test_time_distributed_two_inputs() -> None:
    def build(k: Any) -> Any:
        x, y = k.Input((3, 4)), k.Input((3, 4))
        return k.Model([x, y], k.layers.TimeDistributed(k.layers.Add())([x, y]))

    check(build, frameworks=TF_KERAS)


def test_time_distributed_of_a_layer_with_state() -> None:
    """It is called for one step after the other."""
    model = layer(
        lambda k: k.layers.TimeDistributed(k.layers.LSTM(UNITS, stateful=True)),
        spec((3, 4, FEATURES), batch=2),
    )
    check(model, calls=2, batches=(2,), formats=("keras",))
    check(model, calls=2, batches=(2,), formats=("keras",), states="io")
