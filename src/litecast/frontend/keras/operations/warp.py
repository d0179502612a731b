"""`keras.ops.image` that samples images at computed places: affine transforms and map_coordinates."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.operations.image import in_batches
from litecast.frontend.keras.operations.promotion import F32, I32, dynamic, tensor
from litecast.ir.builder import Builder
from litecast.ir.op import Op
from litecast.ir.types import Dim
from litecast.ir.types import product as product_of
from litecast.lib import array, index, math


def _op(b: Builder, op: Op, *xs: Any) -> Any:
    return math.apply(b, op, *xs)


def _clamp(b: Builder, x: Any, high: Any) -> Any:
    return _op(b, ops.Maximum(), _op(b, ops.Minimum(), x, high), 0)


# -- affine transforms -----------------------------------------------------------------------------------


def _whole(b: Builder, x: Any) -> Any:
    """Return a number that is not negative rounded down."""
    return _op(b, ops.Floor(), x)


def _reflect(b: Builder, x: Any, length: Any) -> Any:
    """Return places in [dcba|abcd|dcba], as image_ops.h MapCoordinate finds them."""
    period = _op(b, ops.Mul(), length, 2)
    size = math.absolute(b, x)
    rest = _op(b, ops.Sub(), size, _op(b, ops.Mul(), period, _whole(b, _op(b, ops.Div(), size, period))))
    below = math.select(
        b,
        _op(b, ops.Greater(), rest, length),
        _op(b, ops.Sub(), period, rest),
        _op(b, ops.Sub(), rest, 1),
    )
    mirrored = _op(b, ops.Sub(), _op(b, ops.Sub(), period, rest), 1)
    above = math.select(b, _op(b, ops.GreaterEqual(), rest, length), mirrored, rest)
    return _beyond(b, x, length, below, above)


def _wrap(b: Builder, x: Any, length: Any) -> Any:
    """Return places in [abcd|abcd|abcd]; a period is one less than the length (image_ops.h)."""
    period = _op(b, ops.Maximum(), _op(b, ops.Sub(), length, 1), 1)
    turns = _whole(b, _op(b, ops.Div(), math.absolute(b, x), period))
    below = _op(b, ops.Add(), x, _op(b, ops.Mul(), length, _op(b, ops.Add(), turns, 1)))
    above = _op(b, ops.Sub(), x, _op(b, ops.Mul(), length, turns))
    return _beyond(b, x, length, below, above)


def _beyond(b: Builder, x: Any, length: Any, below: Any, above: Any) -> Any:
    last = _op(b, ops.Sub(), length, 1)
    inside = math.select(b, _op(b, ops.Greater(), x, last), above, x)
    return _clamp(b, math.select(b, _op(b, ops.Less(), x, 0), below, inside), last)


def _nearest(b: Builder, x: Any, length: Any) -> Any:
    return _clamp(b, x, _op(b, ops.Sub(), length, 1))


FILLS: dict[str, Callable[..., Any]] = {
    "constant": lambda b, x, length: x,
    "nearest": _nearest,
    "reflect": _reflect,
    "wrap": _wrap,
}
"""Fill mode -> where a place outside of the image is read."""


def _coordinates(b: Builder, transform: Any, rows: Dim, columns: Dim) -> tuple[Any, Any, Any]:
    """Return the y and x that each pixel of the result is read from, and where these are infinite."""
    numbers = [array.reshape(b, part, (*part.shape, 1, 1)) for part in array.unpack(b, transform, 1)]
    axes = [
        array.cast(b, array.arange(b, b.const(np.int32(0)), b.dim(dim), b.const(np.int32(1))), F32)
        for dim in (rows, columns)
    ]
    y, x = array.reshape(b, axes[0], (1, rows, 1)), array.reshape(b, axes[1], (1, 1, columns))

    def line(first: Any, second: Any, third: Any) -> Any:
        return _op(
            b, ops.Add(), _op(b, ops.Add(), _op(b, ops.Mul(), x, first), _op(b, ops.Mul(), y, second)), third
        )

    depth = line(numbers[6], numbers[7], b.const(np.float32(1)))
    infinite = _op(b, ops.Equal(), depth, 0)
    safe = math.select(b, infinite, 1, depth)
    places = [_op(b, ops.Div(), line(*numbers[start : start + 3]), safe) for start in (3, 0)]
    return places[0], places[1], infinite


def _sampled(b: Builder, image: Any, y: Any, x: Any, fill: float) -> Any:
    """Return the pixels [n, h, w, c] of images at whole places [1 or n, h, w], `fill` for those outside."""
    rows, columns = (array.cast(b, b.dim(dim), F32) for dim in image.shape[1:3])
    down, across = (
        _clamp(b, part, _op(b, ops.Sub(), length, 1)) for part, length in ((y, rows), (x, columns))
    )
    places = array.cast(b, _op(b, ops.Add(), _op(b, ops.Mul(), down, columns), across), I32)
    flat = array.reshape(b, image, (image.shape[0], product_of(image.shape[1:3]), image.shape[3]))
    if places.shape[0] == 1:
        found = array.gather(b, flat, array.squeeze(b, places, [0]), 1)
    else:
        found = array.gather(b, flat, places, 1, 1)
    inside = _all_equal(b, [down, across], [y, x])
    return math.select(b, array.expand_dims(b, inside, 3), found, fill)


@operations("AffineTransform")
def affine_transform(
    b: Builder,
    images: Any,
    transform: Any,
    *,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: Any = 0,
    data_format: Any = None,
) -> Any:
    """Pixel (x, y) is read at (a0 x + a1 y + a2, b0 x + b1 y + b2) / (c0 x + c1 y + 1).

    TensorFlow's ImageProjectiveTransformV3 (image_ops.h): a pixel outside of the image is the fill value.
    """
    numbers = tensor(b, transform, F32)
    numbers = array.expand_dims(b, numbers, 0) if numbers.rank == 1 else numbers
    fill = float(fill_value)

    def compute(image: Any) -> Any:
        value = array.cast(b, image, F32)
        lengths = [array.cast(b, b.dim(dim), F32) for dim in image.shape[1:3]]
        y, x, infinite = _coordinates(b, numbers, image.shape[1], image.shape[2])
        y, x = (FILLS[fill_mode](b, part, length) for part, length in zip((y, x), lengths, strict=True))
        result = _interpolated(b, value, y, x, interpolation, fill)
        shown = math.select(b, array.expand_dims(b, infinite, 3), fill, result)
        return array.cast(b, shown, image.dtype)

    return in_batches(b, tensor(b, images), data_format, compute)


def _interpolated(b: Builder, image: Any, y: Any, x: Any, interpolation: str, fill: float) -> Any:
    """Halves are rounded away from zero for the nearest pixel."""
    if interpolation == "nearest":
        whole = [
            _op(
                b,
                ops.Mul(),
                math.sign(b, part),
                _op(b, ops.Floor(), _op(b, ops.Add(), math.absolute(b, part), 0.5)),
            )
            for part in (y, x)
        ]
        return _sampled(b, image, whole[0], whole[1], fill)
    total = None
    for (row, tall), (column, wide) in product(_nodes(b, y, 1), _nodes(b, x, 1)):
        weight = array.expand_dims(b, _op(b, ops.Mul(), tall, wide), 3)
        part = _op(b, ops.Mul(), _sampled(b, image, row, column, fill), weight)
        total = part if total is None else _op(b, ops.Add(), total, part)
    return total


# -- map_coordinates -------------------------------------------------------------------------------------


def _nodes(b: Builder, place: Any, order: int) -> list[tuple[Any, Any]]:
    """Return (whole place, weight) pairs that interpolate at a place."""
    if order == 0:
        return [(math.round_half_even(b, place), b.const(np.ones((), place.dtype.numpy)))]
    low = _op(b, ops.Floor(), place)
    share = _op(b, ops.Sub(), place, low)
    rest = _op(b, ops.Sub(), b.const(np.ones((), place.dtype.numpy)), share)
    return [(low, rest), (_op(b, ops.Add(), low, 1), share)]


def _inside(b: Builder, place: Any, size: int, mode: str) -> Any:
    """Return a whole place within `size` elements, as backend/tensorflow/image.py does it."""
    if mode in ("constant", "nearest"):
        return _clamp(b, place, size - 1)
    if mode == "wrap":
        return _op(b, ops.FloorMod(), place, size)
    rest = _op(b, ops.FloorMod(), math.absolute(b, place), 2 * size)
    turned = _op(b, ops.Sub(), b.const(np.asarray(2 * size, rest.dtype.numpy)), rest)
    turned = _op(b, ops.Sub(), turned, 1) if mode == "reflect" else turned
    return _clamp(b, math.select(b, _op(b, ops.Less(), rest, size), rest, turned), size - 1)


@operations("MapCoordinates")
def map_coordinates(
    b: Builder, inputs: Any, coordinates: Any, *, order: int, fill_mode: str = "constant", fill_value: Any = 0
) -> Any:
    """Sample a tensor of known shape at coordinates [rank, ...], to the nearest element or linearly."""
    value = tensor(b, inputs)
    sizes = value.shape
    if not all(isinstance(size, int) for size in sizes):
        raise dynamic("MapCoordinates", f"the shape {list(sizes)} of its operand")
    if order not in (0, 1):
        raise array.unsupported("MapCoordinates", f"order {order}", "use order 0 or 1")
    places = [array.cast(b, part, F32) for part in array.unpack(b, tensor(b, coordinates), 0)]
    total = None
    for nodes in product(*(_nodes(b, place, order) for place in places)):
        at = [
            _inside(b, node, int(str(size)), fill_mode) for (node, _), size in zip(nodes, sizes, strict=True)
        ]
        found = array.cast(b, index.gather_nd(b, value, array.cast(b, array.pack(b, at, -1), I32)), F32)
        if fill_mode == "constant":
            found = math.select(b, _all_equal(b, at, [node for node, _ in nodes]), found, float(fill_value))
        for _, weight in nodes:
            found = _op(b, ops.Mul(), found, weight)
        total = found if total is None else _op(b, ops.Add(), total, found)
    result = math.round_half_even(b, total) if value.dtype.is_integer else total
    return array.cast(b, result, value.dtype)


def _all_equal(b: Builder, xs: list[Any], ys: list[Any]) -> Any:
    """Whether every place was inside of the tensor: clamping left it where it was."""
    result = None
    for x, y in zip(xs, ys, strict=True):
        same = _op(b, ops.Equal(), x, y)
        result = same if result is None else _op(b, ops.LogicalAnd(), result, same)
    return result
