"""Recurrent Keras 3 models with a dynamic batch, and one that keeps its state."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from .saving import export, randomize, save

BATCHES = (1, 5)


def _sequences(*shape: int, scale: float = 1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.normal(0, scale, (batch, *shape)).astype(np.float32) for batch in BATCHES]


def _sequential(folder: Path, shape: tuple[int, ...], *stack: keras.Layer) -> None:
    keras.utils.set_random_seed(4)
    sequence = keras.Input(shape, name="sequence")
    x = sequence
    for layer in stack:
        x = layer(x)
    model = keras.Model(sequence, x)
    randomize(model)
    export(model, folder, [{"sequence": array} for array in _sequences(*shape)])


def lstm(folder: Path) -> None:
    """Two stacked LSTMs and a dense layer."""
    _sequential(folder, (28, 8), layers.LSTM(16, return_sequences=True), layers.LSTM(12), layers.Dense(4))


def bilstm(folder: Path) -> None:
    """A bidirectional LSTM with summed directions under one that concatenates them."""
    _sequential(
        folder,
        (20, 6),
        layers.Bidirectional(layers.LSTM(10, return_sequences=True), merge_mode="sum"),
        layers.Bidirectional(layers.LSTM(8)),
        layers.Dense(3),
    )


def gru(folder: Path) -> None:
    """GRUs with the reset gate applied after the matrix product (the default), the second one backwards."""
    _sequential(
        folder,
        (24, 7),
        layers.GRU(12, return_sequences=True),
        layers.GRU(9, go_backwards=True),
        layers.Dense(5),
    )


def gru_reset_before(folder: Path) -> None:
    """A GRU with the reset gate applied before the matrix product."""
    _sequential(folder, (24, 7), layers.GRU(12, reset_after=False), layers.Dense(5))


def simple_rnn(folder: Path) -> None:
    """Two plain recurrent layers, one with a relu."""
    _sequential(
        folder,
        (18, 5),
        layers.SimpleRNN(10, return_sequences=True),
        layers.SimpleRNN(8, activation="relu"),
        layers.Dense(4),
    )


def conv_lstm(folder: Path) -> None:
    """Two convolutional LSTMs over small frames."""
    _sequential(
        folder,
        (5, 12, 10, 3),
        layers.ConvLSTM2D(6, 3, padding="same", return_sequences=True),
        layers.ConvLSTM2D(4, 3, strides=2, padding="valid"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4),
    )


def masked_bilstm(folder: Path) -> None:
    """Masking over padded tails, then a bidirectional LSTM that must stop where each sequence does."""
    keras.utils.set_random_seed(5)
    sequence = keras.Input((15, 6), name="sequence")
    x = layers.Masking(0.0)(sequence)
    x = layers.Bidirectional(layers.LSTM(9, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(7))(x)
    model = keras.Model(sequence, layers.Dense(3)(x))
    randomize(model)
    lengths = {1: [9], 5: [15, 1, 7, 12, 4]}
    batches = _sequences(15, 6)
    for array in batches:
        for row, length in zip(array, lengths[len(array)], strict=True):
            row[length:] = 0.0
    export(model, folder, [{"sequence": array} for array in batches])


def stateful_lstm(folder: Path) -> None:
    """One step of an LSTM per call, its state in variables, and a second signature that clears it."""
    rng = np.random.default_rng(6)
    features, units = 6, 10

    class Streaming(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(rng.normal(0, 0.4, (features + units, 4 * units)), dtype=tf.float32)
            self.bias = tf.Variable(rng.normal(0, 0.2, (4 * units,)), dtype=tf.float32)
            self.hidden = tf.Variable(tf.zeros((1, units)))
            self.cell = tf.Variable(tf.zeros((1, units)))

        @tf.function(input_signature=[tf.TensorSpec((1, features), tf.float32, "frame")])
        def step(self, frame: tf.Tensor) -> dict[str, tf.Tensor]:
            gates = tf.concat([frame, self.hidden], 1) @ self.kernel + self.bias
            enter, forget, candidate, leave = tf.split(gates, 4, 1)
            cell = tf.sigmoid(forget) * self.cell + tf.sigmoid(enter) * tf.tanh(candidate)
            hidden = tf.sigmoid(leave) * tf.tanh(cell)
            self.cell.assign(cell)
            self.hidden.assign(hidden)
            return {"hidden": hidden}

        @tf.function(input_signature=[tf.TensorSpec((1, units), tf.float32, "hidden")])
        def restart(self, hidden: tf.Tensor) -> dict[str, tf.Tensor]:
            self.cell.assign(tf.zeros_like(self.cell))
            self.hidden.assign(hidden)
            return {"started": self.hidden + 0.5 * hidden}

    module = Streaming()
    frames = rng.normal(0, 1, (6, 1, features)).astype(np.float32)
    steps = [("step", {"frame": frame}) for frame in frames[:4]]
    steps += [("restart", {"hidden": rng.normal(0, 1, (1, units)).astype(np.float32)})]
    steps += [("step", {"frame": frame}) for frame in frames[4:]]
    save(module, folder, {"step": module.step, "restart": module.restart}, steps)
