"""Pooling over any axes of a tensor of any rank, as 2-D pools over two neighbouring axes at a time.

Maximum and mean are separable, the mean under SAME padding too: its counts are products of those per axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from litecast.errors import Unsupported, UnsupportedError
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType, product
from litecast.lib import array
from litecast.lib.nn import in_float32
from litecast.lib.windows import Spec, lowest, pad, resolve
from litecast.ops import AveragePool2D, Equal, Maximum, MaxPool2D, Minimum, Range, SelectV2, StridedSlice
from litecast.ops.enums import Padding

__all__ = ["adaptive_average", "adaptive_maximum", "argmax", "average", "maximum", "window_parts"]


def maximum(
    b: Builder, x: Value, window: Sequence[int], strides: Sequence[int], padding: Spec = "VALID"
) -> Value:
    """Return the maximum over windows; window, strides and explicit padding have an entry per axis of `x`."""
    if not isinstance(padding, str):
        x, padding = pad(b, x, padding, lowest(x.dtype)), "VALID"
    if x.dtype.is_integer:
        return _integer_maximum(b, x, window, strides, padding)
    return in_float32(b, lambda x: _separate(b, MaxPool2D, x, window, strides, padding), x)


def average(
    b: Builder, x: Value, window: Sequence[int], strides: Sequence[int], padding: str = "VALID"
) -> Value:
    """Return the mean over windows; with SAME padding only elements of `x` count."""
    return in_float32(b, lambda x: _separate(b, AveragePool2D, x, window, strides, padding), x)


def _separate(
    b: Builder,
    kernel: type[AveragePool2D | MaxPool2D],
    x: Value,
    window: Sequence[int],
    strides: Sequence[int],
    padding: str,
) -> Value:
    active = [axis for axis in range(x.rank) if window[axis] != 1 or strides[axis] != 1]
    for axes in _pairs(active, x.rank):
        first, last = axes[0], axes[-1] + 1
        sizes = list(x.shape[first:last])
        merged = [product(x.shape[:first]), *sizes, *([1] * (2 - len(sizes))), product(x.shape[last:])]
        rows, columns = [*axes, None][:2]
        op = kernel(
            padding=Padding[padding],
            filter_height=1 if rows is None else window[rows],
            stride_h=1 if rows is None else strides[rows],
            filter_width=1 if columns is None else window[columns],
            stride_w=1 if columns is None else strides[columns],
        )
        pooled = b(op, array.reshape(b, x, merged))
        pooled_dims = pooled.shape[1 : 1 + len(sizes)]
        x = array.reshape(b, pooled, (*x.shape[:first], *pooled_dims, *x.shape[last:]))
    return x


# -- windows that follow from the size of the result -------------------------------------------------------


def adaptive_maximum(b: Builder, x: Value, sizes: Mapping[int, int]) -> Value:
    """Return the maximum over as many windows per axis as `sizes` says: window i of n of an axis of size s
    has elements floor(i * s / n) to ceil((i + 1) * s / n).
    """
    x, uneven = _even(b, x, sizes, maximum)
    for axis, (starts, ends, small) in uneven.items():
        parts = maximum(b, x, *_along(x, axis, small))
        first, last = (array.gather(b, parts, at, axis) for at in (starts, ends - small))
        x = first if (ends - starts == small).all() else b(Maximum(), first, last)
    return x


def adaptive_average(b: Builder, x: Value, sizes: Mapping[int, int]) -> Value:
    """Return the mean over windows as for `adaptive_maximum`."""
    x, uneven = _even(b, x, sizes, average)
    for axis, (starts, ends, small) in uneven.items():
        large = ends - starts > small
        parts = average(b, x, *_along(x, axis, small))
        if large.any():
            starts = np.where(large, starts + parts.shape[axis], starts)
            parts = array.concat(b, [parts, average(b, x, *_along(x, axis, small + 1))], axis)
        x = array.gather(b, parts, starts.astype(np.int32), axis)
    return x


def _even(
    b: Builder, x: Value, sizes: Mapping[int, int], pool: Callable[..., Value]
) -> tuple[Value, dict[int, tuple[np.ndarray, np.ndarray, int]]]:
    """Pool the axes whose windows are all alike; for each other return where its windows start and end, and
    the size of the smaller ones: the others have one element more.
    """
    window, uneven = [1] * x.rank, {}
    for axis, count in sizes.items():
        size = x.shape[axis]
        if not isinstance(size, int):
            raise UnsupportedError(
                Unsupported(b.loc.op, f"the size {size} of axis {axis} is not known", hint="fix that size")
            )
        numbers = np.arange(count, dtype=np.int32)
        starts, ends = numbers * size // count, -(-(numbers + 1) * size // count)
        if size % count:
            uneven[axis] = starts, ends, int((ends - starts).min())
        else:
            window[axis] = size // count
    return pool(b, x, window, window), uneven


def _along(x: Value, axis: int, size: int) -> tuple[list[int], list[int]]:
    """Return window and strides of 1 for windows of that size along one axis."""
    return [size if other == axis else 1 for other in range(x.rank)], [1] * x.rank


def _pairs(axes: Sequence[int], rank: int) -> Iterator[tuple[int, ...]]:
    """Yield the axes from the last to the first, two at a time where they are neighbours."""
    rest = list(axes)
    if rest in ([1], [2]) and rank == 4:
        yield (1, 2)
        return
    while rest:
        count = 2 if len(rest) > 1 and rest[-2] == rest[-1] - 1 else 1
        yield tuple(rest[-count:])
        del rest[-count:]


@dataclass(frozen=True)
class _Tap:
    """The elements that one tap of a window meets along an axis, as bounds of a strided slice."""

    begin: int
    end: int
    stride: int


def _taps(size: int, dilation: int, stride: int) -> list[_Tap]:
    span = (size - 1) * dilation + 1
    return [_Tap(tap * dilation, tap * dilation + 1 - span, stride) for tap in range(size)]


def take(b: Builder, x: Value, taps: dict[int, _Tap]) -> Value:
    """Return the strided slice of one tap per axis; ends count from the back, so sizes may be unknown."""
    axes = range(x.rank)
    begin, end, strides = ([default] * x.rank for default in (0, 0, 1))
    for axis, tap in taps.items():
        begin[axis], end[axis], strides[axis] = tap.begin, tap.end, tap.stride
    op = StridedSlice(end_mask=sum(1 << axis for axis in axes if end[axis] == 0))
    result: Value = b(op, x, *(b.const(values) for values in (begin, end, strides)))
    return result


def window_parts(
    b: Builder,
    x: Value,
    axes: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[Value]:
    """Return, per tap of the window in row-major order, the elements that it meets; `x` is padded already."""
    parts: list[dict[int, _Tap]] = [{}]
    for axis, size, stride, dilation in zip(axes, window, strides, dilations, strict=True):
        parts = [{**part, axis: tap} for part in parts for tap in _taps(size, dilation, stride)]
    return [take(b, x, part) for part in parts]


def _integer_maximum(
    b: Builder, x: Value, window: Sequence[int], strides: Sequence[int], padding: str
) -> Value:
    """Pool as maxima of shifted slices: MAX_POOL_2D takes floats and quantized numbers (pooling.cc)."""
    wide = _carrier(b, x.dtype)
    y = array.cast(b, x, wide)
    y = pad(b, y, resolve(b, padding, y.shape, window, strides), lowest(wide))
    for axis in range(y.rank):
        if window[axis] == 1 and strides[axis] == 1:
            continue
        parts = window_parts(b, y, (axis,), window[axis : axis + 1], strides[axis : axis + 1], (1,))
        y = reduce(lambda left, right: b(Maximum(), left, right), parts)
    result: Value = array.cast(b, y, x.dtype)
    return result


def argmax(
    b: Builder, x: Value, window: Sequence[int], strides: Sequence[int], padding: str, with_batch: bool
) -> tuple[Value, Value]:
    """Return the maximum over windows of NHWC images, and its place: (row * width + column) * c + channel.

    `with_batch` counts the images before as well. The first of equal elements wins.
    """
    dtype = DType.FLOAT32 if x.dtype.is_float else _carrier(b, x.dtype)
    pads = [(0, 0), *resolve(b, padding, x.shape[1:3], window, strides), (0, 0)]
    beyond = b.const(np.int32(np.iinfo(np.int32).max))

    def parts(whole: Value, value: float) -> list[Value]:
        return window_parts(b, pad(b, whole, pads, value), (1, 2), window, strides, (1, 1))

    taps = parts(array.cast(b, x, dtype), lowest(dtype))
    best = reduce(lambda left, right: b(Maximum(), left, right), taps)
    places = parts(_places(b, x, with_batch), int(beyond.array()))
    found = [
        b(SelectV2(), b(Equal(), tap, best), place, beyond) for tap, place in zip(taps, places, strict=True)
    ]
    return array.cast(b, best, x.dtype), reduce(lambda left, right: b(Minimum(), left, right), found)


def _places(b: Builder, x: Value, with_batch: bool) -> Value:
    """Return the number of each element of images, counted from the start of the batch or of its image."""
    shape = (x.shape[0] if with_batch else 1, *x.shape[1:])
    numbers = b(Range(), np.int32(0), b.dim(product(shape)), np.int32(1))
    result: Value = array.reshape(b, numbers, shape)
    return result


def _carrier(b: Builder, dtype: DType) -> DType:
    """Return the integer type that LiteRT computes a maximum of `dtype` in."""
    if dtype is DType.UINT64:
        raise UnsupportedError(
            Unsupported(b.loc.op, "LiteRT has no maximum of uint64", hint="convert to int64")
        )
    return DType.INT64 if dtype.bits > 32 or dtype is DType.UINT32 else DType.INT32
