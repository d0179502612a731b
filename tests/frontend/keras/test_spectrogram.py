"""Spectrograms against Keras 3."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.frontend.keras.harness import KERAS, check, layer, layers, spec

MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
TOLERANCE = 2e-5
"""Logarithms and angles of what is nearly nothing."""


def stft(k: Any, **options: Any) -> Any:
    return k.layers.STFTSpectrogram(**{"frame_length": 16, "frame_step": 6, **options})


def stfts(**options: Any) -> Any:
    return lambda k: {mode: stft(k, mode=mode, **options) for mode in MODES}


@pytest.mark.parametrize("expand_dims", [False, True])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_stft(padding: str, expand_dims: bool) -> None:
    build = layers(stfts(padding=padding, expand_dims=expand_dims), (50, 2))
    check(build, frameworks=KERAS, random=False, tolerance=TOLERANCE)


@pytest.mark.parametrize("expand_dims", [False, True])
def test_stft_of_channels_first(expand_dims: bool) -> None:
    """On the CPU, TensorFlow convolves this way only in a compiled graph."""
    import tensorflow as tf

    import litecast
    from tests.frontend.keras.harness import keras

    inputs = keras.Input((2, 50))
    outputs = {
        mode: stft(keras, mode=mode, data_format="channels_first", expand_dims=expand_dims)(inputs)
        for mode in MODES
    }
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(3, 2, 50)).astype(np.float32)
    got = litecast.convert(model)(x)
    want = tf.function(model, jit_compile=True)(x)
    for mode in MODES:
        assert np.abs(got[mode] - want[mode]).max() <= TOLERANCE * np.abs(want[mode]).max()


def test_stft_of_signals_of_any_length() -> None:
    check(layers(stfts(), (None, 2)), frameworks=KERAS, sizes=(40, 57), random=False, tolerance=TOLERANCE)


@pytest.mark.parametrize(
    "options",
    [
        {"window": "hamming"}, {"window": None}, {"periodic": True}, {"scaling": "spectrum"},
        {"scaling": None}, {"fft_length": 32}, {"frame_step": None}, {"frame_length": 20, "frame_step": 20},
    ],
    ids=str,
)  # fmt: skip
def test_stft_options(options: dict[str, Any]) -> None:
    build = layers(lambda k: {mode: stft(k, mode=mode, **options) for mode in ("log", "psd")}, (50, 1))
    check(build, frameworks=KERAS, random=False, tolerance=TOLERANCE, formats=("keras",))


def test_trained_kernels() -> None:
    check(layers(stfts(), (50, 2)), frameworks=KERAS, tolerance=TOLERANCE)


def mel(k: Any, **options: Any) -> Any:
    defaults = {"fft_length": 64, "sequence_stride": 16, "num_mel_bins": 10, "sampling_rate": 4000}
    return k.layers.MelSpectrogram(**{**defaults, **options})


@pytest.mark.parametrize(
    "options",
    [
        {}, {"window": "hamming"}, {"window": None}, {"window": [0.5] * 40, "sequence_length": 40},
        {"sequence_length": 33}, {"sequence_stride": 13}, {"sequence_stride": 100}, {"fft_length": 60},
        {"power_to_db": False}, {"power_to_db": False, "mag_exp": 1.0}, {"mag_exp": 1.5}, {"top_db": 20.0},
        {"ref_power": 4.0}, {"min_power": 0.01}, {"min_freq": 0.0, "max_freq": 1500.0}, {"num_mel_bins": 40},
    ],
    ids=str,
)  # fmt: skip
def test_mel(options: dict[str, Any]) -> None:
    check(layer(lambda k: mel(k, **options), (333,)), frameworks=KERAS, tolerance=TOLERANCE)


@pytest.mark.parametrize("stride", [16, 12, 7])
def test_mel_of_signals_of_any_length(stride: int) -> None:
    build = layer(lambda k: mel(k, sequence_stride=stride), (None,))
    check(build, frameworks=KERAS, sizes=(333, 100), tolerance=TOLERANCE)


def test_mel_of_the_default_size() -> None:
    check(layer(lambda k: k.layers.MelSpectrogram(), (4096,)), frameworks=KERAS, tolerance=TOLERANCE)


def test_mel_of_one_signal_and_of_integers() -> None:
    def build(k: Any) -> Any:
        inputs = k.Input(batch_shape=(200,))
        return k.Model(inputs, mel(k)(inputs))

    check(build, frameworks=KERAS, batches=(200,), tolerance=TOLERANCE)
    check(layer(mel, spec((200,), "int32")), frameworks=KERAS, tolerance=TOLERANCE)
