"""`keras.ops.image`: colours, resizing, patches, borders, blurs, edges and similarity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from litecast import ops
from litecast.frontend.keras.importer import operations
from litecast.frontend.keras.layers.convolution import per_axis
from litecast.frontend.keras.operations.casting import saturate_cast
from litecast.frontend.keras.operations.movement import mirrored, move_axis
from litecast.frontend.keras.operations.promotion import (
    channels_first,
    dynamic,
    floating,
    promoted,
    scalar_of,
    tensor,
)
from litecast.frontend.keras.operations.reductions import over
from litecast.ir.builder import Builder
from litecast.ir.graph import Value
from litecast.ir.types import Dim
from litecast.lib import array, aspect, image, linalg, math, nn, reduce, resample, resize

Images = Callable[[Any], Any]


def in_batches(b: Builder, x: Any, data_format: Any, compute: Images) -> Any:
    """Apply `compute`, which takes [n, *spatial, c], to one image or several, of either data format."""
    single = x.rank == 3
    batch = array.expand_dims(b, x, 0) if single else x
    first = channels_first(data_format)
    result = compute(move_axis(b, batch, 1, -1) if first else batch)
    result = move_axis(b, result, -1, 1) if first else result
    return array.squeeze(b, result, [0]) if single else result


# -- colours ---------------------------------------------------------------------------------------------

GRAY = (0.2989, 0.5870, 0.1140)


@operations("RGBToGrayscale")
def rgb_to_grayscale(b: Builder, images: Any, *, data_format: Any = None) -> Any:
    axis = -3 if channels_first(data_format) else -1
    if images.shape[axis] == 1:
        return images
    value = move_axis(b, array.cast(b, images, floating(images.dtype)), axis, -1)
    weights = b.const(np.asarray(GRAY, value.dtype.numpy).reshape(3, 1))
    return array.cast(b, move_axis(b, linalg.matmul(b, value, weights), -1, axis), images.dtype)


def _recolour(macro: Callable[..., Any]) -> Callable[..., Any]:
    def importer(b: Builder, images: Any, *, data_format: Any = None) -> Any:
        axis = -3 if channels_first(data_format) else -1
        moved = move_axis(b, images, axis, -1)
        return move_axis(b, nn.in_float32(b, lambda x: macro(b, x), moved), -1, axis)

    return importer


operations("RGBToHSV")(_recolour(image.rgb_to_hsv))
operations("HSVToRGB")(_recolour(image.hsv_to_rgb))


# -- sizes -----------------------------------------------------------------------------------------------


@operations("Resize")
def resize_(
    b: Builder,
    images: Any,
    *,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: Any = None,
) -> Any:
    """The element type stays: integers are rounded and clipped."""
    wanted = (int(size[0]), int(size[1]))
    if fill_mode != "constant":
        raise array.unsupported("Resize", f"fill_mode {fill_mode!r}", "use fill_mode='constant'")

    def compute(x: Any) -> Any:
        if crop_to_aspect_ratio:
            x = aspect.crop_to_aspect(b, x, wanted)
        elif pad_to_aspect_ratio:
            x = aspect.pad_to_aspect(b, x, wanted, fill_value)
        result = resize.resize(b, x, wanted, interpolation, antialias)
        return result if result.dtype is x.dtype else _restored(b, result, x.dtype)

    return in_batches(b, tensor(b, images), data_format, compute)


def _restored(b: Builder, x: Any, dtype: Any) -> Any:
    rounded = math.round_half_even(b, x) if dtype.is_integer else x
    return saturate_cast(b, rounded, dtype=dtype)


def _spatial(x: Any, data_format: Any) -> tuple[int, int]:
    """Return the axes of rows and columns."""
    return (x.rank - 2, x.rank - 1) if channels_first(data_format) else (x.rank - 3, x.rank - 2)


def _known(x: Any, axis: int, op: str) -> int:
    dim: Dim = x.shape[axis]
    if not isinstance(dim, int):
        raise dynamic(op, "the size of the images")
    return dim


@operations("PadImages")
def pad_images(
    b: Builder,
    images: Any,
    *,
    top_padding: Any = None,
    left_padding: Any = None,
    bottom_padding: Any = None,
    right_padding: Any = None,
    target_height: Any = None,
    target_width: Any = None,
    data_format: Any = None,
) -> Any:
    """Of two borders and the size that results, two are given."""
    pairs = [(0, 0)] * images.rank
    sides = ((top_padding, bottom_padding, target_height), (left_padding, right_padding, target_width))
    for axis, (before, after, target) in zip(_spatial(images, data_format), sides, strict=True):
        if before is None:
            before = target - after - _known(images, axis, "PadImages")
        if after is None:
            after = target - before - _known(images, axis, "PadImages")
        pairs[axis] = (int(before), int(after))
    return array.pad(b, images, pairs)


@operations("CropImages")
def crop_images(
    b: Builder,
    images: Any,
    *,
    top_cropping: Any = None,
    left_cropping: Any = None,
    bottom_cropping: Any = None,
    right_cropping: Any = None,
    target_height: Any = None,
    target_width: Any = None,
    data_format: Any = None,
) -> Any:
    begin, size = [0] * images.rank, [-1] * images.rank
    sides = ((top_cropping, bottom_cropping, target_height), (left_cropping, right_cropping, target_width))
    for axis, (before, after, target) in zip(_spatial(images, data_format), sides, strict=True):
        if before is None:
            before = _known(images, axis, "CropImages") - target - after
        if target is None:
            target = _known(images, axis, "CropImages") - before - after
        begin[axis], size[axis] = int(before), int(target)
    return array.slice(b, images, begin, size)


@operations("ScaleAndTranslate")
def scale_and_translate(
    b: Builder,
    images: Any,
    output_shape: Any,
    scale: Any,
    translation: Any,
    *,
    spatial_dims: Any,
    method: str,
    antialias: bool = True,
) -> Any:
    """A product with constant weights along each axis (backend/tensorflow/image.py)."""
    kernels = {"lanczos3": "lanczos3", "lanczos5": "lanczos5"}
    kernels |= dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), "triangle")
    kernels |= dict.fromkeys(("cubic", "bicubic", "tricubic"), "keyscubic")
    factors, shifts = (_numbers(item, "ScaleAndTranslate") for item in (scale, translation))
    value = array.cast(b, images, floating(images.dtype)) if images.dtype.is_integer else images
    for place, axis in enumerate(spatial_dims):
        at = array.normalize_axis(int(axis), images.rank)
        size = _known(images, at, "ScaleAndTranslate")
        weights = resample.kernel_weights(
            size, int(output_shape[at]), factors[place], shifts[place], kernels[method], antialias
        )
        moved = move_axis(b, value, at, -1)
        value = move_axis(b, linalg.matmul(b, moved, b.const(weights.T.copy())), -1, at)
    if not images.dtype.is_integer:
        return value
    low, high = (
        array.cast(b, over(macro, b, images, None, False), value.dtype)
        for macro in (reduce.minimum, reduce.maximum)
    )
    rounded = math.round_half_even(b, value)
    clipped = math.apply(b, ops.Maximum(), math.apply(b, ops.Minimum(), rounded, high), low)
    return array.cast(b, clipped, images.dtype)


def _numbers(x: Any, op: str) -> list[float]:
    contents = x.array() if isinstance(x, Value) and x.is_const else x
    return [float(scalar_of(item, "scale or translation", op)) for item in np.ravel(contents).tolist()]


# -- patches ---------------------------------------------------------------------------------------------


@operations("ExtractPatches")
def extract_patches(
    b: Builder,
    images: Any,
    *,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
) -> Any:
    """Windows of images, or of volumes where the size has three numbers."""
    volumes = not isinstance(size, int) and len(size) == 3
    count = 3 if volumes else 2
    window = per_axis(size, count)
    steps, rates = per_axis(strides or window, count), per_axis(dilation_rate, count)

    def compute(x: Any) -> Any:
        return image.extract_patches(b, x, window, steps, rates, padding.upper())

    single = images.rank == count + 1
    batch = array.expand_dims(b, images, 0) if single else images
    first = channels_first(data_format)
    result = compute(move_axis(b, batch, 1, -1) if first else batch)
    result = move_axis(b, result, -1, 1) if first else result
    return array.squeeze(b, result, [0]) if single else result


@operations("ReconstructPatches")
def reconstruct_patches(
    b: Builder,
    patches: Any,
    *,
    size: Any,
    output_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: Any = None,
) -> Any:
    """Put windows that do not overlap side by side, and cut what "same" padding had added."""
    whole = [int(item) for item in output_size]
    count = len(whole)
    window = per_axis(size, count)
    if strides is not None and tuple(per_axis(strides, count)) != tuple(window):
        raise array.unsupported("ReconstructPatches", "windows that overlap", "use strides equal to the size")
    single = patches.rank == count + 1
    batch = array.expand_dims(b, patches, 0) if single else patches
    first = channels_first(data_format)
    batch = move_axis(b, batch, 1, -1) if first else batch
    result = _assembled(b, batch, window)
    begins = [
        (dim - part) // 2 if isinstance(dim, int) else 0
        for dim, part in zip(result.shape[1:-1], whole, strict=True)
    ]
    if padding == "same":
        if not all(isinstance(dim, int) for dim in result.shape[1:-1]):
            raise dynamic("ReconstructPatches", "the number of windows")
        result = array.slice(b, result, [0, *begins, 0], [-1, *whole, -1])
    result = move_axis(b, result, -1, 1) if first else result
    return array.squeeze(b, result, [0]) if single else result


def _assembled(b: Builder, patches: Any, window: Sequence[int]) -> Any:
    """Return [n, *grid, *window * c] as [n, *(grid * window), c]."""
    count = len(window)
    grid = patches.shape[1 : count + 1]
    channels = patches.shape[-1] // int(np.prod(window))
    split = array.reshape(b, patches, (patches.shape[0], *grid, *window, channels))
    order = [0, *(axis for at in range(count) for axis in (1 + at, 1 + count + at)), 1 + 2 * count]
    moved = array.transpose(b, split, order)
    dims = [cells * size for cells, size in zip(grid, window, strict=True)]
    return array.reshape(b, moved, (patches.shape[0], *dims, channels))


# -- filters ---------------------------------------------------------------------------------------------


def _gaussian(size: int, sigma: float) -> Any:
    places = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    taps = np.exp(np.float32(-0.5) * np.square(places / np.float32(sigma)))
    return taps / taps.sum()


@operations("GaussianBlur")
def gaussian_blur(
    b: Builder, images: Any, *, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0), data_format: Any = None
) -> Any:
    """The first number of each option is that of columns, as Keras has it."""
    across, down = (
        _gaussian(int(size), float(width)) for size, width in zip(kernel_size, sigma, strict=True)
    )
    kernel = np.outer(down, across).reshape(int(kernel_size[0]), int(kernel_size[1]), 1, 1)

    def compute(x: Any) -> Any:
        channels = _known(x, 3, "GaussianBlur")
        weights = b.const(np.tile(kernel, (1, 1, channels, 1)).astype(np.float32))
        return nn.depthwise_conv(b, x, weights, (1, 1), "SAME")

    return in_batches(b, tensor(b, images), data_format, compute)


SOBEL = np.array([[[-1, -2, -1], [0, 0, 0], [1, 2, 1]], [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]], np.float32)
"""Filters of change down and across (image_ops_impl.py sobel_edges)."""


@operations("SobelEdges")
def sobel_edges(b: Builder, images: Any, *, data_format: Any = None) -> Any:
    """A last axis of two: the change down and across, with mirrored borders."""
    first = channels_first(data_format)
    x = array.transpose(b, images, (0, 2, 3, 1)) if first else images
    channels = _known(x, 3, "SobelEdges")
    padded = mirrored(b, x, [[0, 0], [1, 1], [1, 1], [0, 0]], "reflect")
    kernel = np.tile(SOBEL.transpose(1, 2, 0)[:, :, None, :], (1, 1, channels, 1))
    edges = nn.depthwise_conv(b, padded, b.const(kernel), (1, 1), "VALID")
    split = array.reshape(b, edges, (*x.shape, 2))
    return array.transpose(b, split, (0, 3, 1, 2, 4)) if first else split


@operations("SSIM")
def ssim(
    b: Builder,
    image1: Any,
    image2: Any,
    *,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: Any = None,
) -> Any:
    """Structural similarity under a Gaussian window, averaged over places and channels."""
    pair = promoted(b, image1, image2, also=(float,))
    single, first = pair[0].rank == 3, channels_first(data_format)
    batches = [array.expand_dims(b, x, 0) if single else x for x in pair]
    left, right = (array.transpose(b, x, (0, 2, 3, 1)) if first else x for x in batches)
    channels = _known(left, 3, "SSIM")
    taps = _gaussian(int(filter_size), float(filter_sigma))
    kernel = b.const(np.tile(np.outer(taps, taps)[:, :, None, None], (1, 1, channels, 1)).astype(np.float32))

    def blurred(x: Any, y: Any) -> Any:
        return nn.depthwise_conv(b, math.apply(b, ops.Mul(), x, y), kernel, (1, 1), "VALID")

    means = [nn.depthwise_conv(b, x, kernel, (1, 1), "VALID") for x in (left, right)]
    products = [math.apply(b, ops.Mul(), means[i], means[j]) for i, j in ((0, 0), (1, 1), (0, 1))]
    moments = [blurred(x, y) for x, y in ((left, left), (right, right), (left, right))]
    spreads = [math.apply(b, ops.Sub(), *both) for both in zip(moments, products, strict=True)]
    limits = [(k1 * max_val) ** 2, (k2 * max_val) ** 2]

    def factor(own: Any, other: Any, limit: float) -> Any:
        return math.apply(b, ops.Add(), math.apply(b, ops.Add(), own, other), limit)

    above = [factor(item[2], item[2], limit) for item, limit in zip((products, spreads), limits, strict=True)]
    below = [factor(item[0], item[1], limit) for item, limit in zip((products, spreads), limits, strict=True)]
    ratio = math.apply(b, ops.Div(), math.apply(b, ops.Mul(), *above), math.apply(b, ops.Mul(), *below))
    result = array.cast(b, reduce.mean(b, ratio, [1, 2, 3]), image1.dtype)
    return array.squeeze(b, result, [0]) if single else result
