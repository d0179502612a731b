"""The middle of NHWC images: cutting it out, and fitting images to an aspect ratio to be resized to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim, DType
from litecast.lib import array, math, resize
from litecast.lib.windows import pad
from litecast.ops import Cast, Div, FloorDiv, GreaterEqual, LogicalAnd, Maximum, Minimum, Mul, Sub

__all__ = ["center_crop", "crop_to_aspect", "pad_to_aspect", "smart_resize"]

Size = tuple[int, int]
Box = tuple[Value, Value]
"""Rows and columns of a part in the middle, INT32 scalars."""


def crop_to_aspect(b: Builder, x: Value, size: Size, exact: bool = False) -> Value:
    """Return the largest part in the middle of images that has the aspect ratio of `size`.

    TensorFlow divides in FLOAT32; `exact`: in double, where the sizes are known (keras `smart_resize`).
    """
    return _cut(b, x, _aspect_box(b, x, size, exact))


def smart_resize(b: Builder, x: Value, size: Size, method: str, exact: bool = False) -> Value:
    """Resize the largest part in the middle of images that has the aspect ratio of `size`."""
    return resize.resize(b, crop_to_aspect(b, x, size, exact), size, method)


def pad_to_aspect(b: Builder, x: Value, size: Size, value: float) -> Value:
    """Add as many pixels of `value` on both sides as bring images nearest to the aspect ratio of `size`."""
    height, width = x.shape[1:3]
    wanted = _scaled(b, width, *size), _scaled(b, height, *size[::-1])
    margins = []
    for dim, part in zip((height, width), wanted, strict=True):
        rest = b(Sub(), b(Maximum(), b.dim(dim), part), b.dim(dim))
        (margin,) = _plain([b(FloorDiv(), rest, 2)])
        margins.append((margin, margin))
    return pad(b, x, [(0, 0), *margins, (0, 0)], value)


def center_crop(b: Builder, x: Value, size: Size, method: str, exact: bool = False) -> Value:
    """Cut `size` out of the middle of images; those that are smaller are resized (`smart_resize`).

    Of images whose size is not known the part is computed, and resized in any case: to its own size, which
    changes nothing, where the images are large enough.
    """
    dims = x.shape[1:3]
    if all(isinstance(dim, int) and dim >= part for dim, part in zip(dims, size, strict=True)):
        return _cut(b, x, (b.const(np.int32(size[0])), b.const(np.int32(size[1]))))
    box = _aspect_box(b, x, size, exact)
    if not all(isinstance(dim, int) for dim in dims):
        large = [b(GreaterEqual(), b.dim(dim), part) for dim, part in zip(dims, size, strict=True)]
        enough = b(LogicalAnd(), *large)
        rows, columns = (
            math.select(b, enough, b.const(np.int32(part)), smaller)
            for part, smaller in zip(size, box, strict=True)
        )
        box = rows, columns
    return resize.resize(b, _cut(b, x, box), size, method)


def _aspect_box(b: Builder, x: Value, size: Size, exact: bool) -> Box:
    height, width = x.shape[1:3]
    if exact and isinstance(height, int) and isinstance(width, int):
        rows, columns = int(width * size[0] / size[1]), int(height * size[1] / size[0])
        parts = b.const(np.int32(rows)), b.const(np.int32(columns))
    else:
        parts = _scaled(b, width, *size), _scaled(b, height, *size[::-1])
    first, second = (
        b(Maximum(), b(Minimum(), b.dim(dim), part), 1)
        for dim, part in zip((height, width), parts, strict=True)
    )
    return first, second


def _scaled(b: Builder, dim: Dim, factor: int, divisor: int) -> Value:
    """Return dim * factor / divisor rounded down, divided in FLOAT32."""
    scaled = b(Cast(DType.INT32, DType.FLOAT32), b(Mul(), b.dim(dim), factor))
    result: Value = b(Cast(DType.FLOAT32, DType.INT32), b(Div(), scaled, float(divisor)))
    return result


def _cut(b: Builder, x: Value, box: Box) -> Value:
    """Cut a part out of the middle, an odd pixel left after it."""
    dims = x.shape[1:3]
    begin = [b(FloorDiv(), b(Sub(), b.dim(dim), part), 2) for dim, part in zip(dims, box, strict=True)]
    result: Value = array.slice(b, x, [0, *_plain(begin), 0], [-1, *_plain(box), -1])
    return result


def _plain(items: Sequence[Any]) -> list[Any]:
    return [int(item.array()) if item.is_const else item for item in items]
