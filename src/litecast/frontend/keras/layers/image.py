"""Image layers that inference keeps: resizing, cropping, and contrast that follows from the image itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from litecast.frontend.keras.importer import keras
from litecast.frontend.keras.layer import Layer
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import DType
from litecast.lib import array, aspect, math, reduce, resize
from litecast.lib.equalize import clahe
from litecast.ops import Add, Div, Equal, Maximum, Minimum, Mul, Neg, Sub

Image = Callable[[Value], Value]
"""What is done with a batch of images [n, h, w, c]."""


def transform(layer: Layer, data: Any, images: Image, masks: Image | None = None) -> Any:
    """Apply `images` to images, or to what a dict holds of them and `masks` to its segmentation masks.

    base_image_preprocessing_layer.py; labels stay as they are. UnsupportedError for bounding boxes.
    """
    if not isinstance(data, Mapping):
        return images(data)
    if "bounding_boxes" in data:
        raise layer.unsupported(
            "it is called with bounding boxes", "leave them out: only images, labels and masks are converted"
        )
    done = {"images": images(data["images"])}
    if masks is not None and "segmentation_masks" in data:
        done["segmentation_masks"] = masks(data["segmentation_masks"])
    return {**data, **done}


def in_batches(b: Builder, x: Value, data_format: str | None, compute: Image) -> Value:
    """Apply `compute`, which takes [n, h, w, c], to one image or several, of either data format."""
    single, first = x.rank == 3, data_format == "channels_first"
    batch = array.expand_dims(b, x, 0) if single else x
    result = compute(array.transpose(b, batch, (0, 2, 3, 1)) if first else batch)
    result = array.transpose(b, result, (0, 3, 1, 2)) if first else result
    return array.squeeze(b, result, [0]) if single else result


# -- resizing --------------------------------------------------------------------------------------------


@keras("Resizing", harmless=("bounding_box_format",))  # bounding boxes are refused
def resizing(
    b: Builder,
    data: Any,
    *,
    layer: Layer,
    height: int,
    width: int,
    interpolation: str = "bilinear",
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    antialias: bool = False,
    data_format: str | None = None,
) -> Any:
    """Resize images, which keep their element type (Keras 3), or are computed in the layer's (tf_keras)."""
    size = (height, width)
    if fill_mode != "constant":
        raise layer.unsupported(f"fill_mode {fill_mode}", 'use fill_mode="constant"')

    def fitted(x: Value) -> Value:
        if crop_to_aspect_ratio:
            return aspect.crop_to_aspect(b, x, size)
        return aspect.pad_to_aspect(b, x, size, fill_value) if pad_to_aspect_ratio else x

    def resized(method: str) -> Image:
        def compute(x: Value) -> Value:
            if layer.is_legacy:
                x = array.cast(b, x, layer.dtype if method == "nearest" else DType.FLOAT32)
            result = resize.resize(b, fitted(x), size, method, antialias)
            return array.cast(b, result, layer.dtype) if layer.is_legacy else saturate(b, result, x.dtype)

        return lambda x: in_batches(b, x, data_format, compute)

    return transform(layer, data, resized(interpolation.lower()), resized("nearest"))


def saturate(b: Builder, x: Value, dtype: DType) -> Value:
    """Convert to `dtype`, integers rounded and clipped (keras/src/ops/core.py, `_saturate_cast`)."""
    if x.dtype is dtype:
        return x
    if dtype.is_integer and x.dtype.is_float:
        limits = np.iinfo(dtype.numpy)
        low, high = np.float32(limits.min), np.float32(limits.max)
        high = high if int(high) <= limits.max else np.nextafter(high, np.float32(0))
        x = math.apply(b, Minimum(), math.apply(b, Maximum(), math.round_half_even(b, x), low), high)
    result: Value = array.cast(b, x, dtype)
    return result


# -- cropping --------------------------------------------------------------------------------------------


@keras("CenterCrop", harmless=("bounding_box_format",))  # bounding boxes are refused
def center_crop(
    b: Builder, data: Any, *, layer: Layer, height: int, width: int, data_format: str | None = None
) -> Any:
    """The middle of images; what is smaller is resized: its largest part of that aspect ratio."""

    def cropped(x: Value) -> Value:
        return aspect.center_crop(b, x, (height, width), "bilinear", exact=not layer.is_legacy)

    def images(x: Value) -> Value:
        return in_batches(b, array.cast(b, x, layer.dtype), data_format, cropped)

    return transform(layer, data, images, images)


# -- contrast --------------------------------------------------------------------------------------------

BYTE = (0, 255)


@keras("AutoContrast", harmless=("bounding_box_format",))
def auto_contrast(
    b: Builder,
    data: Any,
    *,
    layer: Layer,
    value_range: Sequence[float] = BYTE,
    data_format: str | None = None,
) -> Any:
    """Stretch every channel to the whole range; a constant channel stays as it is.

    Extremes are taken over the axes 1 and 2 of a batch also where the channels come first (auto_contrast.py).
    """
    low, high = sorted(value_range)

    def stretched(x: Value) -> Value:
        original = array.cast(b, x, DType.FLOAT32)
        scaled = _moved(b, original, (low, high), BYTE)
        least, most = (extreme(b, scaled, (1, 2), True) for extreme in (reduce.minimum, reduce.maximum))
        scale = b(Div(), np.float32(255), b(Sub(), most, least))
        spread = b(Add(), b(Mul(), scaled, scale), b(Mul(), b(Neg(), least), scale))
        clipped = b(Minimum(), b(Maximum(), spread, 0.0), 255.0)
        constant = b(Equal(), least, most)
        kept = math.select(b, constant, original, _moved(b, clipped, BYTE, (low, high)))
        result: Value = array.cast(b, kept, layer.dtype)
        return result

    return transform(layer, data, lambda x: in_batches(b, x, None, stretched))


@keras("ContrastLimitedAdaptiveHistogramEqualization", harmless=("bounding_box_format",))
def adaptive_equalization(
    b: Builder,
    data: Any,
    *,
    layer: Layer,
    value_range: Sequence[float] = BYTE,
    clip_limit: float = 4.0,
    tile_grid_size: Sequence[int] = (8, 8),
    data_format: str | None = None,
) -> Any:
    """Equalize the histograms of tiles, clipped, and interpolate between neighbouring tiles (CLAHE)."""
    rows, columns = tile_grid_size

    def equalized(x: Value) -> Value:
        if not all(isinstance(dim, int) for dim in x.shape[1:]):
            raise layer.unsupported(
                "its tiles need the size of the images, and it is not known", "fix it: --shape NAME=..."
            )
        scaled = _moved(b, array.cast(b, x, DType.FLOAT32), value_range, BYTE)
        equal = clahe(b, scaled, (rows, columns), clip_limit)
        result: Value = array.cast(b, _moved(b, equal, BYTE, value_range), x.dtype)
        return result

    return transform(layer, data, lambda x: in_batches(b, x, data_format, equalized))


def _moved(b: Builder, x: Value, source: Sequence[float], target: Sequence[float]) -> Value:
    """Map one range of values to another (`_transform_value_range`)."""
    if tuple(source) == tuple(target):
        return x
    share = b(Div(), b(Sub(), x, float(source[0])), float(np.float32(source[1]) - np.float32(source[0])))
    result: Value = b(
        Add(), b(Mul(), share, float(np.float32(target[1]) - np.float32(target[0]))), float(target[0])
    )
    return result
