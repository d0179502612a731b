"""Contrast limited adaptive histogram equalization of images [n, h, w, c], whose h, w and c are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.op import Array
from litecast.ir.types import DType
from litecast.lib import array, math, reduce, scan
from litecast.ops import Add, Cast, Div, Equal, Gather, Maximum, Minimum, MirrorPad, Mul, Sub
from litecast.ops.enums import MirrorPadMode

__all__ = ["clahe"]

LEVELS = 256


def clahe(b: Builder, x: Value, grid: tuple[int, int], clip_limit: float) -> Value:
    """Equalize FLOAT32 images of values from 0 to 255 in `grid` tiles (rows, columns).

    Each pixel is mapped by the cumulated histograms of the four tiles around it, weighed by distance
    (keras/src/layers/preprocessing/image_preprocessing/clahe.py). Histograms are counted with a segment
    sum, so that memory grows with the image and not with its 256-fold.
    """
    sizes = [int(str(dim)) for dim in x.shape[1:3]]
    tile = -(-sizes[0] // grid[0]), -(-sizes[1] // grid[1])
    margins = [(0, side * count - size) for side, count, size in zip(tile, grid, sizes, strict=True)]
    padded = x
    if margins != [(0, 0), (0, 0)]:
        padded = b(MirrorPad(mode=MirrorPadMode.SYMMETRIC), x, np.array([(0, 0), *margins, (0, 0)], np.int32))
    pixels = b(Cast(DType.FLOAT32, DType.INT32), b(Minimum(), b(Maximum(), padded, 0.0), 255.0))
    curves = _curves(b, pixels, grid, tile, clip_limit)
    result = _interpolate(b, pixels, curves, grid, tile)
    cut: Value = array.slice(b, result, [0, 0, 0, 0], [-1, *sizes, -1])
    return cut


def _places(b: Builder, pixels: Value, rows: Array, columns: Array, grid: tuple[int, int]) -> Value:
    """Return where each pixel's level is in a table [n, *grid, c, LEVELS], by its row's and column's tile."""
    channels = int(str(pixels.shape[3]))
    tiles = rows[:, None, None] * grid[1] + columns[None, :, None]
    base = (tiles * channels + np.arange(channels)) * LEVELS
    count = grid[0] * grid[1] * channels * LEVELS
    numbers = array.arange(b, b.const(np.int32(0)), b.dim(pixels.shape[0]), b.const(np.int32(1)))
    images = array.reshape(b, b(Mul(), numbers, count), (pixels.shape[0], 1, 1, 1))
    result: Value = b(Add(), b(Add(), pixels, base.astype(np.int32)), images)
    return result


def _curves(
    b: Builder, pixels: Value, grid: tuple[int, int], tile: tuple[int, int], clip_limit: float
) -> Value:
    """Return the level that each level is mapped to, flat, for a table [n, *grid, c, LEVELS]."""
    rows, columns = (np.repeat(np.arange(count), side) for count, side in zip(grid, tile, strict=True))
    places = array.flatten(b, _places(b, pixels, rows, columns, grid))
    tables = pixels.shape[0] * (grid[0] * grid[1] * int(str(pixels.shape[3])))
    ones = array.full(b, places.shape, 1, DType.FLOAT32)
    counts = reduce.segment_sum(b, ones, places, b.dim(tables * LEVELS))
    counts = array.reshape(b, counts, (tables, LEVELS))
    area = tile[0] * tile[1]
    if clip_limit > 0:
        clipped = b(Minimum(), counts, float(np.float32(clip_limit * area / LEVELS)))
        excess = reduce.total(b, b(Sub(), counts, clipped), (1,), keep_dims=True)
        counts = b(Add(), clipped, b(Div(), excess, float(LEVELS)))
    summed = scan.cumsum(b, counts, 1)
    least = array.slice(b, summed, [0, 0], [-1, 1])  # sums of what is not negative: the first is the smallest
    rest = b(Sub(), np.float32(area), least)
    rest = math.select(b, b(Equal(), rest, 0.0), np.float32(1), rest)
    level = b(Div(), b(Mul(), b(Sub(), summed, least), 255.0), rest)
    result: Value = array.flatten(b, b(Minimum(), b(Maximum(), level, 0.0), 255.0))
    return result


def _interpolate(
    b: Builder, pixels: Value, curves: Value, grid: tuple[int, int], tile: tuple[int, int]
) -> Value:
    tops, bottoms, down = _neighbours(grid[0], tile[0])
    lefts, rights, across = _neighbours(grid[1], tile[1])

    def at(rows: Array, columns: Array) -> Any:
        return b(Gather(), curves, _places(b, pixels, rows, columns, grid))

    def mix(near: Any, far: Any, share: Array) -> Any:
        return b(Add(), b(Mul(), near, np.float32(1) - share), b(Mul(), far, share))

    upper, lower = (
        mix(at(rows, lefts), at(rows, rights), across[None, None, :, None]) for rows in (tops, bottoms)
    )
    result: Value = mix(upper, lower, down[None, :, None, None])
    return result


def _neighbours(count: int, side: int) -> tuple[Array, Array, Array]:
    """Return, per pixel of an axis, the tiles before and after its place, and the weight of the latter."""
    place = (np.arange(count * side, dtype=np.float32) - np.float32(side / 2)) / np.float32(side)
    before = np.floor(place + np.float32(1))
    share = place + np.float32(1) - before
    first = before.astype(np.int64) - 1
    return np.clip(first, 0, count - 1), np.clip(first + 1, 0, count - 1), share
