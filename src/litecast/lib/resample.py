"""The weights [out, in] of TensorFlow's separable image resampling: bicubic, area and antialiased kernels.

They follow tensorflow/core/kernels/image (resize_bicubic_op.cc, resize_area_op.cc, scale_and_translate_op.cc,
sampling_kernels.h), in FLOAT32 where rounding decides which pixels take part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from litecast.ir.op import Array

__all__ = ["KERNELS", "TABLE", "area", "bicubic", "cubic_table", "kernel_weights", "resize_scale"]

TABLE = 1024
"""Steps of the bicubic coefficient table (resize_bicubic_op.cc kTableSize): offsets are rounded to it."""


def resize_scale(size: int, out: int, align_corners: bool) -> Any:
    """Return input pixels per output pixel (image_resizer_state.h CalculateResizeScale)."""
    if align_corners and out > 1:
        return np.float32(size - 1) / np.float32(out - 1)
    return np.float32(size) / np.float32(out)


def bicubic(size: int, out: int, align_corners: bool, half_pixel_centers: bool) -> Array:
    """Return the weights of ResizeBicubic: Keys' a = -0.5 with half pixel centers, else a = -0.75."""
    scale = resize_scale(size, out, align_corners)
    at = np.arange(out, dtype=np.float32)
    place = (at + np.float32(0.5)) * scale - np.float32(0.5) if half_pixel_centers else at * scale
    first = np.floor(place).astype(np.int64)
    step = np.rint((place - first.astype(np.float32)) * TABLE).astype(np.int64)
    near, far = cubic_table(half_pixel_centers)
    taps = np.stack([far[step], near[step], near[TABLE - step], far[TABLE - step]], -1)
    wanted = first[:, None] + np.arange(-1, 3)
    pixels = np.clip(wanted, 0, size - 1)
    if half_pixel_centers:
        taps = np.where(pixels == wanted, taps, 0)
        taps = taps / taps.sum(-1, keepdims=True)
    weights = np.zeros((out, size), np.float32)
    np.add.at(weights, (np.arange(out)[:, None], pixels), taps.astype(np.float32))
    return weights


def cubic_table(half_pixel_centers: bool) -> tuple[Array, Array]:
    """Return the weights of the nearer and of the farther pixels, by the offset in steps of 1 / TABLE."""
    a = -0.5 if half_pixel_centers else -0.75
    near = np.arange(TABLE + 1) / TABLE
    far = near + 1
    return (
        (((a + 2) * near - (a + 3)) * near * near + 1).astype(np.float32),
        (((a * far - 5 * a) * far + 8 * a) * far - 4 * a).astype(np.float32),
    )


def area(size: int, out: int, align_corners: bool) -> Array:
    """Return the weights of ResizeArea: the share of each input pixel in the output pixel's extent."""
    scale = resize_scale(size, out, align_corners)
    weights = np.zeros((out, size), np.float64)
    for row in range(out):
        begin, end = np.float32(row) * scale, np.float32(row + 1) * scale
        for pixel in range(int(np.floor(begin)), int(np.ceil(end))):
            inside = scale if pixel < begin and pixel + 1 > end else min(pixel + 1, end) - max(pixel, begin)
            weights[row, min(max(pixel, 0), size - 1)] += inside
    return (weights / scale).astype(np.float32)


def _lanczos(radius: float) -> Callable[[Array], Array]:
    def weigh(x: Array) -> Array:
        angle = np.pi * np.where(x <= 1e-3, 1, x)
        ring = radius * np.sin(angle) * np.sin(angle / radius) / angle**2
        return np.where(x > radius, 0, np.where(x <= 1e-3, 1, ring))

    return weigh


def _gaussian(x: Array) -> Array:
    return np.where(x >= 1.5, 0, np.exp(-x * x / (2 * 0.5**2)))


def _box(x: Array) -> Array:
    return np.where(x < 0.5, 1, np.where(x == 0.5, 0.5, 0))


def _triangle(x: Array) -> Array:
    return np.maximum(1 - x, 0)


def _piecewise(inner: tuple[float, ...], outer: tuple[float, ...]) -> Callable[[Array], Array]:
    return lambda x: np.where(x >= 2, 0, np.where(x >= 1, np.polyval(outer, x), np.polyval(inner, x)))


KERNELS: dict[str, tuple[float, Callable[[Array], Array]]] = {
    "lanczos1": (1, _lanczos(1)),
    "lanczos3": (3, _lanczos(3)),
    "lanczos5": (5, _lanczos(5)),
    "gaussian": (1.5, _gaussian),
    "box": (1, _box),
    "triangle": (1, _triangle),
    "keyscubic": (2, _piecewise((1.5, -2.5, 0, 1), (-0.5, 2.5, -4, 2))),
    "mitchellcubic": (2, _piecewise((7 / 6, -2, 0, 8 / 9), (-7 / 18, 2, -10 / 3, 16 / 9))),
}
"""Name of a sampling kernel -> its radius and its weight at a distance."""


def kernel_weights(
    size: int, out: int, scale: float, translation: float, kernel: str, antialias: bool
) -> Array:
    """Return the weights of ScaleAndTranslate along one axis; what samples outside the image is zero."""
    radius, weigh = KERNELS[kernel]
    inverse = np.float32(1.0 / np.float32(scale))
    shift = -inverse * np.float32(translation)
    spread = np.float32(max(inverse, 1.0)) if antialias else np.float32(1)
    centers = (np.arange(out, dtype=np.float32) + np.float32(0.5)) * inverse + shift
    reach = np.float32(radius) * spread
    begin = np.clip(np.ceil(centers - reach - np.float32(0.5)), 0, size - 1)[:, None]
    end = np.clip(np.floor(centers + reach - np.float32(0.5)), 0, size - 1)[:, None]
    pixels = np.arange(size, dtype=np.float32)
    distance = np.abs(pixels + np.float32(0.5) - centers[:, None]) / spread
    weights = np.where((pixels >= begin) & (pixels <= end), weigh(distance.astype(np.float64)), 0)
    total = weights.sum(-1, keepdims=True)
    weights = np.where(
        np.abs(total) >= 1000 * np.finfo(np.float32).tiny, weights / np.where(total == 0, 1, total), 0
    )
    weights[(centers < 0) | (centers > size)] = 0
    return weights.astype(np.float32)
