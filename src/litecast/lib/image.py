"""Image macros on NHWC values: resizing, blocks between space, depth and batch, patches, crops, colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.ir.builder import Builder, Composite
from litecast.ir.graph import Value
from litecast.ir.op import Array
from litecast.ir.types import Dim, DType, product
from litecast.lib import array
from litecast.lib.nn import in_float32, window_sizes
from litecast.lib.pool import window_parts
from litecast.lib.windows import extent, lowest, pad, resolve
from litecast.ops import (
    Abs,
    Add,
    BatchToSpaceND,
    Bitcast,
    Cast,
    Ceil,
    DepthToSpace,
    Div,
    Equal,
    Floor,
    FullyConnected,
    Gather,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    LogicalAnd,
    Maximum,
    Mean,
    Minimum,
    Mul,
    ReduceMax,
    ReduceMin,
    ResizeBilinear,
    ResizeNearestNeighbor,
    SelectV2,
    SpaceToBatchND,
    SpaceToDepth,
    Sub,
)

__all__ = [
    "adjust_contrast",
    "batch_to_space",
    "crop_and_resize",
    "depth_to_space",
    "dilation",
    "extract_patches",
    "hsv_to_rgb",
    "resample",
    "resize_bilinear",
    "resize_nearest",
    "rgb_to_hsv",
    "space_to_batch",
    "space_to_depth",
]

BLOCK_KERNELS = frozenset({DType.FLOAT32, DType.UINT8, DType.INT8, DType.INT32, DType.INT64})
"""Element types of DEPTH_TO_SPACE and SPACE_TO_DEPTH (depth_to_space.cc, space_to_depth.cc)."""


# -- resizing --------------------------------------------------------------------------------------------


def resize_bilinear(
    b: Builder, x: Value, size: Value, align_corners: bool = False, half_pixel_centers: bool = False
) -> Value:
    """Resize images to `size` (rows, columns) by bilinear interpolation; the result is always FLOAT32."""
    op = ResizeBilinear(align_corners=align_corners, half_pixel_centers=half_pixel_centers)
    result: Value = b(op, array.cast(b, x, DType.FLOAT32), array.cast(b, size, DType.INT32))
    return result


def resize_nearest(
    b: Builder, x: Value, size: Value, align_corners: bool = False, half_pixel_centers: bool = False
) -> Value:
    """Resize images to `size` by nearest neighbour."""
    if x.dtype.bits == 8 and not align_corners and not half_pixel_centers:
        # The 8-bit kernel steps in fixed point (optimized_ops.h) and picks other pixels at many sizes.
        wide: Value = array.cast(b, resize_nearest(b, array.cast(b, x, DType.INT16), size), x.dtype)
        return wide
    op = ResizeNearestNeighbor(align_corners=align_corners, half_pixel_centers=half_pixel_centers)
    rows_columns = array.cast(b, size, DType.INT32)
    return _in_words(b, x, x.dtype.bits in (8, 16, 32), lambda words: b(op, words, rows_columns))


def _in_words(b: Builder, x: Value, direct: bool, move: Callable[[Value], Value]) -> Value:
    """Move pixels of any element type, as they are (`direct`) or as INT32 or INT8 words in more channels."""
    if direct or isinstance(x, Composite):
        return move(x)
    word = DType.INT32 if x.dtype.bits % 32 == 0 else DType.INT8
    count = x.dtype.bits // word.bits
    words = b(Bitcast(word), x)
    if count > 1:
        words = array.reshape(b, words, (*x.shape[:3], x.shape[3] * count))
    moved = move(words)
    if count > 1:
        moved = array.reshape(b, moved, (*moved.shape[:3], moved.shape[3] // count, count))
    result: Value = b(Bitcast(x.dtype), moved)
    return result


def resample(b: Builder, x: Value, rows: Array, columns: Array) -> Value:
    """Return FLOAT32 images whose rows and columns are mixed by constant weights [out, in].

    Each axis is a FULLY_CONNECTED along the last one, which beats BATCH_MATMUL where channels are few.
    """

    def mix(value: Value, weights: Array) -> Value:
        result: Value = b(FullyConnected(keep_num_dims=True), value, b.const(weights), None)
        return result

    tall = mix(array.transpose(b, array.cast(b, x, DType.FLOAT32), (0, 3, 2, 1)), rows)
    wide = mix(array.transpose(b, tall, (0, 1, 3, 2)), columns)
    result: Value = array.transpose(b, wide, (0, 2, 3, 1))
    return result


# -- blocks ----------------------------------------------------------------------------------------------


def depth_to_space(b: Builder, x: Value, block: int) -> Value:
    """Move channels [block, block, c] of each pixel into a block of pixels."""
    return _in_words(b, x, x.dtype in BLOCK_KERNELS, lambda words: b(DepthToSpace(block_size=block), words))


def space_to_depth(b: Builder, x: Value, block: int) -> Value:
    """Move blocks of pixels into channels [block, block, c]."""
    return _in_words(b, x, x.dtype in BLOCK_KERNELS, lambda words: b(SpaceToDepth(block_size=block), words))


def space_to_batch(b: Builder, x: Value, block: Value, paddings: Value) -> Value:
    """Move blocks of the `len(block)` axes after the batch, padded with zeros, into the batch, blocks major.

    SPACE_TO_BATCH_ND takes one or two block axes: what follows them is merged, more of them go one by one.
    """
    return _blocks(b, SpaceToBatchND(), x, block, paddings, last_first=True)


def batch_to_space(b: Builder, x: Value, block: Value, crops: Value) -> Value:
    """Move the batch back into blocks of the `len(block)` axes after it, and crop them."""
    return _blocks(b, BatchToSpaceND(), x, block, crops, last_first=False)


def _blocks(b: Builder, op: Any, x: Value, block: Value, margins: Value, last_first: bool) -> Value:
    block, margins = array.cast(b, block, DType.INT32), array.cast(b, margins, DType.INT32)
    count = block.shape[0]
    if not isinstance(count, int):
        raise UnsupportedError(
            Unsupported(b.loc.op, "the number of block axes is not known", hint="use a constant block_shape")
        )
    if count == 0:
        return x
    if count <= 2:
        return _two_blocks(b, op, x, block, margins, count)

    def last(value: Value) -> Value:
        fewer = array.reshape(b, value, (value.shape[0], product(value.shape[1:count]), *value.shape[count:]))
        one = array.concat(b, [b.const([1]), array.slice(b, block, [count - 1], [1])], 0)
        edge = array.concat(b, [b.const([[0, 0]]), array.slice(b, margins, [count - 1, 0], [1, 2])], 0)
        moved = _two_blocks(b, op, fewer, one, edge)
        result: Value = array.reshape(b, moved, (moved.shape[0], *value.shape[1:count], *moved.shape[2:]))
        return result

    def others(value: Value) -> Value:
        front = array.slice(b, block, [0], [count - 1]), array.slice(b, margins, [0, 0], [count - 1, 2])
        return _blocks(b, op, value, *front, last_first=last_first)

    return others(last(x)) if last_first else last(others(x))


def _two_blocks(b: Builder, op: Any, x: Value, block: Value, margins: Value, count: int = 2) -> Value:
    front = 1 + count
    rest = x.shape[front:]
    moved = b(op, array.reshape(b, x, (*x.shape[:front], product(rest))), block, margins)
    result: Value = array.reshape(b, moved, (*moved.shape[:front], *rest))
    return result


# -- windows ---------------------------------------------------------------------------------------------


def extract_patches(
    b: Builder,
    x: Value,
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
) -> Value:
    """Return per window (axes 1 to rank - 2) its elements in the last axis, ordered (*window, channels)."""
    parts = _parts(b, x, range(1, x.rank - 1), window, strides, dilations, padding, 0)
    result: Value = array.concat(b, parts, -1)
    return result


def _parts(
    b: Builder,
    x: Value,
    axes: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
    value: float,
) -> list[Value]:
    spans = [extent(*each) for each in zip(window, dilations, strict=True)]
    pads = resolve(b, padding, x.shape[1:-1], spans, strides)
    padded = pad(b, x, [(0, 0), *pads, (0, 0)], value)
    return window_parts(b, padded, axes, window, strides, dilations)


def dilation(
    b: Builder, x: Value, w: Value, strides: Sequence[int], dilations: Sequence[int], padding: str
) -> Value:
    """Return the grey-scale dilation of images by a filter [h, w, c]: the maximum of x + w over windows."""

    def compute(x: Value, w: Value) -> Value:
        window = window_sizes(b, w, 2)
        parts = _parts(b, x, (1, 2), window, strides, dilations, padding, lowest(DType.FLOAT32))
        taps = array.split(b, array.reshape(b, w, (window[0] * window[1], w.shape[2])), len(parts), 0)
        raised = [b(Add(), *pair) for pair in zip(parts, taps, strict=True)]
        result: Value = reduce(lambda left, right: b(Maximum(), left, right), raised)
        return result

    return in_float32(b, compute, x, w)


# -- crops -----------------------------------------------------------------------------------------------


def crop_and_resize(
    b: Builder,
    x: Value,
    boxes: Value,
    indices: Value,
    size: tuple[int, int],
    nearest: bool = False,
    outside: float = 0.0,
) -> Value:
    """Return, per box (fractions y1, x1, y2, x2) of image `indices`, a FLOAT32 crop of `size`.

    Pixels that sample outside the image are `outside` (crop_and_resize_op.cc).
    """
    channels = x.shape[3]
    low_y, low_x, high_y, high_x = array.split(b, boxes, 4, 1)
    rows, inside_rows = _samples(b, low_y, high_y, size[0], x.shape[1])
    columns, inside_columns = _samples(b, low_x, high_x, size[1], x.shape[2])
    inside = b(LogicalAnd(), array.expand_dims(b, inside_rows, 2), array.expand_dims(b, inside_columns, 1))
    pixels = array.reshape(b, array.cast(b, x, DType.FLOAT32), (-1, channels))
    first = b(Mul(), array.expand_dims(b, indices, 1), b.dim(x.shape[1]))

    def at(row: Value, column: Value) -> Value:
        line = b(Mul(), b(Add(), first, b(Cast(DType.FLOAT32, DType.INT32), row)), b.dim(x.shape[2]))
        place = b(Cast(DType.FLOAT32, DType.INT32), column)
        index = b(Add(), array.expand_dims(b, line, 2), array.expand_dims(b, place, 1))
        result: Value = b(Gather(axis=0), pixels, index)
        return result

    if nearest:
        crop = at(*(b(Floor(), b(Add(), place, 0.5)) for place in (rows, columns)))
    else:
        crop = _interpolate(b, at, rows, columns)
    result: Value = b(SelectV2(), array.expand_dims(b, inside, 3), crop, np.float32(outside))
    return result


def _samples(b: Builder, low: Value, high: Value, count: int, size: Dim) -> tuple[Value, Value]:
    """Return the places [n, count] that a crop samples along an axis, clipped to it, and which lie inside."""
    limit = array.cast(b, b(Sub(), b.dim(size), 1), DType.FLOAT32)
    if count > 1:
        step = b(Div(), b(Mul(), b(Sub(), high, low), limit), float(count - 1))
        walk = b(Mul(), step, b.const(np.arange(count, dtype=np.float32)))
        place = b(Add(), b(Mul(), low, limit), walk)
    else:
        place = b(Mul(), b(Mul(), b(Add(), low, high), 0.5), limit)
    inside = b(LogicalAnd(), b(GreaterEqual(), place, 0.0), b(LessEqual(), place, limit))
    return b(Minimum(), b(Maximum(), place, 0.0), limit), inside


def _interpolate(b: Builder, at: Any, rows: Value, columns: Value) -> Value:
    top, bottom = b(Floor(), rows), b(Ceil(), rows)
    left, right = b(Floor(), columns), b(Ceil(), columns)
    down = array.expand_dims(b, array.expand_dims(b, b(Sub(), rows, top), 2), 3)
    across = array.expand_dims(b, array.expand_dims(b, b(Sub(), columns, left), 1), 3)

    def mix(near: Value, far: Value, share: Value) -> Value:
        result: Value = b(Add(), near, b(Mul(), b(Sub(), far, near), share))
        return result

    upper, lower = (mix(at(row, left), at(row, right), across) for row in (top, bottom))
    return mix(upper, lower, down)


# -- colours ---------------------------------------------------------------------------------------------


def adjust_contrast(b: Builder, x: Value, factor: Value) -> Value:
    """Scale the distance of each pixel from its channel's mean over rows and columns (axes -3 and -2)."""
    mean = b(Mean(keep_dims=True), x, np.array([x.rank - 3, x.rank - 2], np.int32))
    result: Value = b(Add(), b(Mul(), b(Sub(), x, mean), factor), mean)
    return result


