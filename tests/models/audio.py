"""A keyword spotter from raw samples: short-time Fourier transform, mel filters, convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from .saving import save

SAMPLES, RATE = 8000, 16000


class MelConv(tf.Module):
    """Log-mel spectrogram of 8000 samples at 16 kHz, two convolutions, a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(16)
        self.first = tf.Variable(rng.normal(0, 0.3, (3, 3, 1, 8)), dtype=tf.float32)
        self.second = tf.Variable(rng.normal(0, 0.1, (3, 3, 8, 12)), dtype=tf.float32)
        self.bias = tf.Variable(rng.normal(0, 0.2, (12,)), dtype=tf.float32)
        self.head = tf.Variable(rng.normal(0, 0.5, (12, 6)), dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((None, SAMPLES), tf.float32, "samples")])
    def classify(self, samples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Class scores, and the spectrogram itself."""
        spectrum = tf.abs(tf.signal.stft(samples, frame_length=400, frame_step=160, fft_length=512))
        filters = tf.signal.linear_to_mel_weight_matrix(40, 257, RATE, 60.0, 7600.0)
        mel = tf.math.log(tf.tensordot(spectrum, filters, 1) + 1e-3)
        mean, variance = tf.nn.moments(mel, [1, 2], keepdims=True)
        x = ((mel - mean) * tf.math.rsqrt(variance + 1e-5))[..., None]
        x = tf.nn.relu(tf.nn.conv2d(x, self.first, 2, "SAME"))
        x = tf.nn.relu(tf.nn.conv2d(x, self.second, (1, 2, 2, 1), "VALID") + self.bias)
        return {"scores": tf.reduce_mean(x, [1, 2]) @ self.head, "mel": mel}


def mel_conv(folder: Path) -> None:
    """Chirps of different pitch in noise."""
    rng, time = np.random.default_rng(17), np.arange(SAMPLES) / RATE
    steps = []
    for batch in (1, 3):
        pitch = rng.uniform(200, 2000, (batch, 1))
        chirp = np.sin(2 * np.pi * pitch * time * (1 + time)) + 0.1 * rng.normal(size=(batch, SAMPLES))
        steps.append(("serving_default", {"samples": chirp.astype(np.float32)}))
    module = MelConv()
    save(module, folder, {"serving_default": module.classify}, steps)
