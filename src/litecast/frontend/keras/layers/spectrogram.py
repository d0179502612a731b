"""Spectrograms of signals."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.frontend.keras.layers.preprocessing import EPSILON
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.op import Array
from litecast.ir.types import DType
from litecast.lib import array, nn, reduce, signal
from litecast.ops import Add, Atan2, FullyConnected, Log, Maximum, Mul, Pow, Sqrt, Square, Sub

# -- short-time Fourier transform ------------------------------------------------------------------------


@keras("STFTSpectrogram", harmless=("window", "periodic", "scaling"))  # they are in the kernels
def stft_spectrogram(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    mode: str = "log",
    frame_length: int = 256,
    frame_step: int | None = None,
    fft_length: int | None = None,
    padding: str = "valid",
    expand_dims: bool = False,
    data_format: str | None = None,
) -> Value:
    """Convolve every channel with windowed cosines and sines, the layer's variables."""
    last = data_format != "channels_first"
    bins = (fft_length or 1 << (frame_length - 1).bit_length()) // 2 + 1
    signals = array.transpose(b, inputs, (0, 2, 1)) if last else inputs
    channels = signals.shape[1]
    rows = array.reshape(b, signals, (signals.shape[0] * channels, 1, signals.shape[2], 1))

    def convolved(name: str) -> Value:
        kernel = layer.weight(b, name, (frame_length, 1, bins))
        filters = array.expand_dims(b, kernel, 0)
        steps = (1, frame_step or frame_length // 2)
        result: Value = array.squeeze(b, nn.conv(b, rows, filters, steps, padding.upper()), [1])
        return result

    real = None if mode == "imag" else convolved("real_kernel")
    imaginary = None if mode == "real" else convolved("imag_kernel")
    frames = _mode(b, mode, real, imaginary)  # [n * channels, time, bins]
    split = array.reshape(b, frames, (signals.shape[0], channels, *frames.shape[1:]))
    if expand_dims:
        result: Value = array.transpose(b, split, (0, 2, 3, 1)) if last else split
        return result
    return _merged(b, split, last)


def _merged(b: Builder, split: Value, last: bool) -> Value:
    """Return [n, time, channels * bins], or with the time last, of [n, channels, time, bins]."""
    count, channels, time, bins = split.shape
    turned = array.transpose(b, split, (0, 2, 1, 3) if last else (0, 1, 3, 2))
    shape = (count, time, channels * bins) if last else (count, channels * bins, time)
    result: Value = array.reshape(b, turned, shape)
    return result


def _mode(b: Builder, mode: str, real: Value | None, imaginary: Value | None) -> Value:
    """Return what a mode shows of the transform (stft_spectrogram.py, `call`)."""
    result: Value
    if real is None or imaginary is None:
        only = imaginary if real is None else real
        assert only is not None
        return only
    if mode == "angle":
        result = b(Atan2(), imaginary, real)
        return result
    if mode == "stft":
        result = array.concat(b, [real, imaginary], 2)
        return result
    power = b(Add(), b(Square(), real), b(Square(), imaginary))
    if mode == "psd":
        inner = np.full(int(str(power.shape[2])), 2, np.float32)
        inner[[0, -1]] = 1
        result = b(Mul(), power, inner)
        return result
    result = b(Sqrt(), b(Maximum(), power, EPSILON))
    return result if mode == "magnitude" else b(Log(), b(Maximum(), result, EPSILON))


# -- mel scale -------------------------------------------------------------------------------------------


@keras("MelSpectrogram")
def mel_spectrogram(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    fft_length: int = 2048,
    sequence_stride: int = 512,
    sequence_length: int | None = None,
    window: Any = "hann",
    sampling_rate: int = 16000,
    num_mel_bins: int = 128,
    min_freq: float = 20.0,
    max_freq: float | None = None,
    power_to_db: bool = True,
    top_db: float = 80.0,
    mag_exp: float = 2.0,
    min_power: float = 1e-10,
    ref_power: float = 1.0,
) -> Value:
    """Power of frames in mel bins [..., bins, frames], in decibels and cut off below the loudest of all."""
    x = array.cast(b, inputs, DType.FLOAT32)
    frames = signal.frame(b, signal.reflect(b, x, fft_length // 2), fft_length, sequence_stride)
    weights = signal.window(window, sequence_length or fft_length, fft_length)
    spectrum = signal.rfft(b, frames if weights is None else b(Mul(), frames, weights), fft_length)
    power = b(Add(), *(b(Square(), part) for part in (spectrum.re(b), spectrum.im(b))))
    if mag_exp != 2:
        power = b(Sqrt(), power) if mag_exp == 1 else b(Pow(), power, float(mag_exp / 2))
    matrix = _mel_matrix(
        num_mel_bins, fft_length // 2 + 1, sampling_rate, min_freq, max_freq or int(sampling_rate / 2)
    )
    mel = b(FullyConnected(keep_num_dims=True), power, matrix.T.copy(), None)
    if power_to_db:
        mel = _decibels(b, mel, min_power, ref_power, top_db)
    order = [*range(mel.rank - 2), mel.rank - 1, mel.rank - 2]
    result: Value = array.cast(b, array.transpose(b, mel, order), layer.dtype)
    return result


def _mel(hertz: Any) -> Any:
    return np.float32(1127.0) * np.log(np.float32(1) + hertz / np.float32(700.0))


def _mel_matrix(mels: int, bins: int, rate: int, low: float, high: float) -> Array:
    """Return the share [bins, mels] of each frequency in each mel bin (`linear_to_mel_weight_matrix`)."""
    places = _mel(np.linspace(0, rate / 2, bins, dtype=np.float32)[1:, None])
    edges = np.linspace(_mel(np.float32(low)), _mel(np.float32(high)), mels + 2, dtype=np.float32)
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (places - lower) / (center - lower), (upper - places) / (upper - center)
    return np.pad(np.maximum(0, np.minimum(rising, falling)).astype(np.float32), ((1, 0), (0, 0)))


def _decibels(b: Builder, x: Value, floor: float, reference: float, top: float) -> Value:
    """10 log10(x / reference), at most `top` below the largest of the whole batch (`_dbscale`)."""
    ten = 10 / np.log(10)
    logarithm = b(Mul(), b(Log(), b(Maximum(), x, floor)), float(ten))
    shift = float(10 * np.log10(max(abs(reference), floor)))
    level = b(Sub(), logarithm, shift) if shift else logarithm
    loudest = reduce.maximum(b, level, range(level.rank))
    result: Value = b(Maximum(), level, b(Sub(), loudest, float(top)))
    return result