def rgb_to_hsv(b: Builder, x: Value) -> Value:
    """Convert the last axis from red, green, blue to hue, saturation, value in [0, 1] (colorspace_op.h)."""
    flat = array.reshape(b, x, (-1, 3))
    red, green, blue = array.split(b, flat, 3, 1)
    axis = np.array([1], np.int32)
    value, least = b(ReduceMax(keep_dims=True), flat, axis), b(ReduceMin(keep_dims=True), flat, axis)
    spread = b(Sub(), value, least)
    zero = np.float32(0)
    saturation = b(SelectV2(), b(Greater(), value, 0.0), b(Div(), spread, value), zero)
    sixth = b(Div(), np.float32(1 / 6), spread)

    def sector(near: Value, far: Value, begin: float) -> Any:
        return b(Add(), b(Mul(), sixth, b(Sub(), near, far)), begin)

    other = b(SelectV2(), b(Equal(), green, value), sector(blue, red, 2 / 6), sector(red, green, 4 / 6))
    hue = b(SelectV2(), b(Equal(), red, value), b(Mul(), sixth, b(Sub(), green, blue)), other)
    hue = b(SelectV2(), b(Greater(), spread, 0.0), hue, zero)
    hue = b(SelectV2(), b(Less(), hue, 0.0), b(Add(), hue, 1.0), hue)
    result: Value = array.reshape(b, array.concat(b, [hue, saturation, value], 1), x.shape)
    return result


def hsv_to_rgb(b: Builder, x: Value) -> Value:
    """Convert the last axis from hue, saturation, value to red, green, blue in [0, 1] (colorspace_op.h)."""
    flat = array.reshape(b, x, (-1, 3))
    hue, saturation, value = array.split(b, flat, 3, 1)
    angle = b(Mul(), hue, 6.0)

    def channel(center: float, sign: float, shift: float) -> Any:
        distance = b(Abs(), b(Sub(), angle, center))
        share = b(Minimum(), b(Maximum(), b(Add(), b(Mul(), distance, sign), shift), 0.0), 1.0)
        return b(Mul(), b(Add(), b(Sub(), np.float32(1), saturation), b(Mul(), saturation, share)), value)

    channels = [channel(3.0, 1.0, -1.0), channel(2.0, -1.0, 2.0), channel(4.0, -1.0, 2.0)]
    result: Value = array.reshape(b, array.concat(b, channels, 1), x.shape)
    return result
