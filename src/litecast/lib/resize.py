"""Resizing of NHWC images by the name of a method, with pixel centers at half integers, as `tf.image.resize`.

It follows tensorflow/python/ops/image_ops_impl.py (`resize_images_v2`); Keras's image functions are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType
from litecast.lib import array, cubic, image, math, resample
from litecast.lib.activation import clip
from litecast.lib.array import unsupported

__all__ = ["METHODS", "repeat_pixels", "resize", "saturate"]

KERNELS = ("lanczos3", "lanczos5", "gaussian", "mitchellcubic")
"""Methods that are always a ScaleAndTranslate, with the kernel of that name."""
ANTIALIASED = {"bilinear": "triangle", "bicubic": "keyscubic"}
"""Methods that antialiasing makes a ScaleAndTranslate, and its kernel; nearest and area know none."""
METHODS = ("nearest", "bilinear", "bicubic", "area", *KERNELS)
"""Names of the methods."""


def repeat_pixels(b: Builder, x: Value, rows: int, columns: int) -> Value:
    """Return images with every pixel repeated, exact at any size (the centers never meet a pixel's edge)."""
    size = b.dims((x.shape[1] * rows, x.shape[2] * columns))
    return image.resize_nearest(b, x, size, half_pixel_centers=True)


def resize(b: Builder, x: Value, size: Sequence[Dim], method: str, antialias: bool = False) -> Value:
    """Return images of `size` (rows, columns); FLOAT32 unless the method is nearest.

    UnsupportedError for an unknown method, and for one that needs constant weights where a size is unknown.
    """
    kernel = method if method in KERNELS else ANTIALIASED.get(method) if antialias else None
    if kernel is not None:
        weigh = partial(_kernel_weights, kernel=kernel, antialias=antialias)
        return image.resample(b, x, *map(weigh, *_known(x, size, method)))
    if method == "area":
        weigh = partial(resample.area, align_corners=False)
        return image.resample(b, x, *map(weigh, *_known(x, size, method)))
    if method == "bicubic":
        return _bicubic(b, x, size)
    if method not in ("nearest", "bilinear"):
        raise unsupported("Resize", f"it does not know the method {method!r}", f"use {', '.join(METHODS)}")
    apply = image.resize_nearest if method == "nearest" else image.resize_bilinear
    return apply(b, x, b.dims(size), half_pixel_centers=True)


def saturate(b: Builder, x: Value, dtype: DType) -> Any:
    """Return numbers rounded (halves to even) and clipped to an integer type, in that type."""
    info = np.iinfo(dtype.numpy)
    low, high = np.float32(info.min), np.float32(info.max)
    high = high if int(high) <= info.max else np.nextafter(high, np.float32(0))
    return array.cast(b, clip(b, math.round_half_even(b, x), float(low), float(high)), dtype)


def _bicubic(b: Builder, x: Value, size: Sequence[Dim]) -> Value:
    if not all(isinstance(dim, int) for dim in (*x.shape[1:3], *size)):
        return cubic.resize(b, x, b.dims(size), False, True)
    weigh = partial(resample.bicubic, align_corners=False, half_pixel_centers=True)
    return image.resample(b, x, *map(weigh, x.shape[1:3], size))


def _known(x: Value, size: Sequence[Dim], method: str) -> tuple[list[Any], list[Any]]:
    """Return rows and columns of the input, and those of the output."""
    sizes: list[Any] = [*x.shape[1:3], *size]
    if not all(isinstance(dim, int) for dim in sizes):
        raise unsupported(
            "Resize",
            f"the weights of {method} resizing are constants, which need known rows and columns",
            "fix the size of the images (--shape), or use bilinear, bicubic or nearest without antialiasing",
        )
    return sizes[:2], sizes[2:]


def _kernel_weights(size: int, out: int, kernel: str, antialias: bool) -> Any:
    return resample.kernel_weights(size, out, out / size, 0.0, kernel, antialias)
