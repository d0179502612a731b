"""Fourier transforms and complex arithmetic against TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

from litecast.errors import UnsupportedError

tf = pytest.importorskip("tensorflow")

from tests.frontend.tensorflow.harness import check, f32, i32, spec, trace  # noqa: E402


@pytest.mark.parametrize("length", [1, 2, 4, 6, 7, 8, 100, 256, 400])
@pytest.mark.parametrize("given", ["same", "shorter", "longer"])
def test_rfft(length, given):
    size = {"same": length, "shorter": max(1, length - 3), "longer": length + 5}[given]

    def function(x):
        spectrum = tf.signal.rfft(x, [length])
        return tf.math.real(spectrum), tf.math.imag(spectrum)

    check(function, f32(None, size))


@pytest.mark.parametrize("rank", [1, 3, 4])
def test_rfft_ranks(rank):
    check(lambda x: tf.abs(tf.signal.rfft(x)), f32(*[2] * (rank - 1), 16))


@pytest.mark.parametrize("length", [2, 3, 4, 6, 7, 8, 100, 256])
@pytest.mark.parametrize("extra", [-1, 0, 2])
def test_irfft(length, extra):
    bins = max(1, length // 2 + 1 + extra)
    check(lambda x, y: tf.signal.irfft(tf.complex(x, y), [length]), f32(None, bins), f32(None, bins))


@pytest.mark.parametrize("name", ["fft", "ifft"])
@pytest.mark.parametrize("length", [1, 2, 3, 8, 15])
def test_fft(name, length):
    def function(x, y):
        z = getattr(tf.signal, name)(tf.complex(x, y))
        return tf.math.real(z), tf.math.imag(z)

    check(function, f32(None, length), f32(None, length))


def test_fft_of_real_and_imaginary():
    for make in (lambda x: tf.complex(x, tf.zeros_like(x)), lambda x: tf.cast(x, tf.complex64) * 1j):
        check(lambda x, make=make: tf.abs(tf.signal.fft(make(x))), f32(3, 8))


@pytest.mark.parametrize("scalar", [0.0, 2.0])
def test_complex_of_two_shapes(scalar):
    def function(x):
        rows = [tf.complex(scalar, x), tf.complex(x, scalar), tf.complex(x[:, :1], x)]
        turned = [tf.transpose(tf.exp(z)) * tf.reshape(z, [4, -1]) for z in rows]
        return [part(z) for z in turned for part in (tf.math.real, tf.math.imag)]

    check(function, f32(None, 4))


@pytest.mark.parametrize("name", ["fft2d", "ifft2d"])
def test_fft_2d(name):
    def function(x, y):
        z = getattr(tf.signal, name)(tf.complex(x, y))
        return tf.math.real(z), tf.math.imag(z)

    check(function, f32(None, 4, 6), f32(None, 4, 6))


@pytest.mark.parametrize("lengths", [(4, 8), (6, 5), (3, 16)])
def test_rfft_2d(lengths):
    def function(x):
        z = tf.signal.rfft2d(x, lengths)
        return tf.math.real(z), tf.math.imag(z), tf.signal.irfft2d(z, lengths)

    check(function, f32(None, 4, 8))


def test_stft_and_back():
    def function(x):
        spectrum = tf.signal.stft(x, 64, 32, 64)
        return tf.abs(spectrum), tf.math.angle(spectrum + 1.0), tf.signal.inverse_stft(spectrum, 64, 32, 64)

    check(function, f32(2, 320), tolerance=1e-4)


def test_mfcc():
    def function(x):
        mel = tf.signal.linear_to_mel_weight_matrix(20, 129, 16000)
        power = tf.square(tf.abs(tf.signal.stft(x, 200, 100, 256)))
        return tf.signal.mfccs_from_log_mel_spectrograms(tf.math.log(power @ mel + 1e-3))

    check(function, f32(1, 1600), tolerance=1e-4)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: tf.complex(x, y) + tf.complex(y, x),
        lambda x, y: tf.complex(x, y) - tf.cast(y, tf.complex64),
        lambda x, y: tf.complex(x, y) * tf.complex(y, x),
        lambda x, y: tf.complex(x, y) / tf.complex(y + 3.0, x),
        lambda x, y: tf.complex(x, y) / tf.cast(y + 4.0, tf.complex64),
        lambda x, y: tf.exp(tf.complex(x, y)),
        lambda x, y: tf.exp(1j * tf.cast(x, tf.complex64)),
        lambda x, y: tf.math.log(tf.complex(x, y)),
        lambda x, y: tf.square(tf.complex(x, y)),
        lambda x, y: tf.math.conj(tf.complex(x, y)),
        lambda x, y: -tf.complex(x, y),
        lambda x, y: tf.reshape(tf.complex(x, y), [-1, 2]),
        lambda x, y: tf.transpose(tf.complex(x, y)),
        lambda x, y: tf.concat([tf.complex(x, y), tf.cast(x, tf.complex64)], 1),
        lambda x, y: tf.stack([tf.complex(x, y), tf.complex(y, x)], 1),
        lambda x, y: tf.complex(x, y)[:, 1:3],
        lambda x, y: tf.gather(tf.complex(x, y), [1, 0], axis=1),
        lambda x, y: tf.pad(tf.complex(x, y), [[0, 0], [1, 2]]),
        lambda x, y: tf.reduce_sum(tf.complex(x, y), 1),
        lambda x, y: tf.where(x > 0, tf.complex(x, y), tf.complex(y, x)),
        lambda x, y: tf.complex(x, y) * tf.constant([1 + 2j, 3, 4j, 0], tf.complex64),
    ],
)
def test_complex_arithmetic(function):
    def parts(x, y):
        z = function(x, y)
        return tf.math.real(z), tf.math.imag(z), tf.abs(z)

    check(parts, f32(None, 4), f32(None, 4))


def test_complex_comparison():
    def function(x, y):
        one, two = tf.complex(tf.cast(x, tf.float32), 1.0), tf.complex(tf.cast(y, tf.float32), 1.0)
        return tf.equal(one, two), tf.not_equal(one, two)

    check(function, i32(None, 4), i32(None, 4))


def test_complex_inputs_and_outputs():
    check(lambda z: z * z + 1.0, spec("complex64", None, 3))
    check(lambda z: tf.math.real(z), spec("complex64", None, 3))


def test_what_cannot_be_transformed():
    with pytest.raises(UnsupportedError, match="power of two"):
        trace(lambda x: tf.abs(tf.signal.rfft(x, [4098])), f32(1, 4098))
    with pytest.raises(UnsupportedError, match="no static size"):
        trace(lambda x: tf.abs(tf.signal.fft(tf.cast(x, tf.complex64))), f32(1, None))
    with pytest.raises(UnsupportedError, match="complex64"):
        trace(lambda x: tf.abs(tf.sin(tf.cast(x, tf.complex64))), f32(1, 4))


def test_dft_matrix_is_accurate():
    from litecast.lib.signal import _dft_matrix

    for length in (3, 7, 1000):
        x = np.random.default_rng(0).normal(size=length)
        expected = np.fft.rfft(x)
        found = _dft_matrix(length).astype(np.float64) @ x
        np.testing.assert_allclose(found, np.concatenate([expected.real, expected.imag]), atol=1e-4)
