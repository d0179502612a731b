"""Layers that move, repeat, cut and pad: shapes of any size, in either data format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim
from litecast.lib import array, index
from litecast.lib.resize import METHODS, repeat_pixels, resize, saturate
from litecast.ops import Tile

__all__: list[str] = []

Margins = Sequence[tuple[int, int]]


@keras("Reshape")
def reshape(b: Builder, inputs: Value, *, target_shape: Sequence[int]) -> Any:
    return array.reshape(b, inputs, (inputs.shape[0], *target_shape))


@keras("Flatten")
def flatten(b: Builder, inputs: Value, *, data_format: str | None = None) -> Any:
    if data_format == "channels_first" and inputs.rank > 1:
        inputs = array.transpose(b, inputs, (0, *range(2, inputs.rank), 1))
    return array.reshape(b, inputs, (inputs.shape[0], -1))


@keras("Permute")
def permute(b: Builder, inputs: Value, *, dims: Sequence[int]) -> Any:
    return array.transpose(b, inputs, (0, *dims))


@keras("RepeatVector")
def repeat_vector(b: Builder, inputs: Value, *, n: int) -> Any:
    return b(Tile(), array.expand_dims(b, inputs, 1), np.array([1, n, 1], np.int32))


# -- margins -----------------------------------------------------------------------------------------------


@keras("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(b: Builder, inputs: Value, *, padding: Any = 1, data_format: str | None = None) -> Any:
    return array.pad(b, inputs, _margins(inputs, padding, data_format))


@keras("Cropping1D")
def cropping1d(b: Builder, inputs: Value, *, cropping: Any = (1, 1)) -> Any:
    return _crop(b, inputs, _margins(inputs, cropping, None))


@keras("Cropping2D")
def cropping2d(b: Builder, inputs: Value, *, cropping: Any = 0, data_format: str | None = None) -> Any:
    return _crop(b, inputs, _margins(inputs, cropping, data_format))


@keras("Cropping3D")
def cropping3d(b: Builder, inputs: Value, *, cropping: Any = 1, data_format: str | None = None) -> Any:
    return _crop(b, inputs, _margins(inputs, cropping, data_format))


def _margins(x: Value, given: Any, data_format: str | None) -> Margins:
    """Return (before, after) of every axis from one number, one per spatial axis, or a pair for each."""
    count = x.rank - 2
    items = [given] * count if isinstance(given, int) else [given] if _is_pair(given, count) else list(given)
    pairs = [(item, item) if isinstance(item, int) else (int(item[0]), int(item[1])) for item in items]
    if data_format == "channels_first":
        return [(0, 0), (0, 0), *pairs]
    return [(0, 0), *pairs, (0, 0)]


def _is_pair(given: Sequence[Any], count: int) -> bool:
    return count == 1 and len(given) == 2


def _crop(b: Builder, x: Value, margins: Margins) -> Any:
    open_ends = sum(1 << axis for axis, (_, after) in enumerate(margins) if after == 0)
    begin = np.array([before for before, _ in margins], np.int32)
    end = np.array([-after for _, after in margins], np.int32)
    return index.strided_slice(b, x, begin, end, [1] * x.rank, index.Masks(end=open_ends))


# -- larger images -----------------------------------------------------------------------------------------


@keras("UpSampling1D")
def up_sampling1d(b: Builder, inputs: Value, *, size: int | Sequence[int] = 2) -> Any:
    (factor,) = _factors(size, 1)
    wide = repeat_pixels(b, array.expand_dims(b, inputs, 2), factor, 1)
    return array.squeeze(b, wide, (2,))


@keras("UpSampling2D")
def up_sampling2d(
    b: Builder,
    inputs: Value,
    *,
    layer: Layer,
    size: int | Sequence[int] = 2,
    data_format: str | None = None,
    interpolation: str = "nearest",
) -> Any:
    rows, columns = _factors(size, 2)
    first = data_format == "channels_first"
    x = array.transpose(b, inputs, (0, 2, 3, 1)) if first else inputs
    method = interpolation.lower()
    if method not in METHODS:
        raise layer.unsupported(f"it does not know the interpolation {method!r}", f"use {', '.join(METHODS)}")
    if method == "nearest":
        result = repeat_pixels(b, x, rows, columns)
    else:
        result = resize(b, x, (x.shape[1] * rows, x.shape[2] * columns), method)
        if x.dtype.is_integer and not layer.is_legacy:  # keras/src/ops/image.py, `_resize`
            result = saturate(b, result, x.dtype)
    return array.transpose(b, result, (0, 3, 1, 2)) if first else result


@keras("UpSampling3D")
def up_sampling3d(
    b: Builder, inputs: Value, *, size: int | Sequence[int] = 2, data_format: str | None = None
) -> Any:
    deep, rows, columns = _factors(size, 3)
    first = data_format == "channels_first"
    x = array.transpose(b, inputs, (0, 2, 3, 4, 1)) if first else inputs
    batch, depth, height, width, channels = x.shape
    planes: tuple[Dim, ...] = (batch, depth, 1, height * width * channels)
    stacked = repeat_pixels(b, array.reshape(b, x, planes), deep, 1)
    images = array.reshape(b, stacked, (batch * depth * deep, height, width, channels))
    large = repeat_pixels(b, images, rows, columns)
    result = array.reshape(b, large, (batch, depth * deep, height * rows, width * columns, channels))
    return array.transpose(b, result, (0, 4, 1, 2, 3)) if first else result


def _factors(size: int | Sequence[int], count: int) -> list[int]:
    return [size] * count if isinstance(size, int) else [int(factor) for factor in size]
