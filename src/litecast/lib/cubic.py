"""Bicubic resizing of images whose size, or the wanted one, is only known at run time."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import array, math
from litecast.lib.resample import TABLE, cubic_table
from litecast.ops import Add, Cast, Div, Equal, Floor, Gather, Greater, Maximum, Minimum, Mul, Round, Sub, Sum

__all__ = ["resize"]


def resize(b: Builder, x: Value, size: Value, align_corners: bool, half_pixel_centers: bool) -> Value:
    """Return FLOAT32 images [n, *size, c] as ResizeBicubic gives them (resize_bicubic_op.cc).

    Along each axis four gathered pixels are weighed, as `lib.resample.bicubic` does for known sizes.
    """
    result: Value = array.cast(b, x, DType.FLOAT32)
    lengths = array.unpack(b, array.cast(b, size, DType.INT32), 0)
    for axis, length in enumerate(lengths, 1):
        pixels, taps = _weights(b, b.dim(x.shape[axis]), length, align_corners, half_pixel_centers)
        parts = [
            b(Mul(), array.gather(b, result, place, axis), array.reshape(b, tap, (-1, *[1] * (3 - axis))))
            for place, tap in zip(pixels, taps, strict=True)
        ]
        result = b(Add(), b(Add(), parts[0], parts[1]), b(Add(), parts[2], parts[3]))
    return result


def _weights(
    b: Builder, size: Value, out: Value, align_corners: bool, half_pixel_centers: bool
) -> tuple[list[Value], list[Value]]:
    """Return, for each of the four taps, which pixel it takes for every output pixel, and its weight."""
    at = _real(b, array.arange(b, b.const(np.int32(0)), out, b.const(np.int32(1))))
    scale = _scale(b, size, out, align_corners)
    place = b(Sub(), b(Mul(), b(Add(), at, 0.5), scale), 0.5) if half_pixel_centers else b(Mul(), at, scale)
    first = b(Floor(), place)
    step = array.cast(b, b(Round(), b(Mul(), b(Sub(), place, first), float(TABLE))), DType.INT32)
    near, far = cubic_table(half_pixel_centers)
    taps = [b(Gather(), b.const(table), step) for table in (far, near, near[::-1].copy(), far[::-1].copy())]
    wanted = [b(Add(), array.cast(b, first, DType.INT32), offset) for offset in (-1, 0, 1, 2)]
    last = b(Sub(), size, 1)
    pixels = [b(Maximum(), b(Minimum(), pixel, last), 0) for pixel in wanted]
    if half_pixel_centers:  # a pixel outside counts for nothing, otherwise for the one at the border
        inside = [b(Equal(), *pair) for pair in zip(pixels, wanted, strict=True)]
        taps = [math.select(b, seen, tap, 0) for seen, tap in zip(inside, taps, strict=True)]
        total = b(Sum(keep_dims=False), array.pack(b, taps, 0), np.array([0], np.int32))
        taps = [b(Div(), tap, total) for tap in taps]
    return pixels, taps


def _scale(b: Builder, size: Value, out: Value, align_corners: bool) -> Value:
    """Return input pixels per output pixel (image_resizer_state.h CalculateResizeScale)."""
    whole: Value = b(Div(), _real(b, size), _real(b, out))
    if not align_corners:
        return whole
    spans = [_real(b, b(Sub(), value, 1)) for value in (size, out)]
    between = b(Div(), spans[0], b(Maximum(), spans[1], 1.0))
    result: Value = math.select(b, b(Greater(), out, 1), between, whole)
    return result


def _real(b: Builder, x: Value) -> Any:
    return b(Cast(DType.INT32, DType.FLOAT32), x)
